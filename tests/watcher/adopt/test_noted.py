"""What scripts had noted, held against the files that are there."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from watcher.adopt.noted import Noted, noted

TODAY = date(2026, 1, 20)
THERE = {date(2026, 1, 17), date(2026, 1, 18)}


def look(folder: Path, content: Any) -> Noted | None:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "rotation_metadata.json").write_text(text)
    return noted(folder, THERE, TODAY)


def test_days_are_read_from_wherever_they_are_and_those_that_are_missed_are_named(tmp_path: Path) -> None:
    found = look(
        tmp_path,
        {
            "current_date": "2026-01-20",
            "rotations": [{"file": "ticks_2026-01-17.db"}, {"file": "old/20260116.db.zst"}],
            "archived": {"2026-01-15": True, "2026_01_17": 3},
            "version": "1.2.3",
            "count": 20260101,
        },
    )
    assert found is not None
    assert (found.days, found.first, found.last) == (3, date(2026, 1, 15), date(2026, 1, 17))
    assert found.absent == (date(2026, 1, 15), date(2026, 1, 16))


def test_moments_are_no_days(tmp_path: Path) -> None:
    found = look(tmp_path, {"at": "2026-01-16T00:00:03", "then": "2026-01-15 00:00:03", "of": "2026-01-14"})
    assert found is not None
    assert found.absent == (date(2026, 1, 14),)


@pytest.mark.parametrize("content", ["{", "[1]", '"2026-01-15"', "", "[" * 5000, '{"day": "2026-02-30"}'])
def test_from_what_is_no_object_with_days_none_are_read(tmp_path: Path, content: str) -> None:
    found = look(tmp_path, content)
    assert found is not None
    assert (found.days, found.first, found.absent) == (0, None, ())


def test_ours_is_none_of_theirs(tmp_path: Path) -> None:
    assert look(tmp_path, {"previous_date": "2026-01-01", "streams": {}}) is None
    assert noted(tmp_path / "nowhere", THERE, TODAY) is None
