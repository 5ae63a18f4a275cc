"""How long a command takes to start, beside an interpreter that does nothing, in the same run."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from tempfile import TemporaryDirectory

from scripts.benchmarks.common import environment

COMMANDS = (
    ("--help",),
    ("query", "--help"),
    ("--version",),
    ("config", "check"),
    ("plan",),
    ("inventory",),
    ("events",),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench startup", description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="tickward-bench-") as folder:
        nothing = _median_ms(folder, ["-c", "pass"], options.runs)
        print(f"{'python -c pass':<24} {nothing:7.1f} ms")
        for command in COMMANDS:
            taken = _median_ms(folder, ["-m", "watcher", *command], options.runs)
            print(f"{'tickward ' + ' '.join(command):<24} {taken:7.1f} ms  {taken / nothing:6.1f} times that")


def _median_ms(folder: str, arguments: Sequence[str], runs: int) -> float:
    """The median of some runs in an empty folder; the first, which fills the caches, does not count."""
    return statistics.median([_run_ms(folder, arguments) for _ in range(runs + 1)][1:])


def _run_ms(folder: str, arguments: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(),
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
