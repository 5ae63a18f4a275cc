"""``tickward events``: what happened, and what happens now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.context import Context

if TYPE_CHECKING:
    from watcher.settings import Settings
    from watcher.wire import Message


def events(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens.")] = False,
    since: Annotated[int | None, typer.Option(min=0, help="Begin after this sequence number.")] = None,
    last: Annotated[int, typer.Option("--last", "-n", min=0, help="Begin with so many old ones.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Show the lifecycle events that were recorded; with --follow also those to come."""
    options: Context = context.obj
    settings = options.load()
    with suppress(KeyboardInterrupt) if follow else nullcontext():  # Ctrl-C is how following ends
        for message in _messages(settings, since, last, follow):
            typer.echo(_as_json(message) if json else _as_line(message))


def _messages(settings: Settings, since: int | None, last: int, follow: bool) -> Iterator[Message]:
    from watcher.journal import Journal
    from watcher.paths import journal_file
    from watcher.subscriber import Subscriber
    from watcher.wire import from_frames, to_frames

    journal = Journal.open_for_reading(journal_file(settings.data))
    position = 0
    if journal is not None:
        with journal:
            # A number that is not there yet, or was another journal's: go on from the newest.
            head = journal.head()
            position = max(0, head - last) if since is None else min(since, head)
            while records := journal.since(position):
                for record in records:
                    yield from_frames(to_frames(record, journal.epoch))
                    position = record.sequence
    if follow:
        with Subscriber(settings.events.publish, settings.events.replay, since=position) as stream:
            yield from stream


def _as_json(message: Message) -> str:
    import msgspec

    return msgspec.json.encode(message).decode()


def _as_line(message: Message) -> str:
    from watcher.wording import event_line

    time = f"{message.time:%Y-%m-%d %H:%M:%S}"
    return f"{time} {event_line(message.sequence, message.event, message.subject, message.data)}"
