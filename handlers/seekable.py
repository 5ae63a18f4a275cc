"""The Zstandard seekable format: independent frames, and a table of them at the end.

The format is public (contrib/seekable_format of the zstd sources): the table is a skippable frame,
so `zstd -d` reads such a file like any other. Frames carry a checksum and their content size. The
table's optional per-frame checksums are left out: the frames have their own.
"""

from __future__ import annotations

import hashlib
import os
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from io import FileIO
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, TypeVar, cast

import zstandard
from zstandard import ZstdCompressionParameters

from handlers.files import CHUNK_BYTES, NewFile, forget_cached, open_source
from handlers.progress import Report, silent

T = TypeVar("T")

_ZSTD_MAGIC = 0xFD2FB528
_TABLE_MAGIC = 0x184D2A5E  # a skippable frame, of the number reserved for this table
_FOOTER_MAGIC = 0x8F92EAB1
_SKIPPABLE_MAGICS = range(0x184D2A50, 0x184D2A60)
_FRAME_HEADER = struct.Struct("<II")  # magic, size
_ENTRY = struct.Struct("<II")  # compressed, uncompressed size
_FOOTER = struct.Struct("<IBI")  # frames, descriptor, magic
_HAS_CHECKSUMS, _RESERVED = 0x80, 0x7C  # bits of the descriptor

MAX_WINDOW_LOG = 27
MAX_FRAME_BYTES = 1 << MAX_WINDOW_LOG
"""What `zstd -d` reads without being given more memory."""
MAX_FRAMES = 0x8000000


class SeekableError(ValueError):
    """This is not a whole seekable file: truncated, damaged or made to deceive."""


class Frame(NamedTuple):
    """Where one frame is in the file, and where its content is in the content."""

    offset: int
    compressed_bytes: int
    start: int
    content_bytes: int


class Written(NamedTuple):
    """What went in and what came out. Both SHA-256 in hex."""

    content_sha256: str
    content_bytes: int
    compressed_sha256: str
    compressed_bytes: int


def compress_file(
    source: Path, temp: Path, *, level: int, frame_bytes: int, threads: int = 1, report: Report = silent
) -> Written:
    """Compress ``source`` into the new file ``temp``, durable on return.

    Memory: a few frames a thread, whatever the size of the file.
    """
    chosen = parameters(level, frame_bytes)
    content, packed = hashlib.sha256(), hashlib.sha256()
    entries: list[tuple[int, int]] = []

    def emit(data: bytes) -> None:
        packed.update(data)
        writer.write(data)

    with open_source(source) as reader, NewFile(temp, like=source) as writer:
        blocks = _hashed_blocks(reader, frame_bytes, content, report)
        for size, frame in _compressed(blocks, chosen, threads):
            emit(frame)
            entries.append((len(frame), size))
        emit(_table(entries))
    compressed_bytes = sum(size for size, _ in entries) + _table_bytes(len(entries))
    content_bytes = sum(size for _, size in entries)
    return Written(content.hexdigest(), content_bytes, packed.hexdigest(), compressed_bytes)


def parameters(level: int, frame_bytes: int) -> ZstdCompressionParameters:
    """How frames of this size are compressed at this level. The one place where that is chosen.

    From level 16 on, one set measured on tick databases takes the place of zstd's own (which are
    tuned for text): a real day became 3 % smaller than with plain level 19, in a third of the time.
    """
    if not 1 <= frame_bytes <= MAX_FRAME_BYTES:
        raise ValueError(f"frame_bytes must be 1..{MAX_FRAME_BYTES}, not {frame_bytes}")
    tuned = {}
    if level >= 16:
        tuned = {
            "strategy": zstandard.STRATEGY_BTULTRA,
            "min_match": 5,
            "search_log": 3,
            "target_length": 128,
        }
    return ZstdCompressionParameters.from_level(
        level, source_size=frame_bytes, write_content_size=1, write_checksum=1, **tuned
    )


def read_back(path: Path) -> Written:
    """Decompress a whole .zst from the medium, seekable or not, and hash both sides of it.

    Does not need the table. Raises SeekableError unless the file is whole frames to its last byte,
    each with a right checksum.
    """
    content, size = hashlib.sha256(), 0
    with open_source(path) as file:
        forget_cached(file)
        source = _HashingReader(file)
        for chunk in streamed(path, source):
            content.update(chunk)
            size += len(chunk)
        while source.read(CHUNK_BYTES):
            pass  # what follows the last frame (the table) belongs to the file's digest
    return Written(content.hexdigest(), size, source.digest.hexdigest(), source.size_bytes)


class Readable(Protocol):
    """As much of a file as decompressing it needs."""

    def read(self, size: int, /) -> bytes: ...


def streamed(path: Path, source: Readable) -> Iterator[bytes]:
    """What the whole file ``path``, open as ``source``, decompresses to, a chunk at a time.

    Does not need the table. Errors as `read_back`; the content is proven only once all was read.
    """
    _require_whole_frames(path)
    unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_FRAME_BYTES)
    reader = unpacker.stream_reader(cast(BinaryIO, source), read_across_frames=True, closefd=False)
    try:
        while chunk := reader.read(CHUNK_BYTES):
            yield chunk
    except zstandard.ZstdError as error:
        raise SeekableError(f"{path} does not decompress: {error}") from error


def sha256_of_content(path: Path) -> str:
    """The SHA-256 of what a .zst decompresses to. Errors as `read_back`."""
    return read_back(path).content_sha256


