"""The observer, on real files: what arrives, what is lost, and that it is noticed."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from watcher import filesystem, observation
from watcher.filesystem import FileSystem, Hints
from watcher.observation import CANARY_NAME, Observation, WatchError

REPOSITORY = Path(__file__).parents[2]
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="about inotify")


class Time:
    """A monotonic clock that a test turns by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Watched:
    """A `FileSystem` with a wake-up that can be waited for, and a clock that is turned by hand."""

    def __init__(self, root: Path, **options: object) -> None:
        self.time = Time()
        self.woken = threading.Event()
        self.marks = 0
        self.system = FileSystem(root, self.woken.set, monotonic=self.time, **options)  # type: ignore[arg-type]

    def settle(self) -> None:
        """Take the rescan that every start asks for, do the first checks, see the canary."""
        assert self.system.drain().rescan
        assert self.system.check() is None
        self.settle_canary()
        self.system.drain()
        self.woken.clear()

    def settle_canary(self) -> None:
        self.wait_for(lambda: self.observation.canary_deadline is None)

    def check_later(self, seconds: float) -> str | None:
        self.time.seconds += seconds
        return self.system.check()

    @property
    def observation(self) -> Observation:
        assert self.system._observation is not None
        return self.system._observation

    def hints_with(self, *paths: Path, seconds: float = 5.0) -> Hints:
        """Drain whenever woken, until all these paths have come."""
        seen: set[Path] = set()
        rescan = False
        deadline = time.monotonic() + seconds
        while not seen.issuperset(paths):
            assert self.woken.wait(deadline - time.monotonic()), f"only {sorted(seen)} came"
            self.woken.clear()
            hints = self.system.drain()
            seen |= hints.paths
            rescan |= hints.rescan
        return Hints(frozenset(seen), rescan)

    def catch_up(self) -> None:
        """See every event of what was done until now. A new symlink is exactly one event."""
        self.marks += 1
        mark = self.system.root / f"mark-{self.marks}"
        mark.symlink_to("nowhere")
        self.hints_with(mark)
        self.system.drain()
        self.woken.clear()

    def wait_for_rescan(self, seconds: float = 5.0) -> None:
        deadline = time.monotonic() + seconds
        while not self.system.drain().rescan:
            assert self.woken.wait(deadline - time.monotonic()), "no rescan was asked for"
            self.woken.clear()

    @staticmethod
    def wait_for(condition: Callable[[], bool], seconds: float = 5.0) -> None:
        """For what wakes nobody by design."""
        pause, deadline = threading.Event(), time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline
            pause.wait(0.002)


@contextmanager
def watching(root: Path, **options: object) -> Iterator[Watched]:
    watched = Watched(root, **options)
    watched.system.start()
    try:
        watched.settle()
        yield watched
    finally:
        watched.system.stop()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path.resolve() / "data"
    root.mkdir()
    return root


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """No test leaves a thread or a descriptor, however it mistreated its observer."""
    threads, descriptors = set(threading.enumerate()), open_descriptors()
    yield
    assert set(threading.enumerate()) <= threads
    assert open_descriptors() == descriptors


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0


# What arrives


def test_a_file_that_is_written_is_a_hint_and_wakes(root: Path) -> None:
    with watching(root) as watched:
        (root / "ticks.db").write_bytes(b"x")
        assert not watched.hints_with(root / "ticks.db").rescan


def test_a_drain_takes_what_it_returns(root: Path) -> None:
    with watching(root) as watched:
        (root / "a.db").write_bytes(b"x")
        watched.hints_with(root / "a.db")
        watched.catch_up()
        (root / "b.db").write_bytes(b"x")
        assert watched.hints_with(root / "b.db").paths == {root / "b.db"}


def test_a_move_hints_at_both_names(root: Path) -> None:
    (root / "a.db").touch()
    with watching(root) as watched:
        (root / "a.db").rename(root / "b.db")
        watched.hints_with(root / "a.db", root / "b.db")


def test_a_deletion_is_a_hint(root: Path) -> None:
    (root / "a.db").touch()
    with watching(root) as watched:
        (root / "a.db").unlink()
        watched.hints_with(root / "a.db")


