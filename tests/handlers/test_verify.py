"""Verifying: what has rotted is found and replaced; what the writer wrote is not; nothing is thrown away."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
import zstandard
from msgspec import structs

from handlers import copies, pace, repair
from handlers.contract import Archived, Lost, Repaired, Step, StepError, Trouble, Verified
from handlers.files import copy_hashed, sha256_of, signature_of
from handlers.pace import Pace
from handlers.seek_table import require_right_table
from handlers.seekable import compress_file, sha256_of_content
from handlers.verify import verify


def hot(day: Any, count: int = 1000) -> None:
    sealed = day.backed_up_day(count)
    day.job = structs.replace(day.job, step=Step.VERIFY, backup_sha256=sealed.sha256)


def warm(day: Any, count: int = 1000) -> None:
    hot(day, count)
    day.job = structs.replace(day.job, compressed=day.done(Step.COMPRESS))


def cold(day: Any, count: int = 1000) -> None:
    warm(day, count)
    day.archived.parent.mkdir(parents=True)
    day.compressed.rename(day.archived)
    packed = day.job.compressed
    archived = Archived(
        str(day.archived), packed.sha256, packed.compressed_sha256, packed.compressed_bytes, "rename"
    )
    day.job = structs.replace(day.job, archived=archived)


def restore(day: Any, count: int = 1000) -> None:
    """Warm, with the database put back beside the .zst."""
    hot(day, count)
    content = day.database.read_bytes()
    day.job = structs.replace(day.job, compressed=day.done(Step.COMPRESS))
    day.database.write_bytes(content)
    know_the_database(day)


def know_the_database(day: Any) -> None:
    sealed = structs.replace(day.job.sealed, signature=signature_of(day.database))
    day.job = structs.replace(day.job, sealed=sealed)


COPIES = [
    (hot, "database"),
    (hot, "backup"),
    (warm, "compressed"),
    (warm, "backup_compressed"),
    (cold, "archived"),
    (cold, "backup_compressed"),
    (restore, "database"),
    (restore, "compressed"),
]

PAIRS = [
    (hot, "database", "backup"),
    (warm, "compressed", "backup_compressed"),
    (cold, "archived", "backup_compressed"),
]

HOLDER = """
connection = connect(sys.argv[1])
run(connection, "SELECT count(*) FROM ticks")
say(); wait(); connection.close()
"""


def check(day: Any) -> Any:
    """Verify, and let the job know what the journal would."""
    result = day.done(Step.VERIFY)
    if isinstance(result, Repaired):
        sealed, packed = day.job.sealed, day.job.compressed
        if result.signature:
            sealed = structs.replace(sealed, signature=result.signature)
        if result.compressed_sha256:
            packed = structs.replace(
                packed,
                compressed_sha256=result.compressed_sha256,
                compressed_bytes=result.compressed_bytes,
            )
        day.job = structs.replace(day.job, sealed=sealed, compressed=packed)
    return result


@pytest.mark.parametrize("stage", [hot, warm, cold, restore])
def test_good_copies_are_read_to_the_last_byte_and_left_alone(day: Any, stage: Any) -> None:
    stage(day)
    before = day.files()
    result = day.done(Step.VERIFY)
    assert isinstance(result, Verified)
    assert [copy.problem for copy in result.copies] == [""] * len(before)
    assert result.bytes_read == sum(copy.size_bytes for copy in result.copies)
    assert {str(Path(copy.path).relative_to(day.root)) for copy in result.copies} == set(before)
    assert day.files() == before


@pytest.mark.parametrize("place", [0.0, 0.003, 0.25, 0.5, 0.75, -9, -5, -1])
@pytest.mark.parametrize(("stage", "name"), COPIES)
def test_a_flipped_bit_is_found_and_the_original_bytes_come_back(
    day: Any, flip: Callable[..., None], stage: Any, name: str, place: float
) -> None:
    stage(day)
    before, path = day.files(), getattr(day, name)
    size = path.stat().st_size
    flip(path, int(size * place) if place >= 0 else size + int(place))
    result = check(day)
    assert isinstance(result, Repaired)
    assert [repair.path for repair in result.repairs] == [str(path)]
    assert result.repairs[0].problem.startswith(
        ("differs from what was recorded: sha256 ", "has other bytes")
    )
    assert without_asides(day) == before
    assert isinstance(check(day), Verified)


def without_asides(day: Any) -> dict[str, str]:
    """A backup that passes SQLite's check with other bytes may be somebody's: it is set aside."""
    aside = [path for path in day.backup.parent.iterdir() if ".aside-" in path.name]
    assert [path.name.split(".aside-")[1] for path in aside] == [sha256_of(path)[:12] for path in aside]
    return {name: digest for name, digest in day.files().items() if ".aside-" not in name}


@pytest.mark.parametrize("left", [0, 1, 0.5, -1])
@pytest.mark.parametrize(("stage", "name"), COPIES)
def test_a_truncated_copy_is_made_whole_again(day: Any, stage: Any, name: str, left: float) -> None:
    stage(day)
    before, path = day.files(), getattr(day, name)
    status = path.stat()
    size = {0.5: status.st_size // 2, -1: status.st_size - 1}.get(left, int(left))
    os.truncate(path, size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    if name == "database":
        know_the_database(day)  # damage that left no trace: one that does is taken for a writer's
    result = check(day)
    problem = f"is truncated: {size} of {status.st_size} bytes"
    assert [each.problem.split(";")[0] for each in result.repairs] == [problem]
    assert (day.files() if size < status.st_size - 1 else without_asides(day)) == before
    assert isinstance(check(day), Verified)


@pytest.mark.parametrize("whole_directory", [False, True])
@pytest.mark.parametrize(("stage", "name"), COPIES[:6])
def test_a_missing_copy_is_made_again(day: Any, stage: Any, name: str, whole_directory: bool) -> None:
    stage(day)
    before, path = day.files(), getattr(day, name)
    shutil.rmtree(path.parent) if whole_directory else path.unlink()
    result = check(day)
    assert [(each.path, each.problem) for each in result.repairs] == [(str(path), "is missing")]
    assert day.files() == before
    assert isinstance(check(day), Verified)


@pytest.mark.parametrize(("stage", "first", "second"), PAIRS)
def test_with_both_copies_bad_nothing_is_thrown_away(
    day: Any, flip: Callable[..., None], stage: Any, first: str, second: str
) -> None:
    stage(day)
    flip(getattr(day, first), 300)
    flip(getattr(day, second), 700)
    before = day.files()
    result = day.done(Step.VERIFY)
    assert isinstance(result, Lost)
    assert result.ticks == 1000
    assert day.files() == {f"{name}.quarantined": digest for name, digest in before.items()}
    assert sorted(result.quarantined) == sorted(str(day.root / name) for name in day.files())
    assert all("differs from what was recorded" in copy.problem for copy in result.copies)
    assert day.job.key in result.error
    assert "tickward restore" in result.hint
    again = day.done(Step.VERIFY)
    assert isinstance(again, Lost)
    assert again.quarantined == result.quarantined
    assert {copy.problem for copy in again.copies} == {"is missing"}


@pytest.mark.parametrize(("stage", "first", "second"), PAIRS)
def test_one_copy_bad_and_the_other_missing_is_a_loss(
    day: Any, flip: Callable[..., None], stage: Any, first: str, second: str
) -> None:
    stage(day)
    flip(getattr(day, first), 300)
    getattr(day, second).unlink()
    result = day.done(Step.VERIFY)
    assert isinstance(result, Lost)
    assert result.quarantined == (f"{getattr(day, first)}.quarantined",)


def test_what_is_quarantined_already_keeps_its_name(day: Any, flip: Callable[..., None]) -> None:
    warm(day)
    for path in (day.compressed, day.backup_compressed):
        path.with_name(path.name + ".quarantined").write_bytes(b"an earlier one")
        flip(path, 300)
    before = day.files()
    result = day.done(Step.VERIFY)
    assert sorted(day.files().values()) == sorted(before.values())
    assert f"{day.compressed}.quarantined-2" in result.quarantined


def test_a_copy_that_is_brought_back_ends_the_loss(day: Any, flip: Callable[..., None]) -> None:
    warm(day)
    before, tape = day.files(), day.compressed.read_bytes()
    flip(day.compressed, 300)
    flip(day.backup_compressed, 700)
    assert isinstance(day.done(Step.VERIFY), Lost)
    day.backup_compressed.write_bytes(tape)
    assert isinstance(check(day), Repaired)
    assert {name: day.files()[name] for name in before} == before


def test_nothing_is_lost_where_a_directory_is_not_mounted(day: Any, flip: Callable[..., None]) -> None:
    cold(day)
    shutil.rmtree(day.archived.parent)
    flip(day.backup_compressed, 300)
    before = day.files()
    failure = day.failed(Step.VERIFY)
    assert str(day.archived.parent) in failure.message
    assert str(day.backup_compressed) in failure.problems[1]
    assert day.files() == before


@pytest.mark.parametrize("bad", ["", "backup"])
def test_late_ticks_are_never_repaired_away(day: Any, flip: Callable[..., None], bad: str) -> None:
    hot(day)
    if bad:
        flip(day.backup, 5000)
    day.fill(1, first=5000)
    before = day.files()
    failure = day.failed(Step.VERIFY)
    assert (failure.trouble, failure.retryable) == (Trouble.CHANGED, True)
    assert day.files() == before


@pytest.mark.parametrize("stage", [hot, warm, cold])
@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_ticks_in_a_log_beside_the_database_are_the_writers(day: Any, stage: Any, suffix: str) -> None:
    stage(day)
    day.beside(suffix).write_bytes(b"ticks, perhaps")
    before = day.files()
    assert day.failed(Step.VERIFY).trouble is Trouble.CHANGED
    assert day.files() == before


def test_a_late_database_beside_the_zst_is_the_writers(day: Any) -> None:
    warm(day)
    day.create()
    day.fill(3)
    day.compressed.unlink()
    before = day.files()
    assert day.failed(Step.VERIFY).trouble is Trouble.CHANGED
    assert day.files() == before


def test_a_database_that_is_held_for_writing_is_left_alone(
    day: Any, child: Callable[..., Any], flip: Callable[..., None]
) -> None:
    hot(day)
    flip(day.database, 9000)
    before = day.files()
    writer = child(HOLDER, day.database)
    failure = day.failed(Step.VERIFY)
    assert failure.trouble is Trouble.BUSY
    assert [holder.pid for holder in failure.holders] == [writer.pid]
    assert day.files() == before
    assert writer.end() == 0
    assert isinstance(check(day), Repaired)


@pytest.mark.parametrize("number", range(1, 6))
def test_a_writer_that_comes_during_the_repair_is_noticed(
    day: Any, flip: Callable[..., None], monkeypatch: Any, number: int
) -> None:
    hot(day)
    flip(day.database, 9000)
    real, calls = copies.sha256_at, iter(range(1, 100))

    def read(path: Path, pace: Any) -> str:
        if next(calls) == number:
            day.beside("-journal").write_bytes(b"half a commit")
        return real(path, pace)

    monkeypatch.setattr("handlers.copies.sha256_at", read)
    outcome = day.attempt(Step.VERIFY)
    came = day.beside("-journal").exists()
    assert came == (number <= 3)  # the database twice, the backup once
    assert getattr(outcome, "trouble", None) == (Trouble.CHANGED if came else None)
    if came:
        assert str(day.database) in outcome.problems[0]


@pytest.mark.parametrize("in_a_log", [True, False])
def test_a_writer_that_comes_during_the_reading_is_not_quarantined(
    day: Any, flip: Callable[..., None], monkeypatch: Any, in_a_log: bool
) -> None:
    hot(day)
    flip(day.database, 9000)
    flip(day.backup, 5000)
    real = copies.sha256_at

    def read(path: Path, pace: Any) -> str:
        if path == day.backup:
            day.beside("-wal").write_bytes(b"ticks") if in_a_log else os.utime(day.database)
        return real(path, pace)

    monkeypatch.setattr("handlers.copies.sha256_at", read)
    before = day.files()
    failure = day.failed(Step.VERIFY)
    assert failure.trouble is Trouble.CHANGED
    assert len(failure.problems) == 2
    assert {name: day.files()[name] for name in before} == before


@pytest.mark.parametrize("there", [True, False])
def test_a_writer_that_comes_while_the_replacement_is_written_keeps_its_file(
    day: Any, flip: Callable[..., None], monkeypatch: Any, there: bool
) -> None:
    hot(day)
    flip(day.database, 9000) if there else day.database.unlink()

    def write(source: Path, temp: Path, report: Any) -> str:
        day.database.write_bytes(b"the writer's")
        return copy_hashed(source, temp, report)

    monkeypatch.setattr("handlers.repair.copy_hashed", write)
    failure = day.failed(Step.VERIFY)
    assert (failure.trouble, failure.retryable) == (Trouble.CHANGED, True)
    assert day.database.read_bytes() == b"the writer's"
    assert day.temporaries() == []


def test_a_database_whose_retirement_was_interrupted_gets_its_name_back(day: Any) -> None:
    hot(day)
    day.database.rename(day.retired)
    assert isinstance(day.done(Step.VERIFY), Verified)
    assert day.database.exists()
    assert not day.retired.exists()


FLAWED = [
    (hot, "database", "copy_hashed"),
    (warm, "compressed", "copy_hashed"),
    (restore, "database", "unpack_file"),
    (restore, "both", "compress_file"),
]


@pytest.mark.parametrize("flaw", ["reads differently", "is written badly"])
@pytest.mark.parametrize(("stage", "name", "function"), FLAWED)
def test_what_is_not_proven_is_not_published(
    day: Any, flip: Callable[..., None], monkeypatch: Any, stage: Any, name: str, function: str, flaw: str
) -> None:
    stage(day)
    bad = [day.compressed, day.backup_compressed] if name == "both" else [getattr(day, name)]
    for path in bad:
        flip(path, 300)
    before = day.files()
    real = getattr(repair, function)

    def flawed(source: Path, temp: Path, *rest: Any, **options: Any) -> Any:
        result = real(source, temp, *rest, **options)
        if flaw == "is written badly":
            flip(temp, 300)
            return result
        return "0" * 64 if isinstance(result, str) else result._replace(content_sha256="0" * 64)

    monkeypatch.setattr(repair, function, flawed)
    failure = day.failed(Step.VERIFY)
    assert failure.retryable
    assert "failing" in failure.hint
    assert str(bad[0]) in failure.problems[0]
    assert day.files() == before


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_ticks_beside_the_backup_are_for_a_person(day: Any, suffix: str) -> None:
    hot(day)
    day.backup.with_name(day.backup.name + suffix).write_bytes(b"ticks")
    before = day.files()
    assert day.failed(Step.VERIFY).trouble is Trouble.CONFLICT
    assert day.files() == before


def test_a_backup_somebody_added_to_is_not_repaired(day: Any) -> None:
    hot(day)
    original = day.database.read_bytes()
    status = day.database.stat()
    day.fill(1, first=7000)
    shutil.copyfile(day.database, day.backup)
    day.database.write_bytes(original)
    os.utime(day.database, ns=(status.st_atime_ns, status.st_mtime_ns))
    before = day.files()
    failure = day.failed(Step.VERIFY)
    assert (failure.trouble, failure.retryable) == (Trouble.CONFLICT, False)
    assert "1001 ticks" in failure.message
    assert day.files() == before


class TestOtherBytes:
    """A .zst with the right content that another level, or another version, has written."""

    def pack(self, day: Any, path: Path, level: int = 1) -> str:
        plain = day.root / "plain"
        for source in (day.compressed, day.archived, day.backup_compressed):
            if source.exists():
                plain.write_bytes(zstandard.ZstdDecompressor().stream_reader(source.read_bytes()).read())
                break
        path.unlink(missing_ok=True)
        return compress_file(plain, path, level=level, frame_bytes=32 * 1024).compressed_sha256

    @pytest.mark.parametrize(("stage", "name"), [(warm, "compressed"), (cold, "backup_compressed")])
    def test_it_gives_way_to_a_right_one(self, day: Any, stage: Any, name: str) -> None:
        stage(day)
        before = day.files()
        self.pack(day, getattr(day, name))
        result = check(day)
        assert [each.problem for each in result.repairs] == [copies.OTHER_BYTES]
        assert result.compressed_sha256 == ""
        assert day.files() == before

    def test_it_is_the_good_one_where_the_right_one_is_bad(self, day: Any, flip: Callable[..., None]) -> None:
        warm(day)
        digest = self.pack(day, day.backup_compressed)
        flip(day.compressed, 100)
        result = check(day)
        assert [each.path for each in result.repairs] == [str(day.compressed)]
        assert result.compressed_sha256 == digest
        assert result.compressed_bytes == day.compressed.stat().st_size
        assert set(day.files().values()) == {digest}
        assert isinstance(check(day), Verified)

    def test_two_of_them_become_one(self, day: Any) -> None:
        warm(day)
        first, second = self.pack(day, day.compressed, 1), self.pack(day, day.backup_compressed, 5)
        result = check(day)
        assert first != second
        assert result.compressed_sha256 == first
        assert set(day.files().values()) == {first}

    def test_two_that_are_alike_are_only_recorded_anew(self, day: Any) -> None:
        warm(day)
        digest = self.pack(day, day.compressed)
        shutil.copyfile(day.compressed, day.backup_compressed)
        result = check(day)
        assert (result.repairs, result.compressed_sha256) == ((), digest)
        assert isinstance(check(day), Verified)

    def test_without_a_right_table_it_is_a_bad_one(self, day: Any) -> None:
        warm(day)
        before = day.files()
        content = zstandard.ZstdDecompressor().stream_reader(day.compressed.read_bytes()).read()
        day.compressed.write_bytes(zstandard.ZstdCompressor().compress(content))
        assert check(day).repairs[0].problem.endswith("the same content, and no right table of its parts")
        assert day.files() == before


@pytest.mark.parametrize("level", [3, 7])
@pytest.mark.parametrize("spare", ["database", "backup"])
def test_with_every_zst_bad_they_are_made_anew_from_an_uncompressed_copy(
    day: Any, flip: Callable[..., None], spare: str, level: int
) -> None:
    restore(day)
    if spare == "backup":
        day.database.rename(day.backup)
    recorded = day.job.compressed.compressed_sha256
    flip(day.compressed, 300)
    flip(day.backup_compressed, 700)
    day.job = structs.replace(day.job, options=structs.replace(day.job.options, level=level))
    result = check(day)
    assert [each.source for each in result.repairs] == [str(getattr(day, spare)), str(day.compressed)]
    assert sha256_of_content(day.compressed) == day.job.sealed.sha256
    require_right_table(day.compressed)
    digest = sha256_of(day.compressed)
    assert digest == sha256_of(day.backup_compressed)
    assert result.compressed_sha256 == ("" if digest == recorded else digest)
    assert isinstance(check(day), Verified)


def test_an_uncompressed_copy_is_repaired_from_a_zst(day: Any, flip: Callable[..., None]) -> None:
    restore(day)
    original = day.database.read_bytes()
    shutil.copyfile(day.database, day.backup)
    flip(day.database, 9000)
    result = check(day)
    assert [each.path for each in result.repairs] == [str(day.database)]
    assert day.database.read_bytes() == day.backup.read_bytes() == original
    assert isinstance(check(day), Verified)


UNEXPECTED = [
    (warm, "backup", "ticks"),
    (cold, "backup", "ticks"),
    (cold, "backup", "garbage"),
    (cold, "compressed", "ticks"),
    (cold, "compressed", "garbage"),
    (cold, "compressed", "rot"),
]
EXPECTED = [
    (hot, "backup"),
    (warm, "compressed"),
    (warm, "backup_compressed"),
    (cold, "archived"),
    (cold, "backup_compressed"),
]


class TestStrangers:
    """Files where a copy of the day could be, and which hold something else: their bytes stay."""

    def ticks(self, day: Any, count: int = 5) -> bytes:
        """Another database of the same table."""
        path = day.root / "other.db"
        connection = apsw.Connection(str(path))
        connection.execute("CREATE TABLE ticks (symbol TEXT, timestamp INTEGER)")
        connection.executemany("INSERT INTO ticks VALUES ('late', ?)", [(each,) for each in range(count)])
        connection.close()
        content: bytes = path.read_bytes()
        path.unlink()
        return content

    def put(self, day: Any, path: Path, what: str) -> bytes:
        content = {"ticks": self.ticks(day), "garbage": b"garbage" * 99, "rot": b""}[what]
        if what == "ticks" and path.suffix == ".zst":
            content = zstandard.ZstdCompressor().compress(content)
        if what == "rot":
            data = bytearray(day.archived.read_bytes())
            data[300] ^= 1
            content = bytes(data)
        path.write_bytes(content)
        return content

    @pytest.mark.parametrize(("stage", "name", "what"), UNEXPECTED)
    def test_where_no_copy_has_to_be_they_are_a_conflict(
        self, day: Any, stage: Any, name: str, what: str
    ) -> None:
        stage(day)
        path = getattr(day, name)
        self.put(day, path, what)
        before = day.files()
        failure = day.failed(Step.VERIFY)
        assert (failure.trouble, failure.retryable) == (Trouble.CONFLICT, False)
        assert str(path) in failure.message
        assert "move it away" in failure.hint
        assert day.files() == before
        path.unlink()
        assert isinstance(day.done(Step.VERIFY), Verified)

    @pytest.mark.parametrize(("stage", "name", "what"), UNEXPECTED)
    def test_the_copies_are_repaired_all_the_same_and_first(
        self, day: Any, flip: Callable[..., None], stage: Any, name: str, what: str
    ) -> None:
        stage(day)
        path = getattr(day, name)
        self.put(day, path, what)
        before = day.files()
        flip(day.backup_compressed, 300)
        result = check(day)
        assert [each.path for each in result.repairs] == [str(day.backup_compressed)]
        assert [copy.path for copy in result.copies if copy.problem] == [
            str(day.backup_compressed),
            str(path),
        ]
        assert day.files() == before
        assert day.failed(Step.VERIFY).trouble is Trouble.CONFLICT

    @pytest.mark.parametrize(("stage", "name", "what"), UNEXPECTED)
    def test_a_loss_does_not_quarantine_them(
        self, day: Any, flip: Callable[..., None], stage: Any, name: str, what: str
    ) -> None:
        stage(day)
        path = getattr(day, name)
        content = self.put(day, path, what)
        first = day.archived if day.job.archived else day.compressed
        flip(first, 400)
        flip(day.backup_compressed, 700)
        result = day.done(Step.VERIFY)
        assert isinstance(result, Lost)
        assert len(result.quarantined) == 2
        assert str(path) in {copy.path for copy in result.copies}
        assert path.read_bytes() == content

    @pytest.mark.parametrize("name", ["compressed", "backup_compressed"])
    def test_a_sound_one_is_not_called_truncated(self, day: Any, name: str) -> None:
        warm(day)
        self.put(day, getattr(day, name), "ticks")
        assert getattr(day, name).stat().st_size < day.job.compressed.compressed_bytes
        problems = {copy.path: copy.problem for copy in day.done(Step.VERIFY).copies}
        assert problems[str(getattr(day, name))].startswith("holds something else than was sealed")

    @pytest.mark.parametrize(("stage", "name"), EXPECTED)
    def test_in_the_place_of_a_copy_they_are_set_aside(self, day: Any, stage: Any, name: str) -> None:
        stage(day)
        before, path = day.files(), getattr(day, name)
        content = self.put(day, path, "ticks")
        aside = path.with_name(f"{path.name}.aside-{sha256_of(path)[:12]}")
        result = check(day)
        assert [each.path for each in result.repairs] == [str(path)]
        assert result.repairs[0].problem.endswith(f"; it is kept as {aside}")
        assert aside.read_bytes() == content
        assert not aside.samefile(path)
        assert {name: day.files()[name] for name in before} == before
        assert isinstance(check(day), Verified)

    @pytest.mark.parametrize("name", ["compressed", "backup_compressed"])
    def test_an_older_content_of_the_day_is_none(self, day: Any, name: str) -> None:
        warm(day)
        before, path = day.files(), getattr(day, name)
        self.put(day, path, "ticks")
        day.job = structs.replace(day.job, superseded=(sha256_of_content(path),))
        check(day)
        assert day.files() == before

    @pytest.mark.parametrize(("stage", "name"), [(hot, "backup"), (cold, "archived")])
    def test_killed_anywhere_their_bytes_are_there(
        self, day: Any, kill_at: Callable[..., bool], stage: Any, name: str
    ) -> None:
        stage(day, 100)
        path = getattr(day, name)
        self.put(day, path, "ticks")
        digest, start, number = sha256_of(path), Start(day), 0
        start.again()
        while kill_at(day.job, number):
            assert digest in day.files().values(), f"killed before call {number}"
            check(day)
            assert list(day.files().values()).count(digest) == 1
            assert isinstance(check(day), Verified)
            start.again()
            number += 1
        assert number > 8

    def test_one_that_changes_meanwhile_is_left_alone(self, day: Any, monkeypatch: Any) -> None:
        warm(day)
        self.put(day, day.compressed, "ticks")
        real = repair.set_aside

        def and_written_to(path: Path, digest: str) -> Path:
            aside = real(path, digest)
            with path.open("ab") as file:
                file.write(b"more")
            return aside

        monkeypatch.setattr(repair, "set_aside", and_written_to)
        assert day.failed(Step.VERIFY).retryable
        assert day.compressed.read_bytes().endswith(b"more")


def test_what_an_interrupted_compression_wrote_saves_the_day(day: Any, flip: Callable[..., None]) -> None:
    hot(day)
    original = day.database.read_bytes()
    compress_file(day.database, day.backup_compressed, level=1, frame_bytes=4096)
    flip(day.database, 9000)
    flip(day.backup, 700)
    result = check(day)
    assert {each.source for each in result.repairs} == {str(day.backup_compressed)}
    assert day.database.read_bytes() == day.backup.read_bytes() == original


def test_an_older_backup_is_no_bad_copy(day: Any) -> None:
    day.backed_up_day()
    older = sha256_of(day.backup)
    day.fill(5, first=6000)
    day.seal()
    day.job = structs.replace(day.job, backup_sha256=older)
    before = day.files()
    result = day.done(Step.VERIFY)
    assert [copy.path for copy in result.copies] == [str(day.database)]
    assert day.files() == before


def test_a_backup_that_is_only_another_name_becomes_a_copy(day: Any) -> None:
    hot(day)
    day.backup.unlink()
    day.backup.hardlink_to(day.database)
    before = day.files()
    result = check(day)
    assert "the same file" in result.repairs[0].problem
    assert not day.backup.samefile(day.database)
    assert day.files() == before


def test_one_bad_reading_is_no_damage(day: Any, monkeypatch: Any) -> None:
    hot(day)
    real, bad = copies.sha256_at, {str(day.database), str(day.backup)}

    def read(path: Path, pace: Any) -> str:
        digest = real(path, pace)
        if str(path) in bad:
            bad.discard(str(path))
            return "0" * 64
        return digest

    monkeypatch.setattr("handlers.copies.sha256_at", read)
    result = day.done(Step.VERIFY)
    assert isinstance(result, Verified)
    assert result.bytes_read == 2 * sum(copy.size_bytes for copy in result.copies)
    assert bad == set()


def unreadable(monkeypatch: Any, path: Path, number: int) -> None:
    real = copies.sha256_at

    def read(each: Path, pace: Any) -> str:
        if each == path:
            raise OSError(number, os.strerror(number), str(path))
        return real(each, pace)

    monkeypatch.setattr("handlers.copies.sha256_at", read)


def test_a_bad_sector_is_damage(day: Any, monkeypatch: Any) -> None:
    warm(day)
    before = day.files()
    unreadable(monkeypatch, day.compressed, errno.EIO)
    result = day.done(Step.VERIFY)
    assert [each.problem for each in result.repairs] == ["cannot be read: Input/output error"]
    assert day.files() == before


@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE, errno.ENOMEM])
def test_a_copy_that_may_not_be_read_is_not_declared_lost(
    day: Any, flip: Callable[..., None], monkeypatch: Any, number: int
) -> None:
    warm(day)
    flip(day.compressed, 300)
    before = day.files()
    unreadable(monkeypatch, day.backup_compressed, number)
    failure = day.failed(Step.VERIFY)
    assert (failure.trouble, failure.retryable) == (Trouble.FAILED, True)
    assert str(day.compressed) in failure.problems[0]
    assert day.files() == before


def test_a_day_that_was_never_sealed_is_refused(day: Any) -> None:
    day.create()
    with pytest.raises(StepError, match="not been sealed"):
        verify(day.job)


@pytest.mark.parametrize(("stage", "name"), COPIES)
def test_a_full_disk_says_what_is_bad_and_changes_nothing(
    day: Any,
    flip: Callable[..., None],
    with_full_disk: Callable[..., Any],
    stage: Any,
    name: str,
) -> None:
    stage(day)
    flip(getattr(day, name), 300)
    before = day.files()
    failure = with_full_disk(day.job, 5_000)
    assert failure.retryable
    assert "free space on" in failure.hint
    assert f"{getattr(day, name)} differs" in failure.problems[0]
    assert day.files() == before


def test_who_could_use_a_copy_can_use_what_takes_its_place(day: Any, flip: Callable[..., None]) -> None:
    hot(day)
    day.database.chmod(0o640)
    day.backup.chmod(0o600)
    flip(day.database, 9000)
    check(day)
    assert day.database.stat().st_mode & 0o777 == 0o640


def test_a_database_that_is_made_again_is_the_writers_to_write(day: Any) -> None:
    hot(day)
    day.database.unlink()
    day.database.parent.chmod(0o775)
    check(day)
    assert day.database.stat().st_mode & 0o660 == 0o660


@pytest.mark.parametrize(("stage", "name"), COPIES)
def test_the_tick_writers_reserve_is_not_touched(
    day: Any, flip: Callable[..., None], monkeypatch: Any, stage: Any, name: str
) -> None:
    stage(day)
    flip(getattr(day, name), 300)
    before = day.files()
    monkeypatch.setattr("handlers.files.RESERVE_BYTES", 1 << 60)
    failure = day.failed(Step.VERIFY)
    assert "not enough space" in failure.message
    assert str(getattr(day, name)) in failure.problems[0]
    assert day.files() == before


class Start:
    """The state before a repair, to be had again and again."""

    def __init__(self, day: Any) -> None:
        self.day, self.job = day, day.job
        self.kept = {day.root / name: (day.root / name).read_bytes() for name in day.files()}

    def again(self) -> None:
        day = self.day
        for name in day.files():
            (day.root / name).unlink()
        for path, content in self.kept.items():
            path.write_bytes(content)
        day.job = self.job
        if day.database.exists():
            know_the_database(day)


def good_copies(day: Any) -> set[str]:
    raw = [path for path in (day.database, day.backup) if path.exists()]
    packed = [path for path in (day.compressed, day.backup_compressed, day.archived) if path.exists()]
    right, recorded = day.job.sealed.sha256, day.job.compressed
    good = {str(path) for path in raw if sha256_of(path) == right}
    return good | {str(path) for path in packed if sha256_of(path) == recorded.compressed_sha256}


@pytest.mark.parametrize(
    ("stage", "bad"),
    [
        (hot, ["database"]),
        (cold, ["backup_compressed"]),
        (restore, ["database", "compressed"]),
        (restore, ["compressed", "backup_compressed"]),
    ],
)
def test_a_repair_that_is_killed_anywhere_is_simply_done_again(
    day: Any, flip: Callable[..., None], kill_at: Callable[..., bool], stage: Any, bad: list[str]
) -> None:
    stage(day, 100)
    whole = day.files()
    for number, name in enumerate(bad):
        flip(getattr(day, name), 200 + 100 * number)
    start = Start(day)
    start.again()
    good = good_copies(day)
    number = 0
    while kill_at(day.job, number):
        assert good_copies(day) >= good, f"killed before call {number}"
        result = check(day)
        assert isinstance(result, Repaired | Verified), f"killed before call {number}"
        assert {name: digest for name, digest in day.files().items() if "tmp" not in name} == whole
        assert isinstance(check(day), Verified)
        start.again()
        number += 1
    assert number > 8
    assert day.files() == whole


@pytest.mark.parametrize(("stage", "first", "second"), PAIRS[:2])
def test_a_quarantine_that_is_killed_anywhere_is_simply_done_again(
    day: Any,
    flip: Callable[..., None],
    kill_at: Callable[..., bool],
    stage: Any,
    first: str,
    second: str,
) -> None:
    stage(day, 100)
    flip(getattr(day, first), 300)
    flip(getattr(day, second), 700)
    start = Start(day)
    start.again()
    before = day.files()
    number = 0
    while kill_at(day.job, number):
        assert set(day.files().values()) == set(before.values()), f"killed before call {number}"
        result = day.done(Step.VERIFY)
        assert isinstance(result, Lost)
        assert day.files() == {f"{name}.quarantined": digest for name, digest in before.items()}
        assert len(result.quarantined) == 2
        start.again()
        number += 1
    assert number > 8


class TestPace:
    def test_it_never_reads_faster_than_it_may(self, day: Any, monkeypatch: Any) -> None:
        hot(day)
        size = sum(path.stat().st_size for path in (day.database, day.backup))
        slept: list[float] = []
        clock = FakeClock(slept)
        monkeypatch.setattr(pace.time, "monotonic", clock.now)
        monkeypatch.setattr(pace.time, "sleep", clock.sleep)
        options = structs.replace(day.job.options, bytes_per_second=size / 40)
        assert isinstance(verify(structs.replace(day.job, options=options)), Verified)
        assert sum(slept) == pytest.approx(40)
        assert max(slept) < 10

    def test_without_a_bound_it_does_not_wait(self) -> None:
        slept: list[float] = []
        Pace(0, sleep=slept.append).took(10**12)
        assert slept == []

    def test_what_was_not_read_in_time_is_not_caught_up_with(self) -> None:
        slept: list[float] = []
        clock = FakeClock(slept)
        pace = Pace(100, clock=clock.now, sleep=clock.sleep)
        pace.took(100)
        clock.time += 1000
        pace.took(100)
        pace.took(100)
        assert slept == [1, 1, 1]

    def test_it_tells_how_far_it_is(self, monkeypatch: Any) -> None:
        told: list[tuple[int, int]] = []
        monkeypatch.setattr("handlers.pace.report", lambda done, total: told.append((done, total)))
        pace = Pace(0, total_bytes=30)
        for _ in range(4):
            pace.took(10)
        assert told == [(10, 30), (20, 30), (30, 30), (40, 40)]
        assert pace.bytes_read == 40


class FakeClock:
    def __init__(self, slept: list[float]) -> None:
        self.time, self.slept = 50.0, slept

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.time += seconds
