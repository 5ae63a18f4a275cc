"""One hook's thread: it sleeps until something was recorded, and hands on what concerns its hook, in order.

An event counts as delivered once that is noted in ``hooks.db``. Whoever is killed in between delivers it
again: at least once, never not at all.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import apsw
from loguru import logger
from msgspec import Raw

from watcher.errors import TickwardError
from watcher.events import DAEMON_KEY, Record
from watcher.hooks.bound import BoundHook
from watcher.hooks.delivery import deliver
from watcher.hooks.process import Ended
from watcher.hooks.store import MOST_LETTERS, Letter, Store, Tried
from watcher.journal import Journal
from watcher.journal_format import events_are
from watcher.schedule import backoff
from watcher.wakeup import Wakeup
from watcher.wire import Position, to_frames
from watcher.wording import printable

_BATCH = 200
_NOTE_EVERY = 1000
"""So many events that are none of the hook's are passed over before that is noted."""
_STUMBLED_SECONDS = 5.0
_LONGEST_SLEEP_SECONDS = 86400.0
_END_SECONDS = 4.0
"""For ending what runs, once the time to stop is over."""
_A_LITTLE_SECONDS = 1.0
_now = time.time
"""When an event is due is kept over a restart of the machine, so it is told by the clock on the wall."""


