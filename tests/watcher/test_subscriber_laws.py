"""Laws of what a subscriber asks and hands out, whatever becomes of the messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from tests.watcher.bus import AT
from watcher import wire
from watcher.events import Opened, Progress, Record
from watcher.subscriber.following import (
    ASK_AGAIN_MAX_SECONDS,
    ASK_AGAIN_SECONDS,
    Following,
)
from watcher.subscriber.gathering import Snapshot
from watcher.subscriber.questions import Question
from watcher.wire import DatabaseState, Frames, Message, Position, Replay

LIMIT = 3
"""Events, or databases, in one answer."""
DATABASES = 7


def key_of(number: int) -> str:
    return f"ticks/2026-01-{number % DATABASES + 1:02}"


def record_of(number: int) -> Record:
    data = msgspec.Raw(msgspec.json.encode(Opened(f"{number}")))
    return Record(number, AT, "opened", key_of(number), data)


def event(number: int, epoch: int = 1) -> Frames:
    return wire.to_frames(record_of(number), epoch)


def progress(head: int, epoch: int = 1) -> Frames:
    return wire.progress_frames(key_of(head), Progress("backup", 1, 2), epoch, head, 1, AT)


def handed_out_by(following: Following) -> Message | None:
    """The next message, as the subscribers hand it out."""
    following.done()
    message = following.upcoming()
    following.handed_out = message is not None
    return message


class Journals:
    """What the daemon knows: how far each of its journals has got."""

    def __init__(self) -> None:
        self.epoch = 1
        self.heads = {1: 0, 2: 0, 3: 0}
        self.oldest = dict.fromkeys(self.heads, 1)

    @property
    def head(self) -> int:
        return self.heads[self.epoch]

    def record(self, count: int) -> list[Frames]:
        first = self.head + 1
        self.heads[self.epoch] += count
        return [event(number, self.epoch) for number in range(first, first + count)]

    def heartbeat(self) -> Frames:
        return wire.heartbeat(self.epoch, self.head)

    def answer(self, question: Question) -> Frames:
        if question.word == wire.REPLAY:
            return wire.answer(wire.REPLAY_TOPIC, self.epoch, self.head, self._replay(question))
        return wire.answer(wire.SNAPSHOT_TOPIC, self.epoch, self.head, self._page(question))

    def states(self) -> dict[str, int]:
        """The number of the last event of each database."""
        return {key_of(number): number for number in range(1, self.head + 1)}

    def _replay(self, question: Question) -> Replay:
        since, oldest = question.since, self.oldest[self.epoch] if self.head else 0
        status: Any = self._status(question)
        numbers: list[int] = []
        if status in ("ok", "pruned"):
            numbers = list(range(max(since + 1, oldest, 1), self.head + 1))[:LIMIT]
        events = tuple(wire.message_of(record_of(number), self.epoch) for number in numbers)
        return Replay(since, oldest, status, events)

    def _page(self, question: Question) -> wire.Snapshot:
        assert question.after is not None
        status: Any = self._status(question) if question.since else "ok"
        if question.epoch not in (wire.ANY_EPOCH, self.epoch):
            status = "other_journal"
        found = sorted(
            (key, number)
            for key, number in self.states().items()
            if number > question.since and key > question.after and status == "ok"
        )
        page = tuple(DatabaseState(key, "active", ticks=number) for key, number in found[:LIMIT])
        return wire.Snapshot(question.since, question.after, len(found) > LIMIT, status, {}, page)

    def _status(self, question: Question) -> str:
        if question.epoch not in (wire.ANY_EPOCH, self.epoch):
            return "other_journal"
        if question.since == wire.NEWEST:
            return "ok"
        if question.since > self.head:
            return "ahead"
        return "pruned" if question.since + 1 < self.oldest[self.epoch] else "ok"


class World:
    """A daemon, a subscriber, and between them a net that loses, repeats, delays and reorders."""

    def __init__(self, since: int | None) -> None:
        self.now = 0.0
        self.journals = Journals()
        start = None if since is None else Position(wire.ANY_EPOCH, since)
        self.following = Following(start, lambda _: True, self.now)
        self.live: list[Frames] = []
        self.questions: list[Question] = []
        self.answers: list[Frames] = []
        self.asked = self.answered = 0
        self.seen: dict[int, list[int]] = {}
        """What was handed out, since the snapshot if there was one: the numbers by the epochs."""
        self.snapshot: Snapshot | None = None

    def do(self, what: str, number: int) -> None:
        getattr(self, what)(number)

    def record(self, number: int) -> None:
        for frames in self.journals.record(1 + number % 5):
            self.live.append(frames)

    def beat(self, number: int) -> None:
        self.live += [self.journals.heartbeat(), progress(self.journals.head, self.journals.epoch)]

    def switch(self, number: int) -> None:
        self.journals.epoch = 1 + number % 3

    def prune(self, number: int) -> None:
        """Only what was handed out: what is missing then would be no loss of ours."""
        seen = self.seen.get(self.journals.epoch, [0])
        oldest = self.journals.oldest
        oldest[self.journals.epoch] = max(oldest[self.journals.epoch], seen[-1])

    def hear(self, number: int) -> None:
        if self.live:
            self.following.take_live(self.live.pop(number % len(self.live)), self.now)

    def hear_twice(self, number: int) -> None:
        if self.live:
            self.following.take_live(self.live[number % len(self.live)], self.now)

    def lose(self, number: int) -> None:
        for sent in (self.live, self.questions, self.answers)[number % 3 :]:
            if sent:
                sent.pop(number % len(sent))

    def garbage(self, number: int) -> None:
        topic, position, body = event(number)
        for frames in ([b""], [topic], [topic, b"short", body], [topic, position], [topic, position, b"{"]):
            self.following.take_live(frames, self.now)
            self.following.take_answer(frames, self.now)

    def ask(self, number: int) -> None:
        if self.now >= self.following.due:
            self.questions.append(self.following.question())
            self.following.asked(self.now)
            self.asked += 1

    def answer(self, number: int) -> None:
        if self.questions:
            self.answers.append(self.journals.answer(self.questions.pop(number % len(self.questions))))

    def learn(self, number: int) -> None:
        if self.answers:
            self._learn(self.answers.pop(number % len(self.answers)))

    def converse(self, number: int) -> None:
        """As it should be, for a while."""
        for _ in range(1 + number % 4):
            for what in (self.ask, self.answer, self.learn, self.take):
                what(0)

    def listen(self, number: int) -> None:
        """The same."""
        while self.live and self.following.listens(self.now):
            self.hear(0)
        self.take(0)

    def learn_twice(self, number: int) -> None:
        if self.answers:
            self._learn(self.answers[number % len(self.answers)])

    def _learn(self, frames: Frames) -> None:
        self.answered += 1
        self.following.take_answer(frames, self.now)
        if (snapshot := self.following.take_snapshot()) is not None:
            assert self.following.position == (snapshot.epoch, snapshot.sequence)
            self.snapshot = snapshot
            self.seen.clear()

    def wait(self, number: int) -> None:
        self.now += number / 5

    def take(self, number: int) -> None:
        while (message := handed_out_by(self.following)) is not None:
            if message.sequence:
                epoch, sequence = self.following.position
                assert message.id == f"{epoch:x}-{sequence}"
                self.seen.setdefault(epoch, []).append(message.sequence)

    def calm_down(self) -> None:
        """From now on nothing gets lost, and soon all has come."""
        for sent in (self.live, self.questions, self.answers):
            sent.clear()
        most = sum(self.journals.heads.values()) + 5
        for _ in range(most):
            self.live.append(self.journals.heartbeat())
            for what in (self.hear, self.ask, self.answer, self.learn, self.take):
                what(0)
            self.now += ASK_AGAIN_MAX_SECONDS
            if self.following.position == (self.journals.epoch, self.journals.head):
                break
        self.converse(3)

    @property
    def most_questions(self) -> float:
        """One, one for each answer, and one for each time that none came in time."""
        return 1 + self.answered + self.now / ASK_AGAIN_SECONDS


WHAT = (
    *("record", "beat", "switch", "prune", "hear", "hear", "hear_twice", "lose", "garbage"),
    *("ask", "ask", "answer", "answer", "learn", "learn_twice", "wait", "take"),
    *("converse", "converse", "converse", "listen"),
)


def happening(drawn: bytes) -> list[tuple[str, int]]:
    """What happens, and a number for it, from bytes: those are drawn in a fraction of the time."""
    return [
        (WHAT[what % len(WHAT)], number % 30) for what, number in zip(drawn[::2], drawn[1::2], strict=True)
    ]


happenings = st.integers(30, 60).flatmap(lambda n: st.binary(min_size=2 * n, max_size=2 * n)).map(happening)
half_as_many = st.binary(min_size=40, max_size=40).map(happening)


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    logger.disable("watcher.subscriber")
    yield
    logger.enable("watcher.subscriber")


class TestLaws:
    @given(happenings)
    def test_each_event_once_and_in_order_in_each_journal(self, happened: list[tuple[str, int]]) -> None:
        world = World(since=0)
        for what, number in happened:
            world.do(what, number)
        world.calm_down()
        for numbers in world.seen.values():
            assert numbers == list(range(1, numbers[-1] + 1))
        assert world.seen.get(world.journals.epoch, [0])[-1] == world.journals.head
        assert world.following.position == (world.journals.epoch, world.journals.head)

    @given(happenings)
    def test_questions_do_not_pile_up(self, happened: list[tuple[str, int]]) -> None:
        world = World(since=0)
        for what, number in happened:
            world.do(what, number)
            assert world.asked <= world.most_questions

    @given(happenings)
    def test_what_is_new_is_handed_out_without_a_gap(self, happened: list[tuple[str, int]]) -> None:
        world = World(since=None)
        for what, number in happened:
            world.do(what, number)
        world.calm_down()
        for numbers in world.seen.values():
            assert numbers == list(range(numbers[0], numbers[-1] + 1))
        assert world.following.position == (world.journals.epoch, world.journals.head)

    @given(half_as_many, half_as_many)
    def test_a_snapshot_is_true_at_its_number_and_events_go_on_from_there(
        self, before: list[tuple[str, int]], during: list[tuple[str, int]]
    ) -> None:
        world = World(since=0)
        for what, number in before:
            world.do(what, number)
        world.following.begin_snapshot(world.now)
        for what, number in during:
            world.do(what, number)
        if world.snapshot is None:
            world.following.end_snapshot(world.now)
            self.calmly(world)
        snapshot = world.snapshot
        assert snapshot is not None
        assert {key: each.ticks for key, each in snapshot.databases.items()} == {
            key_of(number): number for number in range(1, snapshot.sequence + 1)
        }
        assert list(snapshot.databases) == sorted(snapshot.databases)
        world.calm_down()
        numbers = world.seen.get(snapshot.epoch, [])
        assert numbers == list(range(snapshot.sequence + 1, snapshot.sequence + 1 + len(numbers)))
        assert world.following.position == (world.journals.epoch, world.journals.head)

    @staticmethod
    def calmly(world: World) -> None:
        world.questions.clear()
        world.answers.clear()
        world.following.begin_snapshot(world.now)
        while world.snapshot is None:
            for what in (world.ask, world.answer, world.learn):
                what(0)
            world.now += ASK_AGAIN_MAX_SECONDS
