"""Laws of the planner, whatever the databases and whenever it is asked."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from handlers.contract import Holder, Signature, Step
from tests.watcher.builders import RAW, SETTINGS, ZST, backed_up, compressed, sealed, utc
from tests.watcher.builders import database as a_database
from watcher.events import Closed, Deferred, Event, Failed, Opened, Reopened
from watcher.lifecycle import STAGES, State, state_of
from watcher.plan import Action, Block, Wait, plan
from watcher.state import Database, Facts, Files, fold

signatures = st.sampled_from([None, RAW, Signature(0, 1, 7), Signature(2000, 5, 7)])
files = st.builds(
    Files,
    database=signatures,
    wal=st.sampled_from([None, Signature(0, 2, 9), Signature(500, 3, 9)]),
    compressed=st.sampled_from([None, ZST]),
    backup=st.sampled_from([None, RAW]),
    backup_compressed=st.sampled_from([None, ZST]),
    retired=st.booleans(),
    anomaly=st.sampled_from(["", "", "", "a directory"]),
)
moments = st.datetimes(datetime(2025, 12, 1), datetime(2026, 6, 1)).map(lambda m: utc(m.isoformat()))  # noqa: DTZ001
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
events: st.SearchStrategy[Event] = st.one_of(
    st.just(Opened("/r/x.db")),
    st.just(Closed("/r/x.db", RAW, 0)),
    st.just(sealed()),
    st.just(sealed(sha256="bb")),
    st.just(Reopened("/r/x.db", "late")),
    st.just(backed_up()),
    st.just(backed_up(live=True)),
    st.just(compressed()),
    st.builds(Deferred, st.just("/r/x.db"), st.just((Holder(1, "x"),)), moments),
    failures,
)


@st.composite
def histories(draw: st.DrawFn) -> Facts:
    facts = Facts()
    for event in draw(st.lists(events, max_size=8)):
        facts = fold(facts, event, draw(moments))
    return facts


@st.composite
def databases(draw: st.DrawFn) -> Database:
    return a_database(
        draw(st.dates(date(2025, 12, 1), date(2026, 6, 1))),
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
def test_what_is_due_stays_due(database: Database, now: datetime, later: timedelta) -> None:
    before = plan([database], SETTINGS, now).entries[0]
    after = plan([database], SETTINGS, now + later).entries[0]
    if isinstance(before, Action) and before.step is not Step.CREATE:
        assert isinstance(after, Action)
        if not before.live:
            # a deferred seal may give way to a copy, and come back: both are work
            assert after.step == before.step or Step.SEAL in (after.step, before.step)


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


@given(databases(), moments)
def test_an_anomaly_is_never_touched(database: Database, now: datetime) -> None:
    database = replace(database, files=replace(database.files, anomaly="a directory"), running=None)
    assert isinstance(plan([database], SETTINGS, now).entries[0], Block)
