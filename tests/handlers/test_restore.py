"""Restoring: from the best copy, proven, and never over ticks that are nowhere else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard
from msgspec import structs

from handlers import progress
from handlers.contract import Done, Restoring, Step, Trouble
from handlers.files import sha256_of, signature_of, sweep_temporaries
from tests.handlers.aged import Snapshot, archived_day, compressed_day, plant, restored_day

WRITER = """
connection = connect(sys.argv[1])
run(connection, "PRAGMA journal_mode = wal")
run(connection, "INSERT INTO ticks (symbol, timestamp) VALUES ('late', 1)")
say(); wait(); connection.close()
"""
HOLDER = "file = open(sys.argv[1], 'r+b'); say(); wait()"
FORCE = Restoring(force=True)


@pytest.fixture
def outside(day: Any) -> Path:
    """A place of the caller's choice."""
    path: Path = day.root / "mine" / "copy.db"
    path.parent.mkdir()
    return path


def to(path: Path, **options: Any) -> Restoring:
    return Restoring(target=str(path), **options)


class TestInTheRoot:
    @pytest.mark.parametrize("stage", [compressed_day, archived_day])
    def test_the_database_is_there_again(self, day: Any, stage: Callable[..., Any]) -> None:
        stage(day)
        keep = datetime(2026, 8, 1, tzinfo=UTC)
        before = day.files()
        result = day.done(Step.RESTORE, restoring=Restoring(keep_until=keep), by="erika")
        assert sha256_of(day.database) == result.sha256 == day.job.sealed.sha256
        first = day.archived if stage is archived_day else day.compressed
        assert (result.path, result.source) == (str(day.database), str(first))
        assert (result.size_bytes, result.ticks) == (day.job.sealed.size_bytes, 100)
        assert (result.in_tree, result.keep_until, result.by) == (True, keep, "erika")
        assert (result.set_aside, result.rejected) == ("", ())
        assert result.signature == signature_of(day.database)
        assert day.files() == {**before, "db/2026/01/ticks_2026-01-20.db": result.sha256}

    def test_a_restored_day_is_compressed_away_again(self, day: Any) -> None:
        restored_day(day)
        result = day.done(Step.COMPRESS)
        assert result.path == str(day.archived)
        assert sorted(day.files()) == [
            "archive/2026/01/ticks_2026-01-20.db.zst",
            "backup/2026/01/ticks_2026-01-20.db.zst",
        ]

    def test_whoever_may_write_to_the_directory_may_write_to_it(self, day: Any) -> None:
        archived_day(day)
        day.database.parent.chmod(0o770)
        day.done(Step.RESTORE)
        assert day.database.stat().st_mode & 0o060 == 0o060

    def test_a_missing_directory_is_made(self, day: Any) -> None:
        archived_day(day)
        shutil.rmtree(day.root / "db")
        day.done(Step.RESTORE)
        assert day.database.exists()

    @pytest.mark.parametrize("force", [False, True])
    def test_killed_anywhere_it_is_simply_done_again(
        self, day: Any, kill_at: Callable[..., bool], force: bool
    ) -> None:
        archived_day(day)
        foreign = plant(day.database) if force else b""
        start, number = Snapshot(day), 0
        options = {"restoring": Restoring(force=force)}
        while kill_at(structs.replace(day.job, step=Step.RESTORE, **options), number):
            assert sha256_of(day.archived) == day.job.compressed.compressed_sha256
            contents = [path.read_bytes() for path in day.database.parent.glob("ticks_*")]
            assert not force or foreign in contents, f"killed before call {number}"
            sweep_temporaries(day.root)
            assert isinstance(day.attempt(Step.RESTORE, **options), Done), f"before call {number}"
            self.assert_restored(day, foreign)
            start.again()
            number += 1
        assert number > 8
        self.assert_restored(day, foreign)

    def assert_restored(self, day: Any, foreign: bytes) -> None:
        assert sha256_of(day.database) == day.job.sealed.sha256
        beside = [path for path in day.database.parent.iterdir() if path != day.database]
        assert [path.read_bytes() for path in beside] == ([foreign] if foreign else [])

    @pytest.mark.parametrize("name", ["open", "link", "unlink", "fsync"])
    def test_whatever_call_fails_nothing_is_lost(
        self, day: Any, fail_at: Callable[..., list[str]], monkeypatch: Any, name: str
    ) -> None:
        archived_day(day)
        foreign = plant(day.database)
        start, number = Snapshot(day), 0
        while True:
            happened = fail_at(number, name)
            day.attempt(Step.RESTORE, restoring=FORCE)
            monkeypatch.undo()
            if not happened:
                break
            contents = [path.read_bytes() for path in day.database.parent.glob("ticks_*")]
            assert foreign in contents, f"{name} {number}"
            # The archived copy could not be read: then it was made from the next.
            day.done(Step.RESTORE, restoring=FORCE)
            sweep_temporaries(day.root)
            self.assert_restored(day, foreign)
            start.again()
            number += 1
        assert number >= 2

    def test_a_database_that_is_there_stays_without_force(self, day: Any) -> None:
        archived_day(day)
        for make in (plant, lambda path: (path.unlink(), day.create(), day.fill(1))):
            make(day.database)
            before = day.files()
            failure = day.failed(Step.RESTORE)
            assert not failure.retryable
            assert "is there already" in failure.message
            assert "--force puts it aside" in failure.hint
            assert day.files() == before

    def test_a_database_that_never_was_away_is_not_restored(self, day: Any) -> None:
        day.backed_up_day()
        before = day.files()
        failure = day.failed(Step.RESTORE)
        assert (failure.retryable, "is there already" in failure.message) == (False, True)
        assert day.files() == before

    def test_by_force_it_is_put_aside(self, day: Any) -> None:
        archived_day(day)
        day.create()
        day.fill(3)
        late = sha256_of(day.database)
        result = day.done(Step.RESTORE, restoring=FORCE)
        assert result.set_aside == f"{day.database}.aside-{late[:12]}"
        assert sha256_of(Path(result.set_aside)) == late
        assert sha256_of(day.database) == day.job.sealed.sha256

    def test_nothing_that_was_put_aside_is_overwritten(self, day: Any) -> None:
        archived_day(day)
        asides = []
        for _ in range(3):
            day.database.unlink(missing_ok=True)
            plant(day.database)
            asides.append(Path(day.done(Step.RESTORE, restoring=FORCE).set_aside))
        assert len(set(asides)) == 3
        assert {path.read_bytes() for path in asides} == {b"something else"}

    def test_nothing_is_put_aside_before_there_is_something_better(
        self, day: Any, flip: Callable[..., None]
    ) -> None:
        archived_day(day)
        for path in (day.archived, day.backup_compressed):
            flip(path, 100)
        plant(day.database)
        before = day.files()
        assert day.failed(Step.RESTORE, restoring=FORCE).trouble is Trouble.CORRUPT
        assert day.files() == before

    def test_one_that_a_person_copied_there_is_taken_for_restored(self, day: Any) -> None:
        restored_day(day)
        content = day.database.read_bytes()
        day.database.unlink()
        plant(day.database, content)
        result = day.done(Step.RESTORE)
        assert result.signature == signature_of(day.database)
        assert result.set_aside == ""

    @pytest.mark.parametrize("restoring", [Restoring(), FORCE])
    def test_an_interrupted_retirement_is_taken_back_first(self, day: Any, restoring: Restoring) -> None:
        restored_day(day)
        day.database.rename(day.retired)
        outcome = day.attempt(Step.RESTORE, restoring=restoring)
        assert isinstance(outcome, Done) == restoring.force
        assert sha256_of(day.database) == day.job.sealed.sha256
        assert not day.retired.exists()


