"""The life of a database, as one table. Nothing else compares states.

Each row of `STAGES` is a step that every day goes through, in this order: what tells that it lies behind
the day, and which section of the configuration gives its age and schedule. A new step is a new row.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Literal

from msgspec import Struct

from handlers.contract import Step
from watcher.settings import Ageing, Settings
from watcher.state import Database, Facts


class State(StrEnum):
    """Where in its life a database is. Exactly one at any time."""

    ABSENT = "absent"
    CREATED = "created"
    ACTIVE = "active"
    CLOSED = "closed"
    SEALED = "sealed"
    BACKED_UP = "backed_up"
    COMPRESSED = "compressed"
    ARCHIVED = "archived"
    EXPIRED = "expired"


Tier = Literal["hot", "warm", "cold", "gone"]
"""Uncompressed; compressed; in the archive; deleted by the policy."""


def tier_of(state: State) -> Tier | None:
    """Where a day in a state is kept; None for one of which there is nothing, and never was."""
    return None if state is State.ABSENT else _TIERS.get(state, "hot")


_TIERS: dict[State, Tier] = {State.COMPRESSED: "warm", State.ARCHIVED: "cold", State.EXPIRED: "gone"}


class Stage(Struct, frozen=True):
    """One step in a day's life."""

    step: Step
    state: State
    """The state that it leads to."""
    behind: Callable[[Facts], bool]
    """Whether the day has been through it: a matter of recorded facts."""
    intact: Callable[[Database], bool]
    """Whether the files that it made are still there: if not, the step is done once more."""
    ageing: Callable[[Settings], Ageing]
    enabled: Callable[[Settings], bool] = lambda _: True


def _is_backed_up(facts: Facts) -> bool:
    backed_up, sealed = facts.backed_up, facts.sealed
    if backed_up is None:
        return facts.compressed is not None  # adopted: it has a compressed second copy, or gets one
    if sealed is None:
        return False
    return not backed_up.live and backed_up.sha256 == sealed.sha256


def _has_backup(database: Database) -> bool:
    files, facts = database.files, database.facts
    if files.backup_compressed or facts.compressed:
        return True
    # Its content is compared when it matters; that it is whole can be seen from its size at any time.
    return bool(files.backup and facts.sealed and files.backup.size_bytes == facts.sealed.size_bytes)


STAGES: tuple[Stage, ...] = (
    Stage(
        step=Step.SEAL,
        state=State.SEALED,
        behind=lambda facts: facts.sealed is not None,
        intact=lambda _: True,
        # As soon as a day is over and its writer has gone: no setting may delay the proof.
        ageing=lambda _: Ageing(),
    ),
    Stage(
        step=Step.BACKUP,
        state=State.BACKED_UP,
        behind=_is_backed_up,
        intact=_has_backup,
        ageing=lambda settings: settings.backup,
    ),
    Stage(
        step=Step.COMPRESS,
        state=State.COMPRESSED,
        behind=lambda facts: facts.compressed is not None,
        # An uncompressed backup beside it is in nobody's sight: it is proven to hold no more, and goes.
        intact=lambda database: database.files.backup_compressed is not None and not database.files.backup,
        ageing=lambda settings: settings.compress,
    ),
    Stage(
        step=Step.ARCHIVE,
        state=State.ARCHIVED,
        behind=lambda facts: facts.archived is not None,
        intact=lambda database: database.files.archived is not None,
        ageing=lambda settings: settings.archive,
        enabled=lambda settings: settings.archive.enabled,
    ),
    Stage(
        step=Step.EXPIRE,
        state=State.EXPIRED,
        behind=lambda facts: facts.expired is not None,
        intact=lambda _: True,
        ageing=lambda settings: settings.expire,
        enabled=lambda settings: settings.expire.enabled,
    ),
)


def state_of(database: Database) -> State:
    """The last stage that lies behind the day; before the first, what its writer is doing."""
    recorded = recorded_state(database.facts)
    if recorded not in _WRITERS:
        return recorded
    if not database.files.primary:
        return State.ABSENT
    if database.facts.opened or database.held:
        return State.ACTIVE
    return State.CLOSED if database.facts.closed else State.CREATED


def recorded_state(facts: Facts) -> State:
    """The same by what the journal knows, without a look at the files."""
    for stage in reversed(STAGES):
        if stage.behind(facts):
            return stage.state
    if facts.opened:
        return State.ACTIVE
    if facts.closed or facts.previous:
        return State.CLOSED
    return State.CREATED if facts.existed else State.ABSENT


_WRITERS = (State.ABSENT, State.CREATED, State.ACTIVE, State.CLOSED)
"""The states of a day that its writer may still have."""


def next_stage(database: Database, settings: Settings) -> Stage | None:
    """The first stage that the day has yet to go through, or to repair; None at the end."""
    for stage in STAGES:
        if stage.enabled(settings) and not (stage.behind(database.facts) and stage.intact(database)):
            return stage
    return None
