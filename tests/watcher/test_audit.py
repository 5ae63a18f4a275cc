"""The audit: whatever somebody does to the journal shows, and what nobody did anything to is proven."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.watcher.builders import RAW, backed_up, compressed, sealed
from tests.watcher.processes import Child
from watcher.audit import Finding, Proof, check, examine, trail
from watcher.events import Closed, Configured, Event, Opened, Reopened, Rotated, Stopped
from watcher.journal import Journal, Witness
from watcher.journal_format import BEGINNING, Link, Row, begin, chain, encode_facts, put_head
from watcher.state import Facts, fold

AT = datetime(2026, 1, 20, tzinfo=UTC)
KEY, NEXT = "ticks/2026-01-20", "ticks/2026-01-21"
HISTORY: list[tuple[str, Event]] = [
    ("-", Configured({"compress": "after 7 days"})),
    ("ticks", Rotated("2026-01-21", None, "/r/y.db", None, "start")),
    (KEY, Opened("/r/x.db")),
    (KEY, Closed("/r/x.db", RAW, 0)),
    (KEY, sealed()),
    (KEY, backed_up()),
    (NEXT, Opened("/r/y.db")),
    (KEY, compressed()),
    ("-", Stopped("SIGTERM")),
    (NEXT, Closed("/r/y.db", RAW, 0)),
]
"""Events 1 to 10, an hour apart. Pruned: 5 to 10 are left, 11 is the anchor, 12 to 14 came after it."""
PRUNED = 11


def record(journal: Journal, entries: list[tuple[str, Event]]) -> None:
    for number, entry in enumerate(entries, journal.head() + 1):
        journal.record([entry], AT + timedelta(hours=number))


def prune(journal: Journal) -> None:
    pruned = journal.prune(AT + timedelta(hours=4, minutes=30), AT + timedelta(hours=PRUNED), least=1)
    assert pruned is not None
    assert pruned.sequence == PRUNED
    record(journal, [("-", Configured({"compress": "never"})), (NEXT, sealed()), (NEXT, backed_up())])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def whole(file: Path) -> Iterator[Journal]:
    with Journal.open_for_writing(file) as journal:
        record(journal, HISTORY)
        yield journal


@pytest.fixture
def pruned(whole: Journal) -> Journal:
    prune(whole)
    return whole


def reading(file: Path) -> Journal:
    journal = Journal.open_for_reading(file)
    assert journal is not None
    return journal


def change(journal: Journal, *statements: str) -> None:
    """What somebody does to the file behind tickward's back."""
    connection = apsw.Connection(journal._connection.filename)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def edit_row(journal: Journal, number: int, assignment: str) -> None:
    change(journal, f"UPDATE events SET {assignment} WHERE sequence = {number}")  # noqa: S608


def remove(journal: Journal, number: int) -> None:
    change(journal, f"DELETE FROM events WHERE sequence = {number}")  # noqa: S608


def move(journal: Journal, number: int, to: int) -> None:
    edit_row(journal, number, f"sequence = {to}")


def found(journal: Journal, witness: Witness | None = None) -> Finding:
    finding = check(journal, witness)
    assert finding is not None
    return finding


COLUMNS = {
    "time": "time = replace(time, 'T', ' ')",
    "no time": "time = 'never'",
    "event": "event = 'stopped '",
    "another event": "event = CASE event WHEN 'opened' THEN 'stopped' ELSE 'opened' END",
    "key": "key = 'ticks/1999-01-01'",
    "data": "data = '{}'",
    "data, a space": "data = data || ' '",
    "data, no JSON": "data = 'x'",
    "data, no text": "data = CAST(x'ff' AS TEXT)",
    "data, another type": "data = CAST(data AS BLOB)",
    "hash": "hash = randomblob(32)",
    "hash, shorter": "hash = substr(hash, 2)",
    "hash, another type": "hash = hex(hash)",
    "sequence": "sequence = 99",
}
WHOLE, AFTER_PRUNING = [1, 2, 5, 9, 10], [5, 6, 9, 10, PRUNED, 12, 13, 14]


