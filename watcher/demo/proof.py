"""The proof at the end of the demonstration: every tick is readable, every checksum holds.

It trusts nothing that the daemon says but the checksum recorded at sealing: it reads every file of every
day, both copies, and counts the ticks with SQL.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import zstandard
from msgspec import Struct

from handlers.database import count_in_copy
from handlers.files import sha256_of
from watcher.config import Settings
from watcher.inventory import Inventory
from watcher.journal import Journal
from watcher.paths import journal_file
from watcher.state import Database


class DayProof(Struct, frozen=True):
    """What was found of one day."""

    day: str
    form: str
    """``db`` or ``zst``."""
    ticks: int
    """Counted by SQL in the first copy."""
    size_bytes: int
    """Uncompressed."""
    bytes_now: int
    problems: tuple[str, ...]


def prove(settings: Settings) -> list[DayProof]:
    """Read every day that was sealed, both copies of it."""
    inventory = Inventory(settings.data, lambda _: False)
    journal = Journal.open_for_reading(journal_file(settings.data))
    if journal is None:
        return []
    with journal:
        inventory.add_known(journal.all_facts())
    databases = sorted(inventory.databases(), key=lambda database: database.day)
    return [_prove(database) for database in databases if database.facts.sealed]


def _prove(database: Database) -> DayProof:
    sealed = database.facts.sealed
    assert sealed is not None
    copies = {
        "first copy": _first(database.paths.database, database.paths.compressed),
        "backup": _first(database.paths.backup, database.paths.backup_compressed),
    }
    problems, ticks = [], 0
    for name, copy in copies.items():
        if copy is None:
            problems.append(f"the {name} is missing")
            continue
        digest, counted = _read(copy, database)
        if digest != sealed.sha256:
            problems.append(f"the {name} {copy} does not have the checksum of the sealed day")
        if name == "first copy":
            ticks = counted
    first = copies["first copy"]
    return DayProof(
        day=str(database.day),
        form="zst" if first is not None and first.suffix == ".zst" else "db",
        ticks=ticks,
        size_bytes=sealed.size_bytes,
        bytes_now=first.stat().st_size if first is not None else 0,
        problems=tuple(problems),
    )


def _first(*paths: str) -> Path | None:
    return next((Path(path) for path in paths if Path(path).exists()), None)


def _read(copy: Path, database: Database) -> tuple[str, int]:
    """SHA-256 of the uncompressed content, and the ticks that SQL counts in it."""
    if copy.suffix != ".zst":
        return sha256_of(copy), count_in_copy(copy, "ticks")
    with TemporaryDirectory() as folder:
        plain = Path(folder) / database.paths.database.rpartition("/")[2]
        digest = hashlib.sha256()
        with copy.open("rb") as source, plain.open("wb") as target:
            reader = zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True)
            while chunk := reader.read(1 << 20):
                digest.update(chunk)
                target.write(chunk)
        return digest.hexdigest(), count_in_copy(plain, "ticks")
