"""What is said of the journal, the daemon, the tick writer, and of room for the days."""

from __future__ import annotations

import os
from datetime import date, datetime, timedelta
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from tests.watcher.builders import database, sealed, utc
from tests.watcher.view.rows import vitals
from watcher.disk import room
from watcher.doctor.days import (
    Files,
    Full,
    Writer,
    daemon,
    days,
    full_on,
    journal,
    of_daemon,
    of_days,
    of_files,
    of_future,
    of_journal,
    of_no_daemon,
    of_space,
    of_writers,
    rooms_of_files,
    space,
    writer,
    writers_of,
)
from watcher.doctor.premises import Premises
from watcher.overview import overview
from watcher.settings import Data, HealthSettings, Settings
from watcher.state import Facts
from watcher.state import Files as DayFiles
from watcher.tree import signature
from watcher.view.verdict import Level, Reason, Verdict
from watcher.view.volumes import Volume
from watcher.vitals import Vitals, Watching

NOW = utc("2026-01-20 12:00")
FILE = Path("/s/journal.db")
VITALS = vitals(version="1.0", stepped=NOW)


def settings(folder: Path) -> Settings:
    tops = {name: str(folder / name) for name in ("root", "backup", "archive", "state")}
    return replace(Settings(), data=Data(**tops), health=HealthSettings(free_min="0 MiB"))


def premises(folder: Path) -> Premises:
    given = settings(folder)
    return Premises(None, {}, given, overview=overview(given, NOW))


class TestTheJournal:
    @pytest.mark.parametrize(
        ("head", "doubt", "newest", "levels"),
        [
            (0, "", None, ["note"]),
            (9, "", NOW, ["ok"]),
            (9, "", NOW + timedelta(minutes=2), ["ok"]),
            (9, "", NOW + timedelta(minutes=3), ["problem"]),
            (9, "/r/x.json knows another journal: what was on hold ...", NOW, ["problem"]),
            (9, "it is another", NOW + timedelta(days=1), ["problem", "problem"]),
        ],
    )
    def test_is_judged(self, head: int, doubt: str, newest: datetime | None, levels: list[str]) -> None:
        found = list(of_journal(FILE, head, doubt, newest, NOW))
        assert [each.level for each in found] == levels
        assert all(each.remedy for each in found if each.level == "problem")

    def test_that_cannot_be_opened_is_a_problem(self, tmp_path: Path) -> None:
        trouble = "the journal /s/journal.db cannot be opened (x); move it aside"
        (found,) = journal(Premises(None, {}, settings(tmp_path), overview_trouble=trouble))
        assert (found.level, found.remedy) == ("problem", "move it aside")

    def test_before_the_first_start_there_is_none(self, tmp_path: Path) -> None:
        assert [each.level for each in journal(premises(tmp_path))] == ["note"]


class TestTheDaemon:
    @pytest.mark.parametrize(
        ("vitals", "is_deaf", "levels"),
        [
            (None, True, ["note"]),
            (None, False, ["problem"]),
            (VITALS, False, ["ok"]),
            (replace(VITALS, error="the disk is full"), False, ["problem"]),
            (replace(VITALS, version="0.9"), False, ["warning"]),
            (replace(VITALS, watching=Watching("inotify", "too few watches", 0)), False, ["warning"]),
        ],
    )
    def test_is_judged(self, vitals: Vitals | None, is_deaf: bool, levels: list[str]) -> None:
        assert [each.level for each in of_daemon(7, vitals, is_deaf, "1.0")] == levels

    @pytest.mark.parametrize(
        ("late", "passed_at", "level"),
        [
            (0, None, "note"),
            (0, NOW - timedelta(hours=1), "ok"),
            (0, NOW - timedelta(hours=3), "note"),
            (4, NOW - timedelta(hours=1), "warning"),
        ],
    )
    def test_none_is_needed_where_passes_are_made(
        self, late: int, passed_at: datetime | None, level: str
    ) -> None:
        assert [each.level for each in of_no_daemon(late, passed_at, NOW)] == [level]

    def test_that_keeps_a_journal_to_itself_is_known_all_the_same(self, tmp_path: Path) -> None:
        assert [each.level for each in daemon(premises(tmp_path))] == ["note"]
        assert list(daemon(Premises(None, {}, settings(tmp_path)))) == []
        (found,) = daemon(Premises(None, {}, settings(tmp_path), daemon_pid=7))
        assert "pid 7" in found.sentence


