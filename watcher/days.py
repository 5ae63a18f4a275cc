"""Where to read a day: which of its files is the day, in whatever tier it is, and what a reader should know.

It only looks. That nothing is there is an answer too, with its reason.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Literal

from msgspec import Struct

from handlers.contract import Paths
from handlers.pattern import Pattern
from handlers.retire import retired_path
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
    note: str = ""
    """What whoever reads it should know: ticks are still being written, late ones are not merged yet, ..."""
    why_missing: str = ""


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
        if path is None:
            return Found(key, stream, day, None, "", why_missing=_why_missing(files, facts))
        return Found(key, stream, day, path, tier, note=_note(path, paths, files, facts, tier))

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    def __enter__(self) -> Days:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _first(paths: Paths, files: Files, facts: Facts) -> tuple[Path | None, Tier]:
    """The file that is the day, and its tier."""
    packed = bool(files.compressed or files.archived)
    if files.database and not (packed and _is_late(facts)):
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


def _is_late(facts: Facts) -> bool:
    """Whether a database beside the day's .zst is one that a late writer made, and not the day itself.

    The day itself is there while it is being compressed, after it was restored, and after a merge,
    which takes back that it was compressed.
    """
    return bool(facts.compressed or facts.archived) and facts.restored is None


def _note(path: Path, paths: Paths, files: Files, facts: Facts, tier: Tier) -> str:
    if tier == "backup":
        return "the first copy is not there: read from the backup"
    if files.database and str(path) != paths.database:
        return f"late ticks in {paths.database} are not in it yet: `tickward merge` brings them in"
    if tier == "hot" and (facts.sealed is None or files.wal_bytes):
        return "not sealed: ticks may still be written to it"
    return ""


def _why_missing(files: Files, facts: Facts) -> str:
    if files.anomaly:
        return files.anomaly
    if facts.expired is not None:
        return f"deleted by the policy on {facts.times['expired']:%Y-%m-%d}"
    if facts.lost is not None:
        return "lost: no good copy of it is left"
    return "no copy of it is there any more" if facts.existed else "there never was a database of it"
