"""``tickward events``: what happened, what happens now, and what each event is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.context import Context, write_json
from watcher.errors import ConfigError

if TYPE_CHECKING:
    from watcher.settings import Settings
    from watcher.wire import Message

app = typer.Typer(subcommand_metavar="[COMMAND]")


@app.callback(invoke_without_command=True)
def events(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens.")] = False,
    since: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Begin after this sequence number.")
    ] = None,
    last: Annotated[
        int, typer.Option("--last", "-n", min=0, metavar="N", help="Begin with so many old ones.")
    ] = 20,
    only: Annotated[
        list[str] | None, typer.Option("--event", metavar="NAME", help="Only these; may be repeated.")
    ] = None,
    stream: Annotated[str | None, typer.Option(metavar="NAME", help="Only of this stream.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Show the lifecycle events that were recorded; with --follow also those to come.

    They are read from the journal, and need no daemon; those to come are heard from it.

    Exit status: 0 done; 1 the journal or a file cannot be read; 2 usage or configuration.

    Examples:
        tickward events --last 50
        tickward events --follow --event sealed --event failed
        tickward events --since 1200 --json

    See also:
        `tickward wait` until something happens; `tickward hooks` to have something run.
    """
    if context.invoked_subcommand is not None:
        return
    options: Context = context.obj
    settings = options.load()
    wanted = _known(only or [])
    with suppress(KeyboardInterrupt) if follow else nullcontext():  # Ctrl-C is how following ends
        for message in _messages(settings, since, last, follow):
            if (not wanted or message.event in wanted) and stream in (None, message.stream):
                typer.echo(as_json(message) if json else as_line(message))


@app.command()
def schema(
    event: Annotated[
        str | None, typer.Argument(metavar="EVENT", help="Its name, such as sealed; none: all messages.")
    ] = None,
) -> None:
    """Print the JSON Schema of an event's data, or of the messages that bring all of them.

    Exit status: 0 done; 2 usage.

    Examples:
        tickward events schema sealed

    See also:
        docs/events.md says the same in words.
    """
    from watcher import catalogue

    write_json(catalogue.message_schema() if event is None else catalogue.schema(event))


def _known(names: list[str]) -> frozenset[str]:
    from watcher.events import EVENTS

    if unknown := [name for name in names if name not in EVENTS]:
        raise ConfigError(f"--event: there is no event {unknown[0]!r}; there are: {', '.join(EVENTS)}")
    return frozenset(names)


def _messages(settings: Settings, since: int | None, last: int, follow: bool) -> Iterator[Message]:
    from watcher.cli.listening import subscriber
    from watcher.journal import Journal
    from watcher.paths import journal_file
    from watcher.wire import from_frames, to_frames

    journal = Journal.open_for_reading(journal_file(settings.data))
    position: int | str = 0
    if journal is not None:
        with journal:
            # A number that is not there yet, or was another journal's: go on from the newest.
            head = journal.head()
            number = max(0, head - last) if since is None else min(since, head)
            while records := journal.since(number):
                for record in records:
                    yield from_frames(to_frames(record, journal.epoch))
                    number = record.sequence
            position = f"{journal.epoch:x}-{number}"
    if follow:
        with subscriber(settings, since=position) as stream:
            yield from stream


def as_json(message: Message) -> str:
    """One line for programs."""
    import msgspec

    return msgspec.json.encode(message).decode()


def as_line(message: Message) -> str:
    """One line for people."""
    from watcher.wording import event_line

    time = f"{message.time:%Y-%m-%d %H:%M:%S}"
    return f"{time} {event_line(message.sequence, message.event, message.subject, message.data)}"
