"""A day in one row: all that a list of every day needs of its facts. Pure.

The journal keeps these rows beside the facts: a hundred thousand of them are read in a moment, so many facts
are not.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from handlers.contract import BackedUp, Compressed
from watcher.lifecycle import STAGES, State, recorded_state
from watcher.state import Facts

Backup = Literal["no", "live", "yes"]
"""Live: a consistent copy of a day that somebody still holds."""


class Summary(Struct, frozen=True, array_like=True, gc=False):
    """What the journal knows of one day. Its fields are the columns of the table ``summaries``."""

    key: str
    """``stream/YYYY-MM-DD``."""
    state: State
    """As far as it is recorded: what is on disk may be something else."""
    plain: bool
    """Whether nothing is out of the ordinary: sealed, not held, not restored, nothing failed or was found."""
    troubled: bool
    """Whether something has failed, or was lost."""
    on_hold: bool
    bytes: int | None
    """Uncompressed; None before it was sealed."""
    mtime_ns: int | None
    """Of the file as it was sealed."""
    inode: int | None
    """Of the file as it was sealed."""
    packed_bytes: int | None
    """Compressed; None before that."""
    ticks: int | None
    symbols: int | None
    sha256: str
    """Of the uncompressed content; empty before it was sealed."""
    backup: Backup
    sealed_at: datetime | None
    backed_up_at: datetime | None
    compressed_at: datetime | None
    archived_at: datetime | None
    expired_at: datetime | None
    proven_at: datetime | None
    """When its copies were last read and compared."""
    drilled_at: datetime | None
    """When it was last restored on trial."""
    gone_why: str
    """Of one that was deleted: why."""
    gone_by: str
    """Of one that was deleted: who ordered it."""


class Recorded(Struct, frozen=True, array_like=True, gc=False):
    """What of it tells which files there should be. The fields are as those above."""

    key: str
    state: State
    bytes: int | None
    mtime_ns: int | None
    inode: int | None


def summary_of(key: str, facts: Facts) -> Summary:
    """The row of one day."""
    sealed, gone, times = facts.sealed, facts.expired, facts.times
    packed, backed_up = facts.compressed, facts.backed_up
    return Summary(
        key=key,
        state=recorded_state(facts),
        plain=_is_plain(facts),
        troubled=bool(facts.failed or facts.lost),
        on_hold=facts.hold is not None,
        bytes=sealed.size_bytes if sealed else None,
        mtime_ns=sealed.signature.mtime_ns if sealed else None,
        inode=sealed.signature.inode if sealed else None,
        packed_bytes=packed.compressed_bytes if packed else None,
        ticks=sealed.ticks if sealed else None,
        symbols=sealed.symbols if sealed else None,
        sha256=sealed.sha256 if sealed else "",
        backup=_backup_of(backed_up, packed),
        sealed_at=times.get("sealed"),
        backed_up_at=times.get("backed_up"),
        compressed_at=times.get("compressed"),
        archived_at=times.get("archived"),
        expired_at=times.get("expired"),
        proven_at=facts.proven_at,
        drilled_at=times.get("drilled"),
        gone_why=gone.reason if gone else "",
        gone_by=gone.by if gone else "",
    )


def _backup_of(backed_up: BackedUp | None, packed: Compressed | None) -> Backup:
    if backed_up is None:
        return "no" if packed is None else "yes"
    return "live" if backed_up.live else "yes"


def _is_plain(facts: Facts) -> bool:
    setbacks = (facts.hold, facts.lost, facts.deferred, facts.corrupt, facts.conflict, facts.restored)
    if facts.sealed is None or not facts.sealed.counted or facts.failed or any(setbacks):
        return False
    return facts.expired is not None or _has_come_in_order(facts)


def _has_come_in_order(facts: Facts) -> bool:
    """Whether no stage lies behind the day that follows one which does not."""
    behind = [stage.behind(facts) for stage in STAGES]
    return behind == sorted(behind, reverse=True)
