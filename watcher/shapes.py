"""What structs say of themselves: their docstrings, and JSON Schema made of them.

The structs are the only source: their types, their docstrings, and the strings below their fields. Python
does not keep those, so they are read from the source code when somebody asks.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple, get_args

import msgspec
from msgspec import Struct

Schema = dict[str, Any]

_INSIDE = "#/$defs/"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Words(NamedTuple):
    """What a struct is, and what each of its fields is, by its name."""

    description: str
    fields: dict[str, str]


def words(kind: type[Struct]) -> Words:
    """What is written in the source of a struct; empty where nothing is. Fields may be an ancestor's."""
    fields: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if issubclass(each, Struct) and each is not Struct:
            fields |= _words_in(each.__module__)[each.__name__].fields
    return Words(_words_in(kind.__module__)[kind.__name__].description, fields)


def schema_of(kind: type[Struct]) -> Schema:
    """The schema of one struct, with those inside of it."""
    inside = definitions([kind])
    own = inside.pop(kind.__name__)
    return {**own, "$defs": inside} if inside else own


def definitions(kinds: Iterable[type[Struct]]) -> dict[str, Schema]:
    """The schemas of structs, and of those inside of them, by the names of the structs.

    Raises `ValueError` if two of them have one name: nobody could tell them apart.
    """
    structs: dict[str, type[Struct]] = {}
    for kind in _with_those_inside(kinds, set()):
        if structs.setdefault(kind.__name__, kind) is not kind:
            raise ValueError(f"two structs are called {kind.__name__}: give one of them another name")
    _, components = msgspec.json.schema_components(structs.values(), ref_template=f"{_INSIDE}{{name}}")
    choices = {_INSIDE + name: each["enum"] for name, each in components.items() if "enum" in each}
    return {name: _with_choices(_described(structs[name], components[name]), choices) for name in structs}


def _with_those_inside(kinds: Iterable[type[Struct]], seen: set[type[Struct]]) -> Iterator[type[Struct]]:
    for kind in kinds:
        if kind not in seen:
            seen.add(kind)
            yield kind
            for field in msgspec.structs.fields(kind):
                yield from _with_those_inside(_structs_in(field.type), seen)


def _structs_in(annotation: Any) -> list[type[Struct]]:
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        return [annotation]
    return [each for argument in get_args(annotation) for each in _structs_in(argument)]


def _with_choices(schema: Any, choices: dict[str, list[Any]]) -> Any:
    """With the values of an enumeration in the place of a reference to it."""
    match schema:
        case {"$ref": str(reference), **rest} if reference in choices:
            return {"enum": choices[reference], **rest}
        case dict():
            return {name: _with_choices(each, choices) for name, each in schema.items()}
        case list():
            return [_with_choices(each, choices) for each in schema]
    return schema


def _described(kind: type[Struct], component: Schema) -> Schema:
    """With the words of the source, and with the form of moments, which msgspec leaves open."""
    description, fields = words(kind)
    properties = {
        field.encode_name: {
            **_with_moments(field.type, component["properties"][field.encode_name]),
            "description": fields.get(field.name, ""),
        }
        for field in msgspec.structs.fields(kind)
    }
    config = kind.__struct_config__
    if config.tag_field is not None:
        tag = {config.tag_field: {"const": config.tag, "description": "What this is."}}
        properties = {**tag, **properties}
    return {**component, "description": description, "properties": properties}


def _with_moments(annotation: Any, field: Schema) -> Schema:
    if annotation is datetime:
        return {**field, "format": "date-time"}
    if datetime not in get_args(annotation):
        return field
    text, moment = {"type": "string"}, {"type": "string", "format": "date-time"}
    if "anyOf" in field:
        return {**field, "anyOf": [moment if each == text else each for each in field["anyOf"]]}
    return {**field, "additionalProperties": moment}


@cache
def _words_in(module: str) -> dict[str, Words]:
    """Those of every class in a module."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {
        node.name: Words(_plain(ast.get_docstring(node) or ""), dict(_below_fields(node)))
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }


def _below_fields(node: ast.ClassDef) -> Iterable[tuple[str, str]]:
    for pair in pairwise(node.body):
        match pair:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, _plain(text)


def _plain(docstring: str) -> str:
    """One paragraph, with names marked as in Markdown."""
    return " ".join(docstring.replace("``", "`").split())
