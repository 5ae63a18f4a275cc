"""The forecast: what there will be in a year, on which day a disk is full, what another policy would save.

Pure. It goes by the recorded days: how large they are (`watcher.view.growth`), how small they become, and how
they age (`watcher.view.ageing`). What is on hold or blocked stays as it is. What a step needs for a moment,
beside what it leaves, is not counted, nor is the journal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from watcher.errors import ConfigError
from watcher.overview import Day
from watcher.schedule import due
from watcher.settings import Settings
from watcher.view.ageing import COPIES, Where, ahead
from watcher.view.growth import LEAST_DAYS, MOST, Growth
from watcher.view.levels import Levels, levels_of, newest_compressed
from watcher.view.recorded import RATIO_ASSUMED, Recorded, records_of
from watcher.view.volumes import Volume
from watcher.wording import count_of

T = TypeVar("T")
DAYS = 53 * 7 + 1
"""So many are looked ahead: today, and 53 weeks."""
YEAR = 52 * 7
"""A year is 52 weeks here: the same day of the week as today, at which a weekly schedule is as far."""
_LONGEST_PAUSE_DAYS = 366
"""A schedule that rests for longer takes nothing at once."""


class Changes(Struct, frozen=True):
    """What the policy is changed to; None: it stays as it is."""

    compress_after_days: int | None = None
    """Age in days at which days are compressed."""
    archive_after_days: int | None = None
    """Age in days at which they are archived."""
    expire_after_days: int | None = None
    """Age in days at which they are deleted."""
    level: int | None = None
    """Of the compression, 1 to 22."""
    archive: bool | None = None
    """Whether they are archived at all."""
    expire: bool | None = None
    """Whether they are deleted at all."""


class Point(Struct, frozen=True):
    """What there is at the end of a day: both copies of every day."""

    day: date
    """The day: YYYY-MM-DD."""
    hot_bytes: int
    """Uncompressed."""
    warm_bytes: int
    """Compressed."""
    cold_bytes: int
    """In the archive, and their second copies."""
    total_bytes: int
    """Of all of them."""
    volumes: dict[str, int]
    """Bytes on each volume, by its name: ``root, backup``."""


class VolumeAhead(Struct, frozen=True):
    """What becomes of one volume."""

    name: str
    """What it is called here: the directories of ``[data]`` that are on it."""
    directories: tuple[str, ...]
    """``root``, ``backup``, ``archive``, ``state``: those that are on it."""
    free_bytes: int
    """Free now."""
    total_bytes: int
    """Its size."""
    now_bytes: int
    """What the days take on it now."""
    year_bytes: int
    """What they will take in 52 weeks."""
    most_bytes: int
    """The most that they will take until then, or a week later."""
    full_on: date | None
    """The first day at whose end they would take more than is free, YYYY-MM-DD; null: not within 53 weeks."""


class Outlook(Struct, frozen=True):
    """What comes of a policy."""

    compress_after_days: int
    """Age in days at which days are compressed."""
    archive_after_days: int | None
    """Age in days at which they are archived; null: never."""
    expire_after_days: int | None
    """Age in days at which they are deleted; null: never."""
    level: int
    """Of the compression, 1 to 22."""
    ratio: float | None
    """How many times smaller a day of today becomes; null: no days are expected."""
    year: Point
    """In 52 weeks."""
    points: tuple[Point, ...]
    """Today, and once a week for 53 weeks."""
    months: tuple[Point, ...]
    """At the end of each month."""
    volumes: tuple[VolumeAhead, ...]
    """Of each volume with days."""


class Saving(Struct, frozen=True):
    """What the changed policy takes less in 52 weeks; below 0: it takes more."""

    hot_bytes: int
    """Uncompressed."""
    warm_bytes: int
    """Compressed."""
    cold_bytes: int
    """In the archive, and their second copies."""
    total_bytes: int
    """Of all of them."""
    volumes: dict[str, int]
    """Bytes on each volume, by its name: ``root, backup``."""


class Basis(Struct, frozen=True):
    """What the forecast goes by."""

    days: int
    """Sealed days of the last weeks, of all streams, that say how large a day is; 0: there are none."""
    streams: int
    """Streams of which days are expected."""
    day_bytes: int
    """What a day of today's week is expected to have, uncompressed, of all streams, on average."""
    growth_a_year: float
    """How many times as much a day is expected to have in 52 weeks."""
    ratio_days: int
    """Compressed days that say how small a day becomes; 0: it is assumed."""
    words: tuple[str, ...]
    """The same in sentences, and what is assumed where the records are short."""


class Forecast(Struct, frozen=True):
    """What there will be: the answer of ``tickward forecast``."""

    at: datetime
    """When it was made: RFC 3339, UTC."""
    basis: Basis
    """What it goes by."""
    now: Point
    """What there is now."""
    policy: Outlook
    """What comes of the policy as it is."""
    changed: Outlook | None
    """What would come of the changed one; null: no change was asked for."""
    saved: Saving | None
    """What the changed one would save."""


