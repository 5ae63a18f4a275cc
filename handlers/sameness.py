"""Sameness: whether two databases are the same day, although not the same bytes.

SQLite's backup and ``VACUUM INTO`` make other files than copying does, and a log that is folded in leaves
another header behind. No query can tell such files from each other.
"""

from __future__ import annotations

from pathlib import Path

import apsw

from handlers import progress
from handlers.compact import content_hash
from handlers.contract import StepError
from handlers.database import opened_immutable
from handlers.files import room_in, temporary
from handlers.seek_table import SeekableError
from handlers.unpack import unpack_file


def tells_the_same(path: Path, content: Path, *, packed: bool, scratch: Path, threads: int = 1) -> bool:
    """Whether no query can tell what ``path`` holds from the database ``content``.

    Args:
        path: a database, or with ``packed`` a .zst of one.
        content: a database that nobody writes to.
        scratch: beside it ``path`` is inflated for as long as that takes.
        threads: for inflating.

    False also if one of the two is no sound database, or if there is no room to find out.
    """
    with temporary(scratch) as temp:
        try:
            if packed:
                most = room_in(temp.parent)
                unpack_file(path, temp, threads=threads, report=progress.silent, most_bytes=most)
            with opened_immutable(temp if packed else path) as mine, opened_immutable(content) as theirs:
                return content_hash(mine) == content_hash(theirs)
        except (StepError, SeekableError, apsw.Error):
            return False
