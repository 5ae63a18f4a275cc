"""The watchdog observer: turns file events into "look here" and wakes the loop; nothing else.

Events are hints, the scan is the truth. So nothing here tries to keep every event: what was lost is
made good by asking for a rescan. What it does promise is to notice when events stop coming (an
overflow, a dead thread, a root that was replaced, too few watches) and to go on with a fresh
observer. `docs/architecture.md` says which of these were measured.

Two locks: ``_control`` orders start, stop and check, the inbox's guards a few sets. watchdog's
threads take only the second, so that whoever holds the first can wait for them to end.
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
from dataclasses import dataclass
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
CANARY_TEXT = b"Tickward writes this file now and then, to see that file events still arrive.\n"
TEMPORARY_ENDING = ".tickward-tmp"
SIDECAR_ENDINGS = ("-wal", "-shm", "-journal")

CANARY_WAIT_SECONDS = 5.0
RETRY_SECONDS = 5.0
"""How soon to look again for a root that has gone, or to count anew where watches seem to lack."""
SWAP_PAUSE_SECONDS = 2.0
"""Between two observers: a storm of events must not become a storm of rescans."""
SHORTFALL_PAUSE_SECONDS = 600.0
"""How soon a fresh observer is tried again where the kernel allows too few watches."""
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


@dataclass(frozen=True, slots=True)
class Hints:
    """What to look at since the last `FileSystem.drain`."""

    paths: frozenset[Path]
    """Files something happened to, below the resolved root. A sidecar is given as its database."""
    rescan: bool
    """Events may be missing or too coarse: look at everything."""


class WatchError(TickwardError):
    """The root cannot be watched, and what to do about it."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(f"{message}; {hint}")
        self.message = message
        self.hint = hint


