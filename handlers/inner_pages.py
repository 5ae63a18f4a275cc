"""The inner pages of a database's b-trees, kept together at the end of its .zst a second time.

Whoever looks for something in a table or an index starts at its root and goes down to a leaf: in a
compressed file that would be three or four frames inflated for one page each. The inner pages are less
than half a percent of a file. So the .zst has a copy of them all in one small skippable frame before
its seek table: others skip it, and our reader inflates nothing but the frames that hold the leaves.

It is a shortcut and nothing else. If it is damaged or missing, the pages are read where they belong.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

import zstandard

from handlers.pages import INNER
from handlers.seek_table import Ranges, SeekTable

MAX_BYTES = 16 << 20
"""Of the pages: what is beyond that (a day of more than some 4 GB) is left out."""

_MAGIC = 0x184D2A5C  # a skippable frame; no number that anybody has a use for is known
_SIGNATURE = b"inner pages 1\0\0\0"
_HEAD = struct.Struct("<II16s")  # magic, size of what follows, signature
_COUNTS = struct.Struct("<II")  # page size, number of pages; then their numbers; then the pages


def inner_pages(content: bytes, start: int, page_bytes: int) -> list[tuple[int, bytes]]:
    """(number from 0, page) of each inner page, and of the first page of the file, which is read first.

    ``content`` is whole pages of the file from byte ``start`` on.
    """
    kinds = content[::page_bytes]
    found = [at for at, kind in enumerate(kinds) if kind in INNER]
    if start == 0 and content:
        found.insert(0, 0)
    first = start // page_bytes
    return [(first + at, content[at * page_bytes : (at + 1) * page_bytes]) for at in dict.fromkeys(found)]


def frame_of(pages: Iterable[tuple[int, bytes]], page_bytes: int) -> bytes:
    """The skippable frame that holds these pages; empty if there are none."""
    kept = list(pages)[: MAX_BYTES // page_bytes]
    if not kept:
        return b""
    numbers = struct.pack(f"<{len(kept)}I", *(number for number, _ in kept))
    body = _COUNTS.pack(page_bytes, len(kept)) + numbers + b"".join(page for _, page in kept)
    parameters = zstandard.ZstdCompressionParameters.from_level(12, write_checksum=1, write_content_size=1)
    packed = zstandard.ZstdCompressor(compression_params=parameters).compress(body)
    return _HEAD.pack(_MAGIC, len(_SIGNATURE) + len(packed), _SIGNATURE) + packed


def pages_in(source: Ranges, table: SeekTable) -> tuple[int, dict[int, bytes]]:
    """The page size and the inner pages by number, as the last frame of the table has them.

    Empty if there is no such frame, or if it is not whole.
    """
    nothing: tuple[int, dict[int, bytes]] = (0, {})
    last = table[len(table) - 1] if len(table) else None
    if last is None or last.content_bytes or not _HEAD.size < last.compressed_bytes <= 2 * MAX_BYTES:
        return nothing
    raw = source.read_range(last.offset, last.compressed_bytes)
    if len(raw) < last.compressed_bytes or raw[: _HEAD.size] != _HEAD.pack(_MAGIC, len(raw) - 8, _SIGNATURE):
        return nothing
    try:
        body = zstandard.ZstdDecompressor(max_window_size=2 * MAX_BYTES).decompress(
            raw[_HEAD.size :], max_output_size=2 * MAX_BYTES, allow_extra_data=False
        )
    except zstandard.ZstdError:
        return nothing
    return _parsed(body) or nothing


def _parsed(body: bytes) -> tuple[int, dict[int, bytes]] | None:
    if len(body) < _COUNTS.size:
        return None
    page_bytes, count = _COUNTS.unpack_from(body)
    begin = _COUNTS.size + 4 * count
    if not page_bytes or len(body) != begin + count * page_bytes:
        return None
    numbers = struct.unpack_from(f"<{count}I", body, _COUNTS.size)
    places = range(begin, len(body), page_bytes)
    return page_bytes, {
        number: body[at : at + page_bytes] for number, at in zip(numbers, places, strict=True)
    }
