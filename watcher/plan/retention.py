"""How long a day is kept: holds, restored copies, the rails before a deletion, and reading again.

Everything that could take the last copy of a day away is decided here, and errs on the side of keeping.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from handlers.contract import Restored, Step
from watcher.lifecycle import STAGES, next_stage
from watcher.plan.entries import TAKE_AWAY, Action, Block, Entry, Wait
from watcher.plan.setbacks import blocked_by_fact, unless_failed
from watcher.schedule import END_OF_TIME, NEVER, due, end_of, last_of, next_after
from watcher.settings import Ageing, Settings
from watcher.state import Database

_ON_TIME = timedelta(days=1)
"""A deletion that came no later than this after it was due was no part of a backlog."""


class Backlog(NamedTuple):
    """Days of one stream that are due to be deleted at once."""

    left: int
    """However far they have got on their way."""
    gone: int
    """Those that went late since the first of these was due."""


class Rails(Struct, frozen=True):
    """What stands between a due date and a deletion."""

    kept: frozenset[str]
    """Keys of the newest days of each stream, which are kept whatever their age."""
    backlog: Mapping[str, Backlog]
    """What is due to be deleted at once of each stream; a stream of which nothing is has none."""
    at_once: int
    """More than so many of one stream are not deleted without a person's word."""


def rails(
    databases: Iterable[Database], ageing: Ageing, settings: Settings, now: datetime, confirmed: int = 0
) -> Rails:
    """The rails at this moment. ``confirmed``: so many at once a person has agreed to."""
    databases = list(databases)
    days: dict[str, list[Database]] = {}
    for database in databases:
        # A day dated in the future, a wrong clock's, must not stand for one of the newest.
        if _is_there(database) and not database.facts.expired and database.day <= now.date():
            days.setdefault(database.stream, []).append(database)
    kept: set[str] = set()
    for some in days.values():
        some.sort(key=lambda database: database.day, reverse=True)
        safe = [
            each.key for each in some if each.facts.sealed and each.files.any_copy and not each.facts.lost
        ]
        kept.update(safe[: settings.expire.keep_min])
    going = {
        stream: [
            database
            for database in some
            if database.key not in kept
            and _is_of_age(database, ageing, now)
            and not (database.facts.hold or database.files.anomaly or blocked_by_fact(database))
        ]
        for stream, some in days.items()
    }
    backlog = {
        stream: Backlog(len(some), _gone_beside(databases, stream, some, ageing, now))
        for stream, some in going.items()
        if some
    }
    return Rails(frozenset(kept), backlog, max(settings.expire.max_at_once, confirmed))


_NO_BACKLOG = Backlog(0, 0)
NO_RAILS = Rails(frozenset(), {}, 0)
"""Where no day is of age nothing asks for them."""


def rails_of_stream(
    databases: Iterable[Database], ageing: Ageing, settings: Settings, now: datetime
) -> tuple[Rails, datetime]:
    """The rails of one stream; and until when they are those, as long as none of its days changes."""
    databases = list(databases)
    dues = [_due(database, ageing) for database in databases if not database.facts.expired]
    until = min((moment for moment in dues if moment > now), default=END_OF_TIME)
    if not any(moment <= now for moment in dues):
        return NO_RAILS, until
    gone = (database.facts.times.get("expired", now) for database in databases)
    to_come = [moment for moment in gone if moment > now]  # by a clock that was wrong
    return rails(databases, ageing, settings, now), min([until, end_of(now.date()), *to_come])


def _may_go_from(database: Database, ageing: Ageing) -> datetime:
    """Since when nothing but the rails has kept it."""
    moment = _due(database, ageing)
    return max(moment, database.facts.times.get("released", moment))