def what_if(settings: Settings, changes: Changes) -> Settings:
    """The settings with a changed policy. Raises `ConfigError` that names the options."""
    compress, archive, expire = settings.compress, settings.archive, settings.expire
    compress = replace(
        compress,
        after_days=_or(changes.compress_after_days, compress.after_days),
        level=_or(changes.level, compress.level),
    )
    archive = replace(
        archive,
        after_days=_or(changes.archive_after_days, archive.after_days),
        # Whoever gives an age wants it to be done.
        enabled=_or(changes.archive, archive.enabled or changes.archive_after_days is not None),
    )
    expire = replace(
        expire,
        after_days=_or(changes.expire_after_days, expire.after_days),
        enabled=_or(changes.expire, expire.enabled or changes.expire_after_days is not None),
    )
    try:
        return replace(settings, compress=compress, archive=archive, expire=expire)
    except ValueError as error:
        raise ConfigError(f"{in_words(changes)}: {error}") from None


def in_words(changes: Changes) -> str:
    """As a person types it: ``--compress-after 3 --level 12``."""
    ages = {
        "--compress-after": changes.compress_after_days,
        "--archive-after": changes.archive_after_days,
        "--expire-after": changes.expire_after_days,
        "--level": changes.level,
    }
    words = [f"{option} {value}" for option, value in ages.items() if value is not None]
    for option, wanted in (("archive", changes.archive), ("expire", changes.expire)):
        if wanted is not None:
            words.append(f"--{option}" if wanted else f"--no-{option}")
    return " ".join(words)


def forecast(
    days: Sequence[Day],
    settings: Settings,
    volumes: Sequence[Volume],
    levels: Mapping[str, int],
    now: datetime,
    changes: Changes | None = None,
) -> Forecast:
    """Look ahead.

    Args:
        volumes: of the directories.
        levels: at which level days were compressed, by their keys: of `newest_compressed`.
        changes: what another policy is to be compared with this one.
    """
    recorded = records_of(days, settings, now.date(), DAYS)
    known = levels_of(newest_compressed(days), levels, settings.compress.level)
    policy = _outlook(recorded, known, settings, volumes)
    changed = saved = None
    words = [*_words(recorded, known, settings.compress.level)]
    if changes is not None and changes != Changes():
        other = what_if(settings, changes)
        changed = _outlook(recorded, known, other, volumes)
        saved = _saving(policy, changed)
        words += _words_on_level_change(known, settings, other)
        words += _words_on_going(days, settings, other, now)
    first, last = (sum(recorded.raw[at : at + 7]) for at in (0, YEAR))
    basis = Basis(
        days=sum(growth.days for growth in recorded.growths.values()),
        streams=len(recorded.growths),
        day_bytes=round(first / 7),
        growth_a_year=last / first if first else 1.0,
        ratio_days=recorded.ratio_days,
        words=tuple(words),
    )
    return Forecast(now, basis, _point(now.date(), recorded.now, volumes), policy, changed, saved)


def _outlook(recorded: Recorded, known: Levels, settings: Settings, volumes: Sequence[Volume]) -> Outlook:
    archive, expire, level = settings.archive, settings.expire, settings.compress.level
    relative, _ = known.relative(level)
    places = ahead(recorded.cohorts(relative), settings, recorded.today, DAYS)
    points = [
        _point(
            recorded.today + timedelta(days=index),
            {place: each[index] for place, each in places.items()},
            volumes,
        )
        for index in range(DAYS)
    ]
    return Outlook(
        compress_after_days=settings.compress.after_days,
        archive_after_days=archive.after_days if archive.enabled else None,
        expire_after_days=expire.after_days if expire.enabled else None,
        level=level,
        ratio=recorded.ratio(relative),
        year=points[YEAR],
        points=tuple(points[::7]),
        months=tuple(point for point in points if (point.day + timedelta(days=1)).day == 1),
        volumes=tuple(_ahead_of(volume, recorded.now, points) for volume in volumes if _has_days(volume)),
    )


def _has_days(volume: Volume) -> bool:
    return bool({"root", "backup", "archive"}.intersection(volume.directories))


def _name_of(volume: Volume) -> str:
    return ", ".join(volume.directories)


def _point(day: date, places: Mapping[Where, int], volumes: Sequence[Volume]) -> Point:
    tiers = {tier: sum(places[place] for place in pair) for tier, pair in COPIES.items()}
    return Point(
        day=day,
        hot_bytes=tiers["hot"],
        warm_bytes=tiers["warm"],
        cold_bytes=tiers["cold"],
        total_bytes=sum(tiers.values()),
        volumes={_name_of(volume): _on(volume, places) for volume in volumes if _has_days(volume)},
    )


def _on(volume: Volume, places: Mapping[Where, int]) -> int:
    return sum(number for (_, directory), number in places.items() if directory in volume.directories)


