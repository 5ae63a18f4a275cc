"""Files that commands read or write."""

from __future__ import annotations

from msgspec import Struct


class Checked(Struct, frozen=True):
    """A configuration that is good. One that is not is told of on stderr, with exit status 2."""

    file: str | None
    """The file; null: there is none, the defaults hold."""


class Written(Struct, frozen=True):
    """A file that was written."""

    path: str
    """Where it is, as it was named."""
