"""The inventory as it is printed: columns for people, and CSV for programs. Pure.

A hundred thousand rows are put together column by column: whatever is done once for each row has to be cheap.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from itertools import repeat
from operator import attrgetter
from textwrap import wrap
from typing import TypeVar, cast

import msgspec
from msgspec import Struct

from watcher.view.inventory import MISSING, Gap, Inventory, Listed, Totals
from watcher.wording import count_of, printable, size

T = TypeVar("T")
_NEVER_KNOWN = "no database was ever known"
_BETWEEN = "  "
_NOTE_INDENT = "    "
CSV_COLUMNS = (*Listed.__struct_fields__, "last_day")
"""Those of a day, and of a gap its last day: ``day`` is its first."""
_FREE_TEXT = ("reason", "note")
"""What may have to be quoted; the names of streams have no such characters."""


class Column(Struct, frozen=True):
    """What is shown of each day."""

    name: str
    cells: Callable[[Sequence[Listed]], list[str]]
    total: Callable[[Totals], str] = lambda _: ""
    right: bool = False


def _ratio(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def _date(time: str | None) -> str:
    return "-" if time is None else time[:10]


def _next(day: Listed, due: str | None) -> str:
    """``compress 2026-07-19 02:00``, ``seal now``, ``blocked``, or a dash for nothing."""
    if day.entry == "block":
        return "blocked"
    if day.entry == "action":
        return f"{day.step} now"
    when = due[:16].replace("T", " ") if due else ""
    return f"{day.step or ''} {when}".strip() or "-"


def _nexts(days: Sequence[Listed]) -> list[str]:
    """Many wait for the same."""
    known: dict[tuple[str, str | None, datetime | None], str] = {}
    found = []
    for day in days:
        what = (day.entry, day.step, day.due)
        if what not in known:
            known[what] = _next(day, *_times([day.due]))
        found.append(known[what])
    return found


def _times(moments: list[datetime | None]) -> list[str | None]:
    """RFC 3339: far quicker than asking each for its own."""
    return cast("list[str | None]", msgspec.to_builtins(moments))


_COLUMNS = (
    Column("stream", lambda days: [day.stream for day in days], lambda _: "total"),
    Column(
        "date",
        lambda days: msgspec.to_builtins([day.day for day in days]),
        lambda totals: count_of(totals.days, "day"),
    ),
    Column("tier", lambda days: [day.tier or "-" for day in days]),
    Column("state", lambda days: [day.state for day in days]),
    Column(
        "ticks",
        lambda days: ["-" if day.ticks is None else f"{day.ticks:,}" for day in days],
        lambda totals: f"{totals.ticks:,}",
        right=True,
    ),
    Column(
        "symbols",
        lambda days: ["-" if day.symbols is None else f"{day.symbols:,}" for day in days],
        right=True,
    ),
    Column(
        "raw",
        lambda days: ["-" if day.bytes is None else size(day.bytes) for day in days],
        lambda totals: size(totals.bytes),
        right=True,
    ),
    Column(
        "now",
        lambda days: [size(day.bytes_now) if day.bytes_now else "-" for day in days],
        lambda totals: size(totals.bytes_now),
        right=True,
    ),
    Column(
        "ratio",
        lambda days: [_ratio(day.ratio) for day in days],
        lambda totals: _ratio(totals.ratio),
        right=True,
    ),
    Column("backup", lambda days: [day.backup for day in days]),
    Column("verified", lambda days: list(map(_date, _times([day.verified_at for day in days])))),
    Column("due next", _nexts),
)
_LEAST_IMPORTANT = ("symbols", "stream", "verified", "backup", "ticks", "ratio")
"""What is left out, in this order, where a terminal is too narrow; the stream only if there is but one."""


class Shown:
    """A column with all that is in it."""

    def __init__(self, column: Column, found: Inventory) -> None:
        self.name, self.cells, self.total = column.name, column.cells(found.days), column.total(found.totals)
        self.width = max(len(self.name), len(self.total), max(map(len, self.cells), default=0))
        self.form = f"%{'' if column.right else '-'}{self.width}s"


def table(found: Inventory, width: int | None) -> Iterator[str]:
    """What to print: a header, a line for each day and each gap, and what it all comes to.

    Args:
        width: of the terminal. Columns that do not fit are left out, and notes stand below their days.
            None: it goes into a pipe or a file, with all columns and each note at the end of its line.
    """
    columns = _fitting([Shown(each, found) for each in _COLUMNS], width, one_stream=_streams(found) <= 1)
    form = _BETWEEN.join([*(column.form for column in columns[:-1]), "%s"])
    header = form % tuple(column.name for column in columns)
    yield header if width is not None else f"{header.ljust(_needed(columns))}{_BETWEEN}note"
    rows = list(map(form.__mod__, zip(*(column.cells for column in columns), strict=True)))
    for number, day in enumerate(found.days):
        if day.note and width is None:
            rows[number] = f"{rows[number].ljust(_needed(columns))}{_BETWEEN}{printable(day.note)}"
        elif day.note and width is not None:
            rows[number] = "\n".join([rows[number], *_folded(day.note, width)])
    stream_width = columns[0].width if columns[0].name == "stream" else None
    yield from _with_gaps(rows, found, lambda gap: _gap_line(gap, stream_width))
    yield (form % tuple(column.total for column in columns)).rstrip()
    yield from _below(found)


def csv_text(found: Inventory) -> str:
    """RFC 4180, with a header: one line for each day, and one for each gap with the state ``missing``.

    Times as in JSON. What there is not is empty.
    """
    columns = [_csv_column(found.days, name) for name in Listed.__struct_fields__]
    rows = list(map(",".join, zip(*columns, repeat("", len(found.days)), strict=True)))
    lines = [",".join(CSV_COLUMNS), *_with_gaps(rows, found, lambda gap: ",".join(_csv_gap(gap)))]
    return "".join(f"{line}\r\n" for line in lines)


def _csv_column(days: Sequence[Listed], name: str) -> list[str]:
    values = msgspec.to_builtins(list(map(attrgetter(name), days)))
    if name in _FREE_TEXT:
        quoted = {text: _csv_quoted(text) for text in set(values)}
        return [quoted[text] for text in values]
    return ["" if value is None else str(value) for value in values]


def _csv_quoted(text: str) -> str:
    """As the standard library's writer does, which would look at every character of every field."""
    if any(special in text for special in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _streams(found: Inventory) -> int:
    return len({day.stream for day in found.days} | {gap.stream for gap in found.gaps})


def _fitting(columns: list[Shown], width: int | None, *, one_stream: bool) -> list[Shown]:
    """Those that there is room for."""
    for name in _LEAST_IMPORTANT:
        if width is None or _needed(columns) <= width:
            break
        if name != "stream" or one_stream:
            columns = [column for column in columns if column.name != name]
    return columns


def _needed(columns: Sequence[Shown]) -> int:
    return sum(column.width + len(_BETWEEN) for column in columns) - len(_BETWEEN)


def _with_gaps(rows: list[T], found: Inventory, row: Callable[[Gap], T]) -> Iterator[T]:
    """The rows of the days, with one where some are missing."""
    start = 0
    for gap in found.gaps:
        # In the order of their keys, as the days are.
        place = bisect_left(found.days, f"{gap.stream}/{gap.first}", start, key=_key)
        yield from rows[start:place]
        yield row(gap)
        start = place
    yield from rows[start:]


def _key(day: Listed) -> str:
    return f"{day.stream}/{day.day}"


def _gap_line(gap: Gap, stream_width: int | None) -> str:
    """``stream_width``: None where the stream is not shown."""
    stream = f"{gap.stream:{stream_width}}{_BETWEEN}" if stream_width is not None else ""
    return f"{stream}{_run(gap.first, gap.last)}{_BETWEEN}{count_of(gap.days, 'day')} missing: {_NEVER_KNOWN}"


def _run(first: date, last: date) -> str:
    return f"{first}" if first == last else f"{first} .. {last}"


def _folded(note: str, width: int) -> list[str]:
    room = max(width, 40) - len(_NOTE_INDENT)
    return [_NOTE_INDENT + line for line in wrap(printable(note), room, break_on_hyphens=False)]


def _below(found: Inventory) -> Iterator[str]:
    totals = found.totals
    if totals.missing:
        yield f"{count_of(totals.missing, 'day')} missing, in {count_of(len(found.gaps), 'gap')}"
    if totals.deleted_left_out:
        yield f"{count_of(totals.deleted_left_out, 'deleted day')}: --tier gone"


def _csv_gap(gap: Gap) -> tuple[str, ...]:
    known = {"stream": gap.stream, "day": f"{gap.first}", "state": MISSING, "reason": _NEVER_KNOWN}
    return tuple((dict.fromkeys(CSV_COLUMNS, "") | known | {"last_day": f"{gap.last}"}).values())
