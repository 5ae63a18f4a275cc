"""The stage of the demonstration: a temporary folder, a scaled clock, the real daemon, the real writer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import json

from watcher.clock import ScaledClock
from watcher.config import PREFIX, Settings, load
from watcher.errors import TickwardError

START = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday, so that two weeks hold the Sunday on which the first days are compressed."""
TICKS_A_DAY = 20_000
_STOP_SECONDS = 40.0


class Stage:
    """Two real processes in a folder of their own, on a clock that both of them share.

    Args:
        folder: where everything happens; made by the caller, kept or removed by the caller.
        days: how many days the writer writes.
        seconds_a_day: real seconds for each of them.
    """

    def __init__(self, folder: Path, days: int, seconds_a_day: float) -> None:
        self.folder = folder
        self.days = days
        self.end = START + timedelta(days=days)
        self._scale = 86400 / seconds_a_day
        self._origin = time.time()
        self.clock = ScaledClock(START, self._origin, self._scale)
        self.report = folder / "writer.jsonl"
        (folder / "config.toml").write_text(self._configuration())
        self.settings: Settings = load(folder / "config.toml", environment={})
        self._daemon: subprocess.Popen[bytes] | None = None
        self._writer: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the daemon, then the writer, which rotates on the daemon's event."""
        self._daemon = self._spawn("daemon", "-m", "watcher", "--config", "config.toml", "run")
        self._writer = self._spawn(
            "writer",
            *("-m", "watcher.demo.writer", "--root", self.settings.data.root),
            *("--rate", str(TICKS_A_DAY / 86400), "--days", str(self.days)),
            *("--rotate-on", "event", "--events", self.settings.events.publish),
            *("--clock-start", START.isoformat(), "--clock-origin", repr(self._origin)),
            *("--clock-scale", repr(self._scale), "--report", str(self.report)),
        )

    def writer_ended(self) -> bool:
        """Whether the writer has written its last tick. Raises `TickwardError` if a process failed."""
        assert self._daemon is not None
        assert self._writer is not None
        if self._daemon.poll() is not None:
            raise TickwardError(f"the daemon ended early; {self.folder}/daemon.txt says why")
        code = self._writer.poll()
        if code:
            raise TickwardError(f"the writer failed; {self.folder}/writer.txt says why")
        return code == 0

    def stop(self) -> None:
        """End both processes as an operator would; after a while, not as an operator would."""
        for process in (self._writer, self._daemon):
            if process is None:
                continue
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def written(self) -> dict[str, int]:
        """Ticks that the writer committed, by day: its own count, kept apart from the daemon's."""
        ticks: dict[str, int] = {}
        with suppress(FileNotFoundError):
            for line in self.report.read_bytes().splitlines():
                row = json.decode(line)
                if "day" in row:
                    ticks[row["day"]] = ticks.get(row["day"], 0) + row["ticks"]
        return ticks

    def _spawn(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)}
        package_parent = Path(__file__).parents[2]
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(package_parent), *filter(None, [environment.get("PYTHONPATH")])]
        )
        with (self.folder / f"{name}.txt").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is for the demonstration to handle
            )

    def _configuration(self) -> str:
        # Every duration is meant in clock time: what is a second here lasts `scale` of them.
        second = self._scale
        return f"""
[data]
root = "db"
backup = "backup"
state = "state"
[watch]
settle_seconds = {0.25 * second}
rescan_seconds = {10 * second}
[seal]
patience_seconds = {5 * second}
retry_seconds = {0.5 * second}
retry_max_seconds = {5 * second}
[workers]
retry_seconds = {0.5 * second}
retry_max_seconds = {5 * second}
[events]
publish = "ipc://{self.folder}/events"
replay = "ipc://{self.folder}/replay"
[log]
file = "tickward.jsonl"
[clock]
scale = {self._scale!r}
start = "{START.isoformat()}"
origin = {self._origin!r}
"""
