"""How rows are written for other programs: CSV (RFC 4180) and JSON, as they come."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator

import msgspec

from watcher.query.spool import Row

Form = Callable[[tuple[str, ...], Iterable[Row]], Iterator[bytes]]
"""Columns and rows -> what is written, a piece at a time."""
_PIECE_BYTES = 64 << 10


def as_csv(columns: tuple[str, ...], rows: Iterable[Row]) -> Iterator[bytes]:
    """A header, then a line a row. NULL is empty, a blob is in hex; a float is the shortest that is it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        writer.writerow(_without_blobs(row))
        if text.tell() > _PIECE_BYTES:
            yield _taken(text)
    yield _taken(text)


def as_json(columns: tuple[str, ...], rows: Iterable[Row]) -> Iterator[bytes]:
    """One array with an object a row, each on a line of its own. A blob is in hex; infinity is null."""
    encoder = msgspec.json.Encoder()
    before, piece = b"[\n", bytearray()
    for row in rows:
        piece += before + encoder.encode(dict(zip(columns, _without_blobs(row), strict=True)))
        before = b",\n"
        if len(piece) > _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece) + (b"[]\n" if before == b"[\n" else b"\n]\n")


def _without_blobs(row: Row) -> Row:
    if bytes in map(type, row):
        return tuple(each.hex() if isinstance(each, bytes) else each for each in row)
    return row


def _taken(text: io.StringIO) -> bytes:
    data = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return data
