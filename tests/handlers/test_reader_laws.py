"""What holds for any file at all: the reader gives what is truly in it, or says that it cannot.

The same target as `scripts/fuzz_reader.py`, which runs it a million times; and what that has found.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.inner_pages import frame_of
from handlers.reader import Reader
from handlers.seek_table import SeekableError
from scripts.fuzz_reader import Memory, check, input_of
from scripts.fuzzing.files import Parts, bases, by_others, damaged
from scripts.fuzzing.truth import Truth

ROOT = Path(__file__).parents[2]
PIECES = [bytes([65 + at]) * 100 for at in range(5)]


def file_of(pieces: list[bytes]) -> Parts:
    return by_others(pieces, checksum=True, size=True, table_checksums=True)


def test_what_nobody_has_damaged_is_read() -> None:
    for each in bases():
        data = each.joined()
        assert check(data) == "read"
        reader, truth = Reader(Memory(data)), Truth(data)
        assert truth.allows(0, reader.size_bytes, reader.read(0, reader.size_bytes))
        reader.settle()
        reader.close()


@settings(max_examples=300)
@given(st.randoms(use_true_random=False))
def test_any_file_is_read_right_or_refused(rng: random.Random) -> None:
    check(damaged(rng))


@settings(max_examples=100)
@given(st.binary(max_size=200), st.sampled_from([b"", file_of([b"content"]).joined()]))
def test_so_are_any_bytes(data: bytes, end: bytes) -> None:
    check(data + end)


def test_cases_are_the_same_for_the_same_seed() -> None:
    assert [input_of(3, at) for at in range(20)] == [input_of(3, at) for at in range(20)]
    assert input_of(3, 1) != input_of(4, 1)


@pytest.mark.parametrize(
    "defect", ["offset += 1", "raise KeyError", "bytearray(3 << 30)", "while True: pass"]
)
def test_the_fuzzer_finds_what_is_wrong(tmp_path: Path, defect: str) -> None:
    """Wrong bytes, another exception, memory and a hang: each ends it with 1 and the input kept."""
    script = f"""
import sys
from handlers.reader import Reader
from scripts import fuzz_reader
def read(self, offset, size, right=Reader.read):
    {defect}
    return right(self, offset, size)
Reader.read = read
fuzz_reader.CASE_SECONDS = 0.5
sys.argv = ["fuzz", "--cases", "200", "--keep", {str(tmp_path)!r}]
sys.exit(fuzz_reader.main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1, ended.stderr
    # They may fail side by side: one that is ended as it fails has kept its input and said nothing yet.
    kept = [path for path in tmp_path.glob("reader-*.zst") if str(path) in ended.stderr]
    assert kept, ended.stderr
    again = [sys.executable, "-m", "scripts.fuzz_reader", "--replay", str(kept[0])]
    assert subprocess.run(again, cwd=ROOT, capture_output=True, check=False).returncode == 0


class TestFound:
    """Once wrong, each of them."""

    def test_a_large_frame_after_small_ones(self) -> None:
        """It was begun ahead of time, pushed out the frame that was being read, and that was a KeyError."""
        pieces = [b"a" * 9, b"b" * 9, b"c" * 9, b"d" * 5000]
        reader = Reader(Memory(file_of(pieces).joined()), cache_bytes=100)
        for at, piece in enumerate(pieces[:3]):
            assert reader.read(9 * at, 9) == piece
        reader.settle()

    @pytest.mark.parametrize("bit", [0, 7, 12, 26])
    def test_one_bit_of_the_table(self, bit: int) -> None:
        """The right bytes of a wrong place: what is not read must be as large as is listed too."""
        parts = file_of(PIECES)
        parts.entries[0][1] ^= 1 << bit
        moved = parts.entries[0][1] - 100
        reader = Reader(Memory(parts.joined()))
        assert reader.read(400 + moved, 10) == b"EEEEEEEEEE"
        with pytest.raises(SeekableError, match="does not match the frame at byte 0"):
            reader.settle()
        with pytest.raises(SeekableError):
            reader.read(400 + moved, 10)

    def test_a_frame_that_the_table_hides(self) -> None:
        """Listed as one without content, as notes of other programs are."""
        parts = file_of(PIECES)
        parts.entries[1][1] = 0
        reader = Reader(Memory(parts.joined()))
        assert reader.read(100, 5) == b"CCCCC"
        with pytest.raises(SeekableError, match="does not match"):
            reader.settle()

    def test_notes_that_are_longer_than_the_table_says(self) -> None:
        """They would take a frame for others, and leave it for us."""
        parts = file_of([b"one", b"", b"two"])
        frame = parts.frames[1]
        parts.frames[1] = frame[:4] + (5 + len(parts.frames[2])).to_bytes(4, "little") + frame[8:]
        reader = Reader(Memory(parts.joined()))
        assert reader.read(0, 10) == b"onetwo"
        with pytest.raises(SeekableError, match="does not match"):
            reader.settle()

    @pytest.mark.parametrize("page_bytes", [512, 4096])
    def test_a_page_beyond_the_end(self, page_bytes: int) -> None:
        """There is nothing to be read there, whatever the copies of inner pages say."""
        parts = file_of(PIECES)
        parts.frames.append(frame_of([(0, b"x" * page_bytes), (9, b"y" * page_bytes)], page_bytes))
        parts.entries.append([len(parts.frames[-1]), 0, 0])
        reader = Reader(Memory(parts.joined()))
        assert reader.read(490, 20) == b"E" * 10
        assert reader.read(9 * page_bytes, 10) == b""
        reader.settle()

    def test_no_frame_where_one_should_be(self) -> None:
        parts = file_of(PIECES)
        parts.frames[0] = b"\0" * len(parts.frames[0])
        reader = Reader(Memory(parts.joined()))
        assert reader.read(200, 5) == b"CCCCC"
        with pytest.raises(SeekableError, match="does not match the frame at byte 0"):
            reader.settle()


def test_an_error_of_the_medium_is_a_clear_one() -> None:
    class Failing(Memory):
        fails = False

        def read_range(self, offset: int, size: int) -> bytes:
            if self.fails:
                raise OSError("the medium")
            return super().read_range(offset, size)

    source = Failing(file_of(PIECES).joined())
    reader = Reader(source)
    reader.read(0, 500)
    source.fails = True
    with pytest.raises(SeekableError, match="the medium"):
        reader.settle()
