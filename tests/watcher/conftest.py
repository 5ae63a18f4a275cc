"""What the tests of both ends of the wire share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.watcher.bus import Bus, logged


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    with Bus(tmp_path) as made:
        yield made


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    with logged("ERROR") as lines:
        yield lines
