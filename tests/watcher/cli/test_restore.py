"""`tickward restore` of many days: those that are not in the root, and only if there is room for all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.watcher.cli.conftest import Terminal
from tests.watcher.cli.test_plan import make
from tests.watcher.query.tree import pack

PACKED = ("2026-01-10", "2026-01-11", "2026-01-13")
IN_ROOT = "2026-01-14"
RANGE = "2026-01-10..2026-01-12"


@pytest.fixture
def terminal(tickward: Terminal) -> Terminal:
    """With three compressed days, one that is hot, and none on the 12th."""
    tickward.configure('[events]\npublish = "ipc://p"\nreplay = "ipc://r"\n[health]\nfree_min = "1 MiB"\n')
    for day in (*PACKED, IN_ROOT):
        make(tickward.folder, day)
    for step in ("seal", "backup", "compress"):
        days = PACKED if step == "compress" else (*PACKED, IN_ROOT)
        assert tickward(step, *days).code == 0
    assert in_root(tickward) == {IN_ROOT}
    return tickward


def in_root(terminal: Terminal) -> set[str]:
    found = (terminal.folder / "data/ticks/db").rglob("ticks_*.db")
    return {path.stem.removeprefix("ticks_") for path in found}


def left(terminal: Terminal) -> tuple[set[str], str]:
    """All files but those that come with whoever reads the journal; and what is in that."""
    told = terminal("events", "--json", "-n", "1000").out
    return {path for path in terminal.tree() if "journal.db-" not in path}, told


def test_all_of_them(terminal: Terminal) -> None:
    told = terminal("restore", "--all", "--json")
    assert [each["database"] for each in told.json["ended"]] == [f"ticks/{day}" for day in PACKED]
    assert (told.json["done"], told.json["failed"]) == (3, 0)
    assert told.err.startswith("tickward: 3 days: 24,576 bytes are needed in ")
    assert in_root(terminal) == {*PACKED, IN_ROOT}
    again = terminal("restore", "--all")
    assert (again.code, again.out) == (0, "nothing is due\n")
    assert "every sealed day that has a copy is in the root" in again.err


def test_a_range_names_what_it_leaves_out(terminal: Terminal) -> None:
    ended = terminal("restore", RANGE)
    assert ended.code == 0, ended.err
    assert in_root(terminal) == {*PACKED[:2], IN_ROOT}
    left_out, needed = ended.err.splitlines()
    assert left_out.startswith("tickward: left out: ticks/2026-01-12: there is no copy")
    assert needed.startswith("tickward: 2 days: 16,384 bytes are needed in ")


@pytest.mark.parametrize("what", ["--all", "2026-01-08..2026-01-11"])
def test_what_has_no_seal_is_named_and_not_called_missing(terminal: Terminal, what: str) -> None:
    make(terminal.folder, "2026-01-08")  # in the root: it needs no restoring
    pack(make(terminal.folder, "2026-01-09"))
    ended = terminal("restore", what)
    assert ended.code == 0, ended.err
    left_out, needed = ended.err.splitlines()
    assert left_out == (
        "tickward: left out: ticks/2026-01-09: no seal yet, so there is nothing to compare a copy with; "
        "`tickward adopt` seals it"
    )
    assert "bytes are needed in" in needed


@pytest.mark.parametrize("arguments", [("--all",), (RANGE,)])
def test_what_a_late_writer_made_in_its_place_is_not_the_day(
    terminal: Terminal, arguments: tuple[str, ...]
) -> None:
    make(terminal.folder, PACKED[0])
    ended = terminal("restore", *arguments)
    assert ended.code == 1
    assert f"ticks/{PACKED[0]}" in ended.out + ended.err
    assert "every sealed day that has a copy is in the root" not in ended.err
    assert PACKED[1] in in_root(terminal)


def test_a_range_beside_a_day(terminal: Terminal) -> None:
    assert terminal("restore", "ticks/2026-01-13..2026-01-31", "2026-01-10").code == 0
    assert in_root(terminal) == {"2026-01-10", "2026-01-13", IN_ROOT}


@pytest.mark.parametrize("what", ["--all", RANGE])
def test_a_dry_run_changes_nothing(terminal: Terminal, what: str) -> None:
    before = left(terminal)
    ended = terminal("restore", what, "--dry-run")
    assert ended.code == 0
    assert "would restore: ordered by" in ended.out
    assert "bytes are needed in" in ended.err
    assert left(terminal) == before


class Usage(NamedTuple):
    """What a disk says of itself."""

    total: int
    used: int
    free: int


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--json",)])
def test_without_room_for_all_none_is_begun(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    reserve = 64 << 20
    real: Any = shutil.disk_usage

    def nearly_full(path: Path) -> Usage:
        return Usage(real(path).total, 0, reserve + 24_575)

    monkeypatch.setattr(shutil, "disk_usage", nearly_full)
    before = left(terminal)
    ended = terminal("restore", "--all", *options)
    assert (ended.code, ended.out) == (1, "")
    needed, refused = ended.err.splitlines()
    assert "24,576 bytes are needed" in needed
    assert "nothing was begun; free 1 bytes on " in refused
    assert left(terminal) == before
    assert terminal("restore", "2026-01-10..2026-01-11", "--dry-run").code == 0, "there is room for two"


def test_a_day_whose_copies_are_gone_is_refused_by_name(terminal: Terminal) -> None:
    for top in ("db", "backup"):
        for path in (terminal.folder / "data/ticks" / top).rglob("ticks_2026-01-10.db.zst"):
            path.unlink()
    ended = terminal("restore", "--all")
    assert ended.code == 1
    assert "ticks/2026-01-10  refused: no copy of it is left" in ended.out
    assert in_root(terminal) == {*PACKED[1:], IN_ROOT}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "of which day?"),
        (("--all", "2026-01-10"), "one of them"),
        (("--all", "--to", "x.db"), "--to x.db: that is one file, and --all is many days"),
        ((RANGE, "--to", "x.db"), f"that is one file, and {RANGE} is many days"),
        ((RANGE, "--force"), "leaves out what is in the root"),
        (("2026-01-12..2026-01-10",), "2026-01-12 is after 2026-01-10"),
        (("2026-01-12..",), "is not a day such as"),
        (("ticks/2026-01-10..bars/2026-01-12",), "a range has one stream"),
        (("bars/2026-01-10..2026-01-12",), "there is no stream 'bars'"),
        (("0001-01-01..2026-01-12",), "more than 36,525 days"),
    ],
)
def test_what_cannot_be_meant(terminal: Terminal, arguments: tuple[str, ...], said: str) -> None:
    ended = terminal("restore", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
