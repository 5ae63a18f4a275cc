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
    day: Annotated[str, typer.Argument(metavar="DAY", help="2026-01-20, or ticks/2026-01-20.")],
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

    In the root it is kept for restore.keep_days and then compressed away again.
    """
    from watcher.plan import Order

    options: Context = context.obj
    settings = options.load()
    keys = keys_of([day], settings)
    if to is not None and len(keys) > 1:
        raise ConfigError(f"--to {to}: {day} is a day of several streams; name one, as in {keys[0]}")
    target = str(to.absolute()) if to is not None else ""
    order = Order(Step.RESTORE, by="", keys=keys, target=target, force=force)
    carry_out(options, settings, order, dry_run=dry_run, json=json)
