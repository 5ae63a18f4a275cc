"""Tables of what a person asks for: the schedule gives way, the rails do not."""

from __future__ import annotations

from datetime import datetime, timedelta
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
    backed_up_day,
    compressed,
    compressed_day,
    database,
    expired_day,
    lost,
    restored,
    sealed_day,
    utc,
    with_facts,
    with_files,
)
from watcher.events import Failed
from watcher.outcomes import job_of
from watcher.plan import Action, Block, Doubts, Entry, Order, Wait, ordered
from watcher.settings import TOPS
from watcher.state import Database, Facts, Files

KEY = f"ticks/{DAY}"
SOON = utc("2026-01-22 12:00")
MARCH = utc("2026-03-02 12:00")
LATER = utc("2026-09-10 12:00")
OTHER = Signature(2000, 5, 7)
WAL = Signature(500, 3, 9)


def order(step: Step, *keys: str, **changes: Any) -> Order:
    return Order(step, "ann", keys, **changes)


def asked(some: list[Database], now: datetime, what: Order, doubts: Doubts | None = None) -> list[Entry]:
    """What it comes to, beside the newest days that are kept whatever else is."""
    keys = {each.key for each in some}
    newest = [backed_up_day(now.date() - timedelta(days=n)) for n in range(1, 8)]
    return ordered([*some, *(d for d in newest if d.key not in keys)], SETTINGS, now, what, doubts)


def one(subject: Database, now: datetime, step: Step, doubts: Doubts | None = None, **changes: Any) -> Entry:
    (entry,) = asked([subject], now, order(step, subject.key, **changes), doubts)
    return entry


def old(count: int, make: Any = archived_day, first: int = 0) -> list[Database]:
    return [make(DAY - timedelta(days=n)) for n in range(first, first + count)]


def keys_of(entries: list[Entry], kind: type = Action) -> list[str]:
    return [entry.key for entry in entries if isinstance(entry, kind)]


class TestAdopting:
    UNKNOWN = database(files=Files(compressed=ZST), facts=Facts())

    @pytest.mark.parametrize(
        "files", [Files(compressed=ZST), Files(archived=ZST), Files(backup=RAW), Files(backup_compressed=ZST)]
    )
    def test_takes_every_day_that_nobody_knows_whatever_is_left_of_it(self, files: Files) -> None:
        assert isinstance(one(database(files=files, facts=Facts()), SOON, Step.ADOPT), Action)

    @pytest.mark.parametrize(
        ("subject", "why"),
        [
            (database(), "sealed and backed up as every day is"),
            (database(files=Files(), facts=Facts()), "no copy"),
            (compressed_day(), "known already"),
            (archived_day(), "known already"),
            (backed_up_day(), "known already"),
        ],
    )
    def test_passes_over_what_is_none_of_its_business(self, subject: Database, why: str) -> None:
        entry = one(subject, SOON, Step.ADOPT)
        assert isinstance(entry, Wait)
        assert why in entry.reason

    def test_takes_all_of_them_and_only_those(self) -> None:
        some = [self.UNKNOWN, *old(3, first=1), *old(2, database, first=5)]
        found = asked(some, SOON, order(Step.ADOPT, everything=True))
        assert keys_of(found) == [self.UNKNOWN.key] == [entry.key for entry in found]

    def test_makes_anew_what_cannot_be_read_in_parts_if_that_is_ordered(self) -> None:
        packed = replace(compressed(), frame_bytes=0)
        whole = with_facts(compressed_day(), compressed=packed)
        assert isinstance(one(whole, SOON, Step.ADOPT), Wait)
        assert isinstance(one(whole, SOON, Step.ADOPT, reencode=True), Action)
        assert isinstance(one(compressed_day(), SOON, Step.ADOPT, reencode=True), Wait)

    def test_goes_on_with_a_journal_in_doubt_and_not_where_there_is_no_room(self) -> None:
        assert isinstance(one(self.UNKNOWN, SOON, Step.ADOPT, Doubts(journal="another")), Action)
        assert isinstance(one(self.UNKNOWN, SOON, Step.ADOPT, Doubts(low={"state": "full"})), Block)

    def test_a_step_is_told_where_there_is_room_and_what_may_be_made_anew(self) -> None:
        what = order(Step.ADOPT, reencode=True)
        action = one(self.UNKNOWN, SOON, Step.ADOPT)
        assert isinstance(action, Action)
        adopting = job_of(action, self.UNKNOWN, SETTINGS, what).adopting
        assert adopting is not None
        assert adopting.scratch == f"{SETTINGS.data.state}/adopt/ticks_{DAY}.db"
        assert adopting.reencode


