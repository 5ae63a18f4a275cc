"""The table of checks: the same in the docs, and whatever a check does, it is a finding."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest

from tests.documents import PROJECT, text_of
from tests.watcher.processes import Child
from watcher.config import load
from watcher.doctor import premises as gathering
from watcher.doctor.bounded import LateError, silent, within
from watcher.doctor.checks import CHECKS, Check, carried_out, diagnosis
from watcher.doctor.finding import Finding, Findings, note, ok, or_ok, problem, warning, worst, worst_first
from watcher.doctor.premises import Premises, gathered
from watcher.events import DAEMON_KEY, Stopped
from watcher.journal import Journal
from watcher.paths import journal_file
from watcher.settings import Settings

NONE = Premises(None, {}, None)
ROW = re.compile(r"^\| `([^`]+)` \| (.+?) \|", re.MULTILINE)


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """What is waited for in vain, as a server that is away is; until the end of the test."""
    event = threading.Event()
    yield event
    event.set()


class TestTheTable:
    def test_is_the_one_in_the_docs(self) -> None:
        rows = ROW.findall(text_of(PROJECT / "docs/doctor.md").partition("## All checks")[2])
        assert rows == [(check.name, check.looks_at) for check in CHECKS]

    def test_names_each_check_once(self) -> None:
        names = [check.name for check in CHECKS]
        assert len(set(names)) == len(names)

    def test_of_the_machine_needs_no_settings(self) -> None:
        for check in CHECKS:
            found = carried_out(check, NONE)
            assert bool(found.findings) == (check.needs == "nothing"), check.name
            assert not any("could not be checked" in each.sentence for each in found.findings)


def fail(_: Premises) -> NoReturn:
    raise ZeroDivisionError("by zero")


def fail_late(_: Premises) -> Findings:
    yield ok("fine so far")
    raise PermissionError(13, "Permission denied", "/srv/x")


class TestACheck:
    @pytest.mark.parametrize(
        ("of", "said"),
        [
            (fail, "could not be checked: ZeroDivisionError: by zero"),
            (fail_late, "could not be checked: PermissionError: [Errno 13] Permission denied: '/srv/x'"),
        ],
    )
    def test_that_fails_is_a_finding(self, of: object, said: str) -> None:
        assert callable(of)
        (found,) = carried_out(Check("x", "nothing", "y", of), NONE).findings
        assert (found.level, found.sentence) == ("problem", said)

    def test_that_has_no_answer_is_a_finding(self, never: threading.Event) -> None:
        def wait(_: Premises) -> Findings:
            never.wait()
            return []

        (found,) = carried_out(Check("x", "nothing", "y", wait), NONE, seconds=0.01).findings
        assert found.level == "problem"
        assert "no answer within 0.01 s" in found.sentence

    def test_has_the_worst_first(self) -> None:
        given = (ok("a"), warning("b", "c"), problem("d", "e"), note("f"))
        found = carried_out(Check("x", "nothing", "y", lambda _: given), NONE)
        assert [each.level for each in found.findings] == ["problem", "warning", "note", "ok"]
        assert found.level == "problem"


class TestBounds:
    def test_an_answer_in_time_is_handed_on_and_so_is_an_error(self) -> None:
        assert within(30, lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            within(30, lambda: 1 // 0)

    def test_a_late_one_is_not_waited_for(self, never: threading.Event) -> None:
        with pytest.raises(LateError):
            within(0.01, never.wait)

    def test_all_are_asked_at_once_and_an_error_is_an_answer(self, never: threading.Event) -> None:
        both = threading.Barrier(2)
        questions = {"a": both.wait, "b": both.wait, "c": lambda: 1 // 0}
        assert silent(questions, 30) == set()
        assert silent({"a": never.wait, "b": lambda: None, "c": never.wait}, 0.2) == {"a", "c"}


class TestLevels:
    def test_the_worst_counts(self) -> None:
        assert worst([]) == "ok"
        assert worst([note("a"), problem("b", "c"), warning("d", "e")]) == "problem"
        assert worst_first([ok("a"), note("b")]) == (note("b"), ok("a"))

    def test_nothing_found_is_fine(self) -> None:
        assert or_ok([], "well") == [Finding("ok", "well")]
        assert or_ok([note("a")], "well") == [note("a")]


def configured(folder: Path) -> Path:
    file = folder / "config.toml"
    file.write_text('[events]\npublish = "ipc://p"\nreplay = "ipc://r"\n')
    return file


class TestPremises:
    def test_a_directory_that_does_not_answer_is_left_out(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, never: threading.Event
    ) -> None:
        silent_one = str(tmp_path / "data/ticks/archive")
        monkeypatch.setattr(
            gathering, "_asking", lambda top: never.wait if str(top) == silent_one else lambda: None
        )
        found = gathered(configured(tmp_path), {}, seconds=0.5)
        assert found.silent == {"archive"}
        assert sorted(found.places()) == ["backup", "root", "state"]
        assert found.overview is None
        levels = {check.name: carried_out(check, found).level for check in CHECKS}
        assert levels["directories"] == "problem"
        assert levels["schema"] == "ok"

    def test_a_directory_that_holds_up_the_settings_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, never: threading.Event
    ) -> None:
        silent_one = str(tmp_path / "data/ticks/archive")
        monkeypatch.setattr(gathering, "load", lambda *_: never.wait())
        monkeypatch.setattr(
            gathering, "_asking", lambda top: never.wait if str(top) == silent_one else lambda: None
        )
        found = gathered(configured(tmp_path), {}, seconds=0.2)
        assert found.settings is None
        assert found.settings_trouble == f"data.archive: {silent_one} has not answered for 0.2 s"
        assert "findmnt" in found.settings_remedy

    def test_a_configuration_that_cannot_be_meant_is_said(self, tmp_path: Path) -> None:
        file = tmp_path / "config.toml"
        for text in ("[compress]\nlevel = 99\n", "no toml", '[clock]\nscale = 2.0\nstart = "x"\n'):
            file.write_text(text)
            found = gathered(file, {})
            assert found.settings is None
            assert str(file) in found.settings_trouble

    def test_a_journal_that_nobody_has_open_is_looked_at_without_a_trace(self, tmp_path: Path) -> None:
        file = configured(tmp_path)
        state = made(load(file, {}))
        before = traces(tmp_path)
        found = diagnosis(file, {})
        assert traces(tmp_path) == before
        assert not [path for path in state.iterdir() if path.name.startswith("journal.db-")]
        assert "1 event" in sentence(found.checks, "journal")

    def test_a_journal_of_one_that_was_killed_is_read_to_its_end(self, tmp_path: Path) -> None:
        file = configured(tmp_path)
        state = made(load(file, {}))
        recording = (
            "from datetime import UTC, datetime\n"
            "from pathlib import Path\n"
            "from watcher.events import DAEMON_KEY, Stopped\n"
            "from watcher.journal import Journal\n"
            "journal = Journal.open_for_writing(Path(sys.argv[1]))\n"
            "journal.record([(DAEMON_KEY, Stopped('x'))], datetime.now(UTC))\n"
            "say('recorded')\n"
            "wait()\n"
        )
        with Child(recording, state / "journal.db") as other:
            assert other.said() == "recorded"
            assert "2 events" in sentence(diagnosis(file, {}).checks, "journal"), "others have it open"
            other.kill()
        (state / "journal.db-shm").unlink()
        before = traces(tmp_path)
        assert "2 events" in sentence(diagnosis(file, {}).checks, "journal")
        assert traces(tmp_path) == before

    def test_a_journal_that_is_damaged_is_a_finding(self, tmp_path: Path) -> None:
        file = configured(tmp_path)
        journal = journal_file(load(file, {}).data)
        journal.parent.mkdir(parents=True)
        journal.write_bytes(b"no journal " * 1000)
        found = diagnosis(file, {})
        assert found.level == "problem"
        assert "cannot be opened" in sentence(found.checks, "journal")
        assert str(journal) in sentence(found.checks, "journal")

    def test_one_that_is_too_large_for_that_is_said(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = configured(tmp_path)
        made(load(file, {}))
        monkeypatch.setattr(gathering, "LARGEST_COPY_BYTES", 100)
        assert "too large" in gathered(file, {}).overview_trouble


def made(settings: Settings) -> Path:
    """A journal with one event; its directory."""
    file = journal_file(settings.data)
    file.parent.mkdir(parents=True)
    with closing(Journal.open_for_writing(file)) as journal:
        journal.record([(DAEMON_KEY, Stopped("x"))], datetime.now(UTC))
    return file.parent


def traces(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything below a folder, with its size and when it was changed."""
    found = {str(path): path.lstat() for path in [folder, *folder.rglob("*")]}
    return {path: (status.st_size, status.st_mtime_ns) for path, status in found.items()}


def sentence(checks: object, name: str) -> str:
    assert isinstance(checks, tuple)
    (found,) = (each for each in checks if each.check == name)
    return "; ".join(each.sentence for each in found.findings)
