"""Looks and listens for all pages: one picture of everything in memory, and one subscription.

It looks at the start, when something was recorded, when a daemon comes or goes, and once a minute because
time goes by; but it rests ten times as long as a look keeps a core busy: that is no more than a tenth of one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar

import apsw
import zmq
from loguru import logger

from watcher.clock import Clock
from watcher.disk import last_writes, room
from watcher.endpoint import nearby
from watcher.errors import TickwardError
from watcher.events import Record
from watcher.journal import Journal
from watcher.keys import local_credentials
from watcher.lock import Lock
from watcher.overview import Day, Overview, overview
from watcher.paths import journal_file
from watcher.recall import recall
from watcher.settings import Settings
from watcher.subscriber import AsyncSubscriber
from watcher.version import installed
from watcher.view.history import History
from watcher.view.status import Versions, active_paths
from watcher.web import hub as hubs
from watcher.web.bodies import Body, json_body
from watcher.web.hub import Hub, Sent
from watcher.web.picture import picture
from watcher.web.shape import Looked
from watcher.wire import Message, Position, from_frames, to_frames

T = TypeVar("T")
BACKLOG = 200
"""So many of the newest events a page is given when it is opened."""
_LEAST_REST_SECONDS = 1.0
_REST_TIMES = 10.0
_LONGEST_REST_SECONDS = 60.0
_GLANCE_SECONDS = 5.0
"""How often it is asked whether a daemon has come or gone, or something was recorded without one."""
_AFTER_ERROR_SECONDS = 30.0
_PATIENCE_SECONDS = 300.0
_HANGS = f"a look has not come back for {_PATIENCE_SECONDS:.0f} s: is a disk gone, or its server?"
_READERS = 2
_ERRORS = (apsw.Error, OSError, TickwardError)


class Feed:
    """All that pages are given. Belongs to one event loop; what reads from disk is done in threads."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings, self.clock = settings, clock
        self.hub = Hub()
        self.overview: Overview | None = None
        self.problem = ""
        """Why the last look failed; empty: it did not."""
        self._body: Body | None = None
        self._versions = Versions(installed(), apsw.sqlite_lib_version())
        self._file = journal_file(settings.data)
        self._files = (self._file, self._file.with_name(f"{self._file.name}-wal"))
        self._lock = Lock(Path(settings.data.state))
        self._heard = Position(0, 0)
        """The newest event that was handed to the pages."""
        self._traced: tuple[int | None, ...] = ()
        self._busy_seconds = 0.0
        """How long the last look kept a core busy."""
        self._woken = asyncio.Event()
        self._looked = asyncio.Event()
        self._looker = ThreadPoolExecutor(1, "look")
        self._readers = ThreadPoolExecutor(_READERS, "read")

    async def run(self) -> None:
        """Until it is cancelled."""
        self._heard = await self.read(self._newest)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._look_again_and_again())

    def close(self) -> None:
        """Threads end with what they are doing."""
        self.hub.close()
        for executor in (self._looker, self._readers):
            executor.shutdown(wait=False, cancel_futures=True)

    async def picture(self, seconds: float = 30.0) -> Body | None:
        """Everything, as it was at the last look; None if the first one takes too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._looked.wait()
        return self._body

    async def read(self, what: Callable[..., T], *arguments: Any) -> T:
        """Read in a thread. Raises what that raises."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, what, *arguments)

    def backlog(self, last_id: str) -> list[Sent]:
        """What a page has missed that knows events up to this id; the newest for one that knows none."""
        try:
            return self._backlog(last_id)
        except (*_ERRORS, ValueError) as error:  # an event may have been edited
            return [hubs.unseen(str(error))]

    def _backlog(self, last_id: str) -> list[Sent]:
        journal = Journal.open_for_reading(self._file)
        if journal is None:
            return []
        with journal:
            head, known = journal.head(), _number(last_id, journal.epoch)
            if known is not None and 0 <= head - known <= BACKLOG:
                return [_sent(each, journal.epoch) for each in journal.since(known, BACKLOG)]
            newest = [_sent(each, journal.epoch) for each in journal.since(max(0, head - BACKLOG), BACKLOG)]
            return [hubs.RELOAD, *newest] if last_id else newest

    async def history(self, day: Day) -> History:
        """A day in full. Raises `TickwardError`, or `OSError`, if it cannot be read."""
        seen = self.overview
        assert seen is not None, "the day is one of its rows"
        return await self.read(recall, seen.settings, day, self.clock.now())

    async def _listen(self) -> None:
        """Whatever goes wrong is said, and tried again: the picture is looked at without events as well."""
        said = ""
        while True:
            try:
                async with AsyncExitStack() as stack:
                    await self._hand_out(await stack.enter_async_context(self._subscriber()))
            except (*_ERRORS, ValueError, zmq.ZMQError) as error:
                level = "DEBUG" if said == str(error) else "WARNING"
                said = str(error)
                logger.bind(error=said).log(level, "the page hears of no events for now: {}", error)
            await asyncio.sleep(_AFTER_ERROR_SECONDS)

    def _subscriber(self) -> AsyncSubscriber:
        events = self.settings.events
        return AsyncSubscriber(
            nearby(events.publish),
            nearby(events.replay),
            since=f"{self._heard.epoch:x}-{self._heard.sequence}",
            progress=True,
            credentials=local_credentials(events),
        )

    async def _hand_out(self, subscriber: AsyncSubscriber) -> None:
        async for message in subscriber:
            self._take(message)

    def _take(self, message: Message) -> None:
        if message.sequence:
            position = hubs.position_of(message)
            if position.epoch == self._heard.epoch and position.sequence <= self._heard.sequence:
                return  # a look has found it in the journal before it came
            if position.epoch != self._heard.epoch and self._heard.epoch:
                self.hub.put(hubs.RELOAD)
            self._heard = position
            self._woken.set()
        self.hub.put(hubs.sent_event(message))

    async def _look_again_and_again(self) -> None:
        while True:
            self._woken.clear()
            await self._look()
            # Not as long as it took: on a busy machine that says nothing of how much work it was.
            rest = max(_LEAST_REST_SECONDS, _REST_TIMES * self._busy_seconds)
            await asyncio.sleep(rest)
            await self._wait(_LONGEST_REST_SECONDS - rest)

    async def _wait(self, seconds: float) -> None:
        """Until something was recorded, a daemon has come or gone, or the time is over."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._woken.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, _GLANCE_SECONDS)):
                    await self._woken.wait()
            if self._trace() != self._traced:
                return

    def _trace(self) -> tuple[int | None, ...]:
        """Not the same any more when a daemon has come or gone, or something was recorded without one."""
        return (self._lock.holder(), *map(_changed_at, self._files))

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._traced = self._trace()
        patience = loop.call_later(_PATIENCE_SECONDS, self._complain, TimeoutError(_HANGS))
        try:
            seen, self._body = await loop.run_in_executor(self._looker, self._everything)
        except _ERRORS as error:
            self._complain(error)
            return
        except Exception as error:
            logger.opt(exception=error).error("a defect in tickward, please report it")
            self._complain(error)
            return
        finally:
            patience.cancel()
        self.overview, self.problem = seen, ""
        self._looked.set()
        await self._catch_up(seen)
        self.hub.put(hubs.sent("overview", Looked(seen.at, seen.head)))

    def _everything(self) -> tuple[Overview, Body]:
        began = time.thread_time()
        try:
            seen = overview(self.settings, self.clock.now())
            writes = last_writes(active_paths(seen))
            return seen, json_body(picture(seen, room(seen.settings.data), writes, self._versions))
        finally:
            self._busy_seconds = time.thread_time() - began

    def _complain(self, error: Exception) -> None:
        level = "DEBUG" if str(error) == self.problem else "ERROR"
        self.problem = str(error) or repr(error)
        logger.bind(error=self.problem).log(level, "the page cannot look at the days for now: {}", error)
        self.hub.put(hubs.unseen(self.problem))
        self._looked.set()

    async def _catch_up(self, seen: Overview) -> None:
        """What did not come, because no daemon published it, is in the journal all the same."""
        if seen.head == self._heard.sequence:
            return
        with suppress(*_ERRORS, ValueError):
            for message in await self.read(self._recorded_since, self._heard):
                self._take(message)

    def _recorded_since(self, position: Position) -> list[Message]:
        journal = Journal.open_for_reading(self._file)
        if journal is None:
            return []
        with journal:
            since = journal.where_to_go_on(position).sequence
            newest = max(since, journal.head() - BACKLOG)
            return [_message(each, journal.epoch) for each in journal.since(newest, BACKLOG)]

    def _newest(self) -> Position:
        """Nothing is missed from here on; without a journal that is its beginning."""
        with suppress(*_ERRORS):
            journal = Journal.open_for_reading(self._file)
            if journal is not None:
                with journal:
                    return Position(journal.epoch, journal.head())
        return Position(0, 0)


def _sent(record: Record, epoch: int) -> Sent:
    return hubs.sent_event(_message(record, epoch))


def _message(record: Record, epoch: int) -> Message:
    """As it comes from the daemon."""
    return from_frames(to_frames(record, epoch))


def _changed_at(file: Path) -> int | None:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return None


def _number(id_: str, epoch: int) -> int | None:
    """The number of an event of this journal; None for any other id."""
    of, _, number = id_.partition("-")
    return int(number) if of == f"{epoch:x}" and number.isascii() and number.isdecimal() else None
