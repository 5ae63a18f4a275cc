"""Where to read a day: which of its files is the day, in whatever tier it is, and what a reader should know.

It only looks. That nothing is there is an answer too, with its reason.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal

from msgspec import Struct

from handlers.contract import Paths
from handlers.files import signature_of
from handlers.pattern import Pattern
from handlers.retire import retired_path
from handlers.seek_table import FileRanges, SeekableError, ends_in_table, read_table
from watcher.journal import Journal
from watcher.paths import journal_file, resolved
from watcher.settings import Data, Settings
from watcher.state import Facts, Files
from watcher.tree import look

Tier = Literal["hot", "warm", "cold", "backup", ""]


class Found(Struct, frozen=True):
    """One day, as far as reading it goes."""

    key: str
    stream: str
    day: date
    path: Path | None
    """The file to read; None if there is none."""
    tier: Tier
    """Hot: uncompressed; warm: compressed; cold: in the archive; backup: there is nothing but that."""
    inode: int | None = None
    """Of that file: by this a reader sees that it was replaced before he came to it."""
    note: str = ""
    """What whoever reads it should know: ticks are still being written, late ones are not merged yet, ..."""
    why_missing: str = ""
    alike: str = ""
    """The same, as it can be said of many days: without a path or a date that is of this day alone."""


class Days:
    """The days of the streams in the settings. Close it, or use it in ``with``: it has the journal open."""

    def __init__(self, data: Data, journal: Journal | None) -> None:
        self._data = data
        self._journal = journal
        self._patterns = {name: Pattern(stream.pattern) for name, stream in data.streams.items()}

    @classmethod
    def of(cls, settings: Settings) -> Days:
        """Works without a journal as well, as before the first start: then only files speak."""
        data = resolved(settings).data
        return cls(data, Journal.open_for_reading(journal_file(data)))

    @property
    def streams(self) -> list[str]:
        return list(self._patterns)

    def find(self, stream: str, day: date) -> Found:
        """Where that day is to be read. KeyError for a stream that is not configured."""
        below = self._patterns[stream].path_of(day)
        paths = Paths.of(self._data.root, self._data.backup, self._data.archive, below)
        key = f"{stream}/{day}"
        facts = self._journal.facts(key) if self._journal is not None else Facts()
        files = look(paths, self._data)
        path, tier = _first(paths, files, facts)
        why = _doubt(paths, files, facts)
        if not why and path is None and not facts.existed and not Path(self._data.root).is_dir():
            why = f"data.root {self._data.root} is not there: is it this configuration that is meant?"
        if not why and path is None:
            why = _why_missing(paths, files, facts)
        if why or path is None:
            return Found(key, stream, day, None, "", why_missing=why, alike=_alike(why, paths, facts))
        seen = signature_of(path)
        note = _note(path, paths, files, facts, tier)
        inode = seen.inode if seen else None
        return Found(key, stream, day, path, tier, inode=inode, note=note, alike=_alike(note, paths, facts))

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    def __enter__(self) -> Days:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _first(paths: Paths, files: Files, facts: Facts) -> tuple[Path | None, Tier]:
    """The file that is the day, and its tier."""
    if files.database and not _is_late(files, facts):
        return Path(paths.database), "hot"
    if files.compressed:
        return Path(paths.compressed), "warm"
    if files.archived:
        return Path(paths.archived), "cold"
    if files.retired:
        return retired_path(Path(paths.database)), "hot"
    if files.backup_compressed:
        return Path(paths.backup_compressed), "backup"
    return (Path(paths.backup), "backup") if files.backup else (None, "")


def _is_late(files: Files, facts: Facts) -> bool:
    """Whether the database in the root is one that a late writer made, and not the day itself.

    The day itself is there while it is being compressed, after it was restored, and after a merge,
    which takes back that it was compressed.
    """
    if files.retired:
        return True  # the day has lost that name already
    return bool(facts.compressed or facts.archived) and facts.restored is None


def _doubt(paths: Paths, files: Files, facts: Facts) -> str:
    """Why it cannot be told which file is the day: there are two, and the journal does not know it."""
    if facts.sealed or _is_late(files, facts) or not (files.database and files.compressed):
        return ""
    try:
        size = read_table(Path(paths.compressed)).content_bytes
    except (OSError, SeekableError):
        size = -1
    if size == files.database.size_bytes:
        return ""
    return (
        f"{paths.database} and its .zst are both there and differ, and the journal does not know the day:"
        " name the file that is meant"
    )


def _has_table(path: Path) -> bool:
    try:
        with FileRanges(path) as source:
            return ends_in_table(source)
    except (OSError, SeekableError):
        return True  # whoever reads it says what is wrong


def _note(path: Path, paths: Paths, files: Files, facts: Facts, tier: Tier) -> str:
    notes = ["the first copy is not there: read from the backup"] if tier == "backup" else []
    if path.suffix == ".zst" and not _has_table(path):
        notes.append(
            "no part of it can be read alone: it is inflated first; `tickward adopt --reencode` mends that"
        )
    if facts.conflict is not None:
        notes.append(f"there are two versions of it, and this is only one: {facts.conflict.error}")
    elif files.database and str(path) != paths.database:
        notes.append(f"late ticks in {paths.database} are not in it yet: `tickward merge` brings them in")
    if notes:
        return "; ".join(notes)
    if tier == "hot" and (facts.sealed is None or files.wal_bytes):
        return "not sealed: ticks may still be written to it"
    return ""


def _why_missing(paths: Paths, files: Files, facts: Facts) -> str:
    if files.anomaly:
        return files.anomaly
    if facts.expired is not None:
        return f"deleted by the policy{_on_its_date(facts)}"
    if facts.lost is not None:
        return "lost: no good copy of it is left"
    if files.database:
        return f"no copy of it is there, only late ticks in {paths.database}: is the archive mounted?"
    if facts.existed:
        return "no copy of it is there any more"
    return "no database of it is known"


def _alike(said: str, paths: Paths, facts: Facts) -> str:
    said = said.replace(paths.database, "its file in the root")
    return said.replace(_on_its_date(facts), "") if facts.expired is not None else said


def _on_its_date(facts: Facts) -> str:
    return f" on {facts.times['expired']:%Y-%m-%d}"
