"""How zstd is told to compress the pages of tick databases: the one place where that is chosen."""

from __future__ import annotations

import zstandard
from zstandard import ZstdCompressionParameters

from handlers.seek_table import MAX_FRAME_BYTES


def parameters(level: int, frame_bytes: int) -> ZstdCompressionParameters:
    """How frames of at most this size are compressed at this level, 1 to 22.

    From level 16 on, one set measured on tick databases takes the place of zstd's own (which are
    tuned for text).
    """
    if not 1 <= frame_bytes <= MAX_FRAME_BYTES:
        raise ValueError(f"frame_bytes must be 1..{MAX_FRAME_BYTES}, not {frame_bytes}")
    tuned = {}
    if level >= 16:
        tuned = {
            "strategy": zstandard.STRATEGY_BTOPT,
            "min_match": 3,
            "search_log": 4,
            "target_length": 128,
        }
    return ZstdCompressionParameters.from_level(
        level, source_size=frame_bytes, write_content_size=1, write_checksum=1, **tuned
    )
