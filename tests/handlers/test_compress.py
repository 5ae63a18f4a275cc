"""Compressing: the originals go last, and only when both copies have been proven."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
import zstandard
from msgspec import structs

from handlers import progress
from handlers.contract import Done, Step, Trouble
from handlers.files import sweep_temporaries
from handlers.seek_table import SeekableError, require_right_table
from handlers.seekable import sha256_of_content
from tests.handlers.aged import (
    IN_ARCHIVE,
    IN_BACKUP,
    IN_ROOT,
    Snapshot,
    archived_day,
    compressed_day,
    merged_day,
    plant,
    restored_day,
    whole_copies,
)

BOTH = [IN_BACKUP, IN_ROOT]


def test_both_copies_become_zst_files_and_nothing_else_remains(day: Any) -> None:
    sealed = day.backed_up_day()
    result = day.done(Step.COMPRESS)
    assert list(day.files()) == BOTH
    assert sha256_of_content(day.compressed) == result.sha256 == sealed.sha256
    assert day.files()[BOTH[0]] == day.files()[BOTH[1]] == result.compressed_sha256
    assert result.compressed_bytes == day.compressed.stat().st_size < result.size_bytes
    assert (result.path, result.backup_path) == (str(day.compressed), str(day.backup_compressed))
    require_right_table(day.compressed)


def test_compressing_twice_changes_nothing(day: Any) -> None:
    day.backed_up_day()
    first = day.done(Step.COMPRESS)
    assert day.done(Step.COMPRESS) == first
    assert list(day.files()) == BOTH


@pytest.mark.skipif(shutil.which("zstd") is None, reason="the zstd program is not installed")
def test_the_zstd_program_restores_the_database(day: Any) -> None:
    day.backed_up_day()
    original = day.database.read_bytes()
    options = structs.replace(day.job.options, level=19, threads=2)
    day.done(Step.COMPRESS, options=options)
    for path in (day.compressed, day.backup_compressed):
        unpacked = subprocess.run(["zstd", "-dc", path], capture_output=True, check=True).stdout
        assert unpacked == original


def test_the_second_copy_is_made_also_where_there_was_no_backup(day: Any) -> None:
    day.sealed_day()
    day.done(Step.COMPRESS)
    assert list(day.files()) == BOTH


def test_killed_anywhere_it_is_simply_done_again(day: Any, kill_at: Callable[..., bool]) -> None:
    day.backed_up_day(100)
    start, number = Snapshot(day), 0
    while kill_at(structs.replace(day.job, step=Step.COMPRESS), number):
        assert len(whole_copies(day)) >= 2, f"killed before call {number}"
        sweep_temporaries(day.root)
        assert isinstance(day.attempt(Step.COMPRESS), Done), f"killed before call {number}"
        assert list(day.files()) == BOTH
        start.again()
        number += 1
    assert number > 25
    assert list(day.files()) == BOTH


@pytest.mark.parametrize(
    ("name", "at_least"),
    [("open", 10), ("link", 2), ("unlink", 4), ("rename", 1), ("fsync", 8), ("mkdir", 0)],
)
def test_whatever_call_fails_nothing_is_lost(
    day: Any, fail_at: Callable[..., list[str]], monkeypatch: Any, name: str, at_least: int
) -> None:
    day.backed_up_day(100)
    start, number = Snapshot(day), 0
    while True:
        happened = fail_at(number, name)
        outcome = day.attempt(Step.COMPRESS)
        monkeypatch.undo()
        if not happened:
            break
        assert len(whole_copies(day)) >= 2, f"{name} {number}"
        assert day.temporaries() == [], f"{name} {number}"
        assert not day.retired.exists() or day.database.exists(), f"{name} {number}"
        if not isinstance(outcome, Done):  # there are failures that do not matter
            assert (outcome.trouble, outcome.retryable) == (Trouble.FAILED, True), outcome
        day.done(Step.COMPRESS)
        assert list(day.files()) == BOTH
        start.again()
        number += 1
    assert number >= at_least
    assert list(day.files()) == BOTH


def test_a_full_disk_loses_nothing(day: Any, with_full_disk: Callable[..., Any]) -> None:
    day.backed_up_day()
    before = day.files()
    failure = with_full_disk(structs.replace(day.job, step=Step.COMPRESS), 5_000)
    assert "free space on" in failure.hint
    assert failure.retryable
    assert day.files() == before


def test_bit_rot_is_found_and_the_original_stays(day: Any, flip: Callable[..., None]) -> None:
    day.backed_up_day()
    flip(day.database, 9000)
    before = day.files()
    failure = day.failed(Step.COMPRESS)
    assert (failure.trouble, failure.retryable) == (Trouble.CORRUPT, False)
    assert day.files() == before


def test_rot_after_compression_is_found_before_the_original_goes(
    day: Any, flip: Callable[..., None], monkeypatch: Any
) -> None:
    day.backed_up_day()
    monkeypatch.setattr("handlers.retire.wait", lambda _: flip(day.retired, 9000))
    failure = day.failed(Step.COMPRESS)
    assert failure.trouble is Trouble.CORRUPT
    assert day.database.exists()
    assert day.backup.exists()
    assert not day.retired.exists()


def test_a_late_write_asks_for_a_new_seal(day: Any) -> None:
    day.backed_up_day()
    day.fill(1, first=5000)
    before = day.files()
    failure = day.failed(Step.COMPRESS)
    assert (failure.trouble, failure.retryable) == (Trouble.CHANGED, True)
    assert day.files() == before


def test_ticks_in_a_log_beside_it_ask_for_a_new_seal(day: Any) -> None:
    day.backed_up_day()
    plant(day.beside("-wal"), b"ticks, perhaps")
    assert day.failed(Step.COMPRESS).trouble is Trouble.CHANGED
    assert day.beside("-wal").read_bytes() == b"ticks, perhaps"


@pytest.mark.parametrize("content", [b"", b"garbage", zstandard.ZstdCompressor().compress(b"x")])
@pytest.mark.parametrize("which", ["compressed", "backup_compressed"])
def test_a_foreign_zst_is_never_overwritten(day: Any, which: str, content: bytes) -> None:
    day.backed_up_day()
    plant(getattr(day, which), content)
    failure = day.failed(Step.COMPRESS)
    assert (failure.trouble, failure.retryable) == (Trouble.CONFLICT, False)
    assert getattr(day, which).read_bytes() == content
    assert day.database.exists()
    assert day.backup.exists()


def test_a_zst_by_another_program_with_the_same_content_is_kept(day: Any) -> None:
    day.backed_up_day()
    packed = zstandard.ZstdCompressor(level=1).compress(day.database.read_bytes())
    plant(day.compressed, packed)
    day.done(Step.COMPRESS)
    assert day.compressed.read_bytes() == day.backup_compressed.read_bytes() == packed
    assert list(day.files()) == BOTH


@pytest.mark.parametrize("which", ["compressed", "backup_compressed"])
def test_a_zst_that_was_made_before_the_log_was_folded_in_gives_way(day: Any, which: str) -> None:
    day.create()
    connection = apsw.Connection(str(day.database))
    connection.pragma("journal_mode", "wal")
    connection.close()
    day.fill()
    before = day.database.read_bytes()
    plant(getattr(day, which), zstandard.ZstdCompressor().compress(before))
    sealed = day.seal()
    assert day.database.read_bytes() != before, "sealing has changed the header: a log is folded in for good"
    day.back_up()
    day.done(Step.COMPRESS)
    assert sha256_of_content(day.compressed) == sha256_of_content(day.backup_compressed) == sealed.sha256
    assert list(day.files()) == BOTH


def test_a_zst_that_only_looks_alike_does_not(day: Any) -> None:
    day.backed_up_day()
    other = day.root / "other.db"
    other.write_bytes(day.database.read_bytes())
    connection = apsw.Connection(str(other))
    connection.execute("UPDATE ticks SET bid = bid + 1 WHERE rowid = 1")
    connection.close()
    plant(day.compressed, zstandard.ZstdCompressor().compress(other.read_bytes()))
    assert day.failed(Step.COMPRESS).trouble is Trouble.CONFLICT


def sqlites_copy(source: Path, target: Path) -> None:
    """As ``sqlite3 .backup`` makes it: other bytes, because the header counts changes."""
    with closing(apsw.Connection(str(source))) as mine, closing(apsw.Connection(str(target))) as theirs:
        with theirs.backup("main", mine, "main") as copying:
            copying.step()
        version = theirs.pragma("user_version")
        theirs.pragma("user_version", version + 1)
        theirs.pragma("user_version", version)
    assert target.read_bytes() != source.read_bytes()


@pytest.mark.parametrize("is_packed_before", [False, True])
def test_an_uncompressed_backup_that_says_the_same_goes(day: Any, is_packed_before: bool) -> None:
    """Made by SQLite: beside the .zst it is in nobody's sight."""
    day.backed_up_day()
    copy = day.root / "copy.db"
    sqlites_copy(day.database, copy)
    day.backup.unlink()
    if is_packed_before:
        day.job = structs.replace(day.job, compressed=day.done(Step.COMPRESS))
    copy.rename(day.backup)
    day.done(Step.COMPRESS)
    assert list(day.files()) == BOTH