@linux_only
def test_reading_and_writing_without_closing_are_no_hints(root: Path) -> None:
    (root / "a.db").write_bytes(b"x")
    with watching(root) as watched, (root / "a.db").open("ab", buffering=0) as file:
        (root / "a.db").read_bytes()
        file.write(b"x")
        (root / "mark").touch()
        assert watched.hints_with(root / "mark").paths == {root / "mark"}


def test_our_own_temporaries_are_no_hints_but_their_final_name_is(root: Path) -> None:
    with watching(root) as watched:
        temporary = root / "a.db.tickward-tmp"
        temporary.write_bytes(b"x")
        temporary.rename(root / "a.db")
        assert watched.hints_with(root / "a.db").paths == {root / "a.db"}


@pytest.mark.parametrize("ending", ["-wal", "-journal"])
def test_a_sidecar_is_a_hint_at_its_database(root: Path, ending: str) -> None:
    with watching(root) as watched:
        (root / f"a.db{ending}").touch()
        assert watched.hints_with(root / "a.db").paths == {root / "a.db"}


def test_shared_memory_wakes_nobody_but_is_kept(root: Path) -> None:
    with watching(root) as watched:
        (root / "a.db-shm").touch()
        watched.wait_for(lambda: root / "a.db" in watched.system.drain().paths)
        assert not watched.woken.is_set()


WRITER = """
import sys, apsw
database = apsw.Connection(sys.argv[1])
database.execute("pragma journal_mode=wal")
database.execute("create table ticks(n); insert into ticks values (1)")
print("open", flush=True)
sys.stdin.readline()
database.execute("insert into ticks values (2)")
database.close()
"""


@linux_only
def test_a_writer_that_closes_is_noticed_as_its_database(root: Path) -> None:
    database = root / "ticks.db"
    with watching(root) as watched:
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(database)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "open\n"
            assert watched.hints_with(database).paths == {database}
            watched.catch_up()
            writer.communicate("close\n")
        assert watched.hints_with(database).paths == {database}
        assert not Path(f"{database}-wal").exists()


# Directories


def test_files_in_directories_made_this_moment_are_found(root: Path) -> None:
    with watching(root) as watched:
        files = [root / f"{n:03}" / "2026" / "01" / "ticks.db" for n in range(100)]
        for file in files:
            file.parent.mkdir(parents=True)
            file.write_bytes(b"x")
        watched.hints_with(*files)
        files[50].write_bytes(b"y")
        watched.hints_with(files[50])


def test_a_directory_moved_in_from_outside_is_walked(root: Path) -> None:
    outside = root.parent / "outside" / "2026"
    outside.mkdir(parents=True)
    (outside / "ticks.db-wal").touch()
    (outside / "copy.tickward-tmp").touch()
    with watching(root) as watched:
        outside.rename(root / "2026")
        paths = watched.hints_with(root / "2026" / "ticks.db").paths
        assert root / "2026" / "copy.tickward-tmp" not in paths


@pytest.mark.parametrize("change", [lambda old: old.rename(old.with_name("new")), lambda old: old.rmdir()])
def test_a_directory_that_moves_or_goes_asks_for_a_rescan(root: Path, change: Callable[[Path], None]) -> None:
    (root / "old").mkdir()
    with watching(root) as watched:
        change(root / "old")
        watched.wait_for_rescan()


def test_a_symlinked_root_is_resolved(root: Path) -> None:
    link = root.parent / "link"
    link.symlink_to(root)
    with watching(link) as watched:
        assert watched.system.root == root
        (link / "a.db").touch()
        watched.hints_with(root / "a.db")


@pytest.mark.parametrize("options", [{}, {"polling": True, "polling_seconds": 0.02}])
def test_a_symlink_out_of_the_root_is_not_followed(root: Path, options: dict[str, object]) -> None:
    outside = root.parent / "outside"
    (outside / "deep").mkdir(parents=True)
    (root / "before").symlink_to(outside)
    with watching(root, **options) as watched:
        (root / "new").mkdir()
        (root / "new" / "link").symlink_to(outside)
        (outside / "a.db").touch()
        (outside / "deep" / "b.db").touch()
        (root / "new" / "mark").touch()
        paths = watched.hints_with(root / "new" / "mark").paths
        assert not [path for path in paths if path.suffix == ".db"]


