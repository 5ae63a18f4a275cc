"""How soon an event is there: from its commit, from a writer's close, from midnight."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw
from rich.table import Table
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from scripts.benchmarks.common import TODAY, configure, daemon, path_of, pause, percentile, subscribe
from scripts.benchmarks.event_rates import body_of, entries, publisher_of
from scripts.benchmarks.receiving import (
    Receiver,
    by_plain_socket,
    by_subscriber,
    plain_publisher,
    receiving,
    tcp,
    wait_for_plain,
)
from watcher import metadata
from watcher.clock import ScaledClock
from watcher.journal import Journal
from watcher.settings import Events, Settings

_SCALE = 86400 / 2.03
"""A day takes some two seconds, and no whole number of those at which others look at the clock."""
_START = datetime(2026, 1, 1, 12, tzinfo=UTC)
_POLL_SECONDS = 1.0
_PACE_SECONDS = 0.002
_JOINING = 100
"""So many of the first events a subscriber may still get by a replay."""


def receipts(folder: Path, share: float) -> Table:
    """From the commit of one event to its receipt, over each transport."""
    count = int(5000 * share)
    table = _table(f"{count:,} events, {1 / _PACE_SECONDS:.0f} a second: milliseconds")
    with TemporaryDirectory(prefix="tickward-bench-") as sockets:  # their paths must be short
        ipc = f"ipc://{sockets}/p", f"ipc://{sockets}/r"
        for name, events in (
            ("tcp", Events(*tcp())),
            ("ipc", Events(*ipc)),
            ("tcp, CURVE", Events(*tcp(), curve=True, keys=f"{sockets}/keys")),
        ):
            commits, received = _ours(folder / f"{name}.db", events, count + _JOINING)
            if name == "tcp":
                _row(table, "the commit itself", commits)
            _row(table, f"from the commit to a subscriber, {name}", received)
    _row(table, "PUB to SUB, tcp, no journal", _plain(count))
    return table


def closing(folder: Path, share: float) -> Table:
    """From the moment that a writer's close returns to `closed` at a subscriber."""
    rounds = int(100 * share)
    settle = Settings().watch.settle_seconds
    configure(folder)
    path = path_of(folder, TODAY)
    waited: list[float] = []
    with daemon(folder), subscribe(folder) as events:
        while (message := events.receive(60)) is not None and message.event != "created":
            pass
        for number in range(rounds):
            connection = apsw.Connection(str(path))
            connection.execute(
                "INSERT INTO ticks (symbol, timestamp, bid, ask) VALUES ('X', ?, 1, 1)", (number,)
            )
            connection.close()
            closed_at = time.time()
            while (message := events.receive(60)) is not None and message.event != "closed":
                pass
            waited.append(time.time() - closed_at)
    table = _table(f"{rounds} times, a writer closes today's database: milliseconds")
    _row(table, "from its close to `closed` at a subscriber", waited)
    _row(table, f"beyond the time to settle ({1000 * settle:.0f})", [seconds - settle for seconds in waited])
    return table


def midnights(folder: Path, share: float) -> Table:
    """From midnight to `rotated` at a subscriber: a real daemon, whose days take two seconds."""
    count = int(120 * share) + 2
    origin = time.time()
    configure(
        folder,
        clock=f'start = "{_START.isoformat()}"\norigin = {origin!r}\nscale = {_SCALE!r}',
        # What is done so often an hour, or once a day or later, would be done all the time.
        watch=f"rescan_seconds = {600 * _SCALE}",
        health='schedule = "never"',
        verify='schedule = "never"\ndrill_schedule = "never"',
        compress="after_days = 36500",
        archive="enabled = false",
        expire="enabled = false",
    )
    clock = ScaledClock(_START, origin, _SCALE)
    file = folder / "db" / metadata.NAME
    file.parent.mkdir()
    waited: list[float] = []
    with (
        receiving(by_sleeping, clock) as sleeping,
        receiving(by_polling, clock) as polling,
        receiving(by_looking_at, file, clock) as looking,
        daemon(folder),
        subscribe(folder) as events,
    ):
        while len(waited) < count and (message := events.receive(60)) is not None:
            if message.event == "rotated" and message.data["cause"] == "clock":
                waited.append(_since_midnight(message.data["current"], clock))
        del waited[:2]  # the daemon was still starting
        rivals = [_all_that_was_said(receiver)[2:] for receiver in (sleeping, polling, looking)]
    table = _table(f"{len(waited)} midnights of a daemon at work: milliseconds")
    _row(table, "from midnight to `rotated` at a subscriber", waited)
    _row(table, "a program that only sleeps until then", rivals[0])
    _row(table, f"a loop that looks at the clock every {_POLL_SECONDS:.0f} s, as from cron", rivals[1])
    _row(table, f"a watch on {metadata.NAME}, by inotify", rivals[2])
    return table


