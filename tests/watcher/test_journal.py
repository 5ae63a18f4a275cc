"""The journal: all or nothing, no gaps, an unbroken chain, and a reader beside the writer."""

from __future__ import annotations

import os
import random
import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.contract import BackedUp, Compressed, Created, Sealed, Step
from tests.watcher.builders import RAW, backed_up, compressed, sealed
from tests.watcher.processes import PROJECT, Child
from watcher.audit import check
from watcher.errors import EXIT_STEP_FAILED, TickwardError
from watcher.events import (
    EVENTS,
    Closed,
    Configured,
    Event,
    Failed,
    Opened,
    Pruned,
    Reopened,
    Rotated,
    Stopped,
    name_of,
)
from watcher.journal import Journal, Witness
from watcher.journal_format import BEGINNING, BrokenError, begin, chain
from watcher.state import Facts, fold

AT = datetime(2026, 1, 21, 0, 0, 1, 234567, tzinfo=UTC)
KEY = "ticks/2026-01-20"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(file: Path) -> Iterator[Journal]:
    with Journal.open_for_writing(file) as journal:
        yield journal


def opened(path: str = "/r/x.db") -> tuple[str, Event]:
    return KEY, Opened(path)


def fill(journal: Journal, count: int) -> None:
    for number in range(count):
        journal.record([(KEY, Stopped(f"event {number}"))], AT + timedelta(seconds=number))


def change(file: Path, *statements: str, values: tuple[int, ...] = ()) -> None:
    """What somebody does to the file behind tickward's back."""
    connection = apsw.Connection(str(file))
    for statement in statements:
        connection.execute(statement, values)
    connection.close()


class TestRecording:
    def test_numbers_events_from_one_without_gaps(self, journal: Journal) -> None:
        assert (journal.head(), journal.oldest()) == (0, 0)
        journal.record([opened(), (KEY, Closed("/r/x.db", RAW, 0))], AT)
        journal.record([], AT)
        records = journal.record([("ticks/2026-01-21", Created("/r/y.db", RAW))], AT)
        assert [record.sequence for record in records] == [3]
        assert [record.sequence for record in journal.since(0)] == [1, 2, 3]
        assert (journal.head(), journal.oldest()) == (3, 1)

    def test_gives_back_what_it_will_say_later(self, journal: Journal) -> None:
        event = Closed("/r/x.db", RAW, 5)
        told = journal.record([(KEY, event)], AT)
        assert told == journal.since(0)
        assert (told[0].time, told[0].event, told[0].key, told[0].decode()) == (AT, "closed", KEY, event)

    def test_keeps_facts_by_key(self, journal: Journal) -> None:
        journal.record([(KEY, sealed()), ("ticks/2026-01-21", Opened("/r/y.db"))], AT)
        assert journal.facts(KEY) == fold(Facts(), sealed(), AT)
        assert set(journal.all_facts()) == {KEY, "ticks/2026-01-21"}
        assert journal.facts("ticks/1999-01-01") == Facts()

    def test_later_entries_of_a_batch_see_the_facts_of_the_earlier(self, journal: Journal) -> None:
        journal.record([(KEY, sealed()), (KEY, Reopened("/r/x.db", "late"))], AT)
        assert journal.facts(KEY).previous == sealed()

    def test_survives_closing(self, file: Path) -> None:
        with Journal.open_for_writing(file) as journal:
            epoch = journal.epoch
            fill(journal, 3)
        with Journal.open_for_writing(file) as journal:
            assert (journal.epoch, journal.head()) == (epoch, 3)
            fill(journal, 1)
            assert journal.head() == 4
            assert journal.first_broken() is None

    def test_limits_what_it_hands_out(self, journal: Journal) -> None:
        fill(journal, 5)
        assert [record.sequence for record in journal.since(1, limit=2)] == [2, 3]
        assert journal.since(5) == []

    def test_two_journals_have_different_epochs(self, tmp_path: Path) -> None:
        epochs = set()
        for number in range(5):
            with Journal.open_for_writing(tmp_path / f"{number}.db") as journal:
                epochs.add(journal.epoch)
        assert len(epochs) == 5
        assert all(0 < epoch < 2**62 for epoch in epochs)


