"""Where a stream's databases are: a pattern such as ``{year}/{month}/ticks_{date}.db``.

A pattern turns a date into the one path that the day's database has below the root, and a path back
into its date. A name that is not exactly what the pattern makes of its date is not ours.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import cached_property

_FIELDS = {
    "date": r"(?P<date>\d{4}-\d{2}-\d{2})",
    "year": r"\d{4}",
    "month": r"\d{2}",
    "day": r"\d{2}",
}
_RESERVED_ENDINGS = (".zst", "-wal", "-shm", "-journal", ".tickward-tmp", ".retired")
_SAMPLE_DAYS = [date(2026, 1, 1) + timedelta(days=37 * n) for n in range(20)]


class Pattern:
    """A parsed pattern. Raises `ValueError` with the reason where it cannot be meant."""

    def __init__(self, text: str) -> None:
        self.text = text
        if reason := _problem_with(text):
            raise ValueError(f"pattern {text!r} {reason}")

    def path_of(self, day: date) -> str:
        """The path of the day's database below the root."""
        return self.text.format(
            date=day.isoformat(), year=f"{day:%Y}", month=f"{day:%m}", day=f"{day:%d}"
        )

    def day_of(self, path: str) -> date | None:
        """The date of the database at this path below the root; None if it is not ours."""
        match = self._expression.fullmatch(path)
        if match is None:
            return None
        try:
            day = date.fromisoformat(match["date"])
        except ValueError:
            return None
        return day if self.path_of(day) == path else None

    def overlaps(self, other: Pattern) -> bool:
        """Whether some path would belong to both."""
        return any(
            one.day_of(two.path_of(day)) is not None
            for one, two in ((self, other), (other, self))
            for day in _SAMPLE_DAYS
        )

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        pieces = re.split(r"\{(\w+)\}", self.text)
        seen_date = False
        expression = ""
        for index, piece in enumerate(pieces):
            if index % 2 == 0:
                expression += re.escape(piece)
            elif piece == "date" and seen_date:
                expression += "(?P=date)"
            else:
                expression += _FIELDS[piece]
                seen_date = seen_date or piece == "date"
        return re.compile(expression)


def _problem_with(text: str) -> str | None:
    fields = re.findall(r"\{([^{}]*)\}", text)
    if "date" not in fields:
        return "has no {date}: without it a file does not tell its day"
    if unknown := [field for field in fields if field not in _FIELDS]:
        return f"has an unknown field {{{unknown[0]}}}; known are {{date}} {{year}} {{month}} {{day}}"
    if re.search(r"[{}]", re.sub(r"\{\w+\}", "", text)):
        return "has a brace too many"
    parts = text.split("/")
    if text.startswith("/") or any(part in ("", ".", "..") for part in parts):
        return "must be a plain relative path below data.root"
    if text.endswith(_RESERVED_ENDINGS):
        return f"must not end in one of {' '.join(_RESERVED_ENDINGS)}"
    if parts[-1].startswith("."):
        return "must not name hidden files"
    return None
