"""Our files where they are written: what is there now, made, put in place, removed."""

from __future__ import annotations

import itertools
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from handlers.files import fsync_directory, publish_over, temporary
from watcher.service import receipt
from watcher.service.installation import MARK, File
from watcher.service.receipt import Receipt
from watcher.service.target import Target

ASIDE = ".before-tickward"
"""What a file that was edited by hand is kept under; the next such with a number after it."""
_MARKED = re.compile(re.escape(MARK) + r"(?: for (?P<state>[\w.~/%-]+))?", re.ASCII)
_LOOKED_THROUGH = 1024
_LARGEST_BYTES = 1 << 20

Found = Literal["absent", "same", "older", "edited", "another tickward's", "another's"]

WORDS: dict[Found, str] = {
    "absent": "is not there: not installed",
    "same": "is there, as it would be made now",
    "older": "is not what would be made now: install again",
    "edited": "was edited by hand, or is not what would be made now",
    "another tickward's": "was made by tickward, but not for this data.state: it is left alone",
    "another's": "is there, and was not made by tickward: it is left alone",
}


def look(file: File, target: Target, known: Receipt) -> Found:
    """What is under its name."""
    path = target.on_disk(file.path)
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return "absent"
    if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_BYTES:
        return "another's"  # a link to /dev/null, for example: a unit that was masked
    content = path.read_bytes()
    if content == file.content:
        return "same"
    state = _state_in(content)
    if state is None:
        return "another's"
    known_digest = known.files.get(str(file.path))
    ours = state == target.settings.data.state if state else known_digest is not None
    if not ours:
        return "another tickward's"
    return "older" if known_digest == receipt.digest(content) else "edited"


def is_for_another(path: Path, state: str) -> bool:
    """Whether a file says that tickward made it for another state directory than this."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_BYTES:
            return False
        return _state_in(path.read_bytes()) not in (None, "", state)
    except OSError:
        return False


def _state_in(content: bytes) -> str | None:
    """By its mark; empty: that of an earlier tickward, which did not say; None: there is none."""
    marked = _MARKED.search(readable(content))
    if marked is None or marked.start() >= _LOOKED_THROUGH:
        return None
    return unquote(marked["state"] or "", errors="surrogateescape")


def missing(directories: Iterable[Path], target: Target) -> Iterator[Path]:
    """Those that are to be made, each after the one that it is in."""
    seen: set[Path] = set()
    for directory in directories:
        for path in (*reversed(directory.parents), directory):
            if path not in seen and not target.on_disk(path).exists():
                seen.add(path)
                yield path


def make(path: Path, mode: int, owner: tuple[int, int] | None) -> None:
    path.mkdir(mode)
    if owner is not None:
        os.chown(path, *owner, follow_symlinks=False)
    fsync_directory(path.parent)


def publish(path: Path, content: bytes, mode: int) -> None:
    """Under its name when it is whole, in place of what was there."""
    with temporary(path) as new:
        new.write_bytes(content)
        new.chmod(mode)
        publish_over(new, path)


def aside_for(path: Path, content: bytes) -> Path:
    """Where this is to be kept: under the first name that is free, or that it is kept under already."""
    names = (f"{path.name}{ASIDE}" + (f"-{number}" if number > 1 else "") for number in itertools.count(1))
    return next(aside for aside in map(path.with_name, names) if not _is_taken(aside, content))


def _is_taken(path: Path, content: bytes) -> bool:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    same_size = stat.S_ISREG(status.st_mode) and status.st_size == len(content)
    return not same_size or path.read_bytes() != content


def remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    fsync_directory(path.parent)


def readable(content: bytes) -> str:
    """A file as text: those of Windows are in UTF-16."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace").replace("\r\n", "\n")
    return content.decode(errors="replace")
