"""What an installation left in the state directory: by that it is known what is to be undone.

It only ever narrows what is undone: nothing is removed for being named here, but for being ours as well.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
from msgspec import Struct

from handlers.files import publish_over, temporary
from watcher.service.installation import Installation
from watcher.service.target import Target


class Receipt(Struct, frozen=True):
    """What was written, and made for it."""

    files: dict[str, str] = {}
    """The SHA-256 of each, by its path."""
    directories: tuple[str, ...] = ()
    """Those that were not there before, the outermost first."""


def place_of(installation: Installation, target: Target) -> Path:
    """Where it is on disk."""
    name = f"service.{installation.kind}.{installation.scope}.json"
    return target.on_disk(Path(target.settings.data.state)) / name


def read(file: Path) -> Receipt:
    """An empty one where there is none, or none that can be read."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Receipt)
    except (OSError, msgspec.MsgspecError):
        return Receipt()


def write(file: Path, receipt: Receipt) -> None:
    with temporary(file) as new:
        new.write_bytes(msgspec.json.format(msgspec.json.encode(receipt), indent=2) + b"\n")
        publish_over(new, file)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
