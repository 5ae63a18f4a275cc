"""The table for people: numbers to the right, and nothing that a day's texts could do to a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from watcher.query.spool import Row
from watcher.query.table import show


def shown(columns: tuple[str, ...], rows: list[Row]) -> list[str]:
    file = io.StringIO()
    show(Console(file=file, width=200), columns, rows)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_numbers_are_to_the_right_and_readable() -> None:
    assert shown(("s", "n", "x"), [("a", 5, 0.1 + 0.2), ("bb", 1000, 2.0), (None, None, 1e300)]) == [
        "s        n       x",
        "a        5     0.3",
        "bb    1000     2.0",
        "NULL  NULL  1e+300",
    ]


def test_a_text_stays_a_text() -> None:
    assert shown(("[b]x[/]",), [("\x1b[31mred\r\n[bold]",), (b"\xff",)]) == [
        "[b]x[/]",
        r"\x1b[31mred\r\n[bold]",
        "ff",
    ]


def test_a_long_one_is_cut() -> None:
    (_, line) = shown(("x",), [("y" * 100_000,)])[:2]
    assert line.rstrip("…").strip("y") == ""
