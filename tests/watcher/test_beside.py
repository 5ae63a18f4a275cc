"""Work in a process beside this one: its result, or none; and no process is left."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from msgspec import Struct

from watcher.beside import Beside


class Found(Struct):
    pid: int
    names: set[str]


def look() -> Found:
    return Found(os.getpid(), {"a", "b"})


def fail() -> Found:
    raise OSError("the disk is gone")


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """As a command is: what runs the tests may have threads of its own. Afterwards no child is left."""
    fork, children = os.fork, []

    def counted() -> int:
        children.append(fork())
        return children[-1]

    with (
        patch("watcher.beside.threading.active_count", return_value=1),
        patch("watcher.beside.os.sched_getaffinity", return_value={0, 1}),
        patch("watcher.beside.os.fork", counted),
    ):
        yield
    for child in children:
        with pytest.raises(ChildProcessError):
            os.waitpid(child, os.WNOHANG)


def test_another_process_finds_it_out() -> None:
    found = Beside(look, Found).result()
    assert found is not None
    assert found.names == {"a", "b"}
    assert found.pid != os.getpid()


def test_what_it_cannot_do_has_no_result(capfd: pytest.CaptureFixture[str]) -> None:
    assert Beside(fail, Found).result() is None
    assert capfd.readouterr() == ("", ""), "whoever does it instead says what is wrong"


def test_it_is_ended_when_nobody_wants_its_result_any_more() -> None:
    never = threading.Event()

    def wait() -> Found:
        never.wait()
        return look()

    beside = Beside(wait, Found)
    beside.end()
    beside.end()
    assert beside.result() is None


def test_a_process_with_threads_is_not_forked() -> None:
    with patch("watcher.beside.threading.active_count", return_value=2):
        assert Beside(look, Found).result() is None


def test_nor_is_one_that_has_a_single_core() -> None:
    with patch("watcher.beside.os.sched_getaffinity", return_value={0}):
        assert Beside(look, Found).result() is None
