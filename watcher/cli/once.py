"""``tickward once``: a single pass, for people without a daemon."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.asking import JSON
from watcher.cli.context import Context, write_json
from watcher.cli.plan import plan
from watcher.errors import EXIT_DONE

if TYPE_CHECKING:
    from watcher.settings import Settings


def once(context: typer.Context, json: Annotated[bool, JSON] = False) -> None:
    """Do all that is due, wait for it, and end: for people without a daemon.

    With DRY_RUN set it is `tickward plan`.

    Exit status: 0 done, or nothing to do; 1 a step failed; 2 usage or configuration; 3 another instance is at
    work.

    Examples:
        tickward once
        DRY_RUN=1 tickward once

    See also:
        `tickward run` goes on doing it.
    """
    from watcher import logs
    from watcher.app import App

    options: Context = context.obj
    settings = options.load()
    if options.dry_run:
        context.invoke(plan, context=context, json=json)
        raise typer.Exit
    logs.set_up(settings.log, options.debug)
    if not json:
        raise typer.Exit(App(settings).once())

    from watcher.cli.documents.planning import Pass

    since, _ = _recorded(settings, None)
    code = App(settings).once()
    sequence, events = _recorded(settings, since)
    write_json(Pass(code == EXIT_DONE, since, sequence, events))
    raise typer.Exit(code)


def _recorded(settings: Settings, since: int | None) -> tuple[int, Counter[str]]:
    """The number of the newest event, and how many of each kind there are after another one."""
    from watcher.journal import Journal
    from watcher.paths import journal_file

    counts: Counter[str] = Counter()
    journal = Journal.open_for_reading(journal_file(settings.data))
    if journal is None:
        return 0, counts
    with journal:
        head = journal.head()
        number = head if since is None else since
        while number < head and (records := journal.since(number)):
            counts.update(record.event for record in records)
            number = records[-1].sequence
        return head, counts