def by_sleeping(say: Callable[[object], None], clock: ScaledClock) -> None:
    """Says how long after each midnight it woke up: what this machine takes to wake anybody."""
    while True:
        tomorrow = clock.now().date() + timedelta(days=1)
        midnight = datetime.combine(tomorrow, datetime.min.time(), UTC)
        time.sleep(clock.real_seconds(midnight))
        say(_since_midnight(str(tomorrow), clock))


def by_polling(say: Callable[[object], None], clock: ScaledClock) -> None:
    """Says how long after each midnight a loop noticed it."""
    day = clock.now().date()
    while True:
        time.sleep(_POLL_SECONDS)
        if (today := clock.now().date()) != day:
            say(_since_midnight(str(today), clock))
            day = today


def by_looking_at(say: Callable[[object], None], file: Path, clock: ScaledClock) -> None:
    """Says how long after each midnight the file told of it."""
    changed = threading.Event()

    class Handler(FileSystemEventHandler):
        def on_moved(self, event: FileSystemEvent) -> None:
            if event.dest_path == str(file):
                changed.set()

    observer = Observer()
    observer.schedule(Handler(), str(file.parent))
    observer.start()
    current = None
    while changed.wait():
        changed.clear()
        before, current = current, json.loads(file.read_bytes())["current_date"]
        if before not in (None, current):
            say(_since_midnight(current, clock))


def _all_that_was_said(receiver: Receiver) -> list[float]:
    said = []
    while receiver.has_said():
        said.append(receiver.says())
    return said


def _since_midnight(day: str, clock: ScaledClock) -> float:
    """Real seconds since the beginning of a day."""
    midnight = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
    return (clock.now() - midnight).total_seconds() / _SCALE


def _ours(file: Path, events: Events, count: int) -> tuple[list[float], list[float]]:
    """Seconds of each commit, and from its end to the receipt."""
    commits: list[float] = []
    ends: list[float] = []
    with Journal.open_for_writing(file) as journal:
        journal.record(entries(1, 1), datetime.now(UTC))
        with publisher_of(events, file) as publisher, receiving(by_subscriber, events, count + 1) as receiver:
            receiver.says()
            for number in range(2, count + 2):
                began = time.monotonic()
                journal.record(entries(number, 1), datetime.now(UTC))
                ends.append(time.monotonic())
                publisher.wake()
                commits.append(ends[-1] - began)
                pause(_PACE_SECONDS)
            at = receiver.says()[1:]
    received = [each - end for each, end in zip(at, ends, strict=True)]
    return commits[_JOINING:], received[_JOINING:]


def _plain(count: int) -> list[float]:
    address, _ = tcp()
    sent: list[float] = []
    with plain_publisher(address) as pub, receiving(by_plain_socket, address, count) as receiver:
        wait_for_plain(pub, receiver)
        for number in range(count):
            body = body_of(number)
            sent.append(time.monotonic())
            pub.send_multipart([b"opened", body])
            pause(_PACE_SECONDS)
        at = receiver.says()
    return [received - began for received, began in zip(at, sent, strict=True)]


def _table(title: str) -> Table:
    table = Table(title=title)
    for column in ("", "p50", "p99", "max"):
        table.add_column(column, justify="right" if column else "left")
    return table


def _row(table: Table, name: str, seconds: list[float]) -> None:
    values = (percentile(seconds, 0.5), percentile(seconds, 0.99), max(seconds))
    table.add_row(name, *(f"{1000 * value:.2f}" for value in values))
