"""Every day in one row, and what the planner says of those that are not at rest: what an operator looks at.

From outside of the daemon, as `watcher.survey` is, whether one runs or not; quick also with a hundred
thousand days.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from handlers.contract import Step
from handlers.holders import held_for_writing
from watcher.control import is_listening, vitals_of
from watcher.events import DAEMON_KEY, Stopped
from watcher.inventory import Inventory
from watcher.journal import Journal
from watcher.lifecycle import State, Tier, state_of, tier_of
from watcher.lock import Lock
from watcher.metadata import doubt
from watcher.paths import journal_file, resolved
from watcher.plan import Action, Block, Doubts, Entry, Plan, Wait, wanted
from watcher.plan.presence import empty_root
from watcher.plan.rest import Rest
from watcher.plan.retention import drill_after
from watcher.rollcall import Roll, RollCall
from watcher.settings import Settings
from watcher.state import Database, Facts
from watcher.summary import Backup, Summary, summary_of
from watcher.survey import assess, doubts_of
from watcher.vitals import Vitals

Trouble = Literal["", "attention", "failing"]


class Day(Struct, frozen=True, gc=False):
    """One day of one stream."""

    key: str
    """``stream/YYYY-MM-DD``."""
    stream: str
    """Its stream."""
    day: date
    """Its date."""
    tier: Tier | None
    """None: there is nothing of it, and there never was."""
    state: State
    """Where in its life it is, such as ``compressed``."""
    bytes: int | None
    """Uncompressed; None before it was sealed."""
    bytes_now: int
    """Of the first copy as it is now; 0: there is none."""
    ticks: int | None
    """Rows; None before it was sealed."""
    symbols: int | None
    """Different symbols among them; None before it was sealed."""
    sha256: str
    """Of the uncompressed content; empty before it was sealed."""
    backup: Backup
    """Live: a consistent copy of a day that somebody still holds."""
    sealed_at: datetime | None
    """When it was last sealed; None: it is not known to have been. So the others."""
    backed_up_at: datetime | None
    """When its second copy was made."""
    compressed_at: datetime | None
    """When it was compressed."""
    archived_at: datetime | None
    """When it was moved to the archive."""
    expired_at: datetime | None
    """When it was deleted."""
    verified_at: datetime | None
    """When its copies were last read and compared, whatever for."""
    drilled_at: datetime | None
    """When it was last restored on trial."""
    on_hold: bool
    """Whether a person has ordered that it is kept as it is."""
    entry: Literal["action", "wait", "block"]
    """What the planner says: due now, nothing to do for now, or nothing until a person acts."""
    step: Step | None
    """What is done next."""
    due: datetime | None
    """When; None: nothing is, or it waits for something to happen."""
    reason: str
    """Why, in a sentence."""
    trouble: Trouble
    """Failing: a step fails, it is damaged or lost, or a person must act. Attention: set aside, held open."""

    verify_at: datetime | None = None
    """When its copies are read again, if that is sooner."""

    @property
    def ratio(self) -> float | None:
        """How many times smaller it is now; None for one that is not compressed."""
        if self.tier not in ("warm", "cold") or not (self.bytes and self.bytes_now):
            return None
        return self.bytes / self.bytes_now


class Overview(Struct, frozen=True):
    """How everything stands."""

    at: datetime
    days: list[Day]
    """By stream and date; also those that are deleted, and those that are still to be created."""
    left_out: dict[str, int]
    """Deleted days that nobody asked for, and that are not among them: their uncompressed bytes, by key."""
    plan: Plan
    """Of those that are not at rest."""
    databases: dict[str, Database]
    """All that is known of those that are not at rest, by key: held, failed, due, not sealed, in doubt."""
    streams: dict[str, Facts]
    """Of streams (`rotated`), and of the daemon (``-``: `configured`, `disk_low`)."""
    left_alone: dict[str, int]
    """How many days, not deleted, there are of each stream that is not configured any more."""
    head: int
    """Sequence number of the newest event."""
    doubts: Doubts
    daemon_pid: int | None
    """None: no daemon runs."""
    vitals: Vitals | None
    """None: no daemon runs, or it does not answer."""
    is_deaf: bool
    """Whether something works here that takes no orders: a daemon that is starting, or a single command."""
    settings: Settings
    """With the symbolic links in its directories resolved."""
    passed_at: datetime | None = None
    """When `tickward once` ended last; None: what ended last was no such pass."""

    @property
    def next_due(self) -> datetime | None:
        """When the first of the waits ends; None if they all wait for something to happen."""
        waits = (day for day in self.days if day.entry == "wait")
        moments = (moment for day in waits for moment in (day.due, day.verify_at))
        return min((moment for moment in (*moments, self.plan.drill_at) if moment is not None), default=None)


def overview(settings: Settings, now: datetime, *, deleted_since: datetime | None = None) -> Overview:
    """Look at the tree and the journal, plan for ``now``, and ask the daemon how it is.

    ``deleted_since``: days that were deleted before are only counted, unless there is more to say of one.
    After some years they are most of all days. None: all are given.
    """
    with _no_collection():
        return _overview(resolved(settings), now, deleted_since)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Of so much that is made at once nothing is garbage: looking for it takes a fifth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _overview(settings: Settings, now: datetime, deleted_since: datetime | None) -> Overview:
    inventory = Inventory(settings.data, lambda path: held_for_writing(Path(path)))
    with ExitStack() as stack:
        roll_call = stack.enter_context(RollCall(settings.data))
        journal = Journal.open_for_reading(journal_file(settings.data))
        if journal is not None:
            stack.enter_context(journal)
        known = _recorded(journal, Path(settings.data.root), deleted_since)
        parted = _parted(known, settings, now)
        roll = roll_call.result(known.summaries, known.head)  # asked for late: it may be called beside
        still, awake = _seen(parted, known, roll, inventory, settings, now)
        inventory.add_known(journal.facts_of(awake) if journal is not None else {})
    for key in awake:
        # The files of one that is as it should be are not in the listing any more.
        inventory.look_at(key, None if key in roll.present else roll.listing)
    doubts = doubts_of(inventory, settings, known.doubt, known.streams.get(DAEMON_KEY, Facts()))
    plan = assess(inventory, settings, now, doubts)
    databases = {database.key: database for database in inventory.databases()}
    resting = [day for key, day in still.items() if key not in awake]
    if suspicion := empty_root(list(databases.values())):
        resting = [day if day.tier == "gone" else _blocked(day, suspicion) for day in resting]
    days = [*resting, *(day_of(databases[entry.key], entry) for entry in plan.entries)]
    state = Path(settings.data.state)
    pid = Lock(state).holder()
    vitals = vitals_of(state) if pid is not None else None
    return Overview(
        at=now,
        days=sorted(days, key=attrgetter("key")),
        left_out=_without(known.left_out, days),
        plan=plan,
        databases=databases,
        streams=known.streams,
        left_alone=parted.left_alone,
        head=known.head,
        doubts=doubts,
        daemon_pid=pid,
        vitals=vitals,
        is_deaf=pid is not None and vitals is None and not is_listening(state),
        settings=settings,
        passed_at=known.passed_at,
    )


class _Recorded(NamedTuple):
    """What the journal says of all days."""

    summaries: list[Summary]
    left_out: dict[str, int]
    streams: dict[str, Facts]
    head: int
    doubt: str | None
    """Why it may not be the journal that it was; None: there is none yet."""
    passed_at: datetime | None = None


def _recorded(journal: Journal | None, root: Path, deleted_since: datetime | None) -> _Recorded:
    if journal is None:
        return _Recorded([], {}, {}, 0, doubt(root, None) or None)
    with journal.snapshot():
        return _recorded_now(journal, root, deleted_since)


def _recorded_now(journal: Journal, root: Path, deleted_since: datetime | None) -> _Recorded:
    head = journal.head()
    left_out = journal.deleted(deleted_since) if deleted_since else {}
    why = doubt(root, journal) if head else None
    summaries, streams = journal.summaries(deleted_since), journal.stream_facts()
    return _Recorded(summaries, left_out, streams, head, why, _passed_at(journal))


def _passed_at(journal: Journal) -> datetime | None:
    for row in journal.events_of(DAEMON_KEY, 1, "stopped"):
        if msgspec.json.decode(row.data, type=Stopped).mode == "once":
            return datetime.fromisoformat(row.time)
    return None


def _without(left_out: dict[str, int], days: Iterable[Day]) -> dict[str, int]:
    """But for those that are shown all the same."""
    shown = {day.key for day in days if day.key in left_out}
    return {key: size for key, size in left_out.items() if key not in shown} if shown else left_out


class _Parted(NamedTuple):
    """Days by what the journal says of them."""

    still: dict[str, Day]
    """Those at rest, as they are shown, if their files are as they should be."""
    awake: set[str]
    """The keys of all others."""
    of_age: set[str]
    """The streams of which days may be deleted."""
    left_alone: dict[str, int]


def _parted(known: _Recorded, settings: Settings, now: datetime) -> _Parted:
    rest = Rest(settings, now)
    still: dict[str, Day] = {}
    left_alone = Counter[str]()
    awake: set[str] = set()
    of_age: set[str] = set()
    for summary in known.summaries:
        stream, _, text = summary.key.partition("/")
        is_gone = summary.state is State.EXPIRED
        if stream not in settings.data.streams:
            left_alone[stream] += not is_gone
            continue
        day = date.fromisoformat(text)
        wait = rest.of(summary, day)
        if wait is not None:
            still[summary.key] = _at_rest(summary, stream, day, wait)
        else:
            awake.add(summary.key)
        if not (is_gone or summary.on_hold) and rest.is_of_age(day):
            of_age.add(stream)
    return _Parted(still, awake, of_age, dict(+left_alone))


def _seen(
    parted: _Parted, known: _Recorded, roll: Roll, inventory: Inventory, settings: Settings, now: datetime
) -> tuple[dict[str, Day], set[str]]:
    """The days at rest, as they are shown, by their keys; which ones the planner is to see.

    It is to see all others, known or on disk, and some of those at rest.
    """
    still, awake = parted.still, parted.awake
    for missed in still.keys() - roll.present:
        if still[missed].tier != "gone":
            del still[missed]
            awake.add(missed)
    awake.update(key for path in roll.listing.left() if (key := inventory.key_of(path)))
    # By a clock that was put back, a day that is to be made may long be gone.
    awake.update(f"{stream}/{day}" for stream, day in wanted(settings, now))
    awake.update(_judged_by(still.values(), parted.of_age, settings, now))
    if parted.of_age:
        awake.update(key for key in known.left_out if key.partition("/")[0] in parted.of_age)
    return still, awake


def _judged_by(still: Iterable[Day], of_age: set[str], settings: Settings, now: datetime) -> Iterable[str]:
    """Days at rest that the planner has to see, because it judges others by them."""
    still = list(still)
    # Before a deletion all days of the stream count.
    yield from (day.key for day in still if day.stream in of_age)
    # A root that holds at least one of its days is the root.
    yield from [day.key for day in still if day.tier in ("hot", "warm")][-1:]
    # When the next restore drill is due goes by the last one, or else by the oldest of the cold days.
    cold = [day for day in still if day.tier == "cold"]
    drills = [day for day in still if day.drilled_at and day.drilled_at <= now + timedelta(days=1)]
    last_drill = max(drills, key=attrgetter("drilled_at"), default=None)
    if last_drill is not None:
        yield last_drill.key
    if not cold:
        return
    first, oldest = min(cold, key=attrgetter("archived_at")), min(cold, key=attrgetter("day"))
    yield from (first.key, oldest.key)
    tried = [last_drill.drilled_at] if last_drill and last_drill.drilled_at else []
    moment = drill_after(tried, first.archived_at or now, oldest.day, settings, now)
    if moment is not None and moment <= now:
        yield from (day.key for day in cold)  # one of them is drawn


def _at_rest(summary: Summary, stream: str, day: date, wait: Wait) -> Day:
    tier = tier_of(summary.state)
    now_bytes = 0 if tier == "gone" else summary.bytes if tier == "hot" else summary.packed_bytes
    # By place: by name it takes twice as long, and this is done for every day.
    return Day(
        summary.key,
        stream,
        day,
        tier,
        summary.state,
        summary.bytes,
        now_bytes or 0,
        summary.ticks,
        summary.symbols,
        summary.sha256,
        summary.backup,
        summary.sealed_at,
        summary.backed_up_at,
        summary.compressed_at,
        summary.archived_at,
        summary.expired_at,
        summary.proven_at,
        summary.drilled_at,
        summary.on_hold,
        "wait",
        wait.step,
        wait.until,
        wait.reason,
        "",
        wait.verify_at,
    )


def _blocked(day: Day, reason: str) -> Day:
    """Of a root that may not be the root nothing is done."""
    return replace(day, entry="block", step=None, due=None, verify_at=None, reason=reason, trouble="failing")


def has_no_copy(database: Database) -> bool:
    """Whether every copy of a sealed day is gone that was not deleted."""
    facts, files = database.facts, database.files
    return facts.sealed is not None and facts.expired is None and not files.any_copy


def day_of(database: Database, entry: Entry) -> Day:
    """By what is known and what is there, which may not be the same."""
    facts, files, first = database.facts, database.files, database.files.first
    summary, state = summary_of(database.key, facts), state_of(database)
    wait = entry if isinstance(entry, Wait) else Wait(entry.key, entry.reason)
    shown = _at_rest(summary, database.stream, database.day, wait)
    return replace(
        shown,
        tier=tier_of(state),
        state=state,
        bytes_now=first.size_bytes if first else 0,
        backup=shown.backup if facts.expired or files.backup or files.backup_compressed else "no",
        entry="wait" if isinstance(entry, Wait) else "action" if isinstance(entry, Action) else "block",
        step=entry.step,
        due=entry.due if isinstance(entry, Action) else shown.due,
        trouble=_trouble(database, entry),
    )


def _trouble(database: Database, entry: Entry) -> Trouble:
    facts = database.facts
    if facts.failed or facts.lost or has_no_copy(database) or (isinstance(entry, Block) and entry.failed):
        return "failing"
    uncounted = facts.sealed is not None and not facts.sealed.counted
    return "attention" if isinstance(entry, Block) or facts.deferred or uncounted else ""
