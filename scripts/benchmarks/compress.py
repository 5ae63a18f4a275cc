"""Compressing and restoring whole days, side by side with the `zstd` program: size, time, memory."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from scripts.benchmarks.common import environment
from scripts.benchmarks.days import KINDS, generated, recorded

_COMPRESS = """
import sys
from pathlib import Path
from handlers.seekable import compress_file
source, target, level, frame, threads = sys.argv[1:]
compress_file(Path(source), Path(target), level=int(level), frame_bytes=int(frame), threads=int(threads))
"""
_RESTORE = """
import sys
from pathlib import Path
from handlers.progress import silent
from handlers.unpack import unpack_file
unpack_file(Path(sys.argv[1]), Path(sys.argv[2]), threads=2, report=silent)
"""


class Run(NamedTuple):
    """One process from its start to its end."""

    seconds: float
    peak_bytes: int


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench compress", description=__doc__)
    parser.add_argument(
        "--sample", type=Path, action="append", default=[], help="a day as CSV, plain or .zst"
    )
    parser.add_argument("--ticks", type=int, default=1_680_000, help="of generated days (200 MB)")
    parser.add_argument(
        "--rounds", type=int, default=5, help="of what takes less than ten seconds; the median counts"
    )
    options = parser.parse_args()
    if shutil.which("zstd") is None:
        raise SystemExit("scripts/bench compress: the zstd program is not installed; nothing to compare with")
    with TemporaryDirectory(prefix="tickward-bench-") as name:
        folder = Path(name)
        for csv in options.sample:
            recorded(folder / "day.db", csv)
            _measure(f"the sample {csv.name}", folder, options.rounds)
        for kind, what in KINDS.items():
            generated(folder / "day.db", kind, options.ticks)
            _measure(f"a generated day, {what}", folder, options.rounds)


def _measure(title: str, folder: Path, rounds: int) -> None:
    day = folder / "day.db"
    size = day.stat().st_size
    table = Table(title=f"{title}: {size:,} bytes", title_justify="left")
    for column in ("", "bytes", "size", "seconds", "times as fast", "peak MB"):
        table.add_column(column, justify="right" if column else "left")
    zst, theirs = folder / "day.zst", folder / "theirs.zst"
    base = _median(rounds, ["zstd", "-19", "-T0", "-qf", str(day), "-o", str(theirs)], theirs)
    their_bytes = theirs.stat().st_size
    table.add_row("zstd -19 -T0", f"{their_bytes:,}", "1.000", f"{base.seconds:.2f}", "1.0", _megabytes(base))
    for label, level, frame in (
        ("tickward, the default", 19, 4 << 20),
        ("tickward, the largest frames", 19, 16 << 20),
        ("tickward, level 9", 9, 4 << 20),
        ("tickward, level 22", 22, 4 << 20),
    ):
        command = [sys.executable, "-c", _COMPRESS, str(day), str(zst), str(level), str(frame), "2"]
        ours = _median(rounds, command, zst)
        found = zst.stat().st_size
        table.add_row(
            label, f"{found:,}", f"{found / their_bytes:.3f}", f"{ours.seconds:.2f}",
            f"{base.seconds / ours.seconds:.1f}", _megabytes(ours),
        )  # fmt: skip
    table.add_section()
    _median(1, [sys.executable, "-c", _COMPRESS, str(day), str(zst), "19", str(4 << 20), "2"], zst)
    for row in _restores(folder, zst, theirs, rounds):
        table.add_row(*row)
    Console(width=110).print(table)
    for path in (day, zst, theirs):
        path.unlink()


def _restores(folder: Path, zst: Path, theirs: Path, rounds: int) -> list[tuple[str, ...]]:
    target = folder / "restored.db"
    inflate = f"zstd -dqf {theirs} -o {target}"
    commands = {
        "zstd -d": ["bash", "-c", inflate],
        "zstd -d, sha256sum": ["bash", "-c", f"{inflate} && sha256sum {target}"],
        "zstd -d, sha256sum, sync": ["bash", "-c", f"{inflate} && sha256sum {target} && sync {target}"],
        "tickward: restored, hashed, durable": [sys.executable, "-c", _RESTORE, str(zst), str(target)],
    }
    runs = {label: _median(max(rounds, 5), command, target) for label, command in commands.items()}
    base = runs["zstd -d"].seconds
    return [
        (label, "", "", f"{run.seconds:.3f}", f"{base / run.seconds:.2f}", _megabytes(run))
        for label, run in runs.items()
    ]


def _median(rounds: int, command: list[str], made: Path) -> Run:
    """Of so many runs, or of one if it takes long; what each makes is removed before it."""
    runs: list[Run] = []
    while len(runs) < rounds and sum(run.seconds for run in runs) < 10:
        made.unlink(missing_ok=True)
        runs.append(_run(command))
    return Run(statistics.median(run.seconds for run in runs), max(run.peak_bytes for run in runs))


def _run(command: list[str]) -> Run:
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} failed with exit status {process.returncode}")
    return Run(time.monotonic() - began, usage.ru_maxrss * 1024)


def _megabytes(run: Run) -> str:
    return f"{run.peak_bytes / 1e6:.0f}"


if __name__ == "__main__":
    main()