class TestElsewhere:
    def test_it_is_the_callers(self, day: Any, outside: Path) -> None:
        archived_day(day)
        before = day.files()
        keep = datetime(2026, 8, 1, tzinfo=UTC)
        result = day.done(Step.RESTORE, restoring=to(outside, keep_until=keep))
        assert sha256_of(outside) == day.job.sealed.sha256
        assert (result.path, result.in_tree, result.keep_until) == (str(outside), False, None)
        assert {**before, "mine/copy.db": day.job.sealed.sha256} == day.files()

    def test_the_database_itself_is_the_nearest_copy(self, day: Any, outside: Path) -> None:
        day.backed_up_day()
        assert day.done(Step.RESTORE, restoring=to(outside)).source == str(day.database)

    @pytest.mark.parametrize("change", ["ticks", "log"])
    def test_but_not_if_it_was_written_to(self, day: Any, outside: Path, change: str) -> None:
        day.backed_up_day()
        if change == "ticks":
            day.fill(1, first=5000)
        else:
            plant(day.beside("-wal"))
        result = day.done(Step.RESTORE, restoring=to(outside))
        assert (result.source, result.rejected) == (str(day.backup), ())

    def test_a_file_that_is_there_stays_without_force(self, day: Any, outside: Path) -> None:
        archived_day(day)
        content = plant(outside)
        failure = day.failed(Step.RESTORE, restoring=to(outside))
        assert not failure.retryable
        assert "--force replaces it" in failure.hint
        assert outside.read_bytes() == content
        result = day.done(Step.RESTORE, restoring=to(outside, force=True))
        assert result.set_aside == ""
        assert sha256_of(outside) == day.job.sealed.sha256
        assert list(outside.parent.iterdir()) == [outside]

    @pytest.mark.parametrize("force", [False, True])
    def test_killed_anywhere_it_is_simply_done_again(
        self, day: Any, outside: Path, kill_at: Callable[..., bool], force: bool
    ) -> None:
        archived_day(day)
        if force:
            plant(outside)
        start, number = Snapshot(day), 0
        options = {"restoring": to(outside, force=force)}
        while kill_at(structs.replace(day.job, step=Step.RESTORE, **options), number):
            sweep_temporaries(day.root)
            assert isinstance(day.attempt(Step.RESTORE, **options), Done), f"before call {number}"
            assert list(outside.parent.iterdir()) == [outside]
            assert sha256_of(outside) == day.job.sealed.sha256
            start.again()
            outside.parent.mkdir(exist_ok=True)
            number += 1
        assert number > 5

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("missing/copy.db", "does not exist"),
            ("mine", "not a regular file"),
            ("link.db", "not a regular file"),
            ("db/2026/01/mine.db", "copies of the day are kept"),
            ("db/2026/01/ticks_2026-01-20.db", "copies of the day are kept"),
            ("linked/ticks_2026-01-20.db.zst", "copies of the day are kept"),
            ("backup/2026/01/ticks_2026-01-20.db.zst", "copies of the day are kept"),
            ("archive/2026/01/ticks_2026-01-20.db.zst", "copies of the day are kept"),
        ],
    )
    def test_a_place_that_is_none_is_refused_also_by_force(
        self, day: Any, outside: Path, name: str, message: str
    ) -> None:
        archived_day(day)
        (day.root / "link.db").symlink_to(outside)
        (day.root / "linked").symlink_to(day.archived.parent)
        before = day.files()
        failure = day.failed(Step.RESTORE, restoring=to(day.root / name, force=True))
        assert not failure.retryable
        assert message in failure.message
        assert failure.hint
        assert day.files() == before

    @pytest.mark.parametrize("force", [False, True])
    @pytest.mark.parametrize("there", [False, True])
    @pytest.mark.parametrize(
        "name",
        [
            "db/2026/01/../02/ticks_2026-02-03.db",
            "db/copy.db",
            "backup/2026/02/ticks_2026-02-03.db",
            "archive/ticks_2026-02-03.db.zst",
            "state/journal.db",
            "linked/ticks_2026-02-03.db",
        ],
    )
    def test_nothing_is_restored_into_a_directory_of_the_daemons(
        self, day: Any, name: str, there: bool, force: bool
    ) -> None:
        archived_day(day)
        tops = tuple(str(day.root / top) for top in ("db", "backup", "archive", "state", "not there"))
        for folder in ("db/2026/02", "backup/2026/02", "state"):
            (day.root / folder).mkdir()
        (day.root / "linked").symlink_to(day.root / "db/2026/02")
        target = day.root / name
        if there:
            plant(target, b"another day's")
        before = day.files()
        options = structs.replace(day.job.options, managed=tops)
        failure = day.failed(Step.RESTORE, options=options, restoring=to(target, force=force))
        assert (failure.trouble, failure.retryable) == (Trouble.FAILED, False)
        assert "of your own" in failure.hint
        assert day.files() == before

    def test_beside_the_directories_of_the_daemon_it_may_be(self, day: Any, outside: Path) -> None:
        archived_day(day)
        tops = (str(day.root / "db"), str(day.root / "min"), str(day.root / "mine" / "deeper"))
        (outside.parent / "deeper").mkdir()
        options = structs.replace(day.job.options, managed=tops)
        day.done(Step.RESTORE, options=options, restoring=to(outside))
        assert outside.exists()

    def test_a_path_that_depends_on_where_one_stands_is_refused(self, day: Any) -> None:
        archived_day(day)
        assert "full path" in day.failed(Step.RESTORE, restoring=Restoring(target="copy.db")).message