class TestANamedDay:
    @pytest.mark.parametrize(
        ("subject", "step", "now"),
        [
            (database(), Step.SEAL, SOON),
            (sealed_day(), Step.BACKUP, SOON),
            (backed_up_day(), Step.COMPRESS, SOON),
            (compressed_day(), Step.ARCHIVE, SOON),
            (archived_day(), Step.EXPIRE, LATER),
            (backed_up_day(), Step.VERIFY, SOON),
            (compressed_day(), Step.RESTORE, SOON),
        ],
        ids=lambda value: str(value) if isinstance(value, Step) else "",
    )
    def test_has_its_step_done_whatever_its_age_and_hour(
        self, subject: Database, step: Step, now: datetime
    ) -> None:
        entry = one(subject, now, step)
        assert isinstance(entry, Action), entry
        assert (entry.step, entry.by) == (step, "ann")

    @pytest.mark.parametrize("now", [SOON, MARCH, utc("2026-07-19 23:59")])
    def test_is_never_deleted_before_its_age(self, now: datetime) -> None:
        for changes in ({}, {"after_days": 0}, {"after_days": 1}, {"confirmed": 1}):
            entry = one(archived_day(), now, Step.EXPIRE, **changes)
            assert isinstance(entry, Block)
            assert "expire after 180 days" in entry.reason

    def test_may_be_deleted_from_the_midnight_on_which_its_age_has_come(self) -> None:
        entry = one(archived_day(), utc("2026-07-20 00:00"), Step.EXPIRE)
        assert isinstance(entry, Action)
        assert entry.policy == "180 days after the end of its day, schedule 0 4 * * * (UTC)"

    def test_may_be_asked_to_be_kept_for_longer(self) -> None:
        assert isinstance(one(archived_day(), LATER, Step.EXPIRE, after_days=400), Block)

    @pytest.mark.parametrize(
        ("subject", "step", "first"),
        [
            (sealed_day(), Step.COMPRESS, "backup"),
            (sealed_day(), Step.ARCHIVE, "backup"),
            (database(), Step.BACKUP, "seal"),
            (compressed_day(files=Files(compressed=ZST)), Step.ARCHIVE, "compress"),
        ],
    )
    def test_is_told_what_comes_first(self, subject: Database, step: Step, first: str) -> None:
        entry = one(subject, SOON, step)
        assert isinstance(entry, Block)
        assert entry.reason.startswith(f"its {first} comes first")

    @pytest.mark.parametrize(
        ("subject", "step", "kind", "reason"),
        [
            (backed_up_day(), Step.ARCHIVE, Block, "compress after 7 days"),
            (compressed_day(), Step.COMPRESS, Wait, "done already; compressed; archive after 30 days"),
            (compressed_day(), Step.CREATE, Wait, "done already"),
            (database(utc("2026-01-22 00:00").date()), Step.SEAL, Block, "its day is not over"),
            (with_facts(backed_up_day(), hold=HOLD), Step.COMPRESS, Block, "on hold by ann: audit 17"),
            (with_facts(compressed_day(), hold=HOLD), Step.ARCHIVE, Block, "on hold by ann: audit 17"),
            (backed_up_day(running=Step.VERIFY), Step.COMPRESS, Wait, "verify is running"),
            (expired_day(), Step.EXPIRE, Wait, "deleted on 2026-07-20 by schedule"),
        ],
    )
    def test_always_has_an_answer(
        self, subject: Database, step: Step, kind: type[Entry], reason: str
    ) -> None:
        """What is done already is nothing to do; what cannot be done now is refused."""
        entry = one(subject, SOON, step)
        assert isinstance(entry, kind)
        assert reason in entry.reason

    def test_done_already_is_told_also_when_the_next_step_is_due(self) -> None:
        entry = one(compressed_day(), LATER, Step.COMPRESS)
        assert isinstance(entry, Wait)
        assert entry.reason.startswith("done already")

    def test_on_hold_is_told_so_also_when_it_is_to_be_read_again(self) -> None:
        subject = with_facts(archived_day(), hold=HOLD, times={"archived": MARCH})
        entry = one(subject, LATER, Step.EXPIRE)
        assert isinstance(entry, Block)
        assert "on hold" in entry.reason

    def test_that_nobody_knows_is_refused(self) -> None:
        for step in Step:
            (entry,) = asked([], SOON, order(step, "ticks/2001-02-03"))
            assert isinstance(entry, Block)
            assert entry.reason.startswith("there is no such day")

    def test_of_which_a_step_has_failed_before_is_tried_again(self) -> None:
        subject = backed_up_day()
        for failed in (
            Failed("compress", "x", "y", 9, True, SOON + timedelta(minutes=9), ""),
            Failed("compress", "x", "y", 1, False, None, subject.files.evidence),
        ):
            again = with_facts(subject, failed={"compress": failed})
            assert isinstance(one(again, SOON, Step.COMPRESS), Action)

    def test_several_come_back_the_oldest_first(self) -> None:
        some = old(3, compressed_day)
        found = asked(some, SOON, order(Step.ARCHIVE, *(each.key for each in some)))
        assert keys_of(found) == ["ticks/2026-01-18", "ticks/2026-01-19", KEY]


