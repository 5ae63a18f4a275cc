"""`tickward status`, with a daemon and without."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from handlers.contract import Holder, Step
from tests.watcher.builders import RAW, backed_up, sealed
from tests.watcher.cli.conftest import Terminal
from tests.watcher.cli.test_plan import make
from tests.watcher.processes import Child
from watcher.events import Closed, Deferred, Event, Failed, Rotated
from watcher.journal import Journal

AT = datetime(2026, 1, 20, 0, 5, tzinfo=UTC)
HOLD = """
from pathlib import Path
from watcher.lock import Lock
lock = Lock(Path(sys.argv[1])); lock.acquire(); say('held'); wait()
"""


def record(folder: Path, *entries: tuple[str, Event]) -> None:
    state = folder / "data/ticks/state"
    state.mkdir(parents=True, exist_ok=True)
    with Journal.open_for_writing(state / "journal.db") as journal:
        journal.record(entries, AT)


def test_before_the_first_start(tickward: Terminal) -> None:
    tickward.configure()
    report = tickward("status", "--json").json
    assert (report["verdict"], report["daemon_pid"], report["sequence"]) == ("ATTENTION", None, 0)
    assert (report["databases"], report["blocked"], report["failed"], report["deferred"]) == ([], [], [], [])
    out = tickward("status").out
    assert "no daemon is running; 0 events recorded" in out


def test_beside_a_daemon(tickward: Terminal) -> None:
    tickward.configure()
    state = tickward.folder / "data/ticks/state"
    state.mkdir(parents=True)
    with Child(HOLD, state) as daemon:
        assert daemon.said() == "held"
        report = tickward("status", "--json").json
        assert (report["verdict"], report["daemon_pid"]) == ("OK", daemon.process.pid)
        assert f"daemon running, pid {daemon.process.pid}" in tickward("status").out
    assert tickward("status", "--json").json["daemon_pid"] is None


def test_where_every_day_is(tickward: Terminal) -> None:
    tickward.configure()
    make(tickward.folder, "2026-01-18")
    make(tickward.folder, "2026-01-19")
    rotated = Rotated("2026-01-20", "2026-01-19", "/r/[x]/20.db", "/r/[x]/19.db", "clock")
    record(tickward.folder, ("ticks/2026-01-19", Closed("/r/x.db", RAW, 0)), ("ticks", rotated))
    report = tickward("status", "--json").json
    assert [row["database"] for row in report["databases"]] == ["ticks/2026-01-18", "ticks/2026-01-19"]
    assert report["states"] == {"closed": 2, "absent": 2}
    assert report["streams"]["ticks"]["current"] == "2026-01-20"
    out = tickward("status").out
    assert "ticks: current day 2026-01-20, /r/[x]/20.db" in out
    assert "days: 2 absent, 2 closed" in out
    assert "due: ticks/2026-01-20: create: today's database is missing" in out


COPIED = "a consistent copy was taken 2026-01-20 00:05 UTC"


@pytest.mark.parametrize(("live", "said"), [(False, "no copy of it yet"), (True, COPIED)])
def test_a_day_that_is_held_open(tickward: Terminal, live: bool, said: str) -> None:
    tickward.configure()
    make(tickward.folder, "2026-01-19")
    deferred = Deferred("/r/x.db", (Holder(77, "report [x]"),), AT)
    entries: list[tuple[str, Event]] = [("ticks/2026-01-19", deferred)]
    if live:
        entries.append(("ticks/2026-01-19", backed_up(live=True)))
    record(tickward.folder, *entries)
    (item,) = tickward("status", "--json").json["deferred"]
    assert item["holders"] == [{"pid": 77, "name": "report [x]"}]
    (line,) = [line for line in tickward("status").out.splitlines() if line.startswith("not sealed")]
    assert "ticks/2026-01-19 is held by report [x] (pid 77) since 2026-01-20 00:05 UTC" in line
    assert said in line


def test_a_step_that_failed_says_what_to_do(tickward: Terminal) -> None:
    tickward.configure()
    make(tickward.folder, "2026-01-19")
    failed = Failed(Step.SEAL, "disk [full]", "free some space", 3, True, AT, "e")
    record(tickward.folder, ("ticks/2026-01-19", failed))
    assert tickward("status", "--json").json["verdict"] == "FAILING"
    out = tickward("status").out
    assert "failed: ticks/2026-01-19 seal: disk [full]; free some space; attempt 3;" in out


def test_days_that_are_gone_are_blocked(tickward: Terminal) -> None:
    tickward.configure()
    record(tickward.folder, ("ticks/2026-01-19", sealed()))
    report = tickward("status", "--json").json
    assert report["verdict"] == "FAILING"
    assert "is it mounted?" in report["blocked"][0]["reason"]
    assert "blocked: 3 days, ticks/2026-01-19 to ticks/2026-01-21: the root holds" in tickward("status").out