def _gone_beside(
    databases: Iterable[Database], stream: str, left: list[Database], ageing: Ageing, now: datetime
) -> int:
    """How many days went late, while those that are left were due as well.

    Who agreed to some has not agreed to all. Those that went on time are no part of a backlog.
    """
    since = min(_may_go_from(database, ageing) for database in left)
    gone = (d for d in databases if d.stream == stream and d.facts.expired and "expired" in d.facts.times)
    moments = ((_due(database, ageing), database.facts.times["expired"]) for database in gone)
    return sum(since <= at <= now and at - moment > _ON_TIME for moment, at in moments)


def _is_there(database: Database) -> bool:
    # Also one that has yet to be sealed: it is on its way to its deletion as the others are, and when many
    # days are caught up with after a long outage, the first of them must not go before all are counted.
    raw = database.files.database
    return database.facts.sealed is not None or (raw is not None and raw.size_bytes > 0)


def decide_expiry(
    database: Database, ageing: Ageing, settings: Settings, now: datetime, around: Rails
) -> Entry | None:
    """What is to be done about a day past its retention; None for one that is not, or not ready to go."""
    if not settings.expire.enabled or not _is_of_age(database, ageing, now):
        return None
    if not _is_ready(database, settings) or keeps_restored(database, now) or _is_missed(database):
        return None
    key = database.key
    if stays := _stays(database, settings, around, now):
        # As long as it is here, a copy of it that was lost is made again.
        following = next_stage(database, settings)
        return stays if following is None or following.step is Step.EXPIRE else None
    moment = _due(database, ageing)
    reason = f"past its retention of {ageing.after_days} days"
    action = Action(key, Step.EXPIRE, reason, moment, policy=in_words(settings.expire))
    return unless_failed(database, action, settings, now)


def _is_missed(database: Database) -> bool:
    """Whether its first copy is gone and its backup is not: a deletion goes the other way round.

    It may be on a disk that is not mounted: a certificate would be false.
    """
    files = database.files
    first = files.archived if database.facts.archived else files.compressed
    return first is None and (files.backup is not None or files.backup_compressed is not None)


def _stays(database: Database, settings: Settings, around: Rails, now: datetime) -> Entry | None:
    """Why a day past its retention is not deleted all the same; None: nothing keeps it."""
    key, backlog = database.key, around.backlog.get(database.stream, _NO_BACKLOG)
    if database.facts.hold:
        return on_hold(Wait(key, "", None, Step.EXPIRE), database)
    if key in around.kept:
        reason = f"one of the newest {settings.expire.keep_min} days of its stream: kept whatever its age"
        return Wait(key, reason, None, Step.EXPIRE)
    patience = timedelta(days=settings.restore.keep_days)
    known_since = _known_late_since(database, patience)
    if known_since is not None and now < known_since + patience:
        reason = f"taken over on {known_since.date()}: time to see whether it really is what its name says"
        return Wait(key, reason, known_since + patience, Step.EXPIRE)
    if sum(backlog) <= around.at_once:
        return None
    late = f", {backlog.gone} went late before them" if backlog.gone else ""
    reason = (
        f"{backlog.left} days of {database.stream} are due to be deleted at once{late}: more than "
        f"expire.max_at_once ({settings.expire.max_at_once}). Is the clock right? "
        "`tickward expire --dry-run` lists those that are ready, and says how to agree"
    )
    return Block(key, reason, failed=False, step=Step.EXPIRE)


def _known_late_since(database: Database, patience: timedelta) -> datetime | None:
    """Since when a day is known that was not looked after as it ended; None: it was.

    Scripts have left it, or it was put here from elsewhere, or its journal was lost, and with it that it was
    on hold. Whoever has taken over years of days has not agreed to lose them in the next minute.
    """
    times, was_known = database.facts.times, bool(database.facts.superseded)
    sealed = None if was_known else times.get("sealed")
    late = sealed if sealed is not None and sealed - end_of(database.day) > patience else None
    return max(filter(None, (times.get("adopted"), late)), default=None)


def in_words(ageing: Ageing) -> str:
    """The rule, as certificates and the journal quote it."""
    return f"{ageing.after_days} days after the end of its day, schedule {ageing.schedule} (UTC)"


