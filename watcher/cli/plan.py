"""``tickward plan``: what would be done, when and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watcher.cli.context import Context, write_json
from watcher.errors import ConfigError

if TYPE_CHECKING:
    from watcher.plan import Entry
    from watcher.survey import Survey


def plan(
    context: typer.Context,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Plan for this time (ISO 8601, UTC), not for now.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what would be done, when and why, and what each other day waits for. Changes nothing."""
    from watcher.premises import clock_of
    from watcher.survey import survey

    options: Context = context.obj
    settings = options.load()
    now = clock_of(settings.clock).now() if at is None else _time(at)
    found = survey(settings, now)
    rows = [_row(entry, found) for entry in found.plan.entries]
    if json:
        write_json({"at": now, "next_due": found.plan.next_due, "databases": rows})
    else:
        _print(rows, now)


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--at: {text!r} is not a time such as 2026-01-25 or 2026-01-25T02:00") from None
    if not 1970 <= moment.year < 9000:
        raise ConfigError(f"--at: {text!r} is too far away")
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


def _row(entry: Entry, found: Survey) -> dict[str, Any]:
    from watcher.lifecycle import state_of
    from watcher.plan import Action, Block, Wait

    row: dict[str, Any] = {
        "database": entry.key,
        "state": state_of(found.databases[entry.key]),
        "entry": type(entry).__name__.lower(),
        "step": None,
        "reason": entry.reason,
        "when": None,
    }
    match entry:
        case Action():
            row |= {"step": entry.step, "when": entry.due}
        case Wait():
            row |= {"step": entry.step, "when": entry.until}
        case Block():
            pass
    return row


_STYLES = {"action": "bold green", "wait": "dim", "block": "bold red"}


def _print(rows: list[dict[str, Any]], now: datetime) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from watcher.cli.console import console
    from watcher.wording import moment

    table = Table(title=f"Plan at {moment(now)}", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    for column in ("database", "state", "next (UTC)"):
        table.add_column(column, no_wrap=True)
    table.add_column("because", overflow="fold")
    for row in rows:
        cells = (row["database"], row["state"], _next(row), row["reason"])
        table.add_row(*map(escape, cells), style=_STYLES[row["entry"]])
    console().print(table)


def _next(row: dict[str, Any]) -> str:
    """``seal 2026-01-21 00:00``, ``seal now``, ``blocked``, or nothing."""
    if row["entry"] == "block":
        return "blocked"
    if row["entry"] == "action":
        return f"{row['step']} now"
    when = f"{row['when']:%Y-%m-%d %H:%M}" if row["when"] else ""
    return f"{row['step'] or ''} {when}".strip()
