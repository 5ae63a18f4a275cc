"""When a day whose writer may still be there is sealed, tried again, or copied meanwhile."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from handlers.contract import Step
from watcher.plan.entries import Action, Block, Doubts, Entry, Wait, in_doubt, is_paused
from watcher.plan.setbacks import unless_failed
from watcher.schedule import start_of
from watcher.settings import Settings
from watcher.state import Database


def decide_seal(
    database: Database, settings: Settings, doubts: Doubts, now: datetime, moment: datetime
) -> Entry:
    """What is to be done about a day that is over and has no seal. ``moment``: when it was over."""
    key, files = database.key, database.files
    if files.database is not None and files.database.size_bytes == 0 and files.wal is None:
        reason = "the file is empty (0 bytes): not a database; remove it or restore the day"
        return Block(key, reason, failed=False)
    retry = timedelta(seconds=settings.seal.retry_seconds)
    settled = settled_at(database, settings)
    if settled > now:
        return Wait(key, "settling after the last file event", settled, Step.SEAL)
    if database.facts.deferred is not None:
        return _decide_deferred(database, settings, doubts, now, moment)
    opened_at = min(database.facts.times.get("opened", moment), now)
    patient_until = max(moment, opened_at) + retry
    if database.held and now < patient_until:
        return Wait(key, "its day is over; its writer still has it open", patient_until, Step.SEAL)
    action = Action(key, Step.SEAL, "its day is over", moment)
    return unless_failed(database, action, settings, now)


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


def _decide_deferred(
    database: Database, settings: Settings, doubts: Doubts, now: datetime, moment: datetime
) -> Entry:
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
        copy = unless_failed(database, action, settings, now)
        if not is_paused(paused := in_doubt(copy, database, doubts, now)):
            return copy
        reason = f"sealing waits: held by {deferred.who}; its copy is {paused.reason}"
        return Wait(database.key, reason, again, Step.SEAL)
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
