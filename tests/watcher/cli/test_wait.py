"""`tickward wait`: for shell scripts that go on when something has happened to a day."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from handlers.contract import Lost, Signature
from tests.watcher.builders import adopted, backed_up, compressed, expired, sealed
from tests.watcher.bus import AT, KEY
from tests.watcher.cli.conftest import Terminal
from tests.watcher.processes import PATIENCE_SECONDS
from watcher.cli.listening import Own
from watcher.cli.wait import _recorded, _Wanted
from watcher.config import load
from watcher.control import Control
from watcher.events import Closed, Event, Held, Opened, Reopened
from watcher.journal import Journal
from watcher.paths import journal_file
from watcher.publisher import Publisher

DAY = "2026-01-20"
CLOSED = Closed("x", Signature(1, 2, 3), 0)


class Recorder:
    """The daemon's journal, its publisher and its ear, without the work."""

    def __init__(self) -> None:
        settings = load()
        self.file = journal_file(settings.data)
        self.file.parent.mkdir(parents=True)
        self.journal = Journal.open_for_writing(self.file)
        self.publisher = Publisher(settings, self.file, retry_seconds=0.05)
        self.ear = Control(self.file.parent, lambda _: None, lambda: None)

    def start(self) -> None:
        self.publisher.start(0)
        self.ear.start()

    def stop(self) -> None:
        self.ear.stop()
        self.publisher.stop()
        self.journal.close()

    def record(self, *events: Event, key: str = KEY) -> None:
        self.journal.record([(key, event) for event in events], AT)
        self.publisher.wake()


@pytest.fixture
def absent(tickward: Terminal) -> Iterator[Recorder]:
    """A daemon that has yet to be started; events are recorded all the same, as by single passes."""
    (tickward.folder / "config.toml").write_text('[events]\npublish = "ipc://p"\nreplay = "ipc://r"\n')
    recorder = Recorder()
    yield recorder
    recorder.stop()


@pytest.fixture
def daemon(absent: Recorder) -> Recorder:
    absent.start()
    return absent


ALREADY = pytest.mark.parametrize(
    ("happened", "event"),
    [
        ([Opened("x")], "created"),
        ([Opened("x")], "opened"),
        ([CLOSED], "closed"),
        ([sealed()], "sealed"),
        ([sealed(), backed_up(), compressed()], "sealed"),
        ([sealed(), backed_up(), compressed()], "compressed"),
        ([adopted()], "backed_up"),
        ([sealed(), Held("why", "ann")], "held"),
    ],
)


@ALREADY
def test_what_a_day_is_already_is_not_waited_for(
    tickward: Terminal, daemon: Recorder, happened: list[Event], event: str
) -> None:
    daemon.record(*happened)
    ended = tickward("wait", DAY, event)
    assert (ended.code, ended.out.startswith(f"{KEY} is {event}")) == (0, True), ended.err


@pytest.mark.parametrize(
    ("happened", "event", "said"),
    [
        ([], "sealed", "the daemon knows no such day"),
        ([CLOSED], "sealed", "it is closed"),
        ([sealed(), Reopened("x", "late")], "sealed", "it is closed"),
        ([sealed()], "verified", "it is sealed"),
        ([sealed(), backed_up(live=True)], "backed_up", "it is sealed"),
        ([sealed(), backed_up(), compressed(), expired()], "archived", "it is expired"),
    ],
)
def test_what_it_is_not_is_said_when_the_time_is_over(
    tickward: Terminal, daemon: Recorder, happened: list[Event], event: str, said: str
) -> None:
    daemon.record(*happened)
    ended = tickward("wait", DAY, event, "--timeout", "0")
    assert ended.code == 1
    assert f"{KEY}: not {event} in time; {said}" in ended.err
    assert ended.out == ""


