"""How far a program has got, in a file: read at the start, kept while it goes on, one program at a time."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.watcher.bus import AT, Bus, in_use, wait_until
from tests.watcher.processes import Child
from tests.watcher.test_subscriber import Script, receive, take
from watcher.events import Stopped
from watcher.journal import Journal
from watcher.subscriber import PositionError, Subscriber, place
from watcher.subscriber.place import PositionFile
from watcher.wire import Position

HERE = Position(0x1A2B, 42)
OF_AN_EARLIER_VERSION = b"tickward 1a2b-42                                       e72235e2\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "last-event"


def read(file: Path) -> Position | None:
    """As another program finds it: what is in use is looked at through a copy."""
    copy = file.with_name("copy")
    copy.write_bytes(file.read_bytes())
    opened = PositionFile(copy)
    opened.close()
    return opened.noted


def refusal(file: Path) -> str:
    before = file.read_bytes() if file.is_file() else b""
    descriptors = in_use()[0]
    with pytest.raises(PositionError) as refused:
        Subscriber(position=file)
    assert not before or file.read_bytes() == before
    wait_until(lambda: in_use()[0] == descriptors)
    return str(refused.value)


class TestGoingOn:
    def test_where_it_was(self, bus: Bus, file: Path) -> None:
        bus.record(5)
        bus.start()
        with Subscriber(bus.publish, bus.replay, since=0, position=file) as source:
            take(source, 3)
            ident = source.id
        with Subscriber(bus.publish, bus.replay, since=0, position=str(file)) as source:
            assert (source.sequence, source.id) == (3, ident)
            assert take(source, 2) == [4, 5]
            assert source.receive(0.0) is None

    def test_in_another_journal_from_its_first_event(self, bus: Bus, file: Path) -> None:
        bus.record(3)
        bus.start()
        with Subscriber(bus.publish, bus.replay, since=0, position=file) as source:
            take(source, 3)
        bus.stop()
        bus.new_journal()
        bus.record(4)
        bus.start()
        with Subscriber(bus.publish, bus.replay, position=file) as source:
            assert take(source, 4) == [1, 2, 3, 4]

    def test_in_the_journal_that_it_had_before(self, bus: Bus, file: Path, tmp_path: Path) -> None:
        """As after a daemon of another configuration was at the address for a moment."""
        bus.record(5)
        bus.start()
        with Subscriber(bus.publish, bus.replay, since=0, position=file) as source:
            take(source, 5)
        bus.stop()
        shutil.copy(bus.file, tmp_path / "first")
        bus.new_journal()
        bus.record(2)
        bus.start()
        with Subscriber(bus.publish, bus.replay, position=file) as source:
            assert take(source, 2) == [1, 2]
        bus.stop()
        bus.new_journal()
        shutil.copy(tmp_path / "first", bus.file)
        bus.record(1)
        bus.start()
        with Subscriber(bus.publish, bus.replay, position=file) as source:
            assert take(source, 1) == [6]

    def test_with_what_is_new_if_nothing_was_noted(self, bus: Bus, file: Path) -> None:
        bus.record(3)
        started = bus.start()
        with Subscriber(bus.publish, bus.replay, position=file) as source:
            while source.id is None:
                assert source.receive(0.01) is None
        bus.record(2)
        started.wake()
        with Subscriber(bus.publish, bus.replay, position=file) as source:
            assert take(source, 2) == [4, 5]

    def test_after_a_kill_with_the_event_that_was_in_hand(self, bus: Bus, file: Path) -> None:
        bus.record(5)
        bus.start()
        program = """
from watcher.subscriber import Subscriber

for event in Subscriber(*sys.argv[1:3], since=0, position=sys.argv[3]):
    say(event.sequence)
    if event.sequence == 3:
        wait()
