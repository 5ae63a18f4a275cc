"""The random-access reader: any range is the content's, from any thread, and damage is never handed on."""

from __future__ import annotations

import hashlib
import random
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard

from handlers.reader import Reader
from handlers.seek_table import FileRanges, SeekableError, read_table, table_of
from handlers.seekable import compress_file

FRAME = 64 * 1024


class Memory:
    """Ranges of bytes that are in memory; it counts what is asked of it."""

    name = "memory"

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size_bytes = len(data)
        self.read_bytes = 0

    def read_range(self, offset: int, size: int) -> bytes:
        self.read_bytes += size
        return self.data[offset : offset + size]


def content(size: int, seed: int = 1) -> bytes:
    rng = random.Random(seed)
    words = [rng.randbytes(8) for _ in range(500)]
    return b"".join(rng.choice(words) for _ in range(size // 8 + 1))[:size]


def packed(tmp_path: Path, data: bytes, frame: int = FRAME) -> bytes:
    source, target = tmp_path / "source", tmp_path / "packed.zst"
    source.write_bytes(data)
    target.unlink(missing_ok=True)
    compress_file(source, target, level=3, frame_bytes=frame)
    return target.read_bytes()


def joined(frames: list[bytes], sizes: list[int], packed_sizes: list[int] | None = None) -> bytes:
    entries = [
        (claimed, size, int.from_bytes(frame[-4:], "little"))
        for frame, size, claimed in zip(frames, sizes, packed_sizes or list(map(len, frames)), strict=True)
    ]
    return b"".join(frames) + table_of(entries)


def read_all(reader: Reader, size: int) -> bytes:
    found = reader.read(0, size)
    reader.settle()
    return found


@pytest.mark.parametrize("size", [1, FRAME - 1, FRAME, FRAME + 1, FRAME * 9 + 77])
def test_any_range_is_the_contents(tmp_path: Path, size: int) -> None:
    data = content(size)
    reader = Reader(Memory(packed(tmp_path, data)))
    assert reader.size_bytes == size
    rng = random.Random(size)
    for _ in range(200):
        begin, length = rng.randrange(size + 10), rng.choice((0, 1, 100, 4096, FRAME * 2))
        assert reader.read(begin, length) == data[begin : begin + length]
    reader.settle()
    reader.close()


def test_an_empty_content_has_no_bytes(tmp_path: Path) -> None:
    reader = Reader(Memory(packed(tmp_path, b"")))
    assert (reader.size_bytes, reader.read(0, 10)) == (0, b"")
    reader.settle()


def test_reading_from_the_front_to_the_back_reads_each_frame_once(tmp_path: Path) -> None:
    data = content(FRAME * 40)
    source = Memory(packed(tmp_path, data))
    reader = Reader(source, cache_bytes=4 * FRAME)
    digest = hashlib.sha256()
    for offset in range(0, len(data), 4096):
        digest.update(reader.read(offset, 4096))
    reader.settle()
    assert digest.hexdigest() == hashlib.sha256(data).hexdigest()
    assert source.read_bytes < 1.5 * source.size_bytes


def test_one_page_does_not_cost_the_whole_file(tmp_path: Path) -> None:
    source = Memory(packed(tmp_path, content(FRAME * 40)))
    reader = Reader(source)
    reader.read(FRAME * 20, 100)
    reader.settle()
    assert source.read_bytes < source.size_bytes / 4


@pytest.mark.parametrize("cache_bytes", [0, FRAME, 3 * FRAME])
def test_many_threads_see_the_same(tmp_path: Path, cache_bytes: int) -> None:
    data = content(FRAME * 12 + 5)
    reader = Reader(Memory(packed(tmp_path, data)), cache_bytes=cache_bytes)

    def look(seed: int) -> bool:
        rng = random.Random(seed)
        places = [rng.randrange(len(data)) for _ in range(150)]
        return all(reader.read(place, 5000) == data[place : place + 5000] for place in places)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(look, range(16)))
    reader.settle()
    reader.close()


def test_no_more_frames_are_kept_than_asked_for(tmp_path: Path) -> None:
    reader = Reader(Memory(packed(tmp_path, content(FRAME * 30))), cache_bytes=5 * FRAME)
    for number in [*range(30), 3, 17, 4, 28]:
        reader.read(number * FRAME, 10)
        assert sum(each.frame.content_bytes for each in reader._kept.values()) <= 5 * FRAME


class TestDamage:
    """A frame's checksum comes last: what was handed out before it was seen is taken back by `settle`."""

    def test_a_flipped_bit_anywhere_is_noticed(self, tmp_path: Path) -> None:
        data = content(3000)
        whole = packed(tmp_path, data)
        frame = read_table(tmp_path / "packed.zst")[0]
        noticed = 0
        for position in range(frame.compressed_bytes):
            changed = bytearray(whole)
            changed[position] ^= 1 << position % 8
            try:
                reader = Reader(Memory(bytes(changed)))
                found = reader.read(0, len(data))
                reader.settle()
            except SeekableError:
                noticed += 1
            else:
                assert found == data  # a bit that means nothing
        assert noticed > frame.compressed_bytes * 0.9

    def test_what_was_served_before_the_damage_is_taken_back(self, tmp_path: Path) -> None:
        data = content(FRAME * 3)
        whole = bytearray(packed(tmp_path, data))
        first = read_table(tmp_path / "packed.zst")[0]
        whole[first.compressed_bytes - 1] ^= 1  # its checksum
        reader = Reader(Memory(bytes(whole)))
        with pytest.raises(SeekableError, match="damaged frame at byte 0"):
            read_all(reader, 100)
        with pytest.raises(SeekableError):
            reader.read(FRAME * 2, 100)

    @pytest.mark.parametrize("cut", [1, 3, 4, 5, 100])
    def test_a_frame_that_the_table_cuts_short(self, cut: int) -> None:
        data = content(5000)
        frame = zstandard.ZstdCompressor(write_checksum=True).compress(data)
        rest = zstandard.ZstdCompressor().compress(b"rest")
        source = joined([frame, rest], [5000, 4], [len(frame) - cut, len(rest) + cut])
        reader = Reader(Memory(source))
        with pytest.raises(SeekableError):
            read_all(reader, 5000)

    @pytest.mark.parametrize("claimed", [1, 4999, 5001, 100_000, 4 << 20])
    def test_a_table_that_lies_about_the_content(self, claimed: int) -> None:
        frame = zstandard.ZstdCompressor(write_checksum=True).compress(content(5000))
        reader = Reader(Memory(joined([frame], [claimed])))
        with pytest.raises(SeekableError):
            read_all(reader, claimed)

    def test_a_frame_of_4_gib_is_not_given_them(self) -> None:
        reader = Reader(Memory(joined([b"x" * 100], [0xFFFFFF00])))
        with pytest.raises(SeekableError, match="no more than"):
            reader.read(0, 10)

    def test_a_source_that_becomes_shorter(self, tmp_path: Path) -> None:
        source = Memory(packed(tmp_path, content(FRAME * 4)))
        reader = Reader(source)
        source.data = source.data[:1000]
        with pytest.raises(SeekableError, match="ends within it"):
            reader.read(FRAME * 3, 100)

    def test_a_closed_reader_says_so(self, tmp_path: Path) -> None:
        reader = Reader(Memory(packed(tmp_path, content(FRAME))))
        reader.close()
        with pytest.raises(SeekableError, match="closed"):
            reader.read(0, 1)


def test_nobody_waits_for_ever_for_a_frame_that_cannot_be_inflated(tmp_path: Path) -> None:
    """Eight threads ask for the same damaged frame at once: each of them is told."""
    whole = bytearray(packed(tmp_path, content(FRAME)))
    whole[200:260] = bytes(60)
    reader = Reader(Memory(bytes(whole)))
    together = threading.Barrier(8)

    def look(_: int) -> str:
        together.wait()
        try:
            reader.read(0, FRAME)
            reader.settle()
        except SeekableError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(8) as pool:
        assert all("damaged frame" in said for said in pool.map(look, range(8)))


class TestByOthers:
    """Seekable files as other programs write them."""

    @pytest.mark.parametrize("size", [1000, 8192, 300_000])
    def test_frames_without_checksums_and_without_sizes(self, size: int) -> None:
        data = content(size * 5)
        parts = [data[begin : begin + size] for begin in range(0, len(data), size)]
        frames = []
        for part in parts:
            frame = zstandard.ZstdCompressor(write_content_size=False, write_checksum=False).compressobj()
            frames.append(frame.compress(part) + frame.flush())
        body = b"".join(struct.pack("<II", len(f), len(p)) for f, p in zip(frames, parts, strict=True))
        body += struct.pack("<IBI", len(frames), 0, 0x8F92EAB1)
        reader = Reader(Memory(b"".join(frames) + struct.pack("<II", 0x184D2A5E, len(body)) + body))
        assert reader.read(size - 10, size * 3) == data[size - 10 : size * 4 - 10]
        reader.settle()

    def test_frames_without_content_between_the_others(self) -> None:
        skippable = struct.pack("<II", 0x184D2A51, 5) + b"notes"
        one, two = (zstandard.ZstdCompressor().compress(text) for text in (b"one", b"two"))
        source = joined([one, skippable, two], [3, 0, 3])
        reader = Reader(Memory(source))
        assert reader.read(0, 10) == b"onetwo"
        reader.settle()


def test_a_file_is_read_where_it_lies(tmp_path: Path) -> None:
    data = content(FRAME * 2)
    packed(tmp_path, data)
    source = FileRanges(tmp_path / "packed.zst")
    reader = Reader(source)
    assert reader.read(FRAME - 5, 10) == data[FRAME - 5 : FRAME + 5]
    reader.close()
    source.close()
