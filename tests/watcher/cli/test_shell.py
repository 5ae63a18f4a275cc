"""`tickward shell`: a look into one day that cannot change anything."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from tests.watcher.cli.conftest import Ended, Terminal
from tests.watcher.processes import PATIENCE_SECONDS, PROJECT
from tests.watcher.query.tree import make_tree, spoil_checksum

DAYS = {
    "2026-01-15": "archive/2026/01/ticks_2026-01-15.db.zst",
    "2026-01-16": "db/2026/01/ticks_2026-01-16.db.zst",
    "2026-01-18": "db/2026/01/ticks_2026-01-18.db",
}


@pytest.fixture
def terminal(tickward: Terminal) -> Terminal:
    tickward.configure()
    make_tree(tickward.folder)
    return tickward


def typed(terminal: Terminal, day: str, text: str) -> Ended:
    process = terminal.start("shell", day, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(text, timeout=PATIENCE_SECONDS)
    return Ended(process.returncode, out, err)


@pytest.mark.parametrize(
    "day", [*DAYS, "ticks/2026-01-15", *(f"data/ticks/{path}" for path in DAYS.values())]
)
def test_a_day_of_any_tier_and_any_file(terminal: Terminal, day: str) -> None:
    before = terminal.tree()
    ended = terminal(
        "shell", day, "--command", "SELECT count(*) > 50 AS many FROM ticks", "--command", ".tables"
    )
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[:2] == ["many", "1"]
    assert "symbol_stats" in ended.out
    assert terminal.tree() == before


def test_statements_from_a_pipe(terminal: Terminal) -> None:
    ended = typed(terminal, "2026-01-16", ".mode csv\nSELECT symbol,\ncount(*) AS n FROM ticks GROUP BY 1;\n")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == ["symbol,n", "EURUSD,22", "GBPUSD,22", "XAUUSD,22"]


def test_the_first_error_ends_a_script(terminal: Terminal) -> None:
    ended = typed(terminal, "2026-01-16", "SELECT 1 AS a;\nSELECT nosuch;\nSELECT 2 AS b;\n")
    assert (ended.code, ended.out) == (1, "a\n1\n")
    assert "no such column: nosuch" in ended.err


WRITING = [
    "INSERT INTO ticks (symbol, timestamp, bid, ask) VALUES ('X', 1, 1, 1);",
    "DELETE FROM ticks;",
    "CREATE TABLE other (a);",
    "PRAGMA journal_mode = wal;",
    "PRAGMA user_version = 3;",
    "PRAGMA writable_schema = on;",
    "VACUUM;",
    "VACUUM INTO 'other.db';",
    "ATTACH '{day}' AS other;",
    "ATTACH 'other.db' AS other;",
    ".open {day}",
    ".open --wipe {day}",
    '."open" --wipe {day}',
    ".restore other.db",
    ".backup {day}",
    ".output {day}",
    ".import config.toml ticks",
    ".autoimport config.toml ticks",
    ".load other.so",
    ".log on",
    ".shell rm {day}",
    ".py open('{day}', 'w')",
    ".read script.py",
    ".connection",
    ".close",
    ".cd /",
    ".dbconfig defensive 0",
    ".pages-svg {day}",
    ".vfsname",
    ".limit attached 5",
]


@pytest.mark.parametrize("day", DAYS)
def test_nothing_that_is_typed_writes_anything(terminal: Terminal, day: str) -> None:
    path = terminal.folder / "data/ticks" / DAYS[day]
    (terminal.folder / "script.py").write_text("open('written', 'w')")
    before = terminal.tree(), path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino
    for line in WRITING:
        ended = terminal("shell", day, "--command", line.format(day=path))
        assert ended.code == 1, line
        assert len(ended.err.splitlines()) == 1, line
    assert (terminal.tree(), path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) == before


def test_help_offers_what_there_is(terminal: Terminal) -> None:
    ended = terminal("shell", "2026-01-16", "--command", ".help")
    assert ended.code == 0
    assert ".schema" in ended.err
    assert ".open" not in ended.err
    assert ".backup" not in ended.err


def test_damage_is_not_an_answer(terminal: Terminal) -> None:
    path = terminal.folder / "data/ticks" / DAYS["2026-01-16"]
    spoil_checksum(path)
    ended = terminal("shell", "2026-01-16", "--command", "SELECT total(bid + ask) FROM ticks")
    assert ended.code == 1
    assert f"{path}: damaged frame" in ended.err


@pytest.mark.parametrize(
    ("day", "code", "complaint"),
    [
        ("2026-01-17", 1, "ticks/2026-01-17: no database of it is known"),
        ("yesterday", 2, "'yesterday' is neither a day such as 2026-01-20 nor a .db or .zst file"),
        ("bars/2026-01-17", 2, "there is no stream 'bars'"),
        ("nosuch.db", 2, "nosuch.db: there is no such file"),
        ("text.db", 1, "text.db is not an SQLite database"),
        ("text.zst", 1, "text.zst cannot be read: "),
    ],
)
def test_what_is_not_there_is_one_sentence(terminal: Terminal, day: str, code: int, complaint: str) -> None:
    for name in ("text.db", "text.zst"):
        Path(name).write_text("a text " * 100)
    ended = terminal("shell", day)
    assert (ended.code, ended.out) == (code, "")
    (sentence,) = ended.err.splitlines()
    assert complaint in sentence


def test_at_a_terminal_it_says_what_is_open(terminal: Terminal) -> None:
    path = terminal.folder / "data/ticks" / DAYS["2026-01-18"]
    writer = apsw.Connection(str(path))
    writer.pragma("journal_mode", "wal")
    writer.execute("DELETE FROM ticks WHERE id = 1")
    said = at_a_terminal(terminal, "2026-01-18", "SELECT count(*) FROM ticks;\n.exit\n")
    writer.close()
    assert f"ticks/2026-01-18: {path}, " in said
    assert "read in place. Nothing can be written." in said
    assert "Note: not sealed: ticks may still be written to it." in said
    assert "while this is open the day cannot be sealed" in said
    assert "ticks (id, symbol, timestamp, bid, ask, " in said
    assert "ticks/2026-01-18 hot> " in said
    assert "77" in said.split("hot> ", 1)[1]
    assert "NOT INDEXED" in at_a_terminal(terminal, "2026-01-15", ".exit\n")


def at_a_terminal(terminal: Terminal, day: str, text: str) -> str:
    """What is shown to somebody who types that."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "watcher", "shell", day],
        cwd=terminal.folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "HOME": str(terminal.folder), "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    os.write(ours, text.encode())
    said = b""
    try:
        while data := os.read(ours, 65536):
            said += data
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0
    return said.decode()