@pytest.mark.parametrize(
    "more",
    [
        "INSERT INTO ticks (symbol, timestamp, bid, ask) VALUES ('LATE', 1768953599999, 1, 2)",
        "UPDATE ticks SET bid = bid + 1e-9 WHERE rowid = 7",
        "CREATE TABLE notes (tick)",
        "DELETE FROM ticks WHERE rowid = 7",
        "UPDATE loose SET rowid = rowid + 1",
    ],
)
def test_one_that_says_anything_else_stays(day: Any, more: str) -> None:
    day.create()
    day.fill()
    with closing(apsw.Connection(str(day.database))) as connection:
        connection.execute("CREATE TABLE loose (a); INSERT INTO loose VALUES (1)")
    day.seal()
    day.back_up()
    with closing(apsw.Connection(str(day.backup))) as connection:
        connection.execute(more)
    before = day.backup.read_bytes()
    assert day.failed(Step.COMPRESS).trouble is Trouble.CONFLICT
    assert day.backup.read_bytes() == before


def test_a_truncated_zst_does_not_pass_for_a_copy(day: Any) -> None:
    day.backed_up_day()
    original = day.database.read_bytes()
    packed = zstandard.ZstdCompressor(level=1).compress(original)
    plant(day.compressed, packed + packed[:50])
    assert day.failed(Step.COMPRESS).trouble is Trouble.CONFLICT


