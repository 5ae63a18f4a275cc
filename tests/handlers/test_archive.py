"""Archiving: the .zst moves only after a proof, and nothing in its way is overwritten."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from msgspec import structs

from handlers import progress
from handlers.contract import Done, Step, Trouble
from handlers.files import sha256_of, sweep_temporaries
from tests.handlers.aged import (
    IN_ARCHIVE,
    IN_BACKUP,
    IN_ROOT,
    Snapshot,
    archived_day,
    compressed_day,
    merged_day,
    other_filesystem,
    plant,
    restored_day,
    whole_copies,
)


def test_the_zst_moves_to_the_archive(day: Any) -> None:
    compressed_day(day)
    inode = day.compressed.stat().st_ino
    result = day.done(Step.ARCHIVE)
    assert list(day.files()) == [IN_ARCHIVE, IN_BACKUP]
    assert day.archived.stat().st_ino == inode
    assert (result.path, result.moved_by) == (str(day.archived), "rename")
    assert result.sha256 == day.job.sealed.sha256
    assert result.compressed_sha256 == sha256_of(day.archived) == day.job.compressed.compressed_sha256
    assert result.compressed_bytes == day.archived.stat().st_size


def test_archiving_twice_changes_nothing(day: Any) -> None:
    compressed_day(day)
    first = day.done(Step.ARCHIVE)
    before = day.files()
    assert day.done(Step.ARCHIVE) == first
    assert day.files() == before


@pytest.mark.parametrize("superseded", [False, True])
def test_killed_anywhere_it_is_simply_done_again(
    day: Any, kill_at: Callable[..., bool], superseded: bool
) -> None:
    if superseded:
        merged_day(day)
        day.back_up()
        day.job = structs.replace(day.job, compressed=day.done(Step.COMPRESS))
    else:
        compressed_day(day)
    start, number = Snapshot(day), 0
    while kill_at(structs.replace(day.job, step=Step.ARCHIVE), number):
        assert day.backup_compressed in whole_copies(day), f"killed before call {number}"
        assert len(whole_copies(day)) >= 2, f"killed before call {number}"
        sweep_temporaries(day.root)
        assert isinstance(day.attempt(Step.ARCHIVE), Done), f"killed before call {number}"
        assert list(day.files()) == [IN_ARCHIVE, IN_BACKUP]
        assert len(whole_copies(day)) == 2
        start.again()
        number += 1
    assert number > 10
    assert list(day.files()) == [IN_ARCHIVE, IN_BACKUP]


@pytest.mark.parametrize(("name", "at_least"), [("open", 5), ("link", 2), ("unlink", 2), ("fsync", 4)])
def test_whatever_call_fails_nothing_is_lost(
    day: Any, fail_at: Callable[..., list[str]], monkeypatch: Any, name: str, at_least: int
) -> None:
    start, number = Snapshot(compressed_day(day)), 0
    while True:
        happened = fail_at(number, name)
        outcome = day.attempt(Step.ARCHIVE)
        monkeypatch.undo()
        if not happened:
            break
        assert len(whole_copies(day)) >= 2, f"{name} {number}"
        if not isinstance(outcome, Done):
            assert (outcome.trouble, outcome.retryable) == (Trouble.FAILED, True), outcome
        day.done(Step.ARCHIVE)
        sweep_temporaries(day.root)
        assert list(day.files()) == [IN_ARCHIVE, IN_BACKUP]
        start.again()
        number += 1
    assert number >= at_least


class TestAnotherFilesystem:
    def test_it_is_copied_and_proven(self, day: Any) -> None:
        compressed_day(day)
        day.compressed.chmod(0o640)
        with other_filesystem(day.root / "archive"):
            assert day.done(Step.ARCHIVE).moved_by == "copy"
            assert list(day.files()) == [IN_ARCHIVE, IN_BACKUP]
            assert day.archived.stat().st_mode & 0o777 == 0o640
            assert day.done(Step.ARCHIVE).moved_by == "copy"
            assert len(whole_copies(day)) == 2

    def test_killed_anywhere_it_is_simply_done_again(self, day: Any, kill_at: Callable[..., bool]) -> None:
        start, number = Snapshot(compressed_day(day)), 0
        with other_filesystem(day.root / "archive"):
            while kill_at(structs.replace(day.job, step=Step.ARCHIVE), number):
                assert len(whole_copies(day)) >= 2, f"killed before call {number}"
                sweep_temporaries(day.root)
                assert day.done(Step.ARCHIVE).moved_by == "copy"
                assert list(day.files()) == [IN_ARCHIVE, IN_BACKUP]
                start.again()
                number += 1
            assert number > 12
            assert list(day.files()) == [IN_ARCHIVE, IN_BACKUP]

    def test_what_does_not_read_back_is_not_published(self, day: Any, monkeypatch: Any) -> None:
        compressed_day(day)
        before = day.files()
        monkeypatch.setattr("handlers.backup.sha256_of", lambda _: "0" * 64)
        with other_filesystem(day.root / "archive"):
            failure = day.failed(Step.ARCHIVE)
            assert "does not read back" in failure.message
            assert failure.retryable
            assert day.files() == before

    def test_a_full_disk_loses_nothing(self, day: Any, with_full_disk: Callable[..., Any]) -> None:
        compressed_day(day)
        before = day.files()
        with other_filesystem(day.root / "archive"):
            failure = with_full_disk(structs.replace(day.job, step=Step.ARCHIVE), 1000)
            assert "free space on" in failure.hint
            assert failure.retryable
            assert day.files() == before
            day.done(Step.ARCHIVE)

    def test_the_tick_writers_reserve_is_not_taken(self, day: Any) -> None:
        compressed_day(day)
        before = day.files()
        with other_filesystem(day.root / "archive", megabytes=32):
            failure = day.failed(Step.ARCHIVE)
            assert "not enough space" in failure.message
            assert failure.retryable
            assert day.files() == before

    def test_how_far_it_is_can_be_seen(self, day: Any, monkeypatch: Any) -> None:
        compressed_day(day)
        cells = [0, 0]
        monkeypatch.setattr(progress._Listener, "cells", cells)
        with other_filesystem(day.root / "archive"):
            day.done(Step.ARCHIVE)
            assert cells == [day.archived.stat().st_size] * 2

    def test_blocks_are_shared_where_the_kernel_grants_it(self, day: Any, monkeypatch: Any) -> None:
        """Two mounts of one btrfs or xfs: here a kernel that grants it is played."""
        compressed_day(day)

        def clone(target: int, request: int, source: int) -> int:
            assert request == 0x40049409
            return os.sendfile(target, source, 0, 1 << 30)

        monkeypatch.setattr(fcntl, "ioctl", clone)
        with other_filesystem(day.root / "archive"):
            assert day.done(Step.ARCHIVE).moved_by == "reflink"
            assert len(whole_copies(day)) == 2


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty"])
def test_a_damaged_source_stays_where_it_is(day: Any, flip: Callable[..., None], damage: str) -> None:
    compressed_day(day)
    if damage == "flipped":
        flip(day.compressed, 100)
    else:
        os.truncate(day.compressed, 0 if damage == "empty" else 500)
    before = day.files()
    failure = day.failed(Step.ARCHIVE)
    assert (failure.trouble, failure.retryable) == (Trouble.CORRUPT, False)
    assert "tickward verify ticks/2026-01-20" in failure.hint
    assert day.files() == before


@pytest.mark.parametrize("content", [b"", b"something else", zstandard.ZstdCompressor().compress(b"x")])
@pytest.mark.parametrize("source_is_there", [True, False])
def test_what_is_in_the_archive_already_is_not_overwritten(
    day: Any, content: bytes, source_is_there: bool
) -> None:
    compressed_day(day)
    plant(day.archived, content)
    if not source_is_there:
        day.compressed.unlink()
    before = day.files()
    failure = day.failed(Step.ARCHIVE)
    assert (failure.trouble, failure.retryable) == (Trouble.CONFLICT, False)
    assert day.files() == before


def test_the_same_content_in_other_bytes_gives_way(day: Any) -> None:
    compressed_day(day)
    with zstandard.open(day.compressed, "rb") as inflated:
        plant(day.archived, zstandard.compress(inflated.read(), 1))
    day.done(Step.ARCHIVE)
    assert sha256_of(day.archived) == day.job.compressed.compressed_sha256
    assert not day.compressed.exists()


@pytest.mark.parametrize("kind", ["directory", "link"])
def test_what_is_not_a_file_is_not_followed(day: Any, kind: str) -> None:
    compressed_day(day)
    day.archived.parent.mkdir(parents=True)
    if kind == "directory":
        day.archived.mkdir()
    else:
        day.archived.symlink_to(day.compressed)
    failure = day.failed(Step.ARCHIVE)
    assert (failure.trouble, failure.retryable) == (Trouble.CONFLICT, False)
    assert len(whole_copies(day)) >= 2


def test_an_older_content_of_the_day_gives_way(day: Any) -> None:
    merged_day(day)
    day.back_up()
    day.job = structs.replace(day.job, compressed=day.done(Step.COMPRESS))
    assert list(day.files()) == [IN_ARCHIVE, IN_BACKUP, IN_ROOT]
    assert len(whole_copies(day)) == 2
    assert day.done(Step.ARCHIVE).moved_by == "rename"
    assert list(day.files()) == [IN_ARCHIVE, IN_BACKUP]
    assert len(whole_copies(day)) == 2


def test_an_older_content_gives_way_only_to_a_proven_one(day: Any, flip: Callable[..., None]) -> None:
    merged_day(day)
    day.back_up()
    day.job = structs.replace(day.job, compressed=day.done(Step.COMPRESS))
    flip(day.compressed, 100)
    before = day.files()
    assert day.failed(Step.ARCHIVE).trouble is Trouble.CORRUPT
    assert day.files() == before


def test_a_zst_that_is_nowhere_is_reported_not_invented(day: Any) -> None:
    compressed_day(day)
    day.compressed.unlink()
    failure = day.failed(Step.ARCHIVE)
    assert not failure.retryable
    assert "tickward verify" in failure.hint
    assert list(day.files()) == [IN_BACKUP]


def test_a_late_database_is_a_conflict(day: Any) -> None:
    compressed_day(day)
    day.create()
    before = day.files()
    failure = day.failed(Step.ARCHIVE)
    assert (failure.trouble, failure.retryable) == (Trouble.CONFLICT, False)
    assert day.files() == before


@pytest.mark.parametrize("retired", [False, True])
def test_a_restored_database_keeps_the_day_in_the_root(day: Any, retired: bool) -> None:
    restored_day(day)
    os.link(day.archived, day.compressed)
    if retired:
        day.database.rename(day.retired)
    before = day.files()
    failure = day.failed(Step.ARCHIVE)
    assert not failure.retryable
    assert failure.trouble is Trouble.FAILED
    assert "restored copy is kept" in failure.message
    assert day.files() == before


@pytest.mark.parametrize("linked", [False, True])
def test_an_archive_in_the_root_itself_is_refused(day: Any, linked: bool) -> None:
    """The one file must not be taken for two and removed as the first of them."""
    compressed_day(day)
    archived = day.compressed
    if linked:
        (day.root / "archive").symlink_to(day.root / "db")
        archived = day.archived
    paths = structs.replace(day.job.paths, archived=str(archived))
    failure = day.failed(Step.ARCHIVE, paths=paths)
    assert (failure.trouble, failure.retryable) == (Trouble.CONFLICT, False)
    assert len(whole_copies(day)) >= 2


def test_an_archive_in_the_backup_is_refused(day: Any) -> None:
    compressed_day(day)
    paths = structs.replace(day.job.paths, archived=day.job.paths.backup_compressed)
    before = day.files()
    assert day.failed(Step.ARCHIVE, paths=paths).trouble is Trouble.CONFLICT
    assert day.files() == before


def test_a_source_that_changes_meanwhile_is_not_removed(day: Any, monkeypatch: Any) -> None:
    compressed_day(day)

    def somebody_replaces_it(path: Path) -> None:
        link = day.root / "other.zst"
        link.write_bytes(b"somebody's")
        link.replace(day.compressed)

    monkeypatch.setattr("handlers.archive.make_directories", somebody_replaces_it)
    day.archived.parent.mkdir(parents=True)
    failure = day.failed(Step.ARCHIVE)
    assert failure.retryable
    assert day.compressed.read_bytes() == b"somebody's"


@pytest.mark.parametrize("missing", ["sealed", "compressed"])
def test_what_was_not_compressed_is_not_archived(day: Any, missing: str) -> None:
    compressed_day(day)
    assert not day.failed(Step.ARCHIVE, **{missing: None}).retryable
    assert list(day.files()) == [IN_BACKUP, IN_ROOT]


def test_an_archived_day_is_archived(day: Any) -> None:
    archived_day(day)
    assert day.done(Step.ARCHIVE) == day.job.archived
