"""What mkdocs is told by mkdocs.yml: the pages that are not in docs/, and links that lead out of the site.

In the project every page links to files as they lie there, so that whoever reads it there can follow them.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
GUESTS = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "config.toml": "config.toml"}
"""Files of the project that the site has as well, and where."""
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File  # noqa: PLC0415 -- only where the site is built

    for source, name in GUESTS.items():
        files.append(File.generated(config, name, abs_src_path=str(PROJECT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    return with_links_of_the_site(markdown, page.file.src_uri)


def with_links_of_the_site(markdown: str, uri: str) -> str:
    """Its links as they are within the site; of what is not there, only the words are left."""
    homes = {name: source for source, name in GUESTS.items()}
    folder = posixpath.dirname(homes.get(uri) or f"docs/{uri}")

    def rewritten(found: re.Match[str]) -> str:
        image, text, target, anchor = found.groups(default="")
        meant = posixpath.normpath(posixpath.join(folder, target))
        if meant == "README.md":
            meant = "docs/index.md"
        there = GUESTS.get(meant) or (meant.removeprefix("docs/") if meant.startswith("docs/") else None)
        if there is None:
            return text
        return f"{image}[{text}]({posixpath.relpath(there, posixpath.dirname(uri) or '.')}{anchor})"

    return _LINK.sub(rewritten, markdown)
