"""What a subscriber asks and hands out, rule by rule: no sockets, no clock."""

from __future__ import annotations

import pytest

from tests.watcher.bus import Frames, logged
from tests.watcher.test_subscriber_laws import event, handed_out_by, progress
from watcher import wire
from watcher.subscriber.following import ASK_AGAIN_SECONDS, SILENCE_SECONDS, Following
from watcher.subscriber.questions import Question, RefusedError
from watcher.wire import DatabaseState, Position, Refused, Replay, VersionError


class Told:
    """A subscription that is told what a test wants to tell it, at the time 0 unless it says otherwise."""

    def __init__(self, since: int | Position | None = 0, left: dict[int, int] | None = None) -> None:
        start = Position(wire.ANY_EPOCH, since) if isinstance(since, int) else since
        self.following = Following(start, lambda _: True, 0.0, left)

    def asks(self, now: float = 0.0) -> Question:
        assert now >= self.following.due
        question = self.following.question()
        self.following.asked(now)
        return question

    def is_silent(self, now: float = 0.0) -> bool:
        return now < self.following.due

    def answer(
        self,
        since: int,
        numbers: list[int],
        head: int,
        *,
        epoch: int = 1,
        oldest: int = 1,
        now: float = 0.0,
    ) -> None:
        events = tuple(wire.from_frames(event(number, epoch)) for number in numbers)
        body = Replay(since, oldest, "ok", events)
        self.following.take_answer(wire.answer(wire.REPLAY_TOPIC, epoch, head, body), now)

    def page(self, since: int, after: str, head: int, *keys: str, more: bool = False, epoch: int = 1) -> None:
        states = tuple(DatabaseState(key, "active", ticks=head) for key in keys)
        body = wire.Snapshot(since, after, more, "ok", {}, states)
        self.following.take_answer(wire.answer(wire.SNAPSHOT_TOPIC, epoch, head, body), 0.0)

    def hear(self, *messages: Frames, now: float = 0.0) -> None:
        for frames in messages:
            self.following.take_live(frames, now)

    def hands_out(self) -> list[int]:
        found = []
        while (message := handed_out_by(self.following)) is not None:
            found.append(message.sequence)
        return found

    @classmethod
    def in_step(cls, head: int = 2) -> Told:
        """One that has everything, and knows it."""
        told = cls()
        told.asks()
        told.answer(0, list(range(1, head + 1)), head)
        assert told.hands_out() == list(range(1, head + 1))
        assert told.is_silent()
        return told


