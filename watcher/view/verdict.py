"""Is it healthy, and if not, why, and what is to be done? Pure.

FAILING: days are in danger, or what should be done is not done, and will not be without a person. ATTENTION:
somebody should look at it in daylight. A volume with less room than there should be is FAILING, because what
needs room is paused then; one that is going to be full is ATTENTION: there is time. A missing daemon alone is
ATTENTION, because `tickward once` may be all that is wanted; once a step is a day late, it is FAILING: but
for days that were taken over within the last two hours, with which nothing could be done before.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain
from operator import attrgetter
from typing import Literal, NamedTuple, get_args

from msgspec import Struct

from handlers.contract import Step
from watcher.events import DAEMON_KEY
from watcher.lifecycle import State
from watcher.overview import Day, Overview, has_no_copy
from watcher.schedule import NEVER, end_of, next_after, start_of
from watcher.state import Database, Facts
from watcher.view.volumes import Volume
from watcher.wording import moment, size, span

Level = Literal["OK", "ATTENTION", "FAILING"]
Kind = Literal[
    "daemon",
    "doubt",
    "disk",
    "missing",
    "lost",
    "blocked",
    "damaged",
    "failed",
    "unsealed",
    "overdue",
    "deferred",
    "unread",
    "uncounted",
    "stream",
    "address",
    "watching",
    "clock",
]
"""What a reason is about, the most important first."""

_MOST_DAYS = 100
_FULL_SOON_DAYS = 14
_PASSED = timedelta(hours=2)
"""As long after a pass without a daemon another one may follow: from cron there is one every hour."""
_STILL = timedelta(minutes=2)
"""A daemon looks at everything twice a minute at least; one that has just begun has so long to get going."""
_SEALED_WITHIN = timedelta(hours=1)
_LATE = timedelta(days=1)
_NOTHING = Facts()
_READ_AT = attrgetter("verified_at")
_UNSEALED = (State.CREATED, State.ACTIVE, State.CLOSED)
_RANKS: dict[Level, int] = {"FAILING": 0, "ATTENTION": 1, "OK": 2}
_KINDS = get_args(Kind)


class Reason(Struct, frozen=True):
    """Why it is not OK: one sentence, and all the days that it is true of."""

    level: Level
    """``ATTENTION`` or ``FAILING``."""
    kind: Kind
    """What it is about, for programs: ``daemon``, ``doubt`` (a directory or the journal may not be what it
    was), ``disk``, ``missing`` (today's database), ``lost``, ``blocked`` (nothing is done until a person
    acts), ``damaged``, ``failed``, ``unsealed``, ``overdue``, ``deferred`` (somebody has it open), ``unread``
    (its copies have not been read for long), ``uncounted``, ``stream`` (one that is not configured any more
    has days), ``address`` (one could not be had: who listens there hears nothing), ``watching`` (changes are
    not told of), ``clock``."""
    sentence: str
    """What is wrong."""
    hint: str
    """What to do about it; empty: the sentence says it."""
    count: int
    """How many days it is about; 0: it is about none."""
    span: str
    """Which, in words: the day, or how many, the first and the last."""
    days: tuple[str, ...]
    """The first hundred of them: ``stream/YYYY-MM-DD``."""


class Verdict(Struct, frozen=True):
    """Whether it is healthy, and if not, why."""

    level: Level
    """``OK``; ``ATTENTION``: somebody should look at it; ``FAILING``: now."""
    reasons: tuple[Reason, ...]
    """The most important first; none if it is OK."""


class _Finding(NamedTuple):
    """What is said once, however many days it is true of."""

    level: Level
    kind: Kind
    sentence: str
    hint: str = ""


_Findings = Iterator[tuple[_Finding, str]]
"""Each with the day that it is about, or an empty key."""


def verdict(overview: Overview, volumes: Sequence[Volume]) -> Verdict:
    """Judge. ``volumes`` are those of the directories that are there."""
    found: dict[_Finding, list[str]] = {}
    everything = chain(
        _of_daemon(overview),
        _of_doubts(overview),
        _of_disk(overview, volumes),
        _of_streams(overview),
        _of_days(overview),
    )
    for finding, key in everything:
        keys = found.setdefault(finding, [])
        if key:
            keys.append(key)
    reasons = sorted((_reason(finding, keys) for finding, keys in found.items()), key=_importance)
    return Verdict(reasons[0].level if reasons else "OK", tuple(reasons))


def is_overdue(day: Day, now: datetime) -> bool:
    """Whether its step should have been done more than a day ago.

    A database that is to be created is either missing or has time; copies may be read over many days.
    """
    if day.entry != "action" or day.due is None or day.step in (Step.CREATE, Step.VERIFY):
        return False
    return now - day.due > _LATE


def _reason(finding: _Finding, keys: list[str]) -> Reason:
    return Reason(*finding, len(keys), span(keys) if keys else "", tuple(keys[:_MOST_DAYS]))


def _importance(reason: Reason) -> tuple[int, int, int]:
    return _RANKS[reason.level], _KINDS.index(reason.kind), -reason.count


def _of_daemon(overview: Overview) -> _Findings:
    vitals, pid = overview.vitals, overview.daemon_pid
    if pid is None:
        if finding := _without_daemon(overview):
            yield finding, ""
    elif vitals is None:
        if not _has_just_begun(overview, _STILL):
            yield _without_answer(overview), ""
    else:
        if vitals.error:
            hint = "mend that: it tries again by itself"
            yield _Finding("FAILING", "daemon", f"the daemon cannot go on: {vitals.error}", hint), ""
        if overview.at - vitals.stepped > _in_clock_time(_STILL, overview):
            since = f"the daemon (pid {pid}) has looked at nothing since {moment(vitals.stepped)}"
            hint = "look at the end of its log; end it and start it anew"
            yield _Finding("FAILING", "daemon", since, hint), ""
        for trouble in vitals.unserved:
            yield _Finding("ATTENTION", "address", trouble, "free that address, or name another"), ""
        if trouble := vitals.watching.trouble:
            seconds = f"{overview.settings.watch.rescan_seconds:g}"
            hint = f"until it is mended, what happens is seen every {seconds} seconds (watch.rescan_seconds)"
            yield _Finding("ATTENTION", "watching", f"not every change is told of: {trouble}", hint), ""


def _without_answer(overview: Overview) -> _Finding:
    if overview.is_deaf:
        sentence = f"something is at work here (pid {overview.daemon_pid}) that takes no orders"
        hint = "`tickward once` or another command, or a daemon that is about to start: wait for it"
        return _Finding("ATTENTION", "daemon", sentence, hint)
    hint = (
        "look at the end of its log: if it does nothing any more, end it and start it anew. Only its "
        "user and root can ask it"
    )
    sentence = f"the daemon (pid {overview.daemon_pid}) does not say how it is"
    return _Finding("FAILING", "daemon", sentence, hint)


def _without_daemon(overview: Overview) -> _Finding | None:
    """None: the system does without one, by a pass every hour."""
    hint = "see to the journal first" if overview.doubts.journal else "`tickward run` starts one"
    if any(is_overdue(day, overview.at) and not _is_new(day, overview) for day in overview.days):
        sentence = "no daemon is running, and what it should have done is more than a day late"
        return _Finding("FAILING", "daemon", sentence, hint)
    passed_at = overview.passed_at
    if passed_at is not None and timedelta() <= overview.at - passed_at < _in_clock_time(_PASSED, overview):
        return None
    sentence = "no daemon is running: nothing is sealed, copied, compressed or deleted"
    return _Finding("ATTENTION", "daemon", sentence, hint)


def _is_new(day: Day, overview: Overview) -> bool:
    """Whether it was sealed or taken over just now: what is due since long could not be done before."""
    return day.sealed_at is not None and timedelta() <= overview.at - day.sealed_at < _in_clock_time(
        _PASSED, overview
    )


def _of_doubts(overview: Overview) -> _Findings:
    doubts = overview.doubts
    for sentence in (doubts.journal, doubts.backup, doubts.archive):
        if sentence:
            yield _Finding("FAILING", "doubt", sentence), ""
    times = (facts.times.values() for facts in overview.streams.values())
    latest = max(chain.from_iterable(times), default=overview.at)
    if latest - overview.at > _in_clock_time(_STILL, overview):
        sentence = (
            f"the clock is behind: it says {moment(overview.at)}; there is an event of {moment(latest)}"
        )
        hint = (
            "set it right: days dated after it are set aside, and nothing is due before its time comes again"
        )
        yield _Finding("FAILING", "clock", sentence, hint), ""
    if doubts.clock_until is not None and doubts.clock_until > overview.at:
        sentence = f"the clock has jumped forward: it is watched until {moment(doubts.clock_until)}"
        yield _Finding("ATTENTION", "clock", sentence, "compare it with another machine's"), ""


def _of_disk(overview: Overview, volumes: Sequence[Volume]) -> _Findings:
    settings = overview.settings
    is_there = any("root" in volume.directories for volume in volumes)
    if overview.head and not is_there and not (overview.vitals and overview.vitals.error):
        sentence = f"the root {settings.data.root} is gone: nothing is done until it is back"
        yield _Finding("FAILING", "disk", sentence, "mount it, or restore it"), ""
    for volume in volumes:
        # What was too little is so until there is somewhat more: the planner knows.
        if volume.low or not overview.doubts.low.keys().isdisjoint(volume.directories):
            sentence = (
                f"only {size(volume.free_bytes)} are free on {volume.name}: what needs space there is paused"
            )
            hint = f"free space there: a tenth more than health.free_min ({settings.health.free_min})"
            yield _Finding("FAILING", "disk", sentence, hint), ""
        elif volume.days_until_full is not None and volume.days_until_full <= _FULL_SOON_DAYS:
            sentence = f"{volume.name} will be full in {volume.days_until_full} days at this rate"
            hint = "free space there, or archive and delete sooner: `tickward forecast` says what that saves"
            yield _Finding("ATTENTION", "disk", sentence, hint), ""


def _of_streams(overview: Overview) -> _Findings:
    for stream, count in sorted(overview.left_alone.items()):
        sentence = f"nothing looks after {count} days of {stream!r}: there is no stream of that name any more"
        hint = f"name it again as [data.streams.{stream}], if that was not meant"
        yield _Finding("ATTENTION", "stream", sentence, hint), ""


def _of_days(overview: Overview) -> _Findings:
    now, databases, days = overview.at, overview.databases, overview.days
    doubts = {overview.doubts.journal, overview.doubts.backup, overview.doubts.archive}
    today, is_watched = now.date(), _is_watched(overview)
    for day in days:
        if day.trouble:
            for finding in _of_troubled(day, databases.get(day.key), doubts):
                yield finding, day.key
        if day.entry == "action":
            for finding in _of_due(day, databases.get(day.key), overview):
                yield finding, day.key
        if day.day >= today:
            if _is_missing(day, overview):
                hint = "`tickward rotate` makes it; until then its writer has nowhere to write"
                yield _Finding("FAILING", "missing", "today's database is missing", hint), day.key
        elif is_watched and not day.trouble and day.state in _UNSEALED:
            for finding in _of_unsealed(day, databases.get(day.key), now):
                yield finding, day.key
    yield from _of_unread(overview)


def _of_troubled(day: Day, database: Database | None, doubts: set[str]) -> list[_Finding]:
    """What the planner and the facts say of it; the row alone, if there is no more."""
    facts = database.facts if database is not None else _NOTHING
    found = []
    if facts.lost is not None:
        found.append(_Finding("FAILING", "lost", f"LOST: {facts.lost.error}", facts.lost.hint))
    elif day.entry == "block":
        found.append(_of_block(day, facts, "doubt" if day.reason in doubts else "blocked"))
    for failed in facts.failed.values():
        what = f"{failed.step} {'failed' if failed.retryable else 'is impossible'}: {failed.error}"
        if all(finding.sentence != what for finding in found):  # the block may be just that
            found.append(_Finding("FAILING", "failed", what, failed.hint))
    if facts.deferred is not None and day.entry != "block":
        found.append(_of_deferred(facts))
    is_uncounted = facts.sealed is not None and not facts.sealed.counted
    if is_uncounted or (not found and day.trouble == "attention"):
        what = f"its ticks are not counted: it has no table of the name in data.streams.{day.stream}.table"
        found.append(_Finding("ATTENTION", "uncounted", what, "name the table that holds them"))
    if not found and database is not None and has_no_copy(database):
        hint = f"is every directory mounted? `tickward verify {day.key}` looks once more"
        found.append(_Finding("FAILING", "lost", "every copy of it is gone", hint))
    return found or [_Finding("FAILING", "failed", day.reason)]


def _of_block(day: Day, facts: Facts, kind: Kind) -> _Finding:
    level: Level = "FAILING" if day.trouble == "failing" else "ATTENTION"
    setbacks = (facts.corrupt, facts.conflict, *facts.failed.values())
    for hint in (setback.hint for setback in setbacks if setback is not None and setback.hint):
        if day.reason.endswith(f"; {hint}"):
            return _Finding(level, kind, day.reason.removesuffix(f"; {hint}"), hint)
    return _Finding(level, kind, day.reason)


def _of_deferred(facts: Facts) -> _Finding:
    deferred, copy = facts.deferred, facts.backed_up
    assert deferred is not None
    copied = "no copy of it yet"
    if copy is not None and copy.live:
        copied = f"a consistent copy was taken {moment(facts.times.get('backed_up'))}"
    sentence = f"not sealed, because it is held by {deferred.who} since {moment(deferred.since)}; {copied}"
    return _Finding("ATTENTION", "deferred", sentence, "close it there: then it is sealed")


def _of_due(day: Day, database: Database | None, overview: Overview) -> Iterator[_Finding]:
    """Of a day to which something is to be done: what was found in it, or that it is late."""
    facts = database.facts if database is not None else _NOTHING
    if facts.corrupt is not None and facts.sealed is not None:
        what = f"{facts.corrupt.step} found damage: {facts.corrupt.error}"
        hint = "its copies are read next, and it is repaired from a good one"
        yield _Finding("FAILING", "damaged", what, hint)
    if is_overdue(day, overview.at):
        hint = "`tickward once` does it, `tickward run` starts the daemon that does"
        if overview.daemon_pid is not None:
            hint = "the daemon works through them: if they do not get fewer, look at the end of its log"
        yield _Finding("ATTENTION", "overdue", f"{day.step} is more than a day late", hint)


def _is_missing(day: Day, overview: Overview) -> bool:
    now = overview.at
    if day.day != now.date() or day.state is not State.ABSENT or day.entry == "block":
        return False
    if not (overview.head and overview.settings.create.enabled):
        return False
    in_time = now - start_of(day.day) <= _in_clock_time(_STILL, overview)
    return not (in_time or (overview.daemon_pid is not None and _has_just_begun(overview, _STILL)))


def _is_watched(overview: Overview) -> bool:
    """Whether a daemon has had time enough to seal whatever could be sealed."""
    if overview.daemon_pid is None or _has_just_begun(overview, _SEALED_WITHIN):
        return False
    return overview.vitals is None or not overview.vitals.waiting  # with a backlog some wait for a worker


def _of_unsealed(day: Day, database: Database | None, now: datetime) -> Iterator[_Finding]:
    changed = database.facts.times.values() if database is not None else ()
    since = max((end_of(day.day), *(time for time in changed if time <= now)))
    if now - since <= _SEALED_WITHIN:
        return  # it is over for so long, or was written to again
    if database is not None and database.held:
        sentence = "not sealed, because somebody has it open for writing, though its day is over"
        yield _Finding("ATTENTION", "deferred", sentence, "close it there: then it is sealed")
        return
    hint = "look at the end of the daemon's log; `tickward plan` says what it waits for"
    yield _Finding("FAILING", "unsealed", "not sealed, though its day is over and nobody has it open", hint)


def _of_unread(overview: Overview) -> _Findings:
    """Days of which no copy was read while two times of the schedule of verification have passed."""
    schedule, now = overview.settings.verify.schedule, overview.at
    if schedule == NEVER:
        return

    def missed_two(read_at: datetime) -> bool:
        following = next_after(schedule, read_at)
        second = next_after(schedule, following) if following is not None and following <= now else None
        return second is not None and second <= now

    read = [d for d in overview.days if d.verified_at is not None and d.tier != "gone" and d.entry != "block"]
    if not read or not missed_two(min(map(_READ_AT, read))):
        return  # as it should be: of a hundred thousand days only the oldest is asked about
    times = sorted(set(map(_READ_AT, read)))
    late = set(times[: bisect_left(times, True, key=lambda time: not missed_two(time))])
    sentence = f"its copies were to be read twice since they last were (verify.schedule {schedule})"
    finding = _Finding("ATTENTION", "unread", sentence, "`tickward verify` does it now")
    yield from ((finding, day.key) for day in read if day.verified_at in late)


def _has_just_begun(overview: Overview, time: timedelta) -> bool:
    facts, vitals = overview.streams.get(DAEMON_KEY, _NOTHING), overview.vitals
    began = vitals.started if vitals is not None else facts.times.get("started")
    return began is not None and overview.at - began <= _in_clock_time(time, overview)


def _in_clock_time(time: timedelta, overview: Overview) -> timedelta:
    """What so much of the machine's time is by a clock that runs faster."""
    return time * max(overview.settings.clock.scale, 1.0)
