"""What the file system says beside the days: room and kind of volumes, when active days were written to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from watcher.settings import TOPS, Data

_NETWORK = ("nfs", "cifs", "smb", "fuse.sshfs", "9p", "ceph", "glusterfs", "afs")
_ESCAPES = ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\"))
_MOUNTS = Path("/proc/self/mountinfo")


class Room(Struct, frozen=True):
    """How much there is on the volume of one directory of ``[data]``."""

    directory: str
    """Its name there, such as ``backup``."""
    device: int
    """Those of the same device share what is free."""
    free_bytes: int
    total_bytes: int


class LastWrite(Struct, frozen=True):
    """How a database was left by whoever wrote to it last."""

    bytes: int
    """Of the database and its write-ahead log."""
    at: datetime
    """By the machine's clock."""


def room(data: Data) -> tuple[Room, ...]:
    """That of every directory that is there."""
    found = []
    for name in TOPS:
        path = getattr(data, name)
        with suppress(OSError):
            usage = shutil.disk_usage(path)
            found.append(Room(name, Path(path).stat().st_dev, usage.free, usage.total))
    return tuple(found)


def last_writes(paths: Mapping[str, str]) -> dict[str, LastWrite]:
    """That of each database that is there, by the key under which its path is given."""
    found = {key: _last_write(path) for key, path in paths.items()}
    return {key: write for key, write in found.items() if write is not None}


def _last_write(path: str) -> LastWrite | None:
    try:
        database = os.lstat(path)
    except OSError:
        return None
    size, seconds = database.st_size, database.st_mtime
    with suppress(OSError):
        log = os.lstat(f"{path}-wal")
        if log.st_size:  # readers make an empty one
            size, seconds = size + log.st_size, max(seconds, log.st_mtime)
    return LastWrite(size, datetime.fromtimestamp(seconds, UTC))


class Mount(NamedTuple):
    """A mounted file system."""

    kind: str
    on: str
    source: str = ""
    """Of what it is: ``/dev/sda1``, ``nas:/ticks``."""
    options: frozenset[str] = frozenset()
    """Those of the mount and those of the file system, such as ``ro``."""


def mount_of(path: Path, table: str | None = None) -> Mount:
    """The file system that a path is on; empty if that cannot be told.

    ``table`` is what ``/proc/self/mountinfo`` says, if not that.
    """
    if table is None:
        table = ""
        with suppress(OSError):
            table = _MOUNTS.read_text(errors="replace")
    wanted = os.path.realpath(path)
    best = Mount("", "")
    for line in table.splitlines():
        before, dash, after = line.partition(" - ")
        if not dash:
            continue
        on = _unescaped(before.split()[4])
        is_above = wanted == on or wanted.startswith(on.rstrip("/") + "/")
        if is_above and len(on) >= len(best.on):  # of two on one place the later one is seen
            best = _mount(on, before.split()[5], after.split())
    return best


def is_network(kind: str) -> bool:
    """Whether a kind of file system is one that other machines share."""
    return kind.startswith(_NETWORK)


def _mount(on: str, options: str, after: list[str]) -> Mount:
    source, more = (*after[1:3], "", "")[:2]
    return Mount(after[0], on, _unescaped(source), frozenset(filter(None, f"{options},{more}".split(","))))


def _unescaped(text: str) -> str:
    for escape, meant in _ESCAPES:
        text = text.replace(escape, meant)
    return text
