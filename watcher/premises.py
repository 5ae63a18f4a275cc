"""What the work stands on: a clock, directories that can be written to, and marks that tell them apart."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from watcher.clock import Clock, ScaledClock, SystemClock
from watcher.errors import ConfigError
from watcher.inventory import ARCHIVE_SENTINEL, BACKUP_SENTINEL
from watcher.paths import resolved
from watcher.settings import TOPS, ClockSettings, Settings
from watcher.state import Facts


def clock_of(settings: ClockSettings) -> Clock:
    """The machine's clock, or a scaled one for demonstrations."""
    if settings.scale == 1.0 and not settings.start:
        return SystemClock()
    try:
        start = datetime.fromisoformat(settings.start)
    except ValueError:
        raise ConfigError(f"clock.start: {settings.start!r} is not an ISO 8601 time") from None
    return ScaledClock(start.replace(tzinfo=start.tzinfo or UTC), settings.origin, settings.scale)


def prepare_directories(settings: Settings) -> Settings:
    """Make the directories, check that they can be written to, resolve symbolic links in their paths.

    Raises `ConfigError` that names the key and what to do.
    """
    root = Path(settings.data.root)
    if not root.exists() and not settings.data.create_root:
        raise ConfigError(
            f"data.root: {root} does not exist; mount or make it, or set data.create_root = true"
        )
    for key in TOPS:
        path = Path(getattr(settings.data, key))
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"data.{key}: {path} cannot be made ({error.strerror}); make it, or name another"
            ) from None
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise ConfigError(
                f"data.{key}: no permission to write in {path}; give it to this user, or name another"
            )
    return resolved(settings)


def keep_sentinels(settings: Settings, known: Mapping[str, Facts]) -> None:
    """Mark the directories of copies as what they are, unless copies that are known of should be there."""
    if not any(facts.backed_up for facts in known.values()):
        (Path(settings.data.backup) / BACKUP_SENTINEL).touch()
    if not any(facts.archived for facts in known.values()):
        (Path(settings.data.archive) / ARCHIVE_SENTINEL).touch()
