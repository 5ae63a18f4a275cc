"""What is to be done, for which database, when and why. Pure: nothing here looks at a disk or a clock.

`plan` gives each database exactly one entry:

- an `Action`: a step that is due now;
- a `Wait`: why nothing is to be done now, and until when (None: until something happens to it);
- a `Block`: why nothing will be done until a person acts.

Beside those it lists `Notice`s: what has been observed and is to be recorded and published at once.
Nothing else in the project decides whether something is due.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from msgspec import Struct

from handlers.contract import Step
from watcher.config import Settings
from watcher.events import Failed
from watcher.lifecycle import Stage, next_stage, state_of
from watcher.notices import Notice, observe
from watcher.schedule import due, end_of, start_of
from watcher.state import Database

MIDNIGHT_MARGIN = timedelta(seconds=10)
_UNKNOWN_COMPRESSED = (
    "only a compressed file is there, and the journal does not know it: it is kept as it is; "
    "put the journal back, or decompress it in place to have it sealed"
)
_WRITE_BACKUPS = (Step.BACKUP, Step.COMPRESS)
_GO_BY_DATE = (Step.CREATE, Step.COMPRESS)


class Action(Struct, frozen=True):
    """A step that is due."""

    key: str
    step: Step
    reason: str
    due: datetime
    live: bool = False
    """Backup only: copy the day although somebody holds it."""


class Wait(Struct, frozen=True):
    """Nothing to do now."""

    key: str
    reason: str
    until: datetime | None = None
    step: Step | None = None
    """What will be done then."""


class Block(Struct, frozen=True):
    """Nothing will be done until a person acts."""

    key: str
    reason: str
    failed: bool = True
    """False for what was only set aside: it is no day of ours, or not yet."""


Entry = Action | Wait | Block


class Plan(Struct, frozen=True):
    """One entry for each database, in order of its key."""

    at: datetime
    entries: tuple[Entry, ...]
    notices: tuple[Notice, ...]

    @property
    def actions(self) -> list[Action]:
        """What is due, the most urgent first: new days, then proofs, then space; oldest first."""
        order = list(Step)
        actions = [entry for entry in self.entries if isinstance(entry, Action)]
        return sorted(actions, key=lambda a: (order.index(a.step), a.key.rpartition("/")[2]))

    @property
    def next_due(self) -> datetime | None:
        """When the first of the waits ends; None if they all wait for something to happen."""
        untils = [e.until for e in self.entries if isinstance(e, Wait) and e.until is not None]
        return min(untils, default=None)


class Doubts(Struct, frozen=True):
    """Why some steps are better not done now, although they are due."""

    backup: str = ""
    """The backup directory may not be what it was: nothing may be written there."""
    clock_until: datetime | None = None
    """The clock jumped forward: what only depends on the date waits until then."""


def plan(
    databases: Iterable[Database], settings: Settings, now: datetime, doubts: Doubts | None = None
) -> Plan:
    """Decide.

    Args:
        databases: also those that are still to be created (see `wanted`).
        settings: ages, schedules and patience.
        now: aware, UTC.
        doubts: what is better not done now.
    """
    entries: list[Entry] = []
    notices: list[Notice] = []
    databases = sorted(databases, key=lambda database: database.key)
    if suspicion := _empty_root(databases):
        entries = [Block(database.key, suspicion) for database in databases]
        return Plan(now, tuple(entries), ())
    for database in databases:
        notice = observe(database, now)
        if notice is not None:
            notices.append(Notice(database.key, notice))
            entries.append(Wait(database.key, "to be recorded first", now))
        else:
            entries.append(_in_doubt(_decide(database, settings, now), doubts or Doubts(), now))
    return Plan(now, tuple(entries), tuple(notices))


def wanted(settings: Settings, now: datetime) -> list[tuple[str, date]]:
    """The stream and day of each database that is there, or is to be, from today on."""
    ahead = settings.create.ahead_days if settings.create.enabled else 0
    today = now.date()
    return [
        (stream, today + timedelta(days=offset))
        for stream in settings.data.streams
        for offset in range(ahead + 1)
    ]


def next_midnight(now: datetime) -> datetime:
    """When the next rotation is due."""
    return end_of(now.date())


def at_midnight(now: datetime) -> bool:
    """Whether the next rotation is so near that nothing long may be begun before it."""
    return next_midnight(now) - now < MIDNIGHT_MARGIN


def _in_doubt(entry: Entry, doubts: Doubts, now: datetime) -> Entry:
    if not isinstance(entry, Action):
        return entry
    if doubts.backup and entry.step in _WRITE_BACKUPS:
        return Block(entry.key, doubts.backup)
    if doubts.clock_until and doubts.clock_until > now and entry.step in _GO_BY_DATE:
        reason = "the clock has jumped forward: waiting whether it stays"
        return Wait(entry.key, reason, doubts.clock_until, entry.step)
    return entry


def _empty_root(databases: list[Database]) -> str:
    """A root without any of the days that are known to be in it is not a root to work in."""
    known = [database for database in databases if database.facts.existed]
    has_sealed = any(database.facts.sealed for database in known)
    if not has_sealed or any(database.files.primary for database in known):
        return ""
    return (
        f"the root holds none of the {len(known)} days that are known to be there: is it mounted? "
        "Nothing is done until they are back"
    )


def _decide(database: Database, settings: Settings, now: datetime) -> Entry:
    key, files, facts = database.key, database.files, database.facts
    if database.running:
        return Wait(key, f"{database.running} is running")
    if files.anomaly:
        return Block(key, files.anomaly, failed=False)
    if blocked := _blocked_by_fact(database):
        return Block(key, blocked)
    if not files.primary:
        return _decide_absent(database, settings, now)
    if database.day > now.date():
        return _decide_future(database, settings, now)
    if files.database is None and facts.sealed is None:
        return Block(key, _UNKNOWN_COMPRESSED)
    stage = next_stage(database)
    if stage is None:
        return Wait(key, "nothing left to do")
    return _decide_stage(database, stage, settings, now)


def _blocked_by_fact(database: Database) -> str:
    facts = database.facts
    if not (facts.corrupt or facts.conflict or facts.failed):
        return ""
    evidence = database.files.evidence
    if facts.corrupt and facts.corrupt.evidence == evidence:
        first = facts.corrupt.problems[0] if facts.corrupt.problems else facts.corrupt.error
        return f"corrupt: {first}; {facts.corrupt.hint}"
    if facts.conflict and facts.conflict.evidence == evidence:
        return f"conflict: {facts.conflict.error}; {facts.conflict.hint}"
    for failed in facts.failed.values():
        if not failed.retryable and failed.evidence == evidence:
            return f"{failed.step} is impossible: {failed.error}; {failed.hint}"
    return ""


def _decide_absent(database: Database, settings: Settings, now: datetime) -> Entry:
    key, facts = database.key, database.facts
    if database.files.wal_bytes:
        log = f"{database.paths.database}-wal"
        return Block(key, f"{log} is there without its database: it may hold ticks; put the two together")
    if database.day < now.date() and not facts.existed and not database.files.backup:
        return Wait(key, "nobody made a database that day")
    if facts.sealed or facts.closed or facts.opened or database.day < now.date():
        backup = database.files.backup_compressed or database.files.backup
        where = f"; its backup is still in {settings.data.backup}" if backup else ""
        return Block(key, f"its file is gone from {database.paths.database}{where}")
    if not settings.create.enabled:
        return Wait(key, "its writer makes it (create.enabled is false)")
    begins = start_of(database.day)
    first = begins - timedelta(days=settings.create.ahead_days)
    reason = "today's database is missing" if begins <= now else "made ahead of its day"
    return _unless_failed(database, Action(key, Step.CREATE, reason, first), settings, now)


def _decide_future(database: Database, settings: Settings, now: datetime) -> Entry:
    begins = start_of(database.day)
    created = database.facts.created
    ours = created is not None and created.signature == database.files.database
    if not ours and database.day - now.date() > timedelta(days=max(settings.create.ahead_days, 1)):
        return Block(
            database.key,
            f"dated in the future ({database.day}): set aside until {database.day}; "
            "check the clock of whoever made it",
            failed=False,
        )
    return Wait(database.key, "its day has not begun", begins)


def _decide_stage(database: Database, stage: Stage, settings: Settings, now: datetime) -> Entry:
    ageing = stage.ageing(settings)
    moment = due(database.day, ageing.after_days, ageing.schedule)
    if stage.step is Step.COMPRESS and _interrupted(database):
        action = Action(database.key, stage.step, "its compression was interrupted", now)
        return _unless_failed(database, action, settings, now)
    if moment > now:
        return Wait(database.key, _age_reason(database, stage, ageing.after_days), moment, stage.step)
    if stage.step is Step.SEAL:
        return _decide_seal(database, settings, now, moment)
    reason = _why_now(database, stage, ageing.schedule)
    return _unless_failed(database, Action(database.key, stage.step, reason, moment), settings, now)


def _interrupted(database: Database) -> bool:
    """Whether the original has gone already, but for the record of it."""
    files = database.files
    return files.retired or (files.database is None and files.compressed is not None)


def _age_reason(database: Database, stage: Stage, after_days: int) -> str:
    if stage.step is Step.SEAL:
        return "open for writing" if database.facts.opened else "its day is not over"
    return f"{state_of(database)}; {stage.step} after {after_days} days, on schedule"


def _why_now(database: Database, stage: Stage, schedule: str) -> str:
    if stage.behind(database):
        return "a copy that was made is no longer there"
    return f"{state_of(database)}, and its age and schedule ({schedule}) have come"


def _decide_seal(database: Database, settings: Settings, now: datetime, moment: datetime) -> Entry:
    key, files = database.key, database.files
    if files.database is not None and files.database.size_bytes == 0 and files.wal is None:
        reason = "the file is empty (0 bytes): not a database; remove it or restore the day"
        return Block(key, reason, failed=False)
    retry = timedelta(seconds=settings.seal.retry_seconds)
    settled = settled_at(database, settings)
    if settled > now:
        return Wait(key, "settling after the last file event", settled, Step.SEAL)
    if database.facts.deferred is not None:
        return _decide_deferred(database, settings, now, moment)
    opened_at = min(database.facts.times.get("opened", moment), now)
    patient_until = max(moment, opened_at) + retry
    if database.held and now < patient_until:
        return Wait(key, "its day is over; its writer still has it open", patient_until, Step.SEAL)
    action = Action(key, Step.SEAL, "its day is over", moment)
    return _unless_failed(database, action, settings, now)


def settled_at(database: Database, settings: Settings) -> datetime:
    """Until when file events keep us away: a file is left alone before it is probed.

    But not for ever: to somebody who comes and goes all the time the probe, and sealing, which asks for sole
    access, are as safe as at any other moment.
    """
    if database.touched_at is None:
        return start_of(date.min)
    settle = timedelta(seconds=settings.watch.settle_seconds)
    longest = timedelta(seconds=max(settings.seal.retry_seconds, settings.watch.settle_seconds))
    since = database.unsettled_since or database.touched_at
    return min(database.touched_at + settle, since + longest)


def _decide_deferred(database: Database, settings: Settings, now: datetime, moment: datetime) -> Entry:
    deferred = database.facts.deferred
    assert deferred is not None
    # A clock that was put back: what is to come has not been.
    attempted = database.attempted_at if database.attempted_at and database.attempted_at <= now else None
    again = now if attempted is None else attempted + _deferral(attempted - deferred.since, settings)
    left = attempted is not None and _writer_left_since(database, attempted, settings)
    if again <= now or left:
        return Action(database.key, Step.SEAL, f"tried again: was held by {deferred.who}", moment)
    copy_at = _safety_copy_at(database, settings, now)
    if copy_at is not None and copy_at <= now:
        reason = f"held by {deferred.who} for too long: a consistent copy is taken meanwhile"
        action = Action(database.key, Step.BACKUP, reason, copy_at, live=True)
        return _unless_failed(database, action, settings, now)
    until = min(again, copy_at) if copy_at else again
    return Wait(database.key, f"sealing waits: held by {deferred.who}", until, Step.SEAL)


def _deferral(so_far: timedelta, settings: Settings) -> timedelta:
    """Wait as long again as sealing has waited already: doubling, within the bounds."""
    shortest = timedelta(seconds=settings.seal.retry_seconds)
    return min(max(so_far, shortest), timedelta(seconds=settings.seal.retry_max_seconds))


def _writer_left_since(database: Database, attempted: datetime, settings: Settings) -> bool:
    # The attempt itself opens and closes the file: what follows it within the settle time is our own.
    own_until = attempted + timedelta(seconds=settings.watch.settle_seconds)
    touched = database.touched_at
    return database.held is False and touched is not None and touched > own_until


def _safety_copy_at(database: Database, settings: Settings, now: datetime) -> datetime | None:
    """When a day that cannot be sealed is to be copied all the same; None: its copy is fresh."""
    facts = database.facts
    assert facts.deferred is not None
    patience = timedelta(seconds=settings.seal.patience_seconds)
    if facts.backed_up is None or not facts.backed_up.live:
        return min(facts.deferred.since, now) + patience
    fresh = facts.backed_up.wal == database.files.wal
    return None if fresh else min(facts.times["backed_up"], now) + patience


def _unless_failed(database: Database, action: Action, settings: Settings, now: datetime) -> Entry:
    failed = database.facts.failed.get(action.step)
    if failed is None or failed.next_try is None or failed.next_try <= now:
        return action
    if failed.next_try - now > timedelta(seconds=settings.workers.retry_max_seconds):
        return action  # it was set by a clock that has been put back since
    return Wait(database.key, _failure_reason(failed), failed.next_try, action.step)


def _failure_reason(failed: Failed) -> str:
    return f"{failed.step} failed ({failed.error}); attempt {failed.attempt + 1} follows"
