"""From what a job returned to the event that is recorded, and from an action to its job."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from handlers.contract import SCHEDULE, Done, Failure, Holder, Job, Lost, Restoring, Step, Trouble
from tests.watcher.builders import (
    SETTINGS,
    archived_day,
    compressed,
    compressed_day,
    database,
    lost,
    sealed_day,
    utc,
    with_facts,
)
from watcher.events import Conflict, Corrupt, Deferred, Event, Failed, Reopened
from watcher.outcomes import event_of, is_failure, job_of
from watcher.plan import Action, Order
from watcher.settings import Seal
from watcher.state import Database

NOW = utc("2026-03-02 12:00")


def failure(step: Step, trouble: Trouble, **changes: Any) -> Failure:
    subject = database()
    job = Job(step, subject.key, subject.paths)
    return Failure(job, trouble, "it did not work", "mend it", **{"retryable": True, **changes})


def event_after(outcome: Failure, subject: Database) -> Event | None:
    return event_of(outcome, subject, SETTINGS.workers, NOW)


@pytest.mark.parametrize(
    ("step", "trouble", "subject", "kind"),
    [
        (Step.SEAL, Trouble.BUSY, database(), Deferred),
        (Step.SEAL, Trouble.CHANGED, database(), Deferred),
        (Step.BACKUP, Trouble.CHANGED, sealed_day(), Reopened),
        (Step.COMPRESS, Trouble.CHANGED, sealed_day(), Reopened),
        (Step.COMPRESS, Trouble.CHANGED, compressed_day(), Conflict),
        (Step.VERIFY, Trouble.CHANGED, archived_day(), Conflict),
        (Step.EXPIRE, Trouble.CONFLICT, archived_day(), Conflict),
        (Step.MERGE, Trouble.CONFLICT, compressed_day(), Conflict),
        (Step.ARCHIVE, Trouble.CORRUPT, compressed_day(), Corrupt),
        (Step.RESTORE, Trouble.CORRUPT, compressed_day(), Corrupt),
        (Step.EXPIRE, Trouble.BUSY, archived_day(), Failed),
        (Step.ARCHIVE, Trouble.FAILED, compressed_day(), Failed),
        (Step.VERIFY, Trouble.FAILED, compressed_day(), Failed),
        (Step.DRILL, Trouble.FAILED, archived_day(), Failed),
        # whoever ordered it is told; it says nothing about the day
        (Step.RESTORE, Trouble.FAILED, compressed_day(), type(None)),
        (Step.MERGE, Trouble.BUSY, compressed_day(), type(None)),
    ],
)
def test_each_trouble_of_each_step_has_its_event(
    step: Step, trouble: Trouble, subject: Database, kind: type
) -> None:
    event = event_after(failure(step, trouble), subject)
    assert isinstance(event, kind)
    evidence = getattr(event, "evidence", subject.files.evidence)
    assert evidence == subject.files.evidence, "as the files are after it"


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 5), (1, 10), (3, 40), (7, 600), (5000, 600)])
def test_what_fails_is_tried_ever_more_slowly(attempts: int, seconds: int) -> None:
    before = Failed("archive", "x", "y", attempts, True, NOW, "e")
    subject = with_facts(compressed_day(), failed={"archive": before} if attempts else {})
    event = event_after(failure(Step.ARCHIVE, Trouble.FAILED), subject)
    assert isinstance(event, Failed)
    assert (event.attempt, event.next_try) == (attempts + 1, NOW + timedelta(seconds=seconds))


def test_what_trying_again_cannot_mend_is_not_tried_again() -> None:
    event = event_after(failure(Step.ARCHIVE, Trouble.FAILED, retryable=False), compressed_day())
    assert isinstance(event, Failed)
    assert (event.retryable, event.next_try) == (False, None)


def test_the_same_holder_is_told_of_once() -> None:
    held = failure(Step.SEAL, Trouble.BUSY, holders=(Holder(42, "notebook"),))
    first = event_after(held, database())
    assert isinstance(first, Deferred)
    known = with_facts(database(), deferred=first)
    assert event_after(held, known) is None
    another = failure(Step.SEAL, Trouble.BUSY, holders=(Holder(43, "editor"),))
    later = event_of(another, known, SETTINGS.workers, NOW + timedelta(hours=1))
    assert isinstance(later, Deferred)
    assert later.since == NOW


def test_a_loss_is_recorded_with_the_files_as_they_are_after_it() -> None:
    subject = archived_day()
    job = Job(Step.VERIFY, subject.key, subject.paths)
    event = event_of(Done(job, lost(""), 1.0), subject, SETTINGS.workers, NOW)
    assert isinstance(event, Lost)
    assert event.evidence == subject.files.evidence
    assert event_of(Done(job, None, 1.0), subject, SETTINGS.workers, NOW) is None
    assert event_of(Done(job, compressed(), 1.0), subject, SETTINGS.workers, NOW) == compressed()


def test_a_conflict_over_a_file_of_the_callers_says_nothing_of_the_day() -> None:
    subject = compressed_day()
    elsewhere = failure(Step.RESTORE, Trouble.CONFLICT)
    elsewhere = replace(elsewhere, job=replace(elsewhere.job, restoring=Restoring("/home/ann/day.db")))
    assert event_of(elsewhere, subject, SETTINGS.workers, NOW) is None
    in_root = failure(Step.RESTORE, Trouble.CONFLICT)
    assert isinstance(event_of(in_root, subject, SETTINGS.workers, NOW), Conflict)


@pytest.mark.parametrize(
    ("trouble", "counts"),
    [(Trouble.BUSY, False), (Trouble.CHANGED, False), (Trouble.CORRUPT, True), (Trouble.FAILED, True)],
)
def test_a_writer_who_came_back_is_no_failure(trouble: Trouble, counts: bool) -> None:
    assert is_failure(failure(Step.COMPRESS, trouble)) is counts


class TestTheJob:
    def test_of_a_deletion_has_the_rule_and_the_reason_and_no_other_job_has(self) -> None:
        subject = archived_day()
        action = Action(subject.key, Step.EXPIRE, "past its retention", NOW, policy="180 days", by="ann")
        job = job_of(action, subject, SETTINGS)
        assert job.expiry is not None
        assert (job.expiry.policy, job.expiry.due, job.expiry.reason, job.by) == (
            "180 days",
            utc("2026-07-20 04:00"),
            "past its retention",
            "ann",
        )
        other = job_of(Action(subject.key, Step.ARCHIVE, "", NOW), subject, SETTINGS)
        assert other.expiry is None
        assert other.by == SCHEDULE

    def test_has_what_was_recorded_of_the_day(self) -> None:
        subject = with_facts(archived_day(), superseded=("bb",))
        job = job_of(Action(subject.key, Step.VERIFY, "", NOW), subject, SETTINGS)
        facts = subject.facts
        assert (job.sealed, job.compressed, job.archived) == (facts.sealed, facts.compressed, facts.archived)
        assert (job.superseded, job.backup_sha256) == (("bb",), "aa")

    def test_of_the_schedule_reads_gently_and_of_a_person_as_fast_as_it_can(self) -> None:
        subject = archived_day()
        action = Action(subject.key, Step.VERIFY, "", NOW)
        assert job_of(action, subject, SETTINGS).options.bytes_per_second == 50 * 1024 * 1024
        order = Order(Step.VERIFY, "ann", (subject.key,))
        assert job_of(action, subject, SETTINGS, order).options.bytes_per_second == 0

    def test_of_sealing_says_whether_to_compact(self) -> None:
        action = Action(database().key, Step.SEAL, "", NOW)
        for compact in (True, False):
            settings = replace(SETTINGS, seal=Seal(compact=compact))
            assert job_of(action, database(), settings).options.compact is compact

    def test_of_a_drill_restores_to_a_place_of_its_own(self) -> None:
        subject = archived_day()
        job = job_of(Action(subject.key, Step.DRILL, "", NOW), subject, SETTINGS)
        assert job.restoring.target.startswith(f"{SETTINGS.data.state}/drill/")
        assert "/" not in job.restoring.target.removeprefix(f"{SETTINGS.data.state}/drill/")
