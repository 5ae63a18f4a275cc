"""What the scripts that were here before had noted: it proves nothing, but may name days that are missed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from watcher.adopt.names import DATE, day_of
from watcher.metadata import NAME

_MOST_BYTES = 1 << 24


class Noted(Struct, frozen=True):
    """What is in a ``rotation_metadata.json`` of others. Nobody knows whether it is so."""

    path: str
    """The file."""
    days: int
    """How many days before today it names, whatever it says of them; 0: none can be read from it."""
    first: date | None
    """The first of them."""
    last: date | None
    """The last."""
    absent: tuple[date, ...]
    """Those of them of which there is no file here, of any stream."""


def noted(directory: Path, there: Collection[date], today: date) -> Noted | None:
    """Look into such a file. None: there is none, or it is our own.

    Args:
        directory: where it would be.
        there: the days of which there is a file, or that are known.
        today: days from that one on are the writer's.
    """
    file = directory / NAME
    try:
        content = file.read_bytes() if file.stat().st_size <= _MOST_BYTES else b""
    except OSError:
        return None
    try:
        known = msgspec.json.decode(content)
    except (ValueError, RecursionError):  # also what msgspec raises
        known = None
    if isinstance(known, dict) and "streams" in known:
        return None  # as `watcher.metadata` writes it
    days = sorted({day for day in _days_in(known) if day < today}) if isinstance(known, dict) else []
    absent = tuple(day for day in days if day not in there)
    return Noted(str(file), len(days), days[0] if days else None, days[-1] if days else None, absent)


def _days_in(value: Any) -> Iterator[date]:
    """The dates in all names and texts of a JSON value, but for those of moments: `2026-01-20T00:00:03`."""
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            pending += [*each, *each.values()]
        elif isinstance(each, list):
            pending += each
        elif isinstance(each, str):
            for match in DATE.finditer(each):
                day = None if _is_moment(each[match.end() :]) else day_of(match)
                if day is not None:
                    yield day


def _is_moment(after: str) -> bool:
    """Whether what follows a date is a time."""
    return after[:1] in ("T", " ", "t") and after[1:3].isdigit() and after[3:4] == ":"
