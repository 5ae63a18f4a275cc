"""Adopting: what copies prove of a day that nobody here has sealed, and that nothing is changed for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
import pyzstd
import zstandard
from msgspec import structs

from handlers.contract import Adopted, Adopting, Copy, Job, Sealed, Step, Trouble
from handlers.files import sha256_of
from handlers.seek_table import SeekableError, read_table
from handlers.seekable import sha256_of_content
from handlers.vfs import open_path, settle
from tests.handlers.aged import archived_day, compressed_day

SMALL_WINDOW = zstandard.ZstdCompressionParameters.from_level(3, window_log=17)
OTHERS: dict[str, Callable[[bytes], bytes]] = {
    "one frame": zstandard.ZstdCompressor(level=3).compress,
    "no content size, no checksum": zstandard.ZstdCompressor(
        level=1, write_content_size=False, write_checksum=False
    ).compress,
    "with a checksum": zstandard.ZstdCompressor(level=9, write_checksum=True).compress,
    "several frames": lambda data: b"".join(
        zstandard.ZstdCompressor().compress(data[start : start + 50_000])
        for start in range(0, len(data), 50_000)
    ),
    "another window": zstandard.ZstdCompressor(compression_params=SMALL_WINDOW).compress,
    "pyzstd": lambda data: pyzstd.compress(data, 5),
}
"""How scripts may have compressed a day: no part of any of them can be read alone."""


def strange(day: Any, how: str = "one frame", count: int = 1000) -> Sealed:
    """The day as a script has left it: compressed in its place, and nothing else is there."""
    sealed: Sealed = day.backed_up_day(count)
    day.compressed.write_bytes(OTHERS[how](day.database.read_bytes()))
    day.database.unlink()
    day.backup.unlink()
    return forgotten(day, sealed)


def forgotten(day: Any, sealed: Sealed) -> Sealed:
    """The journal is lost."""
    scratch = Adopting(str(day.root / "state" / "adopt" / "day.db"))
    day.job = structs.replace(
        day.job, sealed=None, compressed=None, archived=None, adopting=scratch, by="ann"
    )
    return sealed


def reencoding(day: Any) -> dict[str, Any]:
    return {"adopting": structs.replace(day.job.adopting, reencode=True)}


def as_sealed(found: Sealed) -> Sealed:
    return structs.replace(found, signature=None)


class TestWhatIsProven:
    @pytest.mark.parametrize("how", OTHERS)
    def test_the_content_whoever_has_compressed_it(self, day: Any, how: str) -> None:
        sealed = strange(day, how)
        before = day.files()
        found: Adopted = day.done(Step.ADOPT)
        assert as_sealed(found.sealed) == as_sealed(sealed)
        assert found.compressed is not None
        assert found.compressed.sha256 == sealed.sha256
        assert found.compressed.compressed_sha256 == sha256_of(day.compressed)
        assert (found.compressed.level, found.compressed.frame_bytes) == (0, 0)
        assert (found.path, found.archived, found.backed_up) == (str(day.compressed), None, None)
        assert found.copies == (Copy(str(day.compressed), day.compressed.stat().st_size),)
        assert (found.by, found.reencoded) == ("ann", False)
        assert day.files() == before, "nothing is changed, and nothing left behind"

    def test_of_ours_also_how_large_the_parts_are_that_can_be_read_alone(self, day: Any) -> None:
        forgotten(day, compressed_day(day).job.sealed)
        found = day.done(Step.ADOPT)
        assert 0 < found.compressed.frame_bytes <= 64 * 1024
        assert [copy.path for copy in found.copies] == [str(day.compressed), str(day.backup_compressed)]
        assert not any(copy.problem for copy in found.copies)

    def test_of_a_cold_day_that_it_is_in_the_archive(self, day: Any) -> None:
        sealed = forgotten(day, archived_day(day).job.sealed)
        found = day.done(Step.ADOPT)
        assert found.path == found.archived.path == str(day.archived)
        assert (found.archived.sha256, found.archived.moved_by) == (sealed.sha256, "adopted")
        assert found.compressed.compressed_sha256 == found.archived.compressed_sha256

    @pytest.mark.parametrize("packed", [True, False])
    def test_of_a_day_of_which_only_the_backup_is_left_what_it_was(self, day: Any, packed: bool) -> None:
        sealed = compressed_day(day).job.sealed if packed else day.backed_up_day(100)
        (day.compressed if packed else day.database).unlink()
        forgotten(day, sealed)
        found = day.done(Step.ADOPT)
        assert found.sealed.sha256 == sealed.sha256
        assert (found.compressed is None, found.backed_up is None) == (not packed, packed)

    def test_late_and_strange_tables_count_nothing(self, day: Any) -> None:
        day.create()
        connection = apsw.Connection(str(day.database))
        connection.execute("DROP TABLE ticks; CREATE TABLE quotes (x)")
        connection.close()
        sealed = day.seal()
        day.compressed.write_bytes(OTHERS["one frame"](day.database.read_bytes()))
        day.database.unlink()
        forgotten(day, sealed)
        assert day.done(Step.ADOPT).sealed.counted is False


class TestWhatIsKnown:
    def test_one_that_had_more_when_it_was_sealed_is_not_this(self, day: Any) -> None:
        """A writer has deleted from it, which broke the seal; then a script compressed what was left."""
        day.create()
        day.fill(60)
        before = day.seal()
        with closing(apsw.Connection(str(day.database))) as connection:
            connection.execute("DELETE FROM ticks WHERE rowid > 30")
        day.compressed.write_bytes(OTHERS["one frame"](day.database.read_bytes()))
        day.database.unlink()
        forgotten(day, before)
        failure = day.failed(Step.ADOPT, previous=before, superseded=(before.sha256,))
        assert failure.trouble is Trouble.CONFLICT
        assert "60 -> 30" in failure.message
        assert isinstance(day.done(Step.ADOPT), Adopted), "without that memory it is a day"


class TestWhatIsNot:
    @pytest.mark.parametrize(
        ("spoil", "problem"),
        [
            (lambda data: data[: len(data) // 2], "day.db.zst"),
            (lambda data: data[:-7] + b"garbage", "day.db.zst"),
            (lambda _: b"no frame at all", "day.db.zst"),
            (lambda _: OTHERS["one frame"](b"no database " * 100), "is not an SQLite database"),
            (lambda _: OTHERS["one frame"](b""), "is empty"),
            (lambda data: OTHERS["one frame"](with_a_bad_page(data)), "is damaged"),
        ],
    )
    def test_a_copy_that_is_no_day_is_named_and_stays(
        self, day: Any, spoil: Callable[[bytes], bytes], problem: str
    ) -> None:
        strange(day)
        day.compressed.write_bytes(spoil(day.compressed.read_bytes()))
        before = day.files()
        failure = day.failed(Step.ADOPT)
        assert failure.trouble is Trouble.CORRUPT
        assert len(failure.problems) == 1
        assert problem.replace("day.db.zst", day.compressed.name) in failure.problems[0]
        assert failure.problems[0] in failure.message
        assert failure.message.count(str(day.compressed)) == 1
        assert "tickward-tmp" not in failure.message, "a name that nobody has seen"
        assert "\n" not in failure.message
        assert day.files() == before

    @pytest.mark.parametrize("which", ["compressed", "backup_compressed"])
    @pytest.mark.parametrize("others", ["truncated", "another window"])
    def test_a_copy_that_cannot_be_read_may_be_the_better_one(
        self, day: Any, which: str, others: str
    ) -> None:
        forgotten(day, compressed_day(day).job.sealed)
        path = getattr(day, which)
        if others == "truncated":
            path.write_bytes(path.read_bytes()[:-100])
        else:
            huge = zstandard.ZstdCompressionParameters.from_level(3, window_log=29)
            stream = zstandard.ZstdCompressor(compression_params=huge).compressobj()
            path.write_bytes(stream.compress(with_one_more_tick(day)) + stream.flush())
        before = day.files()
        failure = day.failed(Step.ADOPT)
        assert failure.trouble is Trouble.CONFLICT
        assert failure.message.startswith(f"{path} cannot be read: ")
        assert failure.message.count(str(path)) == 1
        assert day.files() == before
        path.unlink()
        day.done(Step.ADOPT)

    def test_a_file_that_is_still_being_written_is_no_damage(self, day: Any, child: Any) -> None:
        strange(day)
        day.compressed.write_bytes(day.compressed.read_bytes()[:-100])
        writer = child("file = open(sys.argv[1], 'ab'); say(); wait()", day.compressed)
        assert day.failed(Step.ADOPT).trouble is Trouble.BUSY
        writer.close()
        assert day.failed(Step.ADOPT).trouble is Trouble.CORRUPT

    @pytest.mark.parametrize("suffix", ["-wal", "-journal"])
    @pytest.mark.parametrize("where", ["database", "backup"])
    def test_ticks_that_no_copy_has_yet_are_not_left_out(self, day: Any, where: str, suffix: str) -> None:
        forgotten(day, compressed_day(day).job.sealed)
        log = Path(f"{getattr(day, where)}{suffix}")
        log.write_bytes(b"ticks")
        failure = day.failed(Step.ADOPT)
        assert failure.trouble is Trouble.CONFLICT
        assert str(log) in failure.message

    def test_of_a_backup_of_other_bytes_that_it_is_one_of_ours(self, day: Any) -> None:
        forgotten(day, compressed_day(day).job.sealed)
        day.backup_compressed.write_bytes(OTHERS["pyzstd"](zstd_content(day.compressed)))
        copies = {copy.path: copy.problem for copy in day.done(Step.ADOPT).copies}
        assert "other bytes" in copies[str(day.backup_compressed)]

    def test_two_whole_contents_are_a_conflict(self, day: Any) -> None:
        forgotten(day, compressed_day(day).job.sealed)
        day.backup_compressed.write_bytes(OTHERS["one frame"](with_one_more_tick(day)))
        before = day.files()
        failure = day.failed(Step.ADOPT)
        assert failure.trouble is Trouble.CONFLICT
        assert str(day.backup_compressed) in failure.message
        assert day.files() == before

    def test_a_backup_that_sqlite_has_made_is_no_other_version_of_the_day(self, day: Any) -> None:
        forgotten(day, compressed_day(day).job.sealed)
        source, other = day.root / "a.db", day.root / "b.db"
        source.write_bytes(zstd_content(day.compressed))
        connection = apsw.Connection(str(source))
        connection.execute("VACUUM INTO ?", (str(other),))
        connection.close()
        day.backup_compressed.write_bytes(OTHERS["one frame"](other.read_bytes()))
        assert other.read_bytes() != source.read_bytes()
        for name in (source, other):
            name.unlink()
        found = day.done(Step.ADOPT)
        assert "every query finds the same" in found.copies[1].problem

    def test_nor_an_uncompressed_one_and_it_gives_way_to_a_compressed_one(self, day: Any) -> None:
        forgotten(day, compressed_day(day).job.sealed)
        day.backup_compressed.unlink()
        content = day.root / "a.db"
        content.write_bytes(zstd_content(day.compressed))
        connection = apsw.Connection(str(content))
        connection.execute("VACUUM INTO ?", (str(day.backup),))
        connection.close()
        content.unlink()
        found = day.done(Step.ADOPT)
        assert "every query finds the same" in found.copies[1].problem
        day.job = structs.replace(day.job, sealed=found.sealed, compressed=found.compressed)
        day.done(Step.COMPRESS)
        assert not day.backup.exists()
        assert sha256_of_content(day.backup_compressed) == found.sealed.sha256

    def test_more_than_there_is_room_for_is_not_taken_for_damage(self, day: Any, monkeypatch: Any) -> None:
        strange(day)
        monkeypatch.setattr("handlers.unknown.room_in", lambda _: 10_000)
        failure = day.failed(Step.ADOPT)
        assert failure.trouble is Trouble.FAILED
        assert "no room" in failure.message

    def test_an_original_whose_compression_was_interrupted_gets_its_name_back(self, day: Any) -> None:
        sealed = compressed_day(day).job.sealed
        day.retired.write_bytes(zstd_content(day.compressed))
        forgotten(day, sealed)
        assert day.failed(Step.ADOPT).retryable
        assert sha256_of(day.database) == sealed.sha256

    def test_a_database_that_came_meanwhile_is_left_to_be_sealed(self, day: Any) -> None:
        strange(day)
        day.database.write_bytes(b"")
        failure = day.failed(Step.ADOPT)
        assert failure.retryable
        assert "sealed" in failure.hint

    def test_without_any_copy_there_is_nothing_to_adopt(self, day: Any) -> None:
        strange(day)
        day.compressed.unlink()
        assert day.failed(Step.ADOPT).trouble is Trouble.FAILED


class TestMadeAnew:
    @pytest.mark.parametrize("how", OTHERS)
    def test_parts_can_be_read_alone(self, day: Any, how: str) -> None:
        sealed = strange(day, how)
        with pytest.raises(SeekableError):
            read_table(day.compressed)
        found = day.done(Step.ADOPT, **reencoding(day))
        assert found.reencoded
        assert (found.compressed.level, found.compressed.sha256) == (3, sealed.sha256)
        assert found.compressed.frame_bytes == max(
            frame.content_bytes for frame in read_table(day.compressed)
        )
        assert found.compressed.compressed_sha256 == sha256_of(day.compressed)
        assert sha256_of_content(day.compressed) == sealed.sha256
        assert found.copies[0].size_bytes == day.compressed.stat().st_size

    def test_a_second_copy_follows(self, day: Any) -> None:
        strange(day)
        day.backup_compressed.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(day.compressed, day.backup_compressed)
        found = day.done(Step.ADOPT, **reencoding(day))
        assert sha256_of(day.backup_compressed) == sha256_of(day.compressed)
        assert [copy.problem for copy in found.copies] == ["", ""]

    def test_not_what_can_be_read_in_parts_already(self, day: Any) -> None:
        forgotten(day, compressed_day(day).job.sealed)
        before = day.files()
        assert not day.done(Step.ADOPT, **reencoding(day)).reencoded
        assert day.files() == before

    def test_a_day_that_is_known_keeps_its_seal(self, day: Any) -> None:
        strange(day)
        found = day.done(Step.ADOPT)
        day.job = structs.replace(day.job, sealed=found.sealed, compressed=found.compressed)
        again = day.done(Step.ADOPT, **reencoding(day))
        assert again.sealed == found.sealed
        assert again.compressed.compressed_sha256 != found.compressed.compressed_sha256

    def test_what_is_not_what_was_sealed_is_a_conflict(self, day: Any) -> None:
        strange(day)
        other = structs.replace(day.done(Step.ADOPT).sealed, sha256="ab")
        failure = day.failed(Step.ADOPT, sealed=other, **reencoding(day))
        assert failure.trouble is Trouble.CONFLICT

    def test_killed_anywhere_a_whole_copy_is_left_and_it_is_done_again(
        self, day: Any, kill_at: Callable[[Job, int], bool], tmp_path: Path
    ) -> None:
        sealed = strange(day, count=50)
        day.backup_compressed.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(day.compressed, day.backup_compressed)
        job = structs.replace(day.job, step=Step.ADOPT, **reencoding(day))
        packed = day.compressed.read_bytes()
        number = 0
        while True:
            for path in (day.compressed, day.backup_compressed):
                path.write_bytes(packed)
            killed = kill_at(job, number)
            for path in (day.compressed, day.backup_compressed):
                assert sha256_of_content(path) == sealed.sha256, number
            if not killed:
                break
            assert day.done(Step.ADOPT, **reencoding(day)).sealed.sha256 == sealed.sha256
            assert sha256_of(day.backup_compressed) == sha256_of(day.compressed), number
            number += 3 if os.environ.get("LONG_TESTS") is None else 1
        assert number > 40


class TestRead:
    def test_where_there_is_no_room_for_it_that_is_said(self, day: Any, monkeypatch: Any) -> None:
        strange(day)
        monkeypatch.setattr("handlers.vfs.room_in", lambda _: 10_000)
        with pytest.raises(SeekableError, match="TMPDIR"):
            open_path(day.compressed)

    @pytest.mark.parametrize("how", OTHERS)
    def test_a_zst_of_others_answers(self, day: Any, how: str) -> None:
        strange(day, how)
        connection = open_path(day.compressed)
        assert connection.execute("SELECT count(*) FROM ticks").get == 1000
        settle(connection)
        with pytest.raises(apsw.ReadOnlyError):
            connection.execute("DELETE FROM ticks")
        connection.close()

    def test_what_does_not_decompress_is_said_by_its_name(self, day: Any) -> None:
        strange(day)
        day.compressed.write_bytes(day.compressed.read_bytes()[:-20])
        with pytest.raises(SeekableError, match=day.compressed.name):
            open_path(day.compressed)


def with_a_bad_page(packed: bytes) -> bytes:
    """What a .zst holds, of which SQLite says something on two lines."""
    content = zstandard.decompress(packed)
    return content[:8192] + b"\xff" * 2000 + content[10192:]


def with_one_more_tick(day: Any) -> bytes:
    other: Path = day.root / "other.db"
    other.write_bytes(zstd_content(day.compressed))
    connection = apsw.Connection(str(other))
    connection.execute("INSERT INTO ticks (symbol, timestamp) VALUES ('late', 1)")
    connection.close()
    content = other.read_bytes()
    other.unlink()
    return content


def zstd_content(path: Path) -> bytes:
    content: bytes = pyzstd.decompress(path.read_bytes())
    return content
