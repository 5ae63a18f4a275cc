"""How things stand, in one event: by default once an hour. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from watcher.events import Health, Tier
from watcher.lifecycle import STAGES, State, state_of
from watcher.plan import Block, Plan
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
        blocked=sum(isinstance(entry, Block) for entry in plan.entries),
        held=sum(database.facts.hold is not None for database in databases),
        last={name: max(moments) for name, moments in times.items() if moments},
    )


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
