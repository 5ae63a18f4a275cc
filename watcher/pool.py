"""Bounded workers: at most so many jobs at once, at most one for each database.

Jobs run in child processes, because SQLite, hashing and compression would stall the event loop, and because
closing any descriptor of a database drops the locks that its process has on it (invariant 9). The children
run at low CPU and I/O priority, ignore the terminal's Ctrl-C, and die with the daemon.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import resource_tracker
from typing import Any, NamedTuple, TypeVar

from handlers import progress
from handlers.contract import Failure, Job, Outcome, Step, Trouble
from watcher.parent import die_with, leave_signals_to_it

Run = Callable[[Job], Outcome]
T = TypeVar("T")

IDLE_SECONDS = 30.0
"""Workers that had nothing to do for so long are let go, and with them their memory."""
_LONG = (Step.COMPRESS, Step.ARCHIVE, Step.RESTORE, Step.MERGE, Step.VERIFY, Step.DRILL, Step.ADOPT)


class Pool:
    """Runs jobs; remembers which are running; keeps what they returned until it is collected.

    Args:
        run: executed in a worker for each job; must be importable there.
        count: workers at most.
        executor: makes the executor; any `concurrent.futures.Executor` will do.
        wake: called, from another thread, whenever a job has ended.
        elapsed: the clock that tells when jobs began.
    """

    def __init__(
        self,
        run: Run,
        count: int,
        executor: Callable[[], Executor],
        wake: Callable[[], None],
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = run
        self._count = count
        self._make_executor = executor
        self._wake = wake
        self._elapsed = elapsed
        self._executor: Executor | None = None
        self._running: dict[str, tuple[Job, Future[Outcome], float]] = {}
        self._ended: deque[Outcome] = deque()
        self._lock = threading.Lock()
        self._idle_since = time.monotonic()

    def has_room(self, step: Step) -> bool:
        """Whether one more such job may start. Long steps leave a worker for the others."""
        with self._lock:
            long = sum(job.step in _LONG for job, _, _ in self._running.values())
            bound = max(1, self._count - 1) if step in _LONG else self._count
            return len(self._running) < self._count and (step not in _LONG or long < bound)

    def running(self) -> list[Job]:
        with self._lock:
            return [job for job, _, _ in self._running.values()]

    def ages(self) -> list[tuple[Job, float]]:
        """The running jobs, and for how many seconds each has been running."""
        with self._lock:
            return [(job, self._elapsed() - began) for job, _, began in self._running.values()]

    def progress(self) -> dict[str, tuple[int, int]]:
        """How far the running jobs are, by key: bytes done, bytes in all; (0, 0): it does not say."""
        with self._lock:
            running = {key: future for key, (_, future, _) in self._running.items()}
        executor = self._executor
        if not isinstance(executor, Workers):
            return {}
        return {key: executor.progress(future) for key, future in running.items()}

    def busy(self) -> bool:
        """Whether a job is running, or has ended and was not collected yet."""
        with self._lock:
            return bool(self._running or self._ended)

    def submit(self, job: Job) -> None:
        """Start a job. Its outcome comes back through `collect`, whatever happens to it."""
        try:
            future = self._start(job)
        except Exception as error:  # no process could be started: out of memory, of process ids, ...
            future = Future()
            future.set_exception(error)
        with self._lock:
            self._running[job.key] = (job, future, self._elapsed())
        future.add_done_callback(lambda ended: self._finish(job, ended))

    def collect(self) -> list[Outcome]:
        """What has ended since the last call."""
        with self._lock:
            ended = list(self._ended)
            self._ended.clear()
        return ended

    def rest(self) -> None:
        """Let idle workers go. Called now and then by the loop."""
        with self._lock:
            busy = bool(self._running)
        if busy:
            self._idle_since = time.monotonic()
        elif self._executor and time.monotonic() - self._idle_since > IDLE_SECONDS:
            self._let_go()

    def stop(self, seconds: float) -> bool:
        """Let running jobs end for at most ``seconds``, then end their workers. True if all ended."""
        deadline = time.monotonic() + seconds
        with self._lock:
            futures = [future for _, future, _ in self._running.values()]
        for future in futures:
            _wait(future, deadline - time.monotonic())
        ended = all(future.done() for future in futures)
        if ended or self._kill():
            self._let_go()
        return ended

    def _start(self, job: Job) -> Future[Outcome]:
        if self._executor is None:
            self._executor = self._make_executor()
        try:
            return self._executor.submit(self._run, job)
        except BrokenExecutor:  # a worker was killed
            self._let_go()
            self._executor = self._make_executor()
            return self._executor.submit(self._run, job)

    def _finish(self, job: Job, future: Future[Outcome]) -> None:
        try:
            outcome = future.result()
        except BaseException as error:
            outcome = Failure(
                job,
                Trouble.FAILED,
                f"the worker ended before the job did ({type(error).__name__}: {error})",
                "it is tried again; if it goes on, look for the out-of-memory killer in the system's log",
                retryable=True,
            )
        with self._lock:
            self._running.pop(job.key, None)
            self._ended.append(outcome)
            self._idle_since = time.monotonic()
        self._wake()

    def _kill(self) -> bool:
        """End the workers now, with their jobs. False if they are not our processes, and go on."""
        if not isinstance(self._executor, Workers):
            return False
        self._executor.kill()
        return True

    def _let_go(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None


class _Worker(NamedTuple):
    """One child process, or none yet, and where it says how far it is."""

    executor: ProcessPoolExecutor
    cells: progress.Cells


class Workers(Executor):
    """Child processes that start from nothing: no inherited locks, threads or descriptors.

    Each is the one worker of an executor of its own. An executor that loses a worker gives up all the others
    with their jobs, and if it started that worker late it may not even notice its end (CPython 3.11).
    """

    def __init__(self, count: int, nice: int) -> None:
        self._count = count
        self._nice = nice
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._busy: dict[Future[Any], _Worker] = {}

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run it in a worker that is free. Raises `RuntimeError` if there is none."""
        with self._lock:
            if len(self._busy) >= self._count:
                raise RuntimeError(f"all {self._count} workers have a job")
            worker = self._idle.pop() if self._idle else self._make()
            worker.cells[0] = worker.cells[1] = 0
            try:
                future = worker.executor.submit(fn, *args, **kwargs)
            except BrokenExecutor:  # it was killed
                worker.executor.shutdown()
                worker = self._make()
                future = worker.executor.submit(fn, *args, **kwargs)
            self._busy[future] = worker
        future.add_done_callback(self._take_back)
        return future

    def progress(self, future: Future[Any]) -> tuple[int, int]:
        """Bytes done and bytes in all, as its worker said last."""
        with self._lock:
            worker = self._busy.get(future)
        return (worker.cells[0], worker.cells[1]) if worker else (0, 0)

    def kill(self) -> None:
        """End jobs that do not end by themselves: every step can be killed at any point."""
        for worker in self._all():
            for process in list((worker.executor._processes or {}).values()):
                process.kill()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        for worker in self._all():
            worker.executor.shutdown(wait, cancel_futures=cancel_futures)

    def _make(self) -> _Worker:
        _start_tracker()
        context = multiprocessing.get_context("spawn")
        cells = context.RawArray("Q", 2)
        executor = ProcessPoolExecutor(
            1, mp_context=context, initializer=_prepare_worker, initargs=(self._nice, os.getpid(), cells)
        )
        return _Worker(executor, cells)

    def _take_back(self, future: Future[Any]) -> None:
        with self._lock:
            self._idle.append(self._busy.pop(future))

    def _all(self) -> list[_Worker]:
        with self._lock:
            return [*self._idle, *self._busy.values()]


