"""Days at rest: of which the planner has nothing to say but what is done next, and when.

Most days are so most of the time. What the planner would say of one then follows from its state and its date,
so that an overview of a hundred thousand days need not have all that is known of each. A law keeps the two
equal (`tests/watcher/test_overview.py`).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import NamedTuple

from cronsim import CronSim

from handlers.contract import Step
from watcher.lifecycle import STAGES, State
from watcher.plan.entries import Wait
from watcher.plan.presence import why_gone
from watcher.schedule import NEVER, due, next_after
from watcher.settings import Ageing, Settings
from watcher.summary import Summary

NOTHING_LEFT = "nothing left to do"
_STATES = (State.BACKED_UP, State.COMPRESSED, State.ARCHIVED)
_MOMENT = timedelta(microseconds=1)


class Rest:
    """What is said of days at rest at one moment."""

    def __init__(self, settings: Settings, now: datetime) -> None:
        self._settings = settings
        self._now = now
        self._next = {state: _following(state, settings) for state in _STATES}
        self._why_gone: dict[tuple[date, str, str], str] = {}
        self._of_age: dict[date, bool] = {}
        self._waits: dict[tuple[State, date], _Waits | None] = {}
        schedule = settings.verify.schedule
        self._read_since: datetime | None = None
        self._read_again: datetime | None = None
        if schedule != NEVER:
            self._read_since = next(CronSim(schedule, now + _MOMENT, reverse=True))
            self._read_again = next_after(schedule, now)

    def is_of_age(self, day: date) -> bool:
        """Whether its deletion is due: then all days of its stream count."""
        known = self._of_age.get(day)
        if known is None:
            expire = self._settings.expire
            known = expire.enabled and due(day, expire.after_days, expire.schedule) <= self._now
            self._of_age[day] = known
        return known

    def of(self, summary: Summary, day: date) -> Wait | None:
        """What the planner says of it if its files are as they should be; None: ask the planner."""
        if not summary.plain or day > self._now.date():
            return None
        if summary.state is State.EXPIRED:
            return Wait(summary.key, self._deleted(summary))
        if summary.state not in self._next or not self._was_read(summary):
            return None
        state_and_day = (summary.state, day)
        if state_and_day not in self._waits:
            self._waits[state_and_day] = self._waits_of(summary.state, day)
        waits = self._waits[state_and_day]
        return None if waits is None else Wait(summary.key, *waits)

    def _waits_of(self, state: State, day: date) -> _Waits | None:
        """The same for all streams; None: what is next is due."""
        following = self._next[state]
        if following is None:
            return _Waits(NOTHING_LEFT, None, None, self._read_again)
        step, ageing, reason = following
        moment = due(day, ageing.after_days, ageing.schedule)
        if moment <= self._now:
            return None
        again = self._read_again
        if again is not None and again >= moment:
            again = None
        return _Waits(reason, moment, step, again)

    def _deleted(self, summary: Summary) -> str:
        """Many days were deleted on the same one, and the sentence is the same for all of them."""
        when, by, why = summary.expired_at, summary.gone_by, summary.gone_why
        assert when is not None
        known = (when.date(), by, why)
        if known not in self._why_gone:
            self._why_gone[known] = why_gone(when, by, why)
        return self._why_gone[known]

    def _was_read(self, summary: Summary) -> bool:
        """Whether its copies were read since they were last to be."""
        proven = summary.proven_at
        if proven is None or proven > self._now:
            return False
        return self._read_since is None or proven >= self._read_since


def age_reason(state: State, step: Step, after_days: int) -> str:
    """Why a day waits that only has to grow older."""
    return f"{state}; {step} after {after_days} days, on schedule"


class _Following(NamedTuple):
    """What is done next."""

    step: Step
    ageing: Ageing
    reason: str


class _Waits(NamedTuple):
    """A `Wait`, but for its key."""

    reason: str
    until: datetime | None
    step: Step | None
    verify_at: datetime | None


def _following(state: State, settings: Settings) -> _Following | None:
    states = [stage.state for stage in STAGES]
    for stage in STAGES[states.index(state) + 1 :]:
        if stage.enabled(settings):
            ageing = stage.ageing(settings)
            return _Following(stage.step, ageing, age_reason(state, stage.step, ageing.after_days))
    return None
