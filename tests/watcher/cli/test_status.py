"""`tickward status`, with a daemon and without."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from rich.console import Console
from typer.testing import CliRunner

from handlers.contract import Holder, Step
from scripts.sample_tree import FAILING, configure, grow, settings_below
from tests.watcher.builders import RAW, backed_up, sealed
from tests.watcher.cli.conftest import Terminal
from tests.watcher.cli.test_plan import make
from tests.watcher.processes import PATIENCE_SECONDS, PROJECT, Child
from tests.watcher.view.rows import NOW as NOON
from tests.watcher.view.rows import look, row, vitals
from watcher.cli.console import console
from watcher.cli.main import app
from watcher.cli.status import EXIT_STATUS
from watcher.cli.status_screen import fitting, length, screen
from watcher.events import DAEMON_KEY, Closed, Deferred, Event, Failed, Rotated, Started
from watcher.inventory import ARCHIVE_SENTINEL, BACKUP_SENTINEL
from watcher.journal import Journal
from watcher.view.status import Versions, status_of
from watcher.view.verdict import Kind, Level, Reason, Verdict
from watcher.view.volumes import Volume
from watcher.vitals import Running

Capture = pytest.CaptureFixture[str]
AT = datetime(2026, 1, 20, 0, 5, tzinfo=UTC)
NOTHING_IS_FULL = '[health]\nfree_min = "0 MiB"\n'
DEAF = """
import socket, threading
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1] + '/control')
listening.listen()
def hang_up():
    while True: listening.accept()[0].close()
