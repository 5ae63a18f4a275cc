"""Merge: a compressed day has got a database again, from a late writer; make one of the two.

What takes the late file's place is the day itself, unpacked and proven, with the late ticks that it
does not have added. It is checked as a whole before it gets the name, and no copy of the day is
touched: they are replaced by later steps, once the new day has copies of its own. Late ticks that
the table refuses are never dropped: the late file is kept beside.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import apsw
from msgspec import structs

from handlers import database, rows
from handlers.contract import Job, Merged, Sealed, StepError
from handlers.files import require_space, signature_of, temporary
from handlers.recover import all_sources, recover
from handlers.repair import keep_access, require_writer_away
from handlers.replace import set_aside
from handlers.retire import restore_retired
from handlers.rows import Brought, attach
from handlers.seal import seal
from handlers.takeover import finish_takeover, take_over

_CACHE_KIB = 64 * 1024


class _Combined(NamedTuple):
    """What a merge did, as proven from the file that it made."""

    ticks: Brought
    rejected: int
    complete: bool
    """Whether all that the late file holds is in the day."""


def merge(job: Job) -> Merged:
    """Add the ticks of the late database in the root to the compressed day that it came to.

    StepError BUSY while the late file is held for writing; CONFLICT if its ticks do not fit into
    the day's table; CORRUPT if it is damaged, or if no copy of the day is good. Then nothing was
    touched, but that a write-ahead log of the late file was folded in.
    """
    before = _required_day(job)
    late = Path(job.paths.database)
    restore_retired(late)
    finish_takeover(late)
    if signature_of(late) is None:
        raise _nothing(job, f"there is no {late}")
    taken = seal(structs.replace(job, sealed=None, previous=None))
    require_space(late.parent, before.size_bytes + taken.size_bytes)
    with temporary(late) as temp:
        recover(job, all_sources(job, in_tree=True), temp)
        combined = _combine(temp, late, job.options.table)
        keep_access(temp, late)
        require_writer_away(late, taken)
        aside = "" if combined.complete else str(set_aside(late, taken.sha256))
        take_over(temp, late, taken, job.options.quiet_seconds, "merged")
    ticks = combined.ticks
    return Merged(
        path=str(late),
        previous_sha256=before.sha256,
        late_sha256=taken.sha256,
        ticks_before=ticks.before,
        ticks_late=ticks.late,
        added=ticks.added,
        already_there=ticks.late - ticks.added - combined.rejected,
        rejected=combined.rejected,
        ticks_after=ticks.after,
        set_aside=aside,
        by=job.by,
    )


def _required_day(job: Job) -> Sealed:
    if job.sealed is None or job.compressed is None:
        raise _nothing(job, "the day has no compressed copies")
    return job.sealed


def _nothing(job: Job, why: str) -> StepError:
    return StepError(
        f"{job.key} has nothing to merge: {why}",
        hint="a merge is for a database that a late writer made beside the day's .zst",
        retryable=False,
    )


def _combine(temp: Path, late: Path, table: str) -> _Combined:
    """Add to the day in ``temp`` what ``late`` has more, and prove it from the finished file."""
    with database.opened(temp, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI) as connection:
        connection.pragma("cache_size", -_CACHE_KIB)
        # If anything goes wrong the file is thrown away, so it needs no journal of its own.
        connection.pragma("journal_mode", "off")
        connection.pragma("synchronous", "off")
        attach(connection, late)
        connection.execute("BEGIN")
        ticks = rows.bring_ticks(connection, table)
        complete = rows.bring_others(connection, table)
        connection.execute("COMMIT")
        connection.pragma("journal_mode", "delete", schema="main")
    rejected = _proven(temp, late, table, ticks)
    return _Combined(ticks, rejected, complete and not rejected)


def _proven(temp: Path, late: Path, table: str, ticks: Brought) -> int:
    """How many late ticks are not in the finished file: StepError unless all of them were refused."""
    with database.opened_immutable(temp) as connection:
        connection.pragma("cache_size", -_CACHE_KIB)
        if problems := database.integrity_problems(connection):
            raise _wrong(temp, *problems)
        after = database.describe(connection, table).ticks
        lacking = 0
        if ticks.late:
            attach(connection, late)
            name = rows.tables_of(connection, "main")[rows.folded(table)]
            lacking = rows.lacking(connection, name, rows.telling_columns(connection, name))
    if after != ticks.after or ticks.after != ticks.before + ticks.added:
        raise _wrong(temp, f"{ticks.before} ticks and {ticks.added} more are {ticks.after}, then {after}")
    if lacking > ticks.fresh - ticks.added:
        raise _wrong(temp, f"{ticks.added} of {ticks.fresh} were added, but {lacking} are not there")
    return lacking


def _wrong(temp: Path, *problems: str) -> StepError:
    return StepError(
        f"the merged database in {temp.parent} is not what it should be: {problems[0]}",
        hint="nothing was changed; the disk or the memory may be failing, or the table has triggers"
        " that change other ticks",
        problems=problems,
    )
