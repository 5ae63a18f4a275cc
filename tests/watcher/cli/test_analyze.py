"""`tickward analyze`: a day in any tier, or a file; what is wrong is one sentence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import pytest
from msgspec.structs import replace

from handlers.contract import Sealed
from handlers.files import signature_of
from handlers.seekable import compress_file
from handlers.vfs import settle
from tests.watcher.builders import compressed, sealed
from tests.watcher.cli.conftest import Terminal
from watcher.events import Event
from watcher.journal import Journal

BEGIN = 1_768_780_800_000  # 2026-01-19
DAY = Path("data/ticks/db/2026/01/ticks_2026-01-19.db")
PACKED = Path(f"{DAY}.zst")
ARCHIVED = Path("data/ticks/archive/2026/01/ticks_2026-01-19.db.zst")
ROWS = [
    ("EURUSD", BEGIN, 1.0, 1.0625),
    ("EURUSD", BEGIN + 90_000, 1.0, 1.0625),
    ("GBPUSD", BEGIN + 91_000, 1.5, 1.25),
    ("a[b]\x1b[2J", BEGIN + 92_000, 1.0, 2.0),
]


def make(path: Path = DAY, table: str = "ticks") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = apsw.Connection(str(path))
    connection.execute(f"CREATE TABLE {table} (symbol, timestamp, bid, ask)")
    with connection:
        connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?)", ROWS)  # noqa: S608
    connection.close()
    return path


def pack(path: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    compress_file(path, target, level=3, frame_bytes=64 * 1024)
    path.unlink()
    return target


def record(folder: Path, *events: Event) -> None:
    state = folder / "data/ticks/state"
    state.mkdir(parents=True, exist_ok=True)
    with Journal.open_for_writing(state / "journal.db") as journal:
        journal.record([("ticks/2026-01-19", event) for event in events], datetime(2026, 1, 20, tzinfo=UTC))


def test_a_day_is_the_same_in_every_tier(tickward: Terminal) -> None:
    tickward.configure()
    make()
    hot = tickward("analyze", "2026-01-19", "--json").json
    pack(DAY, PACKED)
    warm = tickward("analyze", "ticks/2026-01-19", "--json").json
    ARCHIVED.parent.mkdir(parents=True)
    PACKED.rename(ARCHIVED)
    cold = tickward("analyze", "2026-01-19", "--stream", "ticks", "--json").json
    assert [each["tier"] for each in (hot, warm, cold)] == ["hot", "warm", "cold"]
    assert (hot["database"], hot["path"]) == ("ticks/2026-01-19", str(tickward.folder / DAY))
    assert hot["note"] == "not sealed: ticks may still be written to it"
    assert hot["compression"] is None
    assert warm["compression"] == cold["compression"]
    assert warm["compression"]["bytes"] == ARCHIVED.stat().st_size
    for each in (hot, warm, cold):
        for key in ("path", "tier", "note", "compression"):
            del each[key]
    assert hot == warm == cold
    assert hot["content"]["ticks"] == 4
    assert [gap["length_ms"] for gap in hot["content"]["gaps"]["listed"]] == [90_000]


def test_for_people(tickward: Terminal) -> None:
    make(Path("day.db"))
    ended = tickward("analyze", "day.db")
    assert (ended.code, ended.err) == (0, "")
    for said in (
        "size         8.19 kB: 2 pages of 4,096 bytes, none free",
        f"last writer  SQLite {apsw.sqlite_lib_version()}; journal mode: rollback",
        "ticks        4 of 3 symbols",
        "stamps       2026-01-19 00:00:00.000 to 2026-01-19 00:01:32.000 UTC",
        "gaps         1 longer than a minute, 1 min 30 s in all",
        "invalid      2 rows",
        "00:00:00.000  00:01:30.000  1 min 30 s",
        r"a[b]\x1b[2J",
    ):
        assert said in ended.out
    rows = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert "ticks table 4.1 kB 50.0%" in rows
    assert "EURUSD 2 00:00:00 00:01:30 0.0625 1 min 30 s 00:00:00 0" in rows
    assert "ask < bid: 1 3 GBPUSD 2026-01-19 00:01:31.000 1.5 1.25 -0.25" in rows
    assert "\x1b" not in ended.out


def test_a_compressed_file_says_so(tickward: Terminal) -> None:
    pack(make(Path("day.db")), Path("day.db.zst"))
    assert " times smaller, 1 frame of up to 8.19 kB" in tickward("analyze", "day.db.zst").out


def test_the_table_is_that_of_the_stream(tickward: Terminal) -> None:
    tickward.configure(
        '[data.streams.quotes]\ntable = "offers"\npattern = "q/{date}.db"\n[data.streams.ticks]\n'
    )
    make(Path("data/ticks/db/q/2026-01-19.db"), "offers")
    assert tickward("analyze", "quotes/2026-01-19", "--json").json["content"]["ticks"] == 4
    assert (
        tickward("analyze", "data/ticks/db/q/2026-01-19.db", "--stream", "quotes", "--json").json["table"]
        == "offers"
    )
    other = tickward("analyze", "data/ticks/db/q/2026-01-19.db", "--json").json
    assert other["content"]["ticks"] is None
    assert other["untold"] == ["content: there is no table ticks"]
    assert (
        "not told: content: there is no table ticks"
        in tickward("analyze", "data/ticks/db/q/2026-01-19.db").out
    )


def written_by(version: int, path: Path) -> Path:
    with path.open("r+b") as file:
        file.seek(96)
        file.write(version.to_bytes(4, "big"))
    return path


def test_a_writer_with_the_wal_reset_bug(tickward: Terminal) -> None:
    written_by(3_045_001, make(Path("day.db")))
    out = tickward("analyze", "day.db").out
    assert "last writer  SQLite 3.45.1; journal mode: rollback" in out
    assert "warning: SQLite 3.45.1 has the WAL-reset bug" in out


def of_the_writer(path: Path) -> Sealed:
    signature = signature_of(path)
    assert signature is not None
    return replace(sealed(signature), sqlite_version=3_045_001)


def test_of_a_sealed_day_the_last_writer_is_not_who_sealed_it(tickward: Terminal) -> None:
    tickward.configure()
    make()
    record(tickward.folder, of_the_writer(DAY))
    assert tickward("analyze", "2026-01-19", "--json").json["sqlite_version"] == "3.45.1"
    pack(DAY, PACKED)
    record(tickward.folder, compressed())
    assert tickward("analyze", "2026-01-19", "--json").json["sqlite_version"] == "3.45.1"


def test_who_wrote_to_a_day_after_it_was_sealed_is_in_its_header(tickward: Terminal) -> None:
    tickward.configure()
    make()
    record(tickward.folder, of_the_writer(DAY))
    apsw.Connection(str(DAY)).execute("CREATE TABLE late (a)")
    assert tickward("analyze", "2026-01-19", "--json").json["sqlite_version"] == apsw.sqlite_lib_version()


_WHOLE = "x.zst cannot be read: x.zst does not end in a seek table, and cannot be read as a whole"


def junk(path: Path) -> None:
    path.write_bytes(b"no database " * 1000)


def damaged(path: Path) -> None:
    data = bytearray(make(path).read_bytes())
    data[4096:4104] = b"\xff" * 8
    path.write_bytes(data)


def cut_off(path: Path) -> None:
    pack(make(Path("whole.db")), path)
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("name", "spoil", "said"),
    [
        ("x.db", Path.touch, "x.db is not an SQLite database: it is empty"),
        ("x.db", junk, "x.db is not an SQLite database: file is not a database"),
        ("x.db", damaged, "x.db cannot be read: database disk image is malformed"),
        ("x.zst", junk, f"{_WHOLE}: x.zst: no frame begins at byte 0"),
        ("x.zst", cut_off, f"{_WHOLE}: x.zst is truncated"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_and_1(
    tickward: Terminal, name: str, spoil: Callable[[Path], Any], said: str
) -> None:
    spoil(Path(name))
    ended = tickward("analyze", name)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"tickward: {said}\n"


@pytest.mark.parametrize(("spoil", "said"), [(damaged, "corrupt"), (junk, "seal is impossible")])
def test_a_damaged_day_without_a_seal_is_not_sent_to_verify(
    tickward: Terminal, spoil: Callable[[Path], Any], said: str
) -> None:
    tickward.configure()
    DAY.parent.mkdir(parents=True)
    spoil(DAY)
    ended = tickward("analyze", "2026-01-19")
    assert ended.code == 1
    assert "; it has no seal yet: when its day is over `tickward once` checks it, and" in ended.err
    assert tickward("once").code == 1
    assert f"ticks/2026-01-19: {said}: " in tickward("status").out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["2026-01-19"], 1, "ticks/2026-01-19: data.root "),
        (["nosuch.db"], 2, "nosuch.db: there is no such file"),
        (["2026-02-30"], 2, "'2026-02-30' is neither a day"),
        (["."], 2, "'.' is neither a day"),
        (["nosuch/2026-01-19"], 2, "--stream: there is no stream 'nosuch'; the streams are: ticks"),
        (
            ["2026-01-19", "--stream", "nosuch"],
            2,
            "--stream: there is no stream 'nosuch'; the streams are: ticks",
        ),
    ],
)
def test_days_that_are_not_there(tickward: Terminal, arguments: list[str], code: int, said: str) -> None:
    ended = tickward("analyze", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith(f"tickward: {said}")
    assert tickward.tree() == set()


def test_a_day_that_was_written_to_meanwhile_is_not_reported(
    tickward: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(Path("day.db"))
    monkeypatch.setattr("handlers.vfs.settle", lambda connection: (path.touch(), settle(connection)))
    ended = tickward("analyze", "day.db")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "tickward: day.db was written to while it was read: ask again\n"


def test_nothing_is_written(tickward: Terminal) -> None:
    make(Path("day.db"))
    before = tickward.tree()
    assert tickward("analyze", "day.db").code == 0
    assert tickward.tree() == before
