"""Where every day is: the days that somebody asked for, and those that are missing between them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Literal

from msgspec import Struct

from handlers.contract import Step
from watcher.lifecycle import State, Tier
from watcher.overview import Day, Overview
from watcher.state import Database, Facts

MISSING = "missing"
"""The state of a day of which no database was ever known."""
_DAY = timedelta(days=1)


class Choice(Struct, frozen=True):
    """Which days are asked for. By default all that are not deleted."""

    tiers: frozenset[str] = frozenset()
    """Only of these; empty: of all."""
    states: frozenset[str] = frozenset()
    """Only in these, `MISSING` among them; empty: in all."""
    stream: str | None = None
    first: date = date.min
    last: date = date.max
    trouble: bool = False
    """Only those that are in trouble."""
    deleted: bool = False
    """Those that were deleted as well: who names their tier or their state asks for them too.

    One that is in trouble, because a file of that day is there again, is in every list.
    """

    @property
    def wants_deleted(self) -> bool:
        """Whether those that were deleted are to be listed."""
        return self.deleted or "gone" in self.tiers or State.EXPIRED in self.states


class Listed(Struct, frozen=True, gc=False):
    """One day of one stream."""

    stream: str
    """Its stream."""
    day: date
    """Its date, UTC."""
    tier: Tier | None
    """``hot``, ``warm``, ``cold``, ``gone``; null: there is nothing of it."""
    state: State
    """Where in its life it is."""
    bytes: int | None
    """Uncompressed; null before it was sealed."""
    bytes_now: int
    """Of the first copy as it is now; 0: there is none."""
    ratio: float | None
    """How many times smaller it is now; null for one that is not compressed."""
    ticks: int | None
    """Rows; null before it was sealed."""
    symbols: int | None
    """Different symbols among them; null before it was sealed."""
    backup: Literal["yes", "live", "no"]
    """Whether there is a second copy. Live: a consistent one of a day that somebody still holds."""
    verified_at: datetime | None
    """When its copies were last read and compared, whatever for: RFC 3339, UTC; null: never."""
    on_hold: bool
    """Whether a person has ordered that it is kept."""
    entry: Literal["action", "wait", "block"]
    """Due now; nothing to do for now; nothing is done until a person acts."""
    step: Step | None
    """What is done next; null: nothing."""
    due: datetime | None
    """When: RFC 3339, UTC; null: nothing is due, or it waits for something to happen."""
    reason: str
    """Why, in a sentence."""
    trouble: Literal["", "attention", "failing"]
    """Whether a person should look at it."""
    note: str
    """What such a person should know: what is wrong, who has put it on hold; empty: nothing."""


class Gap(Struct, frozen=True):
    """Days in a row of which no database was ever known, after the first day of their stream."""

    stream: str
    """Their stream."""
    first: date
    """The first that is missing."""
    last: date
    """The last."""
    days: int
    """How many."""


class Totals(Struct, frozen=True):
    """What the days in a list come to."""

    days: int
    """How many are listed."""
    ticks: int
    """Rows of all of them that are sealed."""
    bytes: int
    """Of the same, uncompressed."""
    bytes_now: int
    """Of the first copies of all of them, as they are now."""
    ratio: float | None
    """How many times smaller the compressed ones among them are now; null if there are none."""
    missing: int
    """Days in the gaps that are listed."""
    deleted_left_out: int
    """Deleted days that are not listed, because nobody asked for those."""


class Inventory(Struct, frozen=True):
    """Where every day is."""

    at: datetime
    """When that was so: RFC 3339, UTC."""
    days: list[Listed]
    """By stream and date."""
    gaps: list[Gap]
    """The days between them that are missing; none where days of some tier, or in trouble, are asked for."""
    totals: Totals
    """What the days come to."""


def inventory(overview: Overview, choice: Choice) -> Inventory:
    """The days that are asked for, each with what a person asks of it."""
    wanted = [day for day in overview.days if _is_chosen(day, choice)]
    left_out = 0
    if not choice.wants_deleted:
        kept = [day for day in wanted if day.tier != "gone" or day.trouble]
        left_out = len(wanted) - len(kept) + _left_out(overview, choice)
        wanted = kept
    days = [_listed(day, overview.databases) for day in wanted]
    gaps = _chosen_gaps(overview, choice)
    return Inventory(overview.at, days, gaps, _totals(days, gaps, left_out))


def gaps(keys: Iterable[str], today: date) -> Iterator[Gap]:
    """The days that are missing of each stream: after its first one, and before today.

    ``keys``: of the days that there are, by stream and date.
    """
    known: dict[str, date] = {}  # of many streams
    for (stream, before), (of, after) in pairwise(_split(key, known) for key in keys):
        if of != stream or after - before <= _DAY:
            continue
        # What a wrong clock has dated in the future does not make the days until then missing.
        first, last = before + _DAY, min(after, today) - _DAY
        if first <= last:
            yield Gap(stream, first, last, (last - first).days + 1)


def _split(key: str, known: dict[str, date]) -> tuple[str, date]:
    stream, _, text = key.rpartition("/")
    day = known.get(text)
    if day is None:
        day = known[text] = date.fromisoformat(text)
    return stream, day


def note_of(day: Day, database: Database | None) -> str:
    """What is wrong with a day, or who has put it on hold; empty: nothing.

    What the planner says if that is it; and what it does not say, because the day can go on without.
    """
    if not (day.trouble or day.on_hold):
        return ""
    facts = database.facts if database else Facts()
    said = [day.reason] if day.entry == "block" or facts.deferred or _is_told(day.reason, facts) else []
    if facts.hold and not any("on hold" in each for each in said):
        said.append(f"on hold by {facts.hold.by}: {facts.hold.reason}")
    for failed in facts.failed.values():
        if not any(failed.error in each for each in said):
            said.append(f"{failed.step} failed: {failed.error}; {failed.hint}")
    if facts.sealed and not facts.sealed.counted:
        said.append(f"not counted: it has no table of the name in data.streams.{day.stream}.table")
    return "; ".join(said) or day.reason


def _is_chosen(day: Day, choice: Choice) -> bool:
    return (
        choice.first <= day.day <= choice.last
        and (choice.stream is None or day.stream == choice.stream)
        and (not choice.tiers or day.tier in choice.tiers)
        and (not choice.states or day.state in choice.states)
        and (not choice.trouble or bool(day.trouble))
    )


def _chosen_gaps(overview: Overview, choice: Choice) -> list[Gap]:
    """Those of the streams and of the range: what is missing is in no tier, and nobody can mend it."""
    if choice.tiers or choice.trouble or (choice.states and MISSING not in choice.states):
        return []
    keys = [*(day.key for day in overview.days), *overview.left_out]
    return list(_within(gaps(sorted(keys), overview.at.date()), choice))


def _left_out(overview: Overview, choice: Choice) -> int:
    """How many of those that the overview only counts would be listed if somebody asked for deleted ones."""
    if choice.tiers or choice.states or choice.trouble:
        return 0
    if (choice.stream, choice.first, choice.last) == (None, date.min, date.max):
        return len(overview.left_out)
    dates: dict[str, date] = {}
    places = (_split(key, dates) for key in overview.left_out)
    return sum(
        choice.stream in (None, stream) and choice.first <= day <= choice.last for stream, day in places
    )


def _within(found: Iterable[Gap], choice: Choice) -> Iterator[Gap]:
    for gap in found:
        first, last = max(gap.first, choice.first), min(gap.last, choice.last)
        if first <= last and choice.stream in (None, gap.stream):
            yield Gap(gap.stream, first, last, (last - first).days + 1)


def _listed(day: Day, databases: Mapping[str, Database]) -> Listed:
    return Listed(
        day.stream,
        day.day,
        day.tier,
        day.state,
        day.bytes,
        day.bytes_now,
        day.ratio,
        day.ticks,
        day.symbols,
        day.backup if day.tier != "gone" else "no",
        day.verified_at,
        day.on_hold,
        day.entry,
        day.step,
        day.due,
        day.reason,
        day.trouble,
        note_of(day, databases.get(day.key)) if day.trouble or day.on_hold else "",
    )


def _is_told(reason: str, facts: Facts) -> bool:
    """Whether the planner's reason is about the hold, or about a step that failed."""
    failures = any(failed.error in reason for failed in facts.failed.values())
    return failures or (facts.hold is not None and reason.startswith("on hold"))


def _totals(days: Sequence[Listed], found: Iterable[Gap], left_out: int) -> Totals:
    packed = [day for day in days if day.ratio]
    now = sum(day.bytes_now for day in packed)
    return Totals(
        days=len(days),
        ticks=sum(day.ticks or 0 for day in days),
        bytes=sum(day.bytes or 0 for day in days),
        bytes_now=sum(day.bytes_now for day in days),
        ratio=sum(day.bytes or 0 for day in packed) / now if now else None,
        missing=sum(gap.days for gap in found),
        deleted_left_out=left_out,
    )
