"""Expire: remove every copy of a day on purpose, and leave a certificate of what it was.

The planner decides that a day may go; this only makes sure that nothing else goes with it, and that
no copy is overlooked. Before the first copy is removed it is known that every place of one can be
seen, that nobody writes to any of them, and that each holds what the day is or was and no ticks which
were not sealed. The copies that could be made from others go first, the first copy last, so that a
run which was killed leaves a day that can still be read, or one that is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from handlers.contract import Expired, Expiry, Job, Sealed, Signature, StepError, Trouble
from handlers.copies import places_of
from handlers.database import has_content, sidecar
from handlers.files import SIDECARS, fsync_directory, sha256_of, signature_of
from handlers.replace import require_regular
from handlers.retire import restore_retired, retire, retired_path
from handlers.seal import require_released, require_sealed_content, required_seal
from handlers.strangers import contents_of, is_strange


def expire(job: Job) -> Expired:
    """Remove every copy of the day, wherever it is; finishes an interrupted run.

    StepError, with nothing removed: BUSY if somebody has one open for writing, CONFLICT if there
    may be ticks that were never sealed, CORRUPT if the database is not what was sealed although
    nothing wrote to it, FAILED if there may be a copy that cannot be seen.
    """
    sealed, expiry = required_seal(job), _required_expiry(job)
    database, copies = Path(job.paths.database), _copies(job)
    _require_none_elsewhere(job, sealed)
    _require_directories(job)
    restore_retired(database)
    for path in (*copies, database):
        require_regular(path)
    _require_no_late_ticks(job, sealed)
    seen = {path: signature_of(path) for path in (*copies, database)}
    _require_all_released(copies, database)
    _require_no_strangers(job, sealed)
    freed = sum(_remove(path, seen[path]) for path in copies)
    freed += _retire(job, database, sealed)
    _require_gone((*copies, database, retired_path(database)))
    return _certificate(job, sealed, expiry, freed)


def _required_expiry(job: Job) -> Expiry:
    if job.expiry is None:
        raise StepError(
            f"nobody said why {job.key} should be removed",
            hint="this is a defect: a day expires by a policy or by an order, never without",
            retryable=False,
        )
    return job.expiry


def _copies(job: Job) -> tuple[Path, ...]:
    """Every copy but the uncompressed first one, in the order in which they go."""
    paths = job.paths
    return tuple(map(Path, (paths.backup, paths.backup_compressed, paths.archived, paths.compressed)))


def _require_none_elsewhere(job: Job, sealed: Sealed) -> None:
    """Where copies were recorded there must be none any more, if the settings name another place now."""
    known = {Path(path).resolve() for path in (*map(str, _copies(job)), job.paths.database)}
    for recorded, now in _recorded(job, sealed):
        if recorded.resolve() in known:
            continue
        unseen = not recorded.parent.is_dir() and signature_of(now) is None
        if unseen or signature_of(recorded) is not None:
            where = "may be" if unseen else "is"
            raise StepError(
                f"a copy of {job.key} {where} at {recorded}, and the settings say {now}: nothing was removed",
                hint=f"move it to {now.parent}, or put the former directory back into the settings ([data]);"
                f" if it really is gone, make {recorded.parent}, empty",
                retryable=False,
            )


def _recorded(job: Job, sealed: Sealed) -> Iterator[tuple[Path, Path]]:
    """Where each copy that there should be was when it was recorded, and where it would be now."""
    paths, packed = job.paths, job.compressed
    if packed is None:
        yield Path(sealed.path), Path(paths.database)
        return
    yield Path(packed.backup_path), Path(paths.backup_compressed)
    if job.archived is not None:
        yield Path(job.archived.path), Path(paths.archived)
    else:
        yield Path(packed.path), Path(paths.compressed)


def _require_directories(job: Job) -> None:
    """A copy whose directory is not there may be on a disk that is not mounted."""
    for place in places_of(job):
        directory = place.path.parent
        if place.expected and not directory.is_dir():
            raise StepError(
                f"cannot tell whether there is a copy in {directory}: there is no such directory",
                hint="mount what belongs there; if it really is gone, make the directory, empty",
            )


def _require_no_late_ticks(job: Job, sealed: Sealed) -> None:
    """What is in the root uncompressed, or written beside a copy, must have been sealed."""
    database = Path(job.paths.database)
    for path in (database, Path(job.paths.backup)):
        for suffix in ("-wal", "-journal"):
            if has_content(path, suffix):
                raise _late(job, sidecar(path, suffix))
    if (there := signature_of(database)) is None:
        return
    if there != sealed.signature:
        raise _late(job, database)
    require_sealed_content(database, sha256_of(database), sealed)


def _require_all_released(copies: tuple[Path, ...], database: Path) -> None:
    for path in (*copies, database):
        if signature_of(path) is not None:
            require_released(path)


def _require_no_strangers(job: Job, sealed: Sealed) -> None:
    for path in _copies(job):
        there = signature_of(path)
        if there is not None and _is_stranger(job, path, there.size_bytes, sealed):
            raise StepError(
                f"{path} holds something that {job.key} is not known to have held: nothing was removed",
                hint="it may be the only copy of its ticks: find out what it is, and move it away",
                trouble=Trouble.CONFLICT,
                retryable=False,
            )


def _is_stranger(job: Job, path: Path, size_bytes: int, sealed: Sealed) -> bool:
    """Whether it is not the day's. What does not unpack is ours gone bad; of a database its size says so."""
    packed = path.name.endswith(".zst")
    if packed or size_bytes in {0, sealed.size_bytes}:
        return is_strange(job, path, packed=packed)
    return sha256_of(path) not in contents_of(job)


