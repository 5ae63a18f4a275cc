"""Tables of what the planner decides. Its laws are in test_plan_laws.py."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from handlers.contract import Created, Holder, Signature, Step
from tests.watcher.builders import (
    DAY,
    RAW,
    SETTINGS,
    ZST,
    archived_day,
    backed_up,
    backed_up_day,
    compressed_day,
    database,
    restored,
    sealed,
    sealed_day,
    utc,
    with_facts,
)
from watcher.events import Closed, Conflict, Corrupt, Deferred, Failed, Opened, Reopened, Rotated
from watcher.notices import rotations
from watcher.plan import Action, Block, Doubts, Entry, Plan, Wait, plan, wanted
from watcher.settings import TOPS, Create, Settings
from watcher.state import Database, Facts, Files

NOON = utc("2026-01-20 12:00")
OVER = utc("2026-01-21 00:00")
LATER = utc("2026-01-21 12:00")
WAL = Signature(500, 3, 9)


def decide(subject: Database, now: Any, settings: Settings = SETTINGS) -> Entry:
    found = plan([subject], settings, utc(now) if isinstance(now, str) else now)
    assert found.notices == ()
    return found.entries[0]


def notices(subject: Database, now: Any = NOON) -> list[Any]:
    return [notice.event for notice in plan([subject], SETTINGS, now).notices]


def step_of(entry: Entry) -> Step | None:
    assert isinstance(entry, Action), entry
    return entry.step


def failed(step: str, **changes: Any) -> Failed:
    base = Failed(step, "disk full", "free some", 1, True, LATER + timedelta(minutes=5), "e")
    return replace(base, **changes)


class TestLifecycle:
    """The way of a day whose writer behaves."""

    @pytest.mark.parametrize(
        ("subject", "now", "step"),
        [
            (database(files=Files(), facts=Facts()), "2026-01-20 12:00", Step.CREATE),
            (database(files=Files(), facts=Facts()), "2026-01-19 00:00", Step.CREATE),
            (database(), "2026-01-21 00:00", Step.SEAL),
            (database(), "2029-03-04 05:06", Step.SEAL),
            (sealed_day(), "2026-01-21 00:00", Step.BACKUP),
            (backed_up_day(), "2026-02-01 02:00", Step.COMPRESS),
            (backed_up_day(), "2026-09-01 12:00", Step.COMPRESS),
        ],
    )
    def test_what_is_due_is_done(self, subject: Database, now: str, step: Step) -> None:
        assert step_of(decide(subject, now)) == step

    @pytest.mark.parametrize(
        ("subject", "now", "until"),
        [
            (database(), "2026-01-20 12:00", "2026-01-21 00:00"),
            (database(), "2026-01-19 12:00", "2026-01-20 00:00"),
            # the day ends on the 21st; seven days later is Wednesday the 28th; the Sunday after is Feb 1
            (backed_up_day(), "2026-01-21 00:00", "2026-02-01 02:00"),
            (backed_up_day(), "2026-01-25 02:00", "2026-02-01 02:00"),
            (backed_up_day(), "2026-02-01 01:59", "2026-02-01 02:00"),
        ],
    )
    def test_what_is_not_due_waits_until_it_is(self, subject: Database, now: str, until: str) -> None:
        entry = decide(subject, now)
        assert isinstance(entry, Wait)
        assert entry.until == utc(until)

    def test_a_compressed_day_waits_for_its_archive(self) -> None:
        entry = decide(compressed_day(), "2026-02-20")
        assert isinstance(entry, Wait)
        assert (entry.until, entry.step) == (utc("2026-03-01 03:00"), Step.ARCHIVE)

    def test_one_job_a_database(self) -> None:
        entry = decide(sealed_day(running=Step.SEAL), LATER)
        assert entry == Wait("ticks/2026-01-20", "seal is running", passing=True)

    def test_a_lost_backup_is_made_again(self) -> None:
        subject = backed_up_day(files=Files(database=RAW))
        assert step_of(decide(subject, LATER)) == Step.BACKUP

    def test_a_lost_compressed_backup_is_made_again(self) -> None:
        subject = compressed_day(files=Files(compressed=ZST))
        assert step_of(decide(subject, "2026-06-01")) == Step.COMPRESS

    def test_a_backup_of_an_older_seal_does_not_count(self) -> None:
        facts = Facts(sealed=sealed(sha256="bb"), backed_up=backed_up("aa"))
        subject = backed_up_day(facts=facts)
        assert step_of(decide(subject, LATER)) == Step.BACKUP

    @pytest.mark.parametrize(
        "files",
        [
            Files(compressed=ZST, backup=RAW),
            Files(compressed=ZST, backup=RAW, retired=True),
            Files(retired=True, backup=RAW),
        ],
    )
    def test_an_interrupted_compression_is_finished_at_once(self, files: Files) -> None:
        assert step_of(decide(backed_up_day(files=files), LATER)) == Step.COMPRESS


class TestCreate:
    def test_wanted_are_today_and_the_days_ahead(self) -> None:
        assert wanted(SETTINGS, NOON) == [("ticks", DAY), ("ticks", DAY + timedelta(days=1))]

    def test_a_writer_that_makes_its_own_files_is_left_to_it(self) -> None:
        settings = Settings(create=Create(enabled=False))
        assert wanted(settings, NOON) == [("ticks", DAY)]
        entry = decide(database(files=Files(), facts=Facts()), NOON, settings)
        assert isinstance(entry, Wait)

    def test_a_day_that_was_there_is_never_made_anew(self) -> None:
        entry = decide(database(files=Files(backup=RAW)), NOON)
        assert isinstance(entry, Block)
        assert "its backup is still in" in entry.reason

    def test_a_log_without_its_database_may_hold_ticks(self) -> None:
        for now in (NOON, LATER):
            entry = decide(database(files=Files(wal=WAL), facts=Facts()), now)
            assert isinstance(entry, Block)
            assert "-wal is there without its database" in entry.reason

    def test_the_past_is_not_made(self) -> None:
        assert isinstance(decide(database(files=Files(), facts=Facts()), LATER), Wait)
        assert isinstance(decide(database(files=Files()), LATER), Block)


class TestSeal:
    def test_a_touched_file_settles_first(self) -> None:
        entry = decide(database(touched_at=LATER, held=None), LATER)
        assert isinstance(entry, Wait)
        assert entry.until == LATER + timedelta(seconds=0.25)

    def test_a_writer_still_there_at_midnight_gets_a_moment(self) -> None:
        subject = database(facts=Facts(opened=True), held=True)
        entry = decide(subject, OVER)
        assert isinstance(entry, Wait)
        assert entry.until == OVER + timedelta(seconds=5)
        assert step_of(decide(subject, entry.until)) == Step.SEAL  # which finds out who holds it

    def test_a_file_that_never_settles_is_tried_all_the_same(self) -> None:
        touched = LATER - timedelta(seconds=0.1)
        restless = database(touched_at=touched, unsettled_since=LATER - timedelta(seconds=4))
        entry = decide(restless, LATER)
        assert isinstance(entry, Wait)
        restless = replace(restless, unsettled_since=LATER - timedelta(seconds=5))
        assert step_of(decide(restless, LATER)) == Step.SEAL

    def test_a_late_clock_does_not_wait_for_a_future_touch(self) -> None:
        subject = database(touched_at=OVER - timedelta(seconds=1))
        assert step_of(decide(subject, OVER)) == Step.SEAL

    def test_an_empty_file_is_set_aside(self) -> None:
        subject = database(files=Files(database=Signature(0, 1, 7)), facts=Facts())
        subject = replace(subject, facts=Facts(closed=Closed("", Signature(0, 1, 7), 0)))
        entry = decide(subject, LATER)
        assert isinstance(entry, Block)
        assert "0 bytes" in entry.reason


class TestDeferral:
    """A day that somebody holds open."""

    def subject(self, **changes: Any) -> Database:
        deferred = Deferred("/r/x.db", (Holder(42, "notebook"),), since=OVER)
        facts = Facts(closed=Closed("/r/x.db", RAW, 0), deferred=deferred)
        return database(**{"facts": facts, "attempted_at": OVER, **changes})

    @pytest.mark.parametrize(
        ("waited", "next_seconds"), [(0, 5), (5, 5), (10, 10), (40, 40), (290, 290), (5000, 300)]
    )
    def test_tries_double_up_to_a_bound(self, waited: int, next_seconds: int) -> None:
        attempted = OVER + timedelta(seconds=waited)
        subject = self.subject(attempted_at=attempted)
        subject = replace(subject, facts=replace(subject.facts, backed_up=backed_up(live=True)))
        subject = replace(subject, facts=replace(subject.facts, times={"backed_up": OVER}))
        entry = decide(subject, attempted)
        assert isinstance(entry, Wait)
        assert entry.until == attempted + timedelta(seconds=next_seconds)
        assert "notebook (pid 42)" in entry.reason

    def test_after_a_restart_it_is_tried_at_once(self) -> None:
        assert step_of(decide(self.subject(attempted_at=None), LATER)) == Step.SEAL

    def test_its_own_attempt_does_not_count_as_a_sign(self) -> None:
        subject = self.subject(touched_at=OVER + timedelta(seconds=0.2))
        assert isinstance(decide(subject, OVER + timedelta(seconds=1)), Wait)

    def test_a_writer_that_leaves_is_noticed_at_once(self) -> None:
        subject = self.subject(touched_at=OVER + timedelta(seconds=1))
        assert step_of(decide(subject, OVER + timedelta(seconds=1.25))) == Step.SEAL

    def test_out_of_patience_a_copy_is_taken(self) -> None:
        now = OVER + timedelta(seconds=300)
        entry = decide(self.subject(attempted_at=now), now)
        assert step_of(entry) == Step.BACKUP
        assert isinstance(entry, Action)
        assert entry.live

    def test_a_fresh_copy_is_not_taken_again(self) -> None:
        now = OVER + timedelta(hours=3)
        subject = self.subject(attempted_at=now, files=Files(database=RAW, wal=WAL))
        facts = replace(subject.facts, times={"backed_up": OVER}, closed=Closed("", RAW, 500))
        fresh = replace(subject, facts=replace(facts, backed_up=backed_up(live=True, wal=WAL)))
        stale = replace(subject, facts=replace(facts, backed_up=backed_up(live=True, wal=RAW)))
        assert isinstance(decide(fresh, now), Wait)
        assert step_of(decide(stale, now)) == Step.BACKUP


class TestObservation:
    """What is recorded before anything is decided."""

    def test_an_opened_database(self) -> None:
        assert notices(database(facts=Facts(), held=True)) == [Opened("/r/2026/01/ticks_2026-01-20.db")]
        assert notices(database(facts=Facts(opened=True), held=True)) == []

    def test_a_closed_database_with_its_log_left_behind(self) -> None:
        subject = database(files=Files(database=RAW, wal=WAL), facts=Facts(opened=True))
        assert notices(subject) == [Closed("/r/2026/01/ticks_2026-01-20.db", RAW, 500)]

    def test_a_closed_database_is_said_once(self) -> None:
        assert notices(database()) == []

    def test_a_sealed_day_that_was_written_to_is_reopened(self) -> None:
        other = Signature(2000, 5, 7)
        for files in (Files(database=other), Files(database=RAW, wal=WAL)):
            (event,) = notices(sealed_day(files=files), LATER)
            assert isinstance(event, Reopened)

    def test_an_empty_log_is_no_sign(self) -> None:
        files = Files(database=RAW, wal=Signature(0, 3, 9))
        assert notices(sealed_day(files=files), LATER) == []

    def test_a_compressed_day_with_a_new_file_beside_it_is_a_conflict_said_once(self) -> None:
        files = Files(database=RAW, compressed=ZST, backup_compressed=ZST)
        subject = compressed_day(files=files)
        (event,) = notices(subject, LATER)
        assert isinstance(event, Conflict)
        known = replace(subject, facts=replace(subject.facts, conflict=event))
        assert isinstance(decide(known, LATER), Block)
        mended = replace(known, files=Files(compressed=ZST, backup_compressed=ZST))
        assert isinstance(decide(mended, LATER), Wait)


class TestBlocks:
    @pytest.mark.parametrize(
        "subject",
        [
            database(files=Files(anomaly="a directory")),
            database(DAY + timedelta(days=30)),
            database(files=Files(backup=RAW), facts=Facts(sealed=sealed(), closed=Closed("", RAW, 0))),
            database(files=Files(compressed=ZST), facts=Facts()),
        ],
        ids=["directory", "future", "gone", "unknown-zst"],
    )
    def test_set_aside_with_a_reason(self, subject: Database) -> None:
        now = NOON if subject.day > DAY else LATER
        healthy = backed_up_day(date(2026, 1, 19))
        entries = plan([subject, healthy], SETTINGS, now).entries
        entry = next(entry for entry in entries if entry.key == subject.key)
        assert isinstance(entry, Block)
        assert entry.reason

    def test_corrupt_until_the_files_change(self) -> None:
        subject = database()
        corrupt = Corrupt("seal", "", "damaged", ("page 3",), "look", subject.files.evidence)
        subject = replace(subject, facts=replace(subject.facts, corrupt=corrupt))
        entry = decide(subject, LATER)
        assert isinstance(entry, Block)
        assert "page 3" in entry.reason
        # another file under that name, and nobody holds it: first it is told that it was closed
        changed = replace(subject, files=Files(database=Signature(1000, 99, 12)))
        assert [type(event) for event in notices(changed, LATER)] == [Closed]

    def test_what_cannot_be_done_until_the_files_change(self) -> None:
        subject = database()
        impossible = failed("seal", retryable=False, next_try=None, evidence=subject.files.evidence)
        subject = replace(subject, facts=replace(subject.facts, failed={"seal": impossible}))
        assert isinstance(decide(subject, LATER), Block)

    def test_a_failed_step_waits_for_its_next_try(self) -> None:
        facts = Facts(sealed=sealed(), failed={"backup": failed("backup")})
        entry = decide(database(facts=facts), LATER)
        assert isinstance(entry, Wait)
        assert entry.until == LATER + timedelta(minutes=5)
        assert step_of(decide(database(facts=facts), entry.until)) == Step.BACKUP

    def test_what_a_clock_that_was_ahead_put_off_is_done_when_it_is_right_again(self) -> None:
        ahead = failed("backup", next_try=LATER + timedelta(days=365))
        facts = Facts(sealed=sealed(), failed={"backup": ahead})
        assert step_of(decide(database(facts=facts), LATER)) == Step.BACKUP

    def test_a_clock_that_jumped_forward_is_not_trusted_with_what_goes_by_the_date(self) -> None:
        until = utc("2026-06-01") + timedelta(minutes=10)
        doubts = Doubts(clock_until=until)
        some = [backed_up_day(), database(date(2026, 1, 19)), sealed_day(date(2026, 1, 18))]
        missing = database(date(2026, 6, 1), files=Files(), facts=Facts())
        found = plan([*some, missing], SETTINGS, utc("2026-06-01"), doubts)
        assert [action.step for action in found.actions] == [Step.SEAL, Step.BACKUP]
        assert found.next_due == until
        assert len(plan([*some, missing], SETTINGS, until, doubts).actions) == 4

    def test_a_backup_of_another_size_is_made_again(self) -> None:
        truncated = Files(database=RAW, backup=Signature(10, 1, 9))
        assert step_of(decide(backed_up_day(files=truncated), LATER)) == Step.BACKUP

    def test_a_future_day_that_we_made_ourselves_is_not_blamed(self) -> None:
        ours = Facts(created=Created("/r/x.db", RAW))
        entry = decide(database(DAY + timedelta(days=30), facts=ours), NOON)
        assert isinstance(entry, Wait)

    def test_a_root_without_any_known_day_stops_everything(self) -> None:
        gone = [replace(backed_up_day(DAY + timedelta(days=n)), files=Files()) for n in range(3)]
        missing_today = database(DAY + timedelta(days=9), files=Files(), facts=Facts())
        found = plan([*gone, missing_today], SETTINGS, utc("2026-01-29 12:00"))
        assert all(isinstance(entry, Block) for entry in found.entries)
        assert "is it mounted?" in found.entries[0].reason
        one_back = plan([*gone[1:], missing_today, backed_up_day()], SETTINGS, utc("2026-01-29 12:00"))
        # What is not back is looked for once more, and then called lost.
        assert [action.step for action in one_back.actions] == [Step.CREATE, Step.VERIFY, Step.VERIFY]

    @pytest.mark.parametrize("subject", [sealed_day(), backed_up_day()])
    def test_a_backup_disk_in_doubt_is_not_written_to(self, subject: Database) -> None:
        found = plan([subject], SETTINGS, utc("2026-06-01"), Doubts("is the backup disk mounted?"))
        step = Step.COMPRESS if subject.facts.backed_up else Step.BACKUP
        assert found.entries == (Block(subject.key, "is the backup disk mounted?", step=step),)
        waiting = plan([backed_up_day()], SETTINGS, LATER, Doubts("is the backup disk mounted?"))
        assert isinstance(waiting.entries[0], Wait)


LOW = {name: f"less than 1 GiB is free on the volume of data.{name}: free space there" for name in TOPS}
RESTORED = utc("2026-01-29 12:00")
READ_ONCE = {"archived": utc("2026-03-01 03:00"), "verified": utc("2026-03-01 05:00")}


def kept(files: Files) -> Database:
    """A compressed day that a person has had restored, and that is compressed away again."""
    return with_facts(compressed_day(files=files), restored=restored(RESTORED))


class TestLowDisk:
    """What needs space on a volume that has too little of it is paused; what frees space goes on."""

    @pytest.mark.parametrize(
        ("subject", "now", "step", "where"),
        [
            (database(files=Files(), facts=Facts()), "2026-01-20 12:00", Step.CREATE, ""),
            (database(), "2026-01-21 00:00", Step.SEAL, ""),
            (sealed_day(), "2026-01-21 00:00", Step.BACKUP, "backup"),
            (backed_up_day(files=Files(database=RAW)), "2026-01-21 00:00", Step.BACKUP, "backup"),
            (backed_up_day(), "2026-02-01 02:00", Step.COMPRESS, ""),
            (backed_up_day(files=Files(compressed=ZST, backup=RAW)), "2026-01-21", Step.COMPRESS, ""),
            (backed_up_day(files=Files(retired=True, backup=RAW)), "2026-01-21", Step.COMPRESS, ""),
            (kept(Files(database=RAW, compressed=ZST)), RESTORED, Step.COMPRESS, ""),
            (compressed_day(files=Files(compressed=ZST)), "2026-02-02", Step.COMPRESS, "backup"),
            (compressed_day(), "2026-03-01 03:00", Step.ARCHIVE, "archive"),
            (archived_day(files=Files(archived=ZST)), "2026-03-01 04:00", Step.COMPRESS, "backup"),
            (with_facts(compressed_day(), times={"sealed": OVER}), "2026-02-01 05:00", Step.VERIFY, ""),
            (with_facts(archived_day(), times=READ_ONCE), "2026-04-01 05:00", Step.VERIFY, ""),
        ],
    )
    @pytest.mark.parametrize("low", ["root", "backup", "archive", "state"])
    def test_a_step_waits_for_space_only_where_it_fills_a_volume(
        self, subject: Database, now: Any, step: Step, where: str, low: str
    ) -> None:
        now = utc(now) if isinstance(now, str) else now
        before = decide(subject, now)
        assert step_of(before) == step
        (entry,) = plan([subject], SETTINGS, now, Doubts(low={low: LOW[low]})).entries
        if low == where:
            assert isinstance(entry, Wait)
            paused = Wait(subject.key, f"paused: {LOW[low]}", None, step, paused=True)
            assert replace(entry, verify_at=None) == paused
        else:
            assert entry == before

    def test_nobody_is_woken_for_what_is_paused(self) -> None:
        assert plan([sealed_day()], SETTINGS, LATER, Doubts(low=LOW)).next_due is None

    def test_what_is_paused_for_months_has_its_copies_read_again(self) -> None:
        times = {"sealed": OVER, "verified": utc("2026-03-01 05:00")}
        subject = with_facts(compressed_day(), times=times)
        entry = plan([subject], SETTINGS, utc("2026-03-02"), Doubts(low=LOW)).entries[0]
        assert isinstance(entry, Wait)
        assert (entry.step, entry.paused, entry.verify_at) == (Step.ARCHIVE, True, utc("2026-04-01 05:00"))
        entry = plan([subject], SETTINGS, utc("2026-04-01 05:00"), Doubts(low=LOW)).entries[0]
        assert step_of(entry) is Step.VERIFY

    def test_a_disk_that_may_not_be_mounted_is_said_first(self) -> None:
        (entry,) = plan([sealed_day()], SETTINGS, LATER, Doubts(backup="mounted?", low=LOW)).entries
        assert entry == Block(sealed_day().key, "mounted?", step=Step.BACKUP)

    def test_a_copy_of_a_day_that_is_held_waits_and_sealing_does_not(self) -> None:
        deferred = Deferred("/r/x.db", (Holder(42, "engine"),), OVER)
        since = OVER + timedelta(minutes=6)
        subject = database(facts=Facts(opened=True, deferred=deferred), attempted_at=since, held=True)
        now = since + timedelta(seconds=1)
        copied = decide(subject, now)
        assert step_of(copied) is Step.BACKUP
        (entry,) = plan([subject], SETTINGS, now, Doubts(low=LOW)).entries
        assert isinstance(entry, Wait)
        assert (entry.step, entry.until) == (Step.SEAL, since + timedelta(minutes=5))
        assert entry.reason == f"sealing waits: held by engine (pid 42); its copy is paused: {LOW['backup']}"
        (entry,) = plan([subject], SETTINGS, since + timedelta(minutes=5), Doubts(low=LOW)).entries
        assert step_of(entry) is Step.SEAL

    def test_without_room_for_a_drill_a_cold_day_goes_its_way(self) -> None:
        told = {"verified": utc("2026-04-01 05:00"), "drilled": utc("2026-03-01 06:00")}
        subject = with_facts(archived_day(), times={**READ_ONCE, **told})
        now = utc("2026-04-01 06:00")
        assert step_of(decide(subject, now)) is Step.DRILL
        without = decide(subject, now - timedelta(minutes=1))
        (entry,) = plan([subject], SETTINGS, now, Doubts(low=LOW)).entries
        assert isinstance(without, Wait)
        assert entry == replace(
            without, reason=f"{without.reason}; the restore drill is paused: {LOW['state']}"
        )
        assert plan([subject], SETTINGS, now, Doubts(low=LOW)).drill_at is None


class TestOrder:
    def test_new_days_first_then_proofs_then_space_and_the_oldest_first(self) -> None:
        now = utc("2026-02-01 02:00")
        some = [
            backed_up_day(date(2026, 1, 11)),
            backed_up_day(date(2026, 1, 10)),
            database(date(2026, 1, 31)),
            sealed_day(date(2026, 1, 30)),
            database(date(2026, 2, 1), files=Files(), facts=Facts()),
        ]
        found: Plan = plan(some, SETTINGS, now)
        assert [(a.step, a.key[-2:]) for a in found.actions] == [
            (Step.CREATE, "01"),
            (Step.SEAL, "31"),
            (Step.BACKUP, "30"),
            (Step.COMPRESS, "10"),
            (Step.COMPRESS, "11"),
        ]


def rotated(day: str) -> dict[str, Facts]:
    return {"ticks": Facts(rotated=Rotated(day, None, f"/r/{day}.db", None, "clock"))}


class TestRotation:
    @pytest.mark.parametrize(
        ("last", "early", "now", "expected"),
        [
            (None, (), "2026-01-20 12:00", ("2026-01-20", None, "start")),
            ("2026-01-19", (), "2026-01-20 00:00", ("2026-01-20", "2026-01-19", "clock")),
            ("2026-01-20", (), "2026-01-20 23:59:59", None),
            ("2026-01-10", (), "2026-01-20 12:00", ("2026-01-20", "2026-01-10", "clock")),
            ("2026-01-19", ("ticks",), "2026-01-19 23:59:58", ("2026-01-20", "2026-01-19", "writer")),
            # after the writer's own rotation midnight has nothing to add
            ("2026-01-20", (), "2026-01-20 00:00", None),
            # it was away over midnight: the writer is in today's file, which is not ahead of anything
            ("2026-01-19", ("ticks",), "2026-01-20 08:00", ("2026-01-20", "2026-01-19", "clock")),
            # the clock went back a little, or by a day: nothing until it is past the last rotation
            ("2026-01-20", (), "2026-01-19 23:59:00", None),
            ("2026-01-20", (), "2026-01-19 00:00:00", None),
            # it had been wrong by a year, and was put right
            ("2027-01-20", (), "2026-01-20 12:00", ("2026-01-20", "2027-01-20", "clock")),
            ("2025-12-31", (), "2026-01-01 00:00", ("2026-01-01", "2025-12-31", "clock")),
            ("2028-02-28", (), "2028-02-29 00:00", ("2028-02-29", "2028-02-28", "clock")),
        ],
    )
    def test_a_rotation_is_due(
        self, last: str | None, early: tuple[str, ...], now: str, expected: tuple[str, ...] | None
    ) -> None:
        known = rotated(last) if last else {}
        found = rotations(known, early, SETTINGS, utc(now))
        seen = [(n.event.current, n.event.previous, n.event.cause) for n in found]  # type: ignore[union-attr]
        assert seen == ([expected] if expected else [])
