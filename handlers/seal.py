"""Seal: the writer has gone; make the day one file, check it, and record what is in it.

Nothing is changed before it is proven that nobody has the database open for writing and that it is
sound. Everything later (backup, compression, archive) is compared with the SHA-256 taken here.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import apsw

from handlers import database
from handlers.contract import Job, Sealed, Signature, StepError, Trouble
from handlers.database import Ticks, has_content, sidecar
from handlers.files import fsync_directory, fsync_file, room_in, sha256_of, signature_of, temporary
from handlers.holders import held_for_writing, holders_of
from handlers.pages import Header
from handlers.progress import silent
from handlers.seek_table import SeekableError
from handlers.unpack import unpack_file


def seal(job: Job) -> Sealed:
    """Fold, check, count and hash one database. Sealing a sealed one only describes it."""
    path = Path(job.paths.database)
    header = database.read_header(path)
    require_released(path)
    require_own_wal(path, header)
    ticks, signature = _folded(job, path)
    fsync_file(path)
    fsync_directory(path.parent)
    digest = sha256_of(path, cold=False)
    _require_undisturbed(path, signature)
    return Sealed(
        path=str(path),
        sha256=digest,
        size_bytes=signature.size_bytes,
        ticks=ticks.ticks,
        symbols=ticks.symbols,
        first_tick_ms=ticks.first_ms,
        last_tick_ms=ticks.last_ms,
        sqlite_version=header.sqlite_version,
        signature=signature,
        counted=ticks.counted,
        table=job.options.table,
    )


def busy(path: Path, what: str, *aliases: Path) -> StepError:
    """Somebody has the database (or the same file by another name); who, as far as can be seen."""
    holders = holders_of([path, *aliases])
    names = ", ".join(map(str, holders))
    return StepError(
        f"{path} {what}: {names or 'by whom cannot be seen from here'}",
        hint="it is tried again; if it stays so, end that process or let it close the database",
        trouble=Trouble.BUSY,
        holders=holders,
    )


def changed(path: Path) -> StepError:
    return StepError(
        f"{path} was written to since it was sealed",
        hint="it is sealed anew once its writer has gone",
        trouble=Trouble.CHANGED,
    )


def require_released(path: Path) -> None:
    """StepError BUSY if any process has ``path`` open for writing, or is still copying its -wal."""
    if held_for_writing(path):
        raise busy(path, "is open for writing")
    wal = sidecar(path, "-wal")
    if signature_of(wal) is not None and held_for_writing(wal):
        raise busy(path, "has a -wal that is open for writing")


def required_seal(job: Job) -> Sealed:
    if job.sealed is None:
        raise StepError(
            f"{job.key} has not been sealed",
            hint="this is a defect: the step was planned too early",
            retryable=False,
        )
    return job.sealed


def counted_table(job: Job) -> str:
    """The table whose rows were counted at sealing: the settings may name another by now."""
    return required_seal(job).table or job.options.table


def require_sealed_state(path: Path, sealed: Sealed) -> None:
    """StepError CHANGED if somebody wrote to the database, or beside it, since it was sealed."""
    if signature_of(path) != sealed.signature:
        raise changed(path)
    require_nothing_beside(path)


def require_nothing_beside(path: Path) -> None:
    """StepError CHANGED if a -wal or -journal of the database holds anything."""
    for suffix in ("-wal", "-journal"):
        if has_content(path, suffix):
            raise changed(sidecar(path, suffix))


def require_sealed_content(path: Path, digest: str, sealed: Sealed) -> None:
    """StepError if ``digest``, of the bytes just read from ``path``, is not the sealed one.

    A file that was written to is sealed anew. One that was *not* written to has rotted: to seal
    that would declare the damage to be the truth.
    """
    if digest == sealed.sha256:
        return
    if signature_of(path) != sealed.signature:
        raise changed(path)
    raise StepError(
        f"{path} differs from what was sealed, though nothing wrote to it",
        hint="the disk may be failing; compare it with its backup before anything else",
        trouble=Trouble.CORRUPT,
        retryable=False,
        problems=(f"sealed sha256 {sealed.sha256}, now {digest}",),
    )


def earlier_ticks(job: Job) -> Ticks | None:
    """What was in the day when it was sealed before; None if it was not, or another table was counted."""
    previous = job.previous
    if previous is None or previous.table not in ("", job.options.table):
        return None
    return Ticks.of(previous)


def require_own_wal(path: Path, header: Header) -> None:
    """A WAL beside a database that is not in WAL mode belongs to another file of this name.

    SQLite would replay it all the same: that has replaced whole days, and integrity_check said ok.
    """
    if not header.is_wal and has_content(path, "-wal"):
        raise StepError(
            f"{sidecar(path, '-wal')} does not belong to the database beside it",
            hint="keep both: the -wal may hold ticks that are nowhere else; if the database was copied"
            " here before its -wal, put the pair back together as it was",
            trouble=Trouble.CONFLICT,
            retryable=False,
        )


def _folded(job: Job, path: Path) -> tuple[Ticks, Signature]:
    earlier = earlier_ticks(job)
    is_unknown = earlier is None and job.sealed is None and job.compressed is None
    packed = _packed_beside(job) if is_unknown else None
    try:
        ticks, signature = database.fold_and_check(
            path, job.options.table, packed.ticks if packed else earlier
        )
    except apsw.BusyError as error:
        raise busy(path, "is in use") from error
    except StepError as error:
        if packed is None or error.trouble is not Trouble.CONFLICT:
            raise
        raise _less_than(path, packed, job.key) from error
    if signature is None:
        raise changed(path)
    return ticks, signature


class _Packed(NamedTuple):
    """A compressed copy of a day that nobody here has sealed."""

    path: Path
    ticks: Ticks


def _packed_beside(job: Job) -> _Packed | None:
    """The first compressed copy that can be read: of a day that scripts have compressed before it was known.

    What is uncompressed may then be a late writer's, with the last ticks only.
    """
    for path in map(Path, (job.paths.compressed, job.paths.archived, job.paths.backup_compressed)):
        # What is not there, or cannot be read, tells nothing: and no backup may be in the way of a seal.
        with suppress(SeekableError, StepError, OSError):
            if path.is_file():
                return _Packed(path, _ticks_packed(job, path))
    return None


def _ticks_packed(job: Job, path: Path) -> Ticks:
    with temporary(Path(job.paths.database)) as temp:
        unpack_file(path, temp, threads=1, report=silent, most_bytes=room_in(temp.parent))
        return database.examine_copy(temp, job.options.table)


def _less_than(path: Path, packed: _Packed, key: str) -> StepError:
    return StepError(
        f"{path} has not all that is in {packed.path}, with its {packed.ticks.ticks:,} ticks",
        hint="it may be a late writer's: then move it away, `tickward adopt`, put it back, and"
        f" `tickward merge {key}`; if it is the day, move the other one away",
        trouble=Trouble.CONFLICT,
        retryable=False,
    )


def _require_undisturbed(path: Path, signature: Signature) -> None:
    """Nobody wrote from before the ticks were counted until after the last byte was hashed."""
    require_released(path)
    if signature_of(path) != signature:
        raise changed(path)
    require_nothing_beside(path)
