"""Verify: read every copy of a sealed day again; replace what has rotted while a good copy is left.

The writer's file comes first: a database that was written to since it was sealed is no bad copy,
it is newer than all of them, and then nothing is touched. Nor is a file where no copy has to be and
which is none: it is somebody's. Where no good copy is left, nothing is thrown away either: what is
there is kept under names that nobody takes for a copy, and the loss is said as loudly as can be.
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import structs

from handlers.backup import require_untouched
from handlers.contract import Job, Lost, Repaired, Sealed, Signature, StepError, Trouble, Verified
from handlers.copies import MISSING, Found, Place, look_at_all, places_of, spares_of
from handlers.files import filesystem_of, fsync_directory, link_new, sha256_of, signature_of
from handlers.pace import Pace
from handlers.repair import Repairs, repair, require_writer_away
from handlers.retire import restore_retired
from handlers.seal import required_seal

_QUARANTINED = ".quarantined"
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def verify(job: Job) -> Verified | Repaired | Lost:
    """Compare every copy with what was recorded, and repair what can be. Finishes an interrupted run.

    StepError BUSY or CHANGED if the writer has come back to the database; CONFLICT if somebody
    wrote into a backup, or if all copies are good but another file is where one could be. What was
    found bad by then is among its problems.
    """
    sealed = required_seal(job)
    recorded = sealed.signature
    database = Path(job.paths.database)
    restore_retired(database)
    sealed = _as_it_is(database, sealed)
    job = structs.replace(job, sealed=sealed)
    places = places_of(job)
    _require_own_backup(job, places)
    pace = Pace(job.options.bytes_per_second, _total_bytes(places))
    found: list[Found] = []
    with _naming_the_bad(found):
        look_at_all(job, places, pace, found)
        strangers = [each for each in found if _is_stranger(each, database)]
        ours = [each for each in found if each not in strangers]
        if not any(each.copy.problem for each in ours):
            return _sound(job, recorded, found, strangers, pace)
        require_writer_away(database, sealed)
        spares = [] if any(each.usable for each in ours) else _spares(job, pace)
        if not any(each.usable for each in (*ours, *spares)):
            return _lost(job, ours, [*strangers, *spares])
        return _repaired(job, recorded, found, repair(job, ours, spares), pace)


def _as_it_is(database: Path, sealed: Sealed) -> Sealed:
    """The seal, with the signature of the database as it is now.

    An interrupted repair (or restore) left another file than was recorded, but with the sealed
    content: that one was not written to. Any other was.
    """
    now = signature_of(database)
    if now is not None and now != sealed.signature and now.size_bytes == sealed.size_bytes:
        current = structs.replace(sealed, signature=now)
        require_writer_away(database, current)
        if sha256_of(database) == sealed.sha256:
            sealed = current
    require_writer_away(database, sealed)
    return sealed


def _is_stranger(found: Found, database: Path) -> bool:
    """What need not be there and is not the day: nothing says that it ever was a copy of ours.

    Of a database in the root its signature does; one with another is the writer's.
    """
    is_bad = bool(found.copy.problem) and not found.usable
    return is_bad and not found.place.expected and found.place.path != database


def _require_own_backup(job: Job, places: tuple[Place, ...]) -> None:
    """Ticks beside the uncompressed backup are somebody's; without such a backup they do not matter."""
    backup = Path(job.paths.backup)
    wanted = any(place.path == backup and place.expected for place in places)
    if wanted or signature_of(backup) is not None:
        require_untouched(backup)


def _total_bytes(places: tuple[Place, ...]) -> int:
    signatures = (signature_of(place.path) for place in places)
    return sum(each.size_bytes for each in signatures if each is not None)


def _spares(job: Job, pace: Pace) -> list[Found]:
    found: list[Found] = []
    look_at_all(job, spares_of(job), pace, found)
    return found


def _sound(
    job: Job, recorded: Signature, found: list[Found], strangers: list[Found], pace: Pace
) -> Verified | Repaired:
    sealed, copies = required_seal(job), tuple(each.copy for each in found)
    if sealed.signature != recorded:  # also beside a stranger: it has to be recorded
        return Repaired(sealed.sha256, copies, (), pace.bytes_read, signature=sealed.signature)
    if strangers:
        raise _conflict(job, strangers[0])
    return Verified(sealed.sha256, copies, pace.bytes_read)


