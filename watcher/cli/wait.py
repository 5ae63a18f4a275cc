"""``tickward wait``: until something has happened to a day. For shell scripts and CI."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.context import Context, write_json
from watcher.errors import ConfigError, TickwardError

if TYPE_CHECKING:
    from datetime import datetime

    from watcher.settings import Settings
    from watcher.subscriber import Subscriber
    from watcher.wire import DatabaseState, Message

_LIFE = ("created", "active", "closed", "sealed", "backed_up", "compressed", "archived", "expired")
"""The states of a day in their order: whoever waits for the event of one may come late."""
_IMPLIED = ("created", "closed")
"""Those whose event may be missing: its writer made the day, or ended it, while no daemon was running."""
_OF_NO_DAY = ("started", "stopped", "configured", "rotated", "health", "disk_low", "pruned")
_REACH_SECONDS = 2.0
"""The daemon has so long to say how things stand, also for those who do not want to wait."""
EXIT_INTERRUPTED = 130


def wait(
    context: typer.Context,
    day: Annotated[str, typer.Argument(metavar="DAY", help="2026-01-20, or ticks/2026-01-20.")],
    event: Annotated[str, typer.Argument(metavar="EVENT", help="Such as sealed: see `tickward events`.")],
    timeout: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="At most; 0: only look. Else for ever.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--next", help="The next time, whatever has happened.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Wait until a day is sealed, compressed, ...: for shell scripts.

    What a day is already (created, opened, closed, sealed, backed_up, compressed, archived, expired, held) is
    not waited for; of any other event the next one is. A daemon that is not there is waited for too.

    Exit status: 0 it is so; 1 it did not come in time; 2 usage or configuration; 130 ended by Ctrl-C.

    Examples:
        tickward wait 2026-01-20 sealed --timeout 60 && rsync ...
        tickward wait 2026-01-20 verified --next

    See also:
        `tickward events` lists the events that there are; `tickward hooks`.
    """
    from watcher.cli.asking import keys_of
    from watcher.cli.listening import subscriber
    from watcher.events import EVENTS

    options: Context = context.obj
    settings = options.load()
    if event not in EVENTS:
        raise ConfigError(f"there is no event {event!r}; there are: {', '.join(EVENTS)}")
    if event in _OF_NO_DAY:
        raise ConfigError(f"{event} is nothing that happens to a day: `tickward events --follow` shows it")
    key, *others = keys_of([day], settings)
    if others:
        raise ConfigError(f"of which stream? Name one day, such as {key}")
    deadline = time.monotonic() + timeout if timeout is not None else None
    try:
        with subscriber(settings, streams={key.partition("/")[0]}) as listening:
            _wait(listening, settings, key, event, deadline, fresh=fresh, json=json)
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _wait(
    listening: Subscriber,
    settings: Settings,
    key: str,
    event: str,
    deadline: float | None,
    *,
    fresh: bool,
    json: bool,
) -> None:
    from watcher.cli.documents.waiting import Reached
    from watcher.cli.events import as_line

    left = None if deadline is None else max(deadline - time.monotonic(), _REACH_SECONDS)
    snapshot = listening.snapshot(left)
    if snapshot is None:
        raise TickwardError(
            f"{key}: no daemon was heard on {settings.events.replay}: `tickward run` starts one, "
            "`tickward status` says how things stand without"
        )
    state = snapshot.databases.get(key)
    if state is not None and not fresh and _is(state, event):
        if json:
            write_json(Reached(key, event, state.times.get(event), message=None, state=state))
        else:
            typer.echo(_as_line(state, event))
        return
    while True:
        left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
        message = listening.receive(left)
        if message is None:
            raise TickwardError(f"{key}: not {event} in time; {_stands(listening, key, state)}")
        if message.subject == key and message.event == event and not _is_passing(message):
            break
    if json:
        write_json(Reached(key, event, message.time, message=message, state=None))
    else:
        typer.echo(as_line(message))


def _is(state: DatabaseState, event: str) -> bool:
    """Whether the day is what it becomes by this event."""
    if event == "held":
        return bool(state.hold)
    if event == "opened":
        return state.state == "active"
    if event not in _LIFE or state.state not in _LIFE or (event not in _IMPLIED and event not in state.times):
        return False  # not every day is compressed or archived before it expires
    return _LIFE.index(event) <= _LIFE.index(state.state)


def _is_passing(message: Message) -> bool:
    """A copy that was taken while somebody held the day: the one that counts is yet to come."""
    return message.event == "backed_up" and bool(message.data.get("live"))


def _stands(listening: Subscriber, key: str, before: DatabaseState | None) -> str:
    """How the day stands, for whoever has waited in vain."""
    snapshot = listening.snapshot(_REACH_SECONDS)
    if snapshot is None:
        return "the daemon is not heard any more: `tickward status` says how things stand"
    state = snapshot.databases.get(key, before)
    if state is None:
        return "the daemon knows no such day"
    return f"it is {state.state}" + (f": {state.problem}" if state.problem else "")


def _as_line(state: DatabaseState, event: str) -> str:
    from watcher.wording import moment

    since: datetime | None = state.times.get(event)
    return f"{state.subject} is {event}" + (f" since {moment(since)}" if since else "")
