"""An event handed to a hook, once: as the standard input of a command, or posted to a webhook."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from watcher.config import TOLD_TO_HOOKS
from watcher.hooks.bound import BoundHook, without_secrets
from watcher.hooks.process import Ended, run
from watcher.wakeup import Wakeup
from watcher.wire import Message

URL_VARIABLE = "TICKWARD_WEBHOOK"
"""Where the process that posts finds the URL: arguments can be read by every user of the machine."""
# By its path and isolated: it needs nothing but the standard library, wherever it is run.
_POST = (sys.executable, "-IS", str(Path(__file__).parent.with_name("webhook.py")))
_decode = msgspec.json.Decoder(Message).decode


def deliver(
    bound: BoundHook,
    event: bytes,
    directory: Path,
    *,
    stop_at: Callable[[], float] | None = None,
    wakeup: Wakeup | None = None,
) -> Ended:
    """Run the command, or post to the webhook, and wait for its end: no longer than its time limit.

    Args:
        event: its CloudEvents object, JSON, as it is on the wire.
        directory: where a command runs.
        stop_at: the monotonic time at which it must have ended, whatever its time limit.
        wakeup: called when that has changed.
    """
    limit = time.monotonic() + bound.hook.timeout_seconds
    environment = {**os.environ, **variables(_decode(event))}
    if bound.is_webhook:
        arguments, environment[URL_VARIABLE] = _POST, bound.hook.run
    else:
        arguments = ("/bin/sh", "-c", bound.hook.run)
    ended = run(
        arguments,
        event + b"\n",
        environment,
        directory,
        (lambda: min(limit, stop_at())) if stop_at else (lambda: limit),
        wakeup,
    )
    if bound.is_webhook and ended.output and not ended.late:  # what it says is what went wrong
        ended = ended._replace(error=ended.output, output="")
    return ended._replace(error=without_secrets(ended.error), output=without_secrets(ended.output))


def variables(message: Message) -> dict[str, str]:
    """What a command finds in its environment. Nothing of an event is ever part of a command's text."""
    stream, _, day = message.subject.partition("/")
    path = message.data.get("path") if isinstance(message.data, dict) else None
    told = (message.event, message.id, str(message.sequence), message.subject, stream, day)
    return dict(zip(TOLD_TO_HOOKS, (*told, path if isinstance(path, str) else ""), strict=True))
