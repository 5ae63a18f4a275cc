"""Orders, followed from the asking to the last answer: the real loop, real files, a clock turned by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from handlers.contract import Step
from tests.watcher.test_loop import Bench, stepping
from watcher.desk import Ticket
from watcher.plan import Order
from watcher.requests import Ended, Finished, Hold, Intention, Planned, Refused, Release, Reply, Request

DAY, OTHER = "ticks/2026-01-19", "ticks/2026-01-18"
BY = "anna (uid 1000, pid 7)"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Two days of the past, sealed and backed up."""
    with stepping(tmp_path) as bench:
        bench.make("2026-01-19")
        bench.make("2026-01-18")
        bench.settle(rescan=True)
        yield bench


def asked(bench: Bench, request: Request) -> list[Reply]:
    answers: list[Reply] = []
    bench.loop.desk.put(Ticket(request, answers.append))
    bench.settle()
    return answers


def order(step: Step, *keys: str, **options: object) -> Order:
    return Order(step, BY, keys, **options)  # type: ignore[arg-type]


def ended(answers: list[Reply]) -> dict[str, str]:
    """What became of each day: an event, or why nothing."""
    return {each.database: each.event or each.message for each in answers if isinstance(each, Ended)}


def last(answers: list[Reply]) -> Finished:
    assert isinstance(answers[-1], Finished)
    assert sum(isinstance(each, Finished) for each in answers) == 1
    return answers[-1]


def planned(answers: list[Reply]) -> dict[str, Intention]:
    assert isinstance(answers[0], Planned)
    return {each.database: each for each in answers[0].intentions}


def test_a_named_day_is_done_though_it_is_young_and_told_of_to_its_end(bench: Bench) -> None:
    answers = asked(bench, order(Step.COMPRESS, DAY))
    assert planned(answers)[DAY].entry == "action"
    (end,) = [each for each in answers if isinstance(each, Ended)]
    assert (end.database, end.step, end.ok, end.event) == (DAY, Step.COMPRESS, True, "compressed")
    assert end.data["compressed_bytes"] > 0
    assert bench.loop._journal.since(end.sequence - 1)[0].event == "compressed"
    assert last(answers) == Finished(1, 0)
    assert bench.events(OTHER)[-1] == "backed_up", "what was not named is left alone"


def test_the_level_of_the_order_is_the_one_that_is_used(bench: Bench) -> None:
    answers = asked(bench, order(Step.COMPRESS, DAY, level=3))
    (end,) = [each for each in answers if isinstance(each, Ended)]
    assert end.data["level"] == 3


def test_without_names_it_is_all_whose_age_has_come_whatever_the_hour(bench: Bench) -> None:
    assert ended(asked(bench, order(Step.COMPRESS))) == {}
    bench.clock.advance(days=7)  # a Tuesday, and the schedule says Sunday
    bench.settle()
    assert "compressed" not in bench.events(OTHER)
    assert ended(asked(bench, order(Step.COMPRESS))) == {DAY: "compressed", OTHER: "compressed"}


def test_another_age_than_that_of_the_settings(bench: Bench) -> None:
    assert ended(asked(bench, order(Step.COMPRESS, after_days=1))) == {OTHER: "compressed"}


def test_a_whole_life_by_hand_but_for_the_deletion(bench: Bench) -> None:
    for step, event in ((Step.COMPRESS, "compressed"), (Step.ARCHIVE, "archived"), (Step.VERIFY, "verified")):
        assert ended(asked(bench, order(step, DAY))) == {DAY: event}
    answers = asked(bench, order(Step.EXPIRE, DAY))
    assert planned(answers)[DAY].is_refusal, "never before its age"
    assert ended(answers) == {}
    assert bench.events(DAY)[-1] == "verified"


def test_a_step_out_of_turn_is_told_which_comes_first(bench: Bench) -> None:
    intention = planned(asked(bench, order(Step.ARCHIVE, DAY)))[DAY]
    assert (intention.entry, intention.step) == ("block", Step.COMPRESS)


def test_a_day_that_there_is_not(bench: Bench) -> None:
    answers = asked(bench, order(Step.SEAL, "ticks/2020-01-01"))
    assert planned(answers)["ticks/2020-01-01"].is_refusal
    assert last(answers) == Finished(0, 1)


