"""What is free, and for how many days that will do."""

from __future__ import annotations

import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from scripts.sample_tree import NONE, NOW, grow, settings_below
from tests.watcher.builders import utc
from tests.watcher.view.rows import NOW as NOON
from tests.watcher.view.rows import packed, row, unsealed
from watcher.disk import LastWrite, Room, last_writes, room
from watcher.lifecycle import State
from watcher.overview import Day, overview
from watcher.settings import Data
from watcher.view.volumes import Volume, growth_per_day, held_at, volumes

GB = 10**9


def held(moment: str, *days: Day) -> tuple[int, int, int]:
    found = held_at(days, utc(moment))
    return found["root"], found["backup"], found["archive"]


class TestHeldAt:
    @pytest.mark.parametrize(
        ("moment", "bytes_held"),
        [
            ("2025-11-20 23:59", (0, 0, 0)),  # its day is not over
            ("2025-11-21 00:00", (1000, 0, 0)),  # not backed up yet
            ("2025-11-21 00:01", (1000, 1000, 0)),
            ("2025-11-27 23:00", (1000, 1000, 0)),
            ("2025-11-28 01:00", (200, 200, 0)),
            ("2025-12-21 01:00", (0, 200, 200)),
            ("2026-01-20 12:00", (0, 200, 200)),
        ],
    )
    def test_follows_a_day_through_its_life(self, moment: str, bytes_held: tuple[int, int, int]) -> None:
        assert held(moment, packed(61)) == bytes_held

    def test_guesses_what_a_deleted_day_was_by_the_others(self) -> None:
        gone = packed(
            70, tier="gone", state=State.EXPIRED, bytes=500, bytes_now=0, expired_at=utc("2026-01-19 04:00")
        )
        assert held("2026-01-18 00:00", packed(61), gone) == (0, 300, 300)
        assert held("2026-01-19 04:00", packed(61), gone) == (0, 200, 200)
        assert held("2026-01-18 00:00", gone) == (0, 500, 500), "there is nothing to go by"

    def test_counts_a_day_without_a_seal_as_it_is_once_it_is_over(self) -> None:
        assert held("2026-01-20 12:00", unsealed(1), unsealed(0, State.ACTIVE)) == (1000, 0, 0)

    def test_does_not_count_the_restored_copy_of_a_cold_day(self) -> None:
        assert held("2026-01-20 12:00", packed(61), packed(62, bytes_now=1000)) == (0, 400, 400)

    def test_is_what_is_on_disk(self, tmp_path: Path) -> None:
        """But for the day that is being written to and the one after it."""
        settings = grow(settings_below(tmp_path), 220, troubles=NONE, durable=False)
        found = held_at(overview(settings, NOW).days, NOW)
        today = {f"ticks_{NOW.date() + timedelta(days=ahead)}.db" for ahead in (0, 1)}
        for top, total in found.items():
            files = [path for path in (tmp_path / top).rglob("ticks_*") if path.name not in today]
            assert total == sum(path.stat().st_size for path in files) > 0, top


class TestGrowth:
    def test_of_a_tree_that_keeps_everything(self) -> None:
        steady = [row(ago) for ago in range(1, 8)] + [packed(ago) for ago in range(8, 200)]
        growth = growth_per_day(steady, NOON)
        assert growth == {"root": 0, "backup": 200, "archive": 200}

    def test_is_none_where_as_much_goes_as_comes(self) -> None:
        gone = [
            packed(ago, tier="gone", bytes_now=0, expired_at=NOON - timedelta(days=ago - 100))
            for ago in range(101, 140)
        ]
        steady = [row(ago) for ago in range(1, 8)] + [packed(ago) for ago in range(8, 101)]
        growth = growth_per_day([*steady, *gone], NOON)
        assert sum(growth.values()) == pytest.approx(0, abs=20)

    def test_of_a_tree_that_has_just_begun_is_all_that_there_is(self) -> None:
        assert growth_per_day([row(1), row(2), row(3), unsealed(0)], NOON)["root"] == 1000

    @pytest.mark.parametrize("days", [[], [unsealed(0)], [unsealed(1)], [row(0)]])
    def test_cannot_be_told_before_a_day_is_over(self, days: list[Day]) -> None:
        assert growth_per_day(days, NOON) == {}


class TestVolumes:
    def test_directories_of_one_device_share_it(self) -> None:
        rooms = [
            Room("root", 1, 50 * GB, 99 * GB),
            Room("backup", 2, 9 * GB, 10 * GB),
            Room("state", 1, 50 * GB, 99 * GB),
        ]
        growth = {"root": 1e9, "backup": 0.5e9, "archive": 7e9}
        assert volumes(rooms, growth, GB) == (
            Volume(("root", "state"), 50 * GB, 99 * GB, low=False, growth_bytes=GB, days_until_full=50),
            Volume(("backup",), 9 * GB, 10 * GB, low=False, growth_bytes=GB // 2, days_until_full=18),
        )

    @pytest.mark.parametrize(
        ("rate", "days"),
        [(None, None), (-1.0, None), (0.0, None), (0.001, None), (1e9, 5), (5e9, 1), (6e9, 0)],
    )
    def test_how_long_it_will_do(self, rate: float | None, days: int | None) -> None:
        growth = {} if rate is None else {"root": rate}
        (volume,) = volumes([Room("root", 1, 5 * GB, 9 * GB)], growth, 0)
        assert volume.days_until_full == days
        assert (volume.growth_bytes is None) == (rate is None)

    def test_of_the_state_directory_alone_no_growth_is_known(self) -> None:
        (volume,) = volumes([Room("state", 1, 5, 9)], {"root": 1.0}, 0)
        assert (volume.growth_bytes, volume.days_until_full) == (None, None)

    @pytest.mark.parametrize(("free", "low"), [(GB - 1, True), (GB, False)])
    def test_which_have_too_little_room(self, free: int, low: bool) -> None:
        (volume,) = volumes([Room("root", 1, free, 9 * GB)], {}, GB)
        assert volume.low is low

    def test_there_is_nothing_of_a_directory_that_is_not_there(self, tmp_path: Path) -> None:
        data = Data(**{top: str(tmp_path / top) for top in ("root", "backup", "archive", "state")})
        assert room(data) == ()
        for top in ("backup", "state"):
            (tmp_path / top).mkdir()
        found = room(data)
        assert [each.directory for each in found] == ["backup", "state"]
        assert len(volumes(found, {}, 0)) == 1
        assert found[0].total_bytes == shutil.disk_usage(tmp_path).total


class TestLastWrites:
    AT = utc("2026-01-20 11:59")

    def write(self, path: Path, size: int, at: datetime) -> None:
        path.write_bytes(b"x" * size)
        os.utime(path, (at.timestamp(), at.timestamp()))

    def test_are_those_of_the_file_or_its_log(self, tmp_path: Path) -> None:
        path = tmp_path / "day.db"
        self.write(path, 10, self.AT)
        assert last_writes({"a": str(path)}) == {"a": LastWrite(10, self.AT)}
        log = path.with_name("day.db-wal")
        self.write(log, 5, NOON)
        assert last_writes({"a": str(path)}) == {"a": LastWrite(15, NOON)}

    def test_an_empty_log_is_a_readers(self, tmp_path: Path) -> None:
        path = tmp_path / "day.db"
        self.write(path, 10, self.AT)
        self.write(path.with_name("day.db-wal"), 0, NOON)
        assert last_writes({"a": str(path)}) == {"a": LastWrite(10, self.AT)}

    def test_there_is_nothing_of_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        assert last_writes({"a": str(tmp_path / "day.db")}) == {}
