"""DAY or PATH, as a person writes it: the file that is meant, and what to call it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from watcher.errors import ConfigError, TickwardError

if TYPE_CHECKING:
    from watcher.settings import Settings

DayOrPath = Annotated[str, typer.Argument(metavar="DAY|PATH", help="2026-01-20, or a .db or .zst file.")]
Stream = Annotated[str | None, typer.Option(metavar="NAME", help="Of which stream.")]


class Place(NamedTuple):
    """A file, what to call it, and where its ticks are."""

    path: Path
    name: str
    tier: str
    """As `watcher.days.Found` has it; ``file`` for one that was named."""
    note: str
    table: str
    mend: str = ""
    """What to do if that file is damaged; empty for one that was named."""


def place_of(text: str, stream: str | None, settings: Settings) -> Place:
    """Where a day is, or a file that was named.

    ConfigError for what is neither; TickwardError for a day of which there is no copy.
    """
    from watcher.days import Days
    from watcher.paths import resolved
    from watcher.query.mending import mending

    path = Path(text)
    if path.is_file():
        return Place(path, path.name, "file", "", settings.data.streams[stream_of(stream, settings)].table)
    if path.suffix in (".db", ".zst"):
        raise ConfigError(f"{text}: there is no such file; a day is named as 2026-01-20")
    of, _, when = text.rpartition("/")
    try:
        wanted = date.fromisoformat(when)
    except ValueError:
        raise ConfigError(f"{text!r} is neither a day such as 2026-01-20 nor a .db or .zst file") from None
    name = stream_of(of or stream, settings)
    with Days.of(settings) as days:
        found = days.find(name, wanted)
    if found.path is None:
        raise TickwardError(f"{found.key}: {found.why_missing}")
    mend = mending(resolved(settings).data)(found)
    return Place(found.path, found.key, found.tier, found.note, settings.data.streams[name].table, mend)


def stream_of(name: str | None, settings: Settings) -> str:
    """The stream that is meant. Raises `ConfigError` where a person has to say."""
    streams = list(settings.data.streams)
    if name is None and len(streams) > 1 and "ticks" not in streams:
        raise ConfigError(f"of which stream? Give --stream; there are {', '.join(streams)}")
    if name is None:
        return streams[0] if len(streams) == 1 else "ticks"
    if name not in streams:
        raise ConfigError(f"--stream: there is no stream {name!r}; the streams are: {', '.join(streams)}")
    return name


def date_given(option: str, text: str) -> date:
    """The day that an option names. Raises `ConfigError`."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option}: {text!r} is not a day such as 2026-01-20") from None


def range_given(first: str | None, last: str | None) -> tuple[date, date]:
    """The days that ``--from`` and ``--to`` name; without them all that there are. Raises `ConfigError`."""
    begin = date.min if first is None else date_given("--from", first)
    end = date.max if last is None else date_given("--to", last)
    if begin > end:
        raise ConfigError(f"--from {begin} is after --to {end}: there is no day between them")
    return begin, end


@contextmanager
def readable(place: Place) -> Iterator[None]:
    """What goes wrong while it is read, as a sentence: TickwardError."""
    import apsw

    from handlers.seek_table import SeekableError
    from handlers.vfs import ChangedError
    from watcher.query.mending import is_damage

    path = place.path

    def failed(what: str, error: Exception) -> TickwardError:
        hint = f"; {place.mend}" if place.mend and is_damage(error) else ""
        return TickwardError(f"{path} {what}: {error}{hint}")

    try:
        yield
    except FileNotFoundError:
        raise TickwardError(f"{path} is not there any more: ask again") from None
    except ChangedError:
        raise TickwardError(f"{path} was written to while it was read: ask again") from None
    except apsw.NotADBError as error:
        raise failed("is not an SQLite database", error) from None
    except (SeekableError, apsw.Error, UnicodeDecodeError) as error:
        raise failed("cannot be read", error) from None
