"""How the status is shown to people: on one screen, the verdict first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from watcher.settings import TOPS
from watcher.view.status import ActiveDay, DaemonStatus, FailedStep, OnHold, Status
from watcher.view.verdict import Level, Reason
from watcher.view.volumes import Volume
from watcher.vitals import Running
from watcher.wording import moment, printable, size

_STYLES: dict[Level, str] = {"OK": "bold green", "ATTENTION": "bold yellow", "FAILING": "bold red"}
_MOST = 5
"""So many reasons, streams, failures, ... are shown: it is one screen."""

Line = tuple[str, str]
"""A label and what there is to say."""


def screen(status: Status) -> RenderableType:
    """All of it, the most important first."""
    return Group(
        _verdict(status),
        "",
        _lines(list(_before(status))),
        "",
        _steps(status),
        "",
        _lines(list(_after(status))),
    )


def fitting(shown: RenderableType, out: Console) -> Text:
    """As much of it as fits into the window, and a word on what does not."""
    with out.capture() as captured:
        out.print(shown)
    lines = captured.get().splitlines()
    if (over := len(lines) - out.height) > 0:
        lines[out.height - 1 :] = [f"and {over + 1} more lines: a higher window shows them"]
    return Text.from_ansi("\n".join(lines))


def _verdict(status: Status) -> Table:
    table = _grid()
    table.add_row(_level(status.verdict.level), Text(f"at {moment(status.at)}"))
    for reason, like_it in _first_of_each_kind(status.verdict.reasons):
        days = f"{reason.span}: " if reason.count else ""
        hint = f"; {reason.hint}" if reason.hint else ""
        table.add_row(_level(reason.level), Text(printable(f"{days}{reason.sentence}{hint}")))
        if like_it:
            table.add_row("", f"and {like_it:,} more of this kind ({reason.kind}): --json lists them")
    return table


def _first_of_each_kind(reasons: Sequence[Reason]) -> Iterator[tuple[Reason, int]]:
    """What is shown, the most important first; and how many others there are of its kind.

    All of them if they are few. Else the first ones of each kind: many conflicts must not hide a full disk.
    """
    kinds = [list(group) for _, group in groupby(reasons, key=lambda reason: (reason.level, reason.kind))]
    each = len(reasons) if len(reasons) <= _MOST else max(_MOST // len(kinds), 1)
    for group in kinds:
        *others, last = group[:each]
        yield from ((reason, 0) for reason in others)
        yield last, len(group) - each if len(group) > each else 0


def _level(level: Level) -> Text:
    return Text(level, style=_STYLES[level])


def _lines(lines: Sequence[Line]) -> Table:
    table = _grid()
    before = ""
    for label, text in lines:
        table.add_row("" if label == before else label, Text(printable(text)))
        before = label
    return table


def _grid() -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, min_width=9)
    table.add_column(overflow="fold")
    return table


def _before(status: Status) -> Iterator[Line]:
    yield from _daemon(status.daemon, status.at)
    silent_first = sorted(status.active, key=lambda day: (day.growing, -(day.silent_seconds or 0)))
    yield from _some("active", [_active(day) for day in silent_first])
    yield from _some("failed", [_failed(failed) for failed in status.failures])
    yield from _some("on hold", [_on_hold(hold) for hold in status.holds])


def _after(status: Status) -> Iterator[Line]:
    yield from (("disk", _volume(volume)) for volume in status.volumes)
    tiers = (f"{tier.days:,} {name} ({size(tier.bytes_now)})" for name, tier in status.tiers.items())
    yield "days", ", ".join(tiers)
    versions = f"tickward {status.versions.tickward}, SQLite {status.versions.sqlite}"
    yield "this is", f"{versions}; {status.sequence:,} events recorded"
    yield "config", status.config_file or "none: the defaults hold"


def _some(label: str, told: Sequence[str]) -> Iterator[Line]:
    """Never silently cut."""
    yield from ((label, text) for text in told[:_MOST])
    if more := _more(told):
        yield label, more


def _more(told: Sequence[object]) -> str:
    return f"and {len(told) - _MOST:,} more: --json lists them" if len(told) > _MOST else ""


def _daemon(daemon: DaemonStatus, now: datetime) -> Iterator[Line]:
    vitals = daemon.vitals
    if daemon.pid is None:
        yield "daemon", f"none; {_last_seen(daemon)}"
    elif vitals is None:
        yield "daemon", f"one is running, pid {daemon.pid}, and does not say how it is"
    else:
        looked = ago(max((now - vitals.stepped).total_seconds(), 0))
        yield (
            "daemon",
            f"running, pid {vitals.pid}, since {moment(vitals.started)}; looked at everything {looked}",
        )
        yield "daemon", f"tickward {vitals.version}, SQLite {vitals.sqlite_version}"
        jobs = [_job(job, now) for job in vitals.running]
        yield from _some("at work", jobs)
        if vitals.waiting or vitals.orders:
            yield "waiting", f"for a worker: {vitals.waiting:,}; ordered by people: {vitals.orders:,}"


def _last_seen(daemon: DaemonStatus) -> str:
    if daemon.started is None:
        return "there never was one"
    if daemon.stopped is None or daemon.stopped < daemon.started:
        return f"the last began {moment(daemon.started)}, and did not end in order"
    return f"the last ended {moment(daemon.stopped)}"


def _job(job: Running, now: datetime) -> str:
    for_long = length(max((now - job.since).total_seconds(), 0))
    done = f", {job.done_bytes / job.total_bytes:.0%} of {size(job.total_bytes)}" if job.total_bytes else ""
    return f"{job.step} {job.database} for {for_long}{done}"


def _active(day: ActiveDay) -> str:
    if day.silent_seconds is None:
        return f"{day.database}  there is no file {day.path}"
    growing = "growing" if day.growing else "NOT GROWING"
    written = f"written to {ago(day.silent_seconds)}, {size(day.bytes)}"
    return f"{day.database}  {growing}: {written}, {day.state}; {day.path}"


def _failed(failed: FailedStep) -> str:
    again = f"next try {moment(failed.next_try)}" if failed.next_try else "not tried again"
    return f"{failed.database} {failed.step}: {failed.error}; attempt {failed.attempt}, {again}"


def _on_hold(hold: OnHold) -> str:
    return f"{hold.database} since {moment(hold.since)} by {hold.by}: {hold.reason}"


def _volume(volume: Volume) -> str:
    names = "all" if volume.directories == TOPS else ", ".join(volume.directories)
    free = f"{size(volume.free_bytes)} of {size(volume.total_bytes)} free"
    return f"{names}: {free}; {_future(volume)}{'; LOW' if volume.low else ''}"


def _future(volume: Volume) -> str:
    growth = volume.growth_bytes
    if growth is None:
        return "growth is not known yet"
    full = "not full at this rate"
    if volume.days_until_full is not None:
        full = f"full in {volume.days_until_full:,} days"
    return f"{'-' if growth < 0 else '+'}{size(abs(growth))} a day: {full}"


def _steps(status: Status) -> Table:
    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    table.add_column("step", no_wrap=True, min_width=9)
    for column in ("last (UTC)", "next (UTC)"):
        table.add_column(column, no_wrap=True)
    for column in ("due", "overdue", "paused"):
        table.add_column(column, no_wrap=True, justify="right")
    for step in status.steps:
        counts = (f"{count:,}" for count in (step.due, step.overdue, step.paused))
        table.add_row(step.step, _minute(step.last), "now" if step.due else _minute(step.next), *counts)
    return table


def _minute(time: datetime | None) -> str:
    return "-" if time is None else f"{time:%Y-%m-%d %H:%M}"


def ago(seconds: float) -> str:
    """``12 s ago``."""
    return f"{length(seconds)} ago"


def length(seconds: float) -> str:
    """``12 s``, ``26 min``, ``3 h 14 min``, ``12 days``."""
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if minutes < 1:
        return f"{int(seconds)} s"
    if hours < 1:
        return f"{minutes} min"
    if hours < 48:
        return f"{hours} h {minutes % 60} min"
    return f"{hours // 24:,} days"
