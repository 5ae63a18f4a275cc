"""What somebody on call waits for: `status`, `inventory` and the others over a hundred thousand databases.

Beside them, in the same run, `find | sort` over the same trees: what a shell script would do to tell no more
than names and sizes.

    scripts/bench overview [--streams 100] [--days 1000] [--runs 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.benchmarks.common import environment

COMMANDS = (
    ("status", "--json"),
    ("status",),
    ("inventory",),
    ("inventory", "--json"),
    ("inventory", "--csv"),
    ("inventory", "--tier", "gone"),
    ("policy", "--prove"),
    ("forecast",),
)

_TELLING = {"status": (0, 1, 2), "--json": (0, 1, 2)}
"""Exit statuses that tell how things stand, not that something went wrong."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench overview", description=__doc__)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--days", type=int, default=1000, help="of each stream")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--keep-all", action="store_true", help="expire nothing: every database is there")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="tickward-bench-") as name:
        folder = Path(name)
        config = _grow(folder, options)
        _report(folder, config, options.runs)


def _grow(folder: Path, options: argparse.Namespace) -> Path:
    began = time.monotonic()
    # In a process of its own: what this one takes would be counted as its children's.
    make = [sys.executable, "-m", "scripts.sample_tree", str(folder), *_shape(options)]
    subprocess.run(make, check=True, env=environment(), stdout=subprocess.DEVNULL)
    count = options.streams * options.days
    print(f"{count:,} databases of {options.streams} streams, made in {time.monotonic() - began:.0f} s")
    return folder / "config.toml"


def _shape(options: argparse.Namespace) -> list[str]:
    kept = ["--keep-all"] if options.keep_all else []
    return ["--streams", str(options.streams), "--days", str(options.days), *kept]


def _report(folder: Path, config: Path, runs: int) -> None:
    tops = [str(folder / top) for top in ("root", "backup", "archive")]
    script = f"find {' '.join(tops)} -type f -printf '%p %s\\n' | sort"
    baseline, _, _ = _measured(["sh", "-c", script], runs)
    print(f"{'command':<28}{'median':>9}{'most':>9}{'memory':>9}{'find | sort':>13}")
    print(f"{'find | sort':<28}{baseline:>7.2f} s")
    for command in COMMANDS:
        median, most, memory = _measured([sys.executable, "-m", "watcher", "-c", str(config), *command], runs)
        ratio = f"{median / baseline:.1f} x"
        print(f"{' '.join(command):<28}{median:>7.2f} s{most:>7.2f} s{memory:>6} MB{ratio:>13}", flush=True)


def _measured(command: Sequence[str], runs: int) -> tuple[float, float, int]:
    """Median and most seconds, and the largest memory in MB."""
    seconds, memory = [], 0
    for _ in range(runs):
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds.append(time.monotonic() - began)
        memory = max(memory, usage.ru_maxrss >> 10)
        if process.returncode not in _TELLING.get(command[-1], (0, 1)):
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return statistics.median(seconds), max(seconds), memory


if __name__ == "__main__":
    main()
