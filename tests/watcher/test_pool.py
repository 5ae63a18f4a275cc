"""The pool: with threads for its bookkeeping, with real processes for everything about being killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from handlers.contract import Done, Failure, Job, Outcome, Paths, Step, Trouble
from tests.watcher import pool_jobs
from tests.watcher.pool_jobs import Talk
from tests.watcher.processes import PATIENCE_SECONDS, Child, Watched
from watcher import pool as pool_module
from watcher.pool import Pool, process_executor

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="about Linux processes")


class Watchful:
    """Counts wake-ups, and waits for them."""

    def __init__(self) -> None:
        self.semaphore = threading.Semaphore(0)

    def __call__(self) -> None:
        self.semaphore.release()

    def outcomes(self, pool: Pool, count: int = 1) -> list[Outcome]:
        """The outcomes of so many jobs, as they end."""
        found: list[Outcome] = []
        for _ in range(count):
            assert self.semaphore.acquire(timeout=PATIENCE_SECONDS), f"only {len(found)} jobs ended"
            found += pool.collect()
        assert len(found) == count
        return found


Make = Callable[..., tuple[Pool, Watchful]]


@pytest.fixture
def make() -> Iterator[Make]:
    pools: list[Pool] = []

    def make(
        run: Callable[[Job], Outcome], count: int = 2, executor: Callable[[], Executor] | None = None
    ) -> Any:
        wake = Watchful()
        pools.append(Pool(run, count, executor or (lambda: ThreadPoolExecutor(count)), wake))
        return pools[-1], wake

    yield make
    for pool in pools:
        assert pool.stop(PATIENCE_SECONDS), "a test left a job behind"


@pytest.fixture
def talk(tmp_path: Path) -> Talk:
    return Talk(tmp_path / "talk")


def job(step: Step = Step.BACKUP, day: int = 20) -> Job:
    return Job(step, f"ticks/2026-01-{day}", Paths("", "", "", "", ""))


class Gate:
    """A job that runs in a thread and ends when told to."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def __call__(self, job: Job) -> Outcome:
        assert self.open.wait(PATIENCE_SECONDS)
        return Done(job, None, 0.0)


class TestBookkeeping:
    def test_an_outcome_is_collected_once_and_wakes(self, make: Make) -> None:
        pool, wake = make(pool_jobs.do_nothing)
        pool.submit(job())
        assert wake.outcomes(pool) == [Done(job(), None, 0.0)]
        assert pool.collect() == []
        assert pool.running() == []

    def test_a_job_is_running_until_it_has_ended(self, make: Make) -> None:
        gate = Gate()
        pool, wake = make(gate)
        pool.submit(job())
        assert pool.running() == [job()]
        assert pool.collect() == []
        gate.open.set()
        wake.outcomes(pool)
        assert pool.running() == []

    def test_whatever_a_job_raises_is_a_failure_that_is_tried_again(self, make: Make) -> None:
        pool, wake = make(pool_jobs.go_wrong)
        pool.submit(job())
        (failure,) = wake.outcomes(pool)
        assert isinstance(failure, Failure)
        assert (failure.job, failure.trouble, failure.retryable) == (job(), Trouble.FAILED, True)
        assert "ZeroDivisionError" in failure.message
        assert failure.hint

    @pytest.mark.parametrize(
        ("count", "running", "room_for"),
        [
            (1, [], {Step.BACKUP, Step.COMPRESS}),
            (1, [Step.COMPRESS], set()),
            (2, [], {Step.BACKUP, Step.COMPRESS}),
            (2, [Step.BACKUP], {Step.BACKUP, Step.COMPRESS}),
            (2, [Step.COMPRESS], {Step.BACKUP}),
            (2, [Step.COMPRESS, Step.BACKUP], set()),
            (3, [Step.COMPRESS], {Step.BACKUP, Step.COMPRESS}),
            (3, [Step.COMPRESS, Step.COMPRESS], {Step.BACKUP}),
            (3, [Step.BACKUP, Step.BACKUP], {Step.BACKUP, Step.COMPRESS}),
            (3, [Step.BACKUP, Step.BACKUP, Step.SEAL], set()),
        ],
    )
    def test_long_steps_leave_a_worker_for_the_others(
        self, make: Make, count: int, running: list[Step], room_for: set[Step]
    ) -> None:
        gate = Gate()
        pool, wake = make(gate, count)
        for day, step in enumerate(running, start=10):
            assert pool.has_room(step)
            pool.submit(job(step, day))
        assert {step for step in (Step.BACKUP, Step.COMPRESS) if pool.has_room(step)} == room_for
        gate.open.set()
        wake.outcomes(pool, len(running))
        assert pool.has_room(Step.COMPRESS)

    def test_nothing_is_made_before_the_first_job(self, make: Make) -> None:
        def never() -> Executor:
            raise AssertionError("an executor was made")

        pool, _ = make(pool_jobs.do_nothing, executor=never)
        pool.rest()
        assert pool.stop(1.0)


