"""The overview says of every day what the full survey says, whatever has become of its files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from handlers.contract import Paths
from handlers.pattern import Pattern
from scripts.sample_tree import FAILING, NOW, grow, settings_below
from tests.watcher.builders import HOLD, adopted, archived_day, backed_up, backed_up_day, expired_day, utc
from watcher.events import Held
from watcher.journal import Journal
from watcher.lifecycle import State
from watcher.overview import Overview, day_of, overview
from watcher.paths import journal_file
from watcher.plan import Action
from watcher.rollcall import call_the_roll
from watcher.settings import Archive, Expire, Settings, Verify
from watcher.state import Facts, fold
from watcher.summary import Summary, summary_of
from watcher.survey import survey

DAYS = 215


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Days in all tiers, and some that are gone; one of the newest was found damaged, one is held open."""
    return grow(settings_below(tmp_path_factory.mktemp("tree")), DAYS, troubles=FAILING, durable=False)


def path_of(tree: Settings, before: int, kind: str) -> Path:
    """The artefact of so many days ago."""
    day = NOW.date() - timedelta(days=before)
    data, below = tree.data, Pattern(tree.data.streams["ticks"].pattern).path_of(day)
    return Path(getattr(Paths.of(data.root, data.backup, data.archive, below), kind))


def require_the_same(tree: Settings, now: datetime) -> Overview:
    found, whole = overview(tree, now), survey(tree, now)
    entries = {entry.key: entry for entry in whole.plan.entries}
    assert found.days == [day_of(whole.databases[key], entries[key]) for key in sorted(entries)]
    assert found.plan.actions == whole.plan.actions
    assert found.plan.drill_at == whole.plan.drill_at
    assert found.next_due == whole.plan.next_due
    assert (found.head, found.doubts, found.streams) == (whole.head, whole.doubts, whole.streams)
    return found


class TestItSaysWhatTheSurveySays:
    @pytest.mark.parametrize(
        "now",
        [
            NOW,
            utc("2026-07-15 14:30"),  # today
            utc("2026-07-16 04:00"),  # a day expires
            utc("2026-07-19 02:00"),  # days are compressed
            utc("2026-07-31 23:59"),
            utc("2026-08-01 03:00"),  # archived
            utc("2026-08-01 05:00"),  # read again
            utc("2026-08-01 06:00"),  # drawn for a drill
            utc("2027-01-01 00:00"),
            utc("2026-07-14 12:00"),  # by a clock that was put back
            utc("2026-05-01 00:00"),
            utc("2025-12-24 18:00"),
        ],
        ids=str,
    )
    def test_at_any_time(self, tree: Settings, now: datetime) -> None:
        require_the_same(tree, now)

    @pytest.mark.parametrize(
        "changes",
        [
            {"archive": Archive(enabled=False)},
            {"archive": Archive(enabled=False), "expire": Expire(enabled=False)},
            {"expire": Expire(after_days=100)},
            {"expire": Expire(after_days=100, max_at_once=1000, keep_min=150)},
            {"expire": Expire(after_days=3000)},
            {"archive": Archive(after_days=8, schedule="on_rotation")},
            {"verify": Verify(schedule="never", drill_schedule="never")},
            {"verify": Verify(schedule="* * * * *", drill_schedule="0 0 1 1 *")},
        ],
        ids=str,
    )
    def test_under_any_policy(self, tree: Settings, changes: dict[str, object]) -> None:
        require_the_same(replace(tree, **changes), NOW)

    def test_most_days_are_at_rest(self, tree: Settings) -> None:
        found = require_the_same(tree, NOW)
        assert len(found.days) == DAYS  # one was never made, and tomorrow's is there
        assert len(found.databases) < 12

    def test_without_a_journal(self, tmp_path: Path) -> None:
        fresh = settings_below(tmp_path)
        Path(fresh.data.root).mkdir()
        found = require_the_same(fresh, NOW)
        assert {day.entry for day in found.days} == {"action"}

    def test_a_stream_that_is_not_configured_any_more(self, tree: Settings) -> None:
        other = replace(tree, data=replace(tree.data, streams={"quotes": tree.data.streams["ticks"]}))
        assert "ticks" not in {day.stream for day in require_the_same(other, NOW).days}


@pytest.fixture
def many() -> Iterator[None]:
    """As if there were very many days, and nothing else in this process."""
    with (
        patch("watcher.rollcall._MANY_BYTES", 0),
        patch("watcher.beside.threading.active_count", return_value=1),
        patch("watcher.beside.os.sched_getaffinity", return_value={0, 1}),
    ):
        yield


