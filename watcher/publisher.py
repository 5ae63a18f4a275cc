"""The publisher: the only owner of the sockets. It tails the journal and sends what it finds there.

Its thread never touches the work: a slow or absent subscriber, or a port that is taken, costs nothing but
that subscriber's own replay (invariant 11). Two sockets:

- PUB sends every event once, as soon as it is recorded, and a heartbeat with the newest sequence number;
- ROUTER answers ``[b"replay", since]`` with the events after that number, at most `REPLAY_LIMIT` of them, and
  then an ``end`` message with the newest number; whoever got fewer asks again.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

import zmq
from loguru import logger

from watcher import events
from watcher.config import Events
from watcher.journal import Journal

REPLAY_LIMIT = 500
_BIND_RETRY_SECONDS = 5.0
_LINGER_MS = 1000


class Publisher:
    """Publishes the journal's events from a thread of its own."""

    def __init__(self, settings: Events, journal_file: Path) -> None:
        self._settings = settings
        self._journal_file = journal_file
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        os.set_blocking(self._reading, False)
        self._stopping = False
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        """Begin to publish what is recorded from now on; earlier events can be replayed."""
        self._thread.start()
        self._ready.wait(5.0)

    def wake(self) -> None:
        """Something was recorded. Never blocks."""
        with suppress(BlockingIOError, OSError):  # full: it is awake already
            os.write(self._writing, b"!")

    def stop(self, seconds: float = 3.0) -> None:
        """Send what is recorded, then close the sockets. Bounded."""
        self._stopping = True
        self.wake()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        if not self._thread.is_alive():
            os.close(self._reading)
            os.close(self._writing)

    def _run(self) -> None:
        journal = Journal.open_for_reading(self._journal_file)
        assert journal is not None, "the journal is opened for writing first"
        context = zmq.Context()
        try:
            _Session(self._settings, journal, context, self._reading).serve(
                self._ready, lambda: self._stopping
            )
        except Exception:
            logger.exception("the publisher ended; the work goes on, events can be replayed after a restart")
        finally:
            self._ready.set()
            context.destroy(linger=_LINGER_MS)
            journal.close()


class _Session:
    """What lives in the publisher's thread, and only there."""

    def __init__(
        self, settings: Events, journal: Journal, context: zmq.Context[zmq.Socket[bytes]], wake: int
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._sent = journal.head()
        self._wake = wake
        self._pub = context.socket(zmq.PUB)
        self._router = context.socket(zmq.ROUTER)
        self._router.sndhwm = 4 * REPLAY_LIMIT
        self._unbound = [(self._pub, settings.publish), (self._router, settings.replay)]
        self._next_bind = 0.0
        self._complained = False

    def serve(self, ready: threading.Event, stopping: object) -> None:
        assert callable(stopping)
        poller = zmq.Poller()
        poller.register(self._wake, zmq.POLLIN)
        poller.register(self._router, zmq.POLLIN)
        next_heartbeat = 0.0
        while True:
            self._bind()
            ready.set()
            last_round = stopping()  # asked before sending: what was recorded until then goes out
            self._send_new()
            if last_round:
                return
            now = time.monotonic()
            if now >= next_heartbeat:
                self._pub.send_multipart(events.heartbeat(self._journal.epoch, self._sent))
                next_heartbeat = now + self._settings.heartbeat_seconds
            woken = dict(poller.poll(int(max(0.0, next_heartbeat - now) * 1000) + 1))
            if self._wake in woken:
                os.read(self._wake, 65536)
            if self._router in woken:
                self._answer()

    def _bind(self) -> None:
        if not self._unbound or time.monotonic() < self._next_bind:
            return
        self._next_bind = time.monotonic() + _BIND_RETRY_SECONDS
        for socket, endpoint in list(self._unbound):
            try:
                socket.bind(endpoint)
                self._unbound.remove((socket, endpoint))
                logger.debug("events on {}", endpoint)
            except zmq.ZMQError as error:
                self._complain(endpoint, error)

    def _complain(self, endpoint: str, error: zmq.ZMQError) -> None:
        if not self._complained:
            self._complained = True
            logger.bind(error=str(error)).error(
                "events cannot be published on {} ({}): free that address or set events.publish and "
                "events.replay to others. The work goes on, nothing is lost: events are in the journal, "
                "and the address is tried again every {:.0f} s",
                endpoint,
                error,
                _BIND_RETRY_SECONDS,
            )

    def _send_new(self) -> None:
        while records := self._journal.since(self._sent):
            for record in records:
                self._pub.send_multipart(events.to_frames(record, self._journal.epoch))
                self._sent = record.sequence

    def _answer(self) -> None:
        with suppress(zmq.Again):  # a requester that does not read its answer asks again
            identity, *request = self._router.recv_multipart(zmq.NOBLOCK)
            if len(request) != 2 or len(request[1]) != events.SINCE.size or request[0] != events.REPLAY_REQUEST:
                logger.debug("a malformed replay request was ignored")
                return
            (since,) = events.SINCE.unpack(request[1])
            epoch, head = self._journal.epoch, self._journal.head()
            if since < head:
                for record in self._journal.since(since, REPLAY_LIMIT):
                    frames = events.to_frames(record, epoch)
                    self._router.send_multipart([identity, *frames], zmq.NOBLOCK)
            _, position, body = events.heartbeat(epoch, head)
            self._router.send_multipart([identity, events.END_TOPIC, position, body], zmq.NOBLOCK)
