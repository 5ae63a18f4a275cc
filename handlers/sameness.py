"""Sameness: whether two databases are the same day, although not the same bytes.

SQLite's backup makes other files than copying does, and a log that is folded in leaves another header behind.
No query can tell such files from each other: so one of them may go when the other stays. Whatever cannot be
compared to the last value, and to the numbers of rows, is not the same.
"""

from __future__ import annotations

from pathlib import Path

import apsw

from handlers import progress
from handlers.compact import content_hash, require_comparable
from handlers.contract import StepError
from handlers.database import has_content, opened_immutable
from handlers.files import room_in, temporary
from handlers.seek_table import SeekableError
from handlers.unpack import unpack_file


def tells_the_same(one: Path, other: Path) -> bool:
    """Whether no query can tell two databases apart, to which nobody writes.

    False also if one of them is not sound, has a log beside it, or cannot be compared.
    """
    if any(has_content(path, suffix) for path in (one, other) for suffix in ("-wal", "-journal")):
        return False
    try:
        return _hash_of(one) == _hash_of(other)
    except (StepError, apsw.Error):
        return False


def packed_tells_the_same(packed: Path, database: Path, scratch: Path, threads: int) -> bool:
    """The same of what a .zst holds.

    Args:
        scratch: beside it ``packed`` is inflated for as long as that takes.
        threads: for inflating.

    False also if it does not inflate, or if there is no room for it.
    """
    with temporary(scratch) as temp:
        try:
            most = room_in(temp.parent)
            unpack_file(packed, temp, threads=threads, report=progress.silent, most_bytes=most)
        except (StepError, SeekableError):
            return False
        return tells_the_same(temp, database)


def _hash_of(path: Path) -> str:
    with opened_immutable(path) as connection:
        require_comparable(connection)
        return content_hash(connection, with_row_numbers=True)
