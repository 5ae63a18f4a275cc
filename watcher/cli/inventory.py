"""``tickward inventory``: where every day is, what it takes, and what is due next."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.context import Context, write_json
from watcher.cli.place import Stream, range_given, stream_of
from watcher.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watcher.settings import Settings
    from watcher.view.inventory import Choice

_DATE = "YYYY-MM-DD"
_TIERS = ("hot", "warm", "cold", "gone")


def inventory(
    context: typer.Context,
    tiers: Annotated[
        list[str] | None,
        typer.Option("--tier", metavar="|".join(_TIERS), help="Only of this tier; may be repeated."),
    ] = None,
    states: Annotated[
        list[str] | None,
        typer.Option("--state", metavar="NAME", help="Only in this state, or missing; may be repeated."),
    ] = None,
    stream: Stream = None,
    first: Annotated[str | None, typer.Option("--from", metavar=_DATE, help="From this day on.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar=_DATE, help="To this day, included.")] = None,
    trouble: Annotated[bool, typer.Option("--trouble", help="Only days that are in trouble.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Deleted days as well.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """List every day: its tier and state, what it takes, its copies, and what is due next and when.

    Deleted days are only counted, also in JSON and CSV, unless --all, --tier gone or --state expired asks for
    them. Days that are missing after the first of a stream stand where they would be, a line for each gap;
    --tier and --trouble leave those out, and --state unless it names missing. It changes nothing.

    Exit status: 0 done; 1 the journal or a file cannot be read; 2 usage or configuration.

    Examples:
        tickward inventory --from 2026-01-01 --to 2026-01-31
        tickward inventory --trouble  # what needs a person
        tickward inventory --all --csv > days.csv

    See also:
        `tickward history DAY` for all that is known of one.
    """
    from watcher.overview import overview
    from watcher.premises import clock_of
    from watcher.view.inventory import inventory as inventory_of
    from watcher.view.listing import csv_text, table

    if json and csv:
        raise ConfigError("--json and --csv: give one of them")
    options: Context = context.obj
    settings = options.load()
    choice = _choice(
        settings, tiers or [], states or [], stream, first, last, trouble=trouble, deleted=everything
    )
    now = clock_of(settings.clock).now()
    looked = overview(settings, now, deleted_since=None if choice.wants_deleted else now)
    found = inventory_of(looked, choice)
    if json:
        write_json(found)
    elif csv:
        sys.stdout.write(csv_text(found))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        sys.stdout.writelines(f"{line}\n" for line in table(found, width))


def _choice(
    settings: Settings,
    tiers: list[str],
    states: list[str],
    stream: str | None,
    first: str | None,
    last: str | None,
    *,
    trouble: bool,
    deleted: bool,
) -> Choice:
    """Which days are meant. Raises `ConfigError`."""
    from watcher.lifecycle import State
    from watcher.view.inventory import MISSING, Choice

    begin, end = range_given(first, last)
    return Choice(
        tiers=_known("--tier", "tier", tiers, _TIERS),
        states=_known("--state", "state", states, (*State, MISSING)),
        stream=stream_of(stream, settings) if stream is not None else None,
        first=begin,
        last=end,
        trouble=trouble,
        deleted=deleted,
    )


def _known(option: str, what: str, names: list[str], there_are: Iterable[str]) -> frozenset[str]:
    known = tuple(there_are)
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"{option}: there is no {what} {unknown[0]!r}; there are: {', '.join(known)}")
    return frozenset(names)