@pytest.fixture(params=["root", "elsewhere"])
def place(request: pytest.FixtureRequest, day: Any, outside: Path) -> tuple[Path, Restoring]:
    if request.param == "root":
        return day.database, FORCE
    return outside, to(outside, force=True)


Place = tuple[Path, Restoring]


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
@pytest.mark.parametrize("beside", [False, True])
def test_a_log_that_would_be_replayed_is_a_conflict_also_by_force(
    day: Any, place: Place, suffix: str, beside: bool
) -> None:
    archived_day(day)
    path, restoring = place
    plant(path.with_name(path.name + suffix), b"ticks, perhaps")
    if beside:
        plant(path)
    before = day.files()
    failure = day.failed(Step.RESTORE, restoring=restoring)
    assert (failure.trouble, failure.retryable) == (Trouble.CONFLICT, False)
    assert failure.hint
    assert day.files() == before


def test_a_log_that_appears_meanwhile_is_noticed(day: Any, place: Place, monkeypatch: Any) -> None:
    archived_day(day)
    path, restoring = place
    log = path.with_name(path.name + "-wal")
    monkeypatch.setattr("handlers.recover.require_reads_back", lambda *_: plant(log))
    before = day.files()
    assert day.failed(Step.RESTORE, restoring=restoring).trouble is Trouble.CONFLICT
    log.unlink()
    assert day.files() == before