def test_restore_and_the_way_back(bench: Bench) -> None:
    asked(bench, order(Step.COMPRESS, DAY))
    answers = asked(bench, order(Step.RESTORE, DAY))
    assert ended(answers) == {DAY: "restored"}
    assert bench.path("2026-01-19").exists()
    assert planned(asked(bench, order(Step.RESTORE, DAY)))[DAY].is_refusal, "it is there already"
    assert ended(asked(bench, order(Step.RESTORE, DAY, force=True))) == {DAY: "restored"}
    bench.clock.advance(days=6)
    bench.settle()
    assert bench.path("2026-01-19").exists(), "kept for restore.keep_days"
    bench.clock.advance(days=1)
    bench.settle()
    assert not bench.path("2026-01-19").exists()
    assert bench.events(DAY)[-1] == "compressed"


def test_a_restore_that_cannot_be_done_says_so_and_leaves_no_mark_on_the_day(bench: Bench) -> None:
    target = bench.folder / "there.db"
    target.write_text("mine")
    before = bench.events(DAY)
    answers = asked(bench, order(Step.RESTORE, DAY, target=str(target)))
    (end,) = [each for each in answers if isinstance(each, Ended)]
    assert not end.ok
    assert str(target) in end.message
    assert last(answers) == Finished(0, 1)
    assert bench.events(DAY) == before
    assert target.read_text() == "mine"


def test_a_hold_keeps_a_day_from_the_order_and_from_the_schedule(bench: Bench) -> None:
    answers = asked(bench, Hold((DAY, "ticks/2020-01-01"), "audit 17", BY))
    assert [each.ok for each in answers if isinstance(each, Ended)] == [True, False]
    assert last(answers) == Finished(1, 1)
    assert bench.events(DAY)[-1] == "held"
    assert "audit 17" in planned(asked(bench, order(Step.COMPRESS, DAY)))[DAY].reason
    bench.clock.advance(days=20)
    bench.settle()
    assert bench.path("2026-01-19").exists()
    assert not bench.path("2026-01-18").exists()
    assert last(asked(bench, Release((DAY,), BY))) == Finished(1, 0)
    bench.settle()
    assert not bench.path("2026-01-19").exists(), "what was due meanwhile is done at once"
    assert "compressed" in bench.events(DAY)


@pytest.mark.parametrize("request_", [Hold((DAY,), "audit 17", BY), Release((DAY,), BY)])
def test_a_hold_or_its_end_asked_for_twice_is_recorded_once(bench: Bench, request_: Request) -> None:
    if isinstance(request_, Release):
        asked(bench, Hold((DAY,), "audit 17", BY))
    asked(bench, request_)
    before = bench.events(DAY)
    assert last(asked(bench, request_)) == Finished(1, 0)
    assert bench.events(DAY) == before


def test_whoever_waits_when_the_daemon_ends_is_told_so(bench: Bench) -> None:
    answers: list[Reply] = []
    bench.loop.desk.put(Ticket(order(Step.COMPRESS, DAY), answers.append))
    bench.loop.desk.take()
    late: list[Reply] = []
    bench.loop.desk.put(Ticket(order(Step.COMPRESS, OTHER), late.append))
    bench.loop.desk.close()
    assert isinstance(answers[-1], Finished)
    assert answers[-1].failed or not ended(answers)
    assert isinstance(late[-1], Finished | Refused)
    assert not bench.loop.desk.busy()


def test_one_order_for_many_days_ends_once_though_there_is_room_for_few(bench: Bench) -> None:
    for day in range(1, 15):
        bench.make(f"2026-01-{day:02}")
    bench.settle(rescan=True)
    answers = asked(bench, order(Step.VERIFY, everything=True))
    assert len(ended(answers)) == 16
    assert set(ended(answers).values()) == {"verified"}
    assert last(answers) == Finished(16, 0)
    assert len(ended(asked(bench, order(Step.VERIFY, sample=5)))) == 5
    assert ended(asked(bench, order(Step.VERIFY))) == {}, "none is due"
