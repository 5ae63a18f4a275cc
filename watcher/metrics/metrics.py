"""The metrics of a running daemon: gathered when somebody asks, and served."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from http import HTTPStatus

import apsw
import msgspec
from loguru import logger
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric

from handlers.contract import Step
from watcher.clock import Clock
from watcher.disk import room
from watcher.errors import TickwardError
from watcher.events import Event, Record
from watcher.metrics.families import Measured, families
from watcher.metrics.probe import Probe, probe
from watcher.metrics.server import RETRY_SECONDS, Answer, Server
from watcher.metrics.standing import last_successes, standing
from watcher.metrics.tally import Tally
from watcher.paths import journal_file
from watcher.plan import Plan
from watcher.settings import Settings
from watcher.version import installed
from watcher.vitals import Vitals

_FRESH_SECONDS = 1.0
"""Whoever asks again within this time is told the same once more: a flood of scrapes costs little."""
_TURN_SECONDS = 5.0
"""How long a scrape waits for the one before it."""
_KIND = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Serves ``/metrics`` and ``/healthz`` on ``metrics.listen``.

    Args:
        settings: with absolute directories.
        clock: the daemon's.
        vitals: how the daemon is; None before its first step. Called from other threads.
        plan: what its loop acted upon last. Called from other threads.
        retry_seconds: how soon an address that is taken is tried again.
        monotonic: a clock for tests.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        vitals: Callable[[], Vitals | None],
        plan: Callable[[], Plan | None],
        *,
        retry_seconds: float = RETRY_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._data = settings.data
        self._scale = settings.clock.scale
        self._journal_file = journal_file(settings.data)
        self._clock = clock
        self._vitals = vitals
        self._plan = plan
        self._monotonic = monotonic
        self._version = installed()
        self._lock = threading.Lock()
        self._told: tuple[float, bytes] | None = None
        """What was told last, and when, by the monotonic clock."""
        self._before: dict[Step, datetime] = {}
        """When each step last succeeded before the start; empty until that has been read."""
        self._complaint = ""
        self._registry = CollectorRegistry()
        self._tally = Tally(self._registry)
        ProcessCollector(registry=self._registry)
        self._registry.register(self)
        routes = {"/metrics": self.scrape, "/healthz": self._health}
        self._server = Server(settings.metrics.listen, routes, retry_seconds=retry_seconds)

    @property
    def url(self) -> str:
        """Where it is served; empty as long as the address is taken."""
        return self._server.url

    def start(self) -> None:
        """Serve, as soon as the address is free."""
        # Beside the work: Prometheus does not wait for so long.
        threading.Thread(target=self.remember, name="metrics", daemon=True).start()
        self._server.start()

    def stop(self) -> None:
        """Serve no more."""
        self._server.stop()

    def observe(self, record: Record, event: Event, seconds: float | None) -> None:
        """Count an event that was recorded, and how long the step took that led to it. Never blocks."""
        self._tally.observe(record, event, seconds)

    def remember(self) -> None:
        """Read when each step last succeeded. With some millions of events that takes a while."""
        try:
            self._before = last_successes(self._journal_file)
        except (apsw.Error, OSError, TickwardError) as error:
            self._complain(str(error))

    def _health(self) -> Answer:
        found = self._probe(self._vitals())
        status = HTTPStatus.OK if found.status == "ok" else HTTPStatus.SERVICE_UNAVAILABLE
        return Answer(status, msgspec.json.encode(found) + b"\n", "application/json")

    def _probe(self, vitals: Vitals | None) -> Probe:
        return probe(vitals, self._version, self._clock.now(), self._scale)

    def scrape(self) -> Answer:
        """What is answered to Prometheus."""
        if not self._lock.acquire(timeout=_TURN_SECONDS):
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"an earlier scrape is still under way\n")
        try:
            text = self._text()
        except (apsw.Error, OSError, TickwardError) as error:
            self._complain(str(error))
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n".encode())
        finally:
            self._lock.release()
        return Answer(HTTPStatus.OK, text, _KIND)

    def _text(self) -> bytes:
        now = self._monotonic()
        if self._told is None or now - self._told[0] > _FRESH_SECONDS:
            self._told = (now, generate_latest(self._registry))
            self._complaint = ""
        return self._told[1]

    def collect(self) -> Iterable[Metric]:
        """What is gathered anew for each scrape. Raises what stands against it."""
        vitals = self._vitals()
        measured = Measured(
            standing=standing(self._journal_file, self._data.streams, self._clock.now().date()),
            plan=self._plan(),
            successes=self._tally.last_successes(self._before),
            rooms=room(self._data),
            vitals=vitals,
            healthy=self._probe(vitals).status == "ok",
            version=self._version,
            sqlite_version=apsw.sqlite_lib_version(),
        )
        return families(measured)

    def _complain(self, error: str) -> None:
        """Said once, as long as it stays the same."""
        level = "DEBUG" if error == self._complaint else "ERROR"
        self._complaint = error
        logger.bind(error=error).log(level, "no metrics can be told for now ({}); the work goes on", error)