class TestQuestions:
    def test_the_first_is_for_what_follows(self) -> None:
        assert Told(5).asks() == Question(wire.REPLAY, wire.ANY_EPOCH, 5)
        assert Told(None).asks() == Question(wire.REPLAY, wire.ANY_EPOCH, wire.NEWEST)

    def test_the_next_follows_at_once_and_names_the_journal(self) -> None:
        told = Told()
        told.asks()
        told.answer(0, [1, 2], 3)
        assert told.asks() == Question(wire.REPLAY, 1, 2)
        assert told.hands_out() == [1, 2]

    def test_one_that_is_not_answered_is_put_again_after_ever_longer_waits(self) -> None:
        told, now, waits = Told(), 0.0, []
        for _ in range(5):
            told.asks(now)
            waits.append(told.following.due - now)
            now = told.following.due
        assert waits == [2.0, 4.0, 8.0, 8.0, 8.0]
        told.answer(0, [1], 2, now=now)
        told.asks(now)
        assert told.following.due - now == ASK_AGAIN_SECONDS

    def test_one_that_brings_nothing_is_not_put_again_at_once(self) -> None:
        told = Told.in_step()
        for now in (5.0, 5.0 + ASK_AGAIN_SECONDS):
            told.hear(wire.heartbeat(1, 3))
            told.asks(now)
            told.answer(2, [], 2, now=now)
            told.hear(wire.heartbeat(1, 3))
            assert told.is_silent(now + ASK_AGAIN_SECONDS - 0.1)

    @pytest.mark.parametrize("message", [event(9), wire.heartbeat(1, 4), progress(4)])
    def test_unless_there_is_more_by_now(self, message: Frames) -> None:
        told = Told.in_step()
        told.hear(wire.heartbeat(1, 3))
        told.asks()
        told.answer(2, [], 2)
        told.hear(message)
        told.asks()
        told.answer(2, [], 2)
        told.hear(message, message)
        assert told.is_silent(ASK_AGAIN_SECONDS - 0.1)

    def test_after_silence(self) -> None:
        told = Told.in_step()
        told.hear(wire.heartbeat(1, 2), now=3.0)
        assert told.is_silent(3.0 + SILENCE_SECONDS - 0.1)
        assert told.asks(3.0 + SILENCE_SECONDS) == Question(wire.REPLAY, 1, 2)
        told.answer(2, [], 2, now=9.0)
        assert told.is_silent(9.0 + SILENCE_SECONDS - 0.1)

    @pytest.mark.parametrize("message", [event(4), wire.heartbeat(1, 3), progress(3), event(3, epoch=2)])
    def test_after_whatever_tells_of_something_that_has_not_come(self, message: Frames) -> None:
        told = Told.in_step()
        told.hear(message)
        assert told.asks() == Question(wire.REPLAY, 1, 2)
        assert told.hands_out() == []

    @pytest.mark.parametrize("message", [event(2), event(1), wire.heartbeat(1, 2), progress(2), progress(1)])
    def test_not_after_what_is_known(self, message: Frames) -> None:
        told = Told.in_step()
        told.hear(message)
        assert told.is_silent()

    def test_live_messages_wait_for_the_answer(self) -> None:
        told = Told.in_step()
        assert told.following.listens(0.0)
        told.hear(event(4))
        assert not told.following.listens(0.0)
        told.asks()
        assert not told.following.listens(0.0)
        told.answer(2, [3, 4], 4)
        assert told.following.listens(0.0)

    def test_they_do_not_wait_for_what_cannot_be_asked_yet(self) -> None:
        told = Told.in_step()
        told.hear(wire.heartbeat(1, 1))
        told.asks(5.0)
        told.answer(2, [], 2, now=5.0)
        told.hear([b"garbage"])
        assert told.following.listens(5.0)
        assert not told.following.listens(5.0 + ASK_AGAIN_SECONDS)

    def test_the_answer_to_one_that_was_given_up_is_not_taken_for_this_ones(self) -> None:
        told = Told()
        told.asks()
        told.answer(0, [1], 3)
        told.asks()
        told.answer(0, [1], 1, epoch=99)
        assert told.hands_out() == [1]
        told.answer(1, [2, 3], 3)
        assert told.hands_out() == [2, 3]

    def test_an_answer_that_nobody_asked_for_is_none(self) -> None:
        told = Told.in_step()
        told.answer(2, [3], 3)
        assert told.hands_out() == []


class TestAnswers:
    def test_with_a_hole_is_taken_as_far_as_that(self) -> None:
        told = Told()
        told.asks()
        told.answer(0, [1, 2, 2, 4], 4)
        assert told.hands_out() == [1, 2]
        assert told.asks().since == 2

    def test_that_is_refused_is_raised_and_not_asked_for_again_at_once(self) -> None:
        told = Told()
        told.asks()
        with pytest.raises(RefusedError, match="refuses the question: it is late"):
            told.following.take_answer(wire.answer(wire.REFUSED_TOPIC, 1, 0, Refused("it is late")), 0.0)
        assert told.is_silent(ASK_AGAIN_SECONDS - 0.1)
        assert told.asks(ASK_AGAIN_SECONDS).since == 0

    def test_of_another_version_is_raised(self) -> None:
        told = Told()
        told.asks()
        for topic, hand_over in (
            (wire.REPLAY_TOPIC, told.following.take_answer),
            (wire.HEARTBEAT_TOPIC, told.following.take_live),
        ):
            with pytest.raises(VersionError, match="speaks version 2 of the wire"):
                hand_over([topic, b"\2and more", b""], 0.0)

    def test_of_a_form_that_is_not_known_is_raised_and_nothing_is_skipped(self) -> None:
        told = Told()
        told.asks()
        with pytest.raises(ValueError, match="not a message of tickward"):
            told.following.take_answer([wire.REPLAY_TOPIC, wire.pack(1, 5), b'{"form": "another"}'], 0.0)
        assert told.asks(ASK_AGAIN_SECONDS).since == 0

    def test_of_what_is_no_longer_kept(self) -> None:
        told = Told(3)
        told.asks()
        with logged("WARNING") as warnings:
            told.answer(3, [7, 8], 8, oldest=7)
        assert told.hands_out() == [7, 8]
        assert warnings == ["events 4 to 6 are no longer kept\n"]


