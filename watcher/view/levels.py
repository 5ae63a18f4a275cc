"""How much larger or smaller days become at another compression level. Pure."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from operator import attrgetter

from msgspec import Struct

from watcher.overview import Day

SIZES = (
    *(1.325, 1.262, 1.208, 1.171, 1.165, 1.138, 1.121, 1.114, 1.108, 1.100, 1.093),
    *(1.087, 1.074, 1.068, 1.066, 1.024, 1.013, 1.004, 0.993, 0.988, 0.986, 0.986),
)
"""Of a compressed day at the levels 1 to 22, relative to each other: measured on three sample days.

The table "Levels" of docs/compression.md, where it is said of what they are and how it was measured.
"""
LOOKED_AT = 200
"""At the levels of so many days, those that were compressed last, is looked."""
_ENOUGH_DAYS = 7


class Levels(Struct, frozen=True):
    """What is known of the levels at which days were compressed."""

    usual: int
    """The level of most of those that were looked at; that of the settings if there is none."""
    ratios: dict[int, float]
    """How many times smaller days have become, by level, where there are enough of them."""

    def relative(self, level: int) -> tuple[float, bool]:
        """The size at a level, in sizes at the usual one; and whether recorded days say so."""
        if level == self.usual:
            return 1.0, True
        if level in self.ratios and self.usual in self.ratios:
            return self.ratios[self.usual] / self.ratios[level], True
        return SIZES[level - 1] / SIZES[self.usual - 1], False


def newest_compressed(days: Iterable[Day]) -> list[Day]:
    """Those whose levels are asked for: the journal knows them."""
    packed = (day for day in days if day.ratio and day.compressed_at)
    return heapq.nlargest(LOOKED_AT, packed, key=attrgetter("compressed_at"))


def levels_of(days: Iterable[Day], levels: Mapping[str, int], now: int) -> Levels:
    """What the days tell of levels.

    Args:
        levels: the level of each day, by its key.
        now: the level of the settings.
    """
    raw: Counter[int] = Counter()
    packed: Counter[int] = Counter()
    count: Counter[int] = Counter()
    for day in days:
        if day.bytes and (level := levels.get(day.key)):
            raw[level] += day.bytes
            packed[level] += day.bytes_now
            count[level] += 1
    usual = max(count, key=lambda level: (count[level], level == now), default=now)
    ratios = {level: raw[level] / packed[level] for level in count if count[level] >= _ENOUGH_DAYS}
    return Levels(usual, ratios)
