"""From what a job returned to the event that is recorded, and from an action to its job. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from handlers.contract import (
    Adopting,
    Done,
    Expiry,
    Failure,
    Job,
    Lost,
    Options,
    Outcome,
    Restoring,
    Step,
    Trouble,
)
from watcher.events import Conflict, Corrupt, Deferred, Event, Failed, Reopened
from watcher.plan import Action, Order
from watcher.schedule import backoff, due
from watcher.settings import TOPS, Settings, Workers
from watcher.state import Database, Facts

_MIB = 1024 * 1024
_BY_HAND = (Step.RESTORE, Step.MERGE, Step.ADOPT)


def job_of(action: Action, database: Database, settings: Settings, order: Order | None = None) -> Job:
    """All that a worker is told."""
    facts = database.facts
    return Job(
        action.step,
        action.key,
        database.paths,
        _options(action.step, database, settings, order),
        sealed=facts.sealed,
        previous=facts.previous,
        backup_sha256=facts.backed_up.sha256 if facts.backed_up else "",
        live=action.live,
        compressed=facts.compressed,
        archived=facts.archived,
        superseded=facts.superseded,
        restoring=_restoring(action, settings, order),
        expiry=_expiry(action, database, settings),
        adopting=_adopting(action, facts, settings, order),
        by=action.by,
    )


def _options(step: Step, database: Database, settings: Settings, order: Order | None) -> Options:
    compress, stream = settings.compress, settings.data.streams[database.stream]
    # What a person waits for need not be gentle; what the schedule reads again must be.
    mib_per_second = settings.verify.mib_per_second if order is None else 0.0
    return Options(
        schema=stream.schema,
        table=stream.table,
        level=order.level if order is not None and order.level is not None else compress.level,
        frame_bytes=compress.frame_bytes,
        threads=settings.restore.threads if step in (Step.RESTORE, Step.ADOPT) else compress.threads,
        managed=tuple(getattr(settings.data, top) for top in TOPS),
        quiet_seconds=settings.watch.settle_seconds / settings.clock.scale,
        bytes_per_second=mib_per_second * _MIB,
        compact=settings.seal.compact,
    )


def _expiry(action: Action, database: Database, settings: Settings) -> Expiry | None:
    if action.step is not Step.EXPIRE:
        return None
    policy = settings.expire
    # By the policy, also where a person did not wait for its hour.
    return Expiry(action.policy, due(database.day, policy.after_days, policy.schedule), action.reason)


def _restoring(action: Action, settings: Settings, order: Order | None) -> Restoring:
    if action.step is Step.DRILL:
        return Restoring(target=f"{settings.data.state}/drill/{action.key.replace('/', '_')}.db")
    if action.step is not Step.RESTORE or order is None:
        return Restoring()
    # Ordered means due now: the copy is kept from this moment on.
    keep_until = action.due + timedelta(days=settings.restore.keep_days)
    return Restoring(order.target, order.force, None if order.target else keep_until)


def _adopting(action: Action, facts: Facts, settings: Settings, order: Order | None) -> Adopting | None:
    if action.step is not Step.ADOPT:
        return None
    scratch = f"{settings.data.state}/adopt/{action.key.replace('/', '_')}.db"
    # A day may be put on hold before anything else is known of it.
    reencode = order is not None and order.reencode and facts.hold is None
    return Adopting(scratch, settings.health.free_min_bytes, reencode)


def event_of(outcome: Outcome, database: Database, workers: Workers, now: datetime) -> Event | None:
    """What is to be recorded of a job that has ended; None if there is nothing to say."""
    evidence = database.files.evidence
    if isinstance(outcome, Done):
        result = outcome.result
        return replace(result, evidence=evidence) if isinstance(result, Lost) else result
    job, error, hint = outcome.job, outcome.message, outcome.hint
    path = job.paths.database
    match outcome.trouble:
        case Trouble.BUSY | Trouble.CHANGED if job.step is Step.SEAL:
            return _deferred(outcome, database.facts, now)
        case Trouble.CHANGED if database.facts.compressed:
            # Not to be sealed anew: the day has a seal, and another file of it is what it is kept in.
            return Conflict(path, error, f"`tickward merge {job.key}` brings its ticks in", evidence)
        case Trouble.CHANGED:
            return Reopened(path, error)
        case Trouble.CORRUPT:
            return Corrupt(job.step, path, error, outcome.problems, hint, evidence)
        case Trouble.CONFLICT if job.restoring.target:
            return None  # it is about a file of the caller's, and says nothing of the day
        case Trouble.CONFLICT:
            return Conflict(path, error, hint, evidence)
        case _ if job.step in _BY_HAND:
            return None  # whoever ordered it is told; it says nothing about the day
        case _:
            return _failed(outcome, database, workers, now)


def is_failure(outcome: Outcome) -> bool:
    """Whether a job ended in what a person should hear of; a writer who came back is none."""
    return isinstance(outcome, Failure) and outcome.trouble not in (Trouble.BUSY, Trouble.CHANGED)


def _deferred(failure: Failure, facts: Facts, now: datetime) -> Event | None:
    known = facts.deferred
    same = known is not None and known.holders == failure.holders
    if known is not None and (same or set(known.holders) & set(failure.holders)):
        return None  # said once, and still true: others come and go; the plan goes on saying it
    since = known.since if known else now
    return Deferred(failure.job.paths.database, failure.holders, since)


def _failed(failure: Failure, database: Database, workers: Workers, now: datetime) -> Event:
    before = database.facts.failed.get(failure.job.step)
    attempt = before.attempt + 1 if before else 1
    delay = backoff(workers.retry_seconds, workers.retry_max_seconds, attempt)
    return Failed(
        step=failure.job.step,
        error=failure.message,
        hint=failure.hint,
        attempt=attempt,
        retryable=failure.retryable,
        next_try=now + timedelta(seconds=delay) if failure.retryable else None,
        evidence=database.files.evidence,
    )
