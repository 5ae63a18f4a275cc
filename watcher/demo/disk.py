"""The picture that the disk shows: where each day's files are. Nothing that the daemon says is asked.

Only the files themselves tell a tier, and only the exact set of them: two copies, nothing beside.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from pathlib import Path

from msgspec import Struct

from watcher.demo.expected import COLD, EXPIRED, HOT, WARM
from watcher.settings import Data


class OnDisk(Struct, frozen=True):
    """What was found of one day."""

    tier: str
    """One of `expected.TIERS`; else the files that are there, which make none of them, or ``gone``."""
    files: tuple[Path, ...]
    """Every file that bears the day's name, the first copy before its backup."""


def look(data: Data, days: Iterable[date], certified: Collection[date]) -> dict[date, OnDisk]:
    """Look for each day in the root, the archive and the backups; in the layout of the default pattern.

    Args:
        data: where those are.
        days: which days.
        certified: the days whose deletion is certified. Without that, a day without files is ``gone``.
    """
    return {day: _look(data, day, day in certified) for day in days}


def _look(data: Data, day: date, is_certified: bool) -> OnDisk:
    name = f"ticks_{day}.db"
    found = [
        (top, path)
        for top in ("root", "archive", "backup")
        for path in sorted(Path(getattr(data, top), f"{day:%Y}", f"{day:%m}").glob(f"*{name}*"))
    ]
    files = tuple(path for _, path in found)
    there = [(top, path.name) for top, path in found]
    if there == [("root", name), ("backup", name)]:
        return OnDisk(HOT, files)
    if there == [("root", f"{name}.zst"), ("backup", f"{name}.zst")]:
        return OnDisk(WARM, files)
    if there == [("archive", f"{name}.zst"), ("backup", f"{name}.zst")]:
        return OnDisk(COLD, files)
    if not there:
        return OnDisk(EXPIRED if is_certified else "gone", files)
    return OnDisk(" + ".join(f"{top}/{file}" for top, file in there), files)
