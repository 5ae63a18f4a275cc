"""URLs of webhooks: whether one can be posted to. Pure.

Nothing is said of the URL itself: there may be a secret in it.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

HOST = re.compile(r"(\[[0-9A-Fa-f:.]+(%[\w.-]+)?\]|[\w.-]+)(:\d*)?")
"""A host, perhaps with a port."""


def is_webhook(run: str) -> bool:
    """Whether what is to be run is the URL of a webhook; else it is a command."""
    return run.lower().startswith(("http://", "https://"))


def trouble_with(url: str) -> str:
    """Why a URL cannot be posted to, or may mean another host than was meant; empty: neither.

    Says nothing of the URL itself.
    """
    if not url.isprintable() or " " in url:
        return "there is a space in it, or what cannot be printed"
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 (looked at, it raises if it is none)
    except ValueError:
        return "its host or its port cannot be read"
    _, _, host = parts.netloc.rpartition("@")
    if not HOST.fullmatch(host):
        return "its host or its port cannot be read"
    rest = url.partition("://")[2][len(parts.netloc) :]
    if "@" in rest:  # of `user:12/secret@host` it would be `user`, port 12
        return "there is an @ after its host"
    if not rest.isascii():
        return "there is a letter after its host that is not ASCII"
    return ""
