"""The client that downstream programs import: every event, once, in order.

    from watcher.subscriber import Subscriber

    with Subscriber(since=0) as subscriber:
        for message in subscriber:
            print(message.sequence, message.event, message.subject)

A PUB socket may lose messages and says nothing. So the subscriber counts: a gap in the sequence, a heartbeat
that knows of more, or a long silence makes it ask the replay socket for what it has missed.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from math import ceil

import zmq
from loguru import logger

from watcher import wire
from watcher.events import EVENTS
from watcher.wire import Message

_ASK_AGAIN_SECONDS = 2.0
"""How long an answer is waited for, and how long a question that brought nothing is not put again."""
_SILENCE_SECONDS = 5.0
"""Without a heartbeat for so long, something may be wrong with the PUB socket: the other one is asked."""
_QUEUE = 10_000
"""Messages that wait here while the caller is busy; what is beyond that is replayed."""


class Subscriber:
    """One subscription. Belongs to the thread that uses it; starts no thread of its own.

    If the daemon begins another journal, the events of that one are handed out from its first. The same if
    an older copy of the journal was put back, as far as that can be seen: then some come a second time.

    Args:
        publish: the address of the daemon's PUB socket (``events.publish``).
        replay: the address of its ROUTER socket (``events.replay``).
        since: hand out the events after this one: a sequence number, or better the ``id`` of a message, which
            also tells the journal it is from; 0 for all that the journal keeps; None for those recorded once
            the daemon has been reached.
        only: names of events to hand out, e.g. ``{"sealed", "compressed"}``; None for all.

    Raises:
        ValueError: there is no such event, or ``since`` is no id.
        zmq.ZMQError: an address cannot be meant.
    """

    def __init__(
        self,
        publish: str = "tcp://127.0.0.1:5556",
        replay: str = "tcp://127.0.0.1:5557",
        *,
        since: int | str | None = None,
        only: Collection[str] | None = None,
    ) -> None:
        self._only = None if only is None else _known(only)
        self._epoch, self._next = _after(since)
        self._left: dict[int, int] = {}
        """Where we were in the journals that the daemon has turned away from."""
        self._behind = True
        self._asked: int | None = None
        """The question that is waiting for its answer: the events since this number."""
        self._ask_at = 0.0
        self._heard_at = time.monotonic()
        self._context = zmq.Context()
        try:
            self._sub = self._connect(zmq.SUB, publish)
            self._sub.subscribe(b"")  # filtering here, not there: only so can a gap be told from a filter
            self._dealer = self._connect(zmq.DEALER, replay)
        except BaseException:
            self.close()
            raise
        self._poller = zmq.Poller()
        self._poller.register(self._dealer, zmq.POLLIN)
        self._ask_if_due()

    @property
    def position(self) -> int:
        """The sequence number up to which everything has been handed out or filtered away."""
        return 0 if self._next is None else self._next - 1

    def receive(self, timeout_seconds: float | None = None) -> Message | None:
        """The next event; None if there was none within the time.

        Raises `ValueError` if the daemon's events are of a form that this version does not know.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            self._ask_if_due()
            for socket in self._readable(deadline):
                message = self._take(socket.recv_multipart(), from_replay=socket is self._dealer)
                if message is not None:
                    return message
            if deadline is not None and time.monotonic() >= deadline:
                return None

    def __iter__(self) -> Iterator[Message]:
        while True:
            message = self.receive()
            if message is not None:
                yield message

    def close(self) -> None:
        self._context.destroy(linger=0)

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self, kind: int, endpoint: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.rcvhwm = _QUEUE
        if kind == zmq.DEALER:
            socket.sndhwm = 1  # questions do not pile up while the daemon is away
        socket.heartbeat_ivl = 500
        socket.heartbeat_timeout = 1500
        socket.ipv6 = "[" in endpoint
        socket.connect(endpoint)
        return socket

    def _readable(self, deadline: float | None) -> list[zmq.Socket[bytes]]:
        # As long as an answer is awaited, live events wait in their queue: read now they would be beyond the
        # gap, and would have to be asked for in their turn.
        self._poller.register(self._sub, zmq.POLLIN if self._asked is None else 0)
        until = self._due() if deadline is None else min(self._due(), deadline)
        timeout_ms = ceil(max(0.0, until - time.monotonic()) * 1000)
        return [socket for socket, _ in self._poller.poll(timeout_ms)]

    def _due(self) -> float:
        """When to ask, as things stand."""
        return self._ask_at if self._behind else self._heard_at + _SILENCE_SECONDS

    def _ask_if_due(self) -> None:
        now = time.monotonic()
        if now < self._due():
            return
        if self._asked is not None and self._dealer.poll(0):
            return  # the answer is here: it is the caller who takes long
        if not self._behind and self._sub.poll(0):
            return  # it is no silence: again the caller
        self._behind = True
        self._ask_at = now + _ASK_AGAIN_SECONDS
        since = wire.NEWEST if self._next is None else self._next - 1
        with suppress(zmq.Again):  # the one before has not left yet, and does as well
            self._dealer.send_multipart([wire.REPLAY_REQUEST, wire.SINCE.pack(since)], zmq.NOBLOCK)
            self._asked = since

    def _take(self, frames: list[bytes], *, from_replay: bool) -> Message | None:
        try:
            epoch, sequence = wire.position_of(frames)
            if from_replay and frames[0] == wire.END_TOPIC:
                self._take_end(epoch, sequence, wire.end_from(frames))
                return None
        except ValueError:
            self._behind |= not from_replay  # somebody else is at that address; the daemon may be nowhere
            return None
        if from_replay and self._epoch is None:
            self._epoch = epoch
        if self._next is None or epoch != self._epoch:
            self._behind = True  # live messages may be old or foreign: which journal it is, a replay tells
            return None
        self._heard_at = time.monotonic()
        if frames[0] == wire.HEARTBEAT_TOPIC:
            self._behind |= sequence != self.position
            return None
        if sequence != self._next:
            self._behind |= sequence > self._next
            return None
        return self._hand_out(sequence, frames, from_replay=from_replay)

    def _hand_out(self, sequence: int, frames: list[bytes], *, from_replay: bool) -> Message | None:
        try:
            message = wire.from_frames(frames)
        except ValueError:
            self._behind = True
            if from_replay:
                raise
            return None
        self._next = sequence + 1
        return message if self._only is None or message.event in self._only else None

    def _take_end(self, epoch: int, head: int, end: wire.End) -> None:
        """All of an answer has come: learn from its end which journal it is and how far that has got."""
        if end.since != self._asked:
            return  # the answer to a question that was given up
        self._asked = None
        self._heard_at = time.monotonic()
        before = (self._epoch, end.since)
        if self._epoch is None:
            self._epoch = epoch
        if self._next is None:
            self._next = head + 1
        elif epoch != self._epoch:
            logger.info("the daemon has another journal: its events are handed out from its first")
            self._left[self._epoch] = self._next
            self._epoch, self._next = epoch, self._left.get(epoch, 1)
        elif head < end.since:
            logger.warning(
                "the journal ends at {}, event {} was seen before: an older copy of it was put back, or "
                "another one begun. Its events are handed out from the first, some for a second time",
                head,
                end.since,
            )
            self._next = 1
        elif self._next < end.oldest:
            if self._next > 1:
                logger.warning("events {} to {} are no longer kept", self._next, end.oldest - 1)
            self._next = end.oldest
        self._behind = head >= self._next
        if (self._epoch, self.position) != before:
            self._ask_at = 0.0  # it has brought something: the next may follow at once


def _known(names: Collection[str]) -> frozenset[str]:
    known = frozenset({names} if isinstance(names, str) else names)
    if unknown := sorted(known - EVENTS.keys()):
        raise ValueError(f"there is no event {unknown[0]!r}: name some of {', '.join(EVENTS)}")
    return known


def _after(since: int | str | None) -> tuple[int | None, int | None]:
    """The epoch, if it is known, and the number of the first event that is wanted."""
    if since is None:
        return None, None
    epoch, _, number = since.partition("-") if isinstance(since, str) else (None, "", since)
    try:
        known, sequence = int(epoch, 16) if epoch is not None else None, int(number)
        wire.SINCE.pack(sequence)
    except (ValueError, struct.error):
        raise ValueError(f"{since!r} is neither a sequence number nor the id of a message") from None
    return known, sequence + 1
