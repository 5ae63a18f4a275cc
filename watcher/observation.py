"""One observer, from its start to its end: what its events name, and whether it can still be relied on.

`watcher.filesystem` decides when an observer is replaced; here is what there is to know of each one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserverVFS

from watcher.errors import TickwardError

if sys.platform == "linux":
    from watcher.inotify import FailFastInotify, FailFastObserver

CANARY_NAME = ".tickward-canary"
TEMPORARY_ENDING = ".tickward-tmp"
SIDECAR_ENDINGS = ("-wal", "-shm", "-journal")

COUNT_SECONDS = 2.0
STOP_SECONDS = 5.0
MAX_HINTS = 10_000
"""More paths than this are not worth keeping apart: then everything is looked at."""

_FILTER: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileClosedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
]
"""Not Modified, Opened or ClosedNoWrite: a busy writer would cost a callback for every tick."""


class WatchError(TickwardError):
    """The root cannot be watched, and what to do about it."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(f"{message}; {hint}")
        self.message = message
        self.hint = hint


class Observation(FileSystemEventHandler):
    """One observer from its start to its end, and what became of it.

    The next observer gets a new one, so that a late signal is never taken for its successor's.
    """

    def __init__(
        self,
        given: Path,
        inbox: Inbox,
        wake: Callable[[], None],
        polling_seconds: float | None,
    ) -> None:
        self.identity = identity_of(given)
        self._root = os.path.realpath(given)  # a symlinked root delivers nothing
        self.canary = Path(self._root, CANARY_NAME)
        self.canary_deadline: float | None = None  # set while its event is awaited
        self.failure: str | None = None
        self._inbox = inbox
        self._wake = wake
        self._polling_seconds = polling_seconds
        self._observer: BaseObserver | None = None
        self._retired = False

    def start(self) -> None:
        if self.identity is None:
            hint = "create it, or mount what belongs there"
            raise WatchError(f"there is no directory {self._root}", hint=hint)
        try:
            self._observer = _build_observer(self.fail, self._polling_seconds)
            # Once only: two schedules of one root with different filters overwrite each other.
            self._observer.schedule(
                self, self._root, recursive=True, event_filter=_filter_for(self._observer)
            )
            self._observer.start()
        except (OSError, RuntimeError) as error:
            self.stop()
            message = f"cannot watch {self._root}: {error}"
            raise WatchError(message, hint=_hint_for(error)) from error

    def stop(self) -> None:
        """In a thread of its own: a walk on a mount that hangs must not hold up the caller."""
        self._retired = True
        if self._observer:
            name = "tickward-stop-observer"
            stopper = threading.Thread(target=_stop, args=(self._observer,), name=name, daemon=True)
            stopper.start()
            stopper.join(STOP_SECONDS)

    def dispatch(self, event: FileSystemEvent) -> None:
        """Called by watchdog for every event. Never raises: that would end the observer."""
        if self._retired:
            return
        try:
            wakes = False
            for path in (event.src_path, event.dest_path):
                if path:  # only a move has a destination
                    wakes |= self._note(os.fsdecode(path), event)
            if wakes:
                self._wake()
        except Exception as error:
            self.fail(f"an event could not be passed on ({error!r})")

    def fail(self, reason: str) -> None:
        """Note that this observer cannot be relied on any more, and wake the loop to replace it."""
        if not self._retired and self.failure is None:
            self.failure = reason
            with contextlib.suppress(Exception):
                self._wake()

    @property
    def threads(self) -> list[threading.Thread]:
        """What has to live for events to arrive. The observer's own is not enough."""
        observer, reader = self._observer, self._reader
        return [observer, *observer.emitters, *([reader] if reader else [])] if observer else []

    def dead_thread(self) -> str | None:
        dead = [thread.name for thread in self.threads if not thread.is_alive()]
        return f"the observer's thread {dead[0]} has ended" if dead else None

    @property
    def refusals(self) -> int:
        """How often the kernel refused to watch a directory."""
        return self._reader.refusals if self._reader else 0

    def missing_watches(self) -> str:
        """A sentence if there are more directories than watches; empty if not, or not known."""
        reader = self._reader
        directories = _count_directories(self._root) if reader else None
        if not reader or not directories or reader.watches >= directories:
            return ""
        sentence = f"{reader.watches} of {directories} directories in {self._root} are watched"
        refused = reader.refused
        return f"{sentence} ({refused}); {_hint_for(refused)}" if refused else sentence

    @property
    def _reader(self) -> FailFastInotify | None:
        """The reader of the inotify descriptor; None where there is no inotify."""
        return getattr(self._observer, "inotify", None)

    def _note(self, path: str, event: FileSystemEvent) -> bool:
        """Put one path into the inbox; whether the loop should wake for it."""
        database = _database_of(path)
        if _is_ours(database):
            if path == str(self.canary) and not isinstance(event, FileDeletedEvent):
                self.canary_deadline = None
            return False
        if isinstance(event, DirCreatedEvent):
            self._inbox.add_directory(path)
        elif event.is_directory:
            self._inbox.ask_rescan()
            if path == self._root:
                self.fail(f"the root {path} was removed")
        else:
            self._inbox.add(database)
        return not path.endswith("-shm")  # it changes only together with a file that does wake


