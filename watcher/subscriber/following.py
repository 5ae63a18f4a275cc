"""What to ask, when, and what to hand out: each event once and in order. Pure: frames and times are given.

A PUB socket may lose messages and says nothing. So this counts: a gap in the numbers, a heartbeat that knows
of more, or a long silence makes it ask for what it has missed. What it is given may be lost, repeated, late
or foreign: nothing is handed out but the event that comes next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

from loguru import logger

from watcher import wire
from watcher.events import UNRECORDED
from watcher.subscriber.gathering import Gathering, Snapshot
from watcher.subscriber.questions import Question, RefusedError
from watcher.wire import Frames, Message, Position, Refused, Replay

ASK_AGAIN_SECONDS = 2.0
"""How long an answer is waited for at first; how long a question that brought nothing is not put again."""
ASK_AGAIN_MAX_SECONDS = 8.0
"""How long it is waited for at most: longer each time, because whoever has much to answer is late."""
SILENCE_SECONDS = 5.0
"""Without a heartbeat for so long, something may be wrong with the PUB socket: the other one is asked."""
_MOST_JOURNALS_LEFT = 16
_UNRECORDED = frozenset(name.encode() for name in UNRECORDED)


class Following:
    """The state of one subscription.

    Args:
        since: hand out the events after this one; its epoch may be `wire.ANY_EPOCH`. None: those that are
            recorded from now on.
        is_wanted: whether a message is to be handed out.
        left: which event comes next in the journals that the daemon has turned away from before.
        now: as all times here in seconds, by a clock that never goes back.
    """

    def __init__(
        self,
        since: Position | None,
        is_wanted: Callable[[Message], bool],
        now: float,
        left: Mapping[int, int] | None = None,
    ) -> None:
        self.before = Position(wire.ANY_EPOCH, 0) if since is None else since
        """Everything up to here is done with: not what was handed out last."""
        self.handed_out = False
        """Whether the message that `upcoming` tells of was handed out. Set by whoever does that, as the very
        last thing: an exception out of a signal handler is raised at calls, and none may be in between."""
        self._is_wanted = is_wanted
        self._epoch = self.before.epoch
        self._next = None if since is None else since.sequence + 1
        """The number of the event that is needed next; None until the newest one is known."""
        self._waiting: deque[tuple[Position | None, Message | None]] = deque()
        """What has come and was not handed out yet, and what position each of these leads to."""
        self._left = dict(left or {})
        """Which event comes next in the journals that the daemon has turned away from."""
        self._takes_what_is_kept = since == Position(wire.ANY_EPOCH, 0)
        """Whether all that is kept is what was asked for, and nothing of it was had yet."""
        self._gathering: Gathering | None = None
        self._snapshot: Snapshot | None = None

        self._behind = True
        """Whether there may be events that will not come by themselves."""
        self._noticed = 0
        """The highest number of an event that did not come by itself."""
        self._asked: Question | None = None
        """The question that is waiting for its answer."""
        self._ask_at = now
        self._patience = ASK_AGAIN_SECONDS
        self._heard_at = now

    @property
    def due(self) -> float:
        """When the next question is to be put."""
        return self._ask_at if self._has_a_question else self._heard_at + SILENCE_SECONDS

    def listens(self, now: float) -> bool:
        """Whether live messages are to be given to it; they are better left where they are otherwise.

        Beyond a gap they would be dropped, and have to be asked for in their turn.
        """
        return self._asked is None and not (self._has_a_question and now >= self._ask_at)

    def question(self) -> Question:
        """What to ask. Call `asked` once it has left."""
        if self._gathering is not None:
            return self._gathering.question()
        return Question(wire.REPLAY, self._epoch, wire.NEWEST if self._next is None else self._next - 1)

    def asked(self, now: float) -> None:
        self._behind = True
        self._asked = self.question()
        self._ask_at = now + self._patience
        self._patience = min(2 * self._patience, ASK_AGAIN_MAX_SECONDS)

    @property
    def position(self) -> Position:
        """Everything up to here was handed out, or is not wanted. Epoch 0: of a journal that is not known."""
        return (self._waiting[0][0] or self.before) if self.handed_out else self.before

    def upcoming(self) -> Message | None:
        """The next message that is wanted, of those that have come. Until `done` it stays the next."""
        while self._waiting:
            position, message = self._waiting[0]
            is_new = message is None or position is None or not self._is_done_with(position)
            if message is not None and is_new and self._is_wanted(message):
                return message
            if position is not None and is_new:
                self.before = position
            self._waiting.popleft()
        return None

    def done(self) -> None:
        """What was handed out last is done with, if anything was."""
        if self.handed_out:
            position = self.position
            self.before, self.handed_out = position, False  # without a call in between, as above
            self._waiting.popleft()

    def _is_done_with(self, position: Position) -> bool:
        """Whether `done` was interrupted over this one."""
        return position.epoch == self.before.epoch and position.sequence <= self.before.sequence

    def begin_snapshot(self, now: float) -> None:
        """Ask for a snapshot instead, until it is whole or `end_snapshot` is called."""
        self.done()
        self._gathering, self._snapshot = Gathering(), None
        self._ask_next(now)

    def take_snapshot(self) -> Snapshot | None:
        """The snapshot, once it is whole. What is handed out from then on is what follows it."""
        snapshot, self._snapshot = self._snapshot, None
        return snapshot

    def end_snapshot(self, now: float) -> None:
        """Ask for it no more: without one, go on as if it had not been asked for."""
        if self._gathering is not None:
            self._gathering, self._behind = None, True
            self._ask_next(now)

    def take_live(self, frames: Frames, now: float) -> None:
        """A message of the PUB socket. Raises `VersionError` if it is of another version."""
        try:
            epoch, sequence = wire.position_of(frames)
        except wire.VersionError:
            raise
        except ValueError:
            self._behind = True  # somebody else is at that address; the daemon may be nowhere
            return
        if self._next is None or epoch != self._epoch:
            self._behind = True  # live messages may be old or foreign: which journal it is, an answer tells
            return
        self._heard_at = now
        if sequence == self._next and _is_event(frames):
            self._take_event(frames)
            return
        self._notice(sequence, now)
        if frames[0] == wire.HEARTBEAT_TOPIC:
            self._behind |= sequence < self._next - 1  # an older copy of the journal may have been put back
        elif sequence == self._next - 1 and not _is_event(frames):  # else it is of the past
            self._take_progress(frames)

    def take_answer(self, frames: Frames, now: float) -> None:
        """A message of the other socket.

        Raises:
            VersionError: it is of another version.
            RefusedError: the daemon does not answer what was asked.
            ValueError: it is of a form that this version does not know.
        """
        try:
            position = wire.position_of(frames)
        except wire.VersionError:
            raise
        except ValueError:
            return
        asked = self._asked
        if asked is None or frames[0] not in (wire.REPLAY_TOPIC, wire.SNAPSHOT_TOPIC, wire.REFUSED_TOPIC):
            return
        answer = wire.answer_from(frames)
        if isinstance(answer, Refused):
            self._asked = None
            raise RefusedError(answer.why)
        if not asked.is_answered_by(answer):
            return
        self._asked = None
        self._patience = ASK_AGAIN_SECONDS
        self._heard_at = now
        if isinstance(answer, Replay):
            self._take_replay(position, answer)
        elif self._gathering is not None and self._gathering.question() == asked:
            self._take_page(self._gathering, position, answer)
        if self.question() != asked:
            self._ask_at = now  # it has brought something: the next may follow at once

    @property
    def _has_a_question(self) -> bool:
        return self._behind or self._gathering is not None

    def _ask_next(self, now: float) -> None:
        """Ask something else at once, or else when the answer that is awaited has come."""
        if self._asked is None:
            self._ask_at = now

    def _take_event(self, frames: Frames) -> None:
        assert self._next is not None
        try:
            message = wire.from_frames(frames)
        except ValueError:
            self._behind = True  # damaged on its way
            return
        if message.sequence == self._next:
            self._append(message)
        else:
            self._behind = True  # it has no number: what it is only a later version knows

    def _take_progress(self, frames: Frames) -> None:
        with suppress(ValueError):
            self._waiting.append((None, wire.from_frames(frames)))

    def _notice(self, number: int, now: float) -> None:
        """There is an event of this number: asking for it brings something."""
        assert self._next is not None
        if number < self._next:
            return
        self._behind = True
        if number > self._noticed:
            self._noticed = number
            self._ask_next(now)

    def _take_replay(self, position: Position, replay: Replay) -> None:
        head = position.sequence
        self._turn_to(position, replay)
        assert self._next is not None
        self._waiting.append((Position(self._epoch, self._next - 1), None))
        for message in replay.events:
            if message.sequence == self._next:
                self._append(message)
        self._behind = head >= self._next

    def _turn_to(self, position: Position, replay: Replay) -> None:
        """Learn from an answer which journal there is, and where in it to go on."""
        epoch, head = position
        if self._epoch == wire.ANY_EPOCH:
            self._epoch = epoch
        if self._next is None:
            self._next = head + 1
        elif epoch != self._epoch:
            self._leave_for(epoch)
            logger.info(
                "the daemon has a journal again that it had before: its events are handed out after {}"
                if self._next > 1
                else "the daemon has another journal: its events are handed out from the first that it keeps",
                self._next - 1,
            )
        elif head < replay.since:
            logger.warning(
                "the journal ends at {}, event {} was seen before: an older copy of it was put back, or "
                "another one begun. Its events are handed out from the first that it keeps, some for a "
                "second time",
                head,
                replay.since,
            )
            self._next, self._noticed = 1, 0
        if self._next < replay.oldest:
            if not self._takes_what_is_kept:
                logger.warning("events {} to {} are no longer kept", self._next, replay.oldest - 1)
            self._next = replay.oldest
        self._takes_what_is_kept = False

    def _leave_for(self, epoch: int) -> None:
        """Go on in another journal, where it was left or else from its first event."""
        if self._next is not None and self._epoch != wire.ANY_EPOCH:
            self._left[self._epoch] = self._next
        while len(self._left) > _MOST_JOURNALS_LEFT:
            del self._left[next(iter(self._left))]
        self._epoch, self._next, self._noticed = epoch, self._left.pop(epoch, 1), 0

    def _take_page(self, gathering: Gathering, position: Position, page: wire.Snapshot) -> None:
        whole = gathering.take(position, page)
        if whole is None:
            return
        self._gathering, self._snapshot, self._behind = None, whole, True
        if whole.epoch != self._epoch:
            self._leave_for(whole.epoch)
        self._next = whole.sequence + 1
        self._waiting.clear()
        self.before = Position(whole.epoch, whole.sequence)
        self._takes_what_is_kept = False

    def _append(self, message: Message) -> None:
        position, following = Position(self._epoch, message.sequence), message.sequence + 1
        self._waiting += ((position, message),)  # not by a call, for what a signal handler may raise at it
        self._next = following


def _is_event(frames: Frames) -> bool:
    return frames[0] != wire.HEARTBEAT_TOPIC and frames[0].partition(b"/")[0] not in _UNRECORDED
