"""The client that downstream programs import: every event, once, in order.

    from watcher.subscriber import Subscriber

    with Subscriber(since=0) as subscriber:
        for message in subscriber:
            print(message.sequence, message.event, message.subject)

A PUB socket may lose messages and says nothing. So the subscriber counts: a gap in the sequence, or a heartbeat
that knows of more, makes it ask the replay socket for what it has missed.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from types import TracebackType

import zmq

from watcher import events
from watcher.events import Message

_ASK_AGAIN_SECONDS = 2.0


class Subscriber:
    """One subscription. Belongs to the thread that uses it; starts no thread of its own.

    Args:
        publish: the address of the daemon's PUB socket (``events.publish``).
        replay: the address of its ROUTER socket (``events.replay``).
        since: hand out the events after this sequence number; 0 for all that the journal keeps; None
            for those recorded from now on.
        only: names of events to hand out, e.g. ``{"sealed", "compressed"}``; None for all.
    """

    def __init__(
        self,
        publish: str = "tcp://127.0.0.1:5556",
        replay: str = "tcp://127.0.0.1:5557",
        *,
        since: int | None = None,
        only: Collection[str] | None = None,
    ) -> None:
        self._only = None if only is None else frozenset(only)
        self._next = None if since is None else since + 1
        self._epoch: int | None = None
        self._asked_at: float | None = None
        self._context = zmq.Context()
        self._sub = self._connect(zmq.SUB, publish)
        self._sub.subscribe(b"")  # filtering here, not there: only so can a gap be told from a filter
        self._dealer = self._connect(zmq.DEALER, replay)
        self._poller = zmq.Poller()
        self._poller.register(self._sub, zmq.POLLIN)
        self._poller.register(self._dealer, zmq.POLLIN)
        self._ask()

    @property
    def position(self) -> int:
        """The sequence number up to which everything has been handed out or filtered away."""
        return 0 if self._next is None else self._next - 1

    def receive(self, timeout_seconds: float | None = None) -> Message | None:
        """The next event; None if there was none within the time."""
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            for socket, _ in self._poller.poll(self._patience_ms(deadline)):
                message = self._take(socket.recv_multipart(), from_replay=socket is self._dealer)
                if message is not None:
                    return message
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                return None
            if self._asked_at is not None and now - self._asked_at > _ASK_AGAIN_SECONDS:
                self._ask()

    def __iter__(self) -> Iterator[Message]:
        while True:
            message = self.receive()
            if message is not None:
                yield message

    def close(self) -> None:
        self._context.destroy(linger=0)

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _connect(self, kind: int, endpoint: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.RCVHWM, 10_000)
        socket.setsockopt(zmq.HEARTBEAT_IVL, 500)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 1500)
        socket.connect(endpoint)
        return socket

    def _patience_ms(self, deadline: float | None) -> int:
        until = time.monotonic() + _ASK_AGAIN_SECONDS
        until = until if deadline is None else min(until, deadline)
        return max(0, int((until - time.monotonic()) * 1000) + 1)

    def _take(self, frames: list[bytes], *, from_replay: bool) -> Message | None:
        try:
            epoch, sequence = events.position_of(frames)
        except ValueError:
            return None  # somebody else on that address: not ours to fail over
        if epoch != self._epoch:
            self._begin_epoch(epoch)
        if frames[0] in (events.END_TOPIC, events.HEARTBEAT_TOPIC):
            self._learn_head(sequence, ended=from_replay)
            return None
        if self._next is None or sequence < self._next:
            return None
        if sequence > self._next:
            self._ask_unless_asked()
            return None
        self._next += 1
        message = events.from_frames(frames)
        return message if self._only is None or message.event in self._only else None

    def _begin_epoch(self, epoch: int) -> None:
        # A new journal numbers its events from 1 again: all of them are news.
        if self._epoch is not None:
            self._next = 1
        self._epoch = epoch

    def _learn_head(self, head: int, *, ended: bool) -> None:
        if ended:
            self._asked_at = None
        if self._next is None and ended:
            self._next = head + 1
        elif self._next is None or head >= self._next:
            self._ask_unless_asked()

    def _ask_unless_asked(self) -> None:
        if self._asked_at is None:
            self._ask()

    def _ask(self) -> None:
        self._asked_at = time.monotonic()
        since = events.NEWEST if self._next is None else self._next - 1
        self._dealer.send_multipart([events.REPLAY_REQUEST, events.SINCE.pack(since)], zmq.DONTWAIT)
