"""Taking over: what an interrupted one leaves is never thrown away while it may hold ticks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from handlers.contract import Step, StepError, Trouble
from handlers.files import sha256_of, sweep_temporaries
from handlers.takeover import finish_takeover, take_over

INSERT = """
connection = connect(sys.argv[1])
run(connection, "INSERT INTO ticks (symbol, timestamp) VALUES ('late', 1)")
say(); wait(); connection.close()
"""


class Killed(BaseException):
    """As if the process had ended here."""


@pytest.fixture
def interrupted(day: Any, monkeypatch: Any) -> tuple[Any, Path]:
    """A day whose successor has just got its name, and the file that had it before."""
    sealed = day.sealed_day(100)
    temp = day.database.with_name("successor")
    temp.write_bytes(day.database.read_bytes())

    def killed(_: float) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("handlers.takeover.wait", killed)
        with pytest.raises(Killed):
            take_over(temp, day.database, sealed, 0.0, "tried")
    (old,) = day.database.parent.glob(".*.replaced")
    sweep_temporaries(day.root)
    assert old.exists()
    return day, old


def test_what_nobody_wrote_to_is_removed(interrupted: tuple[Any, Path]) -> None:
    day, old = interrupted
    finish_takeover(day.database)
    assert not old.exists()
    assert len(day.files()) == 1


def test_what_a_writer_has_open_stays_until_it_has_left(
    interrupted: tuple[Any, Path], child: Callable[..., Any]
) -> None:
    day, old = interrupted
    writer = child(INSERT, old)
    failure = day.failed(Step.SEAL)
    assert failure.trouble is Trouble.BUSY
    assert [holder.pid for holder in failure.holders] == [writer.pid]
    assert old.exists()
    assert writer.end() == 0
    failure = day.failed(Step.SEAL)
    assert failure.trouble is Trouble.CONFLICT
    (aside,) = day.database.parent.glob("*.aside-inode-*")
    assert str(aside) in failure.hint
    day.database.unlink()
    aside.rename(day.database)
    assert day.seal().ticks == 101
    assert not old.exists()


def test_what_has_no_successor_any_more_gets_its_name_back(interrupted: tuple[Any, Path]) -> None:
    day, old = interrupted
    digest = sha256_of(old)
    day.database.unlink()
    finish_takeover(day.database)
    assert sha256_of(day.database) == digest
    assert len(day.files()) == 1


def test_what_was_not_replaced_yet_keeps_its_name(day: Any, monkeypatch: Any) -> None:
    sealed = day.sealed_day(100)
    temp = day.database.with_name("successor")
    temp.write_bytes(b"successor")

    def refused(*_: object) -> None:
        raise StepError("no")

    monkeypatch.setattr("handlers.takeover.publish_over", refused)
    with pytest.raises(StepError):
        take_over(temp, day.database, sealed, 0.0, "tried")
    temp.unlink()
    assert day.files() == {str(day.database.relative_to(day.root)): sealed.sha256}


def test_a_writer_of_both_files_keeps_both_to_the_last_moment(day: Any, monkeypatch: Any) -> None:
    """One commit goes into the file that is replaced, the next into its successor as that gives way."""
    sealed = day.sealed_day(100)
    temp = day.database.with_name("successor")
    temp.write_bytes(day.database.read_bytes())
    replace = Path.replace

    def commit(path: Path, stamp: int) -> None:
        connection = apsw.Connection(str(path))
        connection.execute("INSERT INTO ticks (symbol, timestamp) VALUES ('late', ?)", (stamp,))
        connection.close()

    def wrote_to_old(_: float) -> None:
        (old,) = day.database.parent.glob(".*.replaced")
        commit(old, 1)

    def wrote_to_new(old: Path, target: Path) -> Path:
        if old.name.endswith(".replaced"):
            commit(target, 2)
        return replace(old, target)

    monkeypatch.setattr("handlers.takeover.wait", wrote_to_old)
    monkeypatch.setattr(Path, "replace", wrote_to_new)
    with pytest.raises(StepError) as raised:
        take_over(temp, day.database, sealed, 0.0, "tried")
    assert raised.value.trouble is Trouble.CONFLICT
    (aside,) = day.database.parent.glob("*.aside-inode-*")
    stamps = [
        row[0]
        for path in (day.database, aside)
        for row in apsw.Connection(str(path)).execute("SELECT timestamp FROM ticks WHERE symbol = 'late'")
    ]
    assert sorted(stamps) == [1, 2]
