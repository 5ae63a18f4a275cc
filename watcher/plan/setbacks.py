"""What went wrong before, and what that means for what comes next: try again, wait, or ask a person."""

from __future__ import annotations

from datetime import datetime, timedelta

from handlers.contract import Step
from watcher.events import Failed
from watcher.notices import has_late_file
from watcher.plan.entries import Action, Entry, Wait
from watcher.settings import Settings
from watcher.state import Database

_ASIDE = (Step.RESTORE, Step.MERGE, Step.VERIFY, Step.DRILL, Step.ADOPT)
"""Steps that a day's life does not depend on: that one of them is impossible stops no other."""

_MOMENT = timedelta(minutes=10)


def blocked_by_fact(database: Database) -> str:
    """Why nothing may be done until a person acts, as far as the record says; empty if nothing is."""
    facts = database.facts
    evidence = database.files.evidence
    if facts.lost and facts.lost.evidence == evidence:
        return f"{facts.lost.error}; {facts.lost.hint}"
    if facts.corrupt and facts.corrupt.evidence == evidence and not damage_to_repair(database):
        first = facts.corrupt.problems[0] if facts.corrupt.problems else facts.corrupt.error
        return f"corrupt: {first}; {facts.corrupt.hint}{_backup_of_before(database)}"
    if facts.conflict and (facts.conflict.evidence == evidence or has_late_file(database)):
        return f"conflict: {facts.conflict.error}; {facts.conflict.hint}"
    for failed in facts.failed.values():
        if failed.step not in _ASIDE and not failed.retryable and failed.evidence == evidence:
            return f"{failed.step} is impossible: {failed.error}; {failed.hint}"
    return ""


def _backup_of_before(database: Database) -> str:
    """A day that has lost its seal by being damaged may still have a copy of what it was when sealed."""
    facts = database.facts
    before, copy = facts.previous, facts.backed_up
    if facts.sealed or before is None or copy is None or copy.live or copy.sha256 != before.sha256:
        return ""
    if database.files.backup is None or database.files.backup.size_bytes != before.size_bytes:
        return ""
    return (
        f"; if nobody has written to it since it was sealed, its backup {database.paths.backup} is what it "
        f"was (SHA-256 {before.sha256}): copy it over {database.paths.database}"
    )


def damage_to_repair(database: Database) -> bool:
    """Whether damage was found in a day that has a seal: then other copies may still be good.

    Not if they were all read a moment before: reading once more mends nothing, and would go on for ever.
    """
    facts = database.facts
    if facts.corrupt is None or facts.sealed is None or facts.corrupt.step in (Step.SEAL, Step.VERIFY):
        return False
    found = facts.times.get("corrupt")
    reads = [facts.times[name] for name in ("verified", "repaired") if name in facts.times]
    return found is None or not any(timedelta(0) <= found - read < _MOMENT for read in reads)


def unless_failed(database: Database, action: Action, settings: Settings, now: datetime) -> Entry:
    """The action, unless it failed a moment ago."""
    failed = database.facts.failed.get(action.step)
    if failed is not None and not failed.retryable and failed.evidence == database.files.evidence:
        return Wait(database.key, f"{failed.step} is impossible: {failed.error}; {failed.hint}")
    if failed is None or failed.next_try is None or failed.next_try <= now:
        return action
    if failed.next_try - now > timedelta(seconds=settings.workers.retry_max_seconds):
        return action  # it was set by a clock that has been put back since
    return Wait(database.key, _failure_reason(failed), failed.next_try, action.step)


def _failure_reason(failed: Failed) -> str:
    return f"{failed.step} failed ({failed.error}); attempt {failed.attempt + 1} follows"
