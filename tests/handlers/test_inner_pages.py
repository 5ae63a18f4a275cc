"""The copies of the inner pages: what is looked up inflates leaves only, and damage to them costs nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from handlers.inner_pages import frame_of, inner_pages, pages_in
from handlers.reader import Reader
from handlers.seek_table import FileRanges, SeekTable, read_table, require_right_table
from handlers.seekable import compress_file, read_back
from handlers.unpack import unpack_file
from handlers.vfs import open_path

FRAME = 64 * 1024
PAGE = 4096


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("day") / "day.db"
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE ticks (id INTEGER PRIMARY KEY, symbol TEXT, bid REAL, filler TEXT)")
    connection.execute("CREATE INDEX by_symbol ON ticks (symbol, bid)")
    rows = ((f"SYM{at * 7919 % 500}", at / 7, "x" * 60) for at in range(60_000))
    with connection:
        connection.executemany("INSERT INTO ticks (symbol, bid, filler) VALUES (?, ?, ?)", rows)
    connection.close()
    compress_file(path, path.with_suffix(".zst"), level=3, frame_bytes=FRAME)
    return path


def true_inner_pages(path: Path) -> set[int]:
    """As SQLite itself counts them: numbers from 0."""
    connection = apsw.Connection(str(path))
    rows = connection.execute("SELECT pageno FROM dbstat WHERE pagetype = 'internal'")
    return {int(number) - 1 for (number,) in rows}


def test_all_inner_pages_are_there_and_are_what_they_are_in_the_content(day: Path) -> None:
    packed = day.with_suffix(".zst")
    with FileRanges(packed) as source:
        page_bytes, pages = pages_in(source, read_table(packed))
    content = day.read_bytes()
    assert page_bytes == PAGE
    assert set(pages) == true_inner_pages(day) | {0}
    assert all(content[number * PAGE :][:PAGE] == page for number, page in pages.items())
    assert len(pages) > 5


def test_a_lookup_inflates_only_what_holds_the_leaves(day: Path) -> None:
    class Counting(FileRanges):
        asked: set[int] = set()  # noqa: RUF012

        def read_range(self, offset: int, size: int) -> bytes:
            self.asked.add(offset)
            return super().read_range(offset, size)

    table = read_table(day.with_suffix(".zst"))
    root = min(true_inner_pages(day))
    with Counting(day.with_suffix(".zst")) as source:
        reader = Reader(source)
        source.asked.clear()
        assert reader.read(root * PAGE, PAGE) == day.read_bytes()[root * PAGE :][:PAGE]
        assert reader.read(24, 16) == day.read_bytes()[24:40]
    assert not source.asked & {frame.offset for frame in table}


def test_others_do_not_see_it(day: Path, tmp_path: Path) -> None:
    packed = day.with_suffix(".zst")
    require_right_table(packed)
    assert read_back(packed).content_bytes == day.stat().st_size
    unpack_file(packed, tmp_path / "unpacked", report=lambda *_: None)
    assert (tmp_path / "unpacked").read_bytes() == day.read_bytes()


@pytest.mark.skipif(
    subprocess.run(["which", "zstd"], check=False, capture_output=True).returncode != 0, reason="no zstd"
)
def test_the_zstd_program_does_not_see_it_either(day: Path) -> None:
    found = subprocess.run(["zstd", "-dc", day.with_suffix(".zst")], capture_output=True, check=True)
    assert found.stdout == day.read_bytes()


def test_damage_to_it_costs_nothing(day: Path, tmp_path: Path, flip: Callable[..., None]) -> None:
    packed = tmp_path / "day.zst"
    whole = day.with_suffix(".zst").read_bytes()
    frames = list(read_table(day.with_suffix(".zst")))
    last, sql = frames[-1], "SELECT count(*), max(bid) FROM ticks WHERE symbol = 'SYM7'"
    expected = open_path(day).execute(sql).fetchall()
    for position in range(last.offset, last.offset + last.compressed_bytes, 97):
        packed.write_bytes(whole)
        flip(packed, position)
        connection = open_path(packed)
        assert connection.execute(sql).fetchall() == expected
        connection.close()


@pytest.mark.parametrize(
    "pages",
    [[], [(0, bytes(512))], [(3, b"a" * 512), (9, b"b" * 512)]],
)
def test_what_is_put_in_comes_out(tmp_path: Path, pages: list[tuple[int, bytes]]) -> None:
    frame = frame_of(pages, 512)
    (tmp_path / "file").write_bytes(frame)
    table = SeekTable([(len(frame), 0, 0)] if frame else [])
    with FileRanges(tmp_path / "file") as source:
        found = pages_in(source, table)
    assert found == ((512, dict(pages)) if pages else (0, {}))


def test_more_pages_than_may_be_kept_are_left_out() -> None:
    many = [(number, bytes(65536)) for number in range(300)]
    assert len(frame_of(many, 65536)) < 300 * 65536
    content = b"\x05" + bytes(PAGE * 3 - 1)
    assert [number for number, _ in inner_pages(content, PAGE * 10, PAGE)] == [10]
