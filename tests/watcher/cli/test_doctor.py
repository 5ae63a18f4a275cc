"""``tickward doctor``, as a person types it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.watcher.cli.conftest import Ended, Terminal
from watcher.cli.documents.registry import PRINTED
from watcher.control import vitals_of
from watcher.doctor.checks import CHECKS
from watcher.doctor.finding import Checked, Diagnosis, Level, note, ok, problem, warning

NOW = datetime(2026, 1, 20, tzinfo=UTC)


def quiet(tickward: Terminal, monkeypatch: pytest.MonkeyPatch, text: str = "") -> None:
    """A configuration of its own, and no crontab of this machine's."""
    tickward.folder.chmod(0o700)
    monkeypatch.setenv("PATH", str(tickward.folder / "nowhere"))
    tickward.configure(f'[events]\npublish = "ipc://p"\nreplay = "ipc://r"\n[log]\nfile = ""\n{text}')


def levels(ended: Ended) -> dict[str, list[str]]:
    document: Any = json.loads(ended.out)
    return {each["check"]: [found["level"] for found in each["findings"]] for each in document["checks"]}


class TestBeforeTheFirstStart:
    def test_nothing_is_changed_and_every_check_is_carried_out(
        self, tickward: Terminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        quiet(tickward, monkeypatch)
        before = tickward.tree()
        ended = tickward("doctor", "--json")
        found = levels(ended)
        assert list(found) == [check.name for check in CHECKS]
        assert all(found.values())
        assert found["journal"] == found["daemon"] == ["note"]
        assert ended.err == ""
        assert tickward.tree() == before

    def test_what_is_said_can_be_read(self, tickward: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
        quiet(tickward, monkeypatch)
        ended = tickward("doctor")
        assert ended.code == 1, "the copies are on the same device"
        lines = [line.rstrip() for line in ended.out.splitlines()]
        assert "\x1b" not in ended.out
        warned = next(at for at, line in enumerate(lines) if line.startswith("warning  devices"))
        assert lines[warned + 1].lstrip().startswith("-> have them on another disk")
        assert lines[-1].startswith("ok ")
        assert "python" in lines[-1]


class TestAConfigurationThatCannotBeMeant:
    def test_is_the_finding_and_the_machine_is_looked_at(
        self, tickward: Terminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Path("config.toml").write_text("[compress]\nlevel = 99\n")
        ended = tickward("doctor")
        assert ended.code == 2
        assert "compress.level: Expected `int` <= 22" in ended.out
        assert "-> correct it: `tickward config check`" in ended.out
        found = levels(tickward("doctor", "--json"))
        assert found["configuration"] == ["problem"]
        assert found["sqlite"] == ["ok"]
        assert found["space"] == []
        assert tickward.tree() == {"config.toml"}

    def test_a_file_that_is_not_there_is_one_too(self, tickward: Terminal) -> None:
        ended = tickward("-c", "nosuch.toml", "doctor")
        assert ended.code == 2
        assert "nosuch.toml does not exist" in ended.out
        assert tickward.tree() == set()


class TestAfterAPass:
    def test_nothing_is_changed_and_the_journal_is_known(
        self, tickward: Terminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        quiet(tickward, monkeypatch)
        assert tickward("once").code == 0
        before = tickward.tree()
        found = levels(tickward("doctor", "--json"))
        assert found["journal"] == found["daemon"] == found["days"] == found["sentinels"] == ["ok"]
        assert tickward.tree() == before

    def test_a_writer_with_the_bug_a_schema_and_a_port_are_found(
        self, tickward: Terminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        quiet(tickward, monkeypatch)
        assert tickward("once").code == 0
        (day,) = (tickward.folder / "data/ticks/db").rglob("ticks_2026-01-20.db")
        with day.open("r+b") as file:
            file.seek(96)
            file.write((3046001).to_bytes(4, "big"))
        (tickward.folder / "schema.sql").write_text("CREATE TABL ticks")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            text = '[data.streams.ticks]\nschema = "schema.sql"\n'
            quiet(tickward, monkeypatch, f'{text}[web]\nlisten = "127.0.0.1:{taken.getsockname()[1]}"\n')
            ended = tickward("doctor")
        assert ended.code == 2
        assert "were written to by SQLite 3.46.1" in ended.out
        assert "is no schema" in ended.out
        assert "is taken by another program" in ended.out


def test_beside_a_daemon_its_addresses_are_its_own(tickward: Terminal) -> None:
    tickward.folder.chmod(0o700)
    tickward.configure_events()
    process = tickward.start("run", stderr=subprocess.PIPE)
    while vitals_of(tickward.folder / "data/ticks/state") is None:
        assert process.poll() is None
    found = levels(tickward("doctor", "--json"))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert found["daemon"] == ["ok"]
    assert found["addresses"] == ["ok"]
    assert found["journal"] == ["ok"]


@pytest.mark.parametrize(("level", "code"), [("ok", 0), ("note", 0), ("warning", 1), ("problem", 2)], ids=str)
def test_the_exit_status_is_that_of_the_worst(
    tickward: Terminal, monkeypatch: pytest.MonkeyPatch, level: Level, code: int
) -> None:
    made = {"ok": ok("a"), "note": note("a"), "warning": warning("a", "b"), "problem": problem("a", "b")}
    found = Diagnosis(NOW, level, "", None, (Checked("x", "y", (made[level],)),))
    monkeypatch.setattr("watcher.doctor.checks.diagnosis", lambda *_: found)
    assert tickward("doctor").code == code


def test_what_a_day_or_a_path_is_called_cannot_move_the_cursor(
    tickward: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = Checked("x", "y", (problem("bad \x1b[2J name", "mv \x07"),))
    found = Diagnosis(NOW, "problem", "", None, (checked,))
    monkeypatch.setattr("watcher.doctor.checks.diagnosis", lambda *_: found)
    ended = tickward("doctor")
    assert "\x1b" not in ended.out
    assert r"bad \x1b[2J name" in ended.out


def test_json_is_of_its_schema(tickward: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(tickward, monkeypatch)
    document = json.loads(tickward("doctor", "--json").out)
    jsonschema.validate(document, dict(PRINTED["doctor"].schema()))
    assert document["config_file"] == str(tickward.folder / "config.toml")
