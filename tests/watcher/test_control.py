"""The daemon's ear: a real socket, real callers, and whoever talks nonsense or goes away."""

from __future__ import annotations

import errno
import os
import queue
import socket
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from handlers.contract import Step
from tests.watcher.builders import utc
from tests.watcher.processes import PATIENCE_SECONDS
from tests.watcher.view.rows import vitals
from watcher import control as module
from watcher.control import NAME, Answers, Control, ask, is_listening, myself, vitals_of
from watcher.desk import Ticket
from watcher.errors import TickwardError
from watcher.plan import Order
from watcher.requests import Ask, Ended, Finished, Hold, Intention, Planned, Progress, Refused, Release, Reply
from watcher.vitals import Running

ORDER = Order(Step.COMPRESS, by="somebody", keys=("ticks/2026-01-20",), level=7)
ANSWERS: tuple[Reply, ...] = (
    Planned((Intention("ticks/2026-01-20", "action", Step.COMPRESS, "of age"),)),
    Progress("ticks/2026-01-20", Step.COMPRESS, 1, 2),
    Ended("ticks/2026-01-20", Step.COMPRESS, True, "compressed", 7, {"level": 7}, seconds=1.5),
    Finished(1, 0),
)

VITALS = vitals(
    running=(Running("ticks/2026-01-20", Step.COMPRESS, utc("2026-01-20 09:00"), 1, 2),), waiting=3
)


@contextmanager
def listening(state: Path) -> Iterator[queue.SimpleQueue[Ticket]]:
    tickets: queue.SimpleQueue[Ticket] = queue.SimpleQueue()
    control = Control(state, tickets.put, lambda: VITALS)
    control.start()
    try:
        yield tickets
    finally:
        control.stop()


def asked(state: Path, request: Order | Hold | Release = ORDER) -> Answers:
    answers = ask(state, request)
    assert answers is not None
    return answers


