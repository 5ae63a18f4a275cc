"""What the daemon costs while nothing happens: CPU and memory, with many days in the tree."""

from __future__ import annotations

import argparse
import shutil
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.benchmarks.common import (
    TODAY,
    configure,
    cpu_seconds,
    daemon,
    make_day,
    memory_mb,
    path_of,
    pause,
    publisher_of,
    subscribe,
    workers_of,
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench idle", description=__doc__)
    parser.add_argument("--days", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="tickward-bench-") as name:
        folder = Path(name)
        sample = folder / "sample.db"
        make_day(sample, 100)
        for number in range(options.days):
            path = path_of(folder, TODAY - timedelta(days=number + 1))
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(sample, path)
        configure(folder)
        with daemon(folder) as process, subscribe(folder) as events:
            for _ in range(options.days):
                while (message := events.receive(60)) is not None and message.event != "backed_up":
                    pass
            while workers_of(process.pid):  # idle workers are let go after a while
                pause(1)
            publisher = publisher_of(process.pid)
            assert publisher is not None
            parts = {"the daemon": process.pid, "its publisher": publisher}
            before = {pid: cpu_seconds(pid) for pid in parts.values()}
            pause(options.seconds)
            print(f"idle with {options.days} days:")
            for part, pid in parts.items():
                share = (cpu_seconds(pid) - before[pid]) / options.seconds
                print(f"{part}: {100 * share:.2f} % of one core, {memory_mb(pid):.0f} MB resident")


if __name__ == "__main__":
    main()
