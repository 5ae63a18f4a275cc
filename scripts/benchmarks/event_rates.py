"""How many events a second: durable and received, and replayed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import msgspec
from rich.table import Table

from scripts.benchmarks.common import TODAY
from scripts.benchmarks.receiving import (
    Receiver,
    by_plain_socket,
    by_subscriber,
    plain_publisher,
    receiving,
    tcp,
    wait_for_plain,
)
from watcher import wire
from watcher.events import Event, Opened, Record
from watcher.journal import Journal
from watcher.publisher_process import PublisherProcess
from watcher.settings import Events, Settings

KEY = f"ticks/{TODAY}"
Send = Callable[[bytes], None]


class Rate(NamedTuple):
    """Events a second."""

    recorded: float
    """Until the last one was durable."""
    received: float
    """Until the last one was received in another process."""


def publishing(folder: Path, share: float) -> Table:
    """Recorded one by one and in groups, beside what one would write in an afternoon."""
    count = int(20_000 * share)
    rivals = {
        "SQLite outbox, FULL, one a commit; PUB": _beside(folder / "outbox.db", count, outbox),
        "JSON lines, fsync; PUB": _beside(folder / "events.jsonl", count, json_lines),
    }
    table = Table(title=f"{count:,} events, durable and received in another process: events a second")
    for column in (
        "",
        "durable",
        "received",
        *(f"ratio to {number}" for number in range(1, len(rivals) + 1)),
    ):
        table.add_column(column, justify="right" if column else "left")
    for group in (1, 10, 100):
        ours = _ours(folder / f"{group}.db", count, group)
        ratios = [f"{ours.received / rival.received:.2f}" for rival in rivals.values()]
        table.add_row(f"tickward, {group} a commit", *_rate(ours), *ratios)
    for number, (name, rival) in enumerate(rivals.items(), 1):
        table.add_row(f"{number}: {name}", *_rate(rival))
    return table


def replaying(folder: Path, share: float) -> Table:
    """The journal from its first event on, beside messages that are sent one by one and kept nowhere."""
    count = int(200_000 * share)
    file, events = folder / "journal.db", Events(*tcp())
    with Journal.open_for_writing(file) as journal:
        for first in range(1, count + 1, 1000):
            journal.record(entries(first, min(1000, count + 1 - first)), datetime.now(UTC))
    with publisher_of(events, file), receiving(by_subscriber, events, count) as receiver:
        receiver.says()
        at = receiver.says()
    ours = (count - 1) / (at[-1] - at[0])
    rival = _plain(count)
    table = Table(title=f"{count:,} events, received in another process: events a second")
    for column in ("", "received", "ratio"):
        table.add_column(column, justify="right" if column else "left")
    table.add_row("tickward, replayed from the journal", f"{ours:,.0f}", f"{ours / rival:.2f}")
    table.add_row("PUB and SUB, one message an event, no journal", f"{rival:,.0f}", "")
    return table


@contextmanager
def publisher_of(events: Events, file: Path) -> Iterator[PublisherProcess]:
    """The daemon's publisher, on a journal that is there."""
    with Journal.open_for_writing(file) as journal:
        head = journal.head()
    publisher = PublisherProcess(Settings(events=events), file)
    publisher.start(head)
    try:
        yield publisher
    finally:
        publisher.stop()


@contextmanager
def outbox(file: Path) -> Iterator[Send]:
    """One INSERT a commit."""
    connection = apsw.Connection(str(file))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "full")
    connection.execute("CREATE TABLE outbox (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")

    def keep(body: bytes) -> None:
        connection.execute("INSERT INTO outbox (body) VALUES (?)", (body.decode(),))

    try:
        yield keep
    finally:
        connection.close()


@contextmanager
def json_lines(file: Path) -> Iterator[Send]:
    """One line and one fsync an event."""
    with file.open("wb", buffering=0) as lines:

        def keep(body: bytes) -> None:
            lines.write(body + b"\n")
            os.fsync(lines.fileno())

        yield keep


def _ours(file: Path, count: int, group: int) -> Rate:
    events = Events(*tcp())
    with Journal.open_for_writing(file) as journal:
        journal.record(entries(1, 1), datetime.now(UTC))
        with publisher_of(events, file) as publisher, receiving(by_subscriber, events, count + 1) as receiver:
            receiver.says()
            began = time.monotonic()
            for first in range(2, count + 2, group):
                journal.record(entries(first, min(group, count + 2 - first)), datetime.now(UTC))
                publisher.wake()
            return _rate_of(count, began, receiver)


def _beside(file: Path, count: int, medium: Callable[[Path], Any]) -> Rate:
    address, _ = tcp()
    with (
        plain_publisher(address) as pub,
        receiving(by_plain_socket, address, count) as receiver,
        medium(file) as keep,
    ):
        wait_for_plain(pub, receiver)
        began = time.monotonic()
        for number in range(1, count + 1):
            body = body_of(number)
            keep(body)
            pub.send_multipart([b"opened", body])
        return _rate_of(count, began, receiver)


def _plain(count: int) -> float:
    address, _ = tcp()
    with plain_publisher(address) as pub, receiving(by_plain_socket, address, count) as receiver:
        wait_for_plain(pub, receiver)
        body = body_of(1)
        began = time.monotonic()
        for _ in range(count):
            pub.send_multipart([b"opened", body])
        return count / (receiver.says()[-1] - began)


def _rate_of(count: int, began: float, receiver: Receiver) -> Rate:
    durable = time.monotonic()
    return Rate(count / (durable - began), count / (receiver.says()[-1] - began))


def _rate(rate: Rate) -> tuple[str, str]:
    return f"{rate.recorded:,.0f}", f"{rate.received:,.0f}"


def entries(first: int, count: int) -> list[tuple[str, Event]]:
    return [(KEY, Opened(_path(number))) for number in range(first, first + count)]


def body_of(number: int) -> bytes:
    """As long as an event of ours is on the wire."""
    data = msgspec.Raw(msgspec.json.encode(Opened(_path(number))))
    return wire.to_frames(Record(number, datetime.now(UTC), "opened", KEY, data), 1)[2]


def _path(number: int) -> str:
    return f"/var/lib/tickward/db/2026/01/ticks_2026-01-20.db-{number}"
