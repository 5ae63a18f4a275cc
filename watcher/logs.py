"""The logs: lines for people on stderr, one JSON object a line in a file for programs.

The keys of the JSON lines are stable; each is named once, in `KEYS`, and documented in docs/logs.md.
"""

from __future__ import annotations

import sys
from datetime import UTC, time
from pathlib import Path
from traceback import format_exception
from typing import TYPE_CHECKING, Any

import msgspec
from loguru import logger

from watcher import wording
from watcher.errors import ConfigError
from watcher.events import DAEMON_KEY, Event, Record
from watcher.settings import Log

if TYPE_CHECKING:
    from loguru import Record as LogRecord

KEYS = (
    "time",  # when the line was written: ISO 8601, UTC
    "level",  # DEBUG INFO WARNING ERROR CRITICAL
    "message",  # for people
    "event",  # name of the lifecycle event
    "seq",  # its number in the journal
    "at",  # the clock time of the event
    "database",  # its key, stream/YYYY-MM-DD; the stream for a rotation
    "step",  # the step it came from
    "seconds",  # how long that step took
    "bytes",  # the size that it was about
    "address",  # of a socket, where it could not be had, or could again
    "error",  # what failed
    "hint",  # what to do about it
    "data",  # the event's data, as published
    "traceback",  # of an error that nobody foresaw
)
_LEVELS = {
    "failed": "ERROR",
    "corrupt": "CRITICAL",
    "lost": "CRITICAL",
    "conflict": "ERROR",
    "deferred": "WARNING",
    "reopened": "WARNING",
    "repaired": "WARNING",
    "disk_low": "WARNING",
    "expired": "WARNING",  # what is gone for good is seen also where only warnings are kept
    "health": "DEBUG",
}
_STEPS = {
    "created": "create",
    "sealed": "seal",
    "backed_up": "backup",
    "compressed": "compress",
    "archived": "archive",
    "expired": "expire",
    "restored": "restore",
    "merged": "merge",
    "verified": "verify",
    "repaired": "verify",
    "lost": "verify",
    "drilled": "drill",
    "adopted": "adopt",
}


def set_up(settings: Log, debug: bool = False, *, quiet: bool = False) -> None:
    """Send the logs where the configuration says. Raises `ConfigError` if the file cannot be opened.

    ``quiet``: on stderr warnings only, and none of what a step came to: beside a command that says that by
    itself.
    """
    logger.remove()
    level = "DEBUG" if debug else settings.level
    logger.add(
        sys.stderr,
        level="WARNING" if quiet and not debug else level,
        filter=_is_not_of_a_step if quiet and not debug else None,
        format=_for_people,
        colorize=sys.stderr.isatty(),
        backtrace=False,
        diagnose=False,
    )
    if settings.file:
        try:
            _add_file(settings, level)
        except OSError as error:
            raise ConfigError(
                f"log.file: {settings.file} cannot be written ({error.strerror}); "
                'name another, or log.file = "" for none'
            ) from None


def _add_file(settings: Log, level: str) -> None:
    Path(settings.file).parent.mkdir(parents=True, exist_ok=True)
    logger.add(
        settings.file.replace("{", "{{").replace("}", "}}"),  # loguru would read braces as fields
        level=level,
        format=_for_programs,
        rotation=time(tzinfo=UTC),
        retention=f"{settings.keep_days} days",
        encoding="utf8",
        backtrace=False,
        diagnose=False,
    )


def event_line(record: Record, event: Event, seconds: float | None) -> None:
    """The one line that each lifecycle event gets, with its sequence number."""
    keys: dict[str, Any] = {
        "event": record.event,
        "seq": record.sequence,
        "at": record.time.isoformat(),
        "step": getattr(event, "step", None) or _STEPS.get(record.event),
        "database": record.key if record.key != DAEMON_KEY else None,
        "seconds": round(seconds, 3) if seconds is not None else None,
        "bytes": getattr(event, "size_bytes", None),
        "error": getattr(event, "error", None),
        "hint": getattr(event, "hint", None),
        "data": record.data,
    }
    known = {key: value for key, value in keys.items() if value is not None}
    level = "WARNING" if getattr(event, "counted", True) is False else _LEVELS.get(record.event, "INFO")
    line = wording.event_line(record.sequence, record.event, record.key, msgspec.to_builtins(event))
    logger.bind(**known).log(level, "{}", line)


def _is_not_of_a_step(record: LogRecord) -> bool:
    """Only what a step came to says how long that took."""
    return "seconds" not in record["extra"]


def _for_people(record: LogRecord) -> str:
    # loguru formats what this returns once more: braces and tags in the message must not be read.
    extra = record["extra"]
    took = f" ({extra['seconds']:.2f} s)" if "seconds" in extra else ""
    record["extra"]["_took"] = took
    trace = "\n{exception}" if record["exception"] else ""
    return (
        "<dim>{time:YYYY-MM-DD HH:mm:ss.SSS!UTC}</> <level>{level: <8}</> {message}{extra[_took]}"
        + trace
        + "\n"
    )


def _for_programs(record: LogRecord) -> str:
    extra = record["extra"]
    line: dict[str, Any] = {
        "time": record["time"].astimezone(UTC).isoformat(),
        "level": record["level"].name,
        "message": record["message"],
    }
    line |= {key: extra[key] for key in KEYS if key in extra}
    if record["exception"] is not None:
        line["traceback"] = "".join(format_exception(*record["exception"]))
    extra["_json"] = msgspec.json.encode({key: _encodable(value) for key, value in line.items()}).decode()
    return "{extra[_json]}\n"


def _encodable(value: object) -> object:
    """A name that is not UTF-8 must not cost the line that speaks of it."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
