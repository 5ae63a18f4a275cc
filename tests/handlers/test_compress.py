"""Compressing: the originals go last, and only when both copies have been proven."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from msgspec import structs

from handlers.contract import Done, Step, Trouble
from handlers.files import sha256_of, signature_of, sweep_temporaries
from handlers.seekable import SeekableError, require_right_table, sha256_of_content

BOTH = [
    "backup/2026/01/ticks_2026-01-20.db.zst",
    "db/2026/01/ticks_2026-01-20.db.zst",
]


def whole_copies(day: Any) -> list[Path]:
    """Every file under a name that is looked for and that holds the sealed content."""
    plain = dict.fromkeys((day.database, day.retired, day.backup), sha256_of)
    packed = dict.fromkeys((day.compressed, day.backup_compressed), sha256_of_content)
    return [
        path
        for path, digest in {**plain, **packed}.items()
        if path.exists() and digest(path) == day.job.sealed.sha256
    ]


def plant(path: Path, content: bytes) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return content


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


class Start:
    """The state before compression, to be had again and again."""

    def __init__(self, day: Any) -> None:
        day.backed_up_day(100)
        self.day = day
        self.content = day.database.read_bytes()
        self.mtime_ns = day.database.stat().st_mtime_ns

    def again(self) -> None:
        day = self.day
        shutil.rmtree(day.root / "db")
        shutil.rmtree(day.root / "backup")
        plant(day.database, self.content)
        plant(day.backup, self.content)
        os.utime(day.database, ns=(self.mtime_ns, self.mtime_ns))
        sealed = structs.replace(day.job.sealed, signature=signature_of(day.database))
        day.job = structs.replace(day.job, sealed=sealed)


def test_killed_anywhere_it_is_simply_done_again(day: Any, kill_at: Callable[..., bool]) -> None:
    start = Start(day)
    number = 0
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
    start = Start(day)
    number = 0
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
