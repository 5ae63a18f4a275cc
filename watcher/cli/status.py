"""``tickward status``: is it healthy, and where is every day?"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watcher.cli.context import Context, write_json

if TYPE_CHECKING:
    from watcher.survey import Survey


def status(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show how things stand. Works with the daemon running or not, and says which."""
    from watcher.premises import clock_of
    from watcher.survey import survey

    options: Context = context.obj
    settings = options.load()
    found = survey(settings, clock_of(settings.clock).now())
    report = _report(found)
    if json:
        write_json(report)
    else:
        _print(report)


def _report(found: Survey) -> dict[str, Any]:
    from watcher.lifecycle import state_of
    from watcher.plan import Block

    databases = sorted(found.databases.values(), key=lambda database: database.key)
    blocked = [e for e in found.plan.entries if isinstance(e, Block)]
    deferred = [d for d in databases if d.facts.deferred is not None]
    failed = [(d.key, f) for d in databases for f in d.facts.failed.values()]
    held = [d for d in databases if d.facts.hold is not None]
    lost = [d.key for d in databases if d.facts.lost is not None]
    uncounted = [d.key for d in databases if d.facts.sealed is not None and not d.facts.sealed.counted]
    failing = failed or lost or any(entry.failed for entry in blocked)
    verdict = "FAILING" if failing else "ATTENTION" if blocked or deferred or uncounted else "OK"
    if found.daemon_pid is None and verdict == "OK":
        verdict = "ATTENTION"
    return {
        "verdict": verdict,
        "daemon_pid": found.daemon_pid,
        "at": found.plan.at,
        "sequence": found.head,
        "next_due": found.plan.next_due,
        "states": dict(Counter(state_of(database) for database in databases)),
        "streams": {name: facts.rotated for name, facts in found.streams.items() if facts.rotated},
        "due": [{"database": a.key, "step": a.step, "reason": a.reason} for a in found.plan.actions],
        "blocked": [{"database": entry.key, "reason": entry.reason} for entry in blocked],
        "deferred": [_deferred(database.key, database.facts) for database in deferred],
        "failed": [{"database": key, "failure": failure} for key, failure in failed],
        "uncounted": uncounted,
        "held": [{"database": d.key, "hold": d.facts.hold, "since": d.facts.times["held"]} for d in held],
        "lost": lost,
        "last_verified": _last(databases, "verified", "repaired"),
        "last_drill": _last(databases, "drilled"),
        "databases": [_database(database) for database in databases if database.files.present],
    }


def _last(databases: list[Any], *events: str) -> Any:
    """When one of these last happened to any of them."""
    times = [d.facts.times[event] for d in databases for event in events if event in d.facts.times]
    return max(times, default=None)


def _deferred(key: str, facts: Any) -> dict[str, Any]:
    copy = facts.backed_up if facts.backed_up is not None and facts.backed_up.live else None
    return {
        "database": key,
        "holders": facts.deferred.holders,
        "since": facts.deferred.since,
        "safety_copy": copy,
        "safety_copy_at": facts.times.get("backed_up") if copy else None,
    }


def _database(database: Any) -> dict[str, Any]:
    from watcher.lifecycle import state_of

    facts, files = database.facts, database.files
    return {
        "database": database.key,
        "state": state_of(database),
        "ticks": facts.sealed.ticks if facts.sealed else None,
        "bytes": facts.sealed.size_bytes if facts.sealed else None,
        "bytes_now": files.first.size_bytes if files.first else None,
        "live_copy": facts.backed_up is not None and facts.backed_up.live,
        "backed_up": facts.backed_up is not None and not facts.backed_up.live,
        "sha256": facts.sealed.sha256 if facts.sealed else None,
        "on_hold": facts.hold is not None,
        "proven_at": facts.proven_at,
    }


_COLOURS = {"OK": "bold green", "ATTENTION": "bold yellow", "FAILING": "bold red"}


def _print(report: dict[str, Any]) -> None:
    from rich.markup import escape

    from watcher.cli.console import console

    out = console()
    verdict = report["verdict"]
    pid = report["daemon_pid"]
    daemon = f"daemon running, pid {pid}" if pid is not None else "no daemon is running"
    out.print(f"[{_COLOURS[verdict]}]{verdict}[/]  {daemon}; {report['sequence']} events recorded")
    for name, rotated in report["streams"].items():
        line = f"{name}: current day {rotated.current}, {rotated.current_db}"
        out.print(escape(line))
    counts = ", ".join(f"{count} {state}" for state, count in sorted(report["states"].items()))
    out.print(f"days: {counts or 'none'}")
    for line in _lines(report):
        out.print(escape(line))
    if report["databases"]:
        out.print(_table(report["databases"]))


def _lines(report: dict[str, Any]) -> list[str]:
    from watcher.wording import moment, span

    lines = [f"LOST: {key}: no good copy of it is left" for key in report["lost"]]
    lines += [f"blocked: {span(keys)}: {reason}" for reason, keys in _by_reason(report["blocked"])]
    for item in report["deferred"]:
        who = ", ".join(map(str, item["holders"])) or "an unknown process"
        copied = item["safety_copy_at"]
        copy = f"a consistent copy was taken {moment(copied)}" if copied else "no copy of it yet"
        lines.append(f"not sealed: {item['database']} is held by {who} since {moment(item['since'])}; {copy}")
    lines += [
        f"not counted: {key} has no table of the name in data.streams.{key.partition('/')[0]}.table"
        for key in report["uncounted"]
    ]
    told = {entry["database"] for entry in report["blocked"]}
    for item in (item for item in report["failed"] if item["database"] not in told):
        failed = item["failure"]
        again = f"next try {moment(failed.next_try)}" if failed.next_try else "not tried again"
        lines.append(
            f"failed: {item['database']} {failed.step}: {failed.error}; {failed.hint}; "
            f"attempt {failed.attempt}; {again}"
        )
    due = [{**a, "reason": f"{a['step']}: {a['reason']}"} for a in report["due"]]
    lines += [f"due: {span(keys)}: {reason}" for reason, keys in _by_reason(due)]
    for item in report["held"]:
        hold = item["hold"]
        lines.append(f"on hold: {item['database']} since {moment(item['since'])} by {hold.by}: {hold.reason}")
    proofs = (
        f"last verified: {moment(report['last_verified'])}",
        f"last restore drill: {moment(report['last_drill'])}",
    )
    return [*lines, "; ".join(proofs), f"next due: {moment(report['next_due'])}"]


def _by_reason(rows: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """The days that one sentence is about, together."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["reason"], []).append(row["database"])
    return list(found.items())


def _table(databases: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    from watcher.wording import size

    table = Table()
    for column in ("database", "state", "ticks", "bytes", "now", "backup"):
        table.add_column(column, justify="right" if column in ("ticks", "bytes", "now") else "left")
    for row in databases:
        table.add_row(
            row["database"],
            f"{row['state']}{', on hold' if row['on_hold'] else ''}",
            f"{row['ticks']:,}" if row["ticks"] is not None else "-",
            size(row["bytes"]) if row["bytes"] is not None else "-",
            size(row["bytes_now"]) if row["bytes_now"] is not None else "-",
            "yes" if row["backed_up"] else "live" if row["live_copy"] else "-",
        )
    return table
