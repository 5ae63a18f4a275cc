"""Unknown: what the copies of a day hold that nobody here has sealed.

Each is read to its last byte. The content of the first good one is inflated once, checked and counted as at
sealing, and all others are compared with it. Nothing is changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from handlers import database, progress
from handlers.backup import require_reads_back
from handlers.contract import Adopting, Copy, Job, Sealed, Signature, StepError, Trouble
from handlers.database import Ticks
from handlers.files import copy_hashed, filesystem_of, require_space, room_in, sha256_of, signature_of
from handlers.holders import held_for_writing
from handlers.sameness import packed_tells_the_same, tells_the_same
from handlers.seal import busy, earlier_ticks
from handlers.seek_table import SeekableError, TooLargeError
from handlers.seekable import Written, read_back
from handlers.unpack import unpack_file

_NOTHING = Written("", 0, "", 0)


class Found(NamedTuple):
    """A copy, and what was read in it."""

    path: Path
    packed: bool
    seen: Signature
    written: Written
    """Of an uncompressed one both sides are the same."""
    problem: str = ""

    @property
    def copy(self) -> Copy:
        return Copy(str(self.path), self.seen.size_bytes, self.problem)


def look_at_all(job: Job, content: Path) -> tuple[Found, list[Found], Sealed]:
    """The first good copy, all others, and what is in the day. Its content is in ``content`` then."""
    found: list[Found] = []
    good: Found | None = None
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


def adopting_of(job: Job) -> Adopting:
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


def _inflated(job: Job, path: Path, packed: bool, seen: Signature, content: Path) -> Found:
    """Write what a copy holds to ``content``; SHA-256 of both sides."""
    require_space(content.parent, seen.size_bytes)
    try:
        if packed:
            threads = job.options.threads
            most = max(room_in(content.parent) - adopting_of(job).spare_bytes, 0)
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
        return Found(path, packed, seen, _NOTHING, _unreadable(path, error))
    _require_same(path, seen)
    return Found(path, packed, seen, written)


def _checked(job: Job, found: Found, content: Path) -> tuple[Found, Sealed | None]:
    """Check the database and count its ticks, as at sealing."""
    try:
        header = database.read_header(content)
        ticks = database.examine_copy(content, job.options.table)
    except StepError as error:
        return found._replace(problem=_said_of(content, error)), None
    if (earlier := earlier_ticks(job)) is not None:
        database.require_contained(found.path, ticks, earlier)
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


def _sealed(job: Job, found: Found, ticks: Ticks, sqlite_version: int) -> Sealed:
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


def _compared(job: Job, path: Path, packed: bool, seen: Signature, good: Found, content: Path) -> Found:
    """Read another copy, and hold it against the good one, whose content is in ``content``."""
    try:
        if packed:
            written = read_back(path)
        else:
            digest = sha256_of(path)
            written = Written(digest, seen.size_bytes, digest, seen.size_bytes)
    except SeekableError as error:
        _require_same(path, seen)
        return Found(path, packed, seen, _NOTHING, _unreadable(path, error))
    _require_same(path, seen)
    problem = ""
    if written.content_sha256 != good.written.content_sha256 and _is_alike(job, path, packed, content):
        # Not a copy to the last bit, and so none that counts; but no other version of the day either.
        written = good.written
        problem = f"is another file than {good.path}, although every query finds the same in it"
    elif written.content_sha256 != good.written.content_sha256:
        problem = (
            f"holds something else than {good.path}: its content has the SHA-256 {written.content_sha256}"
        )
    elif packed and good.packed and written.compressed_sha256 != good.written.compressed_sha256:
        problem = f"has other bytes than {good.path}, but the same content"
    return Found(path, packed, seen, written, problem)


def _is_alike(job: Job, path: Path, packed: bool, content: Path) -> bool:
    if packed:
        return packed_tells_the_same(path, content, content, job.options.threads)
    return tells_the_same(path, content)


def _require_same(path: Path, seen: Signature) -> None:
    if signature_of(path) != seen or held_for_writing(path):
        raise busy(path, "was written to while it was read")


def _none_good(job: Job, found: list[Found]) -> StepError:
    problems = tuple(f"{each.path} {each.problem}" for each in found)
    return StepError(
        ": ".join((f"no copy of {job.key} can be taken over", *problems[:1])),
        hint="look for another copy on tapes, snapshots and other machines; what is there is left as it is",
        trouble=Trouble.CORRUPT if found else Trouble.FAILED,
        retryable=not found,
        problems=problems,
    )
