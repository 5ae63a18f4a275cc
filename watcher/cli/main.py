"""Puts the commands together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from watcher.cli.context import Context
from watcher.cli.lazy import group_of

COMMANDS = {
    "How do things stand?": ("status", "doctor", "forecast", "web"),
    "Where is every day?": ("inventory", "plan", "history", "policy"),
    "Change something": (
        *("steps:rotate", "steps:seal", "steps:backup", "steps:compress", "steps:archive"),
        *("restore", "hold", "hold:release", "steps:expire", "steps:merge", "once"),
    ),
    "Read": ("query", "shell", "analyze"),
    "Prove": ("verify", "audit", "report"),
    "Listen": ("events", "wait", "hooks", "keys"),
    "Set up": ("config", "adopt", "run", "service", "selftest", "demo"),
}
"""Every command, by what it is for. ``status`` is the function of that name in ``watcher/cli/status.py``, or
the ``app`` there; ``steps:seal`` is one in another file. They are imported when they are called."""

HELP = """
Looks after a trading engine's daily tick databases, from creation to deletion.

With a daemon running (`tickward run`), a command that changes something is handed to it and followed to
its end; without one it is done on the spot. `tickward COMMAND --help` says what a command does, and what it
does not.

Exit status: 0 done or nothing to do; 1 a step failed or was refused; 2 usage or configuration; 3 another
instance holds the state directory.

Examples:
    tickward run     # the daemon, with ./config.toml or the defaults
    tickward status  # is all well, and if not, what is to be done?
    tickward -c /etc/tickward/config.toml plan

See also:
    config.toml names every setting, its default and its unit; `tickward config init` writes one.
"""

app = typer.Typer(
    name="tickward",
    cls=group_of(COMMANDS),
    help=HELP,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from watcher.version import describe

        typer.echo(describe())
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    config_file: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", metavar="FILE", help="Configuration file; else ./config.toml, else defaults."
        ),
    ] = None,
    debug: Annotated[bool, typer.Option(help="Log more, and show tracebacks.")] = False,
    _shown: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show versions.")
    ] = False,
) -> None:
    context.obj = Context(config_file, debug)
    context.obj.say_environment()
