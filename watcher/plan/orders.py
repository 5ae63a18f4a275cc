"""What a person asks for, planned by the rules of the planner: the schedule gives way, the rails do not.

An order names days, or none: then it means every day whose age has come, whatever the hour of its schedule.
For a day that is named, the age gives way as well; but never that of a deletion.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from handlers.contract import Step
from watcher.lifecycle import STAGES
from watcher.plan.entries import NO_SUCH_DAY, Action, Block, Doubts, Entry, Wait, in_doubt, is_paused
from watcher.plan.planner import plan
from watcher.schedule import ON_ROTATION
from watcher.settings import Ageing, Settings
from watcher.state import Database


class Order(Struct, frozen=True, tag="order", forbid_unknown_fields=True):
    """A step that a person wants done now."""

    step: Step
    by: str
    keys: tuple[str, ...] = ()
    """The days; empty: all that are due."""
    after_days: Annotated[int, Meta(ge=0, le=36500)] | None = None
    """Another age than that of the settings, for days that are not named."""
    level: Annotated[int, Meta(ge=1, le=22)] | None = None
    """Compress only: another level than that of the settings."""
    confirmed: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """Expire only: to so many deletions at once this person has agreed."""
    target: str = ""
    """Restore only: a file elsewhere; empty: back into the root."""
    force: bool = False
    """Restore only: what bears that name gives way."""
    everything: bool = False
    """Verify only: every day that has a copy. Adopt only: every day that is not known."""
    reencode: bool = False
    """Adopt only: compressed copies of which no part can be read alone are made anew."""
    sample: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """Verify only: so many days, drawn by lot."""


_KNOWN = "it is known already"


def ordered(
    databases: Iterable[Database],
    settings: Settings,
    now: datetime,
    order: Order,
    doubts: Doubts | None = None,
) -> list[Entry]:
    """What an order comes to now: an entry for each day that it concerns, oldest first.

    A named day always has one, if only to say why nothing is done about it.
    """
    known = {database.key: database for database in databases}
    doubts = doubts or Doubts()
    if order.step in _BY_HAND:
        entries = _by_hand(known, now, order, doubts)
    elif order.step is Step.ADOPT:
        entries = _adoptions(known, now, order, doubts)
    elif order.step is Step.VERIFY:
        entries = _verifications(known, settings, now, order, doubts)
    else:
        entries = _stages(known, settings, now, order, doubts)
    return sorted(entries, key=lambda entry: (entry.key.rpartition("/")[2], entry.key))


def _stages(
    known: Mapping[str, Database], settings: Settings, now: datetime, order: Order, doubts: Doubts
) -> list[Entry]:
    entries = _of_stages(known, settings, now, replace(order, confirmed=0), doubts)
    if order.step is Step.EXPIRE:
        entries = _by_word(
            entries, _of_stages(known, settings, now, replace(order, confirmed=1), doubts), order
        )
    return entries + _unknown(known, order)


def _of_stages(
    known: Mapping[str, Database], settings: Settings, now: datetime, order: Order, doubts: Doubts
) -> list[Entry]:
    """What is due of a step of the lifecycle. Whatever number was agreed to is taken for the right one."""
    keys = set(order.keys)
    # Whoever orders it has seen to it: what failed before is tried again.
    fresh = [
        replace(database, facts=replace(database.facts, failed={}))
        if database.facts.failed and (not keys or key in keys)
        else database
        for key, database in known.items()
    ]
    ages: dict[Step, Ageing] = {} if order.step is Step.CREATE else {order.step: _age(settings, order)}
    confirmed = len(known) if order.confirmed else 0
    found = plan(
        fresh, settings, now, doubts, ages=ages, confirmed=confirmed, reading=False, keys=keys or None
    ).entries
    if keys:
        return [_for_named(entry, known[entry.key], order) for entry in found]
    due = [_refused(entry) if is_paused(entry) else entry for entry in found if entry.step is order.step]
    return [_by(entry, order) for entry in due if not isinstance(entry, Wait)]


def _age(settings: Settings, order: Order) -> Ageing:
    own = next(stage for stage in STAGES if stage.step is order.step).ageing(settings)
    days = own.after_days if order.after_days is None else order.after_days
    if order.keys and order.step is not Step.EXPIRE:
        days = 0
    if order.step is Step.EXPIRE:
        # Its schedule gives way, its age never does.
        days = max(days, own.after_days)
    return Ageing(days, ON_ROTATION)


def _for_named(entry: Entry, database: Database, order: Order) -> Entry:
    """The answer for a day that was named: what cannot be done now is refused, not passed over."""
    if isinstance(entry, Block) or (isinstance(entry, Wait) and entry.passing):
        return entry
    if isinstance(entry, Action) and entry.step is order.step:
        return _by(entry, order)
    if _is_done(database, order.step):
        return Wait(entry.key, f"done already; {entry.reason}", None, entry.step)
    before = entry.step is not order.step and (isinstance(entry, Action) or entry.paused)
    reason = f"its {entry.step} comes first: {entry.reason}" if before else entry.reason
    return Block(entry.key, reason, failed=False, step=entry.step)


def _refused(entry: Entry) -> Entry:
    """Whoever orders what there is no room for is told so: it does not wait for them."""
    return Block(entry.key, entry.reason, failed=False, step=entry.step)


def _is_done(database: Database, step: Step) -> bool:
    if step is Step.CREATE:
        return database.facts.existed or database.files.present
    return any(s.step is step and s.behind(database.facts) and s.intact(database) for s in STAGES)


def _by(entry: Entry, order: Order) -> Entry:
    if not isinstance(entry, Action):
        return entry
    own = order.keys and order.step is not Step.EXPIRE  # of a deletion the reason is its age
    return replace(entry, by=order.by, reason=f"ordered by {order.by}" if own else entry.reason)


def _by_word(entries: list[Entry], agreed: list[Entry], order: Order) -> list[Entry]:
    """What comes of a number that a person has agreed to, or which number is asked for.

    It is that of the deletions which want a word; those that want none are done anyway, and may be counted
    with them. Another number deletes nothing. Of days that are named it is the most that may be: they get
    fewer while one after the other goes.
    """
    without = {entry.key for entry in entries if _is_deletion(entry)}
    going = {entry.key for entry in agreed if _is_deletion(entry)}
    asking = going - without
    if not order.confirmed:
        how = f"; `--confirm {len(asking)}` agrees to {'these' if len(asking) > 1 else 'this one'}"
        return [_asked(entry, how) if entry.key in asking else entry for entry in entries]
    if order.confirmed in (len(going), len(asking)) or (order.keys and order.confirmed > len(going)):
        return agreed
    due = f"{len(asking)} wait for that" if asking else f"{len(going)} are due"
    reason = (
        f"{order.confirmed} deletions were agreed to, but {due}: look at `tickward expire --dry-run` again"
    )
    return [Block(each.key, reason, step=Step.EXPIRE) if _is_deletion(each) else each for each in agreed]


def _is_deletion(entry: Entry) -> bool:
    return isinstance(entry, Action) and entry.step is Step.EXPIRE


def _asked(entry: Entry, how: str) -> Entry:
    return replace(entry, reason=entry.reason + how) if isinstance(entry, Block) else entry


def _unknown(known: Mapping[str, Database], order: Order) -> list[Entry]:
    return [Block(key, NO_SUCH_DAY, step=order.step) for key in order.keys if key not in known]


def _verifications(
    known: Mapping[str, Database], settings: Settings, now: datetime, order: Order, doubts: Doubts
) -> list[Entry]:
    readable = [key for key, d in known.items() if d.facts.sealed and not d.facts.expired]
    if order.keys:
        keys = list(order.keys)
    elif order.everything:
        keys = readable
    elif order.sample:
        lots = {key: hashlib.sha256(f"{now.isoformat()} {key}".encode()).digest() for key in readable}
        keys = sorted(readable, key=lots.__getitem__)[: order.sample]
    else:
        due = plan(known.values(), settings, now, doubts).entries
        keys = [e.key for e in due if isinstance(e, Action) and e.step is Step.VERIFY]
    return _by_hand(known, now, replace(order, keys=tuple(keys)), doubts)


def _adoptions(known: Mapping[str, Database], now: datetime, order: Order, doubts: Doubts) -> list[Entry]:
    """Those that are named; or all that are neither known nor sealed as usual."""
    if not order.everything:
        return _by_hand(known, now, order, doubts)
    keys = tuple(
        key
        for key, database in known.items()
        if not (database.facts.expired or database.files.anomaly or _why_not_adopted(database, order))
    )
    return _by_hand(known, now, replace(order, keys=keys), doubts)


def _why_not_adopted(database: Database, order: Order) -> str:
    """Why there is nothing to take over; empty if there is."""
    facts, files = database.facts, database.files
    if facts.sealed is not None:
        return _why_not_reencoded(database) if order.reencode else _KNOWN
    if files.database is not None:
        return "it is not compressed: it is sealed and backed up as every day is"
    return "" if files.any_copy else "no copy of it is there"


def _why_not_reencoded(database: Database) -> str:
    facts, files = database.facts, database.files
    if facts.compressed is None or facts.compressed.frame_bytes or files.database is not None:
        return _KNOWN
    if facts.hold is not None:
        return f"on hold by {facts.hold.by}: its files stay as they are"
    first = files.archived if facts.archived else files.compressed
    return "" if first else "its first copy is not where it should be: `tickward verify` puts it back"


def _by_hand(known: Mapping[str, Database], now: datetime, order: Order, doubts: Doubts) -> list[Entry]:
    entries: list[Entry] = _unknown(known, order)
    # A person has looked at the clock; and a file of their own is on a volume of their own.
    doubts = replace(doubts, clock_until=None, low={} if order.target else doubts.low)
    for key in order.keys:
        if database := known.get(key):
            entry = in_doubt(_by_hand_one(database, now, order), database, doubts, now)
            if order.reencode and doubts.journal and isinstance(entry, Action):
                entry = Block(key, doubts.journal, step=order.step)  # it may have been on hold
            entries.append(_refused(entry) if is_paused(entry) else entry)
    return entries


def _by_hand_one(database: Database, now: datetime, order: Order) -> Entry:
    key, step = database.key, order.step
    if database.running:
        return Wait(key, f"{database.running} is running", passing=True)
    if expired := database.facts.expired:
        reason = f"deleted on {database.facts.times['expired']:%Y-%m-%d} by {expired.by}: {expired.reason}"
        return Block(key, reason, step=step)
    if database.files.anomaly:
        return Block(key, database.files.anomaly, step=step)
    if step is Step.ADOPT:
        if why := _why_not_adopted(database, order):
            return Wait(key, why)
        return Action(key, step, f"ordered by {order.by}", now, by=order.by)
    if database.facts.sealed is None:
        return Block(key, "it has no seal yet: there is nothing to compare a copy with", step=step)
    if problem := _BY_HAND.get(step, _verify_problem)(database, order):
        return Block(key, problem, failed=False, step=step)
    return Action(key, step, f"ordered by {order.by}", now, proven_at=database.facts.proven_at, by=order.by)


def _restore_problem(database: Database, order: Order) -> str:
    files = database.files
    if not files.any_copy:
        return "no copy of it is left"
    if order.target:
        return ""
    if files.wal_bytes:
        log = f"{database.paths.database}-wal"
        return f"{log} is there, and may hold ticks: move it away first, or merge the day"
    if files.database and not order.force:
        return f"{database.paths.database} is there already; --force puts it aside, --to names another file"
    return ""


def _merge_problem(database: Database, _: Order) -> str:
    facts, files = database.facts, database.files
    if facts.compressed is None or files.database is None:
        return "nothing to merge: no database stands beside a compressed day"
    if facts.sealed and files.database == facts.sealed.signature and not files.wal_bytes:
        return "nothing to merge: the database in the root is the restored one, and nobody wrote to it"
    return ""


def _verify_problem(database: Database, _: Order) -> str:
    if database.files.any_copy:
        return ""
    lost = database.facts.lost
    return f"{lost.error}; {lost.hint}" if lost else "no copy of it is left"


def _drill_problem(database: Database, _: Order) -> str:
    return "" if database.facts.archived and database.files.archived else "it is not in the archive"


_BY_HAND = {Step.RESTORE: _restore_problem, Step.MERGE: _merge_problem, Step.DRILL: _drill_problem}
