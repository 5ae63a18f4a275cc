"""Backup: a second copy, written, read back from the medium, and only then given its name.

Of a sealed day it is a byte-exact copy whose SHA-256 is the sealed one. Of a day that somebody
keeps open (``live``) it is one consistent state, taken through SQLite: better than nothing until
the day can be sealed.

Only a backup of ours is replaced, and never by fewer ticks. Whatever else bears its name is not
ours to judge: it keeps its content under another name beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import apsw
from msgspec import structs

from handlers import database
from handlers.contract import BackedUp, Job, Signature, StepError, Trouble
from handlers.database import has_content, sidecar
from handlers.files import (
    copy_hashed,
    make_directories,
    make_durable,
    publish_over,
    require_space,
    sha256_of,
    signature_of,
    temporary,
)
from handlers.holders import held_for_writing, holders_of
from handlers.pages import Header
from handlers.replace import is_regular_or_absent, require_as_seen, set_aside
from handlers.seal import (
    busy,
    counted_table,
    earlier_ticks,
    require_own_wal,
    require_sealed_content,
    required_seal,
)


class _There(NamedTuple):
    """What bears the backup's name already. The signature was taken before the bytes were read."""

    signature: Signature
    sha256: str


def backup(job: Job) -> BackedUp:
    """Copy the day's database to its backup path; nothing is copied if it is there already."""
    source, target = Path(job.paths.database), Path(job.paths.backup)
    _require_regular(target)
    require_two_files(source, target)
    require_untouched(target)
    return _backup_live(job) if job.live else _backup_sealed(job)


def require_reads_back(path: Path, digest: str) -> None:
    """StepError unless the medium gives back what was written."""
    if (found := sha256_of(path)) != digest:
        raise StepError(
            f"what was written to {path.parent} does not read back as it was",
            hint="the disk or the memory may be failing: check the kernel log",
            problems=(f"written {digest}, read {found}",),
        )


def require_two_files(first: Path, second: Path) -> None:
    """Two names of one file are not two copies: StepError CONFLICT."""
    both_exist = signature_of(first) is not None and signature_of(second) is not None
    if first == second or (both_exist and first.samefile(second)):
        raise StepError(
            f"{second} is not a second copy: it is the same file as {first}",
            hint="give the backup a directory of its own, best on another disk",
            trouble=Trouble.CONFLICT,
            retryable=False,
        )


def require_untouched(target: Path) -> None:
    """Ticks beside a backup mean that somebody wrote into it: they would be lost, or replayed."""
    for suffix in ("-wal", "-journal"):
        if has_content(target, suffix):
            raise StepError(
                f"somebody wrote into the backup: {sidecar(target, suffix)}",
                hint="move the backup away together with what is beside it; a new one is made",
                trouble=Trouble.CONFLICT,
                retryable=False,
            )


def _backup_sealed(job: Job) -> BackedUp:
    sealed = required_seal(job)
    source, target = Path(job.paths.database), Path(job.paths.backup)
    done = BackedUp(str(target), sealed.sha256, sealed.size_bytes, sealed.ticks)
    there = _look_at(target)
    if there is not None and there.sha256 == sealed.sha256:
        make_durable(target)
        return done
    _require_no_more_ticks(target, counted_table(job), sealed.ticks)
    _prepare(target, sealed.size_bytes)
    with temporary(target) as temp:
        require_sealed_content(source, copy_hashed(source, temp), sealed)
        require_reads_back(temp, sealed.sha256)
        aside = _publish(job, temp, target, there)
    return structs.replace(done, set_aside=aside)


def _backup_live(job: Job) -> BackedUp:
    source, target = Path(job.paths.database), Path(job.paths.backup)
    header = database.read_header(source)
    require_own_wal(source, header)
    _require_no_stall(source, header)
    wal = signature_of(sidecar(source, "-wal"))  # before the copy: what comes later is seen as new
    _prepare(target, source.lstat().st_size + (wal.size_bytes if wal else 0))
    with temporary(target) as temp:
        try:
            database.copy_live(source, temp)
        except (apsw.BusyError, apsw.LockedError) as error:
            raise busy(source, "is being written to") from error
        digest = sha256_of(temp)
        ticks = database.examine_copy(temp, job.options.table)
        if (earlier := earlier_ticks(job)) is not None:
            database.require_contained(source, ticks, earlier)
        there = _look_at(target)
        _require_no_more_ticks(target, job.options.table, ticks.ticks)
        size = temp.stat().st_size
        aside = _publish(job, temp, target, there)
    return BackedUp(str(target), digest, size, ticks.ticks, live=True, wal=wal, set_aside=aside)


def _require_regular(target: Path) -> None:
    if not is_regular_or_absent(target):
        raise StepError(
            f"{target} is not a regular file, so no backup can take its place",
            hint="move it away, or give the backups another directory",
            trouble=Trouble.CONFLICT,
            retryable=False,
        )


def _require_no_stall(source: Path, header: Header) -> None:
    """Outside WAL mode nobody can commit while somebody reads: here, for as long as the copy takes."""
    if not header.is_wal and held_for_writing(source):
        raise StepError(
            f"{source} is not in WAL mode: to copy it now would stall its writer",
            hint="let the writer use WAL mode, or close the day's file after midnight",
            holders=holders_of([source]),
        )


def _require_no_more_ticks(target: Path, table: str, ticks: int) -> None:
    """A backup that has more than what would replace it may be the only copy of the difference."""
    if signature_of(target) is None:
        return
    there = database.count_in_copy(target, table)
    if there > ticks:
        raise StepError(
            f"the backup {target} has {there} ticks, what would replace it only {ticks}",
            hint="find out which is right before either is overwritten; move the wrong one away",
            trouble=Trouble.CONFLICT,
            retryable=False,
        )


def _look_at(target: Path) -> _There | None:
    signature = signature_of(target)
    return None if signature is None else _There(signature, sha256_of(target))


def _publish(job: Job, temp: Path, target: Path, there: _There | None) -> str:
    """Give the new backup its name; returns the new path of what had to be set aside, if anything."""
    require_as_seen(target, there.signature if there else None)
    aside = str(set_aside(target, there.sha256)) if there and not _may_go(job, there) else ""
    publish_over(temp, target)
    return aside


def _may_go(job: Job, there: _There) -> bool:
    """Whether it is a backup of ours, as far as the journal tells, or nothing at all."""
    ours = {job.backup_sha256} | ({job.previous.sha256} if job.previous else set())
    return there.sha256 in ours or there.signature.size_bytes == 0


def _prepare(target: Path, size_bytes: int) -> None:
    make_directories(target.parent)
    require_space(target.parent, size_bytes)
