"""Legal holds: a person's order to keep a day, and its end. Pure: what to record, or why not."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from watcher.events import Held, Record, Released, name_of
from watcher.plan.entries import NO_SUCH_DAY, TAKE_AWAY
from watcher.requests import Ended, Hold, Release
from watcher.state import Database


class Verdict(Struct, frozen=True):
    """What a request comes to for one day."""

    key: str
    event: Held | Released | None
    """To be recorded; None: there is nothing to change, or it cannot be done."""
    ok: bool
    message: str

    def reply(self, record: Record | None) -> Ended:
        """The answer, once it has been recorded."""
        return Ended(
            self.key,
            None,
            self.ok,
            event=name_of(self.event) if self.event else "",
            sequence=record.sequence if record else 0,
            data=msgspec.to_builtins(self.event) if self.event else None,
            message=self.message,
        )


def judge(request: Hold | Release, known: Mapping[str, Database]) -> list[Verdict]:
    """A verdict for each day that is named."""
    if isinstance(request, Hold):
        return [_hold(key, known.get(key), request) for key in request.keys]
    return [_release(key, known.get(key), request) for key in request.keys]


def _hold(key: str, database: Database | None, request: Hold) -> Verdict:
    if database is None:
        return Verdict(key, None, False, NO_SUCH_DAY)
    facts = database.facts
    if facts.expired:
        return Verdict(key, None, False, f"it was deleted on {facts.times['expired']:%Y-%m-%d}")
    if database.running in TAKE_AWAY:
        return Verdict(key, None, False, f"its {database.running} is running now: ask again after it")
    if facts.hold is not None and facts.hold.reason == request.reason:
        return Verdict(key, None, True, f"it is on hold already, by {facts.hold.by}")
    return Verdict(key, Held(request.reason, request.by), True, f"on hold: {request.reason}")


def _release(key: str, database: Database | None, request: Release) -> Verdict:
    if database is None:
        return Verdict(key, None, False, NO_SUCH_DAY)
    hold = database.facts.hold
    if hold is None:
        return Verdict(key, None, True, "it is not on hold")
    return Verdict(key, Released(hold.reason, request.by), True, f"released; it was on hold: {hold.reason}")
