"""The fold of events into facts: tables, and its laws."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import asdict, replace

from handlers.contract import BackedUp, Created, Holder, Signature, Step
from tests.watcher.builders import RAW, ZST, backed_up, compressed, sealed
from watcher.events import (
    EVENTS,
    Closed,
    Conflict,
    Corrupt,
    Deferred,
    Event,
    Failed,
    Opened,
    Reopened,
    Rotated,
    Started,
    Stopped,
    name_of,
)
from watcher.state import Facts, Files, fold

AT = datetime(2026, 1, 21, tzinfo=UTC)

CREATED = Created("/r/x.db", RAW)
CLOSED = Closed("/r/x.db", RAW, 0)
SEALED = sealed()
LIVE = backed_up(live=True)
DEFERRED = Deferred("/r/x.db", (Holder(7, "reader"),), AT)
CORRUPT = Corrupt("seal", "/r/x.db", "damaged", ("row 1 missing",), "look", "e1")
CONFLICT = Conflict("/r/x.db", "two versions", "look", "e2")
ROTATED = Rotated("2026-01-21", "2026-01-20", "/r/y.db", "/r/x.db", "clock")


def failed(step: Step, attempt: int = 1) -> Failed:
    return Failed(step, "disk full", "free some", attempt, True, AT + timedelta(seconds=5), "e3")


def after(*events: Event, facts: Facts | None = None) -> Facts:
    facts = Facts() if facts is None else facts
    for event in events:
        facts = fold(facts, event, AT)
    return facts


def changes(before: Facts, event: Event) -> dict[str, Any]:
    """What one more event changes, but for the time of it."""
    old, new = asdict(before), asdict(fold(before, event, AT))
    return {name: new[name] for name in new if name != "times" and new[name] != old[name]}


FAILURES = {step.value: failed(step) for step in Step}
FULL = Facts(opened=True, deferred=DEFERRED, corrupt=CORRUPT, conflict=CONFLICT, failed=FAILURES)


def without(step: Step) -> dict[str, Failed]:
    return {name: failure for name, failure in FAILURES.items() if name != step}


@pytest.mark.parametrize(
    ("before", "event", "expected"),
    [
        (FULL, CREATED, {"created": CREATED, "failed": without(Step.CREATE)}),
        (Facts(), Opened("/r/x.db"), {"opened": True}),
        (FULL, CLOSED, {"opened": False, "closed": CLOSED, "failed": without(Step.CREATE)}),
        (Facts(failed=FAILURES), Opened("/r"), {"opened": True, "failed": without(Step.CREATE)}),
        (
            FULL,
            SEALED,
            {
                "sealed": SEALED,
                "opened": False,
                "deferred": None,
                "corrupt": None,
                "conflict": None,
                "failed": without(Step.SEAL),
            },
        ),
        (Facts(sealed=SEALED), Reopened("/r/x.db", "late"), {"sealed": None, "previous": SEALED}),
        (Facts(previous=SEALED), Reopened("/r/x.db", "again"), {}),
        (FULL, backed_up(), {"backed_up": backed_up(), "failed": without(Step.BACKUP)}),
        (Facts(backed_up=LIVE), backed_up(), {"backed_up": backed_up()}),
        (
            FULL,
            compressed(),
            {"compressed": compressed(), "conflict": None, "failed": without(Step.COMPRESS)},
        ),
        (Facts(), ROTATED, {"rotated": ROTATED}),
        (Facts(), DEFERRED, {"deferred": DEFERRED}),
        (Facts(), CORRUPT, {"corrupt": CORRUPT}),
        (Facts(), CONFLICT, {"conflict": CONFLICT}),
        (Facts(), failed(Step.SEAL), {"failed": {"seal": failed(Step.SEAL)}}),
        (
            Facts(failed={"seal": failed(Step.SEAL)}),
            failed(Step.SEAL, 2),
            {"failed": {"seal": failed(Step.SEAL, 2)}},
        ),
        (
            Facts(failed={"seal": failed(Step.SEAL)}),
            failed(Step.BACKUP),
            {"failed": {"seal": failed(Step.SEAL), "backup": failed(Step.BACKUP)}},
        ),
        (FULL, Started("1", 2, "/r", "3"), {}),
        (FULL, Stopped("SIGTERM"), {}),
    ],
    ids=lambda value: type(value).__name__ if type(value) in EVENTS.values() else "",
)
def test_what_an_event_changes(before: Facts, event: Event, expected: dict[str, Any]) -> None:
    assert changes(before, event) == expected


def test_the_seal_that_a_late_tick_broke_is_remembered_until_the_next_one_breaks() -> None:
    second = replace(SEALED, sha256="bb", ticks=11)
    facts = after(SEALED, Reopened("/r/x.db", "late"), second)
    assert (facts.sealed, facts.previous) == (second, SEALED)
    facts = after(Reopened("/r/x.db", "later"), facts=facts)
    assert (facts.sealed, facts.previous) == (None, second)


def test_each_kind_of_event_has_the_time_of_its_last() -> None:
    facts = fold(fold(fold(Facts(), CREATED, AT), CLOSED, AT), CLOSED, AT + timedelta(hours=1))
    assert facts.times == {"created": AT, "closed": AT + timedelta(hours=1)}


ONE_OF_EACH = [
    *(CREATED, Opened("x"), CLOSED, SEALED, Reopened("x", "y"), backed_up(), compressed(), ROTATED, DEFERRED),
    *(failed(Step.SEAL), CORRUPT, CONFLICT, Started("1", 2, "/r", "3"), Stopped("x")),
]


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=name_of)
def test_folding_an_event_twice_is_folding_it_once_and_leaves_its_input_alone(event: Event) -> None:
    before = replace(FULL)
    once = fold(FULL, event, AT)
    if not isinstance(event, Reopened):
        assert fold(once, event, AT) == once
    assert before == FULL


class TestEvidence:
    def test_is_the_same_as_long_as_nothing_changes(self) -> None:
        assert Files(database=RAW).evidence == Files(database=Signature(1000, 1, 7)).evidence

    @pytest.mark.parametrize("field", ["database", "wal", "compressed", "backup", "backup_compressed"])
    def test_changes_with_any_file(self, field: str) -> None:
        digests = {Files(**{field: signature}).evidence for signature in (None, RAW, ZST)}
        assert len(digests) == 3

    def test_tells_apart_which_file_it_is(self) -> None:
        names = ["database", "wal", "compressed", "backup", "backup_compressed"]
        files = [*(Files(**{name: RAW}) for name in names), Files(retired=True), Files(anomaly="a directory")]
        assert len({each.evidence for each in files}) == 7


@pytest.mark.parametrize(
    ("files", "primary"),
    [
        (Files(), False),
        (Files(backup=RAW, backup_compressed=ZST, wal=RAW), False),
        (Files(database=RAW), True),
        (Files(compressed=ZST), True),
        (Files(retired=True), True),
    ],
)
def test_whether_the_root_holds_the_day(files: Files, primary: bool) -> None:
    assert files.primary is primary


def test_a_live_copy_does_not_end_the_wait_for_the_seal() -> None:
    facts = after(DEFERRED, BackedUp("/b/x.db", "aa", 1, 1, live=True))
    assert facts.deferred == DEFERRED
    assert after(SEALED, facts=facts).deferred is None


def test_no_event_is_forgotten_here() -> None:
    assert {type(event) for event in ONE_OF_EACH} == set(EVENTS.values())
