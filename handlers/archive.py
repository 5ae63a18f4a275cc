"""Archive: the verified .zst moves out of the root, to where cold days are kept.

The proof comes first: what is moved is, on the medium, what was recorded at compression. Its new
name is durable before the old one goes, so that a run which was killed is simply run again, and at
every instant there is a whole copy under a name that is looked for. Nothing that bears the new name
already is overwritten, unless it is an older content of the same day.
"""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

from handlers import progress
from handlers.backup import require_reads_back, require_two_files
from handlers.contract import Archived, Compressed, Job, Sealed, StepError, Trouble
from handlers.files import (
    NewFile,
    copy_hashed,
    fsync_directory,
    link_new,
    make_directories,
    make_durable,
    open_source,
    require_space,
    sha256_of,
    signature_of,
    temporary,
)
from handlers.replace import publish_at, require_as_seen, require_regular
from handlers.retire import retired_path
from handlers.seal import required_seal
from handlers.seek_table import SeekableError
from handlers.seekable import sha256_of_content
from handlers.strangers import contents_of

_FICLONE = 0x40049409  # <linux/fs.h>; the fcntl module of Python 3.11 has no name for it
_NO_CLONE = {errno.EXDEV, errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL, errno.ENOSYS, errno.EPERM}


def archive(job: Job) -> Archived:
    """Move the day's .zst to the archive; finishes an interrupted run.

    StepError CORRUPT if it is not what was recorded, CONFLICT if something else is in its place or
    the uncompressed database is there: then nothing was touched.
    """
    sealed, packed = required_seal(job), _required_packed(job)
    source, target = Path(job.paths.compressed), Path(job.paths.archived)
    _require_places(job, source, target)
    _require_no_database(job, sealed)
    seen = signature_of(source)
    if seen is None:
        moved_by = _moved_before(job, source, target, packed)
    else:
        _require_recorded(job, source, packed)
        moved_by = _move(job, source, target, packed)
        require_as_seen(source, seen)
        source.unlink()
    fsync_directory(source.parent)
    return Archived(
        path=str(target),
        sha256=sealed.sha256,
        compressed_sha256=packed.compressed_sha256,
        compressed_bytes=packed.compressed_bytes,
        moved_by=moved_by,
    )


def _required_packed(job: Job) -> Compressed:
    if job.compressed is None:
        raise StepError(
            f"{job.key} has not been compressed",
            hint="this is a defect: the step was planned too early",
            retryable=False,
        )
    return job.compressed


def _require_places(job: Job, source: Path, target: Path) -> None:
    """One file must not be taken for two: the first of them would be removed."""
    for path in (source, target):
        require_regular(path)
    require_two_files(Path(job.paths.backup_compressed), target)
    same_directory = target.parent.is_dir() and target.parent.samefile(source.parent)
    if same_directory and target.name == source.name:
        raise StepError(
            f"{target} and {source} are one file: there is nowhere to move it to",
            hint="give the archive a directory of its own",
            trouble=Trouble.CONFLICT,
            retryable=False,
        )


def _require_no_database(job: Job, sealed: Sealed) -> None:
    """Beside a database there may be ticks that the .zst has not: then it stays where it is."""
    database = Path(job.paths.database)
    there = signature_of(database) or signature_of(retired_path(database))
    if there is None:
        return
    if there == sealed.signature:
        raise StepError(
            f"the restored copy is kept: {database}",
            hint="it is archived once the restored copy has been compressed away",
            retryable=False,
        )
    raise StepError(
        f"{database} is there, and is not what was sealed",
        hint=f"it may hold late ticks: `tickward merge {job.key}`, or move it away",
        trouble=Trouble.CONFLICT,
        retryable=False,
    )


def _require_recorded(job: Job, source: Path, packed: Compressed) -> None:
    if (found := sha256_of(source)) != packed.compressed_sha256:
        raise StepError(
            f"{source} is not what was recorded at compression",
            hint=f"`tickward verify {job.key}` repairs it from another copy",
            trouble=Trouble.CORRUPT,
            retryable=False,
            problems=(f"recorded sha256 {packed.compressed_sha256}, now {found}",),
        )


def _moved_before(job: Job, source: Path, target: Path, packed: Compressed) -> str:
    """An earlier run came as far as removing the source; or it is lost."""
    if signature_of(target) is None:
        raise StepError(
            f"neither {source} nor {target} is there",
            hint=f"bring it back from the backup: `tickward verify {job.key}`",
            retryable=False,
        )
    if sha256_of(target) != packed.compressed_sha256:
        raise _conflict(job, target)
    make_durable(target)
    return _way(source, target)


def _move(job: Job, source: Path, target: Path, packed: Compressed) -> str:
    """Be sure that the target is what the source is, durably; returns how that was done."""
    seen = signature_of(target)
    if seen is not None and sha256_of(target) == packed.compressed_sha256:
        make_durable(target)
        return _way(source, target)
    if seen is not None and not _may_be_replaced(job, target):
        raise _conflict(job, target)
    make_directories(target.parent)
    with temporary(target) as temp:
        moved_by = _link(source, temp) or _duplicate(source, temp, packed)
        publish_at(temp, target, seen)
    return moved_by


def _link(source: Path, temp: Path) -> str:
    """Another name for the same file; empty if that would be on another filesystem."""
    try:
        link_new(source, temp)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return ""
    return "rename"


def _duplicate(source: Path, temp: Path, packed: Compressed) -> str:
    moved_by = _clone(source, temp)
    if not moved_by:
        require_space(temp.parent, packed.compressed_bytes)
        copy_hashed(source, temp, progress.report)
        moved_by = "copy"
    require_reads_back(temp, packed.compressed_sha256)
    return moved_by


def _clone(source: Path, temp: Path) -> str:
    """Share the blocks of ``source``, where one filesystem has several mounts; empty if it cannot be."""
    with open_source(source) as reader, NewFile(temp, like=source) as writer:
        try:
            fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
        except OSError as error:
            if error.errno not in _NO_CLONE:
                raise
        else:
            return "reflink"
    temp.unlink()
    return ""


def _may_be_replaced(job: Job, target: Path) -> bool:
    """Whether it holds what the day is, in other bytes, or what it was before late ticks came."""
    try:
        return sha256_of_content(target) in contents_of(job)
    except SeekableError:
        return False


def _way(source: Path, target: Path) -> str:
    """How an earlier run must have moved it, as far as can be told."""
    same_filesystem = source.parent.stat().st_dev == target.parent.stat().st_dev
    return "rename" if same_filesystem else "copy"


def _conflict(job: Job, target: Path) -> StepError:
    return StepError(
        f"{target} is there, but is not what was recorded at compression",
        hint=f"find out what it is and move it away, or `tickward verify {job.key}`",
        trouble=Trouble.CONFLICT,
        retryable=False,
    )