class TestAllOrNothing:
    def check(self, journal: Journal, entries: list[tuple[str, Event]], error: type[Exception]) -> None:
        fill(journal, 2)
        before = journal.since(0), journal.all_facts()
        with pytest.raises(error):
            journal.record(entries, AT)
        assert (journal.since(0), journal.all_facts()) == before
        assert [record.sequence for record in journal.record([opened()], AT)] == [3]
        assert journal.first_broken() is None

    def test_an_entry_that_cannot_be_encoded(self, journal: Journal) -> None:
        self.check(journal, [opened(), opened("not UTF-8: \udcff"), opened()], UnicodeEncodeError)

    def test_a_key_that_cannot_be_stored(self, journal: Journal) -> None:
        self.check(journal, [opened(), ("ticks/\udcff", Opened("x"))], UnicodeEncodeError)

    def test_something_that_is_no_event(self, journal: Journal) -> None:
        self.check(journal, [opened(), (KEY, RAW)], KeyError)  # type: ignore[list-item]

    def test_entries_that_fail_while_they_are_made(self, journal: Journal) -> None:
        def entries() -> Iterator[tuple[str, Event]]:
            yield opened()
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            journal.record(entries(), AT)
        assert journal.head() == 0

    def test_a_second_writer_that_holds_the_file(self, journal: Journal, file: Path) -> None:
        other = apsw.Connection(str(file))
        other.execute("BEGIN IMMEDIATE")
        journal._connection.set_busy_timeout(0)
        self.check_busy(journal)
        other.execute("ROLLBACK")
        other.close()
        fill(journal, 1)
        assert journal.head() == 1

    def check_busy(self, journal: Journal) -> None:
        with pytest.raises(apsw.BusyError):
            journal.record([opened(), opened()], AT)
        assert journal.head() == 0
        assert journal.all_facts() == {}


FULL_DISK = """
import resource
from datetime import UTC, datetime
from pathlib import Path
import apsw
from watcher.events import Stopped
from watcher.journal import Journal

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
at = datetime(2026, 1, 20, tzinfo=UTC)
batch = [("ticks/2026-01-20", Stopped("x" * 2000)), ("ticks/2026-01-21", Stopped("y" * 2000))]
with Journal.open_for_writing(Path(sys.argv[1])) as journal:
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    recorded = 0
    try:
        while True:
            recorded = journal.record(batch, at)[-1].sequence
    except apsw.Error as error:
        kind = type(error).__name__
    again = "refused"
    try:
        journal.record(batch, at)
        again = "recorded"
    except apsw.Error:
        pass
    assert journal.head() == recorded and recorded % 2 == 0, (journal.head(), recorded)
    assert set(journal.all_facts()) == {"ticks/2026-01-20", "ticks/2026-01-21"}
    assert journal.first_broken() is None
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert journal.record(batch, at)[-1].sequence == recorded + 2
    assert journal.first_broken() is None
    say(kind, again, recorded)
"""


@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_FSIZE)[1] != resource.RLIM_INFINITY, reason="a limit is set already"
)
def test_a_full_disk_loses_nothing_and_it_goes_on_when_space_is_back(file: Path) -> None:
    with Child(FULL_DISK, file) as child:
        kind, again, recorded = child.said().split()
        assert child.end() == 0
    assert (kind in ("FullError", "IOError"), again) == (True, "refused")
    with Journal.open_for_writing(file) as journal:
        assert journal.head() == int(recorded) + 2
        assert journal.first_broken() is None


