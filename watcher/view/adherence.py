"""What was done with each day, against what the policy asks. Pure.

A step is on time if it was done within a day after it was due. It was due when the policy says, but not
before its rule came into force: what a shorter age makes due at once could not have been done sooner. What
was done before that is compared with the present rule all the same, and marked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from operator import attrgetter
from statistics import median
from typing import Literal

from msgspec import Struct

from handlers.contract import Step
from watcher.lifecycle import STAGES, Stage
from watcher.overview import Day, Overview
from watcher.plan.entries import TAKE_AWAY
from watcher.plan.retention import policy_in_words
from watcher.schedule import NEVER, due, end_of, start_of
from watcher.view.inventory import note_of
from watcher.view.policy import age_in_words
from watcher.wording import count_of, moment, printable

Kind = Literal["late", "early", "overdue", "kept"]
Policies = Sequence[tuple[datetime, Mapping[str, str]]]
"""Every policy that was in force, and since when, in order."""
_AT_ONCE, _ON_TIME = timedelta(0), timedelta(days=1)
_PLACES = {stage.state: place for place, stage in enumerate(STAGES)}
_BEGINNING = start_of(date.min)
_MOMENTS = attrgetter("sealed_at", "backed_up_at", "compressed_at", "archived_at", "expired_at")
"""When each of the stages was done, in their order."""


class RuleChange(Struct, frozen=True):
    """A rule of the policy that has become another."""

    rule: str
    """Its name: a step's, or that of another rule."""
    before: str | None
    """What it was; null: there was none."""
    after: str | None
    """What it is from then on; null: there is none any more."""


class PolicyChange(Struct, frozen=True):
    """When the policy has changed, as the journal has it."""

    at: datetime
    """When the daemon began to work under it: RFC 3339, UTC."""
    rules: tuple[RuleChange, ...]
    """What has changed."""


class StepRecord(Struct, frozen=True):
    """How one step was done, over all days. Ages are counted from the end of the day, UTC."""

    step: Step
    """Its name."""
    asked: str
    """Age and schedule in words."""
    done: int
    """Days with which it was done."""
    on_time: int
    """Of those: not before it was due, and within a day after."""
    late: int
    """Of those: later."""
    early: int
    """Of those: before it was due, or although it is not to be done at all."""
    pending: int
    """Days for which it has been due for less than a day and is not done."""
    overdue: int
    """Days for which it has been due for longer."""
    kept: int
    """Days that are kept although it is due: they are on hold, or among the newest, which are not deleted."""
    age_seconds_median: float | None
    """Age at which it was done; null: it never was."""
    age_seconds_max: float | None
    """The same at the most."""
    late_seconds_median: float | None
    """How much later than due, of those that were late; null: none was."""
    late_seconds_max: float | None
    """The same at the most."""


class Deviation(Struct, frozen=True):
    """A day with which a step was not done as the policy asks."""

    stream: str
    """Its stream."""
    day: date
    """Its date, UTC."""
    step: Step
    """What was not done in time, or too soon."""
    kind: Kind
    """Done late; done too soon; due and not done; due and not done because it is to be kept."""
    due: datetime
    """When it was due: RFC 3339, UTC."""
    at: datetime | None
    """When it was done; null: it is not."""
    reason: str
    """Why, as far as that is known."""
    earlier_policy: bool = False
    """Whether it was done before the present rule came into force."""


class DayAges(Struct, frozen=True, gc=False):
    """At which age each step was done with a day, in seconds after its end (UTC); null: it was not."""

    stream: str
    """Its stream."""
    day: date
    """Its date, UTC."""
    seal: float | None = None
    """When its content was checked and its SHA-256 taken; the last time, if it was sealed anew."""
    backup: float | None = None
    """When its second copy was made; the last time."""
    compress: float | None = None
    """When both copies were compressed; the last time."""
    archive: float | None = None
    """When it was moved to the archive."""
    expire: float | None = None
    """When it was deleted."""


class Adherence(Struct, frozen=True):
    """What the journal shows against the policy."""

    at: datetime
    """When that was so: RFC 3339, UTC."""
    policy: dict[str, str]
    """Each rule in words, by its name: what the settings say now."""
    recorded: bool
    """Whether the journal has any policy: the daemon records it at its first start."""
    in_force: bool
    """Whether the daemon has begun to work under it: the newest one in the journal is the same."""
    changes: tuple[PolicyChange, ...]
    """When it has changed."""
    steps: tuple[StepRecord, ...]
    """How each step was done."""
    exceptions: tuple[Deviation, ...]
    """Days with which a step was done late or too soon, or is overdue."""
    kept: tuple[Deviation, ...]
    """Days that are kept beyond what is due, because they are on hold or among the newest: no exceptions."""
    days: list[DayAges]
    """Every day's ages, by stream and date."""


