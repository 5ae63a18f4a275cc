"""What is on disk of one day, and the walk that finds the days. Nothing here opens a file.

A link is followed only where it stays inside: what leads out of the root is somebody else's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from msgspec import Struct

from handlers.contract import Paths, Signature
from watcher.settings import Data
from watcher.state import Files

SIDECARS = ("-wal", "-shm", "-journal")


def look(paths: Paths, data: Data, listing: Listing | None = None) -> Files:
    """The artefacts of one day as they are now.

    ``listing``: of a moment ago, with all of the day's files still in it. What it does not have is not there,
    and need not be asked for.
    """
    seen = signature if listing is None else listing.signature
    anomaly = _anomaly(paths.database, data.root, listing)
    directory, _, name = paths.database.rpartition("/")
    wal = seen(paths.database + "-wal")
    return Files(
        database=None if anomaly else seen(paths.database),
        wal=wal,
        compressed=seen(paths.compressed),
        backup=seen(paths.backup),
        backup_compressed=seen(paths.backup_compressed),
        archived=seen(paths.archived),
        retired=seen(f"{directory}/.{name}.retired") is not None,
        beside=tuple(path for path in _others(paths, orphans=wal is None) if seen(path)),
        anomaly=anomaly,
    )


def _others(paths: Paths, *, orphans: bool) -> list[str]:
    # With a -wal a -shm comes and goes with every reader, and means nothing.
    own = ("-shm", "-journal") if orphans else ("-journal",)
    return [paths.database + ending for ending in own] + [paths.backup + ending for ending in SIDECARS]


def signature(path: str) -> Signature | None:
    """What the file system says of a regular file; None if there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return Signature(found.st_size, found.st_mtime_ns, found.st_ino)


def _anomaly(path: str, root: str, listing: Listing | None) -> str:
    if listing is not None and not listing.may_be_odd(path):
        return ""
    if _leads_out(path.rpartition("/")[0], root):
        return "its directory is a symbolic link that leaves the root; it is not followed"
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return f"it cannot be looked at ({error.strerror}): mend its disk or its permissions"
    if stat.S_ISREG(mode):
        return ""
    if stat.S_ISDIR(mode):
        return "a directory has the name of a database; it is left alone"
    if stat.S_ISLNK(mode):
        target = os.path.realpath(path)
        where = "" if target.startswith(root + "/") else " that leaves the root"
        shown = os.fsencode(target).decode(errors="backslashreplace")
        return f"a symbolic link{where} to {shown} has the name of a database; it is not followed"
    return "not a regular file; it is left alone"


def _leads_out(directory: str, root: str) -> bool:
    """Whether a link on the way down from the root leads out of it. The root itself is free of links."""
    below = directory
    while len(below) > len(root):
        try:
            is_link = stat.S_ISLNK(os.lstat(below).st_mode)
        except OSError:
            is_link = False  # it is not there, or nobody may look
        if is_link:
            target = os.path.realpath(directory)
            return target != root and not target.startswith(root + "/")
        below = below.rpartition("/")[0]
    return False


class Listing(Struct, frozen=True):
    """The names of all files below some directories: what there is of many days, for few system calls."""

    names: dict[str, set[str]]
    """The regular files in each directory; whoever accounts for one takes it out."""
    others: set[str]
    """The paths of what is no regular file: directories, links, ..."""

    @classmethod
    def of(cls, tops: Iterable[str]) -> Listing:
        """Look."""
        names: dict[str, set[str]] = {}
        odd: set[str] = set()
        for directory, files, others in chain.from_iterable(directories(Path(top)) for top in tops):
            names[directory] = files
            odd.update(entry.path for entry in others)
        return cls(names, odd)

    def signature(self, path: str) -> Signature | None:
        """As `signature`, without a look at what was not there, or is accounted for."""
        directory, _, name = path.rpartition("/")
        names = self.names.get(directory)
        return None if names is not None and name not in names else signature(path)

    def may_be_odd(self, path: str) -> bool:
        """Whether there may be more to say of a path than that a regular file is there, or nothing."""
        return path in self.others or path.rpartition("/")[0] not in self.names

    def left(self) -> Iterator[str]:
        """The paths of those that nobody has accounted for, and of all that is no regular file."""
        yield from self.others
        for directory, names in self.names.items():
            yield from (f"{directory}/{name}" for name in names)


def walk(top: Path) -> Iterator[str]:
    """Every path below a directory. A linked directory is followed only where it stays inside."""
    for directory, names, others in directories(top):
        yield from (f"{directory}/{name}" for name in names)
        yield from (entry.path for entry in others)


def directories(top: Path) -> Iterator[tuple[str, set[str], list[os.DirEntry[str]]]]:
    """Every directory below one, itself included: the names of its regular files, and what else is in it."""
    pending, linked = [str(top)], {os.path.realpath(top)}
    while pending:
        directory = pending.pop()
        names, others = set(), []
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        names.add(entry.name)
                    else:
                        others.append(entry)
        except OSError:
            continue
        yield directory, names, others
        pending += [entry.path for entry in others if _is_to_be_entered(entry, str(top), linked)]


def _is_to_be_entered(entry: os.DirEntry[str], top: str, linked: set[str]) -> bool:
    """Directories, and once each of those inside that links lead to: more would never end."""
    if entry.is_dir(follow_symlinks=False):
        return True
    try:
        if not (entry.is_symlink() and entry.is_dir()):
            return False
    except OSError:  # a link that leads in a circle
        return False
    target = os.path.realpath(entry.path)
    if not target.startswith(top + "/") or target in linked:
        return False
    linked.add(target)
    return True
