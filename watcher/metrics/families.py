"""What is measured when Prometheus asks, as it reads it: names, types and units by its rules. Pure."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from handlers.contract import Step
from watcher.disk import Room
from watcher.lifecycle import State, tier_of
from watcher.metrics.standing import Standing, Sum
from watcher.plan import Plan
from watcher.schedule import start_of
from watcher.vitals import Vitals

Value = tuple[tuple[str, ...], float]
_NONE = Sum(0, 0, 0)
_STATES = tuple(state for state in State if state is not State.ABSENT)


class Measured(NamedTuple):
    """All that is told of one moment."""

    standing: Standing
    plan: Plan | None
    """What the loop acted upon last; None before its first step."""
    successes: Mapping[Step, datetime]
    """When each step last succeeded."""
    rooms: Iterable[Room]
    """Of the directories of ``[data]`` that are there."""
    vitals: Vitals | None
    """None before the loop's first step."""
    healthy: bool
    """What ``/healthz`` says."""
    version: str
    sqlite_version: str


def families(measured: Measured) -> Iterator[Metric]:
    """All of it."""
    version, sqlite = measured.version, measured.sqlite_version
    build = [((version, sqlite, platform.python_version()), 1.0)]
    yield _gauge("build_info", "What runs; always 1.", build, "version", "sqlite", "python")
    yield _gauge("healthy", "1 if /healthz says ok.", _one(measured.healthy))
    yield from _of_days(measured.standing)
    yield from _of_trouble(measured.standing, measured.plan)
    yield from _of_steps(measured.successes)
    yield from _of_rooms(measured.rooms, measured.standing)
    if measured.vitals is not None:
        yield from _of_vitals(measured.vitals)
        yield from _of_jobs(measured.vitals)


def _of_days(standing: Standing) -> Iterator[Metric]:
    found = [(state, tier_of(state) or "", standing.sums.get(state, _NONE)) for state in _STATES]
    days = [((state, tier), float(some.days)) for state, tier, some in found]
    yield _gauge("days", "Days, by state.", days, "state", "tier")
    sizes = Counter[tuple[str, ...]]()
    for _, tier, some in found:
        sizes[tier, "raw"] += some.bytes
        sizes[tier, "now"] += some.bytes_now
    words = "Bytes of sealed days: raw, as they were sealed; now, as their first copies are."
    yield _gauge("bytes", words, sizes.items(), "tier", "form")
    newest = [((name,), start_of(day).timestamp()) for name, day in standing.newest.items()]
    words = "The midnight at which the newest day of a stream begins that is there."
    yield _gauge("newest_day_timestamp_seconds", words, newest, "stream")
    unread = standing.longest_unread
    yield _moment("longest_unread", "When those copies were read that were not for the longest time.", unread)


def _of_trouble(standing: Standing, plan: Plan | None) -> Iterator[Metric]:
    # Before the first plan nothing is said, not that there are none: a restart must not resolve an alert.
    blocks = plan.blocks if plan else []
    failing = standing.troubled | {block.key for block in blocks if block.failed}
    is_known = plan is not None
    blocked, failed = (_one(len(some)) if is_known else [] for some in (blocks, failing))
    yield _gauge("days_on_hold", "Days on hold.", _one(standing.on_hold))
    yield _gauge("days_blocked", "Days with which nothing is done until a person acts.", blocked)
    yield _gauge("days_failing", "Days of which a step fails, or that are damaged or lost.", failed)
    yield _gauge("days_unsealed", "Days that are over and not sealed.", _one(standing.unsealed))


def _of_steps(successes: Mapping[Step, datetime]) -> Iterator[Metric]:
    last = [((step.value,), at.timestamp()) for step, at in successes.items()]
    yield _gauge("last_success_timestamp_seconds", "When each step last succeeded.", last, "step")


def _of_rooms(rooms: Iterable[Room], standing: Standing) -> Iterator[Metric]:
    rooms = list(rooms)
    free = [((room.directory,), float(room.free_bytes)) for room in rooms]
    size = [((room.directory,), float(room.total_bytes)) for room in rooms]
    low = [((room.directory,), float(room.directory in standing.low)) for room in rooms]
    yield _gauge("disk_free_bytes", "Free space on the volume of a directory.", free, "directory")
    yield _gauge("disk_size_bytes", "The size of that volume.", size, "directory")
    yield _gauge("disk_low", "1 if less is free than health.free_min.", low, "directory")


def _of_vitals(vitals: Vitals) -> Iterator[Metric]:
    watching = vitals.watching
    yield _gauge("event_sequence", "The number of the newest event.", _one(vitals.sequence))
    yield _gauge("watching_ok", "1 if file events come, and all of them.", _one(not watching.trouble))
    yield _counter("observer_swaps", "Fresh observers that had to take over since the start.", watching.swaps)
    restarts = vitals.publisher_restarts
    yield _counter("publisher_restarts", "How often the process that publishes was started again.", restarts)
    yield _moment("last_step", "When the loop last went round.", vitals.stepped)
    yield _gauge("loop_step_seconds", "How long that took.", _one(vitals.step_seconds))
    yield _gauge("waiting_steps", "Steps that are due and wait for a worker.", _one(vitals.waiting))
    yield _gauge("waiting_orders", "What people have asked for and is not done yet.", _one(vitals.orders))


def _of_jobs(vitals: Vitals) -> Iterator[Metric]:
    running = Counter(job.step for job in vitals.running)
    jobs = [((step.value,), float(running[step])) for step in Step]
    yield _gauge("running_jobs", "Jobs that are under way.", jobs, "step")
    ratios = [
        ((job.database, job.step.value), min(job.done_bytes / job.total_bytes, 1.0))
        for job in vitals.running
        if job.total_bytes
    ]
    words = "How far a running job is, 0 to 1; nothing of one that does not say."
    yield _gauge("job_progress_ratio", words, ratios, "database", "step")


def _one(value: float) -> list[Value]:
    return [((), float(value))]


def _gauge(name: str, words: str, values: Iterable[Value], *labels: str) -> Metric:
    family = GaugeMetricFamily(f"tickward_{name}", words, labels=labels)
    for names, value in values:
        family.add_metric(names, value)
    return family


def _counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(f"tickward_{name}", words, value=value)


def _moment(name: str, words: str, moment: datetime | None) -> Metric:
    """Unix seconds; no sample where there is no such moment."""
    return _gauge(f"{name}_timestamp_seconds", words, _one(moment.timestamp()) if moment else ())
