"""What the work stands on: a clock, directories that can be written to, and marks that tell them apart."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from handlers.files import is_read_only
from watcher.clock import Clock, ScaledClock, SystemClock
from watcher.errors import ConfigError
from watcher.inventory import ARCHIVE_SENTINEL, BACKUP_SENTINEL
from watcher.paths import resolved
from watcher.settings import ClockSettings, Settings
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
    for key in ("root", "state"):
        _prepare(key, settings)
    for key in ("backup", "archive"):
        if Path(getattr(settings.data, key)).exists():
            _prepare(key, settings)
    return resolved(settings)


def _prepare(key: str, settings: Settings) -> None:
    path = Path(getattr(settings.data, key))
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"data.{key}: {path} cannot be made ({error.strerror}); make it, or name another"
        ) from None
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        if is_read_only(path):
            raise ConfigError(
                f"data.{key}: {path} is mounted read-only; find out why (`dmesg`), and mount it for writing"
            )
        raise ConfigError(
            f"data.{key}: no permission to write in {path}; give it to this user, or name another"
        )


def require_streams(settings: Settings, known: Mapping[str, Facts]) -> list[str]:
    """A sentence for each stream that has days in the journal and is not configured any more.

    Raises `ConfigError` if one of those days is on hold: under another name nothing would keep it.
    """
    left: dict[str, int] = {}
    for key, facts in known.items():
        stream, _, day = key.partition("/")
        if not day or stream in settings.data.streams or facts.expired:
            continue
        if facts.hold is not None:
            raise ConfigError(
                f"data.streams: {key} is on hold ({facts.hold.reason}), but there is no stream {stream!r} "
                f"any more; name it again, and `tickward release {key}` if the hold is over"
            )
        left[stream] = left.get(stream, 0) + 1
    return [
        f"{count} days of the stream {stream!r} are in the journal, but it is not configured any more: "
        "nothing looks after them"
        for stream, count in sorted(left.items())
    ]


def keep_sentinels(settings: Settings, known: Mapping[str, Facts], journal_doubt: str = "") -> None:
    """Make the directories of copies and mark them as what they are, unless known copies should be there.

    Then one that is missing is not mounted: what was made in its place would be taken for it. So it may be if
    the journal is in doubt, which may have known copies there.
    """
    if journal_doubt:
        return
    if not any(facts.backed_up or facts.compressed for facts in known.values()):
        _prepare("backup", settings)
        (Path(settings.data.backup) / BACKUP_SENTINEL).touch()
    if not any(facts.archived for facts in known.values()):
        _prepare("archive", settings)
        (Path(settings.data.archive) / ARCHIVE_SENTINEL).touch()
