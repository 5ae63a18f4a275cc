"""Commands that do their work without a daemon: what they say where others have the addresses of events."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from tests.watcher.cli.conftest import Terminal
from tests.watcher.cli.test_plan import make


@pytest.fixture
def taken(tickward: Terminal) -> Iterator[Terminal]:
    """With a day to be sealed, and both addresses in the hands of another program."""
    make(tickward.folder, "2026-01-19")
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        publish, replay = (f"tcp://127.0.0.1:{each.getsockname()[1]}" for each in (one, other))
        tickward.configure(f'[events]\npublish = "{publish}"\nreplay = "{replay}"\n')
        yield tickward


def logged(terminal: Terminal) -> list[dict[str, str]]:
    return [json.loads(line) for line in (terminal.folder / "logs/tickward.jsonl").read_text().splitlines()]


def test_a_pass_says_in_one_quiet_line_that_nobody_hears_it(taken: Terminal) -> None:
    ended = taken("once")
    assert ended.code == 0, ended.err
    (line,) = [line for line in ended.err.splitlines() if "127.0.0.1" in line]
    assert " INFO " in line
    assert "in the journal" in line
    assert not any("ERROR" in line for line in ended.err.splitlines())
    (said,) = [each for each in logged(taken) if "127.0.0.1" in each["message"]]
    assert (said["level"], "address" in said) == ("INFO", False)
    assert "sealed" in taken("events").out


def test_an_order_says_nothing_of_it_on_the_terminal(taken: Terminal) -> None:
    ended = taken("seal", "2026-01-19")
    assert (ended.code, ended.err) == (0, "")
    assert sum("127.0.0.1" in each["message"] for each in logged(taken)) == 1
