"""``tickward shell``: an SQL shell on one day, hot, warm or cold, that can only read."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from watcher.cli.context import Context
from watcher.errors import EXIT_STEP_FAILED, ConfigError, TickwardError

if TYPE_CHECKING:
    from watcher.query.shell import Opened


def shell(
    context: typer.Context,
    day: Annotated[str, typer.Argument(metavar="DAY|PATH", help="2026-01-20, or a .db or .zst file.")],
    stream: Annotated[str | None, typer.Option(metavar="NAME", help="Of which stream.")] = None,
    command: Annotated[
        list[str] | None,
        typer.Option("--command", metavar="SQL", help="Do this and end; may be given several times."),
    ] = None,
) -> None:
    """Look around in one day with SQL, in place. Nothing can be written, to the day or beside it.

    Statements are also read from a pipe; there, and with --command, the first error ends it with status 1.
    """
    from watcher.query.shell import run

    if not run(_opened(_place(day, stream, context.obj)), command or []):
        raise typer.Exit(EXIT_STEP_FAILED)


class _Place(NamedTuple):
    """A file, and what to call it."""

    path: Path
    name: str
    tier: str = "file"
    note: str = ""
    table: str = "ticks"


def _opened(place: _Place) -> Opened:
    import apsw

    from handlers.seek_table import SeekableError
    from watcher.query.answer import is_live, opened_guarded
    from watcher.query.shell import Opened

    path = place.path
    try:
        live, connection = is_live(path), opened_guarded(path, interruptible=True)
    except FileNotFoundError:
        raise TickwardError(f"{path} is not there any more: ask again") from None
    except (SeekableError, apsw.Error) as error:
        raise TickwardError(f"{path} cannot be read: {error}; `tickward verify` reads all copies") from None
    return Opened(place.name, place.tier, place.note, place.table, path, live, connection)


def _place(text: str, stream: str | None, options: Context) -> _Place:
    """Where a day is, or a file that was named. Raises `ConfigError` for what is neither."""
    if (path := Path(text)).suffix in (".db", ".zst"):
        if not path.is_file():
            raise ConfigError(f"{text}: there is no such file; a day is named as 2026-01-20")
        return _Place(path, path.name)

    from watcher.cli.query import stream_of
    from watcher.days import Days

    of, _, when = text.rpartition("/")
    try:
        wanted = date.fromisoformat(when)
    except ValueError:
        raise ConfigError(f"{text!r} is neither a day such as 2026-01-20 nor a .db or .zst file") from None
    settings = options.load()
    name = stream_of(of or stream, settings)
    with Days.of(settings) as days:
        found = days.find(name, wanted)
    if found.path is None:
        raise TickwardError(f"{found.key}: {found.why_missing}")
    return _Place(found.path, found.key, found.tier, found.note, settings.data.streams[name].table)
