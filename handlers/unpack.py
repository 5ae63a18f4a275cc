"""Unpacking a .zst into a file: as fast as the seek table allows, and without believing it.

The table is only a hint where to begin. Where it is wrong, missing, or names frames too large to be
held in memory a few at a time, the file is decompressed from its first byte to its last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from io import FileIO
from pathlib import Path

import zstandard

from handlers.files import NewFile, forget_cached, open_source
from handlers.progress import Report
from handlers.seekable import (
    MAX_FRAME_BYTES,
    Frame,
    SeekableError,
    exactly,
    in_order,
    read_table,
    require_right_table,
    streamed,
)

_MAX_PACKED_BYTES = MAX_FRAME_BYTES + MAX_FRAME_BYTES // 128
"""More than what cannot be compressed grows by (zstd's own bound is 1/256)."""


def unpack_file(
    source: Path, temp: Path, *, threads: int = 2, report: Report, most_bytes: int | None = None
) -> str:
    """Decompress ``source`` into the new file ``temp``, durable on return; SHA-256 of the content.

    The source is read from the medium; ``report`` is told the bytes of it that were read. Memory: a few
    frames a thread. SeekableError if the file is not whole frames to its last byte, each of them
    right, or if it would grow beyond ``most_bytes``; ``temp`` is then left as far as it came.
    """
    content, size = hashlib.sha256(), 0
    frames = _trusted_frames(source)
    with open_source(source) as file, NewFile(temp, like=source) as writer:
        total = file.seek(0, 2)
        file.seek(0)
        forget_cached(file)
        parts = _unpacked(source, file, frames, threads) if frames else streamed(source, file)
        for part in parts:
            size += len(part)
            if most_bytes is not None and size > most_bytes:
                raise SeekableError(f"{source} holds more than the {most_bytes:,} bytes it should")
            content.update(part)
            writer.write(part)
            report(file.tell(), total)
        report(total, total)
    return content.hexdigest()


def _trusted_frames(source: Path) -> tuple[Frame, ...]:
    """The frames of the table if it is right and they are of a bearable size; else none."""
    try:
        require_right_table(source)
        frames = read_table(source)
    except SeekableError:
        return ()
    bearable = all(
        each.content_bytes <= MAX_FRAME_BYTES and each.compressed_bytes <= _MAX_PACKED_BYTES
        for each in frames
    )
    return frames if bearable else ()


def _unpacked(path: Path, file: FileIO, frames: tuple[Frame, ...], threads: int) -> Iterator[bytes]:
    jobs = (partial(_frame_content, path, exactly(file, each.compressed_bytes), each) for each in frames)
    return in_order(jobs, threads)


def _frame_content(path: Path, packed: bytes, frame: Frame) -> bytes:
    try:
        # One for each frame: a ZstdDecompressor is not safe to share between threads.
        unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_FRAME_BYTES)
        return unpacker.decompress(packed, max_output_size=frame.content_bytes, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise SeekableError(f"{path}: damaged frame at byte {frame.offset}: {error}") from error
