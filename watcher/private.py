"""What is ours alone: files and directories that no other user of this machine may touch."""

from __future__ import annotations

import os
import pwd
import shlex
import stat
from pathlib import Path

ANY = 0o077
"""Every permission of the group and of others."""
WRITING = 0o022
"""Their permission to write."""


def ours() -> frozenset[int]:
    """This process's user, and root, who may do everything anyway."""
    return frozenset({os.geteuid(), 0})


def problem_with(path: Path, status: os.stat_result, denied: int, owners: frozenset[int]) -> str | None:
    """Who else may touch it, and the remedy, in one sentence; None if nobody may.

    Args:
        status: of the file or directory as it is open, or as it was found.
        denied: the permissions that the group and others must not have.
        owners: the users that it may belong to.
    """
    name = shlex.quote(str(path))
    if status.st_uid not in owners:
        return (
            f"{path} belongs to {_user(status.st_uid)}, who may do with it as they please: "
            f"as root run `chown {_user(os.geteuid())} {name}`, or name one of your own"
        )
    if not status.st_mode & denied:
        return None
    if denied == WRITING:
        return f"{path} can be written to by other users: run `chmod go-w {name}`"
    mode = "700" if stat.S_ISDIR(status.st_mode) else "600"
    return f"{path} is open to other users: run `chmod {mode} {name}`, or name one of your own"


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
