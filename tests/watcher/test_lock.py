"""One daemon for each state directory: asked of real processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.watcher.processes import Child
from watcher.errors import EXIT_ANOTHER_INSTANCE, AnotherInstanceError
from watcher.lock import Lock

HOLD = """
from pathlib import Path
from watcher.lock import Lock
lock = Lock(Path(sys.argv[1]))
lock.acquire()
say("held")
wait()
lock.release()
say("released")
wait()
"""

ASK = """
from pathlib import Path
from watcher.lock import Lock
lock = Lock(Path(sys.argv[1]))
say("asking")
while True:
    lock.holder()
"""


def test_nobody_holds_it_at_first(tmp_path: Path) -> None:
    assert Lock(tmp_path).holder() is None
    assert Lock(tmp_path / "no" / "such").holder() is None
    assert list(tmp_path.iterdir()) == []


def test_a_second_holder_is_refused_and_told_who_is_first(tmp_path: Path) -> None:
    with Child(HOLD, tmp_path) as child:
        assert child.said() == "held"
        lock = Lock(tmp_path)
        assert lock.holder() == child.process.pid
        with pytest.raises(AnotherInstanceError) as caught:
            lock.acquire()
        assert caught.value.exit_code == EXIT_ANOTHER_INSTANCE == 3
        assert f"pid {child.process.pid}" in str(caught.value)
        assert str(tmp_path) in str(caught.value)
        assert "stop it first" in str(caught.value)
        assert lock.holder() == child.process.pid, "being refused must not disturb the holder"

        child.go_on()
        assert child.said() == "released"
        assert lock.holder() is None
        lock.acquire()
        assert lock.holder() == os.getpid()
        lock.release()


def test_it_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    with Child(HOLD, tmp_path) as child:
        assert child.said() == "held"
        child.kill()
        lock = Lock(tmp_path)
        assert lock.holder() is None
        lock.acquire()
        lock.release()


def test_the_pid_of_an_earlier_holder_does_not_shine_through(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("99999999999999999999\n")
    lock = Lock(tmp_path)
    assert lock.holder() is None
    lock.acquire()
    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    lock.release()


def test_a_child_of_the_holder_does_not_hold_it_on(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    lock.acquire()
    with Child("say('ready'); wait()") as child:
        assert child.said() == "ready"
        lock.release()
        assert lock.holder() is None
        lock.acquire()
        lock.release()


def test_asking_for_the_holder_never_keeps_a_daemon_from_starting(tmp_path: Path) -> None:
    with Child(ASK, tmp_path) as first, Child(ASK, tmp_path) as second:
        assert first.said() == second.said() == "asking"
        for _ in range(500):
            lock = Lock(tmp_path)
            lock.acquire()
            lock.release()


def test_releasing_without_holding_does_nothing(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    lock.release()
    lock.acquire()
    lock.release()
    lock.release()
    assert lock.holder() is None
