"""The logs: whatever they are told, JSON stays one object a line with known keys."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from loguru import logger
from msgspec import Raw

from handlers.contract import (
    Archived,
    Drilled,
    Expired,
    Holder,
    Lost,
    Merged,
    Repaired,
    Step,
    Verified,
)
from tests.watcher.builders import adopted, backed_up, compressed, sealed
from tests.watcher.processes import PROJECT
from watcher import logs
from watcher.errors import ConfigError
from watcher.events import EVENTS as EVERY_EVENT
from watcher.events import (
    Conflict,
    Corrupt,
    Deferred,
    DiskLow,
    Event,
    Failed,
    Health,
    Held,
    Pruned,
    Record,
    Released,
    Reopened,
    Rotated,
    Started,
    name_of,
)
from watcher.settings import Log

AT = datetime(2026, 1, 21, 0, 0, 1, tzinfo=UTC)
KEY = "ticks/2026-01-20"
NASTY = [
    *("{", "}", "{}", "{time}", "{extra[x]}", "%s %d"),
    *("<red>", "</red>", "</>", "<b>{message}</b>", "\\n", "a\nb"),
    *('"quoted"', "é 日本 🜨", "\x1b[31m", "\u2028", os.fsdecode(b"\xff")),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "tickward.jsonl"


@pytest.fixture(autouse=True)
def _quiet_afterwards() -> Iterator[None]:
    yield
    logger.remove()


def set_up(file: Path, level: Any = "DEBUG", debug: bool = False) -> None:
    logs.set_up(Log(file=str(file), level=level), debug)


def lines(file: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in file.read_text().split("\n")[:-1]]
    for line in found:
        assert set(line) <= set(logs.KEYS)
        assert {"time", "level", "message"} <= set(line)
        assert datetime.fromisoformat(line["time"]).utcoffset() == AT.utcoffset()
    return found


def say(event: Event, sequence: int = 7, key: str = KEY, seconds: float | None = None) -> None:
    logs.event_line(
        Record(sequence, AT, name_of(event), key, Raw(msgspec.json.encode(event))), event, seconds
    )


ARCHIVED = Archived("/a/x.db.zst", "aa", "cc", 300, "rename")
EXPIRED = Expired(
    *("aa", "cc", 1000, 300, 10, 2, 1, 2, ("/a/x.db.zst",), 300, ()),
    *("after 180 days", AT, "age", "schedule"),
)
MERGED = Merged("/r/x.db", "aa", "dd", 10, 3, 2, 1, 0, 12, "", "ann")
EVENTS: list[tuple[Event, str, dict[str, Any]]] = [
    (sealed(), "INFO", {"step": "seal", "bytes": 1000}),
    (backed_up(), "INFO", {"step": "backup", "bytes": 1000}),
    (compressed(), "INFO", {"step": "compress", "bytes": 1000}),
    (Reopened("/r/x.db", "late"), "WARNING", {}),
    (Deferred("/r/x.db", (Holder(7, "engine"),), AT), "WARNING", {}),
    (
        Failed(Step.BACKUP, "disk full", "free some", 1, True, AT, "e"),
        "ERROR",
        {"step": "backup", "error": "disk full", "hint": "free some"},
    ),
    (
        Corrupt("seal", "/r/x.db", "damaged", ("row 1",), "look", "e"),
        "CRITICAL",
        {"step": "seal", "error": "damaged", "hint": "look"},
    ),
    (Conflict("/r/x.db", "two versions", "merge", "e"), "ERROR", {"error": "two versions", "hint": "merge"}),
    (ARCHIVED, "INFO", {"step": "archive"}),
    (EXPIRED, "WARNING", {"step": "expire", "bytes": 1000}),
    (MERGED, "INFO", {"step": "merge"}),
    (Held("audit 7", "ann"), "INFO", {}),
    (Released("audit 7", "ann"), "INFO", {}),
    (Verified("aa", (), 300), "INFO", {"step": "verify"}),
    (Repaired("aa", (), (), 300), "WARNING", {"step": "verify"}),
    (
        Lost("aa", 10, (), (), "no good copy is left", "bring one back"),
        "CRITICAL",
        {"step": "verify", "error": "no good copy is left", "hint": "bring one back"},
    ),
    (Drilled("/a/x.db.zst", "aa", 1000, 10), "INFO", {"step": "drill", "bytes": 1000}),
    (adopted(), "INFO", {"step": "adopt"}),
    (Health({}, None, None, {}, 0, 0, 0, {}), "DEBUG", {}),
    (DiskLow({"root": 5}, 7, "free some"), "WARNING", {"hint": "free some"}),
    (Pruned(7, "ab", "cd", AT), "INFO", {}),
]


@pytest.mark.parametrize(("event", "level", "keys"), EVENTS, ids=[name_of(event) for event, _, _ in EVENTS])
def test_an_event_is_one_line_with_its_number(
    file: Path, event: Event, level: str, keys: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(file)
    say(event, sequence=17, seconds=1.50004)
    (line,) = lines(file)
    del line["time"]
    assert line.pop("message").startswith(f"#17 {name_of(event)} {KEY}")
    assert line == {
        "level": level,
        "event": name_of(event),
        "seq": 17,
        "at": "2026-01-21T00:00:01+00:00",
        "database": KEY,
        "seconds": 1.5,
        "data": msgspec.to_builtins(event, str_keys=True) | json.loads(msgspec.json.encode(event)),
        **keys,
    }
    (told,) = capsys.readouterr().err.splitlines()
    assert f"#17 {name_of(event)} {KEY}" in told
    assert told.endswith("(1.50 s)")


def test_an_event_of_the_daemon_or_of_a_stream(file: Path) -> None:
    set_up(file)
    say(Started("0.1", 5, "/r", "3.54"), key="-")
    say(Rotated("2026-01-21", None, "/r/x.db", None, "start"), key="ticks")
    started, rotated = lines(file)
    assert "database" not in started
    assert rotated["database"] == "ticks"


@pytest.mark.parametrize("text", NASTY)
def test_no_text_breaks_a_line(file: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.TextIOWrapper(io.BytesIO(), "utf8", "backslashreplace", write_through=True)  # as Python's own
    monkeypatch.setattr(sys, "stderr", stderr)
    set_up(file)
    shown = text.encode(errors="backslashreplace").decode()
    logger.info("removed {}", text)
    logger.warning(text)
    logger.bind(error=text, hint=text, nosuch=text).error("it failed: {}", text)
    if "\\udc" not in shown:
        say(Failed(Step.SEAL, text, text, 1, True, None, "e"))
    first, second, third, *rest = lines(file)
    assert (first["message"], second["message"]) == (f"removed {shown}", shown)
    assert (third["error"], third["hint"]) == (shown, shown)
    assert all(line["error"] == shown for line in rest)
    stderr.seek(0)
    told = stderr.read()
    assert "Logging error" not in told
    assert told.count(shown) >= 3


def test_nothing_but_known_keys_gets_into_the_file(file: Path) -> None:
    set_up(file)
    logger.bind(password="x", seconds=2.0).info("hello")  # noqa: S106
    (line,) = lines(file)
    assert set(line) == {"time", "level", "message", "seconds"}


def test_an_exception_is_one_line_of_json_with_its_traceback(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(file)
    try:
        raise ValueError("first line\nsecond {line} <red>")
    except ValueError:
        logger.exception("a defect, please report it; it goes on in {:.0f} s", 5.0)
    (line,) = lines(file)
    assert line["level"] == "ERROR"
    assert line["message"] == "a defect, please report it; it goes on in 5 s"
    assert line["traceback"].startswith("Traceback (most recent call last)")
    assert "test_logs.py" in line["traceback"]
    assert "ValueError: first line\nsecond {line} <red>" in line["traceback"]
    assert "ValueError: first line" in capsys.readouterr().err


class Stream(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize("terminal", [False, True])
def test_colour_only_on_a_terminal(file: Path, terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    set_up(file)
    logger.error("hello")
    assert ("\x1b[" in stream.getvalue()) is terminal
    assert "\x1b[" not in file.read_text()


def test_levels(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(file, level="WARNING")
    logger.info("not shown")
    logger.warning("shown")
    assert [line["message"] for line in lines(file)] == ["shown"]
    assert "not shown" not in capsys.readouterr().err
    set_up(file, level="WARNING", debug=True)
    logger.debug("shown too")
    assert lines(file)[-1]["message"] == "shown too"


def test_beside_a_command_what_steps_came_to_is_in_the_file_alone(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up(Log(file=str(file)), quiet=True)
    conflict = Conflict("/r/x.db", "two versions", "merge", "e")
    say(conflict, seconds=0.5)
    assert capsys.readouterr().err == "", "the command has a line for it"
    say(conflict)
    assert "two versions" in capsys.readouterr().err, "noticed, and nobody's order"
    assert [line["event"] for line in lines(file)] == ["conflict", "conflict"]


def test_no_file_if_none_is_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(Log(file=""))
    logger.info("hello")
    assert "hello" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_stays(file: Path) -> None:
    for text in ("one", "two"):
        set_up(file)
        logger.info(text)
    assert [line["message"] for line in lines(file)] == ["one", "two"]


@pytest.mark.parametrize("name", ["{braces}.jsonl", "a b.jsonl", "[x].jsonl", "größe.jsonl", "{time}.jsonl"])
def test_the_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    set_up(tmp_path / "a {b} [c]" / name)
    logger.info("hello")
    assert lines(tmp_path / "a {b} [c]" / name)[0]["message"] == "hello"


def test_a_file_that_cannot_be_opened_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, not a directory")
    with pytest.raises(ConfigError, match=r"^log\.file: .*/taken/x\.jsonl cannot be written .*name another"):
        set_up(tmp_path / "taken" / "x.jsonl")


def test_yesterday_s_file_is_put_aside_and_old_ones_go(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(file)
    logger.info("yesterday")
    logger.remove()
    old = file.with_name("tickward.2025-01-01_00-00-00_000000.jsonl")
    old.write_text("{}\n")
    os.utime(old, (0, 0))
    # loguru keeps the day of a file's beginning with the file, so that it outlives a restart
    yesterday = time.time() - 86400
    monkeypatch.setattr("loguru._file_sink.get_ctime", lambda _: yesterday)
    set_up(file)
    logger.info("today")
    logger.remove()
    assert [line["message"] for line in lines(file)] == ["today"]
    others = [path for path in file.parent.iterdir() if path != file]
    assert [line["message"] for path in others for line in lines(path)] == ["yesterday"]


def test_the_page_tells_of_every_key() -> None:
    page = (PROJECT / "docs" / "logs.md").read_text()
    rows = [line.split("|")[1].strip().strip("`") for line in page.splitlines() if line.startswith("| `")]
    assert rows[: len(logs.KEYS)] == list(logs.KEYS)
    for name, level in logs._LEVELS.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{level}`")]
        assert f"`{name}`" in row


def test_the_page_tells_of_every_step() -> None:
    page = (PROJECT / "docs" / "logs.md").read_text()
    (row,) = [line for line in page.splitlines() if line.startswith("| `step`")]
    assert re.findall(r"`(\w+)`", row)[1:] == list(Step)
    assert set(logs._STEPS.values()) == set(Step)
    assert set(logs._STEPS) <= set(EVERY_EVENT)
    assert set(logs._LEVELS) <= set(EVERY_EVENT)
