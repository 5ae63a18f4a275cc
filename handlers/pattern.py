"""Where a stream's databases are: a pattern such as ``{year}/{month}/ticks_{date}.db``.

A pattern turns a date into the one path that the day's database has below the root, and a path back
into its date. A name that is not exactly what the pattern makes of its date is not ours.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from functools import cached_property, lru_cache

_RESERVED_ENDINGS = (".zst", "-wal", "-shm", "-journal", ".tickward-tmp", ".retired")
# The fields, and what may stand at each place of their values: enough to tell whether two patterns can meet.
_SHAPES = {"date": "9999-19-39", "year": "9999", "month": "19", "day": "39"}


class Pattern:
    """A parsed pattern. Raises `ValueError` with the reason where it cannot be meant."""

    def __init__(self, text: str) -> None:
        self.text = text
        if reason := _problem_with(text):
            raise ValueError(f"pattern {text!r} {reason}")
        self._directory, _, self.name = text.rpartition("/")

    def path_of(self, day: date) -> str:
        """The path of the day's database below the root."""
        return self.text.format_map(_values(day))

    def directory_of(self, day: date) -> str:
        """The directory of the day's database, below the root; empty: the root itself."""
        return self._directory.format_map(_values(day))

    def name_of(self, day: date) -> str:
        """The name of the day's database in that directory."""
        return self.name.format_map(_values(day))

    @cached_property
    def has_daily_directories(self) -> bool:
        """Whether two days of one month may be in different directories."""
        return "{date}" in self._directory or "{day}" in self._directory

    def day_of(self, path: str) -> date | None:
        """The date of the database at this path below the root; None if it is not ours."""
        # Fields have fixed widths, so its date is always in the same place.
        try:
            day = date.fromisoformat(path[self._date_at : self._date_at + len(_SHAPES["date"])])
        except ValueError:
            return None
        return day if self.path_of(day) == path else None

    def overlaps(self, other: Pattern) -> bool:
        """Whether some path could belong to both. Fields have fixed widths, so places can be compared."""
        mine, theirs = self._places, other._places
        return len(mine) == len(theirs) and all(map(_can_be_equal, mine, theirs))

    @cached_property
    def _places(self) -> list[tuple[str, bool]]:
        """Each character of a path, and whether it stands for all digits up to it."""
        places: list[tuple[str, bool]] = []
        for index, piece in enumerate(_split(self.text)):
            if index % 2 == 0:
                places += [(character, False) for character in piece]
            else:
                places += [(character, character.isdigit()) for character in _SHAPES[piece]]
        return places

    @cached_property
    def _date_at(self) -> int:
        before = self.text.partition("{date}")[0]
        return len(before.format_map(_SHAPES))


@lru_cache(maxsize=4096)  # a walk asks for the same days of many streams
def _values(day: date) -> dict[str, str]:
    """What stands for each field."""
    text = day.isoformat()
    return {"date": text, "year": text[:4], "month": text[5:7], "day": text[8:]}


def _split(text: str) -> list[str]:
    """Literal text and names of fields, in turn."""
    return re.split(r"\{(\w+)\}", text)


def _can_be_equal(one: tuple[str, bool], other: tuple[str, bool]) -> bool:
    (a, a_is_field), (b, b_is_field) = one, other
    if a_is_field and b_is_field:
        return True  # both can be 0
    if a_is_field:
        return "0" <= b <= a
    return "0" <= a <= b if b_is_field else a == b


def _problem_with(text: str) -> str | None:
    return _field_problem(text) or _path_problem(text)


def _field_problem(text: str) -> str | None:
    fields = re.findall(r"\{([^{}]*)\}", text)
    if "date" not in fields:
        return "has no {date}: without it a file does not tell its day"
    if unknown := [field for field in fields if field not in _SHAPES]:
        return f"has an unknown field {{{unknown[0]}}}; known are {{date}} {{year}} {{month}} {{day}}"
    if re.search(r"[{}]", re.sub(r"\{\w+\}", "", text)):
        return "has a brace too many"
    return None


def _path_problem(text: str) -> str | None:
    parts = text.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "must be a plain relative path below data.root"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        return "has characters that no path should have"
    if text.endswith(_RESERVED_ENDINGS):
        return f"must not end in one of {' '.join(_RESERVED_ENDINGS)}"
    if parts[-1].startswith("."):
        return "must not name hidden files"
    return None
