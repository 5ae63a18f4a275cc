"""`tickward query`: the rows of many days in every tier, and what is missing by name."""

from __future__ import annotations

import csv
import io
import json
import shlex
import signal
import subprocess
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import apsw
import pytest

from handlers.seek_table import SeekableError, TooLargeError
from tests.watcher.cli.conftest import Terminal
from tests.watcher.processes import PATIENCE_SECONDS, Watched
from tests.watcher.query.tree import make_day, make_tree, pack
from watcher.__main__ import EXIT_CLOSED_PIPE
from watcher.cli.query import days_between
from watcher.errors import ConfigError
from watcher.query.mending import is_damage

COUNT = "SELECT symbol, count(*) AS n FROM ticks GROUP BY symbol ORDER BY symbol"
FOR_EVER = "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) SELECT count(*) FROM a"
ALL = ("--from", "2026-01-14", "--to", "2026-01-19")
TODAY = date(2026, 1, 20)
MISSING = ["tickward: missing: 2 days, ticks/2026-01-14, ticks/2026-01-17: no database of it is known"]
NOTE = (
    "tickward: note: 2 days, ticks/2026-01-18 to ticks/2026-01-19: not sealed: ticks may still be written to"
    " it"
)


@pytest.fixture
def terminal(tickward: Terminal, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    tickward.configure()
    make_tree(tickward.folder)
    (tickward.folder / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tickward.folder / "tmp"))
    return tickward


def spoil(path: Path, at: int = 200) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


class TestADamagedDay:
    """What is advised is what helps: it is done here, to its end."""

    ARCHIVED, PACKED = "2026-01-15", "2026-01-16"

    @pytest.fixture
    def copy(self, terminal: Terminal) -> Path:
        """Of the compressed day, which is then damaged: no journal knows any of them."""
        top = terminal.folder / "data/ticks"
        packed = top / f"db/2026/01/ticks_{self.PACKED}.db.zst"
        copy = top / "backup/2026/01" / packed.name
        copy.parent.mkdir(parents=True)
        copy.write_bytes(packed.read_bytes())
        spoil(packed)
        return copy

    @pytest.mark.parametrize("days", [("--day", PACKED), ALL], ids=["alone", "among others"])
    def test_without_a_seal_is_mended_by_hand_and_adopted(
        self, terminal: Terminal, copy: Path, days: tuple[str, ...]
    ) -> None:
        ended = terminal("query", *days, COUNT)
        assert ended.code == 1
        bad = terminal.folder / f"data/ticks/db/2026/01/{copy.name}"
        way = f"; it has no seal yet: move {bad} away, then `tickward adopt` takes the day from another copy"
        assert way in ended.err
        assert "tickward verify" not in ended.err
        assert f"{way}\n" in terminal("shell", self.PACKED, "--command", "SELECT count(*) FROM ticks").err
        bad.unlink()
        assert terminal("adopt", "--yes").code == 0
        assert terminal("verify", self.PACKED).code == 0
        assert terminal("query", "--day", self.PACKED, COUNT).code == 0

    def test_with_a_seal_is_mended_by_verify(self, terminal: Terminal) -> None:
        day = "2026-01-19"
        for step in ("seal", "backup", "compress"):
            assert terminal(step, day).code == 0
        packed = terminal.folder / f"data/ticks/db/2026/01/ticks_{day}.db.zst"
        spoil(packed)
        ended = terminal("query", "--day", day, COUNT)
        assert ended.err.endswith(f"; `tickward verify ticks/{day}` mends it from another copy\n")
        assert terminal("verify", f"ticks/{day}").code == 0
        assert terminal("query", "--day", day, COUNT).code == 0

    def test_of_its_writers_is_not_to_be_moved(self, terminal: Terminal) -> None:
        day = terminal.folder / "data/ticks/db/2026/01/ticks_2026-01-19.db"
        spoil(day, 0)
        ended = terminal("query", "--day", "2026-01-19", COUNT)
        assert "; it has no seal yet: when its day is over `tickward once` checks it, and" in ended.err
        assert "away" not in ended.err
        assert terminal("once").code == 1
        assert "ticks/2026-01-19: seal is impossible: " in terminal("status").out

    def test_that_there_is_no_room_for_is_not_damaged(self) -> None:
        error = SeekableError("there is no room")
        assert is_damage(error)
        error.__cause__ = TooLargeError("so much")
        assert not is_damage(error)


