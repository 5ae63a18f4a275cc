"""Serves the page on one socket, and bears whoever comes: connections, requests and waiting are bounded."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn

from watcher.endpoint import host_and_port
from watcher.premises import clock_of
from watcher.settings import Settings
from watcher.web.feed import Feed
from watcher.web.routes import application

_MOST_CONNECTIONS = 96
"""With more of them everybody is asked to come again later."""
_SWEEP_SECONDS = 5.0
"""Whoever has not asked for anything within two of these is not waited for."""
_KEEP_ALIVE_SECONDS = 5
_STALLED_MS = 30_000
"""Whoever does not take what he is sent is given up by the kernel."""
_STOP_SECONDS = 2


def listening(listen: str) -> socket.socket:
    """A socket that listens there. Raises `OSError`."""
    host, port = host_and_port(listen)
    host = "127.0.0.1" if host == "localhost" else host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        made = socket.create_server((host, port), family=family, backlog=_MOST_CONNECTIONS)
    except OSError as error:  # which says the address once more, at length
        raise OSError(error.errno, os.strerror(error.errno or 0)) from None
    with suppress(AttributeError, OSError):  # what it accepts inherits this; only Linux has it
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STALLED_MS)
    return made


def address_of(made: socket.socket) -> str:
    """What to type into a browser."""
    host, port = made.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


async def serve(settings: Settings, made: socket.socket, stop: asyncio.Event) -> None:
    """Serve until ``stop`` is set; then whoever is connected is told, and all is closed within seconds."""
    feed = Feed(settings, clock_of(settings.clock))
    host = made.getsockname()[0]
    config = uvicorn.Config(
        application(feed, f"[{host}]" if ":" in host else host),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # whatever it would say of its clients is theirs to know
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    running = asyncio.create_task(feed.run())
    running.add_done_callback(lambda _: stop.set())  # it does not end by itself: a defect, told below
    try:
        await _Server(config, stop, feed).serve(sockets=[made])
    finally:
        feed.close()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


class _Server(uvicorn.Server):
    """Waits for what happens instead of looking ten times a second, and leaves signals to whoever runs it."""

    def __init__(self, config: uvicorn.Config, stop: asyncio.Event, feed: Feed) -> None:
        super().__init__(config)
        self._stop, self._feed = stop, feed
        self._idle: set[Any] = set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        while not self._stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_SWEEP_SECONDS):
                    await self._stop.wait()
            self._sweep()
        self._feed.hub.close()

    def _sweep(self) -> None:
        """Give up those that were idle the last time already: uvicorn waits for a first request for ever."""
        connections: set[Any] = self.server_state.connections
        idle = {each for each in connections if each.cycle is None or each.cycle.response_complete}
        for each in idle & self._idle:
            each.transport.abort()
        self._idle = idle
