"""Zstandard's seekable format, seen from outside: where the frames are, and the table that says so.

A seekable file is independent frames and, at the end, a table of them in a skippable frame, so that
`zstd -d` reads it like any other .zst. The format is public (contrib/seekable_format of the zstd
sources). A table is only a claim: nothing here believes one that the file cannot bear out, and none
makes us allocate more than `MAX_TABLE_BYTES`.
"""

from __future__ import annotations

import os
import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from io import FileIO
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, Protocol

import zstandard

from handlers.files import open_source

_ZSTD_MAGIC = 0xFD2FB528
_TABLE_MAGIC = 0x184D2A5E  # a skippable frame, of the number reserved for this table
_FOOTER_MAGIC = 0x8F92EAB1
_SKIPPABLE_MAGICS = range(0x184D2A50, 0x184D2A60)
_FRAME_HEADER = struct.Struct("<II")  # magic, size
_ENTRY = struct.Struct("<II")  # compressed, uncompressed size
_CHECKED_ENTRY = struct.Struct("<III")  # and the low half of the content's XXH64
_FOOTER = struct.Struct("<IBI")  # frames, descriptor, magic
_HAS_CHECKSUMS, _RESERVED = 0x80, 0x7C  # bits of the descriptor

_LONGEST_HEADER = 18

MAX_WINDOW_LOG = 27
MAX_FRAME_BYTES = 1 << MAX_WINDOW_LOG
"""What `zstd -d` reads without being given more memory."""
MAX_TABLE_BYTES = 1 << 24
"""A table of 5 TB in frames of 4 MiB; what is larger is somebody's joke, or attack."""


class SeekableError(ValueError):
    """This is not a whole seekable file: truncated, damaged or made to deceive."""


class TooLargeError(SeekableError):
    """It holds more than there may be: damaged or made to deceive, if that was known before."""


class Frame(NamedTuple):
    """Where one frame is in the file, and where its content is in the content."""

    offset: int
    compressed_bytes: int
    start: int
    content_bytes: int
    checksum: int | None = None
    """The low half of the content's XXH64, as the table gives it; None if it does not."""


class Ranges(Protocol):
    """Anything that can read a range of bytes: a file, or an object in a store. Any thread may ask."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    @property
    def size_bytes(self) -> int: ...

    def read_range(self, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset`` on; fewer only where the end of the data is reached."""
        ...