class TestDoubts:
    @pytest.mark.parametrize("step", [Step.COMPRESS, Step.VERIFY, Step.EXPIRE])
    def test_a_disk_that_may_not_be_mounted_gives_way_to_nobody(self, step: Step) -> None:
        subject = backed_up_day() if step is Step.COMPRESS else archived_day()
        entry = one(subject, LATER, step, Doubts(backup="is the backup disk mounted?"))
        assert entry == Block(KEY, "is the backup disk mounted?", step=step)

    def test_a_clock_in_doubt_gives_way_to_nobody_where_something_is_taken_away(self) -> None:
        doubts = Doubts(clock_until=LATER + timedelta(minutes=1))
        assert isinstance(one(archived_day(), LATER, Step.EXPIRE, doubts), Block)
        assert isinstance(one(archived_day(), LATER, Step.VERIFY, doubts), Action)
        assert isinstance(one(archived_day(), LATER, Step.RESTORE, doubts), Action)


NO_ROOM = "less than 1 GiB is free on the volume of data.{}: free space there"
LOW = Doubts(low={name: NO_ROOM.format(name) for name in TOPS})


class TestLowDisk:
    LATE = with_files(compressed_day(), database=OTHER)

    @pytest.mark.parametrize(
        ("subject", "step", "where"),
        [
            (sealed_day(), Step.BACKUP, "backup"),
            (compressed_day(), Step.ARCHIVE, "archive"),
            (compressed_day(), Step.RESTORE, "root"),
            (LATE, Step.MERGE, "root"),
            (archived_day(), Step.DRILL, "state"),
        ],
    )
    def test_what_needs_space_is_refused_and_the_reason_is_said(
        self, subject: Database, step: Step, where: str
    ) -> None:
        assert isinstance(one(subject, SOON, step), Action)
        reason = f"paused: {NO_ROOM.format(where)}"
        assert one(subject, SOON, step, LOW) == Block(KEY, reason, failed=False, step=step)

    def test_so_is_what_cannot_be_done_before_it(self) -> None:
        reason = f"its backup comes first: paused: {NO_ROOM.format('backup')}"
        assert one(sealed_day(), SOON, Step.COMPRESS, LOW) == Block(KEY, reason, False, Step.BACKUP)

    def test_it_is_refused_also_where_no_day_is_named(self) -> None:
        assert keys_of(asked(old(2, sealed_day), MARCH, order(Step.BACKUP), LOW), Block) == [
            "ticks/2026-01-19",
            KEY,
        ]
        assert asked(old(2, sealed_day), MARCH, order(Step.ARCHIVE), LOW) == []

    @pytest.mark.parametrize(
        ("subject", "step", "now"),
        [
            (database(), Step.SEAL, SOON),
            (backed_up_day(), Step.COMPRESS, SOON),
            (archived_day(), Step.VERIFY, SOON),
        ],
    )
    def test_what_frees_space_or_proves_goes_on(self, subject: Database, step: Step, now: datetime) -> None:
        assert isinstance(one(subject, now, step, LOW), Action)

    def test_a_file_of_the_callers_own_is_on_a_volume_of_the_callers_own(self) -> None:
        assert isinstance(one(compressed_day(), SOON, Step.RESTORE, LOW, target="/tmp/x.db"), Action)