@pytest.mark.usefixtures("many")
class TestTheRollIsCalledBeside:
    def test_with_the_same_outcome(self, tree: Settings, tmp_path: Path) -> None:
        with patch("watcher.rollcall.call_the_roll", wraps=call_the_roll) as here:
            require_the_same(tree, NOW)
            with away(path_of(tree, 15, "compressed"), tmp_path), added(path_of(tree, 2, "archived"), 17):
                found = require_the_same(tree, NOW)
        assert not here.called, "what the process beside does is not seen here"
        assert {
            f"ticks/{NOW.date() - timedelta(days=before)}" for before in (15, 2)
        } <= found.databases.keys()

    def test_and_again_here_if_something_was_recorded_meanwhile(self, tree: Settings) -> None:
        with (
            patch("watcher.journal.Journal.head", side_effect=os.getpid),
            patch("watcher.rollcall.call_the_roll", wraps=call_the_roll) as here,
        ):
            beside = overview(tree, NOW)
        assert here.called
        assert beside.days == overview(tree, NOW).days


@contextmanager
def away(path: Path, aside: Path) -> Iterator[Path]:
    """The file is not there, but where this says."""
    target = aside / str(path).replace("/", "_")  # the copies of a day have the same name
    if not path.exists():
        yield target
        return
    os.rename(path, target)  # noqa: PTH104 (the same inode, and no more said)
    try:
        yield target
    finally:
        os.rename(target, path)  # noqa: PTH104


@contextmanager
def added(path: Path, size: int) -> Iterator[None]:
    """A file that is not ours has the name."""
    if path.exists():
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    try:
        yield
    finally:
        path.unlink()


@contextmanager
def touched(path: Path, _: object = None) -> Iterator[None]:
    """Somebody wrote to it."""
    if not path.exists():
        yield
        return
    before = path.stat().st_mtime_ns
    os.utime(path, ns=(before + 1, before + 1))
    try:
        yield
    finally:
        os.utime(path, ns=(before, before))


KINDS = ("database", "compressed", "backup", "backup_compressed", "archived")
HAPPENINGS = st.tuples(
    st.sampled_from(["away", "touched", "added", "wal", "shm", "retired"]),
    st.sampled_from(KINDS),
    st.one_of(st.integers(0, 16), st.integers(0, DAYS - 1)),
)


class TestWithoutTheDeletedDays:
    @pytest.mark.parametrize("since", [NOW, NOW - timedelta(days=28), utc("2026-07-05 00:00")], ids=str)
    @pytest.mark.parametrize("now", [NOW, utc("2026-07-16 04:00"), utc("2025-12-24 18:00")], ids=str)
    @pytest.mark.parametrize("expire", [Expire(), Expire(after_days=100)], ids=str)
    def test_all_others_are_the_same(
        self, tree: Settings, since: datetime, now: datetime, expire: Expire
    ) -> None:
        policy = replace(tree, expire=expire)
        whole, rest = overview(policy, now), overview(policy, now, deleted_since=since)
        assert [day for day in whole.days if day.key not in rest.left_out] == rest.days
        assert (rest.plan.actions, rest.next_due) == (whole.plan.actions, whole.next_due)
        sizes = {day.key: day.bytes for day in whole.days}
        assert rest.left_out == {key: sizes[key] for key in rest.left_out}
        gone = {day.key for day in rest.days if day.tier == "gone"}
        assert all(rest.databases.get(key) or by(rest, key) >= since for key in gone - {last(whole)})

    def test_one_of_which_a_file_is_there_again_is_shown(self, tree: Settings) -> None:
        before = DAYS - 5
        with added(path_of(tree, before, "compressed"), 100):
            found = overview(tree, NOW, deleted_since=NOW)
            day = f"ticks/{NOW.date() - timedelta(days=before)}"
            assert day not in found.left_out
            assert {each.key: each.trouble for each in found.days}[day] == "attention"


def by(found: Overview, key: str) -> datetime:
    (moment,) = [day.expired_at for day in found.days if day.key == key]
    assert moment is not None
    return moment


def last(found: Overview) -> str:
    """The day that was deleted last."""
    gone = [day for day in found.days if day.expired_at]
    return max(gone, key=lambda day: str(day.expired_at)).key


