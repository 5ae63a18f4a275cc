"""The daemon's own life: one at a time, stopped, killed, away over midnight, told to read its file again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import apsw
import pytest
import zmq

from handlers.seekable import sha256_of_content
from tests.end_to_end.harness import TODAY, YESTERDAY, FileWatch, World

KEY = f"ticks/{YESTERDAY}"
AT_ONCE = {"after_days": 0, "schedule": "on_rotation"}


def make_big(world: World, megabytes: int = 24) -> Path:
    """A day that takes a while to compress."""
    path = world.make(YESTERDAY, 10)
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE ballast (data BLOB)")
    with connection:
        for _ in range(megabytes):
            connection.execute("INSERT INTO ballast VALUES (?)", (os.urandom(1 << 20),))
    connection.close()
    return path


def test_two_daemons(world: World) -> None:
    first = world.daemon()
    second = world.process("run")
    assert second.returncode == 3
    assert f"pid {first.pid}" in second.stderr
    assert "Traceback" not in second.stderr
    assert world.stop(first, signal.SIGINT) == 0
    assert world.recorded()[-1]["event"] == "stopped"
    assert world.once() == 0, "the next may begin"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_stopped_during_compression(world: World, number: int) -> None:
    path = make_big(world)
    world.configure(compress={**AT_ONCE, "level": 22, "frame": "16 MiB"}, workers={"stop_seconds": 0.0})
    daemon = world.daemon()
    with world.events() as events:
        sealed = events.until("sealed", KEY)
        events.until("backed_up", KEY)
    wait_for_temporary(path.parent)
    code = world.stop(daemon, number)
    assert code == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sealed.data["sha256"], "still there, whole"
    world.configure(compress={**AT_ONCE, "level": 3})
    daemon = world.daemon()
    with world.events() as events:
        events.until("compressed", KEY)
    assert world.stop(daemon) == 0
    assert world.temporaries() == []
    for top in ("db", "backup"):
        assert not world.path(YESTERDAY, top).exists()
        assert sha256_of_content(world.path(YESTERDAY, top).with_suffix(".db.zst")) == sealed.data["sha256"]


def wait_for_temporary(directory: Path) -> None:
    """Until the compression has begun to write."""
    with FileWatch(directory) as watch:
        while not any(".zst." in path.name for path in directory.iterdir()):
            watch.wait()


def test_running_jobs_may_end_when_the_daemon_is_stopped(world: World) -> None:
    path = make_big(world, 8)
    world.configure(compress=AT_ONCE)
    daemon = world.daemon()
    with world.events() as events:
        events.until("backed_up", KEY)
    wait_for_temporary(path.parent)
    assert world.stop(daemon) == 0
    assert [entry["event"] for entry in world.recorded()][-2:] == ["compressed", "stopped"]


def test_away_over_midnight(world: World) -> None:
    world.configure(now="2026-01-19T23:59:00")
    assert world.once() == 0
    assert world.path(TODAY).exists()
    world.actor().do(f"open {world.path(YESTERDAY)}", "write 0 300", "close")
    world.configure(now="2026-01-22T08:00:00")
    world.daemon()
    with world.events() as events:
        assert events.until("sealed", KEY).data["ticks"] == 300
        events.until("backed_up", KEY)
        events.until("backed_up", f"ticks/{TODAY}")  # made ahead, never written to: sealed all the same
        for day in ("2026-01-22", "2026-01-23"):
            events.until("created", f"ticks/{day}")
        rotated = events.until("rotated", "ticks", count=2)
    assert (rotated.data["previous"], rotated.data["current"]) == (YESTERDAY, "2026-01-22")
    assert not world.path("2026-01-21").exists(), "the past is not made up"
    metadata = json.loads((world.folder / "db" / "rotation_metadata.json").read_text())
    assert metadata["current_date"] == "2026-01-22"
    assert metadata["previous_date"] == YESTERDAY
    assert metadata["current_db"] == str(world.path("2026-01-22"))
    assert metadata["previous_db"] == str(world.path(YESTERDAY))
    assert metadata["last_rotation"].startswith("2026-01-22T08:00")


def test_midnight(world: World) -> None:
    """The event first, then the work; the writer that waits for the event finds its file.

    A look at the observer that is due in the last seconds before is put off, and not waited for by spinning.
    """
    world.configure(now="2026-01-19T23:59:50", watch={"canary_seconds": 0.1})
    writer = world.actor()
    daemon = world.daemon()
    with world.events() as events:
        events.until("created", f"ticks/{YESTERDAY}")
        events.until("created", f"ticks/{TODAY}")
        before = switches(daemon.pid)
        writer.do(f"open {world.path(YESTERDAY)}", "write 0 100")
        rotated = events.until("rotated", "ticks", where=lambda data: data["cause"] == "clock")
        assert switches(daemon.pid) - before < 100
        assert Path(rotated.data["current_db"]).exists(), "made ahead of midnight"
        writer.do("close", f"open {rotated.data['current_db']}", "write 0 100")
        assert events.until("sealed", KEY).data["ticks"] == 100
        events.until("backed_up", KEY)
        events.until("created", "ticks/2026-01-21")
    assert rotated.time.isoformat() < "2026-01-20T00:00:00.5"
    assert world.stop(daemon) == 0


def test_a_writer_that_is_ahead_of_midnight_rotates_the_stream(world: World) -> None:
    world.configure(now="2026-01-19T23:00:00")
    world.daemon()
    with world.events() as events:
        events.until("created", f"ticks/{TODAY}")
        world.actor().do(f"open {world.path(TODAY)}", "write 0 10")
        rotated = events.until("rotated", "ticks", count=2)
    assert (rotated.data["current"], rotated.data["cause"]) == (TODAY, "writer")


def test_a_new_configuration(world: World) -> None:
    daemon = world.daemon()
    with world.events() as events:
        events.until("created", count=2)
    good = world.config.read_text()

    def answers() -> list[str]:
        # An event is published before its own line is written: that line may still be on its way.
        return [line["message"] for line in world.log() if "event" not in line]

    def refused_or_taken() -> str:
        before = len(answers())
        daemon.send_signal(signal.SIGHUP)
        with FileWatch(world.folder) as watch:
            while len(lines := answers()) == before:
                watch.wait()
        return lines[before]

    world.config.write_text(good + "\n[compress]\nlevel = 99\n")
    assert "compress.level" in refused_or_taken()
    world.config.write_text(good.replace('"db"', '"elsewhere"'))
    assert "[data] can only change with a restart" in refused_or_taken()
    world.config.write_text(good + '\n[compress]\nafter_days = 0\nschedule = "on_rotation"\nlevel = 3\n')
    assert refused_or_taken() == "the new configuration is in force"
    world.make(YESTERDAY)
    with world.events() as events:
        assert events.until("compressed", KEY).data["level"] == 3
    assert world.stop(daemon) == 0


def test_a_port_that_is_taken_does_not_hold_up_the_work(world: World) -> None:
    context = zmq.Context()
    try:
        socket = context.socket(zmq.PUB)
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        publish = f"tcp://127.0.0.1:{port}"
        world.configure(events={"publish": publish})
        world.make(YESTERDAY)
        daemon = world.daemon(wait=False)
        with world.events() as events:  # the replay address is free
            events.until("backed_up", KEY)
            reasons = world.status()["verdict"]["reasons"]
            assert [publish in each["sentence"] for each in reasons if each["kind"] == "address"] == [True]
            socket.close(linger=0)
            # as soon as the port is free, events are published on it
            subscriber = context.socket(zmq.SUB)
            subscriber.subscribe(b"")
            subscriber.connect(publish)
            assert subscriber.poll(30_000), "nothing was published after the port was freed"
            subscriber.close(linger=0)
        assert world.stop(daemon) == 0
        assert any(publish in line["message"] and line["level"] == "ERROR" for line in world.log())
    finally:
        context.destroy(linger=0)


def test_once(world: World) -> None:
    world.configure(compress={**AT_ONCE, "level": 3})
    world.make(YESTERDAY, 700)
    ended = world.process("once")
    assert ended.returncode == 0, ended.stderr
    names = [entry["event"] for entry in world.recorded() if entry["key"] == KEY]
    assert names == ["closed", "sealed", "backed_up", "compressed"]
    before = len(world.recorded())
    assert world.process("once").returncode == 0
    assert [e["event"] for e in world.recorded()[before:]] == ["started", "stopped"], "nothing left to do"


def test_zstd_gives_back_the_sealed_file(world: World) -> None:
    if shutil.which("zstd") is None:
        pytest.skip("the zstd program is not installed")
    world.configure(compress=AT_ONCE)
    world.make(YESTERDAY, 30_000)
    assert world.once() == 0
    (sealed,) = (e["data"] for e in world.recorded() if e["event"] == "sealed" and e["key"] == KEY)
    archive = world.path(YESTERDAY).with_suffix(".db.zst")
    content = subprocess.run(["zstd", "-dc", str(archive)], capture_output=True, check=True).stdout
    assert hashlib.sha256(content).hexdigest() == sealed["sha256"]


def test_a_storm_of_signals_is_still_an_orderly_end(world: World) -> None:
    daemon = world.daemon()
    while daemon.poll() is None:
        daemon.send_signal(signal.SIGTERM)
    assert daemon.returncode == 0
    assert world.recorded()[-1]["event"] == "stopped"


def test_away_over_midnight_while_the_writer_rotates_by_itself(world: World) -> None:
    world.configure(now="2026-01-19T22:00:00")
    assert world.once() == 0
    world.actor().do(f"open {world.path(TODAY)}", "write 0 10")
    world.configure(now="2026-01-20T08:00:00")
    world.daemon()
    with world.events() as events:
        rotated = events.until("rotated", "ticks", count=2)
        events.until("opened", f"ticks/{TODAY}")
    assert (rotated.data["current"], rotated.data["cause"]) == (TODAY, "clock")


def switches(pid: int) -> int:
    """How often the main thread has gone to sleep."""
    for line in Path(f"/proc/{pid}/task/{pid}/status").read_text().splitlines():
        if line.startswith("voluntary_ctxt_switches:"):
            return int(line.split()[1])
    raise AssertionError("no such line")


def test_a_tree_that_was_copied_is_not_a_writer_ahead_of_midnight(world: World) -> None:
    assert world.once() == 0
    root = world.folder / "db"
    shutil.copytree(root, world.folder / "copy")
    shutil.rmtree(root)
    (world.folder / "copy").rename(root)
    assert world.once() == 0
    assert [e["data"]["current"] for e in world.recorded() if e["event"] == "rotated"] == [TODAY]
