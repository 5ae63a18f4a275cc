"""Who has it open: asked of real processes."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handlers.contract import Holder
from handlers.holders import held_for_writing, holders_of

OPENER = "file = open(sys.argv[1], sys.argv[2]); say(); wait()"
CONNECTION = """
connection = connect(sys.argv[1], int(sys.argv[2]))
run(connection, "SELECT count(*) FROM ticks")
say(); wait()
"""
READ_ONLY, READ_WRITE = 1, 2


def no_leases(monkeypatch: Any, code: int) -> None:
    def refuse(fd: int) -> bool:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("handlers.holders._lease_is_refused", refuse)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file.db"
    path.write_text("x")
    return path


@pytest.fixture(params=[0, errno.EACCES, errno.EINVAL])
def lease(request: Any, monkeypatch: Any) -> None:
    if request.param:
        no_leases(monkeypatch, request.param)


@pytest.mark.usefixtures("lease")
@pytest.mark.parametrize(("mode", "held"), [("r", False), ("r+", True), ("a", True)])
def test_only_writers_hold(file: Path, child: Callable[..., Any], mode: str, held: bool) -> None:
    assert not held_for_writing(file)
    opener = child(OPENER, file, mode)
    assert held_for_writing(file) is held
    opener.kill()
    assert not held_for_writing(file)


@pytest.mark.parametrize(("flags", "held"), [(READ_ONLY, False), (READ_WRITE, True)])
def test_a_connection_counts_even_when_idle(
    day: Any, child: Callable[..., Any], flags: int, held: bool
) -> None:
    day.create()
    child(CONNECTION, day.database, flags)
    assert held_for_writing(day.database) is held


def test_without_leases_the_lock_of_a_connection_is_seen(
    day: Any, child: Callable[..., Any], monkeypatch: Any
) -> None:
    no_leases(monkeypatch, errno.EACCES)
    monkeypatch.setattr("handlers.holders._opened_for_writing", lambda _: iter(()))
    day.create()
    assert not held_for_writing(day.database)
    child(CONNECTION, day.database, READ_WRITE)
    assert held_for_writing(day.database)


def test_a_probe_does_not_kill_or_disturb_an_opener(file: Path, child: Callable[..., Any]) -> None:
    prober = child(
        """
from handlers.holders import held_for_writing
say()
for _ in range(20000): held_for_writing(Path(sys.argv[1]))
say("survived")
""",
        file,
    )
    for _ in range(5000):
        with file.open("r+"):
            pass
    assert prober.said() == "survived"


def test_an_unexpected_error_is_not_taken_for_an_answer(file: Path, monkeypatch: Any) -> None:
    no_leases(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        held_for_writing(file)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        held_for_writing(tmp_path / "missing")


def test_holders_are_found_by_any_of_the_files(file: Path, child: Callable[..., Any]) -> None:
    assert holders_of([file]) == ()
    found = set()
    for name in ("", "-wal", "-shm", "-journal"):
        path = file.with_name(file.name + name)
        path.write_text("x")
        found.add(child(OPENER, path, "r").pid)
    holders = holders_of([file])
    assert {holder.pid for holder in holders} == found
    assert {holder.name for holder in holders} == {Path(f"/proc/{holders[0].pid}/comm").read_text().strip()}


def test_holders_are_found_through_a_linked_directory(
    tmp_path: Path, file: Path, child: Callable[..., Any]
) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    opener = child(OPENER, file, "r")
    assert [holder.pid for holder in holders_of([link / file.name])] == [opener.pid]


def test_this_process_is_not_a_holder(file: Path) -> None:
    with file.open():
        assert holders_of([file]) == ()


def test_without_proc_nobody_is_named(file: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("handlers.holders._listed", lambda _: [])
    assert holders_of([file]) == ()


def test_holders_sort_by_pid() -> None:
    assert sorted([Holder(20, "a"), Holder(3, "b")]) == [Holder(3, "b"), Holder(20, "a")]
