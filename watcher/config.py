"""Configuration: a TOML file and the environment become frozen, strict settings.

Order: ``--config FILE``, else ``./config.toml``, else the defaults below; then every variable
``TICKWARD_SECTION__KEY``. An unknown key or an impossible value is refused by name. Relative paths
are meant from the directory of the configuration file, or from the working directory without one.
"""

from __future__ import annotations

import copy
import os
import tomllib
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec.structs import replace

from watcher import endpoint as addresses
from watcher.errors import ConfigError
from watcher.events import EVENTS
from watcher.settings import TOPS, HookValue, Level, Settings

PREFIX = "TICKWARD_"
DEFAULT_FILE = "config.toml"
TOLD_TO_HOOKS = tuple(
    PREFIX + name for name in ("EVENT", "ID", "SEQUENCE", "SUBJECT", "STREAM", "DAY", "PATH")
)
"""What the command of a hook finds in its environment, and is no setting: it may call tickward."""


def load(file: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the configuration. Raises `ConfigError` with a sentence that names the key.

    Args:
        file: as given by ``--config``; None looks for ``./config.toml``.
        environment: where ``TICKWARD_SECTION__KEY`` is looked up; None is the process's own.
    """
    source = file if file is not None else Path(DEFAULT_FILE)
    exists = file is not None or source.exists()
    table, name = (_read(source), str(source)) if exists else ({}, "the defaults")
    settings = _convert(table, name, _variables(os.environ if environment is None else environment))
    return _absolute(settings, source.parent if exists else Path())


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            return tomllib.load(stream)
    except FileNotFoundError:
        raise ConfigError(
            f"{file} does not exist; `tickward config init {file}` writes one with every default"
        ) from None
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None


Variable = tuple[tuple[str, ...], object, str]

_SCRIPT_VARIABLES = {
    "DAYS_BEFORE_COMPRESS": ("compress", "after_days"),
    "COMPRESSION_LEVEL": ("compress", "level"),
    "RETENTION_DAYS": ("expire", "after_days"),
}
"""What the shell scripts that people come from are told by, and the keys that these mean."""
_YES, _NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


def script_variables(environment: Mapping[str, str] | None = None) -> list[str]:
    """A sentence for each variable of shell scripts that is honoured."""
    environment = os.environ if environment is None else environment
    said = [
        f"{name}={environment[name]} is honoured as {'.'.join(path)}"
        + (f", but {own} stands above it" if (own := _own_name(path)) in environment else "")
        for name, path in _SCRIPT_VARIABLES.items()
        if environment.get(name)
    ]
    if dry_run_wanted(environment):
        said.append(f"DRY_RUN={environment['DRY_RUN']} is honoured: no day is touched")
    return said


def dry_run_wanted(environment: Mapping[str, str] | None = None) -> bool:
    """Whether ``DRY_RUN`` asks that nothing is changed. Raises `ConfigError` if it is neither yes nor no."""
    text = (os.environ if environment is None else environment).get("DRY_RUN", "")
    if text.lower() not in (*_YES, *_NO):
        raise ConfigError(f"DRY_RUN: {text!r} is neither yes nor no; set it to 1, or unset it")
    return text.lower() in _YES


def _own_name(path: tuple[str, ...]) -> str:
    return PREFIX + "__".join(path).upper()


def _variables(environment: Mapping[str, str]) -> list[Variable]:
    found: list[Variable] = [
        (path, _literal(environment[name]), name)
        for name, path in _SCRIPT_VARIABLES.items()
        if environment.get(name) and _own_name(path) not in environment
    ]
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in TOLD_TO_HOOKS:
            path = tuple(name.removeprefix(PREFIX).lower().split("__"))
            if "" in path:
                raise ConfigError(f"{name}: is not of the form {PREFIX}SECTION__KEY")
            found.append((path, _literal(environment[name]), name))
    return found


def _literal(text: str) -> object:
    """A number, truth value or list as TOML writes it; anything else is a string as it stands.

    A string that looks like one of those is put in quotes, as in TOML.
    """
    try:
        value: object = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value if isinstance(value, bool | int | float | list | str) else text


def _put(table: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    for key in path[:-1]:
        inner = table.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{PREFIX}{'__'.join(path).upper()}: {key!r} is not a section")
        table = inner
    table[path[-1]] = value


def _convert(table: dict[str, Any], name: str, variables: list[Variable]) -> Settings:
    merged = _merged(table, variables)
    if (problem := _problem_with(merged)) is None:
        return msgspec.convert(merged, Settings)
    # To blame are the variables without which the complaint would be another; if there are none, the file.
    blamed = [
        each[2]
        for each in variables
        if _problem_with(_merged(table, [other for other in variables if other is not each])) != problem
    ]
    raise ConfigError(f"{', '.join(blamed) or name}: {problem}")


def _merged(table: dict[str, Any], variables: list[Variable]) -> dict[str, Any]:
    merged = copy.deepcopy(table)
    for path, value, _ in variables:
        _put(merged, path, value)
    return merged


_RENAMED = {"compress.frame_mib": '; it is compress.frame = "4 MiB" now'}


def _problem_with(table: dict[str, Any]) -> str | None:
    hooks = table.get("hooks", {})
    if isinstance(hooks, dict) and (strange := sorted(hooks.keys() - EVENTS.keys())):
        return f"hooks.{strange[0]}: is not a known key"
    try:
        msgspec.convert(table, Settings)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `")
        # The library does not say which key of a table of any keys it means: for hooks it is found out.
        hook = f".{_bad_hook(hooks)}" if place.startswith("$.hooks[...]") else ""
        key = place.rstrip("`").removeprefix("$").lstrip(".").replace("[...]", hook)
        _, unknown, field = message.rstrip("`").partition("unknown field `")
        if unknown:
            name = ".".join(filter(None, (key, field)))
            return f"{name}: is not a known key{_RENAMED.get(name, '')}"
        if message[0].islower():  # a sentence of our own: it begins with the key within its section
            return ".".join(filter(None, (key, message)))
        return f"{key}: {message}{_meant(message)}"
    return None


def _bad_hook(hooks: dict[str, Any]) -> str:
    """The first whose value is of no form that a hook can have."""
    for event, value in hooks.items():
        try:
            msgspec.convert(value, HookValue)
        except msgspec.ValidationError:
            return event
    return ""


def _meant(message: str) -> str:
    """What to write instead, where the library's own words do not say it."""
    if message.startswith("Invalid enum value"):
        return f"; choose one of {', '.join(get_args(Level))}"
    if message.startswith("Expected `bool`"):
        return "; write true or false"
    return ""


def _absolute(settings: Settings, base: Path) -> Settings:
    """Every path made absolute, and free of what no path can be."""
    data, events, log = settings.data, settings.events, settings.log
    streams = {
        name: replace(stream, schema=_below(base, f"data.streams.{name}.schema", stream.schema))
        for name, stream in data.streams.items()
    }
    tops = {key: _below(base, f"data.{key}", getattr(data, key)) for key in TOPS}
    _require_apart(tops)
    return replace(
        settings,
        data=replace(data, **tops, streams=streams),
        events=replace(
            events,
            publish=_endpoint(base, "events.publish", events.publish),
            replay=_endpoint(base, "events.replay", events.replay),
            keys=_below(base, "events.keys", events.keys),
        ),
        log=replace(log, file=_below(base, "log.file", log.file)),
    )


def _below(base: Path, key: str, path: str) -> str:
    if not path:
        return ""
    # Control characters, and surrogates (bytes that are not UTF-8): no event could name such a file.
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in path):
        raise ConfigError(f"{key}: {path!r} has characters that no path should have; name another")
    try:
        return os.path.abspath(base / Path(path).expanduser())  # noqa: PTH100 (keeps symlinks)
    except RuntimeError:
        raise ConfigError(f"{key}: {path!r} names the home directory of nobody on this machine") from None


def _endpoint(base: Path, key: str, endpoint: str) -> str:
    try:
        return addresses.absolute(endpoint, lambda path: _below(base, key, path))
    except ValueError as error:
        raise ConfigError(f"{key}: {error}") from None


def _require_apart(tops: Mapping[str, str]) -> None:
    # By their real paths: a backup that is a link to the root is no second copy.
    real = {key: Path(os.path.realpath(path)) for key, path in tops.items()}
    for one, other in (("backup", "root"), ("state", "root"), ("archive", "root"), ("archive", "backup")):
        if real[one].is_relative_to(real[other]) or real[other].is_relative_to(real[one]):
            raise ConfigError(
                f"data.{one} ({tops[one]}) and data.{other} ({tops[other]}) must not contain each other"
            )
