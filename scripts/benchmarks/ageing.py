"""The second half of a day's life: restore and verify against `zstd` and `sha256sum`, merge, plan, audit."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from handlers.contract import (
    Archived,
    BackedUp,
    Compressed,
    Done,
    Job,
    Options,
    Paths,
    Restoring,
    Sealed,
    Signature,
    Step,
)
from handlers.table import run
from scripts.benchmarks.common import make_day
from watcher.audit import check
from watcher.events import Opened
from watcher.journal import Journal
from watcher.plan import Doubts, Planner, plan
from watcher.settings import Settings
from watcher.state import Database, Facts, Files


class Day:
    """One sealed day in a folder, and the job that its steps are given."""

    def __init__(self, folder: Path, ticks: int) -> None:
        names = ("db/t.db", "db/t.db.zst", "backup/t.db", "backup/t.db.zst", "archive/t.db.zst")
        self.paths = Paths(*(str(folder / name) for name in names))
        self.job = Job(Step.SEAL, "ticks/2026-01-20", self.paths, Options(quiet_seconds=0.0, threads=2))
        make_day(Path(self.paths.database), ticks)
        self.job = replace(self.job, sealed=self.do(Step.SEAL))
        self.do(Step.BACKUP)
        self.job = replace(self.job, compressed=self.do(Step.COMPRESS))

    def do(self, step: Step, **changes: object) -> object:
        outcome = run(replace(self.job, step=step, **changes))
        if not isinstance(outcome, Done):
            raise SystemExit(f"{step}: {outcome.message}")
        return outcome.result


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench ageing", description=__doc__)
    parser.add_argument("--ticks", type=int, default=1_000_000, help="of the day")
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement; the fastest counts")
    options = parser.parse_args()
    table = Table(title=f"seconds, the fastest of {options.rounds}; a day of {options.ticks:,} ticks")
    for column in ("", "tickward", "beside it", "ratio", "what is beside it"):
        table.add_column(column, justify="left" if column.startswith(("", "what")) else "right")
    with TemporaryDirectory(prefix="tickward-bench-") as name:
        folder = Path(name)
        day = Day(folder, options.ticks)
        for row in (*_restore(day, folder, options.rounds), *_verify(day, options.rounds)):
            table.add_row(*row)
        table.add_row(*_merge(day, options.ticks))
        for row in (*_planning(options.rounds), *_audit(folder)):
            table.add_row(*row)
    Console(width=110).print(table)


def _restore(day: Day, folder: Path, rounds: int) -> list[tuple[str, ...]]:
    target = folder / "restored.db"
    ours = _fastest(
        rounds, lambda: day.do(Step.RESTORE, restoring=Restoring(str(target), force=True)), target
    )
    theirs = folder / "theirs.db"
    command = f"zstd -dfq {day.paths.compressed} -o {theirs} && sha256sum {theirs} && sync {theirs}"
    return [_row("restore", ours, command, rounds, "zstd -d, sha256sum, sync", theirs)]


def _verify(day: Day, rounds: int) -> list[tuple[str, ...]]:
    ours = _fastest(rounds, lambda: day.do(Step.VERIFY))
    both = (day.paths.compressed, day.paths.backup_compressed)
    command = " && ".join(f"zstd -dc {path} | sha256sum" for path in both)
    return [_row("verify both copies", ours, command, rounds, "zstd -dc | sha256sum, twice")]


def _merge(day: Day, ticks: int) -> tuple[str, ...]:
    late = Path(day.paths.database)
    make_day(late, ticks // 10)
    connection = apsw.Connection(str(late))
    connection.execute("UPDATE ticks SET symbol = symbol || '.late'")
    connection.close()
    began = time.monotonic()
    day.do(Step.MERGE)
    return (f"merge {ticks // 10:,} late ticks", f"{time.monotonic() - began:.3f}", "", "", "")


def _planning(rounds: int) -> list[tuple[str, ...]]:
    now = datetime(2026, 1, 20, 12, tzinfo=UTC)
    rows = []
    for count in (200, 10_000, 100_000):
        some = [_cold(number, now) for number in range(count)]
        seconds = _fastest(rounds, lambda some=some: plan(some, Settings(), now))  # type: ignore[misc]
        rows.append((f"plan {count:,} days", f"{seconds:.4f}", "", "", ""))
        seconds = _fastest(rounds, _Again(some, now))
        rows.append((f"plan {count:,} days again, one changed", f"{seconds:.4f}", "", "", ""))
    return rows


class _Again:
    """The daemon's planner, woken because something has happened to one day."""

    def __init__(self, some: list[Database], now: datetime) -> None:
        self._some, self._now, self._planner = some, now, Planner()
        self()

    def __call__(self) -> None:
        middle = len(self._some) // 2
        self._some[middle] = replace(self._some[middle])
        self._planner.plan(self._some, Settings(), self._now, Doubts())


def _cold(number: int, now: datetime) -> Database:
    stream, age = divmod(number, 150)
    day = date(2026, 1, 19) - timedelta(days=age)
    sealed = Sealed("", "aa", 1, 1, 1, 1, 1, 1, _signature())
    times = {"sealed": now - timedelta(days=2, seconds=number), "archived": now - timedelta(days=1)}
    facts = Facts(
        sealed=sealed,
        backed_up=BackedUp("", "aa", 1, 1),
        compressed=Compressed("", "aa", "cc", 1, 1, 19, 1, ""),
        archived=Archived("", "aa", "cc", 1, "rename"),
        times=times,
    )
    files = Files(archived=_signature(), backup_compressed=_signature())
    paths = Paths("", "", "", "", "")
    return Database(f"s{stream}/{day}", f"s{stream}", day, paths, files, facts)


def _signature() -> Signature:
    return Signature(1, 1, 1)


def _audit(folder: Path, events: int = 100_000) -> list[tuple[str, ...]]:
    at = datetime(2026, 1, 20, tzinfo=UTC)
    with Journal.open_for_writing(folder / "journal.db") as journal:
        for first in range(0, events, 1000):
            journal.record([(f"ticks/{first}", Opened("x"))] * 1000, at)
        began = time.monotonic()
        assert check(journal, journal.witness()) is None
        return [(f"audit {events:,} events", f"{time.monotonic() - began:.3f}", "", "", "")]


def _row(
    what: str, ours: float, command: str, rounds: int, name: str, made: Path | None = None
) -> tuple[str, ...]:
    if shutil.which("zstd") is None:
        return (what, f"{ours:.3f}", "-", "-", "zstd is not installed")
    shell = ["bash", "-c", command]
    theirs = _fastest(rounds, lambda: subprocess.run(shell, check=True, capture_output=True), made)
    return (what, f"{ours:.3f}", f"{theirs:.3f}", f"{ours / theirs:.2f}", name)


def _fastest(rounds: int, action: Callable[[], object], made: Path | None = None) -> float:
    """Seconds of the fastest round; what each round makes is removed before it."""
    best = float("inf")
    for _ in range(rounds):
        if made is not None:
            made.unlink(missing_ok=True)
        began = time.monotonic()
        action()
        best = min(best, time.monotonic() - began)
    return best


if __name__ == "__main__":
    main()
