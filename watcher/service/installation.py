"""The words for it: what a kind of service is made of, and what each can do.

A file of ours says so in its first lines, with the state directory that it is for (`mark`). Another's is
never replaced; one of ours that was edited by hand is kept aside before it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from msgspec import Struct

from watcher.service.target import Scope, Target

MARK = "made by `tickward service install`"
"""What makes a file tickward's: a comment with these words in its first kilobyte (in UTF-8 or UTF-16)."""


def mark(target: Target) -> str:
    """`MARK` with the state directory after it, which tells this tickward from another one.

    As in an URL, so that it can be in a comment of any format: XML's hold no two hyphens in a row.
    """
    state = quote(target.settings.data.state, errors="surrogateescape")
    return f"{MARK} for {state.replace('--', '-%2D')}"


class File(Struct, frozen=True):
    """A file of ours, whole."""

    path: Path
    """Absolute, on the machine that is meant: `Target.root` is put before it where it is written."""
    content: bytes
    mode: int = 0o644


class Command(Struct, frozen=True):
    """What is run after writing, or before removing."""

    argv: tuple[str, ...]
    needed: bool = True
    """False: the rest is done also if it fails."""


class Installation(Struct, frozen=True):
    """All of one service, as it would be on disk."""

    kind: str
    scope: Scope
    files: tuple[File, ...]
    enable: tuple[Command, ...] = ()
    """After the files are written."""
    disable: tuple[Command, ...] = ()
    """Before they are removed."""
    after_removal: tuple[Command, ...] = ()
    notes: tuple[str, ...] = ()
    """What a person should know, a sentence each."""
    active: tuple[str, ...] = ()
    """A command that succeeds if the service manager runs it; empty: there is nobody to ask."""
    directories: tuple[Path, ...] = ()
    """What it writes into, absolute: the user's, and made if they are missing."""
    private: tuple[Path, ...] = ()
    """Those of them that nobody else may enter."""
    log: str = ""
    """A command that shows what it said; empty: there is none."""


class How(Struct, frozen=True):
    """How far to go."""

    dry_run: bool = False
    """Say what would be done, in the same words, and change nothing."""
    force: bool = False
    """Also where a person should look first: an edited file, a second master."""


class Runs(Struct, frozen=True):
    """What an installation says that it runs."""

    program: str
    user: str = ""
    """As whom; empty: it does not say."""


class Report(Struct, frozen=True):
    """What was done, or how it stands."""

    done: tuple[str, ...] = ()
    """Sentences without an end, in order: ``wrote /etc/...``; empty: there was nothing to do."""
    notes: tuple[str, ...] = ()
    """What a person should know or do."""
    ok: bool = True
    """Done or nothing to do; of `Kind.state`: it is installed, as it would be now, and active."""


class Kind(Protocol):
    """One way of having tickward run by the system. Each raises `TickwardError` with what to do."""

    name: str

    def show(self, target: Target) -> str:
        """What would be installed, as a person reads it."""
        ...

    def runs(self, target: Target) -> Runs | None:
        """What is installed for its state directory runs; None: nothing is, or it does not say."""
        ...

    def is_as_made(self, target: Target) -> bool:
        """Whether what is installed is what would be made now."""
        ...

    def install(self, target: Target, how: How) -> Report: ...

    def uninstall(self, target: Target, how: How) -> Report: ...

    def state(self, target: Target) -> Report: ...