class Faulty(ThreadPoolExecutor):
    """Raises the given errors, one for each job; then it works."""

    def __init__(self, errors: list[Exception]) -> None:
        super().__init__(1)
        self._errors = errors

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        if self._errors:
            raise self._errors.pop(0)
        return super().submit(*args, **kwargs)


class TestAnExecutorThatFails:
    def test_a_broken_one_is_replaced(self, make: Make) -> None:
        errors: list[Exception] = [BrokenExecutor("a worker was killed")]
        pool, wake = make(pool_jobs.do_nothing, executor=lambda: Faulty(errors))
        pool.submit(job())
        assert isinstance(wake.outcomes(pool)[0], Done)

    @pytest.mark.parametrize(
        "errors",
        [
            [OSError(11, "Resource temporarily unavailable")],
            [MemoryError()],
            [RuntimeError("can't start new thread")],
            [BrokenExecutor("once"), BrokenExecutor("and again")],
        ],
        ids=["fork", "memory", "thread", "broken twice"],
    )
    def test_a_job_that_cannot_be_started_comes_back_as_a_failure(
        self, make: Make, errors: list[Exception]
    ) -> None:
        pool, wake = make(pool_jobs.do_nothing, executor=lambda: Faulty(errors))
        pool.submit(job())
        (failure,) = wake.outcomes(pool)
        assert isinstance(failure, Failure)
        assert failure.retryable
        assert pool.running() == []
        pool.submit(job())
        assert isinstance(wake.outcomes(pool)[0], Done)


class TestStopping:
    def test_waits_for_what_runs(self, make: Make) -> None:
        gate = Gate()
        pool, _ = make(gate)
        pool.submit(job())
        threading.Timer(0.02, gate.open.set).start()
        assert pool.stop(PATIENCE_SECONDS)
        assert pool.collect() == [Done(job(), None, 0.0)]

    def test_is_bounded_even_where_nothing_can_be_killed(self, make: Make) -> None:
        gate = Gate()
        pool, wake = make(gate)
        pool.submit(job())
        began = time.monotonic()
        assert not pool.stop(0.05)
        assert time.monotonic() - began < PATIENCE_SECONDS / 2
        gate.open.set()
        wake.outcomes(pool)