class TestTheWriter:
    @pytest.mark.parametrize(
        ("versions", "level", "said"),
        [
            ([], "ok", "no database says"),
            ([3051003, 3053000], "ok", "3.53.0"),
            ([3051003, 3046001], "warning", "1 of the newest 2 days were written to by SQLite 3.46.1"),
            ([3046001, 3046001], "warning", "2 of the newest 2 days"),
        ],
    )
    def test_is_judged(self, versions: list[int], level: str, said: str) -> None:
        (found,) = of_writers([Writer(f"ticks/2026-01-{at:02}", each) for at, each in enumerate(versions, 1)])
        assert found.level == level
        assert said in found.sentence
        assert level == "ok" or "3.51.3" in found.remedy

    def test_is_known_by_its_file_and_of_a_sealed_day_by_what_was_noted(self, tmp_path: Path) -> None:
        file = tmp_path / "day.db"
        connection = apsw.Connection(str(file))
        connection.pragma("journal_mode", "wal")
        connection.execute("CREATE TABLE ticks (symbol)")
        connection.close()
        there, old = database(date(2026, 1, 20)), database(date(2026, 1, 19))
        found = replace(
            overview(settings(tmp_path), NOW),
            databases={
                there.key: replace(
                    there,
                    paths=replace(there.paths, database=str(file)),
                    files=DayFiles(database=signature(str(file))),
                ),
                old.key: replace(old, facts=Facts(sealed=sealed())),
            },
        )
        assert [each.version for each in writers_of(found)] == [apsw.SQLITE_VERSION_NUMBER, 3054001]

    def test_of_nothing_nothing_is_said(self, tmp_path: Path) -> None:
        assert [each.level for each in writer(premises(tmp_path))] == ["ok"]


class TestSpace:
    @pytest.mark.parametrize(("low", "levels"), [(False, []), (True, ["problem"])])
    def test_below_the_least_is_a_problem(self, low: bool, levels: list[str]) -> None:
        volume = Volume(("root",), 10, 100, low, None, None)
        assert [each.level for each in of_space([volume], "1 GiB")] == levels

    @pytest.mark.parametrize(
        ("days_left", "levels"),
        [(3, ["warning"]), (14, ["warning"]), (15, ["note"]), (90, ["note"]), (91, [])],
    )
    def test_that_will_not_do_for_long_is_said(self, days_left: int, levels: list[str]) -> None:
        today = date(2026, 1, 20)
        full = Full("the volume of root", 10, today + timedelta(days=days_left))
        found = list(of_future([full], today))
        assert [each.level for each in found] == levels
        assert all(f"in {days_left} days" in each.sentence for each in found)

    @pytest.mark.parametrize(
        ("free", "total", "levels"), [(9_999, 1_000_000, ["problem"]), (10_000, 1_000_000, []), (0, 0, [])]
    )
    def test_for_files_may_be_short_as_well(self, free: int, total: int, levels: list[str]) -> None:
        assert [each.level for each in of_files([Files("root", Path("/r"), free, total)])] == levels

    def test_is_looked_at_before_there_is_anything(self, tmp_path: Path) -> None:
        (found,) = space(premises(tmp_path))
        assert (found.level, "the volume of root" in found.sentence) == ("ok", True)
        assert os.listdir(tmp_path) == []  # noqa: PTH208

    def test_of_files_is_one_for_each_device(self, tmp_path: Path) -> None:
        names = ("root", "backup", "archive", "state")
        for name in names:
            (tmp_path / name).mkdir()
        found = rooms_of_files(room(settings(tmp_path).data), {name: tmp_path / name for name in names})
        assert [each.directory for each in found] == ["root"]

    def test_lasts_as_long_as_the_last_weeks_say_where_the_forecast_knows_nothing(
        self, tmp_path: Path
    ) -> None:
        volume = Volume(("root",), 10, 100, low=False, growth_bytes=1, days_until_full=10)
        (found,) = full_on(overview(settings(tmp_path), NOW), [volume])
        assert found.on == date(2026, 1, 30)


def reason(level: Level, kind: str, hint: str = "do it") -> Reason:
    return Reason(level, kind, "it is so", hint, 1, "ticks/2026-01-19", ("ticks/2026-01-19",))  # type: ignore[arg-type]


class TestTheDays:
    @pytest.mark.parametrize(
        ("reasons", "level", "said"),
        [
            ((), "ok", "nothing is wrong"),
            ((reason("FAILING", "daemon"), reason("FAILING", "disk")), "ok", "nothing is wrong"),
            ((reason("ATTENTION", "deferred"),), "note", "ticks/2026-01-19: it is so"),
            ((reason("FAILING", "lost"), reason("ATTENTION", "unread")), "warning", ", and 1 more"),
        ],
    )
    def test_are_as_the_status_says(self, reasons: tuple[Reason, ...], level: str, said: str) -> None:
        (found,) = of_days(Verdict("OK", reasons), [])
        assert (found.level, said in found.sentence) == (level, True)

    def test_are_looked_at(self, tmp_path: Path) -> None:
        assert len(list(days(premises(tmp_path)))) == 1
