"""Commands, as a person types them, in a folder of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from msgspec import Struct

from tests.watcher.processes import PATIENCE_SECONDS, PROJECT
from watcher.__main__ import main

NOON = "2026-01-20T12:00:00+00:00"


class Ended(Struct, frozen=True):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


class Terminal:
    """Runs commands in a folder, in this process or, for what concerns processes, in one of their own."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Ended:
        self._monkeypatch.setattr(sys, "argv", ["tickward", *arguments])
        self._capsys.readouterr()
        code: Any = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        told = self._capsys.readouterr()
        return Ended(code, told.out, told.err)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """The same in a process of its own."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TICKWARD_")}
        return subprocess.Popen(
            [sys.executable, "-m", "watcher", *arguments],
            cwd=self.folder,
            env={**environment, "PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )

    def run(self, *arguments: str) -> Ended:
        process = self.start(*arguments, stderr=subprocess.PIPE)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        return Ended(process.returncode, out, err)

    def configure(self, text: str = "") -> Path:
        """A configuration whose clock shows noon of 2026-01-20 now."""
        file = self.folder / "config.toml"
        file.write_text(f'{text}\n[clock]\nstart = "{NOON}"\norigin = {time.time()}\n')
        return file

    def configure_events(self) -> None:
        """The same, with addresses for a daemon of this test alone."""
        self.configure('[events]\npublish = "ipc://p"\nreplay = "ipc://r"\n')

    def tree(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}


@pytest.fixture
def tickward(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Terminal]:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("TICKWARD_"):
            monkeypatch.delenv(name)
    # What is done in this process is done by its threads: a pool of processes takes a second to come up.
    monkeypatch.setattr("watcher.app.process_executor", lambda count, _: ThreadPoolExecutor(count))
    yield Terminal(tmp_path, monkeypatch, capsys)
    logger.remove()
