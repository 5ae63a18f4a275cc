"""The commands that do a step now: what they print, what they refuse, and that they do nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.watcher.cli.conftest import Terminal
from tests.watcher.cli.test_plan import make
from tests.watcher.query.tree import pack
from watcher.lock import Lock

STEPS = ("rotate", "seal", "backup", "compress", "archive", "expire", "verify")


@pytest.fixture
def terminal(tickward: Terminal) -> Terminal:
    """With a closed day of yesterday."""
    tickward.configure_events()
    make(tickward.folder, "2026-01-19")
    return tickward


def events(terminal: Terminal) -> list[str]:
    lines = terminal("events", "--json", "-n", "1000").out.splitlines()
    return [f"{e['type'].removeprefix('tickward.')} {e['subject']}" for e in map(json.loads, lines)]


@pytest.mark.parametrize("step", STEPS)
def test_a_dry_run_leaves_no_trace(terminal: Terminal, step: str) -> None:
    before = terminal.tree()
    for options in ((), ("--json",), ("2026-01-19",)):
        assert terminal(step, *options, "--dry-run").code in (0, 1)
    assert terminal.tree() == before


@pytest.mark.parametrize("step", [step for step in STEPS if step not in ("rotate", "seal")])
def test_where_nothing_is_due_nothing_is_done(terminal: Terminal, step: str) -> None:
    ended = terminal(step)
    assert (ended.code, ended.out) == (0, "nothing is due\n")


def test_steps_one_after_the_other_and_nothing_beside_them(terminal: Terminal) -> None:
    for step, event in (("seal", "sealed"), ("backup", "backed_up"), ("compress", "compressed")):
        ended = terminal(step, "2026-01-19")
        assert ended.code == 0, ended.err
        assert ended.out.startswith(f"ticks/2026-01-19  {event} in ")
    done = [line for line in events(terminal) if line.split()[1] != "-"]
    assert done == [
        "rotated ticks",
        *(f"{event} ticks/2026-01-19" for event in ("closed", "sealed", "backed_up", "compressed")),
    ]


class TestVerifyAll:
    LEFT_OUT = "no seal yet, so there is nothing to compare a copy with; "

    @pytest.fixture
    def unsealed(self, terminal: Terminal) -> Terminal:
        """With sealed days, one that is over and not sealed, and those of today and tomorrow."""
        make(terminal.folder, "2026-01-17")
        assert terminal("seal", "2026-01-17", "2026-01-19").code == 0
        for day in ("2026-01-20", "2026-01-21", "2026-01-18"):
            make(terminal.folder, day)
        return terminal

    @pytest.mark.parametrize("options", [(), ("--dry-run",), ("--json",)])
    def test_names_what_it_leaves_out(self, unsealed: Terminal, options: tuple[str, ...]) -> None:
        ended = unsealed("verify", "--all", *options)
        assert ended.code == 0
        assert "ticks/2026-01-17" in ended.out
        assert "2026-01-18" not in ended.out
        assert ended.err == f"tickward: left out: ticks/2026-01-18: {self.LEFT_OUT}`tickward once` seals it\n"

    def test_says_of_each_kind_what_seals_it(self, unsealed: Terminal) -> None:
        pack(make(unsealed.folder, "2026-01-16"))
        which = "2 days, ticks/2026-01-16 to ticks/2026-01-18"
        how = "`tickward once` or `tickward adopt` seals them"
        assert unsealed("verify", "--all").err == f"tickward: left out: {which}: {self.LEFT_OUT}{how}\n"
        assert unsealed("adopt", "--yes").code == 0
        unsealed("once")
        ended = unsealed("verify", "--all")
        assert (ended.code, ended.err) == (0, ""), "today's and tomorrow's are not over yet"

    def test_only_where_all_were_asked_for(self, unsealed: Terminal) -> None:
        for arguments in ((), ("--sample", "3"), ("2026-01-17",)):
            assert unsealed("verify", *arguments).err == ""


def test_rotate_makes_the_days_ahead(terminal: Terminal) -> None:
    assert terminal("rotate").code == 0
    assert (terminal.folder / "data/ticks/db/2026/01/ticks_2026-01-20.db").exists()
    assert (terminal.folder / "data/ticks/db/2026/01/ticks_2026-01-21.db").exists()
    assert (terminal.folder / "data/ticks/db/rotation_metadata.json").exists()
    assert terminal("rotate").out == "nothing is due\n"


def test_json_says_what_was_planned_and_what_became_of_it(terminal: Terminal) -> None:
    told: Any = terminal("seal", "--json").json
    assert told.keys() == {"dry_run", "planned", "ended", "done", "failed"}
    assert (told["dry_run"], told["done"], told["failed"]) == (False, 1, 0)
    assert told["planned"][0]["database"] == "ticks/2026-01-19"
    assert (told["ended"][0]["event"], told["ended"][0]["data"]["ticks"]) == ("sealed", 0)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("compress", "yesterday"), "'yesterday' is not a day such as"),
        (("compress", "2026-02-30"), "is not a day such as"),
        (("compress", "bars/2026-01-19"), "there is no stream 'bars'; there are ticks"),
        (("compress", "2026-01-19", "--after-days", "3"), "not both"),
        (("verify", "--all", "--sample", "3"), "one of them"),
        (("verify", "2026-01-19", "--all"), "one of them"),
        (("hold", "2026-01-19", "--reason", "  "), "--reason"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(
    terminal: Terminal, arguments: tuple[str, ...], complaint: str
) -> None:
    ended = terminal(*arguments)
    assert ended.code == 2
    assert complaint in ended.err
    assert not (terminal.folder / "data/ticks/state").exists()


@pytest.mark.parametrize("arguments", [("merge",), ("restore",), ("hold", "2026-01-19"), ("release",)])
def test_what_is_missing_is_named(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    assert terminal(*arguments).code == 2


def test_a_file_elsewhere_takes_one_stream(terminal: Terminal) -> None:
    terminal.configure('[data.streams.ticks]\n[data.streams.bars]\npattern = "bars_{date}.db"\n')
    ended = terminal("restore", "2026-01-19", "--to", "x.db")
    assert ended.code == 2
    assert "name one, as in ticks/2026-01-19" in ended.err


def test_a_file_elsewhere_takes_one_day(terminal: Terminal) -> None:
    ended = terminal("restore", "2026-01-18", "2026-01-19", "--to", "x.db")
    assert ended.code == 2
    assert "you have named 2 days; name one" in ended.err


def test_restore_to_a_file(terminal: Terminal) -> None:
    for step in ("seal", "backup", "compress"):
        terminal(step, "2026-01-19")
    assert terminal("restore", "2026-01-19", "--to", "there.db").code == 0
    assert (terminal.folder / "there.db").read_bytes().startswith(b"SQLite format 3\0")
    (terminal.folder / "there.db").write_text("mine")
    again = terminal("restore", "2026-01-19", "--to", "there.db")
    assert again.code == 1
    assert "--force" in again.out
    assert terminal("restore", "2026-01-19", "--to", "there.db", "--force").code == 0


@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
def test_dry_run_of_the_environment_is_honoured_and_said_once(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("DRY_RUN", value)
    before = terminal.tree()
    ended = terminal("seal")
    assert ended.out.startswith("ticks/2026-01-19  would seal: ")
    assert ended.err.count("DRY_RUN") == 1
    assert terminal("once").code == 0
    assert terminal("run").code == 2
    assert terminal("hold", "2026-01-19", "--reason", "x").code == 2
    assert terminal.tree() == before


def test_variables_of_shell_scripts_are_honoured(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYS_BEFORE_COMPRESS", "0")
    monkeypatch.setenv("COMPRESSION_LEVEL", "3")
    monkeypatch.setenv("RETENTION_DAYS", "90")
    ended = terminal("config", "show")
    assert ended.json["compress"] | {"after_days": 0, "level": 3} == ended.json["compress"]
    assert ended.json["expire"]["after_days"] == 90
    assert [line.split("=")[0] for line in ended.err.splitlines()] == [
        "tickward: DAYS_BEFORE_COMPRESS",
        "tickward: COMPRESSION_LEVEL",
        "tickward: RETENTION_DAYS",
    ]


def test_another_pass_at_work_is_waited_for_and_not_talked_to(terminal: Terminal) -> None:
    state = terminal.folder / "data/ticks/state"
    state.mkdir(parents=True)
    lock = Lock(state)
    lock.acquire()
    try:
        ended = terminal("seal")
    finally:
        lock.release()
    assert ended.code == 1
    assert "wait for it" in ended.err
