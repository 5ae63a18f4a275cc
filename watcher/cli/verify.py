"""``tickward verify``: is every copy still what it was?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from handlers.contract import Step
from watcher.cli.asking import DRY_RUN, JSON, carry_out, keys_of, say_unsealed, without_seal
from watcher.cli.context import Context
from watcher.errors import ConfigError

if TYPE_CHECKING:
    from watcher.settings import Settings


def verify(
    context: typer.Context,
    days: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DAY]...", help="2026-01-20, or ticks/2026-01-20; none: all that are due."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every day that is sealed; says which are not.")
    ] = False,
    sample: Annotated[int | None, typer.Option(min=1, metavar="N", help="N days, drawn by lot.")] = None,
    dry_run: Annotated[bool, DRY_RUN] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Read every copy of days again and compare it with what was recorded; repair a bad one from a good one.

    A bad copy is kept under a name that nobody reads. At 1 a day may be lost: no good copy of it is left. If
    a daemon runs, it does the work, and this follows it to its end: Ctrl-C stops following, not the work.

    Exit status: 0 done, or nothing to do; 1 it failed or was refused; 2 usage or configuration; 3 another
    instance is at work.

    Examples:
        tickward verify              # those whose turn it is
        tickward verify 2026-01-20
        tickward verify --sample 10  # ten, drawn by lot

    See also:
        `tickward audit verify` proves the journal.
    """
    from watcher.plan import Order

    if sum((bool(days), everything, sample is not None)) > 1:
        raise ConfigError("name days, or give --all, or --sample N: one of them")
    options: Context = context.obj
    settings = options.load()
    keys = keys_of(days or [], settings)
    if everything:
        _say_left_out(settings)
    order = Order(Step.VERIFY, by="", keys=keys, everything=everything, sample=sample or 0)
    carry_out(options, settings, order, dry_run=dry_run, json=json)


def _say_left_out(settings: Settings) -> None:
    """Whoever asks for all of them would take those for good that nobody has looked at."""
    from watcher.premises import clock_of
    from watcher.survey import survey

    now = clock_of(settings.clock).now()
    say_unsealed(without_seal(survey(settings, now).databases.values(), now.date()))
