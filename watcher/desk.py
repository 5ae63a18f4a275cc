"""The desk: what people have ordered, followed to its end. Belongs to the loop's thread, but for `put`.

An order is kept in memory only, as all pending work is: who gave it is told how it ended, and if the daemon
ends before, that the order ended with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from loguru import logger
from msgspec import Struct
from msgspec.structs import replace

from handlers.contract import Done, Lost, Outcome, Step
from watcher.events import Event, Record, name_of
from watcher.plan import Action, Block, Entry, Order, Wait
from watcher.requests import (
    Delayed,
    Ended,
    Finished,
    Intention,
    Planned,
    Progress,
    Refused,
    Reply,
    Request,
)

Tell = Callable[[Reply], None]
Start = Callable[[Action, Order], bool]

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

    def put_back(self, tickets: list[Ticket]) -> None:
        """What could not be answered now is answered first the next time."""
        self._inbox.extendleft(reversed(tickets))

    def tell_why(self, why: str) -> None:
        """The daemon cannot go on for now: tell those who wait, so that they do not wait in the dark."""
        tells = [ticket.tell for ticket in self._inbox] + [each.tell for each in self._under_way]
        for tell in tells:
            tell(Delayed(why))

    def busy(self) -> bool:
        return bool(self._inbox or self._under_way)

    def count(self) -> int:
        """How many requests are not done yet. From any thread."""
        return len(self._inbox) + len(self._under_way)

    def waits(self) -> bool:
        """Whether there is an order of which something has yet to be begun."""
        return bool(self._inbox or any(each.pending or not each.begun for each in self._under_way))

    def advance(
        self, planned: Callable[[Order], list[Entry]], has_room: Callable[[Step], bool], start: Start
    ) -> None:
        """Begin what can be begun now.

        Args:
            planned: says what an order comes to at this moment.
            has_room: whether one more such step may start.
            start: starts a job, if there is room for it; returns whether there was.
        """
        for each in list(self._under_way):
            try:
                self._advance_one(each, planned, has_room, start)
            except Exception as error:  # what one person asked for must not stop the daemon
                logger.exception("an order could not be planned, please report it: {}", each.order)
                each.tell(Refused(f"this order cannot be planned ({error!r}): please report it"))
                self._under_way.remove(each)
        self._clear()

    def _advance_one(
        self,
        each: _Undertaking,
        planned: Callable[[Order], list[Entry]],
        has_room: Callable[[Step], bool],
        start: Start,
    ) -> None:
        if not each.begun:
            self._begin(each, planned(each.order), start)
        elif each.pending and has_room(each.order.step):
            order = replace(each.order, keys=tuple(sorted(each.pending)), everything=False, sample=0)
            self._go_on(each, planned(order), start)

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

    def _begin(self, each: _Undertaking, entries: list[Entry], start: Start) -> None:
        each.begun = True
        each.tell(Planned(tuple(map(Intention.of, entries))))
        for entry in entries:
            if isinstance(entry, Action) or _is_passing(entry):
                each.pending.add(entry.key)
            else:
                each.failed += isinstance(entry, Block)
        self._go_on(each, [entry for entry in entries if entry.key in each.pending], start)

    def _go_on(self, each: _Undertaking, entries: list[Entry], start: Start) -> None:
        for entry in entries:
            if isinstance(entry, Action):
                if start(entry, each.order):
                    each.pending.discard(entry.key)
                    each.running[entry.key] = entry.step
            elif not _is_passing(entry):
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
    told = Ended(
        job.key,
        job.step,
        ok=isinstance(outcome, Done) and not isinstance(event, Lost),
        event=name_of(event) if event is not None else "",
        sequence=record.sequence if record else 0,
        data=_plain(event),
        seconds=outcome.seconds,
    )
    if isinstance(outcome, Done):
        return replace(told, message=event.error, hint=event.hint) if isinstance(event, Lost) else told
    return replace(told, message=outcome.message, hint=outcome.hint)


def _plain(event: Event | None) -> Any:
    return msgspec.to_builtins(event) if event is not None else None


def _is_passing(entry: Entry) -> bool:
    return isinstance(entry, Wait) and entry.passing
