"""One day under tmp_path, and real processes that write to it, read it, and are killed."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest
from msgspec import structs

from handlers.contract import (
    BackedUp,
    Created,
    Done,
    Failure,
    Job,
    Options,
    Paths,
    Sealed,
    Step,
)
from handlers.table import run

ROOT = Path(__file__).parents[2]

SCHEMA = """
PRAGMA page_size = 4096;
CREATE TABLE ticks (id INTEGER PRIMARY KEY, symbol TEXT, timestamp INTEGER, bid REAL, ask REAL);
CREATE INDEX by_symbol ON ticks (symbol, timestamp);
"""

INSERT = """
WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :first + :count)
INSERT INTO ticks (symbol, timestamp, bid, ask)
SELECT 'S' || (i % 5), 1768867200000 + i, 1.0 + i * 0.37 % 1, 1.1 + i * 0.73 % 1 FROM n
"""


class Child:
    """A Python program in a process of its own, which goes on only when told to.

    It gets `say(text)` and `wait()`; `start` returns once it has said something.
    """

    PRELUDE = """
import os, sys, signal, apsw
from pathlib import Path
def say(text="ready"): print(text, flush=True)
def wait(): sys.stdin.readline()
def connect(path, flags=apsw.SQLITE_OPEN_READWRITE): return apsw.Connection(path, flags=flags)
def run(connection, sql, values=()): return connection.execute(sql, values).get
"""

    def __init__(self, script: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.PRELUDE + script, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def said(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the child ended without a word"
        return line.strip()

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        self.process.communicate("\n")
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class Day:
    """One stream's day: its paths, its job, and the shortcuts that tests need."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.database = root / "db" / "2026" / "01" / "ticks_2026-01-20.db"
        self.compressed = self.database.with_name(self.database.name + ".zst")
        self.backup = root / "backup" / "2026" / "01" / "ticks_2026-01-20.db"
        self.backup_compressed = self.backup.with_name(self.backup.name + ".zst")
        self.archived = root / "archive" / "2026" / "01" / self.compressed.name
        self.retired = self.database.with_name(f".{self.database.name}.retired")
        schema = root / "schema.sql"
        schema.write_text(SCHEMA)
        self.job = Job(
            step=Step.CREATE,
            key="ticks/2026-01-20",
            paths=Paths(
                database=str(self.database),
                compressed=str(self.compressed),
                backup=str(self.backup),
                backup_compressed=str(self.backup_compressed),
                archived=str(self.archived),
            ),
            options=Options(schema=str(schema), level=3, frame_bytes=64 * 1024, quiet_seconds=0.0),
        )

    def beside(self, suffix: str) -> Path:
        return self.database.with_name(self.database.name + suffix)

    def attempt(self, step: Step, **changes: Any) -> Done | Failure:
        return run(structs.replace(self.job, step=step, **changes))

    def done(self, step: Step, **changes: Any) -> Any:
        outcome = self.attempt(step, **changes)
        assert isinstance(outcome, Done), outcome
        return outcome.result

    def failed(self, step: Step, **changes: Any) -> Failure:
        outcome = self.attempt(step, **changes)
        assert isinstance(outcome, Failure), outcome
        return outcome

    def create(self) -> Created:
        result: Created = self.done(Step.CREATE)
        return result

    def fill(self, count: int = 1000, first: int = 0) -> None:
        connection = apsw.Connection(str(self.database), flags=apsw.SQLITE_OPEN_READWRITE)
        for _ in connection.execute(INSERT, {"first": first, "count": count}):
            pass
        connection.close()

    def seal(self, **changes: Any) -> Sealed:
        """Seal the day, and let later jobs know it."""
        sealed: Sealed = self.done(Step.SEAL, **changes)
        self.job = structs.replace(self.job, sealed=sealed)
        return sealed

    def back_up(self, **changes: Any) -> BackedUp:
        result: BackedUp = self.done(Step.BACKUP, **changes)
        return result

    def sealed_day(self, count: int = 1000) -> Sealed:
        self.create()
        self.fill(count)
        return self.seal()

    def backed_up_day(self, count: int = 1000) -> Sealed:
        sealed = self.sealed_day(count)
        self.back_up()
        return sealed

    def files(self) -> dict[str, str]:
        """Every file of the day, by its path below the root, with the hash of its bytes."""
        return {
            str(path.relative_to(self.root)): sha256(path)
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and path.parent != self.root
        }

    def temporaries(self) -> list[str]:
        return [name for name in self.files() if "tickward-tmp" in name]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def day(tmp_path: Path) -> Day:
    return Day(tmp_path)


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def start(script: str, *arguments: object, silent: bool = False) -> Child:
        children.append(Child(script, *arguments))
        if not silent:
            children[-1].said()
        return children[-1]

    yield start
    for each in children:
        each.close()


@pytest.fixture
def flip() -> Callable[..., None]:
    """Change one byte of a file, and leave no trace in its timestamps."""

    def change(path: Path, offset: int) -> None:
        status = path.stat()
        data = bytearray(path.read_bytes())
        data[offset] ^= 0x01
        with path.open("r+b") as file:
            file.write(data)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    return change


KILLED = """
import msgspec
from handlers.table import run as run_job
from handlers.contract import Done, Job

def guarded(real):
    def call(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)
    return call

for line in sys.stdin:
    left, job = msgspec.json.decode(line, type=tuple[int, Job])
    child = os.fork()
    if not child:
        for name in ("open", "link", "unlink", "rename", "replace", "fsync", "fdatasync", "mkdir"):
            setattr(os, name, guarded(getattr(os, name)))
        outcome = run_job(job)
        if not isinstance(outcome, Done):
            sys.stderr.write(str(outcome))
        os._exit(not isinstance(outcome, Done))
    say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.fixture(scope="session")
def killing() -> Iterator[Child]:
    """A process that has imported everything, and forks for each job: to start anew takes far longer."""
    process = Child(KILLED)
    yield process
    process.close()


@pytest.fixture
def kill_at(killing: Child) -> Callable[[Job, int], bool]:
    """Do a job in a process that is killed before its nth system call; whether it was."""

    def attempt(job: Job, number: int) -> bool:
        assert killing.process.stdin is not None
        killing.process.stdin.write(msgspec.json.encode((number, job)).decode() + "\n")
        killing.process.stdin.flush()
        status = int(killing.said())
        assert status in {0, -signal.SIGKILL}
        return status != 0

    return attempt


LIMITED = """
import msgspec, resource
from handlers.table import run as run_job
from handlers.contract import Job

job = msgspec.json.decode(sys.argv[1], type=Job)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
print(msgspec.json.encode(run_job(job)).decode())
"""


@pytest.fixture
def with_full_disk(child: Callable[..., Child]) -> Callable[[Job, int], Failure]:
    """Do a job in a process that can make no file larger than so many bytes."""

    def attempt(job: Job, limit_bytes: int) -> Failure:
        process = child(LIMITED, msgspec.json.encode(job).decode(), limit_bytes, silent=True).process
        output, _ = process.communicate()
        return msgspec.json.decode(output, type=Failure)

    return attempt


@pytest.fixture
def fail_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, str], Any]:
    """Make the nth call of one os function fail, once. Returns what tells whether it came to it."""

    def arm(number: int, name: str) -> list[str]:
        real, calls, happened = getattr(os, name), iter(range(1_000_000)), []

        def call(*arguments: Any, **options: Any) -> Any:
            if next(calls) == number:
                happened.append(name)
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(arguments[0]))
            return real(*arguments, **options)

        monkeypatch.setattr(os, name, call)
        return happened

    return arm
