"""docs/events.md says what is true: every event with every field, and examples that work."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from handlers.contract import Compressed, Copy, Created, Holder, Repair, Sealed, Signature, Step
from tests.watcher.bus import AT, KEY, Bus
from watcher.audit import trail
from watcher.cli.audit import as_csv
from watcher.events import EVENTS, Event, Failed, Tier
from watcher.journal import Journal, Witness
from watcher.publisher import REPLAY_LIMIT
from watcher.settings import Events
from watcher.wire import End, Message

NASTY = ["größe 日本 🜨", 'a "b", c', "line\nline\r\n", "\x00\x1f\x7f\u2028", "=1+1", "\\u0041 / </script>"]
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/events.md").read_text()
OBJECTS: dict[str, type[msgspec.Struct]] = {
    "signature": Signature,
    "holder": Holder,
    "copy": Copy,
    "repair": Repair,
    "tier": Tier,
}

SIGNATURE = Signature(1, 2, 3)
CREATED = Created("day.db", SIGNATURE)
SEALED = Sealed("day.db", "ab", 1, 221_000, 3, 4, 5, 3_054_000, SIGNATURE)
COMPRESSED = Compressed("day.db.zst", "ab", "cd", 1, 1, 19, 1, "backup/day.db.zst")


def sections(of: str) -> dict[str, str]:
    """What the page says of each thing that has a heading of its own below another one."""
    part = PAGE.partition(f"\n## {of}\n")[2].partition("\n## ")[0]
    found = re.split(r"^### `(\w+)`$", part, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def rows(text: str) -> list[str]:
    """The first column of the tables in it."""
    return re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)


class TestTheCatalogue:
    def test_has_every_event_in_the_order_of_the_table(self) -> None:
        assert list(sections("The catalogue")) == list(EVENTS)

    @pytest.mark.parametrize("name", EVENTS)
    def test_has_every_field(self, name: str) -> None:
        assert rows(sections("The catalogue")[name]) == list(EVENTS[name].__struct_fields__)

    @pytest.mark.parametrize("name", EVENTS)
    def test_says_when_it_may_be_null(self, name: str) -> None:
        text = sections("The catalogue")[name]
        for field in msgspec.structs.fields(EVENTS[name]):
            (row,) = re.findall(rf"^\| `{field.name}` \| ([^|]*) \|", text, flags=re.MULTILINE)
            assert ("null" in row) == (type(None) in getattr(field.type, "__args__", ()))

    def test_has_every_step(self) -> None:
        (listed,) = re.findall(r"A step is one of ([^.]*)\.", PAGE)
        assert re.findall(r"`(\w+)`", listed) == list(Step)

    @pytest.mark.parametrize("name", OBJECTS)
    def test_has_the_objects_inside(self, name: str) -> None:
        assert rows(sections("Objects inside")[name]) == list(OBJECTS[name].__struct_fields__)

    def test_has_all_of_them(self) -> None:
        types = msgspec.json.schema_components(EVENTS.values())[1]
        assert types.keys() == {kind.__name__ for kind in (*EVENTS.values(), *OBJECTS.values())}


class TestTheWire:
    def test_has_every_attribute(self) -> None:
        table = PAGE.partition("| attribute |")[2].partition("\n\n")[0]
        assert sorted(rows(table)) == sorted(Message.__struct_fields__)

    def test_has_the_end_of_a_replay(self) -> None:
        text = PAGE.partition("**Replay.**")[2].partition("Whoever has fewer")[0]
        assert rows(text) == list(End.__struct_fields__)
        assert f"at most {REPLAY_LIMIT};" in text


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    with Bus(tmp_path) as made:
        yield made


class Example:
    """An example of the page, running; only its addresses are others."""

    def __init__(self, number: int, bus: Bus) -> None:
        code = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)[number]
        for default, here in ((Events().publish, bus.publish), (Events().replay, bus.replay)):
            assert default in code
            code = code.replace(default, here)
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=bus.file.parent,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
        )

    def says(self, seconds: float = 10.0) -> str:
        """The next line; empty if none comes in time."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        line = b""
        while ready and not line.endswith(b"\n"):
            letter = os.read(self.process.stdout.fileno(), 1)
            assert letter, "the example has ended"
            line += letter
        return line.decode().rstrip()


@contextmanager
def running(number: int, bus: Bus) -> Iterator[Example]:
    example = Example(number, bus)
    with example.process:
        try:
            yield example
        finally:
            example.process.kill()


def record(bus: Bus, *happened: Event) -> None:
    with Journal.open_for_writing(bus.file) as journal:
        journal.record([(KEY, event) for event in happened], AT)
    for publisher in bus.publishers:
        publisher.wake()


class TestTheExamples:
    def test_the_subscriber_goes_on_where_it_was(self, bus: Bus) -> None:
        bus.start()
        record(bus, CREATED, SEALED)
        with running(0, bus) as example:
            assert example.says() == f"sealed {KEY} day.db"
            record(bus, CREATED, COMPRESSED)
            assert example.says() == f"compressed {KEY} day.db.zst"
            record(bus, SEALED)
            assert example.says() == f"sealed {KEY} day.db"
        record(bus, COMPRESSED)
        with running(0, bus) as example:
            first = example.says()
            if first == f"sealed {KEY} day.db":  # killed before it wrote that down
                first = example.says()
            assert first == f"compressed {KEY} day.db.zst"

    def test_without_the_subscriber(self, bus: Bus) -> None:
        bus.start()
        bus.record(REPLAY_LIMIT)
        record(bus, CREATED, SEALED, COMPRESSED)
        with running(1, bus) as example:
            assert example.says() == f"{KEY} 221000"
            record(bus, SEALED)
            while not (line := example.says(0.05)):  # until it has joined
                record(bus, CREATED, SEALED)
            assert line == f"{KEY} 221000"

    def test_without_the_subscriber_in_an_empty_journal(self, bus: Bus) -> None:
        bus.start()
        with running(1, bus) as example:
            while not (line := example.says(0.05)):
                record(bus, SEALED)
            assert line == f"{KEY} 221000"

    def test_are_short(self) -> None:
        first, *_ = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
        assert len(first.splitlines()) <= 15


class TestTheProof:
    def test_has_every_field_of_what_is_noted_outside(self) -> None:
        table = PAGE.partition("| field of `audit` |")[2].partition("\n\n")[0]
        assert rows(table) == list(Witness.__struct_fields__)

    @pytest.mark.parametrize("pruned", [False, True])
    def test_can_be_checked_without_tickward(self, bus: Bus, pruned: bool) -> None:
        record(bus, *(Failed("seal", text, "", 1, True, None, "") for text in NASTY))
        bus.record(120)
        with Journal.open_for_writing(bus.file) as journal:
            assert not pruned or journal.prune(AT + timedelta(days=1), AT)
            lines = list(as_csv(trail(journal)))
        assert self.check(bus, lines) == (0, "each event follows from the one before")
        for number in (1, len(lines) // 2, len(lines) - 1):
            changed = [*lines[:number], lines[number].replace("T", " ", 1), *lines[number + 1 :]]
            first = 1 if not pruned else 2  # which nothing but the event `pruned` vouches for
            assert (self.check(bus, changed)[0] == 1) == (number >= first)

    def check(self, bus: Bus, lines: list[str]) -> tuple[int, str]:
        code = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)[2]
        (bus.file.parent / "trail.csv").write_text("".join(lines), encoding="utf-8", newline="")
        ended = subprocess.run(
            [sys.executable, "-c", code], cwd=bus.file.parent, capture_output=True, text=True, check=False
        )
        return ended.returncode, ended.stdout.strip()
