"""``tickward analyze DAY``: what is in a day, and whether anything about it is odd."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from watcher.cli.context import Context, write_json
from watcher.errors import ConfigError, TickwardError

if TYPE_CHECKING:
    from handlers.analyze import Analysis
    from watcher.days import Found
    from watcher.settings import Settings


def analyze(
    context: typer.Context,
    day: Annotated[str, typer.Argument(metavar="DAY|PATH", help="2026-01-20, or a .db or .zst file.")],
    stream: Annotated[str | None, typer.Option(metavar="NAME", help="Of which stream.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what is in one day, hot, warm or cold: ticks, symbols, gaps, invalid rows, where its bytes go.

    It reads every page, and writes nothing. That something is odd is no failure: the exit status is 0.
    """
    options: Context = context.obj
    place = _place(day, stream, options.load())
    found = _analyzed(place)
    if json:
        from msgspec.structs import asdict

        where = {"database": place.name, "path": str(place.path), "tier": place.tier, "note": place.note}
        write_json(where | asdict(found))
    else:
        from watcher.cli.analyze_report import show

        show(found, f"{place.name}  {place.tier}  {place.path}", place.note)


class _Place(NamedTuple):
    """A file, what to call it, and where its ticks are."""

    path: Path
    name: str
    tier: str
    note: str
    table: str
    sqlite_version: int | None = None
    """The last writer's before the day was sealed; None: the file says."""


def _place(text: str, stream: str | None, settings: Settings) -> _Place:
    """Where a day is, or a file that was named. Raises `ConfigError` for what is neither."""
    from watcher.cli.query import stream_of
    from watcher.days import Days

    path = Path(text)
    if path.is_file():
        return _Place(path, path.name, "file", "", settings.data.streams[stream_of(stream, settings)].table)
    of, _, when = text.rpartition("/")
    try:
        wanted = date.fromisoformat(when)
    except ValueError:
        raise ConfigError(
            f"{text!r} is neither a day such as 2026-01-20 nor a .db or .zst file that is there"
        ) from None
    name = stream_of(of or stream, settings)
    with Days.of(settings) as days:
        found = days.find(name, wanted)
    if found.path is None:
        raise TickwardError(f"{found.key}: {found.why_missing}")
    table = settings.data.streams[name].table
    return _Place(found.path, found.key, found.tier, found.note, table, _sealed_version(found, settings))


def _sealed_version(found: Found, settings: Settings) -> int | None:
    """The SQLite that had written last when this content was sealed: sealing itself writes to it, too."""
    from handlers.files import signature_of
    from watcher.journal import Journal
    from watcher.paths import journal_file, resolved

    assert found.path is not None
    journal = Journal.open_for_reading(journal_file(resolved(settings).data))
    if journal is None:
        return None
    with journal:
        sealed = journal.facts(found.key).sealed
    if sealed is None or (found.tier == "hot" and signature_of(found.path) != sealed.signature):
        return None
    return sealed.sqlite_version


def _analyzed(place: _Place) -> Analysis:
    """Raises `TickwardError` if the file cannot be read, or was written to meanwhile."""
    import apsw

    from handlers.analyze import analyze, compression_of
    from handlers.seek_table import SeekableError
    from handlers.vfs import settle
    from watcher.query.answer import closed, opened_guarded

    path = place.path
    try:
        with _undisturbed(path):
            compression = compression_of(path)
            connection = opened_guarded(path, interruptible=True)
            try:
                found = analyze(
                    connection, place.table, compression=compression, sqlite_version=place.sqlite_version
                )
                settle(connection)
            finally:
                closed(connection)
    except FileNotFoundError:
        raise TickwardError(f"{path} is not there any more: ask again") from None
    except apsw.NotADBError as error:
        raise TickwardError(f"{path} is not an SQLite database: {error}") from None
    except (SeekableError, apsw.Error, UnicodeDecodeError) as error:
        hint = "" if place.tier == "file" else f"; `tickward verify {place.name}` reads all copies of it"
        raise TickwardError(f"{path} cannot be read: {error}{hint}") from None
    return found


@contextmanager
def _undisturbed(path: Path) -> Iterator[None]:
    """A database is read without locks while nobody has it open: `TickwardError` if that did not last."""
    from handlers.files import signature_of
    from watcher.query.answer import is_live

    unlocked = path.suffix != ".zst" and not is_live(path)
    before = signature_of(path)
    try:
        yield
    finally:
        if unlocked and (signature_of(path) != before or is_live(path)):
            raise TickwardError(f"{path} was written to while it was read: ask again")
