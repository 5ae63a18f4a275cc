"""How things stand, on one screen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, get_args

import jsonschema
import msgspec
import pytest
from msgspec import Struct
from msgspec.structs import replace

from handlers.contract import Holder, Step
from tests.watcher.builders import DAY, HOLD, SETTINGS, backed_up, database, utc
from tests.watcher.view.rows import NOW, ROOM, absent, look, packed, row, unsealed, vitals
from watcher.disk import LastWrite
from watcher.events import DAEMON_KEY, Deferred, Failed, Rotated, Tier
from watcher.lifecycle import State
from watcher.overview import Overview
from watcher.plan import Plan, Wait
from watcher.settings import Archive, Create, Data, Expire, Stream, Verify
from watcher.shapes import words
from watcher.state import Facts
from watcher.view.status import (
    ActiveDay,
    DaemonStatus,
    FailedStep,
    HeldOpen,
    OnHold,
    Status,
    StepStatus,
    Versions,
    active_paths,
    status_of,
    volumes_of,
)

TODAY = unsealed(0, State.ACTIVE)
KEY = "ticks/2026-01-20"
FILE = "data/ticks/db/2026/01/ticks_2026-01-20.db"
DEFERRED = Deferred("/r/x.db", (Holder(77, "report"),), utc("2026-01-20 00:00"))


def stands(overview: Overview, writes: dict[str, LastWrite] | None = None) -> Status:
    versions = Versions("0.1.0", "3.54.1")
    volumes = volumes_of(overview, ROOM)
    return status_of(overview, volumes, writes or {}, config_file="/etc/tickward.toml", versions=versions)


def step(overview: Overview, name: str) -> StepStatus:
    return next(step for step in stands(overview).steps if step.step == name)


def rotated(current: str) -> dict[str, Facts]:
    event = Rotated(current, None, "/r/x.db", None, "clock")
    return {"ticks": Facts(rotated=event, times={"rotated": utc(f"{current} 00:00")})}


class TestTheActiveDay:
    @pytest.mark.parametrize(
        ("silence", "growing"),
        [(timedelta(0), True), (timedelta(minutes=5), True), (timedelta(minutes=5, seconds=1), False)],
    )
    def test_grows_as_long_as_it_is_written_to(self, silence: timedelta, growing: bool) -> None:
        (active,) = stands(look(TODAY), {KEY: LastWrite(77, NOW - silence)}).active
        seconds = silence.total_seconds()
        assert active == ActiveDay("ticks", KEY, FILE, State.ACTIVE, 77, NOW - silence, seconds, growing)

    def test_that_is_not_there_does_not(self) -> None:
        (active,) = stands(look(absent())).active
        assert active == ActiveDay("ticks", KEY, FILE, State.ABSENT, 0, None, None, growing=False)

    def test_was_written_to_now_where_the_clock_is_behind_the_machines(self) -> None:
        (active,) = stands(look(TODAY), {KEY: LastWrite(77, NOW + timedelta(days=99))}).active
        assert (active.silent_seconds, active.growing) == (0, True)

    def test_is_tomorrows_once_its_writer_has_begun_that(self) -> None:
        assert list(active_paths(look(TODAY, streams=rotated("2026-01-21")))) == ["ticks/2026-01-21"]

    def test_is_todays_whatever_was_announced_before_the_daemon_ended(self) -> None:
        assert list(active_paths(look(TODAY, streams=rotated("2026-01-11")))) == [KEY]

    def test_there_is_one_of_each_stream(self) -> None:
        streams = {"b": Stream("b/{date}.db"), "a": Stream("a/{date}.db")}
        settings = replace(SETTINGS, data=Data(root="/r", streams=streams))
        assert active_paths(look(settings=settings)) == {
            "b/2026-01-20": "/r/b/2026-01-20.db",
            "a/2026-01-20": "/r/a/2026-01-20.db",
        }


class TestSteps:
    def test_are_told_in_the_order_of_a_days_life(self) -> None:
        assert [step.step for step in stands(look(TODAY)).steps] == [
            *("create", "rotate", "seal", "backup", "compress", "archive", "expire", "verify", "drill")
        ]

    @pytest.mark.parametrize(
        ("name", "last", "following"),
        [
            ("seal", "2026-01-20 00:00:03", "2026-01-21 00:00"),
            ("backup", "2026-01-20 00:00:05", "2026-01-21 00:00"),
            ("compress", "2026-01-08 00:00:03", "2026-02-01 02:00"),  # of the 19th, the oldest that is not
            ("archive", "2026-01-20 00:00:03", "2026-02-01 03:00"),  # of the 31st of December
            ("expire", None, "2026-06-19 04:00"),  # of the 20th of December
            ("verify", "2026-01-01 05:00", "2026-02-01 05:00"),
            ("rotate", "2026-01-20 00:00", "2026-01-21 00:00"),
            ("create", "2026-01-20 00:00", "2026-01-21 00:00"),
        ],
    )
    def test_when_they_were_done_and_are_done_next(self, name: str, last: str | None, following: str) -> None:
        cold = packed(31, verified_at=utc("2026-01-01 05:00"))
        made = database(DAY + timedelta(days=1), facts=Facts(times={"created": utc("2026-01-20 00:00")}))
        overview = look(TODAY, row(1), packed(20), cold, known=[made], streams=rotated("2026-01-20"))
        assert step(overview, name) == StepStatus(name, utc(last) if last else None, utc(following), 0, 0, 0)

    def test_of_a_tree_without_days_are_still_to_come(self) -> None:
        found = {each.step: (each.last, each.next) for each in stands(look(absent(-1, entry="wait"))).steps}
        midnight = utc("2026-01-21 00:00")
        assert found.pop("create") == found.pop("rotate") == (None, midnight)
        assert set(found.values()) == {(None, None)}

    def test_that_are_due_are_done_now_and_counted(self) -> None:
        due = [
            row(ago, entry="action", step=Step.COMPRESS, due=NOW - timedelta(days=late))
            for ago, late in ((8, 0.9), (9, 1.9), (10, 2.9))
        ]
        assert step(look(TODAY, *due), "compress") == StepStatus("compress", None, NOW, 3, 2, 0)

    def test_that_have_no_room_are_told_apart(self) -> None:
        paused = Wait("ticks/2026-01-19", "paused: less than 1 GiB is free", None, Step.BACKUP, paused=True)
        found = step(look(TODAY, plan=Plan.of(NOW, (paused,))), "backup")
        assert (found.due, found.paused) == (0, 1)

    def test_that_are_to_be_tried_are_not_done_before_now(self) -> None:
        assert step(look(TODAY, row(100)), "archive").next == NOW

    def test_a_day_that_is_kept_or_stuck_is_not_on_its_way(self) -> None:
        kept, stuck = row(100, on_hold=True), row(101, entry="block", trouble="failing", reason="why")
        assert step(look(TODAY, row(1), kept, stuck), "compress").next == utc("2026-02-01 02:00")

    @pytest.mark.parametrize(
        ("name", "changes"),
        [
            ("create", {"create": Create(enabled=False)}),
            ("archive", {"archive": Archive(enabled=False)}),
            ("expire", {"expire": Expire(enabled=False)}),
            ("verify", {"verify": Verify(schedule="never")}),
        ],
    )
    def test_that_are_not_wanted_are_never_done(self, name: str, changes: dict[str, Any]) -> None:
        overview = look(TODAY, row(1), packed(20), packed(60), settings=replace(SETTINGS, **changes))
        assert step(overview, name).next is None

    def test_the_drill_is_when_the_planner_says(self) -> None:
        at, before = utc("2026-02-01 06:00"), utc("2026-01-01 06:00")
        overview = look(TODAY, packed(60, drilled_at=before), plan=Plan.of(NOW, (), drill_at=at))
        assert step(overview, "drill") == StepStatus("drill", before, at, 0, 0, 0)
        assert stands(overview).last_drill == before

    def test_reading_for_another_step_is_no_verification(self) -> None:
        assert stands(look(TODAY, row(1), packed(20), packed(60))).last_verified is None


class TestWhatIsNotAtRest:
    def test_a_failure_with_its_hint_and_next_try(self) -> None:
        failed = Failed("compress", "disk full", "free some", 3, True, NOW, "e")
        found = stands(
            look(TODAY, row(trouble="failing"), known=[database(facts=Facts(failed={"compress": failed}))])
        )
        assert found.failures == (FailedStep(KEY, "compress", "disk full", "free some", 3, NOW),)

    @pytest.mark.parametrize(("live", "copied"), [(False, (None, None)), (True, (NOW, 10))])
    def test_a_day_that_is_held_open_and_its_copy(self, live: bool, copied: tuple[Any, Any]) -> None:
        copy = backed_up(live=True) if live else None
        facts = Facts(deferred=DEFERRED, backed_up=copy, times={"backed_up": NOW})
        (found,) = stands(look(TODAY, known=[database(facts=facts)])).deferred
        assert found == HeldOpen(KEY, DEFERRED.holders, DEFERRED.since, *copied)

    def test_a_hold(self) -> None:
        facts = Facts(hold=HOLD, times={"held": NOW})
        found = stands(look(TODAY, known=[database(facts=facts)])).holds
        assert found == (OnHold(KEY, "audit 17", "ann", NOW),)

    def test_what_is_blocked_is_told_once_a_reason(self) -> None:
        blocked = [row(ago, entry="block", trouble="failing", reason="its file is gone") for ago in (1, 2)]
        found = stands(look(TODAY, *blocked, row(3, trouble="failing"))).blocked
        assert [(reason.sentence, reason.count) for reason in found] == [("its file is gone", 2)]


def test_days_are_counted_by_tier_and_by_state() -> None:
    gone = packed(300, tier="gone", state=State.EXPIRED, bytes_now=0, expired_at=NOW)
    found = stands(look(absent(-1), TODAY, row(1), row(2), packed(20), packed(60), packed(61), gone))
    assert found.tiers == {
        "hot": Tier(3, 3000, 3000),
        "warm": Tier(1, 1000, 200),
        "cold": Tier(2, 2000, 400),
        "gone": Tier(1, 1000, 0),
    }
    assert found.states == {
        "absent": 1,
        "active": 1,
        "backed_up": 2,
        "compressed": 1,
        "archived": 2,
        "expired": 1,
    }


def test_the_daemon_says_how_it_is_and_the_journal_when_it_began_and_ended() -> None:
    times = {"started": utc("2026-01-01 00:00"), "stopped": utc("2026-01-02 00:00")}
    alone = look(daemon_pid=None, vitals=None, streams={DAEMON_KEY: Facts(times=times)})
    assert stands(alone).daemon == DaemonStatus(None, None, **times)
    assert stands(look()).daemon == DaemonStatus(4711, vitals(), None, None)


class TestItsShape:
    def test_has_a_word_on_everything(self) -> None:
        for kind in structs(Status):
            said = words(kind)
            assert said.description, kind
            assert [
                field.name for field in msgspec.structs.fields(kind) if not said.fields.get(field.name)
            ] == []

    def test_is_what_is_printed(self) -> None:
        failed = Failed("compress", "disk full", "free some", 3, True, NOW, "e")
        facts = Facts(failed={"compress": failed}, deferred=DEFERRED, hold=HOLD)
        overview = look(TODAY, row(trouble="failing"), packed(60), known=[database(facts=facts)])
        found = stands(overview, {KEY: LastWrite(77, NOW)})
        printed = msgspec.json.encode(found)
        jsonschema.validate(msgspec.json.decode(printed), msgspec.json.schema(Status))
        assert msgspec.json.decode(printed, type=Status) == found


def structs(kind: Any) -> Iterator[type[Struct]]:
    if isinstance(kind, type) and issubclass(kind, Struct):
        yield kind
        for field in msgspec.structs.fields(kind):
            yield from structs(field.type)
    for argument in get_args(kind):
        yield from structs(argument)


def test_very_many_days_take_no_time_to_speak_of() -> None:
    """A hundred thousand take 0.2 s; what grew with their square would take longer than a test may."""
    day = packed(60)
    streams = [f"s{number}" for number in range(100)]
    many = [
        replace(day, key=f"{name}/{ago}", day=DAY - timedelta(days=ago))
        for name in streams
        for ago in range(200)
    ]
    overview = look(TODAY, *many)
    found = stands(overview)
    assert found.tiers["cold"].days == 20_000
