"""Everything that ever happened to one day."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from handlers.contract import Created
from tests.watcher.builders import (
    HOLD,
    RAW,
    ZST,
    archived,
    archived_day,
    backed_up,
    backed_up_day,
    compressed,
    compressed_day,
    database,
    expired,
    expired_day,
    restored,
    sealed,
    utc,
    with_facts,
    with_files,
)
from tests.watcher.view.rows import NOW, packed, row, unsealed
from watcher.events import Closed, Event, Failed, Opened
from watcher.journal import Journal
from watcher.journal_format import Row, chain
from watcher.lifecycle import State
from watcher.overview import Day
from watcher.shapes import words
from watcher.state import Database, Facts, fold
from watcher.view import history as view
from watcher.view.history import DayCopy, DayEvent, History, history_of

KEY = "ticks/2026-01-20"
BEGAN = utc("2026-01-19 00:00")
LIFE: tuple[Event, ...] = (
    Created("/r/x.db", RAW),
    Opened("/r/x.db"),
    Closed("/r/x.db", RAW, 0),
    sealed(),
    backed_up(),
    compressed(),
    archived(),
    expired(),
)


@contextmanager
def lived(file: Path) -> Iterator[Journal]:
    """The life of a day, a day a step, with another day's events between its own."""
    with Journal.open_for_writing(file) as journal:
        for number, event in enumerate(LIFE):
            both = [(KEY, event), ("ticks/2026-01-21", Opened("/r/y.db"))]
            journal.record(both, BEGAN + timedelta(days=number))
        yield journal


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journal]:
    with lived(tmp_path_factory.mktemp("state") / "journal.db") as journal:
        yield journal


def told(journal: Journal, day: Day | None = None, known: Database | None = None) -> History:
    known = known or with_facts(expired_day())
    facts = journal.facts(KEY)
    return history_of(
        day or packed(0, tier="gone", state=State.EXPIRED),
        replace(known, facts=facts),
        journal.events_of(KEY),
        journal.start().link.sequence,
        NOW,
    )


class TestTheEventsOfAKey:
    def test_are_in_order_and_its_own(self, journal: Journal) -> None:
        assert [row.sequence for row in journal.events_of(KEY)] == [1, 3, 5, 7, 9, 11, 13, 15]
        assert journal.events_of("ticks/2026-01-22") == []

    def test_are_the_newest_of_too_many(self, journal: Journal) -> None:
        assert [row.sequence for row in journal.events_of(KEY, 2)] == [13, 15]

    def test_may_be_those_of_one_name(self, journal: Journal) -> None:
        assert [row.sequence for row in journal.events_of(KEY, event="sealed")] == [7]