class TestWhatIsNoLongerKept:
    def test_is_not_said_to_whoever_wants_what_is_kept(self) -> None:
        told = Told(0)
        told.asks()
        with logged("WARNING") as warnings:
            told.answer(0, [7, 8], 8, oldest=7)
        assert (told.hands_out(), warnings) == ([7, 8], [])

    def test_is_said_to_whoever_was_at_the_beginning_of_this_journal(self) -> None:
        """As a position file says it after a kill over the first event."""
        told = Told(Position(1, 0))
        told.asks()
        with logged("WARNING") as warnings:
            told.answer(0, [7, 8], 8, oldest=7)
        assert (told.hands_out(), warnings) == ([7, 8], ["events 1 to 6 are no longer kept\n"])

    def test_is_said_once_something_was_had_even_if_that_was_nothing(self) -> None:
        told = Told(0)
        told.asks()
        told.answer(0, [], 0, oldest=0)
        told.hear(wire.heartbeat(1, 8))
        told.asks(ASK_AGAIN_SECONDS)
        with logged("WARNING") as warnings:
            told.answer(0, [7, 8], 8, oldest=7, now=ASK_AGAIN_SECONDS)
        assert (told.hands_out(), warnings) == ([7, 8], ["events 1 to 6 are no longer kept\n"])

    def test_of_another_journal_is_said(self) -> None:
        told = Told.in_step(5)
        told.hear(wire.heartbeat(2, 8))
        told.asks()
        with logged("INFO") as lines:
            told.answer(5, [], 8, epoch=2, oldest=7)
            assert told.asks() == Question(wire.REPLAY, 2, 6)
            told.answer(6, [7, 8], 8, epoch=2, oldest=7)
        assert lines == [
            "the daemon has another journal: its events are handed out from the first that it keeps\n",
            "events 1 to 6 are no longer kept\n",
        ]
        assert told.hands_out() == [7, 8]

    def test_of_an_older_copy_is_said(self) -> None:
        told = Told.in_step(9)
        told.hear(wire.heartbeat(1, 8))
        told.asks()
        with logged("WARNING") as warnings:
            told.answer(9, [], 8, oldest=7)
            told.asks()
            told.answer(6, [7, 8], 8, oldest=7)
        assert warnings[1:] == ["events 1 to 6 are no longer kept\n"]
        assert told.hands_out() == [7, 8]


class TestWhatASignalHandlerRaises:
    def test_over_an_event_leaves_it_there(self) -> None:
        told = Told()
        told.asks()
        told.answer(0, [1, 2], 2)
        for _ in range(2):
            upcoming = told.following.upcoming()
            assert upcoming is not None
            assert (upcoming.sequence, told.following.position.sequence) == (1, 0)
        assert told.hands_out() == [1, 2]

    def test_when_an_event_is_done_with_does_not_bring_it_again(self) -> None:
        told = Told()
        told.asks()
        told.answer(0, [1, 2], 2)
        assert told.following.upcoming()
        told.following.handed_out = True
        told.following.before, told.following.handed_out = told.following.position, False
        assert told.hands_out() == [2]
        assert told.following.position == (1, 2)


class TestLiveMessages:
    def test_that_are_damaged_are_asked_for(self) -> None:
        told = Told.in_step()
        told.hear([*event(3)[:2], b"{"])
        assert told.asks().since == 2

    def test_without_a_number_are_no_event(self) -> None:
        told = Told.in_step()
        later, body = wire.topic_of("later", "ticks"), progress(3)[2]
        told.hear([later, wire.pack(1, 3), body])
        assert told.hands_out() == []
        assert told.following.position == (1, 2)

    def test_of_progress_move_nothing(self) -> None:
        told = Told.in_step()
        told.hear(progress(2), [*progress(2)[:2], b"{"])
        assert told.hands_out() == [0]
        assert told.following.position == (1, 2)
        assert told.is_silent()

    def test_of_progress_in_the_past_are_not_handed_out(self) -> None:
        told = Told.in_step()
        told.hear(progress(1), progress(3))
        assert told.hands_out() == []


