"""Adopt: a day that nobody here has sealed becomes known, by what its copies prove.

For days of which there are only compressed copies, or only a backup: what still is a database in the root is
sealed as usual. Every copy is read to its last byte; the content is inflated once, checked and counted as at
sealing, and all copies are compared with it. Nothing is changed, unless it is ordered that compressed files
of which no part can be read alone are made anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from handlers import database, progress
from handlers.backup import require_reads_back
from handlers.contract import (
    Adopted,
    Adopting,
    Archived,
    BackedUp,
    Compressed,
    Copy,
    Job,
    Sealed,
    Signature,
    StepError,
    Trouble,
)
from handlers.database import Ticks, has_content
from handlers.files import (
    copy_hashed,
    filesystem_of,
    make_directories,
    make_durable,
    require_space,
    room_in,
    sha256_of,
    signature_of,
    temporary,
)
from handlers.holders import held_for_writing
from handlers.replace import publish_at
from handlers.retire import restore_retired
from handlers.sameness import tells_the_same
from handlers.seal import busy
from handlers.seek_table import SeekableError, TooLargeError, require_right_table
from handlers.seekable import Written, compress_file, read_back
from handlers.unpack import unpack_file

_NOTHING = Written("", 0, "", 0)


class _Found(NamedTuple):
    """A copy, and what was read in it."""

    path: Path
    packed: bool
    seen: Signature
    written: Written
    """Of an uncompressed one both sides are the same."""
    problem: str = ""
    alike: str = ""
    """SHA-256 of its own content, if that is not the good one's, and every query finds the same in it."""

    @property
    def copy(self) -> Copy:
        return Copy(str(self.path), self.seen.size_bytes, self.problem)


def adopt(job: Job) -> Adopted:
    """Read every copy of a day, and say what it is.

    StepError BUSY if a copy is being written; CORRUPT if no copy is good; CONFLICT if two of them hold
    different things, or one cannot be read: it may be the better one, and what is known is repaired from what
    is known. CONFLICT also if there is a log beside a database, or if this is not what was sealed.
    """
    adopting = _adopting(job)
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
        good, others, sealed = _look_at_all(job, content)
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
        alike=tuple(dict.fromkeys(each.alike for each in others if each.alike)),
        reencoded=reencoded,
        by=job.by,
    )


def _adopting(job: Job) -> Adopting:
    if job.adopting is None:
        raise StepError(
            f"{job.key} cannot be taken over without a place for its content",
            hint="this is a defect: report it",
            retryable=False,
        )
    return job.adopting


def _places(job: Job) -> list[tuple[Path, bool]]:
    paths = job.paths
    packed = (paths.compressed, paths.archived, paths.backup_compressed)
    return [*((Path(path), True) for path in packed), (Path(paths.backup), False)]


def _look_at_all(job: Job, content: Path) -> tuple[_Found, list[_Found], Sealed]:
    """The first good copy, all others, and what is in the day. Its content is in ``content`` then."""
    found: list[_Found] = []
    good: _Found | None = None
    sealed: Sealed | None = None
    for path, packed in _places(job):
        seen = signature_of(path)
        if seen is None:
            continue
        if held_for_writing(path):
            raise busy(path, "is open for writing")
        if good is not None:
            found.append(_compared(job, path, packed, seen, good, content))
            continue
        each = _inflated(job, path, packed, seen, content)
        if not each.problem:
            each, sealed = _checked(job, each, content)
        if each.problem:
            content.unlink(missing_ok=True)
            found.append(each)
        else:
            good = each
    if good is None or sealed is None:
        raise _none_good(job, found)
    return good, found, sealed


def _inflated(job: Job, path: Path, packed: bool, seen: Signature, content: Path) -> _Found:
    """Write what a copy holds to ``content``; SHA-256 of both sides."""
    require_space(content.parent, seen.size_bytes)
    try:
        if packed:
            threads = job.options.threads
            most = max(room_in(content.parent) - _adopting(job).spare_bytes, 0)
            digest = unpack_file(path, content, threads=threads, report=progress.report, most_bytes=most)
            require_reads_back(content, digest)
            written = Written(digest, content.stat().st_size, sha256_of(path), seen.size_bytes)
        else:
            digest = copy_hashed(path, content, progress.report)
            written = Written(digest, seen.size_bytes, digest, seen.size_bytes)
    except TooLargeError as error:
        raise StepError(
            f"there is no room in {content.parent} for what {path} holds",
            hint=f"free space on {filesystem_of(content.parent)}, or put data.state on a larger disk",
        ) from error
    except SeekableError as error:
        _require_same(path, seen)
        return _Found(path, packed, seen, _NOTHING, _unreadable(path, error))
    _require_same(path, seen)
    return _Found(path, packed, seen, written)


def _checked(job: Job, found: _Found, content: Path) -> tuple[_Found, Sealed | None]:
    """Check the database and count its ticks, as at sealing."""
    try:
        header = database.read_header(content)
        ticks = database.examine_copy(content, job.options.table)
    except StepError as error:
        return found._replace(problem=_said_of(content, error)), None
    return found, _sealed(job, found, ticks, header.sqlite_version)


def _said_of(content: Path, error: StepError) -> str:
    """What is wrong with a content, on one line and without the name that it had while it was looked at."""
    more = [problem for problem in error.problems[:1] if problem not in error.message]
    return " ".join("; ".join((error.message.removeprefix(str(content)), *more)).split())


