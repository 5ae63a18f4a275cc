"""The subscriber that waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import zmq

from watcher.subscriber.client import Client, ClosedError, Open, deadline_of, is_over
from watcher.subscriber.gathering import Snapshot
from watcher.wakeup import Wakeup
from watcher.wire import Message


class Subscriber(Client):
    __doc__ = Client.__doc__

    _user: int | None = None
    """The thread that is at work with the sockets: it alone may close them."""

    def receive(self, timeout_seconds: float | None = None) -> Message | None:
        """The next event; None if there was none within the time.

        Raises:
            VersionError: the daemon speaks another version of the wire.
            RefusedError: the daemon does not answer what it is asked.
            ValueError: its answer is of a form that this version does not know.
            PositionError: the position cannot be noted any more.
            ClosedError: this was closed, maybe by a signal handler or another thread.
            RuntimeError: another thread is waiting for an event already.
        """
        message = self._received(timeout_seconds)
        if message is not None:
            self._following.handed_out = True
        return message

    def snapshot(self, timeout_seconds: float | None = None) -> Snapshot | None:
        """The state of every database; None if that did not come within the time.

        What is handed out from then on is what follows it. Raises as `receive` does.
        """
        deadline = deadline_of(timeout_seconds)
        with self._alone(), self._asking_for_snapshot():
            while (snapshot := self._turn_to_snapshot()) is None and not is_over(deadline):
                self._poller.poll(self._about_to_wait(deadline))
            return snapshot

    def __iter__(self) -> Iterator[Message]:
        """Every event, until this is closed."""
        while not self._closed:
            try:
                message = self.receive()
            except ClosedError:
                return
            if message is not None:
                yield message

    def close(self) -> None:
        """Leave nothing open. What was handed out counts as done.

        A signal handler may do so, and another thread: whoever waits for an event gets none any more.
        """
        self._close(note=True)

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close(note=kind is None)  # whoever stumbled over an event is to get it again

    def _opened(self) -> Open:
        self._left_behind = threading.Event()
        self._wakeup = Wakeup()
        return Open(zmq.Context(), self._wakeup)

    def _new_poller(self) -> zmq.Poller:
        poller = zmq.Poller()
        poller.register(self._wakeup, zmq.POLLIN)
        return poller

    def _received(self, timeout_seconds: float | None) -> Message | None:
        deadline = deadline_of(timeout_seconds)
        with self._alone():
            message = self._at_hand()
            while message is None:
                self._poller.poll(self._about_to_wait(deadline))
                message = self._turn()
                if message is None and is_over(deadline):
                    return None
            if self._closed:  # meanwhile
                raise ClosedError
            return message

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._user is not None:
            raise RuntimeError("another thread is waiting for an event already: give each its own subscriber")
        self._user = threading.get_ident()
        try:
            yield
        finally:
            self._user = None
            if self._closed:  # by somebody else, who left that to us; what is done with was noted before
                self._close(note=False)

    def _close(self, *, note: bool) -> None:
        self._closed = True  # from here on nobody begins to use the sockets
        user = self._user
        if user is None:
            try:
                super()._close(note=note)
            finally:
                self._left_behind.set()
            return
        self._wakeup()
        if user != threading.get_ident():
            self._left_behind.wait()

    def _abandon(self) -> None:
        self._user = None  # whoever that is stays in the parent
        super()._abandon()