class Follower:
    """Follows the journal for one hook, in a thread of its own.

    Args:
        journal_file: read through a connection of its own; commands run in its directory.
        store_file: where it is noted how far the hook is.
        newest: the event after which the hook begins if it is new.
    """

    def __init__(self, bound: BoundHook, journal_file: Path, store_file: Path, newest: Position) -> None:
        self._bound = bound
        self._journal_file = journal_file
        self._store_file = store_file
        self._newest = newest
        self._position: Position | None = None
        """The last event that the hook needs no more; None: it was not asked for yet."""
        self._noted = newest
        self._tried: Tried | None = None
        """What it was given last, if that was in vain."""
        self._journal: Journal | None = None
        self._store: Store | None = None
        self._stumbled = False
        self._over = False
        self._stop_at = math.inf
        self._fair_seconds = math.inf
        self._wakeup = Wakeup()
        self._thread = threading.Thread(target=self._run, name=f"hook {bound.key}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Something was recorded. Never blocks."""
        self._wakeup()

    def ask_to_stop(self, stop_at: float, fair_seconds: float = math.inf) -> None:
        """Try once what is due, and end: at the latest at this monotonic time.

        Args:
            fair_seconds: what had so long, and was ended only by that, has failed: it never has longer.
        """
        self._fair_seconds = fair_seconds
        self._stop_at = stop_at
        self._wakeup()

    def join(self) -> None:
        """Wait for the end. Bounded."""
        self._thread.join(max(self._stop_at + _END_SECONDS - time.monotonic(), 0.0))
        if self._thread.is_alive():
            logger.warning(
                "hook {}: what it runs could not be ended, and is left to itself", self._bound.name
            )

    @property
    def _stopping(self) -> bool:
        return self._stop_at < math.inf

    def _run(self) -> None:
        try:
            while not self._over:
                last_round = self._stopping  # asked before looking: what was recorded until then is tried
                well = self._guarded_round()
                if last_round:
                    break
                if not well:
                    self._rest(_STUMBLED_SECONDS)
                elif not self._stopping:  # what ran meanwhile may have taken that call
                    self._wakeup.wait(_LONGEST_SLEEP_SECONDS)
        finally:
            self._let_go()
            self._wakeup.close()

    def _guarded_round(self) -> bool:
        """Whether nothing went wrong. What goes wrong is said once."""
        try:
            self._catch_up()
        except Exception as error:
            self._stumble(error)
            return False
        if self._stumbled:
            self._stumbled = False
            logger.info("hook {} is served again", self._bound.name)
        return True

    def _catch_up(self) -> None:
        """Hand on all that is outstanding; when stopping, as much as can be."""
        journal = self._opened_journal()
        position = self._position_in(Position(journal.epoch, journal.head()))
        while not self._over and (records := journal.since(position.sequence, _BATCH)):
            self._warn_of_gap(position.sequence + 1, records[0].sequence)
            for record in records:
                if record.event == self._bound.event and not self._handle(record, journal.epoch):
                    self._over = True
                    break
                self._position = position = Position(journal.epoch, record.sequence)
            self._note_passed_over(position)
        self._note_passed_over(position)

    def _handle(self, record: Record, epoch: int) -> bool:
        """Deliver an event, or give it up and keep it as a dead letter. False: neither, before the end."""
        _, _, event = to_frames(record, epoch)
        here, hook = Position(epoch, record.sequence), self._bound.hook
        while self._rest(self._seconds_until_due(here)) and time.monotonic() < self._stop_at:
            began = time.monotonic()
            ended = self._deliver(event)
            if not ended.error:
                self._say(record, ended, "DEBUG", "was delivered")
                self._note(here)
                return True
            had = self._stop_at - began
            cut_short = ended.late and had < hook.timeout_seconds
            if cut_short and had < self._fair_seconds:
                what = "was ended, because the work has; it is tried again at the next start"
                self._say(record, ended, "WARNING", what)
                return False
            tried = self._tried_in_vain(here)
            if tried.attempts >= hook.attempts:
                self._give_up(record, event, epoch, ended, tried.attempts)
                return True
            self._say_failed(record, ended, tried.attempts, cut_short)
            self._opened_store().note_tried(self._bound.key, tried)
        return False

    def _tried_in_vain(self, here: Position) -> Tried:
        """Once more. For ourselves first: nothing is tried for ever because a disk is full."""
        attempts = self._attempts_at(here) + 1
        self._tried = Tried(here, attempts, _now() + self._seconds_after(attempts))
        return self._tried

    def _seconds_after(self, attempts: int) -> float:
        return backoff(self._bound.hook.retry_seconds, self._bound.hook.retry_max_seconds, attempts)

    def _say_failed(self, record: Record, ended: Ended, attempts: int, cut_short: bool) -> None:
        why = ", because a pass without a daemon waits no longer" if cut_short else ""
        again = "at the next start" if self._stopping else f"in {self._seconds_after(attempts):g} s"
        what = f"failed{why}; attempt {attempts} of {self._bound.hook.attempts}, tried again {again}"
        self._say(record, ended, "WARNING", what)

    def _attempts_at(self, here: Position) -> int:
        return self._tried.attempts if self._tried is not None and self._tried.position == here else 0

    def _seconds_until_due(self, here: Position) -> float:
        if self._tried is None or not (attempts := self._attempts_at(here)):
            return 0.0
        most = self._seconds_after(attempts)
        left = self._tried.due - _now()
        # More than that is left only if the clock was wrong, or the settings say something else by now.
        return max(left, 0.0) if left <= most + _A_LITTLE_SECONDS else 0.0

    def _deliver(self, event: bytes) -> Ended:
        directory = self._journal_file.parent
        return deliver(self._bound, event, directory, stop_at=lambda: self._stop_at, wakeup=self._wakeup)

    def _give_up(self, record: Record, event: bytes, epoch: int, ended: Ended, attempts: int) -> None:
        letter = Letter(
            hook=self._bound.key,
            runs=self._bound.label,
            epoch=epoch,
            sequence=record.sequence,
            event=record.event,
            subject=record.key,
            message=Raw(event),
            error=reason(ended),
            attempts=attempts,
            at=datetime.now(UTC),
        )
        dropped = self._opened_store().bury(letter)
        self._noted = Position(epoch, record.sequence)
        what = f"failed {letter.attempts} times and was given up; `tickward hooks failed` lists it"
        self._say(record, ended, "ERROR", what)
        if dropped:
            logger.warning(
                "hook {}: more than {} events could not be delivered, the oldest is not listed any more",
                self._bound.name,
                MOST_LETTERS,
            )

    def _say(self, record: Record, ended: Ended, level: str, what: str) -> None:
        known = {"database": record.key} if record.key != DAEMON_KEY else {}
        if ended.error:
            known["error"] = reason(ended)
        subject = f" {record.key}" if record.key != DAEMON_KEY else ""
        why = f" ({in_a_line(ended)})" if ended.error else ""
        line = f"hook {self._bound.name}: #{record.sequence}{subject} {what}{why}"
        logger.bind(seconds=round(ended.seconds, 3), **known).log(level, "{}", line)

    def _rest(self, seconds: float) -> bool:
        """Sleep for so long, whatever is recorded meanwhile. False: not so long, it is time to stop."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._stopping:
                return False
            self._wakeup.wait(min(left, _LONGEST_SLEEP_SECONDS))
        return True

    def _note(self, position: Position) -> None:
        # First of all for ourselves: what is delivered is not delivered again because a disk is full.
        self._position = position
        self._opened_store().note(self._bound.key, position)
        self._noted = position

    def _note_passed_over(self, position: Position) -> None:
        """Now and then, and at the end: events that are none of the hook's are worth no write each."""
        far = position.sequence - self._noted.sequence >= _NOTE_EVERY
        if far or (self._stopping and position != self._noted):
            self._note(position)

    def _warn_of_gap(self, expected: int, first: int) -> None:
        if first > expected:
            logger.warning(
                "hook {}: {} gone, pruned before it got so far; it goes on after that",
                self._bound.name,
                events_are(expected, first - 1),
            )

    def _position_in(self, newest: Position) -> Position:
        """Where the hook is in the journal, whose newest event this is."""
        position = self._position or self._begin(self._newest)
        return position if placed(position, newest) == position else self._begin(newest)

    def _begin(self, newest: Position) -> Position:
        store = self._opened_store()
        self._position = self._noted = begin(store, self._bound, newest)
        self._tried = store.tried(self._bound.key)
        return self._position

    def _opened_store(self) -> Store:
        if self._store is None:
            self._store = Store.make(self._store_file)
        return self._store

    def _opened_journal(self) -> Journal:
        if self._journal is None:
            self._journal = Journal.open_for_reading(self._journal_file)
        if self._journal is None:
            raise TickwardError(f"there is no journal {self._journal_file}")
        return self._journal

    def _let_go(self) -> None:
        for each in (self._journal, self._store):
            if each is not None:
                each.close()
        self._journal = self._store = None

    def _stumble(self, error: Exception) -> None:
        self._let_go()
        if self._stumbled:
            return
        self._stumbled = True
        foreseen = isinstance(error, apsw.Error | OSError | TickwardError)
        logger.bind(error=str(error)).opt(exception=None if foreseen else error).error(
            "hook {} cannot go on ({}). The work goes on, nothing is lost: events are in the journal, and "
            "this is tried again every {:g} s",
            self._bound.name,
            error,
            _STUMBLED_SECONDS,
        )


def begin(store: Store, bound: BoundHook, newest: Position) -> Position:
    """The last event that a hook needs no more: noted, for good and with a warning, if it is another now.

    Args:
        newest: where the journal ends, and a hook that is new begins.
    """
    known = store.positions().get(bound.key)
    position = placed(known, newest)
    if position == known:
        return position
    store.begin(bound.key, position)
    if known is not None:
        logger.warning("hook {}: {}", bound.name, _why_moved(known, newest))
    return position


def placed(known: Position | None, newest: Position) -> Position:
    """A position in the journal that ends with ``newest``: in one that was put back, not after its end."""
    if known is None:
        return newest
    return min(known, newest) if known.epoch == newest.epoch else Position(newest.epoch, 0)


def _why_moved(known: Position, newest: Position) -> str:
    if known.epoch != newest.epoch:
        return "the journal is another one than before; it begins with the first event there"
    return (
        f"the journal ends with #{newest.sequence}, and the hook had got to #{known.sequence}: an older copy "
        f"was put back; it goes on after #{newest.sequence}"
    )


def reason(ended: Ended) -> str:
    """What went wrong, and the end of what the command said about it."""
    return f"{ended.error}: {ended.output}" if ended.output else ended.error


def in_a_line(ended: Ended) -> str:
    """The same with the last line of that only."""
    return printable(": ".join([ended.error, *_last_line(ended.output)]))


def _last_line(text: str) -> Iterator[str]:
    yield from text.splitlines()[-1:]
