"""Whatever lies in the tree: set aside with a reason, never changed, and the rest goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.end_to_end.harness import YESTERDAY, World

KEY = f"ticks/{YESTERDAY}"


def tree(*tops: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below, with its inode and content."""
    return {
        str(path): (path.lstat().st_ino, path.read_bytes() if path.is_file() else b"")
        for top in tops
        for path in sorted(top.rglob("*"))
        if not path.is_symlink()
    }


def test_strange_things_are_set_aside_and_the_rest_goes_on(world: World) -> None:
    outside = world.folder / "outside"
    outside.mkdir()
    (outside / "ticks_2026-01-12.db").write_bytes(b"not ours")
    strange = {
        "2026-01-10": lambda path: path.write_bytes(b"this is not SQLite, whatever its name is" * 10),
        "2026-01-11": lambda path: path.touch(),
        "2026-01-12": lambda path: path.symlink_to(outside / "ticks_2026-01-12.db"),
        "2026-01-13": lambda path: path.mkdir(),
        "2026-03-01": lambda path: path.write_bytes(b"from the future"),
    }
    for day, make in strange.items():
        path = world.path(day)
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
    unmatched = world.path(YESTERDAY).parent / "notes_2026-01-09.db"
    unmatched.write_bytes(b"somebody else's")
    (world.folder / "db" / "2026" / "linked").symlink_to(outside)
    before = tree(world.folder / "db", outside)
    world.make(YESTERDAY, 100)
    world.daemon()
    with world.events() as events:
        events.until("backed_up", KEY)
        events.until("failed", "ticks/2026-01-10", where=lambda data: not data["retryable"])
    after = tree(world.folder / "db", outside)
    assert {path: after[path] for path in before} == before
    entries = {row["database"]: row for row in world.json("plan")["databases"]}
    assert "notes_2026-01-09" not in str(entries)
    for day, reason in {
        "2026-01-10": "not an SQLite database",
        "2026-01-11": "empty",
        "2026-01-12": "symbolic link that leaves the root",
        "2026-01-13": "directory",
        "2026-03-01": "future",
    }.items():
        assert entries[f"ticks/{day}"]["entry"] == "block", day
        assert reason in entries[f"ticks/{day}"]["reason"], day
        assert any(line.get("database") == f"ticks/{day}" for line in world.log()), day


def test_a_root_that_may_not_be_made(world: World) -> None:
    world.configure(data={"create_root": False})
    ended = world.process("run")
    assert ended.returncode == 2
    assert "data.root" in ended.stderr
    assert not (world.folder / "db").exists()


def test_a_root_that_cannot_be_made(world: World) -> None:
    (world.folder / "db").write_text("a file is in the way")
    ended = world.process("run")
    assert ended.returncode == 2
    assert "data.root" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_no_permission(world: World) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    root = world.folder / "db"
    root.mkdir(mode=0o500)
    ended = world.process("run")
    assert ended.returncode == 2
    assert "no permission to write" in ended.stderr


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("TICKWARD_DATA__STREAMS__TICKS__PATTERN", "ticks.db", "has no {date}"),
        ("TICKWARD_DATA__STREAMS__OTHER__PATTERN", "{year}/{month}/ticks_{date}.db", "overlap"),
        ("TICKWARD_COMPRESS__LEVLE", "3", "compress.levle"),
    ],
)
def test_a_configuration_that_cannot_be_meant(
    world: World, variable: str, value: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "OTHER" in variable:
        with world.config.open("a") as file:
            file.write('\n[data.streams.ticks]\npattern = "{year}/{month}/ticks_{date}.db"\n')
    ended = subprocess.run(
        world.command("run"),
        cwd=world.folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), variable: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert named in ended.stderr
    assert variable in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk is not permitted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def full_disk(world: World) -> Iterator[Path]:
    """A disk for backups that is full; returns the file that fills it."""
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    with small_disk(world.folder / "backup", 80) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(79 << 20))
        yield ballast


