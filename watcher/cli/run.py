"""``tickward run``: the daemon."""

from __future__ import annotations

import typer

from watcher.cli.context import Context
from watcher.errors import ConfigError


def run(context: typer.Context) -> None:
    """Look after the databases until stopped (SIGTERM or Ctrl-C; SIGHUP re-reads the configuration)."""
    from watcher import logs
    from watcher.app import App

    options: Context = context.obj
    settings = options.load()
    if options.dry_run:
        raise ConfigError("DRY_RUN is set: `tickward plan` shows what would be done; unset it to do it")
    logs.set_up(settings.log, options.debug)
    raise typer.Exit(App(settings, reload=options.load).run())
