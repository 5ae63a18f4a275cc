"""Where the data and what is the daemon's own really are."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from watcher.settings import TOPS, Data, Settings


def resolved(settings: Settings) -> Settings:
    """The same settings with the symbolic links in the paths of its directories resolved."""
    real = {key: os.path.realpath(getattr(settings.data, key)) for key in TOPS}
    return replace(settings, data=replace(settings.data, **real))


def journal_file(data: Data) -> Path:
    """The journal: facts and events."""
    return Path(data.state) / "journal.db"
