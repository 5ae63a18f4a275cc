"""What the proofs look at: the days, the daemon that has them, and what was written into them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import date
from pathlib import Path
from typing import Any

from handlers.contract import Step
from watcher.control import ask, myself
from watcher.demo.disk import OnDisk, look
from watcher.demo.stage import Stage
from watcher.errors import TickwardError
from watcher.events import Event, Record
from watcher.journal import reading_one
from watcher.paths import journal_file
from watcher.plan import Order
from watcher.requests import Ended, Finished, Planned, Refused, Reply, Request
from watcher.selftest.content import Content, written
from watcher.selftest.result import NotProvenError
from watcher.subscriber import Subscriber

Hold = Callable[[], AbstractContextManager[None]]

PATIENCE_SECONDS = 120.0
"""For one answer of the daemon, or for the end of what it does by itself."""
_LOOK_SECONDS = 0.05
_TICKS_A_SECOND = 10_000
_TEN_SECONDS, _FASTEST, _SLOWEST = 10.0, 0.6, 1.2
_NEVER = "0 0 29 2 *"  # that of 2028

# What has an age here has no hour: it is done when it is ordered.
_POLICY = f"""
[compress]
after_days = 0
schedule = "{_NEVER}"
[archive]
after_days = 1
schedule = "{_NEVER}"
[expire]
after_days = 2
schedule = "{_NEVER}"
keep_min = 1
max_at_once = 36500
[verify]
schedule = "never"
drill_schedule = "never"
mib_per_second = 0
"""


def pace(days: int) -> float:
    """Real seconds for each day: two weeks in ten seconds."""
    return max(_FASTEST, min(_SLOWEST, _TEN_SECONDS / days))


class Scene:
    """Some days of a writer and a daemon.

    Args:
        folder: where they are; made and removed by the caller.
        count: how many days, three or more.
        hold: what holds off interruptions while processes are started.
    """

    def __init__(self, folder: Path, count: int, hold: Hold = nullcontext) -> None:
        self._hold = hold
        self.stage = Stage(folder, count, pace(count), policy=_POLICY, ticks_a_second=_TICKS_A_SECOND)
        days, third = self.stage.days, count // 3
        self.cold, self.warm, self.hot = days[:third], days[third : 2 * third], days[2 * third :]
        """Which days are brought into which tier."""
        self.written: dict[date, Content] = {}
        self.records: list[Record] = []
        """Of the events that the days caused by themselves."""
        self.scale = 86400 / pace(count)
        events = self.stage.settings.events
        self._subscriber = Subscriber(events.publish, events.replay, since=0)
        self.heard: list[int] = []
        """The numbers of the events that a subscriber got, in their order."""
        self._safe: set[date] = set()

    @property
    def state(self) -> Path:
        return Path(self.stage.settings.data.state)

    def live(self) -> None:
        """Let all days go by, until each has been sealed and copied. Raises what `Stage` raises."""
        with self._hold():
            self.stage.start()
        while not self.stage.writer_ended():
            self._listen()
        until = time.monotonic() + PATIENCE_SECONDS
        while not self._safe.issuperset(self.stage.days) and time.monotonic() < until:
            self.stage.require_daemon()
            self._listen()
        self.written = written(self.stage)
        self.records = self.recorded()

    def restart(self) -> None:
        """Start the daemon again, after it was stopped: from now on the clock shows noon, at real pace."""
        with self._hold():
            self.stage.start_again()

    def hear_all(self, head: int) -> None:
        """Listen until the event of this number has come, for a while."""
        until = time.monotonic() + PATIENCE_SECONDS
        while (not self.heard or self.heard[-1] < head) and time.monotonic() < until:
            self._listen()

    def close(self) -> None:
        """End everything that was started."""
        self.stage.stop()
        self._subscriber.close()

    def recorded(self) -> list[Record]:
        """All that is in the journal."""
        found: list[Record] = []
        with reading_one(journal_file(self.stage.settings.data)) as journal:
            while records := journal.since(found[-1].sequence if found else 0):
                found += records
        return found

    def events_of(self, kind: type[Event], days: list[date]) -> dict[date, Event]:
        """The last event of this kind of each of these days, as far as there is one."""
        found = {}
        for record in self.records:
            day = day_of_key(record.key)
            if day in days and isinstance(event := record.decode(), kind):
                found[day] = event
        return found

    def on_disk(self, days: list[date], certified: tuple[date, ...] = ()) -> dict[date, OnDisk]:
        return look(self.stage.settings.data, days, certified)

    def order(self, request: Request) -> list[Ended]:
        """Have the daemon do something, and all of it. Raises `NotProvenError` if it does not."""
        ended, refusals = self.ask(request)
        if refusals:
            raise NotProvenError(refusals[0], "the log says more: tickward.jsonl")
        return ended

    def ask(self, request: Request) -> tuple[list[Ended], list[str]]:
        """What the daemon did, and why it did not do something."""
        ended, refusals = [], []
        for reply in self._replies(request):
            match reply:
                case Planned():
                    refusals += [
                        f"{each.database}: {each.reason}" for each in reply.intentions if each.is_refusal
                    ]
                case Ended(ok=True):
                    ended.append(reply)
                case Ended():
                    refusals.append(f"{reply.database}: {reply.message}; {reply.hint}".rstrip("; "))
                case Refused():
                    refusals.append(reply.why)
                case Finished(failed=failed) if failed and not refusals:
                    refusals.append(f"{failed} steps failed")
                case _:
                    pass
        return ended, refusals

    def _replies(self, request: Request) -> Iterator[Reply]:
        until = time.monotonic() + PATIENCE_SECONDS
        while (answers := ask(self.state, request, PATIENCE_SECONDS)) is None:
            self.stage.require_daemon()
            if time.monotonic() > until:
                raise TickwardError("the daemon does not listen for orders")
            time.sleep(_LOOK_SECONDS)
        with answers:
            yield from answers

    def _listen(self) -> None:
        message = self._subscriber.receive(timeout_seconds=_LOOK_SECONDS)
        if message is None:
            return
        self.heard.append(message.sequence)
        if message.event == "backed_up" and (day := day_of_key(message.subject)) is not None:
            self._safe.add(day)


def key_of(day: date) -> str:
    return f"ticks/{day}"


def day_of_key(key: str) -> date | None:
    """None: it is not that of a day."""
    _, slash, day = key.partition("/")
    return date.fromisoformat(day) if slash else None


def order_of(step: Step, days: list[date], **more: Any) -> Order:
    """An order for these days, by whoever runs this."""
    keys = tuple(map(key_of, days))
    return Order(step, by=myself(), keys=keys, **more)