class TestIdleWorkers:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        now = [1000.0]

        class Time:
            @staticmethod
            def monotonic() -> float:
                return now[0]

        monkeypatch.setattr(pool_module, "time", Time)
        return now

    def test_are_let_go_after_a_while_and_come_back(self, make: Make, clock: list[float]) -> None:
        made: list[Executor] = []

        def executor() -> Executor:
            made.append(ThreadPoolExecutor(1))
            return made[-1]

        pool, wake = make(pool_jobs.do_nothing, executor=executor)
        clock[0] += 100.0
        pool.submit(job())
        wake.outcomes(pool)
        pool.rest()
        clock[0] += pool_module.IDLE_SECONDS - 1
        pool.rest()
        made[0].submit(int).result()  # it has just worked: still there
        clock[0] += 2.0
        pool.rest()
        with pytest.raises(RuntimeError, match="after shutdown"):
            made[0].submit(int)
        pool.submit(job())
        assert isinstance(wake.outcomes(pool)[0], Done)
        assert len(made) == 2

    def test_are_not_let_go_while_one_works(self, make: Make, clock: list[float]) -> None:
        gate = Gate()
        pool, wake = make(gate)
        pool.submit(job())
        clock[0] += 1000.0
        pool.rest()
        assert pool.running() == [job()]
        gate.open.set()
        assert isinstance(wake.outcomes(pool)[0], Done)


@pytest.fixture
def processes(make: Make) -> Make:
    def made(run: Callable[[Job], Outcome], count: int = 2, nice: int = 0) -> tuple[Pool, Watchful]:
        return make(run, count, lambda: process_executor(count, nice))

    return made


