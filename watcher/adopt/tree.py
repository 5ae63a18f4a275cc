"""Another tree, or files in ours that bear other names: which days they seem to be, and where those belong.

A day is told by the date in a file's name. Nothing is opened here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from itertools import islice
from pathlib import Path

from msgspec import Struct

from handlers.pattern import Pattern
from watcher.adopt.layout import Layout, tops_of
from watcher.adopt.names import (
    ENDINGS,
    SIDECARS,
    day_in,
    day_name_in,
    ending_of,
    is_packed_otherwise,
    seems_a_copy,
    trouble_with,
)
from watcher.settings import Data
from watcher.tree import directories, look, signature, walk

_MOST_LOOKED_AT = 1000
"""Of what is below a link that is not followed."""


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

    What has a day's name and is no file, and links that lead to days elsewhere, are among them. What can be
    reached also by a link to its directory is looked at once, where it is.

    Args:
        top: absolute, free of symbolic links.
        stream: the one they are of; None: the names of the streams tell.
        today: from that day on a name is the writer's.
    """
    look = _Look(data, stream, today)
    found, placed = [], set[str]()
    if top.is_file():
        found.append(look.at_file(str(top)))
    else:
        for directory, names, others in directories(top):
            real = os.path.realpath(directory)
            if real != directory:
                # It is inside as well, and looked at there. But by this path its files may be in place.
                placed.update(f"{real}/{name}" for name in names if look.is_in_place(f"{directory}/{name}"))
                continue
            found += [look.at_file(f"{directory}/{name}") for name in names]
            found += [look.at_other(Path(entry.path), top) for entry in others]
    strays = _once(stray for stray in found if stray is not None and stray.path not in placed)
    return sorted(strays, key=lambda stray: (stray.database.rpartition("/")[2], stray.path))


class _Look:
    """Looks at one path after the other."""

    def __init__(self, data: Data, stream: str | None, today: date) -> None:
        self._data, self._stream, self._today = data, stream, today
        self._layout = Layout(data)
        self._patterns = self._layout.patterns
        self.is_in_place = self._layout.is_in_place

    def at_file(self, path: str) -> Stray | None:
        """What is out of place about a regular file; None: nothing."""
        name = path.rpartition("/")[2]
        day = day_in(name)
        if day is None or self.is_in_place(path):
            return None
        ending, trouble = ending_of(name), trouble_with(name)
        if ending is not None:
            return self._database(path, day, ENDINGS[ending])
        if not trouble:
            return None
        key = self._key(path, day)
        problem = _beside_another(Path(path)) or trouble + self._whereto(name, key, day)
        return Stray(path, key, "", _size(path), problem)

    def at_other(self, path: Path, top: Path) -> Stray | None:
        """The same about a link, a directory, or whatever is no regular file."""
        day = day_in(path.name)
        if day is not None and seems_a_copy(path.name):
            if self.is_in_place(str(path)) and day >= self._today:
                return None  # the planner says so
            return Stray(str(path), self._key(str(path), day), "", 0, self._no_file(path))
        if path.is_symlink():
            return self._link(path, top)
        return self._dated_directory(path, day) if day is not None and path.is_dir() else None

    def _database(self, path: str, day: date, packed: str) -> Stray:
        """A file whose name ends as that of a database does."""
        key, size = self._key(path, day), _size(path)
        if problem := _problem(path, day, self._today):
            return Stray(path, key, "", size, problem)
        if not key:
            streams = ", ".join(self._patterns)
            return Stray(path, "", "", size, f"it may be of any of {streams}: --stream says which")
        return Stray(path, key, self._layout.paths_of(key).database + packed, size, "")

    def _whereto(self, name: str, key: str, day: date) -> str:
        """Where the database belongs that is packed in such a file, if nothing else is there of its day."""
        if not is_packed_otherwise(name) or not key or day >= self._today:
            return ""
        paths = self._layout.paths_of(key)
        if look(paths, self._data).any_copy:
            return ""
        inner = ENDINGS.get(ending_of(Path(name).stem) or "", "")
        return f", and put the database of that day at {paths.database}{inner}"

    def _key(self, path: str, day: date) -> str:
        """Which day it seems to be; empty: it may be of any stream."""
        if regular := self._layout.key_of(path):
            return regular
        names = [self._stream] if self._stream is not None else _streams_of(path, self._patterns)
        return f"{names[0]}/{day}" if len(names) == 1 else ""

    def _no_file(self, path: Path) -> str:
        """Why what has the name of a copy is none, and what to do."""
        if not path.is_symlink():
            what = "a directory" if path.is_dir() else "no regular file"
            return f"{what} has the name of a day: see what it is for, and move it away"
        target = Path(os.path.realpath(path))
        link = f"a symbolic link to {target}"
        if not target.is_file():
            return f"{link}, where {'no file' if target.exists() else 'nothing'} is: remove it"
        if self.is_in_place(str(target)):
            return f"{link}, which is a day by its own name: the link is not needed"
        return f"{link}, and links are not followed: put the file itself in its place"

    def _link(self, path: Path, top: Path) -> Stray | None:
        """Days behind a link that leads out of what is looked at."""
        target = Path(os.path.realpath(path))
        if target == top or top in target.parents or is_inside(target, self._data):
            return None
        names = (each.rpartition("/")[2] for each in islice(walk(target), _MOST_LOOKED_AT))
        if not any(day_in(name) and seems_a_copy(name) for name in names):
            return None
        problem = (
            "a symbolic link to days, and links that lead elsewhere are not followed: put the directory "
            f"itself in its place, or copy them from there (`tickward adopt {target} --copy --yes`)"
        )
        return Stray(str(path), "", "", 0, problem)

    def _dated_directory(self, path: Path, day: date) -> Stray | None:
        """A date that only the directory has: nobody takes what is in it for a day."""
        for name in sorted(next(directories(path), ("", set(), []))[1]):
            ending = ending_of(name)
            if ending and day_in(name) is None and not self.is_in_place(f"{path}/{name}"):
                problem = (
                    f"a day is told by the date in its file's own name, and {name} in this directory has "
                    f"none: if it is a day, call it {name.removesuffix(ending)}_{day}{ending}"
                )
                return Stray(str(path), self._key(str(path), day), "", 0, problem)
        return None


