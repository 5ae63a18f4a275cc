"""The daemon is killed again and again, wherever it happens to be; the proof at the end is the same."""

from __future__ import annotations

import random
import signal
from datetime import date

import pytest

from tests.end_to_end.harness import World
from watcher.demo import ledger
from watcher.demo.disk import look
from watcher.demo.expected import WARM
from watcher.demo.proof import prove
from watcher.paths import journal_file

DAYS = [f"2026-01-{day:02}" for day in range(10, 18)]
TICKS = 3000


@pytest.mark.parametrize(
    ("seed", "kills"), [(1, 4), *(pytest.param(seed, 8, marks=pytest.mark.long) for seed in range(2, 10))]
)
def test_killed_again_and_again(world: World, seed: int, kills: int) -> None:
    chance = random.Random(seed)
    world.configure(
        compress={"after_days": 0, "schedule": "on_rotation", "level": 3, "frame": "1 MiB"},
        watch={"settle_seconds": 0.05},
    )
    for day in DAYS:
        world.make(day, TICKS)
    for _ in range(kills):
        daemon = world.daemon()
        with world.events() as events:
            events.until("started", count=world.count("started"))
            for _ in range(chance.randrange(6)):
                if events._subscriber.receive(timeout_seconds=chance.random() / 4) is None:
                    break
        assert world.stop(daemon, signal.SIGKILL) == -signal.SIGKILL
    daemon = world.daemon()
    with world.events() as events:
        for day in DAYS:
            events.until("compressed", f"ticks/{day}")
    assert world.stop(daemon) == 0
    data, days = world.settings.data, [date.fromisoformat(day) for day in DAYS]
    disk = look(data, days, certified=())
    proofs = prove(disk, ledger.read(journal_file(data)), dict.fromkeys(days, TICKS))
    assert [(proof.day, disk[proof.day].tier, proof.ticks, proof.problems) for proof in proofs] == [
        (day, WARM, TICKS, ()) for day in days
    ]
    assert world.temporaries() == []
    assert world.unbroken()
