"""docs/json.md, and the schemas beside it: what every command prints with ``--json``."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.markdown import paragraph, table
from watcher.cli.documents.registry import PRINTED, WITHOUT, Printed
from watcher.settings import Settings
from watcher.shapes import DIALECT, Schema, definitions
from watcher.wire import VERSION, Message

_FORMS = {"object": "", "lines": "One object a line.", "array": "An array of them."}
_SETTINGS = (
    "The sections and keys are those of [config.toml](../config.toml), which says what each is; directories "
    "and addresses are absolute."
)
_EVENTS = "What `data` is of which event is said in [events.md](events.md#the-catalogue)."


def page() -> str:
    """What stands below the mark of the page."""
    return "\n\n".join(_blocks()) + "\n"


def schemas() -> Schema:
    """The schema of what each command prints, by the command; where it prints lines, of a line."""
    of: dict[Printed, str] = {}
    found: dict[str, Schema] = {}
    for command, printed in PRINTED.items():
        if printed in of:  # the same as of another command
            found[command] = {"$id": identity(command), "$ref": identity(of[printed])}
            continue
        of[printed] = command
        found[command] = {
            "$id": identity(command),
            **printed.schema(),
            "title": f"tickward {command} --json",
        }
    return {
        "$schema": DIALECT,
        "$id": f"urn:tickward:v{VERSION}:commands",
        "title": "commands",
        "description": "What the commands of tickward print with --json: a definition for each.",
        "$defs": found,
    }


def identity(command: str) -> str:
    """By which the schema of a command can be referred to."""
    return f"urn:tickward:v{VERSION}:commands:{command.replace(' ', '-')}"


def _blocks() -> Iterator[str]:
    commands: dict[Printed, list[str]] = {}
    for command, printed in PRINTED.items():
        commands.setdefault(printed, []).append(command)
    for printed, printing in commands.items():
        yield from _section(printed, printing)
    yield "## Commands without"
    yield "\n".join(f"- `tickward {command}`: {why}." for command, why in WITHOUT.items())


def _section(printed: Printed, commands: list[str]) -> Iterator[str]:
    """What is printed, and the objects inside of it."""
    name = anchor(printed)
    yield f"## `{name}`"
    of = ", ".join(f"`tickward {command}`" for command in commands)
    if printed.kind is Settings:
        yield paragraph(f"Printed by {of}. {_SETTINGS}")
        return
    shapes = definitions([printed.kind])
    own = shapes.pop(printed.kind.__name__)
    yield paragraph(f"Printed by {of}. {own['description']} {_FORMS[printed.form]}".strip())
    yield "\n".join(table(own, name))
    if printed.kind is Message:
        yield _EVENTS
    for inside, shape in shapes.items():
        yield f"#### `{name}.{inside.lower()}`"
        yield paragraph(shape["description"])
        yield "\n".join(table(shape, name))


def anchor(printed: Printed) -> str:
    """Where the page tells of it."""
    return printed.kind.__name__.lower()
