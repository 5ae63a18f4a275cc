"""What the page is given: the shapes of all its JSON."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from watcher.events import Tier
from watcher.view.calendar import Calendar, Letter
from watcher.view.forecast import Forecast
from watcher.view.status import ActiveDay, DaemonStatus, OnHold, StepStatus
from watcher.view.verdict import Verdict
from watcher.view.volumes import Volume
from watcher.web.series import Series
from watcher.wire import Message


class Troubled(Struct, frozen=True):
    """A day that wants a person."""

    key: str
    """``stream/YYYY-MM-DD``."""
    reason: str
    """Why, in a sentence."""


class Picture(Struct, frozen=True):
    """Everything that the page shows when it is opened: the answer of ``/api/overview``."""

    at: datetime
    """When it was looked at, by the daemon's clock: RFC 3339, UTC."""
    version: str
    """Of Tickward."""
    root: str
    """The directory of the databases (``data.root``)."""
    sequence: int
    """The number of the newest event."""
    verdict: Verdict
    """Whether it is healthy, and why not: the first fifty reasons."""
    daemon: DaemonStatus
    """Whether a daemon looks after the days, and what it is doing."""
    active: tuple[ActiveDay, ...]
    """The present day of each stream."""
    steps: tuple[StepStatus, ...]
    """Each step, in the order of a day's life."""
    holds: tuple[OnHold, ...]
    """Days on hold: the first hundred."""
    tiers: dict[str, Tier]
    """How many days are ``hot``, ``warm``, ``cold`` and ``gone``, and what their first copies take."""
    volumes: tuple[Volume, ...]
    """The volumes that they are on."""
    legend: tuple[Letter, ...]
    """What the letters of the calendars mean."""
    calendars: tuple[Calendar, ...]
    """Of each stream."""
    troubles: tuple[Troubled, ...]
    """The newest two hundred days that want a person."""
    series: Series
    """What is drawn over time."""
    forecast: Forecast | None
    """What is expected; null: no day is sealed yet."""


class Told(Struct, frozen=True):
    """An event in the stream of ``/api/events``: ``recorded``, or ``progress``, which has no number."""

    message: Message
    """The event, as it was published."""
    words: str
    """What of its data matters to a person."""


class Looked(Struct, frozen=True):
    """``overview`` in that stream: everything was looked at anew, ``/api/overview`` has it."""

    at: datetime
    """When: RFC 3339, UTC."""
    sequence: int
    """The number of the newest event by then."""


class Unseen(Struct, frozen=True):
    """``problem`` in that stream: the days cannot be looked at; what is shown is of before."""

    error: str
    """Why."""


class Alive(Struct, frozen=True):
    """The answer of ``/healthz``, with status 200, or 503 if it is failing."""

    status: str
    """``ok``; ``failing``: the days cannot be looked at."""
    error: str
    """Why not; empty: they can."""
    looked: datetime | None
    """When they last were: RFC 3339, UTC; null: not yet."""


class Refusal(Struct, frozen=True):
    """The answer to what cannot be answered."""

    error: str
    """Why."""
    hint: str
    """What to do instead."""
