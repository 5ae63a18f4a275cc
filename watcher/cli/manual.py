"""How ``--help`` is laid out: a manual page in plain text, the same in a terminal, a pipe and a file.

All of it comes from the docstring of the command: what it does, and then the paragraphs that begin with one
of `HEADINGS`, which stand below the options. Lines that are indented stay as they are. No rich: it takes
longer to be imported than the whole command line.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from typer.core import TyperCommand, TyperGroup

from watcher.cli.values import spare

HEADINGS = ("Exit status", "Examples", "See also")
_STATUS = re.compile(r"(\d+(?:, \d+)*)(?: (.*))?")
_TYPE = re.compile(r" <[^<>]*>$")
"""What typer shows beside the name of an argument."""
_KEEP = "\b\n"
"""Before a paragraph: its lines are not to be filled."""


def parts(text: str) -> tuple[str, dict[str, str]]:
    """What a docstring says of a command, and what stands under each of `HEADINGS` that it has."""
    said: list[str] = []
    below: dict[str, str] = {}
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        heading, colon, rest = paragraph.partition(":")
        if colon and heading in HEADINGS:
            below[heading] = inspect.cleandoc(rest)
        else:
            said.append(paragraph)
    return "\n\n".join(said), below


def statuses(text: str) -> list[tuple[str, str]]:
    """``0 done; 1 it failed.`` as rows: the status and what it means."""
    found = [_STATUS.fullmatch(" ".join(each.split())) for each in text.rstrip(".").split("; ")]
    return [(match[1], match[2] or "done") for match in found if match]


def summary(text: str) -> str:
    """The first paragraph in one line."""
    return " ".join(inspect.cleandoc(text).partition("\n\n")[0].split())


class _Manual:
    """The help of a command or a group: mixed into typer's own classes."""

    help: str | None

    def get_params(self, ctx: Any) -> list[Any]:
        found: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        spare(found)
        return found

    def format_help_text(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        said, _ = parts(self.help or "")
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text("\n\n".join(map(_kept, said.split("\n\n"))))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """In the usage arguments stand as they are declared: ``DAY [EVENT]``."""
        pieces: list[str] = super().collect_usage_pieces(ctx)  # type: ignore[misc]
        for parameter in self.get_params(ctx):
            if parameter.param_type_name == "argument" and parameter.metavar:
                (theirs,) = parameter.get_usage_pieces(ctx)
                pieces[pieces.index(theirs)] = _declared(parameter)
        return pieces

    def format_options(self, ctx: Any, formatter: Any) -> None:
        found: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is not None:
                found[parameter.param_type_name].append(record)
        found["argument"] = [(_TYPE.sub("", name), said) for name, said in found["argument"]]
        for kind, records in found.items():
            if records:
                with formatter.section(f"{kind.capitalize()}s"):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        _, below = parts(self.help or "")
        for heading, text in below.items():
            with formatter.section(heading):
                if heading == "Exit status":
                    formatter.write_dl(statuses(text))
                else:
                    formatter.write_text(_KEEP + text if heading == "Examples" else text)


def _declared(argument: Any) -> str:
    is_optional = not argument.required and not argument.metavar.startswith("[")
    return f"[{argument.metavar}]" if is_optional else str(argument.metavar)


def _kept(paragraph: str) -> str:
    is_indented = any(line.startswith(" ") for line in paragraph.splitlines())
    return _KEEP + paragraph if is_indented else paragraph


class ManualCommand(_Manual, TyperCommand):
    """One command."""


class ManualGroup(_Manual, TyperGroup):
    """A command of several parts."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def panels(self) -> dict[str, list[str]]:
        """Names of commands, by the heading under which they are shown."""
        return {"Commands:": list(self.commands)}

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        width = max((len(name) for name in self.commands), default=0)
        for title, names in self.panels().items():
            formatter.write_paragraph()
            formatter.write(f"{title}\n")
            with formatter.indentation():
                formatter.write_dl([(name.ljust(width), self._summary(name)) for name in names])

    def _summary(self, name: str) -> str:
        return summary(self.commands[name].help or "")