def test_a_lost_first_copy_is_reported_not_invented(day: Any) -> None:
    day.backed_up_day()
    day.database.unlink()
    failure = day.failed(Step.COMPRESS)
    assert not failure.retryable
    assert str(day.backup) in failure.hint
    assert day.backup.exists()


def test_a_rotten_first_copy_is_reported(day: Any, flip: Callable[..., None]) -> None:
    day.backed_up_day()
    day.done(Step.COMPRESS)
    flip(day.compressed, 100)
    before = day.files()
    assert day.failed(Step.COMPRESS).trouble is Trouble.CORRUPT
    assert day.files() == before


def test_a_backup_that_holds_something_else_is_not_removed(day: Any) -> None:
    day.sealed_day()
    plant(day.backup, b"something else")
    assert day.failed(Step.COMPRESS).trouble is Trouble.CONFLICT
    assert day.backup.read_bytes() == b"something else"
    assert day.database.exists()


def test_compressing_onto_itself_is_refused(day: Any) -> None:
    day.sealed_day()
    paths = structs.replace(day.job.paths, backup_compressed=day.job.paths.compressed)
    assert day.failed(Step.COMPRESS, paths=paths).trouble is Trouble.CONFLICT
    assert day.database.exists()


def test_what_does_not_read_back_is_not_published(day: Any, monkeypatch: Any) -> None:
    day.backed_up_day()
    before = day.files()

    def unreadable(path: Path) -> None:
        raise SeekableError("a bit has flipped")

    monkeypatch.setattr("handlers.compress.read_back", unreadable)
    failure = day.failed(Step.COMPRESS)
    assert "does not read back" in failure.message
    assert failure.retryable
    assert day.files() == before


