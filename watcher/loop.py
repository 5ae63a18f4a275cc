"""The loop: `step(now)` looks, decides and hands out; file events, the clock and ended jobs all wake it.

It is the only writer of the journal and the only owner of the inventory, in one thread. Nothing about pending
work is kept: after a restart the next step computes it again from the files and the facts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta

from msgspec.structs import replace

from handlers.contract import Done, Failure, Job, Options, Outcome, Step, Trouble
from watcher.clock import Clock
from watcher.config import Settings
from watcher.events import (
    Conflict,
    Corrupt,
    Deferred,
    Event,
    Failed,
    Record,
    Reopened,
    Rotated,
)
from watcher.filesystem import Hints
from watcher.inventory import Inventory
from watcher.journal import Journal
from watcher.notices import rotations
from watcher.plan import (
    MIDNIGHT_MARGIN,
    Action,
    Doubts,
    Plan,
    Wait,
    at_midnight,
    next_midnight,
    plan,
    wanted,
)
from watcher.pool import Pool
from watcher.state import Facts, fold

_MAX_ROUNDS = 5
"""Recording one thing can reveal the next (closed, then re-opened); more than this is a defect."""

_JUMP = timedelta(hours=1)
"""A clock that is further off than this from what has really passed was set, or wrong."""
_DOUBT = timedelta(minutes=10)
"""For so long a clock that jumped forward is not trusted with what goes by the date alone."""

Announce = Callable[[Record, Event, float | None], None]
"""Called with each recorded event, and how many seconds the step took that led to it."""


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
        write_metadata: Callable[[Mapping[str, tuple[Rotated, datetime]]], None],
    ) -> None:
        self.settings = settings
        self.last_plan: Plan | None = None
        self.failures = 0
        """Jobs that failed since the start, for the exit code of `once`."""
        self._clock = clock
        self._inventory = inventory
        self._journal = journal
        self._pool = pool
        self._announce = announce
        self._write_metadata = write_metadata
        self._streams: dict[str, Facts] = {}
        self._unrecorded: list[Outcome] = []
        self._scan_at: datetime | None = None
        self._last_seen: tuple[datetime, float] | None = None
        self._clock_doubted_until: datetime | None = None

    def recover(self, facts: Mapping[str, Facts]) -> None:
        """Take over what the journal knows. Called once, before the first step."""
        self._streams = {key: known for key, known in facts.items() if "/" not in key}
        # A restart is a person's or a supervisor's way to say "try again": old failures do not hold it up.
        fresh = {key: replace(known, failed={}) for key, known in facts.items()}
        self._inventory.add_known(fresh)
        if self.rotated():
            self._write_metadata(self.rotated())  # the last run may have ended between event and file

    def step(self, now: datetime, hints: Hints) -> Plan:
        """One round. Returns the plan that was acted upon."""
        self._rotate(now)
        self._watch_clock(now)
        self.take_outcomes(now)
        self._look(now, hints)
        current = self._plan_and_notice(now)
        self._rotate(now)
        self._hand_out(current.actions)
        self.last_plan = current
        return current

    def next_wake(self, now: datetime) -> datetime:
        """When the clock alone has to wake the loop."""
        moments = [next_midnight(now), self._scan_at or now]
        if self.last_plan is not None and self.last_plan.next_due is not None:
            moments.append(self.last_plan.next_due)
        settling = self._inventory.unsettled_until(now, self.settings)
        again = self._inventory.probe_again_at(self.settings)
        moments += [moment for moment in (settling, again) if moment is not None]
        return max(min(moments), now)

    def busy(self) -> bool:
        """Whether anything is running, due, settling or still to be recorded."""
        now = self._clock.now()
        settling = self._inventory.unsettled_until(now, self.settings)
        due = self.last_plan is not None and (self.last_plan.actions or self._about_to_seal(now))
        return bool(self._pool.busy() or self._unrecorded or due or settling)

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

    def take_outcomes(self, now: datetime) -> None:
        """Record what jobs have returned since the last time."""
        self._unrecorded += self._pool.collect()
        while self._unrecorded:
            self._take(self._unrecorded[0], now)
            self._unrecorded.pop(0)  # only now: a journal that could not be written is tried again

    def scan_again(self) -> None:
        """Walk the whole tree in the next step: after an error nothing is taken for known."""
        self._scan_at = None

    def reconfigure(self, settings: Settings) -> None:
        """Put other settings in force; what is running ends under the old ones."""
        self.settings = settings

    def rest(self) -> None:
        """Called when there is time: lets idle workers go."""
        self._pool.rest()

    def record(self, entries: list[tuple[str, Event]], now: datetime, seconds: float | None = None) -> None:
        """Record, then fold the events into what is held in memory, then announce them."""
        for record, (key, event) in zip(self._journal.record(entries, now), entries, strict=True):
            if "/" in key:
                database = self._inventory.get(key)
                assert database is not None
                self._inventory.change(key, facts=fold(database.facts, event, now))
            else:
                self._streams[key] = fold(self._streams.get(key, Facts()), event, now)
            self._announce(record, event, seconds)

    def _rotate(self, now: datetime) -> None:
        current = {
            stream: date.fromisoformat(rotated.current) for stream, (rotated, _) in self.rotated().items()
        }
        early = self._inventory.ahead_of(current)
        notices = rotations(self._streams, early, self.settings, now)
        if notices:
            self.record([(notice.key, notice.event) for notice in notices], now)
            self._write_metadata(self.rotated())

    def _watch_clock(self, now: datetime) -> None:
        """Notice a clock that was set: forward it is doubted for a while, backward nothing planned holds."""
        elapsed = self._clock.elapsed()
        before, self._last_seen = self._last_seen, (now, elapsed)
        if before is None:
            return
        jump = now - before[0] - timedelta(seconds=elapsed - before[1])
        if abs(jump) < _JUMP:
            return
        self._scan_at = None
        self._clock_doubted_until = now + _DOUBT if jump > _JUMP else None

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

    def _plan_and_notice(self, now: datetime) -> Plan:
        for _ in range(_MAX_ROUNDS):
            doubts = Doubts(self._inventory.backup_doubt(), self._clock_doubted_until)
            current = plan(self._inventory.databases(), self.settings, now, doubts)
            if not current.notices:
                break
            self.record([(notice.key, notice.event) for notice in current.notices], now)
        return current

    def _hand_out(self, actions: list[Action]) -> None:
        for action in actions:
            if self._pool.has_room(action.step):
                job = self._job(action)
                self._inventory.change(action.key, running=action.step)
                self._pool.submit(job)

    def _job(self, action: Action) -> Job:
        database = self._inventory.get(action.key)
        assert database is not None
        compress = self.settings.compress
        stream = self.settings.data.streams[database.stream]
        options = Options(
            schema=stream.schema,
            table=stream.table,
            level=compress.level,
            frame_bytes=compress.frame_mib * 1024 * 1024,
            threads=compress.threads,
            quiet_seconds=self.settings.watch.settle_seconds / self.settings.clock.scale,
        )
        facts = database.facts
        return Job(
            action.step,
            action.key,
            database.paths,
            options,
            sealed=facts.sealed,
            previous=facts.previous,
            backup_sha256=facts.backed_up.sha256 if facts.backed_up else "",
            live=action.live,
        )

    def _take(self, outcome: Outcome, now: datetime) -> None:
        key = outcome.job.key
        database = self._inventory.look_at(key)
        if isinstance(outcome, Done):
            event: Event | None = outcome.result
        else:
            event = self._event_of(outcome, database.facts, database.files.evidence, now)
            self.failures += outcome.trouble not in (Trouble.BUSY, Trouble.CHANGED)
            self._inventory.change(key, attempted_at=now)
        if event is not None:
            self.record([(key, event)], now, seconds=outcome.seconds)
        self._inventory.change(key, running=None)

    def _event_of(self, failure: Failure, facts: Facts, evidence: str, now: datetime) -> Event | None:
        job, error, hint = failure.job, failure.message, failure.hint
        path = job.paths.database
        match failure.trouble:
            case Trouble.BUSY | Trouble.CHANGED if job.step is Step.SEAL:
                return self._deferred(failure, facts, now)
            case Trouble.CHANGED:
                return Reopened(path, error)
            case Trouble.CORRUPT:
                return Corrupt(job.step, path, error, failure.problems, hint, evidence)
            case Trouble.CONFLICT:
                return Conflict(path, error, hint, evidence)
            case _:
                return self._failed(failure, facts, evidence, now)

    def _deferred(self, failure: Failure, facts: Facts, now: datetime) -> Event | None:
        known = facts.deferred
        same = known is not None and known.holders == failure.holders
        if known is not None and (same or set(known.holders) & set(failure.holders)):
            return None  # said once, and still true: others come and go; the plan goes on saying it
        since = known.since if known else now
        return Deferred(failure.job.paths.database, failure.holders, since)

    def _failed(self, failure: Failure, facts: Facts, evidence: str, now: datetime) -> Event:
        before = facts.failed.get(failure.job.step)
        attempt = before.attempt + 1 if before else 1
        workers = self.settings.workers
        delay = min(workers.retry_seconds * 2 ** min(attempt - 1, 30), workers.retry_max_seconds)
        return Failed(
            step=failure.job.step,
            error=failure.message,
            hint=failure.hint,
            attempt=attempt,
            retryable=failure.retryable,
            next_try=now + timedelta(seconds=delay) if failure.retryable else None,
            evidence=evidence,
        )


def _not_at_midnight(moment: datetime) -> datetime:
    """A walk of a large tree must not hold up the rotation: put it off until that is out."""
    return next_midnight(moment) + MIDNIGHT_MARGIN if at_midnight(moment) else moment
