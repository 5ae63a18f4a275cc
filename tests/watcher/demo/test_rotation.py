"""When the next day begins: at midnight, or when an event says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
import zmq

from watcher.demo.rotation import ByClock, ByEvent

MONDAY, TUESDAY, WEDNESDAY = 20472, 20473, 20474  # 2026-01-19 and the days after it


@pytest.fixture
def publisher() -> Iterator[tuple[zmq.Socket[bytes], str]]:
    """A socket that publishes, and hears of who has subscribed."""
    context = zmq.Context()
    socket: zmq.Socket[bytes] = context.socket(zmq.XPUB)
    socket.setsockopt(zmq.LINGER, 0)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    yield socket, f"tcp://127.0.0.1:{port}"
    socket.close()
    context.term()


@pytest.fixture
def rotation(publisher: tuple[zmq.Socket[bytes], str]) -> Iterator[ByEvent]:
    """Has subscribed, so nothing that is sent from now on is missed."""
    socket, endpoint = publisher
    with closing(ByEvent(endpoint, "rotated/", grace_seconds=60)) as rotation:
        assert socket.recv() == b"\x01rotated/"
        yield rotation


def announce(socket: zmq.Socket[bytes], day: str, path: str) -> None:
    body = {"type": "rotated", "data": {"current": day, "current_db": path}}
    socket.send_multipart([b"rotated/ticks/", bytes(16), msgspec.json.encode(body)])


def wait_for(rotation: ByEvent, day: int, *, today: int, current: int) -> None:
    """Until the announcement of that day has arrived."""
    while rotation.path(day) is None:
        assert rotation.wait(30)
        rotation.newest(today, current)


def test_by_the_clock_the_day_is_today_and_never_goes_back() -> None:
    assert ByClock().newest(today=TUESDAY, current=MONDAY) == TUESDAY
    assert ByClock().newest(today=MONDAY, current=TUESDAY) == TUESDAY


def test_by_event_the_day_begins_when_it_is_announced(
    publisher: tuple[zmq.Socket[bytes], str], rotation: ByEvent
) -> None:
    socket, _ = publisher
    assert rotation.newest(today=TUESDAY, current=MONDAY) == MONDAY
    announce(socket, "2026-01-20", "/tuesday")
    wait_for(rotation, TUESDAY, today=TUESDAY, current=MONDAY)
    assert rotation.newest(today=TUESDAY, current=MONDAY) == TUESDAY
    assert rotation.path(TUESDAY) == Path("/tuesday")


def test_an_early_event_waits_for_its_day_and_an_old_one_changes_nothing(
    publisher: tuple[zmq.Socket[bytes], str], rotation: ByEvent
) -> None:
    socket, _ = publisher
    announce(socket, "2026-01-19", "/monday")
    announce(socket, "2026-01-21", "/wednesday")
    wait_for(rotation, WEDNESDAY, today=TUESDAY, current=TUESDAY)
    assert rotation.newest(today=TUESDAY, current=TUESDAY) == TUESDAY
    assert rotation.path(MONDAY) is None
    assert rotation.newest(today=WEDNESDAY, current=TUESDAY) == WEDNESDAY


@pytest.mark.parametrize(("grace_seconds", "expected"), [(60, MONDAY), (0, TUESDAY)])
def test_without_an_event_the_day_begins_after_the_grace_period(
    publisher: tuple[zmq.Socket[bytes], str], grace_seconds: float, expected: int
) -> None:
    _, endpoint = publisher
    with closing(ByEvent(endpoint, "rotated/", grace_seconds)) as rotation:
        assert rotation.newest(today=TUESDAY, current=MONDAY) == expected
