"""The writer as a real process: each tick in its day's file, and counts that can be trusted."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import apsw
import msgspec
import pytest
import zmq

from watcher.clock import ScaledClock
from watcher.demo.day import DAY_MS

PROJECT = Path(__file__).parents[3]
MONDAY = "2026-01-19T00:00:00Z"
MONDAY_MS = 1_768_780_800_000


class Writer:
    """A running writer and what it says, line by line."""

    def __init__(self, root: Path, *arguments: object) -> None:
        self.root = root
        self.report = root / "report.jsonl"
        root.mkdir(exist_ok=True)
        command = ["-m", "watcher.demo.writer", "--root", root, "--report", self.report]
        self._process = subprocess.Popen(
            [sys.executable, *map(str, [*command, *arguments])],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.__exit__(kind, error, trace)

    def lines(self) -> Iterator[dict[str, Any]]:
        assert self._process.stdout
        for line in self._process.stdout:
            yield msgspec.json.decode(line)

    def until(self, event: str, **facts: object) -> dict[str, Any]:
        """Wait until it says this."""
        for line in self.lines():
            if line["event"] == event and facts.items() <= line.items():
                return line
        raise AssertionError(f"it ended without saying {event} {facts}: {self.errors()}")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> int:
        """Wait for its end; its exit status."""
        list(self.lines())
        return self._process.wait()

    def errors(self) -> str:
        assert self._process.stderr
        return self._process.stderr.read().decode()

    def reported(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(line) for line in self.report.read_text().splitlines()]


def rows(path: Path | str, sql: str = "SELECT count(*) FROM ticks", *values: object) -> Any:
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return db.execute(sql, values).get  # type: ignore[arg-type]
    finally:
        db.close()


def database(root: Path, day: str) -> Path:
    return root / day[:4] / day[5:7] / f"ticks_{day}.db"


def check_every_tick_is_in_its_days_file(writer: Writer, days: int) -> None:
    *closed, total = writer.reported()
    assert len(closed) == days
    for report in closed:
        path = Path(report["path"])
        # Before anything is read: a reader leaves these behind.
        assert not list(path.parent.glob(f"{path.name}-*"))
        assert rows(path) == report["ticks"] > 0
        days_of_ticks = "SELECT DISTINCT strftime('%Y-%m-%d', timestamp / 1000, 'unixepoch')"
        assert rows(path, f"{days_of_ticks} FROM ticks") == report["day"]
    assert total == {"total": sum(report["ticks"] for report in closed)}


def test_three_days_on_a_fast_clock_make_three_files_and_a_true_report(tmp_path: Path) -> None:
    fast = ["--clock-start", MONDAY, "--clock-scale", 200_000, "--days", 3, "--rate", 0.05]
    latencies = tmp_path / "latencies"
    with Writer(tmp_path / "db", *fast, "--latencies", latencies) as writer:
        assert writer.end() == 0, writer.errors()
    check_every_tick_is_in_its_days_file(writer, days=3)
    *closed, total = writer.reported()
    assert [report["day"] for report in closed] == ["2026-01-19", "2026-01-20", "2026-01-21"]
    assert closed[1]["path"] == str(database(writer.root, "2026-01-20"))
    assert 0.8 < total["total"] / (3 * 86_400 * 0.05) < 1.2
    assert all(0 < day["p50_ms"] <= day["p99_ms"] <= day["worst_ms"] for day in closed)
    assert len(latencies.read_text().split()) == sum(report["commits"] for report in closed)


def test_a_day_ends_at_midnight_although_the_next_has_no_tick_yet(tmp_path: Path) -> None:
    idle = ["--clock-start", "2026-01-19T23:59:00Z", "--clock-scale", 200, "--rate", 1e-9]
    with Writer(tmp_path, *idle) as writer:
        writer.until("closed", day="2026-01-19")
        writer.until("opened", day="2026-01-20")
        writer.signal(signal.SIGTERM)
        assert writer.end() == 0
    assert rows(database(tmp_path, "2026-01-20")) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_everything_committed(tmp_path: Path, number: signal.Signals) -> None:
    with Writer(tmp_path, "--rate", 2000, "--commit-every", 0.02, "--progress") as writer:
        for _ in range(3):
            seen = writer.until("committed")
        writer.signal(number)
        assert writer.end() == 0
    check_every_tick_is_in_its_days_file(writer, days=1)
    assert writer.reported()[-1]["total"] >= seen["ticks"]


def test_what_it_said_was_committed_survives_a_kill(tmp_path: Path) -> None:
    with Writer(tmp_path, "--rate", 2000, "--commit-every", 0.02, "--progress") as writer:
        opened = writer.until("opened")
        for _ in range(5):
            seen = writer.until("committed")
        writer.signal(signal.SIGKILL)
        writer.end()
    assert rows(opened["path"]) >= seen["ticks"]


def test_a_file_is_replayed_into_the_days_of_its_time_stamps(tmp_path: Path) -> None:
    stamps = [MONDAY_MS + offset for offset in (0, 5, 5, DAY_MS - 1, DAY_MS, 2 * DAY_MS)]
    late = MONDAY_MS + DAY_MS - 2
    source = tmp_path / "ticks.csv"
    source.write_text(
        "symbol,timestamp,bid,ask,lp_source\n"
        + "".join(f"EURUSD,{stamp},1.0812345678901234,1.09,LP\n" for stamp in [*stamps, late])
    )
    with Writer(tmp_path / "db", "--csv", source) as writer:
        assert writer.end() == 0, writer.errors()
    counts = [(report["day"], report["ticks"]) for report in writer.reported()[:-1]]
    assert counts == [
        ("2026-01-19", 4),
        ("2026-01-20", 1),
        ("2026-01-19", 1),  # the late one, while the last day stayed open
        ("2026-01-21", 1),
    ]
    monday = database(writer.root, "2026-01-19")
    moved_apart = [*stamps[:2], MONDAY_MS + 6, late, stamps[3]]
    assert rows(monday, "SELECT timestamp FROM ticks ORDER BY 1") == moved_apart
    assert rows(monday, "SELECT DISTINCT bid FROM ticks") == 1.0812345678901234


def test_replaying_a_file_again_writes_nothing_twice(tmp_path: Path) -> None:
    source = tmp_path / "ticks.csv"
    source.write_text(f"symbol,timestamp,bid,ask,lp_source\nEURUSD,{MONDAY_MS},1,2,LP\n")
    for _ in range(2):
        with Writer(tmp_path / "db", "--csv", source) as writer:
            assert writer.end() == 0
    first, _, again, total = writer.reported()
    assert (first["ticks"], first["duplicates"]) == (1, 0)
    assert (again["ticks"], again["duplicates"]) == (0, 1)
    assert total == {"total": 0}


@pytest.fixture
def publisher() -> Iterator[tuple[zmq.Socket[bytes], str]]:
    """A socket that publishes, and tells when somebody has subscribed."""
    context = zmq.Context()
    socket: zmq.Socket[bytes] = context.socket(zmq.XPUB)
    socket.setsockopt(zmq.LINGER, 0)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    yield socket, f"tcp://127.0.0.1:{port}"
    socket.close()
    context.term()


def rotated(day: str, path: Path) -> list[bytes]:
    body = {"type": "rotated", "data": {"current": day, "current_db": str(path), "previous": "x"}}
    return [b"rotated/ticks/", bytes(16), msgspec.json.encode(body)]


def test_it_waits_for_the_event_and_loses_nothing_meanwhile(
    tmp_path: Path, publisher: tuple[zmq.Socket[bytes], str]
) -> None:
    socket, endpoint = publisher
    by_event = ["--rotate-on", "event", "--events", endpoint, "--grace", 60]
    clock = ["--clock-start", "2026-01-19T23:59:59Z", "--clock-scale", 20]
    elsewhere = tmp_path / "elsewhere" / "tuesday.db"
    with Writer(tmp_path / "db", *by_event, *clock, "--rate", 50, "--progress") as writer:
        assert socket.recv() == b"\x01rotated/ticks/"
        socket.send_multipart([b"rotated/ticks/", bytes(16), b"not json"])
        writer.until("opened", day="2026-01-19")
        # The writer's clock is at least as far as this one, which shall show that midnight is over.
        since_opening = ScaledClock(datetime(2026, 1, 19, 23, 59, 59, tzinfo=UTC), time.time(), 20)
        past_midnight = datetime(2026, 1, 20, 0, 0, 5, tzinfo=UTC)
        time.sleep(since_opening.real_seconds(past_midnight))
        assert not database(writer.root, "2026-01-20").exists()
        socket.send_multipart(rotated("2026-01-20", elsewhere))
        writer.until("closed", day="2026-01-19")
        writer.until("opened", path=str(elsewhere))
        writer.until("committed", day="2026-01-20")
        writer.signal(signal.SIGTERM)
        assert writer.end() == 0
        assert "ignored an event" in writer.errors()
    check_every_tick_is_in_its_days_file(writer, days=2)
    # Those that came after midnight and before the event were held, and are there.
    assert rows(elsewhere, "SELECT min(timestamp) FROM ticks") < past_midnight.timestamp() * 1000


def test_without_an_event_it_rotates_after_the_grace_period(
    tmp_path: Path, publisher: tuple[zmq.Socket[bytes], str]
) -> None:
    _, endpoint = publisher
    by_event = ["--rotate-on", "event", "--events", endpoint, "--grace", 0.2]
    clock = ["--clock-start", "2026-01-19T23:59:50Z", "--clock-scale", 100]
    with Writer(tmp_path, *by_event, *clock, "--rate", 50, "--progress") as writer:
        writer.until("closed", day="2026-01-19")
        writer.until("committed", day="2026-01-20")
        writer.signal(signal.SIGTERM)
        assert writer.end() == 0
    check_every_tick_is_in_its_days_file(writer, days=2)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rate", "0"],
        ["--until", "tomorrow"],
        ["--pattern", "{symbol}.db"],
        ["--rotate-on", "event"],
        ["--events", "tcp://127.0.0.1:1"],
        ["--csv", "ticks.csv", "--days", "3"],
    ],
)
def test_a_usage_error_is_one_line_and_status_2(tmp_path: Path, arguments: list[str]) -> None:
    with Writer(tmp_path, *arguments) as writer:
        assert writer.end() == 2
        assert "error: " in writer.errors().splitlines()[-1]
    assert not writer.report.exists()


def test_what_cannot_be_read_is_one_sentence_and_status_1(tmp_path: Path) -> None:
    with Writer(tmp_path, "--csv", tmp_path / "none.csv") as writer:
        assert writer.end() == 1
        assert writer.errors().count("\n") == 1


def test_the_script_starts_it_from_any_directory(tmp_path: Path) -> None:
    script = PROJECT / "scripts" / "tick_writer.py"
    command = [sys.executable, str(script), "--root", "db", "--seconds", "0.05"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert b'"event":"total"' in done.stdout
    assert list(tmp_path.glob("db/*/*/ticks_*.db"))
