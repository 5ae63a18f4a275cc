"""Another tree, or files in ours that bear other names: which days they seem to be, and where those belong.

A day is told by the date in a file's name. Nothing is opened here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path

from msgspec import Struct

from handlers.files import is_temporary
from handlers.pattern import Pattern
from watcher.settings import TOPS, Data
from watcher.tree import walk

_DATE = re.compile(r"(?<!\d)(\d{4})[-_]?(\d{2})[-_]?(\d{2})(?!\d)")
_ENDINGS = {
    ".db": "",
    ".sqlite": "",
    ".sqlite3": "",
    ".db.zst": ".zst",
    ".sqlite.zst": ".zst",
    ".sqlite3.zst": ".zst",
}
"""How databases of days may end, and what is put behind the name that they get here. The first that fits."""
_UNREADABLE = {
    ".gz": "gunzip it first",
    ".xz": "unxz it first",
    ".bz2": "bunzip2 it first",
    ".zip": "unzip it first",
    ".7z": "extract it first",
    ".lz4": "decompress it first",
}
_SIDECARS = ("-wal", "-journal")
_ASIDE = (".quarantined", ".before-adoption")


class Stray(Struct, frozen=True):
    """A file that looks like a day, and is not where that belongs."""

    path: str
    """The file."""
    database: str
    """Which day it seems to be, ``stream/YYYY-MM-DD``; empty: that cannot be told."""
    target: str
    """Where it would be copied to; empty: it cannot be taken over."""
    bytes: int
    """Its size."""
    problem: str
    """Why it cannot be taken over, and what to do; empty: it can."""


def is_inside(path: Path, data: Data) -> bool:
    """Whether a path is in one of the directories that are looked after."""
    return any(path == top or top in path.parents for top in tops_of(data))


def strays_in(top: Path, data: Data, stream: str | None, today: date) -> list[Stray]:
    """The files below ``top`` (or that one file) that look like days, by their dates, and are out of place.

    Args:
        top: absolute, free of symbolic links.
        stream: the one they are of; None: the names of the streams tell.
        today: from that day on a name is the writer's.
    """
    paths = [str(top)] if top.is_file() else walk(top)
    own = set(map(str, tops_of(data)))
    patterns = {name: Pattern(each.pattern) for name, each in data.streams.items()}
    found = [
        stray
        for path in paths
        if not _is_in_place(path, own, patterns.values())
        and (stray := _stray(path, data, patterns, stream, today))
    ]
    return sorted(_once(found), key=lambda stray: (stray.database.rpartition("/")[2], stray.path))


def tops_of(data: Data) -> list[Path]:
    """The directories that are looked after."""
    return [Path(getattr(data, name)) for name in TOPS]


def _is_in_place(path: str, tops: set[str], patterns: Iterable[Pattern]) -> bool:
    """Whether it has the name that a day's artefact has here."""
    for top in tops:
        if path.startswith(top + "/"):
            name = path[len(top) + 1 :].removesuffix(".zst")
            return any(pattern.day_of(name) is not None for pattern in patterns)
    return False


def _stray(
    path: str, data: Data, patterns: Mapping[str, Pattern], stream: str | None, today: date
) -> Stray | None:
    day = _day_in(Path(path).name)
    if day is None or Path(path).is_symlink() or not Path(path).is_file():
        return None
    size, ending = Path(path).stat().st_size, next((each for each in _ENDINGS if path.endswith(each)), None)
    names = [stream] if stream is not None else _streams_of(path, patterns)
    key = f"{names[0]}/{day}" if len(names) == 1 else ""
    if ending is None:
        remedy = next((_UNREADABLE[each] for each in _UNREADABLE if path.endswith(each)), "")
        return Stray(path, key, "", size, f"it cannot be read here: {remedy}") if remedy else None
    if problem := _problem(path, day, today):
        return Stray(path, key, "", size, problem)
    if not key:
        return Stray(path, "", "", size, f"it may be of any of {', '.join(patterns)}: --stream says which")
    target = f"{data.root}/{patterns[names[0]].path_of(day)}{_ENDINGS[ending]}"
    return Stray(path, key, target, size, "")


def _problem(path: str, day: date, today: date) -> str:
    if day >= today:
        return "its day is not over: that name is the writer's"
    logs = (Path(path + suffix) for suffix in _SIDECARS)
    if any(log.exists() and log.stat().st_size for log in logs):
        return f"there are ticks beside it that are not in it yet ({path}-wal): open and close it with SQLite"
    return ""


def _day_in(name: str) -> date | None:
    """The date in a file's name; None for what cannot be a database of a day."""
    match = _DATE.search(name)
    beside = name.endswith((*_SIDECARS, "-shm", *_ASIDE))
    return None if match is None or name.startswith(".") or is_temporary(name) or beside else _day(match)


def _day(match: re.Match[str]) -> date | None:
    try:
        return date(*map(int, match.groups()))
    except ValueError:
        return None


def _streams_of(path: str, patterns: Mapping[str, Pattern]) -> list[str]:
    """The streams whose name, or whose databases' name, is in the path; the only one there is."""
    if len(patterns) == 1:
        return list(patterns)
    name = Path(path).name
    begin = [
        key for key, pattern in patterns.items() if name.startswith(pattern.name.partition("{")[0] or "\0")
    ]
    return (
        begin
        if len(begin) == 1
        else [key for key in begin or patterns if key in Path(path).parts or key in name]
    )


def _once(strays: Iterable[Stray]) -> Iterator[Stray]:
    """Two files for one name: neither is taken before a person has chosen."""
    strays = list(strays)
    targets: dict[str, list[str]] = {}
    for stray in strays:
        targets.setdefault(stray.target.removesuffix(".zst"), []).append(stray.path)
    for stray in strays:
        others = [path for path in targets[stray.target.removesuffix(".zst")] if path != stray.path]
        if stray.target and others:
            yield Stray(
                stray.path,
                stray.database,
                "",
                stray.bytes,
                f"{others[0]} seems to be the same day: name the one that is meant",
            )
        else:
            yield stray
