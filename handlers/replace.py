"""What to do about a name that is taken: judge the file that has it, set it aside, or replace it.

Nothing is replaced that was not looked at, and nothing that changed since it was looked at.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from handlers.contract import Signature, StepError, Trouble
from handlers.files import (
    fsync_directory,
    link_new,
    make_durable,
    publish_new,
    publish_over,
    sha256_of,
    signature_of,
)
from handlers.holders import held_for_writing
from handlers.seal import busy, require_nothing_beside


def publish_at(temp: Path, target: Path, seen: Signature | None) -> None:
    """Give ``temp`` its name: a new one, or that of the file which had the signature ``seen``.

    StepError (retryable) if another file has the name by now; that one is left alone.
    """
    require_as_seen(target, seen)
    if seen is not None:
        publish_over(temp, target)
        return
    try:
        publish_new(temp, target)
    except FileExistsError as error:
        raise _taken(target) from error


def require_as_seen(path: Path, seen: Signature | None) -> None:
    """StepError (retryable) unless ``path`` still is the file that was looked at; None: no file."""
    if signature_of(path) != seen:
        raise _taken(path)


def require_regular(path: Path) -> None:
    """StepError CONFLICT if a directory, a link or a device bears the name."""
    if not is_regular_or_absent(path):
        raise StepError(
            f"{path} is not a regular file",
            hint="move it away: it is neither followed nor replaced",
            trouble=Trouble.CONFLICT,
            retryable=False,
        )


def is_regular_or_absent(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return True


def set_aside(path: Path, digest: str) -> Path:
    """Give a file a second name beside it, durably; its first is left for another to take over.

    ``digest`` is the SHA-256 of its content: a file that has been set aside already suffices.
    """
    for aside in _names_aside(path, digest):
        try:
            link_new(path, aside)
        except FileExistsError:
            if not is_regular_or_absent(aside) or sha256_of(aside) != digest:
                continue
        break
    make_durable(aside)
    return aside


def move_aside(path: Path) -> Path:
    """Give a database another name beside it, durably, and take its own from it.

    StepError BUSY or CHANGED, with the database under its own name, if somebody has it open for
    writing or left a log beside it: also if they came at the last moment.
    """
    if held_for_writing(path):
        raise busy(path, "is open for writing")
    aside = _link_aside(path)
    path.unlink()
    fsync_directory(path.parent)
    try:
        if held_for_writing(aside):  # nobody can open it by its own name any more
            gone = path.with_name(f"{path.name} (deleted)")  # what /proc calls it now
            raise busy(path, "was opened for writing while it was put aside", gone)
        require_nothing_beside(path)
    except BaseException:
        link_new(aside, path)
        aside.unlink()
        fsync_directory(path.parent)
        raise
    return aside


def _link_aside(path: Path) -> Path:
    """A second name for this very file, not for one that is equal: a writer may have it open."""
    for aside in _names_aside(path, sha256_of(path)):
        try:
            link_new(path, aside)
        except FileExistsError:
            if aside.lstat().st_ino != path.lstat().st_ino:
                continue  # else an interrupted run gave it
        break
    make_durable(aside)
    return aside


def _names_aside(path: Path, digest: str) -> Iterator[Path]:
    first = path.with_name(f"{path.name}.aside-{digest[:12]}")
    yield first
    number = 2
    while True:
        yield first.with_name(f"{first.name}-{number}")
        number += 1


def _taken(path: Path) -> StepError:
    return StepError(
        f"{path} was changed while what would take its name was written",
        hint=f"it is tried again; find out what else writes into {path.parent}",
    )
