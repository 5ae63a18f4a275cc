"""The proofs of what the daemon does by itself: it is asked of the journal, and of the files."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from handlers.contract import BackedUp, Sealed
from handlers.files import sha256_of
from watcher.events import Rotated, Started
from watcher.schedule import end_of, start_of
from watcher.selftest.result import Figure, NotProvenError
from watcher.selftest.scene import Scene, day_of_key
from watcher.wording import count_of

Told = tuple[str, tuple[Figure, ...]]
"""A sentence that says what was proven, and its figures."""

_SLOW = "the machine may be too busy for days that go by so fast: try again, or with fewer --days"
_LOG = "the daemon's own words are in daemon.txt and tickward.jsonl there"


def rotation(scene: Scene) -> Told:
    """Each midnight was announced, once."""
    begun = {
        event.current: record.time
        for record in scene.records
        if record.event == "rotated" and isinstance(event := record.decode(), Rotated)
    }
    midnights = [start_of(day) for day in scene.stage.days if start_of(day) > _up_since(scene)]
    if silent := [each for each in midnights if str(each.date()) not in begun]:
        raise NotProvenError(f"nothing was announced at the beginning of {silent[0].date()}", _LOG)
    late = [_real_ms(scene, each, begun[str(each.date())]) for each in midnights]
    return f"{count_of(len(late), 'midnight')} announced, {_spread(late)}", _of(late, "rotated")


def creation(scene: Scene) -> Told:
    """Days' databases are there before the days begin."""
    made = {record.key: record.time for record in scene.records if record.event == "created"}
    ready = min(made.values(), default=_up_since(scene))
    days = [*scene.stage.days, scene.stage.end.date()]
    # Of the first days nobody was up a day ahead.
    days = [day for day in days if start_of(day) - timedelta(days=1) > ready]
    ahead = [
        _real_ms(scene, at, start_of(day))
        for day in days
        if (at := made.get(f"ticks/{day}")) is not None and at < start_of(day)
    ]
    # A day lasts a moment here: if the machine is busy just then, the writer is first.
    if 2 * len(ahead) <= len(days):
        raise NotProvenError(f"of {count_of(len(days), 'day')} only {len(ahead)} were made ahead", _SLOW)
    late = len(days) - len(ahead)
    but = f"; {count_of(late, 'day')} the writer made first, as days go by so fast" if late else ""
    return f"{count_of(len(ahead), 'day')} made ahead of midnight{but}", _of(ahead, "ahead")


def sealing(scene: Scene) -> Told:
    """Each day was sealed with all that was written into it."""
    seals = scene.events_of(Sealed, scene.stage.days)
    for day in scene.stage.days:
        seal, ticks = seals.get(day), scene.written[day].ticks
        if not isinstance(seal, Sealed):
            raise NotProvenError(f"{day} was never sealed", _LOG)
        if seal.ticks != ticks:
            raise NotProvenError(f"{day}: {ticks:,} ticks were written, {seal.ticks:,} are sealed", _LOG)
    late = _after_its_end(scene, "sealed")
    total = sum(each.ticks for each in scene.written.values())
    return f"{total:,} ticks in {len(seals)} days, each {_spread(late)} after midnight", _of(late, "sealed")


def backup(scene: Scene) -> Told:
    """Each day has a second copy with the content that was sealed."""
    seals, copies = (scene.events_of(kind, scene.stage.days) for kind in (Sealed, BackedUp))
    read_bytes, started = 0, time.perf_counter()
    for day, found in scene.on_disk(scene.stage.days).items():
        seal = seals.get(day)
        assert isinstance(seal, Sealed)
        if found.tier != "hot" or day not in copies:
            raise NotProvenError(f"{day} has no second copy; there is: {found.tier}", _LOG)
        for file in found.files:
            read_bytes += file.stat().st_size
            if sha256_of(file) != seal.sha256:
                raise NotProvenError(
                    f"{file} is not what was sealed", "the disk does not keep what it is given"
                )
    rate = _mb_per_second(read_bytes, time.perf_counter() - started)
    late = _after_its_end(scene, "backed_up")
    figures = (*_of(late, "backed up"), Figure("read", rate, "MB/s"))
    return f"2 copies of {len(copies)} days, {_spread(late)} after midnight; read at {rate:.0f} MB/s", figures


def _after_its_end(scene: Scene, event: str) -> list[float]:
    """Real milliseconds after the day's end, for each day."""
    at = {day_of_key(each.key): each.time for each in scene.records if each.event == event}
    return [_real_ms(scene, end_of(day), at[day]) for day in scene.stage.days]


def _up_since(scene: Scene) -> datetime:
    return next(each.time for each in scene.records if isinstance(each.decode(), Started))


def _real_ms(scene: Scene, since: datetime, until: datetime) -> float:
    return (until - since).total_seconds() / scene.scale * 1000


def _mb_per_second(number: float, seconds: float) -> float:
    return round(number / max(seconds, 1e-9) / 1e6, 1)


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "none to be measured"
    return f"{statistics.median(values):.0f} ms (at worst {max(values):.0f})"


def _of(values: Sequence[float], name: str) -> tuple[Figure, ...]:
    if not values:
        return ()
    median, worst = statistics.median(values), max(values)
    return Figure(name, round(median, 2), "ms"), Figure(f"{name}, at worst", round(worst, 2), "ms")
