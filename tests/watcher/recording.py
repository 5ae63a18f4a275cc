"""A daemon's journal and publisher in a process of their own, to be killed: for the proofs of both ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import msgspec

from tests.watcher.processes import Child
from watcher.settings import Settings

_PROGRAM = """
from datetime import UTC, datetime
from pathlib import Path
import msgspec
from tests.watcher.recording import key_of
from watcher.events import Opened
from watcher.journal import Journal
from watcher.publisher_process import PublisherProcess
from watcher.settings import Settings

file, total, group, keys = Path(sys.argv[1]), *map(int, sys.argv[2:5])
settings = msgspec.json.decode(sys.argv[5], type=Settings)
with Journal.open_for_writing(file) as journal:
    publisher = PublisherProcess(settings, file)
    publisher.start(journal.head())
    say("recording")
    while (head := journal.head()) < total:
        numbers = range(head + 1, min(head + group, total) + 1)
        journal.record([(key_of(n, keys), Opened(str(n))) for n in numbers], datetime.now(UTC))
        publisher.wake()
    say("done")
    wait()
    publisher.stop()
"""


def key_of(number: int, keys: int) -> str:
    """The database that an event of this number is about, if there are so many."""
    return f"ticks/{date(2020, 1, 1) + timedelta(number % keys)}"


@contextmanager
def recording(
    settings: Settings, file: Path, total: int = 1_000_000, *, group: int = 10, keys: int = 28
) -> Iterator[Child]:
    """Records events whose path is their number, as fast as it can, until there are ``total``; says so then.

    Args:
        group: how many are recorded in one commit.
        keys: how many databases they are about, in turn.
    """
    with Child(_PROGRAM, file, total, group, keys, msgspec.json.encode(settings).decode()) as child:
        assert child.said() == "recording"
        yield child
