"""In which forms days are there, and where: for a person who wants to know what is taken over."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from handlers.contract import Signature
from handlers.seek_table import SeekableError, read_table
from watcher.state import Database


class Forms(Struct, frozen=True):
    """Files of days in one directory, by their form."""

    plain: int
    """Uncompressed databases."""
    seekable: int
    """``.zst`` that end in a table of parts which can be read alone, as Tickward makes them."""
    whole: int
    """``.zst`` of others, that can only be read as a whole: ``--reencode`` makes them anew."""
    bytes: int
    """Of all of these."""


class Places(Struct, frozen=True):
    """Files of days, by the directory that they are in."""

    root: Forms
    """First copies."""
    backup: Forms
    """Second copies."""
    archive: Forms
    """First copies that have been moved away."""


def places_of(databases: Iterable[Database]) -> Places:
    """Count the files of these days. Of a ``.zst`` the last bytes are read."""
    days = list(databases)
    return Places(
        root=_forms(
            [each.files.database for each in days],
            [(each.paths.compressed, each.files.compressed) for each in days],
        ),
        backup=_forms(
            [each.files.backup for each in days],
            [(each.paths.backup_compressed, each.files.backup_compressed) for each in days],
        ),
        archive=_forms([], [(each.paths.archived, each.files.archived) for each in days]),
    )


def _forms(plain: Iterable[Signature | None], packed: Iterable[tuple[str, Signature | None]]) -> Forms:
    databases = [seen for seen in plain if seen is not None]
    archives = [(path, seen) for path, seen in packed if seen is not None]
    seekable = sum(_has_table(path) for path, _ in archives)
    size = sum(seen.size_bytes for seen in databases) + sum(seen.size_bytes for _, seen in archives)
    return Forms(len(databases), seekable, len(archives) - seekable, size)


def _has_table(path: str) -> bool:
    try:
        return len(read_table(Path(path))) > 0
    except (SeekableError, OSError):
        return False
