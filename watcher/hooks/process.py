"""One command, run with a time limit: whatever it does, it ends in time and takes little memory."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from watcher.wakeup import Wakeup

TAIL_BYTES = 2048
"""So much of the end of the output is kept."""
_GRACE_SECONDS = 2.0
"""From the SIGTERM to the SIGKILL."""
_REAP_SECONDS = 1.0
"""What cannot be killed, because the kernel is busy with it, is not waited for."""
_LONGEST_SLEEP_SECONDS = 86400.0
_CHUNK_BYTES = 1 << 16
_CHUNKS_AFTER_END = 16
_BREATH_SECONDS = 0.001
"""After a full chunk: reading an endless output must not take a core from the work."""


class Ended(NamedTuple):
    """How a command ended."""

    error: str
    """What went wrong; empty: nothing did."""
    output: str
    """The end of what it wrote, stdout and stderr."""
    seconds: float
    """How long it ran."""
    late: bool = False
    """Whether it was ended because its time was up."""


def run(
    arguments: Sequence[str],
    body: bytes,
    environment: Mapping[str, str],
    directory: Path,
    deadline: Callable[[], float],
    wakeup: Wakeup | None = None,
) -> Ended:
    """Run a command in a session of its own and wait for its end. What it leaves in the background goes on.

    Args:
        body: what it finds on its standard input.
        directory: where it runs.
        deadline: the monotonic time at which it must have ended; then its whole process group is ended.
        wakeup: to be called when the deadline has changed.
    """
    began = time.monotonic()
    try:
        with _input(body) as stdin:
            process = subprocess.Popen(
                arguments,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env=environment,
                start_new_session=True,
            )
    except (OSError, ValueError) as error:
        return Ended(f"cannot be started: {error}", "", time.monotonic() - began)
    assert process.stdout is not None
    with process.stdout, _Running(process, process.stdout, wakeup) as running:
        in_time = running.wait(deadline)
        seconds = time.monotonic() - began
        if not in_time:
            running.end()
            return Ended(f"did not end within {seconds:.3g} s", running.output(), seconds, late=True)
        return Ended(_problem_with(process.wait()), running.output(), seconds)


@contextmanager
def _input(body: bytes) -> Iterator[IO[bytes]]:
    # In memory and not a pipe: nobody waits for a command that does not read, nor for a full disk.
    with os.fdopen(os.memfd_create("event"), "w+b") as stream:
        stream.write(body)
        stream.seek(0)
        yield stream


class _Running:
    """A process that has been started, and its output. It is ended on leaving, if it still runs."""

    def __init__(self, process: subprocess.Popen[bytes], stdout: IO[bytes], wakeup: Wakeup | None) -> None:
        self._process = process
        self._wakeup = wakeup
        self._output = stdout.fileno()
        os.set_blocking(self._output, False)
        self._tail = b""
        self._ended = self._closed = False
        self._end = os.pidfd_open(process.pid)
        self._poll = select.poll()
        for descriptor in (self._end, self._output, *([wakeup.fileno()] if wakeup else [])):
            self._poll.register(descriptor, select.POLLIN)

    def wait(self, deadline: Callable[[], float]) -> bool:
        """Whether it ends in time."""
        return self._until(lambda: self._ended, deadline)

    def end(self) -> None:
        """End its process group, at once if it is as well-behaved as that."""
        self._signal(signal.SIGTERM)
        limit = time.monotonic() + _GRACE_SECONDS
        # The output is closed when the last of the group has gone, or those that are left write elsewhere.
        self._until(lambda: self._ended and self._closed, lambda: limit)
        self._signal(signal.SIGKILL)
        limit = time.monotonic() + _REAP_SECONDS
        if self._until(lambda: self._ended, lambda: limit):
            self._process.wait()

    def output(self) -> str:
        """The end of what was written so far."""
        for _ in range(_CHUNKS_AFTER_END):
            if self._closed or not self._read():
                break
        return self._tail.decode(errors="replace").strip()

    def _until(self, over: Callable[[], bool], deadline: Callable[[], float]) -> bool:
        while not over():
            left = deadline() - time.monotonic()
            if left <= 0:
                return False
            for descriptor, _ in self._poll.poll(min(left, _LONGEST_SLEEP_SECONDS) * 1000 + 1):
                self._attend(descriptor)
        return True

    def _attend(self, descriptor: int) -> None:
        if descriptor == self._end:
            self._ended = True
            self._poll.unregister(descriptor)
        elif descriptor != self._output:
            assert self._wakeup is not None
            self._wakeup.wait(0)
        elif self._read() == _CHUNK_BYTES:
            time.sleep(_BREATH_SECONDS)

    def _read(self) -> int:
        """How many bytes there were to read."""
        with suppress(BlockingIOError):
            chunk = os.read(self._output, _CHUNK_BYTES)
            self._tail = (self._tail + chunk)[-TAIL_BYTES:]
            if not chunk:
                self._closed = True
                self._poll.unregister(self._output)
            return len(chunk)
        return 0

    def _signal(self, number: signal.Signals) -> None:
        # Its number is still its own: nobody has waited for it yet.
        with suppress(ProcessLookupError, PermissionError):  # gone; another user's by now (sudo)
            os.killpg(self._process.pid, number)

    def __enter__(self) -> _Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.returncode is None and not self._ended:
            self.end()  # Ctrl-C, which does not reach it: it has a session of its own
        os.close(self._end)


def _problem_with(code: int) -> str:
    if code < 0:
        return f"was ended by signal {-code} ({signal.strsignal(-code)})"
    return f"ended with exit status {code}" if code else ""
