"""The demonstration, shortened: it proves by itself that no tick was lost."""

from __future__ import annotations

import re
from pathlib import Path

from tests.end_to_end.harness import World
from watcher.demo.proof import prove


def test_the_demonstration_ends_well(world: World) -> None:
    ended = world.run("demo", "--days", "3", "--seconds-a-day", "2", "--keep", str(world.folder / "d"))
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr
    written, readable = (
        re.search(rf"ticks {word} *│ *([\d,]+)", ended.stdout) for word in ("written", "readable")
    )
    assert written is not None
    assert readable is not None
    assert written[1] == readable[1] != "0"


def test_a_lost_tick_fails_it(world: World) -> None:
    """The proof has teeth: a tick removed from a sealed day, or a flipped bit, is found."""
    path = world.make("2026-01-19", 500)
    assert world.run("once").returncode == 0
    assert next(proof.problems for proof in prove(world.settings)) == ()
    flip(world.path("2026-01-19", "backup"))
    (problem,) = next(proof.problems for proof in prove(world.settings) if proof.ticks == 500)
    assert "backup" in problem
    flip(path)
    assert len(next(proof.problems for proof in prove(world.settings) if proof.day == "2026-01-19")) == 2


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-50] ^= 1
    path.write_bytes(content)
