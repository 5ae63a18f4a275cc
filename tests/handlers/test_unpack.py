"""Unpacking: with the table or without it the content is the same, and damage is never content."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from handlers.progress import silent
from handlers.seek_table import SeekableError, read_table, table_bytes
from handlers.seekable import compress_file
from handlers.unpack import unpack_file
from tests.handlers.conftest import Child

FRAME = 4096


def packed(tmp_path: Path, data: bytes) -> Path:
    source, target = tmp_path / "source", tmp_path / "packed.zst"
    source.write_bytes(data)
    compress_file(source, target, level=3, frame_bytes=FRAME)
    return target


def unpack(path: Path, threads: int = 2) -> bytes:
    temp = path.with_name("unpacked")
    temp.unlink(missing_ok=True)
    digest = unpack_file(path, temp, threads=threads, report=silent)
    content = temp.read_bytes()
    assert digest == hashlib.sha256(content).hexdigest()
    return content


def table(entries: list[tuple[int, int]]) -> bytes:
    body = b"".join(struct.pack("<II", *entry) for entry in entries)
    body += struct.pack("<IBI", len(entries), 0, 0x8F92EAB1)
    return struct.pack("<II", 0x184D2A5E, len(body)) + body


@pytest.mark.parametrize("threads", [0, 1, 2, 5])
@pytest.mark.parametrize("size", [0, 1, FRAME - 1, FRAME, FRAME + 1, FRAME * 23 + 11])
def test_what_was_packed_comes_back(tmp_path: Path, size: int, threads: int) -> None:
    data = os.urandom(size // 2) + bytes(size - size // 2)
    assert unpack(packed(tmp_path, data), threads) == data


def test_the_new_file_has_the_mode_of_the_old(tmp_path: Path) -> None:
    path = packed(tmp_path, b"content")
    path.chmod(0o640)
    unpack(path)
    assert (tmp_path / "unpacked").stat().st_mode & 0o777 == 0o640


def test_a_file_that_is_there_is_not_touched(tmp_path: Path) -> None:
    path = packed(tmp_path, b"content")
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(FileExistsError):
        unpack_file(path, tmp_path / "taken", report=silent)
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_file_without_a_table_is_unpacked_too(tmp_path: Path) -> None:
    path, data = tmp_path / "plain.zst", os.urandom(50_000)
    frames = [zstandard.ZstdCompressor().compress(part) for part in (data[:20_000], data[20_000:])]
    path.write_bytes(b"".join(frames))
    assert unpack(path) == data


@pytest.mark.parametrize(
    "lie",
    [
        lambda _: [(1, 1)],
        lambda _: [(0xFFFFFFFF, 0xFFFFFFFF)],
        lambda _: [(0xFFFFFFFF, 0xFFFFFFFF)] * 1000,
        lambda _: [],
        lambda true: true[1:],
        lambda true: [(true[0][0] - 1, true[0][1]), (true[1][0] + 1, true[1][1]), *true[2:]],
        lambda true: [(size, 0xFFFFFFFF) for size, _ in true],
        lambda true: [(size, 0) for size, _ in true],
    ],
)
def test_a_table_that_lies_is_not_believed(tmp_path: Path, lie: Callable[[Any], Any]) -> None:
    data = bytes(range(256)) * 100
    path = packed(tmp_path, data)
    frames = list(read_table(path))
    end = frames[-1].offset + frames[-1].compressed_bytes
    entries = lie([(frame.compressed_bytes, frame.content_bytes) for frame in frames])
    path.write_bytes(path.read_bytes()[:end] + table(entries))
    assert unpack(path) == data


LIMITED = """
import resource
from handlers.unpack import unpack_file
from handlers.seek_table import SeekableError
from handlers.progress import silent
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (400 << 20), used + (400 << 20)))
try:
    unpack_file(Path(sys.argv[1]), Path(sys.argv[2]), threads=1, report=silent, most_bytes=1 << 20)
except SeekableError as error:
    say(type(error).__name__)
