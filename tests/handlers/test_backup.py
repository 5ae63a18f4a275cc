"""The second copy: exact, read back, and never worse than the one before."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from msgspec import structs

from handlers.contract import Step, Trouble
from handlers.database import examine_copy, read_header
from handlers.files import copy_hashed, sweep_temporaries
from tests.handlers.conftest import sha256

WRITER = """
connection = connect(sys.argv[1])
run(connection, "INSERT INTO ticks (symbol, timestamp) VALUES ('X', 5)")
say(); wait(); connection.close()
"""

BUSY_WRITER = """
import select
connection = connect(sys.argv[1])
run(connection, "PRAGMA synchronous = OFF")
say()
count = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    run(connection, "INSERT INTO ticks (symbol, timestamp) VALUES ('X', ?)", (count,))
    count += 1
connection.close(); say(count)
"""

READER = """
connection = connect(sys.argv[1], apsw.SQLITE_OPEN_READONLY)
run(connection, "SELECT count(*) FROM ticks")
say(); wait(); connection.close()
"""


def test_a_backup_is_the_sealed_content(day: Any) -> None:
    sealed = day.sealed_day()
    backed_up = day.back_up()
    assert day.files()["backup/2026/01/ticks_2026-01-20.db"] == sealed.sha256
    assert (backed_up.sha256, backed_up.size_bytes) == (sealed.sha256, sealed.size_bytes)
    assert (backed_up.ticks, backed_up.live) == (1000, False)
    assert len(day.files()) == 2


def test_a_backup_that_is_there_is_kept(day: Any) -> None:
    day.backed_up_day()
    inode = day.backup.stat().st_ino
    day.back_up()
    assert day.backup.stat().st_ino == inode


def test_a_backup_that_is_there_suffices_without_the_database(day: Any) -> None:
    day.backed_up_day()
    day.database.unlink()
    assert day.back_up().sha256 == day.job.sealed.sha256


def test_a_damaged_backup_is_set_aside(day: Any, flip: Callable[..., None]) -> None:
    sealed = day.backed_up_day()
    flip(day.backup, 5000)
    damaged = day.backup.read_bytes()
    backed_up = day.back_up(backup_sha256=sealed.sha256)
    assert day.files()["backup/2026/01/ticks_2026-01-20.db"] == sealed.sha256
    assert Path(backed_up.set_aside).read_bytes() == damaged


def other_database(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE quotes (a); INSERT INTO quotes VALUES (1)")
    connection.close()


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("make", [other_database, lambda path: path.write_bytes(b"\x28\xb5\x2f\xfd packed")])
def test_what_is_not_ours_is_set_aside_whole(day: Any, make: Callable[[Path], object], live: bool) -> None:
    day.sealed_day()
    day.backup.parent.mkdir(parents=True)
    make(day.backup)
    foreign = day.files()["backup/2026/01/ticks_2026-01-20.db"]
    backed_up = day.back_up(live=live)
    assert backed_up.set_aside == f"{day.backup}.aside-{foreign[:12]}"
    assert day.files() == {
        "db/2026/01/ticks_2026-01-20.db": day.job.sealed.sha256,
        "backup/2026/01/ticks_2026-01-20.db": backed_up.sha256,
        f"backup/2026/01/ticks_2026-01-20.db.aside-{foreign[:12]}": foreign,
    }


def test_nothing_that_was_set_aside_is_overwritten(day: Any) -> None:
    day.sealed_day()
    day.backup.parent.mkdir(parents=True)
    asides = []
    for _ in range(3):
        day.backup.write_text("foreign")
        asides.append(Path(day.back_up().set_aside))
        day.backup.unlink()
    assert len(set(asides)) == 1  # the same content needs no second name
    asides[0].write_text("something else took the name")
    day.backup.write_text("foreign")
    second = Path(day.back_up().set_aside)
    assert asides[0].read_text() == "something else took the name"
    assert second.name == f"{asides[0].name}-2"
    assert second.read_text() == "foreign"


def test_killed_anywhere_what_is_not_ours_is_kept(day: Any, kill_at: Callable[..., bool]) -> None:
    sealed = day.sealed_day(100)
    day.backup.parent.mkdir(parents=True)
    day.backup.write_text("foreign")
    foreign = sha256(day.backup)
    number = 0
    while kill_at(structs.replace(day.job, step=Step.BACKUP), number):
        assert foreign in day.files().values()
        sweep_temporaries(day.root)
        number += 1
    day.back_up()
    assert sorted(day.files().values()) == sorted([sealed.sha256, sealed.sha256, foreign])


@pytest.mark.parametrize("live", [False, True])
def test_an_empty_file_is_replaced(day: Any, live: bool) -> None:
    day.sealed_day()
    day.backup.parent.mkdir(parents=True)
    day.backup.touch()
    assert day.back_up(live=live).set_aside == ""
    assert len(day.files()) == 2


def test_a_backup_of_an_earlier_seal_is_replaced(day: Any) -> None:
    previous = day.backed_up_day()
    day.fill(1, first=5000)
    sealed = day.seal(previous=previous)
    assert day.back_up(previous=previous).set_aside == ""
    assert sorted(day.files().values()) == [sealed.sha256, sealed.sha256]


def test_a_live_backup_of_ours_is_replaced(day: Any) -> None:
    day.create()
    day.fill(10)
    live = day.back_up(live=True)
    day.fill(10, first=10)
    again = day.back_up(live=True, backup_sha256=live.sha256)
    sealed = day.seal()
    exact = day.back_up(backup_sha256=again.sha256)
    assert (live.ticks, again.ticks, exact.ticks) == (10, 20, 20)
    assert (again.set_aside, exact.set_aside) == ("", "")
    assert sorted(day.files().values()) == [sealed.sha256, sealed.sha256]


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("kind", ["directory", "link", "dangling link"])
def test_what_is_not_a_file_is_left_alone(day: Any, kind: str, live: bool) -> None:
    day.sealed_day()
    day.backup.parent.mkdir(parents=True)
    if kind == "directory":
        day.backup.mkdir()
    else:
        day.backup.symlink_to(day.root / ("schema.sql" if kind == "link" else "missing"))
    failure = day.failed(Step.BACKUP, live=live)
    assert (failure.trouble, failure.retryable) == (Trouble.CONFLICT, False)
    assert "not a regular file" in failure.message
    assert failure.hint
    assert day.backup.is_symlink() or day.backup.is_dir()


def test_what_comes_to_the_backup_path_meanwhile_is_not_overwritten(day: Any, monkeypatch: Any) -> None:
    day.sealed_day()

    def somebody_writes(source: Path, temp: Path) -> str:
        day.backup.write_text("somebody's")
        return copy_hashed(source, temp)

    monkeypatch.setattr("handlers.backup.copy_hashed", somebody_writes)
    failure = day.failed(Step.BACKUP)
    assert failure.retryable
    assert day.backup.read_text() == "somebody's"
    assert day.temporaries() == []


def test_bit_rot_is_never_backed_up_as_the_truth(day: Any, flip: Callable[..., None]) -> None:
    day.backed_up_day()
    flip(day.backup, 5000)
    flip(day.database, 9000)
    before = day.files()
    failure = day.failed(Step.BACKUP)
    assert (failure.trouble, failure.retryable) == (Trouble.CORRUPT, False)
    assert day.files() == before


def test_a_late_write_asks_for_a_new_seal(day: Any) -> None:
    day.sealed_day()
    day.fill(1, first=5000)
    failure = day.failed(Step.BACKUP)
    assert (failure.trouble, failure.retryable) == (Trouble.CHANGED, True)
    assert day.temporaries() == []
    assert not day.backup.exists()


def test_a_touched_but_equal_database_is_backed_up(day: Any) -> None:
    day.sealed_day()
    os.utime(day.database)
    assert day.back_up().ticks == 1000


def test_without_a_seal_there_is_no_exact_backup(day: Any) -> None:
    day.create()
    assert not day.failed(Step.BACKUP).retryable


def test_a_backup_onto_itself_is_refused(day: Any) -> None:
    day.sealed_day()
    for backup in (day.database, day.root / "linked.db"):
        if not backup.exists():
            os.link(day.database, backup)
        paths = structs.replace(day.job.paths, backup=str(backup))
        assert day.failed(Step.BACKUP, paths=paths).trouble is Trouble.CONFLICT


def test_a_backup_with_more_ticks_is_not_replaced(day: Any) -> None:
    day.backed_up_day()
    day.database.unlink()
    day.sealed_day(count=10)
    before = day.files()
    assert day.failed(Step.BACKUP).trouble is Trouble.CONFLICT
    assert day.files() == before


def test_a_backup_that_somebody_wrote_into_is_not_replaced(day: Any) -> None:
    day.backed_up_day()
    day.backup.with_name(day.backup.name + "-wal").write_bytes(b"ticks, perhaps")
    assert day.failed(Step.BACKUP).trouble is Trouble.CONFLICT


def test_what_does_not_read_back_is_not_published(day: Any, monkeypatch: Any) -> None:
    day.sealed_day()
    monkeypatch.setattr("handlers.backup.sha256_of", lambda _: "0" * 64)
    failure = day.failed(Step.BACKUP)
    assert "does not read back" in failure.message
    assert failure.retryable
    assert not day.backup.exists()
    assert day.temporaries() == []


def test_a_full_disk_loses_nothing(day: Any, with_full_disk: Callable[..., Any]) -> None:
    day.sealed_day()
    before = day.files()
    failure = with_full_disk(structs.replace(day.job, step=Step.BACKUP), 20_000)
    assert "free space on" in failure.hint
    assert failure.retryable
    assert day.files() == before
    day.back_up()


def test_killed_anywhere_it_is_simply_done_again(day: Any, kill_at: Callable[..., bool]) -> None:
    sealed = day.sealed_day(100)
    number = 0
    while kill_at(structs.replace(day.job, step=Step.BACKUP), number):
        if day.backup.exists():
            assert day.files()["backup/2026/01/ticks_2026-01-20.db"] == sealed.sha256
        sweep_temporaries(day.root)
        number += 1
    assert number > 5
    day.back_up()
    assert len(day.files()) == 2


def test_a_writer_that_a_copy_would_stall_is_not_copied(day: Any, child: Callable[..., Any]) -> None:
    day.sealed_day()  # no longer in WAL mode
    writer = child(WRITER, day.database)
    failure = day.failed(Step.BACKUP, live=True)
    assert (failure.trouble, failure.retryable) == (Trouble.FAILED, True)
    assert "stall" in failure.message
    assert "WAL mode" in failure.hint
    assert [holder.pid for holder in failure.holders] == [writer.pid]
    assert not day.backup.exists()
    writer.end()
    reader = child(READER, day.database)
    assert day.back_up(live=True).ticks == 1001
    reader.end()


@pytest.mark.parametrize("script", [WRITER, READER])
def test_a_day_that_is_held_open_is_backed_up_live(day: Any, child: Callable[..., Any], script: str) -> None:
    day.create()
    day.fill(500)
    holder = child(script, day.database)
    ticks = 501 if script is WRITER else 500
    before = day.database.read_bytes()
    backed_up = day.back_up(live=True)
    assert (backed_up.ticks, backed_up.live) == (ticks, True)
    assert day.files()["backup/2026/01/ticks_2026-01-20.db"] == backed_up.sha256
    assert not read_header(day.backup).is_wal
    assert list(day.backup.parent.iterdir()) == [day.backup]
    assert day.database.read_bytes() == before
    assert holder.end() == 0


def test_a_live_backup_tells_which_log_it_saw(day: Any, child: Callable[..., Any]) -> None:
    day.create()
    child(WRITER, day.database)
    wal = day.beside("-wal").stat()
    seen = day.back_up(live=True).wal
    assert (seen.size_bytes, seen.mtime_ns) == (wal.st_size, wal.st_mtime_ns)


def test_a_live_backup_is_one_state_although_the_writer_goes_on(
    day: Any, child: Callable[..., Any], monkeypatch: Any
) -> None:
    monkeypatch.setattr("handlers.database.SYNC_BYTES", 4096)  # many small steps
    day.create()
    day.fill(20_000)
    writer = child(BUSY_WRITER, day.database)
    backed_up = day.back_up(live=True)
    writer.go_on()
    written = int(writer.said())
    assert 20_000 <= backed_up.ticks <= 20_000 + written
    assert examine_copy(day.backup, "ticks").ticks == backed_up.ticks
    writer.process.wait()
    assert day.seal().ticks == 20_000 + written
    assert day.back_up().ticks == 20_000 + written


def test_a_live_backup_never_replaces_one_with_more_ticks(day: Any) -> None:
    day.backed_up_day()
    connection = apsw.Connection(str(day.database))
    connection.execute("DELETE FROM ticks WHERE id > 10")
    connection.close()
    before = day.files()
    assert day.failed(Step.BACKUP, live=True).trouble is Trouble.CONFLICT
    assert day.failed(Step.BACKUP, live=True, previous=day.job.sealed).trouble is Trouble.CONFLICT
    assert day.files() == before


def test_a_damaged_day_is_not_backed_up_live(day: Any) -> None:
    day.backed_up_day()
    with day.database.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xff" * 64)
    before = day.files()
    assert day.failed(Step.BACKUP, live=True).trouble is Trouble.CORRUPT
    assert day.files() == before
