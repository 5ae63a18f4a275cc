"""For Windows: tasks of its Task Scheduler, one for the daemon or one for each schedule. PURE.

The files are what ``schtasks /Create /XML`` reads: version 1.2 of the format that Microsoft publishes as
[MS-TSCH] 2.5, in UTF-16. The order of elements in a trigger matters, elsewhere it does not.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF16_LE
from datetime import UTC, date, datetime
from html import unescape
from pathlib import Path
from subprocess import list2cmdline
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from watcher.errors import ConfigError
from watcher.service.hours import CATCH_UP_MINUTE, STATUS_LOG, Entry, Times, entries, times_of
from watcher.service.installation import Command, File, Installation, Runs, mark
from watcher.service.target import Target

NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"
_PREFIX = "Tickward "
_SHELL = "cmd.exe"
_LOW = 7
"""Of the priorities 0 to 10: below normal, also for the disk."""
_MOST_TRIGGERS = 24
"""The Task Scheduler takes 48."""
_SINCE = date(2026, 1, 1)
"""A Thursday that is over: from when the triggers count."""
_LONGEST_PATH = 260
_KEEP_UP = "PT15M"
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def describe(target: Target) -> Installation:
    """The daemon, started with the machine; or with ``scheduled`` what takes its place."""
    tasks = _scheduled(target) if target.scheduled else {"daemon": _daemon(target)}
    directory = Path(target.settings.data.state) / "tasks"
    files = tuple(File(directory / f"{name}.xml", _document(task)) for name, task in tasks.items())
    names = {f"{_PREFIX}{name}": file for name, file in zip(tasks, files, strict=True)}
    start = () if target.scheduled else (_schtasks("/Run", f"{_PREFIX}daemon"),)
    return Installation(
        "windows",
        target.scope,
        files,
        enable=(
            *(_schtasks("/Create", name, "/XML", str(file.path), "/F") for name, file in names.items()),
            *start,
        ),
        disable=tuple(
            command
            for name in names
            for command in (_schtasks("/End", name, needed=False), _schtasks("/Delete", name, "/F"))
        ),
        notes=(
            "made for Windows by its published format: tickward itself has not been run there yet",
            "an administrator has to install them: they start with the machine",
            f"the tasks run as {target.user} whether logged on or not, without a stored password: "
            "paths on the network cannot be reached",
        ),
        active=_schtasks("/Query", next(iter(names))).argv,
    )


def runs(content: bytes) -> Runs | None:
    """What a task that was made here says; that of the status does not."""
    text = content.decode("utf-16", errors="replace")
    program, user = re.search("<Command>(.*)</Command>", text), re.search("<UserId>(.*)</UserId>", text)
    if program is None or program[1] == _SHELL:
        return None
    return Runs(unescape(program[1]), unescape(user[1]) if user else "")


def _schtasks(what: str, name: str, *more: str, needed: bool = True) -> Command:
    return Command(("schtasks", what, "/TN", name, *more), needed)


def _daemon(target: Target) -> Element:
    """At start-up, again a minute after it failed, and every quarter of an hour if it is not there."""
    task, triggers = _task(target, "tickward, the daemon")
    _repeated(SubElement(triggers, "BootTrigger"), _KEEP_UP)
    _settings(task, restart=True)
    _run(task, target, "run")
    return task


def _scheduled(target: Target) -> dict[str, Element]:
    catch_up = Entry(
        "catch-up", "whatever is due still, and when the machine comes up", f"{CATCH_UP_MINUTE} * * * *"
    )
    return {entry.name: _timed(target, entry) for entry in (*entries(target.settings), catch_up)}


def _timed(target: Target, entry: Entry) -> Element:
    task, triggers = _task(target, f'tickward, {entry.what}: "{entry.schedule}"')
    if entry.name == "catch-up":
        SubElement(triggers, "BootTrigger")
    _put_triggers(triggers, times_of(entry.schedule))
    _settings(task, restart=False)
    _run(task, target, entry.command)
    return task


def _task(target: Target, what: str) -> tuple[Element, Element]:
    """The task so far, and where its triggers go."""
    task = Element("Task", version="1.2", xmlns=NAMESPACE)
    about = SubElement(task, "RegistrationInfo")
    _text(about, "Source", "tickward")
    _text(about, "Description", f"{what} ({mark(target)})")
    triggers = SubElement(task, "Triggers")
    principal = SubElement(SubElement(task, "Principals"), "Principal", id="tickward")
    _text(principal, "UserId", target.user)
    _text(principal, "LogonType", "S4U")
    _text(principal, "RunLevel", "LeastPrivilege")
    return task, triggers


def _settings(task: Element, *, restart: bool) -> None:
    settings = SubElement(task, "Settings")
    if restart:
        again = SubElement(settings, "RestartOnFailure")
        _text(again, "Interval", "PT1M")
        _text(again, "Count", "255")
    _text(settings, "MultipleInstancesPolicy", "IgnoreNew")
    _text(settings, "DisallowStartIfOnBatteries", "false")
    _text(settings, "StopIfGoingOnBatteries", "false")
    _text(settings, "StartWhenAvailable", "true")
    _text(settings, "ExecutionTimeLimit", "PT0S")
    _text(settings, "Priority", str(_LOW))


def _run(task: Element, target: Target, command: str) -> None:
    program, *rest = (*target.command, command)
    arguments = list2cmdline(rest)
    if command == "status":
        log = _quoted(str(Path(target.settings.data.state) / STATUS_LOG))
        line = " ".join(map(_quoted, (program, *rest)))
        program, arguments = _SHELL, f'/d /s /c "{line} >{log} 2>&1"'
    action = SubElement(SubElement(task, "Actions", Context="tickward"), "Exec")
    _text(action, "Command", _path(program))
    _text(action, "Arguments", arguments)
    _text(action, "WorkingDirectory", _path(str(target.directory)))


def _quoted(word: str) -> str:
    """As cmd.exe takes a word that may have ``&`` or ``^`` in it. ``%`` means something in quotes too."""
    if not {"%", '"'}.isdisjoint(word):
        raise ConfigError(f"{word}: cmd.exe takes no name with % or a quote in it; rename it")
    end = word[len(word.rstrip("\\")) :]
    return f'"{word}{end}"'


def _path(path: str) -> str:
    if len(path) > _LONGEST_PATH:
        raise ConfigError(
            f"{path}: a task takes paths of {_LONGEST_PATH} characters at most; choose a shorter"
        )
    return path


def _put_triggers(triggers: Element, times: Times) -> None:
    """One for each time of the day; where those are too many, one for each minute of every hour.

    In the end one for each minute: `tickward once` does nothing where nothing is due.
    """
    hours, minutes = times.hours, times.minutes or tuple(range(60))
    if hours and len(hours) * len(minutes) <= _MOST_TRIGGERS:
        for hour in hours:
            for minute in minutes:
                _on_days(_trigger(triggers, hour, minute), times)
    elif len(minutes) <= _MOST_TRIGGERS:
        for minute in minutes:
            _on_days(_trigger(triggers, 0, minute, "PT1H"), times)
    else:
        _on_days(_trigger(triggers, 0, 0, "PT1M"), times)


def _trigger(triggers: Element, hour: int, minute: int, every: str = "") -> Element:
    """At this time of the day in UTC: the Z at its end keeps it there, whatever zone Windows is in."""
    trigger = SubElement(triggers, "CalendarTrigger")
    start = datetime(_SINCE.year, _SINCE.month, _SINCE.day, hour, minute, tzinfo=UTC)
    _text(trigger, "StartBoundary", f"{start:%Y-%m-%dT%H:%M:%SZ}")
    if every:
        _repeated(trigger, every, "P1D")
    return trigger


def _repeated(trigger: Element, every: str, during: str = "") -> None:
    """Again and again, for so long; for ever if nothing is said."""
    repetition = SubElement(trigger, "Repetition")
    _text(repetition, "Interval", every)
    if during:
        _text(repetition, "Duration", during)


def _on_days(trigger: Element, times: Times) -> None:
    if times.days or times.months:
        by_month = SubElement(trigger, "ScheduleByMonth")
        days = SubElement(by_month, "DaysOfMonth")
        for day in times.days or range(1, 32):
            _text(days, "Day", str(day))
        months = SubElement(by_month, "Months")
        for month in times.months or range(1, 13):
            SubElement(months, _MONTHS[month - 1])
    elif times.weekdays:
        by_week = SubElement(trigger, "ScheduleByWeek")
        _text(by_week, "WeeksInterval", "1")
        days = SubElement(by_week, "DaysOfWeek")
        for weekday in times.weekdays:
            SubElement(days, _WEEKDAYS[weekday - 1])
    else:
        _text(SubElement(trigger, "ScheduleByDay"), "DaysInterval", "1")


def _text(parent: Element, name: str, text: str) -> None:
    if not text.isprintable():
        raise ConfigError(f"{text!r} cannot be in a task of Windows: rename what has such a name")
    SubElement(parent, name).text = text


def _document(task: Element) -> bytes:
    indent(task)
    declared = '<?xml version="1.0" encoding="UTF-16"?>\n'
    text = declared + tostring(task, encoding="unicode") + "\n"
    return BOM_UTF16_LE + text.replace("\n", "\r\n").encode("utf-16-le")