def read_table(path: Path) -> tuple[Frame, ...]:
    """The frames of a seekable file, from the table at its end. Raises SeekableError."""
    with open_source(path) as file:
        end = file.seek(0, 2)
        if end < _FRAME_HEADER.size + _FOOTER.size:
            raise SeekableError(f"{path} is too short for a seek table: {end} bytes")
        file.seek(end - _FOOTER.size)
        count, descriptor, magic = _FOOTER.unpack(exactly(file, _FOOTER.size))
        if magic != _FOOTER_MAGIC or descriptor & _RESERVED or count > MAX_FRAMES:
            raise SeekableError(f"{path} does not end in a seek table")
        entry_bytes = _ENTRY.size + (4 if descriptor & _HAS_CHECKSUMS else 0)
        table_bytes = _table_bytes(count, entry_bytes)
        if table_bytes > end:
            raise SeekableError(f"{path}: its seek table is larger than the file")
        file.seek(end - table_bytes)
        table = exactly(file, table_bytes)
    if _FRAME_HEADER.unpack_from(table) != (_TABLE_MAGIC, table_bytes - _FRAME_HEADER.size):
        raise SeekableError(f"{path}: its seek table does not begin where it should")
    return _frames(path, table, count, entry_bytes, end - table_bytes)


def require_right_table(path: Path) -> None:
    """SeekableError unless the table names exactly the frames that are in the file."""
    listed = [(each.offset, each.compressed_bytes, each.content_bytes) for each in read_table(path)]
    if listed != [found for found in _walk(path) if found[2] is not None]:
        raise SeekableError(f"{path}: its seek table does not match its frames")


def in_order(jobs: Iterator[Callable[[], T]], threads: int) -> Iterator[T]:
    """What each job returns, in order; ``threads`` of them run, and at most twice as many are kept."""
    threads = max(threads, 1)
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for job in jobs:
                waiting.append(pool.submit(job))
                if len(waiting) >= 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def exactly(file: FileIO, size: int) -> bytes:
    """The next ``size`` bytes. SeekableError if the file ends before."""
    data = _up_to(file, size)
    if len(data) != size:
        raise SeekableError(f"truncated: {size} bytes expected, {len(data)} there")
    return data


def _hashed_blocks(reader: FileIO, size: int, digest: hashlib._Hash, report: Report) -> Iterator[bytes]:
    done, total = 0, os.fstat(reader.fileno()).st_size
    while block := _up_to(reader, size):
        digest.update(block)
        yield block
        done += len(block)
        report(done, total)


def _compressed(
    blocks: Iterator[bytes], chosen: ZstdCompressionParameters, threads: int
) -> Iterator[tuple[int, bytes]]:
    """(content size, frame) of each block, in order."""
    compressors = threading.local()  # one each: a ZstdCompressor is not safe to share

    def work(block: bytes) -> tuple[int, bytes]:
        if not hasattr(compressors, "own"):
            compressors.own = zstandard.ZstdCompressor(compression_params=chosen)
        frame: bytes = compressors.own.compress(block)
        return len(block), frame

    return in_order((partial(work, block) for block in blocks), threads)


def _table_bytes(count: int, entry_bytes: int = _ENTRY.size) -> int:
    return _FRAME_HEADER.size + count * entry_bytes + _FOOTER.size


def _table(entries: list[tuple[int, int]]) -> bytes:
    body = b"".join(_ENTRY.pack(*entry) for entry in entries)
    footer = _FOOTER.pack(len(entries), 0, _FOOTER_MAGIC)
    return _FRAME_HEADER.pack(_TABLE_MAGIC, len(body) + len(footer)) + body + footer


def _frames(path: Path, table: bytes, count: int, entry_bytes: int, end: int) -> tuple[Frame, ...]:
    frames, offset, start = [], 0, 0
    for number in range(count):
        sizes = _ENTRY.unpack_from(table, _FRAME_HEADER.size + number * entry_bytes)
        frames.append(Frame(offset, sizes[0], start, sizes[1]))
        offset, start = offset + sizes[0], start + sizes[1]
    if offset != end:
        raise SeekableError(f"{path}: its seek table covers {offset} of {end} bytes")
    return tuple(frames)


def _require_whole_frames(path: Path) -> None:
    for _ in _walk(path):
        pass


def _walk(path: Path) -> Iterator[tuple[int, int, int | None]]:
    """(offset, size, content size) of every frame; no content size: decompression skips it.

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


def _measure(file: FileIO, path: Path) -> tuple[int, int | None]:
    """The size of the frame that begins here, and of its content as far as its header tells."""
    begin = file.tell()
    head = file.read(18)  # the longest header of a zstd frame
    magic = int.from_bytes(head[:4], "little")
    if magic in _SKIPPABLE_MAGICS and len(head) >= _FRAME_HEADER.size:
        return _FRAME_HEADER.size + _FRAME_HEADER.unpack_from(head)[1], None
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
    return file.tell() - begin + (4 if header.has_checksum else 0), header.content_size


class _HashingReader:
    """A file that remembers what was read from it, so that one reading gives both digests."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size_bytes = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        self.size_bytes += len(data)
        return data


def _up_to(file: FileIO, size: int) -> bytes:
    """``size`` bytes unless the file ends: an unbuffered read may give less at any time."""
    parts = []
    while size > 0 and (part := file.read(min(size, CHUNK_BYTES * 8))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
