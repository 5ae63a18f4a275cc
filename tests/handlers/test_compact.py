"""Compacting at sealing: the same in a smaller file, or the day as it was sealed and the reason why."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from msgspec import structs

from handlers import compact
from handlers.compact import content_hash
from handlers.contract import Sealed, Step, StepError, Trouble
from handlers.database import opened, opened_immutable
from handlers.files import sha256_of, signature_of, sweep_temporaries

NEWEST_FIRST = "CREATE INDEX newest ON ticks (timestamp DESC, bid, ask)"

EVERYTHING = """
CREATE TABLE loose (a, b);
INSERT INTO loose VALUES (1, 1.0), ('1', x'31'), (NULL, -0.5), (9223372036854775807, 1e300), ('', x'');
CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT, twice AS (text || text) STORED);
INSERT INTO counted (text) VALUES ('größe'), (char(0) || 'after'), ('x');
CREATE TABLE keyed (a TEXT COLLATE NOCASE, b, PRIMARY KEY (a DESC, b)) WITHOUT ROWID;
INSERT INTO keyed VALUES ('b', 1), ('A', 2), ('a', 3);
CREATE TABLE named (rowid, _rowid_, oid);
INSERT INTO named VALUES (3, 2, 1), (1, 2, 3);
CREATE INDEX loosely ON loose (b) WHERE a IS NOT NULL;
CREATE VIEW seen AS SELECT a FROM loose;
CREATE TRIGGER once AFTER INSERT ON loose BEGIN DELETE FROM named; END;
PRAGMA user_version = 7;
PRAGMA application_id = 42;
ANALYZE;
"""

INSERT = """
connection = connect(sys.argv[1])
run(connection, "INSERT INTO ticks (symbol, timestamp) VALUES ('late', 1)")
say(); wait(); connection.close()
"""

LEAVE = INSERT.replace("say(); wait(); connection.close()", "connection.close(); say()")


def execute(path: Path, sql: str) -> None:
    connection = apsw.Connection(str(path))
    for _ in connection.execute(sql):
        pass
    connection.close()


def hash_of(path: Path) -> str:
    with opened_immutable(path) as connection:
        return content_hash(connection)


def count(path: Path) -> Any:
    with opened(path) as connection:
        return connection.execute("SELECT count(*) FROM ticks").get


@pytest.fixture
def roomy(day: Any) -> Any:
    """A day whose index has half-empty pages, and that is to be compacted."""
    day.job = structs.replace(day.job, options=structs.replace(day.job.options, compact=True))
    day.create()
    execute(day.database, NEWEST_FIRST)
    for first in range(0, 3000, 100):
        day.fill(100, first=first)
    return day


def seal_without(day: Any) -> Sealed:
    sealed: Sealed = day.seal(options=structs.replace(day.job.options, compact=False))
    return sealed


def declined(day: Any, why: str) -> None:
    """The day is sealed as it is, and says why."""
    before = seal_without(day)
    sealed = day.seal()
    assert why in sealed.not_compacted
    assert structs.replace(sealed, not_compacted="") == before
    assert signature_of(day.database) == before.signature
    assert len(day.files()) == 1


class TestADay:
    def test_is_a_smaller_file_with_the_same_in_it(self, roomy: Any) -> None:
        execute(roomy.database, EVERYTHING)
        before = seal_without(roomy)
        content = hash_of(roomy.database)
        sealed = roomy.seal()
        assert sealed.size_bytes < before.size_bytes * 0.95
        assert (sealed.uncompacted_bytes, sealed.not_compacted) == (before.size_bytes, "")
        assert sealed.content_sha256 == content == hash_of(roomy.database)
        assert sealed.sha256 == sha256_of(roomy.database)
        assert sealed.signature == signature_of(roomy.database)
        assert (sealed.ticks, sealed.last_tick_ms) == (before.ticks, before.last_tick_ms)
        assert list(roomy.files()) == ["db/2026/01/ticks_2026-01-20.db"]

    def test_keeps_its_page_size_its_mode_and_its_rows(self, roomy: Any) -> None:
        roomy.database.chmod(0o640)
        roomy.seal()
        assert roomy.database.stat().st_mode & 0o777 == 0o640
        with opened_immutable(roomy.database) as connection:
            assert connection.pragma("page_size") == 4096
            assert connection.pragma("integrity_check") == "ok"

    def test_is_not_compacted_unless_the_settings_say_so(self, roomy: Any) -> None:
        sealed = seal_without(roomy)
        assert (sealed.uncompacted_bytes, sealed.content_sha256, sealed.not_compacted) == (0, "", "")

    def test_is_compacted_once(self, roomy: Any) -> None:
        first = roomy.seal()
        second = roomy.seal()
        assert (second.sha256, second.signature) == (first.sha256, first.signature)
        assert "2 % smaller" in second.not_compacted

    def test_that_grew_is_compacted_again_and_may_not_have_lost_ticks(self, roomy: Any) -> None:
        previous = roomy.seal()
        roomy.fill(500, first=3000)
        assert roomy.seal(previous=previous).ticks == 3500
        execute(roomy.database, "DELETE FROM ticks WHERE id < 100")
        assert roomy.failed(Step.SEAL, previous=previous).trouble is Trouble.CONFLICT

    def test_killed_anywhere_is_simply_sealed_again(self, roomy: Any, kill_at: Callable[..., bool]) -> None:
        seal_without(roomy)
        roomy_bytes, content = roomy.database.read_bytes(), hash_of(roomy.database)
        job, number = structs.replace(roomy.job, step=Step.SEAL, sealed=None), 0
        while kill_at(job, number):
            assert hash_of(roomy.database) == content, f"killed before call {number}"
            sweep_temporaries(roomy.root)
            roomy.seal()
            assert hash_of(roomy.database) == content, f"killed before call {number}"
            assert len(roomy.files()) == 1, f"killed before call {number}"
            roomy.database.write_bytes(roomy_bytes)
            number += 1
        assert number > 20


class TestItStaysAsItIs:
    def test_if_that_saves_next_to_nothing(self, roomy: Any) -> None:
        execute(roomy.database, "DROP INDEX newest; VACUUM")
        declined(roomy, "2 % smaller")

    def test_if_there_is_text_that_cannot_be_compared(self, roomy: Any) -> None:
        execute(roomy.database, "INSERT INTO ticks (symbol) VALUES (CAST(x'ff41' AS TEXT))")
        declined(roomy, "not UTF-8")

    def test_if_its_text_is_of_another_encoding(self, roomy: Any) -> None:
        roomy.database.unlink()
        execute(roomy.database, "PRAGMA encoding = 'UTF-16'; CREATE TABLE ticks (x)")
        declined(roomy, "UTF-16")

    def test_if_virtual_tables_could_know_rows_by_their_numbers(self, roomy: Any) -> None:
        execute(roomy.database, "CREATE VIRTUAL TABLE texts USING fts5(x)")
        declined(roomy, "virtual tables: texts")

    def test_if_there_is_no_room_for_both(self, roomy: Any, monkeypatch: Any) -> None:
        monkeypatch.setattr("handlers.files.RESERVE_BYTES", 1 << 60)
        declined(roomy, "not enough space")

    def test_if_the_disk_fails_while_it_is_written(self, roomy: Any, monkeypatch: Any) -> None:
        def full(*_: object) -> None:
            raise OSError(28, os.strerror(28))

        monkeypatch.setattr("handlers.compact._rewrite", full)
        declined(roomy, "No space left")

    def test_if_there_are_no_hard_links(self, roomy: Any, monkeypatch: Any) -> None:
        def refused(path: Path, name: Path) -> None:
            raise StepError(f"cannot make {name}")

        monkeypatch.setattr("handlers.takeover.link_new", refused)
        declined(roomy, "cannot make")

    @pytest.mark.parametrize(
        ("statement", "why"),
        [
            ("UPDATE ticks SET bid = bid + 1e-9 WHERE id = 1700", "not hold the same"),
            ("DELETE FROM ticks WHERE id = 3000", "not hold the same"),
            ("UPDATE sqlite_schema SET rootpage = 2 WHERE name = 'newest'", "came out damaged"),
        ],
    )
    def test_if_the_smaller_file_came_out_otherwise(
        self, roomy: Any, monkeypatch: Any, statement: str, why: str
    ) -> None:
        real = compact._rewrite

        def rewrite(connection: apsw.Connection, temp: Path, size_bytes: int) -> None:
            real(connection, temp, size_bytes)
            execute(temp, f"PRAGMA writable_schema = 1; {statement}")

        monkeypatch.setattr("handlers.compact._rewrite", rewrite)
        declined(roomy, why)


def damage(day: Any, sealed: Sealed | None = None) -> None:
    """Spoil a page; with ``sealed`` in a way that the file's time stamp does not tell."""
    with day.database.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xff" * 4096)
    if sealed is not None:
        os.utime(day.database, ns=(sealed.signature.mtime_ns, sealed.signature.mtime_ns))


