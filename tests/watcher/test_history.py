"""Random histories against a model that knows the policy by a calendar of its own.

Two hundred days go by with outages, a clock that jumps and is put right, a daemon that is killed in the
middle of a step, late ticks, rot, disks that are not mounted, holds, and people who mend and confirm. The
planner decides, `tests.watcher.world` does what it says to disks in memory, and after every single change of
those disks, and every record, the laws are looked after.

What is promised of deletions when the clock is wrong: nothing goes by a date while the clock is in doubt;
and from then on, until it is set again, no more days go too early than `expire.max_at_once`, and one for
each day that has become due by that clock, or was sealed and so took another's place among the newest that
are kept, or that a person gave back (released, mended, confirmed). More cannot be asked: a clock that is
ahead for good by two days, and says so consistently, cannot be told from an outage of two days.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import cache

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from handlers.contract import SCHEDULE, Archived, Compressed, Expired, Merged, Sealed, Step
from tests.watcher.builders import utc
from tests.watcher.world import Killed, Place, World
from watcher.events import Event, Reopened
from watcher.lifecycle import State, state_of
from watcher.plan import Action, Block, Order, ordered, plan
from watcher.requests import Hold, Release
from watcher.settings import Archive, Compress, Expire, Settings
from watcher.state import Facts

SHORT = Settings(
    compress=Compress(after_days=2),
    archive=Archive(after_days=6),
    expire=Expire(after_days=45, keep_min=3),
)
POLICIES = {"as shipped": Settings(), "short": SHORT}
DAY = timedelta(days=1)
RANKS = [State.SEALED, State.BACKED_UP, State.COMPRESSED, State.ARCHIVED, State.EXPIRED]


def rank(state: State) -> int:
    return RANKS.index(state) + 1 if state in RANKS else 0


class Calendar:
    """When what is due, told by counting days: no cron expression, nothing of the planner's."""

    def __init__(self, policy: Settings) -> None:
        self._policy = policy

    def _from(self, day: date, after_days: int, hour: int, fits: Callable[[date], bool]) -> datetime:
        day = day + timedelta(days=1 + after_days)
        while not fits(day):
            day += DAY
        return datetime.combine(day, time(hour), UTC)

    def over(self, day: date) -> datetime:
        return self._from(day, 0, 0, lambda _: True)

    def compressed(self, day: date) -> datetime:
        return self._from(day, self._policy.compress.after_days, 2, lambda each: each.weekday() == 6)

    def archived(self, day: date) -> datetime:
        return self._from(day, self._policy.archive.after_days, 3, lambda each: each.day == 1)

    def expired(self, day: date) -> datetime:
        return self._from(day, self._policy.expire.after_days, 4, lambda _: True)

    def rank(self, day: date, now: datetime) -> int:
        """How far a day has come if nothing ever went wrong."""
        moments = (self.over(day), self.compressed(day), self.archived(day), self.expired(day))
        passed = [moment <= now for moment in moments]
        return next((0, 2, 3, 4)[n] for n in range(4) if not passed[n]) if not all(passed) else 5