WRITER = """
from datetime import UTC, datetime
from pathlib import Path
from watcher.events import Stopped
from watcher.journal import Journal
with Journal.open_for_writing(Path(sys.argv[1])) as journal:
    number = 0
    while True:
        number += 1
        batch = [(f"ticks/2026-01-{1 + n:02}", Stopped(f"{number}" * 50)) for n in range(number % 4 + 1)]
        print(journal.record(batch, datetime.now(UTC))[-1].sequence, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 2, 7, 30, 61])
def test_a_writer_that_is_killed_leaves_no_gap_and_loses_nothing_that_it_told(file: Path, lines: int) -> None:
    told = 0
    for round_ in range(3):
        with Child(WRITER, file) as child:
            for _ in range(lines + random.randrange(5)):
                told = int(child.said())
            child.kill()
        with Journal.open_for_writing(file) as journal:
            assert journal.first_broken() is None
            sequences = [record.sequence for record in journal.since(0, 100_000)]
            assert sequences == list(range(1, journal.head() + 1))
            assert journal.head() >= told, f"round {round_}: what was told is not there"
            assert journal.all_facts() == facts_of(journal)


READER = """
from pathlib import Path
from watcher.journal import Journal
position, wanted = 0, int(sys.argv[2])
while position < wanted:
    with Journal.open_for_reading(Path(sys.argv[1])) as journal:
        for record in journal.since(position, 7):
            assert record.sequence == position + 1, (record.sequence, position)
            position = record.sequence
        assert journal.head() >= position
        assert sum(len(facts.times) for facts in journal.all_facts().values()) <= journal.head()
