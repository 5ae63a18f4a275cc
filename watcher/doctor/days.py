"""What is commonly wrong with the journal, the daemon, the tick writer, and with room for the days."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from handlers.analyze import has_wal_reset_bug, version_text
from handlers.contract import StepError
from handlers.database import read_header
from watcher.disk import Room, room
from watcher.doctor.finding import Finding, Findings, note, ok, or_ok, problem, warning
from watcher.doctor.places import places_of
from watcher.doctor.premises import Premises
from watcher.events import DAEMON_KEY
from watcher.overview import Day, Overview
from watcher.paths import journal_file
from watcher.state import Database, Facts
from watcher.version import installed
from watcher.view.forecast import forecast
from watcher.view.status import volumes_of
from watcher.view.verdict import Kind, Verdict, is_overdue, verdict
from watcher.view.volumes import Volume, volumes
from watcher.vitals import Vitals
from watcher.wording import count_of, moment, size

_BEHIND = timedelta(minutes=2)
_BEGINNING = timedelta(minutes=2)
"""As long a daemon may take until it answers."""
_PASSED = timedelta(hours=2)
"""As long after a pass without a daemon another one may follow."""
_FULL_SOON, _FULL_SOMETIME = timedelta(days=14), timedelta(days=90)
_FEW_FILES = 10_000
_NEWEST = 8
_FIXED = "give the tick writer SQLite 3.51.3 or later (or 3.50.7, 3.44.6)"
_CHECKED_ELSEWHERE: frozenset[Kind] = frozenset({"daemon", "disk", "address", "watching", "clock", "doubt"})


def journal(premises: Premises) -> Findings:
    file = journal_file(premises.known.data)
    if premises.overview_trouble:
        sentence, _, remedy = premises.overview_trouble.partition("; ")
        return [problem(sentence, remedy or "`tickward --debug status` shows more of it")]
    found = premises.overview
    if found is None:
        return []
    times = (facts.times.values() for facts in found.streams.values())
    return of_journal(file, found.head, found.doubts.journal, max(chain(*times), default=None), found.at)


def of_journal(file: Path, head: int, doubt: str, newest: datetime | None, now: datetime) -> Findings:
    """``doubt``: why it may not be the journal that was here before; empty: it is."""
    if doubt:
        sentence, _, remedy = doubt.partition(": ")
        yield problem(sentence, remedy or "put the journal back from its copy")
    if newest is not None and newest - now > _BEHIND:
        yield problem(
            f"the clock says {moment(now)}, and the journal has an event of {moment(newest)}: it is behind",
            "set it right (`timedatectl set-ntp true`): nothing is due before its time comes again",
        )
    elif not doubt and not head:
        yield note(f"there is no journal {file} yet: the first start begins one")
    elif not doubt:
        yield ok(f"the journal has {count_of(head, 'event')}; `tickward audit verify` proves it")


def daemon(premises: Premises) -> Findings:
    found = premises.overview
    if found is None:
        return [ok(f"a daemon is running (pid {premises.daemon_pid})")] if premises.daemon_pid else []
    if found.daemon_pid is None:
        late = sum(day.entry == "action" and is_overdue(day, found.at) for day in found.days)
        return of_no_daemon(late, found.passed_at, found.at)
    began = found.streams.get(DAEMON_KEY, Facts()).times.get("started")
    is_new = found.vitals is None and began is not None and found.at - began <= _BEGINNING
    return of_daemon(found.daemon_pid, found.vitals, found.is_deaf or is_new, installed())


def of_no_daemon(late: int, passed_at: datetime | None, now: datetime) -> Findings:
    """``late``: days with a step that is more than a day late; ``passed_at``: the last pass without one."""
    if late:
        yield warning(
            f"no daemon is running, and {count_of(late, 'day')} wait for a step that is more than a day late",
            "`tickward once` does all that is due, `tickward service install` has the system see to it",
        )
    elif passed_at is not None and now - passed_at < _PASSED:
        yield ok(f"no daemon is running; passes are made without one, the last {moment(passed_at)}")
    else:
        yield note(
            "no daemon is running: nothing is done by itself",
            "`tickward service install` has the system start one, `tickward run` is one",
        )


def of_daemon(pid: int, vitals: Vitals | None, may_be_deaf: bool, version: str) -> Findings:
    """``may_be_deaf``: it is just starting, or a single command; ``version``: the one that is installed."""
    if vitals is None and may_be_deaf:
        yield note(f"a command is at work here, or a daemon that is about to start (pid {pid})")
    elif vitals is None:
        yield problem(
            f"the daemon (pid {pid}) does not say how it is",
            "be its user, or root; if that does not help, look at the end of its log, and start it anew",
        )
    else:
        yield from _of_vitals(vitals, version)


def _of_vitals(vitals: Vitals, version: str) -> Iterator[Finding]:
    if vitals.error:
        yield problem(f"the daemon cannot go on: {vitals.error}", "mend that: it tries again by itself")
    if vitals.watching.trouble:
        yield warning(
            f"the daemon is not told of every change: {vitals.watching.trouble}",
            "mend that; until then it looks at everything now and then (watch.rescan_seconds)",
        )
    if vitals.version != version:
        yield warning(
            f"the daemon runs tickward {vitals.version}, and {version} is installed",
            "start it anew, with `systemctl restart tickward` or as it was started",
        )
    if not vitals.error and not vitals.watching.trouble and vitals.version == version:
        yield ok(f"the daemon runs (pid {vitals.pid}) since {moment(vitals.started)}")


class Writer(NamedTuple):
    """What a database says of the SQLite that wrote to it last."""

    key: str
    version: int
    """An ``SQLITE_VERSION_NUMBER``."""


def writer(premises: Premises) -> Findings:
    found = premises.overview
    return [] if found is None else of_writers(writers_of(found))


def of_writers(found: Sequence[Writer]) -> Findings:
    affected = [each for each in found if has_wal_reset_bug(each.version)]
    if affected:
        names = ", ".join(dict.fromkeys(version_text(each.version) for each in affected))
        yield warning(
            f"{len(affected)} of the newest {count_of(len(found), 'day')} were written to by SQLite {names}, "
            f"{affected[0].key} for one: its WAL-reset bug can corrupt a database in WAL mode",
            _FIXED,
        )
    elif found:
        newest = max(each.version for each in found)
        yield ok(f"the SQLite of the tick writer ({version_text(newest)}) has no WAL-reset bug")
    else:
        yield ok("no database says yet which SQLite the tick writer has")


def writers_of(found: Overview) -> list[Writer]:
    """Of the newest days: of one that was sealed by what was noted then, because sealing writes, too."""
    newest = sorted(found.databases.values(), key=lambda each: each.day, reverse=True)
    known = (_writer(database) for database in newest if database.files.database or database.facts.sealed)
    return [each for _, each in zip(range(_NEWEST), known, strict=False) if each is not None]


def _writer(database: Database) -> Writer | None:
    sealed = database.facts.sealed
    if sealed is not None:
        return Writer(database.key, sealed.sqlite_version)
    with suppress(OSError, StepError):
        header = read_header(Path(database.paths.database))
        if header.is_wal and header.sqlite_version:
            return Writer(database.key, header.sqlite_version)
    return None


def space(premises: Premises) -> Findings:
    settings, found = premises.known, premises.overview
    if premises.silent:
        return []
    places = {place.name: place.above for place in places_of(premises)}
    rooms = room(replace(settings.data, **{name: str(above) for name, above in places.items()}))
    free_min = settings.health.free_min
    on = volumes(rooms, {}, settings.health.free_min_bytes) if found is None else volumes_of(found, rooms)
    told = [*of_files(rooms_of_files(rooms, places)), *of_space(on, free_min)]
    if found is not None:
        told += of_future(full_on(found, on), found.at.date())
    free = ", ".join(f"{size(volume.free_bytes)} on {volume.name}" for volume in on)
    return or_ok(told, f"there is room: {free}") if on else []


def of_space(on: Iterable[Volume], free_min: str) -> Findings:
    for volume in on:
        if volume.low:
            yield problem(
                f"only {size(volume.free_bytes)} of {size(volume.total_bytes)} are free on {volume.name}: "
                "what needs space there is paused",
                f"free space there: a tenth more than health.free_min ({free_min})",
            )


class Full(NamedTuple):
    """When a volume is full."""

    volume: str
    free_bytes: int
    on: date


def full_on(found: Overview, on: Sequence[Volume]) -> list[Full]:
    """By the forecast, and where that does not know, by how the last weeks went: the sooner of both."""
    told = forecast(found.days, found.settings, on, {}, found.at).policy.volumes
    full = []
    for volume in on:
        days = volume.days_until_full
        times = [] if days is None else [found.at.date() + timedelta(days=days)]
        times += [each.full_on for each in told if each.full_on and each.directories == volume.directories]
        if times:
            full.append(Full(volume.name, volume.free_bytes, min(times)))
    return full


def of_future(full: Iterable[Full], today: date) -> Findings:
    remedy = "free space there, or archive and delete sooner: `tickward forecast` says what that saves"
    for each in full:
        left = each.on - today
        free = f"{each.volume} ({size(each.free_bytes)} free)"
        sentence = f"{free} is full on {each.on}, in {count_of(left.days, 'day')}, at this rate"
        if left <= _FULL_SOON:
            yield warning(sentence, remedy)
        elif left <= _FULL_SOMETIME:
            yield note(sentence, remedy)


class Files(NamedTuple):
    """How many files a volume has room for."""

    directory: str
    path: Path
    free: int
    total: int
    """0: that file system knows no such limit."""


def rooms_of_files(rooms: Iterable[Room], places: Mapping[str, Path]) -> list[Files]:
    """One for each device."""
    by_device = {each.device: each.directory for each in reversed(list(rooms))}
    found = []
    for name in by_device.values():
        if name in places:
            with suppress(OSError):
                told = os.statvfs(places[name])
                found.append(Files(name, places[name], told.f_favail, told.f_files))
    return found


def of_files(found: Iterable[Files]) -> Findings:
    for each in found:
        if each.total and each.free < _FEW_FILES:
            yield problem(
                f"the volume of {each.directory} has room for {count_of(each.free, 'more file')} (inodes)",
                f"delete what is not needed: `du --inodes -x -d 2 {shlex.quote(str(each.path))}` counts them",
            )


def days(premises: Premises) -> Findings:
    found = premises.overview
    if found is None:
        return []
    return of_days(verdict(found, volumes_of(found, room(premises.known.data))), found.days)


def of_days(judged: Verdict, all_days: Sequence[Day]) -> Findings:
    reasons = [reason for reason in judged.reasons if reason.kind not in _CHECKED_ELSEWHERE]
    if not reasons:
        yield ok(f"nothing is wrong with the days: {count_of(len(all_days), 'day')}")
        return
    first = reasons[0]
    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    of = f"{first.span}: " if first.span else ""
    sentence = f"`tickward status` says {first.level}: {of}{first.sentence}{more}"
    if first.level == "FAILING":
        yield warning(sentence, first.hint or "`tickward status` tells all of it")
    else:
        yield note(sentence, first.hint or "`tickward status` tells all of it")
