"""Everything that the page shows, made of an overview. Pure: what the disks say is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest
from operator import attrgetter

from msgspec.structs import replace

from watcher.disk import LastWrite, Room
from watcher.overview import Day, Overview
from watcher.view.calendar import LEGEND, calendars
from watcher.view.forecast import Forecast, forecast
from watcher.view.status import Versions, status_of, volumes_of
from watcher.view.volumes import Volume
from watcher.web.series import series
from watcher.web.shape import Picture, Troubled

_MOST_REASONS = 50
_MOST_HOLDS = 100
_MOST_TROUBLED = 200


def picture(
    overview: Overview, rooms: Iterable[Room], writes: Mapping[str, LastWrite], versions: Versions
) -> Picture:
    """What is shown of it; the arguments are those of `status_of`."""
    days, today = overview.days, overview.at.date()
    volumes = volumes_of(overview, rooms)
    status = status_of(overview, volumes, writes, config_file="", versions=versions)
    return Picture(
        at=overview.at,
        version=versions.tickward,
        root=overview.settings.data.root,
        sequence=overview.head,
        verdict=replace(status.verdict, reasons=status.verdict.reasons[:_MOST_REASONS]),
        daemon=status.daemon,
        active=status.active,
        steps=status.steps,
        holds=status.holds[:_MOST_HOLDS],
        tiers=status.tiers,
        volumes=volumes,
        legend=LEGEND,
        calendars=calendars(days, today),
        troubles=_troubled(days),
        series=series(days, today),
        forecast=_forecast(overview, volumes),
    )


def _troubled(days: Iterable[Day]) -> tuple[Troubled, ...]:
    newest = nlargest(_MOST_TROUBLED, (day for day in days if day.trouble), key=attrgetter("day"))
    return tuple(Troubled(day.key, day.reason) for day in newest)


def _forecast(overview: Overview, volumes: Sequence[Volume]) -> Forecast | None:
    if not any(day.bytes is not None for day in overview.days):
        return None
    return forecast(overview.days, overview.settings, volumes, {}, overview.at)
