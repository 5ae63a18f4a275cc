"""Compress: both copies of a sealed day become verified .zst files, then the originals go.

The order is the safety: write and verify the first .zst, write and verify the second, prove that
the backup holds nothing else, retire the original, remove the uncompressed backup. Every part finds
out for itself whether it was done before, so that a run which was killed is simply run again. At
every instant there is a whole copy of the content under a name that is looked for.

The second .zst is the first one byte for byte: one digest describes them all. Of a day that is in
the archive the first is there; then this makes a lost backup anew, and retires a restored database.

A database that a late writer makes while the original is being retired stays beside the .zst files.
"""

from __future__ import annotations

from pathlib import Path

from handlers import progress
from handlers.backup import require_reads_back, require_two_files, require_untouched
from handlers.contract import Compressed, Job, Sealed, Signature, StepError, Trouble
from handlers.files import (
    copy_hashed,
    fsync_directory,
    make_directories,
    make_durable,
    require_space,
    sha256_of,
    signature_of,
    temporary,
)
from handlers.replace import publish_at
from handlers.retire import finish_retirement, is_created_anew, restore_retired, retire
from handlers.sameness import packed_tells_the_same
from handlers.seal import (
    changed,
    require_released,
    require_sealed_content,
    require_sealed_state,
    required_seal,
)
from handlers.seek_table import SeekableError, require_right_table
from handlers.seekable import Written, compress_file, read_back


def compress(job: Job) -> Compressed:
    """Replace the database and its backup by verified .zst files; finishes an interrupted run."""
    sealed = required_seal(job)
    database, backup = Path(job.paths.database), Path(job.paths.backup)
    is_late = is_created_anew(database)
    if not is_late:
        restore_retired(database)
    path = Path(job.paths.archived if job.archived else job.paths.compressed)
    first = _archived_copy(job, path) if job.archived else _first_copy(job, path)
    _second_copy(job, path, first)
    spare = _proven_spare(job, backup, path)
    if is_late:
        finish_retirement(database, sealed)
    elif signature_of(database) is not None:
        retire(database, sealed, job.options.quiet_seconds)
    if spare is not None:
        _remove_spare(backup, spare)
    known = job.compressed if _is_recorded(job, first) else None
    return Compressed(
        path=str(path),
        sha256=sealed.sha256,
        compressed_sha256=first.compressed_sha256,
        size_bytes=first.content_bytes,
        compressed_bytes=first.compressed_bytes,
        level=known.level if known else job.options.level,
        frame_bytes=known.frame_bytes if known else job.options.frame_bytes,
        backup_path=job.paths.backup_compressed,
    )


def _is_recorded(job: Job, found: Written) -> bool:
    """Whether it is the file that was recorded before: then that record says how it was made."""
    return job.compressed is not None and job.compressed.compressed_sha256 == found.compressed_sha256


def _first_copy(job: Job, target: Path) -> Written:
    seen = signature_of(target)
    found = _content_of(job, target, original=Path(job.paths.database)) if seen else None
    return found or _write(job, target, seen)


def _archived_copy(job: Job, target: Path) -> Written:
    """What the archive holds: it is the truth here, and nothing ever takes its place."""
    if signature_of(target) is None:
        raise StepError(
            f"the archived {target} is not there",
            hint=f"mount the archive, or bring it back from another copy: `tickward verify {job.key}`",
            retryable=False,
        )
    original = Path(job.paths.database)
    found = _content_of(job, target, original=original)
    if found is None:
        raise _not_what_was_sealed(target, required_seal(job), "it is an older content", original)
    return found


