#!/usr/bin/env python3
"""Fuzzes the reader of seekable .zst files: `python -m scripts.fuzz_reader --cases 1000000 --seed 1`.

Every case is a valid file, a few hundred bytes to some KiB, with lies and damage put in on purpose,
or just bytes. Whatever it is, what was read and then settled is what decompressing the file as a whole
gives, or there is a SeekableError: no other exception, no hang, no more memory than `MEMORY_BYTES`.

The same seed gives the same cases. An input that fails is kept as a file: `--replay FILE` runs it again.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import random
import resource
import signal
import sys
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import apsw

from handlers.progress import silent
from handlers.reader import Reader
from handlers.seek_table import SeekableError
from handlers.unpack import unpack_file
from handlers.vfs import open_ranges, settle
from scripts.fuzzing.files import bases, damaged, database
from scripts.fuzzing.truth import Truth, whole_content

MEMORY_BYTES = 1536 << 20
"""Of addresses, above what a process has before its first case: frames of 128 MiB, a few at a time."""
CASE_SECONDS = 20
"""A case that takes longer hangs; most take a ten thousandth of that."""

QUERIES = (
    "SELECT count(*), sum(id), sum(number) FROM t",
    "SELECT number FROM t WHERE word = 'word 5' ORDER BY 1",
    "SELECT word, number FROM t WHERE id IN (7, 101, 239) ORDER BY id DESC",
)


class Memory:
    """Ranges of bytes in memory."""

    name = "memory"

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size_bytes = len(data)

    def read_range(self, offset: int, size: int) -> bytes:
        return self._data[offset : offset + size]


class Delayed:
    """A pool whose jobs run when it is told to: any order of events, and the same again tomorrow."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._jobs: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    def submit(self, job: Callable[..., Any], *arguments: Any) -> None:
        self._jobs.append((job, arguments))

    def run_some(self) -> None:
        while self._jobs and self._rng.random() < 0.5:
            job, arguments = self._jobs.pop(self._rng.randrange(len(self._jobs)))
            job(*arguments)

    def shutdown(self, **_: bool) -> None:
        self._jobs.clear()


def check(data: bytes, folder: Path | None = None) -> str:
    """Read this file in some way that its bytes decide: "read", "refused" or "not opened".

    Some are also asked by SQL, and if there is a folder for that, unpacked. AssertionError: a defect.
    """
    rng = random.Random(zlib.crc32(data))
    if rng.random() < 0.02:
        _require_true_rows(data)
    if folder is not None and rng.random() < 0.005:
        _require_true_file(data, folder)
    try:
        reader = Reader(Memory(data), cache_bytes=rng.choice((0, 1000, 4000, 24 << 20)))
    except SeekableError:
        return "not opened"
    threads = reader._background
    delayed = Delayed(rng) if rng.random() < 0.98 else None
    if delayed is not None:
        reader._background = delayed  # type: ignore[assignment]
    outcome, found = "refused", []
    try:
        for offset, size in _places(rng, reader.size_bytes):
            found.append((offset, size, reader.read(offset, size)))
            if delayed is not None:
                delayed.run_some()
        outcome = "read"
    except SeekableError:
        pass
    try:
        reader.settle()
    except SeekableError:
        outcome, found = "refused", []
    _require_true(data, found)
    reader.close()
    threads.shutdown()
    _require_closed(reader)
    return outcome


