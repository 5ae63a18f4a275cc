"""What there is to be taken over, by a look from outside: nothing is changed, and nothing opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from handlers.contract import Step
from watcher.adopt.tree import Stray, is_inside, strays_in, tops_of
from watcher.errors import ConfigError
from watcher.plan import Action, Order, ordered
from watcher.schedule import due
from watcher.settings import Settings
from watcher.state import Database
from watcher.survey import Survey, survey

UNPROVEN = (
    "which days were on hold, and why: order that anew (`tickward hold DAY --reason WHY`)",
    "which days were deleted, when, by whom: certificates were in the journal, and in exports of it",
    "when a day was sealed, backed up, compressed, archived or read again: it counts from now on",
    "what else had happened: events begin anew, under another epoch, and subscribers start afresh",
)
"""What no file can prove."""


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
    settings: Settings, now: datetime, path: Path | None, stream: str | None, *, reencode: bool
) -> Findings:
    """Look. ``path``: only what is below it, or that file. Raises `ConfigError` if it is not there."""
    looked = survey(settings, now)
    data = looked.settings.data
    top = Path(data.root) if path is None else path
    if not top.exists():
        raise ConfigError(f"{top}: there is no such file or directory")
    top = top.resolve()
    order = Order(Step.ADOPT, by="", everything=True, reencode=reencode)
    chosen = _chosen(looked, None if path is None else top)
    entries = ordered(chosen, looked.settings, now, order, looked.doubts)
    unknown = tuple(entry.key for entry in entries if isinstance(entry, Action))
    to_seal = tuple(sorted(each.key for each in chosen if _is_to_be_sealed(each, now)))
    return Findings(
        at=now,
        unknown=unknown,
        unknown_bytes=sum(size for key in unknown for _, size in _copies(looked.databases[key])),
        to_seal=to_seal,
        known=sum(each.facts.sealed is not None for each in chosen),
        refused={entry.key: entry.reason for entry in entries if not isinstance(entry, Action)},
        strays=tuple(_strays(looked, [top] if path is not None else tops_of(data), stream, now)),
        past_retention=_past_retention((*unknown, *to_seal), looked),
        doubt=looked.doubts.journal,
    )


def _strays(looked: Survey, tops: Iterable[Path], stream: str | None, now: datetime) -> Iterator[Stray]:
    """But for those whose day is known: it is here already. One that was deleted is not brought back."""
    data = looked.settings.data
    for stray in (each for top in tops for each in strays_in(top, data, stream, now.date())):
        known = looked.databases.get(stray.database)
        if known is not None and known.facts.expired is not None:
            yield replace(stray, target="", problem="that day was deleted by the policy, and stays so")
        elif known is not None and known.facts.sealed is None and known.files.any_copy:
            problem = "another file of that day is here already: adopt or seal that one, and compare the two"
            yield replace(stray, target="", problem=problem)
        elif known is None or known.facts.sealed is None:
            yield stray


def _chosen(looked: Survey, top: Path | None) -> list[Database]:
    """Without a path: every day. Else those with a file at it, or below it."""
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


def _past_retention(keys: Iterable[str], looked: Survey) -> int:
    expire = looked.settings.expire
    if not expire.enabled:
        return 0
    days = (looked.databases[key].day for key in keys)
    return sum(due(day, expire.after_days, expire.schedule) <= looked.plan.at for day in days)


def orders(found: Findings, *, reencode: bool, limit: int = 1000) -> Iterable[Order]:
    """What is ordered, so many days at a time: to take over, to seal, to back up."""
    adopt = Order(Step.ADOPT, by="", reencode=reencode)
    seal, backup = (Order(step, by="") for step in (Step.SEAL, Step.BACKUP))
    for order, keys in ((adopt, found.unknown), (seal, found.to_seal), (backup, found.to_seal)):
        for start in range(0, len(keys), limit):
            yield replace(order, keys=keys[start : start + limit])
