"""The forecast: what comes of recorded days, by hand and by the sample tree."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from scripts.sample_tree import NOW, grow, settings_below
from watcher.errors import ConfigError
from watcher.lifecycle import State
from watcher.overview import Day, overview
from watcher.schedule import due, end_of
from watcher.settings import Settings
from watcher.view import ageing
from watcher.view.ageing import Cohort
from watcher.view.forecast import Changes, Forecast, forecast, what_if
from watcher.view.forecast_text import lines_of
from watcher.view.growth import growth_of
from watcher.view.levels import SIZES, Levels, levels_of
from watcher.view.stack import ASCII, stacked
from watcher.view.volumes import Volume

AT = datetime(2026, 7, 15, 12, tzinfo=UTC)  # a Wednesday
TODAY = AT.date()
SETTINGS = settings_below(Path("/t"))


def a_volume(*directories: str, free: int = 10**9) -> Volume:
    return Volume(directories, free, 10**10, False, None, None)


ONE_DISK = (a_volume("root", "backup", "archive", "state"),)
ONE = "root, backup, archive, state"
TWO_DISKS = (a_volume("root", "state"), a_volume("backup", "archive", free=1))


def a_day(back: int, tier: Any = "hot", raw: int = 1000, now: int | None = None, **fields: Any) -> Day:
    """A day so many days ago; one that is not hot is a fifth of what it was."""
    day = TODAY - timedelta(days=back)
    bytes_now = now if now is not None else {"hot": raw, "gone": 0}.get(tier, raw // 5)
    row = Day(
        key=f"ticks/{day}",
        stream="ticks",
        day=day,
        tier=tier,
        state=State.BACKED_UP,
        bytes=raw,
        bytes_now=bytes_now,
        ticks=1,
        symbols=1,
        sha256="",
        backup="yes",
        sealed_at=end_of(day),
        backed_up_at=end_of(day),
        compressed_at=None if tier == "hot" else end_of(day) + timedelta(days=7),
        archived_at=None,
        expired_at=None,
        verified_at=None,
        drilled_at=None,
        on_hold=False,
        entry="wait",
        step=None,
        due=None,
        reason="",
        trouble="",
    )
    return replace(row, **fields)


def a_life(days: int, raw: int = 1000, compress: int = 9, archive: int = 40) -> list[Day]:
    """The last days of a stream, the older the colder; none is so old that it is gone."""
    tiers = ((archive, "cold"), (compress, "warm"), (0, "hot"))
    return [a_day(back, next(t for least, t in tiers if back >= least), raw) for back in range(days, 0, -1)]


def told_of(days: list[Day], settings: Settings = SETTINGS, **options: Any) -> Forecast:
    return forecast(
        days, settings, options.pop("volumes", ONE_DISK), options.pop("levels", {}), AT, **options
    )


class TestHowDaysGrow:
    def growing(self, weeks: int, factor_a_week: float = 1.0, weekdays: Any = (1.0,) * 7) -> dict[date, int]:
        days = (TODAY - timedelta(days=back) for back in range(1, weeks * 7 + 1))
        return {
            day: round(1e9 * weekdays[day.weekday()] * factor_a_week ** ((day - TODAY).days / 7))
            for day in days
        }

    def test_each_day_of_the_week_is_as_large_as_it_was(self) -> None:
        weekdays = (1.0, 1.2, 1.3, 1.1, 0.9, 0.0, 0.1)
        found = growth_of(self.growing(10, weekdays=weekdays), TODAY)
        assert found is not None
        week = [TODAY + timedelta(days=ahead) for ahead in range(7)]
        assert [found.bytes_of(day) / 1e9 for day in week] == pytest.approx(
            [weekdays[day.weekday()] for day in week]
        )

    def test_the_trend_goes_on(self) -> None:
        found = growth_of(self.growing(30, 1.01), TODAY)
        assert found is not None
        later = TODAY + timedelta(weeks=20)
        assert found.bytes_of(later) / 1e9 == pytest.approx(1.01**20, rel=0.01)
        assert found.weeks == 30

    def test_no_single_week_bends_the_trend(self) -> None:
        sealed = self.growing(30, 1.01)
        wild = {day: size * (50 if 60 < (TODAY - day).days < 75 else 1) for day, size in sealed.items()}
        found = growth_of(wild, TODAY)
        assert found is not None
        assert math.exp(found.weekly) == pytest.approx(1.01, abs=0.002)

    def test_a_week_with_a_missing_day_is_no_measure(self) -> None:
        sealed = self.growing(20)
        for back in (3, 17, 31, 45, 59, 73):
            del sealed[TODAY - timedelta(days=back)]
        found = growth_of(sealed, TODAY)
        assert found is not None
        assert (found.weeks, found.weekly) == (14, pytest.approx(0, abs=1e-9))

    def test_it_is_bounded(self) -> None:
        found = growth_of(self.growing(20, 1.5), TODAY)
        assert found is not None
        assert math.exp(52 * found.weekly) == pytest.approx(4)

    @pytest.mark.parametrize(
        ("days", "flat", "weeks"), [(1, True, 0), (13, True, 0), (14, False, 0), (56, False, 8)]
    )
    def test_little_is_not_taken_for_much(self, days: int, flat: bool, weeks: int) -> None:
        weekdays = (1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5)
        sealed = dict(list(self.growing(8, weekdays=weekdays).items())[:days])
        found = growth_of(sealed, TODAY)
        assert found is not None
        assert (len(set(found.weekdays)) == 1, found.weeks) == (flat, weeks)

    def test_a_stream_that_has_ended_does_not_go_on(self) -> None:
        assert growth_of({}, TODAY) is None
        assert growth_of({TODAY - timedelta(days=56): 7}, TODAY) is None
        assert growth_of({TODAY - timedelta(days=55): 7}, TODAY) is not None


def by_hand(cohort: Cohort, settings: Settings, at: datetime) -> dict[ageing.Where, float]:
    """Where a cohort is at a moment, told anew from the policy."""
    if at < end_of(cohort.day):
        return {}
    ages = (settings.backup, settings.compress, settings.archive, settings.expire)
    backup, compress, archive, expire = (due(cohort.day, age.after_days, age.schedule) <= at for age in ages)
    tier = cohort.tier
    if tier == "hot" and compress:
        tier = "warm"
    if tier == "warm" and archive and settings.archive.enabled:
        tier = "cold"
    ready = tier == "cold" or (tier == "warm" and not settings.archive.enabled)
    newest = (at.date() - cohort.day).days - 1 < settings.expire.keep_min
    if ready and expire and settings.expire.enabled and not newest:
        return {}
    first, second = ageing.COPIES[tier]
    size = cohort.raw if tier == "hot" else cohort.packed
    return {first: size, second: size if tier != "hot" or cohort.backed_up or backup else 0}


class TestHowDaysAge:
    def policy(self, **sections: dict[str, Any]) -> Settings:
        changed = {name: replace(getattr(SETTINGS, name), **fields) for name, fields in sections.items()}
        return replace(SETTINGS, **changed)

    @pytest.mark.parametrize(
        "sections",
        [
            {},
            {"archive": {"enabled": False}},
            {"expire": {"enabled": False}},
            {"backup": {"after_days": 3, "schedule": "0 1 * * *"}},
            {
                "compress": {"schedule": "on_rotation"},
                "archive": {"after_days": 8},
                "expire": {"after_days": 9},
            },
            {"expire": {"after_days": 31, "keep_min": 60}},
            {
                "archive": {"schedule": "30 1 15 */2 *"},
                "expire": {"after_days": 31, "schedule": "0 0 * * MON"},
            },
        ],
    )
    def test_as_the_planner_would_have_it(self, sections: dict[str, dict[str, Any]]) -> None:
        settings = self.policy(**sections)
        days = [TODAY - timedelta(days=back) for back in range(-100, 220)]
        cohorts = [
            Cohort(
                day,
                "cold"
                if day < TODAY - timedelta(days=100)
                else "warm"
                if day < TODAY - timedelta(days=20)
                else "hot",
                False,
                day < TODAY - timedelta(days=5),
                100_000.0 + index,
                1000.0 + index,
            )
            for index, day in enumerate(days)
        ]
        found = ageing.ahead(cohorts, settings, TODAY, 101)
        for ahead in range(101):
            at = end_of(TODAY + timedelta(days=ahead))
            there = [by_hand(cohort, settings, at) for cohort in cohorts]
            for place in ageing.PLACES:
                assert found[place][ahead] == sum(each.get(place, 0) for each in there), (place, ahead)

    def test_what_is_on_hold_stays(self) -> None:
        held = Cohort(TODAY - timedelta(days=300), "cold", True, True, 0.0, 70.0)
        found = ageing.ahead([held], SETTINGS, TODAY, 300)
        assert set(found[ageing.COLD_ARCHIVE]) == set(found[ageing.COLD_BACKUP]) == {70}

    def test_a_day_of_the_year_1_stops_nothing(self) -> None:
        old, young = (Cohort(day, "cold", False, True, 0.0, 7.0) for day in (date.min, TODAY))
        assert ageing.ahead([old, young], SETTINGS, TODAY, 50)[ageing.COLD_ARCHIVE][-1] in (7, 14)


class TestForecast:
    def test_what_there_is_now_is_what_is_recorded(self) -> None:
        days = [a_day(200, "gone"), a_day(50, "cold"), a_day(20, "warm"), a_day(3), a_day(2, backup="no")]
        days += [a_day(0, bytes=None, now=300, backup="no"), a_day(-1, bytes=None, now=20, backup="no")]
        now = told_of(days, volumes=TWO_DISKS).now
        assert (now.hot_bytes, now.warm_bytes, now.cold_bytes) == (2000 + 1000 + 320, 400, 400)
        assert now.volumes == {"root, state": 2320 + 200, "backup, archive": 1000 + 200 + 400}

    def test_a_stream_in_balance_stays_as_it_is(self) -> None:
        told = told_of(a_life(180))
        assert told.basis.growth_a_year == pytest.approx(1)
        assert told.basis.day_bytes == 1000
        assert told.policy.ratio == pytest.approx(5)
        assert (
            told.policy.year.hot_bytes == 2 * 11 * 1000
        )  # up to Saturday of last week, at the end of Wednesday
        assert told.policy.year.total_bytes == pytest.approx(told.now.total_bytes, rel=0.1)
        assert [volume.full_on for volume in told.policy.volumes] == [None]

    def test_a_point_a_week_and_one_a_month(self) -> None:
        policy = told_of(a_life(180)).policy
        assert [point.day for point in policy.points] == [TODAY + timedelta(weeks=week) for week in range(54)]
        assert policy.year == policy.points[52]
        assert [str(point.day) for point in policy.months[:2]] == ["2026-07-31", "2026-08-31"]
        assert len(policy.months) == 12

    def test_the_day_the_disk_is_full(self) -> None:
        never_deleted = replace(SETTINGS, expire=replace(SETTINGS.expire, enabled=False))
        days = a_life(180)
        roomy, tight = (
            forecast(days, never_deleted, (a_volume("root", "backup", "archive", free=free),), {}, AT)
            for free in (10**8, 50_000)
        )
        assert roomy.policy.volumes[0].full_on is None
        full = tight.policy.volumes[0].full_on
        assert full is not None
        # A day leaves 400 bytes in the end; at the first some 22,000 more lie uncompressed for a while.
        assert TODAY + timedelta(days=70) < full <= TODAY + timedelta(days=125)

    def test_directories_that_share_a_volume_share_its_space(self) -> None:
        volumes = told_of(a_life(180), volumes=TWO_DISKS).policy.volumes
        assert [(volume.name, volume.directories) for volume in volumes] == [
            ("root, state", ("root", "state")),
            ("backup, archive", ("backup", "archive")),
        ]
        assert volumes[1].full_on == TODAY  # it has a byte left
        assert sum(volume.year_bytes for volume in volumes) == told_of(a_life(180)).policy.year.total_bytes

    def test_a_volume_of_the_journal_alone_is_left_out(self) -> None:
        volumes = (a_volume("root", "backup", "archive"), a_volume("state"))
        assert [volume.name for volume in told_of(a_life(30), volumes=volumes).policy.volumes] == [
            "root, backup, archive"
        ]

    def test_what_waits_for_a_person_stays(self) -> None:
        days = [a_day(300, "cold", entry="block"), a_day(280, "cold", on_hold=True), a_day(260, "cold")]
        told = told_of(days)
        assert told.policy.year.cold_bytes == 2 * 400
        assert any("On hold, or waiting for a person: 2 days" in each for each in told.basis.words)

    def test_what_is_no_stream_s_any_more_stays_and_says_nothing(self) -> None:
        told = told_of([*a_life(100), *(replace(a_day(back), stream="old", key="") for back in (5, 4, 3))])
        assert (told.basis.streams, told.basis.day_bytes) == (1, 1000)

    def test_a_restored_day_does_not_spoil_the_ratio(self) -> None:
        days = [*a_life(60)[:-9], a_day(8, "warm", raw=10**6, now=10**6)]
        assert told_of(days).policy.ratio == pytest.approx(5)

    def test_streams_are_added_up(self) -> None:
        settings = settings_below(Path("/t"), 2)
        days = [
            replace(day, stream=stream, bytes=day.bytes * times, bytes_now=day.bytes_now * times)
            for stream, times in (("feed-000", 1), ("feed-001", 3))
            for day in a_life(180)
            if day.bytes
        ]
        both = forecast(days, settings, ONE_DISK, {}, AT)
        one = told_of(a_life(180))
        assert both.basis.day_bytes == 4000
        assert both.policy.year.total_bytes == pytest.approx(4 * one.policy.year.total_bytes, abs=50)


class TestWhatItSaysOfItself:
    def words(self, days: list[Day], **options: Any) -> str:
        return " ".join(told_of(days, **options).basis.words)

    def test_nothing_sealed(self) -> None:
        told = told_of([a_day(0, now=500, bytes=None, backup="no")])
        assert (told.basis.days, told.basis.day_bytes, told.policy.ratio) == (0, 0, None)
        assert "there is nothing to go by" in told.basis.words[0]
        # What is there ages: it is compressed on the second Sunday from now, and deleted in half a year.
        assert [point.hot_bytes for point in told.policy.points[:3]] == [1000, 1000, 0]
        assert told.policy.points[2].warm_bytes == 2 * round(500 / 3.1)
        assert told.policy.year.total_bytes == 0

    def test_nothing_at_all(self) -> None:
        told = told_of([])
        assert (told.now.total_bytes, told.policy.year.total_bytes) == (0, 0)
        assert list(lines_of(told, Changes()))

    def test_a_single_day(self) -> None:
        words = self.words([a_day(1)])
        assert "1 sealed day of 1 stream" in words
        assert "1 stream with less than two weeks of days" in words
        assert "no growth is assumed" in words
        assert "No day was compressed yet" in words
        assert told_of([a_day(1)]).basis.day_bytes == 1000
        assert told_of([a_day(1)]).policy.ratio == pytest.approx(3.1)

    def test_enough(self) -> None:
        words = self.words(a_life(180))
        assert "56 sealed days of 1 stream" in words
        assert "as in up to 25 weeks" in words
        assert "as small as the last 30" in words
        assert "no growth" not in words
        assert "two weeks" not in words

    def test_a_stream_that_has_ended(self) -> None:
        assert "No days are expected of ticks" in self.words([a_day(100, "cold")])


class TestWhatIf:
    def test_nothing_is_compared_unasked(self) -> None:
        told = told_of(a_life(180), changes=Changes())
        assert (told.changed, told.saved) == (None, None)

    def test_compressing_sooner_saves_what_lies_uncompressed(self) -> None:
        told = told_of(a_life(180), changes=Changes(compress_after_days=3))
        assert told.changed is not None
        assert told.saved is not None
        # The Sunday before, days of up to 4 days before it were compressed: 7 days lie there, not 11.
        assert told.changed.year.hot_bytes == 2 * 7 * 1000
        assert told.saved.hot_bytes == 2 * 4 * 1000
        assert told.saved.warm_bytes == -2 * 4 * 200
        assert told.saved.total_bytes == 2 * 4 * 800
        assert told.saved.volumes == {ONE: 2 * 4 * 800}

    def test_keeping_all_shows_when_the_disk_is_full(self) -> None:
        small = (a_volume("root", "backup", "archive", free=60_000),)
        told = told_of(a_life(180), volumes=small, changes=Changes(expire=False))
        assert told.changed is not None
        assert told.saved is not None
        assert told.policy.volumes[0].full_on is None
        assert told.changed.volumes[0].full_on is not None
        assert told.changed.expire_after_days is None
        assert told.saved.total_bytes < 0

    def test_a_level_by_measurements_on_samples(self) -> None:
        told = told_of(a_life(180), changes=Changes(level=1))
        assert told.changed is not None
        assert told.changed.ratio == pytest.approx(5 * SIZES[18] / SIZES[0])
        assert any("estimated from measurements on sample days" in each for each in told.basis.words)

    def test_a_level_by_recorded_days(self) -> None:
        days = [
            replace(day, bytes_now=250) if day.day < date(2026, 6, 10) and day.ratio else day
            for day in a_life(90)
        ]
        levels = {day.key: 3 if day.bytes_now == 250 else 19 for day in days if day.ratio}
        told = told_of(days, levels=levels, changes=Changes(level=3))
        assert told.changed is not None
        recorded = levels_of(days, levels, 19)
        assert recorded.ratios == {3: 4.0, 19: 5.0}
        assert any("by recorded days of both" in each for each in told.basis.words)

    def test_a_level_that_is_new_in_the_settings(self) -> None:
        days = a_life(180)
        levels = {day.key: 19 for day in days if day.ratio}
        told = told_of(days, replace(SETTINGS, compress=replace(SETTINGS.compress, level=1)), levels=levels)
        assert told.policy.ratio == pytest.approx(5 * SIZES[18] / SIZES[0])
        assert any("At level 1 a day has 1.33 times the size" in each for each in told.basis.words)

    def test_too_few_days_of_a_level_are_no_measure(self) -> None:
        days = a_life(60)
        levels = {day.key: 3 if index < 6 else 19 for index, day in enumerate(days) if day.ratio}
        assert set(levels_of(days, levels, 19).ratios) == {19}
        assert Levels(19, {}).relative(19) == (1.0, True)

    def test_many_days_at_once_would_have_to_be_agreed_to(self) -> None:
        words = told_of(a_life(180), changes=Changes(expire_after_days=90)).basis.words
        assert any("90 days would be due to be deleted at once" in each for each in words), words
        assert not any(
            "at once" in each for each in told_of(a_life(180), changes=Changes(level=1)).basis.words
        )

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            (
                Changes(compress_after_days=30),
                "--compress-after 30: archive.after_days .30. must be more than",
            ),
            (Changes(archive_after_days=200, level=3), "--archive-after 200 --level 3: expire.after_days"),
            (
                Changes(expire_after_days=5, archive=False),
                "--expire-after 5 --no-archive: expire.after_days .5. must",
            ),
        ],
    )
    def test_impossible_ages_are_refused(self, changes: Changes, sentence: str) -> None:
        with pytest.raises(ConfigError, match=f"^{sentence}"):
            what_if(SETTINGS, changes)

    def test_whoever_gives_an_age_wants_the_step(self) -> None:
        never = replace(SETTINGS, expire=replace(SETTINGS.expire, enabled=False))
        assert what_if(never, Changes(expire_after_days=90)).expire.enabled
        assert not what_if(never, Changes(level=3)).expire.enabled


class TestText:
    def test_says_all_of_it(self) -> None:
        changes = Changes(compress_after_days=3)
        text = "\n".join(lines_of(told_of(a_life(180), changes=changes), changes))
        assert "2026-07 " in text
        assert f"{ONE}: 1 GB of 10 GB free; not full within 53 weeks" in text
        assert "In 52 weeks, with --compress-after 3:" in text
        assert "█ hot   ▓ warm   ░ cold" in text
        assert max(map(len, text.splitlines())) <= 80

    def test_without_unicode(self) -> None:
        assert all(line.isascii() for line in lines_of(told_of(a_life(180)), Changes(), characters=ASCII))

    def test_the_plot_is_as_high_as_its_numbers(self) -> None:
        days = [date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)]
        lines = stacked(days, [[2, 1, 0], [1, 1, 0], [1, 0, 0]], height=4, characters="#=-")
        assert [line[11:] for line in lines] == [
            "-",
            "=",
            "#=",
            "##",
            "---",
            "Jan",
            "# hot   = warm   - cold",
        ]
        assert lines[0].startswith("      4 B |")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Forecast:
    settings = grow(settings_below(tmp_path_factory.mktemp("tree")), 250, durable=False)
    found = overview(settings, NOW)
    return forecast(found.days, found.settings, ONE_DISK, {}, NOW, Changes(expire_after_days=365))


class TestSampleTree:
    def test_goes_on_as_it_has_grown(self, told: Forecast) -> None:
        # It grows by a 900th of its beginning each day: to 1.3 times in a year, from day 250 on.
        assert 1.1 < told.basis.growth_a_year < 2.0
        assert told.policy.ratio == pytest.approx(1 / 0.19, rel=0.01)
        assert told.policy.year.total_bytes == pytest.approx(
            told.now.total_bytes * told.basis.growth_a_year, rel=0.35
        )

    def test_keeping_days_for_twice_as_long_takes_more(self, told: Forecast) -> None:
        assert told.saved is not None
        assert told.saved.cold_bytes < -0.5 * told.policy.year.cold_bytes
        assert told.saved.hot_bytes == 0
