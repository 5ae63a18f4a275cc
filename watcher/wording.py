"""How events and plans read for people: one line each, the same in logs and in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

_TELLING = (
    "current",
    "previous",
    "cause",
    "ticks",
    "counted",
    "size_bytes",
    "uncompacted_bytes",
    "not_compacted",
    "compressed_bytes",
    "freed_bytes",
    "added",
    "already_there",
    "rejected",
    "moved_by",
    "source",
    "repairs",
    "quarantined",
    "bytes_read",
    "keep_until",
    "through",
    "due",
    "blocked",
    "held",
    "live",
    "set_aside",
    "wal_bytes",
    "holders",
    "low",
    "reason",
    "step",
    "error",
    "attempt",
    "next_try",
    "problems",
    "hint",
    "by",
)
"""What of an event's data matters to a person, in this order."""


def event_line(sequence: int, event: str, subject: str, data: Mapping[str, Any]) -> str:
    """``#17 sealed ticks/2026-01-20 ticks=46538 size_bytes=10485760``."""
    subject = "" if subject == "-" else subject
    return " ".join(part for part in (f"#{sequence}", event, subject, details(data)) if part)


def details(data: Mapping[str, Any]) -> str:
    """What of an event's data matters to a person: ``ticks=46538 size_bytes=10485760``."""
    return " ".join(f"{name}={_short(data[name])}" for name in _TELLING if _tells(name, data.get(name)))


def moment(time: datetime | None) -> str:
    """``2026-01-25 02:00 UTC``; a dash for no time at all."""
    return "-" if time is None else f"{time:%Y-%m-%d %H:%M} UTC"


def span(keys: Sequence[str]) -> str:
    """``ticks/2026-01-20``, or of many ``38 days, ticks/2026-01-01 to ticks/2026-02-09``."""
    return keys[0] if len(keys) == 1 else f"{len(keys)} days, {keys[0]} to {keys[-1]}"


def count_of(number: int, noun: str, nouns: str = "") -> str:
    """``1 day``, ``1,234 days``."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def size(number: float) -> str:
    """Bytes with the unit that leaves three figures: ``6.91 MB``."""
    if number < 1000:
        return f"{int(number)} B"
    if 1e6 <= number < 999.5e6:  # most of them, and there may be a hundred thousand
        return f"{number / 1e6:.3g} MB"
    unit = ""
    for unit in ("kB", "MB", "GB", "TB"):
        number /= 1000
        if number < 999.5:  # what is more would be rounded to 1e+03
            return f"{number:.3g} {unit}"
    return f"{number:.0f} {unit}"


def printable(text: str) -> str:
    """Without what would move the cursor, or worse: a day's texts are whatever somebody sent."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _tells(name: str, value: object) -> bool:
    # A day without ticks is news; that nothing was set aside, or held, or left over is not.
    return value is not None and (bool(value) if name not in ("ticks", "counted") else value is not True)


def _item(item: Mapping[str, Any]) -> str:
    """A holder, or a repair."""
    if "pid" in item:
        return f"{item.get('name')} (pid {item['pid']})"
    return f"{item.get('path')} ({item.get('problem')})"


def _short(value: object) -> str:
    if isinstance(value, list | tuple) and value and isinstance(value[0], dict):
        value = ", ".join(map(_item, value))
    elif isinstance(value, list | tuple):
        value = "; ".join(map(str, value))
    elif isinstance(value, Mapping):  # bytes by the name of a directory
        value = ", ".join(f"{name}: {size(number)}" for name, number in value.items())
    text = str(value)
    return f'"{text}"' if " " in text else text
