"""What the subscribers have in common, all but the waiting: two sockets, and what comes of their messages."""

from __future__ import annotations

import os
import time
import warnings
import weakref
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq
from msgspec import Struct

from watcher import wire
from watcher.errors import TickwardError
from watcher.events import EVENTS, UNRECORDED
from watcher.subscriber.following import Following
from watcher.subscriber.gathering import Snapshot
from watcher.subscriber.place import PositionFile, id_of, position_of
from watcher.wakeup import Wakeup
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
_LONGEST_WAIT_SECONDS = 5.0
"""A signal that comes in the moment before waiting is handled only after it."""


class ClosedError(TickwardError):
    """The subscriber was closed: it has no more events."""

    def __init__(self) -> None:
        super().__init__("this subscriber is closed: make another one to go on")


class Open:
    """What is open for a subscriber. Knows nothing of it, and so outlives one that was dropped."""

    def __init__(self, context: zmq.Context[Any], wakeup: Wakeup | None) -> None:
        self.context = context
        self.sockets: list[zmq.Socket[Any]] = []
        self.wakeup = wakeup
        """What a poller is woken with, where closing the sockets does not do so."""
        self.file: PositionFile | None = None

    def close(self) -> None:
        try:
            if self.file is not None:
                self.file.close()
        finally:
            if self.wakeup is not None:
                self.wakeup.close()
            for socket in self.sockets:
                socket.close(linger=0)
            self.context.destroy(linger=0)

    def abandon(self) -> None:
        """In a forked child: give back what would be kept from the parent, and leave its sockets alone."""
        if self.file is not None:
            self.file.abandon()
        if self.wakeup is not None:
            self.wakeup.close()


def _close_dropped(was_open: Open) -> None:
    # Not left to pyzmq: its context waits for sockets for ever that the garbage collector has made it forget.
    was_open.close()
    warnings.warn("a subscriber was dropped that had not been closed", ResourceWarning, stacklevel=2)


class _Filter(Struct, frozen=True):
    """What is to be handed out."""

    events: frozenset[str] | None
    streams: frozenset[str] | None
    progress: bool

    def __call__(self, message: Message) -> bool:
        if self.streams is not None and message.stream not in self.streams:
            return False
        if not message.sequence:
            return self.progress
        return self.events is None or message.event in self.events


class Client:
    """One subscription. Belongs to whoever uses it: not to be shared by threads, but for `close`. In a child
    that is forked it is closed.

    If the daemon begins another journal, the events of that one are handed out from the first that it keeps;
    if it comes back to one, from where that was left. If an older copy of the journal was put back, its
    events are handed out from the first as well, as far as that can be seen: then some come a second time.

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
        wanted = _Filter(
            None if events is None else _known(events),
            None if streams is None else _names(streams),
            progress,
        )
        start = None if since is None else position_of(since)
        self._replay, self._credentials = replay, credentials
        self._held_up = False
        """Whether a question is to be put, and there is nobody who takes it."""
        self._torn = False
        """Whether a question may have left in part only."""
        self._closed = False
        self._file = None
        self._open = self._opened()
        self._dropped = weakref.finalize(self, _close_dropped, self._open)
        self._dropped.atexit = False  # a thread may be waiting then; and the kernel closes all of it
        _all.add(self)
        try:
            left = {}
            if position is not None:
                self._open.file = self._file = PositionFile(Path(position))
                start = self._file.noted or start
                left = {each.epoch: each.sequence + 1 for each in self._file.left.values()}
            self._following = Following(start, wanted, time.monotonic(), left)
            self._poller = self._new_poller()
            self._live = self._connected(zmq.SUB, publish)
            # Whatever those are for the one who waits: nothing is read or sent here but what can be at once.
            self._sub: zmq.Socket[bytes] = zmq.Socket.shadow(self._live.underlying)
            self._connect_to_ask()
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

    def _opened(self) -> Open:
        """With a context for sockets that wait as this subscriber does."""
        raise NotImplementedError

    def _new_poller(self) -> Any:
        """One that waits so."""
        raise NotImplementedError

    def _connect_to_ask(self) -> None:
        self._past = self._connected(zmq.DEALER, self._replay)
        self._dealer: zmq.Socket[bytes] = zmq.Socket.shadow(self._past.underlying)
        self._torn = False

    def _connected(self, kind: int, endpoint: str) -> zmq.Socket[Any]:
        socket: zmq.Socket[Any] = self._open.context.socket(kind)
        self._open.sockets.append(socket)
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
        if self._credentials is not None:
            socket.curve_publickey, socket.curve_secretkey = self._credentials.key
            socket.curve_serverkey = self._credentials.server
        socket.connect(endpoint)
        return socket

    def _at_hand(self) -> Message | None:
        """The next message, if it has come already. The one before it is done with."""
        self._finish()
        return self._following.upcoming()

    def _finish(self) -> None:
        """What was handed out last is done with."""
        if self._closed:
            raise ClosedError
        if self._torn:
            self._mend()
        self._following.done()
        self._note(self._following.position)

    def _turn(self) -> Message | None:
        """Read what there is and ask for what is missing; the next message, if that has brought one."""
        self._take()
        message = self._following.upcoming()
        if message is not None and self._file is not None and self._file.noted is None:
            # Whoever is killed over the very first event is to get it again, not what is new then.
            self._note(self._following.position)
        return message

    @contextmanager
    def _asking_for_snapshot(self) -> Iterator[None]:
        """However it ends, events go on: after the snapshot, or as if it had not been asked for."""
        self._finish()
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
        self._torn = True
        try:
            self._dealer.send_multipart(self._following.question().frames(), zmq.NOBLOCK)
        except zmq.Again:
            self._held_up = True
        else:
            self._following.asked(now)
        self._torn = False

    def _mend(self) -> None:
        """What a signal handler raised came between the frames of a question: those go with their socket."""
        self._poller = self._new_poller()
        for socket in self._open.sockets[1:]:
            socket.close(linger=0)
        del self._open.sockets[1:]
        self._connect_to_ask()

    def _about_to_wait(self, deadline: float | None) -> int:
        """Say what is waited for; returns for how many milliseconds."""
        self._note(self._following.position)
        if self._file is not None:
            self._file.sync_if_due()
        now = time.monotonic()
        self._poller.register(self._past, zmq.POLLIN | (zmq.POLLOUT if self._held_up else 0))
        self._poller.register(self._live, zmq.POLLIN if self._following.listens(now) else 0)
        longest = now + _LONGEST_WAIT_SECONDS
        until = longest if self._held_up else min(longest, self._following.due)
        until = until if deadline is None else min(until, deadline)
        return ceil(1000 * max(0.0, until - now))

    def _note(self, position: Position) -> None:
        if self._file is not None and position.epoch != wire.ANY_EPOCH:
            self._file.note(position)

    def _close(self, *, note: bool) -> None:
        self._closed = True
        if self._dropped.detach() is None:
            return  # somebody else does
        try:
            if note:
                self._note(self._following.position)
        finally:
            self._open.close()

    def _abandon(self) -> None:
        self._closed = True
        if self._dropped.detach() is not None:
            self._open.abandon()


_all: weakref.WeakSet[Client] = weakref.WeakSet()


def _abandon_all() -> None:
    for client in list(_all):
        client._abandon()


os.register_at_fork(after_in_child=_abandon_all)


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
