"""Whether the daemon lives: does its loop go round, can it work, do events reach it. Pure.

That is no verdict on the days: one that fails its check is no reason to restart a daemon.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from watcher.vitals import Vitals

PATIENCE_SECONDS = 120.0
"""The loop sleeps for half a minute at most: one that has not gone round for so long is stuck."""
_SLOW = 4.0
"""A step over very many days may take longer than that: so many times what the last one took."""


class Probe(Struct, frozen=True):
    """What ``/healthz`` answers."""

    status: Literal["ok", "failing"]
    """``ok`` (HTTP status 200), or ``failing`` (503)."""
    reason: str
    """Why it is failing; empty: it is not."""
    version: str
    """Of Tickward."""
    pid: int | None
    """The daemon's process; null: it has yet to make its first step."""
    stepped: datetime | None
    """When it last looked at everything that was to be done: RFC 3339, UTC; null: not yet."""


def probe(vitals: Vitals | None, version: str, now: datetime, scale: float = 1.0) -> Probe:
    """How the daemon is. Its clock runs ``scale`` times as fast as the machine's."""
    if vitals is None:
        return Probe("failing", "it is starting: it has yet to make its first step", version, None, None)
    reason = _trouble(vitals, now, scale)
    return Probe("failing" if reason else "ok", reason, version, vitals.pid, vitals.stepped)


def _trouble(vitals: Vitals, now: datetime, scale: float) -> str:
    if vitals.error:
        return f"it cannot go on: {vitals.error}"
    silence = (now - vitals.stepped) / timedelta(seconds=scale)
    if silence > max(PATIENCE_SECONDS, _SLOW * vitals.step_seconds):
        return f"its loop is stuck: it has not gone round for {silence:.0f} s"
    if vitals.watching.trouble:
        return f"file events do not reach it: {vitals.watching.trouble}"
    return ""
