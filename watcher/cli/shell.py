"""``tickward shell``: an SQL shell on one day, hot, warm or cold, that can only read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.context import Context
from watcher.cli.place import DayOrPath, Place, Stream, place_of, readable
from watcher.errors import EXIT_STEP_FAILED

if TYPE_CHECKING:
    from watcher.query.shell import Opened


def shell(
    context: typer.Context,
    day: DayOrPath,
    stream: Stream = None,
    command: Annotated[
        list[str] | None,
        typer.Option("--command", metavar="SQL", help="Do this and end; may be given several times."),
    ] = None,
) -> None:
    """Look around in one day with SQL, in place. Nothing can be written, to the day or beside it.

    Statements are also read from a pipe; there, and with --command, the first error ends it with status 1.

    Exit status: 0 done; 1 a statement failed, or the journal or a file cannot be read; 2 usage or
    configuration.

    Examples:
        tickward shell 2026-01-20
        tickward shell 2026-01-20 --command "SELECT count(*) FROM ticks"
        tickward shell backup.db.zst  # a file, wherever it is

    See also:
        `tickward query` asks many days, and prints for programs.
    """
    from watcher.query.shell import run

    options: Context = context.obj
    if not run(_opened(place_of(day, stream, options.load())), command or []):
        raise typer.Exit(EXIT_STEP_FAILED)


def _opened(place: Place) -> Opened:
    from handlers.vfs import is_live
    from watcher.query.answer import opened_guarded
    from watcher.query.shell import Opened

    path = place.path
    with readable(place):
        connection = opened_guarded(path, interruptible=True)
    return Opened(place.name, place.tier, place.note, place.table, path, is_live(connection), connection)