def repacked(day: Any) -> bytes:
    """The sealed content, compressed otherwise."""
    unpacker = zstandard.ZstdDecompressor()
    content = unpacker.stream_reader(day.backup_compressed.read_bytes(), read_across_frames=True).readall()
    return zstandard.ZstdCompressor(level=1).compress(content)


class TestOneDigestDescribesAllCopies:
    def test_a_backup_that_was_compressed_otherwise_becomes_what_the_first_is(self, day: Any) -> None:
        compressed_day(day)
        plant(day.backup_compressed, repacked(day))
        assert day.files()[IN_BACKUP] != day.files()[IN_ROOT]
        result = day.done(Step.COMPRESS)
        assert day.files()[IN_BACKUP] == day.files()[IN_ROOT] == result.compressed_sha256

    def test_killed_anywhere_there_are_two_whole_copies(self, day: Any, kill_at: Callable[..., bool]) -> None:
        compressed_day(day)
        plant(day.backup_compressed, repacked(day))
        start, number = Snapshot(day), 0
        while kill_at(structs.replace(day.job, step=Step.COMPRESS), number):
            assert len(whole_copies(day)) == 2, f"killed before call {number}"
            sweep_temporaries(day.root)
            day.done(Step.COMPRESS)
            assert day.files() == {IN_BACKUP: day.files()[IN_ROOT], IN_ROOT: day.files()[IN_ROOT]}
            start.again()
            number += 1
        assert number > 10


class TestOlderContents:
    @pytest.fixture
    def merged(self, day: Any) -> Any:
        """Both .zst hold what the day was before late ticks were merged in."""
        merged_day(day)
        day.back_up()
        plant(day.compressed, day.archived.read_bytes())
        return day

    def test_they_are_replaced(self, merged: Any) -> None:
        old = merged.files()[IN_ROOT]
        result = merged.done(Step.COMPRESS)
        assert merged.files() == {
            IN_ARCHIVE: old,
            IN_BACKUP: result.compressed_sha256,
            IN_ROOT: result.compressed_sha256,
        }
        assert len(whole_copies(merged)) == 2

    def test_they_are_kept_unless_they_are_known(self, merged: Any) -> None:
        before = merged.files()
        failure = merged.failed(Step.COMPRESS, superseded=("0" * 64,))
        assert (failure.trouble, failure.retryable) == (Trouble.CONFLICT, False)
        assert merged.files() == before

    @pytest.mark.parametrize("damaged", [IN_ROOT, IN_BACKUP])
    def test_damaged_they_are_kept(self, merged: Any, flip: Callable[..., None], damaged: str) -> None:
        flip(merged.root / damaged, 200)
        old = merged.files()[damaged]
        assert merged.failed(Step.COMPRESS).trouble is Trouble.CONFLICT
        assert merged.files()[damaged] == old
        assert merged.database.exists()
        assert merged.backup.exists()

    def test_they_stay_until_the_new_ones_are_verified(self, merged: Any, monkeypatch: Any) -> None:
        before = merged.files()
        monkeypatch.setattr("handlers.compress.require_right_table", refuse)
        assert "does not read back" in merged.failed(Step.COMPRESS).message
        assert merged.files() == before

    def test_one_that_changes_meanwhile_is_kept(self, merged: Any, monkeypatch: Any) -> None:
        monkeypatch.setattr("handlers.compress.require_right_table", lambda _: plant(merged.compressed, b"!"))
        failure = merged.failed(Step.COMPRESS)
        assert failure.retryable
        assert merged.compressed.read_bytes() == b"!"

    def test_killed_anywhere_nothing_is_lost(self, merged: Any, kill_at: Callable[..., bool]) -> None:
        start, number = Snapshot(merged), 0
        while kill_at(structs.replace(merged.job, step=Step.COMPRESS), number):
            assert len(whole_copies(merged)) >= 2, f"killed before call {number}"
            assert {merged.compressed.exists(), merged.backup_compressed.exists()} == {True}
            sweep_temporaries(merged.root)
            assert isinstance(merged.attempt(Step.COMPRESS), Done), f"killed before call {number}"
            assert list(merged.files()) == [IN_ARCHIVE, *BOTH]
            start.again()
            number += 1
        assert number > 25


