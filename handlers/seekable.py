"""Compressing a database into a seekable .zst, and reading one back as a whole.

Frames carry their content size and a checksum, and the table at the end repeats both: see
`seek_table` for the format, `tuning` for the parameters, `reader` for reading a part.
"""

from __future__ import annotations

import hashlib
import os
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
from handlers.inner_pages import MAX_BYTES as MAX_INNER_BYTES
from handlers.inner_pages import frame_of as inner_frame
from handlers.inner_pages import inner_pages
from handlers.pages import page_bytes_of, runs
from handlers.progress import Report, silent
from handlers.seek_table import (
    MAX_FRAME_BYTES,
    SeekableError,
    require_whole_frames,
    table_of,
    up_to,
)
from handlers.tuning import cuts_blocks, parameters

T = TypeVar("T")

_FEW = 8
_WORTH_SPLITTING = 2 << 20
_PAGE_MULTIPLE = 1 << 16  # of every page size that SQLite has


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

    ``frame_bytes`` is what a frame holds at the most. The number of threads does not change the
    result. Memory: a few frames a thread, whatever the size of the file.
    """
    with open_source(source) as reader, NewFile(temp, like=source) as writer:
        total = os.fstat(reader.fileno()).st_size
        even = even_frames(total, frame_bytes)
        page_bytes = page_bytes_of(os.pread(reader.fileno(), 18, 0))
        if page_bytes and even % page_bytes:
            page_bytes = 0
        content, output = hashlib.sha256(), _Output(writer)
        parts = _hashed_parts(reader, even, content)
        inner: list[tuple[int, bytes]] = []
        cut = page_bytes if cuts_blocks(level) else 0
        for frame in _compressed(parts, parameters(level, even), cut, threads):
            if page_bytes and len(inner) * page_bytes < MAX_INNER_BYTES:
                inner += inner_pages(frame.content, output.content_bytes, page_bytes)
            output.frame(frame.packed, len(frame.content))
            report(output.content_bytes, total)
        output.end(inner_frame(inner, page_bytes) if inner and total > _FEW * even else b"")
    return Written(content.hexdigest(), output.content_bytes, output.digest.hexdigest(), output.size_bytes)


class _Output:
    """The new file: its frames, and at the end the table of them."""

    def __init__(self, file: NewFile) -> None:
        self._file = file
        self._entries: list[tuple[int, int, int]] = []
        self.digest = hashlib.sha256()
        self.size_bytes = 0
        self.content_bytes = 0

    def frame(self, packed: bytes, content_bytes: int) -> None:
        # A frame ends in the very checksum that the table wants.
        checksum = int.from_bytes(packed[-4:], "little") if content_bytes else 0
        self._entries.append((len(packed), content_bytes, checksum))
        self.content_bytes += content_bytes
        self._write(packed)

    def end(self, skippable: bytes) -> None:
        if skippable:
            self.frame(skippable, 0)
        self._write(table_of(self._entries))

    def _write(self, data: bytes) -> None:
        self.digest.update(data)
        self._file.write(data)
        self.size_bytes += len(data)


def even_frames(size_bytes: int, frame_bytes: int) -> int:
    """The size of frames that are equally large, so that threads have done with the last ones together.

    As few frames as possible, but an even number of them while there are only a few.
    """
    count = -(-size_bytes // frame_bytes)
    if count < _FEW and size_bytes >= _WORTH_SPLITTING:
        count += count % 2
    even = -(-size_bytes // max(count, 1)) or 1
    return min(frame_bytes, -(-even // _PAGE_MULTIPLE) * _PAGE_MULTIPLE)


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
    require_whole_frames(path)
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


def _hashed_parts(reader: FileIO, size: int, digest: hashlib._Hash) -> Iterator[bytes]:
    while part := up_to(reader, size):
        digest.update(part)
        yield part


class _Frame(NamedTuple):
    content: bytes
    packed: bytes


def _compressed(
    parts: Iterator[bytes], chosen: ZstdCompressionParameters, page_bytes: int, threads: int
) -> Iterator[_Frame]:
    """A frame of each part, in order; ``page_bytes`` as `compress_frame`."""
    compressors = threading.local()  # one each: a ZstdCompressor is not safe to share

    def work(part: bytes) -> _Frame:
        if not hasattr(compressors, "own"):
            compressors.own = zstandard.ZstdCompressor(compression_params=chosen)
        return _Frame(part, compress_frame(compressors.own, part, page_bytes))

    return in_order((partial(work, part) for part in parts), threads)


def compress_frame(compressor: zstandard.ZstdCompressor, content: bytes, page_bytes: int) -> bytes:
    """One frame of a database's pages; ``page_bytes`` 0: of anything else."""
    if not page_bytes:
        return compressor.compress(content)
    view, frame = memoryview(content), compressor.compressobj(size=len(content))
    packed: list[bytes] = []
    for begin, end in runs(content, page_bytes):
        if begin:
            packed.append(frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
        packed.append(frame.compress(view[begin:end]))
    packed.append(frame.flush())
    return b"".join(packed)


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