def adherence(found: Overview, recorded: Policies) -> Adherence:
    """Compare each day's record with the policy of the settings."""
    policy = policy_in_words(found.settings)
    changes = tuple(_changes(recorded))
    done = [day for day in found.days if day.state in _PLACES]
    ages = list(map(_ages, done))
    stuck: set[str] = set()
    judges = [_Judge(stage, found, _since(stage.step, recorded, changes)) for stage in STAGES]
    for judge in judges:
        judge.judge_all(stuck)
    return Adherence(
        at=found.at,
        policy=policy,
        recorded=bool(recorded),
        in_force=bool(recorded) and dict(recorded[-1][1]) == policy,
        changes=changes,
        steps=tuple(judge.record(ages) for judge in judges),
        exceptions=_sorted(each for judge in judges for each in judge.exceptions),
        kept=_sorted(each for judge in judges for each in judge.kept),
        days=ages,
    )


def _changes(recorded: Policies) -> Iterator[PolicyChange]:
    for (_, before), (at, after) in pairwise(recorded):
        names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        if names:
            yield PolicyChange(at, tuple(RuleChange(n, before.get(n), after.get(n)) for n in names))


def _since(step: Step, recorded: Policies, changes: Sequence[PolicyChange]) -> tuple[datetime, bool]:
    """Since when the present rule of a step has been in force, and whether there was another before."""
    moments = [change.at for change in changes if any(each.rule == step for each in change.rules)]
    if moments:
        return moments[-1], True
    return (recorded[0][0] if recorded else _BEGINNING), False


class _Judge:
    """What was done in one step with every day."""

    def __init__(self, stage: Stage, found: Overview, since: tuple[datetime, bool]) -> None:
        self._stage, self._found = stage, found
        self._ageing, self._enabled = stage.ageing(found.settings), stage.enabled(found.settings)
        self._since, self._had_another = since
        self._late: list[float] = []
        self._pending = 0
        self.exceptions: list[Deviation] = []
        self.kept: list[Deviation] = []

    def judge_all(self, stuck: set[str]) -> None:
        """``stuck``: days for which a step is due and not done; what comes after it is not asked of them."""
        place, now = _PLACES[self._stage.state], self._found.at
        age, schedule = self._ageing.after_days, self._ageing.schedule
        dates = {day.day for day in self._found.days}
        moments = {day: due(day, age, schedule) for day in dates}  # once for all streams
        for day in self._found.days:
            moment = moments[day.day]
            if _PLACES.get(day.state, -1) >= place:
                self._done(day, moment, _moments(day)[place])
            elif self._enabled and moment <= now and day.key not in stuck:
                stuck.add(day.key)
                self._not_done(day, moment)

    def _done(self, day: Day, moment: datetime, at: datetime | None) -> None:
        if at is None:
            return  # left out on the way: it was not enabled then; or done before it was taken over
        late = at - moment
        if not self._enabled:
            self._except(day, "early", moment, at, f"{self._stage.step}.enabled is false")
        elif late < _AT_ONCE:
            self._except(day, "early", moment, at, f"{_length(-late)} before it was due")
        elif late > _ON_TIME and (late := at - self._asked(moment, at)) > _ON_TIME:
            self._late.append(late.total_seconds())
            self._except(day, "late", moment, at, f"{_length(late)} late")

    def _not_done(self, day: Day, moment: datetime) -> None:
        found = self._found
        reason = note_of(day, found.databases.get(day.key)) or day.reason
        if self._is_kept(day):
            self.kept.append(Deviation(day.stream, day.day, self._stage.step, "kept", moment, None, reason))
        elif found.at - self._asked(moment, found.at) <= _ON_TIME:
            self._pending += 1
        else:
            self._except(day, "overdue", moment, None, reason)

    def _asked(self, moment: datetime, at: datetime) -> datetime:
        """When it was asked for, by the rule that is in force now."""
        return max(moment, self._since) if at >= self._since else moment

    def _is_kept(self, day: Day) -> bool:
        step = self._stage.step
        # A day past its retention waits for no moment only if it is on hold, or one of the newest.
        waits = step is Step.EXPIRE and day.entry == "wait" and day.due is None
        return waits or (day.on_hold and step in TAKE_AWAY)

    def _except(self, day: Day, kind: Kind, moment: datetime, at: datetime | None, reason: str) -> None:
        earlier = self._had_another and at is not None and at < self._since
        self.exceptions.append(
            Deviation(day.stream, day.day, self._stage.step, kind, moment, at, reason, earlier)
        )

    def record(self, days: Sequence[DayAges]) -> StepRecord:
        """What it comes to."""
        early = sum(each.kind == "early" for each in self.exceptions)
        age_of, late = attrgetter(self._stage.step), self._late
        ages = [age for age in map(age_of, days) if age is not None]
        return StepRecord(
            step=self._stage.step,
            asked=age_in_words(self._ageing) if self._enabled else NEVER,
            done=len(ages),
            on_time=len(ages) - len(late) - early,
            late=len(late),
            early=early,
            pending=self._pending,
            overdue=sum(each.kind == "overdue" for each in self.exceptions),
            kept=len(self.kept),
            age_seconds_median=median(ages) if ages else None,
            age_seconds_max=max(ages, default=None),
            late_seconds_median=median(late) if late else None,
            late_seconds_max=max(late, default=None),
        )


