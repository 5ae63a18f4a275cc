"""Made-up ticks look like a market's; ticks from a file are those of the file."""

from __future__ import annotations

import gzip
from collections import Counter
from decimal import Decimal
from itertools import islice, pairwise
from pathlib import Path

import pytest
import zstandard

from watcher.demo.ticks import Tick, from_csv, instruments, realistic

START_MS = 1_768_780_800_000  # 2026-01-19 00:00 UTC
CSV = """symbol,timestamp,bid,ask,lp_source
EURUSD,1000,1.08,1.0801,LP
USDJPY,1000,150.123456789,150.2,LP-2
EURUSD,1250,1.0802,1.0803,LP
"""


def sample(count: int, **options: float) -> list[Tick]:
    return list(islice(realistic(START_MS, **options), count))  # type: ignore[arg-type]


def test_every_price_is_on_its_symbols_grid() -> None:
    steps = {instrument.symbol: instrument.steps for instrument in instruments()}
    for tick in sample(20_000):
        for price in (tick.bid, tick.ask):
            # str() gives the shortest decimal that is this double: no noise in the last digits.
            assert (Decimal(str(price)) * steps[tick.symbol]) % 1 == 0, tick
        assert tick.ask > tick.bid > 0
        assert (Decimal(str(tick.spread)) * steps[tick.symbol]) % 1 == 0, tick


@pytest.mark.parametrize("rate", [5.0, 50_000.0])
def test_time_never_goes_back_and_no_symbol_has_two_ticks_in_a_millisecond(rate: float) -> None:
    ticks = sample(50_000, rate=rate)
    assert ticks[0].timestamp >= START_MS
    assert all(one.timestamp <= other.timestamp for one, other in pairwise(ticks))
    assert len({(tick.symbol, tick.timestamp) for tick in ticks}) == len(ticks)


def test_arrivals_have_the_rate_and_the_scatter_of_a_poisson_process() -> None:
    ticks = sample(40_000, rate=20)
    seconds = Counter((tick.timestamp - START_MS) // 1000 for tick in ticks)
    whole_seconds = [seconds[second] for second in range(max(seconds))]
    mean = sum(whole_seconds) / len(whole_seconds)
    variance = sum((count - mean) ** 2 for count in whole_seconds) / len(whole_seconds)
    assert 19 < mean < 21
    assert 0.85 < variance / mean < 1.15


def test_there_are_as_many_symbols_as_asked_for_and_the_first_are_the_busiest() -> None:
    symbols = Counter(tick.symbol for tick in sample(50_000, symbols=100))
    assert len(symbols) == 100
    assert symbols["EURUSD"] > symbols[instruments()[99].symbol] * 4


def test_the_same_seed_makes_the_same_ticks() -> None:
    assert sample(1000, seed=1) == sample(1000, seed=1)
    assert sample(1000, seed=1) != sample(1000, seed=2)


def test_what_cannot_be_made_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="choose 1 to"):
        realistic(START_MS, symbols=100_000)
    with pytest.raises(ValueError, match="must be positive"):
        realistic(START_MS, rate=0)


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "csv.zst"])
def test_a_file_of_ticks_is_read_whatever_it_is_packed_in(tmp_path: Path, suffix: str) -> None:
    ticks = sample(3000)
    lines = ["lp_source,symbol,ask,bid,note,timestamp"]
    lines += [f"{t.lp_source},{t.symbol},{t.ask},{t.bid},x,{t.timestamp}" for t in ticks]
    half = "\n".join(lines[:1500]).encode()
    rest = ("\n" + "\n".join(lines[1500:]) + "\n").encode()
    # Two members, two frames: a reader that stops after the first would not be noticed otherwise.
    pack = {"csv": bytes, "csv.gz": gzip.compress, "csv.zst": zstandard.ZstdCompressor().compress}
    path = tmp_path / f"ticks.{suffix}"
    path.write_bytes(pack[suffix](half) + pack[suffix](rest))
    assert list(from_csv(path)) == ticks


def test_prices_keep_every_digit_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ticks.csv"
    path.write_text(CSV)
    assert list(from_csv(path)) == [
        Tick("EURUSD", 1000, 1.08, 1.0801, "LP"),
        Tick("USDJPY", 1000, 150.123456789, 150.2, "LP-2"),
        Tick("EURUSD", 1250, 1.0802, 1.0803, "LP"),
    ]


def test_ticks_of_one_symbol_and_millisecond_are_moved_apart_and_late_ones_are_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ticks.csv"
    rows = [("A", 10), ("A", 10), ("B", 10), ("A", 10), ("A", 11), ("A", 20), ("A", 5), ("A", 6)]
    body = "".join(f"{symbol},{stamp},1,2,LP\n" for symbol, stamp in rows)
    path.write_text("symbol,timestamp,bid,ask,lp_source\n" + body)
    stamps = [(tick.symbol, tick.timestamp) for tick in from_csv(path)]
    assert stamps == [
        ("A", 10), ("A", 11), ("B", 10), ("A", 12), ("A", 13), ("A", 20), ("A", 5), ("A", 6),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line must name"),
        ("symbol,timestamp,bid,ask\n", "first line must name"),
        (CSV + "EURUSD,soon,1,2,LP\n", "line 5: 'EURUSD,soon,1,2,LP' is not a tick"),
        (CSV + "EURUSD,1300,1.0\n", "line 5"),
    ],
)
def test_a_file_that_does_not_hold_ticks_is_refused_by_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "ticks.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        list(from_csv(path))
