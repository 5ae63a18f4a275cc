"""Every kind of service, and which of them this machine has."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from watcher.errors import ConfigError
from watcher.service import launchd, systemd, windows
from watcher.service.crontab import Cron
from watcher.service.filed import Filed
from watcher.service.installation import Kind

_SYSTEMD_RUNS = Path("/run/systemd/system")

KINDS: dict[str, Kind] = {
    "systemd": Filed("systemd", systemd.describe, systemd.runs),
    "cron": Cron(),
    "launchd": Filed("launchd", launchd.describe, launchd.runs),
    "windows": Filed("windows", windows.describe, windows.runs),
}


def detected() -> str:
    """The kind that this machine has. Raises `ConfigError` if it has none that is known."""
    if sys.platform == "darwin":
        return "launchd"
    if sys.platform == "win32":
        return "windows"
    if _SYSTEMD_RUNS.is_dir():
        return "systemd"
    if shutil.which("crontab") is not None:
        return "cron"
    raise ConfigError(
        f"neither systemd nor cron is here: install one, or name a kind with --kind ({', '.join(KINDS)})"
    )
