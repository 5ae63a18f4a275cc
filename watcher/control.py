"""How people reach the daemon: a socket in the state directory, one JSON object a line in each direction.

A request is one line; its answers follow until the last (`watcher.requests.LAST`). Whoever goes away before
is told nothing more; what was begun goes on. Nobody but the daemon's user (and root) can open the socket,
and who asks is not what a line says but what the kernel says of the process at the other end.
"""

from __future__ import annotations

import errno
import os
import pwd
import queue
import select
import socket
import stat
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from loguru import logger
from msgspec.structs import replace

from watcher.desk import Ticket
from watcher.errors import TickwardError
from watcher.requests import LAST, Ask, Delayed, Progress, Refused, Reply, Request
from watcher.vitals import Vitals

NAME = "control"
_LONGEST_PATH = 107  # bytes: sockaddr_un.sun_path of Linux, without its final NUL
_LONGEST_LINE = 4 * 1024 * 1024
_MOST_CALLERS = 64
_MOST_ORDERS = 16
_MOST_WAITING = 1000
"""Answers that wait for a caller who does not read; beyond that progress is not worth keeping."""
_TALK_SECONDS = 10.0
"""How long a caller may take to say what it wants, or to take an answer."""
_LOOK_SECONDS = 1.0
"""How often it is looked whether a caller to whom there is nothing to say is still there."""
_AFTER_ERROR_SECONDS = 0.1
_ASK_SECONDS = 2.0
"""How long a daemon may take to say how it is: one that is stopped never does."""

_decode_request = msgspec.json.Decoder(Request | Ask).decode
_decode_reply = msgspec.json.Decoder(Reply).decode


class Control:
    """The daemon's end. Each caller has a thread, which touches nothing but its socket and its queue.

    Args:
        state: the state directory; whoever calls this holds its lock.
        put: takes a ticket; called from other threads.
        vitals: how the daemon is; called from other threads.
    """

    def __init__(
        self, state: Path, put: Callable[[Ticket], None], vitals: Callable[[], Vitals | None]
    ) -> None:
        self._state = state
        self._put = put
        self._vitals = vitals
        self._listening: socket.socket | None = None
        self._places = threading.BoundedSemaphore(_MOST_CALLERS)
        self._orders = threading.BoundedSemaphore(_MOST_ORDERS)
        self._callers: set[threading.Thread] = set()

    def start(self) -> None:
        """Listen. A socket that cannot be made is no reason not to work: it is said, and people wait."""
        try:
            self._listening = _listen(self._state)
        except OSError as error:
            logger.bind(error=str(error)).error(
                "no orders can be taken on {} ({}): mend that and restart; the work goes on", NAME, error
            )
            return
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def close(self) -> None:
        """Take no more requests; those that were taken are answered still."""
        listening, self._listening = self._listening, None
        if listening is None:
            return
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        with suppress(OSError):
            (self._state / NAME).unlink()

    def stop(self, seconds: float = 2.0) -> None:
        """Close, and let the last answers be read, for a moment."""
        self.close()
        until = time.monotonic() + seconds
        for caller in list(self._callers):
            if caller.ident is not None:  # one that has just come may not have been started yet
                caller.join(max(until - time.monotonic(), 0.0))

    def _accept(self) -> None:
        listening = self._listening
        assert listening is not None
        while True:
            try:
                caller, _ = listening.accept()
            except OSError as error:  # out of descriptors, or the caller has gone already
                if self._listening is None:
                    return  # closed: the daemon ends
                logger.debug("a caller could not be heard ({})", error)
                time.sleep(_AFTER_ERROR_SECONDS)
                continue
            if not self._places.acquire(blocking=False):
                with suppress(OSError), caller:
                    _send(caller, Refused(f"{_MOST_CALLERS} callers are here already: try again"))
                continue
            self._receive(caller)

    def _receive(self, caller: socket.socket) -> None:
        thread = threading.Thread(target=self._attend, args=(caller,), name="caller", daemon=True)
        self._callers.add(thread)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads
            logger.debug("a caller could not be heard ({})", error)
            self._callers.discard(thread)
            self._places.release()
            caller.close()

    def _attend(self, caller: socket.socket) -> None:
        try:
            with caller:
                caller.settimeout(_TALK_SECONDS)
                self._talk(caller)
        except (OSError, ValueError) as error:
            logger.debug("a caller went away ({})", error)
        finally:
            self._places.release()
            self._callers.discard(threading.current_thread())

    def _talk(self, caller: socket.socket) -> None:
        try:
            request = _decode_request(_line(caller))
        except msgspec.MsgspecError as error:
            _send(caller, Refused(f"this is no request that this version knows: {error}"))
            return
        if isinstance(request, Ask):
            _send(caller, self._vitals() or Refused("the daemon is about to start: ask again"))
            return
        if not self._orders.acquire(blocking=False):
            _send(caller, Refused(f"{_MOST_ORDERS} orders are being followed already: try again"))
            return
        try:
            self._follow(caller, request)
        finally:
            self._orders.release()

    def _follow(self, caller: socket.socket, request: Request) -> None:
        """Answer until the last answer, or until the caller has gone: what was begun goes on."""
        answers: queue.SimpleQueue[Reply] = queue.SimpleQueue()

        def tell(reply: Reply) -> None:
            if not isinstance(reply, Progress | Delayed) or answers.qsize() < _MOST_WAITING:
                answers.put(reply)

        self._put(Ticket(replace(request, by=_who(caller)), tell))
        while True:
            try:
                reply = answers.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if _has_gone(caller):
                    return
                continue
            _send(caller, reply)
            if isinstance(reply, LAST):
                return