class TestAnEditedRow:
    @pytest.mark.parametrize("edit", COLUMNS.values(), ids=COLUMNS)
    @pytest.mark.parametrize("number", WHOLE)
    def test_is_named(self, whole: Journal, number: int, edit: str) -> None:
        edit_row(whole, number, edit)
        assert found(whole).sequence == number

    @pytest.mark.parametrize("edit", COLUMNS.values(), ids=COLUMNS)
    @pytest.mark.parametrize("number", AFTER_PRUNING)
    def test_is_named_after_pruning(self, pruned: Journal, number: int, edit: str) -> None:
        edit_row(pruned, number, edit)
        assert found(pruned).sequence == number

    @pytest.mark.parametrize("field", ["through", "hash", "facts_sha256", "before"])
    @pytest.mark.parametrize("value", ["7", "'ab'", "'2020-01-01T00:00:00Z'", "NULL"])
    def test_that_is_the_anchor_is_named(self, pruned: Journal, field: str, value: str) -> None:
        edit_row(pruned, PRUNED, f"data = json_set(data, '$.{field}', {value})")
        assert found(pruned).sequence == PRUNED

    @pytest.mark.parametrize("number", [5, 9, PRUNED, 13])
    def test_whose_hash_was_forged_as_well_shows_at_the_next(self, pruned: Journal, number: int) -> None:
        edit_row(pruned, number, "time = time || ' '")
        forge(pruned, number, number)
        assert found(pruned).sequence == number + 1

    def test_that_is_the_newest_shows_although_its_hash_was_forged(self, pruned: Journal) -> None:
        change(pruned, "UPDATE events SET time = time || ' ' WHERE sequence = 14")
        forge(pruned, 14, 14)
        assert found(pruned) == Finding(14, "event 14 is not the one that was recorded last")

    def test_beside_the_anchor_is_not_taken_for_it(self, file: Path) -> None:
        with Journal.open_for_writing(file) as journal:
            record(journal, HISTORY[:2])
            assert journal.prune(AT + timedelta(days=1), AT + timedelta(days=1), least=1)
            assert [row.event for row in journal.rows()] == ["rotated", "pruned"]
            for edit in ("data = '{}'", "hash = randomblob(32)"):
                before = journal.row(2)
                edit_row(journal, 2, edit)
                assert found(journal).sequence == 2
                put_back(journal, before)
            edit_row(journal, 3, "data = json_set(data, '$.hash', 'ab')")
            assert found(journal).sequence == 3


def put_back(journal: Journal, row: Row | None) -> None:
    assert row is not None
    journal._connection.execute("REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?)", row)
    assert check(journal, None) is None


def forge(journal: Journal, first: int, last: int) -> Link:
    """Compute the hashes of these rows anew, as whoever edits one may do."""
    before = journal.row(first - 1)
    tail = before.hash if before else journal.start().link.hash
    for number in range(first, last + 1):
        row = journal.row(number)
        assert row is not None
        tail = chain(tail, row)
        journal._connection.execute("UPDATE events SET hash = ? WHERE sequence = ?", (tail, number))
    return Link(last, tail)


class TestRemoved:
    @pytest.mark.parametrize("number", WHOLE)
    def test_one_row(self, whole: Journal, number: int) -> None:
        remove(whole, number)
        assert found(whole).sequence == number
        assert f"event {number} is missing" in found(whole).problem

    @pytest.mark.parametrize("number", AFTER_PRUNING)
    def test_one_row_after_pruning(self, pruned: Journal, number: int) -> None:
        remove(pruned, number)
        assert found(pruned).sequence == number
        assert f"event {number} is missing" in found(pruned).problem

    @pytest.mark.parametrize(("number", "named"), [(5, PRUNED), (9, PRUNED), (12, 12)])
    def test_one_row_and_the_gap_closed(self, pruned: Journal, number: int, named: int) -> None:
        remove(pruned, number)
        for later in range(number + 1, 15):
            move(pruned, later, later - 1)
        assert found(pruned).sequence == named  # the row that the rest is proven from was moved as well

    def test_several(self, whole: Journal) -> None:
        change(whole, "DELETE FROM events WHERE sequence IN (3, 4, 5, 8)")
        assert found(whole) == Finding(3, "events 3 to 5 are missing")

    def test_the_oldest(self, whole: Journal) -> None:
        change(whole, "DELETE FROM events WHERE sequence < 6")
        assert found(whole) == Finding(1, "events 1 to 5 are missing")

    def test_the_newest(self, pruned: Journal) -> None:
        change(pruned, "DELETE FROM events WHERE sequence > 12")
        assert found(pruned) == Finding(13, "events 13 to 14 are missing: the newest were removed")

    @pytest.mark.parametrize("recorded_since", [0, 1])
    def test_all(self, whole: Journal, recorded_since: int) -> None:
        change(whole, "DELETE FROM events")
        record(whole, HISTORY[:recorded_since])
        assert found(whole).sequence == 1

    def test_the_newest_and_the_daemon_goes_on(self, whole: Journal) -> None:
        change(whole, "DELETE FROM events WHERE sequence > 7")
        record(whole, HISTORY[-3:])
        assert found(whole) == Finding(8, "events 8 to 10 are missing")


