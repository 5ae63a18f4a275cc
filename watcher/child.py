"""A part of the daemon in a process of its own: whatever is done to it there cannot touch the work.

The child is told what to do over its standard input, which is one end of a pair of sockets, and what it logs
comes over a pipe. It comes to its end when the daemon's end of the pair closes; the daemon starts another one
if it ends without that.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from traceback import format_exception
from typing import IO, TYPE_CHECKING, Any, Literal, TypeVar

import msgspec
from loguru import logger
from msgspec import Struct

from watcher.calls import Caller, Listener
from watcher.logs import KEYS
from watcher.parent import die_with, leave_signals_to_it

if TYPE_CHECKING:
    from loguru import Message

_FIRST_DELAY_SECONDS = 0.1
_LONGEST_DELAY_SECONDS = 30.0
_WELL_SECONDS = 60.0
"""Who has run for so long is started again without delay the next time."""
_KILL_SECONDS = 1.0
_LONGEST_LINE = 64 << 10
_LONGEST_TEXT = 4000
_PACKAGES = str(Path(__file__).parents[1])


class Task(Struct, frozen=True):
    """What a child is told first."""

    parent: int
    """The daemon's process."""


T = TypeVar("T", bound=Task)


class _Line(Struct, frozen=True):
    """What the child logs."""

    level: Literal["DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL"]
    message: str
    keys: dict[str, Any]


_decode_line = msgspec.json.Decoder(_Line).decode


class ChildProcess:
    """Runs a module of ours in a process of its own, and starts it again when it has ended.

    Args:
        module: what is run.
        name: what people call it: ``publisher``.
        comfort: what is said when it has ended: why that does no harm.
    """

    def __init__(self, module: str, name: str, comfort: str) -> None:
        self.restarts = 0
        """How often its process had to be started again."""
        self.unserved: dict[str, str] = {}
        """Addresses that it could not have so far, and what it says of each."""
        self._module, self._name, self._comfort = module, name, comfort
        self._caller = Caller()
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._supervise, name=name, daemon=True)

    def run(self) -> None:
        """Start it, and keep it running. Returns at once."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Have it come to its end. Bounded: who takes longer is killed."""
        self._stopping.set()
        self._caller.close()
        if self._thread.ident is None:
            return
        self._thread.join(seconds)
        if self._thread.is_alive() and self._process is not None:
            self._process.kill()
            self._thread.join(_KILL_SECONDS)

    def _task(self) -> Task:
        """What the child is told; asked for once each time that it is started."""
        raise NotImplementedError

    def _supervise(self) -> None:
        delay = _FIRST_DELAY_SECONDS
        while True:
            began = time.monotonic()
            try:
                end = self._run_child()
            except OSError as error:  # out of memory, of processes, of descriptors
                end = str(error)
            if self._stopping.is_set():
                return
            if time.monotonic() - began > _WELL_SECONDS:
                delay = _FIRST_DELAY_SECONDS
            logger.bind(error=end).error(
                "the {}'s process has ended ({}); it is started again in {:g} s. {}",
                self._name,
                end,
                delay,
                self._comfort,
            )
            if self._stopping.wait(delay):
                return
            self.restarts += 1
            delay = min(2 * delay, _LONGEST_DELAY_SECONDS)

    def _run_child(self) -> str:
        """Run it until it ends; how it did. Belongs to the thread that lives as long as the child may."""
        far = self._caller.pair(msgspec.json.encode(self._task()))
        if far is None:
            return ""
        with far:
            self._process = process = subprocess.Popen(
                [sys.executable, "-P", "-m", self._module],
                stdin=far.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=_environment(),
                process_group=0,  # Ctrl-C is for the daemon
            )
        with process:
            assert process.stdout is not None
            last_words = self._relay(process.stdout)
        how = f"by {signal.Signals(-process.returncode).name}" if process.returncode < 0 else "by itself"
        return f"{how}: {last_words}" if last_words else how

    def _relay(self, lines: IO[bytes]) -> str:
        """Log what the child logs until it ends; the last of what it says otherwise."""
        last_words = ""
        while text := lines.readline(_LONGEST_LINE):
            try:
                line = _decode_line(text)
            except (msgspec.MsgspecError, UnicodeDecodeError):  # a library that gives up, or a traceback
                last_words = text.decode(errors="backslashreplace").strip()[:_LONGEST_TEXT] or last_words
                continue
            self._note(line)
            known = {key: value for key, value in line.keys.items() if key in KEYS}
            logger.bind(**known).log(line.level, "{}", line.message)
        return last_words

    def _note(self, line: _Line) -> None:
        """Remember which addresses it could not have."""
        address = line.keys.get("address")
        if isinstance(address, str) and line.level in ("WARNING", "ERROR"):
            self.unserved = {**self.unserved, address: line.message}
        elif isinstance(address, str) and line.level != "DEBUG":
            self.unserved = {each: why for each, why in self.unserved.items() if each != address}


def _environment() -> dict[str, str]:
    """With our packages, and without the working directory, to be imported from."""
    inherited = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{_PACKAGES}{os.pathsep}{inherited}" if inherited else _PACKAGES}


class Bounds(Struct, frozen=True):
    """What a child may take, whatever is done to it. Who takes more memory ends, and all of it is free."""

    memory_bytes: int
    descriptors: int


def enter(task: type[T], bounds: Bounds) -> tuple[T, Listener]:
    """The first thing that a child does: learn what to do, live no longer than the daemon, be bounded."""
    leave_signals_to_it()
    listener = Listener(socket.socket(fileno=sys.stdin.fileno()))
    told = msgspec.json.decode(listener.first(), type=task)
    die_with(told.parent)
    _bound(bounds)
    logger.remove()
    logger.add(_log_to(sys.stdout.fileno()), level="DEBUG", format="{message}")
    return told, listener


def _bound(bounds: Bounds) -> None:
    os.umask(0o077)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = most == resource.RLIM_INFINITY
    limits = {
        resource.RLIMIT_DATA: bounds.memory_bytes,
        resource.RLIMIT_NOFILE: bounds.descriptors if unlimited else min(bounds.descriptors, most),
        resource.RLIMIT_CORE: 0,  # it would hold the keys
    }
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))


def _log_to(descriptor: int) -> Callable[[Message], None]:
    def write(message: Message) -> None:
        record = message.record
        keys = {key: str(value)[:_LONGEST_TEXT] for key, value in record["extra"].items() if key in KEYS}
        if record["exception"] is not None:
            keys["traceback"] = "".join(format_exception(*record["exception"]))[-_LONGEST_TEXT:]
        line = {"level": record["level"].name, "message": record["message"][:_LONGEST_TEXT], "keys": keys}
        os.write(descriptor, msgspec.json.encode(line) + b"\n")

    return write
