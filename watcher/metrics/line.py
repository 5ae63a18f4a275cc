"""How things stand, in one line: for the status that ``systemctl status`` shows. Pure."""

from __future__ import annotations

from collections import Counter

from watcher.events import Health
from watcher.lifecycle import State, tier_of
from watcher.plan import Plan, Wait
from watcher.vitals import Vitals


def in_a_line(vitals: Vitals | None, plan: Plan | None, health: Health | None) -> str:
    """``hot 9, warm 23; compress ticks/2026-01-20; next: seal ticks/2026-01-21 at 2026-01-22 00:00 UTC``.

    Args:
        health: as it was recorded last, if it was since the start.
    """
    if vitals is None or plan is None:
        return "starting"
    if vitals.error:
        return f"cannot go on: {vitals.error}"
    parts = [
        ", ".join(f"{tier} {days}" for tier, days in _days(health).items()),
        ", ".join(f"{job.step} {job.database}" for job in vitals.running),
        f"{vitals.waiting} steps wait for a worker" if vitals.waiting else "",
        f"{len(plan.blocks)} blocked: see tickward plan" if plan.blocks else "",
        _next(plan),
    ]
    return "; ".join(part for part in parts if part) or "nothing to do"


def _days(health: Health | None) -> Counter[str]:
    found = Counter[str]()
    for state, tier in (health.tiers if health else {}).items():
        found[tier_of(State(state)) or ""] += tier.days
    return found


def _next(plan: Plan) -> str:
    if plan.next_due is None:
        return ""
    for entry in plan.entries:
        if isinstance(entry, Wait) and entry.until == plan.next_due and entry.step is not None:
            return f"next: {entry.step} {entry.key} at {plan.next_due:%Y-%m-%d %H:%M} UTC"
    return f"next at {plan.next_due:%Y-%m-%d %H:%M} UTC"
