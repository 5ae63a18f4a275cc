"""Retire: remove the uncompressed original once its content is safe elsewhere.

The danger is a late writer: what it writes into an unlinked file is acknowledged and gone. So the
original loses its name first, which nobody can open any more, and only then is it proven that
nobody has it open for writing and that it still is what was sealed. If not, it gets its name back.

Whoever opens the name meanwhile makes a database of their own: that one is not the original, and is
no reason to keep what is proven to be safe elsewhere. It stays, for a merge.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from handlers.contract import Sealed, StepError, Trouble
from handlers.database import has_content, sidecar
from handlers.files import SIDECARS, fsync_directory, sha256_of, signature_of
from handlers.holders import held_for_writing, holders_of
from handlers.seal import (
    busy,
    changed,
    require_nothing_beside,
    require_released,
    require_sealed_content,
    require_sealed_state,
)

_SUFFIX = ".retired"


def retired_path(path: Path) -> Path:
    """What a database is called while it is being retired: `.{name}.retired`, beside it."""
    return path.with_name(f".{path.name}{_SUFFIX}")


def is_retired(name: str) -> bool:
    """Whether a file name is that of a database being retired: never a temporary to sweep."""
    return name.startswith(".") and name.endswith(_SUFFIX)


def restore_retired(path: Path) -> None:
    """Give back its name to a database whose retirement was interrupted, if there is one.

    StepError CONFLICT if another file has taken the name: neither is touched.
    """
    retired = retired_path(path)
    if signature_of(retired) is None:
        return
    try:
        path.hardlink_to(retired)
    except FileExistsError as error:
        if not path.samefile(retired):
            raise _created_anew(path) from error
    fsync_directory(path.parent)
    retired.unlink()
    fsync_directory(path.parent)


def is_created_anew(path: Path) -> bool:
    """Whether another file has taken the name of a database whose retirement was interrupted."""
    retired, there = signature_of(retired_path(path)), signature_of(path)
    return retired is not None and there is not None and retired.inode != there.inode


def finish_retirement(path: Path, sealed: Sealed) -> None:
    """Remove a retired original, verified elsewhere by the caller, though another file has its name.

    StepError CONFLICT if it is held for writing or is not what was sealed: then neither is touched.
    """
    retired = retired_path(path)
    seen = signature_of(retired)
    if held_for_writing(retired) or sha256_of(retired) != sealed.sha256 or signature_of(retired) != seen:
        raise _created_anew(path)
    retired.unlink()
    fsync_directory(path.parent)


def retire(path: Path, sealed: Sealed, quiet_seconds: float) -> None:
    """Remove the database ``path``, whose content the caller has just verified elsewhere.

    A new database that takes the name meanwhile is left alone. StepError BUSY, CHANGED or CORRUPT,
    with the original under its own name again, if it is not what was sealed or somebody has it open
    for writing; CONFLICT, with both as they are, if it then cannot have its name back.
    """
    require_released(path)
    require_sealed_state(path, sealed)
    retired = retired_path(path)
    path.rename(retired)
    try:
        wait(quiet_seconds)
        _require_proof(path, retired, sealed)
        retired.unlink()
    except BaseException:
        restore_retired(path)
        raise
    fsync_directory(path.parent)
    _remove_empty_sidecars(path)


def wait(seconds: float) -> None:
    """Time for an open() that began before the rename to show up."""
    time.sleep(seconds)


def _require_proof(path: Path, retired: Path, sealed: Sealed) -> None:
    if held_for_writing(retired):
        raise busy(path, "was opened for writing while it was being retired", retired)
    _require_no_log(path)
    require_sealed_content(retired, sha256_of(retired), sealed)
    # Last: this also covers the time the reading took.
    if signature_of(retired) != sealed.signature:
        raise changed(path)


def _require_no_log(path: Path) -> None:
    """StepError CHANGED if there is a log beside the name, unless it is that of a new database.

    SQLite makes the database first, so that is looked for last. A log of the original that held a
    commit would have changed the original: it is in rollback mode, sealed.
    """
    try:
        require_nothing_beside(path)
    except StepError:
        if signature_of(path) is None:
            raise


def _created_anew(path: Path) -> StepError:
    return StepError(
        f"{path} was created anew while {retired_path(path)} was being retired",
        hint="both may hold ticks: merge them by hand, then remove the retired one",
        trouble=Trouble.CONFLICT,
        retryable=False,
    )


def _remove_empty_sidecars(path: Path) -> None:
    """What is left beside a name that is gone; anything with content or in use stays."""
    for suffix in SIDECARS:
        left = sidecar(path, suffix)
        with suppress(OSError):  # untidy, not unsafe
            useless = suffix == "-shm" or not has_content(path, suffix)
            in_use = signature_of(path) is not None or held_for_writing(left) or holders_of([path])
            if useless and not in_use:
                left.unlink()
