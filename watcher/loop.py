"""The loop: `step(now)` looks, decides and hands out; file events, the clock and ended jobs all wake it.

It is the only writer of the journal and the only owner of the inventory, in one thread. Nothing about pending
work is kept: after a restart the next step computes it again from the files and the facts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from functools import partial

from loguru import logger
from msgspec.structs import replace

from handlers.contract import Done, Lost, Outcome, Step
from watcher.clock import Clock, ClockDoubt
from watcher.desk import Desk, Ticket
from watcher.events import DAEMON_KEY, Configured, DiskLow, Event, Progress, Record, Rotated
from watcher.filesystem import Hints
from watcher.health import disk_low, health, health_at, short_of_space
from watcher.holds import judge
from watcher.inventory import Inventory
from watcher.journal import Journal, Witness
from watcher.journal_format import BrokenError
from watcher.notices import rotations
from watcher.outcomes import event_of, is_failure, job_of
from watcher.plan import (
    MIDNIGHT_MARGIN,
    Action,
    Doubts,
    Entry,
    Order,
    Plan,
    Planner,
    Wait,
    at_midnight,
    next_midnight,
    ordered,
    wanted,
)
from watcher.plan.retention import policy_in_words
from watcher.pool import Pool
from watcher.requests import Finished
from watcher.settings import Settings
from watcher.state import Facts, fold

NO_TIMES: Mapping[str, float] = {}
_DISK_LOOK = timedelta(minutes=1)
"""How often free space is looked at."""
_MAX_ROUNDS = 5
"""Recording one thing can reveal the next (closed, then re-opened); more than this is a defect."""

Announce = Callable[[Record, Event, float | None], None]
"""Called with each recorded event, and how many seconds the step took that led to it."""

WriteMetadata = Callable[[Mapping[str, tuple[Rotated, datetime]], Witness | None], None]
"""Called with the last rotation of each stream, and the journal's newest event.