def talk(state: Path, *lines: bytes) -> bytes:
    """Say these lines with a plain socket; return all that is answered."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(state / NAME))
        for line in lines:
            caller.sendall(line)
        caller.shutdown(socket.SHUT_WR)
        answer = b""
        while part := caller.recv(65536):
            answer += part
        return answer


@pytest.mark.parametrize(
    "request_", [ORDER, Hold(("a/2026-01-20",), "audit", "x"), Release(("a/2026-01-20",), "x")]
)
def test_a_request_arrives_and_its_answers_come_back(
    tmp_path: Path, request_: Order | Hold | Release
) -> None:
    with listening(tmp_path) as tickets, asked(tmp_path, request_) as answers:
        ticket = tickets.get()
        for reply in ANSWERS:
            ticket.tell(reply)
        assert tuple(answers) == ANSWERS
    assert type(ticket.request) is type(request_)
    assert msgspec.structs.replace(ticket.request, by="") == msgspec.structs.replace(request_, by="")


def test_who_asks_is_what_the_kernel_says_and_not_what_the_line_says(tmp_path: Path) -> None:
    with listening(tmp_path) as tickets, asked(tmp_path):
        ticket = tickets.get()
        ticket.tell(Finished(0, 0))
    assert ticket.request.by == myself()
    assert f"uid {os.getuid()}" in ticket.request.by


def test_without_a_daemon_there_is_nobody_to_ask(tmp_path: Path) -> None:
    assert ask(tmp_path, ORDER) is None
    with listening(tmp_path):
        pass
    assert ask(tmp_path, ORDER) is None
    assert not (tmp_path / NAME).exists()


def test_the_socket_that_a_killed_daemon_left_is_taken_over(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / NAME))
    assert ask(tmp_path, ORDER) is None
    with listening(tmp_path) as tickets, asked(tmp_path) as answers:
        tickets.get().tell(Finished(0, 0))
        assert list(answers) == [Finished(0, 0)]


def test_a_file_in_its_place_is_left_alone_and_the_daemon_works_without(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("mine")
    with listening(tmp_path):
        pass
    assert (tmp_path / NAME).read_text() == "mine"


def test_only_this_user_may_connect(tmp_path: Path) -> None:
    with listening(tmp_path):
        assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600


def test_a_path_too_long_for_a_socket_does_not_matter(tmp_path: Path) -> None:
    state = tmp_path / ("s" * 120)
    state.mkdir()
    with listening(state) as tickets, asked(state) as answers:
        tickets.get().tell(Finished(3, 1))
        assert list(answers) == [Finished(3, 1)]


@pytest.mark.parametrize(
    "line",
    [
        b"hello\n",
        b"{}\n",
        b"\xff\xfe\n",
        b'{"type":"order","step":"destroy","by":""}\n',
        b'{"type":"order","step":"expire","by":"","after_days":"all"}\n',
        b'{"type":"hold","keys":"x","reason":"r","by":""}\n',
        b'{"type":"order","step":"expire","by":"","unknown":1}\n',
    ],
)
def test_nonsense_is_refused_and_harms_nobody(tmp_path: Path, line: bytes) -> None:
    with listening(tmp_path) as tickets:
        answer: Reply = msgspec.json.decode(talk(tmp_path, line), type=Reply)
        assert isinstance(answer, Refused)
        assert tickets.empty()
        with asked(tmp_path) as answers:
            tickets.get().tell(Finished(0, 0))
            assert list(answers) == [Finished(0, 0)]


def test_whoever_says_nothing_whole_is_dropped(tmp_path: Path) -> None:
    with listening(tmp_path) as tickets:
        assert talk(tmp_path, b'{"type":"order"') == b""
        assert tickets.empty()


def test_more_callers_than_there_are_places_are_told_so(tmp_path: Path) -> None:
    with ExitStack() as stack:
        tickets = stack.enter_context(listening(tmp_path))
        callers = [stack.enter_context(asked(tmp_path)) for _ in range(16)]
        held = [tickets.get() for _ in callers]
        with asked(tmp_path) as one_too_many:
            (answer,) = list(one_too_many)
        assert isinstance(answer, Refused)
        for ticket in held:
            ticket.tell(Finished(0, 0))
        for answers in callers:
            assert list(answers) == [Finished(0, 0)]


def test_a_daemon_that_ends_early_is_an_error_and_not_a_silence(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / NAME))
        server.listen()
        with asked(tmp_path) as answers:
            server.accept()[0].close()
            with pytest.raises(TickwardError, match="ended before it was done"):
                list(answers)


def test_a_caller_who_goes_away_costs_nothing(tmp_path: Path) -> None:
    with listening(tmp_path) as tickets:
        with asked(tmp_path):
            ticket = tickets.get()
        for _ in range(10_000):
            ticket.tell(ANSWERS[1])
        ticket.tell(Finished(1, 0))
        with asked(tmp_path) as answers:
            tickets.get().tell(Finished(1, 0))
            assert list(answers) == [Finished(1, 0)]


def test_at_the_end_no_more_is_taken_but_what_was_taken_is_answered(tmp_path: Path) -> None:
    tickets: queue.SimpleQueue[Ticket] = queue.SimpleQueue()
    control = Control(tmp_path, tickets.put, lambda: VITALS)
    control.start()
    with asked(tmp_path) as answers:
        ticket = tickets.get()
        control.close()
        assert ask(tmp_path, ORDER) is None
        ticket.tell(Finished(0, 1))
        assert list(answers) == [Finished(0, 1)]
    control.stop()


class TestHowTheDaemonIs:
    def test_it_says_so_without_troubling_the_loop(self, tmp_path: Path) -> None:
        with listening(tmp_path) as tickets:
            assert vitals_of(tmp_path) == VITALS
            assert tickets.empty()

    def test_nobody_there(self, tmp_path: Path) -> None:
        assert vitals_of(tmp_path) is None

    def test_one_that_does_not_answer_is_not_waited_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_ASK_SECONDS", 0.05)
        with socket.socket(socket.AF_UNIX) as stopped:
            stopped.bind(str(tmp_path / NAME))
            stopped.listen()
            assert vitals_of(tmp_path) is None

    @pytest.mark.parametrize("answer", [b'{"type":"refused","why":"no such request"}\n', b"nonsense\n", b""])
    def test_one_of_another_version(self, tmp_path: Path, answer: bytes) -> None:
        with socket.socket(socket.AF_UNIX) as other, ThreadPoolExecutor(1) as thread:
            other.bind(str(tmp_path / NAME))
            other.listen()

            def attend() -> None:
                caller, _ = other.accept()
                with caller:
                    assert caller.recv(1000) == msgspec.json.encode(Ask()) + b"\n"
                    caller.sendall(answer)

            attended = thread.submit(attend)
            assert vitals_of(tmp_path) is None
            attended.result()

    def test_before_its_first_step(self, tmp_path: Path) -> None:
        control = Control(tmp_path, lambda _: None, lambda: None)
        control.start()
        try:
            assert vitals_of(tmp_path) is None
        finally:
            control.stop()

    def test_whoever_follows_an_order_is_in_nobodys_way(self, tmp_path: Path) -> None:
        with ExitStack() as stack:
            stack.enter_context(listening(tmp_path))
            for _ in range(module._MOST_ORDERS):
                stack.enter_context(asked(tmp_path))
            assert vitals_of(tmp_path) == VITALS


def test_who_has_gone_away_leaves_room_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.01)
    with listening(tmp_path) as tickets:
        for _ in range(2 * module._MOST_ORDERS):
            with asked(tmp_path):
                tickets.get()
            for thread in [each for each in threading.enumerate() if each.name == "caller"]:
                thread.join(PATIENCE_SECONDS)
                assert not thread.is_alive()


def test_what_cannot_be_accepted_does_not_make_it_deaf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = socket.socket.accept
    failures = iter([OSError(errno.EMFILE, "too many open files")] * 2)

    def fail_at_first(self: socket.socket) -> Any:
        if failure := next(failures, None):
            raise failure
        return accept(self)

    monkeypatch.setattr(module, "_AFTER_ERROR_SECONDS", 0.01)
    monkeypatch.setattr(socket.socket, "accept", fail_at_first)
    with listening(tmp_path):
        assert vitals_of(tmp_path) == VITALS


def test_whether_something_listens(tmp_path: Path) -> None:
    assert not is_listening(tmp_path)
    with listening(tmp_path):
        assert is_listening(tmp_path)
    assert not is_listening(tmp_path)
