"""What there is to be taken over, by a look from outside: nothing is changed, and no database opened."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from handlers.contract import Sealed, Step
from watcher.adopt.forms import Places, places_of
from watcher.adopt.layout import Layout, tops_of
from watcher.adopt.noted import Noted, noted
from watcher.adopt.tree import Stray, is_inside, may_be_a_day, strays_in
from watcher.errors import ConfigError
from watcher.plan import Action, Order, ordered
from watcher.schedule import due
from watcher.settings import Data, Settings
from watcher.state import Database
from watcher.survey import Survey, survey
from watcher.tree import signature
from watcher.view.inventory import Gap, gaps
from watcher.wording import count_of

_MOST_ORDERED = 1000
"""Days at a time."""
UNPROVEN = (
    "which days were on hold, and why: order that anew (`tickward hold DAY --reason WHY`)",
    "which days were deleted, when, by whom: certificates were in the journal, and in exports of it",
    "when a day was sealed, backed up, compressed, archived or read again: it counts from now on",
    "what else had happened: events begin anew, under another epoch, and subscribers start afresh",
)
"""What no file can prove."""
_DELETED = "that day was deleted by the policy, and stays so"
_RIVAL = "another file of that day is here already: adopt or seal that one, and compare the two"


class Findings(Struct, frozen=True):
    """What `adopt` has to do with."""

    at: datetime
    """When that was so."""
    unknown: tuple[str, ...]
    """The days that are to be taken over: compressed, or only in the backup, and not known."""
    unknown_bytes: int
    """Of all files of those."""
    to_seal: tuple[str, ...]
    """Past days that are not compressed and not sealed: that is done as with every day."""
    with_log: int
    """Of those: with ticks in a write-ahead log, which sealing folds in, and so writes to their files."""
    with_backup: int
    """Of those: with an uncompressed backup of others. It stays if it is the same to the last byte; else it
    is set aside, or, if it has more ticks, left in its place for a person to choose."""
    compact: bool
    """Whether sealing writes them anew, in smaller files (``seal.compact``)."""
    places: Places
    """The files of all days that are not known yet, by place and form."""
    gaps: tuple[Gap, ...]
    """Days that are not there, between the first and the last day of each stream."""
    noted: Noted | None
    """What scripts have noted in their ``rotation_metadata.json``; null: there is none of theirs."""
    known: int
    """Days that are known already."""
    refused: dict[str, str]
    """Days about which nothing can be done, and why."""
    strays: tuple[Stray, ...]
    """Files that look like days and are not in their places."""
    past_retention: int
    """Of the first two: days that are past their retention."""
    doubt: str
    """Why this may not be the journal that was here before; empty: nothing speaks against it."""


def find(
    settings: Settings,
    now: datetime,
    path: Path | None,
    stream: str | None,
    *,
    reencode: bool,
    only: frozenset[str] | None = None,
) -> Findings:
    """Look. ``path``: only what is below it, or that file. Raises `ConfigError` if it is not there.

    ``only``: these days in the tree, and no others.
    """
    looked = survey(settings, now)
    data = looked.settings.data
    top = Path(data.root) if path is None else path
    if not top.exists():
        raise ConfigError(f"{top}: there is no such file or directory")
    top = top.resolve()
    order = Order(Step.ADOPT, by="", everything=True, reencode=reencode)
    chosen = _chosen(looked, None if path is None else top, only)
    entries = ordered(chosen, looked.settings, now, order, looked.doubts)
    unknown = tuple(entry.key for entry in entries if isinstance(entry, Action))
    to_seal = tuple(sorted(each.key for each in chosen if _is_to_be_sealed(each, now)))
    refused = {entry.key: entry.reason for entry in entries if not isinstance(entry, Action)}
    strays = tuple(_strays(looked, [top] if path is not None else tops_of(data), stream, now))
    there = {key for key, each in looked.databases.items() if each.files.any_copy or each.facts.existed}
    there |= _keys_of(strays)
    shown = there if path is None else there & {each.key for each in chosen} | _keys_of(strays)
    return Findings(
        at=now,
        unknown=unknown,
        unknown_bytes=sum(size for key in unknown for _, size in _copies(looked.databases[key])),
        to_seal=to_seal,
        with_log=sum(bool(looked.databases[key].files.wal_bytes) for key in to_seal),
        with_backup=sum(_has_backup_of_others(looked.databases[key]) for key in to_seal),
        compact=looked.settings.seal.compact,
        places=places_of(looked.databases[key] for key in {*unknown, *to_seal, *refused}),
        gaps=tuple(gaps(sorted(shown), now.date())),
        noted=_noted(data, top, there, now),
        known=sum(each.facts.sealed is not None for each in chosen),
        refused=refused,
        strays=strays,
        past_retention=_past_retention((*unknown, *to_seal), looked),
        doubt=looked.doubts.journal,
    )


def _keys_of(strays: Iterable[Stray]) -> set[str]:
    """The days of which there is a file, wherever and in whatever form."""
    return {stray.database for stray in strays if stray.database and stray.bytes}


def _noted(data: Data, top: Path, there: Iterable[str], now: datetime) -> Noted | None:
    """Of what is looked at, or else of the tree."""
    days = {date.fromisoformat(key.rpartition("/")[2]) for key in there}
    return noted(top, days, now.date()) or noted(Path(data.root), days, now.date())


def _strays(looked: Survey, tops: Iterable[Path], stream: str | None, now: datetime) -> Iterator[Stray]:
    """But for those whose day is known: it is here already. One that was deleted is not brought back.

    What has a day's name in a directory of ours, and is looked at by nobody, is named whatever is known of
    the day: else it would lie there for ever.
    """
    data = looked.settings.data
    layout = Layout(data)
    # One of the directories may be in another: each path once.
    found = {each.path: each for top in tops for each in strays_in(top, data, stream, now.date())}
    for stray in found.values():
        known = looked.databases.get(stray.database)
        if known is None:
            yield stray
        elif layout.key_of(stray.path) and signature(stray.path) is not None:
            yield unseen(stray, known)
        elif known.facts.expired is not None:
            yield replace(stray, target="", problem=_DELETED)
        elif known.facts.sealed is not None:
            if why := another(stray, known.facts.sealed):
                yield replace(stray, target="", problem=why)
        elif known.files.any_copy and not stray.problem:
            yield replace(stray, target="", problem=_RIVAL)
        else:
            yield stray


def another(stray: Stray, sealed: Sealed) -> str:
    """Why a file elsewhere may be something else than the day that is known; empty: nothing speaks for that.

    By its size: whether it really is a copy only reading it would tell.
    """
    if not may_be_a_day(stray):
        return ""
    begin = f"its day is known here, with {count_of(sealed.ticks, 'tick')}"
    if stray.problem:
        return f"{begin}; to know whether this is another version of it: {stray.problem}"
    is_plain = not stray.path.endswith(".zst")
    if is_plain and stray.bytes not in (sealed.size_bytes, sealed.uncompacted_bytes):
        look = f"`tickward analyze {shlex.quote(stray.path)}`"
        return f"{begin}, and this is another file: {look} says what is in it"
    return ""


def unseen(stray: Stray, known: Database) -> Stray:
    """One with a day's name where nobody looks for that: an uncompressed database in the archive."""
    problem = stray.problem
    if known.facts.expired is not None:
        problem = f"{_DELETED}; nobody looks at this file: move it away, or delete it"
    elif known.facts.sealed is not None:
        problem = (
            "its day is known, and nobody looks at this file: compare it with the day (`tickward restore "
            f"{known.key} --to FILE`), then move it away"
        )
    elif known.files.present and not problem:
        files, paths = known.files, known.paths
        compressed = paths.compressed if files.compressed else paths.archived
        first = compressed if files.database is None and not files.retired else paths.database
        problem = (
            f"{first} is the one that is taken for the day: compare the two, and move away the one that is "
            "not needed"
        )
    return replace(stray, target="" if problem else stray.target, problem=problem)