class TestMoved:
    @pytest.mark.parametrize(("one", "other"), [(1, 2), (1, 10), (4, 6), (9, 10)])
    def test_rows_in_another_order(self, whole: Journal, one: int, other: int) -> None:
        move(whole, one, 99)
        move(whole, other, one)
        move(whole, 99, other)
        assert found(whole).sequence == one

    def test_a_row_before_the_first(self, whole: Journal) -> None:
        change(whole, "UPDATE events SET sequence = 0 WHERE sequence = 4")
        assert found(whole) == Finding(0, "event 0 was put in: 1 is the oldest")


COPY = "INSERT INTO events SELECT {}, time, event, key, data, hash FROM events WHERE sequence = {}"


class TestPutIn:
    @pytest.mark.parametrize("number", [11, 12, 0, -5])
    def test_beyond_the_ends(self, whole: Journal, number: int) -> None:
        change(whole, COPY.format(number, 10))
        assert found(whole).sequence == (11 if number > 10 else number)

    @pytest.mark.parametrize("number", [1, 5, 10])
    def test_in_between(self, whole: Journal, number: int) -> None:
        for later in range(10, number, -1):
            move(whole, later, later + 1)
        change(whole, COPY.format(number + 1, number))
        assert found(whole).sequence == number + 1

    def test_at_the_end_with_a_hash_that_follows(self, whole: Journal) -> None:
        change(whole, COPY.format(11, 10))
        forge(whole, 11, 11)
        assert found(whole) == Finding(11, "event 11 was put in: the newest that was recorded is 10")

    def test_before_the_oldest_that_is_kept(self, pruned: Journal) -> None:
        change(pruned, COPY.format(4, 5))
        assert found(pruned) == Finding(4, "event 4 was put in: 5 is the oldest")


FACTS = {
    "edited": "UPDATE {} SET data = replace(data, '/r/x.db', '/r/z.db') WHERE key = 'ticks/2026-01-20'",
    "no JSON": "UPDATE {} SET data = 'x' WHERE key = 'ticks/2026-01-20'",
    "no facts": "UPDATE {} SET data = '[]' WHERE key = 'ticks/2026-01-20'",
    "no text": "UPDATE {} SET data = CAST(x'ff' AS TEXT) WHERE key = 'ticks/2026-01-20'",
    "forgotten": "UPDATE {} SET data = '{{}}' WHERE key = 'ticks/2026-01-20'",
    "removed": "DELETE FROM {} WHERE key = 'ticks/2026-01-20'",
    "of another key": "UPDATE {} SET key = 'ticks/1999-01-01' WHERE key = 'ticks/2026-01-20'",
    "added": "INSERT INTO {} VALUES ('ticks/2027-01-01', '{{}}')",
    "added, no JSON": "INSERT INTO {} VALUES ('ticks/2027-01-01', 'x')",
    "added, no text": "INSERT INTO {} VALUES (x'00', 'x')",
}


