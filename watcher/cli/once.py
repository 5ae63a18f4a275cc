"""``tickward once``: a single pass, for people without a daemon."""

from __future__ import annotations

import typer

from watcher.cli.context import Context
from watcher.cli.plan import plan


def once(context: typer.Context) -> None:
    """Do all that is due, wait for it, and end: exit status 1 if a step failed."""
    from watcher import logs
    from watcher.app import App

    options: Context = context.obj
    settings = options.load()
    if options.dry_run:
        context.invoke(plan, context=context)
        raise typer.Exit
    logs.set_up(settings.log, options.debug)
    raise typer.Exit(App(settings).once())