def _ahead_of(volume: Volume, now: Mapping[Where, int], points: Sequence[Point]) -> VolumeAhead:
    name, now_bytes = _name_of(volume), _on(volume, now)
    there = [(point.volumes[name], point.day) for point in points]
    return VolumeAhead(
        name=name,
        directories=volume.directories,
        free_bytes=volume.free_bytes,
        total_bytes=volume.total_bytes,
        now_bytes=now_bytes,
        year_bytes=there[YEAR][0],
        most_bytes=max(number for number, _ in there),
        full_on=next((day for number, day in there if number - now_bytes > volume.free_bytes), None),
    )


def _saving(policy: Outlook, changed: Outlook) -> Saving:
    before, after = policy.year, changed.year
    return Saving(
        hot_bytes=before.hot_bytes - after.hot_bytes,
        warm_bytes=before.warm_bytes - after.warm_bytes,
        cold_bytes=before.cold_bytes - after.cold_bytes,
        total_bytes=before.total_bytes - after.total_bytes,
        volumes={name: number - after.volumes[name] for name, number in before.volumes.items()},
    )


def _words(recorded: Recorded, known: Levels, level: int) -> Iterator[str]:
    """What it goes by, and what is assumed."""
    growths = recorded.growths
    if not growths:
        yield (
            "No day was sealed in the last eight weeks: there is nothing to go by, and no days are expected. "
            "What is there ages as the policy says."
        )
    else:
        yield from _words_on_days(growths)
    if recorded.ended:
        names = ", ".join(recorded.ended[:5]) + (" and others" if len(recorded.ended) > 5 else "")
        yield f"No days are expected of {names}: none was sealed in the last eight weeks."
    if growths and recorded.ratio_days:
        yield f"Days become as small as the last {recorded.ratio_days} that were compressed."
    elif growths:
        yield (
            f"No day was compressed yet: a {RATIO_ASSUMED:g}th of its size is assumed, "
            "as the least compressible of the sample days has (docs/benchmarks.md)."
        )
    if known.relative(level) != (1.0, True):
        yield _words_on_level(known, level, known.usual)
    if recorded.staying:
        yield f"On hold, or waiting for a person: {count_of(recorded.staying, 'day')}, to stay as now."


def _words_on_days(growths: Mapping[str, Growth]) -> Iterator[str]:
    count = sum(growth.days for growth in growths.values())
    streams = count_of(len(growths), "stream")
    yield f"Days are as large as {count_of(count, 'sealed day')} of {streams} in the last eight weeks."
    if few := sum(growth.days < LEAST_DAYS for growth in growths.values()):
        yield (
            f"{count_of(few, 'stream')} with less than two weeks of days: the days of the week are not told "
            "apart there."
        )
    weeks = max(growth.weeks for growth in growths.values())
    if without := sum(not growth.weeks for growth in growths.values()):
        yield f"{count_of(without, 'stream')} with less than eight whole weeks: no growth is assumed there."
    if weeks:
        yield (
            f"They go on growing, or shrinking, as in up to {weeks} weeks, but never to more than "
            f"{MOST:g} times as much in a year."
        )


def _words_on_level_change(known: Levels, settings: Settings, other: Settings) -> Iterator[str]:
    before, after = settings.compress.level, other.compress.level
    if after != before:
        yield _words_on_level(known, after, before)


def _words_on_going(days: Iterable[Day], settings: Settings, other: Settings, now: datetime) -> Iterator[str]:
    """Whether a person would be asked before what would be due at once is deleted."""
    until, before = _last_to_go(other, now), _last_to_go(settings, now)
    if until is None or (before is not None and until <= before):
        return
    going = Counter(
        day.stream for day in days if day.tier not in (None, "gone") and day.day <= until and not day.on_hold
    )
    if max(going.values(), default=0) > settings.expire.max_at_once:
        yield (
            f"{going.total():,} days would be due to be deleted at once: it is taken that a person agrees "
            "(`tickward expire --confirm`)."
        )


def _last_to_go(settings: Settings, now: datetime) -> date | None:
    """The newest day that is due to be deleted by now, by its age alone."""
    expire = settings.expire
    if not expire.enabled:
        return None
    newest = now.date() - timedelta(days=expire.after_days)
    some = (newest - timedelta(days=back) for back in range(_LONGEST_PAUSE_DAYS))
    return next((day for day in some if due(day, expire.after_days, expire.schedule) <= now), None)


def _words_on_level(known: Levels, level: int, than: int) -> str:
    (size, measured), (before, also) = known.relative(level), known.relative(than)
    times = f"At level {level} a day has {size / before:.3g} times the size that it has at level {than}"
    if measured and also:
        return f"{times}, by recorded days of both."
    return f"{times}: estimated from measurements on sample days (docs/compression.md)."


def _or(wanted: T | None, otherwise: T) -> T:
    return otherwise if wanted is None else wanted
