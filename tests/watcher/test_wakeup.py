"""Sleeping, and being woken."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import pytest

from tests.watcher.processes import Child
from watcher.wakeup import Wakeup

LONG = 60.0


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    wakeup = Wakeup()
    yield wakeup
    wakeup.close()


def test_a_call_made_before_counts_once(wakeup: Wakeup) -> None:
    wakeup()
    wakeup()
    began = time.monotonic()
    wakeup.wait(LONG)
    assert time.monotonic() - began < LONG / 2
    began = time.monotonic()
    wakeup.wait(0.02)
    assert time.monotonic() - began >= 0.02, "it was awake without a call"


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_no_time_to_sleep_is_no_sleep(wakeup: Wakeup, seconds: float) -> None:
    wakeup.wait(seconds)


def test_another_thread_wakes_it(wakeup: Wakeup) -> None:
    thread = threading.Timer(0.01, wakeup)
    thread.start()
    began = time.monotonic()
    wakeup.wait(LONG)
    assert time.monotonic() - began < LONG / 2
    thread.join()


def test_calling_never_blocks_however_often(wakeup: Wakeup) -> None:
    for _ in range(100_000):
        wakeup()
    wakeup.wait(LONG)
    began = time.monotonic()
    wakeup.wait(0.02)
    assert time.monotonic() - began >= 0.02, "calls were left over"


def test_calling_after_the_end_is_harmless() -> None:
    wakeup = Wakeup()
    wakeup.close()
    wakeup()


SLEEPER = """
from watcher.wakeup import Wakeup
wakeup = Wakeup()
signal.signal(signal.SIGTERM, lambda *_: wakeup())
say("ready")
wakeup.wait(60.0)
say("awake")
"""


def test_a_signal_handler_wakes_the_thread_that_it_interrupts() -> None:
    with Child(SLEEPER) as child:
        assert child.said() == "ready"
        child.process.send_signal(signal.SIGTERM)
        assert child.said() == "awake"
