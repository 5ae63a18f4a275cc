"""The terminal, or what stands in for it."""

from __future__ import annotations

from rich.console import Console

_WIDE = 1000


def console() -> Console:
    """Where tables are printed. In a pipe or a file nothing is folded: it is for `grep` and `awk` to read."""
    made = Console(highlight=False)
    if not made.is_terminal:
        made.width = _WIDE
    return made