def _beside_another(path: Path) -> str:
    """What is to be said of a ``.db.bak`` that stands beside the ``.db``; empty: it does not."""
    plain = day_name_in(path.name).removesuffix(".zst")
    for named in (plain, f"{plain}.zst") if plain else ():
        if path.with_name(named).is_file():
            return (
                f"{named} is beside it, and is the one that is taken for the day: compare the two, and move "
                "away the one that is not needed"
            )
    return ""


def _size(path: str) -> int:
    seen = signature(path)
    return seen.size_bytes if seen is not None else 0


def _problem(path: str, day: date, today: date) -> str:
    if day >= today:
        return "its day is not over: that name is the writer's"
    for suffix in SIDECARS:
        log = Path(path + suffix)
        if log.exists() and log.stat().st_size:
            return (
                f"there are ticks beside it that are not in it yet ({suffix}): open and close it with SQLite"
            )
    return ""


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
    """Two files that may be one day: neither is taken before a person has chosen.

    Also one that cannot be taken yet may be that day, and the better file of it.
    """
    strays = list(strays)
    rivals: dict[str, list[str]] = {}
    for stray in strays:
        if stray.database and may_be_a_day(stray):
            rivals.setdefault(stray.database, []).append(stray.path)
    for stray in strays:
        paths = (path for path in rivals.get(stray.database, ()) if path != stray.path)
        others = [path for path in paths if not _was_unpacked_to(path, stray.path)]
        if stray.target and others:
            problem = f"{others[0]} seems to be the same day: name the one that is meant"
            yield Stray(stray.path, stray.database, "", stray.bytes, problem)
        else:
            yield stray


def may_be_a_day(stray: Stray) -> bool:
    """Whether it can be taken over, or could be once it is unpacked, or its log is folded in."""
    name = stray.path.rpartition("/")[2]
    return bool(stray.bytes) and (ending_of(name) is not None or is_packed_otherwise(name))


def _was_unpacked_to(packed: str, path: str) -> bool:
    """Whether the one is beside the other, as somebody leaves it who does what he is told."""
    (directory, _, name), (beside, _, _) = packed.rpartition("/"), path.rpartition("/")
    return is_packed_otherwise(name) and directory == beside
