"""The subscriber that waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import zmq

from watcher.subscriber.client import Client, deadline_of, is_over
from watcher.subscriber.gathering import Snapshot
from watcher.wire import Message


class Subscriber(Client):
    __doc__ = Client.__doc__

    def receive(self, timeout_seconds: float | None = None) -> Message | None:
        """The next event; None if there was none within the time.

        Raises:
            VersionError: the daemon speaks another version of the wire.
            RefusedError: the daemon does not answer what it is asked.
            ValueError: its answer is of a form that this version does not know.
            PositionError: the position cannot be noted any more.
            ClosedError: this was closed.
        """
        deadline = deadline_of(timeout_seconds)
        message = self._at_hand()
        while message is None:
            self._poller.poll(self._about_to_wait(deadline))
            message = self._turn()
            if message is None and is_over(deadline):
                return None
        return message

    def snapshot(self, timeout_seconds: float | None = None) -> Snapshot | None:
        """The state of every database; None if that did not come within the time.

        What is handed out from then on is what follows it. Raises as `receive` does.
        """
        deadline = deadline_of(timeout_seconds)
        with self._asking_for_snapshot():
            while (snapshot := self._turn_to_snapshot()) is None and not is_over(deadline):
                self._poller.poll(self._about_to_wait(deadline))
            return snapshot

    def __iter__(self) -> Iterator[Message]:
        """Every event, until this is closed."""
        while not self._closed:
            message = self.receive()
            if message is not None:
                yield message

    def close(self) -> None:
        """Leave nothing open. What was handed out counts as done."""
        self._close(note=True)

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close(note=kind is None)  # whoever stumbled over an event is to get it again

    def _tools(self) -> tuple[zmq.Context[Any], Any]:
        return zmq.Context(), zmq.Poller()
