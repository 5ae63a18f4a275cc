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
from typing import get_args, get_type_hints

import msgspec
import pytest
from msgspec.structs import replace

from handlers.contract import Compressed, Copy, Created, Holder, Repair, Sealed, Signature, Step
from scripts import documentation
from tests.watcher.bus import AT, KEY, Bus
from watcher.answers import REPLAY_LIMIT
from watcher.audit import trail
from watcher.catalogue import KINDS
from watcher.certificates import read_public, write_pair
from watcher.cli.audit import as_csv
from watcher.events import EVENTS, UNRECORDED, Event, Failed, Opened, Tier
from watcher.journal import Journal, Witness
from watcher.keys import KeyRing
from watcher.lifecycle import State
from watcher.publisher import Publisher
from watcher.settings import Events, Settings
from watcher.wire import (
    HEARTBEAT_TOPIC,
    NEWEST,
    REFUSED_TOPIC,
    REPLAY,
    REPLAY_TOPIC,
    SNAPSHOT,
    SNAPSHOT_TOPIC,
    VERSION,
    DatabaseState,
    Message,
    Replay,
    Snapshot,
)

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
    def test_is_as_it_would_be_written(self) -> None:
        for path, content in documentation.events().items():
            assert path.read_text("utf-8") == content, f"{path.name} is stale: run scripts/docs"

    def test_has_every_event_in_the_order_of_the_tables(self) -> None:
        assert list(sections("The catalogue")) == [*EVENTS, *UNRECORDED]

    @pytest.mark.parametrize("name", KINDS)
    def test_has_every_field(self, name: str) -> None:
        assert rows(sections("The catalogue")[name]) == list(KINDS[name].__struct_fields__)

    @pytest.mark.parametrize("name", KINDS)
    def test_says_when_it_may_be_null(self, name: str) -> None:
        text = sections("The catalogue")[name]
        for field in msgspec.structs.fields(KINDS[name]):
            (row,) = re.findall(rf"^\| `{field.name}` \| ([^|]*) \|", text, flags=re.MULTILINE)
            assert ("null" in row) == (type(None) in getattr(field.type, "__args__", ()))

    @pytest.mark.parametrize("name", KINDS)
    def test_says_what_is_not_recorded(self, name: str) -> None:
        assert (documentation.NOT_RECORDED in sections("The catalogue")[name]) == (name in UNRECORDED)

    @pytest.mark.parametrize(
        ("name", "row"),
        [
            ("rotated", "| `previous` | string or null | the day before it; null at the very first start |"),
            ("sealed", "| `signature` | [signature](#signature) | of the file as it was sealed |"),
            ("expired", "| `left` | array of strings | files with the day's name that are no copies of it "),
            ("verified", "| `copies` | array of [copies](#copy) | those that were read |"),
            ("repaired", "| `signature` | [signature](#signature) or null | of the database in the root, "),
            ("failed", "| `retryable` | boolean | false: it is not tried again until the files change "),
            ("health", "| `tiers` | object of [tiers](#tier) | by state, such as `compressed` |"),
            ("health", "| `free_bytes` | object of integers | free bytes by directory of `[data]`: `root`, "),
            ("pruned", "| `facts_sha256` | string | SHA-256 of `anchor_facts`: of one line for each key "),
        ],
    )
    def test_says_it_in_words(self, name: str, row: str) -> None:
        assert f"\n{row}" in sections("The catalogue")[name]

    def test_has_every_step(self) -> None:
        (listed,) = re.findall(r"A step is one of ([^.]*)\.", PAGE)
        assert re.findall(r"`(\w+)`", listed) == list(Step)

    @pytest.mark.parametrize("name", OBJECTS)
    def test_has_the_objects_inside(self, name: str) -> None:
        assert rows(sections("Objects inside")[name]) == list(OBJECTS[name].__struct_fields__)

    def test_has_all_of_them(self) -> None:
        types = msgspec.json.schema_components(KINDS.values())[1]
        assert types.keys() == {kind.__name__ for kind in (*KINDS.values(), *OBJECTS.values())}
        assert sections("Objects inside").keys() == OBJECTS.keys()


class TestTheWire:
    def test_has_every_attribute(self) -> None:
        assert sorted(rows(table("attribute"))) == sorted(Message.__struct_fields__)

    def test_has_every_field_of_an_answer(self) -> None:
        replay, snapshot = PAGE.partition("**Replay.**")[2].partition("**Snapshot.**")[::2]
        assert rows(replay) == list(Replay.__struct_fields__)
        assert rows(snapshot.partition("\n\n|")[2].partition("\n\n")[0]) == list(Snapshot.__struct_fields__)
        assert rows(table("field of a database")) == list(DatabaseState.__struct_fields__)
        assert f"{REPLAY_LIMIT} or about one megabyte at most" in replay
        assert f"{REPLAY_LIMIT} at most" in snapshot

    def test_has_every_status(self) -> None:
        (described,) = re.findall(r"^\| `status` \| (`ok`[^|]*) \|", PAGE, flags=re.MULTILINE)
        assert re.findall(r"`(\w+)`", described.replace("`since`", "").replace("`oldest`", "")) == list(
            get_args(get_type_hints(Replay)["status"])
        )

    def test_has_every_state(self) -> None:
        (listed,) = re.findall(r"^\| `state` \| ([^|]*) \|", PAGE, flags=re.MULTILINE)
        assert set(re.findall(r"`(\w+)`", listed)) == set(State)

    def test_has_the_topics_and_the_words(self) -> None:
        for text in (HEARTBEAT_TOPIC, REPLAY_TOPIC, SNAPSHOT_TOPIC, REFUSED_TOPIC, REPLAY, SNAPSHOT):
            assert f"`{text.decode()}`" in PAGE
        assert f"Version {VERSION}. " in PAGE
        assert NEWEST == 2**64 - 1
        assert "2^64 - 1" in PAGE


