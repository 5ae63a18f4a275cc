"""Files are whole or absent."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handlers import files
from handlers.contract import StepError


def test_a_temporary_name_is_recognised_with_what_sqlite_puts_beside_it() -> None:
    final = Path("/data/ticks_2026-01-20.db")
    temp = files.temporary_for(final)
    assert temp.parent == final.parent
    assert temp != files.temporary_for(final)
    for suffix in ("", "-wal", "-shm", "-journal"):
        assert files.is_temporary(temp.name + suffix)


@pytest.mark.parametrize(
    "name",
    [
        "ticks_2026-01-20.db",
        ".ticks_2026-01-20.db.retired",
        "ticks_2026-01-20.db-wal",
        "ticks.db.12-0123456789abcdef.tickward-tmp",
        ".ticks.db.12-0123456789abcdef.tickward-tmp.db",
        ".ticks.db.tickward-tmp",
        ".ticks.db.12-0123456789abcdeg.tickward-tmp",
    ],
)
def test_other_names_are_not_temporary(name: str) -> None:
    assert not files.is_temporary(name)


def test_publish_new_never_replaces(tmp_path: Path) -> None:
    final = tmp_path / "final"
    final.write_text("first")
    with files.temporary(final) as temp:
        temp.write_text("second")
        with pytest.raises(FileExistsError):
            files.publish_new(temp, final)
    assert final.read_text() == "first"
    assert list(tmp_path.iterdir()) == [final]


def test_publish_over_replaces(tmp_path: Path) -> None:
    final = tmp_path / "final"
    final.write_text("first")
    with files.temporary(final) as temp:
        temp.write_text("second")
        files.publish_over(temp, final)
    assert final.read_text() == "second"
    assert list(tmp_path.iterdir()) == [final]


def test_without_hard_links_publishing_says_what_to_do(tmp_path: Path, monkeypatch: Any) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    temp = tmp_path / "temp"
    temp.write_text("x")
    with pytest.raises(StepError, match="without the risk of overwriting") as caught:
        files.publish_new(temp, tmp_path / "final")
    assert "hard links" in caught.value.hint


@pytest.mark.parametrize("size", [0, 1, files.CHUNK_BYTES, files.SYNC_BYTES * 2 + 5])
def test_a_copy_is_equal_and_keeps_the_mode(tmp_path: Path, size: int) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(os.urandom(size))
    source.chmod(0o640)
    digest = files.copy_hashed(source, copy)
    assert copy.read_bytes() == source.read_bytes()
    assert digest == hashlib.sha256(source.read_bytes()).hexdigest()
    assert digest == files.sha256_of(copy) == files.sha256_of(copy, cold=False)
    assert copy.stat().st_mode & 0o777 == 0o640


def test_a_copy_never_replaces(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_text("new")
    copy.write_text("old")
    with pytest.raises(FileExistsError):
        files.copy_hashed(source, copy)
    assert copy.read_text() == "old"


def test_symbolic_links_are_not_read(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/etc/hostname")
    with pytest.raises(OSError, match="symbolic links"):
        files.sha256_of(link)


def test_the_sweep_takes_our_temporaries_and_nothing_else(tmp_path: Path, child: Callable[..., Any]) -> None:
    inside, outside = tmp_path / "data" / "db", tmp_path / "outside"
    inside.mkdir(parents=True)
    outside.mkdir()
    name = files.temporary_for(Path("x.db")).name
    stale, foreign, elsewhere = inside / name, inside / "x.db", outside / name
    for path in (stale, inside / f"{name}-wal", foreign, elsewhere):
        path.write_text("x")
    (tmp_path / "data" / "link").symlink_to(outside)
    (inside / files.temporary_for(Path("l")).name).symlink_to(foreign)
    in_use = inside / files.temporary_for(Path("y.db")).name
    child("file = open(sys.argv[1], 'w'); say(); wait()", in_use)

    removed = files.sweep_temporaries(tmp_path / "data")

    assert set(removed) == {stale, inside / f"{name}-wal"}
    assert not stale.exists()
    assert foreign.exists()
    assert elsewhere.exists()
    assert in_use.exists()


def test_directories_are_made_and_made_again(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c"
    files.make_directories(path)
    files.make_directories(path)
    assert path.is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_gives_what_it_makes_to_the_owner_of_the_directory(tmp_path: Path) -> None:
    os.chown(tmp_path, 4321, 1234)
    files.make_directories(tmp_path / "2026" / "01")
    source = tmp_path / "2026" / "01" / "source"
    source.write_text("x")
    copy = source.with_name("copy")
    files.copy_hashed(source, copy)
    for path in (tmp_path / "2026", tmp_path / "2026" / "01", copy):
        assert (path.stat().st_uid, path.stat().st_gid) == (4321, 1234)


@pytest.mark.parametrize(
    ("parent", "file", "directory"),
    [
        (0o755, 0o600, 0o700),
        (0o775, 0o660, 0o770),
        (0o2775, 0o660, 0o2770),
        (0o2730, 0o660, 0o2730),
        (0o777, 0o660, 0o770),
    ],
)
def test_the_group_may_what_the_directory_lets_it_and_nobody_else_anything(
    tmp_path: Path, parent: int, file: int, directory: int
) -> None:
    made = {tmp_path / "file": file, tmp_path / "directory": directory}
    (tmp_path / "file").touch(0o600)
    (tmp_path / "directory").mkdir(0o700)
    tmp_path.chmod(parent)
    for path, mode in made.items():
        files.share_owner(path)
        assert path.stat().st_mode & 0o7777 == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_takes_the_group_of_a_directory_of_its_own(tmp_path: Path) -> None:
    os.chown(tmp_path, 0, 1234)
    (tmp_path / "file").touch()
    files.share_owner(tmp_path / "file")
    assert (tmp_path / "file").stat().st_gid == 1234


def test_a_copy_is_no_more_open_than_its_original(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.touch(0o600)
    tmp_path.chmod(0o2775)
    files.copy_hashed(source, copy)
    assert copy.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a directory of a group that is not its own")
def test_a_group_that_is_not_ours_is_no_obstacle(tmp_path: Path, monkeypatch: Any) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    os.chown(tmp_path, 0, 1234)
    tmp_path.chmod(0o775)
    path = tmp_path / "file"
    path.touch(0o600)
    monkeypatch.setattr(os, "chown", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    files.share_owner(path)
    assert path.stat().st_mode & 0o777 == 0o600  # not for a group that the directory is not for


def test_a_directory_that_somebody_else_makes_first_is_theirs(tmp_path: Path, monkeypatch: Any) -> None:
    mkdir, tell = Path.mkdir, list[Path]()

    def first(path: Path, **_: object) -> None:
        mkdir(path)
        mkdir(path)

    monkeypatch.setattr(Path, "mkdir", first)
    monkeypatch.setattr(files, "share_owner", tell.append)
    files.make_directories(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert tell == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_directory_the_writer_could_not_use_is_not_left(tmp_path: Path, monkeypatch: Any) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    os.chown(tmp_path, 4321, 1234)
    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(PermissionError):
        files.make_directories(tmp_path / "2026" / "01")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "source").write_text("x")
    files.copy_hashed(tmp_path / "source", tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "x"


def test_missing_space_names_the_filesystem_and_the_bytes(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="not enough space") as caught:
        files.require_space(tmp_path, 1 << 60)
    assert str(files.filesystem_of(tmp_path)) in caught.value.hint
    assert "bytes" in caught.value.hint
    files.require_space(tmp_path, 1)


def test_the_signature_follows_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert files.signature_of(path) is None
    path.write_text("x")
    first = files.signature_of(path)
    os.utime(path, ns=(1, 1))
    assert files.signature_of(path) != first