say(position)
"""


def test_a_reader_beside_the_writer_sees_whole_batches_in_order(journal: Journal, file: Path) -> None:
    journal.record([opened()], AT)
    with Child(READER, file, 201) as reader:
        for _ in range(100):
            journal.record([opened(), (KEY, Closed("/r/x.db", RAW, 0))], AT)
        assert reader.said() == "201"
        assert reader.end() == 0


def facts_of(journal: Journal) -> dict[str, Facts]:
    """What the events alone say."""
    facts: dict[str, Facts] = {}
    for record in journal.since(0, 1_000_000):
        facts[record.key] = fold(facts.get(record.key, Facts()), record.decode(), record.time)
    return facts


def events() -> st.SearchStrategy[Event]:
    """Any event with any data, as the daemon makes it: steps are members of `Step`."""
    text = st.text(st.characters(exclude_categories=("Cs",)), max_size=5)
    numbers = st.integers(-(2**63), 2**63 - 1)
    times = st.datetimes(timezones=st.just(UTC))
    failures = st.builds(
        Failed,
        step=st.sampled_from(Step),
        attempt=numbers,
        next_try=st.none() | times,
        error=text,
        hint=text,
        evidence=text,
    )
    kinds = [kind for kind in EVENTS.values() if kind is not Failed]
    with_types = [st.builds(kind) for kind in kinds]
    for kind, strategy in ((int, numbers), (str, text), (datetime, times)):
        st.register_type_strategy(kind, strategy)
    return st.one_of(failures, *with_types)


entries = st.tuples(st.sampled_from([KEY, "ticks/2026-01-21", "ticks", "-"]), events())


@given(st.lists(st.lists(entries, max_size=4), max_size=6), st.datetimes(timezones=st.just(UTC)))
def test_the_facts_are_the_fold_of_the_events_from_the_start(
    batches: list[list[tuple[str, Event]]], at: datetime
) -> None:
    connection = apsw.Connection(":memory:")
    begin(connection)
    journal = Journal(connection)
    for batch in batches:
        journal.record(batch, at)
    assert journal.all_facts() == facts_of(journal)
    assert [event for batch in batches for _, event in batch] == [r.decode() for r in journal.since(0)]
    assert journal.first_broken() is None
    journal.close()


TAMPERINGS = {
    "data": "UPDATE events SET data = replace(data, 'event 4', 'event X') WHERE sequence = 5",
    "a space": "UPDATE events SET data = data || ' ' WHERE sequence = 5",
    "time": "UPDATE events SET time = replace(time, 'T', ' ') WHERE sequence = 5",
    "no time": "UPDATE events SET time = 'never' WHERE sequence = 5",
    "name": "UPDATE events SET event = 'nonsense' WHERE sequence = 5",
    "key": "UPDATE events SET key = 'ticks/1999-01-01' WHERE sequence = 5",
    "type": "UPDATE events SET data = CAST(data AS BLOB) WHERE sequence = 5",
    "hash": "UPDATE events SET hash = randomblob(32) WHERE sequence = 5",
    "added": "INSERT INTO events SELECT 11, time, event, key, data, hash FROM events WHERE sequence = 10",
}


class TestTampering:
    @pytest.mark.parametrize("statement", TAMPERINGS.values(), ids=TAMPERINGS)
    def test_an_edited_row_shows(self, journal: Journal, file: Path, statement: str) -> None:
        fill(journal, 10)
        assert journal.first_broken() is None
        change(file, statement)
        assert journal.first_broken() == (11 if "INSERT" in statement else 5)

    @pytest.mark.parametrize("number", [1, 5, 9])
    def test_a_removed_row_shows(self, journal: Journal, file: Path, number: int) -> None:
        fill(journal, 10)
        change(file, "DELETE FROM events WHERE sequence = ?", values=(number,))
        assert journal.first_broken() == number

    def test_closing_the_gap_does_not_hide_a_removed_row(self, journal: Journal, file: Path) -> None:
        fill(journal, 10)
        change(file, "DELETE FROM events WHERE sequence = 5")
        for number in range(6, 11):
            change(file, "UPDATE events SET sequence = sequence - 1 WHERE sequence = ?", values=(number,))
        assert journal.first_broken() == 5

    def test_rows_in_another_order_show(self, journal: Journal, file: Path) -> None:
        fill(journal, 10)
        change(
            file,
            "UPDATE events SET sequence = 99 WHERE sequence = 4",
            "UPDATE events SET sequence = 4 WHERE sequence = 6",
            "UPDATE events SET sequence = 6 WHERE sequence = 99",
        )
        assert journal.first_broken() == 4

    def test_contents_in_another_order_show(self, journal: Journal, file: Path) -> None:
        fill(journal, 10)
        change(
            file, "UPDATE events SET data = (SELECT data FROM events WHERE sequence = 7) WHERE sequence = 3"
        )
        assert journal.first_broken() == 3

    def test_a_gap_shows_even_if_the_chain_was_forged_around_it(self, journal: Journal, file: Path) -> None:
        fill(journal, 4)
        change(
            file, "DELETE FROM events WHERE sequence = 4", "UPDATE events SET sequence = 5 WHERE sequence = 3"
        )
        connection = apsw.Connection(str(file))
        (tail,) = connection.execute("SELECT hash FROM events WHERE sequence = 2").fetchone()
        columns = "SELECT sequence, time, event, key, data FROM events LIMIT 1 OFFSET 2"
        row = connection.execute(columns).fetchone()
        connection.execute("UPDATE events SET hash = ? WHERE sequence = 5", (chain(tail, row),))
        connection.close()
        assert journal.first_broken() == 3  # which is missing

    def test_an_empty_journal_is_whole(self, journal: Journal) -> None:
        assert journal.first_broken() is None


class TestTheHead:
    def test_is_noted_with_every_batch(self, journal: Journal) -> None:
        assert journal.head_link() == BEGINNING
        for _ in range(3):
            fill(journal, 3)
            assert journal.head_link() == (journal.head(), journal.link(journal.head()))

    def test_is_not_forgotten_with_the_newest_rows(self, journal: Journal, file: Path) -> None:
        fill(journal, 3)
        change(file, "DELETE FROM events WHERE sequence = 3")
        assert journal.head() == 3
        fill(journal, 1)
        assert [record.sequence for record in journal.since(0)] == [1, 2, 4], "no number is given twice"
        assert journal.first_broken() == 3

    def test_can_be_noted_elsewhere(self, journal: Journal) -> None:
        assert journal.witness() is None
        fill(journal, 3)
        (anchor, link) = journal.witness(), journal.link(3)
        assert link is not None
        assert anchor == Witness(f"{journal.epoch:x}", 3, link.hex(), AT + timedelta(seconds=2))
        assert journal.link(4) is None

    def test_that_is_gone_is_said_with_what_to_do(self, journal: Journal, file: Path) -> None:
        change(file, "DELETE FROM meta WHERE name = 'head'")
        with pytest.raises(BrokenError, match="note of the head is gone; `tickward audit verify` says"):
            journal.record([opened()], AT)


class TestPruning:
    """`fill` records an event a second: number n at AT + n - 1."""

    def prune(self, journal: Journal, seconds: float, limit: int = 5000) -> Pruned | None:
        at = AT + timedelta(days=1)
        head = journal.head()
        record = journal.prune(AT + timedelta(seconds=seconds), at, limit, least=1)
        if record is None:
            assert journal.head() == head
            return None
        assert (record.sequence, record.time, record.key) == (head + 1, at, "-")
        assert record == journal.since(head)[0]
        assert check(journal, journal.witness()) is None
        pruned = record.decode()
        assert isinstance(pruned, Pruned)
        return pruned

    @pytest.mark.parametrize(
        ("seconds", "limit", "through"),
        [
            (0, 5000, None),
            (0.5, 5000, 1),
            (4, 5000, 4),
            (4.001, 5000, 5),
            (8, 3, 3),
            (8, 1, 1),
            (9, 5000, 9),
            (10, 5000, 9),  # never the newest
            (1e6, 5000, 9),
        ],
    )
    def test_takes_the_oldest(
        self, journal: Journal, seconds: float, limit: int, through: int | None
    ) -> None:
        fill(journal, 10)
        links = {number: journal.link(number) for number in range(1, 11)}
        pruned = self.prune(journal, seconds, limit)
        assert (pruned.through if pruned else None) == through
        assert journal.oldest() == (through or 0) + 1
        if pruned:
            last = links[pruned.through]
            assert last is not None
            assert (pruned.hash, pruned.before) == (last.hex(), AT + timedelta(seconds=seconds))
            assert [journal.link(n) for n in range(pruned.through, 11)] == [
                links[n] for n in range(pruned.through, 11)
            ]
            assert pruned.through == 1 or journal.link(pruned.through - 1) is None

    def test_takes_nothing_from_an_empty_journal(self, journal: Journal) -> None:
        assert self.prune(journal, 10) is None

    def test_stops_at_the_first_event_that_is_not_older(self, journal: Journal) -> None:
        for seconds in (0, 1, 9, 2, 3):  # the clock was wrong for a while
            journal.record([opened()], AT + timedelta(seconds=seconds))
        pruned = self.prune(journal, 5)
        assert pruned is not None
        assert pruned.through == 2

    def test_of_an_event_that_is_none_says_so(
        self, journal: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(journal, 5)
        monkeypatch.setattr("watcher.events.Record.decode", lambda _: msgspec.convert({}, Closed))
        with pytest.raises(BrokenError, match="event 1 is none of its kind"):
            self.prune(journal, 3)
        assert journal.oldest() == 1

    def test_keeps_the_facts(self, journal: Journal) -> None:
        journal.record([("-", Configured({"compress": "never"})), (KEY, sealed()), opened()], AT)
        fill(journal, 5)
        facts = journal.all_facts()
        at = AT + timedelta(days=1)
        assert self.prune(journal, 3)
        assert journal.all_facts() == {**facts, "-": fold(facts["-"], journal.since(8)[0].decode(), at)}
        assert journal.anchor_facts()["-"].configured == Configured({"compress": "never"})
        assert journal.anchor_facts()[KEY].sealed == sealed()

    def test_in_portions_is_pruning_at_once(self, journal: Journal, tmp_path: Path) -> None:
        fill(journal, 20)
        with Journal.open_for_writing(tmp_path / "other.db") as other:
            fill(other, 20)
            assert self.prune(other, 12)
            while self.prune(journal, 12, limit=5):
                pass
            assert list(journal.rows_of("anchor_facts")) == list(other.rows_of("anchor_facts"))
            assert journal.oldest() == other.oldest() == 13

    @pytest.mark.parametrize(("count", "through"), [(99, None), (100, None), (101, 100), (150, 149)])
    def test_waits_until_it_is_worth_an_event(
        self, journal: Journal, count: int, through: int | None
    ) -> None:
        fill(journal, count)
        pruned = journal.prune(AT + timedelta(days=9), AT)
        assert (journal.oldest() - 1 or None) == through
        assert (pruned is None) == (through is None)

    def test_does_not_go_on_for_ever(self, journal: Journal) -> None:
        fill(journal, 120)
        tries = [journal.prune(AT + timedelta(days=9), AT) for _ in range(50)]
        assert [number for number, pruned in enumerate(tries) if pruned] == [0]

    def test_takes_earlier_prunings_along(self, journal: Journal) -> None:
        for _ in range(5):
            fill(journal, 10)
            assert journal.prune(AT + timedelta(days=9), AT, least=1)
        assert [record.event for record in journal.since(0)] == ["stopped", "pruned"]
        assert check(journal, None) is None

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE events SET data = data || ' ' WHERE sequence = 15",
            "UPDATE events SET time = 'never' WHERE sequence = 15",
            "DELETE FROM events WHERE sequence = 15",
            "DELETE FROM events WHERE sequence = 11",
            "UPDATE anchor_facts SET data = '{}' WHERE key = 'ticks/2026-01-20'",
        ],
    )
    def test_removes_no_evidence(self, journal: Journal, file: Path, statement: str) -> None:
        fill(journal, 10)
        assert self.prune(journal, 20)
        fill(journal, 10)
        change(file, statement)
        before = list(journal.rows()), journal.all_facts(), list(journal.rows_of("anchor_facts"))
        with pytest.raises(BrokenError, match="`tickward audit verify` says what to do next"):
            journal.prune(AT + timedelta(days=9), AT, least=1)
        assert before == (list(journal.rows()), journal.all_facts(), list(journal.rows_of("anchor_facts")))

    def test_is_undone_if_it_cannot_be_done(self, journal: Journal) -> None:
        fill(journal, 10)
        before = list(journal.rows()), journal.all_facts(), list(journal.rows_of("anchor_facts"))
        journal._connection.execute(
            "CREATE TEMP TRIGGER full_disk BEFORE INSERT ON main.events"
            " BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        with pytest.raises(apsw.ConstraintError, match="full"):
            self.prune(journal, 5)
        journal._connection.execute("DROP TRIGGER full_disk")
        assert before == (list(journal.rows()), journal.all_facts(), list(journal.rows_of("anchor_facts")))
        assert self.prune(journal, 5)


FORMAT_1 = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    event TEXT NOT NULL,
    key TEXT NOT NULL,
    data TEXT NOT NULL,
    hash BLOB NOT NULL
);
CREATE INDEX events_by_key ON events (key, sequence);
CREATE TABLE facts (key TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('epoch', 4711);
PRAGMA user_version = 1;
"""


