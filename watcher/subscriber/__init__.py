"""The client that downstream programs import: every event, once, in order.

    from watcher.subscriber import Subscriber

    with Subscriber(since=0) as subscriber:
        for event in subscriber:
            print(event.sequence, event.event, event.subject)

docs/events.md is the reference. `AsyncSubscriber` is the same for asyncio.
"""

from __future__ import annotations

from watcher.subscriber.asynchronous import AsyncSubscriber
from watcher.subscriber.blocking import Subscriber
from watcher.subscriber.client import ClosedError
from watcher.subscriber.gathering import Snapshot
from watcher.subscriber.place import PositionError
from watcher.subscriber.questions import RefusedError
from watcher.wire import VersionError

__all__ = [
    "AsyncSubscriber",
    "ClosedError",
    "PositionError",
    "RefusedError",
    "Snapshot",
    "Subscriber",
    "VersionError",
]