threading.Thread(target=hang_up, daemon=True).start()
"""
"""It hangs up on whoever asks."""
HOLD = """
from pathlib import Path
from watcher.lock import Lock
lock = Lock(Path(sys.argv[1])); lock.acquire(); say('held'); wait()
"""


def record(folder: Path, *entries: tuple[str, Event], at: datetime = AT) -> None:
    state = folder / "data/ticks/state"
    state.mkdir(parents=True, exist_ok=True)
    with Journal.open_for_writing(state / "journal.db") as journal:
        journal.record(entries, at)


def make_directories(folder: Path) -> None:
    """Those that a first start makes."""
    (folder / "data/ticks/db").mkdir(parents=True, exist_ok=True)
    for top, sentinel in (("backup", BACKUP_SENTINEL), ("archive", ARCHIVE_SENTINEL)):
        (folder / "data/ticks" / top).mkdir(parents=True)
        (folder / "data/ticks" / top / sentinel).touch()


def report(tickward: Terminal) -> Any:
    """What is printed as JSON. The exit status is that of the verdict."""
    ended = tickward("status", "--json")
    found = json.loads(ended.out)
    assert ended.code == EXIT_STATUS[found["verdict"]["level"]], ended.err
    return found


def kinds(found: Any) -> list[tuple[str, str]]:
    return [(reason["level"], reason["kind"]) for reason in found["verdict"]["reasons"]]


class TestWithoutAnything:
    def test_before_the_first_start(self, tickward: Terminal) -> None:
        tickward.configure(NOTHING_IS_FULL)
        before = tickward.tree()
        found = report(tickward)
        assert kinds(found) == [("ATTENTION", "daemon")]
        assert (found["daemon"]["pid"], found["sequence"], found["failures"]) == (None, 0, [])
        ended = tickward("status")
        assert (ended.code, ended.err) == (1, "")
        assert "daemon     none; there never was one" in ended.out
        assert "there is no file" in ended.out
        assert tickward.tree() == before

    def test_it_says_which_configuration_it_goes_by(self, tickward: Terminal) -> None:
        assert report(tickward)["config_file"] == ""
        assert "config     none: the defaults hold" in tickward("status").out
        file = tickward.configure()
        assert report(tickward)["config_file"] == str(file)
        assert f"config     {file}" in tickward("status").out


class TestBesideADaemon:
    def test_that_has_just_begun(self, tickward: Terminal) -> None:
        tickward.configure(NOTHING_IS_FULL)
        make_directories(tickward.folder)
        began = datetime(2026, 1, 20, 12, tzinfo=UTC)
        record(tickward.folder, (DAEMON_KEY, Started("0.1.0", 1, "/r", "3.54.1")), at=began)
        with Child(HOLD, tickward.folder / "data/ticks/state") as daemon:
            assert daemon.said() == "held"
            found = report(tickward)
            assert (found["verdict"]["level"], found["daemon"]["pid"]) == ("OK", daemon.process.pid)
            ended = tickward("status")
        assert ended.code == 0
        assert ended.out.startswith("OK ")
        assert f"one is running, pid {daemon.process.pid}, and does not say how it is" in ended.out
        assert report(tickward)["daemon"]["pid"] is None

    def test_that_does_not_answer(self, tickward: Terminal) -> None:
        tickward.configure(NOTHING_IS_FULL)
        state = tickward.folder / "data/ticks/state"
        state.mkdir(parents=True)
        with Child(DEAF + HOLD, state) as daemon:
            assert daemon.said() == "held"
            assert kinds(report(tickward)) == [("FAILING", "daemon")]
            assert tickward("status").err == ""


class TestTheDays:
    def test_the_active_one(self, tickward: Terminal) -> None:
        tickward.configure()
        path = make(tickward.folder, "2026-01-20")
        with Child("file = open(sys.argv[1], 'r+'); say('open'); wait()", path) as writer:
            assert writer.said() == "open"
            (active,) = report(tickward)["active"]
            out = tickward("status").out
        assert (active["database"], active["path"]) == ("ticks/2026-01-20", str(path))
        assert (active["state"], active["growing"], active["bytes"]) == ("active", True, path.stat().st_size)
        assert f"active     ticks/2026-01-20  growing: written to 0 s ago, 8.19 kB, active; {path}" in out

    def test_one_that_is_held_open(self, tickward: Terminal) -> None:
        tickward.configure()
        make(tickward.folder, "2026-01-19")
        deferred = Deferred("/r/x.db", (Holder(77, "report [x]"),), AT)
        record(tickward.folder, ("ticks/2026-01-19", deferred), ("ticks/2026-01-19", backed_up(live=True)))
        (item,) = report(tickward)["deferred"]
        assert item["holders"] == [{"pid": 77, "name": "report [x]"}]
        assert (item["copied_at"], item["copied_ticks"]) == ("2026-01-20T00:05:00Z", 10)
        assert (
            "ATTENTION  ticks/2026-01-19: not sealed, because it is held by report [x] (pid 77) since "
            "2026-01-20 00:05 UTC; a consistent copy was taken 2026-01-20 00:05 UTC; close it there"
            in tickward("status").out
        )

    def test_a_step_that_failed_says_what_to_do(self, tickward: Terminal) -> None:
        tickward.configure()
        make(tickward.folder, "2026-01-19")
        failed = Failed(Step.SEAL, "disk [full]", "free some space", 3, True, AT, "e")
        record(tickward.folder, ("ticks/2026-01-19", failed))
        ended = tickward("status")
        assert ended.code == 2
        assert "FAILING    ticks/2026-01-19: seal failed: disk [full]; free some space\n" in stripped(
            ended.out
        )
        assert (
            "failed     ticks/2026-01-19 seal: disk [full]; attempt 3, next try 2026-01-20 00:05 UTC"
            in ended.out
        )

    def test_that_are_gone_are_blocked(self, tickward: Terminal) -> None:
        tickward.configure()
        record(tickward.folder, ("ticks/2026-01-19", sealed()))
        (blocked,) = report(tickward)["blocked"]
        assert "is it mounted?" in blocked["sentence"]
        assert blocked["count"] == 3
        assert "3 days, ticks/2026-01-19 to ticks/2026-01-21: the root holds" in tickward("status").out

    def test_what_is_due_is_counted(self, tickward: Terminal) -> None:
        tickward.configure(NOTHING_IS_FULL)
        make_directories(tickward.folder)
        for day in ("2026-01-18", "2026-01-19"):
            make(tickward.folder, day)
        rotated = Rotated("2026-01-20", "2026-01-19", "/r/20.db", "/r/19.db", "clock")
        record(tickward.folder, ("ticks/2026-01-19", Closed("/r/x.db", RAW, 0)), ("ticks", rotated))
        found = report(tickward)
        assert found["states"] == {"absent": 2, "closed": 2}
        steps = {step["step"]: step for step in found["steps"]}
        assert (steps["seal"]["due"], steps["seal"]["overdue"]) == (2, 1)
        assert steps["rotate"]["last"] == "2026-01-20T00:05:00Z"
        assert kinds(found) == [
            ("FAILING", "daemon"),
            ("FAILING", "missing"),
            ("ATTENTION", "overdue"),
        ]
        assert re.search(r"^seal +- +now +2 +1 +0$", stripped(tickward("status").out), re.MULTILINE)


class TestWhatCannotBeTold:
    """Three, for unknown: neither good nor bad."""

    def test_by_a_configuration_that_cannot_be_meant(self, tickward: Terminal) -> None:
        Path("config.toml").write_text("[compress]\nlevel = 99\n")
        ended = tickward("status")
        assert (ended.code, ended.out) == (3, "")
        assert ended.err == "tickward: config.toml: compress.level: Expected `int` <= 22\n"
        assert tickward("--config", "nosuch.toml", "status", "--json").code == 3

    def test_by_a_journal_that_cannot_be_read(self, tickward: Terminal) -> None:
        journal = tickward.folder / "data/ticks/state/journal.db"
        journal.parent.mkdir(parents=True)
        journal.write_bytes(b"no journal " * 1000)
        ended = tickward("status")
        assert (ended.code, ended.out) == (3, "")
        assert ended.err.startswith(f"tickward: the journal {journal} cannot be opened")

    def test_by_a_journal_that_breaks_off(self, tickward: Terminal) -> None:
        record(
            tickward.folder,
            *(
                (f"ticks/2025-{month:02}-{day:02}", sealed())
                for month in range(1, 13)
                for day in range(1, 29)
            ),
        )
        journal = tickward.folder / "data/ticks/state/journal.db"
        size = journal.stat().st_size
        with journal.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xa5" * (size - 4096))
        ended = tickward("status")
        assert (ended.code, ended.out) == (3, "")
        assert len(ended.err.splitlines()) == 1

    def test_by_a_defect(self, tickward: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object, **__: object) -> None:
            raise ZeroDivisionError("by zero")

        monkeypatch.setattr("watcher.overview.overview", fail)
        ended = tickward("status")
        assert ended.code == 3
        assert ended.err == (
            "tickward: how things stand cannot be told: ZeroDivisionError: by zero; --debug shows where\n"
        )
        assert "Traceback" in tickward("--debug", "status").err

    @pytest.mark.parametrize("arguments", [["--watch", "--json"], ["5"]], ids=" ".join)
    def test_because_it_was_asked_wrongly(self, tickward: Terminal, arguments: list[str]) -> None:
        ended = tickward("status", *arguments)
        assert (ended.code, ended.out) == (3, "")
        assert "--watch" in ended.err


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a tree of 200 days with every trouble that there is."""
    folder = tmp_path_factory.mktemp("tree")
    settings = settings_below(folder)
    grow(settings, 200, troubles=FAILING, durable=False)
    return configure(folder, settings)


