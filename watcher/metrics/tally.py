"""What has happened since the start: counted as it is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from handlers.contract import Step
from watcher.events import EVENTS, Event, Failed, Record
from watcher.metrics.standing import SUCCESSES

_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""Seconds: a database is made in milliseconds, and a large one compressed in an hour."""


class Tally:
    """Counts. `observe` is called by the loop, the rest from other threads.

    Every step and every event is there from the start, with a 0: only so is the first one seen to come.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        # Otherwise there is a second series for each, which nobody reads.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._seconds = Histogram(
            "tickward_step_duration_seconds",
            "How long steps took that have succeeded.",
            ["step"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._failures = Counter(
            "tickward_step_failures",
            "Attempts at a step that have failed (the event failed).",
            ["step"],
            registry=registry,
        )
        self._events = Counter(
            "tickward_events", "Events recorded since the start, by name.", ["event"], registry=registry
        )
        for step in Step:
            self._seconds.labels(step.value)
            self._failures.labels(step.value)
        for event in EVENTS:
            self._events.labels(event)
        self._last: dict[Step, datetime] = {}

    def observe(self, record: Record, event: Event, seconds: float | None) -> None:
        """Count one more, and how long the step took that led to it. Never blocks."""
        self._events.labels(record.event).inc()
        if isinstance(event, Failed):
            self._failures.labels(event.step).inc()
        step = SUCCESSES.get(record.event)
        if step is None:
            return
        self._last = {**self._last, step: record.time}  # another one: the old one may be read just now
        if seconds is not None:
            self._seconds.labels(step.value).observe(seconds)

    def last_successes(self, before: Mapping[Step, datetime]) -> dict[Step, datetime]:
        """When each step last succeeded; ``before`` is when that was before the start."""
        return {**before, **self._last}
