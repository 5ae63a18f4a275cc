"""What a person does about a day of which a file is damaged: that depends on whether it has a seal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import apsw

from handlers.seek_table import SeekableError, TooLargeError
from watcher.days import Found
from watcher.journal import reading
from watcher.paths import journal_file
from watcher.settings import Data

Mend = Callable[[Found], str]
"""What to do about a day of which the file that is read is damaged: a sentence without an end."""


def is_damage(error: BaseException) -> bool:
    """Whether what went wrong is the file's fault, so that another copy of the day is what helps."""
    if isinstance(error, SeekableError):
        return not isinstance(error.__cause__, TooLargeError)  # there is no room for what it holds
    return isinstance(error, apsw.NotADBError | apsw.CorruptError)


def mending(data: Data) -> Mend:
    """By the journal, which is asked only for days that are damaged. ``data`` with its links resolved."""
    return lambda day: way_out(day.key, day.tier, day.path, sealed=is_sealed(data, day.key))


def is_sealed(data: Data, key: str) -> bool:
    """Whether a day is known well enough to tell its good copies from bad ones."""
    with reading(journal_file(data)) as journal:
        return journal is not None and journal.facts(key).sealed is not None


def way_out(key: str, tier: str, path: Path | None, *, sealed: bool) -> str:
    """``tier``: as `watcher.days.Found` has it."""
    if sealed:
        return f"`tickward verify {key}` mends it from another copy"
    if tier == "hot":  # it may be its writer's still
        return (
            "it has no seal yet: when its day is over `tickward once` checks it, and then `tickward status` "
            "says what to do"
        )
    return f"it has no seal yet: move {path} away, then `tickward adopt` takes the day from another copy"