def test_days_of_every_tier_in_order_and_what_is_missing_by_name(terminal: Terminal) -> None:
    before = terminal.tree()
    ended = terminal("query", *ALL, "--format", "csv", COUNT)
    assert ended.code == 0
    assert list(csv.reader(io.StringIO(ended.out))) == [
        ["day", "symbol", "n"],
        *(
            [f"2026-01-{day}", symbol, str(20 + 2 * (day - 15))]
            for day in (15, 16, 18, 19)
            for symbol in ("EURUSD", "GBPUSD", "XAUUSD")
        ),
    ]
    assert ended.err.splitlines() == [*MISSING, NOTE]
    assert terminal.tree() == before


def test_compressed_days_answer_as_plain_ones(terminal: Terminal) -> None:
    sql = "SELECT * FROM ticks ORDER BY symbol, timestamp"
    before = terminal("query", "--day", "2026-01-18", "--format", "json", sql)
    path = terminal.folder / "data/ticks/db/2026/01/ticks_2026-01-18.db"
    pack(path)
    after = terminal("query", "--day", "2026-01-18", "--format", "json", sql)
    assert (after.code, after.out, after.err) == (0, before.out, "")
    assert len(json.loads(after.out)) == 78


def test_merge_is_a_second_statement_on_all_rows(terminal: Terminal) -> None:
    merge = "SELECT symbol, sum(n) AS n, count(DISTINCT day) AS days FROM days GROUP BY symbol"
    rows = terminal("query", *ALL, "--format", "json", COUNT, "--merge", merge).out
    assert json.loads(rows) == [
        {"symbol": symbol, "n": 96, "days": 4} for symbol in ("EURUSD", "GBPUSD", "XAUUSD")
    ]


