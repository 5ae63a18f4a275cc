"""The subscriber for programs that run on asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from watcher.subscriber.client import Client, ClosedError, Open, deadline_of, is_over
from watcher.subscriber.gathering import Snapshot
from watcher.wire import Message


class AsyncSubscriber(Client):
    __doc__ = Client.__doc__

    _waiting = False
    _loop: asyncio.AbstractEventLoop | None = None
    """Where it is at home: its sockets are not to be closed from anywhere else while that is running."""

    async def receive(self, timeout_seconds: float | None = None) -> Message | None:
        """The next event; None if there was none within the time. If it is cancelled nothing is lost.

        Raises:
            VersionError: the daemon speaks another version of the wire.
            RefusedError: the daemon does not answer what it is asked.
            ValueError: its answer is of a form that this version does not know.
            PositionError: the position cannot be noted any more.
            ClosedError: this was closed, maybe by another task.
            RuntimeError: another task is waiting for an event already.
        """
        with self._alone():
            deadline = deadline_of(timeout_seconds)
            message = self._at_hand()
            while message is None:
                await self._wait(self._about_to_wait(deadline))
                message = self._turn()
                if message is None and is_over(deadline):
                    return None
            self._following.handed_out = True
            return message

    async def snapshot(self, timeout_seconds: float | None = None) -> Snapshot | None:
        """The state of every database; None if that did not come within the time.

        What is handed out from then on is what follows it. Raises as `receive` does.
        """
        with self._alone():
            deadline = deadline_of(timeout_seconds)
            with self._asking_for_snapshot():
                while (snapshot := self._turn_to_snapshot()) is None and not is_over(deadline):
                    await self._wait(self._about_to_wait(deadline))
                return snapshot

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Every event, until this is closed."""
        while not self._closed:
            try:
                message = await self.receive()
            except ClosedError:
                return
            if message is not None:
                yield message

    async def close(self) -> None:
        """Leave nothing open. What was handed out counts as done.

        From another thread as well: it is closed in its own.
        """
        loop = self._loop
        if loop is None or loop is asyncio.get_running_loop() or not loop.is_running():
            self._close(note=True)
        else:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.close(), loop))

    async def __aenter__(self) -> AsyncSubscriber:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close(note=kind is None)  # whoever stumbled over an event is to get it again

    def _opened(self) -> Open:
        import zmq.asyncio  # noqa: PLC0415 (nobody else needs it)

        return Open(zmq.asyncio.Context(), None)

    def _new_poller(self) -> Any:
        import zmq.asyncio  # noqa: PLC0415

        return zmq.asyncio.Poller()

    async def _wait(self, timeout_ms: int) -> None:
        if not timeout_ms:
            await asyncio.sleep(0)  # others get their turn, however much there is to receive
            return
        poll = self._poller.poll(timeout_ms)
        try:
            await asyncio.wait(
                [poll]
            )  # if another task closes this, it is the poll that is cancelled, not us
        finally:
            poll.cancel()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._waiting:
            raise RuntimeError("another task is waiting for an event already: give each its own subscriber")
        self._waiting, self._loop = True, asyncio.get_running_loop()
        try:
            yield
        finally:
            self._waiting = False
