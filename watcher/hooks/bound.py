"""A hook and the event that it is bound to: by what it is known, and how it is called where people read."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urlsplit

from msgspec import Struct

from watcher.settings import Hook, Settings
from watcher.urls import HOST, is_webhook, trouble_with

_URL = re.compile(r"([a-z][a-z0-9+.-]{0,19}://)(\S*)", re.IGNORECASE)
_AFTER_HOST = re.compile(r"""[/?#\\'"].*""", re.DOTALL)
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
    def name(self) -> str:
        """How it is called in the log."""
        return f"{self.event} ({self.label})"

    @property
    def label(self) -> str:
        """What is run, in one short line and without secrets."""
        run = self.hook.run
        text = _host_of(run) if self.is_webhook else without_secrets(" ".join(run.split()))
        return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"

    @property
    def is_webhook(self) -> bool:
        """Whether it is the URL of a webhook; else it is a command."""
        return is_webhook(self.hook.run)


def bound(settings: Settings) -> list[BoundHook]:
    """Every hook of the settings. What is given twice for one event is run once."""
    each = [BoundHook(event, hook) for event in settings.hooks for hook in settings.hooks_of(event)]
    return list({hook.key: hook for hook in reversed(each)}.values())[::-1]


def without_secrets(text: str) -> str:
    """The same with nothing left of its URLs but scheme and host: the rest is often a password.

    Not even the host if it is not certain which part that is: a password may have / or a quote in it.
    """
    return _URL.sub(_shown, text)


def _shown(url: re.Match[str]) -> str:
    scheme, after = url[1], url[2]
    authority = _AFTER_HOST.sub("", after)
    _, _, host = authority.rpartition("@")
    certain = HOST.fullmatch(host) and "@" not in after[len(authority) :]
    return f"{scheme}{host}/…" if certain else f"{scheme}…"


def _host_of(url: str) -> str:
    """Of a webhook's URL, which is a whole one: here quotes have no meaning of their own."""
    scheme, _, _ = url.partition(":")
    if trouble_with(url):
        return f"{scheme.lower()}://…"
    _, _, host = urlsplit(url).netloc.rpartition("@")
    return f"{scheme.lower()}://{host}/…"
