"""From the writer's last close to ``sealed`` and ``backed_up``, against settle plus the work itself."""

from __future__ import annotations

import argparse
import shutil
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time

import apsw
import msgspec
from rich.console import Console
from rich.table import Table

from scripts.benchmarks.common import TODAY, configure, daemon, make_day, path_of, percentile, subscribe
from watcher.settings import Settings


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench closing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--ticks", type=int, default=200_000)
    options = parser.parse_args()
    sealed_after: list[float] = []
    backed_up_after: list[float] = []
    work: list[float] = []
    with TemporaryDirectory(prefix="tickward-bench-") as name:
        folder = Path(name)
        sample = folder / "sample.db"
        make_day(sample, options.ticks)
        configure(folder)
        with daemon(folder), subscribe(folder) as events:
            for number in range(options.rounds):
                key = f"ticks/{TODAY - timedelta(days=number + 1)}"
                path = path_of(folder, TODAY - timedelta(days=number + 1))
                closed_at = _write_and_close(sample, path)
                while (message := events.receive(60)) is not None:
                    if message.subject != key:
                        continue
                    if message.event == "sealed":
                        sealed_after.append(message.time.timestamp() - closed_at)
                    if message.event == "backed_up":
                        backed_up_after.append(message.time.timestamp() - closed_at)
                        break
        work = _work_seconds(folder)
    settle = Settings().watch.settle_seconds
    table = Table(title=f"seconds from close, {options.rounds} days of {options.ticks:,} ticks")
    for column in ("", "p50", "max"):
        table.add_column(column, justify="right")
    for label, values in (("sealed", sealed_after), ("backed up", backed_up_after), ("work alone", work)):
        table.add_row(label, f"{percentile(values, 0.5):.3f}", f"{max(values):.3f}")
    overhead = [total - settle - done for total, done in zip(backed_up_after, work, strict=False)]
    table.add_row("beyond settle + work", f"{percentile(overhead, 0.5):.3f}", f"{max(overhead):.3f}")
    Console().print(table)


def _write_and_close(sample: Path, path: Path) -> float:
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(sample, path)
    connection = apsw.Connection(str(path))
    connection.execute("INSERT INTO ticks (symbol, timestamp, bid, ask) VALUES ('X', 1, 1, 1)")
    connection.close()
    return time()


def _work_seconds(folder: Path) -> list[float]:
    """Seconds of seal and backup together, of each day, as the log has them."""
    spent: dict[str, float] = {}
    for line in (folder / "tickward.jsonl").read_bytes().splitlines():
        row = msgspec.json.decode(line)
        if row.get("event") in ("sealed", "backed_up"):
            spent[row["database"]] = spent.get(row["database"], 0.0) + row["seconds"]
    return list(spent.values())


if __name__ == "__main__":
    main()
