"""The page beside the daemon: in a process of its own, of the lowest priority and with bounds of its own."""

from __future__ import annotations

import asyncio
import os
from importlib.util import find_spec

from loguru import logger
from msgspec.structs import replace

from watcher.calls import Listener
from watcher.child import Bounds, ChildProcess, Task, enter
from watcher.errors import ConfigError
from watcher.settings import Settings

_BOUNDS = Bounds(memory_bytes=1 << 30, descriptors=256)
_STOP_SECONDS = 5.0
_RETRY_SECONDS = 30.0


def require() -> None:
    """Raise `ConfigError` if what serves the page is not installed."""
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise ConfigError("the page needs starlette and uvicorn: pip install 'tickward[web]'")


class _Task(Task, frozen=True):
    settings: Settings


class WebProcess(ChildProcess):
    """Serves the page at ``web.listen``; without that there is none.

    Raises `ConfigError` if it cannot be served, because something is not installed.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__("watcher.web.process", "page", "The work goes on, only the page is away")
        # Hooks may hold secrets, and are not shown.
        self._settings = replace(settings, hooks={})
        if settings.web.listen:
            require()

    def start(self) -> None:
        """Begin to serve. Returns at once."""
        if self._settings.web.listen:
            self.run()

    def stop(self, seconds: float = _STOP_SECONDS) -> None:
        """Close it. Bounded: who takes longer is killed."""
        super().stop(seconds)

    def _task(self) -> _Task:
        return _Task(os.getpid(), self._settings)


def main() -> None:
    """The child."""
    task, listener = enter(_Task, _BOUNDS)
    os.nice(task.settings.workers.nice)
    asyncio.run(_serve(task.settings, listener))


async def _serve(settings: Settings, listener: Listener) -> None:
    from watcher.web.server import address_of, listening, serve  # noqa: PLC0415 (the daemon need not know)

    stop, said = asyncio.Event(), ""
    asyncio.get_running_loop().add_reader(listener.socket, _end, listener, stop)
    while not stop.is_set():
        try:
            with listening(settings.web.listen) as made:
                logger.bind(address=settings.web.listen).info("the page is at {}", address_of(made))
                await serve(settings, made, stop)
        except OSError as error:
            level = "DEBUG" if str(error) == said else "ERROR"
            said = str(error)
            logger.bind(error=said, address=settings.web.listen).log(
                level,
                "the page cannot be served at web.listen, {} ({}); name another address, or free this one. "
                "It is tried again every {:.0f} s",
                settings.web.listen,
                error.strerror or error,
                _RETRY_SECONDS,
            )
            await _pause(stop)


async def _pause(stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_RETRY_SECONDS):
            await stop.wait()
    except TimeoutError:
        return


def _end(listener: Listener, stop: asyncio.Event) -> None:
    """The daemon says nothing but that it ends."""
    listener.take()
    if listener.ended:
        asyncio.get_running_loop().remove_reader(listener.socket)
        stop.set()


if __name__ == "__main__":
    main()