def refuse(path: Path) -> None:
    raise SeekableError("a bit has flipped")


class TestAnArchivedDay:
    def test_its_first_copy_is_the_archived_one(self, day: Any) -> None:
        archived_day(day)
        before = day.files()
        result = day.done(Step.COMPRESS)
        assert result.path == str(day.archived)
        assert result.compressed_sha256 == day.job.compressed.compressed_sha256
        assert day.files() == before

    def test_a_lost_backup_is_made_again(self, day: Any) -> None:
        archived_day(day)
        before = day.files()
        day.backup_compressed.unlink()
        day.done(Step.COMPRESS)
        assert day.files() == before

    def test_a_restored_database_goes_again(self, day: Any) -> None:
        restored_day(day)
        day.done(Step.COMPRESS)
        assert list(day.files()) == [IN_ARCHIVE, IN_BACKUP]

    def test_a_restored_database_that_was_written_to_stays(self, day: Any) -> None:
        restored_day(day)
        day.fill(1, first=5000)
        before = day.files()
        assert day.failed(Step.COMPRESS).trouble is Trouble.CHANGED
        assert day.files() == before

    @pytest.mark.parametrize("restored", [False, True])
    def test_without_its_archived_copy_nothing_is_removed(self, day: Any, restored: bool) -> None:
        (restored_day if restored else archived_day)(day)
        day.archived.unlink()
        before = day.files()
        failure = day.failed(Step.COMPRESS)
        assert not failure.retryable
        assert "tickward verify" in failure.hint
        assert day.files() == before

    @pytest.mark.parametrize("restored", [False, True])
    @pytest.mark.parametrize("damage", ["rot", "superseded"])
    def test_an_archived_copy_that_is_not_the_day_removes_nothing(
        self, day: Any, flip: Callable[..., None], restored: bool, damage: str
    ) -> None:
        (restored_day if restored else archived_day)(day)
        superseded: tuple[str, ...] = ()
        if damage == "rot":
            flip(day.archived, 100)
        else:
            plant(day.archived, zstandard.ZstdCompressor().compress(b"older"))
            superseded = (sha256_of_content(day.archived),)
        before = day.files()
        failure = day.failed(Step.COMPRESS, superseded=superseded)
        assert failure.trouble is (Trouble.CONFLICT if restored else Trouble.CORRUPT)
        assert day.files() == before

    def test_killed_anywhere_it_is_simply_done_again(self, day: Any, kill_at: Callable[..., bool]) -> None:
        restored_day(day)
        day.backup_compressed.unlink()
        start, number = Snapshot(day), 0
        while kill_at(structs.replace(day.job, step=Step.COMPRESS), number):
            assert len(whole_copies(day)) >= 2, f"killed before call {number}"
            sweep_temporaries(day.root)
            assert isinstance(day.attempt(Step.COMPRESS), Done), f"killed before call {number}"
            assert list(day.files()) == [IN_ARCHIVE, IN_BACKUP]
            start.again()
            number += 1
        assert number > 15


def test_how_far_it_is_can_be_seen(day: Any, monkeypatch: Any) -> None:
    sealed = day.backed_up_day()
    cells = [0, 0]
    monkeypatch.setattr(progress._Listener, "cells", cells)
    day.done(Step.COMPRESS)
    assert cells == [sealed.size_bytes] * 2
