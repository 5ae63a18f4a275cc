"""What is said of the directories and of what they are on."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from watcher.disk import Mount
from watcher.doctor.places import (
    Place,
    devices,
    directories,
    file_systems,
    links,
    of_devices,
    of_directory,
    of_file_system,
    of_link,
    of_missing,
    of_owner,
    of_sentinels,
    owner,
    places_of,
    sentinels,
    user,
)
from watcher.doctor.premises import Premises
from watcher.settings import Data, Settings

STATE = stat.S_IFDIR | 0o755


def place(name: str = "root", **changes: Any) -> Place:
    path = Path("/srv", name)
    ext4 = Mount("ext4", "/srv", "/dev/sda1", frozenset({"rw"}))
    made = Place(name, path, path, True, True, STATE, 1000, 1, "sda", ext4, path)
    return made._replace(**changes)


def on(kind: str, name: str = "root", options: str = "rw") -> Place:
    return place(name, mount=Mount(kind, "/mnt", "", frozenset(options.split(","))))


def premises(folder: Path, silent: frozenset[str] = frozenset()) -> Premises:
    tops = {name: str(folder / name) for name in ("root", "backup", "archive", "state")}
    return Premises(None, {}, replace(Settings(), data=Data(**tops)), silent=silent)


ABSENT = {"above": Path("/srv")}


class TestDirectories:
    @pytest.mark.parametrize(
        ("found", "create_root", "level", "remedy"),
        [
            (place(), True, None, ""),
            (place(is_directory=False), True, "problem", "move it away"),
            (place(**ABSENT), True, None, ""),
            (place(**ABSENT), False, "problem", "mkdir -p /srv/root"),
            (place("backup", **ABSENT), False, None, ""),
            (place(usable=False), True, "problem", "as root `chown"),
            (place(usable=False, **ABSENT), True, "problem", "as root `chown"),
            (place("state", mode=STATE | 0o002), True, "warning", "chmod o-w /srv/state"),
            (place("root", mode=STATE | 0o002), True, None, ""),
        ],
    )
    def test_are_judged(self, found: Place, create_root: bool, level: str | None, remedy: str) -> None:
        said = list(of_directory(found, create_root))
        assert [each.level for each in said] == ([] if level is None else [level])
        assert all(remedy in each.remedy for each in said)

    def test_that_are_not_there_yet_are_one_note(self) -> None:
        (found,) = of_missing([place(**ABSENT), place("backup", **ABSENT)])
        assert found.level == "note"
        assert "data.root, data.backup" in found.sentence

    def test_are_looked_at_and_none_is_made(self, tmp_path: Path) -> None:
        assert [each.level for each in directories(premises(tmp_path))] == ["note"]
        assert os.listdir(tmp_path) == []  # noqa: PTH208
        (tmp_path / "root").mkdir()
        (tmp_path / "backup").write_text("a file")
        (tmp_path / "archive").symlink_to(tmp_path / "nowhere")
        levels = [(each.level, each.sentence.partition(":")[0]) for each in directories(premises(tmp_path))]
        assert levels == [
            ("problem", "data.backup"),
            ("problem", "data.archive"),
            ("note", "not there yet, and made at the first start"),
        ]

    def test_one_that_does_not_answer_is_a_problem_and_not_asked(self, tmp_path: Path) -> None:
        given = premises(tmp_path, frozenset({"archive"}))
        found = [each for each in directories(given) if each.level == "problem"]
        assert [each.sentence for each in found] == [
            f"data.archive: {tmp_path}/archive has not answered for 3 s"
        ]
        assert "findmnt" in found[0].remedy
        assert [each.name for each in places_of(given)] == ["root", "backup", "state"]


class TestLinks:
    def test_are_notes(self) -> None:
        assert list(of_link(place())) == []
        (found,) = of_link(place(real=Path("/mnt/big")))
        assert (found.level, "/mnt/big" in found.sentence) == ("note", True)

    def test_are_found(self, tmp_path: Path) -> None:
        (tmp_path / "big").mkdir()
        (tmp_path / "root").symlink_to(tmp_path / "big")
        assert [each.level for each in links(premises(tmp_path))] == ["note"]


class TestTheOwner:
    @pytest.mark.parametrize(
        ("runs_as", "writers", "level"),
        [
            (1000, [], "ok"),
            (1000, [1000], "ok"),
            (1001, [], "warning"),
            (1000, [1001], "warning"),
            (0, [1001], "ok"),
        ],
    )
    def test_is_who_runs_or_root_does(self, runs_as: int, writers: list[int], level: str) -> None:
        (found,) = of_owner(place(), runs_as, writers)
        assert found.level == level

    def test_is_looked_at(self, tmp_path: Path) -> None:
        (found,) = owner(premises(tmp_path))
        assert (found.level, "not there yet" in found.sentence) == ("ok", True)
        (tmp_path / "root").mkdir()
        assert [each.level for each in owner(premises(tmp_path))] == ["ok"]

    def test_has_a_name_or_a_number(self) -> None:
        assert (user(0), user(2**31 - 7)) == ("root", str(2**31 - 7))


@pytest.mark.parametrize(
    ("found", "polling", "level", "said"),
    [
        (on("ext4"), False, None, ""),
        (on("nfs4"), False, "problem", "watch.polling = true"),
        (on("cifs"), True, "problem", "create.enabled = false"),
        (on("nfs4", "state"), False, "problem", "move it to a local disk"),
        (on("nfs4", "backup"), False, "note", ""),
        (on("fuse.sshfs", "archive"), False, "note", ""),
        (on("tmpfs"), False, "warning", "on a disk"),
        (on("tmpfs", "archive"), False, None, ""),
        (on("overlay", "state"), False, "note", "mount a volume"),
        (on("ext4", options="ro"), False, "problem", "remount,rw /mnt"),
    ],
)
def test_file_systems_are_judged(found: Place, polling: bool, level: str | None, said: str) -> None:
    told = list(of_file_system(found, polling))
    assert [each.level for each in told] == ([] if level is None else [level])
    assert all(said in each.remedy for each in told)


def test_polling_is_asked_for_only_where_it_is_off() -> None:
    (found,) = of_file_system(on("nfs4"), polling=True)
    assert "polling" not in found.remedy
    assert "no file events" not in found.sentence


@pytest.mark.parametrize(
    ("backup", "archive", "said"),
    [
        ((1, "sda"), (1, "sda"), ["data.backup and data.archive are on the same device"]),
        ((2, "sdb"), (1, "sda"), ["data.archive are on the same device"]),
        ((2, "sda"), (3, "sdb"), ["data.backup are on another partition of the disk of data.root (sda)"]),
        ((1, "sda"), (2, "sda"), ["data.backup are on the same", "data.archive are on another partition"]),
        ((2, "sdb"), (3, ""), ["on other devices"]),
    ],
)
def test_copies_beside_the_data_are_warned_of(
    backup: tuple[int, str], archive: tuple[int, str], said: list[str]
) -> None:
    copies = [
        place(name, device=device, disk=disk)
        for name, (device, disk) in zip(("backup", "archive"), (backup, archive), strict=True)
    ]
    found = list(of_devices([place(), *copies]))
    assert all(part in each.sentence for part, each in zip(said, found, strict=True))
    assert all(each.level == ("ok" if "other devices" in each.sentence else "warning") for each in found)


def test_the_real_ones_are_on_one_device(tmp_path: Path) -> None:
    (found,) = devices(premises(tmp_path))
    assert found.level == "warning"
    assert [each.level for each in file_systems(premises(tmp_path))].count("problem") == 0


@pytest.mark.parametrize(
    ("doubt", "level"),
    [
        ("", "ok"),
        ("/b/.tickward-backup is missing: is the backup disk mounted? If this is new: touch /b/x", "problem"),
    ],
)
def test_a_sentinel_that_is_missing_is_a_problem(doubt: str, level: str) -> None:
    (found,) = of_sentinels({"backup": doubt, "archive": ""})
    assert found.level == level
    assert not doubt or "is the backup disk mounted?" in found.remedy


def test_sentinels_are_not_asked_for_where_nothing_is_known_of_the_days(tmp_path: Path) -> None:
    assert list(sentinels(premises(tmp_path))) == []
