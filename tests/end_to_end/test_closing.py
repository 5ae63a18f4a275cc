"""How a day ends: writers that close, crash, come back or stay; readers that never leave; late ticks."""

from __future__ import annotations

import hashlib
from pathlib import Path

import apsw

from tests.end_to_end.harness import TODAY, YESTERDAY, World

KEY = f"ticks/{YESTERDAY}"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def count(path: Path) -> int:
    connection = apsw.Connection(
        f"file:{path}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    )
    try:
        return int(connection.execute("SELECT count(*) FROM ticks").get)
    finally:
        connection.close()


def assert_one_whole_file(world: World, ticks: int) -> None:
    path = world.path(YESTERDAY)
    assert [p.name for p in path.parent.glob(f"*{YESTERDAY}*")] == [path.name], "no -wal, no -shm"
    assert count(path) == ticks
    assert sha256(world.path(YESTERDAY, "backup")) == sha256(path)


def open_writer(world: World):
    path = world.path(YESTERDAY)
    path.parent.mkdir(parents=True, exist_ok=True)
    return world.actor().do(f"open {path}", "write 0 500")


def test_a_writer_that_closes(world: World) -> None:
    world.daemon()
    with world.events() as events:
        events.until("started")  # and heard: before a worker comes to find that somebody holds the day
        writer = open_writer(world)
        events.until("opened", KEY)
        writer.do("write 500 500", "close")
        sealed = events.until("sealed", KEY)
        backed_up = events.until("backed_up", KEY)
        assert events.names(KEY) == ["opened", "closed", "sealed", "backed_up"]
    path = world.path(YESTERDAY)
    assert sealed.data["ticks"] == 1000
    assert sealed.data["symbols"] == 7
    assert (sealed.data["first_tick_ms"], sealed.data["last_tick_ms"]) == (0, 999)
    assert sealed.data["sha256"] == backed_up.data["sha256"] == sha256(path)
    assert_one_whole_file(world, 1000)


def test_a_writer_that_is_killed_with_a_hot_wal(world: World) -> None:
    world.daemon()
    with world.events() as events:
        writer = open_writer(world).do("write 500 250")
        events.until("opened", KEY)
        writer.kill()
        closed = events.until("closed", KEY)
        assert closed.data["wal_bytes"] > 0
        assert events.until("sealed", KEY).data["ticks"] == 750
        events.until("backed_up", KEY)
    assert_one_whole_file(world, 750)


def test_a_writer_that_closes_and_comes_back(world: World) -> None:
    world.daemon()
    with world.events() as events:
        writer = open_writer(world)
        path = world.path(YESTERDAY)
        for first in range(500, 1000, 100):
            writer.do("close", f"open {path}", f"write {first} 100")
        events.until("opened", KEY)
        # everything up to here was recorded in order, so a seal would have been seen before this
        world.make("2026-01-18", 5)
        events.until("backed_up", "ticks/2026-01-18")
        assert "sealed" not in events.names(KEY)
        writer.do("close")
        assert events.until("sealed", KEY).data["ticks"] == 1000
        events.until("backed_up", KEY)
    assert_one_whole_file(world, 1000)


def test_a_reader_that_stays(world: World) -> None:
    world.configure(seal={"patience_seconds": 1.0})
    writer = open_writer(world)
    reader = world.actor().do(f"read {world.path(YESTERDAY)}")
    writer.kill()
    world.daemon()
    with world.events() as events:
        deferred = events.until("deferred", KEY)
        assert deferred.data["holders"][0]["pid"] == reader.process.pid
        assert deferred.data["holders"][0]["name"]
        copy = events.until("backed_up", KEY)
        assert copy.data["live"]
        assert count(world.path(YESTERDAY, "backup")) == 500
        waiting = world.status()["deferred"][0]
        assert waiting["holders"][0]["pid"] == reader.process.pid
        assert waiting["copied_ticks"] == 500
        reader.do("close")
        assert events.until("sealed", KEY).data["ticks"] == 500
        assert not events.until("backed_up", KEY, count=2).data["live"]
        assert events.names(KEY).count("deferred") == 1
    assert_one_whole_file(world, 500)


def test_a_late_tick_after_sealing(world: World) -> None:
    world.make(YESTERDAY, 500)
    world.daemon()
    with world.events() as events:
        first = events.until("sealed", KEY)
        events.until("backed_up", KEY)
        world.actor().do(f"open {world.path(YESTERDAY)}", "write 9000 1", "close")
        events.until("reopened", KEY)
        second = events.until("sealed", KEY, count=2)
        events.until("backed_up", KEY, count=2)
    assert (first.data["ticks"], second.data["ticks"]) == (500, 501)
    assert first.data["sha256"] != second.data["sha256"]
    assert_one_whole_file(world, 501)


def test_a_day_that_shrank_after_sealing_is_a_conflict(world: World) -> None:
    path = world.make(YESTERDAY, 500)
    world.daemon()
    with world.events() as events:
        events.until("backed_up", KEY)
        vandal = apsw.Connection(str(path))
        vandal.execute("DELETE FROM ticks WHERE timestamp < 100")
        vandal.close()
        conflict = events.until("conflict", KEY)
    assert "500 -> 400" in conflict.data["error"]
    assert count(world.path(YESTERDAY, "backup")) == 500, "the whole copy stays"
    assert list(world.reasons("blocked")) == [KEY]


def test_a_damaged_day_stays_as_it_is(world: World) -> None:
    path = world.make(YESTERDAY, 20_000)
    with path.open("r+b") as file:
        file.seek(4096 * 5)
        file.write(b"\xa5" * 4096)
    before = sha256(path)
    world.make("2026-01-18", 5)
    world.daemon()
    with world.events() as events:
        corrupt = events.until("corrupt", KEY)
        events.until("backed_up", "ticks/2026-01-18")  # the others go on
    assert corrupt.data["problems"]
    assert sha256(path) == before
    assert not world.path(YESTERDAY, "backup").exists()
    assert list(world.reasons("blocked")) == [KEY]


def test_a_hot_database_that_is_still_being_copied_in(world: World) -> None:
    """`cp x.db x.db-wal`, held up on the way: the ticks in the log are waited for."""
    away = world.folder / "away.db"
    writer = world.actor().do(f"open {away}")
    for first in range(0, 2000, 100):
        writer.do(f"write {first} 100")
    main, log = away.read_bytes(), Path(f"{away}-wal").read_bytes()
    writer.kill()
    world.daemon()
    path = world.path(YESTERDAY)
    path.parent.mkdir(parents=True, exist_ok=True)
    with world.events() as events:
        path.write_bytes(main)
        with Path(f"{path}-wal").open("wb") as copy:
            copy.write(log[: len(log) // 2])
            copy.flush()
            events.until("deferred", KEY)
            copy.write(log[len(log) // 2 :])
        assert events.until("sealed", KEY).data["ticks"] == 2000
        events.until("backed_up", KEY)
    assert_one_whole_file(world, 2000)


def test_a_day_that_is_never_left_alone(world: World) -> None:
    """A dashboard that opens it again and again: no settling, and all the same sealed."""
    world.configure(watch={"settle_seconds": 1.0}, seal={"retry_seconds": 1.5})
    path = world.path(YESTERDAY)
    path.parent.mkdir(parents=True, exist_ok=True)
    world.actor().do(f"open {path}", "write 0 100").kill()
    world.daemon()
    reader = world.actor()
    with world.events() as events:
        while "sealed" not in events.names(KEY):
            reader.do(f"read {path}", "close")
            message = events._subscriber.receive(timeout_seconds=0.1)
            if message is not None:
                events.seen.append(message)
        events.until("backed_up", KEY)
    assert_one_whole_file(world, 100)


def test_a_writer_that_comes_back_after_a_crash_is_opened_again(world: World) -> None:
    """The -wal it left is still there: no file is made, no event tells, and it is noticed all the same."""
    path = world.path(TODAY)
    key = f"ticks/{TODAY}"
    world.daemon()
    with world.events() as events:
        events.until("created", key)
        writer = world.actor().do(f"open {path}", "write 0 100")
        events.until("opened", key)
        writer.kill()
        events.until("closed", key)
        again = world.actor().do(f"open {path}", "write 100 100")
        events.until("opened", key, count=2)
        again.do("close")
        events.until("closed", key, count=2)


def test_a_single_pass_says_who_holds_a_day(world: World) -> None:
    writer = open_writer(world)
    ended = world.process("once")
    assert ended.returncode == 0
    deferred = [entry["data"] for entry in world.recorded() if entry["event"] == "deferred"]
    assert deferred[0]["holders"][0]["pid"] == writer.process.pid
    assert f"pid {writer.process.pid}" in ended.stderr


def test_a_table_that_is_not_there_is_said(world: World) -> None:
    world.configure(**{"data.streams.ticks": {"pattern": "{year}/{month}/ticks_{date}.db", "table": "tiks"}})
    world.make(YESTERDAY, 10)
    ended = world.process("once")
    assert "ticks=0 counted=False" in ended.stderr
    assert list(world.reasons("uncounted")) == [KEY]
