"""`tickward plan`: what would be done, and nothing done."""

from __future__ import annotations

import json
from pathlib import Path

import apsw
import pytest

from tests.watcher.cli.conftest import Terminal
from tests.watcher.processes import Child


def make(folder: Path, day: str, root: str = "data/ticks/db") -> Path:
    path = folder / root / day[:4] / day[5:7] / f"ticks_{day}.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE ticks (symbol, timestamp)")
    connection.close()
    return path


def test_it_says_what_when_and_why(tickward: Terminal) -> None:
    tickward.configure()
    plan = tickward("plan", "--json").json
    assert plan["at"].startswith("2026-01-20T12:00:0")
    assert [row["database"] for row in plan["databases"]] == ["ticks/2026-01-20", "ticks/2026-01-21"]
    assert plan["databases"][0] == {
        "database": "ticks/2026-01-20",
        "state": "absent",
        "entry": "action",
        "step": "create",
        "reason": "today's database is missing",
        "when": "2026-01-19T00:00:00Z",
        "verify_at": None,
    }


@pytest.mark.parametrize("at", ["2026-03-01T10:00", "2026-03-01T10:00:00Z", "2026-03-01T12:00+02:00"])
def test_at_another_time(tickward: Terminal, at: str) -> None:
    plan = tickward("plan", "--at", at, "--json").json
    assert plan["at"] == "2026-03-01T10:00:00Z"
    assert [row["database"] for row in plan["databases"]] == ["ticks/2026-03-01", "ticks/2026-03-02"]


def test_at_a_day_is_its_midnight(tickward: Terminal) -> None:
    assert tickward("plan", "--at", "2026-03-01", "--json").json["at"] == "2026-03-01T00:00:00Z"


@pytest.mark.parametrize("at", ["", "tomorrow", "9", "2026-02-30", "25:00", "0001-01-01", "9999-12-31"])
def test_at_no_time(tickward: Terminal, at: str) -> None:
    ended = tickward("plan", "--at", at)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"tickward: --at: {at!r} is ")
    assert len(ended.err.splitlines()) == 1


def test_nothing_is_changed(tickward: Terminal) -> None:
    path = make(tickward.folder, "2026-01-19")
    before = tickward.tree(), path.read_bytes(), path.stat().st_mtime_ns
    tickward("plan", "--at", "2026-03-01")
    assert (tickward.tree(), path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_day_that_is_held_waits_and_says_why(tickward: Terminal) -> None:
    tickward.configure()
    path = make(tickward.folder, "2026-01-20")
    with Child("file = open(sys.argv[1], 'r+'); say('open'); wait()", path) as writer:
        assert writer.said() == "open"
        (row, _) = tickward("plan", "--json").json["databases"]
    assert (row["state"], row["entry"], row["step"]) == ("active", "wait", "seal")


def test_a_wide_table_is_not_folded_where_no_terminal_is(tickward: Terminal) -> None:
    folder = "a-folder-with-a-long-name-" * 4
    tickward.configure(f'[data]\nroot = "{folder}"')
    path = make(tickward.folder, "2026-01-19", folder)
    path.unlink()
    path.symlink_to(tickward.folder / ("target" * 20))
    (line,) = [line for line in tickward("plan").out.splitlines() if "ticks/2026-01-19" in line]
    assert f"to {tickward.folder / ('target' * 20)} has the name of a database; it is not followed" in line


def test_brackets_in_a_reason_are_shown(tickward: Terminal) -> None:
    tickward.configure('[data]\nroot = "[bold]"')
    path = make(tickward.folder, "2026-01-19", "[bold]")
    path.unlink()
    path.symlink_to(tickward.folder / "[red]x[/]" / "[/]")
    out = tickward("plan").out
    assert str(tickward.folder / "[red]x[/]" / "[/]") in out


def test_the_table_has_what_json_has(tickward: Terminal) -> None:
    tickward.configure()
    rows = tickward("plan", "--json").json["databases"]
    out = tickward("plan").out
    assert "Plan at 2026-01-20 12:00 UTC" in out
    for row in rows:
        assert all(str(row[key]) in out for key in ("database", "state", "reason"))
        when = "now" if row["entry"] == "action" else row["when"][:16].replace("T", " ")
        assert f"{row['step'] or ''} {when}".strip() in out


def test_json_is_all_that_is_printed(tickward: Terminal) -> None:
    ended = tickward.run("plan", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert set(json.loads(ended.out)) == {"at", "next_due", "drill_at", "databases"}


def test_of_some_days_only(tickward: Terminal) -> None:
    tickward.configure()
    for day in ("2026-01-17", "2026-01-18", "2026-01-19"):
        make(tickward.folder, day)

    def days(*arguments: str) -> list[str]:
        return [row["database"][-2:] for row in tickward("plan", "--json", *arguments).json["databases"]]

    assert days() == ["17", "18", "19", "20", "21"]
    assert days("--from", "2026-01-18", "--to", "2026-01-20") == ["18", "19", "20"]
    ended = tickward("plan", "--from", "2026-01-18", "--to", "2026-01-17")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("tickward: --from 2026-01-18 is after --to 2026-01-17")
    assert tickward("plan", "--to", "x").err == "tickward: --to: 'x' is not a day such as 2026-01-20\n"


@pytest.mark.parametrize(("width", "lines"), [(80, 4), (120, 2)])
def test_in_a_terminal_reasons_stand_where_there_is_room(
    tickward: Terminal, monkeypatch: pytest.MonkeyPatch, width: int, lines: int
) -> None:
    tickward.configure()
    for name, value in {"TTY_COMPATIBLE": "1", "NO_COLOR": "1", "COLUMNS": str(width), "LINES": "40"}.items():
        monkeypatch.setenv(name, value)
    _, _, _, *rows = tickward("plan").out.splitlines()
    told = rows[: rows.index("") if "" in rows else None]
    assert len(told) == lines
    assert max(map(len, told)) <= width
