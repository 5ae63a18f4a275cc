"""The publisher: the only owner of the sockets. It tails the journal and sends what it finds there.

Its thread never touches the work: a slow or absent subscriber, an address that is taken, or a journal that
cannot be read for a while costs nothing but replays (invariant 11). Two sockets:

- PUB sends every event once, as soon as it is recorded, and a heartbeat with the newest sequence number;
- ROUTER answers ``[b"replay", since]`` with the events after that number, at most `REPLAY_LIMIT` of them, and
  then an ``end`` message with the newest number; whoever got fewer asks again.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import apsw
import zmq
from loguru import logger

from watcher import wire
from watcher.errors import TickwardError
from watcher.journal import Journal
from watcher.settings import Events

REPLAY_LIMIT = 500
_RETRY_SECONDS = 5.0
_START_SECONDS = 5.0
_LONGEST_SLEEP_SECONDS = 30.0
_LINGER_MS = 1000


class Publisher:
    """Publishes the journal's events from a thread of its own.

    Args:
        settings: the addresses, and how often a heartbeat is due.
        journal_file: read through a connection of its own.
        retry_seconds: how soon an address that is taken, or a journal that cannot be read, is tried again.
    """

    def __init__(
        self, settings: Events, journal_file: Path, *, retry_seconds: float = _RETRY_SECONDS
    ) -> None:
        self._settings = settings
        self._journal_file = journal_file
        self._retry_seconds = retry_seconds
        self._sleeping, self._waking = socket.socketpair()
        self._sleeping.setblocking(False)
        self._waking.setblocking(False)
        self._stopping = False
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        """Begin to publish what is recorded from now on; earlier events can be replayed."""
        self._thread.start()
        self._ready.wait(_START_SECONDS)

    def wake(self) -> None:
        """Something was recorded. Never blocks."""
        with suppress(OSError):  # full: it is awake already; closed: it sleeps no more
            self._waking.send(b"!")

    def stop(self, seconds: float = 3.0) -> None:
        """Send what is recorded, then close the sockets. Bounded."""
        self._stopping = True
        self.wake()
        self._waking.close()
        if self._thread.ident is None:
            self._sleeping.close()
        else:
            self._thread.join(seconds)

    def _run(self) -> None:
        context = zmq.Context()
        try:
            session = _Session(
                self._settings, self._journal_file, self._retry_seconds, context, self._sleeping
            )
            session.serve(lambda: self._stopping, self._ready)
        except Exception:
            logger.exception("the publisher ended; the work goes on, events can be replayed after a restart")
        finally:
            self._ready.set()
            context.destroy(linger=_LINGER_MS)
            self._sleeping.close()


class _Session:
    """What lives in the publisher's thread, and only there."""

    def __init__(
        self,
        settings: Events,
        journal_file: Path,
        retry_seconds: float,
        context: zmq.Context[zmq.Socket[bytes]],
        sleeping: socket.socket,
    ) -> None:
        self._settings = settings
        self._retry_seconds = retry_seconds
        self._sleeping = sleeping
        self._next_heartbeat = 0.0

        self._journal_file = journal_file
        self._journal: Journal | None = None
        self._epoch: int | None = None
        self._sent = 0
        self._stumbled = False
        self._resume_at = 0.0

        self._pub = context.socket(zmq.PUB)
        self._router = context.socket(zmq.ROUTER)
        self._router.sndhwm = 4 * REPLAY_LIMIT
        self._router.router_mandatory = True  # who does not read is told of here, not served with holes
        self._poller = zmq.Poller()
        self._poller.register(sleeping, zmq.POLLIN)

        self._unbound = [(self._pub, settings.publish), (self._router, settings.replay)]
        self._complained: set[str] = set()
        self._bind_at = 0.0

    def serve(self, stopping: Callable[[], bool], ready: threading.Event) -> None:
        """Send and answer until told to stop. Outlives whatever goes wrong on the way."""
        try:
            while True:
                last_round = stopping()  # asked before sending: what was recorded until then goes out
                self._bind_unbound()
                self._guarded_round()
                ready.set()
                if last_round:
                    return
                self._sleep()
        finally:
            self._close_journal()

    def _guarded_round(self) -> None:
        if time.monotonic() < self._resume_at:
            return
        try:
            self._round()
        except Exception as error:
            self._stumble(error)
        else:
            if self._stumbled:
                self._stumbled = False
                logger.info("events are published again")

    def _round(self) -> None:
        journal = self._journal or self._open_journal()
        self._send_new(journal)
        now = time.monotonic()
        if now >= self._next_heartbeat:
            self._pub.send_multipart(wire.heartbeat(journal.epoch, self._sent))
            self._next_heartbeat = now + self._settings.heartbeat_seconds
        if self._router.poll(0):
            self._answer(journal)

    def _sleep(self) -> None:
        # Without a journal nobody is answered: their questions wait in the socket, and must not wake us.
        self._poller.register(self._router, zmq.POLLIN if self._journal else 0)
        now = time.monotonic()
        moments = [now + _LONGEST_SLEEP_SECONDS, self._next_heartbeat if self._journal else self._resume_at]
        if self._unbound:
            moments.append(self._bind_at)
        self._poller.poll(int(max(0.0, min(moments) - now) * 1000) + 1)
        with suppress(BlockingIOError):
            self._sleeping.recv(65536)

    def _send_new(self, journal: Journal) -> None:
        while records := journal.since(self._sent):
            for record in records:
                self._pub.send_multipart(wire.to_frames(record, journal.epoch))
                self._sent = record.sequence

    def _answer(self, journal: Journal) -> None:
        identity, *request = self._router.recv_multipart(zmq.NOBLOCK)
        if len(request) != 2 or request[0] != wire.REPLAY_REQUEST or len(request[1]) != wire.SINCE.size:
            logger.debug("a malformed replay request was ignored")
            return
        (since,) = wire.SINCE.unpack(request[1])
        epoch, head = journal.epoch, journal.head()
        records = journal.since(since, REPLAY_LIMIT) if since < head else []
        answer = [wire.to_frames(record, epoch) for record in records]
        answer.append(wire.end_of_replay(epoch, head, wire.End(since, journal.oldest())))
        try:
            for frames in answer:
                self._router.send_multipart([identity, *frames], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            logger.debug("a replay was not taken ({}): whoever wants the rest asks again", error)

    def _open_journal(self) -> Journal:
        journal = Journal.open_for_reading(self._journal_file)
        if journal is None:
            raise TickwardError(f"there is no journal {self._journal_file}")
        self._journal = journal
        head = journal.head()
        if self._epoch is None:
            self._sent = head
        elif self._epoch == journal.epoch:
            self._sent = min(self._sent, head)  # an older copy may have been put back
        else:
            self._sent = 0
        self._epoch = journal.epoch
        return journal

    def _close_journal(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _stumble(self, error: Exception) -> None:
        """Let go of the journal, and of the cause; say so once."""
        self._close_journal()
        self._resume_at = time.monotonic() + self._retry_seconds
        if self._stumbled:
            return
        self._stumbled = True
        foreseen = isinstance(error, apsw.Error | zmq.ZMQError | OSError | TickwardError)
        logger.bind(error=str(error)).opt(exception=None if foreseen else error).error(
            "events are not published for now ({}). The work goes on, nothing is lost: events are in the "
            "journal, and this is tried again every {:g} s",
            error,
            self._retry_seconds,
        )

    def _bind_unbound(self) -> None:
        if not self._unbound or time.monotonic() < self._bind_at:
            return
        self._bind_at = time.monotonic() + self._retry_seconds
        for sock, endpoint in list(self._unbound):
            try:
                _bind(sock, endpoint)
            except (zmq.ZMQError, OSError) as error:
                self._complain(endpoint, error)
            else:
                self._unbound.remove((sock, endpoint))
                logger.log("INFO" if endpoint in self._complained else "DEBUG", "events on {}", endpoint)

    def _complain(self, endpoint: str, error: zmq.ZMQError | OSError) -> None:
        if endpoint in self._complained:
            return
        self._complained.add(endpoint)
        logger.bind(error=str(error)).error(
            "events cannot be published on {} ({}): free that address or set events.publish and "
            "events.replay to others. The work goes on, nothing is lost: events are in the journal, "
            "and the address is tried again every {:g} s",
            endpoint,
            error.strerror or error,
            self._retry_seconds,
        )


def _bind(sock: zmq.Socket[bytes], endpoint: str) -> None:
    scheme, _, path = endpoint.partition("://")
    if scheme != "ipc":
        sock.ipv6 = "[" in endpoint
        sock.bind(endpoint)
        return
    _check_free(path)
    # Only this user may connect. The mask is the whole process's: a file that another thread makes in this
    # instant is readable by fewer than it might be, which is why it is for ipc only.
    before = os.umask(0o077)
    try:
        sock.bind(endpoint)
    finally:
        os.umask(before)


def _check_free(path: str) -> None:
    """Raise `OSError` unless nothing is there, or what a publisher that was killed has left.

    ZeroMQ removes whatever is at the path of an ipc address: a file, or a living publisher's socket.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "something else than a socket is there")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        if probe.connect_ex(path) in (0, errno.EAGAIN):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
