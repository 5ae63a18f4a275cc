"""How far a step is can be seen from another process, and costs nothing where nobody looks."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator

import pytest

from handlers import progress


@pytest.fixture
def cells() -> Iterator[progress.Cells]:
    shared = multiprocessing.RawArray("Q", 2)
    progress.listen(shared)
    yield shared
    progress._Listener.cells = None


def report_half() -> None:
    progress.report(1 << 40, 1 << 41)


def test_without_a_listener_nothing_happens() -> None:
    progress.report(1, 2)


def test_what_is_reported_is_in_the_cells(cells: list[int]) -> None:
    progress.report(3, 7)
    assert list(cells) == [3, 7]
    progress.report(7, 7)
    assert list(cells) == [7, 7]


def test_the_parent_sees_what_its_child_reports(cells: list[int]) -> None:
    child = multiprocessing.get_context("spawn").Process(target=_listen_and_report, args=(cells,))
    child.start()
    child.join()
    assert list(cells) == [1 << 40, 1 << 41]


def _listen_and_report(cells: progress.Cells) -> None:
    progress.listen(cells)
    report_half()
