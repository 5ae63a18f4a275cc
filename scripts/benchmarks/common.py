"""What the benchmarks share: a folder, a daemon over it, sample days."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path

import apsw

from watcher.config import PREFIX
from watcher.demo.ticks import realistic
from watcher.subscriber import Subscriber

PROJECT = Path(__file__).parents[2]
SCHEMA = (PROJECT / "handlers/schema/ticks.sql").read_text()
TODAY = datetime.now(UTC).date()


def environment() -> dict[str, str]:
    """This process's own, without settings of tickward's."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
    return {**clean, "PYTHONPATH": str(PROJECT)}


def path_of(folder: Path, day: date) -> Path:
    return folder / "db" / f"{day:%Y}" / f"{day:%m}" / f"ticks_{day}.db"


def make_day(path: Path, ticks: int) -> None:
    """A day's database, made up and closed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    start = datetime.combine(TODAY - timedelta(days=1), datetime.min.time(), UTC)
    rows = (
        (t.symbol, t.timestamp, t.bid, t.ask, t.spread, t.lp_source)
        for t in islice(realistic(int(start.timestamp() * 1000), rate=ticks / 86400, seed=1), ticks)
    )
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.execute(SCHEMA)
    with connection:
        connection.executemany(
            "INSERT INTO ticks (symbol, timestamp, bid, ask, spread, lp_source) VALUES (?, ?, ?, ?, ?, ?)",
            rows,
        )
    connection.close()


def configure(folder: Path, **extra: str) -> None:
    """A configuration below the folder, with events on Unix sockets; ``extra`` is TOML by section."""
    sections = {
        "data": 'root = "db"\nbackup = "backup"\nstate = "state"',
        "events": f'publish = "ipc://{folder}/events"\nreplay = "ipc://{folder}/replay"',
        "log": 'file = "tickward.jsonl"',
        **extra,
    }
    text = "\n".join(f"[{name}]\n{body}" for name, body in sections.items())
    (folder / "config.toml").write_text(text)


@contextmanager
def daemon(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon over the folder, stopped at the end."""
    with (folder / "daemon.txt").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "watcher", "run"],
            cwd=folder,
            env=environment(),
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def subscribe(folder: Path) -> Subscriber:
    return Subscriber(f"ipc://{folder}/events", f"ipc://{folder}/replay", since=0)


def cpu_seconds(pid: int) -> float:
    """CPU time that all threads of a process have used."""
    return sum(
        int(Path(thread, "schedstat").read_text().split()[0]) / 1e9
        for thread in Path(f"/proc/{pid}/task").iterdir()
    )


def workers_of(pid: int) -> list[str]:
    """The processes of a daemon's workers, without the tracker that multiprocessing keeps beside them."""
    return [child for child in _children_of(pid) if b"spawn_main" in _command_of(child)]


def publisher_of(pid: int) -> int | None:
    """The process of a daemon that owns the sockets; None while it is started again."""
    found = [child for child in _children_of(pid) if b"watcher.publisher_process" in _command_of(child)]
    return int(found[0]) if found else None


def _children_of(pid: int) -> list[str]:
    """Of all its threads."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [child for children in lists for child in children.read_text().split()]


def _command_of(pid: str) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def memory_mb(pid: int) -> float:
    """Resident memory of one process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def pause(seconds: float) -> None:
    """Let the machine come to rest between two measurements."""
    time.sleep(seconds)
