"""Rows in a file: what goes in comes out."""

from __future__ import annotations

from pathlib import Path

import pytest

from watcher.query import spool


def test_every_kind_of_value(tmp_path: Path) -> None:
    rows = [(None, -(2**63), 2**63 - 1, 0.1, float("inf"), "größe \0 🜨", b"\0\xff"), (1,), ()]
    assert spool.write(tmp_path / "rows", rows) == 3
    assert list(spool.read(tmp_path / "rows")) == rows


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 50_000])
def test_any_number(tmp_path: Path, count: int) -> None:
    assert spool.write(tmp_path / "rows", ((number, "x") for number in range(count))) == count
    assert list(spool.read(tmp_path / "rows")) == [(number, "x") for number in range(count)]


def test_of_large_rows_only_a_few_are_in_memory(tmp_path: Path) -> None:
    made = spool.write(tmp_path / "rows", ((b"x" * (1 << 20),) for _ in range(40)))
    sizes, data = [], (tmp_path / "rows").open("rb")
    with data:
        while size := int.from_bytes(data.read(8), "little"):
            sizes.append(size)
            data.seek(size, 1)
    assert made == 40
    assert sizes[-1] < 3 << 20