@pytest.mark.parametrize("with_daemon", [True, False])
def test_what_is_lost_is_no_success(tickward: Terminal, absent: Recorder, with_daemon: bool) -> None:
    if with_daemon:
        absent.start()
    lost = Lost("aa", 10, (), (), "no good copy is left", "look for one", "e")
    absent.record(sealed(), backed_up(), compressed(), lost)
    for event in ("sealed", "compressed"):
        ended = tickward("wait", DAY, event)
        assert (ended.code, ended.out) == (1, "")
        assert f"{KEY} was {event}, but is LOST: no good copy is left" in ended.err


@ALREADY
def test_without_a_daemon_it_is_found_in_the_journal_at_once(
    tickward: Terminal, absent: Recorder, happened: list[Event], event: str
) -> None:
    absent.record(*happened)
    ended = tickward("wait", DAY, event)
    assert (ended.code, ended.out.startswith(f"{KEY} is {event}"), ended.err) == (0, True, "")
    told = tickward("wait", DAY, event, "--json").json
    assert (told["subject"], told["event"], told["message"]) == (KEY, event, None)


@pytest.mark.parametrize(
    ("happened", "event", "said"),
    [
        ([], "sealed", "the journal knows no such day"),
        ([sealed(), Reopened("x", "late")], "sealed", "it is closed"),
        ([sealed(), backed_up(live=True)], "backed_up", "it is sealed"),
    ],
)
def test_without_a_daemon_what_it_is_not_is_said(
    tickward: Terminal, absent: Recorder, happened: list[Event], event: str, said: str
) -> None:
    absent.record(*happened)
    ended = tickward("wait", DAY, event, "--timeout", "0")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"tickward: {KEY}: not {event} in time; {said}; no daemon was running\n"


def is_said(process: subprocess.Popen[str]) -> bool:
    """That nobody is running; it waits from then on."""
    assert process.stderr is not None
    return process.stderr.readline().startswith("tickward: no daemon is running: waiting until")


def test_what_a_single_pass_records_ends_it(tickward: Terminal, absent: Recorder) -> None:
    absent.record(sealed())
    with waiting(tickward, DAY, "sealed", "--next", "--json") as process:
        assert is_said(process)
        absent.record(sealed(), key="ticks/2026-01-19")
        absent.record(Reopened("x", "late"), sealed())
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out)["message"]["sequence"] == 4


def test_a_daemon_that_comes_is_heard(tickward: Terminal, absent: Recorder, monkeypatch: Any) -> None:
    monkeypatch.setattr("watcher.cli.wait._LOOK_SECONDS", 1000.0)  # it is not by the journal
    with ThreadPoolExecutor(1) as another:
        waits = another.submit(_recorded, load(), _Wanted(KEY, "sealed", fresh=True), None)
        absent.start()
        for _ in range(1000):  # until it has joined: there is no other sign of that
            absent.record(Reopened("x", "late"), sealed())
            with suppress(TimeoutError):
                waits.result(0.05)
                break
        assert waits.result(PATIENCE_SECONDS).message is not None


@pytest.fixture
def stranger(absent: Recorder) -> Iterator[Journal]:
    """The journal of another daemon, which has this configuration's addresses: the day is sealed there."""
    file = Path("strange.db")
    with Journal.open_for_writing(file) as journal:
        journal.record([(KEY, sealed())], AT)
        publisher = Publisher(load(), file, retry_seconds=0.05)
        publisher.start(0)
        yield journal
        publisher.stop()


def test_a_strangers_word_is_not_taken(tickward: Terminal, absent: Recorder, stranger: Journal) -> None:
    absent.record(CLOSED)
    absent.ear.start()  # it runs, but could not have the addresses
    settings = load()
    for arguments in (("--timeout", "0"), ("--next", "--timeout", "0"), ()):
        ended = tickward("wait", DAY, "sealed", *arguments)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err == (
            f"tickward: another daemon answers on {settings.events.replay}: its journal is not the one in "
            f"{settings.data.state}; give each configuration its own addresses (events.publish, "
            "events.replay)\n"
        )


