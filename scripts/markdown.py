"""How structs and sentences look in the pages of docs/."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from watcher.shapes import Schema

WIDTH = 120


def paragraph(text: str) -> str:
    """Folded, but never within a word."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def table(schema: Schema, within: str = "", names: Mapping[str, str] | None = None) -> Iterator[str]:
    """The fields of an object: their types, and what they are.

    Args:
        within: what the anchors of other objects begin with.
        names: what other objects are called, where that is not the lower case of their structs' names.
    """
    yield "| field | type | what it is |"
    yield "|---|---|---|"
    for name, field in schema["properties"].items():
        yield f"| `{name}` | {_type(field, within, names or {})} | {_phrase(field['description'])} |"


def _type(field: Schema, within: str, names: Mapping[str, str]) -> str:
    """In words: `array of strings`."""
    match field:
        case {"$ref": reference}:
            kind = reference.rpartition("/")[2]
            name = names.get(kind, kind.lower())
            return f"[{name}](#{within}{name})"
        case {"anyOf": options}:
            return " or ".join(_type(each, within, names) for each in options)
        case {"enum": values}:
            return " or ".join("null" if value is None else f"`{value}`" for value in values)
        case {"const": value}:
            return f"`{value}`"
        case {"type": "array", "items": dict(each)}:
            return f"array of {_plural(_type(each, within, names))}"
        case {"type": "object", "additionalProperties": dict(each)}:
            return f"object of {_plural(_type(each, within, names))}"
    return str(field.get("type", "any"))


def _plural(word: str) -> str:
    """`copies` of `copy`; of a link, only what is shown."""
    noun, bracket, target = word.partition("]")
    if noun.endswith("y") and not noun.endswith("ay"):
        noun = f"{noun[:-1]}ies"
    else:
        noun += "es" if noun.endswith("s") else "s"
    return noun + bracket + target


def _phrase(sentence: str) -> str:
    """A sentence as it stands in a table: without the capital, but for abbreviations, and the full stop."""
    first = sentence[:1] if sentence[1:2].isupper() else sentence[:1].lower()
    return (first + sentence[1:]).removesuffix(".").replace("|", r"\|")
