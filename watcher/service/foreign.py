"""Who else may look after the days: the entries of shell scripts in a crontab, and such scripts. PURE.

Two masters are worse than none: a script that compresses or deletes by itself takes a day from under the
daemon. What a script really does nobody can tell from its name; this names whom a person should look at. It
is an entry with a command that changes files and a path in, above or below the directories of the days; or
one of a script with a name that such scripts have.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from datetime import date
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from handlers.pattern import Pattern
from watcher.service.acts import Act, acts, listed, operands, programs
from watcher.service.block import without_blocks
from watcher.service.installation import MARK
from watcher.service.shellwords import Command, Pipeline, pipelines, substituted
from watcher.settings import TOPS, Settings

_ENTRY = re.compile(r"\s*(?:@\w+|[0-9*]\S*(?:\s+\S+){4})\s+(?P<command>.*)")
_VARIABLE = re.compile(r"""\s*["']?(\w+)["']?\s*=\s*(["']?)(.*?)\2\s*$""")
_ASSIGNED = re.compile(r"(\w+)=(.*)", re.DOTALL)
_USED = re.compile(r"\$\{?(\w+)")
_PATH = re.compile(r"/[\w./@+*-]+")
_END = re.compile(r"(?<!\\)%")
_SCRIPTS = re.compile(
    r"\b(?:rotate_daily|compress_old|archive_old|delete_old|cleanup_old|purge_old)\w*\.(?:sh|py)\b"
    r"|\b(?:rotate|compress|monitor)_\w*(?:databases?|dbs?|ticks?)(?:\.|\b)",
    re.IGNORECASE,
)
"""What the scripts of this trade are called."""
_CODE = re.compile(
    r"\b(?:os\.(?:remove|unlink|rename|replace|rmdir)|shutil\.(?:move|rmtree)|(?:un)?link\(|rmtree\(|VACUUM)"
    r"|\.unlink\(|\b(?:zstd|gzip|xz|rm|mv)\b['\"\s]",
)
"""What changes files in Python and the like."""
_SHELL = re.compile(r"#!\s*\S*(?:/env\s+(?:-S\s+)?)?(?:\S*/)?(?:ba|da|k|z|a)?sh\b")
_TO_BE_CONTINUED = re.compile(r"(?:\\|\||&&)\s*$")
_SHORTEST_NAME = 3

Reach = Literal["in", "above", ""]


class Entry(NamedTuple):
    """A line that a person should look at."""

    number: int
    """From 1."""
    text: str
    """As it stands, without the space around it."""


class Places:
    """The directories of the days, and what days are called."""

    def __init__(self, *settings: Settings) -> None:
        """More than one: the same with other paths to the same, for example with links resolved."""
        self._tops = {PurePosixPath(getattr(each.data, top)).parts for each in settings for top in TOPS}
        patterns = {stream.pattern for each in settings for stream in each.data.streams.values()}
        names = {PurePosixPath(pattern).name.partition("{")[0] for pattern in patterns}
        self._beginnings = tuple(name for name in names if len(name) >= _SHORTEST_NAME)
        days = {Pattern(pattern).name_of(date(2026, 1, 20)) for pattern in patterns}
        self._examples = [day + end for day in days for end in ("", ".zst", ".gz", "-wal")]

    def reach(self, path: str) -> Reach:
        """Where an absolute path, perhaps with wildcards, is from there."""
        if path.startswith("/$"):
            return ""  # it may be anywhere
        parts = [re.sub(r"\{.*\}|\$\w+", "*", part) for part in PurePosixPath(path).parts]
        matching = [top for top in self._tops if all(map(fnmatchcase, top, parts))]
        if any(len(parts) >= len(top) for top in matching):
            return "in"
        return "above" if matching and "$" not in path else ""

    def may_be_days(self, names: list[str]) -> bool:
        """Whether one of the patterns fits a day's file, or there are none."""
        return not names or any(fnmatchcase(each, name) for name in names for each in self._examples)

    def is_a_days(self, path: str) -> bool:
        """By its name, wherever it is."""
        return bool(self._beginnings) and PurePosixPath(path).name.startswith(self._beginnings)

    def named_in(self, text: str) -> bool:
        """Whether a path in or below them is in a text of any kind."""
        return any(self.reach(found) == "in" for found in _PATH.findall(text))


def foreign_masters(table: str, *settings: Settings, home: str = "", is_systems: bool = False) -> list[Entry]:
    """The entries of a crontab that may be of scripts which do to the days what tickward does.

    Those between tickward's own marks are left out, and so are comments.

    Args:
        settings: more than one: the same with other paths to the same.
        home: of whose table it is; empty: nobody knows.
        is_systems: whether there is a user in each line.
    """
    places = Places(*settings)
    variables = {"HOME": home} if home else {}
    found = []
    for number, line, command in commands_in(table, variables, is_systems):
        shell = _Shell(places, variables, home)
        if _SCRIPTS.search(substituted(command, variables)) or shell.changes(command):
            found.append(Entry(number, line))
    return found


def commands_in(table: str, variables: dict[str, str], is_systems: bool) -> Iterator[tuple[int, str, str]]:
    """The entries of a crontab that are not tickward's: number, line, command. Variables are noted."""
    for number, line in enumerate(without_blocks(table).split("\n"), 1):
        if entry := _ENTRY.match(line):
            command = _END.split(entry["command"])[0].replace("\\%", "%")
            if is_systems:
                command = command.lstrip().partition(" ")[2]
            yield number, line.strip(), command
        elif not line.lstrip().startswith("#") and (given := _VARIABLE.match(line)):
            variables[given[1]] = given[3]


