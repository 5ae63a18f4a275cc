"""Work that is done in a process beside this one, so that two cores share it.

For commands only, which do one thing and end: a process that has threads is not forked. Nobody depends on it:
whoever gets no result does the work himself.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

T = TypeVar("T", bound=Struct)


class Beside(Generic[T]):
    """Something that is being found out. Ask for its `result`, or `end` it.

    Args:
        work: must not use what this process has open.
        kind: of what it returns.
    """

    def __init__(self, work: Callable[[], T], kind: type[T]) -> None:
        self._kind = kind
        self._pid, self._reading = _forked(work)

    def result(self) -> T | None:
        """What came of it; None: it could not be done beside, or is ended."""
        pid, self._pid = self._pid, 0
        if pid == 0:
            return None
        with open(self._reading, "rb") as pipe:  # noqa: PTH123 (a descriptor)
            encoded = pipe.read()
        _, status = os.waitpid(pid, 0)
        return msgspec.msgpack.decode(encoded, type=self._kind) if status == 0 else None

    def end(self) -> None:
        """Its result is not wanted any more, if it was not given."""
        if self._pid != 0:
            os.kill(self._pid, signal.SIGKILL)
            self.result()


def _forked(work: Callable[[], Struct]) -> tuple[int, int]:
    """The process that does it, and where it writes its result; 0 for none: do it here."""
    if sys.platform != "linux" or threading.active_count() > 1 or len(os.sched_getaffinity(0)) < 2:
        return 0, -1
    reading, writing = os.pipe()
    try:
        pid = os.fork()
    except OSError:  # no room for another process
        os.close(reading)
        os.close(writing)
        return 0, -1
    if pid == 0:
        _work(work, writing)
    os.close(writing)
    return pid, reading


def _work(work: Callable[[], Struct], writing: int) -> None:
    """In the process beside. It ends without a word, and without what this one would do at its end."""
    status = 1
    try:
        with open(writing, "wb") as pipe:
            pipe.write(msgspec.msgpack.encode(work()))
        status = 0
    finally:
        os._exit(status)
