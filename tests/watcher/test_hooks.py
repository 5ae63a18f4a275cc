"""Hooks on a real journal with real commands: what is delivered, in what order, and what is outlived."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.watcher.builders import sealed
from tests.watcher.hooked import AT, KEY, Hooked, failing
from tests.watcher.processes import Child
from watcher import config
from watcher.events import Event, Opened, Stopped
from watcher.hooks import follower, hooks, store
from watcher.schedule import backoff
from watcher.wire import Position, to_frames

SAY = 'echo "$TICKWARD_SEQUENCE" > said'
WAIT = f"{SAY}; read line < go"
FAIL = "echo sorry; exit 3"


@pytest.fixture
def hooked(tmp_path: Path) -> Iterator[Hooked]:
    made = Hooked(tmp_path)
    try:
        yield made
    finally:
        made.close()


class TestWhatIsDelivered:
    def test_is_every_event_of_the_name_in_order(self, hooked: Hooked) -> None:
        hooked.start(opened=SAY)
        for _ in range(2):
            hooked.record(Opened("x"), sealed(), Opened("x"))
        assert [hooked.said.line() for _ in range(4)] == ["1", "3", "4", "6"]

    def test_is_what_is_on_the_wire(self, hooked: Hooked) -> None:
        hooked.start(sealed="cat > said")
        (record,) = hooked.record(sealed())
        assert hooked.said.line().encode() == to_frames(record, hooked.journal.epoch)[2]

    def test_is_told_in_the_environment_too(self, hooked: Hooked) -> None:
        path = """/r/$(touch hacked) `touch hacked` '"; touch hacked"""
        hooked.start(opened="env | grep ^TICKWARD_ | sort > seen; echo > said")
        hooked.record(Opened(path))
        hooked.said.line()
        seen = dict(line.split("=", 1) for line in (hooked.folder / "seen").read_text().splitlines())
        assert seen == {
            "TICKWARD_EVENT": "opened",
            "TICKWARD_ID": f"{hooked.journal.epoch:x}-1",
            "TICKWARD_SEQUENCE": "1",
            "TICKWARD_SUBJECT": KEY,
            "TICKWARD_STREAM": "ticks",
            "TICKWARD_DAY": "2026-01-20",
            "TICKWARD_PATH": path,
        }
        assert not (hooked.folder / "hacked").exists()
        config.load(environment=seen)  # it may call tickward

    def test_is_about_no_day_for_the_daemon(self, hooked: Hooked) -> None:
        hooked.start(stopped='echo "$TICKWARD_STREAM,$TICKWARD_DAY,$TICKWARD_PATH," > said')
        hooked.record(Stopped("SIGTERM"), key="-")
        assert hooked.said.line() == "-,,,"

    def test_goes_to_each_hook_of_the_event_once(self, hooked: Hooked) -> None:
        hooked.start(opened=("echo one > said", failing("echo two > said"), "echo one > said"))
        hooked.record(Opened("x"))
        assert {hooked.said.line(), hooked.said.line()} == {"one", "two"}
        hooked.stop()
        assert hooked.said.is_silent()

    def test_does_not_wait_for_another_hook(self, hooked: Hooked) -> None:
        hooked.start(opened=WAIT, sealed=SAY)
        hooked.record(Opened("x"), Opened("x"), sealed(), sealed())
        assert sorted(hooked.said.line() for _ in range(3)) == ["1", "3", "4"]
        hooked.go.write()
        assert hooked.said.line() == "2"
        hooked.go.write()