class FileSystem:
    """Watches one root; collects the paths that something happened to; wakes the loop.

    ``wake`` is called from watchdog's threads; it must return at once. ``monotonic`` is a clock for
    tests. ``polling`` is for NFS, SMB and the like, which tell nobody what other machines do.
    """

    def __init__(
        self,
        root: Path,
        wake: Callable[[], None],
        *,
        polling: bool = False,
        polling_seconds: float = 10.0,
        canary_seconds: float = 60.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._given = root.absolute()
        self._wake = wake
        self._polling_seconds = polling_seconds if polling else None
        self._canary_seconds = canary_seconds
        self._monotonic = monotonic
        self._control = threading.Lock()
        self._inbox = _Inbox()
        self._running = False
        self._observation: _Observation | None = None
        self._swap_at = 0.0  # when an observer may be replaced, or a missing root looked for again
        self._canary_at = 0.0
        self._canary_written = False
        self._count_at: float | None = None  # when to compare watches with directories
        self._count_doubtful = False
        self._refusals = 0  # how many the last count knew of
        self._said: dict[str, str] = {}  # topic -> what was reported last, so that it is said once

    @property
    def root(self) -> Path:
        """The root with every symlink resolved: what the paths in the hints start with."""
        return Path(os.path.realpath(self._given))

    def start(self) -> None:
        """Watch, with a fresh observer; the first `drain` asks for a rescan.

        Raises `WatchError` if the root is not there or the kernel will not watch it.
        """
        with self._control:
            self._retire()
            self._running = False
            self._observe()
            self._running = True
            self._said.clear()

    def stop(self) -> None:
        """Stop watching; takes `STOP_SECONDS` at most. Stopping twice is fine."""
        with self._control:
            self._running = False
            self._retire()
            if self._canary_written:
                self._canary_written = False
                with contextlib.suppress(OSError):
                    (self.root / CANARY_NAME).unlink()

    def drain(self) -> Hints:
        """What to look at since the last call. Walks directories that are new since then."""
        paths, directories, rescan = self._inbox.empty()
        if not rescan:
            rescan = not _add_files_below(directories, paths)
        if rescan and self._count_at is None:
            self._count_at = self._monotonic()
        return Hints(frozenset(map(Path, paths)), rescan)

    @property
    def needs_check(self) -> bool:
        """Whether `check` should be called now."""
        return self.next_check_seconds <= 0

    @property
    def next_check_seconds(self) -> float:
        """How long `check` can wait."""
        observation = self._observation
        if not self._running:
            return self._canary_seconds
        if observation is None or observation.failure:
            due = self._swap_at
        else:
            deadline, count_at = observation.canary_deadline, self._count_at
            due = self._canary_at if deadline is None else deadline
            due = due if count_at is None else min(due, count_at)
        return max(0.0, due - self._monotonic())

    def check(self) -> str | None:
        """See whether events still arrive, and mend it if not; say in a sentence what was wrong.

        Cheap, but for a swap of the observer and for counting directories after a rescan. Raises
        nothing for a root that is missing or cannot be watched: it says so, once, and tries again.
        """
        with self._control:
            if not self._running:
                return None
            identity = _identity(self._given)
            if identity is None:
                return self._lose_root()
            trouble = self._trouble(identity)
            if trouble:
                return self._swap(trouble)
            return self._tend_canary() or self._compare_watches()

    def _lose_root(self) -> str | None:
        if self._observation:
            self._retire()
            self._ask_rescan()
        self._swap_at = self._monotonic() + RETRY_SECONDS
        return self._once("root", f"the root {self._given} is gone; nothing is watched until it is back")

    def _trouble(self, identity: tuple[int, int]) -> str | None:
        """Why a fresh observer is needed, or None."""
        observation = self._observation
        if observation is None:
            return f"the root {self._given} can be watched again"
        if observation.identity != identity:
            return f"the root {self._given} was replaced, or something was mounted over it"
        deadline = observation.canary_deadline
        if deadline is not None and self._monotonic() >= deadline:
            return f"no event came for the canary file in {self._given}"
        return observation.failure or observation.dead_thread()

    def _swap(self, trouble: str) -> str | None:
        if self._monotonic() < self._swap_at:
            if self._observation:
                self._observation.failure = trouble  # so that `next_check_seconds` knows
            return None
        self._retire()
        try:
            self._observe()
        except WatchError as error:
            self._swap_at = self._monotonic() + RETRY_SECONDS
            news = self._once("root", f"{error}; nothing is watched, trying again")
            if news:
                self._ask_rescan()
            return news
        self._said.pop("root", None)
        return f"{trouble}; a fresh observer has taken over and everything is looked at anew"

    def _observe(self) -> None:
        observation = _Observation(self._given, self._inbox, self._wake, self._polling_seconds)
        observation.start()
        now = self._monotonic()
        self._observation = observation
        self._swap_at = now + SWAP_PAUSE_SECONDS
        self._canary_at = self._count_at = now
        self._count_doubtful = False
        self._refusals = 0
        # Only now that the watches are in place: what changed before them is found by looking.
        self._ask_rescan()

    def _retire(self) -> None:
        if self._observation:
            self._observation.stop()
            self._observation = None

    def _ask_rescan(self) -> None:
        self._inbox.ask_rescan()
        with contextlib.suppress(Exception):  # the caller is the loop, it is awake
            self._wake()

    def _tend_canary(self) -> str | None:
        """Write the canary, when that is due."""
        observation, now = self._observation, self._monotonic()
        if not observation or observation.canary_deadline is not None or now < self._canary_at:
            return None
        self._canary_at = now + self._canary_seconds
        # Before the write, because the event may be here before the write returns.
        patience_seconds = CANARY_WAIT_SECONDS + 2 * (self._polling_seconds or 0.0)
        observation.canary_deadline = now + patience_seconds
        try:
            _touch(observation.canary)
        except OSError as error:
            observation.canary_deadline = None
            if isinstance(error, FileNotFoundError):  # the root went this moment
                self._canary_at = now + RETRY_SECONDS
                return None
            return self._once("canary", f"no canary, events are taken on trust: {error}")
        self._canary_written = True
        self._said.pop("canary", None)
        return None

    def _compare_watches(self) -> str | None:
        """Compare the number of watches with the number of directories, when that is due.

        A watch may come a moment after its directory, so a shortfall must show twice.
        """
        observation, now = self._observation, self._monotonic()
        if observation is None:
            return None
        if self._count_at is None and observation.refusals > self._refusals:
            self._count_at = now
        if self._count_at is None or now < self._count_at:
            return None
        self._refusals = observation.refusals
        missing = observation.missing_watches()
        self._count_doubtful = bool(missing) and not self._count_doubtful
        if not missing:
            self._count_at = None
            self._said.pop("watches", None)
            return None
        if self._count_doubtful:
            self._count_at = now + RETRY_SECONDS
            return None
        return self._mend_shortfall(missing)

    def _mend_shortfall(self, missing: str) -> str | None:
        # The kernel may grant now what it refused before. If not, the rescan has at least looked
        # into the directories that nobody watches.
        news = self._once("watches", missing)
        outcome = self._swap(missing)
        self._count_at = self._monotonic() + SHORTFALL_PAUSE_SECONDS
        return outcome if news or self._observation is None else None

    def _once(self, topic: str, sentence: str) -> str | None:
        """The sentence, unless it was the last one said on this topic."""
        if self._said.get(topic) == sentence:
            return None
        self._said[topic] = sentence
        return sentence


class _Observation(FileSystemEventHandler):
    """One observer from its start to its end, and what became of it.

    The next observer gets a new one, so that a late signal is never taken for its successor's.
    """

    def __init__(
        self,
        given: Path,
        inbox: _Inbox,
        wake: Callable[[], None],
        polling_seconds: float | None,
    ) -> None:
        self.identity = _identity(given)
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
        return f"{sentence} ({reader.refused}); {_hint_for(reader.refused)}" if reader.refused else sentence

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


class _Inbox:
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


def _identity(path: Path) -> tuple[int, int] | None:
    """Which directory this is, whatever its name; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None


def _touch(path: Path) -> None:
    """Write and close the canary. A symlink in its place is not followed."""
    flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags, 0o644)
    try:
        os.write(descriptor, CANARY_TEXT)
    finally:
        os.close(descriptor)


def _database_of(path: str) -> str:
    """The database that a sidecar belongs to; any other path is its own."""
    for ending in SIDECAR_ENDINGS:
        if path.endswith(ending):
            return path.removesuffix(ending)
    return path


def _is_ours(path: str) -> bool:
    return path.endswith((TEMPORARY_ENDING, os.sep + CANARY_NAME))


def _add_files_below(directories: set[str], paths: set[str]) -> bool:
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