def tables_of(file: Path) -> list[str]:
    connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return sorted(
            name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        )
    finally:
        connection.close()


class TestAnOlderFormat:
    HISTORY = (Opened("/r/x.db"), Closed("/r/x.db", RAW, 0), sealed(), Reopened("/r/x.db", "late"))

    @pytest.fixture
    def old(self, file: Path) -> Path:
        connection = apsw.Connection(str(file))
        connection.execute(FORMAT_1)
        tail = b""
        for number, event in enumerate(self.HISTORY, 1):
            row = (number, AT.isoformat(), name_of(event), KEY, msgspec.json.encode(event).decode())
            tail = chain(tail, row)
            connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", (*row, tail))
        # As it was folded then: nothing was known of superseded contents.
        facts = msgspec.json.encode(Facts(previous=sealed())).decode()
        connection.execute("INSERT INTO facts VALUES (?, ?), ('ticks/1999-01-01', '{}')", (KEY, facts))
        connection.close()
        return file

    def test_is_brought_up_to_date(self, old: Path) -> None:
        with Journal.open_for_writing(old) as journal:
            assert (journal.epoch, journal.head(), journal.oldest()) == (4711, 4, 1)
            assert [record.decode() for record in journal.since(0)] == list(self.HISTORY)
            assert journal.all_facts() == facts_of(journal)
            assert journal.facts(KEY).superseded == (sealed().sha256,)
            assert check(journal, None) is None
            journal.record([opened()], AT)
            assert check(journal, None) is None
        with Journal.open_for_writing(old) as journal:
            assert (journal.head(), check(journal, journal.witness())) == (5, None)

    def test_format_2_had_no_summaries(self, file: Path) -> None:
        with Journal.open_for_writing(file) as journal:
            journal.record([(KEY, event) for event in self.HISTORY], AT)
            expected = journal.summaries()
        change(file, "DROP TABLE summaries", "PRAGMA user_version = 2")
        with pytest.raises(TickwardError, match="of an older version of tickward; start the daemon"):
            Journal.open_for_reading(file)
        with Journal.open_for_writing(file) as journal:
            assert [row.key for row in expected] == [KEY]
            assert journal.summaries() == expected
            assert check(journal, None) is None

    def test_format_2_with_damaged_facts(self, file: Path) -> None:
        with Journal.open_for_writing(file) as journal:
            journal.record([(KEY, event) for event in self.HISTORY], AT)
        change(file, "DROP TABLE summaries", "UPDATE facts SET data = '['", "PRAGMA user_version = 2")
        before = tables_of(file)
        with pytest.raises(TickwardError, match=r"damaged .its facts: .*aside"):
            Journal.open_for_writing(file)
        assert tables_of(file) == before

    def test_an_empty_one(self, file: Path) -> None:
        change(file, FORMAT_1)
        with Journal.open_for_writing(file) as journal:
            assert (journal.epoch, journal.head(), check(journal, None)) == (4711, 0, None)
            fill(journal, 2)
            assert check(journal, None) is None

    def test_is_not_read_before_that(self, old: Path) -> None:
        before = old.read_bytes()
        with pytest.raises(TickwardError, match="of an older version of tickward; start the daemon"):
            Journal.open_for_reading(old)
        assert old.read_bytes() == before

    def test_that_was_tampered_with_shows_it_afterwards_as_well(self, old: Path) -> None:
        change(old, "UPDATE events SET key = 'ticks/1999-01-01' WHERE sequence = 2")
        with Journal.open_for_writing(old) as journal:
            assert journal.first_broken() == 2

    @pytest.mark.parametrize(
        ("statement", "match"),
        [
            ("UPDATE events SET data = '{}' WHERE sequence = 3", "damaged .after event 2: .*aside"),
            ("UPDATE events SET time = 'never' WHERE sequence = 3", "damaged .after event 2: .*aside"),
            ("UPDATE events SET event = 'teleported' WHERE sequence = 3", "'teleported'.*update tickward"),
        ],
    )
    def test_that_cannot_be_read_is_left_as_it_is(self, old: Path, statement: str, match: str) -> None:
        change(old, statement)
        with pytest.raises(TickwardError, match=match):
            Journal.open_for_writing(old)
        connection = apsw.Connection(str(old))
        assert connection.pragma("user_version") == 1
        assert tables_of(old) == ["events", "facts", "meta"]
        (facts,) = connection.execute("SELECT data FROM facts WHERE key = ?", (KEY,)).fetchone()
        assert msgspec.json.decode(facts, type=Facts) == Facts(previous=sealed())
        connection.close()


