"""Holds and releases: what is recorded of a person's order to keep a day, or why nothing is."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from handlers.contract import Step
from tests.watcher.builders import (
    DAY,
    HOLD,
    archived_day,
    backed_up_day,
    compressed_day,
    database,
    expired_day,
    sealed_day,
    utc,
    with_facts,
)
from watcher.events import Held, Record, Released
from watcher.holds import judge
from watcher.requests import Hold, Release
from watcher.state import Database, fold

KEY = f"ticks/{DAY}"


def held(*some: Database, reason: str = "audit 17", keys: tuple[str, ...] = (KEY,)) -> list:
    return judge(Hold(keys, reason, "bob"), {each.key: each for each in some})


def released(*some: Database, keys: tuple[str, ...] = (KEY,)) -> list:
    return judge(Release(keys, "bob"), {each.key: each for each in some})


@pytest.mark.parametrize("make", [database, sealed_day, backed_up_day, compressed_day, archived_day])
def test_a_day_can_be_held_at_any_time_of_its_life(make: type[Database]) -> None:
    (verdict,) = held(make())
    assert verdict.ok
    assert verdict.event == Held("audit 17", "bob")


@pytest.mark.parametrize("step", [Step.COMPRESS, Step.ARCHIVE, Step.EXPIRE])
def test_not_while_something_is_being_taken_away(step: Step) -> None:
    (verdict,) = held(archived_day(running=step))
    assert not verdict.ok
    assert verdict.event is None
    assert f"its {step} is running now: ask again" in verdict.message


@pytest.mark.parametrize("step", [Step.SEAL, Step.BACKUP, Step.VERIFY, Step.DRILL, Step.RESTORE])
def test_what_takes_nothing_away_may_go_on(step: Step) -> None:
    (verdict,) = held(archived_day(running=step))
    assert verdict.event == Held("audit 17", "bob")


def test_what_is_deleted_cannot_be_held() -> None:
    (verdict,) = held(expired_day())
    assert (verdict.ok, verdict.event) == (False, None)
    assert verdict.message == "it was deleted on 2026-07-20"


def test_an_unknown_day_is_refused_and_the_others_are_not() -> None:
    verdicts = held(archived_day(), keys=("ticks/2001-02-03", KEY))
    assert [verdict.ok for verdict in verdicts] == [False, True]
    assert "there is no such day" in verdicts[0].message


def test_the_same_hold_twice_is_recorded_once_and_another_reason_takes_its_place() -> None:
    subject = with_facts(archived_day(), hold=HOLD)
    (same,) = held(subject)
    assert (same.ok, same.event) == (True, None)
    assert "on hold already, by ann" in same.message
    (other,) = held(subject, reason="audit 18")
    assert other.event == Held("audit 18", "bob")


def test_a_release_says_what_it_ends() -> None:
    (verdict,) = released(with_facts(archived_day(), hold=HOLD))
    assert verdict.ok
    assert verdict.event == Released("audit 17", "bob")
    assert "audit 17" in verdict.message


def test_releasing_what_is_not_held_changes_nothing() -> None:
    (verdict,) = released(archived_day())
    assert (verdict.ok, verdict.event) == (True, None)
    (unknown,) = released(keys=("ticks/2001-02-03",))
    assert (unknown.ok, unknown.event) == (False, None)


def test_held_and_released_the_facts_are_as_before() -> None:
    subject = archived_day()
    for request in (held, released):
        (verdict,) = request(subject)
        assert verdict.event is not None
        subject = replace(subject, facts=fold(subject.facts, verdict.event, utc("2026-03-03 00:00")))
    times = {**archived_day().facts.times, **dict.fromkeys(("held", "released"), utc("2026-03-03 00:00"))}
    assert subject.facts == replace(archived_day().facts, times=times)


def test_the_answer_has_the_record_if_there_is_one() -> None:
    (verdict,) = held(archived_day())
    reply = verdict.reply(Record(7, utc("2026-03-03 00:00"), "held", KEY, b"{}"))
    assert (reply.database, reply.step, reply.ok, reply.event, reply.sequence) == (KEY, None, True, "held", 7)
    assert reply.data == {"reason": "audit 17", "by": "bob"}
    (refused,) = held(expired_day())
    reply = refused.reply(None)
    assert (reply.ok, reply.event, reply.sequence, reply.data) == (False, "", 0, None)
