"""What is on disk of one day, and the walk that finds the days. Nothing here opens a file.

A link is followed only where it stays inside: what leads out of the root is somebody else's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from handlers.contract import Paths, Signature
from watcher.settings import Data
from watcher.state import Files

SIDECARS = ("-wal", "-shm", "-journal")


def look(paths: Paths, data: Data) -> Files:
    """The artefacts of one day as they are now."""
    anomaly = _anomaly(paths.database, data.root)
    directory, _, name = paths.database.rpartition("/")
    wal = _signature(paths.database + "-wal")
    return Files(
        database=None if anomaly else _signature(paths.database),
        wal=wal,
        compressed=_signature(paths.compressed),
        backup=_signature(paths.backup),
        backup_compressed=_signature(paths.backup_compressed),
        archived=_signature(paths.archived),
        retired=_signature(f"{directory}/.{name}.retired") is not None,
        beside=tuple(path for path in _others(paths, orphans=wal is None) if _signature(path)),
        anomaly=anomaly,
    )


def _others(paths: Paths, *, orphans: bool) -> list[str]:
    # With a -wal a -shm comes and goes with every reader, and means nothing.
    own = ("-shm", "-journal") if orphans else ("-journal",)
    return [paths.database + ending for ending in own] + [paths.backup + ending for ending in SIDECARS]


def _signature(path: str) -> Signature | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return Signature(found.st_size, found.st_mtime_ns, found.st_ino)


def _anomaly(path: str, root: str) -> str:
    directory = os.path.realpath(os.path.dirname(path))  # noqa: PTH120 (thousands of times a scan)
    if directory != root and not directory.startswith(root + "/"):
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


def walk(top: Path) -> Iterator[str]:
    """Every path below a directory. A linked directory is followed only where it stays inside."""
    pending, seen = [str(top)], set()
    while pending:
        directory = pending.pop()
        try:
            identity = Path(directory).stat()
            entries = list(os.scandir(directory))
        except OSError:
            continue
        if (identity.st_dev, identity.st_ino) in seen:
            continue
        seen.add((identity.st_dev, identity.st_ino))
        for entry in entries:
            yield entry.path
            if _is_to_be_entered(entry, str(top)):
                pending.append(entry.path)


def _is_to_be_entered(entry: os.DirEntry[str], top: str) -> bool:
    try:
        if not entry.is_dir():
            return False
    except OSError:  # a link that leads in a circle
        return False
    return not entry.is_symlink() or os.path.realpath(entry.path).startswith(top + "/")
