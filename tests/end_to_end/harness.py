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
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout
from functools import partial
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
from loguru import logger
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from tests.end_to_end import actor
from watcher.__main__ import main
from watcher.app import App
from watcher.config import PREFIX, load
from watcher.journal import Journal
from watcher.keys import local_credentials
from watcher.paths import journal_file
from watcher.settings import Settings
from watcher.subscriber import Subscriber
from watcher.wire import Message

PATIENCE_SECONDS = 60.0
"""Only a broken program waits for so long: tests wait for events, and those come in milliseconds."""
TODAY = "2026-01-20"
YESTERDAY = "2026-01-19"

Ended = subprocess.CompletedProcess[str]


class Actor:
    """A process that opens, writes, reads and closes a database when told to."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, actor.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
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
            # However little space there is where the tests run: theirs take next to nothing.
            "health": {"free_min": "0 MiB"},
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
        connection = actor.open_to_write(str(path))
        actor.write(connection, 0, ticks)
        connection.close()
        return path

    def once(self) -> int:
        """What `tickward once` does, in this process: it brings the world to where a test begins."""
        return App(self.settings, executor=partial(ThreadPoolExecutor, 2)).once()

    def actor(self) -> Actor:
        self._actors.append(Actor())
        return self._actors[-1]

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "watcher", "--config", str(self.config), *arguments]

    def process(self, *arguments: str) -> Ended:
        """A command in a process of its own, to its end: what concerns processes, and what is logged."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def run(self, *arguments: str) -> Ended:
        """The same in this process, which is up already."""
        out, err = (TextIOWrapper(BytesIO(), "utf-8", write_through=True) for _ in range(2))
        argv = ["tickward", "--config", str(self.config), *arguments]
        pool = "watcher.app.process_executor"
        code: Any = 0
        with ExitStack() as stack:
            stack.enter_context(chdir(self.folder))
            stack.enter_context(redirect_stdout(out))
            stack.enter_context(redirect_stderr(err))
            stack.enter_context(patch.object(sys, "argv", argv))
            stack.enter_context(patch.dict(os.environ, _environment(), clear=True))
            stack.enter_context(patch(pool, lambda count, _: ThreadPoolExecutor(count)))
            stack.callback(logger.remove)
            try:
                main()
            except SystemExit as end:
                code = end.code or 0
        for each in (out, err):
            each.seek(0)
        return Ended(arguments, code, out.read(), err.read())

    def json(self, *arguments: str) -> Any:
        ended = self.run(*arguments, "--json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def status(self) -> Any:
        """How things stand, whatever the verdict is: the exit status says no more than that."""
        ended = self.run("status", "--json")
        assert ended.returncode in (0, 1, 2), ended.stderr
        return json.loads(ended.stdout)

    def reasons(self, kind: str) -> dict[str, str]:
        """Of this kind in the verdict: each day and what is said of it."""
        reasons = self.status()["verdict"]["reasons"]
        return {day: each["sentence"] for each in reasons if each["kind"] == kind for day in each["days"]}

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
        credentials = local_credentials(settings)
        subscriber = Subscriber(settings.publish, settings.replay, since=0, credentials=credentials)
        return Events(subscriber, self.folder)

    def temporaries(self) -> list[Path]:
        """Files of ours that should not outlive a step."""
        ours = (".tickward-tmp", ".retired")
        return [path for path in self.folder.rglob("*") if any(end in path.name for end in ours)]

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "tickward.jsonl").read_text().splitlines()]

    def close(self) -> None:
        for each in self._actors:
            each.kill()
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
