"""``tickward plan``: what would be done, when and why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.context import Context, write_json
from watcher.errors import ConfigError

if TYPE_CHECKING:
    from watcher.cli.documents.planning import PlanAt, PlannedDay
    from watcher.overview import Overview

_COLUMNS = ("database", "state", "next (UTC)")
_LEAST_ROOM = 46
"""With less beside the other columns a reason stands below them."""


def plan(
    context: typer.Context,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Plan for this time (ISO 8601, UTC), not for now.")
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", metavar="YYYY-MM-DD", help="Only from this day on.")
    ] = None,
    final: Annotated[
        str | None, typer.Option("--to", metavar="YYYY-MM-DD", help="Only to this day, included.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what would be done, when and why, and what each other day waits for. Changes nothing.

    It is what the daemon goes by: the same rules, on the same files. Days are shown oldest first.

    Exit status: 0 done; 1 the journal or a file cannot be read; 2 usage or configuration.

    Examples:
        tickward plan
        tickward plan --at 2026-08-01  # what it would be then
        tickward plan --from 2026-01-01 --to 2026-01-31

    See also:
        `tickward policy` for the ages; `tickward once` does what is due.
    """
    from watcher.cli.place import range_given
    from watcher.overview import overview
    from watcher.premises import clock_of

    options: Context = context.obj
    settings = options.load()
    now = clock_of(settings.clock).now() if at is None else _time(at)
    begin, end = range_given(first, final)
    told = _told(overview(settings, now), begin, end)
    if json:
        write_json(told)
    else:
        _print(told)


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--at: {text!r} is not a time such as 2026-01-25 or 2026-01-25T02:00") from None
    if not 1970 <= moment.year < 9000:
        raise ConfigError(f"--at: {text!r} is too far away")
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


def _told(found: Overview, begin: date, end: date) -> PlanAt:
    from watcher.cli.documents.planning import PlanAt, PlannedDay

    days = tuple(
        PlannedDay(day.key, day.state, day.entry, day.step, day.reason, day.due, day.verify_at)
        for day in found.days
        if begin <= day.day <= end
    )
    return PlanAt(found.at, found.next_due, found.plan.drill_at, days)


_STYLES = {"action": "bold green", "wait": "dim", "block": "bold red"}


def _print(told: PlanAt) -> None:
    """In one go: rich would take minutes for a table of years."""
    from rich.style import Style

    from watcher.cli.console import console
    from watcher.wording import moment

    out = console()
    colours = out.color_system if out.is_terminal and not out.no_color else None
    paint = {entry: Style.parse(style) if colours else Style.null() for entry, style in _STYLES.items()}
    lines = [f"Plan at {moment(told.at)}", ""]
    for text, entry in _lines(told.databases, out.width if out.is_terminal else None):
        lines.append(paint[entry].render(text) if entry else text)
    reads = [day.verify_at for day in told.databases if day.verify_at is not None]
    lines.append("")
    # What is done beside that stands in no row, since it is not the next step of any day's life.
    if reads:
        days = "1 day" if len(reads) == 1 else f"{len(reads)} days"
        lines.append(f"copies are read again: {days}, from {moment(min(reads))}")
    if told.drill_at is not None:
        lines.append(f"next restore drill: {moment(told.drill_at)}")
    typer.echo("\n".join(lines).rstrip())


def _lines(days: tuple[PlannedDay, ...], width: int | None) -> Iterator[tuple[str, str]]:
    """Lines, each with the entry that it is of; that of the heading is of none.

    ``width``: of the terminal; None: there is none, and nothing is folded.
    """
    from watcher.wording import printable

    rows = [(day.database, day.state, _next(day)) for day in days]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    indent = sum(widths) + 2 * len(widths)
    beside = width is None or width - indent >= _LEAST_ROOM
    yield (_joined(_COLUMNS, widths) + ("because" if beside else "")).rstrip(), ""
    for day, row in zip(days, rows, strict=True):
        head, left = _joined(row, widths), indent if beside else 4
        first, *others = _folded(printable(day.reason), None if width is None else max(width - left, 20))
        if not beside:
            yield head.rstrip(), day.entry
            head = " " * left
        yield (head + first).rstrip(), day.entry
        for each in others:
            yield " " * left + each, day.entry


def _folded(text: str, room: int | None) -> list[str]:
    return [text] if room is None or len(text) <= room else wrap(text, room, break_on_hyphens=False)


def _joined(cells: tuple[str, ...], widths: list[int]) -> str:
    return "".join(f"{cell:{width}}  " for cell, width in zip(cells, widths, strict=True))


def _next(day: PlannedDay) -> str:
    """``seal 2026-01-21 00:00``, ``seal now``, ``blocked``, or nothing."""
    if day.entry == "block":
        return "blocked"
    if day.entry == "action":
        return f"{day.step} now"
    when = f"{day.when:%Y-%m-%d %H:%M}" if day.when else ""
    return f"{day.step or ''} {when}".strip()
