"""What is new, handed to every page that is open: each has a short queue of its own, and holds up nobody."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

import msgspec
from msgspec import Struct

from watcher.web.shape import Told, Unseen
from watcher.wire import Message, Position
from watcher.wording import details

MOST_PAGES = 32
MOST_WAITING = 512
"""What a page does not take in time is dropped: it is told to look at everything anew."""


class Sent(Struct, frozen=True):
    """A message of the stream, as it is sent."""

    text: bytes
    position: Position | None = None
    """Of a recorded event."""


def sent(name: str, data: Struct, position: Position | None = None, id_: str = "") -> Sent:
    """A message of server-sent events."""
    number = f"id: {id_}\n" if id_ else ""
    # JSON has no line feeds.
    return Sent(f"event: {name}\n{number}data: ".encode() + msgspec.json.encode(data) + b"\n\n", position)


def sent_event(message: Message) -> Sent:
    """An event: those that are recorded have an id, with which a page goes on where it was."""
    told = Told(message, words_of(message))
    if not message.sequence:
        return sent("progress", told)
    return sent("recorded", told, position_of(message), message.id)


def words_of(message: Message) -> str:
    """What of its data matters to a person; nothing of data that no event has."""
    return details(message.data) if isinstance(message.data, dict) else ""


def position_of(message: Message) -> Position:
    """The journal that a recorded event is in, and its number there."""
    return Position(int(message.id.partition("-")[0], 16), message.sequence)


def unseen(why: str) -> Sent:
    """The days cannot be looked at."""
    return sent("problem", Unseen(why))


RELOAD = Sent(b"event: reload\ndata: {}\n\n")
"""Something was left out: look at everything anew."""
COMMENT = Sent(b": still here\n\n")
"""Tells a proxy, and the kernel, that the connection is in use."""
NOTHING = Position(0, 0)


class OpenPage:
    """One page that is open."""

    def __init__(self) -> None:
        self._waiting: deque[Sent] = deque()
        self._something = asyncio.Event()
        self.closed = False

    def put(self, each: Sent) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.clear()
            each = RELOAD
        self._waiting.append(each)
        self._something.set()

    def close(self) -> None:
        """There is nothing more to come."""
        self.closed = True
        self._something.set()

    async def take(self, seconds: float) -> list[Sent]:
        """All that waits; nothing if there is nothing within the time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._something.wait()
        self._something.clear()
        taken = list(self._waiting)
        self._waiting.clear()
        return taken


class Hub:
    """All pages that are open."""

    def __init__(self) -> None:
        self._pages: set[OpenPage] = set()
        self._closed = False

    def join(self) -> OpenPage | None:
        """A page more; None if there are too many."""
        if len(self._pages) >= MOST_PAGES or self._closed:
            return None
        page = OpenPage()
        self._pages.add(page)
        return page

    def leave(self, page: OpenPage) -> None:
        self._pages.discard(page)

    def put(self, each: Sent) -> None:
        """Hand it to everybody."""
        for page in self._pages:
            page.put(each)

    def close(self) -> None:
        """All of them come to their end."""
        self._closed = True
        for page in self._pages:
            page.close()
