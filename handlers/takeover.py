"""Taking over: a new file takes the place of a database, unless its writer comes back at that moment.

A writer that opened the database just before it lost its name would go on writing into a file that
nobody finds. So that file keeps another name, which nothing sweeps away, for as long as such a
writer takes to show up. The name says what the file was: so it is seen, also after a crash, whether
it has been written to.
"""

from __future__ import annotations

from contextlib import suppress
from glob import escape
from pathlib import Path

from handlers.contract import Sealed, Signature, StepError, Trouble
from handlers.files import fsync_directory, link_new, publish_over, signature_of, temporary
from handlers.holders import held_for_writing
from handlers.repair import require_writer_away
from handlers.retire import wait
from handlers.seal import busy


def take_over(temp: Path, path: Path, taken: Sealed, quiet_seconds: float, done: str) -> None:
    """Put the proven file ``temp`` in the place of the database ``path``, which is what ``taken`` says.

    ``done``: what was done to the database, for the errors. StepError BUSY or CHANGED, with the
    database under its name, if its writer is back; CONFLICT if both files have been written to.
    """
    old = _replaced_path(path, taken.signature)
    link_new(path, old)
    try:
        require_writer_away(path, taken)
        fsync_directory(path.parent)
        ours = signature_of(temp)
        publish_over(temp, path)
        wait(quiet_seconds)
    except BaseException:
        with suppress(FileNotFoundError):
            if path.samefile(old):  # else it is looked at by `finish_takeover`
                old.unlink()
        raise
    if held_for_writing(old) or signature_of(old) != taken.signature:
        _give_back(path, old, ours, done)
        raise busy(path, f"was opened for writing while it was being {done}", _unnamed(path))
    old.unlink()
    fsync_directory(path.parent)


def finish_takeover(path: Path) -> None:
    """Remove what an interrupted takeover of ``path`` left, unless a writer is, or was, at it.

    StepError BUSY while somebody has it open for writing; CONFLICT, with it beside the database
    under another name, if it has been written to.
    """
    for old in path.parent.glob(f".{escape(path.name)}.*.replaced"):
        if signature_of(path) is None:
            link_new(old, path)
        elif not path.samefile(old):
            if held_for_writing(old):
                raise busy(path, "was opened for writing while it was being replaced", _unnamed(path), old)
            seen = signature_of(old)
            if seen is None or old != _replaced_path(path, seen):
                _put_aside(path, old, "replaced")
        old.unlink()
        fsync_directory(path.parent)


def _replaced_path(path: Path, signature: Signature) -> Path:
    return path.with_name(f".{path.name}.{signature.size_bytes}-{signature.mtime_ns}.replaced")


def _unnamed(path: Path) -> Path:
    """What /proc calls the file that had a name before another one took it."""
    return path.with_name(f"{path.name} (deleted)")


def _give_back(path: Path, old: Path, ours: Signature | None, done: str) -> None:
    """Let the database have its name again: what took its place is made anew from it.

    Unless that has been written to as well. It keeps a second name until that is certain, because a
    writer may come to it at any moment before it loses its first.
    """
    if signature_of(path) != ours or held_for_writing(path):
        _put_aside(path, old, done)
    with temporary(path) as new:
        link_new(path, new)
        old.replace(path)
        fsync_directory(path.parent)
        if held_for_writing(new) or signature_of(new) != ours:
            _put_aside(path, new, done)


def _put_aside(path: Path, old: Path, done: str) -> None:
    """Two files of the day have been written to: keep both, under names that people see. Raises."""
    aside = path.with_name(f"{path.name}.aside-inode-{old.stat().st_ino}")
    if not (aside.exists() and aside.samefile(old)):  # an interrupted run may have given the name
        link_new(old, aside)
    fsync_directory(path.parent)
    old.unlink()
    fsync_directory(path.parent)
    raise StepError(
        f"{path} was written to before and after it was {done}, as two files",
        hint=f"once its writers have left, merge {aside} by hand: it may have ticks that the other has not",
        trouble=Trouble.CONFLICT,
        retryable=False,
    )