@pytest.mark.parametrize("script", [WRITER, HOLDER])
def test_what_somebody_writes_to_stays_also_by_force(
    day: Any, place: Place, child: Callable[..., Any], script: str, monkeypatch: Any
) -> None:
    archived_day(day)
    day.done(Step.RESTORE, restoring=to(place[0]) if place[1].target else Restoring())
    path, restoring = place
    writer = child(script, path)
    before = day.files()
    cells = [0, 0]
    monkeypatch.setattr(progress._Listener, "cells", cells)
    failure = day.failed(Step.RESTORE, restoring=restoring)
    assert failure.trouble is (Trouble.CONFLICT if script is WRITER else Trouble.BUSY)
    assert cells == [0, 0], "known before anything is read"
    assert day.files() == before
    writer.end()
    assert day.done(Step.RESTORE, restoring=restoring).sha256 == sha256_of(path)


def test_a_log_in_use_is_not_shared_with_what_is_restored(
    day: Any, place: Place, child: Callable[..., Any]
) -> None:
    archived_day(day)
    path, restoring = place
    log = path.with_name(path.name + "-shm")
    plant(log, b"")
    holder = child(HOLDER, log)
    failure = day.failed(Step.RESTORE, restoring=restoring)
    assert failure.trouble is Trouble.BUSY
    holder.end()
    day.done(Step.RESTORE, restoring=restoring)


def test_a_writer_that_comes_meanwhile_keeps_its_file(
    day: Any, place: Place, child: Callable[..., Any], monkeypatch: Any
) -> None:
    archived_day(day)
    path, restoring = place
    plant(path)
    before = day.files()
    monkeypatch.setattr("handlers.recover.require_reads_back", lambda *_: child(HOLDER, path))
    assert day.failed(Step.RESTORE, restoring=restoring).trouble is Trouble.BUSY
    assert day.files() == before


