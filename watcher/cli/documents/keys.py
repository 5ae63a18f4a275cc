"""Who may listen from other machines."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Client(Struct, frozen=True):
    """Who may listen."""

    name: str
    """Under which the key was allowed."""
    key: str
    """The public key, in Z85."""
    since: datetime
    """When it was allowed."""


class Keys(Struct, frozen=True):
    """Who may listen from other machines."""

    curve: bool
    """Whether keys are asked for: ``events.curve``."""
    keys: str
    """The directory of the keys."""
    server: str | None
    """The daemon's public key, in Z85; null: it is made with the first for a client."""
    clients: tuple[Client, ...]
    """Those that are allowed, by name."""
    problems: tuple[str, ...]
    """What is in the directory and allows nobody, and why: a sentence each."""


class NewKey(Struct, frozen=True):
    """A client's key that was made."""

    public: str
    """The file to be allowed on the daemon's machine."""
    secret: str
    """The file that stays where it is."""
    server: str | None
    """The public key of this machine's daemon, in Z85; null: none is known here."""


class AllowedKey(Struct, frozen=True):
    """A client that is allowed."""

    name: str
    """Whose key it is."""
    fresh: bool
    """False: it was allowed already."""
    server: str
    """The daemon's public key, in Z85, which the client needs."""
    curve: bool
    """Whether keys are asked for: ``events.curve``."""


class RevokedKeys(Struct, frozen=True):
    """Clients that are not allowed any more."""

    names: tuple[str, ...]
    """Every name that the key was allowed under."""
    curve: bool
    """Whether keys are asked for: ``events.curve``."""
