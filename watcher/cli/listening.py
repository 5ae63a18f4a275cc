"""What the commands share that listen to the daemon of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from watcher.settings import Settings
    from watcher.subscriber import Subscriber


def subscriber(settings: Settings, **options: Any) -> Subscriber:
    """A subscriber to that daemon, with this machine's key where one is needed."""
    from watcher.endpoint import nearby
    from watcher.keys import local_credentials
    from watcher.subscriber import Subscriber

    events = settings.events
    credentials = local_credentials(events)
    return Subscriber(nearby(events.publish), nearby(events.replay), credentials=credentials, **options)
