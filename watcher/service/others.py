"""Finds who else may look after the days: in crontabs, and in the scripts that these call.

Everything is read as far as it can be. Nothing is asked of anybody but cron, and not for long.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from watcher.paths import resolved
from watcher.service.foreign import Entry, commands_in, foreign_in_script, foreign_masters
from watcher.service.shellwords import pipelines, substituted
from watcher.service.target import Target
from watcher.settings import Settings

_ROOT = Path("/")
_SPOOLS = ("var/spool/cron/crontabs", "var/spool/cron")
_MOST_TABLES, _LARGEST_BYTES = 200, 1 << 20
_MOST_SCRIPTS, _LARGEST_SCRIPT_BYTES = 100, 1 << 16
_CRONTAB_SECONDS = 5.0
_LONGEST_LINE = 120


class Crontab(NamedTuple):
    """A table of cron's."""

    name: str
    """For people."""
    edited_by: str
    """The command that a person changes it with."""
    text: str
    home: str = ""
    """Of whose it is; empty: nobody knows."""
    is_systems: bool = False
    """Whether there is a user in each line."""


class Other(NamedTuple):
    """An entry that a person should look at."""

    entry: Entry
    script: str = ""
    """Which line of which script it is looked at for; empty: for itself."""

    def __str__(self) -> str:
        shown = f"`{shortened(self.entry.text)}` (line {self.entry.number})"
        return f"{shown}, because of {self.script}" if self.script else shown


def notes_for(target: Target) -> tuple[str, ...]:
    """What a person who installs should know of them, a sentence each."""
    if target.is_this_machine:
        callers = [pwd.getpwuid(os.geteuid()).pw_name, target.user]
        tables = [*system_tables(Path("/etc")), *users_tables(dict.fromkeys(callers))]
    else:
        tables = [*system_tables(target.root / "etc"), *_of_spools(target)]
    return tuple(
        f"{table.name} has {other}: two masters are worse than none; "
        f"take it out with `{table.edited_by}`, unless it only reads the days"
        for table in tables
        for other in others_in(table, target.settings, target.root)
    )


def others_in(table: Crontab, settings: Settings, root: Path = _ROOT) -> list[Other]:
    """The entries of a table, in its order."""
    meant = (settings, resolved(settings))
    found = {
        entry.number: Other(entry)
        for entry in foreign_masters(table.text, *meant, home=table.home, is_systems=table.is_systems)
    }
    variables = {"HOME": table.home} if table.home else {}
    for number, line, command in commands_in(table.text, variables, table.is_systems):
        if number not in found:
            for script in islice(_scripts(substituted(command, variables), root), _MOST_SCRIPTS):
                if what := foreign_in_script(_text(script, _LARGEST_SCRIPT_BYTES), *meant):
                    because = f"line {what.number} of {script}: `{shortened(what.text)}`"
                    found[number] = Other(Entry(number, line), because)
                    break
    return [found[number] for number in sorted(found)]


def system_tables(etc: Path) -> list[Crontab]:
    """``crontab`` and what is in ``cron.d``."""
    files = [etc / "crontab"]
    with suppress(OSError):
        files += sorted(islice((etc / "cron.d").iterdir(), _MOST_TABLES))
    texts = ((file, _text(file, _LARGEST_BYTES)) for file in files)
    return [Crontab(str(file), f"sudoedit {file}", text, is_systems=True) for file, text in texts if text]


def users_tables(users: Iterable[str]) -> list[Crontab]:
    """Another user's can only be read by root."""
    me = os.geteuid()
    found = []
    for name in users:
        number, home = _number_and_home(name)
        of = () if number == me else ("-u", name)
        with suppress(OSError, subprocess.TimeoutExpired):
            listed = subprocess.run(
                ("crontab", *of, "-l"),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_CRONTAB_SECONDS,
                check=False,
            )
            if listed.returncode == 0:
                text = listed.stdout[:_LARGEST_BYTES].decode(errors="surrogateescape")
                edit = " ".join(("crontab", *of, "-e"))
                found.append(Crontab(f"the crontab of {name}", edit, text, home))
    return found


def shortened(line: str) -> str:
    """For people: not too long, and nothing in it that a terminal obeys."""
    shown = "".join(sign if sign.isprintable() else "?" for sign in line[:_LONGEST_LINE])
    return shown if len(line) <= _LONGEST_LINE else f"{shown[:-1]}…"


def _of_spools(target: Target) -> Iterator[Crontab]:
    """Of an image: its users' own."""
    for name in dict.fromkeys(("root", target.user)):
        files = (target.root / spool / name for spool in _SPOOLS)
        file = next((file for file in files if file.is_file()), None)
        if file is not None and (text := _text(file, _LARGEST_BYTES)):
            home = str(target.home) if name == target.user else ""
            yield Crontab(str(file), f"crontab -u {name} -e", text, home)


def _scripts(command: str, root: Path) -> Iterator[Path]:
    """What a command calls that may be one; also those in a directory that ``run-parts`` is given."""
    words = [word for pipeline in pipelines(command) for each in pipeline for word in each]
    words += [part for word in words if " " in word for part in word.split()]
    for word in words:
        if word.startswith("/") and "\0" not in word:
            path = root / word[1:]
            with suppress(OSError):
                if path.is_file():
                    yield path
                elif "run-parts" in command and path.is_dir():
                    yield from sorted(path.iterdir())


def _text(file: Path, most: int) -> str:
    """Empty: there is none that can be read."""
    with suppress(OSError):
        if file.is_file():
            with file.open("rb") as opened:
                return opened.read(most).decode(errors="surrogateescape")
    return ""


def _number_and_home(name: str) -> tuple[int | None, str]:
    try:
        found = pwd.getpwnam(name)
    except (KeyError, ValueError):
        return None, ""
    return found.pw_uid, found.pw_dir
