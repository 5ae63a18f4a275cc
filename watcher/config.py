"""Configuration: a TOML file and the environment become frozen, strict settings.

Order: ``--config FILE``, else ``./config.toml``, else the defaults below; then every variable
``TICKWARD_SECTION__KEY``. An unknown key or an impossible value is refused by name. Relative paths
are meant from the directory of the configuration file, or from the working directory without one.

``config.toml`` is the reference for people: every key with its unit and why. A test keeps the two equal.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from watcher import schedule
from watcher.errors import ConfigError
from watcher.pattern import Pattern

PREFIX = "TICKWARD_"
DEFAULT_FILE = "config.toml"

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Days = Annotated[int, Meta(ge=0, le=36500)]


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """One table of the configuration file."""


class Stream(Section, frozen=True):
    pattern: str
    schema: str = ""
    table: str = "ticks"

    def __post_init__(self) -> None:
        Pattern(self.pattern)


_TICKS = Stream(pattern="{year}/{month}/ticks_{date}.db")


class Data(Section, frozen=True):
    root: str = "data/ticks/db"
    backup: str = "data/ticks/backup"
    state: str = "data/ticks/state"
    create_root: bool = True
    streams: dict[Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]*$")], Stream] = (
        msgspec.field(default_factory=lambda: {"ticks": _TICKS})
    )

    def __post_init__(self) -> None:
        if not self.streams:
            raise ValueError("streams is empty: name at least one, as [data.streams.ticks]")
        patterns = [(name, Pattern(stream.pattern)) for name, stream in self.streams.items()]
        for index, (name, pattern) in enumerate(patterns):
            for other_name, other in patterns[:index]:
                if pattern.overlaps(other):
                    raise ValueError(
                        f"the patterns of streams {other_name!r} and {name!r} overlap: "
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
            raise ValueError(problem)


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
        for endpoint in (self.publish, self.replay):
            if problem := _endpoint_problem(endpoint):
                raise ValueError(problem)


class Log(Section, frozen=True):
    file: str = "logs/tickward.jsonl"
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    keep_days: Annotated[int, Meta(ge=1)] = 30


class ClockSettings(Section, frozen=True):
    scale: Positive = 1.0
    start: str = ""
    origin: NotNegative = 0.0


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
    table: dict[str, Any] = {}
    name = "the defaults"
    if file is not None or source.exists():
        table, name = _read(source), str(source)
    variables = _variables(os.environ if environment is None else environment)
    for path, value, _ in variables:
        _put(table, path, value)
    settings = _convert(table, name, variables)
    base = source.resolve().parent if name == str(source) else Path.cwd()
    return _absolute(settings, base)


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            return tomllib.load(stream)
    except FileNotFoundError:
        raise ConfigError(
            f"{file} does not exist; `tickward config init` writes one with every default"
        ) from None
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None


Variable = tuple[tuple[str, ...], object, str]


def _variables(environment: Mapping[str, str]) -> list[Variable]:
    found = []
    for name in sorted(environment):
        if name.startswith(PREFIX):
            path = tuple(name.removeprefix(PREFIX).lower().split("__"))
            found.append((path, _literal(environment[name]), name))
    return found


def _literal(text: str) -> object:
    """A number, truth value or list as TOML writes it; anything else is a string as it stands."""
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
    try:
        return msgspec.convert(table, Settings, strict=True)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `")
        key = place.rstrip("`").removeprefix("$").lstrip(".").replace("[...]", "")
        unknown = message.partition("unknown field `")[2].rstrip("`")
        full = ".".join(part for part in (key, unknown) if part)
        blame = next(
            (v for path, _, v in variables if full and ".".join(path).startswith(full)), name
        )
        what = "is not a known key" if unknown else message
        raise ConfigError(f"{blame}: {full}: {what}" if full else f"{blame}: {what}") from None


def _endpoint_problem(endpoint: str) -> str | None:
    if endpoint.startswith("ipc://") and len(endpoint) > len("ipc://"):
        return None
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    if not endpoint.startswith("tcp://") or not (port.isdigit() and int(port) < 65536):
        return f"{endpoint!r} is not an address such as tcp://127.0.0.1:5556 or ipc:///run/x.sock"
    if host not in ("localhost", "[::1]") and not host.startswith("127."):
        return f"{endpoint!r} is not a loopback address: events would be readable by the network"
    return None


def _absolute(settings: Settings, base: Path) -> Settings:
    def below(path: str) -> str:
        return os.path.abspath(base / Path(path).expanduser())  # noqa: PTH100 (keeps symlinks)

    streams = {
        name: msgspec.structs.replace(s, schema=below(s.schema)) if s.schema else s
        for name, s in settings.data.streams.items()
    }
    data = msgspec.structs.replace(
        settings.data,
        root=below(settings.data.root),
        backup=below(settings.data.backup),
        state=below(settings.data.state),
        streams=streams,
    )
    for key, path in (("data.backup", data.backup), ("data.state", data.state)):
        if Path(path).is_relative_to(data.root) or Path(data.root).is_relative_to(path):
            raise ConfigError(f"{key} ({path}) and data.root ({data.root}) must not contain each other")
    log = settings.log
    if log.file:
        log = msgspec.structs.replace(log, file=below(log.file))
    return msgspec.structs.replace(settings, data=data, log=log)
