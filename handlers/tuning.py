"""How zstd is told to compress the pages of tick databases: the one place where that is chosen.

zstd's own levels are tuned for text. These are tuned for days of ticks, whose blocks are cut where the
kind of page changes: `docs/compression.md` has the evidence, `scripts/search_parameters.py` the search.
"""

from __future__ import annotations

from typing import NamedTuple

from zstandard import (
    STRATEGY_BTLAZY2,
    STRATEGY_BTOPT,
    STRATEGY_BTULTRA,
    STRATEGY_BTULTRA2,
    STRATEGY_DFAST,
    STRATEGY_FAST,
    STRATEGY_GREEDY,
    STRATEGY_LAZY,
    STRATEGY_LAZY2,
    ZstdCompressionParameters,
)

from handlers.seek_table import MAX_FRAME_BYTES

_FIRST_THAT_CUTS = 4
_TUNED_FOR_BYTES = 4 << 20
_LARGEST_CHAIN_LOG = 23


class Tuned(NamedTuple):
    """What is told for frames of 4 MiB, in zstd's terms; a log is a power of two."""

    strategy: int
    search_log: int
    min_match: int
    target_length: int
    hash_log: int
    chain_log: int


LEVELS = {
    1: Tuned(STRATEGY_FAST, 1, 7, 0, 14, 13),
    2: Tuned(STRATEGY_FAST, 1, 5, 0, 17, 16),
    3: Tuned(STRATEGY_DFAST, 1, 4, 0, 17, 16),
    4: Tuned(STRATEGY_DFAST, 1, 4, 0, 17, 16),
    5: Tuned(STRATEGY_GREEDY, 2, 4, 2, 19, 18),
    6: Tuned(STRATEGY_LAZY, 1, 4, 4, 19, 18),
    7: Tuned(STRATEGY_LAZY, 2, 4, 4, 19, 18),
    8: Tuned(STRATEGY_LAZY2, 2, 4, 8, 19, 18),
    9: Tuned(STRATEGY_LAZY2, 3, 4, 8, 19, 18),
    10: Tuned(STRATEGY_LAZY2, 4, 4, 16, 20, 19),
    11: Tuned(STRATEGY_LAZY2, 5, 4, 16, 21, 20),
    12: Tuned(STRATEGY_LAZY2, 6, 4, 16, 22, 21),
    13: Tuned(STRATEGY_BTLAZY2, 4, 4, 16, 20, 20),
    14: Tuned(STRATEGY_BTLAZY2, 4, 4, 48, 20, 22),
    15: Tuned(STRATEGY_BTLAZY2, 5, 4, 48, 20, 22),
    16: Tuned(STRATEGY_BTOPT, 1, 3, 64, 20, 22),
    17: Tuned(STRATEGY_BTOPT, 2, 3, 64, 20, 22),
    18: Tuned(STRATEGY_BTOPT, 3, 3, 64, 20, 22),
    19: Tuned(STRATEGY_BTOPT, 4, 3, 64, 20, 22),
    20: Tuned(STRATEGY_BTULTRA, 4, 3, 64, 20, 22),
    21: Tuned(STRATEGY_BTULTRA, 5, 3, 64, 20, 23),
    22: Tuned(STRATEGY_BTULTRA2, 7, 3, 256, 20, 23),
}
"""zstd's scale: each level is smaller, and slower, than the one before. Level 1 is nearly zstd's own."""


def parameters(level: int, frame_bytes: int) -> ZstdCompressionParameters:
    """How frames of at most this size are compressed at this level, 1 to 22.

    The window is the whole frame. For frames above 4 MiB the slow levels' tables double, up to a limit:
    tables that grow with the frame save another 1 %, and cost another 100 MB a thread.

    Raises:
        ValueError: there is no such level, or frames of that size could not be read by all.
    """
    if level not in LEVELS:
        raise ValueError(f"level must be 1..{max(LEVELS)}, not {level}")
    if not 1 <= frame_bytes <= MAX_FRAME_BYTES:
        raise ValueError(f"frame_bytes must be 1..{MAX_FRAME_BYTES}, not {frame_bytes}")
    tuned = LEVELS[level]
    window_log = max(10, (frame_bytes - 1).bit_length())
    hash_log, chain_log = tuned.hash_log, tuned.chain_log
    if tuned.strategy >= STRATEGY_BTOPT and frame_bytes > _TUNED_FOR_BYTES:
        hash_log, chain_log = hash_log + 1, min(chain_log + 1, _LARGEST_CHAIN_LOG)
    return ZstdCompressionParameters(
        strategy=tuned.strategy,
        search_log=tuned.search_log,
        min_match=tuned.min_match,
        target_length=tuned.target_length,
        window_log=window_log,
        hash_log=min(hash_log, window_log + 1),
        chain_log=min(chain_log, window_log + 1),
        write_content_size=1,
        write_checksum=1,
    )


def cuts_blocks(level: int) -> bool:
    """Whether this level's blocks are cut where the kind of page changes.

    That costs the fastest levels more time than it is worth in bytes: a third for 3 %.
    """
    return level >= _FIRST_THAT_CUTS
