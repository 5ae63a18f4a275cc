from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.harness import World


@pytest.fixture
def world() -> Iterator[World]:
    # Not tmp_path: its names are longer than the path of a Unix socket may be.
    with tempfile.TemporaryDirectory(prefix="tw-") as folder:
        world = World(Path(folder).resolve())
        try:
            yield world
        finally:
            world.close()
