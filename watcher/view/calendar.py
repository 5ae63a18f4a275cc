"""The calendar: what has become of every day, one letter each, so that a hundred thousand are a small text.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from itertools import groupby
from operator import attrgetter

from msgspec import Struct

from watcher.lifecycle import State
from watcher.overview import Day, Trouble

_LONGEST_GAP_DAYS = 366
"""What lies further apart is two spans: a stray file of the year 1 must not make a text of megabytes."""


class Letter(Struct, frozen=True):
    """What one letter of the calendar means."""

    letter: str
    """The letter."""
    name: str
    """``missing``, ``ahead``, ``active``, ``over``, ``hot``, ``warm``, ``cold`` or ``gone``."""
    trouble: Trouble
    """Empty, ``attention`` or ``failing``."""
    words: str
    """The same for people."""


class Span(Struct, frozen=True):
    """Days that follow each other."""

    first: date
    """The first of them."""
    letters: str
    """One letter for each day; all of them are in the legend. Lower case is well, a digit wants attention,
    upper case fails."""


class Calendar(Struct, frozen=True):
    """All days of one stream."""

    stream: str
    """Its name."""
    spans: tuple[Span, ...]
    """In order; where more than a year is missing another one begins."""


_NAMES = {
    "missing": (".0!", "nothing of it is there"),
    "ahead": ("n1N", "made ahead"),
    "active": ("a2A", "being written"),
    "over": ("o3O", "over, not sealed yet"),
    "hot": ("h4H", "hot: uncompressed"),
    "warm": ("w5W", "warm: compressed"),
    "cold": ("c6C", "cold: archived"),
    "gone": ("g7G", "gone: deleted by the policy"),
}
_TROUBLES: tuple[Trouble, ...] = ("", "attention", "failing")

LEGEND: tuple[Letter, ...] = tuple(
    Letter(letter, name, trouble, f"{words}; {trouble}" if trouble else words)
    for name, (letters, words) in _NAMES.items()
    for letter, trouble in zip(letters, _TROUBLES, strict=True)
)
"""Every letter that there is."""
_LETTERS = {(each.name, each.trouble): each.letter for each in LEGEND}
_SEALED = (State.SEALED, State.BACKED_UP)
_NOTHING = _NAMES["missing"][0][0]


def calendars(days: Iterable[Day], today: date) -> tuple[Calendar, ...]:
    """Of each stream; ``days`` are in the order of their streams and dates."""
    return tuple(
        Calendar(stream, tuple(_spans(of_stream, today)))
        for stream, of_stream in groupby(days, attrgetter("stream"))
    )


def letter_of(day: Day, today: date) -> str:
    """The letter of one day."""
    return _LETTERS[_name_of(day, today), day.trouble]


def _name_of(day: Day, today: date) -> str:
    if day.tier is None:
        return "missing"
    if day.tier != "hot" or day.state in _SEALED:
        return day.tier
    return "active" if day.day == today else "ahead" if day.day > today else "over"


def _spans(days: Iterable[Day], today: date) -> Iterable[Span]:
    first: date | None = None
    letters: list[str] = []
    next_number = 0
    for day in days:
        number = day.day.toordinal()
        gap = number - next_number
        if first is None or gap > _LONGEST_GAP_DAYS:
            if first is not None:
                yield Span(first, "".join(letters))
            first, letters, gap = day.day, [], 0
        letters.append(_NOTHING * gap + letter_of(day, today))
        next_number = number + 1
    if first is not None:
        yield Span(first, "".join(letters))