class TestOtherJournals:
    def test_that_were_left_in_an_earlier_life_are_gone_on_in(self) -> None:
        told = Told(Position(2, 3), left={1: 6})
        told.asks()
        with logged("INFO") as lines:
            told.answer(3, [], 6, epoch=1)
        assert lines == [
            "the daemon has a journal again that it had before: its events are handed out after 5\n"
        ]
        assert told.asks() == Question(wire.REPLAY, 1, 5)
        told.answer(5, [6], 6)
        assert told.hands_out() == [6]

    def test_only_so_many_are_remembered(self) -> None:
        told = Told.in_step()
        for epoch in range(2, 100):
            told.hear(wire.heartbeat(epoch, 1))
            since = told.asks().since
            told.answer(since, [], 1, epoch=epoch)
            told.asks()
            told.answer(0, [1], 1, epoch=epoch)
            assert told.hands_out() == [1]
        assert len(told.following._left) <= 16


class TestSnapshots:
    def test_what_was_not_handed_out_yet_is_in_it(self) -> None:
        told = Told()
        told.asks()
        told.answer(0, [1, 2], 3)
        told.following.begin_snapshot(0.0)
        assert told.asks() == Question(wire.SNAPSHOT, wire.ANY_EPOCH, 0, "")
        told.page(0, "", 3, "ticks/2026-01-20")
        snapshot = told.following.take_snapshot()
        assert snapshot is not None
        assert (snapshot.id, list(snapshot.databases)) == ("1-3", ["ticks/2026-01-20"])
        assert told.hands_out() == []
        assert told.asks() == Question(wire.REPLAY, 1, 3)

    def test_wait_for_the_answer_to_what_was_asked_before(self) -> None:
        told = Told()
        told.asks()
        told.following.begin_snapshot(0.0)
        assert told.is_silent()
        told.answer(0, [1], 1)
        assert told.asks() == Question(wire.SNAPSHOT, wire.ANY_EPOCH, 0, "")
        assert not told.following.listens(0.0)
        told.page(0, "", 1)
        assert told.following.take_snapshot() is not None
        assert told.hands_out() == []

    def test_or_for_as_long_as_any_answer(self) -> None:
        told = Told()
        told.asks()
        told.following.begin_snapshot(0.0)
        assert told.asks(ASK_AGAIN_SECONDS) == Question(wire.SNAPSHOT, wire.ANY_EPOCH, 0, "")

    def test_that_is_given_up_changes_nothing(self) -> None:
        told = Told()
        told.asks()
        told.answer(0, [1, 2], 3)
        told.following.begin_snapshot(0.0)
        told.asks()
        told.following.end_snapshot(0.0)
        assert told.is_silent()
        told.page(0, "", 3, "ticks/2026-01-20")
        assert told.following.take_snapshot() is None
        assert told.asks() == Question(wire.REPLAY, 1, 2)
        assert told.hands_out() == [1, 2]

    def test_a_page_of_one_that_was_given_up_is_none_of_the_next(self) -> None:
        told = Told()
        told.following.begin_snapshot(0.0)
        told.asks()
        told.page(0, "", 5, "a/2026-01-01", more=True)
        told.asks()
        told.following.end_snapshot(0.0)
        told.following.begin_snapshot(0.0)
        told.page(0, "a/2026-01-01", 5, "b/2026-01-01")
        assert told.following.take_snapshot() is None
        assert told.asks() == Question(wire.SNAPSHOT, wire.ANY_EPOCH, 0, "")

    def test_begins_anew_with_another_journal(self) -> None:
        told = Told()
        told.following.begin_snapshot(0.0)
        told.asks()
        told.page(0, "", 5, "a/2026-01-01", "b/2026-01-01", more=True)
        assert told.asks() == Question(wire.SNAPSHOT, 1, 0, "b/2026-01-01")
        told.page(0, "b/2026-01-01", 9, "c/2026-01-01", epoch=2)
        assert told.asks() == Question(wire.SNAPSHOT, wire.ANY_EPOCH, 0, "")
        told.page(0, "", 9, "c/2026-01-01", epoch=2)
        snapshot = told.following.take_snapshot()
        assert snapshot is not None
        assert (snapshot.epoch, list(snapshot.databases)) == (2, ["c/2026-01-01"])

    def test_of_another_journal_does_not_forget_the_first(self) -> None:
        told = Told.in_step()
        told.following.begin_snapshot(0.0)
        told.asks()
        told.page(0, "", 9, epoch=2)
        assert told.following.take_snapshot() is not None
        told.asks()
        told.answer(9, [], 3, epoch=1)
        assert told.asks() == Question(wire.REPLAY, 1, 2)
