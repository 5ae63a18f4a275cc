"""``tickward wait``: until something has happened to a day. For shell scripts and CI."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from watcher.cli.context import Context, say, write_json
from watcher.errors import ConfigError, TickwardError

if TYPE_CHECKING:
    from watcher.cli.documents.waiting import Reached
    from watcher.cli.listening import Own
    from watcher.settings import Settings
    from watcher.subscriber import Snapshot, Subscriber
    from watcher.wire import DatabaseState, Message

_LIFE = ("created", "active", "closed", "sealed", "backed_up", "compressed", "archived", "expired")
"""The states of a day in their order: whoever waits for the event of one may come late."""
_IMPLIED = ("created", "closed")
"""Those whose event may be missing: its writer made the day, or ended it, while no daemon was running."""
_OF_NO_DAY = ("started", "stopped", "configured", "rotated", "health", "disk_low", "pruned")
_REACH_SECONDS = 2.0
"""The daemon has so long to say how things stand, also for those who do not want to wait."""
_LOOK_SECONDS = 2.0
"""How often the journal is looked into where no daemon tells what is new."""
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
    not waited for; of any other event the next one is. Without a daemon the journal says what has happened,
    also to what `tickward once` does meanwhile; a daemon that comes is heard.

    Exit status: 0 it is so; 1 it did not come in time; 2 usage or configuration; 130 ended by Ctrl-C.

    Examples:
        tickward wait 2026-01-20 sealed --timeout 60 && rsync ...
        tickward wait 2026-01-20 verified --next

    See also:
        `tickward events` lists the events that there are; `tickward hooks`.
    """
    from watcher.cli.asking import keys_of
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
    try:
        reached = _awaited(settings, _Wanted(key, event, fresh), timeout)
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if json:
        write_json(reached)
    else:
        typer.echo(_line(reached))


class _Wanted(NamedTuple):
    """What is waited for."""

    key: str
    event: str
    fresh: bool
    """Only the next time counts."""

    def by_state(self, state: DatabaseState | None) -> Reached | None:
        """If the day is so already."""
        from watcher.cli.documents.waiting import Reached

        if state is None or self.fresh or not _is(state, self.event):
            return None
        if _is_lost(state):
            raise TickwardError(f"{self.key} was {self.event}, but is LOST: {state.problem}")
        return Reached(self.key, self.event, state.times.get(self.event), message=None, state=state)

    def by_message(self, message: Message) -> Reached | None:
        """If this is the event."""
        from watcher.cli.documents.waiting import Reached

        if (message.subject, message.event) != (self.key, self.event) or _is_passing(message):
            return None
        return Reached(self.key, self.event, message.time, message=message, state=None)


def _awaited(settings: Settings, wanted: _Wanted, timeout: float | None) -> Reached:
    """Raises `TickwardError` if it does not come in time."""
    from watcher.control import is_listening
    from watcher.journal import Journal
    from watcher.paths import journal_file, resolved

    deadline = time.monotonic() + timeout if timeout is not None else None
    data = resolved(settings).data
    if is_listening(Path(data.state)):
        return _heard(settings, wanted, deadline, expected=True)
    journal = Journal.open_for_reading(journal_file(data))
    if journal is None:
        return _heard(settings, wanted, deadline, expected=False)
    journal.close()
    return _recorded(settings, wanted, deadline)


def _heard(settings: Settings, wanted: _Wanted, deadline: float | None, *, expected: bool) -> Reached:
    """By a daemon: it says how things stand, then what happens. ``expected``: it is known to be there."""
    from watcher.cli.listening import Own, subscriber

    own = Own(settings)
    with subscriber(settings, streams={wanted.key.partition("/")[0]}) as listening:
        snapshot = _first_word(listening, settings.events.replay, deadline, expected=expected)
        if snapshot is None:
            raise TickwardError(
                f"{wanted.key}: no daemon was heard on {settings.events.replay}: `tickward run` starts one, "
                "`tickward status` says how things stand without"
            )
        own.require(snapshot.id)
        state = snapshot.databases.get(wanted.key)
        if reached := wanted.by_state(state):
            return reached
        while message := listening.receive(_left(deadline)):
            own.require(message.id)
            if reached := wanted.by_message(message):
                return reached
        raise _not_in_time(wanted, _stands(listening, own, wanted.key, state))


def _first_word(
    listening: Subscriber, where: str, deadline: float | None, *, expected: bool
) -> Snapshot | None:
    """How things stand; None if nobody has said so in time."""

    if expected:
        left = _left(deadline)
        return listening.snapshot(None if left is None else max(left, _REACH_SECONDS))
    snapshot = listening.snapshot(_REACH_SECONDS)
    if snapshot is not None or _left(deadline) == 0.0:
        return snapshot
    say(f"no daemon is heard on {where}: waiting for one; `tickward run` starts one")
    return listening.snapshot(_left(deadline))


