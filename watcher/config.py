"""Configuration: a TOML file and the environment become frozen, strict settings.

Order: ``--config FILE``, else ``./config.toml``, else the defaults below; then every variable
``TICKWARD_SECTION__KEY``. An unknown key or an impossible value is refused by name. Relative paths
are meant from the directory of the configuration file, or from the working directory without one.

``config.toml`` is the reference for people: every key with its unit and why. A test keeps the two equal.
"""

from __future__ import annotations

import copy
import os
import re
import tomllib
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from watcher import endpoint as addresses
from watcher import schedule
from watcher.errors import ConfigError
from watcher.pattern import Pattern

PREFIX = "TICKWARD_"
DEFAULT_FILE = "config.toml"
_STREAM_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")

# Bounded, because TOML has an `inf` and no clock has so many seconds.
Positive = Annotated[float, Meta(gt=0, le=1e9)]
NotNegative = Annotated[float, Meta(ge=0, le=1e9)]
UnixSeconds = Annotated[float, Meta(ge=0, le=1e11)]
Text = Annotated[str, Meta(min_length=1)]
Days = Annotated[int, Meta(ge=0, le=36500)]


Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """One table of the configuration file.

    What a type cannot say is checked in `__post_init__`, which raises `ValueError` with a sentence that
    begins with the key.
    """


class Stream(Section, frozen=True):
    pattern: str = "{year}/{month}/ticks_{date}.db"
    schema: str = ""
    table: Text = "ticks"

    def __post_init__(self) -> None:
        Pattern(self.pattern)


class Data(Section, frozen=True):
    root: Text = "data/ticks/db"
    backup: Text = "data/ticks/backup"
    state: Text = "data/ticks/state"
    create_root: bool = True
    streams: dict[str, Stream] = msgspec.field(default_factory=lambda: {"ticks": Stream()})

    def __post_init__(self) -> None:
        if not self.streams:
            raise ValueError("streams: name at least one, as [data.streams.ticks]")
        if unfit := [name for name in self.streams if not _STREAM_NAME.fullmatch(name)]:
            raise ValueError(f"streams: the name {unfit[0]!r} must be of a-z, 0-9, _ and -")
        patterns = [(name, Pattern(stream.pattern)) for name, stream in self.streams.items()]
        for index, (name, pattern) in enumerate(patterns):
            for other_name, other in patterns[:index]:
                if pattern.overlaps(other):
                    raise ValueError(
                        f"streams: the patterns of {other_name!r} and {name!r} overlap: "
                        "a file would belong to both"
                    )


class Watch(Section, frozen=True):
    settle_seconds: Positive = 0.25
    rescan_seconds: Positive = 600.0
    canary_seconds: Positive = 60.0
    polling: bool = False
    polling_seconds: Positive = 10.0


class Create(Section, frozen=True):
    enabled: bool = True
    ahead_days: Annotated[int, Meta(ge=0, le=31)] = 1


class Seal(Section, frozen=True):
    patience_seconds: NotNegative = 300.0
    retry_seconds: Positive = 5.0
    retry_max_seconds: Positive = 300.0


class Ageing(Section, frozen=True):
    after_days: Days = 0
    schedule: str = schedule.ON_ROTATION

    def __post_init__(self) -> None:
        if problem := schedule.problem_with(self.schedule):
            raise ValueError(f"schedule: {problem}")


class Backup(Ageing, frozen=True):
    pass


class Compress(Ageing, frozen=True):
    after_days: Days = 7
    schedule: str = "0 2 * * SUN"
    level: Annotated[int, Meta(ge=1, le=22)] = 19
    frame_mib: Annotated[int, Meta(ge=1, le=16)] = 4
    threads: Annotated[int, Meta(ge=1, le=64)] = 1


class Workers(Section, frozen=True):
    count: Annotated[int, Meta(ge=1, le=64)] = 2
    nice: Annotated[int, Meta(ge=0, le=19)] = 19
    stop_seconds: NotNegative = 30.0
    retry_seconds: Positive = 5.0
    retry_max_seconds: Positive = 600.0


class Events(Section, frozen=True):
    publish: str = "tcp://127.0.0.1:5556"
    replay: str = "tcp://127.0.0.1:5557"
    heartbeat_seconds: Positive = 2.0

    def __post_init__(self) -> None:
        for key, endpoint in (("publish", self.publish), ("replay", self.replay)):
            if problem := addresses.problem_with(endpoint):
                raise ValueError(f"{key}: {problem}")
        if self.publish == self.replay:
            raise ValueError(f"replay: {self.replay!r} is the address of events.publish already")


class Log(Section, frozen=True):
    file: str = "logs/tickward.jsonl"
    level: Level = "INFO"
    keep_days: Annotated[int, Meta(ge=1, le=36500)] = 30


class ClockSettings(Section, frozen=True):
    scale: Positive = 1.0
    start: str = ""
    origin: UnixSeconds = 0.0

    def __post_init__(self) -> None:
        if not self.start and self.scale == 1.0:
            return  # the machine's clock
        try:
            datetime.fromisoformat(self.start)
        except ValueError:
            raise ValueError(f"start: {self.start!r} is not a time such as 2026-01-20T00:00:00") from None


class Settings(Section, frozen=True):
    """The whole configuration, section by section. Sections are handed down, never copied."""

    data: Data = msgspec.field(default_factory=Data)
    watch: Watch = msgspec.field(default_factory=Watch)
    create: Create = msgspec.field(default_factory=Create)
    seal: Seal = msgspec.field(default_factory=Seal)
    backup: Backup = msgspec.field(default_factory=Backup)
    compress: Compress = msgspec.field(default_factory=Compress)
    workers: Workers = msgspec.field(default_factory=Workers)
    events: Events = msgspec.field(default_factory=Events)
    log: Log = msgspec.field(default_factory=Log)
    clock: ClockSettings = msgspec.field(default_factory=ClockSettings)

    def __post_init__(self) -> None:
        backup_age = (self.backup.after_days, self.compress.after_days)
        if backup_age[0] > backup_age[1]:
            raise ValueError(
                f"backup.after_days ({backup_age[0]}) must not exceed "
                f"compress.after_days ({backup_age[1]}): a day is backed up before it is compressed"
            )


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


def _variables(environment: Mapping[str, str]) -> list[Variable]:
    found = []
    for name in sorted(environment):
        if name.startswith(PREFIX):
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


def _problem_with(table: dict[str, Any]) -> str | None:
    try:
        msgspec.convert(table, Settings)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `")
        key = place.rstrip("`").removeprefix("$").lstrip(".").replace("[...]", "")
        _, unknown, field = message.rstrip("`").partition("unknown field `")
        if unknown:
            return f"{'.'.join(filter(None, (key, field)))}: is not a known key"
        if message[0].islower():  # a sentence of our own: it begins with the key within its section
            return ".".join(filter(None, (key, message)))
        return f"{key}: {message}{_meant(message)}"
    return None


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
    tops = {key: _below(base, f"data.{key}", getattr(data, key)) for key in ("root", "backup", "state")}
    _require_apart(tops)
    return replace(
        settings,
        data=replace(data, **tops, streams=streams),
        events=replace(
            events,
            publish=_endpoint(base, "events.publish", events.publish),
            replay=_endpoint(base, "events.replay", events.replay),
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
    root = Path(os.path.realpath(tops["root"]))
    for key in ("backup", "state"):
        other = Path(os.path.realpath(tops[key]))
        if other.is_relative_to(root) or root.is_relative_to(other):
            raise ConfigError(
                f"data.{key} ({tops[key]}) and data.root ({tops['root']}) must not contain each other"
            )