class TestDamage:
    def test_is_damage(self, roomy: Any) -> None:
        damage(roomy)
        before = roomy.files()
        assert roomy.failed(Step.SEAL).trouble is Trouble.CORRUPT
        assert roomy.files() == before

    def test_is_that_also_between_the_check_and_the_copy(self, roomy: Any, monkeypatch: Any) -> None:
        sealed = seal_without(roomy)
        monkeypatch.setattr("handlers.compact.require_space", lambda *_: damage(roomy, sealed))
        assert roomy.failed(Step.SEAL).trouble is Trouble.CORRUPT
        assert len(roomy.files()) == 1

    def test_is_not_what_a_writer_looks_like_that_came_back(self, roomy: Any, monkeypatch: Any) -> None:
        monkeypatch.setattr("handlers.compact.require_space", lambda *_: damage(roomy))
        assert roomy.failed(Step.SEAL).trouble is Trouble.CHANGED


class TestAWriterThatComesBack:
    """Nothing of what it writes is lost, whenever it comes."""

    @pytest.mark.parametrize("moment", ["_rewrite", "keep_access", "_require_same", "take_over"])
    @pytest.mark.parametrize("stays", [True, False])
    def test_while_the_smaller_file_is_made(
        self, roomy: Any, child: Callable[..., Any], monkeypatch: Any, moment: str, stays: bool
    ) -> None:
        real: Any = getattr(compact, moment)
        writers: list[Any] = []

        def come(*arguments: Any) -> Any:
            writers.append(child(INSERT if stays else LEAVE, roomy.database))
            return real(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(f"handlers.compact.{moment}", come)
            failure = roomy.failed(Step.SEAL)
        assert failure.trouble is (Trouble.BUSY if stays else Trouble.CHANGED)
        if stays:
            assert [holder.pid for holder in failure.holders] == [writers[0].pid]
            assert writers[0].end() == 0
        sealed = roomy.seal()
        assert (sealed.ticks, count(roomy.database), len(roomy.files())) == (3001, 3001, 1)
        assert sealed.uncompacted_bytes

    def test_when_the_smaller_file_has_the_name(
        self, roomy: Any, child: Callable[..., Any], monkeypatch: Any
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("handlers.takeover.wait", lambda _: child(LEAVE, roomy.database))
            assert roomy.failed(Step.SEAL).trouble is Trouble.CHANGED
        assert roomy.seal().ticks == 3001


class TestTheContentHash:
    def build(self, path: Path, *statements: str) -> str:
        execute(path, EVERYTHING)
        for statement in statements:
            execute(path, statement)
        return hash_of(path)

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE loose SET b = 1 WHERE a = 1",
            "UPDATE loose SET b = 1.0000000000000002 WHERE a = 1",
            "UPDATE loose SET a = '9223372036854775807' WHERE a = 9223372036854775807",
            "UPDATE loose SET b = '1' WHERE b = x'31'",
            "UPDATE loose SET a = '' WHERE a IS NULL",
            "UPDATE loose SET b = NULL WHERE b = x''",
            "UPDATE counted SET text = char(0) || 'AFTER' WHERE id = 2",
            "UPDATE counted SET id = 9 WHERE id = 3",
            "UPDATE keyed SET a = 'B' WHERE a = 'b'",
            "UPDATE named SET oid = 4, rowid = 4 WHERE oid = 1",
            "UPDATE sqlite_sequence SET seq = 9",
            "UPDATE sqlite_stat1 SET stat = '1'",
            "INSERT INTO keyed VALUES ('c', 1)",
            "DELETE FROM keyed WHERE b = 1",
            "DROP INDEX loosely",
            "DROP TRIGGER once",
            "DROP VIEW seen",
            "ALTER TABLE loose RENAME COLUMN a TO c",
            "CREATE TABLE empty (x)",
            "PRAGMA user_version = 8",
            "PRAGMA application_id = 43",
        ],
    )
    def test_tells_what_a_query_could_tell(self, tmp_path: Path, change: str) -> None:
        assert self.build(tmp_path / "a.db") != self.build(tmp_path / "b.db", change)

    @pytest.mark.parametrize(
        "change",
        [
            "VACUUM",
            "PRAGMA page_size = 512; VACUUM",
            "REINDEX",
            "PRAGMA journal_mode = wal; PRAGMA journal_mode = delete",
            "CREATE TABLE more (x); DROP TABLE more",
            "UPDATE loose SET rowid = rowid + 100",
        ],
    )
    def test_does_not_tell_how_it_is_stored(self, tmp_path: Path, change: str) -> None:
        assert self.build(tmp_path / "a.db") == self.build(tmp_path / "b.db", change)

    def test_does_not_depend_on_how_rows_are_taken_together(self, tmp_path: Path, monkeypatch: Any) -> None:
        whole = self.build(tmp_path / "a.db")
        monkeypatch.setattr("handlers.compact._CHUNK_BYTES", 1)
        assert hash_of(tmp_path / "a.db") == whole

    def test_tells_rows_of_one_table_from_those_of_another(self, tmp_path: Path) -> None:
        for name, table in (("a.db", "one"), ("b.db", "two")):
            execute(
                tmp_path / name, f"CREATE TABLE one (x); CREATE TABLE two (x); INSERT INTO {table} SELECT 1"
            )
        assert hash_of(tmp_path / "a.db") != hash_of(tmp_path / "b.db")
