"""The composition root: builds the parts, starts them in order, stops them in reverse.

The daemon (`run`), the single pass (`once`) and the end-to-end tests all begin here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import apsw
from loguru import logger
from msgspec.structs import replace

from handlers.files import sweep_temporaries
from handlers.holders import held_for_writing
from handlers.table import run as run_job
from watcher import logs, metadata
from watcher.child import ChildProcess
from watcher.clock import Clock
from watcher.control import Control
from watcher.desk import Ticket
from watcher.errors import EXIT_DONE, EXIT_STEP_FAILED, ConfigError, TickwardError
from watcher.events import DAEMON_KEY, Event, Health, Record, Rotated, Started, Stopped
from watcher.filesystem import FileSystem, Hints
from watcher.hooks import Hooks
from watcher.inventory import Inventory
from watcher.journal import Journal, Witness
from watcher.lock import Lock
from watcher.loop import Loop
from watcher.metrics import metrics_of
from watcher.metrics.line import in_a_line
from watcher.notify import Notify
from watcher.paths import journal_file
from watcher.plan import Block, Plan, at_midnight, is_paused, next_midnight
from watcher.pool import Pool, process_executor
from watcher.premises import clock_of, keep_sentinels, prepare_directories, require_streams
from watcher.publisher import Publisher
from watcher.publisher_process import PublisherProcess
from watcher.requests import Reply, Request
from watcher.settings import TOPS, Settings
from watcher.signals import handled
from watcher.version import installed
from watcher.vitals import Running, Vitals, Watching
from watcher.wakeup import Wakeup
from watcher.web.process import WebProcess
from watcher.wording import span

if TYPE_CHECKING:
    from watcher.metrics.metrics import Metrics

_AFTER_ERROR_SECONDS = 5.0
_SHARE_OF_REST = 5.0
"""After a step that took so long, a pause of so many times that: a fifth of a core at the very most."""
_LONGEST_PAUSE_SECONDS = 0.5
_PROGRESS_SECONDS = 0.2
"""How often those who wait for an order are told how far it is."""
_STATUS_SECONDS = 1.0
"""How soon the service manager is told anew how things stand: to find that out may take a while."""
_FIXED_SECTIONS = ("data", "watch", "events", "hooks", "web", "metrics", "log", "clock")
"""What a running daemon cannot change: its roots, sockets and files are open."""

Mode = Literal["daemon", "once", "order"]


@contextmanager
def _journal_errors() -> Iterator[None]:
    """The journal may fail where no step can be tried again: at the very start and end."""
    try:
        yield
    except apsw.Error as error:
        raise TickwardError(
            f"the journal cannot be written ({error}); free space on its disk, or check its permissions"
        ) from error


@contextmanager
def _watching(files: FileSystem) -> Iterator[None]:
    files.start()
    try:
        yield
    finally:
        files.stop()


class App:
    """One daemon, or one pass, over one configuration.

    Args:
        settings: absolute paths, as `watcher.config.load` returns them.
        reload: reads the configuration anew, on SIGHUP.
        executor: makes the workers; None for child processes as the configuration says.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        reload: Callable[[], Settings] | None = None,
        executor: Callable[[], Executor] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._given = settings
        self._settings = prepare_directories(settings)
        self._reload = reload
        self._clock = clock or clock_of(settings.clock)
        self._executor = executor
        self._wakeup = Wakeup()
        self._hooks = Hooks(self._settings, journal_file(self._settings.data))
        self._stop_reason = ""
        self._reload_wanted = False
        self._last_error = ""
        self._said_blocks: dict[str, str] = {}
        self._notify = Notify()
        self._status_at = 0.0
        self._metrics: Metrics | None = None
        self._page: WebProcess | None = None
        self._health: Health | None = None
        """As it was recorded last, since the start."""
        self._own_vitals: Callable[[], Vitals | None] = lambda: None
        self._sequence = 0
        self._stepped: tuple[datetime, float, datetime | None] | None = None
        """When the last step began, how many seconds it took, and when the clock wakes the loop again."""

    def run(self) -> int:
        """Look after the databases until told to stop. Returns the exit code."""
        with _journal_errors(), self._started("daemon") as (loop, files):
            self._notify.ready()
            while not self._stop_reason:
                self._reload_if_wanted(loop)
                self._guarded_step(loop, files)
            self._notify.stopping()
        return EXIT_DONE

    def once(self) -> int:
        """Do all that is due, wait for it, and end. Returns the exit code."""
        with _journal_errors(), self._started("once") as (loop, _):
            hints = Hints(frozenset(), rescan=True)
            while not self._stop_reason:
                now = self._clock.now()
                self._say_blocks(loop.step(now, hints))
                hints = Hints(frozenset(), rescan=False)
                if not loop.busy():
                    break
                self._wakeup.wait(min(self._clock.real_seconds(loop.next_wake(now)), 1.0))
            entries = loop.last_plan.entries if loop.last_plan else ()
            undone = any(is_paused(each) or (isinstance(each, Block) and each.failed) for each in entries)
        return EXIT_STEP_FAILED if loop.failures or undone or self._stop_reason else EXIT_DONE

    def carry_out(self, request: Request, tell: Callable[[Reply], None]) -> None:
        """Do what a person asks for, and nothing else, with nobody beside; end with the last answer."""
        with _journal_errors(), self._started("order") as (loop, _):
            loop.by_order_only = True
            loop.desk.put(Ticket(request, tell))
            hints = Hints(frozenset(), rescan=True)
            while not self._stop_reason:
                now = self._clock.now()
                loop.step(now, hints)
                hints = Hints(frozenset(), rescan=False)
                if not loop.desk.busy():
                    break
                self._tell_progress(loop)
                self._wakeup.wait(_PROGRESS_SECONDS)

    def stop(self, reason: str) -> None:
        """Ask `run` to end. Safe from any thread and from signal handlers."""
        self._stop_reason = self._stop_reason or reason
        self._wakeup()

    def _unserved(self) -> tuple[str, ...]:
        """What is said of addresses that could not be had."""
        children = (child for child in (self._publisher, self._page) if isinstance(child, ChildProcess))
        found = [why for child in children for why in child.unserved.values()]
        if self._metrics is not None and not self._metrics.url:
            found.append(f"{self._settings.metrics.listen} cannot be listened on (metrics.listen)")
        return tuple(found)

    def _vitals(self, loop: Loop, pool: Pool, files: FileSystem, started: datetime) -> Vitals | None:
        """How the daemon is; None before its first step has been tried. From any thread."""
        if self._stepped is None and not self._last_error:
            return None
        stepped, seconds, wake = self._stepped or (started, 0.0, None)
        progress, now = pool.progress(), self._clock.now()
        running = tuple(
            Running(job.key, job.step, now - timedelta(seconds=age), *progress.get(job.key, (0, 0)))
            for job, age in pool.ages()
        )
        busy = {each.database for each in running}
        due = loop.last_plan.actions if loop.last_plan else ()
        publisher = self._publisher
        return Vitals(
            pid=os.getpid(),
            version=installed(),
            sqlite_version=apsw.sqlite_lib_version(),
            started=started,
            stepped=stepped,
            step_seconds=seconds,
            running=running,
            waiting=sum(action.key not in busy for action in due),
            orders=loop.desk.count(),
            next_wake=wake,
            error=self._last_error,
            watching=Watching(files.kind, files.trouble, files.swaps),
            unserved=self._unserved(),
            publisher_restarts=publisher.restarts if isinstance(publisher, PublisherProcess) else 0,
            sequence=self._sequence,
        )

    @contextmanager
    def _started(self, mode: Mode) -> Iterator[tuple[Loop, FileSystem | None]]:
        settings = self._settings
        with ExitStack() as stack:
            stack.callback(self._wakeup.close)
            stack.enter_context(handled(self.stop, self._ask_reload))
            lock = Lock(Path(settings.data.state))
            lock.acquire()
            stack.callback(lock.release)
            for top in (getattr(settings.data, key) for key in TOPS):
                for path in sweep_temporaries(Path(top)):
                    logger.info("removed {}, left behind by an interrupted step", path)
            journal = stack.enter_context(Journal.open_for_writing(journal_file(settings.data)))
            known = journal.all_facts()
            for sentence in require_streams(settings, known):
                logger.warning(sentence)
            journal_doubt = metadata.doubt(Path(settings.data.root), journal)
            keep_sentinels(settings, known, journal_doubt)
            self._publisher = self._publisher_of(mode)
            self._publisher.start(journal.head())
            stack.callback(self._publisher.stop)
            self._hooks.start()
            stack.callback(self._hooks.stop)
            pool = self._pool()
            loop = self._loop(journal, pool)
            loop.journal_doubt = journal_doubt
            if journal_doubt:
                logger.critical("{}", journal_doubt)
            loop.recover(known)
            if mode != "daemon":
                stack.callback(self._finish, loop, pool, mode)
                self._say_started(loop, mode)
                yield loop, None
                return
            files = self._files()
            self._own_vitals = vitals = partial(self._vitals, loop, pool, files, self._clock.now())
            self._metrics = metrics_of(settings, self._clock, vitals, lambda: loop.last_plan)
            if self._metrics is not None:
                self._metrics.start()
                stack.callback(self._metrics.stop)
            self._page = page = WebProcess(settings)
            control = Control(Path(settings.data.state), partial(self._put, loop), vitals)
            stack.callback(control.stop)  # after the end of the work: its callers are told of that
            stack.callback(self._finish, loop, pool, mode)
            stack.enter_context(_watching(files))
            self._say_started(loop, mode)
            control.start()
            stack.callback(control.close)
            page.start()
            stack.callback(page.stop)
            yield loop, files

    def _put(self, loop: Loop, ticket: Ticket) -> None:
        loop.desk.put(ticket)
        self._wakeup()

    def _pool(self) -> Pool:
        workers = self._settings.workers
        executor = self._executor or partial(process_executor, workers.count, workers.nice)
        return Pool(run_job, workers.count, executor, self._wakeup, self._clock.elapsed)

    def _publisher_of(self, mode: Mode) -> Publisher | PublisherProcess:
        # Nothing that is done to its addresses shall touch the daemon. What ends soon does without a process.
        file = journal_file(self._settings.data)
        if mode == "daemon":
            return PublisherProcess(self._settings, file)
        return Publisher(self._settings, file, brief=True)

    def _loop(self, journal: Journal, pool: Pool) -> Loop:
        def announce(record: Record, event: Event, seconds: float | None) -> None:
            self._sequence = record.sequence
            if isinstance(event, Health):
                self._health = event
            if self._metrics is not None:
                self._metrics.observe(record, event, seconds)
            self._publisher.wake()
            self._hooks.wake()
            logs.event_line(record, event, seconds)

        return Loop(
            self._settings,
            self._clock,
            Inventory(self._settings.data, lambda path: held_for_writing(Path(path))),
            journal,
            pool,
            announce,
            self._write_metadata,
        )

    def _files(self) -> FileSystem:
        watch = self._settings.watch
        return FileSystem(
            Path(self._settings.data.root),
            self._wakeup,
            polling=watch.polling,
            polling_seconds=watch.polling_seconds,
            canary_seconds=watch.canary_seconds,
        )

    def _say_started(self, loop: Loop, mode: Mode) -> None:
        root, sqlite = self._settings.data.root, apsw.sqlite_lib_version()
        started = Started(installed(), os.getpid(), root, sqlite, mode)
        now = self._clock.now()
        loop.record([(DAEMON_KEY, started)], now)
        loop.record_policy(now)

    def _finish(self, loop: Loop, pool: Pool, mode: Mode) -> None:
        if not pool.stop(self._settings.workers.stop_seconds):
            logger.warning("jobs did not end in time and were ended; the next start does them again")
        now = self._clock.now()
        loop.take_outcomes(now)
        loop.desk.close()
        loop.record([(DAEMON_KEY, Stopped(self._stop_reason or "done", mode))], now)
        loop.note_outside()

    def _guarded_step(self, loop: Loop, files: FileSystem | None) -> None:
        """One round and the sleep after it. Whatever goes wrong in it is logged, and tried again."""
        assert files is not None
        began = time.monotonic()
        now = self._clock.now()
        seconds = _AFTER_ERROR_SECONDS
        wake: datetime | None = None
        try:
            loop.step(now, files.drain())
            self._say_blocks(loop.last_plan)
            wake = loop.next_wake(now)
            self._stepped = (now, time.monotonic() - began, wake)
            self._last_error = ""
        except (apsw.Error, OSError) as error:
            loop.scan_again()
            loop.desk.tell_why(str(error))
            self._complain(error)
        except Exception as error:
            loop.scan_again()
            loop.desk.tell_why(repr(error))
            self._last_error = repr(error)
            logger.exception("a defect in tickward, please report it; it goes on in {:.0f} s", seconds)
        # What a check may have to do (a fresh observer, a count of directories) must not delay a rotation.
        # It is made also when the step failed: only so does a root that was gone come to be watched again.
        may_check = not at_midnight(now)
        if may_check and files.needs_check and (said := files.check()):
            logger.warning(said)
        self._pause(_SHARE_OF_REST * (time.monotonic() - began))
        if wake is not None:
            seconds = self._clock.real_seconds(wake)  # only now: the rest was a part of the sleep
        self._tell_manager(loop)
        seconds = min(seconds, self._notify.beat_seconds)
        self._wait(loop, min(seconds, files.next_check_seconds) if may_check else seconds)
        loop.rest()

    def _tell_manager(self, loop: Loop) -> None:
        """That the loop goes round, once a round: from here, so that one that is stuck is noticed."""
        self._notify.alive()
        if self._notify.wanted and time.monotonic() > self._status_at:
            self._status_at = time.monotonic() + _STATUS_SECONDS
            self._notify.status(in_a_line(self._own_vitals(), loop.last_plan, self._health))

    def _wait(self, loop: Loop, seconds: float) -> None:
        """Sleep until woken, or so long; and tell meanwhile how far the running jobs are."""
        deadline = time.monotonic() + (min(seconds, _PROGRESS_SECONDS) if loop.desk.waits() else seconds)
        while loop.working and (left := deadline - time.monotonic()) > 0:
            if self._wakeup.wait(min(left, _PROGRESS_SECONDS)):
                return
            self._tell_progress(loop)
        self._wakeup.wait(deadline - time.monotonic())

    def _tell_progress(self, loop: Loop) -> None:
        self._publisher.progress(loop.tell_progress())

    def _pause(self, seconds: float) -> None:
        """Rest in proportion to the work, so that no storm of file events can take the core for itself."""
        now = self._clock.now()
        time.sleep(min(seconds, _LONGEST_PAUSE_SECONDS, self._clock.real_seconds(next_midnight(now))))

    def _say_blocks(self, plan: Plan | None) -> None:
        """A line for each day that has just been set aside: not every reason is an event."""
        blocks = {block.key: block.reason for block in plan.blocks} if plan else {}
        fresh: dict[str, list[str]] = {}
        for key, reason in blocks.items():
            if self._said_blocks.get(key) != reason:
                fresh.setdefault(reason, []).append(key)
        for reason, keys in fresh.items():
            known = {"database": keys[0]} if len(keys) == 1 else {}
            logger.bind(error=reason, **known).warning("blocked: {}: {}", span(keys), reason)
        self._said_blocks = blocks

    def _complain(self, error: Exception) -> None:
        """Said once, as long as it stays the same: a daemon that waits for a disk waits quietly."""
        level = "DEBUG" if str(error) == self._last_error else "ERROR"
        self._last_error = str(error)
        logger.bind(error=str(error)).log(
            level,
            "the daemon cannot go on ({}); nothing is lost, it tries again every {:.0f} s",
            error,
            _AFTER_ERROR_SECONDS,
        )

    def _write_metadata(
        self, rotated: Mapping[str, tuple[Rotated, datetime]], witness: Witness | None
    ) -> None:
        try:
            root = Path(self._settings.data.root)
            # None: what is noted there is kept, unless a person has moved it away meanwhile.
            metadata.write(root, rotated, witness or metadata.read_witness(root))
        except OSError as error:
            logger.error("{} cannot be written: {}", metadata.NAME, error)

    def _ask_reload(self) -> None:
        self._reload_wanted = True
        self._wakeup()

    def _reload_if_wanted(self, loop: Loop) -> None:
        if not self._reload_wanted:
            return
        self._reload_wanted = False
        if self._reload is None:
            return
        self._notify.reloading()
        try:
            fresh = self._accept(self._reload())
        except TickwardError as error:
            logger.error("the new configuration is refused, the old one stays in force: {}", error)
        else:
            self._settings = fresh
            loop.reconfigure(fresh)
            logger.info("the new configuration is in force")
        self._notify.ready()

    def _accept(self, fresh: Settings) -> Settings:
        for section in _FIXED_SECTIONS:
            if getattr(fresh, section) != getattr(self._given, section):
                raise ConfigError(f"[{section}] can only change with a restart")
        if (fresh.workers.count, fresh.workers.nice) != (
            self._settings.workers.count,
            self._settings.workers.nice,
        ):
            raise ConfigError("workers.count and workers.nice can only change with a restart")
        self._given = fresh
        return replace(fresh, data=self._settings.data)
