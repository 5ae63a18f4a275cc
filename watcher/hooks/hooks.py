"""All hooks of the settings: started with the daemon, woken by what it records, stopped with it."""

from __future__ import annotations

import math
import time
from pathlib import Path

import apsw
import msgspec
from loguru import logger

from watcher.errors import TickwardError
from watcher.events import Stopped
from watcher.hooks.bound import bound
from watcher.hooks.follower import Follower, begin
from watcher.hooks.store import FILE, Store
from watcher.journal import Journal, reading_one
from watcher.settings import Settings
from watcher.wire import Position

_STOP_SECONDS = 5.0
_PASS_SECONDS = 60.0
"""Where no daemon goes on, whoever needs more than a moment would otherwise not be done in any pass."""
_MOST_OF_A_PASS = 0.9
"""Of those seconds: what had them is not likely to be done in another pass either."""


class Hooks:
    """What the settings say is run when an event was recorded; without hooks there is no thread and no file.

    Args:
        settings: whose ``[hooks]`` are meant.
        journal_file: where the events are; how far each hook is, is kept beside it.
    """

    def __init__(self, settings: Settings, journal_file: Path) -> None:
        self._bound = bound(settings)
        self._journal_file = journal_file
        self._store_file = journal_file.with_name(FILE)
        self._followers: list[Follower] = []

    def start(self) -> None:
        """Go on where each hook was; one that is new begins with what is recorded from now on.

        Raises `TickwardError` if the journal cannot be read.
        """
        newest = self._newest() if self._bound else None
        self._note_beginnings(newest)
        if newest is None:
            return
        self._followers = [
            Follower(each, self._journal_file, self._store_file, newest) for each in self._bound
        ]
        for follower in self._followers:
            follower.start()

    def wake(self) -> None:
        """Something was recorded. Never blocks."""
        for follower in self._followers:
            follower.wake()

    def stop(self, seconds: float | None = None) -> None:
        """Let what runs end, try once what is due: all of that for so long; then end it.

        What was not delivered by then is delivered after the next start.

        Args:
            seconds: None: a few for a daemon that stops, a minute for a pass without a daemon that is done.
        """
        if not self._followers:
            return
        stopped = self._how_work_stopped()
        is_pass = stopped is not None and stopped.mode != "daemon"
        if seconds is None:
            in_haste = stopped is None or stopped.reason != "done"
            seconds = _PASS_SECONDS if is_pass and not in_haste else _STOP_SECONDS
        stop_at = time.monotonic() + seconds
        for follower in self._followers:
            follower.ask_to_stop(stop_at, _PASS_SECONDS * _MOST_OF_A_PASS if is_pass else math.inf)
        for follower in self._followers:
            follower.join()
        self._followers.clear()

    def _how_work_stopped(self) -> Stopped | None:
        """What the newest event says of that: hooks know nothing of the work but its journal."""
        try:
            with reading_one(self._journal_file) as journal:
                events = [record.decode() for record in journal.since(journal.head() - 1)]
        except (TickwardError, msgspec.ValidationError):
            return None
        return next((event for event in events if isinstance(event, Stopped)), None)

    def _newest(self) -> Position:
        journal = Journal.open_for_reading(self._journal_file)
        if journal is None:
            raise TickwardError(f"there is no journal {self._journal_file}: start the daemon, which makes it")
        with journal:
            return Position(journal.epoch, journal.head())

    def _note_beginnings(self, newest: Position | None) -> None:
        """Before anything else is recorded: only now does it show that a journal is an older copy."""
        if newest is None and not self._store_file.exists():
            return
        try:
            with Store.make(self._store_file) as store:
                # A hook that is taken out of the settings and put in again is new.
                store.keep_only({each.key for each in self._bound})
                if newest is not None:
                    for each in self._bound:
                        begin(store, each, newest)
        except (apsw.Error, OSError) as error:
            logger.bind(error=str(error)).warning("{} cannot be used for now: {}", self._store_file, error)