def _sorted(deviations: Iterable[Deviation]) -> tuple[Deviation, ...]:
    return tuple(sorted(deviations, key=attrgetter("stream", "day")))


def _ages(day: Day) -> DayAges:
    over = end_of(day.day)
    # What was done before a late tick broke the seal does not count any more.
    moments = _moments(day)[: _PLACES[day.state] + 1]
    return DayAges(
        day.stream, day.day, *(None if at is None else (at - over).total_seconds() for at in moments)
    )


def _moments(day: Day) -> tuple[datetime | None, ...]:
    """When each stage was done; None also where nobody knows: of a day that was taken over as it was."""
    found = _MOMENTS(day)
    sealed_at, _, *later = found
    if sealed_at is None or sealed_at not in later:
        return found
    return tuple(None if moment == sealed_at else moment for moment in found)


def _length(span: timedelta) -> str:
    """``9 days``, ``5 hours``: rounded down."""
    hours = int(span.total_seconds() // 3600)
    number, unit = (hours // 24, "day") if hours >= 24 else (hours, "hour")
    return count_of(number, unit)


def lines(found: Adherence) -> Iterator[str]:
    """The same for people."""
    yield f"What was done with {len(found.days):,} days, against the policy of {moment(found.at)}"
    yield ""
    rows = [_HEAD, *map(_row, found.steps)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            f"{cell:{'<' if not n else '>'}{width}}"
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()
    yield ""
    yield from _policy_lines(found)
    for label, deviations in (("kept beyond what is due", found.kept), ("exceptions", found.exceptions)):
        yield f"{label}: {len(deviations) or 'none'}"
        yield from map(_line, deviations)


_HEAD = (
    *("step", "done", "on time", "late", "early", "pending", "overdue", "kept"),
    *("median age", "highest", "median delay", "highest"),
)


def _row(step: StepRecord) -> tuple[str, ...]:
    counts = (step.done, step.on_time, step.late, step.early, step.pending, step.overdue, step.kept)
    spans = (step.age_seconds_median, step.age_seconds_max, step.late_seconds_median, step.late_seconds_max)
    return (step.step, *(f"{count:,}" for count in counts), *map(_span, spans))


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.0f} s"


def _policy_lines(found: Adherence) -> Iterator[str]:
    if not found.recorded:
        yield "no policy was recorded yet: the daemon does that at its first start"
    elif not found.in_force:
        yield "these settings are not the policy that the daemon last worked under: start it anew"
    for change in found.changes:
        for rule in change.rules:
            yield f"{moment(change.at)} {rule.rule}: {rule.before or '-'} -> {rule.after or '-'}"
    if found.recorded and not found.changes:
        yield "the policy has never changed"


def _line(each: Deviation) -> str:
    when = f"done {moment(each.at)}, " if each.at else ""
    under = " (under an earlier policy)" if each.earlier_policy else ""
    head = f"{each.stream}/{each.day} {each.step} {each.kind}: {when}due {moment(each.due)}: {each.reason}"
    return printable(f"  {head}{under}")