"""
        with Child(program, bus.publish, bus.replay, file) as child:
            assert [child.said() for _ in range(3)] == ["1", "2", "3"]
            child.kill()
        with Subscriber(bus.publish, bus.replay, position=file) as source:
            assert take(source, 3) == [3, 4, 5]


class TestWhenItIsNoted:
    def test_when_the_next_event_is_asked_for(self, bus: Bus, file: Path) -> None:
        bus.record(3)
        bus.start()
        with Subscriber(bus.publish, bus.replay, since=0, position=file) as source:
            for number in (1, 2, 3):
                receive(source)
                noted = read(file)
                assert noted is not None
                assert noted.sequence == number - 1

    def test_before_the_first_of_all(self, bus: Bus, file: Path) -> None:
        """Whoever is killed over it wants it again, and not what is new by then."""
        script = Script(bus)
        with Subscriber(bus.publish, bus.replay, position=file) as source:
            script.joined()
            since = script.question(source)
            script.pub.send_multipart(script.event(4))
            assert source._sub.poll(10_000)
            script.answer(since, [], head=3)
            assert take(source, 1) == [4]
            assert read(file) == Position(script.EPOCH, 3)

    def test_when_it_waits_also_what_is_not_wanted(self, bus: Bus, file: Path) -> None:
        bus.record(3)
        bus.start()
        options = {"since": 0, "position": file, "events": "stopped"}
        with Subscriber(bus.publish, bus.replay, **options) as source:  # type: ignore[arg-type]
            while source.sequence < 3:
                assert source.receive(0.01) is None
            assert source.receive(0.0) is None
            noted = read(file)
            assert noted is not None
            assert noted.sequence == 3

    def test_in_the_end(self, bus: Bus, file: Path) -> None:
        bus.record(3)
        bus.start()
        source = Subscriber(bus.publish, bus.replay, since=0, position=file)
        for event in itertools.islice(source, 2):
            assert event.sequence
        source.close()
        with Subscriber(bus.publish, bus.replay, position=file) as source:
            assert take(source, 1) == [3]

    def test_not_if_the_program_stumbled(self, bus: Bus, file: Path) -> None:
        bus.record(3)
        bus.start()
        with pytest.raises(ZeroDivisionError):
            self.stumble(Subscriber(bus.publish, bus.replay, since=0, position=file))
        with Subscriber(bus.publish, bus.replay, position=file) as source:
            assert take(source, 2) == [2, 3]

    @staticmethod
    def stumble(subscriber: Subscriber) -> None:
        with subscriber as source:
            for event in source:
                assert 1 / (event.sequence - 2)

    def test_a_snapshot_is_noted_with_the_next_event(self, bus: Bus, file: Path) -> None:
        bus.record(3)
        bus.start()
        with Subscriber(bus.publish, bus.replay, since=0, position=file) as source:
            take(source, 1)
            snapshot = source.snapshot(10.0)
            assert snapshot is not None
            before = read(file)
            assert source.receive(0.0) is None
            after = read(file)
        assert before is not None
        assert (before.sequence, after) == (1, Position(snapshot.epoch, snapshot.sequence))

    def test_on_the_disk_when_it_waits(self, bus: Bus, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        bus.record(3)
        bus.start()
        synced: list[int] = []
        monkeypatch.setattr(place, "_SYNC_SECONDS", 0.0)
        with Subscriber(bus.publish, bus.replay, since=0, position=file) as source:
            take(source, 3)
            monkeypatch.setattr(os, "fsync", synced.append)
            assert source.receive(0.0) is None
            assert len(synced) == 1

    def test_on_the_disk_not_all_the_time(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        synced: list[int] = []
        monkeypatch.setattr(os, "fsync", synced.append)
        opened = PositionFile(file)
        for number in range(100):
            opened.note(Position(7, number))
            opened.sync_if_due()
        before = len(synced)
        opened.close()
        assert (before, len(synced)) == (3, 4)  # the new file and its directory; the first note; in the end
        monkeypatch.setattr(place, "_SYNC_SECONDS", 0.0)
        opened = PositionFile(file)
        opened.note(HERE)
        opened.sync_if_due()
        opened.sync_if_due()
        opened.close()
        assert len(synced) == 5


class TestTheFile:
    def test_is_one_short_line_that_a_person_can_read(self, file: Path) -> None:
        opened = PositionFile(file)
        opened.note(Position(2**64 - 1, 2**64 - 1))
        longest = file.read_bytes()
        opened.note(HERE)
        opened.close()
        assert file.read_bytes().startswith(b"tickward 1a2b-42 ")
        assert len(longest) == 64
        assert len(file.read_text().splitlines()) == 1 + len(opened.left) == 2
        assert read(file) == HERE

    def test_remembers_the_journals_that_it_has_left(self, file: Path) -> None:
        opened = PositionFile(file)
        for epoch in (1, 2, 3, 1, 2):
            opened.note(Position(epoch, 10 * epoch))
            opened.note(Position(epoch, 10 * epoch + 1))
        opened.close()
        again = PositionFile(file)
        again.close()
        assert again.noted == (2, 21)
        assert [*again.left.values()] == [*opened.left.values()] == [(3, 31), (1, 11)]

    def test_only_so_many_that_it_stays_in_one_sector(self, file: Path) -> None:
        opened = PositionFile(file)
        for epoch in range(1, 100):
            opened.note(Position(2**64 - epoch, 2**64 - 1))
        opened.close()
        assert file.stat().st_size == 512
        again = PositionFile(file)
        again.close()
        assert [*again.left] == [*opened.left] == [2**64 - epoch for epoch in range(92, 99)]

    def test_of_an_earlier_version_is_read(self, file: Path) -> None:
        file.write_bytes(OF_AN_EARLIER_VERSION)
        assert read(file) == HERE

    def test_says_that_nothing_was_noted_yet(self, file: Path) -> None:
        opened = PositionFile(file)
        assert file.read_bytes().startswith(b"tickward - ")
        assert [path.name for path in file.parent.iterdir()] == [file.name]
        opened.abandon()  # as by a kill
        assert read(file) is None

    def test_is_made_where_a_link_leads(self, file: Path, tmp_path: Path) -> None:
        file.symlink_to(tmp_path / "there")
        PositionFile(file).close()
        assert (tmp_path / "there").is_file()
        assert file.is_symlink()

    def test_is_made_where_there_are_no_hard_links(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
        PositionFile(file).close()
        assert [path.name for path in file.parent.iterdir()] == [file.name]

    def test_is_made_by_one(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        link = os.link
        monkeypatch.setattr(os, "link", lambda *names: [link(*names), link(*names)])  # it is second
        PositionFile(file).close()
        assert [path.name for path in file.parent.iterdir()] == [file.name]

    def test_belongs_to_no_child_of_that_program(self, bus: Bus, file: Path) -> None:
        bus.record(3)
        bus.start()
        program = """