None for that: what is noted already is kept."""


class Loop:
    """Drives everything. Its methods belong to one thread."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        inventory: Inventory,
        journal: Journal,
        pool: Pool,
        announce: Announce,
        write_metadata: WriteMetadata,
    ) -> None:
        self.settings = settings
        self.desk = Desk()
        self.by_order_only = False
        """Do what people ask for, and leave what is due to whoever looks after it."""
        self.journal_doubt = ""
        """Why this may not be the journal that was here before: see `watcher.metadata.doubt`."""
        self.last_plan: Plan | None = None
        self.failures = 0
        """Jobs that failed since the start, for the exit code of `once`."""
        self._clock = clock
        self._inventory = inventory
        self._journal = journal
        self._pool = pool
        self._announce = announce
        self._write_metadata = write_metadata
        self._planner = Planner()
        self._streams: dict[str, Facts] = {}
        self._unrecorded: list[Outcome] = []
        self._scan_at: datetime | None = None
        self._clock_doubt = ClockDoubt()
        self._began = (clock.now(), clock.elapsed())
        """The time of the newest event before the start, and what the clock that only runs showed then."""
        self._pruned_on: date | None = None
        self._disk_at: datetime | None = None
        self._broken = False
        """Whether it has been said that the journal is not what was recorded."""

    def recover(self, facts: Mapping[str, Facts]) -> None:
        """Take over what the journal knows. Called once, before the first step."""
        self._streams = {key: known for key, known in facts.items() if "/" not in key}
        # A restart is a person's or a supervisor's way to say "try again": old failures do not hold it up.
        fresh = {key: replace(known, failed={}) for key, known in facts.items()}
        self._inventory.add_known(fresh)
        newest = self._journal.witness()
        self._began = (newest.at if newest else self._clock.now(), self._clock.elapsed())
        if self.rotated():
            self.note_outside()  # the last run may have ended between event and file

    def step(self, now: datetime, hints: Hints) -> Plan:
        """One round. Returns the plan that was acted upon."""
        self._rotate(now)
        if self._clock_doubt.watch(now, self._clock.elapsed()):
            self.scan_again()  # nothing that was planned holds
        self.take_outcomes(now)
        tickets = self.desk.take()
        try:
            self._look(now, hints)
        finally:
            self._answer(tickets, now)  # also when the root is gone: a hold must not wait for it
        self._look_at_disks(now)
        current = self._plan_and_notice(now)
        self._rotate(now)
        self.desk.advance(partial(self._planned, now), self._pool.has_room, self._start)
        if not self.by_order_only:
            self._hand_out(current.actions)
            self._keep_house(current, now)
        self.last_plan = current
        return current

    def next_wake(self, now: datetime) -> datetime:
        """When the clock alone has to wake the loop."""
        moments = [next_midnight(now), self._scan_at or now]
        if self.last_plan is not None and self.last_plan.next_due is not None:
            moments.append(self.last_plan.next_due)
        settling = self._inventory.unsettled_until(now, self.settings)
        again = self._inventory.probe_again_at(self.settings)
        # What is paused goes on as soon as there is space again, and nothing tells of that.
        told = self._disk_told()
        space = self._disk_at if told and told.low else None
        moments += [moment for moment in (settling, again, self._health_at(now), space) if moment is not None]
        return max(min(moments), now)

    def busy(self) -> bool:
        """Whether anything is running, due, settling or still to be recorded."""
        now = self._clock.now()
        settling = self._inventory.unsettled_until(now, self.settings)
        due = self.last_plan is not None and (self.last_plan.actions or self._about_to_seal(now))
        return bool(self._pool.busy() or self._unrecorded or due or settling or self.desk.busy())

    def _about_to_seal(self, now: datetime) -> bool:
        """Whether a day that is held is tried for the first time in a moment: then it is known by whom."""
        soon = now + timedelta(seconds=self.settings.seal.retry_seconds)
        for entry in self.last_plan.entries if self.last_plan else ():
            if isinstance(entry, Wait) and entry.step is Step.SEAL and entry.until and entry.until <= soon:
                database = self._inventory.get(entry.key)
                if database is not None and database.facts.deferred is None and database.day < now.date():
                    return True
        return False

    def rotated(self) -> Mapping[str, tuple[Rotated, datetime]]:
        """The last rotation of each stream, and when it was."""
        return {
            name: (facts.rotated, facts.times["rotated"])
            for name in self.settings.data.streams  # in this order: the first one is told of first
            if (facts := self._streams.get(name)) is not None and facts.rotated is not None
        }

    def note_outside(self) -> None:
        """Note the last rotation, and how far the journal has got, where the journal itself is not."""
        # In doubt about the journal, what is noted there of the other one is all that is known of it.
        witness = None if self.journal_doubt else self._journal.witness()
        self._write_metadata(self.rotated(), witness)

    def take_outcomes(self, now: datetime) -> None:
        """Record what jobs have returned since the last time: all of it in one transaction."""
        self._unrecorded += self._pool.collect()
        if self._unrecorded:
            self._take(self._unrecorded, now)
            self._unrecorded = []  # only now: a journal that could not be written is tried again

    def scan_again(self) -> None:
        """Walk the whole tree in the next step: after an error nothing is taken for known."""
        self._scan_at = None

    def reconfigure(self, settings: Settings) -> None:
        """Put other settings in force; what is running ends under the old ones."""
        self.settings = settings
        self._disk_at = None  # by another least there may be too little
        self.record_policy(self._clock.now())

    def record_policy(self, now: datetime) -> None:
        """Say by which rules days are kept and deleted from now on, if they are not those of before."""
        configured = Configured(policy_in_words(self.settings))
        if self._streams.get(DAEMON_KEY, Facts()).configured != configured:
            self.record([(DAEMON_KEY, configured)], now)

    def tell_progress(self) -> dict[str, Progress]:
        """Tell those who wait for an order how far it is; and the caller, of every step that says so."""
        told = self._pool.progress()
        self.desk.tell_progress(told)
        steps = {job.key: job.step for job in self._pool.running()}
        return {
            key: Progress(steps[key], min(done, total), total)
            for key, (done, total) in told.items()
            if total and key in steps
        }

    @property
    def working(self) -> bool:
        """Whether a job is running."""
        return bool(self._pool.running())

    def rest(self) -> None:
        """Called when there is time: lets idle workers go."""
        self._pool.rest()

    def record(
        self, entries: list[tuple[str, Event]], now: datetime, seconds: Mapping[str, float] = NO_TIMES
    ) -> list[Record]:
        """Record all or none, then fold the events into what is held in memory, then announce them.

        ``seconds``: how long the steps took that led to them, by key.
        """
        records = self._journal.record(entries, now)
        for record, (key, event) in zip(records, entries, strict=True):
            if "/" in key:
                database = self._inventory.get(key)
                assert database is not None
                self._inventory.change(key, facts=fold(database.facts, event, now))
            else:
                self._streams[key] = fold(self._streams.get(key, Facts()), event, now)
            self._announce(record, event, seconds.get(key))
        return records

    def _rotate(self, now: datetime) -> None:
        current = {
            stream: date.fromisoformat(rotated.current) for stream, (rotated, _) in self.rotated().items()
        }
        early = self._inventory.ahead_of(current)
        notices = rotations(self._streams, early, self.settings, now)
        if notices:
            self.record([(notice.key, notice.event) for notice in notices], now)
            self.note_outside()

    def _look(self, now: datetime, hints: Hints) -> None:
        self._inventory.require_root()
        if hints.rescan or self._scan_at is None or self._scan_at <= now:
            self._inventory.scan()
            self._scan_at = _not_at_midnight(now + timedelta(seconds=self.settings.watch.rescan_seconds))
        self._inventory.look(hints.paths, now)
        for stream, day in wanted(self.settings, now):
            self._inventory.add(stream, day)
        self._inventory.forget_unknown(now.date())
        self._inventory.probe_settled(now, self.settings)

    def _look_at_disks(self, now: datetime) -> None:
        """Say where space begins or ceases to be short: what is said is what is planned by."""
        if self._disk_at is not None and now < self._disk_at <= now + _DISK_LOOK:
            return
        self._disk_at = now + _DISK_LOOK
        free_min = self.settings.health.free_min_bytes
        if low := disk_low(self._inventory.free_bytes(), free_min, self._disk_told()):
            self.record([(DAEMON_KEY, low)], now)

    def _disk_told(self) -> DiskLow | None:
        return self._streams.get(DAEMON_KEY, Facts()).disk_low

    def _plan_and_notice(self, now: datetime) -> Plan:
        for _ in range(_MAX_ROUNDS):
            current = self._planner.plan(self._inventory.databases(), self.settings, now, self._doubts())
            if not current.notices:
                break
            self.record([(notice.key, notice.event) for notice in current.notices], now)
        return current

    def _doubts(self) -> Doubts:
        inventory, free_min = self._inventory, self.settings.health.free_min
        return Doubts(
            inventory.backup_doubt(),
            inventory.archive_doubt(),
            self.journal_doubt,
            self._clock_doubt.until,
            short_of_space(self._disk_told(), free_min, one_volume=inventory.one_volume()),
        )

    def _answer(self, tickets: list[Ticket], now: datetime) -> None:
        """Holds and releases: recorded at once, or refused with a reason."""
        while tickets:
            ticket = tickets[0]
            assert not isinstance(ticket.request, Order)
            verdicts = judge(ticket.request, {d.key: d for d in self._inventory.databases()})
            entries: list[tuple[str, Event]] = [(v.key, v.event) for v in verdicts if v.event is not None]
            try:
                records = iter(self.record(entries, now) if entries else [])
            except BaseException:
                self.desk.put_back(tickets)
                raise
            tickets.pop(0)
            for verdict in verdicts:
                ticket.tell(verdict.reply(next(records) if verdict.event is not None else None))
            failed = sum(not verdict.ok for verdict in verdicts)
            ticket.tell(Finished(len(verdicts) - failed, failed))

    def _keep_house(self, current: Plan, now: datetime) -> None:
        """Once in a while: say how things stand, and let go of events that are older than is asked for."""
        due = self._health_at(now)
        if due is not None and due <= now:
            found = health(self._inventory.databases(), current, self._inventory.free_bytes())
            self.record([(DAEMON_KEY, found)], now)
            self.note_outside()
        if self._pruned_on not in (None, now.date()) and not self.journal_doubt:
            self._prune(now)
        self._pruned_on = now.date()

    def _health_at(self, now: datetime) -> datetime | None:
        told = self._streams.get(DAEMON_KEY, Facts()).times.get("health")
        return health_at(told, self.settings.health.schedule, now)

    def _prune(self, now: datetime) -> None:
        """Let go of old events; but of none in a journal that is not what was recorded."""
        try:
            # By a clock that was set ahead nothing is old: what has really passed counts.
            today = min(now, self._began[0] + timedelta(seconds=self._clock.elapsed() - self._began[1]))
            pruned = self._journal.prune(today - timedelta(days=self.settings.journal.keep_days), now)
        except BrokenError as error:
            if not self._broken:
                logger.bind(error=str(error)).critical("{}", error)
            self._broken = True
            return
        if pruned is not None:
            self._streams[DAEMON_KEY] = self._journal.facts(DAEMON_KEY)
            self._announce(pruned, pruned.decode(), None)

    def _hand_out(self, actions: list[Action]) -> None:
        for action in actions:
            self._start(action)

    def _start(self, action: Action, order: Order | None = None) -> bool:
        """Hand one job to a worker, if there is room for it; whether there was."""
        database = self._inventory.get(action.key)
        assert database is not None
        if database.running or not self._pool.has_room(action.step):
            return False
        job = job_of(action, database, self.settings, order)
        self._inventory.change(action.key, running=action.step)
        self._pool.submit(job)
        return True

    def _planned(self, now: datetime, order: Order) -> list[Entry]:
        return ordered(self._inventory.databases(), self.settings, now, order, self._doubts())

    def _take(self, outcomes: list[Outcome], now: datetime) -> None:
        ended = [(outcome, self._event_of(outcome, now)) for outcome in outcomes]
        entries = [(outcome.job.key, event) for outcome, event in ended if event is not None]
        seconds = {outcome.job.key: outcome.seconds for outcome in outcomes}
        records = iter(self.record(entries, now, seconds) if entries else [])
        for outcome, event in ended:
            self.failures += is_failure(outcome) or isinstance(event, Lost)
            self._inventory.change(outcome.job.key, running=None)
            self.desk.ended(outcome, event, next(records) if event is not None else None)

    def _event_of(self, outcome: Outcome, now: datetime) -> Event | None:
        job, database = outcome.job, self._inventory.look_at(outcome.job.key)
        if job.step is Step.SEAL and not isinstance(outcome, Done):
            self._inventory.change(job.key, attempted_at=now)
        return event_of(outcome, database, self.settings.workers, now)


def _not_at_midnight(moment: datetime) -> datetime:
    """A walk of a large tree must not hold up the rotation: put it off until that is out."""
    return next_midnight(moment) + MIDNIGHT_MARGIN if at_midnight(moment) else moment
