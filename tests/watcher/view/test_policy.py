"""The policy as a timeline, and what was done against it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from handlers.contract import Step
from tests.watcher.builders import DAY, HOLD, SETTINGS, database, utc
from tests.watcher.view.rows import NOW, absent, look, packed, row, unsealed
from watcher.lifecycle import State
from watcher.overview import Day
from watcher.plan.retention import policy_in_words
from watcher.schedule import due
from watcher.settings import Archive, Compress, Create, Expire, Settings, Verify
from watcher.shapes import words
from watcher.state import Facts
from watcher.view import adherence as proof
from watcher.view.adherence import Adherence, Deviation, Policies, StepRecord, adherence
from watcher.view.policy import Milestone, Policy, Recurring, in_words, lines, timeline

AT = utc("2026-07-15 09:30")  # a Wednesday
ALWAYS: Policies = [(utc("2000-01-01 00:00"), policy_in_words(SETTINGS))]


def milestone(step: Step, settings: Settings = SETTINGS, now: datetime = AT) -> Milestone:
    return next(each for each in timeline(settings, now).life if each.step is step)


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        ("on_rotation", "at once"),
        ("never", "never"),
        ("0 2 * * SUN", "Sundays 02:00 UTC"),
        ("5 14 * * wed", "Wednesdays 14:05 UTC"),
        ("0 2 * * 0", "Sundays 02:00 UTC"),
        ("0 2 * * 7", "Sundays 02:00 UTC"),
        ("0 3 1 * *", "the 1st of each month 03:00 UTC"),
        ("0 3 22 * *", "the 22nd of each month 03:00 UTC"),
        ("0 3 13 * *", "the 13th of each month 03:00 UTC"),
        ("0  4 * * *", "every day 04:00 UTC"),
        ("0 * * * *", "every hour"),
        ("10 * * * *", "every hour, 10 minutes past"),
        ("0 2 L * *", "at 02:00 on the last day of every month, UTC (0 2 L * *)"),
        ("0 2 * * MON-FRI", "at 02:00 on Monday through Friday, UTC (0 2 * * MON-FRI)"),
    ],
)
def test_schedules_in_words(schedule: str, text: str) -> None:
    assert in_words(schedule) == text


class TestTheTimeline:
    def test_has_every_step_of_a_life_in_order(self) -> None:
        steps = [each.step for each in timeline(SETTINGS, AT).life]
        assert steps == ["create", "seal", "backup", "compress", "archive", "expire"]

    @pytest.mark.parametrize(
        ("step", "through", "following", "next_through"),
        [
            (Step.CREATE, "2026-07-16", "2026-07-16 00:00", "2026-07-17"),
            (Step.SEAL, "2026-07-14", "2026-07-16 00:00", "2026-07-15"),
            (Step.BACKUP, "2026-07-14", "2026-07-16 00:00", "2026-07-15"),
            (Step.COMPRESS, "2026-07-04", "2026-07-19 02:00", "2026-07-11"),
            (Step.ARCHIVE, "2026-05-31", "2026-08-01 03:00", "2026-07-01"),
            (Step.EXPIRE, "2026-01-15", "2026-07-16 04:00", "2026-01-16"),
        ],
    )
    def test_says_which_dates_it_means_today(
        self, step: Step, through: str, following: str, next_through: str
    ) -> None:
        found = milestone(step)
        assert (str(found.through), found.next, str(found.next_through)) == (
            through,
            utc(following),
            next_through,
        )
        assert all(each in found.today for each in (through, following, next_through))

    @given(
        now=st.integers(0, 200 * 366 * 86400).map(
            lambda seconds: utc("1990-01-01") + timedelta(seconds=seconds)
        ),
        age=st.integers(0, 400),
        schedule=st.sampled_from(["on_rotation", "0 2 * * SUN", "0 3 1 * *", "*/7 * * * *", "0 5 29 2 *"]),
    )
    def test_means_what_the_planner_means(self, now: datetime, age: int, schedule: str) -> None:
        found = milestone(Step.EXPIRE, Settings(expire=Expire(after_days=age + 31, schedule=schedule)), now)
        assert found.through
        assert found.next
        assert found.next_through
        day = timedelta(days=1)
        assert due(found.through, age + 31, schedule) <= now
        assert due(found.through + day, age + 31, schedule) == found.next > now
        assert due(found.next_through, age + 31, schedule) == found.next
        assert due(found.next_through + day, age + 31, schedule) > found.next

    @pytest.mark.parametrize(
        ("step", "settings", "said"),
        [
            (Step.CREATE, Settings(create=Create(enabled=False)), "never (create.enabled = false)"),
            (Step.ARCHIVE, Settings(archive=Archive(enabled=False)), "never (archive.enabled = false)"),
            (Step.EXPIRE, Settings(expire=Expire(enabled=False)), "never (expire.enabled = false)"),
        ],
    )
    def test_says_what_is_never_done(self, step: Step, settings: Settings, said: str) -> None:
        found = milestone(step, settings)
        assert (found.enabled, found.when) == (False, said)
        assert (found.through, found.next, found.next_through) == (None, None, None)
        assert said in "\n".join(lines(timeline(settings, AT)))

    def test_says_when_copies_are_read_again(self) -> None:
        settings = Settings(verify=Verify(drill_schedule="never"))
        assert timeline(settings, AT).recurring == (
            Recurring(Step.VERIFY, "0 5 1 * *", "the 1st of each month 05:00 UTC", utc("2026-08-01 05:00")),
            Recurring(Step.DRILL, "never", "never", None),
        )

    def test_reads_as_a_line_with_ages(self) -> None:
        told = list(lines(timeline(SETTINGS, AT), 80))
        assert max(map(len, told)) <= 80
        assert "    7 days  o  compress  Sundays 02:00 UTC" in told
        text = " ".join(" ".join(told).replace("|", "").split())
        assert (
            "days up to 2026-07-04 are compressed by now; the next time, 2026-07-19 02:00 UTC, "
            "takes days up to 2026-07-11"
        ) in text
        rails = ("the newest 7 days", "more than 3 days", "stays for 7 days", "(from 2019-07-15)", "on hold")
        assert all(each in text for each in rails)


def done(days_ago: int, **changes: Any) -> Day:
    """A compressed day to the minute of its dates."""
    day = packed(days_ago)
    at = due(day.day, 7, "0 2 * * SUN") + timedelta(seconds=20)
    return replace(day, **{"tier": "warm", "state": State.COMPRESSED, "compressed_at": at, **changes})


def proven(*days: Day, recorded: Policies = ALWAYS, **changes: Any) -> Adherence:
    return adherence(look(*days, **changes), recorded)


def record(found: Adherence, step: Step) -> StepRecord:
    return next(each for each in found.steps if each.step is step)


def only(found: Adherence) -> Deviation:
    (deviation,) = found.exceptions
    return deviation


class TestTheProof:
    def test_counts_what_was_on_time(self) -> None:
        found = proven(done(20), done(21), row(1), unsealed(0, State.ACTIVE), absent(-1))
        assert (found.exceptions, found.kept) == ((), ())
        seal, compress = record(found, Step.SEAL), record(found, Step.COMPRESS)
        assert (seal.done, seal.on_time, seal.age_seconds_median, seal.age_seconds_max) == (3, 3, 3, 3)
        assert (compress.done, compress.on_time, compress.late, compress.early) == (2, 2, 0, 0)
        assert record(found, Step.EXPIRE).age_seconds_median is None
        assert [each.seal for each in found.days] == [3, 3, 3]
        assert [each.compress is None for each in found.days] == [False, False, True]

    def test_lists_what_was_late_and_by_how_much(self) -> None:
        punctual = done(20)
        assert punctual.compressed_at
        days = [done(20 + n, compressed_at=punctual.compressed_at + timedelta(days=n)) for n in (3, 5, 9)]
        found = proven(punctual, *days)
        compress = record(found, Step.COMPRESS)
        assert (compress.done, compress.on_time, compress.late) == (4, 1, 3)
        late = [each.at - each.due for each in found.exceptions if each.at]
        assert compress.late_seconds_max == max(late).total_seconds()
        assert compress.late_seconds_median == sorted(late)[1].total_seconds()
        assert {each.kind for each in found.exceptions} == {"late"}

    @pytest.mark.parametrize(("hours", "kinds"), [(24, []), (25, ["late"])])
    def test_bears_a_day(self, hours: int, kinds: list[str]) -> None:
        at = due(DAY - timedelta(days=20), 7, "0 2 * * SUN") + timedelta(hours=hours)
        assert [each.kind for each in proven(done(20, compressed_at=at)).exceptions] == kinds

    def test_lists_what_was_too_soon(self) -> None:
        moment = due(DAY - timedelta(days=20), 7, "0 2 * * SUN")
        found = only(proven(done(20, compressed_at=moment - timedelta(days=4))))
        assert (found.kind, found.step, found.due) == ("early", Step.COMPRESS, moment)
        assert found.reason == "4 days before it was due"
        assert only(proven(done(20, compressed_at=moment - timedelta(seconds=1)))).kind == "early"

    def test_lists_what_the_policy_does_not_ask_for_at_all(self) -> None:
        gone = packed(300, tier="gone", state=State.EXPIRED, expired_at=NOW - timedelta(days=5))
        settings = Settings(expire=Expire(enabled=False), archive=Archive(enabled=False))
        found = proven(gone, settings=settings)
        kinds = {each.step: (each.kind, each.reason) for each in found.exceptions}
        assert kinds[Step.EXPIRE] == ("early", "expire.enabled is false")
        assert record(found, Step.EXPIRE).asked == "never"

    def test_lists_what_is_due_and_not_done_with_the_reason_of_the_plan(self) -> None:
        day = row(20, entry="block", trouble="failing", reason="corrupt: row 7; look")
        found = only(proven(day))
        assert (found.kind, found.step, found.at, found.reason) == (
            "overdue",
            Step.COMPRESS,
            None,
            "corrupt: row 7; look",
        )

    def test_tells_only_the_first_step_that_a_day_waits_for(self) -> None:
        day = unsealed(300, entry="block", trouble="failing", reason="its file is gone")
        found = proven(day)
        assert only(found).step is Step.SEAL
        assert [each.overdue for each in found.steps] == [1, 0, 0, 0, 0]
        assert only(proven(absent(9, entry="block", reason="its file is gone"))).step is Step.SEAL

    def test_does_not_call_what_is_due_since_today_overdue(self) -> None:
        found = proven(unsealed(1, reason="its day is over"))
        assert (found.exceptions, record(found, Step.SEAL).pending) == ((), 1)

    def test_takes_what_is_on_hold_for_no_exception(self) -> None:
        reason = "on hold by ann: audit 17; `tickward release ticks/2025-12-31` ends it"
        day = row(20, on_hold=True, due=None, reason=reason)
        found = proven(day, known=[database(day.day, facts=Facts(hold=HOLD))])
        (kept,) = found.kept
        assert (found.exceptions, kept.kind, kept.step, kept.reason) == ((), "kept", Step.COMPRESS, reason)
        assert record(found, Step.COMPRESS).kept == 1

    def test_but_a_day_on_hold_is_sealed_all_the_same(self) -> None:
        assert only(proven(unsealed(5, on_hold=True))).step is Step.SEAL

    def test_takes_the_newest_days_for_no_exception(self) -> None:
        day = packed(200, due=None, reason="one of the newest 7 days of its stream: kept whatever its age")
        found = proven(day, settings=Settings(compress=Compress(schedule="on_rotation")))
        assert [each.step for each in found.kept] == [Step.EXPIRE]
        assert not [each for each in found.exceptions if each.step is Step.EXPIRE]

    def test_of_a_seal_that_a_late_tick_broke_counts_only_the_new_one(self) -> None:
        broken = done(20, state=State.CLOSED, reason="its day is over", trouble="attention")
        found = proven(broken)
        assert only(found).step is Step.SEAL
        assert record(found, Step.COMPRESS).done == 0
        resealed = done(20, state=State.SEALED, reason="sealed, and its age and schedule have come")
        (ages,) = proven(resealed).days
        assert (ages.seal, ages.backup, ages.compress) == (3, None, None)

    def test_does_not_take_a_live_copy_for_a_backup(self) -> None:
        held = unsealed(5, backup="live", backed_up_at=NOW, trouble="attention", reason="held by engine")
        assert record(proven(held), Step.BACKUP).done == 0


class TestThePolicyOfTheTime:
    BEFORE = policy_in_words(Settings(compress=Compress(after_days=3)))
    NOW_IN_FORCE = policy_in_words(SETTINGS)

    def changed(self, days_ago: int) -> Policies:
        return [
            *((utc("2000-01-01 00:00"), self.BEFORE),),
            (NOW - timedelta(days=days_ago), self.NOW_IN_FORCE),
        ]

    def test_is_told_where_it_was_another(self) -> None:
        (change,) = proven(recorded=self.changed(10)).changes
        (rule,) = change.rules
        assert (change.at, rule.rule) == (NOW - timedelta(days=10), "compress")
        assert (rule.before, rule.after) == (self.BEFORE["compress"], self.NOW_IN_FORCE["compress"])

    def test_marks_what_was_done_under_an_earlier_one(self) -> None:
        day = done(20, compressed_at=utc("2026-01-04 02:00"))
        assert only(proven(day, recorded=self.changed(10))).earlier_policy
        assert not only(proven(day, recorded=self.changed(30))).earlier_policy
        assert not only(proven(day)).earlier_policy

    def test_that_was_of_another_step_marks_nothing(self) -> None:
        before = policy_in_words(Settings(expire=Expire(after_days=400)))
        recorded = [(utc("2000-01-01 00:00"), before), (NOW - timedelta(days=10), self.NOW_IN_FORCE)]
        day = done(20, compressed_at=utc("2026-01-04 02:00"))
        assert not only(proven(day, recorded=recorded)).earlier_policy

    def test_asks_for_nothing_before_it_came_into_force(self) -> None:
        # A tree of years that was taken over a day before: all of it is due at once.
        began = NOW - timedelta(hours=20)
        sealed = row(400, sealed_at=began + timedelta(hours=2), backed_up_at=began + timedelta(hours=2))
        recorded = [(began, self.NOW_IN_FORCE)]
        assert proven(sealed, unsealed(399), recorded=recorded).exceptions == ()
        assert len(proven(sealed, unsealed(399)).exceptions) == 4

    @pytest.mark.parametrize(
        ("recorded", "said"),
        [
            ([], "no policy was recorded yet"),
            ([(NOW, BEFORE)], "these settings are not the policy"),
            ([(NOW, NOW_IN_FORCE)], "the policy has never changed"),
        ],
    )
    def test_may_not_be_that_of_the_settings(self, recorded: Policies, said: str) -> None:
        assert said in "\n".join(proof.lines(proven(recorded=recorded)))


class TestItsLines:
    def test_have_one_for_each_exception_and_only_numbers_for_the_rest(self) -> None:
        late = done(20, compressed_at=utc("2026-01-15 02:00"))
        stuck = row(21, entry="block", trouble="failing", reason="conflict: \x1b two versions")
        told = list(proof.lines(proven(done(22), late, stuck)))
        assert told[-3:] == [
            "exceptions: 2",
            "  ticks/2025-12-30 compress overdue: due 2026-01-11 02:00 UTC: conflict: \\x1b two versions",
            "  ticks/2025-12-31 compress late: done 2026-01-15 02:00 UTC, due 2026-01-11 02:00 UTC: "
            "4 days late",
        ]
        (compress,) = [line.split() for line in told if line.startswith("compress")]
        assert compress[1:8] == ["2", "1", "1", "0", "0", "1", "0"]

    def test_say_that_there_is_none(self) -> None:
        assert list(proof.lines(proven(done(20))))[-2:] == [
            "kept beyond what is due: none",
            "exceptions: none",
        ]


def test_json_is_what_its_words_say() -> None:
    gone = packed(300, tier="gone", state=State.EXPIRED, expired_at=NOW)
    found = proven(done(20), gone, row(30), recorded=TestThePolicyOfTheTime().changed(3))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Adherence) == found
    policy = timeline(SETTINGS, AT)
    assert msgspec.json.decode(msgspec.json.encode(policy), type=Policy) == policy
    kinds: list[type[Struct]] = [Policy, Milestone, Recurring, Adherence, StepRecord, Deviation]
    for kind in (*kinds, proof.DayAges, proof.PolicyChange, proof.RuleChange):
        assert words(kind).description
        assert words(kind).fields.keys() == set(kind.__struct_fields__)


def test_the_first_day_of_all_is_no_trouble() -> None:
    assert timeline(Settings(), datetime(1, 1, 3, tzinfo=UTC)).journal_from == date(1, 1, 1)