class TestWhateverHasBecomeOfTheFiles:
    @settings(deadline=None)
    @given(st.lists(HAPPENINGS, max_size=5), st.integers(0, 40))
    def test_it_says_what_the_survey_says(
        self,
        tree: Settings,
        tmp_path_factory: pytest.TempPathFactory,
        happened: list[tuple[str, str, int]],
        later: int,
    ) -> None:
        aside = tmp_path_factory.mktemp("aside")
        with ExitStack() as stack:
            for what, kind, before in happened:
                path = path_of(tree, before, kind)
                acts: dict[str, Callable[[], object]] = {
                    "away": partial(away, path, aside),
                    "touched": partial(touched, path),
                    "added": partial(added, path, 4096),
                    "wal": partial(added, path.with_name(f"{path.name}-wal"), before % 2 * 512),
                    "shm": partial(added, path.with_name(f"{path.name}-shm"), 32),
                    "retired": partial(added, path.with_name(f".{path.name}.retired"), 10),
                }
                stack.enter_context(acts[what]())  # type: ignore[arg-type]
            require_the_same(tree, NOW + timedelta(days=later))

    @pytest.mark.parametrize("top", ["root", "backup", "archive"])
    def test_a_directory_that_is_not_mounted(self, tree: Settings, tmp_path: Path, top: str) -> None:
        empty = replace(tree, data=replace(tree.data, **{top: str(tmp_path)}))
        found = require_the_same(empty, NOW)
        assert any(day.trouble for day in found.days)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("before", [5, 80, DAYS + 3, -20])
    def test_something_else_has_the_name_of_a_file(
        self, tree: Settings, tmp_path: Path, before: int, kind: str
    ) -> None:
        path = path_of(tree, before, kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        with away(path, tmp_path) as moved:
            path.mkdir()
            require_the_same(tree, NOW)
            path.rmdir()
            path.symlink_to(moved)
            require_the_same(tree, NOW)
            path.unlink()


def test_a_day_on_hold_is_told_with_its_reason(tree: Settings) -> None:
    found = overview(tree, NOW)
    (held,) = [day for day in found.days if day.on_hold]
    hold = found.databases[held.key].facts.hold
    assert hold == Held("inquiry 2026-17", "ann (uid 1000, pid 812)")


def test_what_has_gone_wrong_is_told(tree: Settings) -> None:
    days = {(NOW.date() - day.day).days: day for day in overview(tree, NOW).days}
    assert [days[FAILING.corrupt or 0].trouble, days[FAILING.conflict or 0].trouble] == ["failing"] * 2
    assert days[FAILING.deferred or 0].trouble == "attention"
    assert (days[0].tier, days[0].state) == ("hot", State.CLOSED)
    assert days[100].ratio == pytest.approx(5.2, abs=0.2)


@pytest.fixture
def journal(tree: Settings) -> Iterator[Journal]:
    found = Journal.open_for_reading(journal_file(tree.data))
    assert found is not None
    with found:
        yield found


class TestTheSummary:
    def test_its_fields_are_the_columns_of_the_table(self, journal: Journal) -> None:
        columns = [row[1] for row in journal._connection.execute("PRAGMA table_info(summaries)")]
        assert columns == [field.name for field in msgspec.structs.fields(Summary)]

    def test_it_follows_from_the_facts(self, journal: Journal) -> None:
        facts = journal.all_facts()
        assert journal.summaries() == [summary_of(k, f) for k, f in sorted(facts.items()) if "/" in k]

    def test_facts_of_some_days(self, journal: Journal) -> None:
        found = journal.facts_of(["ticks/2026-07-01", "ticks/1999-01-01"])
        assert found == {"ticks/2026-07-01": journal.facts("ticks/2026-07-01")}
        assert journal.stream_facts().keys() == {"-", "ticks"}

    @pytest.mark.parametrize(
        ("subject", "is_plain"),
        [
            (backed_up_day(), True),
            (archived_day(), True),
            (expired_day(), True),
            (replace(archived_day(), facts=replace(archived_day().facts, hold=HOLD)), False),
            (replace(archived_day(), facts=fold(Facts(), adopted(), NOW)), True),
            (replace(archived_day(), facts=replace(archived_day().facts, backed_up=backed_up("bb"))), False),
            (replace(archived_day(), facts=replace(archived_day().facts, compressed=None)), False),
        ],
    )
    def test_plain_is_a_day_that_came_its_way_in_order(self, subject: object, is_plain: bool) -> None:
        assert summary_of("ticks/2026-01-20", subject.facts).plain is is_plain  # type: ignore[attr-defined]


def test_the_actions_of_a_day_are_in_the_plan(tree: Settings) -> None:
    found = overview(tree, utc("2026-07-19 02:00"))
    due = {day.key for day in found.days if day.entry == "action"}
    assert due == {entry.key for entry in found.plan.entries if isinstance(entry, Action)}
    assert due
