"""`tickward events`: from the journal, live from a daemon, and what each of them is."""

from __future__ import annotations

import json
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.watcher.builders import sealed
from tests.watcher.cli.conftest import Terminal
from tests.watcher.cli.test_plan import make
from tests.watcher.processes import PATIENCE_SECONDS
from watcher import catalogue
from watcher.cli.events import _break
from watcher.config import load
from watcher.events import Stopped
from watcher.journal import Journal
from watcher.publisher import Publisher
from watcher.wire import Position

AT = datetime(2026, 1, 20, 0, 5, tzinfo=UTC)


@pytest.fixture
def recorded(tickward: Terminal) -> Terminal:
    """Thirty events: the daemon ended 29 times, and one day was sealed."""
    state = tickward.folder / "data/ticks/state"
    state.mkdir(parents=True)
    with Journal.open_for_writing(state / "journal.db") as journal:
        journal.record([("-", Stopped("SIGTERM"))] * 29, AT)
        journal.record([("ticks/2026-01-19", sealed())], AT)
    return tickward


def numbers(tickward: Terminal, *arguments: str) -> list[int]:
    ended = tickward("events", "--json", *arguments)
    assert ended.code == 0, ended.err
    return [json.loads(line)["sequence"] for line in ended.out.splitlines()]


def test_there_are_none_before_the_first_start(tickward: Terminal) -> None:
    assert tickward("events") == tickward("events", "--json") == tickward("events", "--since", "5")
    assert tickward("events").out == ""


def test_the_last_twenty(recorded: Terminal) -> None:
    assert numbers(recorded) == list(range(11, 31))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--last", "0"], []),
        (["-n", "2"], [29, 30]),
        (["--last", "1000"], list(range(1, 31))),
        (["--since", "0"], list(range(1, 31))),
        (["--since", "28"], [29, 30]),
        (["--since", "30"], []),
        (["--since", "31"], []),
        (["--since", "99999999999999999999999"], []),
    ],
    ids=lambda value: " ".join(value) if value and isinstance(value[0], str) else "",
)
def test_as_many_as_are_wanted(recorded: Terminal, arguments: list[str], expected: list[int]) -> None:
    assert numbers(recorded, *arguments) == expected


def test_a_line_for_people(recorded: Terminal) -> None:
    (line,) = recorded("events", "-n", "1").out.splitlines()
    assert line == "2026-01-20 00:05:00 #30 sealed ticks/2026-01-19 ticks=10 size_bytes=1000"


def test_json_is_what_subscribers_get(recorded: Terminal) -> None:
    (line,) = recorded("events", "-n", "1", "--json").out.splitlines()
    message = json.loads(line)
    assert (message["specversion"], message["type"]) == ("1.0", "tickward.sealed")
    assert (message["subject"], message["time"]) == ("ticks/2026-01-19", "2026-01-20T00:05:00Z")
    assert message["data"]["ticks"] == 10


def test_more_than_fit_into_one_read_of_the_journal(tickward: Terminal) -> None:
    state = tickward.folder / "data/ticks/state"
    state.mkdir(parents=True)
    with Journal.open_for_writing(state / "journal.db") as journal:
        journal.record([("-", Stopped("x"))] * 2500, AT)
    assert numbers(tickward, "--since", "0") == list(range(1, 2501))


def prune(tickward: Terminal, through: int) -> None:
    """As the daemon does: 100 events at least."""
    with Journal.open_for_writing(tickward.folder / "data/ticks/state/journal.db") as journal:
        journal.record([("-", Stopped("x"))] * 270, AT)
        journal.prune(AT + timedelta(days=1), AT, limit=through)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "5"], "tickward: events 6 to 200 are no longer kept\n"),
        (["--since", "199"], "tickward: events 200 to 200 are no longer kept\n"),
        (["--since", "200"], ""),
        (["--since", "0"], ""),
        (["--last", "1000"], ""),
    ],
)
def test_what_is_no_longer_kept_is_said(recorded: Terminal, arguments: list[str], said: str) -> None:
    prune(recorded, 200)
    ended = recorded("events", "--json", *arguments)
    assert ended.err == said
    assert [json.loads(line)["sequence"] for line in ended.out.splitlines()] == list(range(201, 302))


def test_a_number_that_is_yet_to_come_is_said(recorded: Terminal) -> None:
    ended = recorded("events", "--since", "100000")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == "tickward: --since 100000: the newest event in this journal is 30\n"
    assert recorded("events", "--since", "30").err == ""


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ((7, 5), (7, 6), ""),
        ((7, 5), (7, 8), "events 6 to 7 are no longer kept"),
        (
            (7, 5),
            (7, 1),
            "an older copy of the journal was put back: its events follow, some for a second time",
        ),
        ((7, 5), (8, 1), "the daemon has another journal: its events follow"),
        (
            (7, 5),
            (8, 3),
            "the daemon has another journal: its events follow; events 1 to 2 are no longer kept",
        ),
    ],
)
def test_what_does_not_follow_is_said(before: tuple[int, int], after: tuple[int, int], said: str) -> None:
    assert _break(Position(*before), Position(*after)) == said