def foreign_in_script(text: str, *settings: Settings) -> Entry | None:
    """The first line of a script that may do to the days what tickward does; None: there is none."""
    if not text.startswith("#!") or MARK in text:
        return None
    places = Places(*settings)
    if _SHELL.match(text):
        shell = _Shell(places, {}, "")
        lines = _logical(text)
        return next((Entry(number, line) for number, line in lines if shell.changes(line)), None)
    if not places.named_in(text):
        return None
    lines = ((number, line.strip()) for number, line in enumerate(text.split("\n"), 1))
    return next((Entry(*each) for each in lines if _CODE.search(each[1]) and each[1][0] != "#"), None)


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a shell's script, those that are continued as one; with the number of the first."""
    begun, whole = 0, ""
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if not whole and stripped.startswith("#"):
            continue
        begun = begun if whole else number
        whole = f"{whole} {stripped}".strip()
        if _TO_BE_CONTINUED.search(whole):
            whole = whole.removesuffix("\\").rstrip()
        elif whole:
            yield begun, whole
            whole = ""
    if whole:
        yield begun, whole


class _Shell:
    """What is known while lines are gone through: variables, where it is, whether the days were named."""

    def __init__(self, places: Places, variables: dict[str, str], home: str) -> None:
        self._places = places
        self._variables = dict(variables)
        self._home = self._here = home
        self._read: set[str] = set()
        """The variables that nobody can know, but that they may be days."""
        self._substituted: set[str] = set()
        """Those that are read from what is in the same line."""
        self._awaited: set[str] = set()
        """Those that are the output of the pipeline that comes next."""
        self._named = False

    def changes(self, text: str) -> bool:
        """Whether a line may change files of the days."""
        before, self._named = self._named, False
        told = [self._pipeline(pipeline) for pipeline in pipelines(text)]
        if self._named:
            self._read |= self._substituted
        is_substituted = None in told and self._named
        self._substituted, self._named = set(), self._named or before
        return True in told or is_substituted

    def _pipeline(self, pipeline: Pipeline) -> bool | None:
        """None: it does if what is substituted names the days."""
        handed_on = later = False
        awaited, self._awaited = self._awaited, set()
        for at, words in enumerate(pipeline):
            command = self._learnt([substituted(word, self._variables) for word in words], handed_on)
            if any(posixpath.basename(command[at]) == "ssh" for at in programs(command)):
                return False  # elsewhere
            told = [self._touches(act, at, handed_on) for act in acts(command)]
            if True in told or any(self.changes(line) for line in _lines_in(command)):
                return True
            later = later or None in told
            handed_on = handed_on or self._is_of_days(listed(command))
            self._named = self._named or handed_on
        if handed_on:
            self._read |= awaited
        return None if later else False

    def _learnt(self, command: Command, handed_on: bool) -> Command:
        """What it says for those that follow; returns it without the assignments at its beginning."""
        while command and (given := _ASSIGNED.fullmatch(command[0])):
            self._variables[given[1]] = given[2] if given[2] != "$" else f"${given[1]}"
            if given[2] == "$":
                self._awaited.add(given[1])
            self._named = self._named or self._is_of_days(Act([given[2]], is_deep=True))
            command = command[1:]
        name, rest = (command[0], command[1:]) if command else ("", [])
        if name in ("do", "then", "else", "{"):
            return self._learnt(rest, handed_on)
        if name in ("export", "local", "readonly", "declare"):
            return self._learnt([word for word in rest if "=" in word], handed_on)
        if name in ("cd", "pushd") and rest:
            self._here = self._absolute(rest[-1])
        elif name == "for" and len(rest) > 1:
            chosen = next(
                (word for word in rest[2:] if self._is_of_days(Act([word], is_deep=True))), rest[-1]
            )
            self._variables[rest[0]] = chosen
        elif "read" in command[:2]:
            self._substituted.update(operands(rest))
            if handed_on:
                self._read.update(operands(rest))
        return command

    def _touches(self, act: Act, at: int, handed_on: bool) -> bool | None:
        """None: it does if what is substituted names the days."""
        if self._is_of_days(act) or (act.is_fed and handed_on):
            return True
        used = {name for word in act.operands for name in _USED.findall(word)}
        if used & self._read:
            return True
        is_substituted = used & self._substituted or "$" in act.operands or (not act.operands and at == 0)
        return None if is_substituted else False

    def _is_of_days(self, act: Act) -> bool:
        reaches = [self._reach(word) for word in act.operands]
        above = reaches[:-1] if act.moves else reaches
        return "in" in reaches or (act.is_deep and "above" in above and self._places.may_be_days(act.names))

    def _reach(self, word: str) -> Reach:
        if word.startswith("$("):
            return "in" if self._places.named_in(word) else ""
        if self._places.is_a_days(word):
            return "in"
        path = self._absolute(word)
        return self._places.reach(path) if path else ""

    def _absolute(self, word: str) -> str:
        """Empty: nobody knows."""
        if word.startswith("~/") and self._home:
            word = self._home + word[1:]
        if word.startswith("/"):
            return posixpath.normpath(word)
        return posixpath.normpath(f"{self._here}/{word}") if self._here and word[:1] not in "$~" else ""


def _lines_in(command: Command) -> Iterator[str]:
    """What it hands to a shell: ``sh -c '...'``."""
    for before, word in pairwise(command):
        if re.fullmatch(r"-\w*c|--command", before) or before == "eval":
            yield word