from watcher.subscriber import ClosedError, Subscriber

with Subscriber(*sys.argv[1:3], since=0, position=sys.argv[3]) as source:
    source.receive()
    if os.fork() == 0:
        try:
            source.receive()
        except ClosedError:
            say(os.getpid())
        wait()
        os._exit(0)
    signal.pause()
"""
        with Child(program, bus.publish, bus.replay, file) as child:
            pid = int(child.said())
            try:
                child.kill()
                with Subscriber(bus.publish, bus.replay, position=file) as source:
                    assert take(source, 3) == [1, 2, 3]
            finally:
                os.kill(pid, signal.SIGKILL)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            OF_AN_EARLIER_VERSION[:63],
            OF_AN_EARLIER_VERSION * 2 + b"\n",
            OF_AN_EARLIER_VERSION * 9,
            b"tickward 1a2b-42\n",
            bytes(64),
            b"somebody's notes: " + b"x" * 45 + b"\n",
            b"ticks\n",
            b"\xff\xfe" * 32,
            b"a" * 100_000,
        ],
    )
    def test_that_holds_something_else_is_left_as_it_is(self, file: Path, content: bytes) -> None:
        file.write_bytes(content)
        assert refusal(file) == (
            f"{file} holds no position (any more), and is left as it is: name another file, or remove it and "
            "say with `since` where to begin"
        )

    @pytest.mark.parametrize("changed", range(0, 64, 3))
    def test_that_was_torn_is_recognised(self, file: Path, changed: int) -> None:
        opened = PositionFile(file)
        opened.note(HERE)
        opened.close()
        content = bytearray(file.read_bytes())
        content[changed] ^= 1
        file.write_bytes(content)
        assert "holds no position (any more)" in refusal(file)

    def test_belongs_to_one_program(self, file: Path) -> None:
        with Subscriber("ipc://nobody", "ipc://here", position=file):
            assert refusal(file) == (
                f"{file} is the position of another program, which is running: end that one first, or name "
                "another file for this one"
            )
        Subscriber("ipc://nobody", "ipc://here", position=file).close()

    def test_needs_its_directory(self, tmp_path: Path) -> None:
        file = tmp_path / "state" / "last-event"
        expected = f"the position cannot be kept in {file}: make the directory {file.parent} first"
        assert refusal(file) == expected

    def test_is_no_directory(self, tmp_path: Path) -> None:
        expected = f"the position cannot be kept in {tmp_path} (it is a directory): name another file"
        assert refusal(tmp_path) == expected

    def test_is_no_device(self) -> None:
        assert "holds no position" in refusal(Path("/dev/null"))

    def test_that_fails_later_is_said(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        opened = PositionFile(file)
        opened.note(Position(7, 1))

        def full(*_: object) -> int:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(PositionError, match=r"\(Input/output error\): name another file"):
            opened.note(Position(7, 2))
        assert opened.noted == Position(7, 1)
        opened.close()


def test_filtered_or_not_a_restart_misses_nothing(bus: Bus, file: Path) -> None:
    """Many short lives of a program, while others' events stream by."""
    seen: list[int] = []
    wanted: list[int] = []
    started = bus.start()
    for _ in range(8):
        bus.record(7)
        with Journal.open_for_writing(bus.file) as journal:
            wanted += [record.sequence for record in journal.record([("-", Stopped("done"))], AT)]
        started.wake()
        options = {"since": 0, "position": file, "events": "stopped"}
        with Subscriber(bus.publish, bus.replay, **options) as source:  # type: ignore[arg-type]
            seen.append(receive(source).sequence)
    assert seen == wanted
