"""Searches zstd's advanced parameters for the best on days of ticks: `python -m scripts.search_parameters`.

    .venv/bin/python -m scripts.search_parameters --sample ticks.csv.zst    (some 15 minutes)
    .venv/bin/python -m scripts.search_parameters --quick                   (a minute or two)

Two days are made up, the same ones each time; each `--sample` adds a day of your own. From its middle
`--part` MiB are taken, and their frames cut into blocks exactly as `handlers.seekable` does it.

1. Each set of parameters is tried on one frame of each day, beginning with those of `handlers.tuning` and
   with zstd's own. All those on the Pareto front (none is smaller and as fast) are changed by one step in
   one parameter, and again, until the front no longer moves or `--candidates` were tried.
2. What is on the front is measured on the whole parts, and for each level the smallest is chosen that is
   fast enough for it. Beside it, what is in `handlers.tuning` now.
3. The choices for levels 9, 19 and 22 are measured at other sizes of frames, with long-distance matching
   and without cut blocks.

Sizes are relative to zstd's own level 19 on the whole part at once, as a geometric mean over the days.
Speeds are content by CPU time of one thread, so that what else runs on the machine counts little. The
same sets are tried in the same order, except where two are so close that the measured time decides.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import zstandard
from zstandard import ZstdCompressionParameters

from handlers.pages import page_bytes_of
from handlers.seekable import compress_frame, even_frames
from handlers.tuning import LEVELS, cuts_blocks, parameters
from scripts.benchmarks.days import KINDS, generated, recorded

MIB = 1 << 20
FRAME_MIB = 4
FRAMES_MIB = (1, 2, 4, 8, 16)
STRATEGIES = ("", "fast", "dfast", "greedy", "lazy", "lazy2", "btlazy2", "btopt", "btultra", "btultra2")
FIRST_OPTIMAL = STRATEGIES.index("btopt")
TARGET_LENGTHS = (0, 2, 4, 8, 16, 32, 64, 128, 256, 512, 999)
NOISE = 1.04
"""Who is faster by less than this is not faster."""
AS_FAST_AS_19 = {16: 4.5, 17: 3.8, 18: 3.2, 19: 2.6, 20: 1.8, 21: 1.2, 22: 0.0}
"""How much faster than zstd's level 19 a level must be. Levels below: as fast as zstd's own, in frames."""


class Candidate(NamedTuple):
    """One set of parameters; the logs are zstd's: powers of two."""

    strategy: int
    search_log: int
    min_match: int
    target_length: int
    hash_log: int
    chain_log: int
    window_log: int
    long_distance: bool = False
    cut: bool = True
    frame_mib: int = FRAME_MIB

    def parameters(self) -> ZstdCompressionParameters:
        return ZstdCompressionParameters(
            strategy=self.strategy,
            search_log=self.search_log,
            min_match=self.min_match,
            target_length=self.target_length,
            hash_log=self.hash_log,
            chain_log=self.chain_log,
            window_log=self.window_log,
            enable_ldm=self.long_distance,
            write_content_size=1,
            write_checksum=1,
        )


class Measured(NamedTuple):
    """What a candidate did on each day."""

    candidate: Candidate
    sizes: tuple[float, ...]
    """Relative to zstd's level 19, in the order of the days."""
    mb_per_second: float

    @property
    def size(self) -> float:
        return math.prod(self.sizes) ** (1 / len(self.sizes))


class Part(NamedTuple):
    """Whole pages from the middle of a day."""

    content: bytes
    page_bytes: int


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="search_parameters", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sample", type=Path, action="append", default=[], help="a day as CSV, plain or .zst"
    )
    parser.add_argument("--ticks", type=int, default=1_680_000, help="of each generated day (200 MB)")
    parser.add_argument("--part", type=int, default=16, help="MiB from the middle of each day")
    parser.add_argument("--candidates", type=int, default=400, help="tried on one frame, at the most")
    parser.add_argument("--quick", action="store_true", help="few candidates, small days: is it working?")
    options = parser.parse_args()
    glance_mib = FRAME_MIB
    if options.quick:
        options.ticks, options.part, options.candidates, glance_mib = 40_000, 4, 80, 1
    with TemporaryDirectory(prefix="tickward-search-") as name, ProcessPoolExecutor(2) as pool:
        days = make_days(pool, Path(name), options.ticks, options.sample)
        glances = Bench(pool, [keep(day, glance_mib, f"{day.stem}.glance") for day in days])
        parts = Bench(pool, [keep(day, options.part, f"{day.stem}.part") for day in days])
        search(glances, parts, options.candidates, (19,) if options.quick else (9, 19, 22))


