"""Real processes for tests: they say when they are ready, and go on only when told to."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
PATIENCE_SECONDS = 30.0

_PRELUDE = """
import os, signal, sys
def say(*words): print(*words, flush=True)
def wait(): sys.stdin.readline()
"""


class Child:
    """A Python program in a process of its own, which can `say(...)` and `wait()`.

    Args:
        program: its source; `sys.argv[1:]` are the arguments.
        options: of `subprocess.Popen`.
    """

    def __init__(self, program: str, *arguments: object, **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PRELUDE + program, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            **options,
        )

    def said(self) -> str:
        """Its next line; an empty string once it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """With a SIGKILL, as the out-of-memory killer does."""
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """Let it go on to its end; return its exit code."""
        self.process.communicate("\n", timeout=PATIENCE_SECONDS)
        return self.process.returncode

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class Watched:
    """A process that is not ours to wait for: tells when it has ended."""

    def __init__(self, pid: int) -> None:
        self._descriptor = os.pidfd_open(pid)

    def ends(self, seconds: float = PATIENCE_SECONDS) -> bool:
        """Whether it ends within the time."""
        return bool(select.select([self._descriptor], [], [], seconds)[0])

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
