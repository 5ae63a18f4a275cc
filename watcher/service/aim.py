"""Finds out what a service is to run, for whom and where: from what was asked for, and from this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from watcher.config import DEFAULT_FILE, PREFIX, load, script_variables
from watcher.endpoint import IPC
from watcher.errors import ConfigError
from watcher.service.program import interpreter_places, program_here
from watcher.service.target import Scope, Target
from watcher.service.users import home_of, user_numbered
from watcher.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNKNOWN = Path("/usr/bin/tickward")


class Wishes(Struct, frozen=True):
    """What a person asked for; None: what this machine suggests."""

    config: Path | None = None
    scope: Scope | None = None
    user: str | None = None
    program: Path | None = None
    root: Path = Path("/")
    scheduled: bool = False
    needs_program: bool = True
    """False: what is installed may say which."""


def target_for(wishes: Wishes) -> Target:
    """Raises `ConfigError` for what cannot be meant.

    The configuration is that of the file alone: a service has nothing of what is in our environment.
    """
    root = Path(os.path.normpath(wishes.root.absolute()))
    config = wishes.config
    if config is None and Path(DEFAULT_FILE).exists():
        config = Path(DEFAULT_FILE)
    config = config.absolute() if config is not None else None
    settings = _in_image(load(config, environment={}), root)
    scope: Scope = wishes.scope or ("system" if os.geteuid() == 0 else "user")
    user = _user(wishes, scope, settings, root)
    return Target(
        program=(str(_inside(_program(wishes), root)),),
        config=_inside(config, root) if config is not None else None,
        directory=_inside(config.parent if config is not None else Path.cwd(), root),
        settings=settings,
        scope=scope,
        user=user,
        home=home_of(user, root),
        root=root,
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


def missing_in(target: Target) -> tuple[str, ...]:
    """What has to be in an image and is not there yet: a sentence each."""
    if target.is_this_machine:
        return ()
    needed = {"program": Path(target.program[0])}
    if target.config is not None:
        needed["configuration"] = target.config
    said = [
        f"the {what} has to be {path} on that machine, and is not in {target.root} yet"
        for what, path in needed.items()
        if not target.on_disk(path).exists()
    ]
    if target.config is None:
        said.append(f"without a configuration its paths are meant from {target.directory}: name one with -c")
    return tuple(said)


def _inside(path: Path, root: Path) -> Path:
    """What an image's own path is once the image is a machine."""
    return Path("/") / path.relative_to(root) if path.is_relative_to(root) else path


def _in_image(settings: Settings, root: Path) -> Settings:
    """With the paths that a configuration within an image means by where it lies."""
    if root == Path("/"):
        return settings

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: renamed(each) for key, each in value.items()}
        if not isinstance(value, str):
            return value
        scheme = IPC if value.startswith(IPC) else ""
        path = value.removeprefix(scheme)
        return f"{scheme}{_inside(Path(path), root)}" if path.startswith(f"{root}/") else value

    return msgspec.convert(renamed(msgspec.to_builtins(settings)), Settings)


def _program(wishes: Wishes) -> Path:
    if wishes.program is None:
        try:
            return program_here()
        except ConfigError:
            if wishes.needs_program:
                raise
            return _UNKNOWN
    if not wishes.program.is_absolute():
        raise ConfigError(f"--program {wishes.program}: name it from /")
    return wishes.program


def _user(wishes: Wishes, scope: Scope, settings: Settings, root: Path) -> str:
    caller = _name_of(os.geteuid())
    if scope == "user":
        if wishes.user not in (None, caller):
            raise ConfigError(f"--as {wishes.user}: a user's own service runs as that user; call it as them")
        return caller
    if wishes.user is not None:
        return wishes.user
    try:
        number = root.joinpath(settings.data.root.removeprefix("/")).stat().st_uid
    except OSError:
        return caller
    owner = user_numbered(number, root)
    return owner.name if owner is not None else _name_of(number)


def _name_of(number: int) -> str:
    found = user_numbered(number)
    if found is None:
        raise ConfigError(f"the user {number} has no name on this machine: name one with --as")
    return found.name
