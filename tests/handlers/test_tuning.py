"""The levels: frames are whole, a higher one is smaller, and none needs more memory than it may."""

from __future__ import annotations

from itertools import pairwise

import pytest
import zstandard

from handlers.pages import page_bytes_of
from handlers.seek_table import MAX_FRAME_BYTES
from handlers.seekable import compress_frame
from handlers.tuning import LEVELS, cuts_blocks, parameters
from scripts.benchmarks.days import generated

MIB = 1 << 20
EVERY_LEVEL = range(1, 23)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A day of 25,000 ticks: 3 MB."""
    path = tmp_path_factory.mktemp("tuning") / "day.db"
    generated(path, "grid", 25_000)
    return path.read_bytes()


def packed(day: bytes, level: int, *, cut: bool) -> bytes:
    compressor = zstandard.ZstdCompressor(compression_params=parameters(level, len(day)))
    return compress_frame(compressor, day, page_bytes_of(day) if cut else 0)


@pytest.mark.parametrize("level", EVERY_LEVEL)
@pytest.mark.parametrize("size", [1, 4096, 300_000])
def test_every_level_round_trips_through_a_frame(day: bytes, level: int, size: int) -> None:
    content = day[:size]
    frame = packed(content, level, cut=cuts_blocks(level) and size >= 4096)
    assert zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False) == content
    described = zstandard.get_frame_parameters(frame)
    assert (described.content_size, described.has_checksum) == (size, True)


def test_a_higher_level_is_not_larger(day: bytes) -> None:
    sizes = [len(packed(day, level, cut=cuts_blocks(level))) for level in (1, 2, 3, 5, 7, 9, 12, 15, 17, 19)]
    for lower, higher in pairwise(sizes):
        assert higher <= lower * 1.01
    assert sizes[-1] < sizes[0] * 0.8


@pytest.mark.parametrize("level", [4, 9, 15, 19])
def test_blocks_cut_at_pages_are_smaller(day: bytes, level: int) -> None:
    assert cuts_blocks(level)
    assert len(packed(day, level, cut=True)) < len(packed(day, level, cut=False)) * 0.985


@pytest.mark.parametrize("level", [1, 2, 3, 5, 9, 14, 19])
def test_no_level_is_larger_than_zstd_makes_it(day: bytes, level: int) -> None:
    theirs = zstandard.ZstdCompressor(level=level).compress(day)
    assert len(packed(day, level, cut=cuts_blocks(level))) <= len(theirs) * 1.001


def test_cutting_begins_at_one_level_and_goes_on() -> None:
    cut = [cuts_blocks(level) for level in EVERY_LEVEL]
    assert cut == sorted(cut)
    assert (cut[0], cut[-1]) == (False, True)


def test_the_table_is_what_zstd_is_told() -> None:
    assert list(LEVELS) == list(EVERY_LEVEL)
    for level, row in LEVELS.items():
        told = parameters(level, 4 * MIB)
        assert {name: getattr(told, name) for name in row._fields} == row._asdict()


@pytest.mark.parametrize("level", EVERY_LEVEL)
def test_memory_is_bounded_at_the_largest_frames(level: int) -> None:
    """Two threads' tables beside their frames: under 300 MB, measured with all the rest."""
    tables = parameters(level, 16 * MIB).estimated_compression_context_size()
    assert tables <= 60 * MIB
    assert parameters(level, 4 * MIB).estimated_compression_context_size() <= 50 * MIB


@pytest.mark.parametrize("level", EVERY_LEVEL)
@pytest.mark.parametrize("frame_bytes", [1, 200, 65536, MIB, 3 * MIB, 16 * MIB, MAX_FRAME_BYTES])
def test_no_more_is_searched_than_a_frame_holds(level: int, frame_bytes: int) -> None:
    told = parameters(level, frame_bytes)
    assert told.window_log <= max(10, (frame_bytes - 1).bit_length())
    if level >= 9:
        assert 1 << told.window_log >= frame_bytes
    assert told.estimated_compression_context_size() <= 60 * MIB


@pytest.mark.parametrize("level", [-1, 0, 23])
def test_a_level_that_zstd_has_not_is_refused(level: int) -> None:
    with pytest.raises(ValueError, match="level"):
        parameters(level, MIB)