def _chosen(looked: Survey, top: Path | None, only: frozenset[str] | None) -> list[Database]:
    """Without a path: every day, or only some. Else those with a file at it, or below it."""
    if only is not None:
        return [each for key, each in looked.databases.items() if key in only]
    if top is None:
        return list(looked.databases.values())
    if not is_inside(top, looked.settings.data):
        return []
    return [
        each for each in looked.databases.values() if any(_is_below(path, top) for path, _ in _copies(each))
    ]


def _copies(database: Database) -> Iterable[tuple[str, int]]:
    """Where its files are, and how large."""
    paths, files = database.paths, database.files
    return (
        (path, there.size_bytes)
        for path, there in (
            (paths.database, files.database),
            (paths.compressed, files.compressed),
            (paths.archived, files.archived),
            (paths.backup, files.backup),
            (paths.backup_compressed, files.backup_compressed),
        )
        if there
    )


def _is_below(path: str, top: Path) -> bool:
    return path == str(top) or path.startswith(f"{top}/")


def _is_to_be_sealed(database: Database, now: datetime) -> bool:
    facts, files = database.facts, database.files
    return (
        files.database is not None
        and facts.sealed is None
        and database.day < now.date()
        and not files.anomaly
    )


def _has_backup_of_others(database: Database) -> bool:
    return database.files.backup is not None and database.facts.backed_up is None


def _past_retention(keys: Iterable[str], looked: Survey) -> int:
    expire = looked.settings.expire
    if not expire.enabled:
        return 0
    days = (looked.databases[key].day for key in keys)
    return sum(due(day, expire.after_days, expire.schedule) <= looked.plan.at for day in days)


def orders(found: Findings, *, reencode: bool) -> Iterable[Order]:
    """What is ordered first, so many days at a time: to take over, to seal."""
    yield from _of_some(Order(Step.ADOPT, by="", reencode=reencode), found.unknown)
    yield from _of_some(Order(Step.SEAL, by=""), found.to_seal)


def backups(sealed: Sequence[str]) -> Iterable[Order]:
    """What is ordered then: to back up what has been sealed. What was refused is not asked for twice."""
    return _of_some(Order(Step.BACKUP, by=""), sealed)


def _of_some(order: Order, keys: Sequence[str]) -> Iterable[Order]:
    for start in range(0, len(keys), _MOST_ORDERED):
        yield replace(order, keys=tuple(keys[start : start + _MOST_ORDERED]))
