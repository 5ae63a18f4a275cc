"""Is it healthy, and if not, why?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from handlers.contract import Holder, Step
from tests.watcher.builders import DAY, SETTINGS, backed_up, backed_up_day, database, lost, sealed, utc
from tests.watcher.view.rows import NOW, absent, began, disk, look, packed, row, unsealed, vitals
from watcher.events import Conflict, Corrupt, Deferred, Failed
from watcher.lifecycle import State
from watcher.overview import Day, Overview
from watcher.plan import Doubts
from watcher.settings import ClockSettings, Create, Verify
from watcher.state import Database, Facts
from watcher.view.verdict import Reason, Verdict, verdict
from watcher.view.volumes import Volume
from watcher.vitals import Watching

DISK = disk(root=10**12)
TODAY = unsealed(0, State.ACTIVE)
YESTERDAY = DAY - timedelta(days=1)
LATE = NOW - timedelta(days=1, minutes=1)


def judged(overview: Overview, volumes: Sequence[Volume] = DISK) -> Verdict:
    return verdict(overview, volumes)


def only(overview: Overview, volumes: Sequence[Volume] = DISK) -> Reason:
    found = judged(overview, volumes)
    (reason,) = found.reasons
    assert found.level == reason.level
    return reason


def failed(step: Step = Step.COMPRESS, *, retryable: bool = True) -> Failed:
    return Failed(step, "no space left on device", "free some", 3, retryable, NOW, "e")


def known(facts: Facts, days_ago: int = 1, **changes: Any) -> Database:
    return database(DAY - timedelta(days=days_ago), facts=facts, **changes)


def seen(facts: Facts, day: Day) -> Overview:
    return look(TODAY, day, known=[known(facts)])


FAILING = row(trouble="failing")
TROUBLED = row(trouble="attention")


class TestAllIsWell:
    def test_beside_a_daemon_that_has_nothing_to_do(self) -> None:
        assert judged(look(TODAY, row(1), row(2), packed(20), packed(60))) == Verdict("OK", ())

    def test_what_is_due_since_today_is_on_time(self) -> None:
        due = row(entry="action", step=Step.COMPRESS, due=NOW - timedelta(hours=23))
        assert judged(look(TODAY, due)).level == "OK"

    def test_the_system_may_do_without_a_daemon(self) -> None:
        alone = replace(look(TODAY, row(1)), daemon_pid=None, vitals=None)
        assert judged(replace(alone, passed_at=NOW - timedelta(minutes=70))).level == "OK"
        assert judged(replace(alone, passed_at=NOW - timedelta(hours=3))).level == "ATTENTION"
        late = row(entry="action", step=Step.COMPRESS, due=NOW - timedelta(hours=30))
        there = replace(look(TODAY, late), daemon_pid=None, vitals=None, passed_at=NOW)
        assert judged(there).level == "FAILING"

    def test_a_hold_is_nothing_to_complain_of(self) -> None:
        assert judged(look(TODAY, row(on_hold=True))).level == "OK"

    def test_before_midnight_the_day_is_not_to_be_sealed(self) -> None:
        assert judged(look(unsealed(0, State.CLOSED))).level == "OK"


DAEMON: list[tuple[dict[str, Any], tuple[str, str, str]]] = [
    ({"daemon_pid": None, "vitals": None}, ("ATTENTION", "daemon", "no daemon is running: ")),
    ({"vitals": None}, ("FAILING", "daemon", "the daemon (pid 4711) does not say how it is")),
    ({"left_alone": {"quotes": 3}}, ("ATTENTION", "stream", "nothing looks after 3 days of 'quotes'")),
    ({"vitals": vitals(unserved=("no address",))}, ("ATTENTION", "address", "no address")),
    ({"streams": began(NOW + timedelta(hours=1))}, ("FAILING", "clock", "the clock is behind")),
    (
        {"vitals": None, "is_deaf": True},
        ("ATTENTION", "daemon", "something is at work here (pid 4711) that takes no orders"),
    ),
    (
        {"vitals": None, "streams": began(NOW - timedelta(minutes=3))},
        ("FAILING", "daemon", "the daemon (pid 4711) does not say how it is"),
    ),
    (
        {"vitals": vitals(stepped=NOW - timedelta(seconds=121))},
        ("FAILING", "daemon", "the daemon (pid 4711) has looked at nothing since 2026-01-20 11:57 UTC"),
    ),
    (
        {"vitals": vitals(error="the root is gone")},
        ("FAILING", "daemon", "the daemon cannot go on: the root is gone"),
    ),
    (
        {"vitals": vitals(watching=Watching("inotify", "too few watches", 1))},
        ("ATTENTION", "watching", "not every change is told of: too few watches"),
    ),
    ({"doubts": Doubts(journal="another one")}, ("FAILING", "doubt", "another one")),
    ({"doubts": Doubts(backup="is it mounted?")}, ("FAILING", "doubt", "is it mounted?")),
    ({"doubts": Doubts(archive="is it mounted?")}, ("FAILING", "doubt", "is it mounted?")),
    (
        {"doubts": Doubts(clock_until=NOW + timedelta(minutes=1))},
        ("ATTENTION", "clock", "the clock has jumped forward: it is watched until 2026-01-20 12:01 UTC"),
    ),
]


@pytest.mark.parametrize(("changes", "said"), DAEMON)
def test_what_is_wrong_with_the_daemon_and_what_it_stands_on(
    changes: dict[str, Any], said: tuple[str, str, str]
) -> None:
    reason = only(look(TODAY, row(), **changes))
    assert (reason.level, reason.kind) == said[:2]
    assert reason.sentence.startswith(said[2])
    assert (reason.count, reason.span, reason.days) == (0, "", ())


@pytest.mark.parametrize(
    "changes",
    [
        {"vitals": vitals(stepped=NOW - timedelta(seconds=119))},
        {"vitals": None, "streams": began(NOW - timedelta(seconds=5))},
        {"doubts": Doubts(clock_until=NOW)},
        {
            "vitals": vitals(stepped=NOW - timedelta(hours=20)),  # twenty seconds, by that clock
            "settings": replace(SETTINGS, clock=ClockSettings(3600.0, "2026-01-20T00:00")),
        },
    ],
)
def test_what_is_not_wrong_with_it(changes: dict[str, Any]) -> None:
    assert judged(look(TODAY, row(), **changes)).level == "OK"


class TestADayThatIsLate:
    @pytest.mark.parametrize(
        "step", [Step.SEAL, Step.BACKUP, Step.COMPRESS, Step.ARCHIVE, Step.EXPIRE, Step.DRILL]
    )
    def test_is_worth_a_look_beside_a_daemon(self, step: Step) -> None:
        reason = only(look(TODAY, row(entry="action", step=step, due=LATE)))
        assert (reason.level, reason.kind, reason.count) == ("ATTENTION", "overdue", 1)
        assert reason.sentence == f"{step} is more than a day late"

    @pytest.mark.parametrize("step", [Step.CREATE, Step.VERIFY])
    def test_has_time_where_it_is_no_such_step(self, step: Step) -> None:
        assert judged(look(TODAY, row(entry="action", step=step, due=LATE))).level == "OK"

    def test_is_failing_where_nobody_does_it(self) -> None:
        late = row(entry="action", step=Step.COMPRESS, due=LATE)
        found = judged(look(TODAY, late, daemon_pid=None, vitals=None))
        assert [(r.level, r.kind) for r in found.reasons] == [("FAILING", "daemon"), ("ATTENTION", "overdue")]

    def test_has_time_after_it_was_taken_over(self) -> None:
        def alone(minutes_ago: int, *others: Day) -> Overview:
            taken_over = row(50, entry="action", step=Step.COMPRESS, due=NOW - timedelta(days=40))
            taken_over = replace(taken_over, sealed_at=NOW - timedelta(minutes=minutes_ago))
            return look(TODAY, taken_over, *others, daemon_pid=None, vitals=None)

        found = judged(alone(119))
        assert [(r.level, r.kind) for r in found.reasons] == [
            ("ATTENTION", "daemon"),
            ("ATTENTION", "overdue"),
        ]
        assert judged(replace(alone(119), passed_at=NOW)).reasons[0].kind == "overdue"
        assert judged(alone(120)).level == "FAILING"
        assert judged(alone(-1)).level == "FAILING", "a clock that was wrong is no excuse"
        unsealed_for_long = unsealed(50, entry="action", due=LATE)
        assert judged(alone(119, unsealed_for_long)).level == "FAILING", "of another day it is known for long"


class TestAVolume:
    def test_with_too_little_room_is_failing(self) -> None:
        reason = only(look(TODAY), disk(root=10**12, backup=10**9))
        assert (reason.level, reason.kind) == ("FAILING", "disk")
        assert reason.sentence == (
            "only 1 GB are free on the volume of backup: what needs space there is paused"
        )

    def test_is_failing_until_what_was_paused_goes_on(self) -> None:
        almost = disk(root=10**12, backup=11 * 10**8)
        assert judged(look(TODAY), almost).level == "OK"
        paused = look(TODAY, doubts=Doubts(low={"backup": "less than 1 GiB is free"}))
        assert only(paused, almost).sentence.startswith("only 1.1 GB are free on the volume of backup")

    @pytest.mark.parametrize(
        ("days", "level"), [(0, "ATTENTION"), (14, "ATTENTION"), (15, "OK"), (None, "OK")]
    )
    def test_that_will_be_full_is_worth_a_look(self, days: int | None, level: str) -> None:
        volume = Volume(("root",), 10**12, 2 * 10**12, low=False, growth_bytes=1, days_until_full=days)
        assert judged(look(TODAY), [volume]).level == level

    def test_the_state_directory_counts_as_well(self) -> None:
        assert only(look(TODAY), disk(root=10**12, state=5)).kind == "disk"

    def test_a_root_that_is_gone_is_said_once(self) -> None:
        assert only(look(TODAY), disk(state=10**12)).sentence.startswith("the root data/ticks/db is gone")
        stuck = look(TODAY, vitals=vitals(error="the root is gone"))
        assert only(stuck, disk(state=10**12)).kind == "daemon"
        assert judged(look(TODAY, head=0), ()).level == "OK", "before the first start there is none"


class TestTodaysDatabase:
    def test_is_missing(self) -> None:
        reason = only(look(absent()))
        assert (reason.level, reason.kind, reason.span) == ("FAILING", "missing", "ticks/2026-01-20")

    @pytest.mark.parametrize(
        "changes",
        [
            {"at": utc("2026-01-20 00:01"), "vitals": vitals(stepped=utc("2026-01-20 00:01"))},
            {"vitals": vitals(started=NOW - timedelta(seconds=9))},
            {"settings": replace(SETTINGS, create=Create(enabled=False))},
            {"head": 0},
        ],
        ids=["a minute after midnight", "just started", "its writer makes it", "before the first start"],
    )
    def test_is_not_missed_yet(self, changes: dict[str, Any]) -> None:
        assert judged(look(absent(), **changes)).level == "OK"

    def test_tomorrows_is_not_missed_today(self) -> None:
        assert judged(look(TODAY, absent(-1))).level == "OK"

    def test_that_is_blocked_says_why_and_no_more(self) -> None:
        blocked = absent(entry="block", trouble="failing", reason="its file is gone")
        assert only(look(blocked)).kind == "blocked"


class TestADayWithoutASeal:
    def test_is_failing_an_hour_after_its_end(self) -> None:
        reason = only(look(TODAY, unsealed(1)))
        assert (reason.level, reason.kind) == ("FAILING", "unsealed")

    def test_that_somebody_has_open_is_worth_a_look(self) -> None:
        open_day = look(TODAY, unsealed(1, State.ACTIVE), known=[known(Facts(opened=True), held=True)])
        reason = only(open_day)
        assert (reason.level, reason.kind) == ("ATTENTION", "deferred")

    @pytest.mark.parametrize(
        "changes",
        [
            {"at": utc("2026-01-20 01:00"), "vitals": vitals(stepped=utc("2026-01-20 01:00"))},
            {"vitals": vitals(started=NOW - timedelta(minutes=59))},
            {"vitals": vitals(waiting=3)},
            {"known": [known(Facts(times={"reopened": NOW - timedelta(minutes=5)}))]},
        ],
        ids=["it is over for an hour", "the daemon has just begun", "there is a backlog", "written to again"],
    )
    def test_has_time(self, changes: dict[str, Any]) -> None:
        assert judged(look(unsealed(0, State.ACTIVE), unsealed(1), **changes)).level == "OK"

    def test_is_not_what_a_day_is_told_of_that_failed(self) -> None:
        overview = look(
            TODAY,
            unsealed(1, trouble="failing"),
            known=[known(Facts(failed={"seal": failed(Step.SEAL)}))],
        )
        assert only(overview).kind == "failed"

    def test_without_a_daemon_is_not_the_daemons_fault(self) -> None:
        assert only(look(TODAY, unsealed(1), daemon_pid=None, vitals=None)).kind == "daemon"


BLOCKED = row(entry="block", trouble="failing", reason="corrupt: row 7 is missing; put the result in place")
CORRUPT = Corrupt("seal", "/r/x.db", "bad", ("row 7 is missing",), "put the result in place", "e")
DEFERRED = Deferred("/r/x.db", (Holder(77, "report"),), utc("2026-01-20 00:00"))
HELD_BY = "not sealed, because it is held by report (pid 77) since 2026-01-20 00:00 UTC; "

DAYS: list[tuple[Day, Facts, tuple[str, str, str, str]]] = [
    (
        FAILING,
        Facts(failed={"compress": failed()}),
        ("FAILING", "failed", "compress failed: no space left on device", "free some"),
    ),
    (
        FAILING,
        Facts(failed={"verify": failed(Step.VERIFY, retryable=False)}),
        ("FAILING", "failed", "verify is impossible: no space left on device", "free some"),
    ),
    (
        row(
            entry="block",
            trouble="failing",
            reason="compress is impossible: no space left on device; free some",
        ),
        Facts(failed={"compress": failed(retryable=False)}),
        ("FAILING", "blocked", "compress is impossible: no space left on device", "free some"),
    ),
    (
        FAILING,
        Facts(lost=lost("e")),
        ("FAILING", "lost", "LOST: no good copy of it is left", "look for one elsewhere"),
    ),
    (
        BLOCKED,
        Facts(corrupt=CORRUPT),
        ("FAILING", "blocked", "corrupt: row 7 is missing", "put the result in place"),
    ),
    (
        row(entry="block", trouble="failing", reason="conflict: two of it; move one away"),
        Facts(conflict=Conflict("/r/x", "two of it", "move one away", "e")),
        ("FAILING", "blocked", "conflict: two of it", "move one away"),
    ),
    (
        row(entry="action", step=Step.VERIFY, due=NOW),
        Facts(sealed=sealed(), corrupt=replace(CORRUPT, step="backup")),
        ("FAILING", "damaged", "backup found damage: bad", "its copies are read next, and it is repaired"),
    ),
    (
        row(entry="block", trouble="attention", reason="a directory has the name of a database"),
        Facts(),
        ("ATTENTION", "blocked", "a directory has the name of a database", ""),
    ),
    (
        unsealed(1, trouble="attention"),
        Facts(deferred=DEFERRED),
        ("ATTENTION", "deferred", HELD_BY + "no copy of it yet", "close it there"),
    ),
    (
        unsealed(1, trouble="attention"),
        Facts(deferred=DEFERRED, backed_up=backed_up(live=True), times={"backed_up": NOW}),
        (
            "ATTENTION",
            "deferred",
            HELD_BY + "a consistent copy was taken 2026-01-20 12:00 UTC",
            "close it there",
        ),
    ),
    (
        TROUBLED,
        Facts(sealed=replace(sealed(), counted=False)),
        (
            "ATTENTION",
            "uncounted",
            "its ticks are not counted: it has no table of the name in data.streams.",
            "name",
        ),
    ),
]


class TestADay:
    @pytest.mark.parametrize(("day", "facts", "said"), DAYS)
    def test_says_what_is_wrong_and_what_to_do(
        self, day: Day, facts: Facts, said: tuple[str, str, str, str]
    ) -> None:
        reason = only(seen(facts, day))
        assert (reason.level, reason.kind) == said[:2]
        assert reason.sentence.startswith(said[2])
        assert reason.hint.startswith(said[3])
        assert (reason.count, reason.days) == (1, (f"ticks/{YESTERDAY}",))

    def test_of_which_only_the_row_is_known_is_not_passed_over(self) -> None:
        assert only(look(TODAY, FAILING)).sentence == FAILING.reason
        assert only(look(TODAY, TROUBLED)).kind == "uncounted"

    def test_with_two_troubles_tells_both(self) -> None:
        facts = Facts(lost=lost("e"), failed={"verify": failed(Step.VERIFY)})
        assert [reason.kind for reason in judged(seen(facts, FAILING)).reasons] == ["lost", "failed"]


class TestReading:
    @pytest.mark.parametrize(
        ("read", "level"),
        [
            ("2026-01-19 05:00", "OK"),
            ("2025-12-01 05:00", "OK"),  # due on the 1st of January: it may take a while
            ("2025-11-30 23:00", "ATTENTION"),
            ("2025-01-01 00:00", "ATTENTION"),
            ("2027-01-01 00:00", "OK"),  # by a clock that was wrong
        ],
    )
    def test_is_missed_after_two_times_of_its_schedule(self, read: str, level: str) -> None:
        assert judged(look(TODAY, row(1), packed(90, verified_at=utc(read)))).level == level

    def test_names_those_days_and_no_others(self) -> None:
        late = [
            packed(ago, verified_at=utc("2025-11-01 00:00") + timedelta(hours=ago)) for ago in (90, 91, 92)
        ]
        gone = packed(300, tier="gone", state=State.EXPIRED, verified_at=utc("2025-05-01 00:00"))
        stuck = packed(
            93, verified_at=utc("2025-05-01 00:00"), entry="block", trouble="failing", reason="why"
        )
        reasons = judged(look(TODAY, row(1), packed(60), gone, stuck, *late)).reasons
        assert [(reason.kind, reason.count) for reason in reasons] == [("blocked", 1), ("unread", 3)]
        assert reasons[1].span == f"3 days, {late[2].key} to {late[0].key}"

    def test_is_not_missed_where_it_is_not_wanted(self) -> None:
        settings = replace(SETTINGS, verify=Verify(schedule="never"))
        old = packed(90, verified_at=utc("2025-01-01 00:00"))
        assert judged(look(TODAY, old, settings=settings)).level == "OK"


class TestManyDays:
    def test_of_which_one_thing_is_true_are_one_reason(self) -> None:
        lost_root = [
            row(ago, entry="block", trouble="failing", reason="the root is empty") for ago in range(1, 301)
        ]
        reason = only(look(*lost_root))
        assert (reason.count, len(reason.days)) == (300, 100)
        assert reason.span == f"300 days, {lost_root[-1].key} to {lost_root[0].key}"

    def test_that_are_blocked_by_a_doubt_are_told_with_it(self) -> None:
        doubt = "is the backup disk mounted?"
        blocked = [row(ago, entry="block", trouble="failing", reason=doubt) for ago in (1, 2)]
        reason = only(look(TODAY, *blocked, doubts=Doubts(backup=doubt)))
        assert (reason.kind, reason.count) == ("doubt", 2)

    def test_come_the_most_important_first(self) -> None:
        overview = look(
            absent(),
            row(1, trouble="attention"),
            row(2, entry="block", trouble="attention", reason="a directory"),
            row(3, trouble="failing"),
            row(4, entry="action", step=Step.COMPRESS, due=LATE),
            row(5, entry="block", trouble="failing", reason="its file is gone"),
            known=[
                known(Facts(deferred=DEFERRED), 1),
                known(Facts(failed={"compress": failed()}), 3),
                backed_up_day(DAY - timedelta(days=5)),
            ],
        )
        found = judged(overview, disk(root=5))
        assert found.level == "FAILING"
        assert [(reason.level, reason.kind) for reason in found.reasons] == [
            ("FAILING", "disk"),
            ("FAILING", "missing"),
            ("FAILING", "blocked"),
            ("FAILING", "failed"),
            ("ATTENTION", "blocked"),
            ("ATTENTION", "overdue"),
            ("ATTENTION", "deferred"),
        ]
