"""The publisher in a process of its own: whatever is done to its addresses cannot touch the daemon's work.

The child runs the same session as `watcher.publisher`, within bounds of its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from watcher.child import Bounds, ChildProcess, Task, enter
from watcher.events import Progress
from watcher.publisher import RETRY_SECONDS, STOP_SECONDS, Session
from watcher.settings import Settings

_BOUNDS = Bounds(
    memory_bytes=512 << 20,
    descriptors=4096,  # connections, that is: with some 60 kB for each, more would cost all of them
)


class _Task(Task, frozen=True):
    settings: Settings
    journal_file: str
    since: int | None
    retry_seconds: float


class PublisherProcess(ChildProcess):
    """Publishes the journal's events from a process of its own, which is started again when it has ended.

    The arguments and methods are those of `watcher.publisher.Publisher`.
    """

    def __init__(
        self, settings: Settings, journal_file: Path, *, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        super().__init__(
            "watcher.publisher_process",
            "publisher",
            "The work goes on, nothing is lost: subscribers ask for what they have missed",
        )
        # No more of the settings than it needs: others may hold secrets.
        self._settings = Settings(data=settings.data, events=settings.events, clock=settings.clock)
        self._journal_file = journal_file
        self._retry_seconds = retry_seconds
        self._since: int | None = None

    def start(self, since: int | None = None) -> None:
        """Begin to publish the events after ``since``; None: what is recorded once it is up."""
        self._since = since
        self.run()

    def wake(self) -> None:
        """Something was recorded. Never blocks."""
        self._caller.wake()

    def progress(self, told: Mapping[str, Progress]) -> None:
        """Publish how far the steps are that run, by the key of their database. Never blocks."""
        self._caller.progress(told)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Have it send what is recorded, and end. Bounded: who takes longer is killed."""
        super().stop(seconds)

    def _task(self) -> _Task:
        task = _Task(os.getpid(), self._settings, str(self._journal_file), self._since, self._retry_seconds)
        self._since = None  # where one that has ended was is not known here; heartbeats tell what it missed
        return task


def main() -> None:
    """The child."""
    task, listener = enter(_Task, _BOUNDS)
    session = Session(task.settings, Path(task.journal_file), listener, retry_seconds=task.retry_seconds)
    session.since = task.since
    session.serve(lambda: None)


if __name__ == "__main__":
    main()