class TestAHistory:
    def test_has_every_event_with_its_digests_and_its_link(self, journal: Journal) -> None:
        events = told(journal).events
        assert [each.event for each in events] == [
            "created",
            "opened",
            "closed",
            "sealed",
            "backed_up",
            "compressed",
            "archived",
            "expired",
        ]
        assert [each.time for each in events] == [BEGAN + timedelta(days=number) for number in range(8)]
        assert events[5].digests == {"sha256": "aa", "compressed_sha256": "cc"}
        assert events[3].says == "ticks=10 size_bytes=1000"
        assert msgspec.json.decode(events[3].data)["symbols"] == 2

    def test_can_be_proven_link_by_link(self, journal: Journal) -> None:
        rows = {row.sequence: row for row in journal.rows()}
        for event in told(journal).events:
            before = rows[event.sequence - 1].hash if event.sequence > 1 else b""
            stored = (event.sequence, rows[event.sequence].time, event.event, KEY, bytes(event.data).decode())
            assert event.link == chain(before, stored).hex()

    def test_has_the_certificate_of_a_deleted_day(self, journal: Journal) -> None:
        assert told(journal).certificate == expired()
        text = "\n".join(view.lines(told(journal, packed(0, expired_at=utc("2026-07-20 04:00")))))
        assert "certificate  deleted 2026-07-20 04:00 UTC by schedule: past its retention" in text
        assert "policy: 180 days; due 2026-07-20 04:00 UTC" in text

    def test_says_what_was_pruned_and_what_that_had_come_to(self, tmp_path: Path) -> None:
        with lived(tmp_path / "journal.db") as journal:
            journal.prune(BEGAN + timedelta(days=3), BEGAN + timedelta(days=20), least=1)
            found = told(journal)
        assert found.events[0].event == "sealed"
        assert found.pruned == {
            "created": BEGAN,
            "opened": BEGAN + timedelta(days=1),
            "closed": BEGAN + timedelta(days=2),
        }
        assert found.pruned_through == 6
        text = "\n".join(view.lines(found))
        assert "pruned (events to #6 have left the journal), the last of each kind:" in text
        assert "  2026-01-20 00:00:00 opened" in text

    def test_says_nothing_of_pruning_where_none_of_its_events_was_pruned(self, journal: Journal) -> None:
        assert (told(journal).pruned_through, told(journal).pruned) == (0, {})
        noticed = database(facts=Facts(times={"opened": NOW}))  # and not recorded yet
        assert history_of(row(), noticed, [], 0, NOW).pruned == {}

    def test_says_that_older_events_are_left_out(
        self, journal: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert not told(journal).left_out
        monkeypatch.setattr(view, "MOST_EVENTS", 3)
        found = told(journal)
        assert ([each.sequence for each in found.events], found.left_out) == ([11, 13, 15], True)
        assert "only the newest 3 events: `tickward audit export --key ticks/" in "\n".join(view.lines(found))

    @pytest.mark.parametrize(("time", "data"), [("then", "{}"), ("2026-01-20T00:00:00+00:00", "[]")])
    def test_of_events_that_were_edited_cannot_be_told(self, time: str, data: str) -> None:
        edited = Row(1, time, "opened", KEY, data, b"")
        with pytest.raises(ValueError, match=r"."):
            history_of(row(), database(), [edited], 0, NOW)


def copies(known: Database) -> list[DayCopy]:
    return list(history_of(row(), known, [], 0, NOW).copies)


class TestTheCopies:
    def test_of_a_hot_day(self) -> None:
        assert copies(backed_up_day()) == [
            DayCopy("/r/2026/01/ticks_2026-01-20.db", "root", 1000, "aa"),
            DayCopy("/b/2026/01/ticks_2026-01-20.db", "backup", 1000, "aa"),
        ]

    def test_of_a_warm_day(self) -> None:
        assert copies(compressed_day()) == [
            DayCopy("/r/2026/01/ticks_2026-01-20.db.zst", "root", 300, "cc"),
            DayCopy("/b/2026/01/ticks_2026-01-20.db.zst", "backup", 300, "cc"),
        ]

    def test_of_a_cold_day(self) -> None:
        assert [(copy.top, copy.sha256) for copy in copies(archived_day())] == [
            ("archive", "cc"),
            ("backup", "cc"),
        ]

    def test_of_one_that_was_restored(self) -> None:
        there = with_facts(with_files(compressed_day(), database=RAW), restored=restored(NOW))
        assert copies(there)[0] == DayCopy("/r/2026/01/ticks_2026-01-20.db", "root", 1000, "aa")

    def test_a_late_writer_s_file_has_no_recorded_digest(self) -> None:
        assert copies(with_files(compressed_day(), database=RAW))[0].sha256 == ""

    def test_before_it_was_sealed_there_is_no_digest(self) -> None:
        assert [(copy.bytes, copy.sha256) for copy in copies(database())] == [(1000, "")]

    def test_of_a_deleted_day_there_are_none(self) -> None:
        assert copies(expired_day()) == []


class TestItsLines:
    def test_begin_with_what_it_is_now(self) -> None:
        day = row(1, ticks=46538, bytes=10485760, sha256="ab" * 32, due=utc("2026-02-01 02:00"))
        lines = list(view.lines(history_of(day, backed_up_day(), [], 0, NOW)))
        assert lines[:4] == [
            "ticks/2026-01-19  hot, backed_up",
            "next      compress 2026-02-01 02:00 UTC: backed_up; compress after 7 days, on schedule",
            "content   46,538 ticks, 2 symbols, 10,485,760 bytes",
            f"          sha256 {'ab' * 32}",
        ]
        assert lines[-1] == "nothing has happened to it yet"

    @pytest.mark.parametrize(
        ("day", "said"),
        [
            (row(entry="block", trouble="failing", reason="corrupt: row 7"), "blocked: corrupt: row 7"),
            (unsealed(1, entry="action", reason="its day is over"), "seal now: its day is over"),
            (row(due=None, step=None, reason="nothing left to do"), "nothing left to do"),
        ],
    )
    def test_say_what_is_next(self, day: Day, said: str) -> None:
        lines = [" ".join(line.split()) for line in view.lines(history_of(day, database(), [], 0, NOW))]
        assert f"next {said}" in lines

    def test_say_what_is_wrong_and_who_keeps_it(self) -> None:
        failed = Failed("compress", "no space left on device", "free some", 3, True, NOW, "e")
        known = database(facts=Facts(hold=HOLD, failed={"compress": failed}))
        day = row(trouble="failing", on_hold=True)
        text = "\n".join(view.lines(history_of(day, known, [], 0, NOW)))
        assert (
            "failing   on hold by ann: audit 17; compress failed: no space left on device; free some" in text
        )

    def test_have_every_digest_in_full(self, tmp_path: Path) -> None:
        digest = "0123456789abcdef" * 4
        with Journal.open_for_writing(tmp_path / "other.db") as journal:
            journal.record([(KEY, replace(compressed(), compressed_sha256=digest))], BEGAN)
            found = told(journal, packed(20), compressed_day())
        lines = [line.split() for line in view.lines(found)]
        assert ["compressed_sha256", digest] in lines
        assert ["link", found.events[0].link] in lines

    def test_cannot_move_the_cursor(self, tmp_path: Path) -> None:
        with Journal.open_for_writing(tmp_path / "other.db") as journal:
            journal.record([(KEY, replace(HOLD, reason="\x1b[2J\nwiped"))], BEGAN)
            lines = list(view.lines(told(journal, row(on_hold=True), database())))
        assert all(line.isprintable() for line in lines)
        assert any("\\x1b[2J\\nwiped" in line for line in lines)


def test_facts_and_events_are_of_one_moment(journal: Journal) -> None:
    facts = Facts()
    for event, stored in zip(LIFE, told(journal).events, strict=True):
        facts = fold(facts, event, stored.time)
    assert facts == journal.facts(KEY)


def test_json_is_what_its_words_say(journal: Journal) -> None:
    found = told(journal)
    assert msgspec.json.decode(msgspec.json.encode(found), type=History) == found
    for kind in (History, DayCopy, DayEvent):
        assert words(kind).description
        assert words(kind).fields.keys() == set(kind.__struct_fields__)


def test_a_retired_original_is_no_copy_that_anybody_may_open() -> None:
    assert copies(with_files(compressed_day(), retired=True, compressed=ZST))[0].sha256 == "cc"
