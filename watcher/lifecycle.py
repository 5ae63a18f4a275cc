"""The life of a database, as one table. Nothing else compares states.

Each row of `STAGES` is a step that every day goes through, in this order: what tells that it lies behind
the day, and which section of the configuration gives its age and schedule. A new step is a new row.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct

from handlers.contract import Step
from watcher.settings import Ageing, Settings
from watcher.state import Database


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


class Stage(Struct, frozen=True):
    """One step in a day's life."""

    step: Step
    state: State
    """The state that it leads to."""
    behind: Callable[[Database], bool]
    """Whether the day has been through it: a matter of recorded facts."""
    intact: Callable[[Database], bool]
    """Whether the files that it made are still there: if not, the step is done once more."""
    ageing: Callable[[Settings], Ageing]
    enabled: Callable[[Settings], bool] = lambda _: True


def _is_backed_up(database: Database) -> bool:
    backed_up, sealed = database.facts.backed_up, database.facts.sealed
    if backed_up is None or sealed is None:
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
        behind=lambda database: database.facts.sealed is not None,
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
        behind=lambda database: database.facts.compressed is not None,
        intact=lambda database: database.files.backup_compressed is not None,
        ageing=lambda settings: settings.compress,
    ),
    Stage(
        step=Step.ARCHIVE,
        state=State.ARCHIVED,
        behind=lambda database: database.facts.archived is not None,
        intact=lambda database: database.files.archived is not None,
        ageing=lambda settings: settings.archive,
        enabled=lambda settings: settings.archive.enabled,
    ),
    Stage(
        step=Step.EXPIRE,
        state=State.EXPIRED,
        behind=lambda database: database.facts.expired is not None,
        intact=lambda _: True,
        ageing=lambda settings: settings.expire,
        enabled=lambda settings: settings.expire.enabled,
    ),
)


def state_of(database: Database) -> State:
    """The last stage that lies behind the day; before the first, what its writer is doing."""
    for stage in reversed(STAGES):
        if stage.behind(database):
            return stage.state
    if not database.files.primary:
        return State.ABSENT
    if database.facts.opened or database.held:
        return State.ACTIVE
    return State.CLOSED if database.facts.closed else State.CREATED


def next_stage(database: Database, settings: Settings) -> Stage | None:
    """The first stage that the day has yet to go through, or to repair; None at the end."""
    for stage in STAGES:
        if stage.enabled(settings) and not (stage.behind(database) and stage.intact(database)):
            return stage
    return None
