"""Who else looks after the days: entries of old scripts in a crontab, and a second tickward of our own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from watcher.doctor.finding import Findings, or_ok, warning
from watcher.doctor.places import user
from watcher.doctor.premises import Premises
from watcher.service.block import names_in
from watcher.service.foreign import foreign_masters
from watcher.settings import Settings

_SYSTEM = Path("/etc")
_MOST_TABLES, _LARGEST_BYTES = 200, 1 << 20
_CRONTAB_SECONDS = 5.0
_SHOWN = 3
_LONGEST_LINE = 120


class Crontab(NamedTuple):
    """A table of cron's."""

    name: str
    """For people."""
    edited_by: str
    """The command that a person changes it with."""
    text: str


def masters(premises: Premises) -> Findings:
    tables = [*system_tables(_SYSTEM), *_users_tables(_users(premises))]
    found = of_tables(tables, premises.known, _daemon(premises))
    return or_ok(found, f"nobody else looks after the days, by {len(tables)} crontabs")


def of_tables(tables: Iterable[Crontab], settings: Settings, daemon_pid: int | None) -> Findings:
    """``daemon_pid``: None: none runs."""
    with_block = []
    for table in tables:
        if entries := foreign_masters(table.text, settings):
            yield warning(
                f"{table.name} has {_entries(entries)}: two masters are worse than none",
                f"take that out with `{table.edited_by}`, unless it only reads the days: what such a script "
                "compresses or deletes it takes from under tickward",
            )
        if settings.data.state in names_in(table.text):
            with_block.append(table)
    if with_block and (daemon_pid is not None or len(with_block) > 1):
        names = " and ".join(table.name for table in with_block)
        also = f", and a daemon runs (pid {daemon_pid})" if daemon_pid is not None else ""
        yield warning(
            f"tickward's entries are in {names}{also}: each is refused while the other is at work",
            "`tickward service uninstall --kind cron` takes the entries out, or stop the daemon",
        )


def _daemon(premises: Premises) -> int | None:
    """None: none runs, or what is at work is a single pass: one of cron's, perhaps."""
    found = premises.overview
    return premises.daemon_pid if found is None or not found.is_deaf else None


def _entries(lines: Sequence[str]) -> str:
    shown = [line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 1]}…" for line in lines]
    more = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return "; ".join(f"`{line}`" for line in shown[:_SHOWN]) + more


def system_tables(etc: Path) -> list[Crontab]:
    """``crontab`` and what is in ``cron.d``: as far as they can be read."""
    files = [etc / "crontab"]
    with suppress(OSError):
        files += sorted(islice((etc / "cron.d").iterdir(), _MOST_TABLES))
    found = []
    for file in files:
        with suppress(OSError):
            if file.is_file():
                with file.open("rb") as opened:
                    text = opened.read(_LARGEST_BYTES).decode(errors="surrogateescape")
                found.append(Crontab(str(file), f"sudoedit {file}", text))
    return found


def _users(premises: Premises) -> list[str]:
    """Who runs this, and whom the data belongs to."""
    numbers = [os.geteuid()]
    if (root := premises.places().get("root")) is not None:
        with suppress(OSError):
            numbers.append(root.stat().st_uid)
    return list(dict.fromkeys(map(user, numbers)))


def _users_tables(users: Iterable[str]) -> list[Crontab]:
    """As far as they can be read: another user's only by root."""
    me = user(os.geteuid())
    found = []
    for name in users:
        of = () if name == me else ("-u", name)
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
                found.append(Crontab(f"the crontab of {name}", " ".join(("crontab", *of, "-e")), text))
    return found
