"""What has become of a database, for those who ask for a snapshot. Pure: from the journal's facts alone."""

from __future__ import annotations

from datetime import date

from handlers.pattern import Pattern
from watcher.lifecycle import State, recorded_state
from watcher.settings import Data
from watcher.state import Facts
from watcher.wire import DatabaseState


def state_from(key: str, facts: Facts, data: Data) -> DatabaseState:
    """The state of the database ``key``, by what the journal knows of it."""
    state = recorded_state(facts)
    seal, packed = facts.sealed, facts.archived or facts.compressed
    return DatabaseState(
        subject=key,
        state=state,
        path=_path(key, state, facts, data),
        sha256=seal.sha256 if seal else "",
        size_bytes=seal.size_bytes if seal else 0,
        compressed_bytes=packed.compressed_bytes if packed else 0,
        ticks=seal.ticks if seal else None,
        hold=facts.hold.reason if facts.hold else "",
        problem=_problem(facts),
        times=facts.times,
    )


def _path(key: str, state: State, facts: Facts, data: Data) -> str:
    """Where the first copy is; empty if there is none."""
    if facts.lost or state in (State.EXPIRED, State.ABSENT):
        return ""
    for copy in (facts.restored, facts.archived, facts.compressed, facts.sealed):
        if copy is not None:
            return copy.path
    stream, _, day = key.partition("/")
    if stream not in data.streams:
        return ""
    below = Pattern(data.streams[stream].pattern).path_of(date.fromisoformat(day))
    return f"{data.root}/{below}"


def _problem(facts: Facts) -> str:
    """What stands in its way, the worst first; empty if nothing does."""
    for setback in (facts.lost, facts.corrupt, facts.conflict):
        if setback is not None:
            return setback.error
    if facts.deferred is not None:
        return f"sealing waits for {facts.deferred.who}"
    for failed in facts.failed.values():
        return f"{failed.step} failed: {failed.error}"
    return ""
