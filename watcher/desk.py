"""The desk: what people have ordered, followed to its end. Belongs to the loop's thread, but for `put`.

An order is kept in memory only, as all pending work is: who gave it is told how it ended, and if the daemon
ends before, that the order ended with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from handlers.contract import Done, Outcome, Step
from watcher.events import Event, Record, name_of
from watcher.plan import Action, Block, Doubts, Entry, Order, ordered
from watcher.requests import (
    Ended,
    Finished,
    Intention,
    Planned,
    Progress,
    Refused,
    Reply,
    Request,
    is_running,
)
from watcher.settings import Settings
from watcher.state import Database

Tell = Callable[[Reply], None]
HandOut = Callable[[Action, Order], bool]
"""Starts a job if there is room for it; whether there was."""

_STOPPED = "the daemon was stopped before it was done: ask again"


class Ticket(Struct, frozen=True):
    """A request, and where its answers go."""

    request: Request
    tell: Tell


class _Undertaking:
    """One order under way."""

    def __init__(self, order: Order, tell: Tell) -> None:
        self.order = order
        self.tell = tell
        self.begun = False
        self.pending: set[str] = set()
        self.running: dict[str, Step] = {}
        self.done = 0
        self.failed = 0

    @property
    def is_over(self) -> bool:
        return self.begun and not self.pending and not self.running


class Desk:
    """Takes orders, hands out their jobs, tells of their ends."""

    def __init__(self) -> None:
        self._inbox: deque[Ticket] = deque()
        self._under_way: list[_Undertaking] = []

    def put(self, ticket: Ticket) -> None:
        """Bring a request. From any thread."""
        self._inbox.append(ticket)

    def take(self) -> list[Ticket]:
        """What has been brought since the last time. Orders are kept here; the rest is the caller's."""
        others = []
        while self._inbox:
            ticket = self._inbox.popleft()
            if isinstance(ticket.request, Order):
                self._under_way.append(_Undertaking(ticket.request, ticket.tell))
            else:
                others.append(ticket)
        return others

    def busy(self) -> bool:
        return bool(self._inbox or self._under_way)

    def advance(
        self,
        databases: Callable[[], Iterable[Database]],
        settings: Settings,
        now: datetime,
        doubts: Doubts,
        hand_out: HandOut,
    ) -> None:
        """Hand out what can be begun now."""
        for each in self._under_way:
            if not each.begun:
                self._begin(each, ordered(databases(), settings, now, each.order, doubts))
            self._go_on(each, databases, settings, now, doubts, hand_out)
        self._clear()

    def ended(self, outcome: Outcome, event: Event | None, record: Record | None) -> None:
        """Tell whoever waits for this job."""
        key, step = outcome.job.key, outcome.job.step
        for each in self._under_way:
            if each.running.get(key) is step:
                del each.running[key]
                answer = _ended(outcome, event, record)
                each.done, each.failed = each.done + answer.ok, each.failed + (not answer.ok)
                each.tell(answer)
        self._clear()

    def close(self) -> None:
        """The daemon ends: whoever still waits is told so."""
        for ticket in self.take():
            ticket.tell(Refused(_STOPPED))
        for each in self._under_way:
            for key in (*each.pending, *each.running):
                each.failed += 1
                each.tell(Ended(key, each.order.step, ok=False, message=_STOPPED))
            each.tell(Finished(each.done, each.failed))
        self._under_way.clear()

    def tell_progress(self, progress: Mapping[str, tuple[int, int]]) -> None:
        """Pass on how far jobs are: by key, bytes done and bytes in all."""
        for each in self._under_way:
            for key, step in each.running.items():
                done, total = progress.get(key, (0, 0))
                if total:
                    each.tell(Progress(key, step, min(done, total), total))

    def _begin(self, each: _Undertaking, entries: list[Entry]) -> None:
        each.begun = True
        each.tell(Planned(tuple(map(Intention.of, entries))))
        for entry in entries:
            if isinstance(entry, Action) or is_running(entry):
                each.pending.add(entry.key)
            else:
                each.failed += isinstance(entry, Block)

    def _go_on(
        self,
        each: _Undertaking,
        databases: Callable[[], Iterable[Database]],
        settings: Settings,
        now: datetime,
        doubts: Doubts,
        hand_out: HandOut,
    ) -> None:
        if not each.pending:
            return
        order = replace(each.order, keys=tuple(sorted(each.pending)), everything=False, sample=0)
        for entry in ordered(databases(), settings, now, order, doubts):
            if isinstance(entry, Action):
                if hand_out(entry, each.order):
                    each.pending.discard(entry.key)
                    each.running[entry.key] = entry.step
            elif not is_running(entry):
                self._drop(each, entry)

    def _drop(self, each: _Undertaking, entry: Entry) -> None:
        """Between the order and its turn something has happened to this day."""
        each.pending.discard(entry.key)
        ok = not isinstance(entry, Block)
        each.done, each.failed = each.done + ok, each.failed + (not ok)
        each.tell(Ended(entry.key, entry.step, ok, message=entry.reason))

    def _clear(self) -> None:
        for each in self._under_way:
            if each.is_over:
                each.tell(Finished(each.done, each.failed))
        self._under_way = [each for each in self._under_way if not each.is_over]


def _ended(outcome: Outcome, event: Event | None, record: Record | None) -> Ended:
    job = outcome.job
    name = name_of(event) if event is not None else ""
    told = Ended(
        job.key,
        job.step,
        ok=isinstance(outcome, Done) and name != "lost",
        event=name,
        sequence=record.sequence if record else 0,
        data=_plain(event),
        seconds=outcome.seconds,
    )
    if isinstance(outcome, Done):
        lost = event if name == "lost" else None
        return replace(told, message=getattr(lost, "error", ""), hint=getattr(lost, "hint", ""))
    return replace(told, message=outcome.message, hint=outcome.hint)


def _plain(event: Event | None) -> Any:
    return msgspec.to_builtins(event) if event is not None else None
