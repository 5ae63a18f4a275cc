"""``tickward run``: the daemon."""

from __future__ import annotations

import typer

from watcher.cli.context import Context


def run(context: typer.Context) -> None:
    """Look after the databases until stopped (SIGTERM or Ctrl-C; SIGHUP re-reads the configuration)."""
    from watcher import logs
    from watcher.app import App

    options: Context = context.obj
    settings = options.load()
    logs.set_up(settings.log, options.debug)
    raise typer.Exit(App(settings, reload=options.load).run())
