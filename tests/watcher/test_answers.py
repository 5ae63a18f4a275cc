"""Questions and their answers, from a real journal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.watcher.builders import sealed
from watcher import answers, wire
from watcher.answers import REPLAY_LIMIT, SNAPSHOT_LIMIT, answer_to
from watcher.events import Event, Opened, Rotated
from watcher.journal import Journal
from watcher.settings import Data
from watcher.wire import Refused, Replay, Snapshot

AT = datetime(2026, 1, 20, tzinfo=UTC)
DATA = Data(root="/r")
NO_SUCH_EPOCH = 1 << 63


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open_for_writing(tmp_path / "journal.db") as made:
        yield made


def record(journal: Journal, count: int, path: str = "/r/x.db", first: int = 0) -> None:
    """Events of as many databases."""
    entries: list[tuple[str, Event]] = [(key(first + n), Opened(path)) for n in range(count)]
    journal.record(entries, AT)


def key(number: int) -> str:
    return f"ticks/{date(2020, 1, 1) + timedelta(days=number)}"


def prune(journal: Journal, count: int) -> None:
    assert journal.prune(AT + timedelta(days=1), AT, limit=count, least=1) is not None


def replay(journal: Journal, since: int, epoch: int = wire.ANY_EPOCH) -> Replay:
    frames = answer_to(wire.question(wire.REPLAY, epoch, since), journal, DATA)
    assert frames[0] == wire.REPLAY_TOPIC
    assert wire.position_of(frames) == (journal.epoch, journal.head())
    answer = wire.answer_from(frames)
    assert isinstance(answer, Replay)
    assert answer.since == since
    return answer


def snapshot(journal: Journal, since: int = 0, after: str = "", epoch: int = wire.ANY_EPOCH) -> Snapshot:
    frames = answer_to(wire.question(wire.SNAPSHOT, epoch, since, after), journal, DATA)
    assert frames[0] == wire.SNAPSHOT_TOPIC
    assert wire.position_of(frames) == (journal.epoch, journal.head())
    answer = wire.answer_from(frames)
    assert isinstance(answer, Snapshot)
    assert (answer.since, answer.after) == (since, after)
    return answer


def sequences(answer: Replay) -> list[int]:
    return [event.sequence for event in answer.events]


def subjects(answer: Snapshot) -> list[str]:
    return [database.subject for database in answer.databases]


class TestReplay:
    @pytest.mark.parametrize(("since", "expected"), [(0, [1, 2, 3]), (2, [3]), (3, [])])
    def test_brings_what_follows_a_number(self, journal: Journal, since: int, expected: list[int]) -> None:
        record(journal, 3)
        answer = replay(journal, since)

        assert (sequences(answer), answer.status, answer.oldest) == (expected, "ok", 1)

    def test_brings_events_as_they_were_published(self, journal: Journal) -> None:
        record(journal, 2)
        _, _, body = answer_to(wire.question(wire.REPLAY, 0, 0), journal, DATA)
        published = [json.loads(wire.to_frames(each, journal.epoch)[2]) for each in journal.since(0)]

        assert json.loads(body)["events"] == published

    def test_knows_its_own_journal(self, journal: Journal) -> None:
        record(journal, 3)

        assert replay(journal, 1, journal.epoch).status == "ok"

    @pytest.mark.parametrize("since", [0, 2, 3, 2**63, wire.NEWEST])
    def test_of_another_journal_brings_nothing(self, journal: Journal, since: int) -> None:
        record(journal, 3)
        answer = replay(journal, since, NO_SUCH_EPOCH)

        assert (answer.events, answer.status) == ((), "other_journal")

    @pytest.mark.parametrize("since", [4, 2**63 - 1, 2**63, wire.NEWEST - 1])
    def test_of_more_than_there_is_brings_nothing(self, journal: Journal, since: int) -> None:
        record(journal, 3)
        answer = replay(journal, since)

        assert (answer.events, answer.status) == ((), "ahead")

    def test_since_the_end_of_time_only_tells_the_newest_number(self, journal: Journal) -> None:
        record(journal, 3)
        answer = replay(journal, wire.NEWEST)

        assert (answer.events, answer.status) == ((), "ok")

    def test_of_an_empty_journal(self, journal: Journal) -> None:
        assert replay(journal, 0) == Replay(0, 0, "ok", ())
        assert replay(journal, 1).status == "ahead"

    @pytest.mark.parametrize(("since", "status"), [(0, "pruned"), (5, "pruned"), (6, "ok"), (7, "ok")])
    def test_of_what_was_pruned_begins_with_what_is_kept(
        self, journal: Journal, since: int, status: str
    ) -> None:
        record(journal, 8)
        prune(journal, 6)
        answer = replay(journal, since)

        assert (sequences(answer), answer.oldest) == (list(range(max(7, since + 1), 10)), 7)
        assert answer.status == status

    def test_brings_so_many_at_once(self, journal: Journal) -> None:
        record(journal, REPLAY_LIMIT + 10)

        assert sequences(replay(journal, 0)) == list(range(1, REPLAY_LIMIT + 1))
        assert sequences(replay(journal, 5)) == list(range(6, REPLAY_LIMIT + 6))
        assert sequences(replay(journal, REPLAY_LIMIT)) == list(range(REPLAY_LIMIT + 1, REPLAY_LIMIT + 11))

    def test_brings_so_many_bytes_at_once(self, journal: Journal) -> None:
        record(journal, 30, path="x" * 100_000)
        _, _, body = answer_to(wire.question(wire.REPLAY, 0, 0), journal, DATA)

        assert 900_000 < len(body) < 1_100_000
        first = sequences(replay(journal, 0))
        assert sequences(replay(journal, first[-1]))[0] == first[-1] + 1

    def test_brings_one_event_at_least(self, journal: Journal) -> None:
        record(journal, 2, path="x" * 3_000_000)

        assert sequences(replay(journal, 0)) == [1]
        assert sequences(replay(journal, 1)) == [2]


class TestSnapshot:
    def test_brings_the_state_of_every_database(self, journal: Journal) -> None:
        record(journal, 2)
        journal.record([(key(0), sealed())], AT)
        answer = snapshot(journal)

        assert [(each.subject, each.state) for each in answer.databases] == [
            (key(0), "sealed"),
            (key(1), "active"),
        ]
        assert (answer.status, answer.more) == ("ok", False)

    def test_brings_the_current_day_of_every_stream(self, journal: Journal) -> None:
        rotated = Rotated("2026-01-20", None, "/r/x.db", None, "start")
        journal.record([("ticks", rotated), ("unknown", rotated)], AT)

        assert snapshot(journal).streams == {"ticks": rotated}
        assert snapshot(journal).databases == ()

    def test_of_an_empty_journal(self, journal: Journal) -> None:
        assert snapshot(journal) == Snapshot(0, "", False, "ok", {}, ())

    def test_brings_pages_in_the_order_of_their_subjects(
        self, journal: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(answers, "SNAPSHOT_LIMIT", 3)
        record(journal, 7)
        found: list[str] = []
        pages = [snapshot(journal)]
        while pages[-1].more:
            found += subjects(pages[-1])
            pages.append(snapshot(journal, after=found[-1]))

        assert [len(page.databases) for page in pages] == [3, 3, 1]
        assert found + subjects(pages[-1]) == [key(number) for number in range(7)]

    def test_brings_a_whole_page_of_so_many(self, journal: Journal) -> None:
        record(journal, SNAPSHOT_LIMIT)
        assert not snapshot(journal).more
        record(journal, 1, first=SNAPSHOT_LIMIT)

        page = snapshot(journal)
        assert (len(page.databases), page.more) == (SNAPSHOT_LIMIT, True)

    def test_since_a_number_brings_what_has_changed_after_it(self, journal: Journal) -> None:
        record(journal, 4)
        journal.record([(key(2), sealed()), (key(0), sealed())], AT)

        assert subjects(snapshot(journal, since=4)) == [key(0), key(2)]
        assert subjects(snapshot(journal, since=5)) == [key(0)]
        assert subjects(snapshot(journal, since=4, after=key(0))) == [key(2)]
        assert subjects(snapshot(journal, since=6)) == []

    @pytest.mark.parametrize(
        ("since", "status"), [(3, "pruned"), (6, "ok"), (10, "ahead"), (2**63, "ahead"), (wire.NEWEST, "ok")]
    )
    def test_since_a_number_says_when_that_cannot_be_told(
        self, journal: Journal, since: int, status: str
    ) -> None:
        record(journal, 8)
        prune(journal, 6)
        answer = snapshot(journal, since)

        assert answer.status == status
        assert subjects(answer) == ([key(6), key(7)] if since == 6 else [])

    def test_of_everything_is_whole_whatever_was_pruned(self, journal: Journal) -> None:
        record(journal, 8)
        prune(journal, 6)

        assert len(snapshot(journal).databases) == 8
        assert snapshot(journal).status == "ok"

    def test_of_another_journal_brings_nothing(self, journal: Journal) -> None:
        record(journal, 3)
        answer = snapshot(journal, epoch=NO_SUCH_EPOCH)

        assert (answer.databases, answer.status) == ((), "other_journal")

    def test_is_of_one_moment(
        self, journal: Journal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        record(journal, 2)
        databases = Journal.databases
        with Journal.open_for_reading(tmp_path / "journal.db") as reading:  # type: ignore[union-attr]

            def meanwhile(*of: object) -> object:
                record(journal, 1, first=2)
                return databases(*of)  # type: ignore[arg-type]

            monkeypatch.setattr(Journal, "databases", meanwhile)
            frames = answer_to(wire.question(wire.SNAPSHOT, 0, 0, ""), reading, DATA)

        answer = wire.answer_from(frames)
        assert isinstance(answer, Snapshot)
        assert (wire.position_of(frames).sequence, len(answer.databases)) == (2, 2)


class TestOtherQuestions:
    @pytest.mark.parametrize(
        ("question", "why"),
        [
            ([b"replay", b"\2" + bytes(16)], "version 2"),
            ([b"snapshot", b"\2whatever comes to be", b"and so on"], "version 2"),
            ([b"delete", wire.pack(0, 0)], "no question b'delete'"),
            ([b"x" * 4000, wire.pack(0, 0), b""], "no question b'xxx"),
        ],
    )
    def test_one_that_can_be_read_is_told_why_it_is_not_answered(
        self, journal: Journal, question: list[bytes], why: str
    ) -> None:
        record(journal, 2)
        frames = answer_to(question, journal, DATA)
        answer = wire.answer_from(frames)

        assert frames[0] == wire.REFUSED_TOPIC
        assert wire.position_of(frames) == (journal.epoch, 2)
        assert isinstance(answer, Refused)
        assert why in answer.why
        assert len(answer.why) < 300

    @pytest.mark.parametrize(
        "question",
        [
            [],
            [b""],
            [b"replay"],
            [b"replay", b""],
            [b"replay", wire.pack(0, 0)[:9]],
            [b"replay", wire.pack(0, 0) + b"x"],
            [b"replay", wire.pack(0, 0), b""],
            [b"snapshot", wire.pack(0, 0)],
            [b"snapshot", wire.pack(0, 0), b"\xff"],
            [b"snapshot", wire.pack(0, 0), b"", b""],
            [b"", b"replay", wire.pack(0, 0)],
            [b"REPLAY", bytes(8)],
        ],
    )
    def test_what_is_none_is_an_error(self, journal: Journal, question: list[bytes]) -> None:
        with pytest.raises(ValueError):  # noqa: PT011
            answer_to(question, journal, DATA)
