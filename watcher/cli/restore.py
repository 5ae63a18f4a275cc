"""``tickward restore``: a day's database as it was, from wherever it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from handlers.contract import Step
from watcher.cli.asking import DRY_RUN, JSON, carry_out, keys_of
from watcher.cli.context import Context
from watcher.errors import ConfigError


def restore(
    context: typer.Context,
    days: Annotated[list[str], typer.Argument(metavar="DAY...", help="2026-01-20, or ticks/2026-01-20.")],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="A file elsewhere; else back into the root.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Put aside (in the root) or replace what bears the name.")
    ] = False,
    dry_run: Annotated[bool, DRY_RUN] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Restore a day from its compressed, archived or backup copy; its SHA-256 is proven before it has a name.

    In the root it is kept for restore.keep_days and then compressed away again. The copies stay where they
    are. If a daemon runs, it does the work, and this follows it to its end: Ctrl-C stops following, not the
    work.

    Exit status: 0 done, or nothing to do; 1 it failed or was refused; 2 usage or configuration; 3 another
    instance is at work.

    Examples:
        tickward restore 2026-01-20  # back into the root
        tickward restore 2026-01-20 --to /tmp/day.db

    See also:
        `tickward query` and `tickward shell` read a day without restoring it.
    """
    from watcher.plan import Order

    options: Context = context.obj
    settings = options.load()
    keys = keys_of(days, settings)
    if to is not None and len(days) > 1:
        raise ConfigError(f"--to {to}: that is one file, and you have named {len(days)} days; name one")
    if to is not None and len(keys) > 1:
        raise ConfigError(f"--to {to}: {days[0]} is a day of several streams; name one, as in {keys[0]}")
    target = str(to.absolute()) if to is not None else ""
    order = Order(Step.RESTORE, by="", keys=keys, target=target, force=force)
    carry_out(options, settings, order, dry_run=dry_run, json=json)