class FileRanges:
    """The ranges of a local file. OSError if it cannot be opened or is a symbolic link."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._file = open_source(path)
        self.size_bytes = os.fstat(self._file.fileno()).st_size

    def read_range(self, offset: int, size: int) -> bytes:
        data = os.pread(self._file.fileno(), size, offset)
        while len(data) < size and (
            more := os.pread(self._file.fileno(), size - len(data), offset + len(data))
        ):
            data += more
        return data

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> FileRanges:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SeekTable:
    """The frames of a seekable file, in order: 28 bytes of memory for each, however many there are."""

    def __init__(self, sizes: list[tuple[int, ...]]) -> None:
        """``sizes``: (compressed, uncompressed[, checksum]) of each frame."""
        self._offsets = array("Q", accumulate((each[0] for each in sizes), initial=0))
        self._starts = array("Q", accumulate((each[1] for each in sizes), initial=0))
        self._checksums = array("I", (each[2] for each in sizes)) if sizes and len(sizes[0]) > 2 else None

    @property
    def compressed_bytes(self) -> int:
        """Of all frames; the table is not one of them."""
        return self._offsets[-1]

    @property
    def content_bytes(self) -> int:
        """Of all frames, uncompressed."""
        return self._starts[-1]

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, number: int) -> Frame:
        if number < 0:
            raise IndexError(number)
        offset, start = self._offsets[number], self._starts[number]
        return Frame(
            offset,
            self._offsets[number + 1] - offset,
            start,
            self._starts[number + 1] - start,
            self._checksums[number] if self._checksums is not None else None,
        )

    def __iter__(self) -> Iterator[Frame]:
        return (self[number] for number in range(len(self)))

    def at(self, position: int) -> int:
        """The number of the frame that holds this byte of the content. IndexError beyond its end."""
        if not 0 <= position < self.content_bytes:
            raise IndexError(position)
        return bisect_right(self._starts, position) - 1


def table_bytes(count: int, *, checksums: bool = True) -> int:
    """The size of the skippable frame that describes so many frames."""
    entry = _CHECKED_ENTRY if checksums else _ENTRY
    return _FRAME_HEADER.size + count * entry.size + _FOOTER.size


def table_of(entries: list[tuple[int, int, int]]) -> bytes:
    """The table at the end of a file whose frames are (compressed, uncompressed size, checksum)."""
    body = b"".join(_CHECKED_ENTRY.pack(*entry) for entry in entries)
    footer = _FOOTER.pack(len(entries), _HAS_CHECKSUMS, _FOOTER_MAGIC)
    return _FRAME_HEADER.pack(_TABLE_MAGIC, len(body) + len(footer)) + body + footer


def read_table(path: Path) -> SeekTable:
    """The frames of a seekable file, from the table at its end. Raises SeekableError."""
    with FileRanges(path) as source:
        return table_in(source)


def table_in(source: Ranges) -> SeekTable:
    """The same of anything that can read ranges."""
    end, name = source.size_bytes, source.name
    if end < _FRAME_HEADER.size + _FOOTER.size:
        raise SeekableError(f"{name} is too short for a seek table: {end} bytes")
    count, descriptor, magic = _FOOTER.unpack(_exact_range(source, end - _FOOTER.size, _FOOTER.size))
    if magic != _FOOTER_MAGIC or descriptor & _RESERVED:
        raise SeekableError(f"{name} does not end in a seek table")
    entry = _CHECKED_ENTRY if descriptor & _HAS_CHECKSUMS else _ENTRY
    size = table_bytes(count, checksums=entry is _CHECKED_ENTRY)
    if size > end:
        raise SeekableError(f"{name}: its seek table is larger than the file")
    if size > MAX_TABLE_BYTES:
        raise SeekableError(f"{name}: its seek table claims {count:,} frames, more than can be meant")
    raw = _exact_range(source, end - size, size)
    if _FRAME_HEADER.unpack_from(raw) != (_TABLE_MAGIC, size - _FRAME_HEADER.size):
        raise SeekableError(f"{name}: its seek table does not begin where it should")
    found = SeekTable(list(entry.iter_unpack(raw[_FRAME_HEADER.size : size - _FOOTER.size])))
    if found.compressed_bytes != end - size:
        raise SeekableError(f"{name}: its seek table covers {found.compressed_bytes} of {end - size} bytes")
    return found


def ends_in_table(source: Ranges) -> bool:
    """Whether there is a seek table at the end, right or wrong. Without one a .zst is read as a whole."""
    end = source.size_bytes
    if end < _FRAME_HEADER.size + _FOOTER.size:
        return True  # too short for anything, and that is what is to be said of it
    magic: int = _FOOTER.unpack(_exact_range(source, end - _FOOTER.size, _FOOTER.size))[-1]
    return magic == _FOOTER_MAGIC


def require_right_table(path: Path) -> SeekTable:
    """The table; SeekableError unless it names exactly the frames that are in the file."""
    table = read_table(path)
    found = list(walk(path))[:-1]  # the last one is the table itself
    if len(table) != len(found) or not all(map(_agrees, table, found)):
        raise SeekableError(f"{path}: its seek table does not match its frames")
    return table


def require_listed_sizes(source: Ranges, table: SeekTable) -> None:
    """SeekableError if the header of a frame says that it holds something else than the table says.

    A table has no checksum: one flipped bit in a size of it moves all content that follows, and whoever
    reads only that would be given the right bytes of a wrong place. Reads a few bytes of each frame.
    A frame whose header does not tell is believed.
    """
    for frame in table:
        head = source.read_range(frame.offset, min(_LONGEST_HEADER, frame.compressed_bytes))
        if _told(head, frame) not in (None, frame.content_bytes):
            raise SeekableError(
                f"{source.name}: its seek table does not match the frame at byte {frame.offset}"
            )


def require_whole_frames(path: Path) -> None:
    """SeekableError unless the file is whole frames to its last byte, with a table or without."""
    for _ in walk(path):
        pass


def walk(path: Path) -> Iterator[tuple[int, int, int | None]]:
    """(offset, size, content size) of every frame; None: its header does not tell.

    SeekableError unless the last frame ends the file. The library's streaming reader takes a
    truncated file for a shorter one, so the structure is checked here, from the headers of frames
    and blocks alone.
    """
    with open_source(path) as file:
        end = file.seek(0, 2)
        offset = 0
        while offset < end:
            file.seek(offset)
            size, content = _measure(file, path)
            if offset + size > end:
                raise SeekableError(f"{path} is truncated")
            yield offset, size, content
            offset += size


def is_skippable(frame: bytes) -> bool:
    """Whether these bytes are one whole skippable frame."""
    if len(frame) < _FRAME_HEADER.size:
        return False
    magic, size = _FRAME_HEADER.unpack_from(frame)
    return magic in _SKIPPABLE_MAGICS and len(frame) == _FRAME_HEADER.size + size


def exactly(file: FileIO, size: int) -> bytes:
    """The next ``size`` bytes. SeekableError if the file ends before."""
    data = up_to(file, size)
    if len(data) != size:
        raise SeekableError(f"truncated: {size} bytes expected, {len(data)} there")
    return data


def up_to(file: FileIO, size: int) -> bytes:
    """``size`` bytes unless the file ends: an unbuffered read may give less at any time."""
    parts = []
    while size > 0 and (part := file.read(min(size, 8 << 20))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _agrees(listed: Frame, found: tuple[int, int, int | None]) -> bool:
    offset, size, content = found
    if content is None:
        content = listed.content_bytes or -1  # that there is none it must tell
    return (listed.offset, listed.compressed_bytes, listed.content_bytes) == (offset, size, content)


def _told(head: bytes, frame: Frame) -> int | None:
    """What a frame that begins so holds, as far as its header tells; -1 if none begins so."""
    if not head:
        return 0
    if len(head) >= _FRAME_HEADER.size:
        magic, size = _FRAME_HEADER.unpack_from(head)
        if magic in _SKIPPABLE_MAGICS:
            return 0 if size == frame.compressed_bytes - _FRAME_HEADER.size else -1
    try:
        told = zstandard.get_frame_parameters(head).content_size
    except zstandard.ZstdError:
        return -1
    return None if told == zstandard.CONTENTSIZE_UNKNOWN else int(told)


def _exact_range(source: Ranges, offset: int, size: int) -> bytes:
    data = source.read_range(offset, size)
    if len(data) != size:
        raise SeekableError(f"{source.name} is truncated: {size} bytes expected, {len(data)} there")
    return data


def _measure(file: FileIO, path: Path) -> tuple[int, int | None]:
    """The size of the frame that begins here, and of its content as far as its header tells."""
    begin = file.tell()
    head = file.read(_LONGEST_HEADER)
    magic = int.from_bytes(head[:4], "little")
    if magic in _SKIPPABLE_MAGICS and len(head) >= _FRAME_HEADER.size:
        return _FRAME_HEADER.size + _FRAME_HEADER.unpack_from(head)[1], 0
    if magic != _ZSTD_MAGIC:
        raise SeekableError(f"{path}: no frame begins at byte {begin}")
    try:
        header = zstandard.get_frame_parameters(head)
        file.seek(begin + zstandard.frame_header_size(head))
    except zstandard.ZstdError as error:
        raise SeekableError(f"{path}: damaged frame at byte {begin}: {error}") from error
    last = False
    while not last:
        block = int.from_bytes(exactly(file, 3), "little")
        last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
        file.seek(1 if kind == 1 else size, 1)  # kind 1 is one byte, repeated
    end = file.tell() + (4 if header.has_checksum else 0)
    content = header.content_size
    return end - begin, None if content == zstandard.CONTENTSIZE_UNKNOWN else content
