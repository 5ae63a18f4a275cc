"""A hook and the event that it is bound to: by what it is known, and how it is called where people read."""

from __future__ import annotations

import hashlib
import re

from msgspec import Struct

from watcher.settings import Hook, Settings

_URL = re.compile(r"(https?://)([^\s/?#'\"]*)\S*", re.IGNORECASE)
_LONGEST_LABEL = 60


class BoundHook(Struct, frozen=True):
    """What is run, or told, on one event."""

    event: str
    hook: Hook

    @property
    def key(self) -> str:
        """Names it in ``hooks.db``: the event, and a digest of what is run, which may hold a secret."""
        return f"{self.event}:{hashlib.sha256(self.hook.run.encode()).hexdigest()[:16]}"

    @property
    def label(self) -> str:
        """What is run, in one short line and without secrets."""
        words = self.hook.run.split()
        text = without_secrets(" ".join(words[:1] if self.is_webhook else words))
        return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"

    @property
    def is_webhook(self) -> bool:
        """Whether it is the URL of a webhook; else it is a command."""
        return self.hook.run.lower().startswith(("http://", "https://"))


def bound(settings: Settings) -> list[BoundHook]:
    """Every hook of the settings. What is given twice for one event is run once."""
    each = [BoundHook(event, hook) for event in settings.hooks for hook in settings.hooks_of(event)]
    return list({hook.key: hook for hook in reversed(each)}.values())[::-1]


def without_secrets(text: str) -> str:
    """The same with nothing left of its URLs but scheme and host: the rest is often a password."""
    return _URL.sub(lambda url: f"{url[1]}{url[2].rpartition('@')[2]}/…", text)
