"""Whose a service is: the users of this machine, or those of the image that it is put into."""

from __future__ import annotations

import os
import pwd
import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from watcher.errors import ConfigError
from watcher.service.target import Target
from watcher.settings import TOPS

_USERS = "etc/passwd"
_NAME = re.compile(r"[^\s:/%]+")
_ROOT = Path("/")


class User(NamedTuple):
    """A user, as far as a service has to know."""

    name: str
    number: int
    group: int
    home: Path


def user_named(name: str, root: Path = _ROOT) -> User | None:
    """None: there is none. An image without users of its own will have those of this machine."""
    if (users := _of_image(root)) is not None:
        return next((user for user in users if user.name == name), None)
    try:
        found = pwd.getpwnam(name)
    except (KeyError, ValueError):
        return None
    return User(found.pw_name, found.pw_uid, found.pw_gid, Path(found.pw_dir))


def user_numbered(number: int, root: Path = _ROOT) -> User | None:
    """None: there is none."""
    if (users := _of_image(root)) is not None:
        return next((user for user in users if user.number == number), None)
    try:
        found = pwd.getpwuid(number)
    except KeyError:
        return None
    return User(found.pw_name, found.pw_uid, found.pw_gid, Path(found.pw_dir))


def home_of(name: str, root: Path = _ROOT) -> Path:
    """Where it usually is, if nobody knows."""
    found = user_named(name, root)
    return found.home if found is not None else Path("/home") / name


def require_known(target: Target) -> None:
    """Raise `ConfigError` for what is no name, and for a user who is not here."""
    if not _NAME.fullmatch(target.user):
        raise ConfigError(f"--as {target.user!r}: that is no name of a user")
    if target.is_this_machine and user_named(target.user) is None:
        raise ConfigError(f"--as {target.user}: there is no such user here; make it, or name another")


def note_on(target: Target) -> tuple[str, ...]:
    """A sentence where there is no such user (yet)."""
    if user_named(target.user, target.root) is not None:
        return ()
    if target.is_this_machine:
        return (f"there is no user {target.user} here",)
    where = "on this machine" if _of_image(target.root) is None else f"in {target.root / _USERS}"
    given = " ".join(dict.fromkeys(getattr(target.settings.data, top) for top in TOPS))
    return (
        f"there is no user {target.user} {where}: make it on that machine, "
        f"and give it the directories there (`chown {target.user} {given}`)",
    )


def owner_of(target: Target) -> tuple[int, int] | None:
    """Whose its directories are to be; None: whoever installs. Raises `ConfigError`."""
    if os.geteuid() != 0 or target.user == "root":
        return None
    found = user_named(target.user, target.root)
    if found is None:
        require_known(target)
        return None  # an image will have users that are not here
    return found.number, found.group


def _of_image(root: Path) -> list[User] | None:
    """None: it has no users of its own, or is this machine."""
    if root == _ROOT:
        return None
    try:
        lines = (root / _USERS).read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    users = []
    for line in lines:
        with suppress(ValueError):  # a comment, or a reference to users elsewhere
            name, _, number, group, _, home, _ = line.split(":")
            users.append(User(name, int(number), int(group), Path(home)))
    return users