@contextmanager
def without_permission(folder: Path) -> Iterator[None]:
    """As long as this lasts we may not look into the folder: root becomes somebody else for it."""
    is_root = os.geteuid() == 0  # pytest's folders are for their owner only
    os.seteuid(65534) if is_root else folder.chmod(0)
    try:
        yield
    finally:
        os.seteuid(0) if is_root else folder.chmod(0o700)


Open = Callable[[Path], object]
OPENERS = {"write": Journal.open_for_writing, "read": Journal.open_for_reading}


@pytest.mark.parametrize("open_", OPENERS.values(), ids=OPENERS)
class TestWhatCannotBeOpened:
    def refused(self, open_: Open, file: Path) -> str:
        with pytest.raises(TickwardError) as caught:
            open_(file)
        assert caught.value.exit_code == EXIT_STEP_FAILED
        sentence = str(caught.value)
        assert str(file) in sentence
        assert "\n" not in sentence
        assert "aside" in sentence or "check who may" in sentence  # the next step
        return sentence

    def test_a_file_that_is_not_sqlite(self, open_: Open, file: Path) -> None:
        file.write_bytes(b"these are not the pages you are looking for " * 100)
        content = file.read_bytes()
        assert "file is not a database" in self.refused(open_, file)
        assert file.read_bytes() == content

    def test_a_file_of_another_version(self, open_: Open, file: Path) -> None:
        change(file, "CREATE TABLE events (x)", "PRAGMA user_version = 9")
        content = file.read_bytes()
        assert "journal format 9" in self.refused(open_, file)
        assert file.read_bytes() == content

    def test_somebody_else_s_database(self, open_: Open, file: Path) -> None:
        change(file, "CREATE TABLE precious (x)", "INSERT INTO precious VALUES (1)")
        content = file.read_bytes()
        assert "journal format 0" in self.refused(open_, file)
        assert file.read_bytes() == content

    def test_a_directory(self, open_: Open, file: Path) -> None:
        file.mkdir()
        self.refused(open_, file)

    def test_a_directory_without_permission(self, open_: Open, file: Path) -> None:
        with without_permission(file.parent):
            sentence = self.refused(open_, file)
        assert "check who may read and write in its directory" in sentence
        assert "aside" not in sentence, "it knows what is on hold"


