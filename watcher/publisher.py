"""The publisher: the only owner of the sockets. It tails the journal and sends what it finds there.

A session never touches the work: a slow or absent subscriber, an address that is taken, or a journal that
cannot be read for a while costs nothing but replays (invariant 11). Two sockets:

- XPUB sends every event once, as soon as it is recorded, and heartbeats with the newest sequence number;
- ROUTER answers questions about what was recorded before (`watcher.answers`).

`Publisher` runs a session in a thread, for what ends soon; the daemon has a process for it
(`watcher.publisher_process`).
"""

from __future__ import annotations

import errno
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import apsw
import zmq
from loguru import logger

from watcher import wire
from watcher.answers import answer_to
from watcher.calls import Caller, Listener, Told
from watcher.errors import TickwardError
from watcher.events import DAEMON_KEY, EVENTS, UNRECORDED, Progress
from watcher.journal import Journal
from watcher.keys import KeyRing
from watcher.premises import clock_of
from watcher.settings import Data, Settings
from watcher.sockets import Sockets, received
from watcher.wire import Position

RETRY_SECONDS = 5.0
STOP_SECONDS = 3.0
LINGER_MS = 1000
"""What is still to be sent at the end has so long."""
_START_SECONDS = 5.0
_LONGEST_SLEEP_SECONDS = 30.0
_HEARTBEAT_GAP_SECONDS = 0.02
"""However many subscribe, heartbeats follow each other no sooner than this."""
_KEYS_SECONDS = 2.0
"""How often the list of those who are admitted is looked at."""
_BATCH_SECONDS = 0.005
"""How long live events wait at most for what others have sent, beside one answer."""
_MOST_ABSURD_BYTES = 1 << 20
"""ZeroMQ keeps each subscription, at some 45 bytes for each of its own, until its connection ends."""
_COMPLAINT_SECONDS = 60.0


