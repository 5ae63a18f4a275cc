"""What is wrong with the way a command was called, as one sentence of our own words."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from enum import Enum
from typing import Any, cast, get_args, get_type_hints

import typer

UsageError = cast("type[Exception]", typer.BadParameter.__base__)
"""What typer raises when it cannot read the arguments: it has no public name."""


def sentence(error: Any) -> str:
    """What is wrong, and where to read on. ``error``: a `UsageError`."""
    what = _what(error).rstrip(".")
    return what if error.ctx is None else f"{what}; `{error.ctx.command_path} --help` shows how it is used"


def is_help(error: Any) -> bool:
    """Whether it is only that a command of several parts was given none: help is the answer."""
    return type(error).__name__ == "NoArgsIsHelpError"


def _what(error: Any) -> str:
    message = error.format_message()
    if (parameter := getattr(error, "param", None)) is None:
        return str(message[:1].lower() + message[1:])
    name = max(parameter.opts, key=len) if parameter.param_type_name == "option" else parameter.metavar
    if type(error).__name__ == "MissingParameter":
        return f"{name} is missing"
    wanted = _wanted(error.ctx, parameter.name)
    return f"{name}: give {wanted}" if wanted else f"{name}: {error.message}"


def _wanted(context: Any, name: str) -> str:
    """Which values there are, by the declaration; empty: it does not say."""
    callback = inspect.unwrap(context.command.callback)
    kind, *declared = get_args(get_type_hints(callback, include_extras=True).get(name))
    bounds = declared[0] if declared else None
    kinds = list(_kinds(kind))
    for each in kinds:
        if isinstance(each, type) and issubclass(each, Enum):
            return f"one of {', '.join(choice.value for choice in each)}"
    if int in kinds:
        return "a whole number" + _range(bounds)
    return "a number" + _range(bounds) if float in kinds else ""


def _kinds(annotation: Any) -> Iterator[Any]:
    """All that it is made of."""
    yield annotation
    for inside in get_args(annotation):
        yield from _kinds(inside)


def _range(declared: Any) -> str:
    low, high = getattr(declared, "min", None), getattr(declared, "max", None)
    if low is not None and high is not None:
        return f" from {low} to {high}"
    return f", {low} or more" if low is not None else ""