class TestFacts:
    @pytest.mark.parametrize("statement", FACTS.values(), ids=FACTS)
    def test_that_are_not_what_the_events_say_are_named(self, pruned: Journal, statement: str) -> None:
        change(pruned, statement.format("facts"))
        finding = found(pruned)
        assert finding.sequence is None
        if "ff" not in statement:
            assert "facts of " in finding.problem
            assert "ticks/" in finding.problem or "b'" in finding.problem

    @pytest.mark.parametrize("statement", FACTS.values(), ids=FACTS)
    def test_that_pruned_events_left_are_vouched_for_by_their_anchor(
        self, pruned: Journal, statement: str
    ) -> None:
        change(pruned, statement.format("anchor_facts"))
        finding = found(pruned)
        if "ff" not in statement:
            assert finding.sequence == PRUNED
            assert "anchor_facts" in finding.problem

    def test_of_pruned_events_that_there_never_were(self, whole: Journal) -> None:
        change(whole, "INSERT INTO anchor_facts SELECT * FROM facts")
        assert found(whole) == Finding(None, "what pruned events had come to (anchor_facts) was edited")

    def test_written_in_another_way_mean_the_same(self, pruned: Journal) -> None:
        change(pruned, "UPDATE facts SET data = replace(data, ',', ', ')")
        assert check(pruned, None) is None


SUMMARIES = {
    "edited": "UPDATE summaries SET ticks = ticks + 1 WHERE key = 'ticks/2026-01-20'",
    "removed": "DELETE FROM summaries WHERE key = 'ticks/2026-01-20'",
    "of another key": "UPDATE summaries SET key = 'ticks/1999-01-01' WHERE key = 'ticks/2026-01-20'",
    "of no state": "UPDATE summaries SET state = 'asleep' WHERE key = 'ticks/2026-01-20'",
    "no text": "UPDATE summaries SET sha256 = CAST(x'ff' AS TEXT) WHERE key = 'ticks/2026-01-20'",
}


class TestSummaries:
    @pytest.mark.parametrize("statement", SUMMARIES.values(), ids=SUMMARIES)
    def test_that_are_not_what_the_facts_say_are_named(self, pruned: Journal, statement: str) -> None:
        change(pruned, statement)
        finding = found(pruned)
        assert finding.sequence is None
        if "ff" not in statement:
            assert "summary of " in finding.problem


META = {
    "head": "UPDATE meta SET value = value - 1 WHERE name = 'head'",
    "head, later": "UPDATE meta SET value = value + 1 WHERE name = 'head'",
    "head_hash": "UPDATE meta SET value = randomblob(32) WHERE name = 'head_hash'",
    "anchor": "UPDATE meta SET value = 12 WHERE name = 'anchor'",
    "anchor that is not there": "UPDATE meta SET value = 99 WHERE name = 'anchor'",
    "no anchor": "UPDATE meta SET value = 0 WHERE name = 'anchor'",
    "head of another type": "UPDATE meta SET value = 'x' WHERE name = 'head'",
    "head removed": "DELETE FROM meta WHERE name = 'head'",
    "head_hash removed": "DELETE FROM meta WHERE name = 'head_hash'",
    "anchor removed": "DELETE FROM meta WHERE name = 'anchor'",
    "a table removed": "DROP TABLE anchor_facts",
}


@pytest.mark.parametrize("statement", META.values(), ids=META)
def test_edited_notes_show(pruned: Journal, statement: str) -> None:
    change(pruned, statement)
    assert found(pruned).problem