def _recorded(settings: Settings, wanted: _Wanted, deadline: float | None) -> Reached:
    """By the journal, as no daemon is running; and by one that comes. Strangers are not listened to."""
    from watcher.cli.listening import Own, subscriber, unlogged

    record = _Record(settings, wanted)
    if reached := record.look():
        return reached
    if _left(deadline) != 0.0:
        key, event = wanted.key, wanted.event
        say(f"no daemon is running: waiting until {key} is {event} all the same; `tickward run` starts one")
        own, streams = Own(settings), {key.partition("/")[0]}
        with unlogged(), subscriber(settings, since=record.id, streams=streams) as listening:
            while _left(deadline) != 0.0:
                message = _own_word(listening, own, _left(deadline, _LOOK_SECONDS))
                if reached := wanted.by_message(message) if message else record.look():
                    return reached
    raise _not_in_time(wanted, f"{_word(record.state, 'the journal')}; no daemon was running")


def _own_word(listening: Subscriber, own: Own, seconds: float | None) -> Message | None:
    """The next event that this configuration's daemon tells of within the time."""
    until = None if seconds is None else time.monotonic() + seconds
    while message := listening.receive(_left(until)):
        if not own.ignores(message.id):
            return message
        if _left(until) == 0.0:
            break
    return None


class _Record:
    """What the journal says of what is waited for, and how far it has been read for that."""

    def __init__(self, settings: Settings, wanted: _Wanted) -> None:
        from watcher.paths import journal_file, resolved
        from watcher.wire import Position

        self.state: DatabaseState | None = None
        self._wanted = wanted
        self._data = resolved(settings).data
        self._file = journal_file(self._data)
        self._position: Position | None = None

    @property
    def id(self) -> str | None:
        """Of the newest event at the last look."""
        from watcher.subscriber.place import id_of

        return id_of(self._position) if self._position else None

    def look(self) -> Reached | None:
        """If it is so, or has happened since the first look."""
        from watcher.journal import Journal
        from watcher.snapshot import state_from
        from watcher.state import Facts
        from watcher.wire import Position, from_frames, to_frames

        journal = Journal.open_for_reading(self._file)
        if journal is None:
            return None
        with journal:
            facts = journal.facts(self._wanted.key)
            self.state = state_from(self._wanted.key, facts, self._data) if facts != Facts() else None
            if reached := self._wanted.by_state(self.state):
                return reached
            position = self._position or Position(journal.epoch, journal.head())
            number = journal.where_to_go_on(position).sequence
            while records := journal.since(number):
                for record in records:
                    if reached := self._wanted.by_message(from_frames(to_frames(record, journal.epoch))):
                        return reached
                number = records[-1].sequence
            self._position = Position(journal.epoch, number)
        return None


def _left(deadline: float | None, most: float | None = None) -> float | None:
    """The seconds until then, at most so many; None: for ever."""
    if deadline is None:
        return most
    left = max(deadline - time.monotonic(), 0.0)
    return left if most is None else min(left, most)


def _not_in_time(wanted: _Wanted, how: str) -> TickwardError:
    return TickwardError(f"{wanted.key}: not {wanted.event} in time; {how}")


def _is(state: DatabaseState, event: str) -> bool:
    """Whether the day is what it becomes by this event."""
    if event == "held":
        return bool(state.hold)
    if event == "opened":
        return state.state == "active"
    implied = event in _IMPLIED or (event == "backed_up" and state.compressed_bytes)  # both copies are
    if event not in _LIFE or state.state not in _LIFE or not (implied or event in state.times):
        return False  # not every day is compressed or archived before it expires
    return _LIFE.index(event) <= _LIFE.index(state.state)


def _is_lost(state: DatabaseState) -> bool:
    """Whether no good copy of it is left."""
    return not state.path and state.state not in ("absent", "expired")


def _is_passing(message: Message) -> bool:
    """A copy that was taken while somebody held the day: the one that counts is yet to come."""
    return message.event == "backed_up" and bool(message.data.get("live"))


def _stands(listening: Subscriber, own: Own, key: str, before: DatabaseState | None) -> str:
    """How the day stands, for whoever has waited in vain."""
    snapshot = listening.snapshot(_REACH_SECONDS)
    if snapshot is None:
        return "the daemon is not heard any more: `tickward status` says how things stand"
    own.require(snapshot.id)
    return _word(snapshot.databases.get(key, before), "the daemon")


def _word(state: DatabaseState | None, who: str) -> str:
    if state is None:
        return f"{who} knows no such day"
    return f"it is {state.state}" + (f": {state.problem}" if state.problem else "")


def _line(reached: Reached) -> str:
    from watcher.cli.events import as_line
    from watcher.wording import moment

    if reached.message is not None:
        return as_line(reached.message)
    return f"{reached.subject} is {reached.event}" + (f" since {moment(reached.at)}" if reached.at else "")