class Watched(World):
    """The world, with the laws looked after at every change."""

    def __init__(self, policy: Settings, truth: datetime) -> None:
        self.calendar = Calendar(policy)
        self.begun: set[str] = set()
        """The days whose deletion was begun, rightly."""
        self.after_the_end: set[str] = set()
        """Deleted days of which the world has made a file since."""
        self.clock_set()
        super().__init__(policy, truth)

    def clock_set(self) -> None:
        self.set_at: datetime | None = None
        self.early = 0
        self.given = 0

    def day(self, key: str) -> date:
        return date.fromisoformat(key.removeprefix("ticks/"))

    def fact(self, key: str) -> Facts:
        return self.facts.get(key, Facts())

    # The laws.

    def before(self, action: Action) -> None:
        facts, disk = self.fact(action.key), self.disks.get(action.key, {})
        assert not facts.expired, "what is deleted is left alone"
        if facts.hold and action.step in (Step.COMPRESS, Step.ARCHIVE, Step.EXPIRE):
            again = action.step is Step.COMPRESS and facts.compressed and Place.RAW not in disk
            assert again, f"{action.step} of a day on hold"
        if action.step is Step.EXPIRE:
            self._before_deletion(action)

    def _before_deletion(self, action: Action) -> None:
        day, key = self.day(action.key), action.key
        of_age = self.calendar.expired(day) - timedelta(hours=0 if action.by == SCHEDULE else 4)
        assert self.clock >= of_age, "younger than the policy: to an order only the hour gives way"
        assert self._doubt.until is None or self._doubt.until <= self.clock, "by a clock in doubt"
        newer = [
            other
            for other, facts in self.facts.items()
            if day < self.day(other) <= self.clock.date() and facts.sealed and not facts.expired
        ]
        assert len(newer) >= self.settings.expire.keep_min, "one of the newest"
        is_new = key not in self.begun and action.by == SCHEDULE
        self.begun.add(key)
        if not is_new:
            return
        assert self._backlog() <= self.settings.expire.max_at_once, "too many at once, and nobody agreed"
        if self.truth < self.calendar.expired(day):
            self.early += 1
            assert self.set_at is not None, "too early, by a clock that is right"
            days = math.ceil((self.truth - self.set_at) / DAY)
            assert self.early <= self.settings.expire.max_at_once + days + self.given

    def _backlog(self) -> int:
        """How many days are due to be deleted, whether they have come so far or are on their way."""
        clock = self.clock
        there = {key: self.fact(key) for key in self.disks if self.day(key) <= clock.date()}
        proven = sorted(key for key, facts in there.items() if facts.sealed and not facts.expired)
        kept = proven[-self.settings.expire.keep_min :]
        return sum(
            self.calendar.expired(self.day(key)) <= clock
            and key not in kept
            and not (facts.expired or facts.hold or facts.conflict or facts.corrupt or facts.failed)
            for key, facts in there.items()
        )

    def after_change(self, key: str) -> None:
        if key in self.begun:
            return
        facts, disk = self.fact(key), self.disks.get(key, {})
        good = [item.batches for item in disk.values() if not item.rotten]
        missing = self.written.get(key, set()) - set().union(*good)
        assert not missing, f"{key} has lost {missing}"
        raw, sealed = disk.get(Place.RAW), facts.sealed
        is_as_sealed = facts.compressed or raw is None or (sealed and raw.signature == sealed.signature)
        if sealed and is_as_sealed:
            assert self.good_copies(key), f"{key} is without a verified copy"

    def after_event(self, key: str, event: Event, before: State) -> None:
        after = state_of(self.database(key))
        assert before is not State.EXPIRED
        assert rank(after) <= rank(before) + 1, f"{key} from {before} to {after}"
        if rank(after) < rank(before):
            assert isinstance(event, Reopened | Merged | Sealed), f"{key} from {before} back to {after}"
        if self.fact(key).hold and isinstance(event, Compressed | Archived | Expired):
            assert rank(after) == rank(before) > 0, "a day on hold has changed its form"
        if isinstance(event, Expired):
            assert key in self.begun
            assert not self.disks[key]
        self.given += isinstance(event, Sealed | Merged)

    def check(self) -> None:
        """After a pass: every day is somewhere, and there is nothing left to do."""
        recorded = len(self.log)
        assert self.run() == 0, "a second pass does something"
        assert len(self.log) == recorded
        fresh = plan(self.databases(), self.settings, self.clock, self.doubts())
        again = self.planner.plan(self.databases(), self.settings, self.clock, self.doubts())
        assert again == fresh, "what was said before does not stand"
        entries = {entry.key: entry for entry in fresh.entries}
        assert sorted(entries) == [database.key for database in self.databases()]
        for key, entry in entries.items():
            database = self.database(key)
            self._check_place(key, state_of(database))
            if not self.error and self._doubt.until is None and not isinstance(entry, Block):
                self._check_done(key, rank(state_of(database)))
            if isinstance(entry, Block):
                assert self._may_be_blocked(key), f"{key}: {entry.reason}"

    def _check_place(self, key: str, state: State) -> None:
        disk = self.disks.get(key, {})
        if key in self.begun and state is not State.EXPIRED:
            return  # interrupted
        if state is State.ARCHIVED:
            assert Place.ARCHIVED in disk
            assert Place.ZST not in disk
        elif state is State.COMPRESSED:
            assert Place.ZST in disk or Place.ARCHIVED in disk
        elif state in (State.SEALED, State.BACKED_UP):
            assert Place.RAW in disk or Place.ZST in disk
        elif state is State.EXPIRED:
            assert not disk or key in self.after_the_end

    def _check_done(self, key: str, came: int) -> None:
        facts, day = self.fact(key), self.day(key)
        ought = self.calendar.rank(day, self.truth)
        if facts.hold:
            ought = min(ought, 2 if came < 3 else came)
        if facts.restored and facts.restored.keep_until and facts.restored.keep_until > self.clock:
            ought = min(ought, came)
        if ought == 5 and (self._newer(day) < self.settings.expire.keep_min or self._is_known_late(key)):
            ought = 4
        if key in self.disks:
            assert came >= ought, f"{key} is {state_of(self.database(key))}"

    def _is_known_late(self, key: str) -> bool:
        """Whether its first seal came long after its end (by whatever clock), and not long ago."""
        facts, patience = self.fact(key), timedelta(days=self.settings.restore.keep_days)
        sealed = facts.times.get("sealed")
        if sealed is None or facts.superseded or sealed - self.calendar.over(self.day(key)) <= patience:
            return False
        return self.clock < sealed + patience

    def _newer(self, day: date) -> int:
        return sum(
            day < self.day(key) <= self.truth.date() and bool(facts.sealed) and not facts.expired
            for key, facts in self.facts.items()
        )

    def _may_be_blocked(self, key: str) -> bool:
        """Whether the world has done something to this day, or to all of them, that a person must see to."""
        facts, disk, day = self.fact(key), self.disks.get(key, {}), self.day(key)
        clock = self.clock
        ended = {k: self.calendar.expired(self.day(k)) for k in self.facts}
        waiting = [ended[k] for k, f in self.facts.items() if ended[k] <= clock and not f.expired]
        # Those that went while these were due belong to the same heap.
        gone = [f.times["expired"] for f in self.facts.values() if f.expired]
        old = len(waiting) + sum(bool(waiting) and at >= min(waiting) for at in gone)
        return (
            not all(self.is_mounted.values())
            or day > clock.date()
            or key in self.begun
            or any(item.rotten for item in disk.values())
            or (bool(facts.compressed or facts.archived) and Place.RAW in disk)
            or (self.calendar.expired(day) <= clock and old > self.settings.expire.max_at_once)
        )

    # What can happen.

    def away(self, delta: timedelta) -> None:
        """An outage of the daemon."""
        self.pass_time(delta)
        self.restart()

    def set_clock(self, delta: timedelta) -> None:
        self.error += delta
        self.clock_set()
        self.set_at = self.truth

    def unmounted(self, name: str) -> None:
        self.is_mounted[name] = False

    def mounted(self) -> None:
        self.is_mounted.update(backup=True, archive=True)

    def put_right(self) -> None:
        self.set_clock(-self.error)

    def late(self, lot: int) -> None:
        """A writer comes back to a day that is over."""
        keys = [key for key in sorted(self.disks) if key < self.today and not self._raw_is_rotten(key)]
        keys = [key for key in keys if key not in self.begun or self.fact(key).expired]
        if keys:
            key = keys[-1 - lot % len(keys)]
            self.write(key)
            if self.fact(key).expired:
                self.after_the_end.add(key)

    def _raw_is_rotten(self, key: str) -> bool:
        raw = self.disks[key].get(Place.RAW)
        return raw is not None and raw.rotten

    def rot_a_copy(self, lot: int) -> None:
        """One of several copies: the last good one is not the planner's to save."""
        found = [(k, p) for k in sorted(self.disks) for p in self._can_rot(k)]
        if found:
            self.rot(*found[lot % len(found)])

    def _can_rot(self, key: str) -> list[Place]:
        raw, sealed = self.disks[key].get(Place.RAW), self.fact(key).sealed
        is_written = raw and sealed and raw.signature != sealed.signature
        good = self.good_copies(key)
        return good if len(good) > 1 and not is_written and key not in self.begun else []

    def hold(self, lot: int) -> None:
        keys = sorted(key for key in self.disks if key not in self.begun)
        self.ask(Hold((keys[lot % len(keys)],), "audit 17", "ann"))

    def release(self, lot: int) -> None:
        keys = sorted(key for key, facts in self.facts.items() if facts.hold)
        if keys:
            self.ask(Release((keys[lot % len(keys)],), "ann"))
            self.given += 1

    def restore(self, lot: int) -> None:
        keys = sorted(key for key, facts in self.facts.items() if facts.compressed and not facts.expired)
        if keys and all(self.is_mounted.values()):
            self.order(Order(Step.RESTORE, "ann", (keys[lot % len(keys)],)))

    def mend(self) -> None:
        """A person looks at what is blocked, and does what the hint says: disks are mounted first."""
        if not all(self.is_mounted.values()):
            return
        for entry in plan(self.databases(), self.settings, self.clock, self.doubts()).entries:
            facts = self.fact(entry.key)
            if not isinstance(entry, Block) or facts.sealed is None or facts.expired:
                continue
            self.given += 1
            raw = self.disks[entry.key].get(Place.RAW)
            if facts.compressed and raw and raw.signature != facts.sealed.signature:
                self.order(Order(Step.MERGE, "ann", (entry.key,)))
            else:
                self._move_rotten_away(entry.key)
                self.order(Order(Step.VERIFY, "ann", (entry.key,)))

    def _move_rotten_away(self, key: str) -> None:
        if self.good_copies(key):
            disk = self.disks[key]
            self.disks[key] = {place: item for place, item in disk.items() if not item.rotten}

    def confirm(self) -> None:
        """A person looks at what would be deleted, and agrees."""
        order = Order(Step.EXPIRE, "ann")
        there = ordered(self.databases(), self.settings, self.clock, order, self.doubts())
        listed = sum(entry.step is Step.EXPIRE for entry in there)
        if listed:
            self.order(Order(Step.EXPIRE, "ann", confirmed=listed))
            self.given += listed

    def killed(self, lives: int, delta: timedelta, at_once: int) -> None:
        self.pass_time(delta)
        try:
            self.run(at_once, lives)
        except Killed:
            self.given += sum(bool(facts.failed) for facts in self.facts.values())
            self.restart()


