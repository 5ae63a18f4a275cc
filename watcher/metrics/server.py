"""A small HTTP server for probes: nothing that is done to its port may disturb the work, or take memory.

It reads one short request, answers it and closes the connection. What is bounded: how many are attended to at
once, how long each may take, how long a request may be, and how many are begun in a second.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import NamedTuple

from loguru import logger

from watcher.endpoint import host_and_port

RETRY_SECONDS = 30.0
"""How soon an address that is taken is tried again."""
TALK_SECONDS = 3.0
_PLACES = 8
_QUEUE = 64
"""So many more wait in the kernel."""
_LONGEST_REQUEST = 8192
_BREATH_SECONDS = 0.005
"""After each caller: a flood of them must not take a core from the work."""
_WAY_SECONDS = 0.1
_STOP_SECONDS = 1.0
_REQUEST = re.compile(rb"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.[0-9]\r?\n")


class Answer(NamedTuple):
    """What is sent back."""

    status: HTTPStatus
    body: bytes
    kind: str = "text/plain; charset=utf-8"


Routes = Mapping[str, Callable[[], Answer]]
"""What is called for each path, in a thread of its own."""


class Server:
    """Serves a few paths on one address, as soon as that can be had.

    Args:
        listen: ``host:port``.
        retry_seconds: how soon an address that is taken is tried again.
        talk_seconds: how long a caller may take to ask; and again, to take the answer.
    """

    def __init__(
        self,
        listen: str,
        routes: Routes,
        *,
        retry_seconds: float = RETRY_SECONDS,
        talk_seconds: float = TALK_SECONDS,
    ) -> None:
        self._listen = listen
        self._routes = routes
        self._retry_seconds = retry_seconds
        self._talk_seconds = talk_seconds
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._listening: socket.socket | None = None
        self._places = threading.BoundedSemaphore(_PLACES)
        self._callers: set[threading.Thread] = set()
        self._silent: dict[socket.socket, None] = {}
        """Callers that have not asked yet, the longest silent first."""
        self._thread = threading.Thread(target=self._serve, name="metrics", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens; empty as long as the address is taken."""
        listening = self._listening
        if listening is None:
            return ""
        host, _, _ = self._listen.rpartition(":")
        return f"http://{host}:{listening.getsockname()[1]}"

    def start(self) -> None:
        """Listen. An address that is taken is no reason not to work: it is said once, and tried again."""
        try:
            self._bind()
        except OSError as error:
            logger.bind(error=str(error)).error(
                "{} cannot be listened on ({}): free that address, or set metrics.listen to another and "
                "restart. The work goes on, and the address is tried again every {:g} s",
                self._listen,
                error.strerror or error,
                self._retry_seconds,
            )
        self._thread.start()

    def stop(self) -> None:
        """Close, and let what has been asked be answered, for a moment."""
        with self._lock:
            self._stopping.set()
            if self._listening is not None:
                with suppress(OSError):
                    self._listening.shutdown(socket.SHUT_RDWR)  # only so does accept() return
                self._listening.close()
                self._listening = None
        until = time.monotonic() + _STOP_SECONDS
        for thread in (self._thread, *self._callers.copy()):
            if thread.ident is not None:
                thread.join(max(until - time.monotonic(), 0.0))

    def _bind(self) -> None:
        host, port = host_and_port(self._listen)
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with self._lock:
            if self._stopping.is_set():
                return
            listening = socket.socket(family, kind)
            try:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listening.bind(address)
                listening.listen(_QUEUE)
            except OSError:
                listening.close()
                raise
            self._listening = listening
        logger.info("metrics on {}/metrics", self.url)

    def _serve(self) -> None:
        while not self._stopping.is_set():
            listening = self._listening
            if listening is not None:
                self._accept(listening)
            elif not self._stopping.wait(self._retry_seconds):
                with suppress(OSError):  # it was said
                    self._bind()

    def _accept(self, listening: socket.socket) -> None:
        try:
            caller, _ = listening.accept()
        except OSError as error:  # the end, a caller that has gone again, or no descriptors for now
            logger.debug("no caller for {} ({})", self._listen, error)
            self._stopping.wait(0.1)
            return
        if self._places.acquire(blocking=False) or self._make_room():
            self._begin(caller)
        else:
            _refuse(caller)
        self._stopping.wait(_BREATH_SECONDS)

    def _make_room(self) -> bool:
        """Have the caller give way that has been silent for the longest time: who asks is to be answered."""
        with suppress(StopIteration, OSError, KeyError, RuntimeError):  # it has just asked, or gone
            longest = next(iter(self._silent))
            del self._silent[longest]
            longest.shutdown(socket.SHUT_RDWR)
            return self._places.acquire(timeout=_WAY_SECONDS)
        return False

    def _begin(self, caller: socket.socket) -> None:
        thread = threading.Thread(target=self._attend, args=(caller,), name="metrics", daemon=True)
        self._callers.add(thread)
        try:
            thread.start()
        except RuntimeError:  # there are no threads left
            self._callers.discard(thread)
            self._places.release()
            _refuse(caller)

    def _attend(self, caller: socket.socket) -> None:
        try:
            with caller:
                self._silent[caller] = None
                method, answer = self._answer(caller)
                caller.settimeout(self._talk_seconds)
                caller.sendall(_response(answer, body=method != b"HEAD"))
        except OSError as error:
            logger.debug("a caller of {} went away ({})", self._listen, error)
        finally:
            self._silent.pop(caller, None)
            self._callers.discard(threading.current_thread())
            self._places.release()

    def _answer(self, caller: socket.socket) -> tuple[bytes, Answer]:
        """The method, and what is to be said. Raises `OSError` if nothing was asked in time."""
        head = _head(caller, time.monotonic() + self._talk_seconds)
        self._silent.pop(caller, None)
        found = _REQUEST.match(head)
        if found is None:
            return b"", _plain(HTTPStatus.BAD_REQUEST)
        method, path = found[1], found[2].decode("ascii").partition("?")[0]
        route = self._routes.get(path)
        if route is None:
            return method, _plain(HTTPStatus.NOT_FOUND, f"there is {' and '.join(self._routes)}")
        if method not in (b"GET", b"HEAD"):
            return method, _plain(HTTPStatus.METHOD_NOT_ALLOWED, "GET or HEAD")
        try:
            return method, route()
        except Exception:
            logger.exception("a defect in tickward, please report it; the work goes on")
            return method, _plain(HTTPStatus.INTERNAL_SERVER_ERROR)


def _head(caller: socket.socket, deadline: float) -> bytes:
    """The request, as far as its headers go; empty if it is too long, or not there in time."""
    data = b""
    while b"\r\n\r\n" not in data and b"\n\n" not in data:
        if len(data) >= _LONGEST_REQUEST or (left := deadline - time.monotonic()) <= 0:
            return b""
        caller.settimeout(left)
        part = caller.recv(_LONGEST_REQUEST - len(data))
        if not part:
            raise ConnectionAbortedError("it asked nothing whole")
        data += part
    return data


def _plain(status: HTTPStatus, sentence: str = "") -> Answer:
    return Answer(status, f"{sentence or status.phrase}\n".encode())


def _refuse(caller: socket.socket) -> None:
    with suppress(OSError), caller:
        caller.settimeout(0)  # what is as short as this finds room, or is not sent
        caller.sendall(_response(_plain(HTTPStatus.SERVICE_UNAVAILABLE, "too many ask at once: try again")))


def _response(answer: Answer, *, body: bool = True) -> bytes:
    status = answer.status
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {answer.kind}",
        f"Content-Length: {len(answer.body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
        *(["Allow: GET, HEAD"] if status is HTTPStatus.METHOD_NOT_ALLOWED else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + (answer.body if body else b"")
