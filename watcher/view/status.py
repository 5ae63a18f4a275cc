"""How things stand, on one screen: what ``tickward status`` shows, and others who show it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import get_args

from msgspec import Struct

from handlers.contract import Holder, Step
from handlers.pattern import Pattern
from watcher.disk import LastWrite, Room
from watcher.events import DAEMON_KEY, Tier
from watcher.lifecycle import STAGES, State
from watcher.lifecycle import Tier as TierName
from watcher.overview import Day, Overview
from watcher.plan import next_midnight
from watcher.plan.entries import is_paused
from watcher.schedule import due, next_after
from watcher.state import Database, Facts
from watcher.view.verdict import Reason, Verdict, is_overdue, verdict
from watcher.view.volumes import Volume, growth_per_day, volumes
from watcher.vitals import Vitals

_GROWING = timedelta(minutes=5)
ROTATE = "rotate"
"""Done at midnight to a stream, not to a day."""
Databases = list[tuple[str, Database]]


class DaemonStatus(Struct, frozen=True):
    """Whether a daemon looks after the days."""

    pid: int | None
    """Its process; null: no daemon is running; 0: one is, and its number is not known."""
    vitals: Vitals | None
    """What it says of itself; null: it does not answer, or none is running."""
    started: datetime | None
    """When one began last, by the journal; null: none ever did."""
    stopped: datetime | None
    """When one last ended in order; before ``started``: it runs, or was killed."""


class ActiveDay(Struct, frozen=True):
    """The day of a stream that is being written to, or should be."""

    stream: str
    """Its stream."""
    database: str
    """The day: ``stream/YYYY-MM-DD``."""
    path: str
    """Its file."""
    state: State
    """``active`` while somebody has it open for writing; ``absent``: there is no such file."""
    bytes: int
    """Of the file and its write-ahead log; 0: there is no such file."""
    last_write: datetime | None
    """When one of the two was last written to; null: there is no such file."""
    silent_seconds: float | None
    """How long ago that was; null: there is no such file."""
    growing: bool
    """Whether that was within the last five minutes."""


class StepStatus(Struct, frozen=True):
    """When a step was last done to any day, and when it is done next."""

    step: str
    """Its name, such as ``compress``; ``rotate`` is done to a stream."""
    last: datetime | None
    """When it last succeeded; null: it never did, as far as is known."""
    next: datetime | None
    """When it is due next; now, if it is due; null: never, by the settings or for want of such a day."""
    due: int
    """For how many days it is due and not done: the backlog."""
    overdue: int
    """For how many of them it has been so for more than a day; not counted for ``create`` and ``verify``."""
    paused: int
    """For how many more it would be done now, if there were room for it on the volume."""


class FailedStep(Struct, frozen=True):
    """A step that did not succeed, and has not since."""

    database: str
    """The day: ``stream/YYYY-MM-DD``."""
    step: str
    """The step."""
    error: str
    """What went wrong."""
    hint: str
    """What to do about it."""
    attempt: int
    """How often it has failed in a row."""
    next_try: datetime | None
    """When it is tried again; null: not until the files change or the daemon is restarted."""


class HeldOpen(Struct, frozen=True):
    """A day that is over and is not sealed, because somebody has it open."""

    database: str
    """The day: ``stream/YYYY-MM-DD``."""
    holders: tuple[Holder, ...]
    """Who, as far as that can be seen."""
    since: datetime
    """When sealing was first put off."""
    copied_at: datetime | None
    """When a consistent copy of it was taken; null: there is none yet."""
    copied_ticks: int | None
    """The rows in that copy."""


class OnHold(Struct, frozen=True):
    """A day that is kept as it is, because a person has ordered it."""

    database: str
    """The day: ``stream/YYYY-MM-DD``."""
    reason: str
    """Why."""
    by: str
    """Who."""
    since: datetime | None
    """Since when."""


class Versions(Struct, frozen=True):
    """What this command is of; what the daemon is of, it says itself."""

    tickward: str
    """Of Tickward."""
    sqlite: str
    """Of the SQLite that it brings along."""


class Status(Struct, frozen=True):
    """How things stand. The list of all days is `tickward inventory`."""

    at: datetime
    """When it was looked at."""
    verdict: Verdict
    """Whether it is healthy, and if not, why. The exit status is 0 for ``OK``, 1 for ``ATTENTION``, 2 for
    ``FAILING``."""
    daemon: DaemonStatus
    """Whether a daemon looks after the days."""
    active: tuple[ActiveDay, ...]
    """The present day of each stream, in the order of the settings."""
    steps: tuple[StepStatus, ...]
    """Each step, in the order of a day's life."""
    failures: tuple[FailedStep, ...]
    """What has failed, by day."""
    blocked: tuple[Reason, ...]
    """Those of the reasons that are about days to which nothing is done until a person acts."""
    deferred: tuple[HeldOpen, ...]
    """Days that somebody has open though they are over."""
    holds: tuple[OnHold, ...]
    """Days on hold."""
    volumes: tuple[Volume, ...]
    """The volumes that the directories of ``[data]`` are on."""
    last_verified: datetime | None
    """When the copies of a day were last read and compared, for no other purpose; null: they never were."""
    last_drill: datetime | None
    """When a day was last restored on trial; null: none was."""
    tiers: dict[str, Tier]
    """How many days are ``hot``, ``warm``, ``cold`` and ``gone``, and what their first copies take."""
    states: dict[str, int]
    """How many days are in which state, such as ``compressed``."""
    sequence: int
    """The number of the newest event."""
    config_file: str
    """The configuration; empty: there is none, the defaults hold."""
    versions: Versions
    """What this command is of."""


