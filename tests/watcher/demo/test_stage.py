"""The stage: the default policy on a fast clock, at a pace that a machine can follow."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from watcher.demo.stage import START, Stage, pace
from watcher.settings import Settings


@pytest.mark.parametrize(("days", "seconds"), [(1, 4), (14, 4), (50, 4), (100, 2), (200, 1), (400, 1)])
def test_two_weeks_take_a_minute_and_many_days_a_few(days: int, seconds: float) -> None:
    assert pace(days) == seconds


def test_the_policy_is_the_default_one_but_for_the_days_at_once(tmp_path: Path) -> None:
    settings, default = Stage(tmp_path, 2, 1.0).settings, Settings()
    for section in ("create", "backup", "compress", "archive", "restore", "verify", "journal"):
        assert getattr(settings, section) == getattr(default, section)
    assert settings.expire == replace(default.expire, max_at_once=31)


def test_everything_is_in_the_folder(tmp_path: Path) -> None:
    data = Stage(tmp_path, 2, 1.0).settings.data
    assert [data.root, data.backup, data.archive, data.state] == [
        str(tmp_path / name) for name in ("db", "backup", "archive", "state")
    ]


def test_the_days_are_those_from_the_start_on(tmp_path: Path) -> None:
    stage = Stage(tmp_path, 3, 1.0)
    assert stage.days == [date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 7)]
    assert stage.end - START == timedelta(days=3)


def test_the_writers_report_is_summed_by_day(tmp_path: Path) -> None:
    stage = Stage(tmp_path, 2, 1.0)
    assert stage.written() == {}
    lines = ['{"day":"2026-01-05","ticks":3}', '{"day":"2026-01-05","ticks":4}', '{"total":7}']
    stage.report.write_text("\n".join(lines))
    assert stage.written() == {date(2026, 1, 5): 7}


def test_the_last_pass_has_a_noon_of_its_own(tmp_path: Path) -> None:
    stage = Stage(tmp_path, 1, 0.5)
    try:
        before = stage.clock.now()
        noon = stage.begin_last_pass()
        assert stage._last_pass is not None
        stage._last_pass.wait(60)
        assert stage.last_pass_ended()
    finally:
        stage.stop()
    assert stage.last_pass_problem() == ""
    assert (noon.hour, noon.minute, noon.second) == (12, 0, 0)
    assert before < noon < stage.clock.now() + timedelta(days=1)
    assert (tmp_path / f"db/{noon:%Y/%m}/ticks_{noon.date()}.db").exists()
