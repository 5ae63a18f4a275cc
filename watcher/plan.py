"""What is to be done, for which database, when and why. Pure: nothing here looks at a disk or a clock.

`plan` gives each database exactly one entry:

- an `Action`: a step that is due now;
- a `Wait`: why nothing is to be done now, and until when (None: until something happens to it);
- a `Block`: why nothing will be done until a person acts.

Beside those it lists `Notice`s: what has been observed and is to be recorded and published at once.
Nothing else in the project decides whether something is due.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta

from msgspec import Struct

from handlers.contract import Step
from watcher.config import Settings
from watcher.events import Closed, Conflict, Event, Failed, Opened, Reopened, Rotated
from watcher.lifecycle import Stage, next_stage, state_of
from watcher.pattern import Pattern
from watcher.schedule import due, end_of, start_of
from watcher.state import Database, Facts

_WRITE_BACKUPS = (Step.BACKUP, Step.COMPRESS)


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


Entry = Action | Wait | Block


class Notice(Struct, frozen=True):
    """Something that was observed, to be recorded before anything is done."""

    key: str
    event: Event


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


def plan(databases: Iterable[Database], settings: Settings, now: datetime, backup_doubt: str = "") -> Plan:
    """Decide.

    Args:
        databases: also those that are still to be created (see `wanted`).
        settings: ages, schedules and patience.
        now: aware, UTC.
        backup_doubt: why the backup directory is not to be written to, if it is not.
    """
    entries: list[Entry] = []
    notices: list[Notice] = []
    databases = sorted(databases, key=lambda database: database.key)
    if suspicion := _empty_root(databases):
        entries = [Block(database.key, suspicion) for database in databases]
        return Plan(now, tuple(entries), ())
    for database in databases:
        notice = _observe(database, now)
        if notice is not None:
            notices.append(Notice(database.key, notice))
            entries.append(Wait(database.key, "to be recorded first", now))
        else:
            entry = _decide(database, settings, now)
            if backup_doubt and isinstance(entry, Action) and entry.step in _WRITE_BACKUPS:
                entry = Block(database.key, backup_doubt)
            entries.append(entry)
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


def rotations(
    known: Mapping[str, Facts], early: Iterable[str], settings: Settings, now: datetime
) -> list[Notice]:
    """The streams whose current day has changed.

    Args:
        known: what the journal knows of each stream, by its name.
        early: streams whose writer already writes into the day after the current one.
    """
    found = []
    early = set(early)
    for stream, options in settings.data.streams.items():
        last = known.get(stream, Facts()).rotated
        today = now.date()
        target = today + timedelta(days=1) if stream in early else today
        if last is not None and not _day_changed(date.fromisoformat(last.current), target, today):
            continue
        pattern = Pattern(options.pattern)
        cause = "start" if last is None else "writer" if stream in early else "clock"
        event = Rotated(
            current=target.isoformat(),
            previous=last.current if last else None,
            current_db=f"{settings.data.root}/{pattern.path_of(target)}",
            previous_db=last.current_db if last else None,
            cause=cause,
        )
        found.append(Notice(stream, event))
    return found


def next_midnight(now: datetime) -> datetime:
    """When the next rotation is due."""
    return end_of(now.date())


def _day_changed(current: date, target: date, today: date) -> bool:
    # A clock that went back a little says nothing until it is past the last rotation again. One that had
    # been more than a day ahead was wrong then: waiting for it could silence a year of rotations.
    return target > current or current > today + timedelta(days=1)


def _empty_root(databases: list[Database]) -> str:
    """A root without any of the days that are known to be in it is not a root to work in."""
    known = [database for database in databases if database.facts.sealed]
    if not known or any(database.files.primary for database in known):
        return ""
    return (
        f"the root holds none of the {len(known)} days that are known to be there: is it mounted? "
        "Nothing is done until they are back"
    )


def _observe(database: Database, now: datetime) -> Event | None:
    """What the files tell that the facts do not know yet."""
    files, facts = database.files, database.facts
    if database.running or files.anomaly or files.database is None:
        return None
    if facts.compressed:
        return _observe_conflict(database)
    if facts.sealed:
        return _observe_reopened(database)
    if database.held and not facts.opened:
        return Opened(database.paths.database)
    if database.held is False and _was_written(database) and database.day <= now.date():
        wal_bytes = files.wal.size_bytes if files.wal else 0
        return Closed(database.paths.database, files.database, wal_bytes)
    return None


def _observe_conflict(database: Database) -> Event | None:
    known = database.facts.conflict
    if known is not None and known.evidence == database.files.evidence:
        return None
    return Conflict(
        path=database.paths.database,
        error=f"a new {database.paths.database} stands beside the compressed day",
        hint="move the new file away, or merge it into the day; both are left untouched",
        evidence=database.files.evidence,
    )


def _observe_reopened(database: Database) -> Event | None:
    files, sealed = database.files, database.facts.sealed
    assert sealed is not None
    if files.wal is not None and files.wal.size_bytes > 0:
        return Reopened(database.paths.database, "a write-ahead log stands beside the sealed file")
    if files.database != sealed.signature:
        return Reopened(database.paths.database, "the file is not as it was when it was sealed")
    return None


def _was_written(database: Database) -> bool:
    """Whether the file is another than when it was last closed, or made."""
    files, facts = database.files, database.facts
    if facts.opened:
        return True
    if facts.closed is not None:
        wal_bytes = files.wal.size_bytes if files.wal else 0
        return (facts.closed.signature, facts.closed.wal_bytes) != (files.database, wal_bytes)
    return facts.created is None or facts.created.signature != files.database


def _decide(database: Database, settings: Settings, now: datetime) -> Entry:
    key, files, facts = database.key, database.files, database.facts
    if database.running:
        return Wait(key, f"{database.running} is running")
    if files.anomaly:
        return Block(key, files.anomaly)
    if blocked := _blocked_by_fact(database):
        return Block(key, blocked)
    if not files.primary:
        return _decide_absent(database, settings, now)
    if database.day > now.date():
        return _decide_future(database, settings, now)
    if files.database is None and facts.sealed is None:
        return Block(key, "only a compressed file is there, and the journal does not know it")
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
        return f"corrupt: {first}. {facts.corrupt.hint}"
    if facts.conflict and facts.conflict.evidence == evidence:
        return f"conflict: {facts.conflict.error}. {facts.conflict.hint}"
    for failed in facts.failed.values():
        if not failed.retryable and failed.evidence == evidence:
            return f"{failed.step} is impossible: {failed.error}. {failed.hint}"
    return ""


def _decide_absent(database: Database, settings: Settings, now: datetime) -> Entry:
    key, facts = database.key, database.facts
    if database.day < now.date() and facts == Facts() and not database.files.backup:
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
    return _unless_failed(database, Action(key, Step.CREATE, reason, first), now)


def _decide_future(database: Database, settings: Settings, now: datetime) -> Entry:
    begins = start_of(database.day)
    if database.day - now.date() > timedelta(days=max(settings.create.ahead_days, 1)):
        return Block(
            database.key,
            f"dated in the future ({database.day}): set aside until {database.day}; "
            "check the clock of whoever made it",
        )
    return Wait(database.key, "its day has not begun", begins)


def _decide_stage(database: Database, stage: Stage, settings: Settings, now: datetime) -> Entry:
    ageing = stage.ageing(settings)
    moment = due(database.day, ageing.after_days, ageing.schedule)
    if stage.step is Step.COMPRESS and _interrupted(database):
        action = Action(database.key, stage.step, "its compression was interrupted", now)
        return _unless_failed(database, action, now)
    if moment > now:
        return Wait(database.key, _age_reason(database, stage, ageing.after_days), moment, stage.step)
    if stage.step is Step.SEAL:
        return _decide_seal(database, settings, now, moment)
    reason = _why_now(database, stage, ageing.schedule)
    return _unless_failed(database, Action(database.key, stage.step, reason, moment), now)


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
        return Block(key, "the file is empty (0 bytes): not a database; remove it or restore the day")
    retry = timedelta(seconds=settings.seal.retry_seconds)
    settled = _settled_at(database, settings)
    if settled > now:
        return Wait(key, "settling after the last file event", settled, Step.SEAL)
    if database.facts.deferred is not None:
        return _decide_deferred(database, settings, now, moment)
    patient_until = max(moment, database.facts.times.get("opened", moment)) + retry
    if database.held and now < patient_until:
        return Wait(key, "its day is over; its writer still has it open", patient_until, Step.SEAL)
    action = Action(key, Step.SEAL, "its day is over", moment)
    return _unless_failed(database, action, now)


def _settled_at(database: Database, settings: Settings) -> datetime:
    """Until when file events keep us away: a file is left alone before it is probed."""
    touched = database.touched_at
    long_ago = datetime.min.replace(tzinfo=start_of(database.day).tzinfo)
    return touched + timedelta(seconds=settings.watch.settle_seconds) if touched else long_ago


def _decide_deferred(database: Database, settings: Settings, now: datetime, moment: datetime) -> Entry:
    deferred, attempted = database.facts.deferred, database.attempted_at
    assert deferred is not None
    who = ", ".join(f"{h.name} (pid {h.pid})" for h in deferred.holders) or "an unknown process"
    again = now if attempted is None else attempted + _deferral(attempted - deferred.since, settings)
    left = attempted is not None and _writer_left_since(database, attempted, settings)
    if again <= now or left:
        return Action(database.key, Step.SEAL, f"tried again: was held by {who}", moment)
    copy_at = _safety_copy_at(database, settings)
    if copy_at is not None and copy_at <= now:
        reason = f"held by {who} for too long: a consistent copy is taken meanwhile"
        action = Action(database.key, Step.BACKUP, reason, copy_at, live=True)
        return _unless_failed(database, action, now)
    until = min(again, copy_at) if copy_at else again
    return Wait(database.key, f"sealing waits: held by {who}", until, Step.SEAL)


def _deferral(so_far: timedelta, settings: Settings) -> timedelta:
    """Wait as long again as sealing has waited already: doubling, within the bounds."""
    shortest = timedelta(seconds=settings.seal.retry_seconds)
    return min(max(so_far, shortest), timedelta(seconds=settings.seal.retry_max_seconds))


def _writer_left_since(database: Database, attempted: datetime, settings: Settings) -> bool:
    # The attempt itself opens and closes the file: what follows it within the settle time is our own.
    own_until = attempted + timedelta(seconds=settings.watch.settle_seconds)
    touched = database.touched_at
    return database.held is False and touched is not None and touched > own_until


def _safety_copy_at(database: Database, settings: Settings) -> datetime | None:
    """When a day that cannot be sealed is to be copied all the same; None: its copy is fresh."""
    facts = database.facts
    assert facts.deferred is not None
    patience = timedelta(seconds=settings.seal.patience_seconds)
    if facts.backed_up is None or not facts.backed_up.live:
        return facts.deferred.since + patience
    fresh = facts.backed_up.wal == database.files.wal
    return None if fresh else facts.times["backed_up"] + patience


def _unless_failed(database: Database, action: Action, now: datetime) -> Entry:
    failed = database.facts.failed.get(action.step)
    if failed is None or failed.next_try is None or failed.next_try <= now:
        return action
    return Wait(database.key, _failure_reason(failed), failed.next_try, action.step)


def _failure_reason(failed: Failed) -> str:
    return f"{failed.step} failed ({failed.error}); attempt {failed.attempt + 1} follows"
