"""The file that tells of the last rotation."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from watcher import metadata
from watcher.events import Opened, Rotated
from watcher.journal import Journal, Witness
from watcher.metadata import doubt, write

AT = datetime(2026, 1, 21, 0, 0, 0, 123456, tzinfo=UTC)

ANCHOR = Witness("1a2b", 42, "ab" * 32, AT)


def rotated(stream: str = "ticks", current: str = "2026-01-21") -> tuple[Rotated, datetime]:
    return Rotated(
        current, "2026-01-20", f"/r/{stream}_{current}.db", f"/r/{stream}_2026-01-20.db", "clock"
    ), AT


def test_it_has_the_keys_that_scripts_expect(tmp_path: Path) -> None:
    file = metadata.write(tmp_path, {"ticks": rotated()})
    assert file == tmp_path / "rotation_metadata.json"
    content = json.loads(file.read_text())
    described = {
        "last_rotation": "2026-01-21T00:00:00.123456+00:00",
        "current_date": "2026-01-21",
        "previous_date": "2026-01-20",
        "current_db": "/r/ticks_2026-01-21.db",
        "previous_db": "/r/ticks_2026-01-20.db",
        "cause": "clock",
    }
    assert content == {**described, "streams": {"ticks": described}}


def test_the_first_stream_is_at_the_top_and_all_are_below(tmp_path: Path) -> None:
    content = json.loads(metadata.write(tmp_path, {"fx": rotated("fx"), "ticks": rotated()}).read_text())
    assert content["current_db"] == "/r/fx_2026-01-21.db"
    assert list(content["streams"]) == ["fx", "ticks"]


def test_the_first_start_has_no_previous_day(tmp_path: Path) -> None:
    first = Rotated("2026-01-21", None, "/r/x.db", None, "start")
    content = json.loads(metadata.write(tmp_path, {"ticks": (first, AT)}).read_text())
    assert (content["previous_date"], content["previous_db"]) == (None, None)


def test_a_reader_never_sees_half_of_it(tmp_path: Path) -> None:
    metadata.write(tmp_path, {"ticks": rotated()})
    done, seen = threading.Event(), set()

    def read() -> None:
        while not done.is_set():
            seen.add(json.loads((tmp_path / metadata.NAME).read_text())["current_date"])

    reader = threading.Thread(target=read)
    reader.start()
    days = [f"2026-01-{day:02}" for day in range(1, 31)]
    try:
        for day in days:
            metadata.write(tmp_path, {f"stream{n}": rotated(current=day) for n in range(50)})
    finally:
        done.set()
        reader.join()
    assert seen <= {"2026-01-21", *days}
    assert [path.name for path in tmp_path.iterdir()] == [metadata.NAME], "nothing else stays behind"


class TestTheAnchor:
    def test_is_noted_beside_the_rotations(self, tmp_path: Path) -> None:
        before = json.loads(metadata.write(tmp_path, {"ticks": rotated()}).read_text())
        content = json.loads(metadata.write(tmp_path, {"ticks": rotated()}, ANCHOR).read_text())
        audit = {"epoch": "1a2b", "sequence": 42, "hash": "ab" * 32, "at": "2026-01-21T00:00:00.123456Z"}
        assert content == {**before, "audit": audit}

    def test_is_read_back(self, tmp_path: Path) -> None:
        metadata.write(tmp_path, {"ticks": rotated()}, ANCHOR)
        assert metadata.read_witness(tmp_path) == ANCHOR

    def test_is_none_without_a_file_or_in_one_of_an_older_version(self, tmp_path: Path) -> None:
        assert metadata.read_witness(tmp_path) is None
        metadata.write(tmp_path, {"ticks": rotated()})
        assert metadata.read_witness(tmp_path) is None

    @pytest.mark.parametrize(
        "content",
        [
            *(b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"audit": null}', b'{"audit": {}}'),
            b'{"audit": {"epoch": "1", "sequence": "2", "hash": "ab", "at": "2026-01-21T00:00:00Z"}}',
            b'{"audit": {"epoch": "1", "sequence": 2, "hash": "ab", "at": "yesterday"}}',
            b'{"audit": {"epoch": "\xff", "sequence": 2, "hash": "ab", "at": "2026-01-21T00:00:00Z"}}',
        ],
    )
    def test_is_none_in_a_damaged_file(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / metadata.NAME).write_bytes(content)
        assert metadata.read_witness(tmp_path) is None

    def test_is_none_where_it_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / metadata.NAME).mkdir()
        assert metadata.read_witness(tmp_path) is None


class TestDoubt:
    """Whether the journal is the one that was here before."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        return tmp_path / "journal.db"

    def noted(self, root: Path, journal: Journal) -> None:
        write(root, {}, journal.witness())

    def grow(self, journal: Journal, count: int, path: str = "x") -> None:
        for _ in range(count):
            journal.record([("ticks/2026-01-20", Opened(path))], datetime(2026, 1, 20, tzinfo=UTC))

    def test_nothing_speaks_against_a_journal_that_has_gone_on(self, tmp_path: Path, file: Path) -> None:
        with Journal.open_for_writing(file) as journal:
            assert doubt(tmp_path, journal) == ""
            self.grow(journal, 3)
            self.noted(tmp_path, journal)
            self.grow(journal, 3)
            assert doubt(tmp_path, journal) == ""

    def test_another_journal(self, tmp_path: Path, file: Path) -> None:
        with Journal.open_for_writing(file) as journal:
            self.grow(journal, 3)
            self.noted(tmp_path, journal)
        file.unlink()
        with Journal.open_for_writing(file) as journal:
            self.grow(journal, 9)
            assert "knows another journal, of 3 events" in doubt(tmp_path, journal)

    def test_an_older_copy_also_when_it_has_grown_past_what_is_noted(
        self, tmp_path: Path, file: Path
    ) -> None:
        with Journal.open_for_writing(file) as journal:
            self.grow(journal, 3)
            journal._connection.pragma("wal_checkpoint", "truncate")
        older = file.read_bytes()
        with Journal.open_for_writing(file) as journal:
            self.grow(journal, 3)
            self.noted(tmp_path, journal)
        for left in tmp_path.glob("journal.db*"):
            left.unlink()
        file.write_bytes(older)
        with Journal.open_for_writing(file) as journal:
            assert "which has only 3" in doubt(tmp_path, journal)
            self.grow(journal, 9, "y")
            assert "another event 6" in doubt(tmp_path, journal)