@linux_only
class TestProcesses:
    def test_a_job_runs_in_a_child_that_leaves_signals_to_the_daemon(
        self, processes: Make, talk: Talk
    ) -> None:
        pool, wake = processes(pool_jobs.say)
        pool.submit(talk.job())
        about = talk.said()
        assert about["pid"] != os.getpid() == about["parent"]
        assert about["ignores"] == [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
        assert wake.outcomes(pool) == [Done(talk.job(), None, 0.0)]

    @pytest.mark.parametrize("nice", [0, 19])
    def test_workers_have_the_priority_that_is_asked_for(
        self, processes: Make, talk: Talk, nice: int
    ) -> None:
        own = os.getpriority(os.PRIO_PROCESS, 0)
        pool, wake = processes(pool_jobs.say, nice=nice)
        pool.submit(talk.job())
        about = talk.said()
        wake.outcomes(pool)
        assert about["nice"] == min(own + nice, 19)
        if about["io"] is not None and nice > 0:
            assert about["io"] == (2 << 13 | 7), "best effort, the lowest of it"

    def test_a_worker_that_is_killed_is_a_failure_and_the_next_job_runs(
        self, processes: Make, talk: Talk
    ) -> None:
        pool, wake = processes(pool_jobs.say_and_wait)
        pool.submit(talk.job())
        os.kill(talk.said()["pid"], signal.SIGKILL)
        (failure,) = wake.outcomes(pool)
        assert isinstance(failure, Failure)
        assert (failure.trouble, failure.retryable) == (Trouble.FAILED, True)
        assert "the worker ended before the job did" in failure.message
        assert "out-of-memory" in failure.hint
        pool.submit(talk.job())
        talk.said()
        talk.go_on()
        assert isinstance(wake.outcomes(pool)[0], Done)

    def test_a_job_that_ends_its_worker_is_a_failure(self, processes: Make) -> None:
        pool, wake = processes(pool_jobs.end_the_worker)
        pool.submit(job())
        assert isinstance(wake.outcomes(pool)[0], Failure)

    @pytest.mark.parametrize("killed", [0, 1])
    def test_a_worker_that_is_killed_takes_only_its_own_job_along(
        self, processes: Make, tmp_path: Path, killed: int
    ) -> None:
        talks = [Talk(tmp_path / "one"), Talk(tmp_path / "two")]
        jobs = [talk.job(f"ticks/2026-01-{20 + number}") for number, talk in enumerate(talks)]
        pool, wake = processes(pool_jobs.say_and_wait)
        for each in jobs:
            pool.submit(each)
        pids = [talk.said()["pid"] for talk in talks]
        other = 1 - killed
        os.kill(pids[killed], signal.SIGKILL)
        (failure,) = wake.outcomes(pool)
        assert isinstance(failure, Failure)
        assert failure.job == jobs[killed]
        assert pool.running() == [jobs[other]]
        pool.submit(jobs[killed])
        assert talks[killed].said()["pid"] not in pids
        for talk in talks:
            talk.go_on()
        assert {outcome.job.key for outcome in wake.outcomes(pool, 2) if isinstance(outcome, Done)} == {
            job.key for job in jobs
        }

    def test_a_worker_that_is_killed_while_it_is_idle_costs_at_most_one_try(
        self, processes: Make, talk: Talk
    ) -> None:
        pool, wake = processes(pool_jobs.say_unless_sealing)
        pool.submit(talk.job())
        pid = talk.said()["pid"]
        wake.outcomes(pool)
        with Watched(pid) as watched:
            os.kill(pid, signal.SIGKILL)
            assert watched.ends()
        outcomes: list[Outcome] = []
        while not any(isinstance(outcome, Done) for outcome in outcomes):
            pool.submit(job(Step.SEAL))
            outcomes += wake.outcomes(pool)
        assert len(outcomes) <= 2

    def test_a_worker_is_used_again(self, processes: Make, talk: Talk) -> None:
        pool, wake = processes(pool_jobs.say)
        pids = set()
        for _ in range(3):
            pool.submit(talk.job())
            pids.add(talk.said()["pid"])
            wake.outcomes(pool)
        assert len(pids) == 1

    def test_there_are_never_more_workers_than_wanted(self, processes: Make, talk: Talk) -> None:
        pool, wake = processes(pool_jobs.say_and_wait, count=1)
        pool.submit(talk.job())
        talk.said()
        pool.submit(job(day=21))  # which the loop never does: it asks has_room() first
        (failure,) = wake.outcomes(pool)
        assert isinstance(failure, Failure)
        assert failure.job.key == "ticks/2026-01-21"
        talk.go_on()
        assert isinstance(wake.outcomes(pool)[0], Done)

    def test_stopping_is_bounded_and_ends_the_workers(self, processes: Make, talk: Talk) -> None:
        pool, wake = processes(pool_jobs.say_and_wait)
        pool.submit(talk.job())
        with Watched(talk.said()["pid"]) as watched:
            began = time.monotonic()
            assert not pool.stop(0.05)
            assert time.monotonic() - began < PATIENCE_SECONDS / 2
            assert watched.ends()
        assert isinstance(wake.outcomes(pool)[0], Failure)

    def test_stopping_lets_a_job_end(self, processes: Make, talk: Talk) -> None:
        pool, wake = processes(pool_jobs.say_and_wait)
        pool.submit(talk.job())
        talk.said()
        threading.Timer(0.02, talk.go_on).start()
        assert pool.stop(PATIENCE_SECONDS)
        assert isinstance(wake.outcomes(pool)[0], Done)

    def test_workers_die_with_a_daemon_that_is_killed(self, talk: Talk, tmp_path: Path) -> None:
        with Child(DAEMON, tmp_path / "talk") as daemon:
            pid = talk.said()["pid"]
            with Watched(pid) as watched:
                assert not watched.ends(0.0)
                daemon.kill()
                ended = watched.ends()
            if not ended:
                os.kill(pid, signal.SIGKILL)
            assert ended

    def test_a_daemon_that_is_killed_leaves_no_words_on_the_terminal(
        self, talk: Talk, tmp_path: Path
    ) -> None:
        with Child(DAEMON, tmp_path / "talk", stderr=subprocess.PIPE) as daemon:
            talk.said()
            daemon.process.kill()
            _, said = daemon.process.communicate(timeout=PATIENCE_SECONDS)  # of all that it has started
        assert said == ""


DAEMON = """
from pathlib import Path
from handlers.contract import Job, Paths, Step
from tests.watcher import pool_jobs
from watcher.pool import Pool, process_executor
pool = Pool(pool_jobs.say_and_wait, 2, lambda: process_executor(2, 19), lambda: None)
pool.submit(Job(Step.BACKUP, "ticks/2026-01-20", Paths(sys.argv[1], "", "", "", "")))
wait()
"""
