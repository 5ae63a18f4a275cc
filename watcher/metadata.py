"""``rotation_metadata.json``: the last rotation, for people and scripts that do not subscribe."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from handlers.files import publish_over, temporary
from watcher.events import Rotated

NAME = "rotation_metadata.json"


def write(root: Path, rotations: Mapping[str, tuple[Rotated, datetime]]) -> Path:
    """Replace the file as a whole: a reader sees the old one or the new one, never half of one.

    The top level describes the first stream, as scripts for a single stream expect it; ``streams`` has them
    all. Raises `OSError` if it cannot be written.
    """
    described = {name: _describe(rotated, at) for name, (rotated, at) in rotations.items()}
    first = next(iter(described.values()), {})
    content = {**first, "streams": described}
    file = root / NAME
    with temporary(file) as fresh:
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
        publish_over(fresh, file)
    return file


def _describe(rotated: Rotated, at: datetime) -> dict[str, Any]:
    return {
        "last_rotation": at.isoformat(),
        "current_date": rotated.current,
        "previous_date": rotated.previous,
        "current_db": rotated.current_db,
        "previous_db": rotated.previous_db,
        "cause": rotated.cause,
    }
