"""`tickward` for shell scripts, without the time that Python takes to come up: a process that is up already
forks for every call.

The call is another process all the same, with the arguments, environment, working directory and files of
whoever calls. Only what a pool of processes would do is done by threads, as in `tests.end_to_end.harness`.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec

_PROJECT = Path(__file__).parents[2]
_USED = (
    *("app", "overview", "survey", "days", "query", "report", "audit", "control", "requests", "plan"),
    *("cli.main", "cli.asking", "cli.status", "cli.status_screen", "cli.steps", "cli.once", "cli.restore"),
    *("cli.verify", "cli.inventory", "cli.history", "cli.hold", "cli.audit", "cli.analyze", "cli.forecast"),
)
_MOST_BYTES = 1 << 20
_CALL = """#!{python} -IS
import json, os, socket, sys
call = socket.socket(socket.AF_UNIX)
call.connect({socket!r})
told = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)])
socket.send_fds(call, [told.encode()], [0, 1, 2])
sys.exit(int(call.recv(16) or 70))
"""


class Program:
    """The program, in a directory of its own that may stand in PATH."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        address = directory / "calls"
        file = directory / "tickward"
        file.write_text(_CALL.format(python=sys.executable, socket=str(address)))
        file.chmod(0o755)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(address)],
            cwd=_PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def close(self) -> None:
        self._process.terminate()
        self._process.communicate()


def _serve(address: str) -> None:
    for name in _USED:
        import_module(f"watcher.{name}")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as ear:
        ear.bind(address)
        ear.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            call, _ = ear.accept()
            with call:
                if os.fork() == 0:
                    ear.close()
                    _answer(call)


def _answer(call: socket.socket) -> None:
    """Be the program that was called, to its end."""
    code: Any = 70
    try:
        told, files, _, _ = socket.recv_fds(call, _MOST_BYTES, 3)
        arguments, directory, environment = msgspec.json.decode(told)
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.chdir(directory)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["tickward", *arguments]
        code = _main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        call.sendall(str(code).encode())
        os._exit(0)


def _main() -> int:
    from watcher.__main__ import main  # noqa: PLC0415 (whoever starts this process has no use for it)

    with patch("watcher.app.process_executor", lambda count, _: ThreadPoolExecutor(count)):
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0


if __name__ == "__main__":
    _serve(sys.argv[1])