def _remove(path: Path, seen: Signature | None) -> int:
    """Remove one copy, if it is there, durably; returns the bytes that were freed."""
    if signature_of(path) != seen:
        raise StepError(
            f"{path} was changed while {path.name} was being removed",
            hint=f"it is tried again; find out what else writes into {path.parent}",
        )
    if seen is not None:
        path.unlink()
    if path.parent.is_dir():
        fsync_directory(path.parent)  # also for a run that was killed just before this
    return seen.size_bytes if seen else 0


def _retire(job: Job, database: Path, sealed: Sealed) -> int:
    """A writer may come to an uncompressed database even now: it goes as it does at compression."""
    there = signature_of(database)
    if there is None:
        return _remove(database, None)
    retire(database, sealed, job.options.quiet_seconds)
    return there.size_bytes


def _require_gone(paths: tuple[Path, ...]) -> None:
    for path in paths:
        if signature_of(path) is not None:
            raise StepError(
                f"{path} is there again, although it was removed",
                hint="find out what else writes into that directory; it is tried again",
            )


def _certificate(job: Job, sealed: Sealed, expiry: Expiry, freed_bytes: int) -> Expired:
    packed, paths = job.compressed, job.paths
    return Expired(
        sha256=sealed.sha256,
        compressed_sha256=packed.compressed_sha256 if packed else "",
        size_bytes=sealed.size_bytes,
        compressed_bytes=packed.compressed_bytes if packed else 0,
        ticks=sealed.ticks,
        symbols=sealed.symbols,
        first_tick_ms=sealed.first_tick_ms,
        last_tick_ms=sealed.last_tick_ms,
        paths=(paths.database, paths.compressed, paths.backup, paths.backup_compressed, paths.archived),
        freed_bytes=freed_bytes,
        left=_left(job),
        policy=expiry.policy,
        due=expiry.due,
        reason=expiry.reason,
        by=job.by,
    )


def _left(job: Job) -> tuple[str, ...]:
    """What bears the day's name beside the copies and is none of them: it is not ours to remove."""
    name = Path(job.paths.database).name
    places = {Path(path).parent for path in (*map(str, _copies(job)), job.paths.database)}
    sidecars = {f"{name}{suffix}" for suffix in SIDECARS}
    return tuple(
        sorted(
            str(path)
            for place in places
            if place.is_dir()
            for path in place.iterdir()
            if path.name.startswith(name) and path.name not in sidecars
        )
    )


def _late(job: Job, path: Path) -> StepError:
    return StepError(
        f"{path} may hold ticks that were never sealed: nothing was removed",
        hint=f"`tickward merge {job.key}`, or move it away if it does not belong to the day",
        trouble=Trouble.CONFLICT,
        retryable=False,
    )
