"""Restore: the uncompressed database again, made from the best copy that is left.

It gets its name only once it is proven from the medium to be what was sealed. What bears the name
already gives way only by force; in the root it is kept beside. A log that SQLite would replay into
the restored database never gives way: it may hold ticks that are nowhere else.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import structs

from handlers import database
from handlers.contract import Drilled, Job, Restored, Sealed, Signature, StepError, Trouble
from handlers.database import Ticks, has_content, sidecar
from handlers.files import (
    SIDECARS,
    make_directories,
    make_durable,
    require_space,
    sha256_of,
    share_owner,
    signature_of,
    temporary,
)
from handlers.holders import held_for_writing
from handlers.recover import all_sources, first_copy, recover
from handlers.replace import move_aside, publish_at, require_as_seen, require_regular
from handlers.retire import restore_retired
from handlers.seal import busy, counted_table, require_released, required_seal


def restore(job: Job) -> Restored:
    """Make the day's database again, in its place or in a file of the caller's choice.

    Finishes an interrupted run: a file that holds just what was sealed is what was asked for.
    StepError if something else is there (BUSY if it is held for writing, also by force; CONFLICT if
    there is a log beside it), or if no copy is good (CORRUPT).
    """
    sealed, target = required_seal(job), _target(job)
    seen = signature_of(target)
    done = _restored(job, sealed, target)
    if seen is not None and _is_what_was_sealed(job, target, seen):
        make_durable(target)
        return structs.replace(done, signature=seen)
    if seen is not None:
        _require_force(job, target)
        require_released(target)
    require_space(target.parent, sealed.size_bytes)
    with temporary(target) as temp:
        made = recover(job, all_sources(job, in_tree=done.in_tree), temp)
        signature = signature_of(temp)
        assert signature is not None  # it was just read back
        aside = _publish(temp, target, seen, in_tree=done.in_tree)
    return structs.replace(
        done, source=str(made.source), rejected=made.rejected, signature=signature, set_aside=aside
    )


def drill(job: Job) -> Drilled:
    """Restore a cold day to a temporary beside ``job.restoring.target``, open it, count, remove it.

    StepError CORRUPT if it cannot be restored to what was sealed; FAILED if that has other ticks.
    """
    sealed, target = required_seal(job), Path(job.restoring.target)
    if not target.is_absolute():
        raise _refused(target, "is no place for a drill", "this is a defect: give it a full path")
    make_directories(target.parent)
    require_space(target.parent, sealed.size_bytes)
    with temporary(target) as temp:
        made = recover(job, [first_copy(job)], temp)
        _require_sealed_ticks(job, temp, sealed)
    return Drilled(str(made.source), sealed.sha256, sealed.size_bytes, sealed.ticks)


def _target(job: Job) -> Path:
    """Where to: a place that is fit to take a file, whatever is there now."""
    if job.restoring.target:
        target = Path(job.restoring.target)
        _require_callers_own(job, target)
    else:
        target = Path(job.paths.database)
        make_directories(target.parent)
        restore_retired(target)
    require_regular(target)
    _require_no_remains(target)
    return target


def _require_callers_own(job: Job, target: Path) -> None:
    """A file in a directory that exists, and that is not one of those which the daemon looks after."""
    if not target.is_absolute():
        raise _refused(target, "is not a full path", "say where it is from the root directory on")
    if not target.parent.is_dir():
        raise _refused(target, "is in a directory that does not exist", f"make {target.parent} first")
    paths = job.paths
    ours = (paths.database, paths.compressed, paths.backup, paths.backup_compressed, paths.archived)
    if target.parent.resolve() in {Path(path).parent.resolve() for path in ours}:
        raise _refused(
            target,
            "is where the copies of the day are kept",
            "restore it to another directory, or without a target to its own place",
        )
    for top in map(Path, job.options.managed):
        if _is_within(target.parent.resolve(), top):
            raise _refused(
                target,
                f"is in {top}, where it would be taken for a file of the daemon's",
                "restore it to a directory of your own, or without a target to its own place",
            )


def _is_within(directory: Path, top: Path) -> bool:
    """By what they are and not by what they are called: mounts and links have many names."""
    return top.is_dir() and any(each.samefile(top) for each in (directory, *directory.parents))


def _require_no_remains(target: Path) -> None:
    """What is left of another database of this name would be replayed into the restored one."""
    for suffix in SIDECARS:
        remains = sidecar(target, suffix)
        if suffix != "-shm" and has_content(target, suffix):
            raise StepError(
                f"{remains} may hold ticks, and would be replayed into what is restored",
                hint="move it away together with the database it belongs to; keep both",
                trouble=Trouble.CONFLICT,
                retryable=False,
            )
        if signature_of(remains) is not None and held_for_writing(remains):
            raise busy(target, f"has a {suffix} that is in use")


def _restored(job: Job, sealed: Sealed, target: Path) -> Restored:
    in_tree = not job.restoring.target
    return Restored(
        path=str(target),
        source=str(target),
        sha256=sealed.sha256,
        size_bytes=sealed.size_bytes,
        ticks=sealed.ticks,
        signature=sealed.signature,
        in_tree=in_tree,
        keep_until=job.restoring.keep_until if in_tree else None,
        set_aside="",
        rejected=(),
        by=job.by,
    )


def _is_what_was_sealed(job: Job, target: Path, seen: Signature) -> bool:
    """Whether there is nothing left to do. A database that the journal knows was not restored by us."""
    sealed, options = required_seal(job), job.restoring
    known = not options.target and seen == sealed.signature
    if (known and not options.force) or seen.size_bytes != sealed.size_bytes:
        return False
    if held_for_writing(target) or sha256_of(target) != sealed.sha256:
        return False
    require_as_seen(target, seen)
    return True


def _require_force(job: Job, target: Path) -> None:
    if not job.restoring.force:
        what = "replaces it" if job.restoring.target else "puts it aside"
        raise _refused(target, "is there already", f"--force {what}")


def _publish(temp: Path, target: Path, seen: Signature | None, *, in_tree: bool) -> str:
    """Give the restored database its name; returns the new path of what was put aside, if anything."""
    _require_no_remains(target)  # making it took its time
    if not in_tree:
        if seen is not None:
            require_released(target)
        publish_at(temp, target, seen)
        return ""
    share_owner(temp)
    aside = str(move_aside(target)) if seen is not None else ""
    publish_at(temp, target, None)
    return aside


def _require_sealed_ticks(job: Job, temp: Path, sealed: Sealed) -> None:
    """It opens, and has as many ticks. Its bytes are proven, so that other ticks are no damage to it."""
    table = counted_table(job)
    found, expected = database.examine_copy(temp, table), Ticks.of(sealed)
    if sealed.counted and found != expected:
        then = f"table {sealed.table}" if sealed.table else "a table that was not recorded"
        raise StepError(
            f"{job.key} was sealed with {sealed.ticks:,} ticks in {then}; restored, byte for byte what was"
            f" sealed, it has {found.ticks:,} in table {table}",
            hint="its content is as it was sealed: see whether the `table` of its stream in the settings is"
            " the one that it had then",
            retryable=False,
            problems=(f"sealed {expected}, restored {found}",),
        )


def _refused(target: Path, why: str, hint: str) -> StepError:
    return StepError(f"{target} {why}", hint=hint, retryable=False)
