"""How rows are shown to people: a table of as many as one can look at."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from watcher.query.spool import Row
from watcher.wording import printable

_SHOWN_CHARACTERS = 500


def show(console: Console, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Print a table; plain columns where no terminal is. Numbers are to the right."""
    shape = box.SIMPLE_HEAD if console.is_terminal else None
    table = Table(box=shape, pad_edge=False, padding=(0, 1) if shape else (0, 2, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(Text(printable(column)), justify="right" if _is_number(index, rows) else "left")
    for row in rows:
        table.add_row(*(Text(_shown(value)) for value in row))
    console.print(table)


def _is_number(index: int, rows: Sequence[Row]) -> bool:
    values = [row[index] for row in rows if row[index] is not None]
    return bool(values) and all(isinstance(value, int | float) for value in values)


def _shown(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, float):
        # As SQLite's own shell: what the last two of 17 digits say is noise to a reader.
        text = f"{value:.15g}"
        return text if any(sign in text for sign in ".en") else f"{text}.0"
    text = value.hex() if isinstance(value, bytes) else str(value)
    return printable(text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…")
