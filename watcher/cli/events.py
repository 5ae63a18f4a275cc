"""``tickward events``: what happened, what happens now, and what each event is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.context import Context, say, write_json
from watcher.errors import ConfigError

if TYPE_CHECKING:
    from watcher.settings import Settings
    from watcher.wire import Message, Position

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

    They are read from the journal, and need no daemon; those to come are heard from it. What is missing of
    what was asked for, because it is no longer kept or not there yet, is said on stderr.

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
    from watcher.journal import Journal
    from watcher.paths import journal_file
    from watcher.wire import Position, from_frames, to_frames

    journal = Journal.open_for_reading(journal_file(settings.data))
    position = None
    if journal is not None:
        with journal:
            head = journal.head()
            if since is not None and since > head:
                say(f"--since {since}: the newest event in this journal is {head}")
            number = max(0, head - last) if since is None else min(since, head)
            is_asked_for = bool(since)  # else it is for what is kept, or for the last ones
            while records := journal.since(number):
                first = records[0].sequence
                if is_asked_for and first > number + 1:
                    say(_gone(number + 1, first - 1))
                is_asked_for = True
                for record in records:
                    yield from_frames(to_frames(record, journal.epoch))
                    number = record.sequence
            position = Position(journal.epoch, number)
    if follow:
        yield from _heard(settings, position)


def _heard(settings: Settings, position: Position | None) -> Iterator[Message]:
    """What happens after that, by the daemon."""
    from watcher.cli.listening import Own, subscriber, unlogged
    from watcher.subscriber.place import id_of, position_of

    own = Own(settings)
    with unlogged(), subscriber(settings, since=id_of(position) if position else 0) as stream:
        for message in stream:
            if own.ignores(message.id):
                continue
            here = position_of(message.id)
            if position and (line := _break(position, here)):
                say(line)
            position = here
            yield message


def _break(before: Position, after: Position) -> str:
    """What is to be said of two events, if the second does not follow the first."""
    if after.epoch != before.epoch:
        line = "the daemon has another journal: its events follow"
        return f"{line}; {_gone(1, after.sequence - 1)}" if after.sequence > 1 else line
    if after.sequence <= before.sequence:
        return "an older copy of the journal was put back: its events follow, some for a second time"
    return _gone(before.sequence + 1, after.sequence - 1) if after.sequence > before.sequence + 1 else ""


def _gone(first: int, last: int) -> str:
    return f"events {first} to {last} are no longer kept"


def as_json(message: Message) -> str:
    """One line for programs."""
    import msgspec

    return msgspec.json.encode(message).decode()


def as_line(message: Message) -> str:
    """One line for people."""
    from watcher.wording import event_line

    time = f"{message.time:%Y-%m-%d %H:%M:%S}"
    return f"{time} {event_line(message.sequence, message.event, message.subject, message.data)}"
