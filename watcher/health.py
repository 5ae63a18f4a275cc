"""How things stand, in one event: by default once an hour. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from watcher.events import DiskLow, Health, Tier
from watcher.lifecycle import STAGES, State, state_of
from watcher.plan import Plan
from watcher.schedule import NEVER, last_of, next_after
from watcher.state import Database

_SUCCESSES = ("created", *(stage.state.value for stage in STAGES), "verified", "drilled", "restored")


def health_at(told: datetime | None, schedule: str, now: datetime) -> datetime | None:
    """When it is to be said again: once after a pause, not once for each time that was missed.

    None for never; ``now`` for the first time.
    """
    if schedule == NEVER:
        return None
    last = last_of([told] if told else [], now)
    return next_after(schedule, last) if last else now


def health(databases: Iterable[Database], plan: Plan, free_bytes: Mapping[str, int]) -> Health:
    """Count."""
    databases = list(databases)
    there = [d for d in databases if d.files.present and not d.facts.expired]
    days = sorted(d.day for d in there)
    times = {name: [d.facts.times[name] for d in databases if name in d.facts.times] for name in _SUCCESSES}
    return Health(
        tiers=_tiers(databases),
        oldest=str(days[0]) if days else None,
        newest=str(days[-1]) if days else None,
        free_bytes=dict(free_bytes),
        due=len(plan.actions),
        blocked=len(plan.blocks),
        held=sum(database.facts.hold is not None for database in databases),
        last={name: max(moments) for name, moments in times.items() if moments},
    )


def disk_low(free_bytes: Mapping[str, int], free_min_bytes: int, told: DiskLow | None) -> DiskLow | None:
    """What is to be said of free space; None if that was said already.

    ``told`` is the last that was said. What was low is so until there is a tenth more than the least, so that
    a volume that is just about full does not speak every minute.
    """
    before = told.low if told else {}
    least = {name: free_min_bytes * 11 // 10 if name in before else free_min_bytes for name in free_bytes}
    low = {name: free for name, free in free_bytes.items() if free < least[name]}
    if low.keys() == before.keys():
        return None
    hint = "free space there, or archive and delete sooner: until then what needs space there is paused"
    return DiskLow(low, free_min_bytes, hint if low else "")


def short_of_space(told: DiskLow | None, free_min: str, *, one_volume: bool) -> dict[str, str]:
    """Why what needs space is paused, by directory of ``[data]``: just what was said of free space last.

    ``one_volume``: the root and the archive are on one; then what moves from one to the other needs no space.
    """
    return {
        name: f"less than {free_min} is free on the volume of data.{name}: free space there"
        for name in (told.low if told else ())
        if not (one_volume and name == "archive")
    }


def _tiers(databases: list[Database]) -> dict[str, Tier]:
    found: dict[str, Tier] = {}
    for database in databases:
        state = state_of(database)
        if state is State.ABSENT:
            continue
        sealed, first = database.facts.sealed, database.files.first
        bytes_now = first.size_bytes if first else 0
        raw = sealed.size_bytes if sealed else bytes_now
        before = found.get(state, Tier(0, 0, 0))
        found[state] = Tier(before.days + 1, before.bytes + raw, before.bytes_now + bytes_now)
    return found
