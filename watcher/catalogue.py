"""The catalogue of events: what each one is and what is in it, as JSON Schema."""

from __future__ import annotations

from msgspec import Struct

from watcher.errors import ConfigError
from watcher.events import EVENTS, UNRECORDED
from watcher.shapes import DIALECT, Schema, definitions, schema_of
from watcher.wire import VERSION

KINDS: dict[str, type[Struct]] = {**EVENTS, **UNRECORDED}
"""Every event that is published, by its name; those that are not recorded come last."""


def schema(name: str) -> Schema:
    """The schema of the `data` of an event. Raises `ConfigError` if there is none of that name."""
    if name not in KINDS:
        raise ConfigError(f"there is no event {name!r}; there are: {', '.join(KINDS)}")
    return {**_identity(name), **schema_of(KINDS[name]), "title": name}


def message_schema() -> Schema:
    """The schema of every message that has an event: its attributes, and its `data` by its `type`."""
    return {
        **_identity("message"),
        "title": "message",
        "description": "An event as it is published: a CloudEvents 1.0 object.",
        "type": "object",
        "properties": _ATTRIBUTES,
        "required": [name for name in _ATTRIBUTES if name != "sequence"],
        "allOf": [_rule(name) for name in KINDS],
        "$defs": definitions(KINDS.values()),
    }


def objects() -> dict[str, Schema]:
    """The schemas of the objects that are inside of events, by the names of their structs."""
    events = {kind.__name__ for kind in KINDS.values()}
    return {name: each for name, each in definitions(KINDS.values()).items() if name not in events}


_ATTRIBUTES: dict[str, Schema] = {
    "specversion": {"const": "1.0", "description": "The version of CloudEvents."},
    "id": {
        "type": "string",
        "pattern": r"^[0-9a-f]+-[0-9]+(\.[0-9]+)?$",
        "description": "The epoch in hexadecimal, and the sequence number: unique.",
    },
    "source": {"const": "tickward", "description": "Who says so."},
    "type": {"enum": [f"tickward.{name}" for name in KINDS], "description": "The name of the event."},
    "subject": {
        "type": "string",
        "description": "The database, `stream/YYYY-MM-DD`; the stream for `rotated`; `-` for the daemon.",
    },
    "time": {
        "type": "string",
        "format": "date-time",
        "description": "When it was recorded, by the daemon's clock: RFC 3339, UTC.",
    },
    "datacontenttype": {"const": "application/json", "description": "The form of `data`."},
    "data": {"type": "object", "description": "The fields of the event."},
    "sequence": {
        "type": "integer",
        "minimum": 1,
        "description": "The sequence number; what is not recorded has none.",
    },
}


def _identity(name: str) -> Schema:
    return {"$schema": DIALECT, "$id": f"urn:tickward:v{VERSION}:{name}"}


def _rule(name: str) -> Schema:
    """What a message of this event must have."""
    data = {"data": {"$ref": f"#/$defs/{KINDS[name].__name__}"}}
    return {
        "if": {"properties": {"type": {"const": f"tickward.{name}"}}, "required": ["type"]},
        "then": (
            {"properties": data, "required": ["sequence"]}
            if name in EVENTS
            else {"properties": {**data, "sequence": False}}
        ),
    }
