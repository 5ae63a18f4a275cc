"""The stage of the demonstration and the self-test: a folder, a scaled clock, the real daemon and writer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from msgspec import json

from watcher.clock import ScaledClock
from watcher.config import PREFIX, load
from watcher.errors import TickwardError
from watcher.settings import Settings

START = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday, so that two weeks hold the Sunday on which the first days are compressed."""
TICKS_A_SECOND = 5_000
"""Real seconds: however fast the days go by, the writer does the same work."""
SYMBOLS, SEED = 100, 0
"""Of the writer: with its start and its rate they say which ticks it writes."""
DEFAULT_POLICY = """
[expire]
# So many days go by while the machine is busy with something else for half a minute.
max_at_once = 31
"""
"""Ages and schedules are left out, because the picture is to be that of the default policy."""
_NOT_FOR_US = ("DAYS_BEFORE_COMPRESS", "COMPRESSION_LEVEL", "RETENTION_DAYS", "DRY_RUN")
"""What the environment may say of the days that are really looked after."""
_LEAD_SECONDS = 1.5
"""The clock starts so much later than the writer: a writer that was late would miss the first day."""
_STOP_SECONDS = 40.0
_LAST_PASS_SECONDS = 300.0
_FASTEST, _SLOWEST, _LONGEST_SECONDS = 1.0, 4.0, 200.0


def pace(days: int) -> float:
    """Real seconds for each day: two weeks in a minute, two hundred days in a few."""
    return max(_FASTEST, min(_SLOWEST, _LONGEST_SECONDS / days))


