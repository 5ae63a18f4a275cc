"""`tickward selftest`: where it may be done, and how it ends. What it proves: tests/watcher/selftest."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.watcher.cli.conftest import Terminal

BROKEN = """
import os, sys
if sys.orig_argv[-1] == "run":
    os.write(2, b"this daemon does not start\\n")
    os._exit(1)
"""


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s")


class TestWhereItIsDone:
    def test_must_be_a_directory(self, tickward: Terminal) -> None:
        ended = tickward("selftest", "--in", "nosuch")
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith("tickward: --in nosuch: no directory that can be written to; ")

    def test_must_not_be_among_the_days(self, tickward: Terminal) -> None:
        inside = Path("data/ticks/archive/2026")
        inside.mkdir(parents=True)
        ended = tickward("selftest", "--in", str(inside))
        assert ended.code == 2
        assert "that is in data.archive, where only days may be" in ended.err
        assert os.listdir(inside) == []  # noqa: PTH208

    def test_must_have_a_short_name(self, tickward: Terminal) -> None:
        Path("x" * 100).mkdir()
        ended = tickward("selftest", "--in", "x" * 100)
        assert (ended.code, "too long a path for the sockets in it" in ended.err) == (2, True)

    def test_a_configuration_that_is_named_must_be_one(self, tickward: Terminal) -> None:
        assert tickward("-c", "nosuch.toml", "selftest").code == 2

    def test_less_than_three_days_have_no_tiers(self, tickward: Terminal) -> None:
        ended = tickward("selftest", "--days", "2")
        assert (ended.code, "--days: give a whole number from 3 to 400" in ended.err) == (2, True)


def test_ctrl_c_ends_everything_and_leaves_nothing(tickward: Terminal, place: Path) -> None:
    process = tickward.start("selftest", "--in", str(place), stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("file events"):
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert os.listdir(place) == []  # noqa: PTH208


def test_a_failure_is_told_with_what_to_do_and_kept(
    tickward: Terminal, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tickward.folder / "sitecustomize.py").write_text(BROKEN)
    monkeypatch.setenv("PYTHONPATH", str(tickward.folder))  # for the processes that it starts
    ended = tickward("selftest", "--in", str(place))
    assert ended.code == 1
    (kept,) = place.iterdir()
    *_, failed, hint, end = ended.out.splitlines()
    assert failed == "FAILED  living    the daemon ended early: this daemon does not start"
    assert "daemon.txt" in hint
    assert end.startswith("1 proof failed: 14 days, 0 ticks, in ")
    assert end.endswith(f"; {kept} is kept")
    assert (kept / "daemon.txt").read_text() == "this daemon does not start\n"
