"""`tickward report`."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import apsw
import pytest

from scripts.sample_tree import configure, grow, settings_below
from tests.watcher.cli.conftest import Terminal
from watcher.report.page import BEGINS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    configure(folder, grow(settings_below(folder), 70, durable=False))
    return folder


@pytest.fixture
def config(folder: Path) -> str:
    return str(folder / "config.toml")


def test_writes_one_file_and_says_which(tickward: Terminal, config: str) -> None:
    told = tickward("-c", config, "report", "--out", "report.html", "--from", "2026-06-01", "--json").json
    file = tickward.folder / "report.html"
    assert tickward.tree() == {"report.html"}
    assert file.read_text().startswith(BEGINS)
    assert told == {
        "path": str(file),
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "bytes": file.stat().st_size,
        "first": "2026-06-01",
        "last": "2026-07-15",
        "certificates": 0,
        "sound": True,
        "problem": "",
    }


def test_replaces_nothing_unasked_and_nothing_but_a_report(tickward: Terminal, config: str) -> None:
    file, other = Path("report.html"), Path("ticks.db")
    file.write_text(BEGINS + "an earlier one")
    other.write_text("ticks")
    refused = tickward("-c", config, "report", "--out", "report.html")
    assert (refused.code, refused.out) == (2, "")
    assert "report.html exists already; it is left as it is: name another file, or use --force" in refused.err
    refused = tickward("-c", config, "report", "--out", "ticks.db", "--force")
    assert refused.code == 2
    assert "ticks.db is no report of tickward's; it is left as it is" in refused.err
    assert (file.read_text(), other.read_text()) == (BEGINS + "an earlier one", "ticks")
    ended = tickward("-c", config, "report", "--out", "report.html", "--force")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("wrote report.html: 2026-05-07 to 2026-07-15, SHA-256 ")
    assert "an earlier one" not in file.read_text()
    assert tickward.tree() == {"report.html", "ticks.db"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--out", "nowhere/report.html"), "--out: there is no directory "),
        (("--out", "."), "exists already"),
        (("--out", ".", "--force"), "is no report (Is a directory)"),
        (("--out", "r.html", "--from", "yesterday"), "--from: 'yesterday' is not a day such as 2026-01-20"),
        (
            ("--out", "r.html", "--from", "2026-06-02", "--to", "2026-06-01"),
            "--from 2026-06-02 is after --to",
        ),
        ((), "--out"),
    ],
)
def test_refuses_what_cannot_be_meant(
    tickward: Terminal, config: str, options: tuple[str, ...], said: str
) -> None:
    ended = tickward("-c", config, "report", *options)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert tickward.tree() == set()


def test_without_the_library_says_what_to_install(
    tickward: Terminal, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    ended = tickward("-c", config, "report", "--out", "r.html")
    assert ended.code == 2
    assert "pip install 'tickward[report]'" in ended.err
    assert tickward.tree() == set()


def test_without_a_journal(tickward: Terminal) -> None:
    tickward.configure()
    ended = tickward("report", "--out", "r.html")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "there is no journal" in ended.err
    assert tickward.tree() == {"config.toml"}


def test_a_broken_journal_is_reported_and_ends_with_1(tickward: Terminal) -> None:
    settings = grow(settings_below(tickward.folder), 1, durable=False)
    config = str(configure(tickward.folder, settings))
    connection = apsw.Connection(f"{settings.data.state}/journal.db")
    connection.execute("UPDATE events SET time = '2026-07-01T00:00:00+00:00' WHERE sequence = 4")
    connection.close()
    ended = tickward("-c", config, "report", "--out", "r.html")
    assert ended.code == 1
    assert ended.err.startswith("tickward: the journal is not what was recorded: event 4 is not what was")
    assert "The journal is NOT what was recorded" in Path("r.html").read_text()
    told = tickward("-c", config, "report", "--out", "r.html", "--force", "--json")
    assert (told.code, told.err) == (1, "")
    assert json.loads(told.out)["sound"] is False


def test_a_journal_that_cannot_be_read_is_one_sentence(tickward: Terminal) -> None:
    settings = grow(settings_below(tickward.folder), 5, durable=False)
    config = str(configure(tickward.folder, settings))
    connection = apsw.Connection(f"{settings.data.state}/journal.db")
    connection.execute("UPDATE facts SET data = '[]'")
    connection.execute("DELETE FROM meta WHERE name = 'head'")
    connection.close()
    ended = tickward("-c", config, "report", "--out", "r.html")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "`tickward audit verify` says what to do next" in ended.err
    assert not Path("r.html").exists()
