"""Expiry: every copy goes, the first one last, and nothing goes that was not sealed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from msgspec import structs

from handlers.contract import Done, Expired, Expiry, Step, Trouble
from handlers.files import sha256_of, sweep_temporaries
from handlers.seekable import sha256_of_content
from tests.handlers.aged import (
    IN_ARCHIVE,
    IN_BACKUP,
    IN_ROOT,
    Snapshot,
    archived_day,
    compressed_day,
    plant,
    restored_day,
    whole_copies,
)
from tests.handlers.conftest import Day

EXPIRY = Expiry("180 days, on Sundays", datetime(2026, 7, 26, 3, tzinfo=UTC), "older than 180 days")

STAGES = {
    "sealed": lambda day: day.sealed_day(100),
    "backed up": lambda day: day.backed_up_day(100),
    "compressed": compressed_day,
    "archived": archived_day,
    "restored": restored_day,
}

WRITER = "file = open(sys.argv[1], 'r+b'); say(); wait()"


@pytest.fixture
def expiring(day: Any) -> Any:
    day.job = structs.replace(day.job, expiry=EXPIRY)
    return day


def every_path(day: Any) -> tuple[str, ...]:
    paths = day.job.paths
    return (paths.database, paths.compressed, paths.backup, paths.backup_compressed, paths.archived)


@pytest.mark.parametrize("stage", STAGES)
def test_no_copy_is_left_and_a_certificate_says_what_it_was(expiring: Any, stage: str) -> None:
    STAGES[stage](expiring)
    sealed, packed = expiring.job.sealed, expiring.job.compressed
    size = sum((expiring.root / name).stat().st_size for name in expiring.files())
    assert expiring.done(Step.EXPIRE, by="erika") == Expired(
        sha256=sealed.sha256,
        compressed_sha256=packed.compressed_sha256 if packed else "",
        size_bytes=sealed.size_bytes,
        compressed_bytes=packed.compressed_bytes if packed else 0,
        ticks=100,
        symbols=5,
        first_tick_ms=sealed.first_tick_ms,
        last_tick_ms=sealed.last_tick_ms,
        paths=every_path(expiring),
        freed_bytes=size,
        left=(),
        policy=EXPIRY.policy,
        due=EXPIRY.due,
        reason=EXPIRY.reason,
        by="erika",
    )
    assert expiring.files() == {}


def test_expiring_twice_gives_the_same_certificate(expiring: Any) -> None:
    archived_day(expiring)
    first = expiring.done(Step.EXPIRE)
    assert expiring.done(Step.EXPIRE) == structs.replace(first, freed_bytes=0)


@pytest.mark.parametrize("stage", ["backed up", "compressed", "archived", "restored"])
def test_killed_anywhere_it_is_simply_done_again(
    expiring: Any, kill_at: Callable[..., bool], stage: str
) -> None:
    STAGES[stage](expiring)
    start, number, states = Snapshot(expiring), 0, []
    copies = len(start.files)
    while kill_at(structs.replace(expiring.job, step=Step.EXPIRE), number):
        states.append(len(whole_copies(expiring)))
        assert len(expiring.files()) == states[-1], f"a file that is no whole copy, at call {number}"
        sweep_temporaries(expiring.root)
        result = expiring.done(Step.EXPIRE)
        assert (result.ticks, result.sha256) == (100, expiring.job.sealed.sha256)
        assert expiring.files() == {}
        start.again()
        number += 1
    assert states == sorted(states, reverse=True)
    assert {0, copies} <= set(states), "killed before the first copy went, and after the last"
    assert expiring.files() == {}


def test_the_first_copy_goes_last(expiring: Any, monkeypatch: Any) -> None:
    restored_day(expiring)
    plant(expiring.compressed, expiring.archived.read_bytes())
    removed: list[str] = []
    unlink = os.unlink
    monkeypatch.setattr(os, "unlink", lambda path: (removed.append(str(path)), unlink(path)))
    expiring.done(Step.EXPIRE)
    day = expiring
    order = (day.backup_compressed, day.archived, day.compressed, day.retired)
    assert removed == [str(path) for path in order]


@pytest.mark.parametrize(("name", "at_least"), [("open", 5), ("unlink", 3), ("rename", 1), ("fsync", 4)])
def test_whatever_call_fails_it_is_finished_later(
    expiring: Any, fail_at: Callable[..., list[str]], monkeypatch: Any, name: str, at_least: int
) -> None:
    start, number = Snapshot(restored_day(expiring)), 0
    while True:
        happened = fail_at(number, name)
        outcome = expiring.attempt(Step.EXPIRE)
        monkeypatch.undo()
        if not happened:
            break
        if not isinstance(outcome, Done):
            assert (outcome.trouble, outcome.retryable) == (Trouble.FAILED, True), outcome
        expiring.done(Step.EXPIRE)
        assert expiring.files() == {}
        start.again()
        number += 1
    assert number >= at_least


@pytest.mark.parametrize("missing", ["sealed", "expiry"])
def test_without_a_seal_or_a_reason_nothing_goes(expiring: Any, missing: str) -> None:
    archived_day(expiring)
    before = expiring.files()
    failure = expiring.failed(Step.EXPIRE, **{missing: None})
    assert not failure.retryable
    assert "defect" in failure.hint
    assert expiring.files() == before


class TestLateTicks:
    def test_a_late_database_is_a_conflict(self, expiring: Any) -> None:
        archived_day(expiring)
        expiring.create()
        expiring.fill(1)
        self.assert_conflict(expiring)

    def test_a_restored_database_that_was_written_to_is_a_conflict(self, expiring: Any) -> None:
        restored_day(expiring)
        expiring.fill(1, first=5000)
        self.assert_conflict(expiring)

    def test_a_database_that_is_not_what_was_sealed_is_kept(
        self, expiring: Any, flip: Callable[..., None]
    ) -> None:
        restored_day(expiring)
        flip(expiring.database, 9000)
        before = expiring.files()
        assert expiring.failed(Step.EXPIRE).trouble is Trouble.CORRUPT
        assert expiring.files() == before

    @pytest.mark.parametrize("suffix", ["-wal", "-journal"])
    @pytest.mark.parametrize("which", ["database", "backup"])
    @pytest.mark.parametrize("stage", ["archived", "restored"])
    def test_a_log_with_content_is_a_conflict(
        self, expiring: Any, suffix: str, which: str, stage: str
    ) -> None:
        STAGES[stage](expiring)
        path = getattr(expiring, which)
        plant(path.with_name(path.name + suffix), b"ticks, perhaps")
        self.assert_conflict(expiring)

    def test_two_databases_of_one_name_are_a_conflict(self, expiring: Any) -> None:
        restored_day(expiring)
        shutil.copy(expiring.database, expiring.retired)
        self.assert_conflict(expiring)

    def assert_conflict(self, day: Any) -> None:
        before = day.files()
        failure = day.failed(Step.EXPIRE)
        assert (failure.trouble, failure.retryable) == (Trouble.CONFLICT, False)
        assert failure.hint
        assert day.files() == before


@pytest.mark.parametrize("which", ["database", "archived", "backup_compressed"])
def test_what_somebody_writes_to_keeps_the_whole_day(
    expiring: Any, child: Callable[..., Any], which: str
) -> None:
    restored_day(expiring)
    writer = child(WRITER, getattr(expiring, which))
    before = expiring.files()
    failure = expiring.failed(Step.EXPIRE)
    assert (failure.trouble, failure.retryable) == (Trouble.BUSY, True)
    assert [holder.pid for holder in failure.holders] == [writer.pid]
    assert expiring.files() == before
    writer.end()
    expiring.done(Step.EXPIRE)


def test_a_writer_that_comes_at_the_last_moment_keeps_its_database(
    expiring: Any, child: Callable[..., Any], monkeypatch: Any
) -> None:
    restored_day(expiring)
    monkeypatch.setattr("handlers.retire.wait", lambda _: child(WRITER, expiring.retired))
    assert expiring.failed(Step.EXPIRE).trouble is Trouble.BUSY
    assert whole_copies(expiring) == [expiring.database]


@pytest.mark.parametrize("stage", ["compressed", "restored"])
def test_an_interrupted_retirement_is_finished(expiring: Any, stage: str) -> None:
    STAGES["backed up" if stage == "compressed" else stage](expiring)
    expiring.database.rename(expiring.retired)
    expiring.done(Step.EXPIRE)
    assert expiring.files() == {}


def test_what_is_not_ours_is_left_and_named(expiring: Any) -> None:
    archived_day(expiring)
    asides = [
        expiring.beside(".aside-0123456789ab"),
        expiring.archived.with_name(expiring.archived.name + ".quarantined"),
        expiring.backup.with_name(expiring.backup.name + ".aside-0123456789ab-2"),
    ]
    for path in (*asides, expiring.beside("-shm"), expiring.database.with_name("ticks_2026-01-21.db")):
        plant(path)
    result = expiring.done(Step.EXPIRE)
    assert result.left == tuple(sorted(map(str, asides)))
    assert len(expiring.files()) == 5


@pytest.mark.parametrize("kind", ["directory", "link"])
@pytest.mark.parametrize("which", ["archived", "backup_compressed", "database"])
def test_what_is_not_a_file_keeps_the_whole_day(expiring: Any, which: str, kind: str) -> None:
    archived_day(expiring)
    path: Path = getattr(expiring, which)
    path.unlink(missing_ok=True)
    if kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(plant_elsewhere(expiring))
    before = expiring.files()
    failure = expiring.failed(Step.EXPIRE)
    assert (failure.trouble, failure.retryable) == (Trouble.CONFLICT, False)
    assert expiring.files() == before


def plant_elsewhere(day: Any) -> Path:
    path: Path = day.root / "elsewhere" / "file"
    plant(path)
    return path


@pytest.mark.parametrize("damage", [b"", b"garbage"])
def test_a_damaged_copy_does_not_keep_a_day_from_expiring(expiring: Any, damage: bytes) -> None:
    archived_day(expiring)
    expiring.archived.write_bytes(damage)
    expiring.done(Step.EXPIRE)
    assert expiring.files() == {}


def test_a_copy_that_comes_back_meanwhile_is_noticed(expiring: Any, monkeypatch: Any) -> None:
    archived_day(expiring)
    unlink = os.unlink

    def and_back(path: Path) -> None:
        unlink(path)
        if path == expiring.archived:
            plant(expiring.backup_compressed)

    monkeypatch.setattr(os, "unlink", and_back)
    failure = expiring.failed(Step.EXPIRE)
    assert failure.retryable
    assert "is there again" in failure.message


def test_a_day_of_which_only_facts_are_left_expires(expiring: Any) -> None:
    archived_day(expiring)
    assert list(expiring.files()) == [IN_ARCHIVE, IN_BACKUP]
    for name in expiring.files():
        (expiring.root / name).unlink()
    assert expiring.done(Step.EXPIRE).freed_bytes == 0
    assert IN_ROOT not in expiring.files()


class TestPlaces:
    """A certificate says that no copy is left: so each place of one must be seen."""

    @pytest.mark.parametrize(
        ("stage", "name"),
        [
            ("archived", "archived"),
            ("archived", "backup_compressed"),
            ("compressed", "compressed"),
            ("compressed", "backup_compressed"),
            ("restored", "archived"),
        ],
    )
    def test_a_directory_that_is_not_there_may_not_be_mounted(
        self, expiring: Any, stage: str, name: str
    ) -> None:
        STAGES[stage](expiring)
        path = getattr(expiring, name)
        away = expiring.root / "not mounted"
        path.parent.rename(away)
        before = expiring.files()
        failure = expiring.failed(Step.EXPIRE)
        assert (failure.trouble, failure.retryable) == (Trouble.FAILED, True)
        assert "mount" in failure.hint
        assert expiring.files() == before
        away.rename(path.parent)
        expiring.done(Step.EXPIRE)
        assert expiring.files() == {}

    @pytest.mark.parametrize("mounted", [True, False])
    @pytest.mark.parametrize(
        ("stage", "name"),
        [
            ("archived", "archived"),
            ("archived", "backup_compressed"),
            ("compressed", "compressed"),
            ("compressed", "backup_compressed"),
            ("sealed", "database"),
        ],
    )
    def test_where_it_was_recorded_there_must_be_none(
        self, expiring: Any, stage: str, name: str, mounted: bool
    ) -> None:
        """The settings name another directory now, and the files were not moved."""
        STAGES[stage](expiring)
        recorded = getattr(expiring, name)
        moved = expiring.root / "elsewhere" / recorded.name
        moved.parent.mkdir()
        paths = structs.replace(expiring.job.paths, **{name: str(moved)})
        away = expiring.root / "not mounted"
        if not mounted:
            recorded.parent.rename(away)
        before = expiring.files()
        failure = expiring.failed(Step.EXPIRE, paths=paths)
        assert (failure.trouble, failure.retryable) == (Trouble.FAILED, False)
        assert str(recorded) in failure.message
        assert str(moved.parent) in failure.hint
        assert expiring.files() == before

    @pytest.mark.parametrize("emptied", [True, False])
    def test_files_that_were_moved_with_the_settings_expire(self, expiring: Any, emptied: bool) -> None:
        archived_day(expiring)
        moved = expiring.root / "elsewhere" / expiring.archived.name
        moved.parent.mkdir()
        expiring.archived.rename(moved)
        if not emptied:
            expiring.archived.parent.rmdir()
        paths = structs.replace(expiring.job.paths, archived=str(moved))
        assert str(moved) in expiring.done(Step.EXPIRE, paths=paths).paths
        assert expiring.files() == {}

    def test_another_name_of_the_same_directory_is_no_other_place(self, expiring: Any) -> None:
        archived_day(expiring)
        (expiring.root / "link").symlink_to(expiring.archived.parent)
        name = str(expiring.root / "link" / expiring.archived.name)
        expiring.done(Step.EXPIRE, paths=structs.replace(expiring.job.paths, archived=name))
        assert expiring.files() == {}


class TestStrangers:
    """What holds something else than the day may be the only copy of it."""

    @pytest.mark.parametrize(
        ("stage", "name"),
        [
            ("archived", "backup"),
            ("backed up", "backup"),
            ("archived", "compressed"),
            ("archived", "archived"),
            ("compressed", "backup_compressed"),
        ],
    )
    def test_it_keeps_the_whole_day(self, expiring: Any, stage: str, name: str) -> None:
        STAGES[stage](expiring)
        self.put_another_day(expiring, getattr(expiring, name))
        before = expiring.files()
        failure = expiring.failed(Step.EXPIRE)
        assert (failure.trouble, failure.retryable) == (Trouble.CONFLICT, False)
        assert str(getattr(expiring, name)) in failure.message
        assert expiring.files() == before

    def test_a_backup_of_another_size_is_judged_by_its_content_alone(self, expiring: Any) -> None:
        archived_day(expiring)
        plant(expiring.backup, b"no database, but somebody's")
        before = expiring.files()
        assert expiring.failed(Step.EXPIRE).trouble is Trouble.CONFLICT
        assert expiring.files() == before

    @pytest.mark.parametrize("name", ["archived", "backup_compressed", "compressed"])
    def test_what_the_day_was_before_a_merge_goes(self, expiring: Any, name: str) -> None:
        archived_day(expiring)
        path = getattr(expiring, name)
        self.put_another_day(expiring, path)
        expiring.done(Step.EXPIRE, superseded=(sha256_of_content(path),))
        assert expiring.files() == {}

    @pytest.mark.parametrize("known", ["backup_sha256", "superseded", "sealed"])
    def test_a_backup_of_the_day_goes(self, expiring: Any, known: str) -> None:
        content = sealed_content(expiring)
        if known == "sealed":
            plant(expiring.backup, content)
            expiring.done(Step.EXPIRE)
        else:
            self.put_another_day(expiring, expiring.backup)
            digest = sha256_of(expiring.backup)
            expiring.done(Step.EXPIRE, **{known: digest if known == "backup_sha256" else (digest,)})
        assert expiring.files() == {}

    def test_a_rotten_backup_goes(self, expiring: Any) -> None:
        content = bytearray(sealed_content(expiring))
        content[4096:8192] = bytes(4096)
        plant(expiring.backup, bytes(content))
        expiring.done(Step.EXPIRE)
        assert expiring.files() == {}

    def test_one_that_comes_while_the_day_goes_is_kept(self, expiring: Any, monkeypatch: Any) -> None:
        archived_day(expiring)
        unlink = os.unlink

        def and_plant(path: Path) -> None:
            unlink(path)
            if path == expiring.backup_compressed:
                plant(expiring.compressed, b"late ticks")

        monkeypatch.setattr(os, "unlink", and_plant)
        failure = expiring.failed(Step.EXPIRE)
        assert (failure.trouble, failure.retryable) == (Trouble.FAILED, True)
        assert expiring.compressed.read_bytes() == b"late ticks"

    def put_another_day(self, day: Any, path: Path) -> None:
        (day.root / "other").mkdir()
        other = Day(day.root / "other")
        other.create()
        other.fill(3, first=7000)
        content = other.database.read_bytes()
        shutil.rmtree(other.root)
        plant(path, zstandard.ZstdCompressor().compress(content) if path.suffix == ".zst" else content)


def sealed_content(day: Any) -> bytes:
    """Of a day that is archived afterwards."""
    restored_day(day)
    content: bytes = day.database.read_bytes()
    day.done(Step.COMPRESS)
    return content


def test_a_file_name_that_is_no_text_can_be_certified(expiring: Any) -> None:
    archived_day(expiring)
    name = os.fsencode(expiring.beside(".aside-")) + b"\xff"
    Path(os.fsdecode(name)).write_bytes(b"somebody's")
    result = expiring.done(Step.EXPIRE)
    assert msgspec.json.decode(msgspec.json.encode(result), type=Expired) == result
    assert result.left == (f"{expiring.beside('.aside-')}\\udcff",)