class Stage:
    """Two real processes in a folder of their own, on a clock that both of them share.

    Args:
        folder: where everything happens; made by the caller, kept or removed by the caller.
        days: how many days the writer writes.
        seconds_a_day: real seconds for each of them.
        policy: sections of the configuration that say what is done at which age, and when.
        ticks_a_second: of the writer, in real seconds.
    """

    def __init__(
        self,
        folder: Path,
        days: int,
        seconds_a_day: float,
        *,
        policy: str = DEFAULT_POLICY,
        ticks_a_second: float = TICKS_A_SECOND,
    ) -> None:
        self.folder = folder
        self._policy = policy
        self.days = [START.date() + timedelta(days=number) for number in range(days)]
        self.end = START + timedelta(days=days)
        self._scale = 86400 / seconds_a_day
        self.rate = ticks_a_second / self._scale
        """Ticks a second of the clock."""
        self._origin = time.time() + _LEAD_SECONDS
        self.clock = ScaledClock(START, self._origin, self._scale)
        self.report = folder / "writer.jsonl"
        self.settings = self._configure(START, self._origin, self._scale)
        self._daemon: subprocess.Popen[bytes] | None = None
        self._writer: subprocess.Popen[bytes] | None = None
        self._last_pass: subprocess.Popen[bytes] | None = None
        self._deadline = 0.0

    def start(self) -> None:
        """Start the writer, then the daemon, on whose events the writer rotates."""
        self._writer = self._spawn(
            "writer",
            *("-m", "watcher.demo.writer", "--root", self.settings.data.root),
            *("--rate", repr(self.rate), "--days", str(len(self.days))),
            *("--symbols", str(SYMBOLS), "--seed", str(SEED)),
            *("--rotate-on", "event", "--events", self.settings.events.publish),
            *("--clock-start", START.isoformat(), "--clock-origin", repr(self._origin)),
            *("--clock-scale", repr(self._scale), "--report", str(self.report)),
        )
        time.sleep(max(0.0, self._origin - time.time()))  # before, the daemon would see days of its own
        self._start_daemon()

    def start_again(self) -> datetime:
        """Start the daemon once more, with a clock that goes on from the next noon; returns that noon.

        It must have been stopped.
        """
        noon = self._stand_at_noon()
        self._start_daemon()
        return noon

    def daemon_ended(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._daemon.poll() if self._daemon is not None else None

    def writer_ended(self) -> bool:
        """Whether the writer has written its last tick. Raises `TickwardError` if a process failed."""
        assert self._writer is not None
        self.require_daemon()
        code = self._writer.poll()
        if code:
            raise TickwardError(f"the writer failed: {self._last_words('writer')}")
        return code == 0

    def require_daemon(self) -> None:
        """Raises `TickwardError` if the daemon does not run any more."""
        if self.daemon_ended() is not None:
            raise TickwardError(f"the daemon ended early: {self._last_words('daemon')}")

    def begin_last_pass(self) -> datetime:
        """Do what is due by the next noon, with a clock that stands there; returns that noon.

        The days go by too fast to look at them: only so does the picture belong to one moment. No day
        changes its tier at a noon. The daemon must have been stopped.
        """
        noon = self._stand_at_noon()
        self._last_pass = self._spawn("once", "-m", "watcher", "--config", "config.toml", "once")
        self._deadline = time.monotonic() + _LAST_PASS_SECONDS
        return noon

    def last_pass_ended(self) -> bool:
        """Whether it has. Raises `TickwardError` if it does not come to an end."""
        assert self._last_pass is not None
        has_ended = self._last_pass.poll() is not None
        if not has_ended and time.monotonic() > self._deadline:
            raise TickwardError(f"the last pass does not come to an end: {self._last_words('once')}")
        return has_ended

    def last_pass_problem(self) -> str:
        """What went wrong in it; empty if nothing did."""
        code = self._last_pass.poll() if self._last_pass else None
        return "" if code == 0 else f"the last pass ended with status {code}: {self._last_words('once')}"

    def stop(self) -> None:
        """End all processes as an operator would; after a while, not as an operator would."""
        for process in (self._writer, self._daemon, self._last_pass):
            if process is None:
                continue
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def written(self) -> dict[date, int]:
        """Ticks that the writer committed, by day: its own count, kept apart from the daemon's."""
        ticks: dict[date, int] = {}
        with suppress(FileNotFoundError):
            for line in self.report.read_bytes().splitlines():
                row = json.decode(line)
                if "day" in row:
                    day = date.fromisoformat(row["day"])
                    ticks[day] = ticks.get(day, 0) + row["ticks"]
        return ticks

    def began_ms(self) -> int:
        """From when on the writer wrote: it is `START`, unless it came up late. Unix milliseconds."""
        first, *_ = (self.folder / "writer.txt").read_bytes().splitlines()
        began: int = json.decode(first)["start_ms"]
        return began

    def _stand_at_noon(self) -> datetime:
        now = self.clock.now()
        noon = now.replace(hour=12, minute=0, second=0, microsecond=0)
        noon += timedelta(days=noon <= now)
        # The machine's pace, because the picture is not to change while it is looked at.
        self.settings = self._configure(noon, time.time(), scale=1.0)
        return noon

    def _start_daemon(self) -> None:
        self._daemon = self._spawn("daemon", "-m", "watcher", "--config", "config.toml", "run")

    def _spawn(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(PREFIX) and name not in _NOT_FOR_US
        }
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

    def _last_words(self, name: str) -> str:
        """The end of what a process said: the folder may be gone before anybody can look into it."""
        said = (self.folder / f"{name}.txt").read_text(errors="replace").splitlines()
        return " / ".join(said[-3:]) or "it said nothing"

    def _configure(self, start: datetime, origin: float, scale: float) -> Settings:
        file = self.folder / "config.toml"
        file.write_text(_configuration(self.folder, start, origin, scale) + self._policy)
        return load(file, environment={})


def _configuration(folder: Path, start: datetime, origin: float, scale: float) -> str:
    # Every duration is meant in clock time: what is a second here lasts `scale` of them.
    second = scale
    return f"""
[data]
root = "db"
backup = "backup"
archive = "archive"
state = "state"
[watch]
settle_seconds = {0.25 * second}
rescan_seconds = {10 * second}
[seal]
patience_seconds = {5 * second}
retry_seconds = {0.5 * second}
retry_max_seconds = {5 * second}
[health]
# An hour is a few milliseconds.
schedule = "0 12 * * *"
free_min = "0 MiB"
[workers]
retry_seconds = {0.5 * second}
retry_max_seconds = {5 * second}
[events]
publish = "ipc://{folder}/bus/events"
replay = "ipc://{folder}/bus/replay"
[log]
file = "tickward.jsonl"
[clock]
scale = {scale!r}
start = "{start.isoformat()}"
origin = {origin!r}
"""
