"""Compress: both copies of a sealed day become verified .zst files, then the originals go.

The order is the safety: write and verify the first .zst, write and verify the second, prove that
the backup holds nothing else, retire the original, remove the uncompressed backup. Every part finds
out for itself whether it was done before, so that a run which was killed is simply run again. At
every instant there is a whole copy of the content under a name that is looked for.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from handlers.backup import require_reads_back, require_two_files, require_untouched
from handlers.contract import Compressed, Job, Sealed, Signature, StepError, Trouble
from handlers.files import (
    copy_hashed,
    fsync_directory,
    make_directories,
    make_durable,
    publish_new,
    require_space,
    sha256_of,
    signature_of,
    temporary,
)
from handlers.retire import restore_retired, retire
from handlers.seal import (
    changed,
    require_released,
    require_sealed_content,
    require_sealed_state,
    required_seal,
)
from handlers.seekable import (
    SeekableError,
    Written,
    compress_file,
    read_back,
    require_right_table,
)


def compress(job: Job) -> Compressed:
    """Replace the database and its backup by verified .zst files; finishes an interrupted run."""
    sealed = required_seal(job)
    database, backup = Path(job.paths.database), Path(job.paths.backup)
    restore_retired(database)
    first = _first_copy(job, sealed)
    _second_copy(job, sealed, first)
    spare = _proven_spare(backup, sealed)
    if signature_of(database) is not None:
        retire(database, sealed, job.options.quiet_seconds)
    if spare is not None:
        _remove_spare(backup, spare)
    return Compressed(
        path=job.paths.compressed,
        sha256=sealed.sha256,
        compressed_sha256=first.compressed_sha256,
        size_bytes=first.content_bytes,
        compressed_bytes=first.compressed_bytes,
        level=job.options.level,
        frame_bytes=job.options.frame_bytes,
        backup_path=job.paths.backup_compressed,
    )


def _first_copy(job: Job, sealed: Sealed) -> Written:
    target = Path(job.paths.compressed)
    if signature_of(target) is None:
        with suppress(FileExistsError):  # somebody was first: then theirs is what counts
            return _write(job, sealed, target)
    return _require_same_content(target, sealed, original=Path(job.paths.database))


def _write(job: Job, sealed: Sealed, target: Path) -> Written:
    database, options = Path(job.paths.database), job.options
    if signature_of(database) is None:
        raise _lost(job)
    require_sealed_state(database, sealed)
    require_space(target.parent, sealed.size_bytes // 3)  # measured: a fifth at the worst
    with temporary(target) as temp:
        written = compress_file(
            database,
            temp,
            level=options.level,
            frame_bytes=options.frame_bytes,
            threads=options.threads,
        )
        require_sealed_content(database, written.content_sha256, sealed)
        _require_written(temp, written)
        publish_new(temp, target)
    return written


def _require_written(temp: Path, written: Written) -> None:
    """The file on the medium decompresses to what was read, and its table is right."""
    try:
        found = read_back(temp)
        require_right_table(temp)
    except SeekableError as error:
        raise _bad_medium(temp, str(error)) from error
    if found != written:
        raise _bad_medium(temp, f"written {written}, read {found}")


def _second_copy(job: Job, sealed: Sealed, first: Written) -> None:
    source, target = Path(job.paths.compressed), Path(job.paths.backup_compressed)
    require_two_files(source, target)
    if signature_of(target) is None:
        make_directories(target.parent)
        require_space(target.parent, first.compressed_bytes)
        with temporary(target) as temp, suppress(FileExistsError):
            if copy_hashed(source, temp) != first.compressed_sha256:
                raise _bad_medium(source, "it changed after it was verified")
            require_reads_back(temp, first.compressed_sha256)
            publish_new(temp, target)
            return
    _require_same_content(target, sealed, original=source)


def _require_same_content(path: Path, sealed: Sealed, *, original: Path) -> Written:
    """Keep a .zst that is there already if it holds what was sealed; it is never overwritten."""
    try:
        found = read_back(path)
        problem = f"its content is {found.content_sha256}"
        if found.content_sha256 == sealed.sha256:
            make_durable(path)
            return found
    except SeekableError as error:
        problem = str(error)
    whole = signature_of(original) is not None
    raise StepError(
        f"{path} is there, but does not hold what was sealed",
        hint=f"keep {original}, and move {path.name} away" if whole else "restore it from backup",
        trouble=Trouble.CONFLICT if whole else Trouble.CORRUPT,
        retryable=False,
        problems=(f"sealed sha256 {sealed.sha256}; {problem}",),
    )


def _proven_spare(backup: Path, sealed: Sealed) -> Signature | None:
    """The uncompressed backup, if there is one: it may go only if it holds nothing else."""
    spare = signature_of(backup)
    if spare is None:
        return None
    require_untouched(backup)
    if sha256_of(backup) != sealed.sha256:
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


def _bad_medium(path: Path, problem: str) -> StepError:
    return StepError(
        f"{path} does not read back as it was written",
        hint="the disk or the memory may be failing: check the kernel log",
        problems=(problem,),
    )
