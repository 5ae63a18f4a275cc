"""The seekable format: what is written is read by others, and what is damaged is not believed."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
import zstandard

from handlers import seek_table, seekable
from handlers.seek_table import SeekableError

FRAME = 4096


def content(size: int) -> bytes:
    block = b"".join(struct.pack("<IH", i * 7919, i % 37) for i in range(2000))
    return (block * (size // len(block) + 1))[:size]


def write(tmp_path: Path, data: bytes, threads: int = 1, frame: int = FRAME) -> Path:
    source, target = tmp_path / "source", tmp_path / "target.zst"
    source.write_bytes(data)
    target.unlink(missing_ok=True)
    written = seekable.compress_file(source, target, level=3, frame_bytes=frame, threads=threads)
    assert written.content_sha256 == hashlib.sha256(data).hexdigest()
    assert written.content_bytes == len(data)
    assert written.compressed_sha256 == hashlib.sha256(target.read_bytes()).hexdigest()
    assert written.compressed_bytes == target.stat().st_size
    assert seekable.read_back(target) == written
    return target


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("size", [0, 1, FRAME - 1, FRAME, FRAME + 1, FRAME * 4, FRAME * 23 + 11])
def test_every_frame_is_where_the_table_says(tmp_path: Path, size: int, threads: int) -> None:
    data = content(size)
    target = write(tmp_path, data, threads)
    packed = target.read_bytes()
    frames = seek_table.read_table(target)
    seek_table.require_right_table(target)
    assert len(frames) == -(-size // FRAME)
    unpacker = zstandard.ZstdDecompressor()
    for frame in frames:
        assert frame.content_bytes <= FRAME
        part = packed[frame.offset : frame.offset + frame.compressed_bytes]
        plain = unpacker.decompress(part, allow_extra_data=False)
        assert plain == data[frame.start : frame.start + frame.content_bytes]
        described = zstandard.get_frame_parameters(part)
        assert described.has_checksum
        assert described.content_size == frame.content_bytes


def test_threads_do_not_change_the_result(tmp_path: Path) -> None:
    data = content(FRAME * 31 + 5)
    one = write(tmp_path, data, 1).read_bytes()
    assert write(tmp_path, data, 4).read_bytes() == one


@pytest.mark.skipif(shutil.which("zstd") is None, reason="the zstd program is not installed")
@pytest.mark.parametrize("size", [0, 1, FRAME * 9 + 3])
def test_the_zstd_program_reads_it(tmp_path: Path, size: int) -> None:
    target = write(tmp_path, content(size))
    result = subprocess.run(["zstd", "-dc", target], capture_output=True, check=True)
    assert result.stdout == content(size)


@pytest.mark.parametrize("level", [1, 9, 15, 16, 19, 22])
def test_every_level_round_trips_at_the_real_frame_size(tmp_path: Path, level: int) -> None:
    source, target = tmp_path / "source", tmp_path / "target.zst"
    source.write_bytes(content(300_000))
    frame_bytes = 4 * 1024 * 1024
    written = seekable.compress_file(source, target, level=level, frame_bytes=frame_bytes)
    assert seekable.read_back(target) == written
    assert seekable.parameters(level, frame_bytes).window_log >= min(22, 19 + level // 9)


@pytest.mark.parametrize("frame_bytes", [0, -1, seek_table.MAX_FRAME_BYTES + 1])
def test_a_frame_size_nobody_could_read_is_refused(frame_bytes: int) -> None:
    with pytest.raises(ValueError, match="frame_bytes"):
        seekable.parameters(19, frame_bytes)


def test_any_truncation_is_noticed(tmp_path: Path) -> None:
    target = write(tmp_path, content(500), frame=200)
    packed = target.read_bytes()
    boundaries = {frame.offset for frame in seek_table.read_table(target)}
    table = len(packed) - seek_table.table_bytes(len(boundaries))
    for size in range(len(packed)):
        target.write_bytes(packed[:size])
        with pytest.raises(SeekableError):
            seek_table.read_table(target)
        if size not in boundaries | {table}:  # whole frames without a table are a whole .zst
            with pytest.raises(SeekableError):
                seekable.read_back(target)


def test_a_changed_bit_never_passes_for_other_content(tmp_path: Path) -> None:
    """Some bits of the format mean nothing; those that do are covered by the checksums."""
    plain = content(500)
    target = write(tmp_path, plain, frame=200)
    packed, noticed = target.read_bytes(), 0
    for position in range(len(packed)):
        changed = bytearray(packed)
        changed[position] ^= 1 << position % 8
        target.write_bytes(changed)
        try:
            found = seekable.read_back(target)
            seek_table.require_right_table(target)
        except SeekableError:
            noticed += 1
        else:
            assert found.content_sha256 == hashlib.sha256(plain).hexdigest()
    assert noticed > len(packed) * 0.9


def table(count: int, entries: list[tuple[int, int]], descriptor: int = 0) -> bytes:
    body = b"".join(struct.pack("<II", *entry) for entry in entries)
    body += struct.pack("<IBI", count, descriptor, 0x8F92EAB1)
    return struct.pack("<II", 0x184D2A5E, len(body)) + body


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"\x00" * 17,
        table(0xFFFFFFFF, []),
        table(0x08000000, []),
        table(2, [(0, 0)]),
        table(1, [(0, 0), (0, 0)]),
        table(1, [(1, 1)]),
        table(1, [(0xFFFFFFFF, 0xFFFFFFFF)]),
        table(0, [], descriptor=0x04),
        b"x" + table(0, []),
        table(0, [])[4:],
    ],
)
def test_a_hostile_table_is_refused(tmp_path: Path, hostile: bytes) -> None:
    target = tmp_path / "hostile.zst"
    target.write_bytes(hostile)
    with pytest.raises(SeekableError):
        seek_table.read_table(target)


def test_a_table_with_checksums_by_another_program_is_read(tmp_path: Path) -> None:
    target = tmp_path / "other.zst"
    frame = zstandard.ZstdCompressor().compress(b"content")
    body = struct.pack("<III", len(frame), 7, 0xABCD) + struct.pack("<IBI", 1, 0x80, 0x8F92EAB1)
    target.write_bytes(frame + struct.pack("<II", 0x184D2A5E, len(body)) + body)
    assert list(seek_table.read_table(target)) == [seek_table.Frame(0, len(frame), 0, 7, 0xABCD)]
    assert seekable.sha256_of_content(target) == hashlib.sha256(b"content").hexdigest()


def test_a_table_that_lies_about_its_frames_is_found_out(tmp_path: Path) -> None:
    target = tmp_path / "liar.zst"
    frames = [zstandard.ZstdCompressor().compress(data) for data in (b"one", b"three")]
    total = len(frames[0]) + len(frames[1])
    target.write_bytes(b"".join(frames) + table(2, [(total - 1, 3), (1, 5)]))
    seek_table.read_table(target)
    with pytest.raises(SeekableError, match="does not match"):
        seek_table.require_right_table(target)


def test_garbage_behind_the_last_frame_is_not_ignored(tmp_path: Path) -> None:
    target = write(tmp_path, content(FRAME))
    target.write_bytes(target.read_bytes() + b"more")
    with pytest.raises(SeekableError):
        seekable.read_back(target)
