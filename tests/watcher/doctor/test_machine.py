"""What is said of the machine: judged by tables, and looked at for real."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from watcher.disk import Mount
from watcher.doctor import inotify, machine
from watcher.doctor.finding import Finding, Findings
from watcher.doctor.inotify import Counted, Limits, Used, count, of_inotify, used_by
from watcher.doctor.machine import (
    Discipline,
    of_clock,
    of_descriptors,
    of_processes,
    of_python,
    of_sqlite,
    of_time_zone,
)
from watcher.doctor.premises import Premises

NONE = Premises(None, {}, None)


def one(findings: Findings) -> Finding:
    (found,) = findings
    return found


@pytest.mark.parametrize(
    ("version", "level", "said"),
    [
        ((3, 10, 9), "problem", "3.11 or later"),
        ((3, 11, 7), "ok", "3.11.7"),
        ((3, 14, 0), "ok", "3.14.0"),
        ((3, 99, 0), "ok", "3.99.0"),
    ],
)
def test_python_is_new_enough(version: tuple[int, int, int], level: str, said: str) -> None:
    found = one(of_python(version, date(2026, 1, 20)))
    assert (found.level, said in found.sentence) == (level, True)


def test_python_without_security_fixes_is_a_warning() -> None:
    assert one(of_python((3, 11, 7), date(2027, 10, 31))).level == "ok"
    assert one(of_python((3, 11, 7), date(2027, 11, 1))).level == "warning"


@pytest.mark.parametrize(
    ("compiled_for", "runs", "level"),
    [
        (3053000, "3.53.0", "ok"),
        (3053000, "3.53.1", "ok"),
        (3053001, "3.53.0", "warning"),
        (3051002, "3.51.2", "problem"),
        (3051003, "3.51.3", "ok"),
    ],
)
def test_sqlite_is_judged_by_the_library_that_is_loaded(compiled_for: int, runs: str, level: str) -> None:
    assert one(of_sqlite(compiled_for, runs)).level == level


@pytest.mark.parametrize(
    ("soft", "hard", "level", "remedy"),
    [
        (1024, 4096, "ok", ""),
        (sys.maxsize, sys.maxsize, "ok", ""),
        (1023, 4096, "warning", "ulimit -n 4096"),
        (512, 1024, "warning", "ulimit -n 1024"),
        (512, 600, "warning", "limits.conf"),
        (255, 1024, "problem", "LimitNOFILE=4096"),
    ],
)
def test_too_few_descriptors_have_a_remedy(soft: int, hard: int, level: str, remedy: str) -> None:
    found = one(of_descriptors(soft, hard, "the daemon"))
    assert found.level == level
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("proc", "is_root", "level"),
    [
        (Mount("proc", "/proc", "proc", frozenset({"rw"})), False, "ok"),
        (Mount("proc", "/proc", "proc", frozenset({"rw", "hidepid=0"})), False, "ok"),
        (Mount("proc", "/proc", "proc", frozenset({"rw", "hidepid=2"})), False, "warning"),
        (Mount("proc", "/proc", "proc", frozenset({"rw", "hidepid=invisible"})), False, "warning"),
        (Mount("proc", "/proc", "proc", frozenset({"rw", "hidepid=2"})), True, "ok"),
        (Mount("ext4", "/"), False, "note"),
    ],
)
def test_processes_that_are_hidden_are_a_warning(proc: Mount, is_root: bool, level: str) -> None:
    assert one(of_processes(proc, is_root)).level == level


@pytest.mark.parametrize(
    ("found", "scale", "year", "levels"),
    [
        (Discipline(True, 0.004), 1.0, 2026, ["ok"]),
        (Discipline(False, 16.0), 1.0, 2026, ["warning"]),
        (None, 1.0, 2026, ["note"]),
        (Discipline(True, 0.004), 60.0, 2026, ["warning", "ok"]),
        (Discipline(True, 0.004), 1.0, 1970, ["problem"]),
    ],
)
def test_the_clock_is_judged(found: Discipline | None, scale: float, year: int, levels: list[str]) -> None:
    assert [each.level for each in of_clock(found, scale, year)] == levels


def test_the_clock_says_by_how_much_it_may_be_wrong() -> None:
    assert "4 ms" in one(of_clock(Discipline(True, 0.004), 1.0, 2026)).sentence


@pytest.mark.parametrize(
    ("name", "offset", "given", "level", "said"),
    [
        ("UTC", 0, "", "ok", "UTC"),
        ("UTC", 0, "UTC", "ok", "UTC"),
        ("GMT", 0, "Europe/Nowhere", "warning", "Europe/Nowhere"),
        ("CET", 3600, "", "note", "CET, +01:00"),
        ("NST", -12600, "", "note", "-03:30"),
    ],
)
def test_local_time_is_held_against_utc(name: str, offset: int, given: str, level: str, said: str) -> None:
    found = one(of_time_zone(name, offset, given))
    assert found.level == level
    assert said in found.sentence


class TestInotify:
    @pytest.mark.parametrize(
        ("limits", "used", "counted", "is_running", "levels"),
        [
            (Limits(8192, 128), Used(), Counted(100, True), False, ["ok"]),
            (Limits(8192, 128), Used(), Counted(7000, True), False, ["warning"]),
            (Limits(8192, 128), Used(8000, 3), Counted(200, True), False, ["problem"]),
            (Limits(8192, 128), Used(), Counted(8193, True), False, ["problem"]),
            (Limits(8192, 128), Used(0, 128), Counted(10, True), False, ["ok", "problem"]),
            (Limits(8192, 128), Used(0, 121), Counted(10, True), False, ["ok", "warning"]),
            (Limits(8192, 128), Used(0, 120), Counted(10, True), False, ["ok"]),
            (Limits(8192, 128), Used(0, 128), Counted(10, True), True, ["ok"]),
            (Limits(1 << 24, 128), Used(), Counted(2_000_000, False), False, ["warning"]),
        ],
    )
    def test_limits_are_held_against_what_there_is(
        self, limits: Limits, used: Used, counted: Counted, is_running: bool, levels: list[str]
    ) -> None:
        assert [each.level for each in of_inotify(limits, used, counted, is_running)] == levels

    def test_the_remedy_is_enough_for_twice_as_many(self) -> None:
        found = one(of_inotify(Limits(8192, 128), Used(), Counted(3_000_000, True), is_running=False))
        assert "sysctl -w fs.inotify.max_user_watches=8388608" in found.remedy

    def test_directories_are_counted(self, tmp_path: Path) -> None:
        for name in ("a/b", "a/c", "d"):
            (tmp_path / name).mkdir(parents=True)
        assert count(tmp_path) == Counted(5, complete=True)
        assert count(tmp_path, most=5) == Counted(5, complete=True)
        assert count(tmp_path, most=3) == Counted(3, complete=False)

    def test_counting_ends_when_it_takes_too_long(self, tmp_path: Path) -> None:
        for name in "abcdefgh":
            (tmp_path / name).mkdir()
        clock = iter(range(0, 100, 2))
        assert count(tmp_path, monotonic=lambda: next(clock)) == Counted(2, complete=False)

    def test_observers_of_other_programs_are_counted(self, tmp_path: Path) -> None:
        watching = (
            "import ctypes, sys\n"
            "libc = ctypes.CDLL(None)\n"
            "fd = libc.inotify_init()\n"
            "libc.inotify_add_watch(fd, sys.argv[1].encode(), 2)\n"
            "print('watching', flush=True)\n"
            "sys.stdin.read()\n"
        )
        before = used_by(os.geteuid(), None)
        with subprocess.Popen(
            [sys.executable, "-c", watching, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            assert other.stdout is not None
            other.stdout.readline()
            found = used_by(os.geteuid(), None)
            without = used_by(os.geteuid(), other.pid)
            other.communicate(b"")
        assert found.instances > 0
        assert found.watches > 0
        assert found.instances - without.instances == 1
        assert before.instances <= found.instances


class TestThisMachine:
    @pytest.mark.parametrize(
        "check",
        [
            *(machine.python, machine.sqlite, machine.descriptors, machine.processes, machine.clock),
            machine.time_zone,
        ],
    )
    def test_can_be_looked_at(self, check: object) -> None:
        assert callable(check)
        found = list(check(NONE))
        assert found
        assert all(each.sentence for each in found)

    def test_has_limits(self) -> None:
        limits = inotify._limits()
        assert limits is not None
        assert limits.watches > 0

    def test_the_limit_of_another_process_is_read(self) -> None:
        assert machine._limit_of(os.getpid()) is not None
        assert machine._limit_of(2**30) is None
