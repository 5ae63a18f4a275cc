"""The seekable format as others know it: the zstd program and pyzstd read ours, and we read theirs."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from pyzstd import CParameter, SeekableZstdFile, decompress

from handlers.progress import silent
from handlers.reader import CACHE_BYTES, Reader
from handlers.seek_table import (
    FileRanges,
    SeekableError,
    read_table,
    require_right_table,
    table_bytes,
    table_of,
)
from handlers.seekable import compress_file, read_back
from handlers.unpack import unpack_file
from handlers.vfs import open_path, settle

MIB = 1 << 20
QUERIES = (
    "SELECT count(*), min(id), max(id), sum(bid) FROM ticks",
    "SELECT symbol, count(*), avg(ask - bid) FROM ticks GROUP BY symbol ORDER BY symbol",
    "SELECT id, bid FROM ticks WHERE symbol = 'S3' AND timestamp BETWEEN 20000 AND 20200 ORDER BY id",
    "SELECT * FROM ticks WHERE id = 31415",
    "PRAGMA integrity_check",
)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 3 MB, with an index."""
    path = tmp_path_factory.mktemp("day") / "day.db"
    connection = apsw.Connection(str(path))
    connection.execute(
        "CREATE TABLE ticks (id INTEGER PRIMARY KEY, symbol TEXT, timestamp INTEGER, bid REAL, ask REAL);"
        "CREATE INDEX by_symbol ON ticks (symbol, timestamp)"
    )
    rng, price, rows = random.Random(4), 1.1, []
    for at in range(55_000):
        price += rng.choice((-1, 0, 1)) / 10_000
        rows.append((f"S{rng.randrange(7)}", at, price, price + rng.randrange(1, 9) / 10_000))
    with connection:
        connection.executemany("INSERT INTO ticks (symbol, timestamp, bid, ask) VALUES (?, ?, ?, ?)", rows)
    connection.close()
    return path


def by_pyzstd(source: Path, target: Path, frame_bytes: int, *, checksums: bool = False) -> Path:
    """``source`` as pyzstd writes it: no checksums in its table, and in its frames only if asked for."""
    options = {CParameter.compressionLevel: 3, CParameter.checksumFlag: int(checksums)}
    with (
        source.open("rb") as reader,
        SeekableZstdFile(target, "w", level_or_option=options, max_frame_content_size=frame_bytes) as writer,
    ):
        shutil.copyfileobj(reader, writer, MIB)
    return target


def with_table_checksums(path: Path) -> None:
    """What the format's own library writes if asked to: the checksums of the frames in the table too."""
    frames, data = list(read_table(path)), path.read_bytes()
    body = data[: -table_bytes(len(frames), checksums=False)]
    ends = [each.offset + each.compressed_bytes for each in frames]
    sums = [int.from_bytes(data[end - 4 : end], "little") for end in ends]
    entries = [
        (each.compressed_bytes, each.content_bytes, found) for each, found in zip(frames, sums, strict=True)
    ]
    path.write_bytes(body + table_of(entries))


def require_same_answers(packed: Path, plain: Path) -> None:
    here, there = open_path(packed), open_path(plain)
    for query in QUERIES:
        assert here.execute(query).fetchall() == there.execute(query).fetchall()
    settle(here)
    here.close()
    there.close()


def require_read_at_random(read: Callable[[int, int], bytes], content: bytes) -> None:
    rng = random.Random(len(content))
    for _ in range(100):
        offset, size = rng.randrange(len(content)), rng.choice((1, 100, 4096, 300_000))
        assert read(offset, size) == content[offset : offset + size]


def unpacked(path: Path) -> bytes:
    target = path.with_name("unpacked")
    digest = unpack_file(path, target, report=silent)
    content = target.read_bytes()
    target.unlink()
    assert digest == hashlib.sha256(content).hexdigest() == read_back(path).content_sha256
    return content


