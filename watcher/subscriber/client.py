"""What the subscribers have in common, all but the waiting: two sockets, and what comes of their messages."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq

from watcher import wire
from watcher.errors import TickwardError
from watcher.events import EVENTS, UNRECORDED
from watcher.subscriber.following import Following
from watcher.subscriber.gathering import Snapshot
from watcher.subscriber.place import PositionFile, id_of, position_of
from watcher.wire import Message, Position

if TYPE_CHECKING:
    from watcher.keys import Credentials

PUBLISH = "tcp://127.0.0.1:5556"
REPLAY = "tcp://127.0.0.1:5557"
_QUEUE = 10_000
"""Live messages that wait here while the caller is busy; what is beyond that is replayed."""
_ANSWERS = 10
_AT_ONCE = 500
"""Messages that are read from a socket before anything else is looked at."""
_LONGEST_MESSAGE_BYTES = 64 << 20
_LONGEST_WAIT_SECONDS = 3600.0


class ClosedError(TickwardError):
    """The subscriber was closed: it has no more events."""

    def __init__(self) -> None:
        super().__init__("this subscriber is closed: make another one to go on")


class Client:
    """One subscription. Belongs to whoever uses it: not to be shared by threads, or with a forked child.

    If the daemon begins another journal, the events of that one are handed out from its first. The same if
    an older copy of the journal was put back, as far as that can be seen: then some come a second time.

    Args:
        publish: the address of the daemon's XPUB socket (``events.publish``).
        replay: the address of its ROUTER socket (``events.replay``).
        since: hand out the events after this one: a sequence number, or better the ``id`` of an event, which
            also tells the journal it is from; 0 for all that the journal keeps; None for those recorded once
            the daemon has been reached.
        position: a file that keeps how far this program has got, and is made if there is none. What it says
            goes before ``since``. An event is noted there when the next one is asked for.
        events: names of events to hand out, e.g. ``{"sealed", "compressed"}``; None for all.
        streams: the same by streams; ``-`` is that of what concerns the daemon.
        progress: also hand out the progress of long steps. It has the sequence number 0, and moves nothing.
        credentials: for a daemon with ``events.curve``.

    Raises:
        ValueError: there is no such event, or ``since`` is no id.
        PositionError: the position cannot be kept there, or another program does.
        zmq.ZMQError: an address cannot be meant.
    """

    def __init__(
        self,
        publish: str = PUBLISH,
        replay: str = REPLAY,
        *,
        since: int | str | None = None,
        position: str | Path | None = None,
        events: Collection[str] | None = None,
        streams: Collection[str] | None = None,
        progress: bool = False,
        credentials: Credentials | None = None,
    ) -> None:
        self._events = None if events is None else _known(events)
        self._streams = None if streams is None else _names(streams)
        self._progress = progress
        start = None if since is None else position_of(since)
        self._context, self._poller = self._tools()
        self._held_up = False
        """Whether a question is to be put, and there is nobody who takes it."""
        self._closed = False
        self._file = None
        try:
            if position is not None:
                self._file = PositionFile(Path(position))
                start = self._file.noted or start
            self._following = Following(start, self._is_wanted, time.monotonic())
            self._live = self._connected(zmq.SUB, publish, credentials)
            self._past = self._connected(zmq.DEALER, replay, credentials)
            # Whatever those are for the one who waits: nothing is read or sent here but what can be at once.
            self._sub: zmq.Socket[bytes] = zmq.Socket.shadow(self._live.underlying)
            self._dealer: zmq.Socket[bytes] = zmq.Socket.shadow(self._past.underlying)
            self._ask()
        except BaseException:  # Ctrl-C as well: what is left open would hold up the end of the program
            self._close(note=False)
            raise

    @property
    def sequence(self) -> int:
        """The sequence number up to which everything has been handed out or filtered away."""
        return self._following.position.sequence

    @property
    def id(self) -> str | None:
        """The same as an id, for ``since``; None as long as it is not known which journal the daemon has."""
        position = self._following.position
        return None if position.epoch == wire.ANY_EPOCH else id_of(position)

    def _tools(self) -> tuple[zmq.Context[Any], Any]:
        """A context, and a poller that waits as this subscriber does."""
        raise NotImplementedError

    def _connected(self, kind: int, endpoint: str, credentials: Credentials | None) -> zmq.Socket[Any]:
        socket: zmq.Socket[Any] = self._context.socket(kind)
        if kind == zmq.SUB:
            socket.rcvhwm = _QUEUE
            socket.subscribe(b"")  # filtering here, not there: only so can a gap be told from a filter
        else:
            socket.rcvhwm = _ANSWERS
            socket.sndhwm = 1
            socket.immediate = True  # questions do not pile up while the daemon is away
        socket.maxmsgsize = _LONGEST_MESSAGE_BYTES
        # TCP is to notice when the daemon's machine is gone, not ZeroMQ's heartbeats: with those, libzmq
        # (4.3.5) aborts a program that leaves its queue full for longer than their timeout.
        socket.tcp_keepalive = 1
        socket.tcp_keepalive_idle, socket.tcp_keepalive_intvl, socket.tcp_keepalive_cnt = 5, 1, 3
        socket.tcp_maxrt = 8000
        socket.ipv6 = "[" in endpoint
        if credentials is not None:
            socket.curve_publickey, socket.curve_secretkey = credentials.key
            socket.curve_serverkey = credentials.server
        socket.connect(endpoint)
        return socket

    def _is_wanted(self, message: Message) -> bool:
        if self._streams is not None and message.stream not in self._streams:
            return False
        if not message.sequence:
            return self._progress
        return self._events is None or message.event in self._events

    def _at_hand(self) -> Message | None:
        """The next message, if it has come already. The one before it is done with."""
        if self._closed:
            raise ClosedError
        self._note(self._following.position)
        return self._following.next()

    def _turn(self) -> Message | None:
        """Read what there is and ask for what is missing; the next message, if that has brought one."""
        self._take()
        message = self._following.next()
        if message is not None and self._file is not None and self._file.noted is None:
            # Whoever is killed over the very first event is to get it again, not what is new then.
            self._note(self._following.before)
        return message

    @contextmanager
    def _asking_for_snapshot(self) -> Iterator[None]:
        """However it ends, events go on: after the snapshot, or as if it had not been asked for."""
        if self._closed:
            raise ClosedError
        self._note(self._following.position)
        self._following.begin_snapshot(time.monotonic())
        try:
            yield
        finally:
            self._following.end_snapshot(time.monotonic())

    def _turn_to_snapshot(self) -> Snapshot | None:
        """The snapshot, if that can be had without waiting."""
        self._take()
        return self._following.take_snapshot()

    def _take(self) -> None:
        if self._closed:
            raise ClosedError
        now = time.monotonic()
        for _ in range(_AT_ONCE):
            try:
                frames = self._dealer.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            self._following.take_answer(frames, now)
        for _ in range(_AT_ONCE):
            if not self._following.listens(now):
                break
            try:
                frames = self._sub.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            self._following.take_live(frames, now)
        self._ask()

    def _ask(self) -> None:
        now = time.monotonic()
        self._held_up = False
        if now < self._following.due:
            return
        try:
            self._dealer.send_multipart(self._following.question().frames(), zmq.NOBLOCK)
        except zmq.Again:
            self._held_up = True
        else:
            self._following.asked(now)

    def _about_to_wait(self, deadline: float | None) -> int:
        """Say what is waited for; returns for how many milliseconds."""
        self._note(self._following.position)
        if self._file is not None:
            self._file.sync_if_due()
        now = time.monotonic()
        self._poller.register(self._past, zmq.POLLIN | (zmq.POLLOUT if self._held_up else 0))
        self._poller.register(self._live, zmq.POLLIN if self._following.listens(now) else 0)
        until = now + _LONGEST_WAIT_SECONDS if self._held_up else self._following.due
        until = until if deadline is None else min(until, deadline)
        return ceil(1000 * max(0.0, until - now))

    def _note(self, position: Position) -> None:
        if self._file is not None and position.epoch != wire.ANY_EPOCH:
            self._file.note(position)

    def _close(self, *, note: bool) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            if self._file is not None:
                try:
                    if note:
                        self._note(self._following.position)
                finally:
                    self._file.close()
        finally:
            self._context.destroy(linger=0)


def deadline_of(timeout_seconds: float | None) -> float | None:
    return None if timeout_seconds is None else time.monotonic() + timeout_seconds


def is_over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def _known(events: Collection[str]) -> frozenset[str]:
    known = _names(events)
    if known & UNRECORDED.keys():
        raise ValueError("progress is not recorded, and no event: it is handed out with progress=True")
    if unknown := sorted(known - EVENTS.keys()):
        raise ValueError(f"there is no event {unknown[0]!r}: name some of {', '.join(EVENTS)}")
    return known


def _names(names: Collection[str]) -> frozenset[str]:
    return frozenset({names} if isinstance(names, str) else names)
