"""Whether a built site is complete in itself: what its pages load is in it, and comes from nowhere else.

python -m scripts.site_check SITE     # exit status 1, and a line for each problem
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scripts.problems import told

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
NAMED = ("canonical", "prev", "next", "alternate")
"""Links of these kinds are not loaded."""
_IN_CSS = re.compile(r"""(?:url\(\s*|@import\s+)["']?([^"')\s]+)""")


class _Page(HTMLParser):
    """What a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        address = given.get(LOADED.get(tag, ""))
        if address and not (tag == "link" and given.get("rel") in NAMED):
            self.loaded.append(address)
        self.loaded += _IN_CSS.findall(given.get("style") or "")


def problems(site: Path) -> Iterator[str]:
    """A sentence for each address that is not a file of the site."""
    for file in sorted(site.rglob("*")):
        for address in _loaded_by(file):
            parts = urlsplit(address)
            if parts.scheme == "data":
                continue
            base = site if parts.path.startswith("/") else file.parent
            if parts.scheme or parts.netloc:
                yield f"{file} loads {address}, which is not a part of the site"
            elif not (base / unquote(parts.path).lstrip("/")).exists():
                yield f"{file} loads {address}, which is not there"


def _loaded_by(file: Path) -> list[str]:
    if file.suffix == ".html":
        page = _Page()
        page.feed(file.read_text(encoding="utf-8"))
        return page.loaded
    if file.suffix == ".css":
        return [address for address in _IN_CSS.findall(file.read_text(encoding="utf-8")) if address[0] != "#"]
    return []


if __name__ == "__main__":
    sys.exit(told(problems(Path(sys.argv[1]))))
