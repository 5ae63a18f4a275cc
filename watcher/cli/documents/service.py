"""What `tickward service` did, or found."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

KindName = Literal["systemd", "cron", "launchd", "windows"]
ScopeName = Literal["user", "system"]


class ShownService(Struct, frozen=True):
    """What would be installed."""

    kind: KindName
    """What would start it."""
    scope: ScopeName
    """For whom."""
    user: str
    """As whom it would run."""
    text: str
    """Every file with its path, as a person reads it, and the commands that follow."""
    notes: tuple[str, ...]
    """What a person should know, a sentence each."""


class ServiceReport(Struct, frozen=True):
    """What was done, or how it stands."""

    kind: KindName
    """What starts it."""
    scope: ScopeName
    """For whom."""
    user: str
    """As whom it runs."""
    ok: bool
    """Done, or nothing to do; of ``status``: it is installed, is what it would be now, and runs."""
    dry_run: bool
    """Whether nothing was changed, and ``done`` is what would be."""
    done: tuple[str, ...]
    """What was done, in order: sentences. Empty: there was nothing to do."""
    notes: tuple[str, ...]
    """What a person should know or do, and of ``status`` how it stands: a sentence each."""
