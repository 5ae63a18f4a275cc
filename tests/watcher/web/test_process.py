"""The page in a process of its own, beside the daemon."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from loguru import logger
from msgspec.structs import replace

from scripts.sample_tree import settings_below
from tests.watcher.bus import free_port, in_use, wait_until
from tests.watcher.processes import Watched
from watcher.errors import ConfigError
from watcher.settings import Events, Hook, Settings, Web, Workers
from watcher.web import process
from watcher.web.process import WebProcess
from watcher.web.server import listening


class Process(WebProcess):
    """One that can be looked at."""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid


class Lines:
    """What is logged, to wait for."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self._lines = os.fdopen(self._read)
        self.sink = logger.add(self._take, level="INFO", format="{message}")

    def _take(self, line: str) -> None:
        os.write(self._write, str(line).encode())

    def until(self, words: str) -> str:
        """The next line that has them."""
        return next(line for line in self._lines if words in line)

    def close(self) -> None:
        logger.remove(self.sink)
        os.close(self._write)
        self._lines.close()


@pytest.fixture
def lines() -> Iterator[Lines]:
    made = Lines()
    yield made
    made.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    events = Events(f"ipc://{tmp_path}/e", f"ipc://{tmp_path}/r")
    web, workers = Web(f"127.0.0.1:{free_port()}"), Workers(nice=3)
    hooks = {"sealed": Hook("https://x/token")}
    return replace(settings_below(tmp_path), events=events, web=web, workers=workers, hooks=hooks)


def status(settings: Settings) -> int:
    connection = HTTPConnection(settings.web.listen, timeout=20)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status
    finally:
        connection.close()


class TestThePageBesideTheDaemon:
    def test_is_served_within_bounds_and_started_again_when_it_was_killed(
        self, settings: Settings, lines: Lines
    ) -> None:
        before = in_use()
        page = Process(settings)
        page.start()
        try:
            assert settings.web.listen in lines.until("the page is at")
            assert status(settings) == 200
            limits = [
                resource.prlimit(page.pid, each)[0] for each in (resource.RLIMIT_DATA, resource.RLIMIT_CORE)
            ]
            assert limits == [1 << 30, 0]
            assert os.getpriority(os.PRIO_PROCESS, page.pid) == os.getpriority(os.PRIO_PROCESS, 0) + 3
            os.kill(page.pid, signal.SIGTERM)  # that is for the daemon
            os.kill(page.pid, signal.SIGKILL)

            assert "by SIGKILL" in lines.until("the page's process has ended")
            lines.until("the page is at")
            assert status(settings) == 200
            assert page.restarts == 1
            with Watched(page.pid) as last:
                page.stop()
                assert last.ends(0.0)
        finally:
            page.stop()
        wait_until(lambda: in_use() == before)

    def test_an_address_that_is_taken_is_said_once_and_ends_nothing(
        self, settings: Settings, lines: Lines
    ) -> None:
        with listening(settings.web.listen):
            page = Process(settings)
            page.start()
            try:
                said = lines.until("the page cannot be served at web.listen")
            finally:
                page.stop()

        assert settings.web.listen in said
        assert page.restarts == 0

    def test_is_told_nothing_of_secrets(self, settings: Settings) -> None:
        assert WebProcess(settings)._task().settings.hooks == {}

    def test_without_an_address_there_is_none(self, settings: Settings) -> None:
        page = WebProcess(replace(settings, web=Web()))
        page.start()
        page.stop()

        assert page._process is None

    def test_what_is_not_installed_is_named_with_the_way_to_get_it(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(process, "find_spec", lambda _: None)

        with pytest.raises(ConfigError, match=r"pip install 'tickward\[web\]'"):
            WebProcess(settings)
        WebProcess(replace(settings, web=Web()))
