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
        moments = {"next_due": found.plan.next_due, "drill_at": found.plan.drill_at}
        write_json({"at": now, **moments, "databases": rows})
    else:
        _print(rows, now)
        _say_next(found)


def _say_next(found: Survey) -> None:
    """What is done beside that: it stands in no row, since it is not the next step of any day's life."""
    import typer

    from watcher.plan import Wait
    from watcher.wording import moment

    reads = [e.verify_at for e in found.plan.entries if isinstance(e, Wait) and e.verify_at is not None]
    if reads:
        typer.echo(f"copies are read again: {len(reads)} days, from {moment(min(reads))}")
    if found.plan.drill_at is not None:
        typer.echo(f"next restore drill: {moment(found.plan.drill_at)}")


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
    from watcher.plan import Action, Wait

    when = entry.due if isinstance(entry, Action) else entry.until if isinstance(entry, Wait) else None
    return {
        "database": entry.key,
        "state": state_of(found.databases[entry.key]),
        "entry": type(entry).__name__.lower(),
        "step": entry.step,
        "reason": entry.reason,
        "when": when,
        "verify_at": entry.verify_at if isinstance(entry, Wait) else None,
    }


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