class TestAllThatAreDue:
    def test_the_age_has_come_and_the_hour_does_not_matter(self) -> None:
        some = old(3, backed_up_day)
        found = asked(some, utc("2026-01-27 00:00"), order(Step.COMPRESS))
        assert keys_of(found) == ["ticks/2026-01-18", "ticks/2026-01-19"]
        assert all(entry.step is Step.COMPRESS for entry in found)

    @pytest.mark.parametrize(("days", "count"), [(0, 4), (1, 3), (2, 2), (3, 1), (4, 0)])
    def test_another_age_may_be_given(self, days: int, count: int) -> None:
        some = old(4, backed_up_day)
        found = ordered(some, SETTINGS, utc("2026-01-21 00:00"), order(Step.COMPRESS, after_days=days))
        assert len(found) == count

    def test_days_with_another_step_before_them_are_left_out(self) -> None:
        some = [*old(2, sealed_day), with_facts(backed_up_day(DAY - timedelta(days=9)), hold=HOLD)]
        assert asked(some, MARCH, order(Step.COMPRESS)) == []

    def test_what_cannot_be_done_for_a_doubt_is_said(self) -> None:
        found = asked(old(2, compressed_day), MARCH, order(Step.ARCHIVE), Doubts(archive="away"))
        assert keys_of(found, Block) == ["ticks/2026-01-19", KEY]

    def test_rotate_makes_the_days_that_are_missing(self) -> None:
        missing = database(SOON.date(), files=Files(), facts=Facts())
        found = asked([missing, backed_up_day()], SOON, order(Step.CREATE))
        assert keys_of(found) == [missing.key]

    def test_the_level_reaches_the_step(self) -> None:
        subject, what = backed_up_day(), order(Step.COMPRESS, KEY, level=3)
        (entry,) = asked([subject], SOON, what)
        assert isinstance(entry, Action)
        assert job_of(entry, subject, SETTINGS, what).options.level == 3
        assert job_of(entry, subject, SETTINGS).options.level == SETTINGS.compress.level


class TestConfirmed:
    """More deletions at once than the setting allows, and the number that a person agrees to."""

    def test_the_dry_run_lists_them_and_their_number_is_the_right_one(self) -> None:
        some = old(5)
        listed = asked(some, LATER, order(Step.EXPIRE))
        assert len(keys_of(listed, Block)) == 5
        assert all(entry.reason.endswith("`--confirm 5` agrees to these") for entry in listed)
        found = asked(some, LATER, order(Step.EXPIRE, confirmed=5))
        assert keys_of(found) == [each.key for each in reversed(some)]

    @pytest.mark.parametrize("number", [1, 4, 6, 500])
    def test_another_number_deletes_nothing(self, number: int) -> None:
        found = asked(old(5), LATER, order(Step.EXPIRE, confirmed=number))
        assert len(keys_of(found, Block)) == 5
        assert f"{number} deletions were agreed to, but 5 wait for that" in found[0].reason

    @pytest.mark.parametrize("number", [1, 3])
    def test_also_of_fewer_than_would_need_it(self, number: int) -> None:
        found = asked(old(2), LATER, order(Step.EXPIRE, confirmed=number))
        assert keys_of(found) == []
        assert len(keys_of(asked(old(2), LATER, order(Step.EXPIRE)))) == 2

    def test_days_on_their_way_are_not_among_them_and_do_not_make_it_impossible(self) -> None:
        some = [*old(4), *old(4, compressed_day, first=4)]
        listed = [e for e in asked(some, LATER, order(Step.EXPIRE)) if e.step is Step.EXPIRE]
        assert len(listed) == 4
        assert len(keys_of(asked(some, LATER, order(Step.EXPIRE, confirmed=4)))) == 4
        assert keys_of(asked(some, LATER, order(Step.EXPIRE, confirmed=8))) == []

    def test_days_that_went_late_before_count_but_are_not_to_be_agreed_to_again(self) -> None:
        agreed = {"expired": LATER - timedelta(hours=1)}
        gone = [with_facts(each, times=agreed) for each in map(expired_day, (d.day for d in old(5)))]
        some = [*gone, *old(3, first=5)]
        listed = asked(some, LATER, order(Step.EXPIRE))
        assert len(listed) == 3
        assert all("3 days of ticks are due to be deleted at once, 5 went late" in e.reason for e in listed)
        assert all(entry.reason.endswith("`--confirm 3` agrees to these") for entry in listed)
        assert len(keys_of(asked(some, LATER, order(Step.EXPIRE, confirmed=3)))) == 3

    def test_it_is_the_number_of_all_streams(self) -> None:
        fx = [
            Database(f"fx/{each.day}", "fx", each.day, each.paths, each.files, each.facts)
            for each in [*old(11)]
        ]
        found = asked([*old(4), *fx], LATER, order(Step.EXPIRE, confirmed=8))
        assert len(keys_of(found)) == 8

    @pytest.mark.parametrize(("number", "deleted"), [(4, 6), (6, 6), (2, 0), (5, 0)])
    def test_those_that_want_no_word_need_not_be_counted_with_them(self, number: int, deleted: int) -> None:
        """They go in the very call that says the number."""
        few = [
            Database(f"fx/{each.day}", "fx", each.day, each.paths, each.files, each.facts)
            for each in [*old(2), *(backed_up_day(LATER.date() - timedelta(days=n)) for n in range(1, 8))]
        ]
        some = [*old(4), *few]
        listed = [entry for entry in asked(some, LATER, order(Step.EXPIRE)) if entry.step is Step.EXPIRE]
        assert len(keys_of(listed)) == 2
        assert sum(entry.reason.endswith("`--confirm 4` agrees to these") for entry in listed) == 4
        assert len(keys_of(asked(some, LATER, order(Step.EXPIRE, confirmed=number)))) == deleted

    def test_it_does_not_reach_days_on_hold_or_the_newest(self) -> None:
        held = [with_facts(each, hold=HOLD) for each in old(4)]
        assert asked(held, LATER, order(Step.EXPIRE, confirmed=4)) == []
        kept = ordered(old(7), SETTINGS, LATER, order(Step.EXPIRE, confirmed=7))
        assert kept == []

    def test_named_days_need_it_as_well(self) -> None:
        some, keys = old(5), (KEY, "ticks/2026-01-19")
        refused = asked(some, LATER, order(Step.EXPIRE, *keys))
        assert len(keys_of(refused, Block)) == 2
        assert all(entry.reason.endswith("`--confirm 2` agrees to these") for entry in refused)
        assert len(keys_of(asked(some, LATER, order(Step.EXPIRE, *keys, confirmed=2)))) == 2
        assert keys_of(asked(some, LATER, order(Step.EXPIRE, *keys, confirmed=1))) == []

    def test_what_is_left_of_named_days_goes_on_when_some_are_gone(self) -> None:
        some = [expired_day(DAY), *old(4, first=1)]
        found = asked(some, LATER, order(Step.EXPIRE, *(each.key for each in some), confirmed=5))
        assert len(keys_of(found)) == 4
        assert keys_of(found, Wait) == [KEY]