def status_of(
    overview: Overview,
    volumes: Sequence[Volume],
    writes: Mapping[str, LastWrite],
    *,
    config_file: str,
    versions: Versions,
) -> Status:
    """Put it together.

    Args:
        overview: every day.
        volumes: see `volumes_of`.
        writes: of the `active_paths` that are there, by their keys.
        config_file: empty for the defaults.
        versions: of whoever asks.
    """
    known = sorted(overview.databases.items())
    judged = verdict(overview, volumes)
    steps = _steps(overview)
    last = {step.step: step.last for step in steps}
    return Status(
        at=overview.at,
        verdict=judged,
        daemon=_daemon(overview),
        active=_active(overview, writes),
        steps=steps,
        failures=_failures(known),
        blocked=tuple(
            reason for reason in judged.reasons if reason.kind in ("blocked", "doubt") and reason.count
        ),
        deferred=_deferred(known),
        holds=_holds(known),
        volumes=tuple(volumes),
        last_verified=last[Step.VERIFY],
        last_drill=last[Step.DRILL],
        tiers=_tiers(overview),
        states=_states(overview),
        sequence=overview.head,
        config_file=config_file,
        versions=versions,
    )


def volumes_of(overview: Overview, rooms: Iterable[Room]) -> tuple[Volume, ...]:
    """The volumes of the directories that are there, and how fast they fill."""
    growth = growth_per_day(overview.days, overview.at)
    return volumes(rooms, growth, overview.settings.health.free_min_bytes)


def active_paths(overview: Overview) -> dict[str, str]:
    """The file of the present day of each stream, by the day's key."""
    found = {}
    for stream, settings in overview.settings.data.streams.items():
        day = _present(overview, stream)
        found[f"{stream}/{day}"] = f"{overview.settings.data.root}/{Pattern(settings.pattern).path_of(day)}"
    return found


def _present(overview: Overview, stream: str) -> date:
    """Today, or tomorrow once its writer has begun that."""
    rotated = overview.streams.get(stream, Facts()).rotated
    today = overview.at.date()
    return max(today, date.fromisoformat(rotated.current)) if rotated is not None else today


def _daemon(overview: Overview) -> DaemonStatus:
    times = overview.streams.get(DAEMON_KEY, Facts()).times
    return DaemonStatus(overview.daemon_pid, overview.vitals, times.get("started"), times.get("stopped"))


def _active(overview: Overview, writes: Mapping[str, LastWrite]) -> tuple[ActiveDay, ...]:
    today = overview.at.date()
    states = {day.key: day.state for day in overview.days if day.day >= today}
    return tuple(
        _active_day(key, path, states.get(key, State.ABSENT), writes.get(key), overview.at)
        for key, path in active_paths(overview).items()
    )


def _active_day(key: str, path: str, state: State, write: LastWrite | None, now: datetime) -> ActiveDay:
    stream = key.partition("/")[0]
    if write is None:
        return ActiveDay(stream, key, path, state, 0, None, None, growing=False)
    # Files go by the machine's clock: a clock that is behind it has seen the write just now.
    silent = max(now - write.at, timedelta(0))
    seconds = round(silent.total_seconds(), 3)
    return ActiveDay(stream, key, path, state, write.bytes, write.at, seconds, growing=silent <= _GROWING)


def _steps(overview: Overview) -> tuple[StepStatus, ...]:
    now, days = overview.at, overview.days
    due_now: Counter[Step | None] = Counter()
    late: Counter[Step | None] = Counter()
    for day in days:
        if day.entry == "action":
            due_now[day.step] += 1
            late[day.step] += is_overdue(day, now)
    paused = Counter(entry.step for entry in overview.plan.entries if is_paused(entry))
    last, following = _last(overview), _next(overview)
    found = [
        StepStatus(
            step=step,
            last=last[step],
            next=now if due_now[step] else following.get(step),
            due=due_now[step],
            overdue=late[step],
            paused=paused[step],
        )
        for step in last
    ]
    rotated = [facts.times["rotated"] for facts in overview.streams.values() if facts.rotated is not None]
    rotate = StepStatus(ROTATE, max(rotated, default=None), next_midnight(now), 0, 0, 0)
    return (found[0], rotate, *found[1:])