@pytest.fixture(scope="module", params=[4096, 64 * 1024, 2 * MIB], ids=["4K", "64K", "2M"])
def ours(request: pytest.FixtureRequest, day: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("ours") / "day.db.zst"
    compress_file(day, target, level=19 if request.param == 2 * MIB else 3, frame_bytes=request.param)
    table = read_table(target)
    has_inner_pages = not table[len(table) - 1].content_bytes
    assert has_inner_pages == (request.param < 2 * MIB)
    return target


class TestOthersReadOurs:
    def test_pyzstd_as_a_whole(self, ours: Path, day: Path) -> None:
        assert SeekableZstdFile.is_seekable_format_file(ours)
        with SeekableZstdFile(ours) as file:
            assert file.seek_table_info == (
                len(read_table(ours)),
                ours.stat().st_size - table_bytes(len(read_table(ours))),
                day.stat().st_size,
            )
            assert file.read() == day.read_bytes()
        assert decompress(ours.read_bytes()) == day.read_bytes()

    def test_pyzstd_at_random(self, ours: Path, day: Path) -> None:
        def read(offset: int, size: int) -> bytes:
            file.seek(offset)
            return file.read(size)

        with SeekableZstdFile(ours) as file:
            require_read_at_random(read, day.read_bytes())

    @pytest.mark.skipif(shutil.which("zstd") is None, reason="the zstd program is not installed")
    def test_the_zstd_program(self, ours: Path, day: Path) -> None:
        subprocess.run(["zstd", "-tq", ours], check=True)
        found = subprocess.run(["zstd", "-dc", ours], capture_output=True, check=True)
        assert found.stdout == day.read_bytes()


class TestWeReadTheirs:
    @pytest.mark.parametrize("frame_bytes", [3000, 64 * 1024, MIB + 7])
    @pytest.mark.parametrize("checksums", ["none", "frames", "frames and table"])
    def test_frames_of_any_size(self, tmp_path: Path, day: Path, frame_bytes: int, checksums: str) -> None:
        path = by_pyzstd(day, tmp_path / "day.db.zst", frame_bytes, checksums=checksums != "none")
        if "table" in checksums:
            with_table_checksums(path)
        require_right_table(path)
        content = day.read_bytes()
        with FileRanges(path) as source:
            reader = Reader(source, cache_bytes=4 * frame_bytes)
            require_read_at_random(reader.read, content)
            reader.settle()
            reader.close()
        assert unpacked(path) == content
        require_same_answers(path, day)

    def test_one_frame_that_is_larger_than_all_that_we_keep(self, tmp_path: Path) -> None:
        plain = tmp_path / "large"
        content = random.Random(5).randbytes(4096) * ((CACHE_BYTES + 3 * MIB) // 4096) + b"end"
        plain.write_bytes(content)
        path = by_pyzstd(plain, tmp_path / "large.zst", len(content))
        assert len(read_table(path)) == 1
        with FileRanges(path) as source:
            reader = Reader(source)
            require_read_at_random(reader.read, content)
            assert reader.read(len(content) - 3, 10) == b"end"
            reader.settle()
            reader.close()
        assert unpacked(path) == content

    def test_frames_of_changing_size(self, tmp_path: Path) -> None:
        """Reading on, a large frame after small ones must not push out the one that is being read."""
        path, parts = (
            tmp_path / "mixed.zst",
            [bytes([at]) * size for at, size in enumerate([9, 9, 9, 9, 5000, 9])],
        )
        with SeekableZstdFile(path, "w") as writer:
            for part in parts:
                writer.write(part)
                writer.flush(writer.FLUSH_FRAME)
        assert [each.content_bytes for each in read_table(path)] == [len(part) for part in parts]
        with FileRanges(path) as source:
            reader = Reader(source, cache_bytes=1000)
            assert b"".join(reader.read(at, 9) for at in range(0, 5045, 9)) == b"".join(parts)
            reader.settle()
            reader.close()

    def test_an_empty_file_of_theirs(self, tmp_path: Path) -> None:
        (tmp_path / "empty").touch()
        path = by_pyzstd(tmp_path / "empty", tmp_path / "empty.zst", 1000)
        with FileRanges(path) as source:
            reader = Reader(source)
            assert (reader.size_bytes, reader.read(0, 10)) == (0, b"")
            reader.settle()
            reader.close()
        assert unpacked(path) == b""

    @pytest.mark.skipif(shutil.which("zstd") is None, reason="the zstd program is not installed")
    @pytest.mark.parametrize("options", [["-3"], ["-19", "--long=27"], ["--no-check"], ["-T2", "-B1MiB"]])
    def test_what_cannot_be_sought_in_is_unpacked(
        self, tmp_path: Path, day: Path, options: list[str]
    ) -> None:
        path = tmp_path / "day.db.zst"
        subprocess.run(["zstd", "-q", *options, day, "-o", path], check=True)
        assert unpacked(path) == day.read_bytes()
        with FileRanges(path) as source, pytest.raises(SeekableError, match="does not end in a seek table"):
            Reader(source)
        with closing(open_path(path)) as connection:  # it is inflated first
            assert connection.execute("SELECT count(*) FROM sqlite_schema").get > 0
