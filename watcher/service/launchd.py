"""For macOS: a property list for launchd, as an agent of a user's or a daemon of the system's."""

from __future__ import annotations

import os
import plistlib
import pwd
from contextlib import suppress
from pathlib import Path
from xml.parsers.expat import ExpatError

from watcher.errors import ConfigError
from watcher.service import reach
from watcher.service.installation import Command, File, Installation, Runs, mark
from watcher.service.target import Target

LABEL = "tickward"
_SYSTEM = Path("/Library/LaunchDaemons")
_USER = Path("Library/LaunchAgents")
_STOP_SECONDS = 60
_AGAIN_SECONDS = 10
_DESCRIPTORS = 16384


def describe(target: Target) -> Installation:
    """The property list, and how it is loaded. Raises `ConfigError` for names that none can hold."""
    folder = _SYSTEM if target.scope == "system" else target.home / _USER
    file = folder / f"{LABEL}.plist"
    domain = "system" if target.scope == "system" else f"gui/{_number_of(target.user)}"
    log = _log_of(target)
    return Installation(
        "launchd",
        target.scope,
        (File(file, _document(target)),),
        directories=reach.folders(target, run_is_made=False),
        private=reach.private_folders(target.settings),
        enable=(
            Command(("launchctl", "bootout", f"{domain}/{LABEL}"), needed=False),  # an older one
            Command(("launchctl", "bootstrap", domain, str(file))),
        ),
        disable=(Command(("launchctl", "bootout", f"{domain}/{LABEL}"), needed=False),),
        notes=(
            "made for macOS by its manual: tickward itself has not been run there yet",
            f"what it says while it runs goes to {log}, which nobody rotates: remove it now and then",
        ),
        active=("launchctl", "print", f"{domain}/{LABEL}"),
        log=f"tail {log}",
    )


def runs(content: bytes) -> Runs | None:
    """What a property list that was made here says."""
    try:
        job = plistlib.loads(content)
        return Runs(str(job["ProgramArguments"][0]), str(job.get("UserName", "")))
    except (ValueError, ExpatError, LookupError, TypeError, AttributeError):
        return None  # it was edited


def _document(target: Target) -> bytes:
    job = {
        "Label": LABEL,
        "ProgramArguments": [*target.command, "run"],
        "WorkingDirectory": str(target.directory),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": _AGAIN_SECONDS,
        "ExitTimeOut": int(target.settings.workers.stop_seconds) + _STOP_SECONDS,
        # Its workers are nice by themselves. A `Background` job would come late at midnight.
        "ProcessType": "Standard",
        "Nice": 0,
        "SoftResourceLimits": {"NumberOfFiles": _DESCRIPTORS},
        "StandardErrorPath": str(_log_of(target)),
    }
    if target.scope == "system":
        job["UserName"] = target.user
    _require_text([*target.command, str(target.directory), str(_log_of(target))])
    text = plistlib.dumps(job, sort_keys=False).decode()
    return text.replace("<plist", f"<!-- {mark(target)} -->\n<plist", 1).encode()


def _require_text(texts: list[str]) -> None:
    for text in texts:
        if not text.isprintable():
            raise ConfigError(f"{text!r} cannot be named in a property list: rename what has such a name")


def _log_of(target: Target) -> Path:
    return Path(target.settings.data.state) / "launchd.log"


def _number_of(user: str) -> int:
    with suppress(KeyError):
        return pwd.getpwnam(user).pw_uid
    return os.getuid()
