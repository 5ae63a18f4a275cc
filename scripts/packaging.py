"""What must be in the wheel and in the sdist, and what must not: compared with what is in the project.

python -m scripts.packaging DIST     # exit status 1, and a line for each difference
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from scripts.problems import told

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = ("watcher", "handlers")
ADDED = {"watcher/config.toml": "config.toml"}
"""Files of the wheel that are elsewhere in the project, and where."""


def wanted_in_wheel(files: Iterable[str]) -> set[str]:
    """Of the project's files, those that belong into the wheel."""
    return {file for file in files if file.startswith(tuple(f"{name}/" for name in PACKAGES))} | set(ADDED)


def packed(names: Iterable[str]) -> set[str]:
    """Of the names in a wheel, those of files of ours."""
    return {name for name in names if ".dist-info/" not in name and not name.endswith("/")}


def differences(found: set[str], wanted: set[str], where: str) -> list[str]:
    """A sentence for each file that is missing, or has no business there."""
    return [
        *(f"{where} lacks {name}" for name in sorted(wanted - found)),
        *(f"{where} should not have {name}" for name in sorted(found - wanted)),
    ]


def project_files() -> set[str]:
    """Every file of the project that git knows, or would add."""
    asked = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(asked, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    return {name for name in listed.splitlines() if (PROJECT / name).is_file()}


def problems(dist: Path) -> Iterator[str]:
    """What is wrong with the one wheel and the one sdist in a directory."""
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    files = project_files()
    with zipfile.ZipFile(wheel) as archive:
        yield from differences(packed(archive.namelist()), wanted_in_wheel(files), wheel.name)
    with tarfile.open(sdist) as tar:
        names = {member.name.partition("/")[2] for member in tar if member.isfile()}
    yield from differences(names - {"PKG-INFO"}, files, sdist.name)


if __name__ == "__main__":
    sys.exit(told(problems(Path(sys.argv[1]))))
