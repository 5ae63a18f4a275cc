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
from watcher.lifecycle import STAGES, Stage, next_stage, state_of
from watcher.notices import Notice, observe
from watcher.plan.entries import Action, Block, Doubts, Entry, Wait, in_doubt
from watcher.plan.presence import decide_absent, decide_expired, decide_future, empty_root, gone
from watcher.plan.retention import (
    Rails,
    Trial,
    decide_expiry,
    decide_restored,
    drill,
    keeps_restored,
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
_UNKNOWN_COMPRESSED = (
    "only a compressed file is there, and the journal does not know it: it is kept as it is; "
    "put the journal back, or decompress it in place to have it sealed"
)


class Plan(Struct, frozen=True):
    """One entry for each database, in order of its key."""

    at: datetime
    entries: tuple[Entry, ...]
    notices: tuple[Notice, ...]
    drill_at: datetime | None = None
    """When a cold day is next restored on trial, if no entry says so already."""

    @property
    def actions(self) -> list[Action]:
        """What is due, the most urgent first: new days, proofs, space, reading again; oldest first."""
        order = list(Step)
        actions = [entry for entry in self.entries if isinstance(entry, Action)]

        def urgency(action: Action) -> tuple[int, float, str]:
            proven = action.proven_at.timestamp() if action.proven_at else 0.0
            return order.index(action.step), proven, action.key.rpartition("/")[2]

        return sorted(actions, key=urgency)

    @property
    def next_due(self) -> datetime | None:
        """When the first of the waits ends; None if they all wait for something to happen."""
        waits = [entry for entry in self.entries if isinstance(entry, Wait)]
        moments = [moment for wait in waits for moment in (wait.until, wait.verify_at)]
        return min((moment for moment in (*moments, self.drill_at) if moment is not None), default=None)


class Policy(Struct, frozen=True):
    """What a decision about one database goes by."""

    settings: Settings
    ages: Mapping[Step, Ageing]
    rails: Rails
    reading: bool
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
    """
    databases = sorted(databases, key=lambda database: database.key)
    if suspicion := empty_root(databases):
        return Plan(now, tuple(Block(database.key, suspicion) for database in databases), ())
    in_force = {stage.step: stage.ageing(settings) for stage in STAGES} | dict(ages or {})
    around = rails(databases, in_force[Step.EXPIRE], settings, now, confirmed)
    policy = Policy(settings, in_force, around, reading)
    doubts = doubts or Doubts()
    entries: dict[str, Entry] = {}
    notices: list[Notice] = []
    for database in databases:
        notice = observe(database, now)
        if notice is not None:
            notices.append(Notice(database.key, notice))
            entries[database.key] = Wait(database.key, "to be recorded first", now, passing=True)
        else:
            entries[database.key] = _entry(database, policy, doubts, now)
    trial = drill(databases, entries, settings, now) if reading else Trial(None, None)
    if trial.action is not None:
        entries[trial.action.key] = in_doubt(trial.action, doubts, now, is_archived=True)
    drill_at = None if trial.action else trial.at
    return Plan(now, tuple(entries.values()), tuple(notices), drill_at)


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


def _entry(database: Database, policy: Policy, doubts: Doubts, now: datetime) -> Entry:
    if database.facts.expired and not (database.running or database.files.anomaly):
        return decide_expired(database)  # of these there are ever more: nothing else is asked of them
    entry = on_hold(_decide(database, policy, doubts, now), database)
    if policy.reading:
        entry = with_verification(entry, database, policy.settings, now)
    return in_doubt(entry, doubts, now, is_archived=database.facts.archived is not None)


def _decide(database: Database, policy: Policy, doubts: Doubts, now: datetime) -> Entry:
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
        return decide_absent(database, settings, doubts, now)
    return _decide_present(database, policy, doubts, now)


def _decide_present(database: Database, policy: Policy, doubts: Doubts, now: datetime) -> Entry:
    key, files, facts, settings = database.key, database.files, database.facts, policy.settings
    if database.day > now.date():
        return decide_future(database, settings, now)
    if files.database is None and facts.sealed is None:
        return Block(key, _UNKNOWN_COMPRESSED)
    if restored := decide_restored(database, settings, now):
        return restored
    if facts.archived and files.archived is None:
        return gone(database, database.paths.archived, settings, now, doubts.archive)
    stage = next_stage(database, settings)
    if stage is None:
        return Wait(key, "nothing left to do")
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
        return decide_seal(database, settings, now, moment)
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
    return f"{state_of(database)}; {stage.step} after {after_days} days, on schedule"


def _why_now(database: Database, stage: Stage, schedule: str) -> str:
    if stage.behind(database):
        return "a copy that was made is no longer there"
    return f"{state_of(database)}, and its age and schedule ({schedule}) have come"
