"""What the daemon has to reach, by its settings: where it writes, and whom it talks to. PURE."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from watcher.endpoint import IPC, host_and_port, problem_with_local
from watcher.hooks.bound import bound
from watcher.service.target import Target
from watcher.settings import TOPS, Settings

_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 (known, not used)
_RUN = Path("/run")
_RUN_OF_OLD = Path("/var/run")
"""On every Linux a link to ``/run``."""


def folders(target: Target, *, run_is_made: bool = True) -> tuple[Path, ...]:
    """The directories that it writes into; those below ``/run`` only if nobody makes them at each start."""
    settings = target.settings
    named = [getattr(settings.data, key) for key in TOPS]
    if settings.events.curve:
        named.append(settings.events.keys)
    if settings.log.file:
        named.append(str(Path(settings.log.file).parent))
    sockets = _socket_folders(settings)
    if run_is_made:
        sockets = [folder for folder in map(_renamed, sockets) if not _is_made(folder)]
    return tuple(dict.fromkeys([*map(Path, named), *sockets]))


def private_folders(settings: Settings) -> tuple[Path, ...]:
    """Those that must be nobody else's: where keys and sockets are."""
    sockets = _socket_folders(settings)
    return tuple(dict.fromkeys([Path(settings.events.keys), *sockets, *map(_renamed, sockets)]))


def written(target: Target) -> tuple[Path, ...]:
    """The same directories, none of them within another, with symbolic links resolved."""
    here = target.is_this_machine
    unique = dict.fromkeys(Path(os.path.realpath(each)) if here else each for each in folders(target))
    return tuple(one for one in unique if not any(other in one.parents for other in unique))


def runtime_directories(settings: Settings) -> tuple[str, ...]:
    """The directories of sockets below ``/run``, which is empty at each start of the machine: their names."""
    sockets = map(_renamed, _socket_folders(settings))
    made = dict.fromkeys(folder for folder in sockets if _is_made(folder))
    return tuple(str(folder.relative_to(_RUN)) for folder in made)


def in_homes(target: Target) -> tuple[Path, ...]:
    """What it has to reach of people's homes."""
    return _within(_HOMES, target)


def in_temporary(target: Target) -> tuple[Path, ...]:
    """What it has to reach of the directories that everybody shares."""
    return _within(_TEMPORARY, target)


def runs_commands(settings: Settings) -> bool:
    """Whether hooks run commands of a person: nobody knows what those need."""
    return any(not hook.is_webhook for hook in bound(settings))


def talks_to_others(settings: Settings) -> bool:
    """Whether it may have to reach, or to hear, another machine."""
    tcp = (each for each in (settings.events.publish, settings.events.replay) if not each.startswith(IPC))
    return bool(settings.hooks) or any(problem_with_local(each.removeprefix("tcp://")) for each in tcp)


def names_interfaces(settings: Settings) -> bool:
    """Whether an address is the name of a network interface: the kernel is asked for those by netlink."""
    tcp = (each for each in (settings.events.publish, settings.events.replay) if not each.startswith(IPC))
    hosts = (host_and_port(each.removeprefix("tcp://"))[0] for each in tcp)
    return any(
        host not in ("*", "localhost") and not set(host) <= set("0123456789abcdef.:") for host in hosts
    )


def _socket_folders(settings: Settings) -> list[Path]:
    endpoints = (settings.events.publish, settings.events.replay)
    paths = (each.removeprefix(IPC) for each in endpoints if each.startswith(IPC))
    return [Path(path).parent for path in paths if not path.startswith("@")]


def _renamed(folder: Path) -> Path:
    return _RUN / folder.relative_to(_RUN_OF_OLD) if folder.is_relative_to(_RUN_OF_OLD) else folder


def _is_made(folder: Path) -> bool:
    return _RUN in folder.parents and folder.parts[:3] != ("/", "run", "user")


def _within(places: Iterable[Path], target: Target) -> tuple[Path, ...]:
    settings = target.settings
    schemas = (Path(each.schema) for each in settings.data.streams.values() if each.schema)
    config = [target.config] if target.config is not None else []
    program = [Path(word) for word in target.program if word.startswith("/")]
    needed = dict.fromkeys([*written(target), target.directory, *config, *program, *target.reads, *schemas])
    return tuple(path for path in needed if any(path.is_relative_to(place) for place in places))