class Answers:
    """The answers to one request, as they come. Close it, or use it in a ``with``."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def __iter__(self) -> Iterator[Reply]:
        """Raises `TickwardError` if the daemon ends before the last answer."""
        try:
            with self._connection.makefile("rb") as lines:
                for line in lines:
                    reply: Reply = _decode_reply(line)
                    yield reply
                    if isinstance(reply, LAST):
                        return
        except ConnectionError as error:
            logger.debug("the daemon went away ({})", error)
        raise TickwardError("the daemon ended before it was done: `tickward status` says how things stand")

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def vitals_of(state: Path) -> Vitals | None:
    """How the daemon of this state directory is; None if none answers, or not in time."""
    try:
        answers = ask(state, Ask(), _ASK_SECONDS)
        if answers is None:
            return None
        with answers:
            reply = next(iter(answers), None)
    except (TickwardError, OSError, msgspec.MsgspecError):
        return None
    return reply if isinstance(reply, Vitals) else None


def is_listening(state: Path) -> bool:
    """Whether something listens for orders in this state directory: a daemon does, once it has started."""
    try:
        answers = ask(state, Ask(), _ASK_SECONDS)
    except TickwardError:
        return True
    if answers is not None:
        answers.close()
    return answers is not None


def ask(state: Path, request: Request | Ask, seconds: float | None = None) -> Answers | None:
    """Bring a request to the daemon of this state directory; None if none listens there.

    ``seconds``: how long to wait for each answer; None: for ever.
    """
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(seconds)
    try:
        with _address(state) as address:
            connection.connect(address)
        with suppress(BrokenPipeError, ConnectionResetError):  # refused before it was heard: see the answer
            connection.sendall(msgspec.json.encode(request) + b"\n")
    except OSError as error:
        connection.close()
        if error.errno in {errno.ENOENT, errno.ECONNREFUSED}:
            return None
        why = f"the daemon cannot be asked ({error.strerror})"
        raise TickwardError(f"{why}: be its user, or root") from None
    return Answers(connection)


def myself() -> str:
    """Who asks, where no socket tells: this process's user."""
    return _named(os.getuid(), os.getpid())


@contextmanager
def _address(state: Path) -> Iterator[str]:
    """The socket's path, or a shorter one for it: those of sockets are bounded."""
    path = str(state / NAME)
    if len(os.fsencode(path)) <= _LONGEST_PATH or sys.platform != "linux":
        yield path
        return
    fd = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{NAME}"
    finally:
        os.close(fd)


def _listen(state: Path) -> socket.socket:
    path = state / NAME
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(errno.EEXIST, "something else than a socket is there", str(path))
        path.unlink()  # of a daemon that was killed: we hold its lock now
    listening = socket.socket(socket.AF_UNIX)
    try:
        with _address(state) as address:
            listening.bind(address)
        path.chmod(0o600)  # before anybody can connect: that takes listen()
        listening.listen(_MOST_CALLERS)
    except OSError:
        listening.close()
        raise
    return listening


def _line(caller: socket.socket) -> bytes:
    data = bytearray()
    while not data.endswith(b"\n"):
        part = caller.recv(65536)
        if not part:
            raise ValueError("it said nothing whole")
        data += part
        if len(data) > _LONGEST_LINE:
            raise ValueError("it said too much")
    return bytes(data)


def _has_gone(caller: socket.socket) -> bool:
    """Whether the other end is closed, and not only the half of it that speaks."""
    poll = select.poll()
    poll.register(caller, 0)
    return any(events & (select.POLLHUP | select.POLLERR) for _, events in poll.poll(0))


def _send(caller: socket.socket, reply: Reply) -> None:
    caller.sendall(msgspec.json.encode(reply) + b"\n")


def _who(caller: socket.socket) -> str:
    if sys.platform != "linux":
        return "the user of the daemon, or root"
    size = struct.calcsize("3i")
    pid, uid, _ = struct.unpack("3i", caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return _named(uid, pid)


def _named(uid: int, pid: int) -> str:
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = "an unknown user"
    return f"{name} (uid {uid}, pid {pid})"
