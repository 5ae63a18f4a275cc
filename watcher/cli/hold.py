"""``tickward hold`` and ``tickward release``: keep a day, whatever its age."""

from __future__ import annotations

from typing import Annotated

import typer

from watcher.cli.asking import JSON, carry_out_now, keys_of
from watcher.cli.context import Context
from watcher.errors import ConfigError

Named = Annotated[list[str], typer.Argument(metavar="DAY...", help="2026-01-20, or ticks/2026-01-20.")]


def hold(
    context: typer.Context,
    days: Named,
    reason: Annotated[str, typer.Option(help="Why: it stands in the journal for good.")],
    json: Annotated[bool, JSON] = False,
) -> None:
    """Keep days as they are (a legal hold): not compressed, archived or deleted until released."""
    from watcher.requests import Hold

    options: Context = context.obj
    if not reason.strip():
        raise ConfigError("--reason: say why, for whoever asks in three years")
    _refuse_dry_run(options)
    settings = options.load()
    carry_out_now(options, settings, Hold(keys_of(days, settings), reason.strip(), by=""), json=json)


def release(context: typer.Context, days: Named, json: Annotated[bool, JSON] = False) -> None:
    """End the hold on days: from then on their age decides again."""
    from watcher.requests import Release

    options: Context = context.obj
    _refuse_dry_run(options)
    settings = options.load()
    carry_out_now(options, settings, Release(keys_of(days, settings), by=""), json=json)


def _refuse_dry_run(options: Context) -> None:
    if options.dry_run:
        raise ConfigError("DRY_RUN is set: nothing is changed; unset it to change a hold")
