"""SQL on a compressed day, side by side with inflating it and asking the `sqlite3` program."""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from handlers.seekable import compress_file
from scripts.benchmarks.common import environment
from scripts.benchmarks.days import MIDNIGHT_MS, generated
from watcher.demo.ticks import instruments

_ASK = """
import sys, time
from pathlib import Path
from handlers.scan import prefer_file_order
from handlers.vfs import open_path, settle
path, sql = Path(sys.argv[1]), sys.argv[2]
began = time.perf_counter()
connection = open_path(path)
if path.suffix == ".zst":
    prefer_file_order(connection, sql)
rows = connection.execute(sql).fetchall()
settle(connection)
print(time.perf_counter() - began)
"""
"""A process that has only just begun: what it prints is from opening the connection to the checked answer."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench query", description=__doc__)
    parser.add_argument("--ticks", type=int, default=1_680_000, help="of the day (200 MB)")
    parser.add_argument(
        "--rounds", type=int, default=31, help="of range queries; of the others a fifth of that"
    )
    options = parser.parse_args()
    for program in ("zstd", "sqlite3"):
        if shutil.which(program) is None:
            raise SystemExit(f"scripts/bench query: {program} is not installed; nothing to compare with")
    with TemporaryDirectory(prefix="tickward-bench-") as name:
        folder = Path(name)
        plain, packed = folder / "day.db", folder / "day.db.zst"
        generated(plain, "grid", options.ticks)
        compress_file(plain, packed, level=19, frame_bytes=4 << 20, threads=2)
        subprocess.run(["zstd", "-3", "-qf", plain, "-o", folder / "theirs.zst"], check=True)
        size = f"{plain.stat().st_size:,} bytes, compressed {packed.stat().st_size:,}"
        Console(width=110).print(_table(size, folder, plain, packed, options.rounds))


def _table(size: str, folder: Path, plain: Path, packed: Path, rounds: int) -> Table:
    table = Table(title=f"milliseconds; a day of {size}", title_justify="left")
    for column in ("", "median", "p90", "max", "beside the first line"):
        table.add_column(column, justify="right" if column else "left")
    few = max(rounds // 5, 3)
    ranges = _range_queries(rounds)
    for title, queries in (
        ("ten minutes of a symbol, by an index", ranges),
        ("the whole table: avg(ask - bid)", ["SELECT avg(ask - bid) FROM ticks"] * few),
        ("GROUP BY symbol", ["SELECT symbol, count(*), avg(ask - bid) FROM ticks GROUP BY symbol"] * few),
    ):
        table.add_section()
        inflated = [_inflate_and_ask(packed, folder / "inflated.db", sql) for sql in queries[:few]]
        _row(table, f"{title}\n  zstd -d, sqlite3", inflated, inflated)
        whole = [_timed([sys.executable, "-c", _ASK, str(packed), sql]) for sql in queries]
        for label, times in (
            ("  sqlite3 on the plain file", [_timed(["sqlite3", str(plain), sql])[0] for sql in queries]),
            ("  plain file, from opening the connection", [_asked(plain, sql) for sql in queries]),
            ("  compressed, from opening the connection", [inner for _, inner in whole]),
            ("  compressed, from the start of the process", [outer for outer, _ in whole]),
        ):
            _row(table, label, times, inflated)
    return table


def _range_queries(count: int) -> list[str]:
    rng = random.Random(5)
    names = [instrument.symbol for instrument in instruments()[:100]]
    found = []
    for _ in range(count):
        begin = MIDNIGHT_MS + rng.randrange(86_400_000 - 600_000)
        found.append(
            "SELECT count(*), avg(ask - bid), max(bid) FROM ticks"  # noqa: S608
            f" WHERE symbol = '{rng.choice(names)}' AND timestamp BETWEEN {begin} AND {begin + 600_000}"
        )
    return found


def _inflate_and_ask(packed: Path, target: Path, sql: str) -> float:
    command = f'zstd -dqf "{packed}" -o "{target}" && sqlite3 "{target}" "{sql}"'
    return _timed(["bash", "-c", command])[0]


def _asked(path: Path, sql: str) -> float:
    return _timed([sys.executable, "-c", _ASK, str(path), sql])[1]


def _timed(command: list[str]) -> tuple[float, float]:
    """Milliseconds of the whole process, and those it prints, if it does."""
    began = time.perf_counter()
    done = subprocess.run(command, env=environment(), check=True, capture_output=True, text=True)
    outer = (time.perf_counter() - began) * 1000
    try:
        return outer, float(done.stdout) * 1000
    except ValueError:
        return outer, 0.0


def _row(table: Table, label: str, times: list[float], base: list[float]) -> None:
    ordered = sorted(times)
    middle = statistics.median(ordered)
    p90 = ordered[min(len(ordered) * 9 // 10, len(ordered) - 1)]
    ratio = statistics.median(base) / middle
    table.add_row(label, f"{middle:.1f}", f"{p90:.1f}", f"{ordered[-1]:.1f}", f"{ratio:.1f} times as fast")


if __name__ == "__main__":
    main()
