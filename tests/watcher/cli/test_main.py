"""What holds for every command: help, versions, one-sentence errors and exit codes."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tests.watcher.cli.conftest import Terminal
from tests.watcher.processes import Child
from watcher.cli.main import app
from watcher.journal import Journal
from watcher.lock import Lock


def commands() -> list[list[str]]:
    """Every command and group, as typed."""
    found: list[list[str]] = [[]]

    def walk(command: Any, path: list[str]) -> None:
        for name, inner in getattr(command, "commands", {}).items():
            found.append([*path, name])
            walk(inner, [*path, name])

    walk(typer.main.get_command(app), [])
    return found


def test_there_are_the_commands_that_there_should_be() -> None:
    assert {" ".join(path) for path in commands()} == {
        *("", "run", "once", "plan", "status", "events", "query", "shell", "analyze", "demo"),
        *("rotate", "seal", "backup", "compress", "archive", "expire"),
        *("hold", "release", "restore", "verify", "merge"),
        *("audit", "audit verify", "audit export"),
        *("config", "config show", "config check", "config init"),
    }


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_command_answers_help(tickward: Terminal, path: list[str], option: str) -> None:
    ended = tickward(*path, option)
    assert ended.code == 0
    assert "Usage: " + " ".join(["tickward", *path]) in ended.out
    assert len(ended.out.splitlines()) > 5
    assert tickward.tree() == set()


def test_help_tells_the_exit_codes(tickward: Terminal) -> None:
    text = " ".join(tickward("--help").out.split())
    assert re.search(r"0 done .* 1 a step failed or was refused; 2 usage or configuration; 3 another", text)


def test_versions(tickward: Terminal) -> None:
    ended = tickward("--version")
    assert ended.code == 0
    assert re.fullmatch(r"tickward \S+ \(Python 3\S+, SQLite 3\S+, zstd 1\S+, ZeroMQ 4\S+\)\n", ended.out)
    assert tickward.run("--version") == ended


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nosuch"],
        ["plan", "--nosuch"],
        ["plan", "extra"],
        ["events", "--since", "-1"],
        ["events", "--last", "x"],
        ["config"],
        ["config", "nosuch"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(tickward: Terminal, arguments: list[str]) -> None:
    ended = tickward(*arguments)
    assert ended.code == 2
    assert "Usage: tickward" in ended.out + ended.err
    assert "Traceback" not in ended.err
    assert tickward.tree() == set()


READING = [["plan"], ["status"], ["events"], ["config", "show"], ["config", "check"]]
WORKING = [["run"], ["once"]]


@pytest.mark.parametrize("command", [*READING, *WORKING], ids=" ".join)
class TestAConfigurationThatCannotBeMeant:
    def test_is_one_sentence_and_2(self, tickward: Terminal, command: list[str]) -> None:
        Path("config.toml").write_text("[compress]\nlevel = 99\n")
        ended = tickward(*command)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err == "tickward: config.toml: compress.level: Expected `int` <= 22\n"

    def test_has_a_traceback_with_debug(self, tickward: Terminal, command: list[str]) -> None:
        Path("config.toml").write_text("[compress]\nlevel = 99\n")
        ended = tickward("--debug", *command)
        assert ended.code == 2
        assert ended.err.startswith("Traceback (most recent call last)")
        assert ended.err.endswith("tickward: config.toml: compress.level: Expected `int` <= 22\n")

    def test_a_file_that_is_not_there(self, tickward: Terminal, command: list[str]) -> None:
        ended = tickward("--config", "nosuch.toml", *command)
        assert ended.code == 2
        assert ended.err.startswith(
            "tickward: nosuch.toml does not exist; `tickward config init nosuch.toml`"
        )
        assert tickward.tree() == set()


@pytest.mark.parametrize("command", [["plan"], ["status"], ["events"], *WORKING], ids=" ".join)
def test_a_damaged_journal_is_one_sentence_and_1(tickward: Terminal, command: list[str]) -> None:
    journal = tickward.folder / "data/ticks/state/journal.db"
    journal.parent.mkdir(parents=True)
    journal.write_bytes(b"no journal " * 1000)
    ended = tickward(*command)
    assert ended.code == 1
    (sentence,) = ended.err.splitlines()
    assert sentence.startswith(f"tickward: the journal {journal} cannot be opened")
    assert "move it aside" in sentence
    assert journal.read_bytes() == b"no journal " * 1000


@pytest.mark.parametrize("command", WORKING, ids=" ".join)
def test_another_instance_is_3_and_named(tickward: Terminal, command: list[str]) -> None:
    state = tickward.folder / "data/ticks/state"
    state.mkdir(parents=True)
    lock = Lock(state)
    with Child("from pathlib import Path\nfrom watcher.lock import Lock\n" + HOLD, state) as holder:
        assert holder.said() == "held"
        ended = tickward(*command)
        assert (ended.code, ended.out) == (3, "")
        assert ended.err.splitlines() == [
            f"tickward: another tickward (pid {holder.process.pid}) looks after {state}; "
            "stop it first, or give this one another data.state"
        ]
        assert lock.holder() == holder.process.pid


HOLD = "lock = Lock(Path(sys.argv[1])); lock.acquire(); say('held'); wait()"


@pytest.mark.parametrize("command", WORKING, ids=" ".join)
def test_a_log_that_cannot_be_written_is_2_and_named(tickward: Terminal, command: list[str]) -> None:
    Path("logs").write_text("a file, not a directory")
    ended = tickward(*command)
    assert ended.code == 2
    assert ended.err.startswith("tickward: log.file: ")
    assert len(ended.err.splitlines()) == 1


def test_an_error_that_nobody_foresaw_is_one_sentence_too(
    tickward: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("watcher.survey.survey", fail)
    ended = tickward("status")
    assert ended.code == 1
    assert ended.err == (
        "tickward: ZeroDivisionError: by zero; this is a defect, please report it with what --debug shows\n"
    )
    assert "Traceback" in tickward("--debug", "status").err


@pytest.mark.parametrize("command", [["plan"], ["status"], ["events"], ["config", "show"]], ids=" ".join)
def test_commands_that_only_read_leave_nothing_behind(tickward: Terminal, command: list[str]) -> None:
    assert tickward(*command).code == 0
    assert tickward.tree() == set()


def test_the_exit_code_reaches_the_shell(tickward: Terminal) -> None:
    ended = tickward.run("--config", "nosuch.toml", "status")
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)


def test_whoever_stops_reading_gets_no_traceback(tickward: Terminal) -> None:
    process = tickward.start("config", "show", stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait() in (0, 1)
    assert "Traceback" not in said


def test_completion_can_be_had(tickward: Terminal) -> None:
    assert "--install-completion" in tickward("--help").out


def test_run_ends_in_order_when_told_to(tickward: Terminal) -> None:
    tickward.configure_events()
    process = tickward.start("run", stderr=subprocess.PIPE)
    assert process.stderr is not None
    for line in process.stderr:
        if "#1 started" in line:
            break
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=30)
    assert process.returncode == 0, rest
    assert "stopped" in rest
    with journal_of(tickward) as journal:
        assert [record.event for record in journal.since(journal.head() - 1)] == ["stopped"]


def journal_of(tickward: Terminal) -> Journal:
    journal = Journal.open_for_reading(tickward.folder / "data/ticks/state/journal.db")
    assert journal is not None
    return journal
