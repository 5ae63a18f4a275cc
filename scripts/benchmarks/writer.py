"""The writer's commit latency: alone, and while the daemon seals, backs up and compresses other days.

Rounds of both are run in turn on the same cores, so that a noisy machine is noisy to both.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from scripts.benchmarks.common import (
    TODAY,
    configure,
    daemon,
    environment,
    make_day,
    path_of,
    pause,
    percentile,
    subscribe,
)

Latencies = list[float]


def main() -> None:
    options = _options()
    alone: Latencies = []
    beside: Latencies = []
    with TemporaryDirectory(prefix="tickward-bench-") as name:
        folder = Path(name)
        sample = folder / "sample.db"
        make_day(sample, options.ticks)
        print(
            f"writer: {options.rate} ticks/s in commits of 10 ms; work: {options.days} other days of "
            f"{sample.stat().st_size / 1e6:.0f} MB, {options.rounds} rounds"
        )
        for number in range(options.rounds):
            found, seconds = _beside(folder / f"work{number}", sample, options)
            beside += found
            pause(1)
            alone += _alone(folder / f"alone{number}", options, seconds)
            pause(1)
            shutil.rmtree(folder / f"work{number}")
    _report(alone, beside)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench writer", description=__doc__)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--ticks", type=int, default=400_000, help="in each of the other days")
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="compress.threads")
    return parser.parse_args()


def _writer(folder: Path, rate: int) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    arguments = ["--root", str(folder / "db"), "--rate", str(rate), "--commit-every", "0.01"]
    arguments += ["--latencies", str(folder / "latencies.txt")]
    return subprocess.Popen(
        [sys.executable, "-m", "watcher.demo.writer", *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )


def _end(writer: subprocess.Popen[str], folder: Path) -> Latencies:
    writer.send_signal(signal.SIGTERM)
    writer.communicate()
    lines = (folder / "latencies.txt").read_text().split()
    return [float(line) for line in lines[20:]]  # without the first fifth of a second


def _beside(folder: Path, sample: Path, options: argparse.Namespace) -> tuple[Latencies, float]:
    """Latencies while the daemon works, and how long that took."""
    folder.mkdir()
    days = [TODAY - timedelta(days=n + 1) for n in range(options.days)]
    for day in days:
        path_of(folder, day).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sample, path_of(folder, day))
    compress = f'after_days = 0\nschedule = "on_rotation"\nthreads = {options.threads}'
    configure(folder, compress=compress)
    with daemon(folder), subscribe(folder) as events:
        first = last = None
        left = {f"ticks/{day}" for day in days}
        writer = _writer(folder, options.rate)
        while left:
            message = events.receive(timeout_seconds=600)
            assert message is not None, "the daemon does not get on"
            first = first or message.time
            last = message.time
            if message.event == "compressed":
                left.discard(message.subject)
        found = _end(writer, folder)
    assert first is not None
    assert last is not None
    return found, (last - first).total_seconds()


def _alone(folder: Path, options: argparse.Namespace, seconds: float) -> Latencies:
    writer = _writer(folder, options.rate)
    pause(seconds)
    return _end(writer, folder)


def _report(alone: Latencies, beside: Latencies) -> None:
    table = Table(title="commit latency of the writer, ms")
    for column in ("", "alone", "beside the daemon at work", "ratio"):
        table.add_column(column, justify="right")
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)):
        one, two = percentile(alone, share), percentile(beside, share)
        table.add_row(name, f"{one:.3f}", f"{two:.3f}", f"{two / one:.2f}")
    table.add_row("max", f"{max(alone):.3f}", f"{max(beside):.3f}", f"{max(beside) / max(alone):.2f}")
    table.add_row("commits", str(len(alone)), str(len(beside)), "")
    Console().print(table)


if __name__ == "__main__":
    main()
