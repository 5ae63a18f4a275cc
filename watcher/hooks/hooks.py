"""All hooks of the settings: started with the daemon, woken by what it records, stopped with it."""

from __future__ import annotations

import time
from pathlib import Path

import apsw
from loguru import logger

from watcher.errors import TickwardError
from watcher.hooks.bound import bound
from watcher.hooks.follower import Follower
from watcher.hooks.store import FILE, Store
from watcher.journal import Journal
from watcher.settings import Settings
from watcher.wire import Position


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
        self._forget_others()
        if not self._bound:
            return
        journal = Journal.open_for_reading(self._journal_file)
        if journal is None:
            raise TickwardError(f"there is no journal {self._journal_file}: start the daemon, which makes it")
        with journal:
            newest = Position(journal.epoch, journal.head())
        self._followers = [
            Follower(each, self._journal_file, self._store_file, newest) for each in self._bound
        ]
        for follower in self._followers:
            follower.start()

    def wake(self) -> None:
        """Something was recorded. Never blocks."""
        for follower in self._followers:
            follower.wake()

    def stop(self, seconds: float = 5.0) -> None:
        """Let what runs end, try once what is outstanding: all of that for so long; then end it.

        What was not delivered by then is delivered after the next start.
        """
        stop_at = time.monotonic() + seconds
        for follower in self._followers:
            follower.ask_to_stop(stop_at)
        for follower in self._followers:
            follower.join()
        self._followers.clear()

    def _forget_others(self) -> None:
        """A hook that is taken out of the settings and put in again is new."""
        if not self._store_file.exists():
            return
        try:
            with Store.make(self._store_file) as store:
                store.keep_only({each.key for each in self._bound})
        except (apsw.Error, OSError) as error:
            logger.bind(error=str(error)).warning("{} cannot be used for now: {}", self._store_file, error)
