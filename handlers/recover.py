"""Recovering a day's content from the first copy of it that is good.

Which copies there are and in what order they are tried is here, and what makes one bad. A copy is
proven while it is read: unless its content has the sealed SHA-256, nothing comes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from handlers import progress
from handlers.backup import require_reads_back
from handlers.contract import Job, Sealed, StepError, Trouble
from handlers.database import has_content
from handlers.files import copy_hashed, sha256_of, signature_of
from handlers.seal import required_seal
from handlers.seek_table import SeekableError
from handlers.unpack import unpack_file


class Source(NamedTuple):
    """A place where a copy of the day may be."""

    path: Path
    packed: bool


class Recovered(NamedTuple):
    """The copy that the content was made from; those tried before, each with what is wrong with it."""

    source: Path
    rejected: tuple[str, ...]


def first_copy(job: Job) -> Source:
    """The one that a reader of a cold day would turn to."""
    archived = Path(job.paths.archived)
    there = signature_of(archived) is not None
    return Source(archived if there else Path(job.paths.compressed), True)


def all_sources(job: Job, *, in_tree: bool) -> Iterator[Source]:
    """Every copy, the nearest first; the database itself only if what is made goes elsewhere."""
    path, sealed = Path(job.paths.database), required_seal(job)
    logged = has_content(path, "-wal") or has_content(path, "-journal")
    if not in_tree and not logged and signature_of(path) == sealed.signature:
        yield Source(path, False)
    yield Source(Path(job.paths.compressed), True)
    yield Source(Path(job.paths.archived), True)
    yield Source(Path(job.paths.backup_compressed), True)
    yield Source(Path(job.paths.backup), False)


def recover(job: Job, sources: Iterable[Source], temp: Path) -> Recovered:
    """Make the new file ``temp`` from the first good copy; it was read back from the medium.

    StepError CORRUPT if none is good; OSError if what is written to cannot take it.
    """
    sealed = required_seal(job)
    rejected: list[str] = []
    for source in sources:
        if signature_of(source.path) is None:
            continue
        problem = _problem_making(temp, source, sealed, job.options.threads)
        if not problem:
            require_reads_back(temp, sealed.sha256)
            return Recovered(source.path, tuple(rejected))
        rejected.append(problem if str(source.path) in problem else f"{source.path}: {problem}")
        temp.unlink(missing_ok=True)
    raise _none_good(job, tuple(rejected))


def _problem_making(temp: Path, source: Source, sealed: Sealed, threads: int) -> str:
    """Write the content of one copy to ``temp``; returns what is wrong with it, empty if nothing is.

    Never more bytes than were sealed: what else bears the name must not fill the tick writer's disk.
    """
    size = source.path.lstat().st_size
    if not source.packed and size != sealed.size_bytes:
        return f"it has {size:,} bytes instead of {sealed.size_bytes:,}"
    try:
        digest = _write(temp, source, sealed, threads)
    except SeekableError as error:
        return str(error)
    except OSError as error:
        if not _is_unreadable(source.path):
            raise
        return error.strerror or str(error)
    return "" if digest == sealed.sha256 else f"its content has the SHA-256 {digest}"


def _write(temp: Path, source: Source, sealed: Sealed, threads: int) -> str:
    path, most = source.path, sealed.size_bytes
    if source.packed:
        return unpack_file(path, temp, threads=threads, report=progress.report, most_bytes=most)
    return copy_hashed(path, temp, progress.report)


def _is_unreadable(path: Path) -> bool:
    """Whether it was the reading that failed, and not the writing."""
    try:
        sha256_of(path)
    except OSError:
        return True
    return False


def _none_good(job: Job, rejected: tuple[str, ...]) -> StepError:
    what = "no good copy" if rejected else "no copy at all"
    return StepError(
        f"there is {what} of {job.key} to restore it from",
        hint="mount the archive and the backup if they are not, bring a copy back to where it was,"
        f" and look at all of them: `tickward verify {job.key}`",
        trouble=Trouble.CORRUPT,
        retryable=False,
        problems=rejected,
    )
