"""What holds for every command: help, versions, one-sentence errors and exit codes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tests.watcher.cli.conftest import Terminal
from tests.watcher.processes import PROJECT, Child
from watcher.__main__ import EXIT_CLOSED_PIPE
from watcher.cli.main import COMMANDS, app
from watcher.cli.manual import HEADINGS, parts, statuses
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
        *(
            "",
            "run",
            "once",
            "plan",
            "status",
            "doctor",
            "events",
            "wait",
            "query",
            "shell",
            "analyze",
            "demo",
            "selftest",
        ),
        *("inventory", "history", "policy", "forecast", "report", "web"),
        *("rotate", "seal", "backup", "compress", "archive", "expire"),
        *("hold", "release", "restore", "verify", "merge"),
        "events schema",
        *("audit", "audit verify", "audit export"),
        *("hooks", "hooks failed", "hooks retry", "hooks drop", "hooks test"),
        *("keys", "keys new", "keys list", "keys allow", "keys revoke"),
        *("config", "config show", "config check", "config init"),
        "adopt",
        *("service", "service show", "service install", "service uninstall", "service status"),
    }


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_command_answers_help(tickward: Terminal, path: list[str], option: str) -> None:
    ended = tickward(*path, option)
    assert ended.code == 0
    assert "Usage: " + " ".join(["tickward", *path]) in ended.out
    assert len(ended.out.splitlines()) > 5
    assert tickward.tree() == set()


def command_of(path: list[str]) -> Any:
    command: Any = typer.main.get_command(app)
    for name in path:
        command = command.commands[name]
    return command


DOING = [path for path in commands() if not command_of(path).no_args_is_help]


@pytest.mark.parametrize("path", DOING, ids=" ".join)
class TestTheManualOfACommand:
    def test_tells_its_exit_statuses_and_an_example_of_its_own(self, path: list[str]) -> None:
        _, below = parts(command_of(path).help)
        assert list(below) == list(HEADINGS)
        assert below["Exit status"].startswith("0 ")
        assert len(statuses(below["Exit status"])) == below["Exit status"].count(";") + 1
        assert " ".join(["tickward", *path]) in re.sub(r"-c \S+ ", "", below["Examples"])

    def test_fits_into_a_terminal_and_says_what_it_wants(self, tickward: Terminal, path: list[str]) -> None:
        shown = tickward(*path, "--help").out
        assert max(map(len, shown.splitlines())) <= 80
        assert not re.search(r"^  --?\S+(, --?\S+)? <(str|int|float|path)", shown, re.MULTILINE)
        assert [heading for heading in HEADINGS if f"\n{heading}:\n" in shown] == list(HEADINGS)


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_option_and_argument_has_help(path: list[str]) -> None:
    assert [each.name for each in command_of(path).params if not getattr(each, "help", None)] == []


def test_help_shows_commands_by_what_they_are_for(tickward: Terminal) -> None:
    shown = tickward("--help").out
    assert [title for title in COMMANDS if f"\n{title}\n" in shown] == list(COMMANDS)
    assert re.search(r"\nProve\n  verify +Read every copy", shown)


def test_help_tells_the_exit_codes(tickward: Terminal) -> None:
    text = " ".join(tickward("--help").out.split())
    assert re.search(r"0 done .* 1 a step failed or was refused 2 usage or configuration 3 another", text)


def test_versions(tickward: Terminal) -> None:
    ended = tickward("--version")
    assert ended.code == 0
    assert re.fullmatch(r"tickward \S+ \(Python 3\S+, SQLite 3\S+, zstd 1\S+, ZeroMQ 4\S+\)\n", ended.out)
    assert tickward.run("--version") == ended


@pytest.mark.parametrize(
    "arguments",
    [
        ["nosuch"],
        ["config", "nosuch"],
        ["plan", "--nosuch"],
        ["plan", "extra"],
        ["plan", "--json=yes"],
        ["hold"],
        ["hold", "2026-01-20"],
        ["hooks", "retry", "x"],
        ["wait", "2026-01-20", "sealed", "--timeout", "long"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_sentence_and_2(tickward: Terminal, arguments: list[str]) -> None:
    ended = tickward(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("tickward: ")
    assert len(ended.err.splitlines()) == 1
    assert tickward.tree() == set()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["events", "--since", "-1"], "--since: give a whole number, 0 or more; `tickward events --help`"),
        (["events", "--last", "x"], "--last: give a whole number, 0 or more; "),
        (["compress", "--level", "40"], "--level: give a whole number from 1 to 22; "),
        (["query", "x", "--format", "xml"], "--format: give one of table, csv, json; "),
        (["hooks", "drop", "x"], "ID...: give a whole number; `tickward hooks drop --help` shows how"),
        (["hold", "2026-01-20"], "--reason is missing; `tickward hold --help` shows how"),
    ],
    ids=str,
)
def test_wrong_usage_is_told_in_our_own_words(tickward: Terminal, arguments: list[str], said: str) -> None:
    assert tickward(*arguments).err.startswith(f"tickward: {said}")


@pytest.mark.parametrize("arguments", [[], ["config"], ["keys"]], ids=" ".join)
def test_a_group_alone_shows_its_help(tickward: Terminal, arguments: list[str]) -> None:
    ended = tickward(*arguments)
    assert ended.code == 2
    assert "Usage: tickward" in ended.out + ended.err
    assert "Traceback" not in ended.err


READING = [["plan"], ["events"], ["config", "show"], ["config", "check"]]
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


@pytest.mark.parametrize("command", [["plan"], ["events"], *WORKING], ids=" ".join)
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

    monkeypatch.setattr("watcher.overview.overview", fail)
    ended = tickward("plan")
    assert ended.code == 1
    assert ended.err == (
        "tickward: ZeroDivisionError: by zero; this is a defect, please report it with what --debug shows\n"
    )
    assert "Traceback" in tickward("--debug", "plan").err


@pytest.mark.parametrize("command", [["plan"], ["events"], ["config", "show"]], ids=" ".join)
def test_commands_that_only_read_leave_nothing_behind(tickward: Terminal, command: list[str]) -> None:
    assert tickward(*command).code == 0
    assert tickward.tree() == set()


def test_the_exit_code_reaches_the_shell(tickward: Terminal) -> None:
    ended = tickward.run("--config", "nosuch.toml", "status")
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (3, "", 1)


@pytest.mark.parametrize("command", [["config", "show"], ["plan"], ["--help"]], ids=" ".join)
def test_whoever_stops_reading_is_told_nothing(tickward: Terminal, command: list[str]) -> None:
    process = tickward.start(*command, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait() == EXIT_CLOSED_PIPE


def test_completion_can_be_had(tickward: Terminal) -> None:
    assert "--install-completion" in tickward("--help").out


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("tickward s", {"seal", "selftest", "shell", "status"}),
        ("tickward keys ", {"new", "list", "allow", "revoke"}),
        ("tickward query --f", {"--from", "--format", "--force"}),
    ],
)
def test_completion_offers_commands_and_options(
    tickward: Terminal, monkeypatch: pytest.MonkeyPatch, typed: str, offered: set[str]
) -> None:
    monkeypatch.setenv("_TICKWARD_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split(" ")) - 1))
    assert offered <= set(tickward().out.split())


HEAVY = {
    *("apsw", "zmq", "zstandard", "loguru", "watchdog", "asyncio", "multiprocessing", "sqlite3"),
    *("rich", "pygments", "markdown_it", "pydantic", "starlette", "uvicorn", "matplotlib", "numpy"),
    *("prometheus_client", "watcher.app", "watcher.loop", "watcher.overview", "watcher.journal"),
}


@pytest.mark.parametrize("arguments", [["--help"], ["status", "--help"], ["query", "--help"]], ids=" ".join)
def test_help_imports_nothing_heavy(tickward: Terminal, arguments: list[str]) -> None:
    assert HEAVY & imported(tickward, *arguments) == set()


def test_a_command_imports_neither_the_other_commands_nor_what_only_converts(tickward: Terminal) -> None:
    tickward.configure()
    found = imported(tickward, "-c", "config.toml", "config", "check")
    assert {name for name in found if name.startswith("watcher.cli.")} & {
        *("watcher.cli.query", "watcher.cli.steps", "watcher.cli.report", "watcher.cli.documents.registry"),
    } == set()
    assert not {"pydantic", "rich", "zmq", "apsw"} & found


def imported(tickward: Terminal, *arguments: str) -> set[str]:
    """The modules that there are at the end of a command."""
    program = (
        "import atexit, sys\n"
        "from watcher.__main__ import main\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=tickward.folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ended.stderr.split())


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