def make_days(pool: ProcessPoolExecutor, folder: Path, ticks: int, samples: Sequence[Path]) -> list[Path]:
    days = [folder / f"{kind}.db" for kind in KINDS]
    list(pool.map(generated, days, KINDS, [ticks] * len(days)))
    for number, csv in enumerate(samples, 1):
        days.append(folder / f"sample {number}.db")
        recorded(days[-1], csv)
    return days


def keep(day: Path, mib: int, name: str) -> Path:
    """The middle of a day in a file of its own, so that two processes can share it."""
    size, wanted = day.stat().st_size, mib * MIB
    with day.open("rb") as file:
        page_bytes = page_bytes_of(file.read(18))
        file.seek(max(0, (size - wanted) // 2) // page_bytes * page_bytes)
        content = file.read(wanted)
    path = day.with_name(name)
    path.write_bytes(page_bytes.to_bytes(4, "big") + content)
    return path


@cache
def part_of(path: Path) -> Part:
    whole = path.read_bytes()
    return Part(whole[4:], int.from_bytes(whole[:4], "big"))


class Bench:
    """Measures on one part of each day, beside zstd's level 19 on the whole of it."""

    def __init__(self, pool: ProcessPoolExecutor, parts: list[Path]) -> None:
        self._pool = pool
        self._parts = parts
        by_19 = list(pool.map(whole_by_19, parts))
        self._bytes = tuple(size for size, _ in by_19)
        self.speed_of_19 = sum(len(part_of(path).content) for path in parts) / sum(s for _, s in by_19) / 1e6
        self.names = [path.stem for path in parts]

    def measure(self, candidates: Sequence[Candidate]) -> list[Measured]:
        count = len(candidates)
        return list(self._pool.map(measured, candidates, [self._parts] * count, [self._bytes] * count))


def search(glances: Bench, parts: Bench, most: int, shown: Sequence[int]) -> None:
    frame_bytes = FRAME_MIB * MIB
    own = [like(ZstdCompressionParameters.from_level(level, source_size=frame_bytes)) for level in LEVELS]
    used = [like(parameters(level, frame_bytes), cut=cuts_blocks(level)) for level in LEVELS]
    first = [*used, *own, *(one._replace(cut=False) for one in own)]
    found = climb(glances.measure, list(dict.fromkeys(first)), most)
    best = front(found)
    print(f"{len(found)} sets tried on one frame of each day; {len(best)} are on the front.", flush=True)
    theirs = parts.measure([one._replace(cut=False) for one in own])
    table("zstd's own levels, in frames", enumerate(theirs, 1), parts.names)
    table("The levels as they are now", enumerate(parts.measure(used), 1), parts.names)
    whole = front(parts.measure([one.candidate for one in best]))
    table("The front, on the whole parts", (("", one) for one in whole), parts.names)
    chosen = choices(whole, theirs, parts.speed_of_19)
    table("The choice for each level", chosen.items(), parts.names)
    print(f"\nzstd's level 19, the whole part at once: {parts.speed_of_19:.2f} MB/s.", flush=True)
    variants = [
        labelled for level in shown if level in chosen for labelled in others(level, chosen[level].candidate)
    ]
    results = parts.measure([variant for _, variant in variants])
    labels = (label for label, _ in variants)
    table("Other frames and switches", zip(labels, results, strict=True), parts.names)


def like(told: ZstdCompressionParameters, *, cut: bool = True) -> Candidate:
    return Candidate(
        told.strategy, told.search_log, told.min_match, told.target_length,
        told.hash_log, told.chain_log, told.window_log, cut=cut,
    )  # fmt: skip


def climb(
    measure: Callable[[Sequence[Candidate]], list[Measured]], first: list[Candidate], most: int
) -> list[Measured]:
    """Everything that was tried: round by round what is one step away from the front."""
    new, found = first, list[Measured]()
    seen, changed = set(new), set[Candidate]()
    while new and len(found) < most:
        found += measure(new[: most - len(found)])
        print(f"{len(found)} sets tried", file=sys.stderr, flush=True)
        at_front = [one.candidate for one in front(found) if one.candidate not in changed]
        changed.update(at_front)
        steps = dict.fromkeys(step for one in at_front for step in neighbours(one))
        new = [step for step in steps if step not in seen]
        seen.update(new)
    return found


def neighbours(one: Candidate) -> Iterator[Candidate]:
    """Those that differ by one step in one parameter."""
    optimal = one.strategy >= FIRST_OPTIMAL
    limits = {
        "strategy": (1, len(STRATEGIES) - 1),
        "search_log": (1, 9),
        "min_match": (3 if optimal else 4, 7 if not optimal else 6),
        "hash_log": (12, FRAME_MIB.bit_length() + 20),
        "chain_log": (12, FRAME_MIB.bit_length() + 20),
        "window_log": (18, FRAME_MIB.bit_length() + 19),
    }
    for name, (least, largest) in limits.items():
        for step in (-1, 1):
            value = getattr(one, name) + step
            if least <= value <= largest:
                yield one._replace(**{name: value})
    at = min(range(len(TARGET_LENGTHS)), key=lambda at: abs(TARGET_LENGTHS[at] - one.target_length))
    for near in (at - 1, at + 1):
        if 0 <= near < len(TARGET_LENGTHS):
            yield one._replace(target_length=TARGET_LENGTHS[near])
    yield one._replace(cut=not one.cut)


def front(found: Iterable[Measured]) -> list[Measured]:
    """The Pareto front, smallest first: each is faster than all that are smaller."""
    kept: list[Measured] = []
    for one in sorted(found, key=lambda one: (one.size, -one.mb_per_second)):
        if not kept or one.mb_per_second > kept[-1].mb_per_second * NOISE:
            kept.append(one)
    return kept


def choices(found: list[Measured], theirs: list[Measured], speed_of_19: float) -> dict[int, Measured]:
    """For each level the smallest that is fast enough; never faster than the level below it."""
    chosen: dict[int, Measured] = {}
    least = math.inf
    for level in range(1, 23):
        own = theirs[level - 1].mb_per_second
        least = min(least, AS_FAST_AS_19[level] * speed_of_19 if level in AS_FAST_AS_19 else own / NOISE)
        if fast := [one for one in found if one.mb_per_second >= least]:
            chosen[level] = min(fast, key=lambda one: one.size)
    return chosen


def others(level: int, one: Candidate) -> Iterator[tuple[str, Candidate]]:
    """The same with other frames; the window and the tables of a match finder grow along."""
    yield f"{level}, cut the other way", one._replace(cut=not one.cut)
    yield f"{level}, long-distance matching", one._replace(long_distance=True)
    for mib in FRAMES_MIB:
        more = mib.bit_length() - FRAME_MIB.bit_length()
        grown = one._replace(frame_mib=mib, window_log=one.window_log + more)
        yield f"{level}, the same tables", grown
        if more > 0:
            yield (
                f"{level}, larger tables",
                grown._replace(hash_log=one.hash_log + more, chain_log=one.chain_log + more),
            )


def whole_by_19(path: Path) -> tuple[int, float]:
    """What zstd's own level 19 makes of a whole part: bytes, seconds."""
    content = part_of(path).content
    own = ZstdCompressionParameters.from_level(19, source_size=len(content))
    began = time.thread_time()
    size = len(zstandard.ZstdCompressor(compression_params=own).compress(content))
    return size, time.thread_time() - began


def measured(candidate: Candidate, where: list[Path], base: tuple[int, ...]) -> Measured:
    sizes, seconds, content_bytes = [], 0.0, 0
    compressor = zstandard.ZstdCompressor(compression_params=candidate.parameters())
    for path, theirs in zip(where, base, strict=True):
        part = part_of(path)
        even = even_frames(len(part.content), candidate.frame_mib * MIB)
        frames = [part.content[at : at + even] for at in range(0, len(part.content), even)]
        rounds = 3 if candidate.strategy < FIRST_OPTIMAL else 1
        spent = math.inf
        for _ in range(rounds):
            began = time.thread_time()
            page_bytes = part.page_bytes if candidate.cut else 0
            size = sum(len(compress_frame(compressor, frame, page_bytes)) for frame in frames)
            spent = min(spent, time.thread_time() - began)
        sizes.append(size / theirs)
        seconds += spent
        content_bytes += len(part.content)
    return Measured(candidate, tuple(sizes), content_bytes / seconds / 1e6)


def table(title: str, rows: Iterable[tuple[object, Measured]], names: list[str]) -> None:
    print(f"\n{title}\n")
    columns = [
        "", "frame", "strategy", "search", "match", "target", "hash", "chain", "window", "cut", "size",
        *names, "MB/s",
    ]  # fmt: skip
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for label, (one, sizes, speed) in rows:
        cells = [
            label, f"{one.frame_mib} MiB", STRATEGIES[one.strategy], one.search_log, one.min_match,
            one.target_length, one.hash_log, one.chain_log, one.window_log, "yes" if one.cut else "no",
            f"{math.prod(sizes) ** (1 / len(sizes)):.4f}", *(f"{size:.4f}" for size in sizes), f"{speed:.2f}",
        ]  # fmt: skip
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
