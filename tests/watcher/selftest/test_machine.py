"""What the machine is like: tried for real, and judged by what was found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from watcher.selftest.machine import look_at, notes_of


@pytest.mark.parametrize(
    ("kind", "lease_us", "event_ms", "fsync_ms", "said"),
    [
        ("ext4", 8.0, 1.0, 2.0, []),
        ("nfs4", 8.0, 1.0, 2.0, ["network file system"]),
        ("ext4", None, 1.0, 2.0, ["no leases"]),
        ("ext4", 8.0, None, 2.0, ["watch.polling = true"]),
        ("ext4", 8.0, 1.0, 200.0, ["200 ms"]),
    ],
)
def test_what_is_worth_a_thought_is_said(
    kind: str, lease_us: float | None, event_ms: float | None, fsync_ms: float, said: list[str]
) -> None:
    found = notes_of(kind, lease_us, event_ms, fsync_ms)
    assert len(found) == len(said)
    assert all(part in note for part, note in zip(said, found, strict=True))


def test_this_machine_can_be_looked_at_and_nothing_is_left(tmp_path: Path) -> None:
    found = look_at(tmp_path)
    assert found.filesystem
    assert str(tmp_path).startswith(found.mounted_on)
    assert found.lease_us is not None
    assert found.event_ms is not None
    assert 0 < found.fsync_ms <= found.fsync_worst_ms
    assert found.free_bytes > 0
    assert os.listdir(tmp_path) == []  # noqa: PTH208
