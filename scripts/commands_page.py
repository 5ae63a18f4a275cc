"""docs/commands.md: every command with what it prints. To add one is an entry in `SECTIONS`.

The commands are run, in the order of the page, in the trees of `scripts.commands_stage`; each is run a second
time with ``--json``, for the tests to compare that with its schema.
"""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, Literal, NamedTuple

import typer.main

from scripts.commands_stage import Said, Stage, stage
from scripts.markdown import paragraph
from scripts.shapes_page import anchor
from watcher.cli.documents.registry import PRINTED, WITHOUT
from watcher.cli.main import app
from watcher.cli.manual import parts

MOST_LINES = 25

READING = "0; 1 the journal or a file cannot be read; 2 usage or configuration."
ORDERING = "0; 1 it failed or was refused; 2 usage or configuration; 3 another instance is at work."
WRITING = "0; 1 it cannot be done; 2 usage or configuration."


class Entry(NamedTuple):
    """One command."""

    command: str
    """As it is typed; with an option, if it does something else with that."""
    arguments: str | None = ""
    """With which it is shown; None: it is not run for the page."""
    exits: str = READING
    """Where it is shown with an option; else its help says that."""
    note: str = ""
    """What there is to say beside its help."""
    tree: Literal["sample", "real"] = "sample"
    json: str | None = None
    """The arguments for JSON, where the same ones would have nothing left to do; None: the same."""
    before: Callable[[Stage], None] | None = None
    lines: int = MOST_LINES
    """That are shown at the most: more only of what is one screen. What is left out is said."""


class Performed(NamedTuple):
    """An entry, and what became of it."""

    entry: Entry
    shown: Said | None
    json: Said | None


def _late(run: Stage) -> None:
    for day in ("2026-07-12", "2026-07-13"):
        run.late_ticks(day)


def _step(name: str, arguments: str = "2026-07-12", **more: Any) -> Entry:
    """A step of the real days: for JSON with the day after."""
    return Entry(name, arguments, ORDERING, tree="real", json=arguments.replace("07-12", "07-13"), **more)


SECTIONS: dict[str, list[Entry]] = {
    "How do things stand?": [
        Entry("status", "", "0 OK; 1 ATTENTION; 2 FAILING; 3 it cannot be told.", lines=60),
        Entry(
            "doctor",
            None,
            "0; 1 there are warnings; 2 there are problems, or wrong usage.",
            "See [doctor.md](doctor.md).",
        ),
        Entry("forecast", note="`--compress-after 3 --level 12` says what that would save.", lines=50),
        Entry("web", None, "0 when it is stopped; 2 usage or configuration.", "See [web.md](web.md)."),
    ],
    "Where is every day?": [
        Entry("inventory", "--from 2026-06-22 --to 2026-07-07"),
        Entry("plan", "--from 2026-07-10", note="`--at 2026-08-01` asks what it will be then."),
        Entry("history", "2026-07-03", lines=35),
        Entry("policy", lines=50),
        Entry(
            "policy --prove",
            exits="0; 1 there are exceptions; 2 usage or configuration.",
            note="Show at which age each step was really done, and every exception from the policy.",
        ),
    ],
    "Change something": [
        Entry("rotate", "", ORDERING, tree="real"),
        _step("seal"),
        _step("backup"),
        _step("compress"),
        _step("archive"),
        Entry("restore", "2026-07-12 --to day.db", ORDERING, tree="real", json="2026-07-12 --to another.db"),
        Entry("hold", '2026-07-12 --reason "inquiry 2026-17"', ORDERING, tree="real"),
        Entry("release", "2026-07-12", ORDERING, tree="real"),
        Entry("expire", "2026-02-10 --dry-run", ORDERING, "Every step has `--dry-run`."),
        _step("merge", before=_late),
        Entry("once", "", ORDERING, tree="real"),
    ],
    "Read": [
        Entry(
            "query",
            '--from 2026-07-12 --to 2026-07-13 "SELECT symbol, count(*) AS ticks FROM ticks GROUP BY symbol"',
            "0 every day that is there has answered; 1 one did not, or none is there; 2 the SQL or an option "
            "is wrong; 130, 143 ended by Ctrl-C, by SIGTERM.",
            tree="real",
            json='--day 2026-07-12 "SELECT symbol, max(ask) FROM ticks GROUP BY symbol"',
        ),
        Entry("shell", '2026-07-12 --command "SELECT min(bid), max(ask) FROM ticks"', tree="real"),
        Entry("analyze", "2026-07-12", tree="real", lines=35),
    ],
    "Prove": [
        _step("verify"),
        Entry("audit verify", "", "0; 1 it is not what was recorded; 2 usage or configuration.", tree="real"),
        Entry("audit export", "--key -"),
        Entry(
            "report",
            "--out report.html",
            "0; 1 the journal is not what was recorded; 2 usage or configuration.",
            "See [retention.md](retention.md).",
            json="--out another.html",
        ),
    ],
    "Listen": [
        Entry("events", "--last 4"),
        Entry("events schema", "held", "0; 2 usage.", "See [events.md](events.md).", lines=12),
        Entry("wait", "2026-07-10 sealed --timeout 60", "0; 1 it did not come in time; 2 usage; 130 Ctrl-C."),
        Entry("hooks", note="See [hooks.md](hooks.md)."),
        Entry("hooks failed"),
        Entry("hooks retry", "1", "0; 1 one fails; 2 usage or configuration.", json="2"),
        Entry("hooks drop", "3", WRITING, json="4"),
        Entry("hooks test", "sealed", "0; 1 one fails; 2 usage or configuration."),
        Entry("keys new", "loader", WRITING, json="report"),
        Entry("keys allow", "loader.key", WRITING, json="report.key"),
        Entry("keys list"),
        Entry("keys revoke", "loader", WRITING, json="report"),
    ],
    "Set up": [
        Entry("config init", "fresh.toml", WRITING, json="another.toml"),
        Entry("config check", exits="0; 2 it cannot be meant."),
        Entry("config show", exits="0; 2 it cannot be meant.", lines=12),
        Entry("adopt", "", tree="real", note="See [adopt.md](adopt.md)."),
        Entry("run", None, "0 it was stopped; 1 it could not go on; 2 configuration; 3 another instance."),
        Entry(
            "service show",
            "--kind systemd --system --as engine --program /opt/tickward/bin/tickward",
            WRITING,
            "See [service.md](service.md).",
            lines=20,
        ),
        Entry("service install", None, WRITING),
        Entry("service uninstall", None, "0; 1 it cannot be done, or not all; 2 usage or configuration."),
        Entry("service status", None, "0 installed and running; 1 it is not; 2 usage or configuration."),
        Entry("selftest", None, "0; 1 a proof does not hold; 2 usage; 130, 143 ended by Ctrl-C, by SIGTERM."),
        Entry("demo", None, "0; 1 something is not as it should be; 2 usage."),
    ],
}


