"""What the commands share that listen to the daemon of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from watcher.cli.context import say
from watcher.errors import TickwardError

if TYPE_CHECKING:
    from watcher.settings import Settings
    from watcher.subscriber import Subscriber


def subscriber(settings: Settings, **options: Any) -> Subscriber:
    """A subscriber to that daemon, with this machine's key where one is needed."""
    from watcher.endpoint import nearby
    from watcher.keys import local_credentials
    from watcher.subscriber import Subscriber

    events = settings.events
    credentials = local_credentials(events)
    return Subscriber(nearby(events.publish), nearby(events.replay), credentials=credentials, **options)


@contextmanager
def unlogged() -> Iterator[None]:
    """For those who say themselves what a subscriber comes upon: it may be what a stranger told it."""
    from loguru import logger

    logger.disable("watcher.subscriber")
    try:
        yield
    finally:
        logger.enable("watcher.subscriber")


class Own:
    """Tells the daemon of this configuration from another one that has the same addresses: by the journal."""

    def __init__(self, settings: Settings) -> None:
        from watcher.paths import journal_file

        self._settings = settings
        self._file = journal_file(settings.data)
        self._epoch: str | None = None
        self._read_at: tuple[int, int, int] | None = None
        """What the file was then: another journal may be begun at any time."""
        self._said = False

    def says(self, ident: str) -> bool:
        """Whether what has this id is of the journal that is here; or there is none to compare it with."""
        epoch = ident.partition("-")[0]
        return epoch == self._epoch or self._journal() in (None, epoch)

    def require(self, ident: str) -> None:
        """Raise `TickwardError` if it is a stranger's."""
        if not self.says(ident):
            raise TickwardError(f"another daemon answers on {self._settings.events.replay}: {self._why()}")

    def ignores(self, ident: str) -> bool:
        """Whether it is a stranger's. The first time that is said."""
        if self.says(ident):
            return False
        if not self._said:
            self._said = True
            say(f"another daemon is heard on {self._settings.events.publish} and ignored: {self._why()}")
        return True

    def _why(self) -> str:
        return (
            f"its journal is not the one in {self._settings.data.state}; give each configuration its own "
            "addresses (events.publish, events.replay)"
        )

    def _journal(self) -> str | None:
        """The epoch as it is in ids."""
        from watcher.journal import Journal

        try:
            found = self._file.stat()
            if (now := (found.st_dev, found.st_ino, found.st_ctime_ns)) != self._read_at:
                journal = Journal.open_for_reading(self._file)
                if journal is None:  # it is being made
                    return None
                with journal:
                    self._epoch = f"{journal.epoch:x}"
                self._read_at = now
        except (OSError, TickwardError):  # not for us to read
            return None
        return self._epoch
