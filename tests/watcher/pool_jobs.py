"""Jobs for the tests of the pool, importable in its workers. They talk through FIFOs in the job's folder."""

from __future__ import annotations

import ctypes
import json
import os
import signal
from pathlib import Path
from typing import Any

from handlers.contract import Done, Job, Outcome, Paths, Step

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_IOPRIO_GET = {"x86_64": 252, "aarch64": 31}


class Talk:
    """The test's side of one job: hears what its worker says of itself, and lets it go on."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        for name in ("said", "go"):
            os.mkfifo(folder / name)

    def job(self, key: str = "ticks/2026-01-20", step: Step = Step.BACKUP) -> Job:
        return Job(step, key, Paths(str(self._folder), "", "", "", ""))

    def said(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self._folder / "said").read_text())
        return found

    def go_on(self) -> None:
        (self._folder / "go").write_text("")


def say(job: Job) -> Outcome:
    """Say who runs it, and end."""
    _say(job)
    return Done(job, None, 0.0)


def say_unless_sealing(job: Job) -> Outcome:
    return Done(job, None, 0.0) if job.step is Step.SEAL else say(job)


def say_and_wait(job: Job) -> Outcome:
    """Say who runs it, and end when told to."""
    _say(job)
    Path(job.paths.database, "go").read_text()
    return Done(job, None, 0.0)


def do_nothing(job: Job) -> Outcome:
    return Done(job, None, 0.0)


def go_wrong(job: Job) -> Outcome:
    raise ZeroDivisionError(job.key)


def end_the_worker(job: Job) -> Outcome:
    os._exit(7)


def _say(job: Job) -> None:
    about = {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "io": _io_priority(),
        "ignores": [number for number in SIGNALS if signal.getsignal(number) is signal.SIG_IGN],
    }
    Path(job.paths.database, "said").write_text(json.dumps(about))


def _io_priority() -> int | None:
    number = _IOPRIO_GET.get(os.uname().machine)
    return ctypes.CDLL(None).syscall(number, 1, 0) if number else None
