"""A real daemon in a temporary folder, real writers and readers beside it, and its events to wait for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from watcher.config import PREFIX, load
from watcher.journal import Journal
from watcher.paths import journal_file
from watcher.settings import Settings
from watcher.subscriber import Subscriber
from watcher.wire import Message

PATIENCE_SECONDS = 60.0
"""Only a broken program waits for so long: tests wait for events, and those come in milliseconds."""
TODAY = "2026-01-20"
YESTERDAY = "2026-01-19"

_ACTOR = """
import sys, apsw
READ = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
def act(line):
    global db
    word, _, rest = line.partition(" ")
    if word == "open":
        db = apsw.Connection(rest)
        db.set_busy_timeout(5000)
        db.pragma("journal_mode", "wal")
        db.execute("CREATE TABLE IF NOT EXISTS ticks (id INTEGER PRIMARY KEY, symbol TEXT NOT NULL,"
            " timestamp INTEGER NOT NULL, bid REAL NOT NULL, ask REAL NOT NULL, spread REAL,"
            " volume REAL, lp_source TEXT, flags INTEGER DEFAULT 0, created_at INTEGER,"
            " UNIQUE (symbol, timestamp))")
    elif word == "write":
        first, count = map(int, rest.split())
        with db:
            db.executemany("INSERT INTO ticks (symbol, timestamp, bid, ask) VALUES (?, ?, ?, ?)",
                [(f"S{n % 7}", n, 1.0 + n / 7, 1.1 + n / 7) for n in range(first, first + count)])
    elif word == "read":
        db = apsw.Connection("file:" + rest + "?mode=ro", flags=READ)
        db.set_busy_timeout(5000)  # sealing needs the file to itself for a moment
        db.execute("SELECT count(*) FROM ticks").get
    elif word == "close":
        db.close()
for line in sys.stdin:
    act(line.rstrip("\\n"))
    print("done", flush=True)
