"""``tickward analyze DAY``: what is in a day, and whether anything about it is odd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.context import Context, write_json
from watcher.cli.place import DayOrPath, Place, Stream, place_of, readable

if TYPE_CHECKING:
    from handlers.analyze import Analysis
    from watcher.settings import Settings


def analyze(
    context: typer.Context,
    day: DayOrPath,
    stream: Stream = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what is in one day, hot, warm or cold: ticks, symbols, gaps, invalid rows, where its bytes go.

    It reads every page, and writes nothing. That something is odd is no failure: the exit status is 0.

    Exit status: 0 done; 1 the journal or a file cannot be read; 2 usage or configuration.

    Examples:
        tickward analyze 2026-01-20
        tickward analyze other.db --json

    See also:
        `tickward verify` compares the copies of a day.
    """
    options: Context = context.obj
    settings = options.load()
    place = place_of(day, stream, settings)
    found = _analyzed(place, _sealed_version(place, settings))
    if json:
        from msgspec.structs import asdict

        from watcher.cli.documents.reading import AnalyzedDay

        where = {"database": place.name, "path": str(place.path), "tier": place.tier, "note": place.note}
        write_json(AnalyzedDay(**asdict(found) | where))
    else:
        from watcher.cli.analyze_report import show

        show(found, f"{place.name}  {place.tier}  {place.path}", place.note)


def _sealed_version(place: Place, settings: Settings) -> int | None:
    """The SQLite that had written last when this content was sealed: sealing itself writes to it, too."""
    from handlers.files import signature_of
    from watcher.journal import Journal
    from watcher.paths import journal_file, resolved

    journal = Journal.open_for_reading(journal_file(resolved(settings).data))
    if journal is None:
        return None
    with journal:
        sealed = journal.facts(place.name).sealed
    if sealed is None or (place.tier == "hot" and signature_of(place.path) != sealed.signature):
        return None
    return sealed.sqlite_version


def _analyzed(place: Place, sqlite_version: int | None) -> Analysis:
    """Raises `TickwardError` if the file cannot be read, or was written to meanwhile."""
    import apsw

    from handlers.analyze import analyze, compression_of
    from handlers.vfs import require_unchanged, settle
    from watcher.query.answer import closed, opened_guarded

    path = place.path
    with readable(place):
        compression = compression_of(path)
        connection = opened_guarded(path, interruptible=True)
        try:
            found = analyze(connection, place.table, compression=compression, sqlite_version=sqlite_version)
            settle(connection)
        except apsw.Error:
            require_unchanged(connection)
            raise
        finally:
            closed(connection)
    return found