READ_ONLY = """
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && cd "$2" && exec "$3" -c "
import sys
from pathlib import Path
from watcher.errors import TickwardError
from watcher.journal import Journal
try:
    print(Journal.open_for_reading(Path(sys.argv[1]) / 'journal.db').head())
except TickwardError as error:
    print(error)
" "$1"
"""


@pytest.mark.skipif(
    subprocess.run(["unshare", "--mount", "true"], check=False).returncode != 0,
    reason="a private mount takes root, and leave to unshare a mount namespace",
)
@pytest.mark.parametrize("with_log", [False, True])
def test_where_nothing_can_be_written_it_is_read_all_the_same(tmp_path: Path, with_log: bool) -> None:
    file = tmp_path / "state" / "journal.db"
    file.parent.mkdir()
    with Journal.open_for_writing(file) as journal:
        fill(journal, 7)
        log = Path(f"{file}-wal").read_bytes()
    if with_log:  # left by a daemon that was killed
        Path(f"{file}-wal").write_bytes(log)
    shell = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        READ_ONLY,
        "sh",
        str(file.parent),
        str(PROJECT),
        sys.executable,
    ]
    said = subprocess.run(shell, capture_output=True, text=True, check=True).stdout.strip()
    if not with_log:
        assert said == "7"
    else:
        assert "mounted read-only" in said
        assert "aside" not in said


