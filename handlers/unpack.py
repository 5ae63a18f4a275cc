"""Unpacking a .zst into a file: as fast as the seek table allows, and without believing it.

The table is only a hint where frames begin. Where it is wrong, missing, or names frames too large to be
held in memory a few at a time, the file is decompressed from its first byte to its last.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import FileIO
from pathlib import Path
from typing import NamedTuple

import zstandard

from handlers.files import NewFile, forget_cached, open_source
from handlers.progress import Report
from handlers.seek_table import (
    MAX_FRAME_BYTES,
    Frame,
    SeekableError,
    SeekTable,
    TooLargeError,
    exactly,
    is_skippable,
    read_table,
)
from handlers.seekable import in_order, streamed

_MAX_PACKED_BYTES = MAX_FRAME_BYTES + MAX_FRAME_BYTES // 128
"""More than what cannot be compressed grows by (zstd's own bound is 1/256)."""

_UNKNOWN_BYTES = -1  # as the library puts it


class _NotAsListedError(Exception):
    """The file is not what its table says: the table lies, or the file is damaged."""


class _Bounds(NamedTuple):
    source: Path
    most_bytes: int | None
    report: Report


def unpack_file(
    source: Path, temp: Path, *, threads: int = 2, report: Report, most_bytes: int | None = None
) -> str:
    """Decompress ``source`` into the new file ``temp``, durable on return; SHA-256 of the content.

    The source is read from the medium; ``report`` is told the bytes of it that were read. Memory: a few
    frames a thread. SeekableError if the file is not whole frames to its last byte, each of them
    right; TooLargeError if it would grow beyond ``most_bytes``; ``temp`` is then left as far as it came.
    """
    table, bounds = _bearable_table(source), _Bounds(source, most_bytes, report)
    with open_source(source) as file, NewFile(temp, like=source) as writer:
        forget_cached(file)
        if table is not None:
            try:
                return _written(bounds, file, writer, _unpacked(file, table, threads))
            except _NotAsListedError:
                file.seek(0)
                writer.restart()
        return _written(bounds, file, writer, streamed(source, file))


def _written(bounds: _Bounds, file: FileIO, writer: NewFile, parts: Iterator[bytes]) -> str:
    content, size, total = hashlib.sha256(), 0, bounds.source.stat().st_size
    with ThreadPoolExecutor(1) as disk:
        for part in parts:
            size += len(part)
            if bounds.most_bytes is not None and size > bounds.most_bytes:
                raise TooLargeError(
                    f"{bounds.source} holds more than the {bounds.most_bytes:,} bytes it should"
                )
            written = disk.submit(writer.write, part)
            content.update(part)  # while the disk is at it
            written.result()
            bounds.report(file.tell(), total)
    bounds.report(total, total)
    return content.hexdigest()


def _bearable_table(source: Path) -> SeekTable | None:
    """The table, if there is one and its frames are of a size that memory can bear."""
    try:
        table = read_table(source)
    except SeekableError:
        return None
    bearable = all(
        each.content_bytes <= MAX_FRAME_BYTES and each.compressed_bytes <= _MAX_PACKED_BYTES for each in table
    )
    return table if bearable and len(table) else None


def _unpacked(file: FileIO, table: SeekTable, threads: int) -> Iterator[bytes]:
    """The content of each frame that has any."""
    unpackers = threading.local()  # one each: a ZstdDecompressor is not safe to share
    packed = ((exactly(file, each.compressed_bytes), each) for each in table)
    jobs = (partial(_content, unpackers, data, each) for data, each in packed)
    return (part for part in in_order(jobs, threads) if part)


def _content(unpackers: threading.local, packed: bytes, frame: Frame) -> bytes:
    """What one frame holds. _NotAsListedError unless it is one whole frame, of the size that is listed."""
    if not hasattr(unpackers, "own"):
        unpackers.own = zstandard.ZstdDecompressor(max_window_size=MAX_FRAME_BYTES)
    if not frame.content_bytes:
        if not is_skippable(packed):
            raise _NotAsListedError
        return b""
    try:
        # Before it is believed: the library gives a frame the memory that its header asks for.
        if zstandard.frame_content_size(packed) not in (frame.content_bytes, _UNKNOWN_BYTES):
            raise _NotAsListedError
        content: bytes = unpackers.own.decompress(
            packed, max_output_size=frame.content_bytes, allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        raise _NotAsListedError from error
    if len(content) != frame.content_bytes:
        raise _NotAsListedError
    return content