def process_executor(count: int, nice: int) -> Executor:
    """At most ``count`` child processes, at the given niceness above the daemon's."""
    return Workers(count, nice)


def _wait(future: Future[Outcome], seconds: float) -> None:
    with suppress(TimeoutError, CancelledError):  # the caller looks at done()
        future.exception(timeout=max(seconds, 0.0))


_SILENT = "ignore:resource_tracker:UserWarning"


def _start_tracker() -> None:
    """Start the process of Python's own that frees our semaphores should we be killed.

    What it then says of that on the terminal is meant for programmers: the next start does the work again.
    It can be told so only as it is started, by the options that Python hands on.
    """
    sys.warnoptions.append(_SILENT)
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.remove(_SILENT)


def _prepare_worker(nice: int, parent: int, cells: progress.Cells) -> None:
    progress.listen(cells)
    leave_signals_to_it()
    die_with(parent)  # it must not go on beside the next daemon's
    os.nice(nice)
    if nice > 0:
        _lower_io_priority()


_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_IOPRIO_LOWEST_BEST_EFFORT = (2 << 13) | 7


def _lower_io_priority() -> None:
    number = _IOPRIO_SET.get(os.uname().machine) if sys.platform == "linux" else None
    if number is not None:
        ctypes.CDLL(None).syscall(number, 1, 0, _IOPRIO_LOWEST_BEST_EFFORT)