def test_without_a_daemon_a_stranger_is_ignored(
    tickward: Terminal, absent: Recorder, stranger: Journal
) -> None:
    absent.record(CLOSED)
    with waiting(tickward, DAY, "sealed", "--json") as process:
        assert is_said(process)
        assert process.stderr is not None
        assert process.stderr.readline().startswith("tickward: another daemon is heard on ")
        absent.record(sealed(), key="ticks/2026-01-19")
        absent.record(sealed())
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out)["state"]["state"] == "sealed"


class TestOwn:
    """Whose word it is."""

    def test_anybodys_without_a_journal(self, tickward: Terminal) -> None:
        assert Own(load()).says("1a2b-5")

    def test_another_journal_is_noticed(self, tickward: Terminal) -> None:
        own, file = Own(load()), journal_file(load().data)
        file.parent.mkdir(parents=True)
        epochs = []
        for _ in range(2):
            for path in file.parent.iterdir():
                path.unlink()
            with Journal.open_for_writing(file) as journal:
                epochs.append(f"{journal.epoch:x}-1")
                assert own.says(epochs[-1])
        assert not own.says(epochs[0])

    def test_one_that_cannot_be_read_tells_nothing(self, tickward: Terminal) -> None:
        file = journal_file(load().data)
        file.parent.mkdir(parents=True)
        file.write_bytes(b"no journal" * 1000)
        assert Own(load()).says("1a2b-5")


def waiting(tickward: Terminal, *arguments: str) -> subprocess.Popen[str]:
    return tickward.start("wait", *arguments, stderr=subprocess.PIPE)


def test_it_ends_when_it_happens_and_not_before(tickward: Terminal, daemon: Recorder) -> None:
    daemon.record(CLOSED)
    with waiting(tickward, DAY, "backed_up", "--json") as process:
        daemon.record(sealed(), backed_up(), key="ticks/2026-01-19")
        daemon.record(sealed(), backed_up(live=True))
        daemon.record(backed_up())
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, err
    told = json.loads(out)
    message, state = told["message"], told["state"]
    assert (told["subject"], told["event"]) == (KEY, "backed_up")
    assert (message is None) != (state is None)
    assert state is None or state["state"] == "backed_up"
    assert message is None or (message["sequence"], message["data"]["live"]) == (6, False)


def test_the_next_one_is_another_one(tickward: Terminal, daemon: Recorder) -> None:
    daemon.record(sealed())
    with waiting(tickward, DAY, "sealed", "--next", "--json") as process:
        for _ in range(1000):  # until it has joined: there is no other sign of that
            daemon.record(Reopened("x", "late"), sealed())
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
                break
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, err
    assert json.loads(out)["message"]["sequence"] > 1


def test_without_a_daemon_it_is_said_where_it_was_looked_for(tickward: Terminal) -> None:
    tickward.configure_events()
    ended = tickward("wait", DAY, "sealed", "--timeout", "0")
    assert ended.code == 1
    assert f"no daemon was heard on ipc://{Path.cwd()}/r" in ended.err


def test_by_keyboard_it_ends_quietly(tickward: Terminal) -> None:
    tickward.configure_events()
    with socket.socket(socket.AF_UNIX) as replay:
        replay.bind("r")
        replay.listen()
        replay.settimeout(PATIENCE_SECONDS)
        with waiting(tickward, DAY, "sealed") as process:
            connected, _ = replay.accept()  # it has come so far
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
            connected.close()
    assert (process.returncode, out, err) == (130, "", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((DAY, "seald"), "there is no event 'seald'"),
        ((DAY, "rotated"), "rotated is nothing that happens to a day"),
        (("yesterday", "sealed"), "'yesterday' is not a day"),
        (("fx/2026-01-20", "sealed"), "there is no stream 'fx'"),
        ((DAY, "sealed", "--timeout", "-1"), "timeout"),
    ],
)
def test_what_cannot_be_meant_is_refused(tickward: Terminal, arguments: tuple[str, ...], said: str) -> None:
    ended = tickward("wait", *arguments)
    assert ended.code == 2
    assert said in ended.err
