"""Rows on their way from one process to another, in a file: as many as there are, in little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

Row = tuple[object, ...]

_FEW_ROWS, _MANY_ROWS = 16, 4096
_SMALL_BYTES, _LARGE_BYTES = 256 << 10, 1 << 20


def write(path: Path, rows: Iterable[Row]) -> int:
    """Write rows into the new file ``path``; returns how many. OSError if the disk is full, say.

    Values are what SQLite has: None, int, float, str and bytes.
    """
    encoder = msgspec.msgpack.Encoder()
    pending, count, at_once = iter(rows), 0, _FEW_ROWS
    with path.open("xb") as file:
        while chunk := list(islice(pending, at_once)):
            data = encoder.encode(chunk)
            file.write(len(data).to_bytes(8, "little"))
            file.write(data)
            count += len(chunk)
            at_once = _next_size(at_once, len(data))
    return count


def read(path: Path) -> Iterator[Row]:
    """The rows that were written, in order."""
    decoder = msgspec.msgpack.Decoder(list[tuple[Any, ...]])
    with path.open("rb") as file:
        while size := int.from_bytes(file.read(8), "little"):
            yield from decoder.decode(file.read(size))


def _next_size(rows: int, size_bytes: int) -> int:
    """How many rows to take at once: the larger they are, the fewer."""
    if size_bytes > _LARGE_BYTES:
        return max(rows // 2, 1)
    return min(rows * 2, _MANY_ROWS) if size_bytes < _SMALL_BYTES else rows