def _unreadable(path: Path, error: SeekableError) -> str:
    """Why a copy cannot be read, to be put behind its path: so its path is not in it again."""
    text = str(error)
    why = text.removeprefix(str(path)).lstrip(": ")
    return f"cannot be read: {'it ' if text.startswith(f'{path} ') else ''}{why}"


def _sealed(job: Job, found: _Found, ticks: Ticks, sqlite_version: int) -> Sealed:
    if job.sealed is not None and job.sealed.sha256 == found.written.content_sha256:
        return job.sealed
    return Sealed(
        path=job.paths.database,
        sha256=found.written.content_sha256,
        size_bytes=found.written.content_bytes,
        ticks=ticks.ticks,
        symbols=ticks.symbols,
        first_tick_ms=ticks.first_ms,
        last_tick_ms=ticks.last_ms,
        sqlite_version=sqlite_version,
        # Of a file that is not there any more: no other one can be taken for it.
        signature=Signature(found.written.content_bytes, found.seen.mtime_ns, 0),
        counted=ticks.counted,
        table=job.options.table,
    )


def _compared(job: Job, path: Path, packed: bool, seen: Signature, good: _Found, content: Path) -> _Found:
    """Read another copy, and hold it against the good one, whose content is in ``content``."""
    try:
        if packed:
            written = read_back(path)
        else:
            digest = sha256_of(path)
            written = Written(digest, seen.size_bytes, digest, seen.size_bytes)
    except SeekableError as error:
        _require_same(path, seen)
        return _Found(path, packed, seen, _NOTHING, _unreadable(path, error))
    _require_same(path, seen)
    problem, alike = "", ""
    if written.content_sha256 != good.written.content_sha256 and _is_alike(job, path, packed, content):
        # Not a copy to the last bit, and so none that counts; but no other version of the day either.
        written, alike = good.written, written.content_sha256
        problem = f"is another file than {good.path}, although every query finds the same in it"
    elif written.content_sha256 != good.written.content_sha256:
        problem = (
            f"holds something else than {good.path}: its content has the SHA-256 {written.content_sha256}"
        )
    elif packed and good.packed and written.compressed_sha256 != good.written.compressed_sha256:
        problem = f"has other bytes than {good.path}, but the same content"
    return _Found(path, packed, seen, written, problem, alike)


def _is_alike(job: Job, path: Path, packed: bool, content: Path) -> bool:
    return tells_the_same(path, content, packed=packed, scratch=content, threads=job.options.threads)


def _require_same(path: Path, seen: Signature) -> None:
    if signature_of(path) != seen or held_for_writing(path):
        raise busy(path, "was written to while it was read")


def _require_one_version(job: Job, good: _Found, others: list[_Found], sealed: Sealed) -> None:
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


def _require_no_log(path: Path) -> None:
    """What SQLite has not folded in yet would be missed: and only with its database it can be."""
    for suffix in ("-wal", "-journal"):
        if has_content(path, suffix):
            hint = "open and close its database with SQLite, or move that file away; then adopt the day again"
            raise _conflict(Path(f"{path}{suffix}"), "may hold ticks that are in no copy", hint)


def _conflict(path: Path, problem: str, hint: str) -> StepError:
    return StepError(f"{path} {problem}", hint=hint, trouble=Trouble.CONFLICT, retryable=False)


def _none_good(job: Job, found: list[_Found]) -> StepError:
    problems = tuple(f"{each.path} {each.problem}" for each in found)
    return StepError(
        ": ".join((f"no copy of {job.key} can be taken over", *problems[:1])),
        hint="look for another copy on tapes, snapshots and other machines; what is there is left as it is",
        trouble=Trouble.CORRUPT if found else Trouble.FAILED,
        retryable=not found,
        problems=problems,
    )


def _frame_bytes(path: Path) -> int:
    """What a frame holds at the most; 0 if no part of the file can be read alone."""
    try:
        return max((frame.content_bytes for frame in require_right_table(path)), default=0)
    except SeekableError:
        return 0


def _reencoded(job: Job, content: Path, good: _Found, sealed: Sealed) -> _Found:
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
        if written.content_sha256 != sealed.sha256 or read_back(temp) != written:
            raise StepError(
                f"{temp} does not read back as it was written",
                hint="the disk or the memory may be failing: check the kernel log",
            )
        require_right_table(temp)
        publish_at(temp, good.path, good.seen)
    make_durable(good.path)
    return _again(good, written)


def _follow(other: _Found, good: _Found) -> _Found:
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


def _again(found: _Found, written: Written) -> _Found:
    seen = signature_of(found.path)
    assert seen is not None  # it has just been given its name
    return found._replace(seen=seen, written=written, problem="")


def _backed_up(good: _Found, sealed: Sealed) -> BackedUp | None:
    """The uncompressed backup, where that is all there is."""
    if good.packed:
        return None
    return BackedUp(str(good.path), sealed.sha256, sealed.size_bytes, sealed.ticks)


def _compressed(job: Job, good: _Found, sealed: Sealed, *, reencoded: bool) -> Compressed | None:
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


def _archived(job: Job, good: _Found, sealed: Sealed) -> Archived | None:
    if str(good.path) != job.paths.archived:
        return None
    written = good.written
    return Archived(
        str(good.path), sealed.sha256, written.compressed_sha256, written.compressed_bytes, "adopted"
    )