class Publisher:
    """Publishes the journal's events from a thread of its own.

    Args:
        settings: the addresses, how often a heartbeat is due, the streams.
        journal_file: read through a connection of its own.
        retry_seconds: how soon an address that is taken, or a journal that cannot be read, is tried again.
        brief: for what ends soon: that an address is taken is then no trouble.
    """

    def __init__(
        self,
        settings: Settings,
        journal_file: Path,
        *,
        retry_seconds: float = RETRY_SECONDS,
        brief: bool = False,
    ) -> None:
        self._caller = Caller()
        far = self._caller.pair()
        assert far is not None
        self._listener = Listener(far)
        self._session = Session(
            settings, journal_file, self._listener, retry_seconds=retry_seconds, brief=brief
        )
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self, since: int | None = None) -> None:
        """Begin to publish the events after ``since``; None: what is recorded from now on."""
        self._session.since = since
        self._thread.start()
        self._ready.wait(_START_SECONDS)

    def wake(self) -> None:
        """Something was recorded. Never blocks."""
        self._caller.wake()

    def progress(self, told: Mapping[str, Progress]) -> None:
        """Publish how far the steps are that run, by the key of their database. Never blocks."""
        self._caller.progress(told)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Send what is recorded, then close the sockets. Bounded."""
        self._caller.close()
        if self._thread.ident is None:
            self._listener.close()
        else:
            self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self._session.serve(self._ready.set)
        except Exception:
            logger.exception("the publisher ended; the work goes on, events can be replayed after a restart")
        finally:
            self._ready.set()


class Session:
    """Owns the sockets, and tails the journal, until the near end of its calls has closed.

    Belongs to the thread that calls `serve`. The arguments are those of `Publisher`.
    """

    since: int | None = None
    """Send the events after this one; None: what is recorded from now on."""

    def __init__(
        self,
        settings: Settings,
        journal_file: Path,
        listener: Listener,
        *,
        retry_seconds: float,
        brief: bool = False,
    ) -> None:
        self._settings = settings
        self._retry_seconds = retry_seconds
        self._brief = brief
        self._listener = listener
        self._clock = clock_of(settings.clock)
        events = settings.events
        self._ring = KeyRing(Path(events.keys)) if events.curve else None
        self._sockets: Sockets | None = None
        self._look_at_keys_at = 0.0

        self._journal_file = journal_file
        self._journal: Journal | None = None
        self._epoch: int | None = None
        self._sent = 0
        self._told = 0
        """How much was told of progress since that event was sent."""
        self._heartbeat_at = 0.0
        self._next_heartbeat = 0.0
        self._stumbled = False
        self._resume_at = 0.0

        self._meant = _subscriptions(settings.data)
        self._absurd_bytes = 0
        self._ignored = _Ignored()
        self._hear_at = 0.0

    def serve(self, ready: Callable[[], None]) -> None:
        """Send and answer until told to end. Outlives whatever goes wrong on the way.

        ``ready`` is called after each round.
        """
        try:
            while True:
                told = self._listener.take()
                last_round = self._listener.ended  # asked first: what was recorded until then goes out
                self._guarded_round(told)
                ready()
                if last_round:
                    return
                self._sleep()
        finally:
            self._close_journal()
            self._close_sockets()
            self._listener.close()

    def _guarded_round(self, told: list[Told]) -> None:
        if self._sockets is not None:
            self._sockets.bind()
        if time.monotonic() < self._resume_at:
            return
        try:
            self._round(told)
        except Exception as error:
            self._stumble(error)
        else:
            if self._stumbled:
                self._stumbled = False
                logger.info("events are published again")
        self._ignored.say_if_due()

    def _round(self, told: list[Told]) -> None:
        sockets = self._sockets or self._open_sockets()
        if self._absurd_bytes > _MOST_ABSURD_BYTES or self._somebody_left_the_list(sockets):
            sockets = self._reopen_sockets()
        journal = self._journal or self._open_journal()
        self._send_new(sockets, journal)
        self._send_progress(sockets, journal, told)
        self._hear(sockets, journal)
        now = time.monotonic()
        if now >= self._next_heartbeat:
            sockets.publish.send_multipart(wire.heartbeat(journal.epoch, self._sent))
            self._heartbeat_at = now
            self._next_heartbeat = now + self._settings.events.heartbeat_seconds

    def _sleep(self) -> None:
        now = time.monotonic()
        moments = [now + _LONGEST_SLEEP_SECONDS]
        poller = zmq.Poller()
        poller.register(self._listener.socket, zmq.POLLIN)
        if self._sockets is not None and self._sockets.bind_at is not None:
            moments.append(self._sockets.bind_at)
        if self._sockets is None or self._journal is None:
            # Nobody is answered: their questions wait in the sockets, and must not wake us.
            moments.append(self._resume_at)
        else:
            moments.append(self._next_heartbeat)
            if self._ring is not None:
                moments.append(self._look_at_keys_at)
            if now < self._hear_at:
                moments.append(self._hear_at)
            else:
                for sock in self._sockets.readable():
                    poller.register(sock, zmq.POLLIN)
        poller.poll(int(max(0.0, min(moments) - now) * 1000) + 1)

    def _somebody_left_the_list(self, sockets: Sockets) -> bool:
        """Whether somebody is admitted no more: then all have to prove themselves anew."""
        now = time.monotonic()
        if self._ring is None or now < self._look_at_keys_at:
            return False
        self._look_at_keys_at = now + _KEYS_SECONDS
        try:
            return sockets.somebody_left_the_list()
        except Exception:  # nobody knows who may listen
            self._close_sockets(at_once=True)
            raise

    def _send_new(self, sockets: Sockets, journal: Journal) -> None:
        while records := journal.since(self._sent):
            for record in records:
                sockets.publish.send_multipart(wire.to_frames(record, journal.epoch))
                self._sent, self._told = record.sequence, 0

    def _send_progress(self, sockets: Sockets, journal: Journal, told: list[Told]) -> None:
        for key, progress in told:
            self._told += 1
            at = self._clock.now()
            frames = wire.progress_frames(key, progress, journal.epoch, self._sent, self._told, at)
            sockets.publish.send_multipart(frames)

    def _hear(self, sockets: Sockets, journal: Journal) -> None:
        """Take in what others have sent. At most half of the time goes into that: live events never wait."""
        began = time.monotonic()
        if began < self._hear_at:
            return
        heard = False
        while (
            self._hear_subscriber(sockets)
            | self._hear_question(sockets, journal)
            | self._hear_newcomer(sockets)
        ):
            heard = True
            if time.monotonic() > began + _BATCH_SECONDS:
                break
        if heard:
            # What was left of the rest before counts, and a rest that was longer than owed, but no more
            # than by the length of a batch: so a question after a quiet moment is answered at once.
            took = time.monotonic() - began
            self._hear_at = max(self._hear_at, began - _BATCH_SECONDS) + 2 * took

    def _hear_subscriber(self, sockets: Sockets) -> bool:
        """Take in one subscription; whether there was one."""
        message = received(sockets.publish)
        if message is None:
            return False
        what, topic = message[0][:1], message[0][1:]
        if len(message) == 1 and what == b"\1" and topic in self._meant:
            # Whoever has joined is to know at once how far the journal has got.
            self._next_heartbeat = min(self._next_heartbeat, self._heartbeat_at + _HEARTBEAT_GAP_SECONDS)
        elif len(message) > 1 or what != b"\0":
            self._ignored.add("subscriptions")
            self._absurd_bytes += len(topic)
        return True

    def _hear_question(self, sockets: Sockets, journal: Journal) -> bool:
        """Answer one question; whether there was one."""
        message = received(sockets.replay)
        if message is None:
            return False
        asker, *question = message
        try:
            answer = answer_to(question, journal, self._settings.data)
        except ValueError:
            self._ignored.add("questions")
            return True
        # ZeroMQ notices only now and then that earlier answers were taken, but always when asked for this.
        sockets.replay.get(zmq.EVENTS)
        try:
            sockets.replay.send_multipart([asker, *answer], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EAGAIN, zmq.EHOSTUNREACH):  # does not read, has gone: asks again
                raise
        return True

    def _hear_newcomer(self, sockets: Sockets) -> bool:
        """Decide on one who wants to connect; whether there was one."""
        admitted = sockets.judge()
        if admitted is False:
            self._ignored.add("connections without a key that is allowed")
        return admitted is not None

    def _open_sockets(self) -> Sockets:
        self._absurd_bytes = 0
        self._hear_at = 0.0
        self._sockets = Sockets(self._settings.events, self._ring, self._retry_seconds, brief=self._brief)
        self._sockets.bind()
        return self._sockets

    def _reopen_sockets(self) -> Sockets:
        """End every connection. Whoever connects anew asks for what has been sent meanwhile."""
        self._close_sockets(at_once=True)
        return self._open_sockets()

    def _close_sockets(self, *, at_once: bool = False) -> None:
        sockets, self._sockets = self._sockets, None
        if sockets is not None:
            sockets.close(0 if at_once else LINGER_MS)

    def _open_journal(self) -> Journal:
        journal = Journal.open_for_reading(self._journal_file)
        if journal is None:
            raise TickwardError(f"there is no journal {self._journal_file}")
        self._journal = journal
        if self._epoch is None:
            self._sent = journal.head() if self.since is None else min(self.since, journal.head())
        else:
            self._sent = journal.where_to_go_on(Position(self._epoch, self._sent)).sequence
        self._epoch = journal.epoch
        return journal

    def _close_journal(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _stumble(self, error: Exception) -> None:
        """Let go of the journal, and of the cause; say so once."""
        self._close_journal()
        if _is_for_want_of_memory(error):
            self._close_sockets(at_once=True)  # what waits there for those who do not read it
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


def _is_for_want_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | apsw.NoMemError) or getattr(error, "errno", None) == errno.ENOMEM


class _Ignored:
    """Counts what cannot be meant, and says so once a minute at the most."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._say_at = 0.0

    def add(self, kind: str) -> None:
        self._counts[kind] += 1

    def say_if_due(self) -> None:
        now = time.monotonic()
        if not self._counts or now < self._say_at:
            return
        self._say_at = now + _COMPLAINT_SECONDS
        said = ", ".join(f"{kind}: {count}" for kind, count in self._counts.items())
        logger.warning("what comes to the addresses of events and is none of ours is ignored ({})", said)
        self._counts.clear()


def _subscriptions(data: Data) -> frozenset[bytes]:
    """Every subscription that can match something: the beginnings of all topics that there can be."""
    keys = (*data.streams, DAEMON_KEY)
    topics = {wire.topic_of(event, key) for event in (*EVENTS, *UNRECORDED) for key in keys}
    topics.add(wire.HEARTBEAT_TOPIC)
    return frozenset(topic[:length] for topic in topics for length in range(len(topic) + 1))
