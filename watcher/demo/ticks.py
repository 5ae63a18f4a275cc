"""Ticks to write: made up (`realistic`) or read from a file (`from_csv`).

Both are iterators that hold one tick at a time, and both respect what the schema demands: no two
ticks of one symbol have the same time stamp.
"""

from __future__ import annotations

import csv
import gzip
import io
import random
from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate, combinations
from pathlib import Path
from typing import IO

import zstandard
from msgspec import Struct
from msgspec.structs import replace

LIQUIDITY_PROVIDERS = ("LP-NORTH", "LP-SOUTH", "LP-WEST")


class Tick(Struct, frozen=True):
    """One quote of one symbol."""

    symbol: str
    timestamp: int
    """Unix milliseconds, UTC."""
    bid: float
    ask: float
    lp_source: str

    @property
    def spread(self) -> float:
        """``ask - bid`` without the noise of subtracting doubles."""
        return round(self.ask - self.bid, 10)


class Instrument(Struct, frozen=True):
    """What a symbol's prices look like."""

    symbol: str
    price: float
    """Where its random walk begins."""
    steps: int
    """Prices are whole multiples of 1/steps."""
    spread: int
    """The narrowest spread, in steps."""


def realistic(start_ms: int, *, symbols: int = 100, rate: float = 10.0, seed: int = 0) -> Iterator[Tick]:
    """Yield ticks from ``start_ms`` on, for ever, in the order of their time stamps.

    Arrivals are a Poisson process of ``rate`` ticks a second over all ``symbols``; the first ones
    of `instruments` are busier. Prices walk at random on each symbol's grid. The same arguments
    give the same ticks. A symbol that has a tick in this millisecond leaves it to another one; if
    there is none, time moves on by one. So the rate ends at 1000 ticks a second and symbol.

    Raises:
        ValueError: there are not that many symbols, or the rate is not positive.
    """
    known = instruments()
    if not 1 <= symbols <= len(known):
        raise ValueError(f"{symbols} symbols asked for: choose 1 to {len(known)}")
    if not rate > 0:
        raise ValueError(f"a rate of {rate} ticks a second was asked for: it must be positive")
    return _walk(known[:symbols], start_ms, rate, random.Random(seed))


def _walk(chosen: list[Instrument], start_ms: int, rate: float, rng: random.Random) -> Iterator[Tick]:
    busy = list(accumulate(1 / (rank + 10) for rank in range(len(chosen))))
    prices = [round(instrument.price * instrument.steps) for instrument in chosen]
    last = [start_ms - 1] * len(chosen)
    time_ms = float(start_ms)
    while True:
        time_ms += rng.expovariate(rate) * 1000
        for _ in range(20):
            which = bisect(busy, rng.random() * busy[-1], hi=len(busy) - 1)
            if last[which] < int(time_ms):
                break
        else:
            time_ms = float(last[which] + 1)
        last[which] = timestamp = int(time_ms)
        # 0.002 % a tick: about 0.2 % over the 10,000 ticks of a calm day.
        bid = max(1, prices[which] + round(rng.gauss(0, prices[which] * 2e-5)))
        prices[which] = bid
        instrument = chosen[which]
        ask = bid + instrument.spread + int(rng.random() * 3)
        # An integer divided by an integer is correctly rounded: the very double that parsing the
        # price's decimal form gives. Multiplying by a tick size of 0.00001 is not.
        yield Tick(
            symbol=instrument.symbol,
            timestamp=timestamp,
            bid=bid / instrument.steps,
            ask=ask / instrument.steps,
            lp_source=rng.choice(LIQUIDITY_PROVIDERS),
        )


def from_csv(path: Path) -> Iterator[Tick]:
    """Yield the ticks of a CSV file with a header, in the order of the file.

    Needs the columns symbol, timestamp (Unix ms), bid, ask and lp_source; others are ignored. The
    file may end in .gz or .zst. A tick with the time stamp of the symbol's previous one is moved on
    by a millisecond.

    Raises:
        ValueError: a column is missing or a row cannot be read; the message names the line.
        OSError: the file cannot be read.
    """
    last: dict[str, tuple[int, int]] = {}  # symbol -> its previous stamp as read, and as yielded
    with _open_text(path) as lines:
        rows = csv.reader(_readable(lines, path))
        columns = _columns(path, next(rows, []))
        for row in rows:
            try:
                symbol, stamp, bid, ask, lp_source = [row[column] for column in columns]
                tick = Tick(symbol, int(stamp), float(bid), float(ask), lp_source)
            except (ValueError, IndexError) as error:
                message = f"{path}, line {rows.line_num}: {','.join(row)!r} is not a tick"
                raise ValueError(message) from error
            read = timestamp = tick.timestamp
            before = last.get(symbol)
            # Only against the previous one: a tick that comes late keeps its own, older stamp.
            if before is not None and before[0] <= read <= before[1]:
                timestamp = before[1] + 1
            last[symbol] = (read, timestamp)
            yield tick if timestamp == read else replace(tick, timestamp=timestamp)


def _readable(lines: IO[str], path: Path) -> Iterator[str]:
    try:
        yield from lines
    except (zstandard.ZstdError, EOFError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged, or not what its name says: {error}") from error


def _columns(path: Path, header: list[str]) -> list[int]:
    try:
        return [header.index(name) for name in Tick.__struct_fields__]
    except ValueError as error:
        wanted = ", ".join(Tick.__struct_fields__)
        raise ValueError(f"{path}: the first line must name the columns {wanted}") from error


def _open_text(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    if path.suffix == ".zst":
        # Not zstandard.open(): that stops at the end of the first frame without a word.
        frames = zstandard.ZstdDecompressor().stream_reader(
            path.open("rb"), read_across_frames=True, closefd=True
        )
        return io.TextIOWrapper(frames, encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def instruments() -> list[Instrument]:
    """Every symbol there is, the most traded first: currency pairs, metals and indices."""
    in_dollars = {
        "EUR": 1.08, "GBP": 1.27, "AUD": 0.66, "NZD": 0.61, "USD": 1.0, "CAD": 0.73, "CHF": 1.13,
        "JPY": 0.0065, "SGD": 0.74, "NOK": 0.094, "SEK": 0.096, "DKK": 0.145, "PLN": 0.25,
        "ZAR": 0.054, "MXN": 0.055,
    }  # fmt: skip
    pairs = [
        Instrument(base + quote, price, steps=1000 if price > 20 else 100_000, spread=8)
        for base, quote in combinations(in_dollars, 2)
        for price in [in_dollars[base] / in_dollars[quote]]
    ]
    majors = set(list(in_dollars)[:8])
    major = [pair for pair in pairs if {pair.symbol[:3], pair.symbol[3:]} <= majors]
    major.sort(key=lambda pair: "USD" not in pair.symbol)
    others = [
        Instrument("XAUUSD", 2400.0, steps=100, spread=15),
        Instrument("XAGUSD", 29.0, steps=1000, spread=12),
        Instrument("XPTUSD", 980.0, steps=100, spread=60),
        Instrument("XPDUSD", 940.0, steps=100, spread=90),
        Instrument("US500", 5600.0, steps=4, spread=1),
        Instrument("NAS100", 19800.0, steps=4, spread=3),
        Instrument("US30", 40800.0, steps=1, spread=2),
        Instrument("GER40", 18400.0, steps=10, spread=10),
        Instrument("UK100", 8250.0, steps=10, spread=8),
        Instrument("JP225", 38900.0, steps=1, spread=5),
    ]
    return major + others + [pair for pair in pairs if pair not in major]