def _conflict(job: Job, stranger: Found) -> StepError:
    return StepError(
        f"{stranger.copy.path} is where a copy of {job.key} could be, and is none",
        hint="the copies of the day are good without it, but it may hold ticks that are nowhere else:"
        " find out what it is, and move it away",
        trouble=Trouble.CONFLICT,
        retryable=False,
    )


def _repaired(job: Job, recorded: Signature, found: list[Found], repairs: Repairs, pace: Pace) -> Repaired:
    sealed, packed, now = required_seal(job), job.compressed, repairs.packed
    if now is not None and packed is not None and now.sha256 == packed.compressed_sha256:
        now = None
    signature = repairs.signature or sealed.signature
    return Repaired(
        sha256=sealed.sha256,
        copies=tuple(each.copy for each in found),
        repairs=repairs.made,
        bytes_read=pace.bytes_read,
        signature=signature if signature != recorded else None,
        compressed_sha256=now.sha256 if now else "",
        compressed_bytes=now.copy.size_bytes if now else 0,
    )


def _lost(job: Job, found: list[Found], others: list[Found]) -> Lost:
    """Put the bad copies where nobody takes them for good ones, and say that there is no other."""
    _require_places(found)
    sealed = required_seal(job)
    quarantined = [path for each in found for path in _quarantine(each.place.path)]
    first = found[0].copy.path
    return Lost(
        sha256=sealed.sha256,
        ticks=sealed.ticks,
        copies=tuple(each.copy for each in (*found, *others)),
        quarantined=tuple(map(str, quarantined)),
        error=f"{job.key} is LOST: no good copy of its {sealed.ticks:,} ticks is left",
        hint=f"look for a copy on tapes, snapshots and other machines, put it back as {first}, and run"
        f" `tickward verify {job.key}`, then `tickward restore {job.key}` to read it; the damaged"
        f" files are kept as *{_QUARANTINED}: parts of them may be recovered",
    )


def _require_places(found: list[Found]) -> None:
    """A copy whose directory is not there may be whole, on a disk that is not mounted."""
    for each in found:
        directory = each.place.path.parent
        if each.copy.problem == MISSING and not directory.is_dir():
            raise StepError(
                f"cannot tell whether there is a copy in {directory}: there is no such directory",
                hint="mount what belongs there; if it really is gone, make the directory, empty",
            )


def _quarantine(path: Path) -> list[Path]:
    """Give a bad copy another name beside it, if it is there; every such name that there is now."""
    names = (path.with_name(f"{path.name}{_QUARANTINED}{suffix}") for suffix in _suffixes())
    kept = []
    for aside in names:
        if signature_of(path) is not None and _is_called(path, aside):
            fsync_directory(path.parent)
            path.unlink()
            fsync_directory(path.parent)
        if signature_of(aside) is None:
            break
        kept.append(aside)
    return kept


def _suffixes() -> Iterator[str]:
    yield ""
    yield from (f"-{number}" for number in itertools.count(2))


def _is_called(path: Path, aside: Path) -> bool:
    """Whether the file now bears this name too; not if another does."""
    try:
        link_new(path, aside)
    except FileExistsError:
        return aside.lstat().st_ino == path.lstat().st_ino  # an interrupted run came so far
    return True


@contextmanager
def _naming_the_bad(found: list[Found]) -> Iterator[None]:
    """Whatever goes wrong from here on, what was found bad by then is said with it."""
    try:
        yield
    except (OSError, StepError) as error:
        bad = [each.copy for each in found if each.copy.problem]
        if not bad:
            raise
        problems = tuple(f"{copy.path} {copy.problem}" for copy in bad)
        if isinstance(error, OSError):
            raise _not_repaired(error, Path(bad[0].path), problems) from error
        raise StepError(
            error.message,
            hint=error.hint,
            trouble=error.trouble,
            retryable=error.retryable,
            holders=error.holders,
            problems=(*problems, *error.problems),
        ) from error


def _not_repaired(error: OSError, bad: Path, problems: tuple[str, ...]) -> StepError:
    where = Path(str(error.filename)) if error.filename else bad
    free = f"free space on {filesystem_of(where)} (or raise the quota or file size limit)"
    check = f"check the owner, the mode and the disk of {where}"
    return StepError(
        f"copies are bad and were not repaired: {error}",
        hint=free if error.errno in _NO_SPACE else check,
        problems=problems,
    )
