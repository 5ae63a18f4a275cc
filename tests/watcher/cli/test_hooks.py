"""`tickward hooks`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import Raw

from tests.watcher.builders import sealed
from tests.watcher.cli.conftest import Terminal
from watcher.events import Opened, Stopped
from watcher.hooks.bound import BoundHook
from watcher.hooks.store import Letter, Store
from watcher.journal import Journal
from watcher.settings import Hook
from watcher.wire import Position, to_frames

AT = datetime(2026, 1, 20, 0, 5, tzinfo=UTC)
STATE = Path("data/ticks/state")
HOOKS = """
[hooks]
opened = 'test -e ok && echo "$TICKWARD_DAY" >> done'
stopped = "https://me:s3cret@h.example/s3cret?s3cret"
"""


class Recorded:
    """Two days that were opened and one that was sealed; nothing runs."""

    def __init__(self) -> None:
        STATE.mkdir(parents=True)
        with Journal.open_for_writing(STATE / "journal.db") as journal:
            self.epoch = journal.epoch
            keys = ("ticks/2026-01-18", "ticks/2026-01-19")
            self.opened = journal.record([(key, Opened(f"/r/{key}")) for key in keys], AT)
            journal.record([("ticks/2026-01-18", sealed())], AT)

    def store(self) -> Store:
        return Store.make(STATE / "hooks.db")

    def note(self, hook: BoundHook, sequence: int) -> None:
        with self.store() as store:
            store.note(hook.key, Position(self.epoch, sequence))

    def bury(self, *runs: str) -> None:
        """Each hook has failed with both openings."""
        with self.store() as store:
            for hook in (BoundHook("opened", Hook(run)) for run in runs):
                for record in self.opened:
                    event = Raw(to_frames(record, self.epoch)[2])
                    number, key, what = record.sequence, record.key, ("exit status 1: sorry\n\x1b[2J", 6, AT)
                    store.bury(Letter(hook.key, hook.label, self.epoch, number, "opened", key, event, *what))

    def left(self) -> list[int]:
        with self.store() as store:
            return [letter.number for letter in store.letters()]


RUN = 'test -e ok && echo "$TICKWARD_DAY" >> done'


@pytest.fixture
def recorded(tickward: Terminal) -> Recorded:
    tickward.configure(HOOKS)
    return Recorded()


class TestTheList:
    def test_of_none(self, tickward: Terminal) -> None:
        ended = tickward("hooks")
        assert (ended.code, ended.err) == (0, "")
        assert ended.out == "there are none: [hooks] of the configuration says what is run on which event\n"
        assert tickward("hooks", "--json").json == {"hooks": []}
        assert tickward.tree() == set()

    def test_before_the_first_start(self, tickward: Terminal) -> None:
        tickward.configure(HOOKS)
        assert [each["sequence"] for each in tickward("hooks", "--json").json["hooks"]] == [None, None]
        assert tickward("hooks").out.count("not started yet") == 2
        assert tickward.tree() == {"config.toml"}

    def test_says_how_far_each_is(self, tickward: Terminal, recorded: Recorded) -> None:
        recorded.note(BoundHook("opened", Hook(RUN)), 1)
        recorded.note(BoundHook("stopped", Hook("https://me:s3cret@h.example/s3cret?s3cret")), 0)
        recorded.bury("old one")
        opened, stopped, old = tickward("hooks", "--json").json["hooks"]
        assert opened == {
            "event": "opened",
            "runs": RUN,
            "configured": True,
            "sequence": 1,
            "head": 3,
            "waiting": 1,
            "failed": 0,
        }
        assert (stopped["runs"], stopped["sequence"], stopped["waiting"]) == ("https://h.example/…", 3, 0)
        assert old == {
            "event": "opened",
            "runs": "old one",
            "configured": False,
            "sequence": None,
            "head": 3,
            "waiting": None,
            "failed": 2,
        }
        shown = tickward("hooks").out
        assert "1 of 3" in shown
        assert "not in the settings any more" in shown
        assert "tickward hooks retry --all" in shown
        assert "s3cret" not in shown

    def test_of_a_damaged_file_is_one_sentence(self, tickward: Terminal, recorded: Recorded) -> None:
        (STATE / "hooks.db").write_bytes(b"no database " * 1000)
        ended = tickward("hooks")
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.startswith(f"tickward: {tickward.folder / STATE}/hooks.db cannot be used")


class TestFailed:
    def test_shows_each_with_the_reason(self, tickward: Terminal, recorded: Recorded) -> None:
        recorded.bury(RUN)
        assert tickward("hooks", "failed").out.splitlines()[:3] == [
            f"1: #1 opened ticks/2026-01-18, {RUN}: 6 attempts, 2026-01-20 00:05 UTC",
            "    exit status 1: sorry",
            "    \\x1b[2J",
        ]

    def test_shows_the_whole_event_as_json(self, tickward: Terminal, recorded: Recorded) -> None:
        recorded.bury(RUN)
        first, second = tickward("hooks", "failed", "--json").json["letters"]
        assert (first["number"], second["number"]) == (1, 2)
        assert first["message"]["data"] == {"path": "/r/ticks/2026-01-18"}

    def test_shows_nothing_where_nothing_failed(self, tickward: Terminal) -> None:
        assert tickward("hooks", "failed").out == ""
        assert tickward("hooks", "failed", "--json").json == {"letters": []}
        assert tickward.tree() == set()


class TestRetry:
    def test_of_all_takes_off_the_list_what_succeeds(self, tickward: Terminal, recorded: Recorded) -> None:
        recorded.bury(RUN)
        (STATE / "ok").touch()
        ended = tickward("hooks", "retry", "--all")
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.startswith(f"1: #1 opened ticks/2026-01-18, {RUN}: delivered (")
        assert (STATE / "done").read_text() == "2026-01-18\n2026-01-19\n"
        assert recorded.left() == []

    def test_of_one_that_fails_is_1_and_keeps_it(self, tickward: Terminal, recorded: Recorded) -> None:
        run = 'echo no; test "$TICKWARD_DAY" != 2026-01-18'
        tickward.configure(f"[hooks]\nopened = '{run}'\n")
        recorded.bury(run)
        ended = tickward("hooks", "retry", "1", "2")
        assert ended.code == 1
        first, said, second, _ = ended.out.splitlines()
        assert first.startswith(f"1: #1 opened ticks/2026-01-18, {run}: ended with exit status 1 (")
        assert said == "    no"
        assert ": delivered (" in second
        assert recorded.left() == [1]

    def test_says_as_json_what_came_of_each(self, tickward: Terminal, recorded: Recorded) -> None:
        recorded.bury(RUN)
        ended = tickward("hooks", "retry", "2", "--json")
        (told,) = json.loads(ended.out)["deliveries"]
        assert (ended.code, told["number"], told["ok"]) == (1, 2, False)
        assert (told["error"], told["subject"]) == ("ended with exit status 1", "ticks/2026-01-19")
        assert recorded.left() == [1, 2]

    def test_is_by_the_command_that_has_taken_its_place(self, tickward: Terminal, recorded: Recorded) -> None:
        recorded.bury("tset -e ok")
        (STATE / "ok").touch()
        assert tickward("hooks", "retry", "2").code == 0
        assert (STATE / "done").read_text() == "2026-01-19\n"
        assert recorded.left() == [1]

    @pytest.mark.parametrize(
        ("settings", "said"),
        [("", "none has taken its place"), ("[hooks]\nopened = ['a', 'b']", "several have taken its place")],
    )
    def test_is_refused_if_there_is_no_such_command(
        self, tickward: Terminal, recorded: Recorded, settings: str, said: str
    ) -> None:
        recorded.bury("old one")
        tickward.configure(settings)
        ended = tickward("hooks", "retry", "--all")
        assert ended.code == 2
        assert said in ended.err
        assert "`tickward hooks drop 1`" in ended.err
        assert recorded.left() == [1, 2]

    @pytest.mark.parametrize("which", [[], ["1", "--all"]], ids=" ".join)
    def test_must_say_which(self, tickward: Terminal, recorded: Recorded, which: list[str]) -> None:
        ended = tickward("hooks", "retry", *which)
        assert ended.code == 2
        assert ended.err == "tickward: say which: ID... as in `tickward hooks failed`, or --all\n"

    def test_of_what_is_not_listed_runs_nothing(self, tickward: Terminal, recorded: Recorded) -> None:
        recorded.bury(RUN)
        ended = tickward("hooks", "retry", "1", "7")
        assert (ended.code, ended.out) == (2, "")
        assert ended.err == "tickward: 7 is not listed by `tickward hooks failed`\n"

    def test_of_all_where_there_are_none(self, tickward: Terminal) -> None:
        assert tickward("hooks", "retry", "--all").code == 0


class TestDrop:
    def test_takes_off_the_list(self, tickward: Terminal, recorded: Recorded) -> None:
        recorded.bury(RUN)
        ended = tickward("hooks", "drop", "1")
        assert ended.out == "1: #1 opened ticks/2026-01-18 is not listed any more\n"
        assert recorded.left() == [2]

    def test_says_as_json_what_is_not_listed_any_more(self, tickward: Terminal, recorded: Recorded) -> None:
        recorded.bury(RUN)
        (told,) = tickward("hooks", "drop", "1", "--json").json["letters"]
        assert (told["number"], told["runs"]) == (1, RUN)

    def test_of_what_is_not_listed(self, tickward: Terminal, recorded: Recorded) -> None:
        recorded.bury(RUN)
        assert tickward("hooks", "drop", "2", "3").code == 2
        assert recorded.left() == [1, 2]


class TestTest:
    @pytest.mark.parametrize(
        ("day", "expected"), [([], "2026-01-19"), (["2026-01-18"], "2026-01-18")], ids=str
    )
    def test_runs_it_with_the_newest(
        self, tickward: Terminal, recorded: Recorded, day: list[str], expected: str
    ) -> None:
        (STATE / "ok").touch()
        ended = tickward("hooks", "test", "opened", *day)
        assert (ended.code, ended.err) == (0, "")
        assert f"opened ticks/{expected}, {RUN}: delivered (" in ended.out
        assert (STATE / "done").read_text() == f"{expected}\n"
        assert not (STATE / "hooks.db").exists()

    def test_says_as_json_what_came_of_it(self, tickward: Terminal, recorded: Recorded) -> None:
        (STATE / "ok").touch()
        (told,) = tickward("hooks", "test", "opened", "--json").json["deliveries"]
        assert (told["number"], told["ok"], told["sequence"]) == (None, True, 2)

    def test_finds_it_far_back(self, tickward: Terminal, recorded: Recorded) -> None:
        with Journal.open_for_writing(STATE / "journal.db") as journal:
            journal.record([("-", Stopped("SIGTERM"))] * 2500, AT)
        assert "#2 opened ticks/2026-01-19" in tickward("hooks", "test", "opened").out

    def test_that_fails_is_1(self, tickward: Terminal, recorded: Recorded) -> None:
        ended = tickward("hooks", "test", "opened")
        assert ended.code == 1
        assert ": ended with exit status 1 (" in ended.out

    def test_without_such_an_event(self, tickward: Terminal, recorded: Recorded) -> None:
        ended = tickward("hooks", "test", "opened", "2026-01-17")
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.startswith("tickward: no event 'opened' of 2026-01-17 was recorded yet")
        assert tickward("hooks", "test", "stopped").code == 1

    def test_without_a_hook(self, tickward: Terminal, recorded: Recorded) -> None:
        ended = tickward("hooks", "test", "sealed")
        assert ended.code == 2
        assert ended.err == (
            "tickward: there is no hook for 'sealed'; the events that have one: opened, stopped\n"
        )


@pytest.mark.parametrize("command", [["retry", "--all"], ["drop", "1"], ["test", "opened"]], ids=" ".join)
def test_nothing_is_run_where_the_environment_asks_for_that(
    tickward: Terminal, recorded: Recorded, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    recorded.bury(RUN)
    (STATE / "ok").touch()
    monkeypatch.setenv("DRY_RUN", "1")
    ended = tickward("hooks", *command)
    assert ended.code == 2
    assert "DRY_RUN is set: no hook is run" in ended.err
    assert not (STATE / "done").exists()
    assert recorded.left() == [1, 2]
