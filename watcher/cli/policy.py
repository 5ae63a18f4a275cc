"""``tickward policy``: what is done with a day at which age, and whether that is what was done."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.context import Context, write_json
from watcher.errors import EXIT_DONE, EXIT_STEP_FAILED

if TYPE_CHECKING:
    from datetime import datetime

    from watcher.journal import Journal
    from watcher.settings import Data, Settings

_WIDEST = 100


def policy(
    context: typer.Context,
    prove: Annotated[
        bool, typer.Option("--prove", help="Compare what was done with each day with the policy.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what is done with a day at which age, and which dates that means today.

    With --prove: at which age it was really done, and each exception: too late, too soon, or due for more
    than a day and not done. Days that are on hold, or that are kept because they are among the newest, are
    listed and are none. It changes nothing.

    Exit status: 0 done; 1 the journal or a file cannot be read, or with --prove there are exceptions from
    under the present policy; 2 usage or configuration.

    Examples:
        tickward policy
        tickward policy --prove  # for whoever has to answer for it

    See also:
        `tickward report` writes both for an auditor.
    """
    from watcher.premises import clock_of

    options: Context = context.obj
    settings = options.load()
    now = clock_of(settings.clock).now()
    if prove:
        _prove(settings, now, json=json)
    else:
        _show(settings, now, json=json)


def _show(settings: Settings, now: datetime, *, json: bool) -> None:
    from watcher.view.policy import lines, timeline

    found = timeline(settings, now)
    if json:
        write_json(found)
    else:
        typer.echo("\n".join(lines(found, min(shutil.get_terminal_size().columns, _WIDEST))))


def _prove(settings: Settings, now: datetime, *, json: bool) -> None:
    from watcher.overview import overview
    from watcher.view.adherence import adherence, lines

    looked = overview(settings, now)
    found = adherence(looked, _policies(looked.settings.data))
    if json:
        write_json(found)
    else:
        typer.echo("\n".join(lines(found)))
    present = any(not each.earlier_policy for each in found.exceptions)
    raise typer.Exit(EXIT_STEP_FAILED if present else EXIT_DONE)


def _policies(data: Data) -> list[tuple[datetime, Mapping[str, str]]]:
    """Those that were in force, and since when. Raises `TickwardError` if they cannot be read."""
    from watcher.journal import reading
    from watcher.paths import journal_file

    with reading(journal_file(data)) as journal:
        if journal is None:
            return []
        with journal.snapshot():
            return [*_pruned(journal), *_recorded(journal)]


def _pruned(journal: Journal) -> list[tuple[datetime, Mapping[str, str]]]:
    """The one that was in force when the oldest event that is kept had yet to happen."""
    from watcher.events import DAEMON_KEY
    from watcher.journal_format import decode_facts

    # Its key comes before those of all streams.
    key, data = next(journal.rows_of("anchor_facts"), ("", ""))
    facts = decode_facts(data) if key == DAEMON_KEY else None
    if facts is None or facts.configured is None:
        return []
    return [(facts.times["configured"], facts.configured.policy)]


def _recorded(journal: Journal) -> list[tuple[datetime, Mapping[str, str]]]:
    from watcher.events import DAEMON_KEY, Configured
    from watcher.journal_format import record_of

    records = map(record_of, journal.events_of(DAEMON_KEY, event="configured"))
    return [(each.time, event.policy) for each in records if isinstance(event := each.decode(), Configured)]
