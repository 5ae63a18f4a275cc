"""What is said of files that were put aside."""

from __future__ import annotations

import subprocess
from pathlib import Path

from msgspec.structs import replace

from watcher.doctor.leftovers import aside
from watcher.doctor.premises import Premises
from watcher.settings import Data, Settings


def premises(folder: Path) -> Premises:
    tops = {name: str(folder / name) for name in ("root", "backup", "archive", "state")}
    return Premises(None, {}, replace(Settings(), data=Data(**tops)))


def plant(path: Path, content: bytes = b"12345") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_days_and_their_copies_are_none(tmp_path: Path) -> None:
    for name in ("ticks_2026-01-20.db", "ticks_2026-01-20.db.zst", ".ticks_2026-01-20.db.retired"):
        plant(tmp_path / "root/2026/01" / name)
    (found,) = aside(premises(tmp_path))
    assert found.level == "ok"


def test_they_are_counted_wherever_they_are_and_the_first_is_named(tmp_path: Path) -> None:
    first = tmp_path / "archive/2026/01/ticks_2026-01-20.db.zst.quarantined-2"
    plant(first)
    plant(tmp_path / "backup/2026/01/ticks_2026-01-20.db.aside-0123456789ab")
    plant(tmp_path / "backup/2026/01/ticks_2026-01-20.db.aside-0123456789ab-2")
    plant(tmp_path / "root/2026/01/ticks_2026-01-20.db.aside-inode-77")
    (found,) = aside(premises(tmp_path))
    assert found.level == "note"
    assert "4 files (20 B) put aside" in found.sentence
    assert str(first) in found.sentence


def test_how_to_list_them_is_a_command_that_does(tmp_path: Path) -> None:
    file = tmp_path / "root" / "ticks_2026-01-20.db.quarantined"
    plant(file)
    (found,) = aside(premises(tmp_path))
    command = found.remedy.split("`")[1]
    listed = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    assert listed.stdout == f"{file}\n"


def test_a_directory_that_does_not_answer_is_not_asked(tmp_path: Path) -> None:
    plant(tmp_path / "root/ticks_2026-01-20.db.quarantined")
    (found,) = aside(replace(premises(tmp_path), silent=frozenset({"root"})))
    assert found.level == "ok"