def written_anew(journal: Journal, history: list[tuple[str, Event]]) -> None:
    """Somebody who knows tickward well replaces everything, as if it had never been otherwise."""
    connection = journal._connection
    with connection:
        for table in ("events", "facts", "anchor_facts"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608
        connection.execute("UPDATE meta SET value = 0 WHERE name = 'anchor'")
        put_head(connection, BEGINNING)
    record(journal, history)
    assert check(journal, None) is None


class TestWhatWasNotedOutside:
    def test_a_journal_that_was_written_anew(self, whole: Journal) -> None:
        witness = whole.witness()
        assert witness is not None
        written_anew(whole, [*HISTORY[:4], (KEY, sealed(ticks=11)), *HISTORY[5:]])
        finding = found(whole, witness)
        assert finding.sequence == 10
        assert "event 10 is not the one that was there at 2026-01-20 10:00:00 UTC" in finding.problem

    def test_a_journal_that_was_written_anew_and_went_on(self, whole: Journal) -> None:
        witness = whole.witness()
        written_anew(whole, [HISTORY[0], *HISTORY, *HISTORY])
        assert found(whole, witness).sequence == 10

    def test_a_journal_that_was_cut_and_everything_else_with_it(self, whole: Journal) -> None:
        witness = whole.witness()
        written_anew(whole, HISTORY[:8])
        assert found(whole, witness) == Finding(
            9, "events 9 to 10 are missing: an older copy of it was put in its place"
        )

    def test_another_journal_in_its_place(self, whole: Journal) -> None:
        witness = whole.witness()
        change(whole, "UPDATE meta SET value = 7 WHERE name = 'epoch'")
        with Journal.open_for_writing(Path(whole._connection.filename)) as other:
            assert check(other, None) is None
            assert "another was begun" in found(other, witness).problem

    @pytest.mark.parametrize("count", range(1, 11))
    def test_every_event_may_be_noted(self, whole: Journal, count: int) -> None:
        witness = Witness(f"{whole.epoch:x}", count, (whole.link(count) or b"").hex(), AT)
        assert isinstance(proof := examine(whole, witness), Proof)
        assert proof.outside == count
        assert found(whole, replace(witness, hash="ab")).sequence == count

    @pytest.mark.parametrize(("number", "known"), [(3, False), (4, True), (5, True)])
    def test_it_says_nothing_once_it_was_pruned(self, whole: Journal, number: int, known: bool) -> None:
        witness = Witness(f"{whole.epoch:x}", number, (whole.link(number) or b"").hex(), AT)
        prune(whole)
        assert isinstance(proof := examine(whole, witness), Proof)
        assert proof.outside == (number if known else None)
        assert (check(whole, replace(witness, hash="ab")) is not None) is known


class TestWhatIsProven:
    def test_of_a_whole_journal(self, whole: Journal) -> None:
        until = AT + timedelta(hours=10)
        proof = Proof(10, 1, 10, AT + timedelta(hours=1), until, 0, 4, None)
        assert examine(whole, None) == proof
        assert examine(whole, whole.witness()) == replace(proof, outside=10)

    def test_of_a_pruned_one(self, pruned: Journal) -> None:
        times = AT + timedelta(hours=5), AT + timedelta(hours=14)
        assert examine(pruned, None) == Proof(10, 5, 14, *times, PRUNED, 4, None)

    def test_of_an_empty_one(self, file: Path) -> None:
        with Journal.open_for_writing(file) as journal:
            assert examine(journal, journal.witness()) == Proof(0, 0, 0, None, None, 0, 0, None)

    def test_a_reader_can_do_it(self, pruned: Journal, file: Path) -> None:
        with reading(file) as reader:
            assert examine(reader, None) == examine(pruned, None)

    def test_an_event_that_is_none_of_its_kind(self, whole: Journal) -> None:
        change(whole, "UPDATE events SET data = '{}' WHERE sequence = 10")
        put_head(whole._connection, forge(whole, 10, 10))
        assert found(whole).sequence == 10
        assert "none of its kind" in found(whole).problem


def test_a_file_that_is_damaged_cannot_be_read(whole: Journal, file: Path) -> None:
    record(whole, HISTORY * 200)
    whole.close()
    content = bytearray(file.read_bytes())
    for page in range(8, len(content) // 4096, 2):
        content[page * 4096 : page * 4096 + 3000] = b"\xff" * 3000
    file.write_bytes(content)
    with reading(file) as reader:
        assert found(reader).problem


WRITER = """
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tests.watcher.test_audit import HISTORY
from watcher.journal import Journal
with Journal.open_for_writing(Path(sys.argv[1])) as journal:
    at = datetime(2026, 1, 20, tzinfo=UTC)
    for number in range(10**9):
        at += timedelta(hours=1)
        journal.record(HISTORY, at)
        if number % 3 == 2:
            journal.prune(at - timedelta(hours=4), at, limit=25, least=5)
        print(journal.head(), flush=True)
"""


def test_it_can_be_done_while_the_daemon_records_and_prunes(file: Path) -> None:
    with Child(WRITER, file) as child:
        heads = set()
        child.said()
        for _ in range(40):
            child.said()
            with reading(file) as reader:
                proof = examine(reader, reader.witness())
                assert isinstance(proof, Proof), proof
                heads.add(proof.last)
        child.kill()
    assert len(heads) > 1


@pytest.mark.parametrize("lines", [1, 3, 8, 20])
def test_whatever_a_kill_interrupts_is_proven_afterwards(file: Path, lines: int) -> None:
    with Child(WRITER, file) as child:
        told = [int(child.said()) for _ in range(lines)][-1]
        child.kill()
    with Journal.open_for_writing(file) as journal:
        assert journal.head() >= told
        assert check(journal, journal.witness()) is None


ENTRIES = st.sampled_from([*HISTORY, (KEY, Reopened("/r/x.db", "late")), ("ticks", HISTORY[1][1])])
STEPS = st.one_of(
    st.lists(ENTRIES, max_size=5),
    st.tuples(st.integers(0, 30), st.integers(1, 10)),  # prune: older than so many hours, at most so many
)


@given(st.lists(STEPS, max_size=15))
def test_a_journal_that_nobody_touched_is_proven_and_pruning_changes_no_facts(
    steps: list[list[tuple[str, Event]] | tuple[int, int]],
) -> None:
    connection = apsw.Connection(":memory:")
    begin(connection)
    journal, facts, witness = Journal(connection), dict[str, Facts](), None
    for hours, step in enumerate(steps):
        now = AT + timedelta(hours=hours)
        if isinstance(step, list):
            journal.record(step, now)
            for key, event in step:
                facts[key] = fold(facts.get(key, Facts()), event, now)
        elif record := journal.prune(AT + timedelta(hours=step[0]), now, limit=step[1], least=1):
            facts["-"] = fold(facts.get("-", Facts()), record.decode(), now)
        assert check(journal, witness) is None
        witness = journal.witness() or witness
    assert journal.all_facts() == facts
    assert check(journal, witness) is None
    journal.close()


class TestTheTrail:
    def test_has_every_event_with_its_hash(self, whole: Journal) -> None:
        entries = list(trail(whole))
        assert [entry.sequence for entry in entries] == list(range(1, 11))
        for entry, row, told in zip(entries, whole.rows(), whole.since(0), strict=True):
            assert (entry.time, entry.event, entry.key) == row[1:4]
            assert (bytes(entry.data).decode(), bytes.fromhex(entry.hash)) == row[4:]
            assert msgspec.json.decode(entry.data) == msgspec.json.decode(told.data)

    def test_has_the_policy_in_force(self, whole: Journal) -> None:
        record(whole, [("-", Configured({"expire": "never"})), *HISTORY[2:4]])
        policies = [entry.policy for entry in trail(whole)]
        assert policies == [{"compress": "after 7 days"}] * 10 + [{"expire": "never"}] * 3
        assert [entry.policy for entry in trail(whole, since=9)] == policies[9:]

    def test_has_no_policy_before_one_was_recorded(self, file: Path) -> None:
        with Journal.open_for_writing(file) as journal:
            record(journal, [HISTORY[2], HISTORY[0], HISTORY[3]])
            assert [bool(entry.policy) for entry in trail(journal)] == [False, True, True]

    def test_has_it_also_if_what_said_so_was_pruned(self, pruned: Journal) -> None:
        policies = [entry.policy for entry in trail(pruned)]
        assert policies == [{"compress": "after 7 days"}] * 7 + [{"compress": "never"}] * 3

    def test_of_one_key(self, whole: Journal) -> None:
        assert [entry.sequence for entry in trail(whole, key=KEY)] == [3, 4, 5, 6, 8]
        assert [entry.sequence for entry in trail(whole, since=5, key=KEY)] == [6, 8]
        assert all(entry.policy for entry in trail(whole, key=KEY))


def test_the_digest_of_facts_is_what_its_description_says(pruned: Journal) -> None:
    facts = {
        "-": fold(Facts(), HISTORY[0][1], AT + timedelta(hours=1)),
        "ticks": fold(Facts(), HISTORY[1][1], AT + timedelta(hours=2)),
        KEY: fold(
            fold(Facts(), HISTORY[2][1], AT + timedelta(hours=3)), HISTORY[3][1], AT + timedelta(hours=4)
        ),
    }
    assert pruned.anchor_facts() == facts
    lines = [
        msgspec.json.encode([key, encode_facts(facts[key]).decode()]) + b"\n"
        for key in sorted(facts, key=str.encode)
    ]
    (said,) = [record.decode() for record in pruned.since(0) if record.event == "pruned"]
    assert said.facts_sha256 == hashlib.sha256(b"".join(lines)).hexdigest()  # type: ignore[union-attr]
