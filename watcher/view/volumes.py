"""The volumes that the days are on: what is free, and for how many days that will do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from watcher.disk import Room
from watcher.overview import Day

WINDOW_DAYS = 28
"""Whole weeks: the days of a week differ, and days are compressed once a week."""
_FAR_DAYS = 3650
"""What will do for longer than that is not going to be full."""


class Volume(Struct, frozen=True):
    """A volume that directories of ``[data]`` are on."""

    directories: tuple[str, ...]
    """Their names, such as ``backup``."""
    free_bytes: int
    """For this user."""
    total_bytes: int
    """In all."""
    low: bool
    """Whether less is free than there should be (``health.free_min``)."""
    growth_bytes: int | None
    """How much more the days take there each day, as the last four weeks went; negative: less. Null: it is
    not known yet, or there are no days on it."""
    days_until_full: int | None
    """How long what is free will do at this rate; null: for ten years and more, or the rate is not known."""

    @property
    def name(self) -> str:
        """For a sentence: ``the volume of root, backup``."""
        return f"the volume of {', '.join(self.directories)}"


def volumes(rooms: Iterable[Room], growth: Mapping[str, float], free_min_bytes: int) -> tuple[Volume, ...]:
    """Directories of one device together. ``growth``: see `growth_per_day`."""
    found: dict[int, list[Room]] = {}
    for room in rooms:
        found.setdefault(room.device, []).append(room)
    return tuple(_volume(some, growth, free_min_bytes) for some in found.values())


def _volume(rooms: list[Room], growth: Mapping[str, float], free_min_bytes: int) -> Volume:
    free = min(room.free_bytes for room in rooms)
    rates = [growth[room.directory] for room in rooms if room.directory in growth]
    rate = sum(rates) if rates else None
    return Volume(
        directories=tuple(room.directory for room in rooms),
        free_bytes=free,
        total_bytes=rooms[0].total_bytes,
        low=free < free_min_bytes,
        growth_bytes=None if rate is None else round(rate),
        days_until_full=_days(free, rate),
    )


def _days(free_bytes: int, rate: float | None) -> int | None:
    if rate is None or rate <= 0 or free_bytes > rate * _FAR_DAYS:
        return None
    return int(free_bytes / rate)


def growth_per_day(days: Iterable[Day], now: datetime) -> dict[str, float]:
    """How many bytes more a day there are in ``root``, ``backup``, ``archive``; empty if nobody can tell yet.

    What they hold now against what they held 28 days ago, or on the first day if that is sooner. It assumes
    that the next weeks go as the last ones did. So it is wrong for four weeks after a tree was taken over,
    days were imported or the policy was changed; and where days are archived once a month to a volume of its
    own, it goes up and down with that.
    """
    days = list(days)
    first = min((day.day for day in days if day.bytes is not None), default=now.date())
    window = min((now.date() - first).days, WINDOW_DAYS)
    if window < 1:
        return {}
    share = _packed_share(days)
    before, after = held_at(days, now - timedelta(days=window), share), held_at(days, now, share)
    return {directory: (after[directory] - before[directory]) / window for directory in after}


def held_at(days: Iterable[Day], moment: datetime, share: float | None = None) -> dict[str, int]:
    """The bytes of the days in ``root``, ``backup`` and ``archive`` at a moment (UTC) that is past, or now.

    As far as the rows tell: a day counts from its end on, a live copy and a restored one do not. How large a
    day that is deleted by now was in the meantime is guessed from how much smaller the others have become:
    that ``share`` of a byte, if it is known already.
    """
    days = list(days)
    share = _packed_share(days) if share is None else share
    date = moment.date()
    root = backup = archive = 0.0
    for day in days:
        gone_at, raw = day.expired_at, day.bytes
        if day.day >= date or (gone_at is not None and gone_at <= moment):
            continue
        if raw is None:
            root += day.bytes_now
            continue
        is_cold = day.archived_at is not None and day.archived_at <= moment
        if not (is_cold or (day.compressed_at is not None and day.compressed_at <= moment)):
            root += raw
            if day.backed_up_at is not None and day.backed_up_at <= moment:
                backup += raw
            continue
        packed = day.bytes_now if 0 < day.bytes_now < raw else raw * share
        backup += packed
        if is_cold:
            archive += packed
        else:
            root += packed
    return {"root": round(root), "backup": round(backup), "archive": round(archive)}


def _packed_share(days: list[Day]) -> float:
    """What compression leaves of a byte; all of it where no day is compressed."""
    packed = [day for day in days if day.tier in ("warm", "cold") and 0 < day.bytes_now < (day.bytes or 0)]
    raw = sum(day.bytes for day in packed if day.bytes)
    return sum(day.bytes_now for day in packed) / raw if raw else 1.0
