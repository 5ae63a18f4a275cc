"""Repair: replace the bad copies of a day from one that was proven to be good in this very job.

Every replacement is written beside what it replaces, compared while it is written, read again from
the medium, and only then given the name. A good copy is never touched, so a repair that is killed
has lost nothing, and the next one finishes it. What is sound but holds something else did not rot:
somebody put it there, and it is set aside.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import apsw

from handlers import database
from handlers.backup import require_reads_back, require_untouched
from handlers.contract import Copy, Job, Repair, Sealed, Signature, StepError, Trouble
from handlers.copies import Found
from handlers.files import (
    copy_hashed,
    make_directories,
    require_space,
    sha256_of,
    share_owner,
    signature_of,
    temporary,
)
from handlers.progress import report
from handlers.replace import publish_at, require_as_seen, set_aside
from handlers.seal import changed, counted_table, require_nothing_beside, require_released, required_seal
from handlers.seek_table import SeekableError, require_right_table
from handlers.seekable import compress_file, read_back
from handlers.strangers import is_strange
from handlers.unpack import unpack_file

Write = Callable[[Path], None]
"""Writes a proven copy to a new file, durable on return."""


class Repairs(NamedTuple):
    """What was replaced, and what has to be recorded because of it."""

    made: tuple[Repair, ...]
    signature: Signature | None
    """Of the database in the root, if it was replaced."""
    packed: Found | None
    """The .zst whose bytes all of them have now; None: none of them had to be replaced."""


def repair(job: Job, judged: list[Found], spares: list[Found]) -> Repairs:
    """Make every copy in ``judged`` a good one. At least one of all of them has to be usable."""
    every = [*judged, *spares]
    raw, packed = _best(every, packed=False), _best(every, packed=True)
    zsts = [each for each in judged if each.place.packed]
    made: list[Repair] = []
    if packed is None and zsts and raw is not None:
        made.append(_replace(job, zsts[0], raw, _packing(job, raw)))
        packed = _just_written(zsts[0])
    if packed is not None:
        other = [each for each in zsts if each.place != packed.place and each.sha256 != packed.sha256]
        made.extend(_replace(job, each, packed, _copying(packed)) for each in other)
    bad = [each for each in judged if each.copy.problem and not each.place.packed]
    made.extend(_replace(job, each, *_raw_from(job, raw, packed)) for each in bad)
    root = Path(job.paths.database)
    replaced = str(root) in {each.path for each in made}
    return Repairs(tuple(made), signature_of(root) if replaced else None, packed if zsts else None)


def require_writer_away(path: Path, sealed: Sealed) -> None:
    """StepError unless the database in the root, if there is one, is still nobody's but ours.

    BUSY if it is held for writing, CHANGED if it was written to. What the writer added is in no
    other copy: it must never be repaired away.
    """
    require_nothing_beside(path)
    if signature_of(path) is not None:
        require_released(path)
        if signature_of(path) != sealed.signature:
            raise changed(path)


def keep_access(temp: Path, like: Path) -> None:
    """Who could read and write a file can do so with what takes its place."""
    old, new = like.lstat(), temp.lstat()
    temp.chmod(stat.S_IMODE(old.st_mode) & 0o777)
    if os.geteuid() == 0 and (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        os.chown(temp, old.st_uid, old.st_gid, follow_symlinks=False)


def _best(found: list[Found], *, packed: bool) -> Found | None:
    """What to copy from: what is as recorded rather than what only has the same content."""
    usable = [each for each in found if each.usable and each.place.packed == packed]
    return min(usable, key=lambda each: bool(each.copy.problem), default=None)


def _just_written(found: Found) -> Found:
    """The .zst that was made anew: it has been read back a moment ago."""
    written = read_back(found.place.path)
    copy = Copy(found.copy.path, written.compressed_bytes)
    return Found(found.place, copy, written.compressed_sha256)


def _replace(job: Job, bad: Found, source: Found, write: Write) -> Repair:
    target = bad.place.path
    make_directories(target.parent)
    require_space(target.parent, _needed(job, bad, source))
    with temporary(target) as temp:
        write(temp)
        if bad.seen is not None:
            keep_access(temp, target)
        elif str(target) == job.paths.database:
            share_owner(temp)
        aside = _publish(job, temp, bad)
    problem = f"{bad.copy.problem}; it is kept as {aside}" if aside else bad.copy.problem
    return Repair(str(target), problem, str(source.place.path))


def _needed(job: Job, bad: Found, source: Found) -> int:
    sealed = required_seal(job)
    if not bad.place.packed:
        return sealed.size_bytes
    return source.copy.size_bytes if source.place.packed else sealed.size_bytes // 3


def _publish(job: Job, temp: Path, bad: Found) -> Path | None:
    """Give the replacement its name; returns the new path of what had to be set aside, if anything."""
    target, aside = bad.place.path, None
    if str(target) == job.paths.database:
        require_writer_away(target, required_seal(job))
    else:
        if not bad.place.packed:
            require_untouched(target)
            _require_no_more_ticks(job, target)
        aside = _set_aside(job, bad)
    publish_at(temp, target, bad.seen)
    return aside


def _set_aside(job: Job, bad: Found) -> Path | None:
    target = bad.place.path
    if bad.seen is None or not is_strange(job, target, packed=bad.place.packed):
        return None
    digest = sha256_of(target)
    require_as_seen(target, bad.seen)
    return set_aside(target, digest)


def _raw_from(job: Job, raw: Found | None, packed: Found | None) -> tuple[Found, Write]:
    if raw is not None:
        return raw, _copying(raw)
    assert packed is not None, "the caller has seen to it that one is usable"
    return packed, _unpacking(job, packed)


def _copying(source: Found) -> Write:
    def write(temp: Path) -> None:
        _require_same(source, copy_hashed(source.place.path, temp, report), source.sha256)
        require_reads_back(temp, source.sha256)

    return write


def _unpacking(job: Job, source: Found) -> Write:
    def write(temp: Path) -> None:
        sealed = required_seal(job)
        path, threads, most = source.place.path, job.options.threads, sealed.size_bytes
        digest = unpack_file(path, temp, threads=threads, report=report, most_bytes=most)
        _require_same(source, digest, sealed.sha256)
        require_reads_back(temp, sealed.sha256)

    return write


def _packing(job: Job, source: Found) -> Write:
    def write(temp: Path) -> None:
        options = job.options
        written = compress_file(
            source.place.path,
            temp,
            level=options.level,
            frame_bytes=options.frame_bytes,
            threads=options.threads,
            report=report,
        )
        _require_same(source, written.content_sha256, required_seal(job).sha256)
        require_reads_back(temp, written.compressed_sha256)
        _require_unpacks(temp, written.content_sha256)

    return write


def _require_unpacks(temp: Path, digest: str) -> None:
    try:
        require_right_table(temp)
        if read_back(temp).content_sha256 == digest:
            return
        problem = "it holds something else"
    except SeekableError as error:
        problem = str(error)
    raise StepError(
        f"what was written to {temp.parent} does not unpack to what it was made from",
        hint="the disk or the memory may be failing: check the kernel log",
        problems=(problem,),
    )


def _require_same(source: Found, digest: str, proven: str) -> None:
    if digest != proven:
        raise StepError(
            f"{source.place.path} was good a moment ago and reads differently now",
            hint="the disk or the memory may be failing: check the kernel log",
            problems=(f"before {proven}, now {digest}",),
        )


def _require_no_more_ticks(job: Job, target: Path) -> None:
    """A sound backup with more ticks than were sealed did not rot: somebody wrote into it."""
    try:
        there = database.examine_copy(target, counted_table(job)).ticks
    except (StepError, apsw.Error):
        return  # absent, or no sound database
    sealed = required_seal(job).ticks
    if there > sealed:
        raise StepError(
            f"the backup {target} has {there} ticks, what would replace it only {sealed}",
            hint="find out which is right before either is overwritten; move the wrong one away",
            trouble=Trouble.CONFLICT,
            retryable=False,
        )
