"""A stacked plot of characters, for the terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from watcher.wording import size

UNICODE, ASCII = "█▓░", "#=-"
"""What hot, warm and cold are drawn with."""
_NAMES = ("hot", "warm", "cold")


def stacked(
    days: Sequence[date], series: Sequence[Sequence[int]], *, height: int = 12, characters: str = UNICODE
) -> list[str]:
    """One column for each day, one character of ``characters`` for each series, the first at the bottom."""
    totals = [sum(column) for column in zip(*series, strict=True)]
    top = max(totals, default=0)
    if top == 0:
        return []
    columns = [_column(column, top, height, characters) for column in zip(*series, strict=True)]
    lines = []
    for row in reversed(range(height)):
        label = size(top * (row + 1) / height) if row % 4 == 3 else ""
        lines.append(f"{label:>9} |{''.join(column[row] for column in columns)}".rstrip())
    lines.append(f"{'0':>9} +{'-' * len(days)}")
    lines.append(" " * 11 + _months(days))
    legend = "   ".join(f"{mark} {name}" for mark, name in zip(characters, _NAMES, strict=True))
    return [*lines, " " * 11 + legend]


def _column(values: Sequence[int], top: int, height: int, characters: str) -> str:
    """From the bottom up. What is there at all shows, if the column has room for it."""
    drawn, reached, before = "", 0, 0
    for value, mark in zip(values, characters, strict=True):
        reached += value
        rows = round(reached / top * height)
        drawn += mark * (rows - before)
        before = rows
    return drawn.ljust(height)


def _months(days: Sequence[date]) -> str:
    """The first letters of each month below its first column, where there is room."""
    line = ""
    for index, day in enumerate(days):
        is_first = index == 0 or day.month != days[index - 1].month
        if is_first and (index == 0 or len(line) < index):
            line = line.ljust(index) + f"{day:%b}"
    return line