class Inbox:
    """What happened since the last drain: filled by watchdog's threads, emptied by the loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paths: set[str] = set()
        self._directories: set[str] = set()
        self._rescan = False

    def add(self, path: str) -> None:
        with self._lock:
            self._add_bounded(self._paths, path)

    def add_directory(self, path: str) -> None:
        with self._lock:
            self._add_bounded(self._directories, path)

    def ask_rescan(self) -> None:
        with self._lock:
            self._rescan = True

    def empty(self) -> tuple[set[str], set[str], bool]:
        """Paths, new directories, whether to rescan; from now on there is nothing."""
        with self._lock:
            taken = self._paths, self._directories, self._rescan
            self._paths, self._directories, self._rescan = set(), set(), False
            return taken

    def _add_bounded(self, kept: set[str], path: str) -> None:
        if len(kept) < MAX_HINTS:
            kept.add(path)
        else:
            self._rescan = True


def _build_observer(on_failure: Callable[[str], None], polling_seconds: float | None) -> BaseObserver:
    if polling_seconds is not None:
        # PollingObserver stats with os.stat and so would follow symlinks, out of the root or round
        # in circles.
        return PollingObserverVFS(os.lstat, os.scandir, polling_interval=polling_seconds)
    if sys.platform != "linux":
        return Observer()
    return FailFastObserver(on_failure)


def _filter_for(observer: BaseObserver) -> list[type[FileSystemEvent]]:
    """Closed exists with inotify only; elsewhere Modified has to stand in for it."""
    return _FILTER if hasattr(observer, "inotify") else [*_FILTER, FileModifiedEvent]


def _stop(observer: BaseObserver) -> None:
    observer.stop()
    with contextlib.suppress(RuntimeError):  # it never started
        observer.join()


def _hint_for(error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ENOSPC:
        return "allow more watches: sysctl -w fs.inotify.max_user_watches=1048576"
    if number == errno.EMFILE:
        return (
            "allow more observers: sysctl -w fs.inotify.max_user_instances=1024, "
            "or more open files: ulimit -n"
        )
    if number in (errno.EACCES, errno.EPERM):
        return "let the user Tickward runs as read it"
    return "if this file system knows no file events, watch it by polling"


def identity_of(path: Path) -> tuple[int, int] | None:
    """Which directory this is, whatever its name; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None


def _database_of(path: str) -> str:
    """The database that a sidecar belongs to; any other path is its own."""
    for ending in SIDECAR_ENDINGS:
        if path.endswith(ending):
            return path.removesuffix(ending)
    return path


def _is_ours(path: str) -> bool:
    return path.endswith((TEMPORARY_ENDING, os.sep + CANARY_NAME))


def add_files_below(directories: set[str], paths: set[str]) -> bool:
    """Add every file in these new directories to ``paths``; False if there are too many."""
    for path in _files_below(_topmost(directories)):
        if len(paths) >= MAX_HINTS:
            return False
        if not _is_ours(path):
            paths.add(path)
    return True


def _files_below(directories: Iterable[str]) -> Iterator[str]:
    for directory in directories:
        if Path(directory).is_symlink():  # watchdog reports one in a new directory as a directory
            continue
        for parent, _, names in os.walk(directory):
            for name in names:
                yield _database_of(f"{parent}{os.sep}{name}")


def _topmost(directories: set[str]) -> list[str]:
    """Those that are not below another one of them."""
    return [
        path for path in directories if not any(str(parent) in directories for parent in Path(path).parents)
    ]


def _count_directories(root: str) -> int | None:
    """How many directories there are, itself included; None if counting takes too long."""
    stop_at = time.monotonic() + COUNT_SECONDS
    count = 0
    for _ in os.walk(root):
        count += 1
        if time.monotonic() > stop_at:
            return None
    return count
