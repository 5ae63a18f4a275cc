"""A journal with hooks, and commands that say when they have run: for the tests of hooks."""

from __future__ import annotations

import os
import queue
import select
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import apsw
from loguru import logger

from tests.watcher.processes import PATIENCE_SECONDS
from watcher.events import Event, Record
from watcher.hooks import Hooks
from watcher.hooks.store import FILE, Store
from watcher.journal import Journal
from watcher.settings import Hook, Settings

AT = datetime(2026, 1, 20, tzinfo=UTC)
KEY = "ticks/2026-01-20"


class Fifo:
    """Lines from commands to the test, or the other way; neither waits for the other to open it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._descriptor = os.open(path, os.O_RDWR)
        self._read = b""

    def line(self) -> str:
        """The next line; the test fails if none comes."""
        while b"\n" not in self._read:
            ready, _, _ = select.select([self._descriptor], [], [], PATIENCE_SECONDS)
            assert ready, "nothing was said"
            self._read += os.read(self._descriptor, 65536)
        line, _, self._read = self._read.partition(b"\n")
        return line.decode()

    def is_silent(self) -> bool:
        return not self._read and not select.select([self._descriptor], [], [], 0)[0]

    def write(self, text: str = "\n") -> None:
        os.write(self._descriptor, text.encode())

    def close(self) -> None:
        os.close(self._descriptor)


class Log:
    """What is logged, to be waited for."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._new: queue.Queue[tuple[str, str]] = queue.Queue()
        self._sink = logger.add(self._take, level="DEBUG", format="{message}")

    def _take(self, message: Any) -> None:
        self._new.put((message.record["level"].name, message.record["message"]))

    def until(self, text: str) -> tuple[str, str]:
        """The next line with this text: its level, and the whole of it."""
        while True:
            self.lines.append(self._new.get(timeout=PATIENCE_SECONDS))
            if text in self.lines[-1][1]:
                return self.lines[-1]

    def all(self) -> list[tuple[str, str]]:
        while not self._new.empty():
            self.lines.append(self._new.get())
        return self.lines

    def close(self) -> None:
        logger.remove(self._sink)


class Hooked:
    """Everything of one test, in one folder, where the commands run: they say what they do in ``said``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "journal.db"
        self.said = Fifo(folder / "said")
        self.go = Fifo(folder / "go")
        self.log = Log()
        self.journal = Journal.open_for_writing(self.file)
        self.hooks: Hooks | None = None

    def start(self, **hooks: Any) -> Hooks:
        assert self.hooks is None
        self.hooks = Hooks(Settings(hooks=hooks), self.file)
        self.hooks.start()
        return self.hooks

    def stop(self, seconds: float | None = PATIENCE_SECONDS) -> None:
        """None: as long as is given when the work has ended in that way, which is the newest event."""
        assert self.hooks is not None
        self.hooks.stop(seconds)
        self.hooks = None
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("hook ")]

    def record(self, *happened: Event, key: str = KEY) -> list[Record]:
        records = self.journal.record([(key, event) for event in happened], AT)
        if self.hooks is not None:
            self.hooks.wake()
        return records

    def new_journal(self) -> None:
        """Move the journal aside, and begin another one."""
        self.journal.close()
        for path in self.folder.glob("journal.db*"):
            path.unlink()
        self.journal = Journal.open_for_writing(self.file)

    def copy_of_journal(self) -> Path:
        """A copy of the journal as it is now."""
        copy = self.folder / "copy.db"
        with closing(apsw.Connection(str(self.file))) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))
        return copy

    def put_back(self, copy: Path) -> None:
        """An older copy takes the journal's place."""
        self.new_journal()
        self.journal.close()
        shutil.copy(copy, self.file)
        self.journal = Journal.open_for_writing(self.file)

    @contextmanager
    def store(self) -> Iterator[Store]:
        store = Store.open(self.folder / FILE)
        assert store is not None
        with store:
            yield store

    def close(self) -> None:
        if self.hooks is not None:
            self.stop(0.0)
        self.journal.close()
        self.log.close()
        self.said.close()
        self.go.close()


def failing(run: str, **changes: Any) -> Hook:
    """A hook that is tried twice, at once."""
    return Hook(run, **{"attempts": 2, "retry_seconds": 0.001, **changes})


class Receiver:
    """A real HTTP server on loopback that answers with ``code``, and remembers what it was sent."""

    def __init__(self) -> None:
        self.code = 204
        self.requests: queue.Queue[tuple[str, dict[str, str], bytes]] = queue.Queue()
        self.answering = threading.Event()
        self.answering.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.host = f"127.0.0.1:{self._server.server_port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.put((self.path, dict(self.headers), body))
                receiver.answering.wait(PATIENCE_SECONDS)
                self.send_response(receiver.code)
                if receiver.code // 100 == 3:
                    self.send_header("Location", f"http://{receiver.host}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def received(self) -> tuple[str, dict[str, str], bytes]:
        """The next request: its path, headers and body."""
        return self.requests.get(timeout=PATIENCE_SECONDS)

    def close(self) -> None:
        self.answering.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Parrot:
    """A server on loopback that answers once: with any bytes, and after them with what it was sent."""

    def __init__(self, answer: bytes, *, echoes: bool = True) -> None:
        self._answer = answer
        self._echoes = echoes
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self.host = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection, connection.makefile("rb") as stream:
            head = b"".join(iter(stream.readline, b"\r\n"))
            _, _, length = head.lower().partition(b"content-length: ")
            stream.read(int(length.split()[0]) if length else 0)  # what is unread would reset the connection
            connection.sendall(self._answer + (head if self._echoes else b""))

    def close(self) -> None:
        with closing(self._socket):
            self._thread.join(PATIENCE_SECONDS)
