"""docs/hooks.md says what is true, and its examples work."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.watcher.builders import compressed, sealed
from tests.watcher.hooked import Hooked, Receiver
from tests.watcher.processes import PROJECT
from watcher.cli.hooks import app
from watcher.config import load
from watcher.events import Failed
from watcher.hooks import hooks, store
from watcher.hooks.delivery import variables
from watcher.hooks.process import TAIL_BYTES
from watcher.settings import Hook
from watcher.wire import Message, from_frames, to_frames

FAILED = Failed("seal", "the disk is full", "free some space", 1, True, None, "")
PAGE = (PROJECT / "docs/hooks.md").read_text()


def example(language: str) -> str:
    """The first of this language."""
    code, *_ = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    return str(code)


def rows(column: str) -> dict[str, str]:
    """The first two columns of a table."""
    table = PAGE.partition(f"\n| {column} |")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]*?) ?\|", table, flags=re.MULTILINE))


@pytest.fixture
def hooked(tmp_path: Path) -> Iterator[Hooked]:
    made = Hooked(tmp_path)
    try:
        yield made
    finally:
        made.close()


class TestTheTables:
    def test_have_the_keys_with_their_defaults(self) -> None:
        fields = msgspec.structs.fields(Hook)
        assert rows("key") == {field.name: "" if field.required else f"{field.default:g}" for field in fields}

    def test_have_the_variables(self, hooked: Hooked) -> None:
        (record,) = hooked.record(compressed())
        message: Message = from_frames(to_frames(record, hooked.journal.epoch))
        assert list(rows("variable")) == list(variables(message))

    def test_the_bounds_are_as_it_says(self) -> None:
        assert f"the newest {store.MOST_LETTERS:,} events" in PAGE
        assert f"the last {TAIL_BYTES // 1024} KB" in PAGE
        assert f"{hooks._STOP_SECONDS:g} s to end" in PAGE
        assert f"{hooks._PASS_SECONDS:g} s in all to end" in PAGE


class TestTheExamples:
    def test_deliver_what_they_say(
        self, hooked: Hooked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        programs, days = tmp_path / "bin", tmp_path / "days"
        programs.mkdir()
        days.mkdir()
        (programs / "load-day").write_text(example("python") + "open('said', 'w').write('loaded\\n')\n")
        (programs / "load-day").chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        monkeypatch.setenv("no_proxy", "*")
        receiver = Receiver()
        try:
            text = example("toml").replace("/mnt/days/", str(days))
            text = text.replace("https://alerts.example", f"http://{receiver.host}")
            (tmp_path / "config.toml").write_text(text)
            hooked.start(**load(tmp_path / "config.toml", environment={}).hooks)
            database = tmp_path / "day.db"
            database.write_text("ticks")
            hooked.record(msgspec.structs.replace(sealed(), path=str(database)), compressed(), FAILED)
            assert receiver.received()[0] == "/tickward?key=secret"
            assert hooked.said.line() == "loaded"
            hooked.stop()
        finally:
            receiver.close()
        assert (days / "day.db").read_text() == "ticks"
        assert (tmp_path / "notes.txt").read_text() == "ticks/2026-01-20 is small now\n"
        with hooked.store() as kept:
            assert kept.letters() == []

    def test_without_a_daemon_is_delivered_before_it_is_done(
        self, hooked: Hooked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program = tmp_path / "bin" / "load-day"
        program.parent.mkdir()
        program.write_text('#!/bin/sh\nread line < go\necho "$1" > said\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        _, toml = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)
        (tmp_path / "config.toml").write_text(toml)
        hooked.start(**load(tmp_path / "config.toml", environment={}).hooks)
        hooked.record(sealed())
        hooked.log.until("was delivered")
        hooked.stop()
        hooked.go.write()
        assert hooked.said.line() == sealed().path

    def test_do_once_what_is_delivered_twice(self, hooked: Hooked) -> None:
        program = hooked.folder / "load"
        program.write_text(example("python"))
        program.chmod(0o755)
        hooked.start(compressed="cat > event; ./load < event; ./load < event; echo > said")
        hooked.record(compressed())
        hooked.said.line()
        (done,) = (hooked.folder / "load-day.done").read_text().split()
        assert done == f"{hooked.journal.epoch:x}-1"


def test_the_commands_are_those_that_there_are() -> None:
    assert set(re.findall(r"tickward hooks (\w+)", PAGE)) == {
        command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands
    }
