"""The pages as tests read them: prose, code, headings, links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[1]
PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")])
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?:(?<=\n\n)|\A)(?: {4}.*\n|\n(?= {4}))+", re.MULTILINE)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_SHELL = ("", "sh", "bash", "console")


class Link(NamedTuple):
    target: str
    """A path from the page; empty: the page itself."""
    anchor: str
    """Empty: the whole page."""


@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[tuple[str, str]]:
    """Fenced code, with the name of its language."""
    return _FENCED.findall(text_of(page))


def prose(page: Path) -> str:
    """All but blocks of code."""
    return _INDENTED.sub("", _FENCED.sub("", text_of(page)))


def spans(page: Path) -> list[str]:
    """What stands between backticks."""
    return _SPAN.findall(prose(page))


def links(page: Path) -> list[Link]:
    """Those that lead to files of the project."""
    found = _LINK.findall(_SPAN.sub("", prose(page)))
    return [Link(*target.partition("#")[::2]) for target in found if not re.match(r"\w+:", target)]


@cache
def anchors(page: Path) -> frozenset[str]:
    """Of its headings, as hosts of repositories make them, and as `mkdocs.yml` has them made."""
    headings = re.findall(r"^#{1,6} (.+)$", _FENCED.sub("", text_of(page)), flags=re.MULTILINE)
    return frozenset(map(slug, headings))


def slug(heading: str) -> str:
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def command_lines(page: Path) -> Iterator[list[str]]:
    """What a shell is given that begins with ``tickward``: in blocks, and between backticks."""
    given = [code for language, code in blocks(page) if language in _SHELL]
    given += _INDENTED.findall(_FENCED.sub("", text_of(page)))
    lines = [line for code in given for line in code.replace("\\\n", " ").splitlines()]
    for line in (*lines, *spans(page)):
        typed = line.strip().removeprefix("$ ").removeprefix("scripts/run ")
        if typed.startswith("tickward ") or line.strip().startswith("scripts/run "):
            yield _words(typed.removeprefix("tickward "))


def _words(typed: str) -> list[str]:
    """As the shell takes it apart; only the first command, without what follows it."""
    lexer = shlex.shlex(typed, posix=True, punctuation_chars=True)
    lexer.commenters = "#"
    words: list[str] = []
    for word in lexer:
        if word in {"|", ">", ">>", "<", ";", "&", "&&", "||"}:
            break
        words.append(word)
    return words
