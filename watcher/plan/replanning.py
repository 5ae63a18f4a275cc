"""Planning again and again: most days stand as they stood, and are not asked anew.

What was said of a day stands until a moment that is known, as long as nothing happens to it. So the work of a
wake-up goes by how many days have changed, and by how many of the others can change of themselves: those that
are not sealed, or of which something has failed. A law keeps this planner equal to `plan`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import chain, compress
from operator import is_not

from handlers.contract import Step
from watcher.notices import Notice
from watcher.plan.entries import Action, Doubts, Entry, Wait
from watcher.plan.planner import (
    Plan,
    Policy,
    Told,
    ages_in_force,
    answer,
    entry_of,
    go_on_trial,
    suspended,
    told_of,
)
from watcher.plan.presence import Rooted, rooted, why_empty
from watcher.plan.retention import NO_RAILS, Cold, cold_of, next_drill, rails_of_stream
from watcher.schedule import END_OF_TIME, due, next_after
from watcher.settings import Settings
from watcher.state import Database


class Planner:
    """Gives what `plan` gives, and remembers what it said."""

    def __init__(self) -> None:
        self._settings = Settings()
        self._doubts = Doubts()
        self._before: list[Database] = []
        self._known: dict[str, Database] = {}
        self._streams: dict[str, _Stream] = {}

    def plan(self, databases: Iterable[Database], settings: Settings, now: datetime, doubts: Doubts) -> Plan:
        """Decide: see `watcher.plan.plan`. A database that has changed is another object."""
        databases = list(databases)
        if (settings, doubts) != (self._settings, self._doubts):
            self._settings, self._doubts = settings, doubts
            self._before, self._known, self._streams = [], {}, {}
        self._take(databases)
        streams = list(self._streams.values())
        for stream in streams:
            stream.look(now)
        if suspicion := why_empty(stream.rooted for stream in streams):
            return suspended(databases, suspicion, now)
        notices = tuple(notice for stream in streams for notice in stream.ask(now))
        entries = tuple(chain.from_iterable(stream.entries.values() for stream in streams))
        drill_at = next_drill((stream.cold for stream in streams), settings, now)
        if drill_at is None or drill_at > now:
            return Plan.said(
                now, entries, notices, drill_at, chain.from_iterable(stream.told() for stream in streams)
            )
        by_key = {entry.key: entry for entry in entries}
        policy = Policy(settings, ages_in_force(settings), NO_RAILS, doubts)
        cold = (database for stream in streams for database in stream.cold.days)
        drill_at = go_on_trial(by_key, cold, policy, now, drill_at)
        return Plan.of(now, tuple(by_key.values()), notices, drill_at)

    def _take(self, databases: list[Database]) -> None:
        """See which databases have changed: mostly they come in the order in which they came before."""
        before, known = self._before, self._known
        moved = chain(compress(databases, map(is_not, databases, before)), databases[len(before) :])
        for database in moved:
            if known.get(database.key) is not database:
                known[database.key] = database
                self._stream_of(database).put(database)
        if len(known) > len(databases):
            for key in known.keys() - {database.key for database in databases}:
                self._stream_of(known.pop(key)).drop(key)
        self._before = databases

    def _stream_of(self, database: Database) -> _Stream:
        if database.stream not in self._streams:
            self._streams[database.stream] = _Stream(self._settings, self._doubts)
            # In the order of the keys: where one name begins with another, the slash decides.
            self._streams = dict(sorted(self._streams.items(), key=lambda each: f"{each[0]}/"))
        return self._streams[database.stream]


class _Stream:
    """The days of one stream, and what was said of them."""

    def __init__(self, settings: Settings, doubts: Doubts) -> None:
        self.entries: dict[str, Entry] = {}
        """In order of their keys, after a look."""
        self.rooted = Rooted(0, has_sealed=False, is_there=False)
        self.cold = Cold([], (), None)
        self._settings = settings
        self._policy = Policy(settings, ages_in_force(settings), NO_RAILS, doubts)
        self._databases: dict[str, Database] = {}
        self._has_changed = False
        self._in_order = True
        self._looked_at: datetime | None = None
        """When something was found out that still counts."""
        self._rails_until = END_OF_TIME
        self._standing: dict[str, datetime] = {}
        """Of which nothing else will be said before that moment."""
        self._first_until = END_OF_TIME
        """No later than the first of those moments."""
        self._awake: set[str] = set()
        """All the others."""
        self._told: Told | None = None
        """What the standing ones come to."""

    def put(self, database: Database) -> None:
        """One that is new, or has changed."""
        key = database.key
        if key not in self.entries:
            self.entries[key] = Wait(key, "")
            self._in_order = False
        self._databases[key] = database
        self._has_changed = True
        self._wake([key])

    def drop(self, key: str) -> None:
        """One that is no longer there."""
        self._wake([key])
        self._awake.discard(key)
        del self._databases[key], self.entries[key]
        self._has_changed = True

    def look(self, now: datetime) -> None:
        """Find out what is decided by many days together, and which of them must be asked anew."""
        if self._looked_at is not None and now < self._looked_at:  # the clock was put back
            self._has_changed = True
            self._wake(list(self._standing))
        if self._first_until <= now:
            self._wake([key for key, until in self._standing.items() if until <= now])
            self._first_until = min(self._standing.values(), default=END_OF_TIME)
        if not self._in_order:
            self.entries, self._in_order = dict(sorted(self.entries.items())), True
        if not self._has_changed and now < self._rails_until:
            return
        self._has_changed, self._looked_at = False, now
        databases = list(self._databases.values())
        self.rooted, self.cold = rooted(databases), cold_of(databases, now)
        ageing = self._policy.ages[Step.EXPIRE]
        rails, self._rails_until = rails_of_stream(databases, ageing, self._settings, now)
        if rails != self._policy.rails:
            self._policy = Policy(self._settings, self._policy.ages, rails, self._policy.doubts)
            self._wake([key for key in self._standing if not self._databases[key].facts.expired])

    def ask(self, now: datetime) -> list[Notice]:
        """Ask of all that do not stand; what has been observed of them."""
        notices = []
        for key in sorted(self._awake):
            database = self._databases[key]
            found = answer(database, self._policy, now)
            self.entries[key] = entry = entry_of(found, now)
            if isinstance(found, Notice):
                notices.append(found)
            elif (until := stands_until(database, entry, self._policy, now)) is not None:
                self._standing[key] = until
                self._first_until = min(self._first_until, until)
                self._awake.discard(key)
                self._told, self._looked_at = None, now
        return notices

    def told(self) -> list[Told]:
        """What all of them come to."""
        if self._told is None:
            self._told = told_of(self.entries[key] for key in self._standing)
        return [self._told, told_of(self.entries[key] for key in self._awake)]

    def _wake(self, keys: Iterable[str]) -> None:
        for key in keys:
            if self._standing.pop(key, None) is not None:
                self._told = None
            self._awake.add(key)


def stands_until(database: Database, entry: Entry, policy: Policy, now: datetime) -> datetime | None:
    """Until when the same is said of a day, as long as nothing happens to it; None: nobody can tell.

    It can be told of those that are deleted, and of those that are sealed and of which nothing is out of the
    ordinary: then only an age, a schedule or the doubt about the clock can change it.
    """
    facts = database.facts
    if facts.expired:
        return END_OF_TIME
    setbacks = (facts.failed, facts.corrupt, facts.conflict, facts.lost, facts.deferred, facts.restored)
    if facts.sealed is None or any(setbacks) or database.day >= now.date():
        return None
    if max(facts.times.values(), default=now) > now:
        return None  # by a clock that was wrong
    if isinstance(entry, Action) and entry.due == now:
        return None  # it is due whenever it is asked for
    moments = [due(database.day, ageing.after_days, ageing.schedule) for ageing in policy.ages.values()]
    if facts.proven_at is not None:
        moments.append(next_after(policy.settings.verify.schedule, facts.proven_at) or END_OF_TIME)
    moments.append(policy.doubts.clock_until or END_OF_TIME)
    return min((moment for moment in moments if moment > now), default=END_OF_TIME)
