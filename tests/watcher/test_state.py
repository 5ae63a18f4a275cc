"""The fold of events into facts: tables, and its laws."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from handlers.contract import (
    Archived,
    BackedUp,
    Copy,
    Created,
    Drilled,
    Expired,
    Holder,
    Lost,
    Merged,
    Repair,
    Repaired,
    Restored,
    Signature,
    Step,
    Verified,
)
from tests.watcher.builders import RAW, ZST, adopted, backed_up, compressed, sealed
from watcher.events import (
    EVENTS,
    Closed,
    Configured,
    Conflict,
    Corrupt,
    Deferred,
    DiskLow,
    Event,
    Failed,
    Health,
    Held,
    Opened,
    Pruned,
    Released,
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
REOPENED = Reopened("/r/x.db", "late")
ARCHIVED = Archived("/a/x.db.zst", "aa", "cc", 300, "rename")
EXPIRED = Expired(
    *("aa", "cc", 1000, 300, 10, 2, 1, 2, ("/a/x.db.zst",), 300, ()),
    *("after 180 days", AT, "age", "schedule"),
)
FRESH = Signature(1000, 5, 9)
RESTORED = Restored("/r/x.db", "/a/x.db.zst", "aa", 1000, 10, FRESH, True, AT, "", (), "ann")
ELSEWHERE = replace(RESTORED, path="/tmp/x.db", in_tree=False, keep_until=None)
MERGED = Merged("/r/x.db", "aa", "dd", 10, 3, 2, 1, 0, 12, "", "ann")
HELD = Held("audit 7", "ann")
RELEASED = Released("audit 7", "bob")
COPIES = (Copy("/r/x.db.zst", 300), Copy("/b/x.db.zst", 300, "another SHA-256"))
VERIFIED = Verified("aa", COPIES[:1], 300)
REPAIRED = Repaired("aa", COPIES, (Repair("/b/x.db.zst", "another SHA-256", "/r/x.db.zst"),), 600)
LOST = Lost("aa", 10, COPIES[1:], ("/q/x.db.zst",), "no good copy is left", "bring one back", "e4")
ADOPTED, ADOPTED_RAW = adopted(), adopted(cold=False)
DRILLED = Drilled("/a/x.db.zst", "aa", 1000, 10)
CONFIGURED = Configured({"compress": "after 7 days, 0 2 * * SUN"})
HEALTH = Health({}, None, None, {}, 0, 0, 0, {})
DISK_LOW = DiskLow({"root": 5}, 7, "free some")
PRUNED = Pruned(7, "ab", "cd", AT)


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
FULL = Facts(opened=True, deferred=DEFERRED, corrupt=CORRUPT, conflict=CONFLICT, lost=LOST, failed=FAILURES)
COLD = Facts(sealed=SEALED, backed_up=backed_up(), compressed=compressed(), archived=ARCHIVED)
SOUND = {"corrupt": None, "lost": None}


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
                "lost": None,
                "failed": without(Step.SEAL),
            },
        ),
        (Facts(sealed=SEALED), REOPENED, {"sealed": None, "previous": SEALED, "superseded": ("aa",)}),
        (
            Facts(sealed=SEALED, superseded=("99", "aa", "bb")),
            REOPENED,
            {"sealed": None, "previous": SEALED},
        ),
        (Facts(previous=SEALED), Reopened("/r/x.db", "again"), {}),
        (FULL, backed_up(), {"backed_up": backed_up(), "failed": without(Step.BACKUP)}),
        (Facts(backed_up=LIVE), backed_up(), {"backed_up": backed_up()}),
        (
            FULL,
            compressed(),
            {"compressed": compressed(), "conflict": None, "failed": without(Step.COMPRESS)},
        ),
        (
            replace(COLD, restored=RESTORED),
            compressed(),
            {"restored": None},
        ),
        (FULL, ARCHIVED, {"archived": ARCHIVED, "failed": without(Step.ARCHIVE)}),
        (
            replace(FULL, restored=RESTORED, hold=HELD),
            EXPIRED,
            {"expired": EXPIRED, "deferred": None, "conflict": None, "restored": None, "failed": {}, **SOUND},
        ),
        (COLD, EXPIRED, {"expired": EXPIRED}),
        (
            replace(FULL, sealed=SEALED),
            RESTORED,
            {
                "sealed": replace(SEALED, signature=FRESH),
                "restored": RESTORED,
                "conflict": None,
                "failed": without(Step.RESTORE),
                **SOUND,
            },
        ),
        (Facts(), RESTORED, {"restored": RESTORED}),
        (replace(FULL, sealed=SEALED), ELSEWHERE, {"failed": without(Step.RESTORE)}),
        (
            replace(COLD, restored=RESTORED, conflict=CONFLICT, failed=FAILURES),
            MERGED,
            {
                "sealed": None,
                "previous": SEALED,
                "superseded": ("aa",),
                "compressed": None,
                "archived": None,
                "restored": None,
                "conflict": None,
                "failed": without(Step.MERGE),
            },
        ),
        (FULL, VERIFIED, {**SOUND, "failed": without(Step.VERIFY)}),
        (FULL, REPAIRED, {**SOUND, "failed": without(Step.VERIFY)}),
        (COLD, REPAIRED, {}),
        (COLD, replace(REPAIRED, signature=FRESH), {"sealed": replace(SEALED, signature=FRESH)}),
        (
            COLD,
            replace(REPAIRED, compressed_sha256="ee", compressed_bytes=299),
            {
                "compressed": replace(compressed(), compressed_sha256="ee", compressed_bytes=299),
                "archived": replace(ARCHIVED, compressed_sha256="ee", compressed_bytes=299),
            },
        ),
        (Facts(), replace(REPAIRED, signature=FRESH, compressed_sha256="ee"), {}),
        (FULL, DRILLED, {"failed": without(Step.DRILL)}),
        (
            FULL,
            ADOPTED,
            {
                "opened": False,
                "sealed": ADOPTED.sealed,
                "compressed": ADOPTED.compressed,
                "archived": ADOPTED.archived,
                "failed": {},
                **dict.fromkeys(("deferred", "corrupt", "conflict", "lost")),
            },
        ),
        (Facts(), ADOPTED_RAW, {"sealed": ADOPTED_RAW.sealed, "backed_up": ADOPTED_RAW.backed_up}),
        (Facts(), LOST, {"lost": LOST}),
        (Facts(hold=HELD), LOST, {"lost": LOST}),
        (FULL, HELD, {"hold": HELD}),
        (Facts(hold=HELD), Held("audit 8", "bob"), {"hold": Held("audit 8", "bob")}),
        (Facts(hold=HELD, sealed=SEALED), RELEASED, {"hold": None}),
        (Facts(), ROTATED, {"rotated": ROTATED}),
        (Facts(), CONFIGURED, {"configured": CONFIGURED}),
        (Facts(configured=CONFIGURED), Configured({}), {"configured": Configured({})}),
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
        (FULL, HEALTH, {}),
        (FULL, PRUNED, {}),
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
    *(CONFIGURED, ARCHIVED, EXPIRED, RESTORED, MERGED, HELD, RELEASED, VERIFIED, REPAIRED, LOST, DRILLED),
    ADOPTED,
    *(HEALTH, DISK_LOW, PRUNED),
]


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=name_of)
def test_folding_an_event_twice_is_folding_it_once_and_leaves_its_input_alone(event: Event) -> None:
    before = replace(FULL)
    once = fold(FULL, event, AT)
    assert fold(once, event, AT) == once
    assert before == FULL


def test_so_many_contents_are_remembered_that_a_seal_stood_for_before() -> None:
    facts = Facts()
    for number in range(20):
        facts = after(replace(SEALED, sha256=f"{number}"), REOPENED, facts=facts)
    assert facts.superseded == tuple(f"{number}" for number in range(4, 20))


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=name_of)
def test_nothing_but_a_release_ends_a_hold(event: Event) -> None:
    assert (fold(Facts(hold=HELD), event, AT).hold is None) == isinstance(event, Released)


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=name_of)
def test_nothing_takes_a_certificate_away(event: Event) -> None:
    assert fold(Facts(expired=EXPIRED), event, AT).expired == EXPIRED


@pytest.mark.parametrize("event", [SEALED, compressed(), ARCHIVED, VERIFIED, REPAIRED], ids=name_of)
def test_what_read_all_copies_is_a_proof_of_its_time(event: Event) -> None:
    before = after(*(kind for kind in ONE_OF_EACH))
    later = AT + timedelta(days=1)
    assert (Facts().proven_at, before.proven_at) == (None, AT)
    assert fold(before, event, later).proven_at == later
    assert fold(before, DRILLED, later).proven_at == AT


HAPPENED = st.lists(st.tuples(st.sampled_from(ONE_OF_EACH), st.integers(0, 10)), max_size=30)


def folded(facts: Facts, happened: list[tuple[Event, int]]) -> Facts:
    for event, hours in happened:
        facts = fold(facts, event, AT + timedelta(hours=hours))
    return facts


def stored(facts: Facts) -> Facts:
    return msgspec.json.decode(msgspec.json.encode(facts), type=Facts)


class TestTheLaws:
    @given(HAPPENED)
    def test_replaying_gives_the_same_facts(self, happened: list[tuple[Event, int]]) -> None:
        replayed = [
            (msgspec.json.decode(msgspec.json.encode(event), type=type(event)), hours)
            for event, hours in happened
        ]
        assert folded(Facts(), replayed) == folded(Facts(), happened)

    @given(HAPPENED, st.integers(0, 30))
    def test_pruning_anywhere_and_going_on_gives_the_same_facts(
        self, happened: list[tuple[Event, int]], place: int
    ) -> None:
        kept = stored(folded(Facts(), happened[:place]))
        assert folded(kept, happened[place:]) == folded(Facts(), happened)
        assert stored(folded(Facts(), happened)) == folded(Facts(), happened)


class TestEvidence:
    def test_is_the_same_as_long_as_nothing_changes(self) -> None:
        assert Files(database=RAW).evidence == Files(database=Signature(1000, 1, 7)).evidence

    @pytest.mark.parametrize(
        "field", ["database", "wal", "compressed", "backup", "backup_compressed", "archived"]
    )
    def test_changes_with_any_file(self, field: str) -> None:
        digests = {Files(**{field: signature}).evidence for signature in (None, RAW, ZST)}
        assert len(digests) == 3

    def test_tells_apart_which_file_it_is(self) -> None:
        names = ["database", "wal", "compressed", "backup", "backup_compressed", "archived"]
        files = [*(Files(**{name: RAW}) for name in names), Files(retired=True), Files(anomaly="a directory")]
        assert len({each.evidence for each in files}) == 8


@pytest.mark.parametrize(
    ("files", "primary"),
    [
        (Files(), False),
        (Files(backup=RAW, backup_compressed=ZST, wal=RAW), False),
        (Files(database=RAW), True),
        (Files(compressed=ZST), True),
        (Files(retired=True), True),
        (Files(archived=ZST), False),
    ],
)
def test_whether_the_root_holds_the_day(files: Files, primary: bool) -> None:
    assert files.primary is primary
    assert files.present is (primary or files.archived is not None)


def test_a_live_copy_does_not_end_the_wait_for_the_seal() -> None:
    facts = after(DEFERRED, BackedUp("/b/x.db", "aa", 1, 1, live=True))
    assert facts.deferred == DEFERRED
    assert after(SEALED, facts=facts).deferred is None


def test_what_comes_with_an_adopted_day_is_known_since_then() -> None:
    assert set(after(ADOPTED).times) == {"adopted", "sealed", "compressed", "archived"}
    assert set(after(ADOPTED_RAW).times) == {"adopted", "sealed", "backed_up"}
    assert after(ADOPTED).proven_at == AT


def test_only_what_was_not_known_is_no_conflict_any_more_when_it_is_taken_over() -> None:
    assert after(ADOPTED, facts=Facts(conflict=CONFLICT)).conflict is None
    assert after(ADOPTED, facts=Facts(sealed=SEALED, conflict=CONFLICT)).conflict == CONFLICT


def test_what_was_known_before_its_files_were_made_anew_keeps_its_time() -> None:
    later = AT + timedelta(days=9)
    facts = fold(after(ADOPTED), replace(ADOPTED, reencoded=True), later)
    assert facts.times == {**dict.fromkeys(("sealed", "compressed", "archived"), AT), "adopted": later}


def test_no_event_is_forgotten_here() -> None:
    assert {type(event) for event in ONE_OF_EACH} == set(EVENTS.values())