def test_a_stranger_at_the_address_is_said_and_ignored(recorded: Terminal) -> None:
    """Another configuration with the same addresses; then this one's daemon has them."""
    recorded.configure_events()
    settings, own, strange = load(), Path("data/ticks/state/journal.db"), Path("strange.db")
    with Journal.open_for_writing(strange) as journal:
        journal.record([("-", Stopped("strange"))] * 50, AT)
    stranger = Publisher(settings, strange, retry_seconds=0.05)
    stranger.start(0)
    follower = recorded.start("events", "--follow", "--json", "--since", "29", stderr=subprocess.PIPE)
    try:
        assert follower.stdout is not None
        assert follower.stderr is not None
        assert json.loads(follower.stdout.readline())["sequence"] == 30
        assert follower.stderr.readline() == (
            f"tickward: another daemon is heard on {settings.events.publish} and ignored: its journal is not "
            f"the one in {settings.data.state}; give each configuration its own addresses (events.publish, "
            "events.replay)\n"
        )
        stranger.stop()
        with Journal.open_for_writing(own) as journal:
            journal.record([("-", Stopped("own"))] * 2, AT)
        stranger = Publisher(settings, own, retry_seconds=0.05)
        stranger.start(0)
        assert [json.loads(follower.stdout.readline())["sequence"] for _ in range(2)] == [31, 32]
        follower.send_signal(signal.SIGINT)
        out, err = follower.communicate(timeout=PATIENCE_SECONDS)
        assert (follower.returncode, out, err) == (0, "", "")
    finally:
        follower.kill()
        follower.communicate()
        stranger.stop()


def test_following_goes_on_with_what_happens(tickward: Terminal) -> None:
    tickward.configure_events()
    daemon = tickward.start("run", stderr=subprocess.PIPE)
    follower: subprocess.Popen[str] | None = None
    try:
        assert daemon.stderr is not None
        for line in daemon.stderr:
            if "#1 started" in line:
                break
        follower = tickward.start("events", "--follow", "--json", "--since", "0")
        assert follower.stdout is not None
        first = json.loads(follower.stdout.readline())
        assert (first["sequence"], first["type"]) == (1, "tickward.started")
        make(tickward.folder, "2026-01-19")
        seen = [1]
        for line in follower.stdout:
            message = json.loads(line)
            seen.append(message["sequence"])
            if (message["type"], message["subject"]) == ("tickward.sealed", "ticks/2026-01-19"):
                break
        assert seen == list(range(1, len(seen) + 1))
        follower.send_signal(signal.SIGINT)
        assert follower.wait(PATIENCE_SECONDS) == 0
    finally:
        for process in filter(None, (follower, daemon)):
            process.kill()
            process.communicate()


def test_the_journal_is_only_read(recorded: Terminal) -> None:
    journal = Path("data/ticks/state/journal.db")
    before = journal.read_bytes()
    recorded("events")
    recorded("status")
    assert journal.read_bytes() == before


class TestSchema:
    @pytest.mark.parametrize("event", ["sealed", "progress"])
    def test_of_one_event(self, tickward: Terminal, event: str) -> None:
        assert tickward("events", "schema", event).json == catalogue.schema(event)

    def test_of_every_message(self, tickward: Terminal) -> None:
        assert tickward("events", "schema").json == catalogue.message_schema()

    def test_of_what_is_no_event(self, tickward: Terminal) -> None:
        ended = tickward("events", "schema", "sealing")
        assert (ended.code, ended.out) == (2, "")
        (sentence,) = ended.err.splitlines()
        assert sentence.startswith("tickward: there is no event 'sealing'; there are: started, stopped, ")

    def test_needs_no_configuration_and_no_journal(self, tickward: Terminal) -> None:
        Path("config.toml").write_text("[compress]\nlevel = 99\n")
        assert tickward("events", "schema", "sealed").code == 0
        assert tickward.tree() == {"config.toml"}

    def test_is_told_of_by_help(self, tickward: Terminal) -> None:
        text = tickward("events", "--help").out
        assert "Usage: tickward events [OPTIONS] [COMMAND]" in text
        assert all(option in text for option in ("--follow", "--since", "--last", "--json", "schema"))

    def test_is_the_only_word_that_may_follow(self, recorded: Terminal) -> None:
        ended = recorded("events", "sealed")
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith("tickward: no such command 'sealed'; ")
