"""What a seekable file truly holds: each frame is decompressed, and none of our reader's code is used."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import accumulate, pairwise

import zstandard

from scripts.fuzzing.files import LARGEST, Parts, taken_apart

_INNER_SIGNATURE = b"inner pages 1\0\0\0"


def whole_content(data: bytes) -> bytes | None:
    """What the file decompresses to from its first byte to its last; None if it does not."""
    try:
        return b"".join(content for content, _ in _contents(data))
    except zstandard.ZstdError:
        return None


class Truth:
    """What the file holds, by decompressing it with nothing but the library.

    Whether the table tells the truth of frames that are not read can only be known where their headers
    say how much they hold: where one does not, what the table says of them is as true as can be.
    """

    def __init__(self, data: bytes) -> None:
        self._parts = taken_apart(data)
        self._starts = [0, *accumulate(each[1] for each in self._parts.entries)]
        self._slices: dict[int, bytes | None] = {}
        self._whole = _whole(self._parts.frames)
        self._page_bytes, self._inner_pages = _inner_pages(self._parts)

    def allows(self, offset: int, size: int, found: bytes) -> bool:
        """Whether this is what a read may give."""
        whole = self._whole
        if found == (
            self._by_table(offset, offset + size) if whole is None else whole[offset : offset + size]
        ):
            return True
        number, within = divmod(offset, self._page_bytes or 1)
        page = self._inner_pages.get(number, b"")
        inside = within + size <= self._page_bytes and offset + size <= self._starts[-1]
        return inside and found == page[within : within + size]

    def is_exactly(self, content: bytes) -> bool:
        """Whether that is what it holds, and what its copies of pages are copies of."""
        size = self._page_bytes
        return self._whole == content and all(
            page == content[number * size : (number + 1) * size] for number, page in self._inner_pages.items()
        )

    def _by_table(self, offset: int, end: int) -> bytes | None:
        """What the table names as that part; None if a frame of it does not hold what it should."""
        parts = []
        for at, (start, stop) in enumerate(pairwise(self._starts)):
            if start < end and offset < stop and start < stop:
                part = self._slice(at)
                if part is None or len(part) != stop - start:
                    return None
                parts.append(part[max(offset - start, 0) : end - start])
        return b"".join(parts)

    def _slice(self, at: int) -> bytes | None:
        if at not in self._slices:
            try:
                found = list(_contents(self._parts.frames[at]))
                self._slices[at] = b"".join(content for content, _ in found)
            except zstandard.ZstdError:
                self._slices[at] = None
        return self._slices[at]


def _inner_pages(parts: Parts) -> tuple[int, dict[int, bytes]]:
    """What the file says of its inner pages; it is believed if it is whole."""
    frame = parts.frames[-1] if parts.frames and not parts.entries[-1][1] else b""
    if frame[8:24] != _INNER_SIGNATURE:
        return 0, {}
    try:
        body = b"".join(content for content, _ in _contents(frame[24:]))
    except zstandard.ZstdError:
        return 0, {}
    size, count = struct.unpack_from("<II", body) if len(body) >= 8 else (0, 0)
    pages = body[8 + 4 * count :]
    if not size or len(pages) != count * size:
        return 0, {}
    numbers = struct.unpack_from(f"<{count}I", body, 8)
    return size, {number: pages[at * size : (at + 1) * size] for at, number in enumerate(numbers)}


def _whole(slices: list[bytes]) -> bytes | None:
    """What all frames hold, if each slice is a frame, and its header says how much it holds."""
    whole = bytearray()
    try:
        for piece in slices:
            found = list(_contents(piece))
            skippable = piece[1:4] == b"\x2a\x4d\x18"
            if len(found) > (0 if skippable else 1) or not all(told for _, told in found):
                return None
            whole += b"".join(content for content, _ in found)
    except zstandard.ZstdError:
        return None
    return bytes(whole)


def _contents(data: bytes) -> Iterator[tuple[bytes, bool]]:
    """(content, whether its header tells the size) of each frame. ZstdError unless they are whole frames."""
    while data:
        magic = int.from_bytes(data[:4], "little")
        if magic >> 4 == 0x184D2A5:
            size = 8 + int.from_bytes(data[4:8], "little")
            if len(data) < max(size, 8):
                raise zstandard.ZstdError("a skippable frame is cut off")
            data = data[size:]
            continue
        told = zstandard.frame_content_size(data) >= 0
        content, data = _one(data)
        yield content, told


def _one(data: bytes) -> tuple[bytes, bytes]:
    """The content of the first frame, and what follows it.

    Decompressed in one go, which passes more than a stream does: blocks that are too large for the format.
    """
    described = zstandard.get_frame_parameters(data[:18])
    if LARGEST < described.content_size < zstandard.CONTENTSIZE_UNKNOWN:
        raise zstandard.ZstdError("larger than it can be")
    end, last = zstandard.frame_header_size(data), False
    while not last:
        block = int.from_bytes(data[end : end + 3], "little")
        last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
        if end + 3 > len(data):
            raise zstandard.ZstdError("cut off")
        end += 3 + (1 if kind == 1 else size)
    end += 4 * described.has_checksum
    unpacker = zstandard.ZstdDecompressor(max_window_size=LARGEST)
    content = unpacker.decompress(data[:end], max_output_size=LARGEST, allow_extra_data=False)
    return content, data[end:]
