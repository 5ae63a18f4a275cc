"""Puts the commands together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from watcher.cli import (
    analyze,
    audit,
    config,
    demo,
    events,
    hold,
    once,
    plan,
    query,
    restore,
    run,
    shell,
    status,
    steps,
    verify,
)
from watcher.cli.context import Context

EXIT_STATUS = """
Exit status: 0 done or nothing to do; 1 a step failed or was refused; 2 usage or configuration; 3 another
instance holds the state directory.
"""

app = typer.Typer(
    name="tickward",
    help="Looks after a trading engine's daily tick databases, from creation to deletion." + EXIT_STATUS,
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
        typer.Option("--config", "-c", help="Configuration file; else ./config.toml, else defaults."),
    ] = None,
    debug: Annotated[bool, typer.Option(help="Log more, and show tracebacks.")] = False,
    _shown: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show versions.")
    ] = False,
) -> None:
    context.obj = Context(config_file, debug)
    context.obj.say_environment()


app.command()(run.run)
app.command()(once.once)
app.command()(plan.plan)
app.command()(status.status)
app.command()(events.events)
app.command()(query.query)
app.command()(shell.shell)
app.command()(analyze.analyze)
app.command()(hold.hold)
app.command()(hold.release)
app.command()(restore.restore)
app.command()(verify.verify)
app.command()(steps.rotate)
app.command()(steps.seal)
app.command()(steps.backup)
app.command()(steps.compress)
app.command()(steps.archive)
app.command()(steps.expire)
app.command()(steps.merge)
app.add_typer(audit.app, name="audit")
app.add_typer(config.app, name="config")
app.command()(demo.demo)