class TestWhereAHookBegins:
    def test_a_new_one_with_what_is_recorded_from_then_on(self, hooked: Hooked) -> None:
        hooked.record(Opened("x"))
        hooked.start(opened=SAY)
        hooked.record(Opened("x"))
        assert hooked.said.line() == "2"

    def test_a_known_one_where_it_was(self, hooked: Hooked) -> None:
        hooked.start(opened=SAY)
        hooked.record(Opened("x"))
        assert hooked.said.line() == "1"
        hooked.stop()
        hooked.record(sealed(), Opened("x"), Opened("x"))
        hooked.start(opened=SAY)
        assert [hooked.said.line(), hooked.said.line()] == ["3", "4"]

    @pytest.mark.parametrize("meanwhile", [{}, {"sealed": SAY}, {"opened": "true"}], ids=str)
    def test_one_that_was_taken_out_is_new_again(self, hooked: Hooked, meanwhile: dict[str, str]) -> None:
        hooked.start(opened=SAY)
        hooked.stop()
        hooked.start(**meanwhile)
        hooked.record(Opened("x"))
        hooked.stop()
        hooked.start(opened=SAY)
        hooked.record(Opened("x"))
        assert hooked.said.line() == "2"

    def test_in_another_journal_at_the_first_event(self, hooked: Hooked) -> None:
        hooked.record(Opened("x"), Opened("x"))
        hooked.start(opened=SAY)
        hooked.stop()
        hooked.new_journal()
        hooked.record(Opened("x"))
        hooked.start(opened=SAY)
        assert hooked.said.line() == "1"

    def test_in_an_older_copy_of_the_journal_at_its_end(self, hooked: Hooked) -> None:
        hooked.start(opened=SAY)
        hooked.record(*[Opened("x")] * 2)
        copy = hooked.copy_of_journal()
        hooked.record(*[Opened("x")] * 3)
        assert [hooked.said.line() for _ in range(5)] == list("12345")
        hooked.stop()
        hooked.put_back(copy)
        hooked.start(opened=SAY)
        with hooked.store() as kept:  # already now: whatever is recorded next must not be taken for the old
            assert list(kept.positions().values()) == [Position(hooked.journal.epoch, 2)]
        hooked.record(*[Opened("x")] * 2)
        assert [hooked.said.line() for _ in range(2)] == list("34")
        hooked.stop()
        hooked.record(*[Opened("x")] * 2)
        hooked.start(opened=SAY)
        assert [hooked.said.line() for _ in range(2)] == list("56")
        assert [line for level, line in hooked.log.all() if level == "WARNING"] == [
            f"hook opened ({SAY}): the journal ends with #2, and the hook had got to #5: an older copy "
            "was put back; it goes on after #2"
        ]

    def test_in_an_older_copy_although_it_is_killed_while_one_fails(self, hooked: Hooked) -> None:
        copy = hooked.copy_of_journal()
        hooked.start(opened=f"{WAIT}; test -e well")
        hooked.record(*[Opened("x")] * 2)
        hooked.go.write("\n\n")
        (hooked.folder / "well").touch()
        assert [hooked.said.line() for _ in range(2)] == list("12")
        hooked.stop()
        hooked.put_back(copy)
        with Child(_PROGRAM, hooked.file, f"{WAIT}; test -e well", "6") as child:
            assert child.said() == "started"
            hooked.record(*[Opened("x")] * 3)
            child.go_on()
            assert hooked.said.line() == "1"
            child.kill()
        hooked.start(opened=f"{WAIT}; test -e well")
        hooked.go.write("\n\n\n\n")
        assert [hooked.said.line() for _ in range(3)] == list("123")

    def test_in_an_older_copy_although_nothing_could_be_noted_at_first(
        self, hooked: Hooked, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(follower, "_STUMBLED_SECONDS", 0.001)
        copy = hooked.copy_of_journal()
        hooked.start(opened=SAY)
        hooked.record(Opened("x"))
        assert hooked.said.line() == "1"
        hooked.stop()
        hooked.put_back(copy)
        file = hooked.folder / store.FILE
        away = file.rename(hooked.folder / "away")
        file.mkdir()
        hooked.start(opened=SAY)
        hooked.record(*[Opened("x")] * 2)
        hooked.log.until("cannot go on")
        file.rmdir()
        away.rename(file)
        hooked.hooks.wake()  # type: ignore[union-attr]
        assert [hooked.said.line() for _ in range(2)] == list("12")

    def test_after_what_was_pruned(self, hooked: Hooked) -> None:
        hooked.start(opened=SAY)
        hooked.stop()
        hooked.record(*[Opened("x")] * 3)
        hooked.journal.prune(AT + timedelta(days=1), AT, limit=2, least=1)
        hooked.start(opened=SAY)
        assert hooked.said.line() == "3"
        assert hooked.log.until("pruned") == (
            "WARNING",
            f"hook opened ({SAY}): events 1 to 2 are gone, pruned before it got so far; "
            "it goes on after that",
        )

    def test_at_the_newest_if_the_file_is_damaged(self, hooked: Hooked) -> None:
        hooked.start(opened=SAY)
        hooked.stop()
        hooked.record(Opened("x"))
        file = hooked.folder / store.FILE
        file.write_bytes(b"no database " * 1000)
        hooked.start(opened=SAY)
        hooked.record(Opened("x"))
        assert hooked.said.line() == "2"
        level, line = hooked.log.until("damaged")
        (aside,) = hooked.folder.glob(f"{store.FILE}.damaged-*")
        assert level == "WARNING"
        assert aside.name in line
        assert aside.read_bytes() == b"no database " * 1000

    def test_at_the_newest_if_the_file_is_something_else(self, hooked: Hooked) -> None:
        apsw.Connection(str(hooked.folder / store.FILE)).execute("CREATE TABLE other (x)")
        hooked.start(opened=SAY)
        hooked.record(Opened("x"))
        assert hooked.said.line() == "1"
        assert len(list(hooked.folder.glob(f"{store.FILE}.damaged-*"))) == 1

    def test_where_it_was_although_the_file_is_from_before_attempts_were_counted(
        self, hooked: Hooked
    ) -> None:
        hook = failing(FAIL, retry_seconds=1000, retry_max_seconds=1000)
        hooked.start(opened=hook)
        hooked.stop()
        with closing(apsw.Connection(str(hooked.folder / store.FILE))) as connection:
            connection.execute("DROP TABLE tries")
        hooked.record(Opened("x"))
        hooked.start(opened=hook)
        hooked.log.until("#1 ticks/2026-01-20 failed; attempt 1 of 2")
        hooked.stop()
        with hooked.store() as kept:
            (key,) = kept.positions()
            assert kept.tried(key) is not None

    def test_passes_over_what_is_none_of_its_events_for_good(
        self, hooked: Hooked, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(follower, "_NOTE_EVERY", 5)
        hooked.start(opened=SAY)
        hooked.record(*[sealed()] * 7, Opened("x"))
        hooked.said.line()
        hooked.record(*[sealed()] * 3)
        hooked.stop()
        with hooked.store() as kept:
            assert list(kept.positions().values()) == [Position(hooked.journal.epoch, 11)]


class TestWithoutHooks:
    def test_there_is_no_thread_and_no_file(self, hooked: Hooked) -> None:
        before = threading.active_count(), set(hooked.folder.iterdir())
        hooked.start()
        hooked.record(Opened("x"))
        assert (threading.active_count(), set(hooked.folder.iterdir())) == before
        hooked.stop()


class TestWhatFails:
    @pytest.mark.parametrize(
        ("attempt", "seconds"), [(1, 5), (2, 10), (3, 20), (7, 320), (8, 600), (1000, 600)]
    )
    def test_is_tried_again_ever_more_slowly(self, attempt: int, seconds: float) -> None:
        assert backoff(5, 600, attempt) == seconds

    def test_is_tried_again_before_what_comes_after_it(self, hooked: Hooked) -> None:
        run = f"{SAY}; test -e ok || {{ touch ok; exit 1; }}"
        hooked.start(opened=failing(run))
        hooked.record(Opened("x"), Opened("x"))
        assert [hooked.said.line() for _ in range(3)] == ["1", "1", "2"]
        level, line = hooked.log.until("failed")
        assert level == "WARNING"
        assert line.endswith(
            f"#1 {KEY} failed; attempt 1 of 2, tried again in 0.001 s (ended with exit status 1)"
        )

    def test_is_given_up_in_the_end_and_listed(self, hooked: Hooked) -> None:
        hooked.start(opened=failing(f"echo first; {FAIL}"), sealed=SAY)
        first, second = hooked.record(Opened("x"), Opened("y"))
        for record in (first, second):
            level, line = hooked.log.until("given up")
            assert level == "ERROR"
            assert line == (
                f"hook opened (echo first; {FAIL}): #{record.sequence} {KEY} failed 2 times and was given "
                "up; `tickward hooks failed` lists it (ended with exit status 3: sorry)"
            )
        hooked.stop()
        with hooked.store() as kept:
            letter, other = kept.letters()
            assert kept.positions()[letter.hook] == Position(hooked.journal.epoch, 2)
        assert (letter.number, letter.sequence, letter.event, letter.subject) == (1, 1, "opened", KEY)
        assert (letter.error, letter.attempts) == ("ended with exit status 3: first\nsorry", 2)
        assert bytes(letter.message) == to_frames(first, hooked.journal.epoch)[2]
        assert other.sequence == 2

    def test_is_counted_over_a_restart_and_waits_on(
        self, hooked: Hooked, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = [1e9]
        monkeypatch.setattr(follower, "_now", lambda: clock[0])
        hook = failing(f"{SAY}; exit 1", attempts=3, retry_seconds=300, retry_max_seconds=1000)
        hooked.start(opened=hook)
        hooked.record(sealed(), Opened("x"), Opened("x"))
        assert "attempt 1 of 3, tried again in 300 s" in hooked.log.until("failed")[1]
        hooked.stop()
        clock[0] += 299.0
        hooked.start(opened=hook)  # a second too early
        hooked.stop()
        assert hooked.said.line() == "2"
        assert hooked.said.is_silent()
        clock[0] += 1.0
        hooked.start(opened=hook)
        assert "attempt 2 of 3, tried again in 600 s" in hooked.log.until("failed")[1]
        hooked.stop()
        clock[0] += 600.0
        hooked.start(opened=hook)
        assert "#2 ticks/2026-01-20 failed 3 times and was given up" in hooked.log.until("failed")[1]
        assert "#3 ticks/2026-01-20 failed; attempt 1 of 3" in hooked.log.until("failed")[1]
        hooked.stop()
        assert [hooked.said.line() for _ in range(3)] == list("223")
        with hooked.store() as kept:
            assert [(letter.sequence, letter.attempts) for letter in kept.letters()] == [(2, 3)]

    def test_is_counted_although_the_daemon_is_killed(self, hooked: Hooked) -> None:
        hook = failing(f"{WAIT}; exit 1", attempts=3)
        with Child(_PROGRAM, hooked.file, hook.run, "3") as child:
            assert child.said() == "started"
            hooked.record(Opened("x"))
            child.go_on()
            assert hooked.said.line() == "1"
            hooked.go.write()
            assert hooked.said.line() == "1"
            child.kill()
        hooked.start(opened=hook)
        hooked.go.write("\n\n\n")  # also for the one that nobody waits for any more
        assert "attempt 2 of 3" in hooked.log.until("failed")[1]
        assert "failed 3 times" in hooked.log.until("failed")[1]

    def test_waits_for_no_clock_that_was_wrong(self, hooked: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = [2e9]
        monkeypatch.setattr(follower, "_now", lambda: clock[0])
        hook = failing(f"{SAY}; exit 1", attempts=3, retry_seconds=300, retry_max_seconds=300)
        hooked.start(opened=hook)
        hooked.record(Opened("x"))
        hooked.log.until("attempt 1 of 3")
        hooked.stop()
        clock[0] = 1e9
        hooked.start(opened=hook)
        hooked.log.until("attempt 2 of 3")

    def test_begins_anew_in_an_older_copy_of_the_journal(self, hooked: Hooked) -> None:
        copy = hooked.copy_of_journal()
        hook = failing(f"{SAY}; test $TICKWARD_SEQUENCE = 1", retry_seconds=1000, retry_max_seconds=1000)
        hooked.start(opened=hook)
        hooked.record(Opened("x"), Opened("x"))
        hooked.log.until("#2 ticks/2026-01-20 failed; attempt 1 of 2")
        hooked.stop()
        hooked.put_back(copy)
        hooked.start(opened=hook)
        hooked.record(Opened("y"), Opened("y"))
        hooked.log.until("#2 ticks/2026-01-20 failed; attempt 1 of 2")

    def test_keeps_its_count_although_the_disk_is_full(
        self, hooked: Hooked, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise apsw.FullError("database or disk is full")

        monkeypatch.setattr(follower, "_STUMBLED_SECONDS", 0.001)
        monkeypatch.setattr(store.Store, "note_tried", full)
        hooked.start(opened=failing(f"{SAY}; exit 1", attempts=3))
        hooked.record(Opened("x"))
        hooked.log.until("failed 3 times and was given up")
        assert [hooked.said.line() for _ in range(3)] == list("111")

    def test_is_listed_as_far_as_there_is_room(self, hooked: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in (store, follower):
            monkeypatch.setattr(module, "MOST_LETTERS", 2)
        hooked.start(opened=failing(FAIL, attempts=1), sealed=failing("exit 1", attempts=1))
        hooked.record(sealed())
        hooked.log.until("was given up")
        hooked.record(*[Opened("x")] * 3)
        assert hooked.log.until("not listed any more")[0] == "WARNING"
        hooked.stop()
        with hooked.store() as kept:
            assert sorted(letter.sequence for letter in kept.letters()) == [1, 3, 4]

    def test_is_not_delivered_twice_because_a_disk_is_full(
        self, hooked: Hooked, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hooked.start(opened=SAY)
        hooked.record(Opened("x"))
        hooked.log.until("delivered")

        def full(*_: object) -> None:
            raise apsw.FullError("database or disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(follower, "_STUMBLED_SECONDS", 0.001)
            patch.setattr(store.Store, "note", full)
            hooked.record(*[Opened("x")] * 2)
            assert [hooked.said.line() for _ in range(3)] == ["1", "2", "3"]
            assert hooked.log.until("cannot go on")[0] == "ERROR"
        hooked.record(Opened("x"))
        assert hooked.said.line() == "4"
        assert hooked.log.until("served again")[0] == "INFO"
        assert [line for _, line in hooked.log.all() if "cannot go on" in line][1:] == []

    def test_does_not_stop_the_daemon_if_nothing_can_be_noted(
        self, hooked: Hooked, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(follower, "_STUMBLED_SECONDS", 0.001)
        file = hooked.folder / store.FILE
        file.mkdir()
        hooked.start(opened=SAY)
        hooked.record(Opened("x"))
        assert hooked.log.until("cannot go on")[0] == "ERROR"
        file.rmdir()
        assert hooked.said.line() == "1"


class TestStopping:
    def test_delivers_what_is_outstanding(self, hooked: Hooked) -> None:
        hooked.start(opened=WAIT, stopped=SAY)
        hooked.record(Opened("x"), Opened("x"), Stopped("SIGTERM"))
        hooked.go.write("\n\n")
        hooked.stop()
        assert sorted(hooked.said.line() for _ in range(3)) == ["1", "2", "3"]

    def test_ends_what_takes_too_long_and_delivers_it_at_the_next_start(self, hooked: Hooked) -> None:
        hooked.start(opened=WAIT)
        hooked.record(Opened("x"))
        assert hooked.said.line() == "1"
        hooked.stop(0.01)
        assert hooked.log.until("tried again at the next start")[0] == "WARNING"
        hooked.start(opened=WAIT)
        assert hooked.said.line() == "1"
        hooked.go.write()

    def test_does_not_hurry_what_waits_to_be_tried_again(self, hooked: Hooked) -> None:
        hooked.start(opened=failing(f"{SAY}; exit 1", retry_seconds=1000, retry_max_seconds=1000))
        hooked.record(Opened("x"), Opened("x"))
        hooked.log.until("tried again in 1000 s")
        hooked.stop()
        assert hooked.said.line() == "1"
        assert hooked.said.is_silent()
        with hooked.store() as kept:
            assert list(kept.positions().values()) == [Position(hooked.journal.epoch, 0)]
            assert kept.letters() == []


class TestWithoutADaemon:
    """`tickward once` over and over: each pass is a start and a stop, and records in between."""

    @pytest.fixture(autouse=True)
    def _brief(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hooks, "_STOP_SECONDS", 0.0)

    def test_what_runs_has_its_own_time_limit(self, hooked: Hooked) -> None:
        hooked.start(opened=f"{SAY}; read line < go; echo done > said")
        hooked.record(Opened("x"), Stopped("done", "once"))
        assert hooked.said.line() == "1"
        threading.Timer(0.05, hooked.go.write).start()
        hooked.stop(None)
        assert hooked.said.line() == "done"
        with hooked.store() as kept:
            assert list(kept.positions().values()) == [Position(hooked.journal.epoch, 2)]

    @pytest.mark.parametrize("last", [Stopped("done"), Stopped("SIGTERM", "once"), Opened("y")], ids=str)
    def test_what_is_to_end_soon_waits_no_longer(self, hooked: Hooked, last: Event) -> None:
        hooked.start(opened=WAIT)
        hooked.record(Opened("x"), last)
        assert hooked.said.line() == "1"
        hooked.stop(None)
        assert hooked.log.until("tried again at the next start")[0] == "WARNING"
        with hooked.store() as kept:
            (key,) = kept.positions()
            assert kept.tried(key) is None

    def test_what_does_not_fit_is_given_up_in_the_end(
        self, hooked: Hooked, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hooks, "_PASS_SECONDS", 0.05)
        clock = [1e9]
        monkeypatch.setattr(follower, "_now", lambda: clock[0])
        for attempt in (1, 2):
            hooked.start(opened=failing(f"{SAY}; test $TICKWARD_SEQUENCE != 1 || exec sleep 1000"))
            if attempt == 1:
                hooked.record(Opened("x"))
            assert hooked.said.line() == "1"
            hooked.record(Stopped("done", "once"))
            hooked.stop(None)
            clock[0] += 1.0
            level, line = hooked.log.until("failed")
            if attempt == 1:
                assert level == "WARNING"
                assert "failed, because a pass without a daemon waits no longer; attempt 1 of 2" in line
        assert "given up" in line
        hooked.record(Opened("x"))
        hooked.start(opened=failing(f"{SAY}; test $TICKWARD_SEQUENCE != 1 || exec sleep 1000"))
        assert hooked.said.line() == "4"

    def test_what_was_begun_late_has_not_failed(
        self, hooked: Hooked, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hooks, "_PASS_SECONDS", 1.0)
        monkeypatch.setattr(hooks, "_MOST_OF_A_PASS", 1.0)
        ask_to_stop = follower.Follower.ask_to_stop

        def and_go_on(*arguments: Any) -> None:
            ask_to_stop(*arguments)
            hooked.go.write()

        monkeypatch.setattr(follower.Follower, "ask_to_stop", and_go_on)
        hooked.start(opened=WAIT)
        hooked.record(Opened("x"), Opened("x"), Stopped("done", "once"))
        assert hooked.said.line() == "1"
        hooked.stop(None)
        assert f"#2 {KEY} was ended" in hooked.log.until("tried again at the next start")[1]
        with hooked.store() as kept:
            ((key, position),) = kept.positions().items()
            assert (position.sequence, kept.tried(key)) == (1, None)

    def test_one_that_fails_does_not_stay_in_the_way(
        self, hooked: Hooked, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = [1e9]
        monkeypatch.setattr(follower, "_now", lambda: clock[0])
        hook = failing(f"{SAY}; test $TICKWARD_SEQUENCE != 1", attempts=3, retry_seconds=5)
        for said in ("1", "1", "135"):
            hooked.start(opened=hook)
            hooked.record(Opened("x"), Stopped("done", "once"))
            hooked.stop(None)
            clock[0] += 900.0
            assert [hooked.said.line() for _ in said] == list(said)
            assert hooked.said.is_silent()
        with hooked.store() as kept:
            assert [(letter.sequence, letter.attempts) for letter in kept.letters()] == [(1, 3)]


_PROGRAM = """
from pathlib import Path
from watcher.hooks import Hooks
from watcher.settings import Hook, Settings

hook = Hook(sys.argv[2], attempts=int(sys.argv[3]), retry_seconds=0.001)
hooks = Hooks(Settings(hooks={"opened": hook}), Path(sys.argv[1]))
hooks.start()
say("started")
while True:
    wait()
    hooks.wake()
"""


class TestACrash:
    def test_between_running_and_noting_delivers_again(self, hooked: Hooked) -> None:
        with Child(_PROGRAM, hooked.file, WAIT, "6") as child:
            assert child.said() == "started"
            hooked.record(Opened("x"), Opened("x"))
            child.go_on()
            assert hooked.said.line() == "1"
            child.kill()
        hooked.start(opened=WAIT)
        assert hooked.said.line() == "1"
        hooked.go.write("\n\n\n")  # also for the first, which nobody waits for any more
        assert hooked.said.line() == "2"
