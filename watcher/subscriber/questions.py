"""What is asked of the daemon, and how an answer is told from another. Pure."""

from __future__ import annotations

from typing import NamedTuple

from watcher import wire
from watcher.errors import TickwardError
from watcher.wire import Frames, Replay, Snapshot


class RefusedError(TickwardError):
    """The daemon can read a question and does not answer it."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the daemon refuses the question: {why}")


class Question(NamedTuple):
    """One question, as it is on the wire."""

    word: bytes
    epoch: int
    since: int
    after: str | None = None
    """For a snapshot only."""

    def frames(self) -> Frames:
        return wire.question(self.word, self.epoch, self.since, self.after)

    def is_answered_by(self, answer: Replay | Snapshot) -> bool:
        """False for the late answer to a question that was given up."""
        if isinstance(answer, Replay):
            return self.word == wire.REPLAY and self.since == answer.since
        return self.word == wire.SNAPSHOT and (self.since, self.after) == (answer.since, answer.after)