def _write(job: Job, target: Path, seen: Signature | None) -> Written:
    database, options, sealed = Path(job.paths.database), job.options, required_seal(job)
    if signature_of(database) is None:
        raise _lost(job)
    restore_retired(database)  # CONFLICT if this is another than the one that was sealed
    require_sealed_state(database, sealed)
    require_space(target.parent, sealed.size_bytes // 3)  # measured: a fifth at the worst
    with temporary(target) as temp:
        written = compress_file(
            database,
            temp,
            level=options.level,
            frame_bytes=options.frame_bytes,
            threads=options.threads,
            report=progress.report,
        )
        require_sealed_content(database, written.content_sha256, sealed)
        require_written(temp, written)
        publish_at(temp, target, seen)
    return written


def require_written(temp: Path, written: Written) -> None:
    """StepError unless the .zst on the medium decompresses to what was read, and its table is right."""
    try:
        found = read_back(temp)
        require_right_table(temp)
    except SeekableError as error:
        raise _bad_medium(temp, str(error)) from error
    if found != written:
        raise _bad_medium(temp, f"written {written}, read {found}")


def _second_copy(job: Job, source: Path, first: Written) -> None:
    """A copy of the first, byte for byte; one that only has the same content gives way to it."""
    target = Path(job.paths.backup_compressed)
    require_two_files(source, target)
    seen = signature_of(target)
    if seen and _content_of(job, target, original=source) == first:
        return
    make_directories(target.parent)
    require_space(target.parent, first.compressed_bytes)
    with temporary(target) as temp:
        if copy_hashed(source, temp) != first.compressed_sha256:
            raise _bad_medium(source, "it changed after it was verified")
        require_reads_back(temp, first.compressed_sha256)
        publish_at(temp, target, seen)


def _content_of(job: Job, path: Path, *, original: Path) -> Written | None:
    """What a .zst that is there holds, if that is what was sealed; None if it may be replaced.

    It may if it holds what this day was before late ticks came, or if no query can tell it from what
    was sealed. Anything else is a StepError, and stays as it is.
    """
    sealed = required_seal(job)
    try:
        found = read_back(path)
    except SeekableError as error:
        raise _not_what_was_sealed(path, sealed, str(error), original) from error
    if found.content_sha256 == sealed.sha256:
        make_durable(path)
        return found
    if found.content_sha256 in job.superseded or _is_alike(job, path):
        return None
    raise _not_what_was_sealed(path, sealed, f"its content is {found.content_sha256}", original)


def _is_alike(job: Job, path: Path) -> bool:
    """Whether it was made of the database in another form: before its log was folded in, say."""
    database, sealed = Path(job.paths.database), required_seal(job)
    if signature_of(database) != sealed.signature:
        return False
    return packed_tells_the_same(path, database, path, job.options.threads)


def _proven_spare(job: Job, backup: Path, packed: Path) -> Signature | None:
    """The uncompressed backup, if there is one: it may go only if it holds nothing else than ``packed``."""
    spare = signature_of(backup)
    if spare is None:
        return None
    require_untouched(backup)
    is_the_day = sha256_of(backup) == required_seal(job).sha256
    if not is_the_day and not packed_tells_the_same(packed, backup, backup, job.options.threads):
        raise StepError(
            f"the backup {backup} is not what was sealed",
            hint="the compressed copies are right; find out what it holds, and move it away",
            trouble=Trouble.CONFLICT,
            retryable=False,
        )
    return spare


def _remove_spare(backup: Path, spare: Signature) -> None:
    require_released(backup)
    if signature_of(backup) != spare:
        raise changed(backup)
    backup.unlink()
    fsync_directory(backup.parent)


def _lost(job: Job) -> StepError:
    return StepError(
        f"neither {job.paths.database} nor {job.paths.compressed} is there",
        hint=f"restore it from the backup: {job.paths.backup} or {job.paths.backup_compressed}",
        retryable=False,
    )


def _not_what_was_sealed(path: Path, sealed: Sealed, problem: str, original: Path) -> StepError:
    whole = signature_of(original) is not None
    look = f"see whether {original.name} has all that is in {path.name} (`tickward analyze` counts)"
    return StepError(
        f"{path} is there, but does not hold what was sealed",
        hint=f"{look}; then move {path.name} away" if whole else "restore it from backup",
        trouble=Trouble.CONFLICT if whole else Trouble.CORRUPT,
        retryable=False,
        problems=(f"sealed sha256 {sealed.sha256}; {problem}",),
    )


def _bad_medium(path: Path, problem: str) -> StepError:
    return StepError(
        f"{path} does not read back as it was written",
        hint="the disk or the memory may be failing: check the kernel log",
        problems=(problem,),
    )