def table(first: str) -> str:
    """The table whose first column is called so."""
    return PAGE.partition(f"| {first} |")[2].partition("\n\n")[0]


def code_below(heading: str) -> str:
    """The first example below a heading of the page."""
    code = PAGE.partition(f"# {heading}\n")[2].partition("```python\n")[2].partition("```")[0]
    assert code
    return code


class Example:
    """An example of the page, running; only its addresses are others."""

    def __init__(self, code: str, bus: Bus, defaults: tuple[str, str]) -> None:
        for default, here in zip(defaults, (bus.publish, bus.replay), strict=True):
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


DEFAULTS = Events().publish, Events().replay


@contextmanager
def running(code: str, bus: Bus, defaults: tuple[str, str] = DEFAULTS) -> Iterator[Example]:
    example = Example(code, bus, defaults)
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
    SUBSCRIBER = code_below("A subscriber")
    CREDENTIALS = code_below("Who may listen")
    PLAIN = code_below("Without the subscriber")

    def test_the_subscriber_goes_on_where_it_was(self, bus: Bus) -> None:
        bus.start()
        with running(self.SUBSCRIBER, bus) as example:
            self.record_until_it_has_joined(bus, example, f"sealed {KEY} day.db")
            record(bus, CREATED, COMPRESSED)
            while (line := example.says()) == f"sealed {KEY} day.db":
                pass  # more than one was needed to see that it has joined
            assert line == f"compressed {KEY} day.db.zst"
        record(bus, CREATED, Opened("day.db"), SEALED)
        with running(self.SUBSCRIBER, bus) as example:
            first = example.says()
            if first == f"compressed {KEY} day.db.zst":  # killed before it asked for the next
                first = example.says()
            assert first == f"sealed {KEY} day.db"

    def test_the_subscriber_with_a_key(self, bus: Bus) -> None:
        keys = bus.file.parent / "keys"
        public, _ = write_pair(bus.file.parent, "loader")
        KeyRing(keys).allow("loader", read_public(public))
        (bus.file.parent / "server.key").write_bytes((keys / "server.key").read_bytes())
        record(bus, SEALED)
        publisher = Publisher(
            Settings(events=Events(bus.publish, bus.replay, 0.1, True, str(keys))), bus.file
        )
        bus.publishers.append(publisher)
        publisher.start()
        code = f"{self.CREDENTIALS}\nprint(subscriber.receive(10.0).subject, flush=True)\n"
        with running(code, bus, ("tcp://ticks:5556", "tcp://ticks:5557")) as example:
            assert example.says() == KEY

    def test_without_the_subscriber(self, bus: Bus) -> None:
        bus.start()
        bus.record(REPLAY_LIMIT)
        record(bus, CREATED, SEALED, COMPRESSED)
        with running(self.PLAIN, bus) as example:
            assert example.says() == f"{KEY} 221000"
            self.record_until_it_has_joined(bus, example, f"{KEY} 221000")

    def test_without_the_subscriber_in_an_empty_journal(self, bus: Bus) -> None:
        bus.start()
        with running(self.PLAIN, bus) as example:
            self.record_until_it_has_joined(bus, example, f"{KEY} 221000")

    def test_without_the_subscriber_losses_are_noticed(self, bus: Bus) -> None:
        bus.start()
        record(bus, CREATED, self.sealed(1))
        with running(self.PLAIN, bus) as example:
            assert example.says() == f"{KEY} 1"
            bus.stop()
            record(bus, CREATED, self.sealed(2))  # which nobody publishes
            bus.start()
            assert example.says() == f"{KEY} 2"
            bus.stop()
            bus.new_journal()
            record(bus, self.sealed(3))
            bus.start()
            assert example.says() == f"{KEY} 3"

    def test_are_short(self) -> None:
        assert len(self.SUBSCRIBER.splitlines()) <= 15
        assert len(self.PLAIN.splitlines()) <= 45

    @staticmethod
    def record_until_it_has_joined(bus: Bus, example: Example, line: str) -> None:
        record(bus, SEALED)
        while not (said := example.says(0.05)):
            record(bus, CREATED, SEALED)
        assert said == line

    @staticmethod
    def sealed(ticks: int) -> Sealed:
        return replace(SEALED, ticks=ticks)


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
        code = code_below("The proof")
        (bus.file.parent / "trail.csv").write_text("".join(lines), encoding="utf-8", newline="")
        ended = subprocess.run(
            [sys.executable, "-c", code], cwd=bus.file.parent, capture_output=True, text=True, check=False
        )
        return ended.returncode, ended.stdout.strip()
