"""tickward's block in a crontab: put in, found again and taken out, to the byte. PURE.

The marks name the state directory, so that two tickwards of one user each have a block of their own. All else
in the table is somebody's, whatever bytes it is made of.
"""

from __future__ import annotations

import re

from msgspec import Struct

from watcher.errors import TickwardError

_ANY_BEGIN = re.compile(r"# >>> tickward (?P<name>[^\n]+) >>>\r?$")
_ANY_END = re.compile(r"# <<< tickward (?P<name>[^\n]+) <<<\r?$")
_NO_TABLE = "# There was no table before."
_NO_END = "# The line above had no end before."


class Found(Struct, frozen=True):
    """Where the block is."""

    before: str
    block: str
    """From its first mark to the end of the line of its last."""
    after: str

    @property
    def note(self) -> str:
        """What is to be remembered of the table as it was; empty: nothing."""
        second = self.block.split("\n")[1].removesuffix("\r")
        return second if second in {_NO_TABLE, _NO_END} else ""


def found_in(table: str, name: str) -> Found | None:
    """The block of this name; None: there is none. Raises `TickwardError` if its marks do not pair up."""
    begins, ends = _marks(table, _ANY_BEGIN, name), _marks(table, _ANY_END, name)
    if not begins and not ends:
        return None
    if len(begins) != 1 or len(ends) != 1 or begins[0][0] > ends[0][0]:
        raise TickwardError(
            f"the marks of tickward's block for {name} do not pair up ({len(begins)} that begin it, "
            f"{len(ends)} that end it, one each and in this order are needed); nothing was changed: "
            "put the table right with `crontab -e`, and try again"
        )
    start, end = begins[0][0], ends[0][1]
    return Found(table[:start], table[start:end], table[end:])


def with_block(table: str | None, name: str, lines: str) -> str:
    """The table with these lines as its block: where there is one already, in its place, else at the end.

    Args:
        table: None: there is none.
        lines: each with its end.
    """
    if found := found_in(table or "", name):
        return found.before + _block(name, lines, found.note) + found.after
    if table is None:
        return _block(name, lines, _NO_TABLE)
    if table and not table.endswith("\n"):
        return f"{table}\n{_block(name, lines, _NO_END)}"
    return table + _block(name, lines, "")


def without_block(table: str, name: str) -> str | None:
    """The table as it would be had the block never been there; None: then there would be none."""
    found = found_in(table, name)
    if found is None:
        return table
    before = found.before
    if found.note == _NO_END and not found.after:
        before = before.removesuffix("\n")
    left = before + found.after
    return None if found.note == _NO_TABLE and not left else left


def without_blocks(table: str) -> str:
    """What in the table is not tickward's, each line in its place. A block without end is taken for none."""
    for name in names_in(table):
        while (begins := _marks(table, _ANY_BEGIN, name)) and (ends := _marks(table, _ANY_END, name)):
            (start, _), (_, end) = begins[0], ends[0]
            if start > end:
                break
            table = table[:start] + "\n" * table.count("\n", start, end) + table[end:]
    return table


def names_in(table: str) -> list[str]:
    """Of the blocks that begin in it, in order."""
    return [name for _, _, name in _all_marks(table, _ANY_BEGIN)]


def _block(name: str, lines: str, note: str) -> str:
    note = f"{note}\n" if note else ""
    return f"# >>> tickward {name} >>>\n{note}{lines}# <<< tickward {name} <<<\n"


def _marks(table: str, mark: re.Pattern[str], name: str) -> list[tuple[int, int]]:
    """Where the lines with this mark begin, and where the next ones do."""
    return [(start, end) for start, end, found in _all_marks(table, mark) if found == name]


def _all_marks(table: str, mark: re.Pattern[str]) -> list[tuple[int, int, str]]:
    # Only \n ends a line for cron: what Python takes for one more end may be a part of somebody's line.
    marks, start = [], 0
    for line in table.split("\n"):
        end = min(start + len(line) + 1, len(table))
        if found := mark.match(line):
            marks.append((start, end, found["name"]))
        start = end
    return marks
