"""The settings: one frozen, strict struct for each table of the configuration file.

``config.toml`` is the reference for people: every key with its unit and why. A test keeps the two equal.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from handlers.pattern import Pattern
from watcher import endpoint as addresses
from watcher import schedule
from watcher.urls import is_webhook, trouble_with

TOPS = ("root", "backup", "archive", "state")
"""The directories of ``[data]``."""
_STREAM_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")

# Bounded, because TOML has an `inf` and no clock has so many seconds.
Positive = Annotated[float, Meta(gt=0, le=1e9)]
NotNegative = Annotated[float, Meta(ge=0, le=1e9)]
UnixSeconds = Annotated[float, Meta(ge=0, le=1e11)]
Text = Annotated[str, Meta(min_length=1)]
Days = Annotated[int, Meta(ge=0, le=36500)]


_SIZE = re.compile(r"(\d{1,9}) ?(KiB|MiB|GiB|TiB)")
_UNITS = {"KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}
_FRAMES = range(64 << 10, 16 << 20)

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
    archive: Text = "data/ticks/archive"
    state: Text = "data/ticks/state"
    create_root: bool = True
    streams: dict[str, Stream] = msgspec.field(default_factory=lambda: {"ticks": Stream()})

    def __post_init__(self) -> None:
        if not self.streams:
            raise ValueError("streams: name at least one, as [data.streams.ticks]")
        if unfit := [name for name in self.streams if not _STREAM_NAME.fullmatch(name)]:
            raise ValueError(f"streams: the name {unfit[0]!r} must be of a-z, 0-9, _ and -")
        # Only where one literal beginning begins another can a path belong to both: those are neighbours.
        patterns = sorted((stream.pattern.partition("{")[0], name) for name, stream in self.streams.items())
        for index, (begin, name) in enumerate(patterns):
            for other_begin, other in patterns[index + 1 :]:
                if not other_begin.startswith(begin):
                    break
                if Pattern(self.streams[name].pattern).overlaps(Pattern(self.streams[other].pattern)):
                    first, second = sorted((name, other), key=list(self.streams).index)
                    raise ValueError(
                        f"streams: the patterns of {first!r} and {second!r} overlap: "
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
    compact: bool = False


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
    frame: str = "4 MiB"
    threads: Annotated[int, Meta(ge=1, le=64)] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _FRAMES.start <= self.frame_bytes <= _FRAMES.stop:
            raise ValueError(f"frame: {self.frame!r} is not a size such as 4 MiB, from 64 KiB to 16 MiB")

    @property
    def frame_bytes(self) -> int:
        """0 if it is no size at all."""
        return _bytes_of(self.frame) or 0


class Archive(Ageing, frozen=True):
    enabled: bool = True
    after_days: Days = 30
    schedule: str = "0 3 1 * *"


class Expire(Ageing, frozen=True):
    enabled: bool = True
    after_days: Days = 180
    schedule: str = "0 4 * * *"
    max_at_once: Annotated[int, Meta(ge=1, le=36500)] = 3
    keep_min: Days = 7


class Restore(Section, frozen=True):
    keep_days: Days = 7
    threads: Annotated[int, Meta(ge=1, le=64)] = 2


class Verify(Section, frozen=True):
    schedule: str = "0 5 1 * *"
    mib_per_second: NotNegative = 50.0
    drill_schedule: str = "0 6 1 * *"

    def __post_init__(self) -> None:
        for key, value in (("schedule", self.schedule), ("drill_schedule", self.drill_schedule)):
            _require_times(key, value)


class HealthSettings(Section, frozen=True):
    schedule: str = "0 * * * *"
    free_min: str = "1 GiB"

    def __post_init__(self) -> None:
        _require_times("schedule", self.schedule)
        if _bytes_of(self.free_min) is None:
            raise ValueError(f"free_min: {self.free_min!r} is not a size such as 1 GiB; 0 MiB for never")

    @property
    def free_min_bytes(self) -> int:
        return _bytes_of(self.free_min) or 0


class JournalSettings(Section, frozen=True):
    keep_days: Annotated[int, Meta(ge=1, le=36500)] = 2557


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
    curve: bool = False
    keys: Text = "data/ticks/state/keys"

    def __post_init__(self) -> None:
        for key, endpoint in (("publish", self.publish), ("replay", self.replay)):
            if problem := addresses.problem_with(endpoint, curve=self.curve):
                raise ValueError(f"{key}: {problem}")
        if self.publish == self.replay:
            raise ValueError(f"replay: {self.replay!r} is the address of events.publish already")


class Hook(Section, frozen=True):
    """What is run, or told, when an event of some name was recorded."""

    run: Text
    """A command for the shell, or the URL of a webhook."""
    timeout_seconds: Positive = 60.0
    attempts: Annotated[int, Meta(ge=1, le=1000)] = 6
    retry_seconds: Positive = 5.0
    retry_max_seconds: Positive = 600.0


HookValue = Hook | Text | tuple[Hook | Text, ...]
"""A command, a URL, a table with more to say, or several of those."""


class Web(Section, frozen=True):
    listen: str = ""

    def __post_init__(self) -> None:
        _require_local("listen", self.listen)


class Metrics(Section, frozen=True):
    listen: str = ""

    def __post_init__(self) -> None:
        _require_local("listen", self.listen)


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
    archive: Archive = msgspec.field(default_factory=Archive)
    expire: Expire = msgspec.field(default_factory=Expire)
    restore: Restore = msgspec.field(default_factory=Restore)
    verify: Verify = msgspec.field(default_factory=Verify)
    health: HealthSettings = msgspec.field(default_factory=HealthSettings)
    journal: JournalSettings = msgspec.field(default_factory=JournalSettings)
    workers: Workers = msgspec.field(default_factory=Workers)
    events: Events = msgspec.field(default_factory=Events)
    hooks: dict[str, HookValue] = msgspec.field(default_factory=dict)
    web: Web = msgspec.field(default_factory=Web)
    metrics: Metrics = msgspec.field(default_factory=Metrics)
    log: Log = msgspec.field(default_factory=Log)
    clock: ClockSettings = msgspec.field(default_factory=ClockSettings)

    def __post_init__(self) -> None:
        _require_order(self)
        if self.web.listen and self.web.listen == self.metrics.listen:
            raise ValueError(f"metrics.listen: {self.metrics.listen!r} is the address of web.listen already")
        for event in self.hooks:
            _require_webhooks(event, self.hooks_of(event))

    def hooks_of(self, event: str) -> tuple[Hook, ...]:
        """What is to be run when this event was recorded."""
        given = self.hooks.get(event, ())
        each = given if isinstance(given, tuple) else (given,)
        return tuple(hook if isinstance(hook, Hook) else Hook(hook) for hook in each)


def _bytes_of(size: str) -> int | None:
    """None if it is no size at all."""
    found = _SIZE.fullmatch(size)
    return int(found[1]) << _UNITS[found[2]] if found else None


def _require_order(settings: Settings) -> None:
    """A day is backed up before it is compressed, and so on: its ages increase along its life."""
    backup, compress = settings.backup.after_days, settings.compress.after_days
    if backup > compress:
        raise ValueError(
            f"backup.after_days ({backup}) must not exceed "
            f"compress.after_days ({compress}): a day is backed up before it is compressed"
        )
    before, age = "compress", compress
    for name in ("archive", "expire"):
        section: Archive | Expire = getattr(settings, name)
        if not section.enabled:
            continue
        if section.after_days <= age:
            raise ValueError(
                f"{name}.after_days ({section.after_days}) must be more than "
                f"{before}.after_days ({age}): ages increase along a day's life. "
                f"Change one of them, or set {name}.enabled = false"
            )
        before, age = name, section.after_days


def _require_webhooks(event: str, hooks: tuple[Hook, ...]) -> None:
    """Every URL can be posted to. Nothing is said of it: there may be a secret in it."""
    for hook in hooks:
        if is_webhook(hook.run) and (why := trouble_with(hook.run)):
            raise ValueError(
                f"hooks.{event}: the URL of a webhook cannot be used: {why}; write / ? # of a user or a "
                "password as %2F %3F %23, an @ as %40, a space as %20"
            )


def _require_local(key: str, listen: str) -> None:
    """Empty, or an address that only this machine can reach: what is shown there is for whoever asks."""
    if listen and (problem := addresses.problem_with_local(listen)):
        raise ValueError(f"{key}: {problem}")


def _require_times(key: str, value: str) -> None:
    """A schedule of its own, that follows no age: a cron expression, or `schedule.NEVER`."""
    if value != schedule.NEVER and (problem := schedule.problem_with(value, also=schedule.NEVER)):
        raise ValueError(f"{key}: {problem}")