def test_a_writer_that_comes_at_the_last_moment_keeps_its_name(
    day: Any, child: Callable[..., Any], monkeypatch: Any
) -> None:
    archived_day(day)
    plant(day.database)
    unlink = os.unlink
    writers = []

    def opened_just_before(path: Path) -> None:
        if path == day.database:
            writers.append(child(HOLDER, path))
        unlink(path)

    monkeypatch.setattr(os, "unlink", opened_just_before)
    failure = day.failed(Step.RESTORE, restoring=FORCE)
    assert failure.trouble is Trouble.BUSY
    assert [holder.pid for holder in failure.holders] == [writers[0].pid]
    assert [path.name for path in day.database.parent.iterdir()] == [day.database.name]
    assert day.database.read_bytes() == b"something else"


def test_a_writer_that_is_first_keeps_its_database(day: Any, place: Place, monkeypatch: Any) -> None:
    archived_day(day)
    path, restoring = place
    monkeypatch.setattr("handlers.recover.require_reads_back", lambda *_: plant(path, b"writer's"))
    failure = day.failed(Step.RESTORE, restoring=restoring)
    assert failure.retryable
    assert path.read_bytes() == b"writer's"
    assert day.temporaries() == []


@pytest.fixture
def four_copies(day: Any) -> dict[str, Path]:
    """Every kind of copy at once, in the order in which they are tried."""
    archived_day(day)
    content = day.archived.read_bytes()
    plant(day.compressed, content)
    unpacker = zstandard.ZstdDecompressor()
    plant(day.backup, unpacker.stream_reader(content, read_across_frames=True).readall())
    names = ("compressed", "archived", "backup_compressed", "backup")
    return {name: getattr(day, name) for name in names}


def rot(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def other_content(path: Path) -> None:
    path.write_bytes(zstandard.ZstdCompressor().compress(bytes(1 << 30)))


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [rot, cut, empty, other_content, directory])
@pytest.mark.parametrize("bad", [0, 1, 2, 3])
def test_a_bad_copy_is_named_and_the_next_one_taken(
    day: Any, four_copies: dict[str, Path], damage: Callable[[Path], None], bad: int
) -> None:
    paths = list(four_copies.values())
    for path in paths[:bad]:
        damage(path)
    result = day.done(Step.RESTORE)
    assert sha256_of(day.database) == day.job.sealed.sha256
    assert result.source == str(paths[bad])
    assert len(result.rejected) == bad
    for path, problem in zip(paths[:bad], result.rejected, strict=True):
        assert problem.startswith(str(path))
        assert len(problem) > len(str(path)) + 10


@pytest.mark.parametrize("damage", [rot, cut, empty, other_content, directory, Path.unlink])
def test_without_a_good_copy_nothing_gets_the_name(
    day: Any, four_copies: dict[str, Path], damage: Callable[[Path], None]
) -> None:
    for path in four_copies.values():
        damage(path)
    before = day.files()
    failure = day.failed(Step.RESTORE)
    assert (failure.trouble, failure.retryable) == (Trouble.CORRUPT, False)
    assert "tickward verify ticks/2026-01-20" in failure.hint
    assert len(failure.problems) == (0 if damage is Path.unlink else 4)
    assert day.files() == before


def test_what_is_too_large_to_be_the_day_does_not_fill_the_disk(day: Any, monkeypatch: Any) -> None:
    day.backed_up_day()
    day.database.unlink()
    os.truncate(day.backup, 1 << 40)
    cells = [0, 0]
    monkeypatch.setattr(progress._Listener, "cells", cells)
    failure = day.failed(Step.RESTORE)
    assert failure.trouble is Trouble.CORRUPT
    assert "1,099,511,627,776 bytes" in failure.problems[0]
    assert cells == [0, 0], "it was not copied to find out"


def test_a_damaged_table_does_not_spoil_a_copy(day: Any, flip: Callable[..., None]) -> None:
    archived_day(day)
    flip(day.archived, day.archived.stat().st_size - 12)
    result = day.done(Step.RESTORE)
    assert (result.source, result.rejected) == (str(day.archived), ())


@pytest.mark.parametrize("force", [False, True])
def test_a_full_disk_loses_nothing(day: Any, with_full_disk: Callable[..., Any], force: bool) -> None:
    archived_day(day)
    if force:
        plant(day.database)
    before = day.files()
    failure = with_full_disk(
        structs.replace(day.job, step=Step.RESTORE, restoring=Restoring(force=force)), 5000
    )
    assert "free space on" in failure.hint
    assert (failure.trouble, failure.retryable) == (Trouble.FAILED, True)
    assert day.files() == before