"""


class Actor:
    """A process that opens, writes, reads and closes a database when told to."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _ACTOR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def do(self, *lines: str) -> Actor:
        """Each line is carried out before the next is sent."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        for line in lines:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            assert self.process.stdout.readline() == "done\n", f"{line} failed"
        return self

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> None:
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.wait(PATIENCE_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()


class World:
    """A folder with a configuration, and the daemons that run over it, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._actors: list[Actor] = []
        self._subscribers: list[Subscriber] = []
        self.configure()

    def configure(self, now: str = f"{TODAY}T12:00", **sections: dict[str, Any]) -> None:
        """Write the configuration: a clock that shows ``now`` at this moment, and what else is asked."""
        table: dict[str, dict[str, Any]] = {
            "data": {"root": "db", "backup": "backup", "archive": "archive", "state": "state"},
            "watch": {},
            "seal": {"retry_seconds": 0.5, "retry_max_seconds": 1.0},
            # Not nice: beside other tests that use every core, its workers would not come to anything.
            "workers": {"retry_seconds": 0.2, "retry_max_seconds": 1.0, "nice": 0},
            "events": {"publish": f"ipc://{self.folder}/e", "replay": f"ipc://{self.folder}/r"},
            "log": {"file": "tickward.jsonl"},
            "clock": {"start": now, "origin": time.time()},
        }
        for name, keys in sections.items():
            table.setdefault(name, {}).update(keys)
        lines = []
        for name, keys in table.items():
            lines.append(f"[{name}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
        self.config.write_text("\n".join(lines))
        self.settings: Settings = load(self.config, environment={})

    def path(self, day: str, top: str = "db") -> Path:
        return self.folder / top / day[:4] / day[5:7] / f"ticks_{day}.db"

    def make(self, day: str, ticks: int = 100) -> Path:
        """A day's database, written and closed by a writer that has gone."""
        path = self.path(day)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.actor().do(f"open {path}", f"write 0 {ticks}", "close").end()
        return path

    def actor(self) -> Actor:
        actor = Actor()
        self._actors.append(actor)
        return actor

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "watcher", "--config", str(self.config), *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command, to its end."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        ended = self.run(*arguments, "--json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def daemon(self, *, wait: bool = True) -> subprocess.Popen[bytes]:
        """Start the daemon, and wait until it works."""
        before = self.count("started")
        with (self.folder / "daemon.txt").open("ab") as output:
            process = subprocess.Popen(
                self.command("run"),
                cwd=self.folder,
                env=_environment(),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._processes.append(process)
        if wait:
            with self.events() as events:
                events.until("started", count=before + 1)
        return process

    def stop(self, process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
        process.send_signal(number)
        return process.wait(PATIENCE_SECONDS)

    def count(self, event: str) -> int:
        return sum(message["event"] == event for message in self.recorded())

    def recorded(self) -> list[dict[str, Any]]:
        """All events so far, from the journal by way of the command line's own code."""
        journal = Journal.open_for_reading(journal_file(self.settings.data))
        if journal is None:
            return []
        with journal:
            return [
                {"event": r.event, "key": r.key, "data": msgspec.json.decode(r.data)}
                for r in journal.since(0, 100_000)
            ]

    def unbroken(self) -> bool:
        """Whether the journal's chain of events holds from its first link to its last."""
        journal = Journal.open_for_reading(journal_file(self.settings.data))
        assert journal is not None
        with journal:
            return journal.first_broken() is None

    def events(self) -> Events:
        settings = self.settings.events
        return Events(Subscriber(settings.publish, settings.replay, since=0), self.folder)

    def temporaries(self) -> list[Path]:
        """Files of ours that should not outlive a step."""
        ours = (".tickward-tmp", ".retired")
        return [path for path in self.folder.rglob("*") if any(end in path.name for end in ours)]

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "tickward.jsonl").read_text().splitlines()]

    def close(self) -> None:
        for actor in self._actors:
            actor.kill()
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()


class Events:
    """The daemon's events from the first one on, to wait for."""

    def __init__(self, subscriber: Subscriber, folder: Path) -> None:
        self._subscriber = subscriber
        self._folder = folder
        self.seen: list[Message] = []

    def until(
        self,
        event: str,
        key: str | None = None,
        *,
        count: int = 1,
        where: Callable[[Any], bool] = lambda _: True,
    ) -> Message:
        """Wait for the ``count``-th such event; return it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        found = [m for m in self.seen if self._matches(m, event, key, where)]
        while len(found) < count:
            message = self._subscriber.receive(timeout_seconds=deadline - time.monotonic())
            assert message is not None, self._complaint(event, key)
            self.seen.append(message)
            if self._matches(message, event, key, where):
                found.append(message)
        return found[count - 1]

    def names(self, key: str) -> list[str]:
        return [message.event for message in self.seen if message.subject == key]

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        self._subscriber.close()

    def _matches(self, message: Message, event: str, key: str | None, where: Callable[[Any], bool]) -> bool:
        return message.event == event and key in (None, message.subject) and where(message.data)

    def _complaint(self, event: str, key: str | None) -> str:
        seen = ", ".join(f"{message.event} {message.subject}" for message in self.seen)
        output = (self._folder / "daemon.txt").read_text()
        return f"no {event} {key or ''} came; what came: {seen}\n{output[-3000:]}"


class FileWatch(FileSystemEventHandler):
    """Waits for something to happen in a directory."""

    def __init__(self, directory: Path) -> None:
        self._happened = threading.Event()
        self._observer = Observer()
        self._observer.schedule(self, str(directory), recursive=True)

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._happened.set()

    def wait(self) -> None:
        """Until the next event; there may have been one since the last call."""
        assert self._happened.wait(PATIENCE_SECONDS), "nothing happened"
        self._happened.clear()

    def __enter__(self) -> FileWatch:
        self._observer.start()
        self._happened.set()  # what was there before is to be looked at once
        return self

    def __exit__(self, *_: object) -> None:
        self._observer.stop()
        self._observer.join()


def _environment() -> dict[str, str]:
    root = Path(__file__).parents[2]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
    return {**clean, "PYTHONPATH": str(root)}