class TestRestore:
    @pytest.mark.parametrize("make", [compressed_day, archived_day])
    def test_from_whatever_copy_is_left(self, make: Any) -> None:
        assert isinstance(one(make(), SOON, Step.RESTORE), Action)
        for files in (Files(backup_compressed=ZST), Files(backup=RAW), Files(archived=ZST)):
            assert isinstance(one(make(files=files), SOON, Step.RESTORE), Action)

    @pytest.mark.parametrize(
        ("subject", "reason"),
        [
            (archived_day(files=Files()), "no copy of it is left"),
            (backed_up_day(), "is there already; --force"),
            (compressed_day(files=Files(compressed=ZST, wal=WAL)), "-wal is there, and may hold ticks"),
            (database(), "it has no seal yet"),
            (expired_day(), "deleted on 2026-07-20 by schedule: past its retention"),
            (with_files(compressed_day(), anomaly="a directory"), "a directory"),
        ],
    )
    def test_is_refused(self, subject: Database, reason: str) -> None:
        entry = one(subject, SOON, Step.RESTORE)
        assert isinstance(entry, Block)
        assert entry.step is Step.RESTORE
        assert reason in entry.reason

    def test_what_is_in_its_place_gives_way_only_if_that_is_asked_for(self) -> None:
        assert isinstance(one(backed_up_day(), SOON, Step.RESTORE, force=True), Action)
        assert isinstance(one(backed_up_day(), SOON, Step.RESTORE, target="/tmp/x.db"), Action)

    def test_never_beside_a_log_even_if_it_is_asked_for(self) -> None:
        subject = with_files(backed_up_day(), wal=WAL)
        assert isinstance(one(subject, SOON, Step.RESTORE, force=True), Block)
        assert isinstance(one(subject, SOON, Step.RESTORE, target="/tmp/x.db"), Action)

    def test_waits_for_what_is_running(self) -> None:
        assert isinstance(one(compressed_day(running=Step.ARCHIVE), SOON, Step.RESTORE), Wait)

    def test_in_the_tree_it_is_kept_from_then_on_for_as_long_as_is_set(self) -> None:
        subject, what = compressed_day(), order(Step.RESTORE, KEY)
        (entry,) = asked([subject], SOON, what)
        assert isinstance(entry, Action)
        assert job_of(entry, subject, SETTINGS, what).restoring.keep_until == SOON + timedelta(days=7)
        elsewhere = order(Step.RESTORE, KEY, target="/tmp/x.db")
        assert job_of(entry, subject, SETTINGS, elsewhere).restoring.keep_until is None


