"""Laws of the planner, whatever the databases and whenever it is asked."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from handlers.contract import Drilled, Holder, Merged, Repaired, Signature, Step, Verified
from tests.watcher.builders import (
    HOLD,
    RAW,
    SETTINGS,
    ZST,
    adopted,
    archived,
    archived_day,
    backed_up,
    backed_up_day,
    compressed,
    compressed_day,
    expired,
    expired_day,
    lost,
    restored,
    sealed,
    sealed_day,
    utc,
    with_facts,
    with_files,
)
from tests.watcher.builders import database as a_database
from watcher.events import Closed, Conflict, Corrupt, Deferred, Event, Failed, Opened, Released, Reopened
from watcher.lifecycle import STAGES, State, state_of
from watcher.plan import Action, Block, Doubts, Entry, Order, Planner, Wait, ordered, plan
from watcher.settings import TOPS, Expire, Settings, Verify
from watcher.state import Database, Facts, Files, fold

signatures = st.sampled_from([None, RAW, Signature(0, 1, 7), Signature(2000, 5, 7)])
files = st.builds(
    Files,
    database=signatures,
    wal=st.sampled_from([None, Signature(0, 2, 9), Signature(500, 3, 9)]),
    compressed=st.sampled_from([None, ZST]),
    backup=st.sampled_from([None, RAW]),
    backup_compressed=st.sampled_from([None, ZST]),
    archived=st.sampled_from([None, ZST]),
    retired=st.booleans(),
    anomaly=st.sampled_from(["", "", "", "a directory"]),
)
# A number for each, and not seven, as Hypothesis draws a date: most of its time goes into the drawing.
moments = st.integers(0, 638 * 86400).map(lambda seconds: utc("2025-06-01") + timedelta(seconds=seconds))
dates = st.integers(0, 457).map(lambda days: date(2025, 6, 1) + timedelta(days=days))
failures = st.builds(
    Failed,
    step=st.sampled_from([*Step]),
    error=st.just("e"),
    hint=st.just("h"),
    attempt=st.integers(1, 9),
    retryable=st.booleans(),
    next_try=st.one_of(st.none(), moments),
    evidence=st.just("x"),
)
x = st.just("x")
events: st.SearchStrategy[Event] = st.one_of(
    st.just(Opened("/r/x.db")),
    st.just(Closed("/r/x.db", RAW, 0)),
    st.just(sealed()),
    st.just(sealed(sha256="bb")),
    st.just(Reopened("/r/x.db", "late")),
    st.just(backed_up()),
    st.just(backed_up(live=True)),
    st.just(compressed()),
    st.just(archived()),
    st.just(expired()),
    st.builds(restored, moments),
    st.just(lost("x")),
    st.just(HOLD),
    st.just(Released("audit 17", "ann")),
    st.just(Verified("aa", (), 1)),
    st.just(Repaired("aa", (), (), 1)),
    st.just(Merged("/r/x.db", "aa", "bb", 1, 1, 1, 0, 0, 2, "", "ann")),
    st.just(Drilled("/a/x.db.zst", "aa", 1000, 10)),
    st.builds(adopted, st.booleans()),
    st.builds(Corrupt, st.sampled_from([*Step]), st.just("x"), st.just("bad"), st.just(()), st.just("h"), x),
    st.builds(Conflict, st.just("x"), st.just("two"), st.just("merge"), x),
    st.builds(Deferred, st.just("/r/x.db"), st.just((Holder(1, "x"),)), moments),
    failures,
)


@st.composite
def histories(draw: st.DrawFn) -> Facts:
    facts = Facts()
    # Half of them have come a long way: few random histories do.
    usual = draw(st.sampled_from([0, 0, 0, 1, 2, 3, 4]))
    for event in (sealed(), backed_up(), compressed(), archived())[:usual]:
        facts = fold(facts, event, draw(moments))
    for event in draw(st.lists(events, max_size=8)):
        facts = fold(facts, event, draw(moments))
    return facts


@st.composite
def databases(draw: st.DrawFn) -> Database:
    return a_database(
        draw(dates),
        files=draw(files),
        facts=draw(histories()),
        touched_at=draw(st.one_of(st.none(), moments)),
        held=draw(st.sampled_from([None, True, False])),
        attempted_at=draw(st.one_of(st.none(), moments)),
        running=draw(st.sampled_from([None, None, None, Step.SEAL])),
    )


several = st.lists(databases(), max_size=6, unique_by=lambda database: database.key)


@given(several, moments)
def test_every_database_has_exactly_one_entry_with_a_reason(some: list[Database], now: datetime) -> None:
    found = plan(some, SETTINGS, now)
    assert [entry.key for entry in found.entries] == sorted(database.key for database in some)
    assert all(entry.reason for entry in found.entries)


@given(several, moments)
def test_planning_twice_changes_nothing(some: list[Database], now: datetime) -> None:
    assert plan(some, SETTINGS, now) == plan(list(reversed(some)), SETTINGS, now)


@given(several, moments)
def test_no_wait_ends_in_the_past(some: list[Database], now: datetime) -> None:
    for entry in plan(some, SETTINGS, now).entries:
        if isinstance(entry, Wait) and entry.until is not None:
            assert entry.until >= now
            assert entry.until > now or entry.reason == "to be recorded first"


@given(databases(), moments)
def test_waking_at_the_end_of_a_wait_finds_another_entry(database: Database, now: datetime) -> None:
    entry = plan([database], SETTINGS, now).entries[0]
    if isinstance(entry, Wait) and entry.until is not None and entry.until > now:
        assert plan([database], SETTINGS, entry.until).entries[0] != entry


@given(databases(), moments, st.timedeltas(timedelta(0), timedelta(days=400)))
def test_what_is_due_stays_due_or_gives_way_to_the_next_step_of_its_life(
    database: Database, now: datetime, later: timedelta
) -> None:
    before = plan([database], SETTINGS, now).entries[0]
    after = plan([database], SETTINGS, now + later).entries[0]
    reading = isinstance(before, Action) and before.step in (Step.VERIFY, Step.DRILL)
    if reading and isinstance(after, Wait):
        # Only where a wrong clock has recorded what is still to come: once it has come, it counts.
        assert any(now < at <= now + later + timedelta(days=1) for at in database.facts.times.values())
        return
    if isinstance(before, Action) and before.step is not Step.CREATE:
        assert isinstance(after, Action), after
        if before.step not in (Step.VERIFY, Step.DRILL) and not before.live:
            # a deferred seal may give way to a copy, and come back: both are work
            steps = (after.step, before.step)
            assert after.step == before.step or Step.SEAL in steps or after.step is Step.EXPIRE


@given(several, moments)
def test_recording_what_was_noticed_leaves_nothing_to_notice(some: list[Database], now: datetime) -> None:
    known = {database.key: database for database in some}
    for _ in range(3):
        found = plan(known.values(), SETTINGS, now)
        for notice in found.notices:
            facts = fold(known[notice.key].facts, notice.event, now)
            known[notice.key] = replace(known[notice.key], facts=facts)
    assert plan(known.values(), SETTINGS, now).notices == ()


@given(databases(), moments)
def test_nothing_is_compressed_before_it_is_sealed_and_backed_up(database: Database, now: datetime) -> None:
    entry = plan([database], SETTINGS, now).entries[0]
    if isinstance(entry, Action) and entry.step is Step.COMPRESS:
        facts = database.facts
        assert facts.sealed is not None
        assert facts.backed_up is not None
        assert facts.backed_up.sha256 == facts.sealed.sha256
        assert not facts.backed_up.live


@given(databases())
def test_a_database_is_in_exactly_one_state(database: Database) -> None:
    state = state_of(database)
    assert state in State
    assert sum(state is stage.state for stage in STAGES) <= 1


def entry_of(subject: Database, others: list[Database], now: datetime, **given: Any) -> Entry:
    """What is decided of it beside others, and beside the newest days that are kept whatever else is."""
    taken = {subject.key}
    newest = [archived_day(now.date() - timedelta(days=n)) for n in range(8)]
    some = [each for each in (*others, *newest) if not (each.key in taken or taken.add(each.key))]  # type: ignore[func-returns-value]
    entries = plan([subject, *some], SETTINGS, now, **given).entries
    return next(entry for entry in entries if entry.key == subject.key)


@given(databases(), several, moments)
def test_nothing_is_archived_before_it_is_compressed(
    database: Database, others: list[Database], now: datetime
) -> None:
    entry = entry_of(database, others, now)
    if isinstance(entry, Action) and entry.step is Step.ARCHIVE:
        facts = database.facts
        assert facts.compressed
        assert facts.backed_up
        assert facts.sealed
        assert not facts.hold


@given(databases(), several, moments)
def test_nothing_expires_that_is_held_young_or_stuck_before(
    database: Database, others: list[Database], now: datetime
) -> None:
    entry = entry_of(database, others, now)
    if isinstance(entry, Action) and entry.step is Step.EXPIRE:
        facts = database.facts
        assert facts.hold is None
        assert facts.expired is None
        assert facts.sealed
        assert facts.compressed
        assert facts.archived
        assert now - utc(str(database.day)) >= timedelta(days=181, hours=4)
        assert entry.due <= now
        assert not (facts.conflict and facts.conflict.evidence == database.files.evidence)


@given(
    st.integers(0, 12),
    st.sets(st.integers(0, 40), max_size=12),
    st.sets(st.integers(0, 40), max_size=12),
    st.integers(0, 40),
)
def test_of_one_stream_few_expire_at_once_and_the_newest_never(
    unsealed: int, held: set[int], gone: set[int], count: int
) -> None:
    """Whatever is on hold, deleted, or not sealed yet among them."""
    now, last = utc("2026-12-01 12:00"), date(2026, 2, 1)
    some = []
    for n in range(count):
        day = archived_day(last - timedelta(days=n))
        day = with_facts(day, hold=HOLD) if n in held else day
        day = with_facts(expired_day(day.day), times={"expired": utc("2026-02-02")}) if n in gone else day
        some.append(with_facts(day, sealed=None) if n < unsealed else day)
    found = [action.key for action in plan(some, SETTINGS, now).actions if action.step is Step.EXPIRE]
    sealed_days = [d.key for d in some if d.facts.sealed and not d.facts.expired]
    assert not set(found) & set(sealed_days[:7])
    due = [d.key for d in some if d.key in sealed_days[7:] and not d.facts.hold]
    assert sorted(found) == (sorted(due) if len(due) <= 3 else [])


@given(databases(), several, moments)
def test_a_hold_keeps_every_file(database: Database, others: list[Database], now: datetime) -> None:
    entry = entry_of(with_facts(database, hold=HOLD), others, now)
    if isinstance(entry, Action) and entry.step in (Step.COMPRESS, Step.ARCHIVE, Step.EXPIRE):
        assert entry.step is Step.COMPRESS, "it makes a lost backup anew"
        assert database.facts.compressed
        assert database.files.database is None


@given(databases(), several, moments)
def test_what_is_expired_is_left_alone(database: Database, others: list[Database], now: datetime) -> None:
    gone = replace(with_facts(expired_day(), hold=database.facts.hold), files=database.files, running=None)
    assert not isinstance(entry_of(gone, others, now), Action)


@given(databases(), several, moments)
def test_a_clock_in_doubt_changes_and_deletes_nothing_by_the_date(
    database: Database, others: list[Database], now: datetime
) -> None:
    entry = entry_of(database, others, now, doubts=Doubts(clock_until=now + timedelta(minutes=1)))
    if isinstance(entry, Action):
        assert entry.step in (Step.SEAL, Step.BACKUP)


@given(databases(), several, moments, st.sampled_from(["backup", "archive"]))
def test_nothing_is_deleted_while_a_disk_is_away(
    database: Database, others: list[Database], now: datetime, which: str
) -> None:
    entry = entry_of(database, others, now, doubts=Doubts(**{which: "is it mounted?"}))
    if isinstance(entry, Action):
        assert entry.step is not Step.EXPIRE
        assert entry.step is not (Step.BACKUP if which == "backup" else Step.ARCHIVE)


LOW = Doubts(low={name: f"data.{name} is full" for name in TOPS})
FILLING = (Step.BACKUP, Step.ARCHIVE, Step.RESTORE, Step.MERGE, Step.DRILL)


@given(databases(), several, moments)
def test_a_low_disk_pauses_what_needs_space_and_nothing_else(
    database: Database, others: list[Database], now: datetime
) -> None:
    before = entry_of(database, others, now)
    entry = entry_of(database, others, now, doubts=LOW)
    assert not (isinstance(entry, Action) and entry.step in FILLING)
    if isinstance(before, Action) and before.step in (Step.CREATE, Step.SEAL, Step.EXPIRE, Step.VERIFY):
        assert entry == before
    if isinstance(before, Action) and before.step is Step.COMPRESS and entry != before:
        assert not any((database.files.database, database.files.backup, database.files.retired))
    if isinstance(before, Wait) and before.until:
        assert isinstance(entry, Wait)
        assert entry.until == before.until


@given(several, moments)
def test_on_a_low_disk_nobody_is_woken_for_nothing(some: list[Database], now: datetime) -> None:
    found = plan(some, SETTINGS, now, LOW)
    assume(not found.notices)
    if found.next_due is not None and not found.actions:
        then = plan(some, SETTINGS, found.next_due, LOW)
        assert then.entries != found.entries or then.drill_at != found.drill_at


@given(several, moments)
def test_waking_when_it_says_finds_something_to_do(some: list[Database], now: datetime) -> None:
    """Or says something else, at least: nobody is woken for nothing, again and again."""
    found = plan(some, SETTINGS, now)
    assume(not found.notices)
    if found.next_due is not None and not found.actions:
        then = plan(some, SETTINGS, found.next_due)
        assert then.entries != found.entries or then.drill_at != found.drill_at


@given(st.sampled_from(Step), several, moments, st.data())
def test_a_named_day_always_has_one_answer(
    step: Step, some: list[Database], now: datetime, data: st.DataObject
) -> None:
    keys = [database.key for database in some]
    named = tuple(data.draw(st.lists(st.sampled_from([*keys, "ticks/2001-02-03"]), unique=True)))
    assume(named)
    found = ordered(some, SETTINGS, now, Order(step, "ann", named))
    assert sorted(entry.key for entry in found) == sorted(named)
    for entry in found:
        assert entry.reason
        assert not isinstance(entry, Action) or (entry.step, entry.by) == (step, "ann")


@given(several, moments, st.integers(0, 9))
def test_an_order_deletes_nothing_that_the_schedule_would_not_sooner_or_later(
    some: list[Database], now: datetime, number: int
) -> None:
    for entry in ordered(some, SETTINGS, now, Order(Step.EXPIRE, "ann", confirmed=number)):
        if isinstance(entry, Action):
            facts = next(database.facts for database in some if database.key == entry.key)
            assert facts.archived
            assert not facts.hold
            assert not facts.expired
            assert now >= entry.due


@given(databases(), moments)
def test_an_anomaly_is_never_touched(database: Database, now: datetime) -> None:
    database = replace(with_files(database, anomaly="a directory"), running=None)
    assert isinstance(plan([database], SETTINGS, now).entries[0], Block)


SHORT = Settings(expire=Expire(keep_min=1, max_at_once=1), verify=Verify(schedule="0 5 * * *"))
BEGIN = utc("2026-03-01 02:30")  # a Sunday, and the first of a month
AGES = st.one_of(st.integers(-2, 200), st.integers(-2, 9), st.integers(28, 33), st.integers(176, 186))
soon = st.timedeltas(timedelta(minutes=-5), timedelta(days=3)).map(lambda delta: BEGIN + delta)
HALFWAY = Files(compressed=ZST, backup=RAW)
"""Its compression was interrupted."""
ways = st.one_of(
    st.sampled_from([sealed_day, backed_up_day, compressed_day, archived_day, expired_day]),
    st.just(lambda day: backed_up_day(day, files=HALFWAY)),
    st.builds(
        lambda until: (
            lambda day: with_facts(with_files(compressed_day(day), database=RAW), restored=restored(until))
        ),
        soon,
    ),
    st.builds(
        lambda again: (
            lambda day: with_facts(
                backed_up_day(day), failed={"compress": Failed("compress", "e", "h", 1, True, again, "x")}
            )
        ),
        soon,
    ),
)


@st.composite
def usual(draw: st.DrawFn) -> Database:
    """A day that went its way, as nearly all do."""
    made = draw(ways)(BEGIN.date() - timedelta(days=draw(AGES)))
    over = utc(str(made.day)) + timedelta(days=1)
    times = {"sealed": over, "verified": max(draw(st.sampled_from([over, BEGIN - timedelta(days=9)])), over)}
    later = {"archived": over + timedelta(days=40), "expired": over + timedelta(days=182)}
    times |= {name: at for name, at in later.items() if getattr(made.facts, name)}
    return with_facts(made, times=times, hold=draw(st.sampled_from([None, None, None, HOLD])))


in_streams = st.tuples(
    st.one_of(usual(), usual(), usual(), databases()), st.sampled_from(["ticks", "ticks", "ticks-2"])
).map(lambda pair: replace(pair[0], key=f"{pair[1]}/{pair[0].day}", stream=pair[1]))
doubtful = st.one_of(
    st.sampled_from([Doubts(), Doubts(), LOW, Doubts(archive="away")]),
    soon.map(lambda until: Doubts(clock_until=until)),
)
happenings = st.one_of(
    st.tuples(st.just("comes or changes"), in_streams),
    st.tuples(st.just("goes"), st.integers(0, 9)),
    st.tuples(st.just("time goes by"), st.timedeltas(timedelta(0), timedelta(days=2))),
    st.tuples(st.just("time goes by"), st.timedeltas(timedelta(days=-3), timedelta(days=30))),
    st.just(("the first wait ends",)),
    st.just(("the first wait ends",)),
    st.tuples(st.just("other doubts"), doubtful),
    st.tuples(st.just("other settings"), st.sampled_from([SETTINGS, SHORT])),
)


@given(
    st.lists(in_streams, min_size=3, max_size=9),
    st.sampled_from([SHORT, SHORT, SETTINGS]),
    doubtful,
    st.lists(happenings, min_size=3, max_size=12),
)
def test_what_was_said_before_stands_as_long_as_nothing_else_would_be_said(
    some: list[Database], settings: Settings, doubts: Doubts, history: list[tuple]
) -> None:
    planner, known, now = Planner(), {database.key: database for database in some}, BEGIN
    for name, *what in [("begin",), *history]:
        match name:
            case "comes or changes":
                known[what[0].key] = what[0]
            case "goes" if known:
                del known[sorted(known)[what[0] % len(known)]]
            case "time goes by":
                now += what[0]
            case "the first wait ends":
                now = planner.plan(known.values(), settings, now, doubts).next_due or now
            case "other doubts":
                doubts = what[0]
            case "other settings":
                settings = what[0]
        again = planner.plan(known.values(), settings, now, doubts)
        assert again == plan(known.values(), settings, now, doubts)


@pytest.mark.parametrize(
    ("policy", "oldest"),
    [(SETTINGS, 100), (SHORT, 100), (replace(SHORT, verify=Verify("never")), 190)],
    ids=["read monthly", "read daily", "some are of age"],
)
def test_neither_does_it_when_time_goes_by_and_is_put_back(policy: Settings, oldest: int) -> None:
    """Nothing happens to the days, but that they grow older, and that one of them is read now and then."""
    some = [went_its_way(BEGIN.date() - timedelta(days=age)) for age in range(-3, oldest)]
    again = Failed("compress", "e", "h", 1, True, BEGIN + timedelta(hours=30), "x")
    some[12] = with_facts(some[12], failed={"compress": again})
    kept = Files(database=RAW, compressed=ZST, backup_compressed=ZST)
    some[30] = with_facts(replace(some[30], files=kept), restored=restored(BEGIN + timedelta(hours=31)))
    some[40] = with_facts(some[40], hold=HOLD)
    planner = Planner()
    hours = [*range(0, 120, 4), *range(110, 50, -9), *range(20, 120, 7), *range(100, 900, 49)]
    for step, moment in enumerate(BEGIN + timedelta(hours=hour) for hour in hours):
        assert planner.plan(some, policy, moment, Doubts()) == plan(some, policy, moment), moment
        if step % 20 == 0:
            some[60] = with_facts(some[60], times={**some[60].facts.times, "verified": moment})


def went_its_way(day: date) -> Database:
    """A day of that age, whose copies were read a week before."""
    age = (BEGIN.date() - day).days
    ways = ((4, sealed_day), (12, backed_up_day), (60, compressed_day), (999, archived_day))
    made = next(make for bound, make in ways if age < bound)(day)
    over = utc(str(day)) + timedelta(days=1)
    times = {"sealed": min(over, BEGIN), "archived": over + timedelta(days=40), "verified": BEGIN - WEEK}
    return with_facts(
        made,
        times={name: at for name, at in times.items() if name == "verified" or getattr(made.facts, name)},
    )


WEEK = timedelta(days=7)