def test_a_damaged_file_is_refused_by_the_daemon(file: Path) -> None:
    with Journal.open_for_writing(file) as journal:
        fill(journal, 2000)
    content = bytearray(file.read_bytes())
    page = 4096
    for number in range(10, len(content) // page, 3):
        content[number * page : number * page + 2000] = os.urandom(2000)
    file.write_bytes(content)
    with pytest.raises(TickwardError, match="aside") as caught:
        Journal.open_for_writing(file)
    assert "the files of the days are untouched" in str(caught.value)
    assert file.read_bytes() == content


def test_a_truncated_file_is_refused_by_the_daemon(file: Path) -> None:
    with Journal.open_for_writing(file) as journal:
        fill(journal, 200)
    os.truncate(file, file.stat().st_size // 2)
    with pytest.raises(TickwardError, match="aside"):
        Journal.open_for_writing(file)


def test_an_event_of_a_later_version_is_named(journal: Journal, file: Path) -> None:
    fill(journal, 1)
    change(file, "UPDATE events SET event = 'teleported'")
    with pytest.raises(TickwardError, match="'teleported' that this version does not know; update tickward"):
        journal.since(0)


def test_there_is_nothing_to_read_before_the_first_daemon(file: Path) -> None:
    assert Journal.open_for_reading(file) is None
    assert not file.exists()
    file.touch()
    assert Journal.open_for_reading(file) is None


def test_a_reader_cannot_write(journal: Journal, file: Path) -> None:
    fill(journal, 1)
    reader = Journal.open_for_reading(file)
    assert reader is not None
    with reader, pytest.raises(apsw.ReadOnlyError):
        reader.record([opened()], AT)
    assert journal.head() == 1


def test_the_facts_of_every_step_survive_the_way_to_the_disk_and_back(journal: Journal) -> None:
    results: list[Created | Sealed | BackedUp | Compressed] = [
        Created("/r/x.db", RAW),
        sealed(),
        backed_up(live=True, wal=RAW),
        compressed(),
    ]
    rotated = Rotated("2026-01-21", None, "/r/y.db", None, "start")
    journal.record([*((KEY, result) for result in results), ("ticks", rotated)], AT)
    facts = journal.facts(KEY)
    assert [facts.created, facts.sealed, facts.backed_up, facts.compressed] == results
    assert journal.facts("ticks").rotated == rotated
    assert msgspec.json.decode(journal.since(0)[1].data)["ticks"] == 10


def test_nobody_else_may_write_the_journal(journal: Journal, file: Path) -> None:
    assert not file.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)
