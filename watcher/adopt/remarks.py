"""Whether the ticks of a day are of that day, as its file's name says. Pure."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from watcher.schedule import end_of, start_of

_OVER_MIDNIGHT = timedelta(hours=1)
"""A writer that is late, or whose clock is wrong by so much, still writes a day."""
_EPOCH = start_of(date(1970, 1, 1))


def of_other_dates(day: date, first_ms: int | None, last_ms: int | None) -> str:
    """What is to be said of a day whose first and last tick are both outside of it; empty: nothing.

    A few ticks over midnight, at either end or at both, are as usual.
    """
    if first_ms is None or last_ms is None:
        return ""
    first, last = _moment(first_ms), _moment(last_ms)
    if first is None or last is None:
        return "the time stamps of its ticks are no milliseconds since 1970"
    begin, end = start_of(day), end_of(day)
    is_inside = begin <= first < end or begin <= last < end
    is_around = begin - _OVER_MIDNIGHT <= first < begin and end <= last < end + _OVER_MIDNIGHT
    if is_inside or is_around:
        return ""
    dates = f"{first.date()}" if first.date() == last.date() else f"{first.date()} to {last.date()}"
    return f"its ticks are of {dates}"


def _moment(ms: int) -> datetime | None:
    try:
        return _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        return None