lots = st.integers(0, 300)
jumps = st.sampled_from(
    [timedelta(minutes=7), timedelta(hours=5), DAY, 2 * DAY, 4 * DAY, 40 * DAY, 365 * DAY]
)
spans = st.sampled_from(
    [timedelta(minutes=11), timedelta(hours=7), DAY, DAY + timedelta(hours=3), 3 * DAY, 8 * DAY]
)
happenings = st.one_of(
    st.tuples(st.just("days go by"), st.integers(2, 20)),
    st.tuples(st.just("pass time"), spans),
    st.tuples(st.just("away"), st.sampled_from([DAY, 3 * DAY, 5 * DAY, 20 * DAY])),
    st.tuples(st.just("wrong clock"), jumps, st.integers(0, 6)),
    st.tuples(st.just("wrong clock"), jumps, st.integers(0, 6)),
    st.tuples(st.just("set clock"), jumps),
    st.tuples(st.just("set clock"), jumps.map(lambda jump: -jump)),
    st.just(("put right",)),
    st.tuples(st.just("killed"), st.integers(1, 12), spans),
    st.tuples(st.just("late"), lots),
    st.tuples(st.just("late"), st.integers(0, 9)),
    st.tuples(st.just("hold"), lots),
    st.tuples(st.just("release"), lots),
    st.tuples(st.just("rot a copy"), lots),
    st.tuples(st.just("restore"), lots),
    st.tuples(st.just("unmounted"), st.sampled_from(["archive", "backup"])),
    st.just(("mounted",)),
    st.just(("mend",)),
    st.just(("confirm",)),
)