class TestMerge:
    LATE = with_files(compressed_day(), database=OTHER)

    def test_brings_a_late_file_in(self) -> None:
        assert isinstance(one(self.LATE, SOON, Step.MERGE), Action)
        cold = with_files(archived_day(), database=OTHER)
        assert isinstance(one(cold, SOON, Step.MERGE), Action)

    def test_brings_in_a_restored_copy_that_was_written_to(self) -> None:
        subject = with_facts(with_files(compressed_day(), database=RAW), restored=restored(LATER))
        assert isinstance(one(with_files(subject, wal=WAL), SOON, Step.MERGE), Action)
        entry = one(subject, SOON, Step.MERGE)
        assert isinstance(entry, Block)
        assert "nobody wrote to it" in entry.reason

    @pytest.mark.parametrize("subject", [compressed_day(), archived_day(), backed_up_day(), database()])
    def test_is_refused_where_there_is_nothing_to_merge(self, subject: Database) -> None:
        assert isinstance(one(subject, SOON, Step.MERGE), Block)

    def test_that_failed_before_is_tried_again(self) -> None:
        failed = Failed("merge", "x", "y", 1, False, None, self.LATE.files.evidence)
        assert isinstance(one(with_facts(self.LATE, failed={"merge": failed}), SOON, Step.MERGE), Action)


class TestDrill:
    def test_of_a_cold_day_only(self) -> None:
        assert isinstance(one(archived_day(), SOON, Step.DRILL), Action)
        assert isinstance(one(compressed_day(), SOON, Step.DRILL), Block)
        assert isinstance(one(archived_day(), SOON, Step.DRILL, Doubts(archive="away")), Block)


class TestVerify:
    def some(self) -> list[Database]:
        return [*old(3), *old(3, compressed_day, first=3), *old(3, sealed_day, first=6)]

    def test_all_that_have_a_seal_and_a_copy(self) -> None:
        others = [database(DAY - timedelta(days=20)), expired_day(DAY - timedelta(days=21))]
        found = ordered([*self.some(), *others], SETTINGS, SOON, order(Step.VERIFY, everything=True))
        assert keys_of(found) == [f"ticks/2026-01-{n}" for n in range(12, 21)]

    @pytest.mark.parametrize(("sample", "count"), [(1, 1), (4, 4), (100, 9)])
    def test_a_sample_drawn_by_lot(self, sample: int, count: int) -> None:
        found = ordered(self.some(), SETTINGS, SOON, order(Step.VERIFY, sample=sample))
        assert len(set(keys_of(found))) == count

    def test_not_always_the_same_sample(self) -> None:
        seconds = [SOON + timedelta(seconds=n) for n in range(9)]
        drawn = [ordered(self.some(), SETTINGS, now, order(Step.VERIFY, sample=2)) for now in seconds]
        assert len({tuple(keys_of(found)) for found in drawn}) > 1

    def test_without_more_those_that_are_due(self) -> None:
        times = {"archived": MARCH}
        read = with_facts(archived_day(), times={**times, "verified": utc("2026-06-30 00:00")})
        unread = with_facts(archived_day(DAY - timedelta(days=1)), times=times)
        found = ordered([read, unread], SETTINGS, utc("2026-06-30 12:00"), order(Step.VERIFY))
        assert keys_of(found) == [unread.key]

    def test_a_lost_day_may_be_read_when_a_copy_is_there(self) -> None:
        subject = archived_day(files=Files())
        subject = with_facts(subject, lost=lost(subject.files.evidence))
        assert isinstance(one(subject, SOON, Step.VERIFY), Block)
        assert isinstance(one(with_files(subject, backup_compressed=ZST), SOON, Step.VERIFY), Action)

    @pytest.mark.parametrize(
        "subject", [database(), expired_day(), backed_up_day(files=Files()), database(files=Files())]
    )
    def test_is_refused_where_there_is_nothing_to_compare(self, subject: Database) -> None:
        assert isinstance(one(subject, SOON, Step.VERIFY), Block)
