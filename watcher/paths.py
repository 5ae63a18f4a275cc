"""Where the daemon keeps what is its own, below ``data.state``."""

from __future__ import annotations

from pathlib import Path

from watcher.config import Data


def journal_file(data: Data) -> Path:
    """The journal: facts and events."""
    return Path(data.state) / "journal.db"
