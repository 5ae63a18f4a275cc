"""What has become of a database, by its facts."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from handlers.contract import Created, Holder
from tests.watcher.builders import (
    HOLD,
    RAW,
    archived,
    archived_day,
    backed_up,
    compressed,
    compressed_day,
    expired_day,
    lost,
    restored,
    sealed,
    utc,
)
from watcher import journal_format
from watcher.events import Closed, Conflict, Corrupt, Deferred, Failed, Opened
from watcher.journal import Journal
from watcher.settings import Data, Stream
from watcher.snapshot import state_from
from watcher.state import Facts

DATA = Data(root="/r", streams={"ticks": Stream(), "gold": Stream("{date}/gold.db")})
KEY = "ticks/2026-01-20"
PATTERN = "/r/2026/01/ticks_2026-01-20.db"
NOW = utc("2026-01-21 00:01")

DEFERRED = Deferred(PATTERN, (Holder(17, "engine"),), NOW)
CORRUPT = Corrupt("seal", PATTERN, "the file is damaged", (), "look at it", "e")
CONFLICT = Conflict(PATTERN, "a new file stands beside it", "merge it", "e")
FAILED = Failed("backup", "the disk is full", "free some", 1, True, NOW, "e")


class TestPath:
    @pytest.mark.parametrize(
        ("facts", "state", "path"),
        [
            (Facts(), "absent", ""),
            (Facts(created=Created(PATTERN, RAW)), "created", PATTERN),
            (Facts(opened=True), "active", PATTERN),
            (Facts(closed=Closed(PATTERN, RAW, 0)), "closed", PATTERN),
            (Facts(sealed=sealed()), "sealed", "/r/x.db"),
            (Facts(sealed=sealed(), backed_up=backed_up()), "backed_up", "/r/x.db"),
            (compressed_day().facts, "compressed", "/r/x.db.zst"),
            (archived_day().facts, "archived", "/a/x.db.zst"),
            (replace(archived_day().facts, restored=restored(None)), "archived", "/r/x.db"),
            (expired_day().facts, "expired", ""),
            (Facts(sealed=sealed(), lost=lost("e")), "sealed", ""),
        ],
    )
    def test_is_that_of_the_first_copy_in_whatever_form_it_is(
        self, facts: Facts, state: str, path: str
    ) -> None:
        found = state_from(KEY, facts, DATA)

        assert (found.subject, found.state, found.path) == (KEY, state, path)

    def test_follows_the_pattern_of_its_stream(self) -> None:
        assert state_from("gold/2026-01-20", Facts(opened=True), DATA).path == "/r/2026-01-20/gold.db"

    def test_of_a_stream_that_is_not_configured_any_more_is_not_known(self) -> None:
        assert state_from("silver/2026-01-20", Facts(opened=True), DATA).path == ""
        assert state_from("silver/2026-01-20", Facts(sealed=sealed()), DATA).path == "/r/x.db"


class TestContent:
    def test_is_not_known_before_sealing(self) -> None:
        found = state_from(KEY, Facts(opened=True), DATA)

        assert (found.sha256, found.size_bytes, found.compressed_bytes, found.ticks) == ("", 0, 0, None)

    def test_is_what_was_sealed(self) -> None:
        found = state_from(KEY, Facts(sealed=sealed(ticks=0)), DATA)

        assert (found.sha256, found.size_bytes, found.compressed_bytes, found.ticks) == ("aa", 1000, 0, 0)

    @pytest.mark.parametrize(
        ("facts", "expected"),
        [
            (compressed_day().facts, 300),
            (replace(archived_day().facts, archived=replace(archived(), compressed_bytes=299)), 299),
            (replace(expired_day().facts, compressed=replace(compressed(), compressed_bytes=300)), 300),
        ],
    )
    def test_is_told_of_for_good_with_its_compressed_size(self, facts: Facts, expected: int) -> None:
        found = state_from(KEY, facts, DATA)

        assert (found.sha256, found.size_bytes, found.ticks) == ("aa", 1000, 10)
        assert found.compressed_bytes == expected


class TestProblem:
    @pytest.mark.parametrize(
        ("facts", "problem"),
        [
            (Facts(sealed=sealed()), ""),
            (Facts(lost=lost("e"), corrupt=CORRUPT), "no good copy of it is left"),
            (Facts(corrupt=CORRUPT, conflict=CONFLICT), "the file is damaged"),
            (Facts(conflict=CONFLICT, deferred=DEFERRED), "a new file stands beside it"),
            (Facts(deferred=DEFERRED, failed={"backup": FAILED}), "sealing waits for engine (pid 17)"),
            (Facts(failed={"backup": FAILED}), "backup failed: the disk is full"),
        ],
    )
    def test_is_one_sentence_about_the_worst(self, facts: Facts, problem: str) -> None:
        assert state_from(KEY, facts, DATA).problem == problem


def test_a_hold_is_told_with_its_reason() -> None:
    assert state_from(KEY, Facts(hold=HOLD), DATA).hold == "audit 17"
    assert state_from(KEY, Facts(), DATA).hold == ""


def test_it_is_told_when_each_event_last_happened() -> None:
    times = {"opened": NOW}
    assert state_from(KEY, Facts(opened=True, times=times), DATA).times == times


class TestReadingDatabases:
    def test_they_come_in_the_order_of_the_bytes_of_their_keys(self, tmp_path: Path) -> None:
        keys = ["b/2026-01-20", "a-/2026-01-20", "a/2026-01-20", "a_/2026-01-19", "a/2026-01-19"]
        with Journal.open_for_writing(tmp_path / "j.db") as journal:
            journal.record([(key, Opened("x")) for key in keys], NOW)
            found = list(journal.databases("", 10))

        assert found == sorted(keys, key=str.encode)

    def test_streams_and_the_daemon_are_none(self, tmp_path: Path) -> None:
        with Journal.open_for_writing(tmp_path / "j.db") as journal:
            journal.record([(key, Opened("x")) for key in ("-", "ticks", KEY)], NOW)

            assert list(journal.databases("", 10)) == [KEY]
            assert list(journal.databases("", 10, since=2)) == [KEY]
            assert not journal.databases("", 10, since=3)

    def test_what_is_known_of_them_is_whole(self, tmp_path: Path) -> None:
        with Journal.open_for_writing(tmp_path / "j.db") as journal:
            journal.record([(KEY, Opened("x")), (KEY, sealed())], NOW)

            assert journal.databases("", 10) == {KEY: journal.facts(KEY)}

    def test_a_page_reads_no_more_than_the_page(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Journal.open_for_writing(tmp_path / "j.db") as journal:
            journal.record([(f"ticks/{day}", Opened("x")) for day in range(100, 200)], NOW)
            decoded: list[str] = []
            decode = journal_format.decode_facts
            monkeypatch.setattr(
                journal_format, "decode_facts", lambda data: (decoded.append(data), decode(data))[1]
            )

            assert len(journal.databases("ticks/150", 10, since=20)) == 10
            assert len(decoded) == 10
