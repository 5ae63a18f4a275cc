"""What a file's name says of it."""

from __future__ import annotations

from datetime import date

import pytest

from watcher.adopt.names import day_in, ending_of, is_packed_otherwise, seems_a_copy, trouble_with


@pytest.mark.parametrize(
    "name", ["ticks_2026-01-20.db", "daily_2026_01_20.sqlite", "20260120.sqlite3.zst", "x-2026-01-20.db.zst"]
)
def test_a_database_or_a_compressed_one_can_be_taken(name: str) -> None:
    assert day_in(name) == date(2026, 1, 20)
    assert ending_of(name) is not None
    assert trouble_with(name) == ""


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ticks_2026-01-20.db.tar.zst", "tar -xf"),
        ("ticks_2026-01-20.tar.zst", "tar -xf"),
        ("ticks_2026-01-20.db.tar.gz", "tar -xf"),
        ("ticks_2026-01-20.tgz", "tar -xf"),
        ("ticks_2026-01-20.db.gz", "gunzip it first"),
        ("ticks_2026-01-20.DB.ZIP", "unzip it first"),
        ("ticks_2026-01-20.db.zst.gpg", "decrypt it first"),
        ("ticks_2026-01-20.db.zst.bak", "call it ticks_2026-01-20.db.zst"),
        ("ticks_2026-01-20.db.bak", "call it ticks_2026-01-20.db"),
        ("ticks_2026-01-20.sqlite~", "call it ticks_2026-01-20.sqlite"),
        ("ticks_2026-01-20.DB", "call it ticks_2026-01-20.db"),
        ("ticks.db.2026-01-20", "call it ticks_2026-01-20.db"),
        ("ticks.db-20260120.zst", "call it ticks_2026-01-20.db.zst"),
    ],
)
def test_what_cannot_be_taken_is_told_with_what_to_do(name: str, told: str) -> None:
    assert ending_of(name) is None
    assert trouble_with(name).endswith((told, f"(`{told}`)"))
    assert seems_a_copy(name)
    assert is_packed_otherwise(name) == ("call it" not in told)


@pytest.mark.parametrize(
    "name",
    [
        "ticks_2026-01-20.csv",
        "ticks_2026-01-20.csv.gz",
        "ticks_2026-01-20.csv.zst",
        "ticks_2026-01-20.db.sha256",
        "ticks_2026-01-20.db.zst.md5",
        "rotation-2026-01-20.log",
        "ticks_2026-01-20",
        "ticks_2026-01-20.dbx",
    ],
)
def test_what_is_no_copy_is_not_spoken_of(name: str) -> None:
    assert not seems_a_copy(name)
    assert not is_packed_otherwise(name)


@pytest.mark.parametrize(
    "name",
    [
        "ticks_2026-02-30.db",
        "ticks.db",
        ".ticks_2026-01-20.db.retired",
        "ticks_2026-01-20.db-wal",
        "ticks_2026-01-20.db-shm",
        "ticks_2026-01-20.db.quarantined-2",
        "ticks_2026-01-20.db.aside-0123456789ab",
        "ticks_2026-01-20.db.aside-0123456789ab-2",
        "ticks_2026-01-20.db.zst.aside-inode-17",
    ],
)
def test_what_is_ours_or_of_no_day_is_of_no_day(name: str) -> None:
    assert day_in(name) is None