def policy_in_words(settings: Settings) -> dict[str, str]:
    """Every rule of the policy in words, by the name of its step."""
    rules = {stage.step.value: in_words(stage.ageing(settings)) for stage in STAGES}
    disabled = {
        stage.step.value: "never (enabled = false)" for stage in STAGES if not stage.enabled(settings)
    }
    expire = settings.expire
    rails_in_words = f"at most {expire.max_at_once} at once unconfirmed, the newest {expire.keep_min} kept"
    return {
        **rules,
        **disabled,
        "expire_rails": rails_in_words,
        "compress_level": str(settings.compress.level),
        "restore": f"kept for {settings.restore.keep_days} days",
        "verify": settings.verify.schedule,
        "drill": settings.verify.drill_schedule,
        "journal": f"events kept for {settings.journal.keep_days} days",
    }


def on_hold(entry: Entry, database: Database) -> Entry:
    """The same entry, unless a person has ordered that the day is kept as it is."""
    hold = database.facts.hold
    if hold is None or isinstance(entry, Block) or entry.step not in TAKE_AWAY:
        return entry
    raw = database.files.database or database.files.backup
    if entry.step is Step.COMPRESS and database.facts.compressed and not raw:
        return entry  # a lost backup is made again: that takes nothing away
    reason = f"on hold by {hold.by}: {hold.reason}; `tickward release {database.key}` ends it"
    return Wait(entry.key, reason, None, entry.step)


def keeps_restored(database: Database, now: datetime) -> Restored | None:
    """The uncompressed copy that a person had restored, if it is there and still to be kept."""
    restored = database.facts.restored
    if restored is None or database.files.database is None or restored.keep_until is None:
        return None
    return restored if restored.keep_until > now else None


def decide_restored(database: Database, settings: Settings, now: datetime) -> Entry | None:
    """What is to be done about a restored copy beside a compressed day; None if there is none."""
    restored, key = database.facts.restored, database.key
    if restored is None or database.files.database is None or database.facts.compressed is None:
        return None  # a day that was not compressed yet goes by its own age
    if not keeps_restored(database, now):
        reason = "the restored copy has been kept for as long as was set (restore.keep_days)"
        action = Action(key, Step.COMPRESS, reason, restored.keep_until or now)
    elif database.files.backup_compressed is None:
        action = Action(key, Step.VERIFY, "its second copy is missing: it is made again", now)
    else:
        reason = f"restored by {restored.by}: the uncompressed copy is kept for a while"
        return Wait(key, reason, restored.keep_until, Step.COMPRESS)
    return unless_failed(database, action, settings, now)


def with_verification(entry: Entry, database: Database, settings: Settings, now: datetime) -> Entry:
    """Whoever waits has time to have its copies read again, on a schedule."""
    facts, files, schedule = database.facts, database.files, settings.verify.schedule
    if isinstance(entry, Action) or database.running or facts.expired:
        return entry
    if isinstance(entry, Block) and entry.step is not Step.EXPIRE:
        return entry  # but of one that only waits for a person's word all copies are there
    if facts.sealed is None or not facts.proofs or not files.present or schedule == NEVER:
        return entry
    proven = last_of(facts.proofs, now)
    moment = (next_after(schedule, proven) if proven else None) or now
    read = f"{proven:%Y-%m-%d}" if proven else "a day that has yet to come, by a clock that was wrong"
    reason = f"its copies were last read on {read}; schedule {schedule}"
    action = Action(database.key, Step.VERIFY, reason, moment, proven_at=proven)
    verification = unless_failed(database, action, settings, now) if moment <= now else None
    if isinstance(verification, Action):
        return verification
    if isinstance(entry, Block):
        return entry
    when = verification.until if isinstance(verification, Wait) else moment
    is_sooner = when is not None and (entry.until is None or when < entry.until)
    return replace(entry, verify_at=when) if is_sooner else entry