def test_a_full_disk(world: World, full_disk: Path) -> None:
    """The backup's disk is full: it is said, the day stays as it is, and it goes on when there is space."""
    path = world.make(YESTERDAY, 5000)
    daemon = world.daemon()
    with world.events() as events:
        failed = events.until("failed", KEY)
        assert failed.data["step"] == "backup"
        assert str(full_disk.parent) in failed.data["hint"]
        assert failed.data["retryable"]
        assert path.exists()
        full_disk.unlink()
        events.until("backed_up", KEY)
    assert world.stop(daemon) == 0


def test_on_a_disk_that_is_about_full_nothing_is_tried_in_vain(world: World, full_disk: Path) -> None:
    """What needs space there is paused, and says so; when there is space again it goes on by itself."""
    every_minute = {"scale": 600.0}  # so often it looks at its disks
    world.configure(health={"free_min": "64 MiB"}, clock=every_minute)
    world.make(YESTERDAY, 5000)
    assert world.once() == 1, "a day without a backup is not all that was due"
    world.daemon()
    with world.events() as events:
        events.until("sealed", KEY)
        low = events.until("disk_low")
        assert low.data["low"].keys() == {"backup"}
        assert "is paused" in low.data["hint"]
        planned = {row["database"]: row for row in world.json("plan")["databases"]}[KEY]
        assert (planned["entry"], planned["step"]) == ("wait", "backup")
        assert planned["reason"] == (
            "paused: less than 64 MiB is free on the volume of data.backup: free space there"
        )
        refused = world.run("backup", YESTERDAY)
        assert refused.returncode == 1
        assert "less than 64 MiB is free" in refused.stdout + refused.stderr
        full_disk.unlink()
        events.until("backed_up", KEY)
        assert events.until("disk_low", count=2).data["low"] == {}
        assert "failed" not in events.names(KEY)


def test_a_backup_disk_that_is_not_mounted_is_not_filled(world: World) -> None:
    world.make(YESTERDAY, 100)
    assert world.once() == 0
    backup, disk = world.folder / "backup", world.folder / "disk"
    backup.rename(disk)
    world.make("2026-01-18", 50)
    assert world.once() == 1
    assert not backup.exists(), "what was known is not made anew"
    backup.mkdir()
    assert world.once() == 1
    assert list(backup.iterdir()) == [], "an empty mount point stays empty"
    blocked = world.reasons("doubt")
    assert set(blocked) == {KEY, "ticks/2026-01-18"}
    assert "is the backup disk mounted?" in blocked[KEY]
    backup.rmdir()
    disk.rename(backup)
    assert world.once() == 0
    assert world.path("2026-01-18", "backup").exists()
    assert world.status()["blocked"] == []


def test_the_root_disappears_and_comes_back(world: World) -> None:
    world.make(YESTERDAY, 100)
    world.daemon()
    root, away = world.folder / "db", world.folder / "away"
    with world.events() as events:
        events.until("backed_up", KEY)
        root.rename(away)
        world.make("2026-01-18", 1)  # an empty mount point, as it were, with a writer in it
        root.rename(world.folder / "wrong")
        away.rename(root)
        (world.folder / "wrong/2026/01/ticks_2026-01-18.db").rename(world.path("2026-01-18"))
        events.until("backed_up", "ticks/2026-01-18")
        assert events.names(KEY).count("sealed") == 1
    assert (world.path(YESTERDAY)).exists()


def test_one_odd_thing_does_not_stop_the_rest(world: World) -> None:
    root = world.folder / "db"
    root.mkdir()
    (root / "loop").symlink_to("loop")
    outside = world.folder / "elsewhere"
    (outside / "12").mkdir(parents=True)
    (root / "2025").symlink_to(outside)
    (outside / "12" / "ticks_2025-12-31.db").write_bytes(b"outside the root")
    world.make(YESTERDAY, 10)
    world.daemon()
    with world.events() as events:
        events.until("backed_up", KEY)
    assert "2025" not in {entry["key"][6:10] for entry in world.recorded()}
    assert world.status()["blocked"] == []