def on_a_terminal(config: Path, columns: int, *arguments: str) -> str:
    environment = {"COLUMNS": str(columns), "LINES": "40", "TERM": "xterm", "FORCE_COLOR": "1"}
    ended = CliRunner(env=environment).invoke(app, ["-c", str(config), "status", *arguments])
    assert ended.exit_code == 2, ended.output
    return ended.output


def stripped(text: str) -> str:
    """Without colours, and without what fills the lines."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return "".join(f"{line.rstrip()}\n" for line in plain.splitlines())


class TestTheScreen:
    def test_of_eighty_columns_and_forty_lines_holds_all_of_it(self, tree: Path) -> None:
        # As if the tree were in /srv/tickward: the name of a test's own folder is longer than most.
        columns = 80 + max(0, len(str(tree.parent)) - len("/srv/tickward"))
        lines = stripped(on_a_terminal(tree, columns)).splitlines()
        assert max(map(len, lines)) <= columns
        assert len(lines) < 40, "and the prompt"
        assert lines[0].startswith("FAILING    at 2026-07-15 09:30 UTC")
        assert lines[1].startswith("FAILING    ticks/2026-0")
        labels = [line.partition(" ")[0] for line in lines if line and not line.startswith(" ")]
        wanted = [
            "daemon",
            "active",
            "failed",
            "on",
            "step",
            "seal",
            "expire",
            "drill",
            "disk",
            "days",
            "config",
        ]
        assert [label for label in labels if label in wanted] == wanted

    def test_says_in_words_what_it_colours(self, tree: Path) -> None:
        coloured = on_a_terminal(tree, 80)
        assert "\x1b[1;31mFAILING" in coloured
        assert "FAILING" in stripped(coloured)

    def test_is_not_folded_in_a_pipe(self, tree: Path, tickward: Terminal) -> None:
        out = tickward("-c", str(tree), "status").out
        assert "\x1b" not in out
        hold = "ticks/2026-05-16 since 2026-05-20 10:00 UTC by ann (uid 1000, pid 812): inquiry 2026-17"
        assert f"on hold    {hold}" in stripped(out).splitlines()

    def test_says_what_it_leaves_out(self, tickward: Terminal) -> None:
        tickward.configure(
            "".join(f'[data.streams.s{number}]\npattern = "s{number}/{{date}}.db"\n' for number in range(30))
        )
        failed = Failed(Step.SEAL, "disk full", "free some", 1, True, AT, "e")
        days = [f"s{number}/2026-01-19" for number in range(8)]
        for key in days:
            path = tickward.folder / f"data/ticks/db/{key}.db"
            path.parent.mkdir(parents=True)
            path.write_bytes(b"x")
        record(tickward.folder, *((key, failed) for key in days))
        out = stripped(tickward("status").out)
        assert f"8 days, {days[0]} to {days[-1]}: seal failed: disk full; free some\n" in out
        assert out.count("s0/2026-01-19 seal") == 1
        assert "           and 25 more: --json lists them\n" in out, "of 30 streams"
        assert "           and 3 more: --json lists them\n" in out, "of 8 failures"
        assert len(report(tickward)["active"]) == 30

    def test_says_what_the_daemon_is_at_and_when_a_volume_is_full(self, capsys: Capture) -> None:
        jobs = (
            Running("ticks/2026-01-11", Step.COMPRESS, NOON - timedelta(minutes=3), 500, 2000),
            Running("ticks/2026-01-10", Step.ARCHIVE, NOON, 0, 0),
        )
        overview = look(row(), vitals=vitals(running=jobs, waiting=1200, orders=1))
        volumes = (
            Volume(("root", "state"), 10**9, 2 * 10**9, low=True, growth_bytes=10**8, days_until_full=10),
        )
        console().print(screen(status_of(overview, volumes, {}, config_file="", versions=Versions("1", "3"))))
        lines = stripped(capsys.readouterr().out).splitlines()
        for line in (
            "daemon     running, pid 4711, since 2026-01-19 12:00 UTC; looked at everything 9 s ago",
            "           tickward 0.1.0, SQLite 3.54.1",
            "at work    compress ticks/2026-01-11 for 3 min, 25% of 2 kB",
            "           archive ticks/2026-01-10 for 0 s",
            "waiting    for a worker: 1,200; ordered by people: 1",
            "disk       root, state: 1 GB of 2 GB free; +100 MB a day: full in 10 days; LOW",
        ):
            assert line in lines

    def test_many_reasons_of_one_kind_hide_no_other(self, capsys: Capture) -> None:
        def reason(level: Level, kind: Kind, number: int) -> Reason:
            return Reason(level, kind, f"{kind} {number}", "mend it", 1, f"ticks/2026-01-{number:02}", ())

        reasons = (
            reason("FAILING", "missing", 20),
            *(reason("FAILING", "blocked", number) for number in range(1, 10)),
            reason("ATTENTION", "disk", 1),
            reason("ATTENTION", "deferred", 1),
        )
        found = status_of(look(row()), (), {}, config_file="", versions=Versions("1", "3"))
        console().print(screen(replace(found, verdict=Verdict("FAILING", reasons))))
        assert stripped(capsys.readouterr().out).splitlines()[1:6] == [
            "FAILING    ticks/2026-01-20: missing 20; mend it",
            "FAILING    ticks/2026-01-01: blocked 1; mend it",
            "           and 8 more of this kind (blocked): --json lists them",
            "ATTENTION  ticks/2026-01-01: disk 1; mend it",
            "ATTENTION  ticks/2026-01-01: deferred 1; mend it",
        ]

    def test_that_is_too_small_says_so(self) -> None:
        out = Console(width=40, height=5)
        assert fitting("\n".join("abcd"), out).plain == "a\nb\nc\nd"
        assert fitting("\n".join("abcdefg"), out).plain.splitlines() == [
            *"abcd",
            "and 3 more lines: a higher window shows them",
        ]


@pytest.mark.parametrize(
    ("time", "said"),
    [
        (timedelta(0), "0 s"),
        (timedelta(seconds=59.9), "59 s"),
        (timedelta(minutes=1), "1 min"),
        (timedelta(hours=3, minutes=14), "3 h 14 min"),
        (timedelta(hours=48), "2 days"),
        (timedelta(days=1234), "1,234 days"),
    ],
)
def test_how_long_something_is_ago(time: timedelta, said: str) -> None:
    assert length(time.total_seconds()) == said


class TestWatching:
    def test_in_a_terminal_it_redraws_until_it_is_interrupted(self, tree: Path) -> None:
        with Screen("-c", str(tree), "status", "--watch", "0.1") as screen:
            screen.until(lambda seen: seen.count("at 2026-07-15 09:30 UTC") >= 2)
            assert screen.interrupt() == 0
        assert screen.seen.startswith("\x1b[?1049h"), "on a screen of its own"
        assert "\x1b[?1049l" in screen.seen, "which gives way to what was there before"
        assert "Traceback" not in screen.seen

    def test_in_a_pipe_one_follows_the_other(self, tree: Path, tickward: Terminal, naps: Naps) -> None:
        ended = tickward("-c", str(tree), "status", "--watch", "7.5")
        assert (ended.code, ended.err) == (0, "")
        assert stripped(ended.out).count("\n\nFAILING    at") == 1
        assert "\x1b" not in ended.out
        assert naps.taken == [7.5, 7.5]

    def test_looking_is_a_tenth_of_the_time_at_most(self, tickward: Terminal, naps: Naps) -> None:
        naps.looks = iter([0.1, 3.0])
        assert tickward("status", "--watch").code == 0
        assert naps.taken == [2.0, 30.0]

    def test_what_cannot_be_told_now_may_be_told_next_time(self, tickward: Terminal, naps: Naps) -> None:
        tickward.configure(NOTHING_IS_FULL)
        journal = tickward.folder / "data/ticks/state/journal.db"
        journal.parent.mkdir(parents=True)
        journal.write_bytes(b"no journal " * 1000)
        naps.meanwhile = journal.unlink
        out = stripped(tickward("status", "--watch").out)
        assert out.startswith(f"UNKNOWN  the journal {journal} cannot be opened")
        assert "ATTENTION  at 2026-01-20" in out


class Naps:
    """Stands in for the time: looks take what they are told, and in the second pause comes a Ctrl-C."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.looks: Iterator[float] = repeat(0.0)
        self.meanwhile: Callable[[], object] = lambda: None
        self._moments = self._told()

    def monotonic(self) -> float:
        return next(self._moments)

    def sleep(self, seconds: float) -> None:
        self.taken.append(seconds)
        if len(self.taken) > 1:
            raise KeyboardInterrupt
        self.meanwhile()

    def _told(self) -> Iterator[float]:
        for seconds in self.looks:
            yield 0.0
            yield seconds


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> Naps:
    made = Naps()
    monkeypatch.setattr("watcher.cli.status.time", made)
    return made


class Screen:
    """A command in a terminal, and what is seen there."""

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        environment = {
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "TERM": "xterm",
            "COLUMNS": "80",
            "LINES": "40",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "watcher", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
        )
        os.close(theirs)
        self.seen = ""

    def until(self, enough: Callable[[str], bool]) -> None:
        for part in self._parts():
            self.seen += part
            if enough(self.seen):
                return
        raise AssertionError(self.seen)

    def interrupt(self) -> int:
        self._process.send_signal(signal.SIGINT)
        self.seen += "".join(self._parts())
        return self._process.wait(PATIENCE_SECONDS)

    def _parts(self) -> Iterator[str]:
        while True:
            try:
                part = os.read(self._ours, 65536)
            except OSError:  # the other end is closed: it has ended
                return
            yield part.decode(errors="replace")

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._ours)