class Trial(Struct, frozen=True):
    """The next restore drill."""

    action: Action | None
    """One cold day, if it is due now."""
    at: datetime | None
    """When it is due; None if there is no cold day to try."""


class Cold(NamedTuple):
    """What of some days counts for the next drill."""

    days: list[Database]
    """Those that are in the archive."""
    tried: tuple[datetime, ...]
    """When a drill was last tried of any of them; and what a wrong clock has told of times to come."""
    since: datetime | None
    """When the first of them was archived."""


def cold_of(databases: Iterable[Database], now: datetime) -> Cold:
    """Look through them."""
    databases = list(databases)
    days = [
        database
        for database in databases
        if database.files.archived and database.facts.archived and not database.facts.expired
    ]
    tried = _tried(databases)
    past = [moment for moment in tried if moment <= now]
    newest = (max(past),) if past else ()
    since = min((database.facts.times["archived"] for database in days), default=None)
    return Cold(days, (*newest, *(moment for moment in tried if moment > now)), since)


def next_drill(parts: Iterable[Cold], settings: Settings, now: datetime) -> datetime | None:
    """When a cold day is next restored on trial; None for never, or if there is none."""
    parts = list(parts)
    since = [part.since for part in parts if part.since is not None]
    if not since:
        return None
    tried = (moment for part in parts for moment in part.tried)
    oldest = min(database.day for part in parts for database in part.days)
    return drill_after(tried, min(since), oldest, settings, now)


def drill_after(
    tried: Iterable[datetime], archived_at: datetime, oldest: date, settings: Settings, now: datetime
) -> datetime | None:
    """When a cold day is next restored on trial; None for never.

    Args:
        tried: when that was tried before.
        archived_at: when the first of the cold days was archived.
        oldest: the first of them.
    """
    last = last_of(tried, now) or last_of([archived_at], now)
    # Where only a wrong clock has told the time: since the first of them was over, which is due.
    return next_after(settings.verify.drill_schedule, last or end_of(oldest))


def drawn(
    cold: Iterable[Database],
    entries: Mapping[str, Entry],
    settings: Settings,
    now: datetime,
    moment: datetime,
) -> Trial:
    """Which cold day is restored on trial. By chance, but the same one until it has been."""
    cold = list(cold)
    if any(database.running is Step.DRILL for database in cold):
        return Trial(None, None)  # one is enough
    free = [database for database in cold if isinstance(entries[database.key], Wait) and not database.running]
    if not free:
        return Trial(None, None)
    chosen = min(free, key=lambda database: _lot(f"{moment.isoformat()} {database.key}"))
    action = Action(chosen.key, Step.DRILL, "a cold day, drawn by lot, is restored on trial", moment)
    found = unless_failed(chosen, action, settings, now)
    if isinstance(found, Action):
        return Trial(found, moment)
    return Trial(None, found.until if isinstance(found, Wait) else None)


def _tried(databases: Iterable[Database]) -> list[datetime]:
    """When a drill was tried that is not to be tried again: one for each time of the schedule."""
    moments = []
    for facts in (database.facts for database in databases):
        failed = facts.failed.get(Step.DRILL)
        told = {
            "drilled": True,
            "failed": failed is not None and not failed.retryable,
            "corrupt": facts.corrupt is not None and facts.corrupt.step == Step.DRILL,
        }
        moments += [facts.times[name] for name, counts in told.items() if counts and name in facts.times]
    return moments


def _lot(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _due(database: Database, ageing: Ageing) -> datetime:
    return due(database.day, ageing.after_days, ageing.schedule)


def _is_of_age(database: Database, ageing: Ageing, now: datetime) -> bool:
    return _due(database, ageing) <= now


def _is_ready(database: Database, settings: Settings) -> bool:
    """Whether every step before it lies behind the day: what is stuck on its way is not deleted."""
    before = (stage for stage in STAGES if stage.step is not Step.EXPIRE and stage.enabled(settings))
    return all(stage.behind(database.facts) for stage in before)
