"""Strangers: files that bear the name of a copy and hold something else.

What somebody put there (a late file moved out of the way, a tape read back to the wrong place) may be
the only copy of its ticks. So a file is ours to replace or remove only if its content is one that this
day has had, or if it is damaged; whether the rest is set aside or refused is for the caller to decide.
"""

from __future__ import annotations

import errno
from pathlib import Path

import apsw

from handlers.contract import Job, StepError
from handlers.database import integrity_problems, opened_immutable, read_header
from handlers.files import sha256_of, signature_of
from handlers.seal import required_seal
from handlers.seek_table import SeekableError
from handlers.seekable import sha256_of_content


def is_strange(job: Job, path: Path, *, packed: bool) -> bool:
    """Whether a file is sound, and its content none that the day is known to have had.

    ``packed``: it should be a .zst. False for what is damaged: nothing tells it from a copy gone bad.
    """
    there = signature_of(path)
    if there is None or there.size_bytes == 0:
        return False
    try:
        return _is_strange_zst(job, path) if packed else _is_strange_database(job, path)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return False  # a bad sector


def contents_of(job: Job) -> frozenset[str]:
    """SHA-256 of what the day is and has been: the sealed content has all that is in the others."""
    return frozenset({required_seal(job).sha256, job.backup_sha256, *job.superseded} - {""})


def _is_strange_zst(job: Job, path: Path) -> bool:
    try:
        return sha256_of_content(path) not in contents_of(job)
    except SeekableError:
        return False


def _is_strange_database(job: Job, path: Path) -> bool:
    return sha256_of(path) not in contents_of(job) and _is_sound(path)


def _is_sound(path: Path) -> bool:
    try:
        read_header(path)
    except StepError:
        return False
    try:
        with opened_immutable(path) as connection:
            return not integrity_problems(connection)
    except (apsw.CorruptError, apsw.NotADBError):
        return False
    except apsw.Error:
        return True  # a check that cannot be made has not found any damage