def _places(rng: random.Random, size: int) -> list[tuple[int, int]]:
    """What is read: pieces here and there, the whole, or one page after the other."""
    way = rng.random()
    if way < 0.3:
        return [(0, size + rng.randrange(3))]
    step = max(size // rng.randrange(1, 30), 1)
    if way < 0.6:
        return [(offset, step) for offset in range(0, min(size, 40 * step), step)]
    last = max(size + 2, 3)
    lengths = (0, 1, 16, 512, step, last, 1 << 40)
    return [(rng.randrange(last), rng.choice(lengths)) for _ in range(rng.randrange(1, 6))]


def _require_true(data: bytes, found: Sequence[tuple[int, int, bytes]]) -> None:
    truth = Truth(data) if found else None
    for offset, size, part in found:
        assert truth is not None
        assert truth.allows(offset, size, part), f"wrong bytes at {offset}, where {size} were asked for"


def _require_closed(reader: Reader) -> None:
    if reader.size_bytes and not reader._inner_pages:
        try:
            reader.read(0, 1)
        except SeekableError:
            return
        raise AssertionError("a closed reader was read from")


def _require_true_rows(data: bytes) -> None:
    """SQL on it gives the right rows, or an error; what rows are right is known of our own database."""
    rows: list[Any] = []
    try:
        connection = open_ranges(Memory(data))
        try:
            rows += (connection.execute(query).get for query in QUERIES)
            settle(connection)
        finally:
            connection.close()
    except (SeekableError, apsw.Error):
        return
    if Truth(data).is_exactly(database()):
        assert rows == true_rows(), f"{rows} where {true_rows()} is right"


def _require_true_file(data: bytes, folder: Path) -> None:
    packed, unpacked = folder / "packed.zst", folder / "unpacked"
    packed.write_bytes(data)
    unpacked.unlink(missing_ok=True)
    try:
        digest = unpack_file(packed, unpacked, report=silent, most_bytes=32 << 20)
    except SeekableError:
        return
    content = whole_content(data)
    assert content is not None, "a file was unpacked that does not decompress"
    assert unpacked.read_bytes() == content
    assert digest == hashlib.sha256(content).hexdigest()


@cache
def true_rows() -> list[Any]:
    """What the queries give of the database as it was before it was packed."""
    connection = apsw.Connection(":memory:")
    connection.deserialize("main", database())
    return [connection.execute(query).get for query in QUERIES]


def input_of(seed: int, number: int) -> bytes:
    """The file of a case."""
    return damaged(random.Random(seed << 40 | number))


class Hang(BaseException):
    """A case took longer than `CASE_SECONDS`."""


def worker(options: argparse.Namespace, first: int, done: Synchronized[int], tally: Any) -> None:
    """Every n-th case from ``first`` on; ends the process with 1 at the first that fails."""
    limit_memory()
    signal.signal(signal.SIGALRM, _hang)
    outcomes: Counter[str] = Counter()
    with TemporaryDirectory(prefix="fuzz-") as name:
        for number in range(first, options.cases, options.processes):
            data = input_of(options.seed, number)
            signal.setitimer(signal.ITIMER_REAL, CASE_SECONDS)
            try:
                outcomes[check(data, Path(name))] += 1
            except BaseException:
                _failed(options.keep, data, f"case {number}")
            signal.setitimer(signal.ITIMER_REAL, 0)
            done.value += 1
    tally.put((outcomes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10))


def limit_memory() -> None:
    """MemoryError, and so a failure, for a case that takes more than `MEMORY_BYTES`."""
    bases()
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _hang(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Hang


def _failed(folder: Path, data: bytes, which: str) -> NoReturn:
    """Keep the input, say what happened, and end the process."""
    path = folder / f"reader-{zlib.crc32(data):08x}.zst"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    print(f"{which} failed; kept as {path}\n{traceback.format_exc()}", file=sys.stderr, flush=True)
    os._exit(1)  # its threads may hang


def fuzz(options: argparse.Namespace) -> int:
    """All cases, in several processes; the exit code."""
    tally: Any = multiprocessing.SimpleQueue()
    done = [multiprocessing.Value("q", 0) for _ in range(options.processes)]
    workers = [
        multiprocessing.Process(target=worker, args=(options, first, count, tally))
        for first, count in enumerate(done)
    ]
    begin = time.monotonic()
    for each in workers:
        each.start()
    whole = watch(workers, done, options.cases)
    seconds, total = time.monotonic() - begin, sum(each.value for each in done)
    found = [tally.get() for each in workers if each.exitcode == 0]
    outcomes = sum((each[0] for each in found), Counter[str]())
    print(
        f"{total:,} cases of seed {options.seed} in {seconds:,.0f} s, {total / seconds:,.0f} a second: "
        + ", ".join(f"{count:,} {name}" for name, count in outcomes.most_common())
        + f"; {max((each[1] for each in found), default=0)} MiB of memory at the most"
    )
    return 0 if whole else 1


def watch(workers: list[Any], done: list[Any], cases: int) -> bool:
    """Wait for the end, or for the first that fails; whether all is well.

    A process that hangs in a library does not notice that itself: it is found here.
    """
    counts, told = [0] * len(done), time.monotonic()
    moved = [told] * len(done)
    while any(each.is_alive() for each in workers):
        workers[0].join(0.2)
        now, before, counts = time.monotonic(), counts, [each.value for each in done]
        moved = [
            now if old != new or not each.is_alive() else since
            for old, new, since, each in zip(before, counts, moved, workers, strict=True)
        ]
        if now - told > 30:
            told = now
            print(f"{sum(counts):,} of {cases:,} cases", file=sys.stderr, flush=True)
        hangs = now - min(moved) > 2 * CASE_SECONDS
        if hangs:
            print(f"hangs after {counts} cases of its processes", file=sys.stderr)
        if hangs or any(each.exitcode for each in workers):
            for each in workers:
                each.kill()
                each.join()
            return False
        if not workers[0].is_alive():
            time.sleep(0.2)
    return all(each.exitcode == 0 for each in workers)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/fuzz_reader.py", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=Path(), help="folder for the input that failed")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="one input that was kept")
    options = parser.parse_args()
    if options.replay is None:
        return fuzz(options)
    with TemporaryDirectory(prefix="fuzz-") as name:
        print(check(options.replay.read_bytes(), Path(name)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
