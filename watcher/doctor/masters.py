"""Who else looks after the days: entries of old scripts in a crontab, and a second tickward of our own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from watcher.doctor.finding import Findings, or_ok, warning
from watcher.doctor.places import user
from watcher.doctor.premises import Premises
from watcher.service.block import names_in
from watcher.service.others import Crontab, Other, others_in, system_tables, users_tables
from watcher.settings import Settings

_SYSTEM = Path("/etc")
_SHOWN = 3


def masters(premises: Premises) -> Findings:
    tables = [*system_tables(_SYSTEM), *users_tables(_users(premises))]
    found = of_tables(tables, premises.known, _daemon(premises))
    return or_ok(found, f"nobody else looks after the days, by {len(tables)} crontabs")


def of_tables(tables: Iterable[Crontab], settings: Settings, daemon_pid: int | None) -> Findings:
    """``daemon_pid``: None: none runs."""
    with_block = []
    for table in tables:
        if others := others_in(table, settings):
            yield warning(
                f"{table.name} has {_entries(others)}: two masters are worse than none",
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


def _entries(others: Sequence[Other]) -> str:
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    return "; ".join(map(str, others[:_SHOWN])) + more


def _users(premises: Premises) -> list[str]:
    """Who runs this, and whom the data belongs to."""
    numbers = [os.geteuid()]
    if (root := premises.places().get("root")) is not None:
        with suppress(OSError):
            numbers.append(root.stat().st_uid)
    return list(dict.fromkeys(map(user, numbers)))
