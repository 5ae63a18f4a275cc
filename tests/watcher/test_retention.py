"""Tables of the rails: what stands between a day and its compression, its archive and its deletion."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from handlers.contract import Signature, Step
from tests.watcher.builders import (
    DAY,
    HOLD,
    RAW,
    SETTINGS,
    ZST,
    archived_day,
    backed_up,
    backed_up_day,
    compressed_day,
    database,
    expired_day,
    lost,
    restored,
    sealed,
    sealed_day,
    utc,
    with_facts,
    with_files,
)
from watcher.events import Conflict, Corrupt, Failed
from watcher.plan import Action, Block, Doubts, Entry, Plan, Wait, plan
from watcher.settings import Archive, Compress, Expire, Settings, Verify
from watcher.state import Database, Facts, Files

KEY = f"ticks/{DAY}"
COMPRESSED_AT = utc("2026-02-01 02:00")
ARCHIVED_AT = utc("2026-03-01 03:00")
EXPIRED_AT = utc("2026-07-20 04:00")
LATER = utc("2026-09-10 12:00")
OTHER = Signature(2000, 5, 7)
WAL = Signature(500, 3, 9)
UNREAD = Settings(verify=Verify(schedule="never", drill_schedule="never"))
"""Nothing is read again on schedule: what else there is to do is seen as it is."""
READ = Settings(verify=Verify(drill_schedule="never"))


def young(now: datetime, count: int = 7) -> list[Database]:
    """The newest days, which are kept whatever else is."""
    return [backed_up_day(now.date() - timedelta(days=n)) for n in range(1, count + 1)]


def old(count: int, newest: date = DAY, **changes: Any) -> list[Database]:
    return [archived_day(newest - timedelta(days=n), **changes) for n in range(count)]


def planned(some: list[Database], now: datetime, settings: Settings = UNREAD, **given: Any) -> Plan:
    keys = {each.key for each in some}
    return plan([*some, *(each for each in young(now) if each.key not in keys)], settings, now, **given)


def decide(subject: Database, now: datetime, settings: Settings = UNREAD, **given: Any) -> Entry:
    entries = planned([subject], now, settings, **given).entries
    return next(entry for entry in entries if entry.key == subject.key)


def deletions(found: Plan) -> list[str]:
    return [action.key for action in found.actions if action.step is Step.EXPIRE]


def step_of(entry: Entry) -> Step | None:
    assert isinstance(entry, Action), entry
    return entry.step


class TestTheCourseOfADay:
    @pytest.mark.parametrize(
        ("subject", "due", "step"),
        [
            (sealed_day(), utc("2026-01-21 00:00"), Step.BACKUP),
            (backed_up_day(), COMPRESSED_AT, Step.COMPRESS),
            (compressed_day(), ARCHIVED_AT, Step.ARCHIVE),
            (archived_day(), EXPIRED_AT, Step.EXPIRE),
        ],
        ids=lambda value: str(value) if isinstance(value, Step) else "",
    )
    def test_each_step_at_its_moment_and_not_a_second_before(
        self, subject: Database, due: datetime, step: Step
    ) -> None:
        if step is not Step.BACKUP:
            before = decide(subject, due - timedelta(seconds=1))
            assert isinstance(before, Wait)
            assert before.until == due
        assert step_of(decide(subject, due)) == step
        assert step_of(decide(subject, due + timedelta(days=500))) == step

    @pytest.mark.parametrize(
        ("make", "day", "expected"),
        [
            # compress: seven days after the end of the day, then the first Sunday at 02:00
            (backed_up_day, "2025-12-27", "2026-01-04 02:00"),  # over the end of the year
            (backed_up_day, "2025-12-28", "2026-01-11 02:00"),
            (backed_up_day, "2028-02-19", "2028-02-27 02:00"),
            (backed_up_day, "2028-02-29", "2028-03-12 02:00"),  # a leap day
            # archive: thirty days, then the 1st at 03:00
            (compressed_day, "2025-11-30", "2026-01-01 03:00"),  # its age ends on the 31st of December
            (compressed_day, "2025-12-01", "2026-01-01 03:00"),  # its age ends on the 1st, three hours before
            (compressed_day, "2025-12-02", "2026-02-01 03:00"),
            (compressed_day, "2028-01-29", "2028-03-01 03:00"),  # its age ends on the 29th of February
            (compressed_day, "2028-01-31", "2028-04-01 03:00"),
            (compressed_day, "2028-02-29", "2028-04-01 03:00"),
            # expire: 180 days, then 04:00
            (archived_day, "2025-07-04", "2026-01-01 04:00"),
            (archived_day, "2027-09-01", "2028-02-29 04:00"),  # its age ends on a leap day
            (archived_day, "2028-02-29", "2028-08-28 04:00"),
            (archived_day, "2025-12-31", "2026-06-30 04:00"),
        ],
    )
    def test_schedules_at_the_turns_of_months_and_years(self, make: Any, day: str, expected: str) -> None:
        subject, moment = make(date.fromisoformat(day)), utc(expected)
        waiting = decide(subject, moment - timedelta(seconds=1))
        assert isinstance(waiting, Wait)
        assert waiting.until == moment
        action = decide(subject, moment)
        assert isinstance(action, Action)
        assert action.due == moment

    def test_its_certificate_quotes_the_rule_that_is_in_force(self) -> None:
        action = decide(archived_day(), LATER)
        assert isinstance(action, Action)
        assert action.policy == "180 days after the end of its day, schedule 0 4 * * * (UTC)"
        assert (action.due, action.by) == (EXPIRED_AT, "schedule")

    @pytest.mark.parametrize("subject", [sealed_day(), backed_up_day(), compressed_day()])
    def test_a_day_that_is_stuck_on_its_way_is_not_deleted(self, subject: Database) -> None:
        assert step_of(decide(subject, LATER)) != Step.EXPIRE

    @pytest.mark.parametrize("files", [Files(archived=ZST), Files(archived=ZST, backup=RAW)])
    def test_a_backup_that_is_lost_does_not_put_off_the_end(self, files: Files) -> None:
        assert step_of(decide(archived_day(files=files), LATER)) == Step.EXPIRE

    def test_without_an_archive_it_goes_from_where_it_is(self) -> None:
        settings = replace(UNREAD, archive=Archive(enabled=False))
        entry = decide(compressed_day(), ARCHIVED_AT, settings)
        assert isinstance(entry, Wait)
        assert entry.until == EXPIRED_AT
        assert step_of(decide(compressed_day(), EXPIRED_AT, settings)) == Step.EXPIRE

    def test_without_expiry_nothing_is_ever_deleted(self) -> None:
        settings = replace(UNREAD, expire=Expire(enabled=False))
        found = planned(old(50), utc("2099-01-01 00:00"), settings)
        assert {entry.reason for entry in found.entries[:50]} == {"nothing left to do"}


class TestHold:
    @pytest.mark.parametrize(
        ("subject", "now", "step"),
        [
            (backed_up_day(), COMPRESSED_AT, Step.COMPRESS),
            (compressed_day(), ARCHIVED_AT, Step.ARCHIVE),
            (archived_day(), EXPIRED_AT, Step.EXPIRE),
            (backed_up_day(files=Files(compressed=ZST, backup=RAW)), COMPRESSED_AT, Step.COMPRESS),
        ],
        ids=["compress", "archive", "expire", "interrupted"],
    )
    def test_nothing_is_taken_away_until_it_is_released(
        self, subject: Database, now: datetime, step: Step
    ) -> None:
        assert step_of(decide(subject, now)) == step
        entry = decide(with_facts(subject, hold=HOLD), now)
        assert isinstance(entry, Wait)
        assert entry.until is None
        assert "on hold by ann: audit 17" in entry.reason
        assert f"tickward release {KEY}" in entry.reason

    @pytest.mark.parametrize("now", [ARCHIVED_AT, LATER], ids=["young", "past its retention"])
    @pytest.mark.parametrize(
        ("subject", "step"),
        [
            (sealed_day(), Step.BACKUP),
            (backed_up_day(files=Files(database=RAW)), Step.BACKUP),
            (compressed_day(files=Files(compressed=ZST)), Step.COMPRESS),
            (archived_day(files=Files(archived=ZST)), Step.COMPRESS),
        ],
        ids=["none yet", "raw", "zst", "of a cold day"],
    )
    def test_a_backup_that_is_lost_is_made_again_all_the_same(
        self, subject: Database, step: Step, now: datetime
    ) -> None:
        assert step_of(decide(with_facts(subject, hold=HOLD), now)) == step

    def test_an_uncompressed_backup_beside_the_compressed_ones_stays(self) -> None:
        subject = archived_day(files=Files(archived=ZST, backup_compressed=ZST, backup=RAW))
        assert step_of(decide(subject, ARCHIVED_AT)) is Step.COMPRESS, "which removes it, once it is proven"
        entry = decide(with_facts(subject, hold=HOLD), ARCHIVED_AT)
        assert isinstance(entry, Wait)
        assert "on hold" in entry.reason

    def test_a_restored_copy_of_it_stays(self) -> None:
        files = Files(database=RAW, archived=ZST, backup_compressed=ZST)
        subject = archived_day(files=files)
        done = with_facts(subject, restored=restored(ARCHIVED_AT))
        assert step_of(decide(done, ARCHIVED_AT)) == Step.COMPRESS
        assert isinstance(decide(with_facts(done, hold=HOLD), ARCHIVED_AT), Wait)

    def test_it_is_read_again_on_schedule(self) -> None:
        times = {"sealed": utc("2026-01-21 00:00"), "archived": ARCHIVED_AT}
        subject = with_facts(archived_day(), hold=HOLD, times=times)
        assert step_of(decide(subject, LATER, SETTINGS)) == Step.VERIFY

    def test_days_on_hold_do_not_keep_others(self) -> None:
        held = [with_facts(each, hold=HOLD) for each in old(20, DAY - timedelta(days=1))]
        assert deletions(planned([archived_day(), *held], LATER)) == [KEY]


class TestThoseThatWereTakenOver:
    """Years of days are past their retention in the minute in which they become known."""

    def since(self, what: str, moment: datetime) -> Database:
        subject = archived_day()
        return with_facts(subject, times={**subject.facts.times, what: moment})

    @pytest.mark.parametrize("what", ["sealed", "adopted"])
    def test_they_are_kept_for_a_while(self, what: str) -> None:
        subject = self.since(what, LATER - timedelta(days=6, hours=23))
        entry = decide(subject, LATER)
        assert isinstance(entry, Wait)
        assert (entry.step, entry.until) == (Step.EXPIRE, LATER + timedelta(hours=1))
        assert "taken over on 2026-09-03" in entry.reason
        assert step_of(decide(subject, LATER + timedelta(hours=1))) is Step.EXPIRE

    @pytest.mark.parametrize("sealed", ["2026-01-21 00:01", "2026-01-28 00:00"])
    def test_one_that_was_looked_after_as_it_ended_is_not(self, sealed: str) -> None:
        """However short its retention is."""
        settings = replace(
            UNREAD,
            compress=Compress(after_days=1),
            archive=Archive(after_days=2),
            expire=Expire(after_days=3),
        )
        subject = self.since("sealed", utc(sealed))
        assert step_of(decide(subject, utc("2026-01-28 12:00"), settings)) is Step.EXPIRE

    def test_nor_is_one_that_was_known_before_late_ticks_came(self) -> None:
        subject = with_facts(self.since("sealed", LATER), superseded=("ff",))
        assert step_of(decide(subject, LATER)) is Step.EXPIRE

    def test_a_compressed_day_that_is_past_it_is_archived_meanwhile(self) -> None:
        subject = with_facts(compressed_day(), times={"sealed": LATER})
        assert step_of(decide(subject, LATER)) is Step.ARCHIVE


class TestMaxAtOnce:
    @pytest.mark.parametrize(("count", "deleted"), [(1, 1), (3, 3), (4, 0), (200, 0)])
    def test_more_than_so_many_wait_for_a_word(self, count: int, deleted: int) -> None:
        found = planned(old(count), LATER)
        assert len(deletions(found)) == deleted
        blocks = [entry for entry in found.entries if isinstance(entry, Block)]
        assert len(blocks) == count - deleted
        for block in blocks:
            assert (block.step, block.failed) == (Step.EXPIRE, False)
            assert f"{count} days of ticks" in block.reason
            assert "Is the clock right?" in block.reason

    def test_each_stream_counts_for_itself(self) -> None:
        fx = [replace(each, key=each.key.replace("ticks", "fx"), stream="fx") for each in old(3)]
        newest = [replace(each, key=each.key.replace("ticks", "fx"), stream="fx") for each in young(LATER, 7)]
        found = planned([*old(4), *fx, *newest], LATER)
        assert deletions(found) == [each.key for each in reversed(fx)]

    def test_the_number_is_a_setting(self) -> None:
        settings = replace(UNREAD, expire=Expire(max_at_once=5))
        assert len(deletions(planned(old(5), LATER, settings))) == 5
        assert len(deletions(planned(old(6), LATER, settings))) == 0

    @pytest.mark.parametrize(
        "changed",
        [
            lambda each: with_facts(each, hold=HOLD),
            lambda each: with_files(each, anomaly="a directory"),
            lambda each: with_facts(each, lost=lost(each.files.evidence)),
            lambda each: with_facts(each, conflict=Conflict("x", "two", "merge", each.files.evidence)),
            lambda each: with_facts(expired_day(each.day), times={"expired": utc("2026-07-01")}),
        ],
        ids=["held", "anomaly", "lost", "conflict", "expired"],
    )
    def test_what_is_not_going_to_be_deleted_does_not_count(self, changed: Any) -> None:
        others = [changed(each) for each in old(9, DAY - timedelta(days=3))]
        assert len(deletions(planned([*old(3), *others], LATER))) == 3

    def test_who_agreed_to_some_has_not_agreed_to_the_rest(self) -> None:
        """Eight were due; a person let five go: the other three are not few all of a sudden."""
        agreed = utc("2026-09-10 11:00")
        gone = [with_facts(expired_day(d.day), times={"expired": agreed}) for d in old(5, DAY)]
        left = old(3, DAY - timedelta(days=5))
        found = planned([*gone, *left], LATER)
        assert deletions(found) == []
        blocked = [entry for entry in found.entries if isinstance(entry, Block)]
        assert all(
            "3 days of ticks are due to be deleted at once, 5 went late" in entry.reason for entry in blocked
        )
        assert len(blocked) == 3

    def test_days_that_went_on_time_are_no_backlog_of_one_that_is_stuck(self) -> None:
        """One day waits, restored or failing; every morning another goes, as it should."""
        stuck = with_facts(archived_day(DAY), restored=restored(LATER), failed={})
        stuck = with_files(stuck, database=RAW)
        gone = []
        for n in range(1, 40):
            each = expired_day(DAY + timedelta(days=n))
            at = utc("2026-07-20 04:00") + timedelta(days=n, minutes=5)
            gone.append(with_facts(each, times={"expired": at}))
        today = archived_day(DAY + timedelta(days=40))
        newest = [archived_day(DAY + timedelta(days=41 + n)) for n in range(7)]
        now = utc("2026-08-29 04:00")
        assert deletions(planned([stuck, *gone, today, *newest], now)) == [today.key]

    def test_a_hold_that_has_ended_does_not_count_what_went_while_it_lasted(self) -> None:
        gone = [with_facts(expired_day(d.day), times={"expired": utc("2026-09-01")}) for d in old(5, DAY)]
        released = [
            with_facts(each, times={**each.facts.times, "released": utc("2026-09-10 11:00")})
            for each in old(1, DAY - timedelta(days=9))
        ]
        assert len(deletions(planned([*gone, *released], LATER))) == 1

    def test_days_without_a_file_are_none_of_the_newest_that_are_kept(self) -> None:
        gone = [archived_day(DAY + timedelta(days=n), files=Files()) for n in range(1, 8)]
        found = plan([*old(2), *gone], SETTINGS, LATER)
        assert deletions(found) == []

    def test_the_newest_and_the_future_do_not_count(self) -> None:
        future = [sealed_day(LATER.date() + timedelta(days=n)) for n in range(1, 9)]
        newest = [archived_day(DAY + timedelta(days=n)) for n in range(1, 8)]
        found = plan([*old(3), *newest, *future], UNREAD, LATER)
        assert len(deletions(found)) == 3

    @pytest.mark.parametrize(
        "make",
        [compressed_day, backed_up_day, sealed_day, database],
        ids=["compressed", "backed up", "sealed", "closed"],
    )
    def test_days_that_are_on_their_way_count(self, make: Any) -> None:
        """After a long outage many are caught up with, one after the other: the first must not slip by."""
        behind = [make(DAY - timedelta(days=n)) for n in range(3)]
        found = planned([archived_day(DAY - timedelta(days=3)), *behind], LATER)
        assert deletions(found) == []
        assert len(found.actions) == 3

    def test_a_file_that_cannot_ever_be_sealed_holds_up_no_deletion(self) -> None:
        empty = [
            database(DAY - timedelta(days=n), files=Files(database=Signature(0, 1, n))) for n in range(9)
        ]
        facts = [with_facts(each, closed=None, opened=False) for each in empty]
        found = planned([*facts, archived_day(DAY - timedelta(days=10))], LATER)
        assert len(deletions(found)) == 1

    def test_what_waits_for_a_word_is_looked_after_meanwhile(self) -> None:
        times = {"archived": ARCHIVED_AT}
        unread = [with_facts(each, times=times) for each in old(4)]
        assert [action.step for action in planned(unread, LATER, READ).actions] == [Step.VERIFY] * 4
        without = [with_files(each, backup_compressed=None) for each in old(4)]
        assert {action.step for action in planned(without, LATER).actions} == {Step.COMPRESS}


class TestKeepMin:
    def test_the_newest_are_kept_whatever_their_age(self) -> None:
        found = plan(old(10), UNREAD, utc("2030-01-01 00:00"))
        assert deletions(found) == ["ticks/2026-01-11", "ticks/2026-01-12", "ticks/2026-01-13"]
        waits = [entry for entry in found.entries if isinstance(entry, Wait)]
        assert len(waits) == 7
        assert all("one of the newest 7 days" in wait.reason for wait in waits)

    def test_newest_is_meant_by_the_date_and_not_by_when_a_file_was_written(self) -> None:
        some = [with_files(each, archived=Signature(300, 10**9 - n, n)) for n, each in enumerate(old(8))]
        for order in (some, some[::-1], some[3:] + some[:3]):
            assert deletions(plan(order, UNREAD, LATER)) == ["ticks/2026-01-13"]

    @pytest.mark.parametrize(
        "stands_for_none",
        [
            lambda day: sealed_day(LATER.date() + (day - DAY)),  # dated in the future
            expired_day,
            lambda day: database(day, files=Files(), facts=Facts()),
            lambda day: with_facts(archived_day(day, files=Files()), lost=lost(Files().evidence)),
            lambda day: with_facts(backed_up_day(day), sealed=None),
        ],
        ids=["future", "expired", "never made", "lost", "unsealed"],
    )
    def test_what_does_not_count_as_one_of_them(self, stands_for_none: Any) -> None:
        others = [stands_for_none(DAY + timedelta(days=n)) for n in range(1, 8)]
        found = plan([*old(7), *others], UNREAD, LATER)
        assert deletions(found) == []

    def test_none_at_all_is_a_setting(self) -> None:
        settings = replace(UNREAD, expire=Expire(keep_min=0))
        assert deletions(plan(old(2), settings, LATER)) == ["ticks/2026-01-19", KEY]


COLD = ("cold verify", "cold compress")


class TestDoubts:
    @pytest.mark.parametrize(
        ("subject", "now", "step"),
        [
            (database(LATER.date(), files=Files(), facts=Facts()), LATER, Step.CREATE),
            (backed_up_day(), COMPRESSED_AT, Step.COMPRESS),
            (compressed_day(), ARCHIVED_AT, Step.ARCHIVE),
            (archived_day(), EXPIRED_AT, Step.EXPIRE),
            (
                with_facts(archived_day(), times={"archived": ARCHIVED_AT}),
                utc("2026-04-02 00:00"),
                Step.VERIFY,
            ),
        ],
        ids=["create", "compress", "archive", "expire", "verify"],
    )
    def test_what_goes_by_the_date_waits_while_the_clock_is_in_doubt(
        self, subject: Database, now: datetime, step: Step
    ) -> None:
        until = now + timedelta(minutes=10)
        doubts = Doubts(clock_until=until)
        entry = decide(subject, now, READ, doubts=doubts)
        assert isinstance(entry, Wait)
        assert (entry.until, entry.step) == (until, step)
        assert step_of(decide(subject, until, READ, doubts=doubts)) == step

    def test_so_does_a_drill(self) -> None:
        settings = Settings(verify=Verify(schedule="never"))
        now = utc("2026-04-01 06:00")
        entry = decide(archived_day(), now, settings, doubts=Doubts(clock_until=now + timedelta(minutes=1)))
        assert isinstance(entry, Wait)
        assert entry.step is Step.DRILL

    @pytest.mark.parametrize(
        ("doubts", "blocked"),
        [
            (Doubts(backup="b"), {Step.BACKUP, Step.COMPRESS, Step.EXPIRE, Step.VERIFY, *COLD}),
            (Doubts(archive="a"), {Step.ARCHIVE, Step.EXPIRE, *COLD}),
            (Doubts(), set()),
        ],
        ids=["backup", "archive", "none"],
    )
    def test_no_step_reads_or_writes_where_the_disk_may_not_be_mounted(
        self, doubts: Doubts, blocked: set[object]
    ) -> None:
        unread = {"sealed": utc("2026-01-21 00:00")}
        times = {**unread, "archived": utc("2026-02-20 00:00")}
        rows = {
            Step.SEAL: (database(), COMPRESSED_AT),
            Step.BACKUP: (sealed_day(), COMPRESSED_AT),
            Step.COMPRESS: (backed_up_day(), COMPRESSED_AT),
            Step.ARCHIVE: (compressed_day(), ARCHIVED_AT),
            Step.EXPIRE: (archived_day(), LATER),
            Step.VERIFY: (with_facts(compressed_day(), times=unread), utc("2026-02-01 05:00")),
            "cold verify": (with_facts(archived_day(), times=times), utc("2026-03-01 05:00")),
            "cold compress": (archived_day(files=Files(archived=ZST)), ARCHIVED_AT),
        }
        found = {name: decide(*row, READ, doubts=doubts) for name, row in rows.items()}
        assert {name for name, entry in found.items() if isinstance(entry, Block)} == blocked
        assert all(isinstance(entry, Action | Block) for entry in found.values())

    def test_an_archive_that_is_not_mounted_is_not_taken_for_one_that_is_empty(self) -> None:
        away = archived_day(files=Files(backup_compressed=ZST))
        entry = decide(away, ARCHIVED_AT, doubts=Doubts(archive="is the archive disk mounted?"))
        assert entry == Block(KEY, "is the archive disk mounted?")
        entry = decide(away, LATER, doubts=Doubts(archive="is the archive disk mounted?"))
        assert isinstance(entry, Block)

    def test_no_drill_without_its_archive(self) -> None:
        away = with_facts(archived_day(files=Files(backup_compressed=ZST)), times={"archived": ARCHIVED_AT})
        found = planned([away], utc("2026-05-01 00:00"), SETTINGS, doubts=Doubts(archive="away"))
        assert found.actions == []
        assert found.drill_at is None


class TestRestoredCopies:
    FILES = Files(database=RAW, archived=ZST, backup_compressed=ZST)

    def subject(self, until: datetime | None, **files: Any) -> Database:
        subject = archived_day(files=replace(self.FILES, **files))
        return with_facts(subject, restored=restored(until))

    def test_one_is_kept_for_a_while_and_then_compressed_away(self) -> None:
        until = ARCHIVED_AT + timedelta(days=7)
        entry = decide(self.subject(until), until - timedelta(seconds=1))
        assert isinstance(entry, Wait)
        assert (entry.until, entry.step) == (until, Step.COMPRESS)
        assert step_of(decide(self.subject(until), until)) == Step.COMPRESS

    def test_as_long_as_one_is_kept_the_day_is_not_deleted(self) -> None:
        until = LATER + timedelta(days=1)
        assert isinstance(decide(self.subject(until), LATER), Wait)
        assert step_of(decide(self.subject(until), until)) == Step.EXPIRE

    @pytest.mark.parametrize("files", [{"database": OTHER}, {"wal": WAL}], ids=["changed", "log"])
    def test_one_that_was_written_to_is_a_conflict(self, files: dict[str, Signature]) -> None:
        found = planned([self.subject(LATER, **files)], ARCHIVED_AT)
        (notice,) = found.notices
        assert isinstance(notice.event, Conflict)
        assert f"tickward merge {KEY}" in notice.event.hint

    def test_a_restored_day_that_was_never_compressed_waits_for_its_own_age(self) -> None:
        until = COMPRESSED_AT + timedelta(days=3)
        subject = with_facts(backed_up_day(), restored=restored(until))
        entry = decide(subject, COMPRESSED_AT)
        assert isinstance(entry, Wait)
        assert entry.until == until
        assert step_of(decide(subject, until)) == Step.COMPRESS

    def test_a_restored_day_without_a_second_copy_gets_one_at_once(self) -> None:
        subject = with_facts(sealed_day(), restored=restored(COMPRESSED_AT))
        assert step_of(decide(subject, LATER)) == Step.BACKUP


class TestWhatWasInterrupted:
    """A run that was killed, as it is found: files changed, and nothing recorded."""

    @pytest.mark.parametrize(
        ("subject", "step"),
        [
            (backed_up_day(files=Files(compressed=ZST, backup_compressed=ZST, backup=RAW)), Step.COMPRESS),
            (backed_up_day(files=Files(compressed=ZST, backup_compressed=ZST)), Step.COMPRESS),
            (backed_up_day(files=Files(retired=True, compressed=ZST, backup=RAW)), Step.COMPRESS),
            (compressed_day(files=Files(archived=ZST, backup_compressed=ZST)), Step.ARCHIVE),
        ],
        ids=["raw gone", "all but the record", "retired", "moved"],
    )
    def test_it_is_finished_at_once_whatever_the_hour(self, subject: Database, step: Step) -> None:
        entry = decide(subject, utc("2026-01-22 00:00"))
        assert step_of(entry) == step
        assert "interrupted" in entry.reason

    @pytest.mark.parametrize(
        ("subject", "until"),
        [
            (backed_up_day(files=Files(database=RAW, backup=RAW, compressed=ZST)), COMPRESSED_AT),
            (compressed_day(files=Files(compressed=ZST, archived=ZST, backup_compressed=ZST)), ARCHIVED_AT),
        ],
        ids=["first zst", "both there"],
    )
    def test_where_the_original_is_there_still_it_waits_for_its_time(
        self, subject: Database, until: datetime
    ) -> None:
        entry = decide(subject, until - timedelta(seconds=1))
        assert isinstance(entry, Wait)
        assert entry.until == until

    @pytest.mark.parametrize(
        "files", [Files(archived=ZST), Files()], ids=["between two files", "all but the record"]
    )
    def test_a_deletion_is_finished(self, files: Files) -> None:
        assert step_of(decide(archived_day(files=files), LATER)) == Step.EXPIRE

    def test_an_archiving_that_has_emptied_the_root_is_no_root_that_is_not_mounted(self) -> None:
        moved = compressed_day(files=Files(archived=ZST, backup_compressed=ZST))
        found = plan([moved], UNREAD, ARCHIVED_AT)
        assert [action.step for action in found.actions] == [Step.ARCHIVE]


class TestGoneAndComeBack:
    def test_an_archived_copy_that_is_gone_is_brought_back_by_a_person(self) -> None:
        entry = decide(archived_day(files=Files(backup_compressed=ZST)), ARCHIVED_AT)
        assert isinstance(entry, Block)
        assert "gone from /a/2026/01/ticks_2026-01-20.db.zst" in entry.reason
        assert f"tickward verify {KEY}` puts it back" in entry.reason

    @pytest.mark.parametrize(
        "files", [Files(database=RAW), Files(archived=ZST), Files(backup_compressed=ZST), Files(backup=RAW)]
    )
    def test_a_file_of_a_deleted_day_is_left_alone(self, files: Files) -> None:
        found = planned([expired_day(files=files)], LATER)
        entry = found.entries[0]
        assert isinstance(entry, Block)
        assert not entry.failed
        assert "deleted on 2026-07-20 by schedule" in entry.reason
        assert found.notices == ()

    def test_a_deleted_day_is_said_to_be_and_nothing_else(self) -> None:
        entry = decide(expired_day(), LATER)
        assert isinstance(entry, Wait)
        assert entry.until is None
        assert "its certificate is in the journal" in entry.reason

    @pytest.mark.parametrize("make", [compressed_day, archived_day])
    def test_a_late_file_beside_a_compressed_day_stops_it(self, make: Any) -> None:
        subject = make()
        late = with_files(subject, database=OTHER)
        (notice,) = planned([late], LATER).notices
        known = with_facts(late, conflict=notice.event)
        for now in (ARCHIVED_AT, LATER):
            entry = decide(known, now)
            assert isinstance(entry, Block)
            assert "conflict" in entry.reason

    def test_a_lost_day_is_read_again_when_a_copy_has_come_back(self) -> None:
        subject = archived_day(files=Files())
        subject = with_facts(subject, lost=lost(subject.files.evidence))
        for now in (ARCHIVED_AT, LATER):
            entry = decide(subject, now)
            assert isinstance(entry, Block)
            assert entry.reason.startswith("no good copy of it is left; look")
        entry = decide(with_files(subject, archived=ZST), ARCHIVED_AT)
        assert step_of(entry) == Step.VERIFY


class TestDamage:
    @pytest.mark.parametrize("step", [Step.BACKUP, Step.COMPRESS, Step.ARCHIVE, Step.EXPIRE, Step.DRILL])
    @pytest.mark.parametrize("changes", [{}, {"hold": HOLD}], ids=["", "on hold"])
    def test_found_in_a_sealed_day_has_every_copy_read(self, step: Step, changes: Any) -> None:
        subject = compressed_day()
        damage = Corrupt(step, "x", "it is not what was recorded", (), "", subject.files.evidence)
        entry = decide(with_facts(subject, corrupt=damage, **changes), ARCHIVED_AT)
        assert step_of(entry) == Step.VERIFY
        assert f"{step} found damage" in entry.reason

    @pytest.mark.parametrize("read", ["verified", "repaired"])
    def test_found_again_right_after_all_were_read_is_for_a_person(self, read: str) -> None:
        subject = compressed_day()
        damage = Corrupt(Step.ARCHIVE, "x", "bad", ("memory?",), "look", subject.files.evidence)
        moment = utc("2026-03-01 03:00")
        for minutes, is_blocked in ((0, True), (9, True), (10, False), (-1, False)):
            times = {**subject.facts.times, read: moment, "corrupt": moment + timedelta(minutes=minutes)}
            entry = decide(with_facts(subject, corrupt=damage, times=times), ARCHIVED_AT)
            assert isinstance(entry, Block) is is_blocked

    @pytest.mark.parametrize("step", [Step.SEAL, Step.VERIFY])
    def test_found_where_all_were_read_already_is_for_a_person(self, step: Step) -> None:
        subject = compressed_day()
        damage = Corrupt(step, "x", "bad", ("page 3",), "look", subject.files.evidence)
        entry = decide(with_facts(subject, corrupt=damage), LATER)
        assert isinstance(entry, Block)
        assert "page 3" in entry.reason

    @pytest.mark.parametrize("step", [Step.RESTORE, Step.MERGE, Step.VERIFY, Step.DRILL])
    def test_what_is_impossible_beside_a_days_life_stops_nothing(self, step: Step) -> None:
        subject = compressed_day()
        impossible = Failed(step, "no", "look", 1, False, None, subject.files.evidence)
        assert step_of(decide(with_facts(subject, failed={step: impossible}), ARCHIVED_AT)) == Step.ARCHIVE

    @pytest.mark.parametrize("step", [Step.BACKUP, Step.COMPRESS, Step.ARCHIVE, Step.EXPIRE])
    def test_what_is_impossible_in_it_stops_the_rest(self, step: Step) -> None:
        subject = archived_day()
        impossible = Failed(step, "no", "look", 1, False, None, subject.files.evidence)
        assert isinstance(decide(with_facts(subject, failed={step: impossible}), LATER), Block)

    def test_a_deletion_that_failed_is_tried_again(self) -> None:
        again = LATER + timedelta(minutes=5)
        failed = Failed("expire", "permission denied", "mend it", 1, True, again, "e")
        subject = with_facts(archived_day(), failed={"expire": failed})
        entry = decide(subject, LATER)
        assert isinstance(entry, Wait)
        assert entry.until == again
        assert step_of(decide(subject, again)) == Step.EXPIRE


class TestVerification:
    """By default on the 1st at 05:00, the copies that were read the longest ago first."""

    def subject(self, day: date = DAY, **times: datetime) -> Database:
        return with_facts(compressed_day(day), times={"sealed": utc("2026-01-21 00:00"), **times})

    @pytest.mark.parametrize("proof", ["sealed", "compressed", "archived", "verified", "repaired"])
    def test_is_due_a_month_after_the_last_proof(self, proof: str) -> None:
        subject = self.subject(**{proof: utc("2026-02-03 00:00")})
        entry = decide(subject, utc("2026-03-01 02:59"), SETTINGS)
        assert isinstance(entry, Wait)
        assert (entry.until, entry.verify_at) == (ARCHIVED_AT, None)
        waiting = with_facts(subject, hold=HOLD)
        entry = decide(waiting, utc("2026-03-01 04:59"), SETTINGS)
        assert isinstance(entry, Wait)
        assert entry.verify_at == utc("2026-03-01 05:00")
        assert step_of(decide(waiting, utc("2026-03-01 05:00"), SETTINGS)) == Step.VERIFY

    def test_gives_way_to_what_is_due(self) -> None:
        assert step_of(decide(self.subject(), utc("2026-06-01 00:00"), SETTINGS)) == Step.ARCHIVE

    def test_wakes_the_loop(self) -> None:
        subject = with_facts(self.subject(), hold=HOLD)
        found = plan([subject], SETTINGS, utc("2026-01-25 00:00"))
        assert found.next_due == utc("2026-02-01 05:00")

    def test_takes_the_longest_unread_first(self) -> None:
        some = [
            with_facts(
                self.subject(DAY + timedelta(days=n), verified=utc(f"2026-02-0{9 - n} 00:00")), hold=HOLD
            )
            for n in range(3)
        ]
        found = plan(some, SETTINGS, utc("2026-03-01 05:00"))
        assert [action.key[-2:] for action in found.actions] == ["22", "21", "20"]

    def test_that_failed_is_tried_again_at_its_time(self) -> None:
        now = utc("2026-02-01 06:00")
        failed = Failed("verify", "busy", "", 1, True, now + timedelta(minutes=5), "e")
        entry = decide(with_facts(self.subject(), failed={"verify": failed}), now, SETTINGS)
        assert isinstance(entry, Wait)
        assert entry.verify_at == now + timedelta(minutes=5)

    def test_never_is_a_setting(self) -> None:
        entry = decide(with_facts(self.subject(), hold=HOLD), LATER, UNREAD)
        assert isinstance(entry, Wait)
        assert entry.verify_at is None

    @pytest.mark.parametrize(
        "subject",
        [
            database(),
            with_facts(database(), times={"sealed": COMPRESSED_AT}),
            with_facts(expired_day(), times={"sealed": COMPRESSED_AT, "expired": EXPIRED_AT}),
        ],
        ids=["unsealed", "re-opened", "deleted"],
    )
    def test_is_nothing_for_days_without_a_seal_or_a_copy(self, subject: Database) -> None:
        entry = decide(subject, LATER, SETTINGS)
        assert entry.step is not Step.VERIFY

    def test_by_a_clock_that_was_a_year_ahead_does_not_count(self) -> None:
        now = utc("2026-02-03 00:00")
        for times in ({"verified": utc("2027-02-01 05:00")}, {"sealed": utc("2027-02-01 05:00")}):
            subject = with_facts(self.subject(), times={"sealed": utc("2026-01-21 00:00"), **times})
            assert step_of(decide(with_facts(subject, hold=HOLD), now, SETTINGS)) == Step.VERIFY
            read = with_facts(subject, hold=HOLD, times={**subject.facts.times, "verified": now})
            assert isinstance(decide(read, now, SETTINGS), Wait)

    def test_by_a_clock_that_was_a_minute_ahead_counts(self) -> None:
        now = utc("2026-02-03 00:00")
        subject = self.subject(verified=now + timedelta(minutes=1))
        assert isinstance(decide(subject, now, SETTINGS), Wait)


class TestDrill:
    """By default on the 1st at 06:00: one cold day is restored on trial."""

    SETTINGS = Settings(verify=Verify(schedule="never"))
    COLD_AT = utc("2026-03-01 06:30")
    NOW = utc("2026-04-01 06:00")

    def cold(self, count: int = 9) -> list[Database]:
        return [with_facts(each, times={"archived": self.COLD_AT}) for each in old(count)]

    def drilled(self, some: list[Database], now: datetime) -> list[str]:
        found = planned(some, now, self.SETTINGS)
        return [action.key for action in found.actions if action.step is Step.DRILL]

    def test_one_cold_day_a_month_the_same_one_until_it_is_done(self) -> None:
        chosen = self.drilled(self.cold(), self.NOW)
        assert len(chosen) == 1
        assert self.drilled(self.cold()[::-1], self.NOW + timedelta(days=20)) == chosen
        assert self.drilled(self.cold(), self.NOW - timedelta(seconds=1)) == []
        assert planned(self.cold(), self.COLD_AT, self.SETTINGS).drill_at == self.NOW

    def test_while_one_is_under_way_no_other_is_begun(self) -> None:
        (chosen,) = self.drilled(self.cold(), self.NOW)
        running = [replace(d, running=Step.DRILL) if d.key == chosen else d for d in self.cold()]
        assert self.drilled(running, self.NOW) == []

    def test_once_done_the_next_is_due_a_month_later(self) -> None:
        some = self.cold()
        chosen = self.drilled(some, self.NOW)
        after = [
            with_facts(each, times={"archived": self.COLD_AT, "drilled": self.NOW})
            if each.key in chosen
            else each
            for each in some
        ]
        assert self.drilled(after, self.NOW + timedelta(days=29)) == []
        assert len(self.drilled(after, utc("2026-05-01 06:00"))) == 1

    def test_not_always_the_same_day(self) -> None:
        months = [utc(f"2026-0{month}-01 06:00") for month in (4, 5, 6, 7)]
        drilled = []
        for month in months:
            times = {"archived": ARCHIVED_AT, "drilled": month - timedelta(days=20)}
            drilled += self.drilled([with_facts(each, times=times) for each in self.cold(20)], month)
        assert len(set(drilled)) > 1

    @pytest.mark.parametrize(
        "subject", [compressed_day(), backed_up_day(), expired_day(), archived_day(files=Files())]
    )
    def test_only_cold_days(self, subject: Database) -> None:
        subject = with_facts(subject, times={"archived": ARCHIVED_AT, "expired": EXPIRED_AT}, hold=HOLD)
        assert self.drilled([subject], self.NOW) == []

    def test_a_day_with_something_else_to_do_is_passed_over(self) -> None:
        busy = [with_files(each, backup_compressed=None) for each in self.cold()]
        assert self.drilled(busy, self.NOW) == []
        assert self.drilled([*busy[1:], self.cold()[0]], self.NOW) == [KEY]

    def test_one_that_fails_is_tried_again_later(self) -> None:
        again = self.NOW + timedelta(minutes=5)
        failed = Failed("drill", "disk full", "", 1, True, again, "e")
        some = [with_facts(each, failed={"drill": failed}) for each in self.cold()]
        assert self.drilled(some, self.NOW) == []
        assert planned(some, self.NOW, self.SETTINGS).drill_at == again
        assert len(self.drilled(some, again)) == 1

    def test_by_a_clock_that_was_a_year_ahead_does_not_count(self) -> None:
        for times in (
            {"archived": ARCHIVED_AT, "drilled": self.NOW + timedelta(days=365)},
            {"archived": ARCHIVED_AT + timedelta(days=365)},
        ):
            some = [with_facts(each, times=times) for each in self.cold()]
            assert len(self.drilled(some, self.NOW)) == 1

    def test_never_is_a_setting(self) -> None:
        found = planned(self.cold(), self.NOW, UNREAD)
        assert found.actions == []
        assert found.drill_at is None


def test_each_age_and_schedule_is_a_setting() -> None:
    settings = Settings(
        compress=Compress(after_days=1, schedule="on_rotation"),
        archive=Archive(after_days=2, schedule="0 12 * * *"),
        expire=Expire(after_days=3, schedule="on_rotation", keep_min=0),
    )
    moments = [
        (backed_up_day(), "2026-01-22 00:00"),
        (compressed_day(), "2026-01-23 12:00"),
        (archived_day(), "2026-01-24 00:00"),
    ]
    for subject, moment in moments:
        found = plan([subject], settings, utc(moment))
        assert [action.due for action in found.actions] == [utc(moment)]


def test_missed_schedules_are_caught_up_in_order_the_oldest_day_first() -> None:
    behind = [
        *(backed_up_day(DAY + timedelta(days=n)) for n in (40, 41)),
        *(compressed_day(DAY + timedelta(days=n)) for n in (20, 21)),
        *(sealed_day(DAY + timedelta(days=n)) for n in (50, 51)),
    ]
    found = planned(behind[::-1], utc("2026-05-01 12:00"))
    steps = [(action.step, action.key) for action in found.actions if action.key < "ticks/2026-04"]
    assert [step for step, _ in steps] == [Step.BACKUP] * 2 + [Step.COMPRESS] * 2 + [Step.ARCHIVE] * 2
    assert [key for _, key in steps] == [f"ticks/{DAY + timedelta(days=n)}" for n in (50, 51, 40, 41, 20, 21)]


def test_a_backup_of_an_older_content_does_not_let_a_day_be_deleted() -> None:
    subject = with_facts(archived_day(), backed_up=backed_up("bb"), sealed=sealed())
    assert step_of(decide(subject, LATER)) != Step.EXPIRE
