"""Finds out what a service is to run, for whom and where: from what was asked for, and from this machine."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from watcher.config import DEFAULT_FILE, PREFIX, load, script_variables
from watcher.errors import ConfigError
from watcher.service.program import interpreter_places, program_here
from watcher.service.target import Scope, Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watcher.settings import Settings


class Wishes(Struct, frozen=True):
    """What a person asked for; None: what this machine suggests."""

    config: Path | None = None
    scope: Scope | None = None
    user: str | None = None
    program: Path | None = None
    root: Path = Path("/")
    scheduled: bool = False


def target_for(wishes: Wishes) -> Target:
    """Raises `ConfigError` for what cannot be meant.

    The configuration is that of the file alone: a service has nothing of what is in our environment.
    """
    config = wishes.config
    if config is None and Path(DEFAULT_FILE).exists():
        config = Path(DEFAULT_FILE)
    config = config.absolute() if config is not None else None
    settings = load(config, environment={})
    scope: Scope = wishes.scope or ("system" if os.geteuid() == 0 else "user")
    user = _user(wishes, scope, settings)
    return Target(
        program=(str(_program(wishes)),),
        config=config,
        directory=config.parent if config is not None else Path.cwd(),
        settings=settings,
        scope=scope,
        user=user,
        home=_home(user),
        root=wishes.root.absolute(),
        reads=interpreter_places() if wishes.program is None else (),
        scheduled=wishes.scheduled,
    )


def left_behind(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """What is set here, and will not be for the service: a sentence."""
    names = [name for name in sorted(environment) if name.startswith(PREFIX)]
    names += [line.partition("=")[0] for line in script_variables(environment)]
    if not names:
        return ()
    return (
        f"the service does not see {', '.join(dict.fromkeys(names))}: put that into the configuration file",
    )


def _program(wishes: Wishes) -> Path:
    if wishes.program is None:
        return program_here()
    if not wishes.program.is_absolute():
        raise ConfigError(f"--program {wishes.program}: name it from /")
    return wishes.program


def _user(wishes: Wishes, scope: Scope, settings: Settings) -> str:
    caller = _name_of(os.geteuid())
    if scope == "user":
        if wishes.user not in (None, caller):
            raise ConfigError(f"--as {wishes.user}: a user's own service runs as that user; call it as them")
        return caller
    if wishes.user is not None:
        return wishes.user
    try:
        return _name_of(Path(settings.data.root).stat().st_uid)
    except OSError:
        return caller


def _name_of(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        raise ConfigError(f"the user {number} has no name on this machine: name one with --as") from None


def _home(user: str) -> Path:
    try:
        return Path(pwd.getpwnam(user).pw_dir)
    except KeyError:
        return Path("/home") / user