def test_what_does_not_read_back_is_not_published(day: Any, monkeypatch: Any) -> None:
    archived_day(day)
    before = day.files()
    monkeypatch.setattr("handlers.backup.sha256_of", lambda _: "0" * 64)
    failure = day.failed(Step.RESTORE)
    assert "does not read back" in failure.message
    assert failure.retryable
    assert day.files() == before


def test_how_far_it_is_can_be_seen(day: Any, monkeypatch: Any) -> None:
    archived_day(day)
    cells = [0, 0]
    monkeypatch.setattr(progress._Listener, "cells", cells)
    day.done(Step.RESTORE)
    assert cells == [day.archived.stat().st_size] * 2


def test_without_a_seal_nothing_is_restored(day: Any) -> None:
    archived_day(day)
    assert not day.failed(Step.RESTORE, sealed=None).retryable


class TestDrill:
    @pytest.mark.parametrize("stage", [compressed_day, archived_day])
    def test_a_day_is_restored_counted_and_removed_again(self, day: Any, stage: Callable[..., Any]) -> None:
        stage(day)
        before = day.files()
        target = day.root / "state" / "drill" / "copy.db"
        result = day.done(Step.DRILL, restoring=to(target))
        first = day.archived if stage is archived_day else day.compressed
        sealed = day.job.sealed
        assert (result.source, result.sha256) == (str(first), sealed.sha256)
        assert (result.size_bytes, result.ticks) == (sealed.size_bytes, 100)
        assert day.files() == before
        assert list(target.parent.iterdir()) == []

    @pytest.mark.parametrize("damage", [rot, cut, empty, other_content, Path.unlink])
    def test_a_copy_that_cannot_be_restored_is_reported(
        self, day: Any, damage: Callable[[Path], None]
    ) -> None:
        """Also if another could be: that is what a drill is for."""
        archived_day(day)
        damage(day.archived)
        failure = day.failed(Step.DRILL, restoring=to(day.root / "drill" / "copy.db"))
        assert (failure.trouble, failure.retryable) == (Trouble.CORRUPT, False)
        assert "tickward verify" in failure.hint
        assert day.temporaries() == []

    @pytest.mark.parametrize("wrong", ["ticks", "symbols", "first_tick_ms", "last_tick_ms"])
    def test_other_ticks_than_were_sealed_are_reported_and_are_no_damage(self, day: Any, wrong: str) -> None:
        archived_day(day)
        sealed = structs.replace(day.job.sealed, **{wrong: 7})
        failure = day.failed(Step.DRILL, sealed=sealed, restoring=to(day.root / "drill" / "copy.db"))
        assert (failure.trouble, failure.retryable) == (Trouble.FAILED, False)
        assert failure.problems
        assert day.temporaries() == []

    def test_the_table_that_was_counted_at_sealing_is_counted(self, day: Any) -> None:
        archived_day(day)
        options = structs.replace(day.job.options, table="quotes")
        place = to(day.root / "drill" / "copy.db")
        assert day.done(Step.DRILL, options=options, restoring=place).ticks == 100
        older = structs.replace(day.job.sealed, table="")
        failure = day.failed(Step.DRILL, options=options, sealed=older, restoring=place)
        assert (failure.trouble, failure.retryable) == (Trouble.FAILED, False)
        assert "100 ticks in a table that was not recorded" in failure.message
        assert "table quotes" in failure.message

    def test_what_was_not_counted_is_not_compared(self, day: Any) -> None:
        day.job = structs.replace(day.job, options=structs.replace(day.job.options, table="quotes"))
        archived_day(day)
        assert day.job.sealed.counted is False
        older = structs.replace(day.job.sealed, table="")
        options = structs.replace(day.job.options, table="ticks")
        place = to(day.root / "drill" / "copy.db")
        assert day.done(Step.DRILL, sealed=older, options=options, restoring=place).ticks == 0

    def test_a_drill_needs_a_place(self, day: Any) -> None:
        archived_day(day)
        assert not day.failed(Step.DRILL).retryable
