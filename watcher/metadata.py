"""``rotation_metadata.json``: the last rotation, for people and scripts that do not subscribe.

Outside of the journal it also notes which event was the newest: a journal that was written anew as a whole
shows (`watcher.audit`).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from handlers.files import fsync_directory, publish_new, publish_over, temporary
from watcher.errors import TickwardError
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


def doubt(root: Path, journal: Journal | None) -> str:
    """Why this may not be the journal that was here before; empty if nothing speaks against it.

    None: there is none.
    """
    witness = read_witness(root)
    if witness is None:
        return ""
    if journal is None:
        return (
            f"{root / NAME} knows a journal of {witness.sequence} events until {witness.at:%Y-%m-%d %H:%M} "
            "UTC, and there is none in data.state: put it back before a daemon is started, which would begin "
            "another"
        )
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
        "again, until `tickward adopt --accept-journal`, and tickward is started anew"
    )


def set_aside(root: Path) -> Path:
    """Give the file another name beside it, and say which: a person has seen to what it says.

    Raises `TickwardError` if it is not there, or cannot be moved.
    """
    file = root / NAME
    aside = _kept(file)
    try:
        file.replace(aside)  # also what was noted in the meantime
        fsync_directory(root)
    except OSError as error:
        raise TickwardError(f"{file} cannot be moved to {aside}: {error.strerror}") from None
    return aside


def keep_foreign(root: Path) -> Path | None:
    """Keep a copy of a file that scripts have written, before the daemon writes its own; None: it is ours.

    Raises `TickwardError` if it cannot be kept.
    """
    file = root / NAME
    try:
        known = msgspec.json.decode(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        known = None  # whatever it is, it is kept
    if isinstance(known, dict) and "streams" in known:
        return None
    return _kept(file)


def _kept(file: Path) -> Path:
    """Copy it under another name, unless just that was kept before; and say which."""
    try:
        content = file.read_bytes()
        for number in itertools.count(1):
            aside = file.with_name(f"{file.name}.before-adoption" + (f"-{number}" if number > 1 else ""))
            if aside.exists() and aside.read_bytes() != content:
                continue
            if not aside.exists():
                with temporary(aside) as fresh:
                    fresh.write_bytes(content)
                    publish_new(fresh, aside)
            return aside
    except OSError as error:
        raise TickwardError(f"{file} cannot be kept under another name: {error}") from None
    raise AssertionError  # there is always another number


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