def _last(overview: Overview) -> dict[Step, datetime | None]:
    """When each step last succeeded."""
    days = overview.days
    created = [d.facts.times["created"] for d in overview.databases.values() if "created" in d.facts.times]
    return {
        Step.CREATE: max(created, default=None),  # of days ahead: they are never at rest
        Step.SEAL: _newest(days, "sealed_at"),
        Step.BACKUP: _newest(days, "backed_up_at"),
        Step.COMPRESS: _newest(days, "compressed_at"),
        Step.ARCHIVE: _newest(days, "archived_at"),
        Step.EXPIRE: _newest(days, "expired_at"),
        Step.VERIFY: _last_reading(days),
        Step.DRILL: _newest(days, "drilled_at"),
    }


def _newest(days: list[Day], field: str) -> datetime | None:
    return max(filter(None, map(attrgetter(field), days)), default=None)


def _last_reading(days: list[Day]) -> datetime | None:
    """When copies were last read for no other purpose: some steps read them as well."""
    last = None
    for day in days:
        read = day.verified_at
        is_newer = read is not None and (last is None or read > last)
        if is_newer and read not in (day.sealed_at, day.compressed_at, day.archived_at):
            last = read
    return last


def _next(overview: Overview) -> dict[Step, datetime | None]:
    """When each step is done next, by the oldest day that is on its way there and that nothing keeps."""
    settings, now = overview.settings, overview.at
    free = [
        day
        for day in overview.days
        if not (day.trouble or day.on_hold or _stays(day)) and day.tier not in (None, "gone")
    ]
    oldest = _oldest(free)
    found: dict[Step, datetime | None] = {
        Step.CREATE: next_midnight(now) if settings.create.enabled else None,
        Step.DRILL: overview.plan.drill_at,
    }
    before = [State.CREATED, State.ACTIVE, State.CLOSED]
    for stage in STAGES:
        first = min((oldest[state] for state in before if state in oldest), default=None)
        if first is not None and stage.enabled(settings):
            ageing = stage.ageing(settings)
            found[stage.step] = max(due(first, ageing.after_days, ageing.schedule), now)
        before.append(stage.state)
    read = min((day.verified_at for day in free if day.verified_at is not None), default=None)
    following = next_after(settings.verify.schedule, read) if read is not None else None
    found[Step.VERIFY] = max(following, now) if following is not None else None
    return found


def _stays(day: Day) -> bool:
    """Whether it waits for no time to come: one of the newest, which are kept whatever their age."""
    return day.entry == "wait" and day.step is Step.EXPIRE and day.due is None


def _oldest(days: list[Day]) -> dict[State, date]:
    found: dict[State, date] = {}
    for state, some in groupby(days, key=attrgetter("state")):  # neighbours mostly are in the same one
        first = min(day.day for day in some)
        found[state] = min(first, found.get(state, first))
    return found


def _failures(known: Databases) -> tuple[FailedStep, ...]:
    return tuple(
        FailedStep(key, f.step, f.error, f.hint, f.attempt, f.next_try)
        for key, database in known
        for f in database.facts.failed.values()
    )


def _deferred(known: Databases) -> tuple[HeldOpen, ...]:
    found = []
    for key, facts in ((key, database.facts) for key, database in known):
        if facts.deferred is not None:
            copy = facts.backed_up if facts.backed_up is not None and facts.backed_up.live else None
            at, ticks = (facts.times.get("backed_up"), copy.ticks) if copy is not None else (None, None)
            found.append(HeldOpen(key, facts.deferred.holders, facts.deferred.since, at, ticks))
    return tuple(found)


def _holds(known: Databases) -> tuple[OnHold, ...]:
    return tuple(
        OnHold(key, facts.hold.reason, facts.hold.by, facts.times.get("held"))
        for key, facts in ((key, database.facts) for key, database in known)
        if facts.hold is not None
    )


def _tiers(overview: Overview) -> dict[str, Tier]:
    found = {name: Tier(0, 0, 0) for name in get_args(TierName)}
    for name, some in groupby(overview.days, key=attrgetter("tier")):
        if name is not None:
            found[name] = _with(found[name], list(some))
    gone, more = found["gone"], overview.left_out
    found["gone"] = Tier(gone.days + len(more), gone.bytes + sum(more.values()), gone.bytes_now)
    return found


def _with(tier: Tier, days: list[Day]) -> Tier:
    raw = sum(day.bytes_now if day.bytes is None else day.bytes for day in days)
    return Tier(tier.days + len(days), tier.bytes + raw, tier.bytes_now + sum(day.bytes_now for day in days))


def _states(overview: Overview) -> dict[str, int]:
    found: Counter[State] = Counter({State.EXPIRED: len(overview.left_out)})
    for state, some in groupby(overview.days, key=attrgetter("state")):
        found[state] += len(list(some))
    return {state.value: found[state] for state in State if found[state]}
