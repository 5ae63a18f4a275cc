"""How far a step is, told to whoever listens; by default nobody does.

A worker is given two cells of shared memory once, and the parent looks at them when it pleases.
Telling costs two stores, so that a step may do it for every chunk it reads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Report = Callable[[int, int], None]
"""Called with ``done`` and ``total``, in bytes of the file that is being read."""


class Cells(Protocol):
    """Two whole numbers that the parent can see: ``multiprocessing.RawArray("Q", 2)``."""

    def __getitem__(self, index: int, /) -> int: ...

    def __setitem__(self, index: int, value: int, /) -> None: ...


class _Listener:
    """The cells of this process, if it was given any."""

    cells: Cells | None = None


def listen(cells: Cells) -> None:
    """From now on tell these cells. Called once, by the worker's initializer."""
    _Listener.cells = cells


def report(done: int, total: int) -> None:
    """Tell whoever listens that ``done`` of ``total`` bytes have been read."""
    if _Listener.cells is not None:
        _Listener.cells[1] = total
        _Listener.cells[0] = done


def silent(done: int, total: int) -> None:
    """A `Report` for callers that nobody waits for."""
