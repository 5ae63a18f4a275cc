"""The second half of a day's life, with real daemons and the command line as people type it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import apsw
import pytest

from handlers.database import examine_copy
from tests.end_to_end.harness import TODAY, World, _environment

OLD = "2025-11-10"
KEY = f"ticks/{OLD}"
QUICK = {"settle_seconds": 0.02}
"""For so long an original is left alone before it is removed."""


def aged(world: World, *days: str, now: str = f"{TODAY}T12:00", **sections: dict[str, Any]) -> None:
    """These days, done by one pass to where they belong at that time."""
    world.configure(now, watch=QUICK, **sections)
    for day in days:
        world.make(day, 300)
    assert world.once() == 0


def cold(world: World, *days: str) -> None:
    """The same, in the archive: their 1st of a month has come."""
    aged(world, *(days or (OLD,)))
    assert (world.path(OLD, "archive").with_name(f"ticks_{OLD}.db.zst")).exists()


def copies(world: World, day: str = OLD) -> list[str]:
    """Every file of that day, below the folder."""
    return sorted(str(path.relative_to(world.folder)) for path in world.folder.rglob(f"*{day}*"))


def rot(path: Path, offset: int = 1000) -> None:
    data = bytearray(path.read_bytes())
    data[offset % len(data)] ^= 0x40
    path.write_bytes(data)


def archived(world: World, top: str = "archive") -> Path:
    return world.path(OLD, top).with_name(f"ticks_{OLD}.db.zst")


def test_an_old_day_comes_to_the_archive_in_order_and_in_one_pass(world: World) -> None:
    cold(world)
    names = [each["event"] for each in world.recorded() if each["key"] == KEY]
    assert names == ["closed", "sealed", "backed_up", "compressed", "archived"]
    assert copies(world) == [f"{top}/2025/11/ticks_{OLD}.db.zst" for top in ("archive", "backup")]


@pytest.mark.parametrize("with_daemon", [True, False])
def test_an_order_is_followed_to_its_end_with_a_daemon_and_without(world: World, with_daemon: bool) -> None:
    aged(world, "2026-01-18")
    process = world.daemon() if with_daemon else None
    told = json.loads(world.process("compress", "2026-01-18", "--json").stdout)
    assert [(end["event"], end["ok"]) for end in told["ended"]] == [("compressed", True)]
    assert world.count("compressed") == 1
    shown = world.process("archive", "2026-01-18")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("ticks/2026-01-18  archived in ")
    refused = world.process("restore", "2026-01-17")
    assert refused.returncode == 1
    assert "there is no such day" in refused.stdout
    if process is not None:
        assert world.stop(process) == 0


def test_a_dry_run_prints_the_plan_and_changes_nothing(world: World) -> None:
    aged(world, "2026-01-10", compress={"schedule": "0 0 1 1 *"})
    before = {path: path.stat().st_mtime_ns for path in world.folder.rglob("*ticks*")}
    events = world.recorded()
    ended = world.run("compress", "--dry-run")
    assert ended.stdout.startswith("ticks/2026-01-10  would compress: ")
    assert json.loads(world.run("compress", "--dry-run", "--json").stdout)["planned"][0]["step"] == "compress"
    assert {path: path.stat().st_mtime_ns for path in world.folder.rglob("*ticks*")} == before
    assert world.recorded() == events


def test_late_ticks_beside_a_cold_day_are_merged_and_the_day_goes_its_way_again(world: World) -> None:
    cold(world)
    late = world.path(OLD)
    late.parent.mkdir(parents=True, exist_ok=True)
    world.actor().do(f"open {late}", "write 250 100", "close").end()
    process = world.daemon()
    with world.events() as events:
        events.until("conflict", KEY)
        merged = world.run("merge", OLD)
        assert merged.returncode == 0, merged.stdout + merged.stderr
        events.until("archived", KEY, count=2)
        report = events.until("merged", KEY).data
    assert (report["ticks_before"], report["ticks_late"], report["added"]) == (300, 100, 50)
    world.stop(process)
    restored = world.folder / "restored.db"
    assert world.run("restore", OLD, "--to", str(restored)).returncode == 0
    assert examine_copy(restored, "ticks").ticks == 350
    assert copies(world) == [f"{top}/2025/11/ticks_{OLD}.db.zst" for top in ("archive", "backup")]


def test_rot_is_found_and_repaired_from_the_good_copy(world: World) -> None:
    cold(world)
    whole = archived(world).read_bytes()
    rot(archived(world))
    told = world.json("verify", "--all")
    assert [end["event"] for end in told["ended"]] == ["repaired"]
    assert archived(world).read_bytes() == archived(world, "backup").read_bytes() == whole
    assert [end["event"] for end in world.json("verify", OLD)["ended"]] == ["verified"]


def test_a_day_without_a_good_copy_is_lost_loudly_and_nothing_of_it_is_removed(world: World) -> None:
    cold(world)
    bad = {}
    for top, offset in (("archive", 500), ("backup", 900)):
        rot(archived(world, top), offset)
        bad[top] = archived(world, top).read_bytes()
    ended = world.run("verify", OLD)
    assert ended.returncode == 1
    assert f"{KEY}  LOST: " in ended.stdout
    for top, content in bad.items():
        kept = archived(world, top)
        assert kept.with_name(f"{kept.name}.quarantined").read_bytes() == content
    assert list(world.reasons("lost")) == [KEY]
    assert world.run("status").returncode == 2
    assert [line["level"] for line in world.log() if line.get("event") == "lost"] == ["CRITICAL"]
    assert world.once() == 1


def test_a_copy_that_comes_back_ends_the_loss(world: World) -> None:
    cold(world)
    whole = archived(world).read_bytes()
    for top in ("archive", "backup"):
        rot(archived(world, top))
    assert world.run("verify", OLD).returncode == 1
    archived(world).write_bytes(whole)
    assert world.once() == 0
    assert archived(world, "backup").read_bytes() == whole
    assert world.reasons("lost") == {}


def test_an_archive_that_is_not_mounted_is_neither_filled_nor_repaired(world: World) -> None:
    cold(world)
    archive = world.folder / "archive"
    archive.rename(world.folder / "away")
    archive.mkdir()
    ended = world.run("verify", OLD)
    assert ended.returncode == 1
    assert "is the archive disk mounted?" in ended.stdout
    world.make("2025-11-20")
    assert world.once() == 1
    assert list(archive.iterdir()) == []
    archive.rmdir()
    (world.folder / "away").rename(archive)
    assert world.once() == 0
    assert world.json("verify", "--all")["failed"] == 0


def test_after_a_long_outage_deletions_wait_for_a_persons_word(world: World) -> None:
    """Eight days and two that were made ahead, of which the newest four are kept: six are due at once."""
    days = [f"2025-11-{day:02}" for day in range(10, 18)]
    aged(world, *days)
    world.configure("2026-07-20T12:00", watch=QUICK, expire={"keep_min": 4})
    assert world.once() == 0
    assert world.count("expired") == 0
    dry = world.run("expire", "--dry-run")
    assert dry.returncode == 1
    planned = json.loads(world.run("expire", "--dry-run", "--json").stdout)["planned"]
    due = [each["database"] for each in planned]
    assert due == [f"ticks/{day}" for day in days[: len(due)]]
    assert len(due) > 3
    assert dry.stdout.startswith(f"{len(due)} days, {due[0]} to {due[-1]}  refused: ")
    assert f"{len(due)} days of ticks are due to be deleted at once" in dry.stdout
    assert "--confirm" in dry.stdout
    assert world.run("expire", "--confirm", str(len(due) + 1)).returncode == 1
    assert world.count("expired") == 0
    done = world.json("expire", "--confirm", str(len(due)))
    assert (done["done"], done["failed"]) == (len(due), 0)
    assert copies(world, days[0]) == []
    assert len(copies(world, days[-1])) == 2, "one of the newest four"
    certificate = next(e["data"] for e in world.recorded() if e["event"] == "expired" and e["key"] == KEY)
    assert (certificate["ticks"], len(certificate["sha256"])) == (300, 64)
    assert "uid" in certificate["by"]
    assert world.unbroken()


def test_a_hold_outlives_retention_and_is_shown_everywhere(world: World) -> None:
    cold(world, OLD, "2025-11-11")
    assert world.run("hold", OLD, "--reason", "audit 17").returncode == 0
    world.configure("2026-07-20T12:00", watch=QUICK, expire={"keep_min": 0})
    assert world.once() == 0
    assert "ticks/2025-11-11" in [each["key"] for each in world.recorded() if each["event"] == "expired"]
    assert len(copies(world)) == 2
    assert "audit 17" in world.run("plan").stdout
    assert "audit 17" in world.run("status").stdout
    assert world.run("release", OLD).returncode == 0
    assert world.once() == 0
    assert copies(world) == []


def test_a_journal_that_is_gone_takes_nothing_away_until_a_person_has_seen_to_it(world: World) -> None:
    aged(world, "2026-01-10", compress={"schedule": "0 0 1 1 *"})
    assert world.run("hold", "2026-01-10", "--reason", "audit 17").returncode == 0
    for file in (world.folder / "state").glob("journal.db*"):
        file.unlink()
    world.configure()
    ended = world.process("once")
    assert ended.returncode == 1
    assert "rotation_metadata.json knows another journal" in ended.stderr
    assert world.path("2026-01-10").exists(), "it was on hold"
    assert world.count("backed_up") == 1, "but what only adds copies is done"
    assert world.run("audit", "verify").returncode == 1
    assert world.run("compress", "2026-01-10").returncode == 1
    assert world.run("hold", "2026-01-10", "--reason", "audit 17").returncode == 0
    (world.folder / "db" / "rotation_metadata.json").unlink()
    assert world.once() == 0
    assert world.path("2026-01-10").exists()
    assert world.run("audit", "verify").returncode == 0


def test_a_name_with_the_last_date_there_is_stops_nothing(world: World) -> None:
    for day in ("9999-12-31", "9999-03-01", "0001-01-01"):
        path = world.path(day)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    world.make("2026-01-19")
    world.once()
    assert world.count("backed_up") == 1
    assert world.run("plan").returncode == 0


def test_a_writer_who_comes_and_goes_beside_a_compressed_day_is_told_of_once(world: World) -> None:
    cold(world)
    late = world.path(OLD)
    late.parent.mkdir(parents=True, exist_ok=True)
    process = world.daemon()
    with world.events() as events:
        for number in range(5):
            world.actor().do(f"open {late}", f"write {1000 + number} 1", "close").end()
            if number == 0:
                events.until("conflict", KEY)
        world.make("2026-01-18")
        events.until("backed_up", "ticks/2026-01-18")
        assert events.names(KEY).count("conflict") == 1
    world.stop(process)


def test_a_hold_that_cannot_be_recorded_now_is_recorded_in_the_end(world: World) -> None:
    aged(world, "2026-01-18")
    process = world.daemon()
    blocker = apsw.Connection(str(world.folder / "state" / "journal.db"))
    blocker.execute("BEGIN IMMEDIATE")
    asking = subprocess.Popen(
        world.command("hold", "2026-01-18", "--reason", "audit 17"),
        cwd=world.folder,
        env=_environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert asking.stderr is not None
    assert "waiting: the daemon cannot go on for now" in asking.stderr.readline()
    blocker.execute("ROLLBACK")
    blocker.close()
    asking.communicate(timeout=60)
    assert asking.returncode == 0
    assert world.count("held") == 1
    assert world.stop(process) == 0


def test_the_way_out_of_a_lost_journal_is_open_also_while_the_daemon_runs(world: World) -> None:
    aged(world, "2026-01-18")
    for file in (world.folder / "state").glob("journal.db*"):
        file.unlink()
    world.configure()
    process = world.daemon()
    (world.folder / "db" / "rotation_metadata.json").unlink()  # a person has seen to what must be kept
    assert world.stop(process) == 0
    process = world.daemon()
    assert "knows another journal" not in world.run("plan").stdout
    assert world.json("compress", "2026-01-18")["done"] == 1
    assert world.stop(process) == 0


def test_a_day_that_the_journal_does_not_know_yet_can_be_put_on_hold_without_a_daemon(world: World) -> None:
    world.make("2026-01-19")
    assert world.run("hold", "2026-01-19", "--reason", "audit 17").returncode == 0
    assert world.count("held") == 1
