"""``tickward history DAY``: everything that ever happened to one day, with its hashes and proofs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.asking import split_day
from watcher.cli.context import Context, write_json
from watcher.cli.place import Stream, stream_of
from watcher.errors import ConfigError, TickwardError

if TYPE_CHECKING:
    from datetime import datetime

    from watcher.settings import Settings
    from watcher.view.history import History


def history(
    context: typer.Context,
    day: Annotated[str, typer.Argument(metavar="DAY", help="2026-01-20, or ticks/2026-01-20.")],
    stream: Stream = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a day is now, and everything that ever happened to it, with its hashes and proofs.

    It also tells of days that are deleted. It changes nothing.

    Exit status: 0 done; 1 nothing is known of it, or the journal or a file cannot be read; 2 usage or
    configuration.

    Examples:
        tickward history 2026-01-20
        tickward history quotes/2026-01-20 --json  # of the stream `quotes`

    See also:
        `tickward audit verify` proves that what is told is what was recorded.
    """
    from watcher.premises import clock_of
    from watcher.view.history import lines

    options: Context = context.obj
    settings = options.load()
    found = _history(settings, _key(day, stream, settings), clock_of(settings.clock).now())
    if json:
        write_json(found)
    else:
        typer.echo("\n".join(lines(found)))


def _key(text: str, stream: str | None, settings: Settings) -> str:
    of, day = split_day(text)
    if of and stream not in (None, of):
        raise ConfigError(f"--stream: {text} is a day of {of}, not of {stream}: give one of them")
    return f"{stream_of(of or stream, settings)}/{day}"


def _history(settings: Settings, key: str, now: datetime) -> History:
    """Raises `TickwardError` if nothing is known of the day, or if its events cannot be read."""
    from watcher.overview import overview
    from watcher.recall import recall

    found = overview(settings, now)
    day = next((each for each in found.days if each.key == key), None)
    if day is None:
        raise TickwardError(f"{key}: nothing is known of this day; `tickward inventory --all` lists the days")
    return recall(found.settings, day, now)
