"""docs/configuration.md: every key of config.toml with its default, what is allowed, and why it is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import inspect

from watcher.config import PREFIX
from watcher.schedule import NEVER, ON_ROTATION
from watcher.settings import Ageing, Settings

REFERENCE = Path(__file__).parent.parent / "config.toml"
_SIZE = re.compile(r"\d+ [KMGT]iB")


class Key(NamedTuple):
    """One line of the reference."""

    name: str
    default: str
    """As TOML has it."""
    why: str


class Table(NamedTuple):
    """One table of the reference."""

    name: str
    """Dotted, as between the brackets."""
    about: str
    keys: list[Key]
    shown: list[str]
    """Lines that are commented out: what could stand there."""


def page() -> str:
    """What stands below the mark of the page."""
    return "\n\n".join(block for table in tables() for block in _blocks(table)) + "\n"


def tables() -> list[Table]:
    """The reference, as it is read by people."""
    found: list[Table] = []
    for line in REFERENCE.read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"\[([\w.]+)\](?:\s+# (.*))?", line):
            found.append(Table(heading[1], heading[2] or "", [], []))
        elif found and (key := re.fullmatch(r"(\w+) = (.+?)\s+# (.*)", line)):
            found[-1].keys.append(Key(*key.groups()))
        elif found and line.startswith("# "):
            found[-1].shown.append(line.removeprefix("# "))
    return found


def allowed(path: tuple[str, ...]) -> str:
    """What may stand there, in words, as far as the types of the settings say it."""
    section, field = _field(path)
    if _is_schedule(path[-1]):
        word = ON_ROTATION if issubclass(section.cls, Ageing) else NEVER
        return f"a cron expression, or `{word}`"
    if isinstance(field.default, str) and _SIZE.fullmatch(field.default):
        return f"a size such as `{field.default}`"
    return _in_words(field.type)


def variable(path: tuple[str, ...]) -> str:
    """The environment variable that sets a key."""
    return PREFIX + "__".join(path).upper()


def _blocks(table: Table) -> Iterator[str]:
    yield f"## `[{table.name}]`"
    if table.about:
        yield f"{table.about[0].upper()}{table.about[1:]}."
    if table.keys:
        yield "\n".join(_rows(table))
    if table.shown:
        yield "\n".join(["```toml", f"[{table.name}]", *table.shown, "```"])


def _rows(table: Table) -> Iterator[str]:
    yield "| key | default | allowed | what it is, and its variable |"
    yield "|---|---|---|---|"
    for key in table.keys:
        path = (*table.name.split("."), key.name)
        why = f"{key.why}<br>`{variable(path)}`"
        yield f"| `{key.name}` | `{key.default}` | {allowed(path)} | {why} |"


def _is_schedule(name: str) -> bool:
    return name == "schedule" or name.endswith("_schedule")


def _field(path: tuple[str, ...]) -> tuple[inspect.StructType, inspect.Field]:
    """The section that a key stands in, and the key itself."""
    found: Any = inspect.type_info(Settings)
    for name in path[:-1]:
        found = found.value_type if isinstance(found, inspect.DictType) else _named(found, name).type
    return found, _named(found, path[-1])


def _named(section: inspect.StructType, name: str) -> inspect.Field:
    return next(field for field in section.fields if field.name == name)


def _in_words(kind: inspect.Type) -> str:
    match kind:
        case inspect.BoolType():
            return "`true`, `false`"
        case inspect.LiteralType(values=values):
            return ", ".join(f'`"{value}"`' for value in values)
        case inspect.IntType(ge=int(least), le=int(most)):
            return f"{least:,} to {most:,}"
        case inspect.FloatType(gt=float() | int() as bound):
            return f"above {bound:g}"
        case inspect.FloatType(ge=float() | int() as least):
            return f"{least:g} or more"
        case inspect.StrType(min_length=1):
            return "text, not empty"
        case inspect.StrType():
            return "text"
    raise TypeError(f"{kind} has no words yet: add them to scripts/configuration_page.py")