def happen(world: Watched, what: tuple, at_once: int) -> None:
    """One thing happens; then the daemon makes a pass."""
    name, *rest = what
    if name == "days go by":
        days_go_by(world, rest[0], at_once)
    elif name == "wrong clock":
        world.set_clock(rest[0])
        world.run(at_once)
        world.pass_time(timedelta(minutes=11))  # so long it is in doubt
        days_go_by(world, rest[1], at_once)
    elif name == "killed":
        world.killed(*rest, at_once)
    else:
        getattr(world, name.replace(" ", "_"))(*rest)
    world.run(at_once)


def days_go_by(world: Watched, days: int, at_once: int) -> None:
    for _ in range(days):
        world.run(at_once)
        world.pass_time(DAY)


def end_well(world: Watched) -> None:
    """The clock is right, the disks are there, a person has seen to what was blocked: what is then?"""
    world.put_right()
    world.mounted()
    world.pass_time(timedelta(minutes=11))
    world.restart()
    world.run()
    for _ in range(3):
        world.mend()
        world.run()
    world.order(Order(Step.VERIFY, "ann", everything=True))
    world.run()
    world.confirm()
    world.run()
    world.check()
    for key, facts in world.facts.items():
        if facts.sealed and not facts.expired and key not in world.begun and key < world.today:
            assert len(world.good_copies(key)) >= 2, f"{key} has one copy"
            assert not any(item.rotten for item in world.disks[key].values())


starts = st.sampled_from(
    [utc("2023-09-10 12:00"), utc("2024-08-23 03:30"), utc("2027-12-01 23:59"), utc("2028-01-20 00:00")]
)


@cache
def a_world(name: str, start: datetime, days: int) -> Watched:
    """A world that has been going well for so many days."""
    world = Watched(POLICIES[name], start)
    for _ in range(0, days, 2):
        world.pass_time(2 * DAY)
        world.run()
    return world


# A history that fails is told as it is: to look for a shorter one takes longer than a test may.
@settings(max_examples=settings.default.max_examples // 2, phases=[Phase.generate])
@given(
    st.sampled_from([("short", 0), ("short", 50), ("as shipped", 0), ("as shipped", 190)]),
    starts,
    st.lists(happenings, min_size=3, max_size=14),
    st.sampled_from([2, 1000]),
)
def test_whatever_happens_no_day_is_lost_and_nothing_is_left_undone(
    age: tuple[str, int], start: datetime, history: list[tuple], at_once: int
) -> None:
    world = copy.deepcopy(a_world(age[0], start, age[1]))
    for what in history:
        happen(world, what, at_once)
        world.check()
    end_well(world)
