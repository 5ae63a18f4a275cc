"""The demonstration as a whole: it proves by itself that no tick was lost, and where every day is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from tests.end_to_end.harness import YESTERDAY, World
from watcher.demo import ledger
from watcher.demo.disk import look
from watcher.demo.proof import prove
from watcher.demo.stage import START
from watcher.paths import journal_file

PROJECT = Path(__file__).parents[2]


def test_two_weeks_end_with_hot_and_warm_days_and_every_tick(world: World) -> None:
    ended = world.process("demo", "--days", "14", "--seconds-a-day", "0.5", "--keep", str(world.folder / "d"))
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr
    assert value(ended.stdout, "ticks written") == value(ended.stdout, "ticks readable") != "0"
    assert pictures(ended.stdout)["expired"] == ("0", "", "0", "")
    hot, warm = pictures(ended.stdout)["hot"], pictures(ended.stdout)["warm"]
    assert hot[:2] == hot[2:]
    assert warm[:2] == warm[2:]
    assert warm[1].startswith(f"{START:%Y-%m-%d}..")


def test_a_bit_that_flips_behind_the_daemons_back_fails_the_proof(world: World) -> None:
    path = world.make(YESTERDAY, 500)
    assert world.once() == 0
    assert problems(world) == []
    flip(world.path(YESTERDAY, "backup"))
    (problem,) = problems(world)
    assert "backup" in problem
    flip(path)
    assert len(problems(world)) == 2


@pytest.mark.timeout(400)
@pytest.mark.long
def test_two_hundred_days_end_with_the_picture_of_the_policy(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "watcher", "demo", "--days", "200"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr
    found = pictures(ended.stdout)
    assert all(int(found[tier][2]) > 0 for tier in ("hot", "warm", "cold", "expired"))
    assert value(ended.stdout, "certificates") == found["expired"][2]
    assert int(value(ended.stdout, "restore drills")) > 0


def problems(world: World) -> list[str]:
    data, day = world.settings.data, date.fromisoformat(YESTERDAY)
    book = ledger.read(journal_file(data))
    return [text for proof in prove(look(data, [day], ()), book, {day: 500}) for text in proof.problems]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-50] ^= 1
    path.write_bytes(content)


def value(output: str, name: str) -> str:
    """What the summary says under this name."""
    match = re.search(rf"{name} *│ *([\d,]+)", output)
    assert match is not None, output[-3000:]
    return match[1]


def pictures(output: str) -> dict[str, tuple[str, str, str, str]]:
    """By tier: how many days are expected and which, how many were found and which."""
    row = r"│ (hot|warm|cold|expired) +│ +(\d+) │ ([^│]*?) *│ +(\d+) │ ([^│]*?) *│"
    return {tier: (many, which, few, where) for tier, many, which, few, where in re.findall(row, output)}
