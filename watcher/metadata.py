"""``rotation_metadata.json``: the last rotation, for people and scripts that do not subscribe.

Outside of the journal it also notes which event was the newest: a journal that was written anew as a whole
shows (`watcher.audit`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from handlers.files import publish_over, temporary
from watcher.events import Rotated
from watcher.journal import Journal, Witness
from watcher.journal_format import BrokenError

NAME = "rotation_metadata.json"


class _Audited(Struct):
    """What of the file the audit wants."""

    audit: Witness


def write(
    root: Path, rotations: Mapping[str, tuple[Rotated, datetime]], witness: Witness | None = None
) -> Path:
    """Replace the file as a whole: a reader sees the old one or the new one, never half of one.

    The top level describes the first stream, as scripts for a single stream expect it; ``streams`` has them
    all; ``audit`` is the witness, if there is one. Raises `OSError` if it cannot be written.
    """
    described = {name: _describe(rotated, at) for name, (rotated, at) in rotations.items()}
    first = next(iter(described.values()), {})
    audit = {"audit": witness} if witness is not None else {}
    content = {**first, "streams": described, **audit}
    file = root / NAME
    with temporary(file) as fresh:
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
        publish_over(fresh, file)
    return file


def read_witness(root: Path) -> Witness | None:
    """The witness that was noted last; None if there is no file, none in it, or it cannot be read."""
    try:
        return msgspec.json.decode((root / NAME).read_bytes(), type=_Audited).audit
    except (OSError, ValueError):  # also what msgspec raises
        return None


def doubt(root: Path, journal: Journal) -> str:
    """Why this may not be the journal that was here before; empty if nothing speaks against it."""
    witness = read_witness(root)
    if witness is None:
        return ""
    if witness.epoch != f"{journal.epoch:x}":
        what = f"another journal, of {witness.sequence} events until {witness.at:%Y-%m-%d %H:%M} UTC"
    elif witness.sequence > journal.head():
        what = f"{witness.sequence} events of this journal, which has only {journal.head()}"
    elif _is_another(journal, witness):
        what = f"another event {witness.sequence} than this journal has"
    else:
        return ""
    return (
        f"{root / NAME} knows {what}: what was on hold may not be known to be. Nothing is compressed, "
        "archived, deleted or judged until that journal is back; or, once what must be kept is on hold "
        f"again, until {NAME} is moved away and tickward started anew"
    )


def _is_another(journal: Journal, witness: Witness) -> bool:
    """Whether the event that is noted is not the one of this journal: an older copy has grown past it."""
    try:
        link = journal.link(witness.sequence)
    except BrokenError:
        return True
    return link is not None and link.hex() != witness.hash


def _describe(rotated: Rotated, at: datetime) -> dict[str, Any]:
    return {
        "last_rotation": at.isoformat(),
        "current_date": rotated.current,
        "previous_date": rotated.previous,
        "current_db": rotated.current_db,
        "previous_db": rotated.previous_db,
        "cause": rotated.cause,
    }
