"""Adopt: a day that nobody here has sealed becomes known, by what its copies prove.

For days of which there are only compressed copies, or only a backup: what still is a database in the root is
sealed as usual. Every copy is read to its last byte; the content is inflated once, checked and counted as at
sealing, and all copies are compared with it. Nothing is changed, unless it is ordered that compressed files
of which no part can be read alone are made anew.
"""

from __future__ import annotations

from pathlib import Path

from handlers import progress
from handlers.backup import require_reads_back
from handlers.compress import require_written
from handlers.contract import Adopted, Archived, BackedUp, Compressed, Job, Sealed, StepError, Trouble
from handlers.database import has_content
from handlers.files import copy_hashed, make_directories, make_durable, require_space, signature_of, temporary
from handlers.replace import publish_at
from handlers.retire import restore_retired
from handlers.seek_table import SeekableError, require_right_table
from handlers.seekable import Written, compress_file
from handlers.unknown import Found, adopting_of, look_at_all


def adopt(job: Job) -> Adopted:
    """Read every copy of a day, and say what it is.

    StepError BUSY if a copy is being written; CORRUPT if no copy is good, or if one of a day that is known
    cannot be read; CONFLICT if two of them hold different things, or if one of a day that is not known cannot
    be read: it may be the better one. CONFLICT also if there is a log beside a database, or if this is not
    what was sealed, or less than that.
    """
    adopting = adopting_of(job)
    path = Path(job.paths.database)
    restore_retired(path)
    _require_no_log(path)
    _require_no_log(Path(job.paths.backup))
    if signature_of(path) is not None:
        raise StepError(
            f"{path} is there by now, or has its name back from an interrupted compression",
            hint="it is sealed and backed up as every day is: `tickward once` does that",
        )
    scratch = Path(adopting.scratch)
    make_directories(scratch.parent)
    with temporary(scratch) as content:
        good, others, sealed = look_at_all(job, content)
        _require_one_version(job, good, others, sealed)
        reencoded = adopting.reencode and good.packed and not _frame_bytes(good.path)
        if reencoded:
            good = _reencoded(job, content, good, sealed)
        if adopting.reencode and good.packed:  # an interrupted run may have come as far as the first one
            others = [_follow(each, good) for each in others]
    return Adopted(
        path=str(good.path),
        sealed=sealed,
        backed_up=_backed_up(good, sealed),
        compressed=_compressed(job, good, sealed, reencoded=reencoded),
        archived=_archived(job, good, sealed),
        copies=(good.copy, *(each.copy for each in others)),
        reencoded=reencoded,
        by=job.by,
    )


def _require_one_version(job: Job, good: Found, others: list[Found], sealed: Sealed) -> None:
    """StepError CONFLICT if it cannot be told which of two whole contents is the day."""
    if job.sealed is not None and job.sealed.sha256 != sealed.sha256:
        raise _conflict(
            good.path, "holds something else than was sealed", "`tickward verify` reads all copies"
        )
    for each in others:
        other = each.written.content_sha256
        if other and other != sealed.sha256:
            hint = "find out which of the two is the day, move the other one away, and adopt it again"
            raise _conflict(each.path, each.problem, hint)
        if not other and job.sealed is None:
            hint = (
                f"{good.path} can be read, and has {sealed.ticks:,} ticks. If nothing better is to be had "
                "from this one (`zstd -d --long=31`), move it away; then adopt the day again"
            )
            raise _conflict(each.path, each.problem, hint)
        if not other:
            raise StepError(
                f"{each.path} {each.problem}",
                hint=f"`tickward verify {job.key}` repairs it from the good one; then order this again",
                trouble=Trouble.CORRUPT,
            )


def _require_no_log(path: Path) -> None:
    """What SQLite has not folded in yet would be missed: and only with its database it can be."""
    for suffix in ("-wal", "-journal"):
        if has_content(path, suffix):
            hint = "open and close its database with SQLite, or move that file away; then adopt the day again"
            raise _conflict(Path(f"{path}{suffix}"), "may hold ticks that are in no copy", hint)


def _conflict(path: Path, problem: str, hint: str) -> StepError:
    return StepError(f"{path} {problem}", hint=hint, trouble=Trouble.CONFLICT, retryable=False)


def _frame_bytes(path: Path) -> int:
    """What a frame holds at the most; 0 if no part of the file can be read alone."""
    try:
        return max((frame.content_bytes for frame in require_right_table(path)), default=0)
    except SeekableError:
        return 0


def _reencoded(job: Job, content: Path, good: Found, sealed: Sealed) -> Found:
    """A compressed copy that can be read in parts; the old one gives way when that is proven."""
    with temporary(good.path) as temp:
        require_space(temp.parent, sealed.size_bytes // 3)
        written = compress_file(
            content,
            temp,
            level=job.options.level,
            frame_bytes=job.options.frame_bytes,
            threads=job.options.threads,
            report=progress.report,
        )
        if written.content_sha256 != sealed.sha256:
            raise StepError(
                f"{content} does not read back as it was written",
                hint="the disk or the memory may be failing: check the kernel log",
            )
        require_written(temp, written)
        publish_at(temp, good.path, good.seen)
    make_durable(good.path)
    return _again(good, written)


def _follow(other: Found, good: Found) -> Found:
    """Another compressed copy that says the same becomes the same bytes."""
    written = good.written
    is_same = other.written.content_sha256 == written.content_sha256
    if not other.packed or not is_same or other.written == written:
        return other
    require_space(other.path.parent, written.compressed_bytes)
    with temporary(other.path) as temp:
        if copy_hashed(good.path, temp) != written.compressed_sha256:
            raise StepError(
                f"{good.path} changed after it was verified",
                hint="find out what writes to it, and adopt the day again",
            )
        require_reads_back(temp, written.compressed_sha256)
        publish_at(temp, other.path, other.seen)
    make_durable(other.path)
    return _again(other, written)


def _again(found: Found, written: Written) -> Found:
    seen = signature_of(found.path)
    assert seen is not None  # it has just been given its name
    return found._replace(seen=seen, written=written, problem="")


def _backed_up(good: Found, sealed: Sealed) -> BackedUp | None:
    """The uncompressed backup, where that is all there is."""
    if good.packed:
        return None
    return BackedUp(str(good.path), sealed.sha256, sealed.size_bytes, sealed.ticks)


def _compressed(job: Job, good: Found, sealed: Sealed, *, reencoded: bool) -> Compressed | None:
    if not good.packed:
        return None
    return Compressed(
        path=job.paths.compressed,
        sha256=sealed.sha256,
        compressed_sha256=good.written.compressed_sha256,
        size_bytes=sealed.size_bytes,
        compressed_bytes=good.written.compressed_bytes,
        level=job.options.level if reencoded else 0,
        frame_bytes=_frame_bytes(good.path),
        backup_path=job.paths.backup_compressed,
    )


def _archived(job: Job, good: Found, sealed: Sealed) -> Archived | None:
    if str(good.path) != job.paths.archived:
        return None
    written = good.written
    return Archived(
        str(good.path), sealed.sha256, written.compressed_sha256, written.compressed_bytes, "adopted"
    )
