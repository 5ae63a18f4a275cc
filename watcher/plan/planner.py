"""What is to be done, for which database, when and why. Pure: nothing here looks at a disk or a clock.

`plan` gives each database exactly one entry:

- an `Action`: a step that is due now;
- a `Wait`: why nothing is to be done now, and until when (None: until something happens to it);
- a `Block`: why nothing will be done until a person acts.

Beside those it lists `Notice`s: what has been observed and is to be recorded and published at once.
Nothing else in the project decides whether something is due.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from handlers.contract import Step
from watcher.lifecycle import STAGES, Stage, next_stage, state_of
from watcher.notices import Notice, observe
from watcher.plan.entries import Action, Block, Doubts, Entry, Wait, in_doubt, is_paused
from watcher.plan.presence import decide_absent, decide_expired, decide_future, empty_root, gone
from watcher.plan.rest import NOTHING_LEFT, age_reason
from watcher.plan.retention import (
    Rails,
    cold_of,
    decide_expiry,
    decide_restored,
    drawn,
    keeps_restored,
    next_drill,
    on_hold,
    rails,
    with_verification,
)
from watcher.plan.sealing import decide_seal
from watcher.plan.setbacks import blocked_by_fact, damage_to_repair, unless_failed
from watcher.schedule import due, end_of
from watcher.settings import Ageing, Settings
from watcher.state import Database

MIDNIGHT_MARGIN = timedelta(seconds=10)
_TO_BE_RECORDED = "to be recorded first"
_UNKNOWN_COMPRESSED = (
    "only a compressed file is there, and the journal does not know it: it is kept as it is; "
    "put the journal back, or take it over: `tickward adopt`"
)


class Plan(Struct, frozen=True):
    """What is to be done, and what is not, for each database."""

    at: datetime
    entries: tuple[Entry, ...]
    """One for each database, in order of its key."""
    notices: tuple[Notice, ...]
    drill_at: datetime | None
    """When a cold day is next restored on trial, if no entry says so already."""
    actions: list[Action]
    """What is due, the most urgent first: new days, proofs, space, reading again; oldest first."""
    blocks: list[Block]
    """What needs a person."""
    next_due: datetime | None
    """When the first of the waits ends; None if they all wait for something to happen."""

    @classmethod
    def of(
        cls,
        at: datetime,
        entries: tuple[Entry, ...],
        notices: tuple[Notice, ...] = (),
        drill_at: datetime | None = None,
    ) -> Plan:
        return cls.said(at, entries, notices, drill_at, [told_of(entries)])

    @classmethod
    def said(
        cls,
        at: datetime,
        entries: tuple[Entry, ...],
        notices: tuple[Notice, ...],
        drill_at: datetime | None,
        parts: Iterable[Told],
    ) -> Plan:
        """The same of entries that have been looked through."""
        parts = list(parts)
        moments = (drill_at, *(part.next_due for part in parts))
        return cls(
            at,
            entries,
            notices,
            drill_at,
            sorted((action for part in parts for action in part.actions), key=_urgency),
            sorted((block for part in parts for block in part.blocks), key=lambda block: block.key),
            min((moment for moment in moments if moment is not None), default=None),
        )


class Told(NamedTuple):
    """What some entries come to."""

    actions: list[Action]
    blocks: list[Block]
    next_due: datetime | None


def told_of(entries: Iterable[Entry]) -> Told:
    """Look through them."""
    entries = list(entries)
    waits = [entry for entry in entries if isinstance(entry, Wait)]
    moments = (moment for wait in waits for moment in (wait.until, wait.verify_at) if moment is not None)
    actions = [entry for entry in entries if isinstance(entry, Action)]
    blocks = [entry for entry in entries if isinstance(entry, Block)]
    return Told(actions, blocks, min(moments, default=None))


def _urgency(action: Action) -> tuple[int, float, str]:
    proven = action.proven_at.timestamp() if action.proven_at else 0.0
    return _RANKS[action.step], proven, action.key.rpartition("/")[2]


_RANKS = {step: rank for rank, step in enumerate(Step)}


class Policy(Struct, frozen=True):
    """What a decision about one database goes by."""

    settings: Settings
    ages: Mapping[Step, Ageing]
    rails: Rails
    doubts: Doubts
    reading: bool = True
    """Whether a day that waits may be read again meanwhile."""


def plan(
    databases: Iterable[Database],
    settings: Settings,
    now: datetime,
    doubts: Doubts | None = None,
    *,
    ages: Mapping[Step, Ageing] | None = None,
    confirmed: int = 0,
    reading: bool = True,
    keys: Collection[str] | None = None,
) -> Plan:
    """Decide.

    Args:
        databases: also those that are still to be created (see `wanted`).
        settings: ages, schedules and patience.
        now: aware, UTC.
        doubts: what is better not done now.
        ages: other ages and schedules than those of the settings, as a person has ordered.
        confirmed: to so many deletions at once a person has agreed.
        reading: False to leave out that copies are read again on schedule: a person has asked for a step.
        keys: only of these something is to be said; and nothing of a drill.
    """
    databases = list(databases)
    asked = sorted(
        (database for database in databases if keys is None or database.key in keys),
        key=lambda database: database.key,
    )
    if suspicion := empty_root(databases):
        return suspended(asked, suspicion, now)
    in_force = ages_in_force(settings) | dict(ages or {})
    streams = {database.stream for database in asked}
    beside = (database for database in databases if database.stream in streams)
    around = rails(beside, in_force[Step.EXPIRE], settings, now, confirmed)
    policy = Policy(settings, in_force, around, doubts or Doubts(), reading)
    answers = [answer(database, policy, now) for database in asked]
    notices = tuple(found for found in answers if isinstance(found, Notice))
    entries = {database.key: entry_of(found, now) for database, found in zip(asked, answers, strict=True)}
    drill_at = None
    if reading and keys is None:
        cold = cold_of(databases, now)
        drill_at = next_drill([cold], settings, now)
        if drill_at is not None and drill_at <= now:
            drill_at = go_on_trial(entries, cold.days, policy, now, drill_at)
    return Plan.of(now, tuple(entries.values()), notices, drill_at)


def ages_in_force(settings: Settings) -> dict[Step, Ageing]:
    """The age and schedule of each step."""
    return {stage.step: stage.ageing(settings) for stage in STAGES}


def suspended(databases: Iterable[Database], why: str, now: datetime) -> Plan:
    """Nothing is done, whatever is due; of what was deleted there is nothing to be said anew."""
    ordered = sorted(databases, key=lambda database: database.key)
    return Plan.of(
        now, tuple(decide_expired(each) if each.facts.expired else Block(each.key, why) for each in ordered)
    )


def answer(database: Database, policy: Policy, now: datetime) -> Entry | Notice:
    """What there is to say of it; first what has been observed."""
    notice = observe(database, now)
    return _entry(database, policy, now) if notice is None else Notice(database.key, notice)


def entry_of(found: Entry | Notice, now: datetime) -> Entry:
    """Nothing is decided before what was observed is recorded."""
    return Wait(found.key, _TO_BE_RECORDED, now, passing=True) if isinstance(found, Notice) else found


def go_on_trial(
    entries: dict[str, Entry], cold: Iterable[Database], policy: Policy, now: datetime, moment: datetime
) -> datetime | None:
    """Have a cold day restored on trial, as was due at ``moment``; when that is tried again, if not now."""
    known = {database.key: database for database in cold}
    trial = drawn(known.values(), entries, policy.settings, now, moment)
    if trial.action is None:
        return trial.at
    key = trial.action.key
    entries[key] = _on_trial(entries[key], trial.action, known[key], policy.doubts, now)
    return None


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


def _on_trial(own: Entry, action: Action, database: Database, doubts: Doubts, now: datetime) -> Entry:
    """What is said of the day that was drawn by lot. Without room for it the day still waits for its own."""
    found = in_doubt(action, database, doubts, now)
    if not is_paused(found):
        return found
    return replace(own, reason=f"{own.reason}; the restore drill is {found.reason}")


def _entry(database: Database, policy: Policy, now: datetime) -> Entry:
    if database.facts.expired and not (database.running or database.files.anomaly):
        return decide_expired(database)  # of these there are ever more: nothing else is asked of them
    entry = on_hold(_decide(database, policy, now), database)
    if policy.reading:
        # What waits for space, for months perhaps, has its copies read again meanwhile.
        waiting = in_doubt(entry, database, policy.doubts, now)
        entry = with_verification(waiting if is_paused(waiting) else entry, database, policy.settings, now)
    return in_doubt(entry, database, policy.doubts, now)


def _decide(database: Database, policy: Policy, now: datetime) -> Entry:
    key, settings = database.key, policy.settings
    if database.running:
        return Wait(key, f"{database.running} is running", passing=True)
    if database.files.anomaly:
        return Block(key, database.files.anomaly, failed=False)
    if blocked := blocked_by_fact(database):
        return Block(key, blocked)
    if repair := _decide_repair(database, settings, now):
        return repair
    if expiry := decide_expiry(database, policy.ages[Step.EXPIRE], settings, now, policy.rails):
        return expiry
    if not database.files.present:
        return decide_absent(database, settings, policy.doubts, now)
    return _decide_present(database, policy, now)


def _decide_present(database: Database, policy: Policy, now: datetime) -> Entry:
    key, files, facts, settings = database.key, database.files, database.facts, policy.settings
    if database.day > now.date():
        return decide_future(database, settings, now)
    if files.database is None and facts.sealed is None:
        return Block(key, _UNKNOWN_COMPRESSED)
    if restored := decide_restored(database, settings, now):
        return restored
    if facts.archived and files.archived is None:
        return gone(database, database.paths.archived, settings, now, policy.doubts.archive)
    stage = next_stage(database, settings)
    if stage is None:
        return Wait(key, NOTHING_LEFT)
    return _decide_stage(database, stage, policy, now)


def _decide_repair(database: Database, settings: Settings, now: datetime) -> Entry | None:
    """A day with a seal in which damage was found, or that was lost and has a copy again: read them all."""
    facts, files = database.facts, database.files
    if facts.lost and facts.sealed and files.present:
        reason = "it was lost, and a copy has come back: it is read and compared"
    elif damage_to_repair(database) and facts.corrupt and files.present:
        reason = f"{facts.corrupt.step} found damage: every copy is read, and repaired from a good one"
    else:
        return None
    return unless_failed(database, Action(database.key, Step.VERIFY, reason, now), settings, now)


def _decide_stage(database: Database, stage: Stage, policy: Policy, now: datetime) -> Entry:
    key, settings, ageing = database.key, policy.settings, policy.ages[stage.step]
    moment = due(database.day, ageing.after_days, ageing.schedule)
    if interrupted := _interrupted(database, stage):
        return unless_failed(database, Action(key, stage.step, interrupted, now), settings, now)
    if moment > now:
        return Wait(key, _age_reason(database, stage, ageing.after_days), moment, stage.step)
    if stage.step is Step.SEAL:
        return decide_seal(database, settings, policy.doubts, now, moment)
    if stage.step is Step.COMPRESS and (restored := keeps_restored(database, now)):
        return Wait(key, "restored, and kept for a while", restored.keep_until, stage.step)
    reason = _why_now(database, stage, ageing.schedule)
    return unless_failed(database, Action(key, stage.step, reason, moment), settings, now)


def _interrupted(database: Database, stage: Stage) -> str:
    """Why a step that was begun is to be finished at once: all that lacks is the record of it."""
    files = database.files
    original_gone = files.retired or (files.database is None and files.compressed is not None)
    if stage.step is Step.COMPRESS and original_gone:
        return "its compression was interrupted"
    if stage.step is Step.ARCHIVE and files.compressed is None and files.archived is not None:
        return "its archiving was interrupted"
    return ""


def _age_reason(database: Database, stage: Stage, after_days: int) -> str:
    if stage.step is Step.SEAL:
        return "open for writing" if database.facts.opened else "its day is not over"
    return age_reason(state_of(database), stage.step, after_days)


def _why_now(database: Database, stage: Stage, schedule: str) -> str:
    if stage.step is Step.COMPRESS and database.facts.compressed and database.files.backup:
        return "an uncompressed backup is beside its compressed copies"
    if stage.behind(database.facts):
        return "a copy that was made is no longer there"
    return f"{state_of(database)}, and its age and schedule ({schedule}) have come"
