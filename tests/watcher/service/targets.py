"""What is to be installed, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from watcher.config import load
from watcher.service.target import Target
from watcher.settings import Settings

STATE = "/srv/ticks/state"


def settings(**changes: Any) -> Settings:
    data = {"root": "/srv/ticks/db", "backup": "/srv/ticks/backup", "archive": "/srv/ticks/archive"}
    given = load(environment={})
    return replace(given, data=replace(given.data, state=STATE, **data), **changes)


def target(**changes: Any) -> Target:
    made = Target(
        program=("/opt/tickward/bin/tickward",),
        config=Path("/etc/tickward/config.toml"),
        directory=Path("/srv/ticks"),
        settings=settings(),
        scope="user",
        user="trader",
        home=Path("/home/trader"),
    )
    return replace(made, **changes)
