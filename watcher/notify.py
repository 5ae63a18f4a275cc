"""Tells systemd how the daemon is: that it has started, that it lives, that it ends (sd_notify).

A datagram of ``KEY=value`` lines to the socket that the environment names; without one nothing is told.
Nothing that goes wrong with it, and no socket that nobody reads, holds up the work.
"""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import closing

from loguru import logger

_SOCKET = "NOTIFY_SOCKET"
_WATCHDOG = "WATCHDOG_USEC"
_WATCHDOG_PID = "WATCHDOG_PID"
_SHARE = 3
"""So many beats in the time that the watchdog waits for one: one that is late, or is lost, does no harm."""
_SHORTEST_BEAT_SECONDS = 0.1
_LONGEST_STATUS = 500


class Notify:
    """One service manager, or none.

    Args:
        environment: what it says is taken out of it, so that no child speaks in the daemon's name.
    """

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        told = {key: environment.pop(key, "") for key in (_SOCKET, _WATCHDOG, _WATCHDOG_PID)}
        self._address = _address(told[_SOCKET])
        self._status = ""
        self.beat_seconds = _beat_seconds(told) if self._address else math.inf
        """How often `alive` is to be called at least; infinite if nobody waits for it."""

    @property
    def wanted(self) -> bool:
        """Whether anybody is told."""
        return bool(self._address)

    def ready(self) -> None:
        """It has started, or has read its configuration again."""
        self._send("READY=1")

    def reloading(self) -> None:
        """It reads its configuration again; `ready` follows."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """It ends."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """The loop goes round. Told only to a watchdog."""
        if self.beat_seconds < math.inf:
            self._send("WATCHDOG=1")

    def status(self, line: str) -> None:
        """What it is doing, in a line for people. Told if it is another one than before."""
        line = " ".join(line.split())[:_LONGEST_STATUS]
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(lines).encode(errors="backslashreplace"), self._address)
        except OSError as error:  # it has gone, or does not read: the next one may come through
            logger.debug("the service manager could not be told {} ({})", lines[0], error)


def _address(named: str) -> str:
    """A path, or a name in Linux's abstract space, which is written with an @; nothing else is known here."""
    if named.startswith("@"):
        return "\0" + named[1:]
    return named if named.startswith("/") else ""


def _beat_seconds(told: MutableMapping[str, str]) -> float:
    microseconds, pid = told[_WATCHDOG], told[_WATCHDOG_PID]
    if not microseconds.isdecimal() or int(microseconds) == 0 or pid not in ("", str(os.getpid())):
        return math.inf
    return max(int(microseconds) / 1e6 / _SHARE, _SHORTEST_BEAT_SECONDS)
