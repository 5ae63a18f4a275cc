"""The loop with a clock turned by hand, threads for workers, and real files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import apsw
import pytest
from loguru import logger
from msgspec.structs import replace

from handlers.contract import Job, Outcome, Step
from tests.watcher.builders import utc
from watcher.app import App
from watcher.audit import check
from watcher.clock import ManualClock
from watcher.desk import Ticket
from watcher.events import DiskLow, Record
from watcher.filesystem import Hints
from watcher.loop import Loop
from watcher.metadata import read_witness
from watcher.plan import Order, is_paused
from watcher.requests import Finished, Reply
from watcher.settings import Data, Events, Log, Settings, Watch
from watcher.survey import survey

NOON = utc("2026-01-20 12:00")


class Bench:
    """A loop that a test steps by hand."""

    def __init__(self, app: App, loop: Loop, clock: ManualClock, folder: Path) -> None:
        self.app = app
        self.loop = loop
        self.clock = clock
        self.folder = folder

    def settle(self, *paths: Path, rescan: bool = False) -> None:
        """Step until nothing is running or due."""
        hints = Hints(frozenset(paths), rescan)
        while True:
            self.loop.step(self.clock.now(), hints)
            hints = Hints(frozenset(), rescan=False)
            if not self.loop.busy():
                return
            self.app._wakeup.wait(10)

    def path(self, day: str) -> Path:
        return self.folder / "db" / day[:4] / day[5:7] / f"ticks_{day}.db"

    def make(self, day: str) -> Path:
        path = self.path(day)
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = apsw.Connection(str(path))
        connection.execute("CREATE TABLE ticks (symbol, timestamp); INSERT INTO ticks VALUES ('A', 1)")
        connection.close()
        return path

    def events(self, key: str) -> list[str]:
        records: list[Record] = self.loop._journal.since(0)
        return [record.event for record in records if record.key == key]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with stepping(tmp_path) as bench:
        yield bench


@contextmanager
def stepping(folder: Path) -> Iterator[Bench]:
    settings = Settings(
        data=Data(
            root=f"{folder}/db",
            backup=f"{folder}/backup",
            archive=f"{folder}/archive",
            state=f"{folder}/state",
        ),
        events=Events(publish=f"ipc://{folder}/e"[:100], replay=f"ipc://{folder}/r"[:100]),
        log=Log(file=""),
        # For so long, in real seconds, an original is left alone before it is removed.
        watch=Watch(settle_seconds=0.02),
    )
    clock = ManualClock(NOON)
    app = App(settings, clock=clock, executor=lambda: ThreadPoolExecutor(2))
    with app._started("once") as (loop, _):
        yield Bench(app, loop, clock, folder)


def test_a_day_from_its_making_to_its_compression(bench: Bench) -> None:
    bench.settle(rescan=True)
    assert bench.path("2026-01-20").exists()
    assert bench.path("2026-01-21").exists()
    bench.clock.advance(hours=12)
    bench.settle()
    assert bench.events("ticks/2026-01-20") == ["created", "sealed", "backed_up"]
    for _ in range(12):
        bench.clock.advance(days=1)
        bench.settle()
    assert bench.events("ticks/2026-01-20")[-1] == "compressed"
    assert not bench.path("2026-01-20").exists()
    assert bench.events("ticks").count("rotated") == 14


def test_waking_at_the_time_it_names_finds_work(bench: Bench) -> None:
    bench.make("2026-01-12")
    bench.settle(rescan=True)
    before = bench.events("ticks/2026-01-12")
    while "compressed" not in bench.events("ticks/2026-01-12"):
        bench.clock.time = max(bench.loop.next_wake(bench.clock.now()), bench.clock.now())
        assert bench.clock.now() < NOON + timedelta(days=10)
        bench.settle()
    assert before == ["closed", "sealed", "backed_up"]


def test_a_clock_that_is_wrong_for_a_minute_does_no_lasting_damage(bench: Bench) -> None:
    bench.settle(rescan=True)
    bench.clock.jump(days=365)
    bench.make("2026-01-19")
    bench.settle(rescan=True)
    assert not bench.path("2027-01-20").exists(), "nothing is made by a date that is in doubt"
    bench.clock.advance(minutes=1)
    bench.settle()
    bench.clock.jump(days=-365)
    bench.settle()
    bench.make("2026-01-18")  # and no event tells of it
    bench.clock.advance(minutes=11)
    bench.settle()
    assert bench.events("ticks/2026-01-18") == ["closed", "sealed", "backed_up"]
    assert bench.loop.last_plan is not None
    assert {type(entry).__name__ for entry in bench.loop.last_plan.entries} == {"Wait"}
    bench.clock.advance(days=1)
    bench.settle()
    # What was read by a clock that was wrong does not count as read: it is read again.
    assert bench.events("ticks/2026-01-20")[-3:] == ["sealed", "backed_up", "verified"]
    assert bench.path("2026-01-22").exists()


def test_a_clock_that_stays_ahead_is_believed_in_the_end(bench: Bench) -> None:
    bench.settle(rescan=True)
    bench.clock.jump(days=2)
    bench.settle()
    bench.clock.advance(minutes=10)
    bench.settle()
    assert bench.path("2026-01-22").exists()


def test_a_root_that_is_gone_is_not_made_anew(bench: Bench) -> None:
    bench.settle(rescan=True)
    (bench.folder / "db").rename(bench.folder / "away")
    with pytest.raises(FileNotFoundError, match="is gone"):
        bench.settle()
    assert not (bench.folder / "db").exists()
    (bench.folder / "away").rename(bench.folder / "db")
    bench.settle(rescan=True)


def test_a_journal_that_cannot_be_written_loses_no_outcome(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.settle(rescan=True)
    bench.make("2026-01-19")
    real = bench.loop._journal.record
    refused = []

    def full_once(entries, at):
        if any(type(event).__name__ == "Sealed" for _, event in entries) and not refused:
            refused.append(1)
            raise apsw.FullError("database or disk is full")
        return real(entries, at)

    monkeypatch.setattr(bench.loop._journal, "record", full_once)
    with pytest.raises(apsw.FullError):
        bench.settle(rescan=True)
    bench.settle()
    assert bench.events("ticks/2026-01-19") == ["closed", "sealed", "backed_up"]


def test_what_ended_together_is_recorded_in_one_transaction(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.settle(rescan=True)
    for day in ("2026-01-17", "2026-01-18"):
        bench.make(day)
    real, groups = bench.loop._journal.record, []
    arrived = threading.Barrier(2)
    run = bench.loop._pool._run

    def together(job: Job) -> Outcome:
        arrived.wait(10)
        outcome = run(job)
        arrived.wait(10)
        return outcome

    def counted(entries, at):
        groups.append(sorted(type(event).__name__ for _, event in entries))
        return real(entries, at)

    monkeypatch.setattr(bench.loop._journal, "record", counted)
    monkeypatch.setattr(bench.loop._pool, "_run", together)
    bench.loop.step(bench.clock.now(), Hints(frozenset(), rescan=True))
    while len(bench.loop._pool._ended) < 2:
        bench.app._wakeup.wait(10)
    bench.loop.take_outcomes(bench.clock.now())
    assert groups[-1] == ["Sealed", "Sealed"]
    monkeypatch.setattr(bench.loop._pool, "_run", run)


def test_a_disk_that_fills_up_is_told_once_and_when_it_is_over(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = {"root": 5, "backup": 1 << 40}
    monkeypatch.setattr(bench.loop._inventory, "free_bytes", lambda: free)
    for _ in range(3):
        bench.clock.advance(minutes=1)
        bench.settle()
    assert bench.events("-").count("disk_low") == 1
    free["root"] = 1 << 40
    bench.settle()
    assert bench.events("-").count("disk_low") == 1
    bench.clock.advance(minutes=1)
    bench.settle()
    assert bench.events("-").count("disk_low") == 2
    assert bench.loop._journal.facts("-").disk_low == DiskLow({}, 1 << 30, "")


def with_free_min(bench: Bench, size: str) -> None:
    settings = bench.loop.settings
    bench.loop.reconfigure(replace(settings, health=replace(settings.health, free_min=size)))


def test_what_needs_space_is_paused_from_the_first_look_on_and_goes_on_by_itself(bench: Bench) -> None:
    with_free_min(bench, "9999 TiB")
    bench.make("2026-01-19")
    bench.settle(rescan=True)
    assert bench.events("ticks/2026-01-19") == ["closed", "sealed"]
    assert bench.path("2026-01-21").exists(), "the writer needs its files"
    assert bench.loop.last_plan is not None
    paused = [entry for entry in bench.loop.last_plan.entries if is_paused(entry)]
    assert [(entry.key, entry.step) for entry in paused] == [("ticks/2026-01-19", Step.BACKUP)]
    assert survey(bench.loop.settings, bench.clock.now()).plan.entries == bench.loop.last_plan.entries
    in_a_minute = bench.clock.now() + timedelta(minutes=1)
    assert bench.loop.next_wake(bench.clock.now()) == in_a_minute, "nothing tells of space that was freed"
    with_free_min(bench, "0 MiB")
    bench.settle()
    assert bench.events("ticks/2026-01-19") == ["closed", "sealed", "backed_up"]
    assert bench.loop.next_wake(bench.clock.now()) > in_a_minute


def test_only_a_tenth_more_than_the_least_is_enough_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = {"backup": 5}
    monkeypatch.setattr(bench.loop._inventory, "free_bytes", lambda: free)
    bench.make("2026-01-19")
    for now in (5, 1 << 30):
        free["backup"] = now
        bench.clock.advance(minutes=1)
        bench.settle(rescan=True)
        assert bench.events("ticks/2026-01-19") == ["closed", "sealed"]
    free["backup"] = 2 << 30
    bench.clock.advance(minutes=1)
    bench.settle()
    assert bench.events("ticks/2026-01-19") == ["closed", "sealed", "backed_up"]
    assert bench.events("-").count("disk_low") == 2


def test_what_a_person_orders_is_not_refused_by_what_was_so_long_ago(bench: Bench) -> None:
    bench.make("2026-01-19")
    bench.loop.by_order_only = True
    bench.loop.record([("-", DiskLow({"backup": 5}, 1 << 30, "free some"))], NOON)
    said: list[Reply] = []
    hints = Hints(frozenset(), rescan=True)
    for step in (Step.SEAL, Step.BACKUP):
        bench.loop.desk.put(Ticket(Order(step, "ann", ("ticks/2026-01-19",)), said.append))
        while bench.loop.step(NOON, hints) and bench.loop.desk.busy():
            hints = Hints(frozenset(), rescan=False)
            bench.app._wakeup.wait(10)
    assert [reply for reply in said if isinstance(reply, Finished)] == [Finished(1, 0)] * 2


def test_a_daemon_that_starts_anew_goes_on_where_space_was_freed_meanwhile(tmp_path: Path) -> None:
    low = DiskLow({"backup": 5}, 1 << 30, "free some")
    with stepping(tmp_path) as bench:
        bench.loop.record([("-", low)], NOON)
        bench.make("2026-01-19")
    with stepping(tmp_path) as bench:
        assert bench.loop._journal.facts("-").disk_low == low
        bench.settle(rescan=True)
        assert bench.events("-").count("disk_low") == 2
        assert bench.events("ticks/2026-01-19") == ["closed", "sealed", "backed_up"]


def test_a_clock_that_was_put_back_does_not_keep_the_disks_from_being_looked_at(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.clock.jump(days=30)
    bench.settle(rescan=True)
    bench.clock.jump(days=-30)
    monkeypatch.setattr(bench.loop._inventory, "free_bytes", lambda: {"backup": 5})
    bench.settle()
    assert bench.events("-").count("disk_low") == 1


def test_the_walk_is_put_off_until_midnight_is_over(bench: Bench) -> None:
    bench.clock.time = utc("2026-01-20 23:49:55")
    bench.settle(rescan=True)
    assert bench.loop._scan_at == utc("2026-01-21 00:00:10")


def test_a_walk_on_which_nothing_is_new_leaves_the_days_as_they_were(bench: Bench) -> None:
    """Or the planner would be asked of all of them anew."""
    bench.make("2026-01-19")
    bench.settle(rescan=True)
    before = bench.loop._inventory.get("ticks/2026-01-19")
    bench.settle(rescan=True)
    assert bench.loop._inventory.get("ticks/2026-01-19") is before


class DueForACheck:
    """Stands for an observer that wants to be looked after at once, until it was."""

    def __init__(self) -> None:
        self.checks = 0

    @property
    def needs_check(self) -> bool:
        return not self.checks

    @property
    def next_check_seconds(self) -> float:
        return 30.0 if self.checks else 0.0

    def check(self) -> None:
        self.checks += 1

    def drain(self) -> Hints:
        return Hints(frozenset(), rescan=False)


def test_the_observer_is_looked_after_also_when_the_step_fails(bench: Bench) -> None:
    """Or the loop would wake for it again and again, without a pause, as long as the root is gone."""
    bench.settle(rescan=True)
    (bench.folder / "db").rename(bench.folder / "away")
    files = DueForACheck()
    bench.app._wakeup()
    bench.app._guarded_step(bench.loop, files)  # type: ignore[arg-type]
    assert files.checks == 1
    (bench.folder / "away").rename(bench.folder / "db")


def test_how_things_stand_is_said_every_hour_and_once_after_a_pause(bench: Bench) -> None:
    bench.settle(rescan=True)
    assert bench.events("-").count("health") == 1
    bench.clock.advance(minutes=59)
    bench.settle()
    assert bench.events("-").count("health") == 1
    bench.clock.advance(minutes=1)
    bench.settle()
    assert bench.events("-").count("health") == 2
    bench.clock.advance(hours=10)
    bench.settle()
    assert bench.events("-").count("health") == 3


def test_how_far_the_journal_has_got_is_noted_outside_of_it(bench: Bench) -> None:
    bench.settle(rescan=True)
    anchor = read_witness(bench.folder / "db")
    assert anchor is not None
    assert bench.loop._journal.link(anchor.sequence) == bytes.fromhex(anchor.hash)
    assert check(bench.loop._journal, anchor) is None


def test_old_events_are_let_go_and_the_rest_is_proven_from_the_anchor(bench: Bench) -> None:
    bench.settle(rescan=True)
    for _ in range(12):
        bench.clock.advance(days=1)
        bench.settle()
    before = bench.loop._journal.all_facts()
    bench.loop.reconfigure(
        replace(bench.loop.settings, journal=replace(bench.loop.settings.journal, keep_days=2))
    )
    for _ in range(12):
        bench.clock.advance(days=1)
        bench.settle()
    assert bench.events("-").count("pruned") >= 1
    assert bench.loop._journal.oldest() > 1
    assert check(bench.loop._journal, read_witness(bench.folder / "db")) is None
    assert before.keys() <= bench.loop._journal.all_facts().keys()


def test_the_policy_is_recorded_when_it_changes_and_only_then(bench: Bench) -> None:
    assert bench.events("-").count("configured") == 1
    bench.loop.reconfigure(bench.loop.settings)
    assert bench.events("-").count("configured") == 1
    expire = replace(bench.loop.settings.expire, after_days=400)
    bench.loop.reconfigure(replace(bench.loop.settings, expire=expire))
    assert bench.events("-").count("configured") == 2
    (record,) = bench.loop._journal.since(bench.loop._journal.head() - 1)
    assert b"400 days after the end of its day" in bytes(record.data)


def test_a_journal_that_was_tampered_with_is_said_once_and_keeps_its_evidence(bench: Bench) -> None:
    bench.settle(rescan=True)
    for _ in range(12):
        bench.clock.advance(days=1)
        bench.settle()
    bench.loop._journal._connection.execute("UPDATE events SET data = '{}' WHERE sequence = 3")
    bench.loop.reconfigure(
        replace(bench.loop.settings, journal=replace(bench.loop.settings.journal, keep_days=2))
    )
    said: list[str] = []
    sink = logger.add(lambda message: said.append(str(message)), level="CRITICAL")
    for _ in range(3):
        bench.clock.advance(days=1)
        bench.settle()
    logger.remove(sink)
    assert len([line for line in said if "audit verify" in line]) == 1
    assert bench.loop._journal.oldest() == 1