def test_statements_from_files_and_from_a_pipe(terminal: Terminal) -> None:
    Path("count.sql").write_text(f"-- how many\n{COUNT};\n")
    options = ("--last", "2", "--format", "csv", "@count.sql", "--merge", "-")
    process = terminal.start("query", *options, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate("SELECT min(day) AS day, total(n) FROM days", PATIENCE_SECONDS)
    assert out == "day,total(n)\n2026-01-19,84.0\n", err  # text mode makes \n of \r\n


def test_a_table_says_what_it_does_not_show(terminal: Terminal) -> None:
    many = "SELECT a.id, b.id FROM ticks a, ticks b"
    ended = terminal("query", "--day", "2026-01-15", many)
    assert ended.code == 0
    assert len(ended.out.splitlines()) == 1001
    assert ended.err == "tickward: the first 1,000 of 3,600 rows; --format csv gives all of them\n"
    merged = terminal("query", *ALL, many.replace("b.id", "b.id AS other"), "--merge", "SELECT * FROM days")
    assert "the first 1,000 of 21,096 rows" in merged.err


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_file_is_whole_or_not_there(terminal: Terminal, form: str) -> None:
    options = ("query", "--day", "2026-01-15", "--format", form, "--out", "rows")
    printed = terminal(*options[:-2], COUNT)
    assert terminal(*options, COUNT).out == ""
    text = Path("rows").read_bytes().decode()
    assert text.splitlines() == printed.out.splitlines()
    again = terminal(*options, COUNT)
    assert again.code == 2
    assert "--force" in again.err
    assert terminal(*options, "--force", "SELECT 1 AS one").code == 0
    assert "one" in Path("rows").read_text()
    assert terminal(*options, "--force", "SELECT abs(-9223372036854775808)").code == 1
    assert "one" in Path("rows").read_text()
    assert {path.name for path in terminal.folder.iterdir()} == {"config.toml", "data", "rows", "tmp"}


@pytest.mark.parametrize(
    "out", ["data/ticks/db/2026/01/ticks_2026-01-15.db", "data/ticks/backup/x.csv", "tmp"]
)
def test_where_days_are_no_file_is_written(terminal: Terminal, out: str) -> None:
    before = terminal.tree()
    ended = terminal("query", "--day", "2026-01-15", COUNT, "--format", "csv", "--force", "--out", out)
    assert (ended.code, ended.out) == (2, "")
    assert "--out: " in ended.err
    assert terminal.tree() == before


def test_a_file_is_written_as_its_name_ends_and_never_cut(terminal: Terminal) -> None:
    for name, begins in (("x.csv", "day,symbol,n"), ("x.JSON", "[")):
        assert terminal("query", "--day", "2026-01-15", COUNT, "--out", name).code == 0
        assert Path(name).read_text().startswith(begins)
    ended = terminal("query", "--day", "2026-01-15", COUNT, "--out", "rows")
    assert (ended.code, Path("rows").exists()) == (2, False)
    assert "Give --format csv or json" in ended.err


def test_json_and_a_day_as_everything_prints_it(terminal: Terminal) -> None:
    ended = terminal("query", "--day", "ticks/2026-01-15", "--json", COUNT)
    assert ended.code == 0
    assert ended.out.startswith("[")
    assert terminal("query", "--day", "2026-01-15", "--json", "--format", "csv", COUNT).code == 2


def test_a_misspelt_name_in_double_quotes_is_no_text(terminal: Terminal) -> None:
    ended = terminal(
        "query", "--day", "2026-01-15", """SELECT count(*) FROM ticks WHERE "symbl" = 'EURUSD'"""
    )
    assert ended.code == 2
    assert "symbl" in ended.err


def damage(terminal: Terminal) -> None:
    path = terminal.folder / "data/ticks/db/2026/01/ticks_2026-01-16.db.zst"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


SUM = "SELECT total(bid + ask) AS t FROM ticks"


@pytest.mark.parametrize("options", [("--out", "x.csv"), ("--merge", "SELECT sum(t) FROM days")])
def test_what_must_be_complete_is_not_given_without_a_day(
    terminal: Terminal, options: tuple[str, ...]
) -> None:
    damage(terminal)
    ended = terminal("query", *ALL, *options, SUM)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.endswith("tickward: no answer without 1 of 4 days, but with --partial\n")
    assert not Path("x.csv").exists()
    ended = terminal("query", *ALL, *options, "--partial", SUM)
    assert ended.code == 1
    assert ended.err.endswith("tickward: the answer lacks 1 of 4 days\n")
    assert Path("x.csv").exists() or ended.out


def test_a_damaged_day_is_status_1_and_the_others_answer(terminal: Terminal) -> None:
    damage(terminal)
    ended = terminal("query", *ALL, "--format", "csv", "SELECT total(bid + ask) AS t FROM ticks")
    assert ended.code == 1
    assert [line.split(",")[0] for line in ended.out.splitlines()] == [
        *("day", "2026-01-15", "2026-01-18", "2026-01-19")
    ]
    assert "tickward: failed: ticks/2026-01-16: " in ended.err
    assert ended.err.endswith("tickward: the answer lacks 1 of 4 days\n")


def test_a_range_of_years_is_said_in_a_few_lines(terminal: Terminal) -> None:
    for number in range(2, 60, 2):
        make_day(
            terminal.folder / f"data/ticks/db/{date(2025, 1, 1) + timedelta(number):%Y/%m/ticks_%F}.db",
            TODAY,
            3,
        )
    ended = terminal("query", "--from", "2020-01-01", "--format", "csv", "SELECT count(*) FROM ticks")
    assert (ended.code, len(ended.out.splitlines())) == (0, 1 + 29 + 4)
    missing, notes, how = ended.err.splitlines()
    assert missing == (
        "tickward: missing: 2179 days, ticks/2020-01-01 to ticks/2025-01-02, ticks/2025-01-04, "
        "ticks/2025-01-06 (and 29 more ranges): no database of it is known"
    )
    assert notes.startswith("tickward: note: 31 days, ticks/2025-01-03, ticks/2025-01-05, ")
    assert "tickward inventory --all --stream ticks --from 2020-01-01 --to 2026-01-20" in how
    assert terminal(*shlex.split(how.split("`")[1])[1:]).code == 0


def test_where_no_day_is_there_is_no_answer(terminal: Terminal) -> None:
    ended = terminal("query", "--from", "2025-01-01", "--to", "2025-01-31", COUNT)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines() == [
        "tickward: missing: 31 days, ticks/2025-01-01 to ticks/2025-01-31: no database of it is known",
        "tickward: none of these days is there: 31 days, ticks/2025-01-01 to ticks/2025-01-31",
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--day", "2026-01-15", "SELECT sprad FROM ticks"), "ticks/2026-01-15: no such column: sprad"),
        (("--day", "2026-01-15", "DELETE FROM ticks"), "only reading is allowed"),
        (("--day", "2026-01-15", "SELECT 1; SELECT 2"), "more than one statement"),
        (
            (*ALL, COUNT, "--merge", "SELECT m FROM days"),
            "no such column: m; the table days has the columns day,",
        ),
        ((*ALL, COUNT, "--merge", "DELETE FROM days"), "--merge: only reading is allowed"),
        ((*ALL, "SELECT 1 AS day", "--merge", "SELECT 1"), "duplicate column name: day"),
        ((*ALL, "SELECT 1 AS a, 2 AS a", "--format", "json"), "two columns are called 'a'"),
        ((COUNT,), "of which days?"),
        (("--to", "2026-01-19", COUNT), "of which days?"),
        (("--day", "2026-01-15", "--last", "3", COUNT), "give one of them"),
        (("--day", "2026-01-32", COUNT), "--day: '2026-01-32' is not a day such as"),
        (("--from", "2026-01-19", "--to", "2026-01-18", COUNT), "2026-01-19 is after 2026-01-18"),
        (
            ("--day", "2026-01-15", "--stream", "bars", COUNT),
            "there is no stream 'bars'; the streams are: ticks",
        ),
        (("--day", "2026-01-15", "@nosuch.sql"), "the SQL cannot be read from @nosuch.sql"),
        (("--day", "2026-01-15", "-", "--merge", "-"), "only one of the two"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence_and_2(
    terminal: Terminal, arguments: tuple[str, ...], complaint: str
) -> None:
    ended = terminal("query", *arguments)
    assert (ended.code, ended.out) == (2, "")
    (sentence,) = [line for line in ended.err.splitlines() if line not in [*MISSING, NOTE]]
    assert complaint in sentence


def test_which_days() -> None:
    def days(*options: object) -> tuple[str, str, int]:
        found = days_between(*options, TODAY)  # type: ignore[arg-type]
        return str(found[0]), str(found[-1]), len(found)

    assert days("2026-01-15", None, None, None) == ("2026-01-15", "2026-01-15", 1)
    assert days(None, "2026-01-15", None, None) == ("2026-01-15", "2026-01-20", 6)
    assert days(None, "2024-02-28", "2024-03-01", None) == ("2024-02-28", "2024-03-01", 3)
    assert days(None, None, None, 1) == ("2026-01-20", "2026-01-20", 1)
    assert days(None, None, None, 31) == ("2025-12-21", "2026-01-20", 31)
    with pytest.raises(ConfigError, match="later --from"):
        days(None, "0001-01-01", None, None)


def test_of_several_streams_one_is_meant(terminal: Terminal) -> None:
    terminal.configure(
        '[data.streams.bars]\npattern = "bars_{date}.db"\n[data.streams.news]\npattern = "n_{date}.db"'
    )
    assert (
        "of which stream? Give --stream; there are bars, news"
        in terminal("query", "--last", "1", "SELECT 1").err
    )
    make_day(terminal.folder / "data/ticks/db/bars_2026-01-20.db", TODAY)
    ended = terminal(
        "query", "--last", "1", "--stream", "bars", "--format", "csv", "SELECT count(*) FROM ticks"
    )
    assert ended.out.splitlines() == ["day,count(*)", "2026-01-20,60"]


STOPPED = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.mark.parametrize(("number", "code"), STOPPED)
def test_a_signal_ends_it_at_once_and_leaves_no_file(terminal: Terminal, number: int, code: int) -> None:
    options = ("query", "--day", "2026-01-18", FOR_EVER, "--format", "csv", "--out", "rows.csv")
    process = terminal.start(*options, stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert "not sealed" in process.stderr.readline()  # from here on the day is being asked
    process.send_signal(number)
    _, rest = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, rest) == (code, "")
    assert list(Path("tmp").iterdir()) == []
    assert {path.name for path in terminal.folder.iterdir()} == {"config.toml", "data", "tmp"}


@pytest.mark.parametrize(("number", "code"), STOPPED)
def test_a_signal_ends_the_workers_as_well(terminal: Terminal, number: int, code: int) -> None:
    first_is_done = f"SELECT iif(count(*) = 60, hex(zeroblob(100000)), ({FOR_EVER})) FROM ticks"  # noqa: S608
    options = ("query", *ALL, first_is_done, "--format", "csv", "--jobs", "2")
    process = terminal.start(*options, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("day,")
    workers = [Watched(pid) for pid in children_of(process.pid)]
    process.send_signal(number)
    process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == code
    assert len(workers) >= 2
    for worker in workers:
        with worker:
            assert worker.ends()
    assert list(Path("tmp").iterdir()) == []


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_whoever_stops_reading_gets_no_traceback(terminal: Terminal) -> None:
    many = "SELECT a.*, b.* FROM ticks a, ticks b"
    process = terminal.start("query", *ALL, "--format", "csv", many, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("day,id")
    process.stdout.close()
    assert process.stderr is not None
    with closing(process.stderr):
        assert process.stderr.read().splitlines() == [*MISSING, NOTE]
    assert process.wait() == EXIT_CLOSED_PIPE
    assert list(Path("tmp").iterdir()) == []


def test_a_day_is_read_beside_its_writer_who_is_not_hindered(terminal: Terminal) -> None:
    path = terminal.folder / "data/ticks/db/2026/01/ticks_2026-01-20.db"
    make_day(path, TODAY)
    writer = apsw.Connection(str(path))
    writer.pragma("journal_mode", "wal")
    writer.execute("DELETE FROM ticks WHERE id > 5")
    with writer:
        writer.execute("DELETE FROM ticks")
        ended = terminal("query", "--last", "1", "--format", "csv", "SELECT count(*) AS n FROM ticks")
    assert ended.out.splitlines() == ["day,n", "2026-01-20,5"]
    assert "ticks may still be written to it" in ended.err
    writer.close()
