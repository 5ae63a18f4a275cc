"""``tickward hold`` and ``tickward release``: keep a day, whatever its age."""

from __future__ import annotations

from typing import Annotated

import typer

from watcher.cli.asking import JSON, carry_out_now, keys_of
from watcher.cli.context import Context
from watcher.errors import ConfigError

_DRY_RUN = "nothing is changed; unset it to change a hold"
Named = Annotated[list[str], typer.Argument(metavar="DAY...", help="2026-01-20, or ticks/2026-01-20.")]


def hold(
    context: typer.Context,
    days: Named,
    reason: Annotated[str, typer.Option(metavar="WHY", help="Why: it stands in the journal for good.")],
    json: Annotated[bool, JSON] = False,
) -> None:
    """Keep days as they are (a legal hold): not compressed, archived or deleted until released.

    The reason, and who gave it, stand in the journal for good. Copies are still verified and repaired.

    Exit status: 0 done, or nothing to do; 1 it failed or was refused; 2 usage or configuration; 3 another
    instance is at work.

    Examples:
        tickward hold 2026-01-20 --reason "inquiry 2026-17"

    See also:
        `tickward release` ends it; `tickward inventory` shows what is on hold.
    """
    from watcher.requests import Hold

    options: Context = context.obj
    if not reason.strip():
        raise ConfigError("--reason: say why, for whoever asks in three years")
    options.refuse_dry_run(_DRY_RUN)
    settings = options.load()
    carry_out_now(options, settings, Hold(keys_of(days, settings), reason.strip(), by=""), json=json)


def release(context: typer.Context, days: Named, json: Annotated[bool, JSON] = False) -> None:
    """End the hold on days: from then on their age decides again.

    What is of age then is done at its next hour.

    Exit status: 0 done, or nothing to do; 1 it failed or was refused; 2 usage or configuration; 3 another
    instance is at work.

    Examples:
        tickward release 2026-01-20

    See also:
        `tickward hold`; `tickward plan` says what comes next.
    """
    from watcher.requests import Release

    options: Context = context.obj
    options.refuse_dry_run(_DRY_RUN)
    settings = options.load()
    carry_out_now(options, settings, Release(keys_of(days, settings), by=""), json=json)