"""


def test_hostile_sizes_cause_no_huge_allocation(tmp_path: Path, child: Callable[..., Child]) -> None:
    """A frame that claims 4 GiB, in its header and in the table, is not given them."""
    path = tmp_path / "hostile.zst"
    head = bytes([0xA0]) + struct.pack("<I", 0xFFFFFF00)  # single segment, 4 bytes of content size
    block = ((128 * 1024) << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"x"  # one byte, repeated
    frame = struct.pack("<I", 0xFD2FB528) + head + block
    path.write_bytes(frame + table([(len(frame), 0xFFFFFF00)]))
    assert read_table(path)[0].content_bytes == 0xFFFFFF00
    limited = child(LIMITED, path, tmp_path / "unpacked", silent=True)
    assert limited.said() == "SeekableError"


def test_more_than_there_should_be_is_refused_before_it_fills_the_disk(tmp_path: Path) -> None:
    path = packed(tmp_path, bytes(FRAME * 1000))
    temp = tmp_path / "unpacked"
    with pytest.raises(SeekableError, match="more than"):
        unpack_file(path, temp, report=silent, most_bytes=FRAME * 10)
    assert temp.stat().st_size <= FRAME * 10
    temp.unlink()
    unpack_file(path, temp, report=silent, most_bytes=FRAME * 1000)


def test_any_truncation_is_noticed(tmp_path: Path) -> None:
    data = os.urandom(200) + bytes(FRAME)
    path = packed(tmp_path, data)
    whole, boundaries = path.read_bytes(), {frame.offset for frame in read_table(path)}
    table_at = len(whole) - table_bytes(len(boundaries))
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        if size in boundaries | {table_at}:  # whole frames without a table are a whole .zst
            assert data.startswith(unpack(path))
        else:
            with pytest.raises(SeekableError):
                unpack(path)


def test_a_changed_bit_never_passes_for_other_content(tmp_path: Path) -> None:
    """Damage to the table alone costs nothing: the content is all there."""
    data = os.urandom(300) + bytes(FRAME)
    path = packed(tmp_path, data)
    whole, noticed = path.read_bytes(), 0
    frames_end = len(whole) - table_bytes(2)
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        try:
            assert unpack(path) == data
        except SeekableError:
            noticed += 1
    assert noticed > frames_end * 0.9


def test_damage_to_one_frame_is_noticed(tmp_path: Path, flip: Callable[..., None]) -> None:
    path = packed(tmp_path, os.urandom(FRAME * 3))
    flip(path, read_table(path)[1].offset + 100)
    with pytest.raises(SeekableError, match="does not decompress"):
        unpack(path)


def test_a_frame_that_others_put_between_is_passed_over(tmp_path: Path) -> None:
    notes = struct.pack("<II", 0x184D2A51, 5) + b"notes"
    frames = [zstandard.ZstdCompressor().compress(b"one"), notes, zstandard.ZstdCompressor().compress(b"two")]
    path = tmp_path / "other.zst"
    listed = [(len(frame), size) for frame, size in zip(frames, (3, 0, 3), strict=True)]
    path.write_bytes(b"".join(frames) + table(listed))
    assert unpack(path) == b"onetwo"
    hidden = [(len(frame), size) for frame, size in zip(frames, (3, 0, 0), strict=True)]
    path.write_bytes(b"".join(frames) + table(hidden))
    assert unpack(path) == b"onetwo"


@pytest.mark.parametrize("with_table", [True, False])
def test_progress_goes_from_the_first_byte_to_the_last(tmp_path: Path, with_table: bool) -> None:
    path = packed(tmp_path, os.urandom(FRAME * 50))
    told: list[tuple[int, int]] = []
    if not with_table:
        path.write_bytes(path.read_bytes()[: -table_bytes(50)])

    def report(done: int, total: int) -> None:
        told.append((done, total))

    unpack_file(path, tmp_path / "unpacked", report=report)
    size = path.stat().st_size
    assert {total for _, total in told} == {size}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (size, size)
    assert told[0][0] > 0


def test_memory_is_a_few_frames_whatever_the_size(tmp_path: Path, child: Callable[..., Any]) -> None:
    source, path = tmp_path / "source", tmp_path / "packed.zst"
    with source.open("wb") as file:
        for _ in range(200):
            file.write(os.urandom(64 * 1024) * 16)
    compress_file(source, path, level=1, frame_bytes=1 << 20)
    script = """
import resource
from handlers.unpack import unpack_file
from handlers.progress import silent
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
unpack_file(Path(sys.argv[1]), Path(sys.argv[2]), threads=2, report=silent)
say((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    used_mebibytes = int(child(script, path, tmp_path / "unpacked", silent=True).said())
    assert used_mebibytes < 60
