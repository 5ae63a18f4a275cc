"""What was waited for."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from watcher.wire import DatabaseState, Message


class Reached(Struct, frozen=True):
    """What was waited for, and has come."""

    subject: str
    """The day, ``stream/YYYY-MM-DD``."""
    event: str
    """What it was waited for, such as ``sealed``."""
    at: datetime | None
    """When it happened; null: it was so without an event."""
    message: Message | None
    """The event, if it was waited for."""
    state: DatabaseState | None
    """How the day stands, if it was so already."""