def perform(run: Stage) -> list[Performed]:
    """Run every command, in the order of the page; each once more for JSON."""
    return [_performed(run, entry) for entries in SECTIONS.values() for entry in entries]


def _performed(run: Stage, entry: Entry) -> Performed:
    if entry.arguments is None:
        return Performed(entry, None, None)
    if entry.before is not None:
        entry.before(run)
    typed = entry.command.split()
    shown = run(entry.tree, *typed, *shlex.split(entry.arguments))
    if entry.command in WITHOUT:
        return Performed(entry, shown, None)
    arguments = entry.arguments if entry.json is None else entry.json
    return Performed(entry, shown, run(entry.tree, *typed, *shlex.split(arguments), "--json"))


def page() -> str:
    """What stands below the mark of the page. Takes some seconds."""
    with stage() as run:
        return written(run, perform(run))


def written(run: Stage, performed: Iterable[Performed]) -> str:
    """The same, of commands that have been run."""
    done = {each.entry: each for each in performed}
    blocks = []
    for title, entries in SECTIONS.items():
        blocks.append(f"## {title}")
        for entry in entries:
            blocks += _blocks(done[entry], run)
    return "\n\n".join(blocks) + "\n"


def _blocks(performed: Performed, run: Stage) -> Iterator[str]:
    """Heading, sentences, output, exit statuses."""
    entry = performed.entry
    yield f"### `tickward {entry.command}`"
    yield paragraph(f"{_help(entry.command)} {entry.note}".strip())
    if performed.shown is not None:
        yield "\n".join(_output(entry, performed.shown, run))
    yield paragraph(f"Exit status: {_exits(entry)} {_json(entry.command)}")


def _output(entry: Entry, said: Said, run: Stage) -> Iterator[str]:
    yield "```text"
    yield f"$ tickward {entry.command} {entry.arguments}".rstrip()
    lines = run.same_everywhere(said.out or said.err).splitlines()
    if len(lines) > entry.lines:
        left_out = len(lines) - entry.lines + 1
        lines = [*lines[: entry.lines - 1], f"[... {left_out} more lines]"]
    yield from lines
    if said.code:
        yield f"[exit status {said.code}]"
    yield "```"


def _exits(entry: Entry) -> str:
    if entry.command != _without_options(entry.command):
        return entry.exits
    _, below = parts(inspect.getdoc(callback_of(entry.command)) or "")
    return " ".join(below["Exit status"].split())


def _json(command: str) -> str:
    if command in WITHOUT:
        return f"No `--json`: {WITHOUT[command]}."
    printed = PRINTED[command]
    which = {"object": "", "lines": ", one object a line", "array": ", an array"}[printed.form]
    return f"`--json`: [its shape](json.md#{anchor(printed)}){which}."


def _help(command: str) -> str:
    """The first paragraph of what its ``--help`` says: of the command, not of what it is with an option."""
    if command != _without_options(command):
        return ""
    text = inspect.getdoc(callback_of(command)) or ""
    return " ".join(text.partition("\n\n")[0].split())


def callback_of(command: str) -> Callable[..., Any]:
    """The function of a command."""
    found = _app()
    for name in _without_options(command).split():
        found = found.commands[name]
    callback: Callable[..., Any] = inspect.unwrap(found.callback)
    return callback


def _without_options(command: str) -> str:
    return command.partition(" --")[0]


def commands() -> list[str]:
    """Every command of the app; of a group itself only if it does something without a command."""

    def walk(command: Any, path: str) -> Iterator[str]:
        inner = getattr(command, "commands", {})
        if path and (not inner or command.invoke_without_command):
            yield path
        for name, each in inner.items():
            yield from walk(each, f"{path} {name}".strip())

    return list(walk(_app(), ""))


@cache
def _app() -> Any:
    return typer.main.get_command(app)