def test_too_many_hints_become_a_rescan(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observation, "MAX_HINTS", 5)
    with watching(root) as watched:
        for n in range(10):
            (root / f"{n}.db").touch()
        watched.wait_for_rescan()


# Failures of the observer


@linux_only
def test_an_overflow_wakes_at_once_and_brings_a_fresh_observer(root: Path) -> None:
    with watching(root) as watched:
        before = watched.observation
        with watched.observation._reader._lock:  # type: ignore[union-attr]
            # The reader stands still after at most one more buffer; the kernel's queue runs full.
            limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
            for n in range(limit // 2):
                descriptor = os.open(root / f"{n % 7}", os.O_CREAT | os.O_WRONLY)
                os.close(descriptor)
                (root / f"{n % 7}").unlink()
        watched.wait_for(lambda: before.failure is not None)
        assert watched.woken.is_set()
        watched.time.seconds += filesystem.SWAP_PAUSE_SECONDS
        assert watched.system.needs_check
        assert "overflowed" in str(watched.system.check())
        assert watched.observation is not before
        watched.wait_for_rescan()
        (root / "after.db").touch()
        watched.hints_with(root / "after.db")


@linux_only
def test_a_storm_of_failures_is_no_storm_of_observers(root: Path) -> None:
    with watching(root) as watched:
        watched.time.seconds += filesystem.SWAP_PAUSE_SECONDS
        watched.observation.fail("the first")
        assert "the first" in str(watched.system.check())
        again = watched.observation
        again.fail("the second")
        assert watched.system.check() is None
        assert watched.observation is again
        assert watched.system.next_check_seconds == filesystem.SWAP_PAUSE_SECONDS
        assert "the second" in str(watched.check_later(filesystem.SWAP_PAUSE_SECONDS))


@linux_only
def test_a_directory_moved_away_made_again_and_removed_is_survived(root: Path) -> None:
    (root / "month").mkdir()
    with watching(root) as watched:
        before = watched.observation
        (root / "month").rename(root.parent / "away")
        (root / "month").mkdir()
        watched.wait_for(lambda: before._reader.watches == 3)  # type: ignore[union-attr]
        (root / "month").rmdir()
        (root.parent / "away").rmdir()  # under a name whose watch has gone already
        watched.wait_for(lambda: before.failure is not None)
        assert all(thread.is_alive() for thread in before.threads)
        assert "moved" in str(watched.check_later(filesystem.SWAP_PAUSE_SECONDS))
        watched.wait_for_rescan()
        (root / "a.db").touch()
        watched.hints_with(root / "a.db")


@linux_only
def test_an_error_inside_watchdog_does_not_end_its_thread_but_the_observer(root: Path) -> None:
    (root / "month").mkdir()
    with watching(root) as watched:
        (emitter,) = watched.observation._observer.emitters  # type: ignore[union-attr]
        emitter._inotify._active_callbacks_by_path.clear()  # type: ignore[union-attr]
        (root / "month").rmdir()
        watched.wait_for(lambda: watched.observation.failure is not None)
        assert all(thread.is_alive() for thread in watched.observation.threads)
        assert "lost count" in str(watched.check_later(filesystem.SWAP_PAUSE_SECONDS))
        watched.wait_for_rescan()
        (root / "a.db").touch()
        watched.hints_with(root / "a.db")


@linux_only
def test_directories_that_moved_are_watched_where_they_are_now(root: Path) -> None:
    """watchdog would keep the first one's watch under the name that the second one takes."""
    away = root.parent / "away"
    for name in ("a", "b"):
        (root / name / "deep").mkdir(parents=True)
    with watching(root) as watched:
        (root / "a").rename(away)
        (root / "b").rename(root / "a")
        away.rename(root / "b")
        watched.wait_for(lambda: watched.observation.failure is not None)
        assert "moved" in str(watched.check_later(filesystem.SWAP_PAUSE_SECONDS))
        for name in ("a", "b"):
            (root / name / "deep" / "x.db").touch()
            watched.hints_with(root / name / "deep" / "x.db")


@linux_only
def test_a_dead_thread_is_noticed(root: Path) -> None:
    with watching(root) as watched:
        (emitter,) = watched.observation._observer.emitters  # type: ignore[union-attr]
        emitter.stop()
        emitter.join(5)
        assert "has ended" in str(watched.check_later(filesystem.SWAP_PAUSE_SECONDS))
        (root / "a.db").touch()
        watched.hints_with(root / "a.db")


def test_a_wake_up_that_fails_does_not_end_the_observer(root: Path) -> None:
    called = threading.Event()

    def wake() -> None:
        called.set()
        raise RuntimeError("nobody there")

    clock = Time()
    system = FileSystem(root, wake, monotonic=clock)
    system.start()
    try:
        called.clear()
        (root / "a.db").touch()
        assert called.wait(5)
        Watched.wait_for(lambda: system._observation.failure is not None)  # type: ignore[union-attr]
        assert all(t.is_alive() for t in system._observation._observer.emitters)  # type: ignore[union-attr]
        assert root / "a.db" in system.drain().paths
        clock.seconds += filesystem.SWAP_PAUSE_SECONDS
        assert "nobody there" in str(system.check())
    finally:
        system.stop()


@linux_only
def test_an_emitter_that_raises_is_replaced(root: Path) -> None:
    with watching(root) as watched:
        (emitter,) = watched.observation._observer.emitters  # type: ignore[union-attr]
        emitter.queue_event = None  # type: ignore[method-assign]
        (root / "a.db").touch()
        assert watched.woken.wait(5)
        assert "emitter ended" in str(watched.check_later(filesystem.SWAP_PAUSE_SECONDS))
        watched.wait_for_rescan()


@linux_only
def test_two_hundred_swaps_leave_no_descriptor(root: Path) -> None:
    (root / "2026" / "01").mkdir(parents=True)
    with watching(root) as watched:
        before = open_descriptors()
        for n in range(200):
            watched.observation.fail(f"failure {n}")
            assert f"failure {n}" in str(watched.check_later(filesystem.SWAP_PAUSE_SECONDS))
        assert open_descriptors() == before
        watched.wait_for_rescan()
        (root / "2026" / "01" / "a.db").touch()
        watched.hints_with(root / "2026" / "01" / "a.db")


# The canary


@linux_only
def test_an_observer_that_has_gone_silent_is_replaced(root: Path) -> None:
    with watching(root) as watched:
        deaf = watched.observation
        reader = deaf._reader
        assert reader is not None
        for wd in list(reader._watch_for_wd):  # every thread lives, every book is in order
            reader.remove_callbacks([(wd, next(iter(reader._watch_for_wd[wd].callbacks)))])
        assert watched.check_later(60) is None
        assert watched.system.next_check_seconds == filesystem.CANARY_WAIT_SECONDS
        assert "canary" in str(watched.check_later(filesystem.CANARY_WAIT_SECONDS))
        watched.wait_for_rescan()
        (root / "a.db").touch()
        watched.hints_with(root / "a.db")


def test_a_canary_that_sings_leaves_everything_as_it_is(root: Path) -> None:
    with watching(root) as watched:
        before = watched.observation
        for _ in range(5):
            assert watched.check_later(60) is None
            watched.wait_for(lambda: before.canary_deadline is None)
            assert watched.system.next_check_seconds == 60
        assert watched.observation is before
        assert watched.system.drain() == Hints(frozenset(), rescan=False)
        assert not watched.woken.is_set()
        assert (root / CANARY_NAME).exists()
    assert not (root / CANARY_NAME).exists()


def test_a_canary_that_cannot_be_written_is_mentioned_once(root: Path) -> None:
    (root / CANARY_NAME).mkdir()
    watched = Watched(root)
    watched.system.start()
    try:
        assert "canary" in str(watched.system.check())
        assert watched.check_later(60) is None
        assert watched.check_later(60) is None
        (root / CANARY_NAME).rmdir()
        assert watched.check_later(60) is None
        assert (root / CANARY_NAME).is_file()
    finally:
        watched.system.stop()


def test_a_canary_is_not_written_through_a_symlink(root: Path) -> None:
    precious = root.parent / "precious"
    precious.write_text("mine")
    (root / CANARY_NAME).symlink_to(precious)
    watched = Watched(root)
    watched.system.start()
    try:
        assert "canary" in str(watched.system.check())
    finally:
        watched.system.stop()
    assert precious.read_text() == "mine"
    assert (root / CANARY_NAME).is_symlink()


# The root


def test_a_missing_root_is_refused_at_the_start(root: Path) -> None:
    for absent in (root / "absent", root / "file"):
        (root / "file").touch()
        with pytest.raises(WatchError) as caught:
            FileSystem(absent, lambda: None).start()
        assert "create it" in caught.value.hint


def test_a_root_that_goes_is_reported_once_and_watched_again_when_it_is_back(root: Path) -> None:
    with watching(root) as watched:
        (root / CANARY_NAME).unlink()
        root.rmdir()
        watched.wait_for_rescan()
        watched.wait_for(lambda: watched.observation.failure is not None)
        assert "is gone" in str(watched.check_later(filesystem.SWAP_PAUSE_SECONDS))
        assert watched.check_later(filesystem.RETRY_SECONDS) is None
        watched.system.drain()
        root.mkdir()
        assert watched.system.next_check_seconds == filesystem.RETRY_SECONDS
        assert "watched again" in str(watched.check_later(filesystem.RETRY_SECONDS))
        assert watched.system.drain().rescan
        (root / "a.db").touch()
        watched.hints_with(root / "a.db")


def test_a_root_removed_and_made_again_unseen_is_watched_anew(root: Path) -> None:
    with watching(root) as watched:
        (root / CANARY_NAME).unlink()
        root.rmdir()
        root.mkdir()  # may well get the same inode number
        watched.wait_for_rescan()
        assert watched.check_later(filesystem.SWAP_PAUSE_SECONDS)
        (root / "a.db").touch()
        watched.hints_with(root / "a.db")


def test_a_root_that_is_renamed_and_replaced_is_watched_anew(root: Path) -> None:
    with watching(root) as watched:
        root.rename(root.parent / "old")
        root.mkdir()
        assert "replaced" in str(watched.check_later(60))
        assert watched.system.drain().rescan
        (root / "a.db").touch()
        watched.hints_with(root / "a.db")


def test_a_symlinked_root_that_is_turned_elsewhere_is_followed(root: Path) -> None:
    other, link = root.parent / "other", root.parent / "link"
    other.mkdir()
    link.symlink_to(root)
    with watching(link) as watched:
        link.unlink()
        link.symlink_to(other)
        assert "replaced" in str(watched.check_later(60))
        (other / "a.db").touch()
        watched.hints_with(other / "a.db")


# What the kernel refuses


@contextmanager
def kernel_refusing(
    monkeypatch: pytest.MonkeyPatch, number: int, refused: Callable[[bytes], bool]
) -> Iterator[None]:
    """Let inotify_add_watch fail for some paths, as it does when the limit is reached."""
    from watchdog.observers import inotify_c  # noqa: PLC0415

    real = inotify_c.inotify_add_watch

    def add_watch(descriptor: int, path: bytes, mask: int) -> int:
        if refused(path):
            ctypes.set_errno(number)
            return -1
        return real(descriptor, path, mask)

    with monkeypatch.context() as patch:
        patch.setattr(inotify_c, "inotify_add_watch", add_watch)
        yield


@linux_only
@pytest.mark.parametrize(
    ("number", "hint"),
    [(errno.ENOSPC, "max_user_watches"), (errno.EMFILE, "max_user_instances")],
)
def test_a_limit_at_the_start_says_which_sysctl(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int, hint: str
) -> None:
    refusing = kernel_refusing(monkeypatch, number, lambda _: True)
    with refusing, pytest.raises(WatchError) as caught:
        FileSystem(root, lambda: None).start()
    assert hint in caught.value.hint


@linux_only
def test_a_root_that_may_not_be_read_is_an_error_not_silence(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = kernel_refusing(monkeypatch, errno.EACCES, lambda _: True)
    with refusing, pytest.raises(WatchError) as caught:
        FileSystem(root, lambda: None).start()
    assert "read" in caught.value.hint


@linux_only
def test_no_descriptors_left_is_an_error_that_leaks_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_pipe() -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pipe", no_pipe)
        with pytest.raises(WatchError) as caught:
            FileSystem(root, lambda: None).start()
    assert "ulimit" in caught.value.hint


@linux_only
def test_directories_without_a_watch_are_reported_once_and_tried_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(5):
        (root / f"{n}").mkdir()
    watched = Watched(root)
    with kernel_refusing(monkeypatch, errno.ENOSPC, lambda path: path.endswith((b"3", b"4"))):
        watched.system.start()
        watched.settle()
        sentence = str(watched.check_later(filesystem.RETRY_SECONDS))
        assert "4 of 6 directories" in sentence
        assert "max_user_watches" in sentence
        assert watched.system.drain().rescan
        watched.settle_canary()
        assert watched.check_later(filesystem.SHORTFALL_PAUSE_SECONDS) is None
        watched.settle_canary()
    try:  # the limit was raised
        assert watched.check_later(filesystem.SHORTFALL_PAUSE_SECONDS) is None
        watched.settle_canary()
        assert watched.check_later(filesystem.SHORTFALL_PAUSE_SECONDS) is None
        (root / "4" / "a.db").touch()
        watched.hints_with(root / "4" / "a.db")
    finally:
        watched.system.stop()


@linux_only
def test_a_directory_that_may_not_be_watched_does_not_harm_the_others(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(5):
        (root / f"{n}").mkdir()
    closed = (b"3", b"4")
    refusing = kernel_refusing(monkeypatch, errno.EACCES, lambda path: path.endswith(closed))
    with refusing, watching(root) as watched:
        (root / "2" / "a.db").touch()
        watched.hints_with(root / "2" / "a.db")


# Start and stop


def test_stop_is_idempotent_and_start_may_follow(root: Path) -> None:
    watched = Watched(root)
    watched.system.stop()
    for _ in range(2):
        watched.system.start()
        watched.settle()
        (root / "a.db").write_bytes(b"x")
        watched.hints_with(root / "a.db")
        watched.system.stop()
        watched.system.stop()
        assert watched.system.check() is None
    assert watched.system.next_check_seconds == 60


def test_a_second_start_replaces_the_first(root: Path) -> None:
    with watching(root) as watched:
        threads = threading.active_count()
        watched.system.start()
        assert threading.active_count() == threads


def test_stop_is_bounded_when_a_handler_hangs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observation, "STOP_SECONDS", 0.05)
    entered, release = threading.Event(), threading.Event()

    def wake() -> None:
        entered.set()
        release.wait(10)

    system = FileSystem(root, wake)
    release.set()
    system.start()
    release.clear()
    entered.clear()
    (root / "a.db").touch()
    assert entered.wait(5)
    system.stop()
    hanging = [t for t in threading.enumerate() if t.name == "tickward-stop-observer"]
    release.set()
    for thread in hanging:
        thread.join(5)
    assert hanging


# Without inotify


def test_polling_finds_what_is_made_changed_and_removed(root: Path) -> None:
    file = root / "2026" / "a.db"
    with watching(root, polling=True, polling_seconds=0.02) as watched:
        file.parent.mkdir()
        file.touch()
        watched.hints_with(file)
        watched.system.drain()
        file.write_bytes(b"grown")
        watched.hints_with(file)
        file.unlink()
        watched.hints_with(file)


def test_polling_notices_that_the_root_has_gone(root: Path) -> None:
    with watching(root, polling=True, polling_seconds=0.02) as watched:
        (root / CANARY_NAME).unlink()
        root.rmdir()
        watched.wait_for(lambda: watched.observation.failure is not None)
        assert "is gone" in str(watched.system.check())


def test_it_works_where_there_is_no_inotify(root: Path) -> None:
    program = """
        import pathlib, platform, select, subprocess, sys, tempfile, threading
        sys.modules["watchdog.observers.inotify"] = None
        sys.modules["watchdog.observers.inotify_c"] = None
        sys.platform = "plan9"
        platform.system = lambda: "Plan9"
        from watcher.filesystem import FileSystem
        woken = threading.Event()
        root = pathlib.Path(sys.argv[1])
        system = FileSystem(root, woken.set)
        system.start()
        assert system.drain().rescan
        woken.clear()
        (root / "a.db").touch()
        assert woken.wait(10)
        assert system.drain().paths == {root / "a.db"}
        assert system.check() is None
        system.stop()
        print("ok")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(root)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout == "ok\n", done.stderr
