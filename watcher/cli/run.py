"""``tickward run``: the daemon."""

from __future__ import annotations

import typer

from watcher.cli.context import Context
from watcher.errors import ConfigError


def run(context: typer.Context) -> None:
    """Look after the databases until stopped (SIGTERM or Ctrl-C; SIGHUP re-reads the configuration).

    What is under way when it is stopped is given workers.stop_seconds to end; what is not done then is done
    at the next start. One that is killed loses nothing either.

    Exit status: 0 it was stopped; 1 it could not go on; 2 configuration; 3 another instance is at work.

    Examples:
        tickward run
        tickward -c /etc/tickward/config.toml run

    See also:
        `tickward once` without a daemon; `tickward status` while it runs.
    """
    from watcher import logs
    from watcher.app import App

    options: Context = context.obj
    settings = options.load()
    if options.dry_run:
        raise ConfigError("DRY_RUN is set: `tickward plan` shows what would be done; unset it to do it")
    logs.set_up(settings.log, options.debug)
    raise typer.Exit(App(settings, reload=options.load).run())
