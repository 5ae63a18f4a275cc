"""What is commonly wrong with the machine: versions, limits, what is shown of processes, time."""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import sys
import time
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import NamedTuple

from handlers.analyze import has_wal_reset_bug, version_text
from watcher.disk import Mount, mount_of
from watcher.doctor.finding import Findings, note, ok, problem, warning
from watcher.doctor.premises import Premises, now_of

_PYTHON_ENDS = {
    (3, 11): date(2027, 10, 31),
    (3, 12): date(2028, 10, 31),
    (3, 13): date(2029, 10, 31),
    (3, 14): date(2030, 10, 31),
}
"""Until when there are security fixes (https://devguide.python.org/versions)."""
_OLDEST_PYTHON = (3, 11)
_FEWEST_DESCRIPTORS, _ENOUGH_DESCRIPTORS = 256, 1024
_HIDING = frozenset({"hidepid=1", "hidepid=2", "hidepid=4"}) | {
    f"hidepid={word}" for word in ("noaccess", "invisible", "ptraceable")
}
_STA_UNSYNC, _TIME_ERROR = 0x40, 5
_TIMEX = struct.Struct("@Illlli")
"""The beginning of `struct timex`: modes, offset, freq, maxerror, esterror, status."""
_FAST_YEARS = (2024, 2100)


def python(premises: Premises) -> Findings:
    return of_python(sys.version_info[:3], now_of(premises).date())


def of_python(version: tuple[int, int, int], today: date) -> Findings:
    text = ".".join(map(str, version))
    end = _PYTHON_ENDS.get(version[:2])
    if version[:2] < _OLDEST_PYTHON:
        yield problem(
            f"Python {text} is too old: 3.11 or later is needed", "install tickward with a newer one"
        )
    elif end is not None and end < today:
        yield warning(
            f"Python {text} has had no security fixes since {end}", "install tickward with a newer Python"
        )
    else:
        yield ok(f"Python {text}")


def sqlite(_: Premises) -> Findings:
    import apsw  # noqa: PLC0415 (the other checks go on where it cannot be imported)

    return of_sqlite(apsw.SQLITE_VERSION_NUMBER, apsw.sqlite_lib_version())


def of_sqlite(compiled_for: int, runs: str) -> Findings:
    """``compiled_for``: an ``SQLITE_VERSION_NUMBER``; ``runs``: of the library that is loaded, as text."""
    number = sum(int(part) * 1000**place for place, part in enumerate(reversed(runs.split(".")[:3])))
    remedy = "python -m pip install --upgrade --force-reinstall apsw"
    if has_wal_reset_bug(number):
        yield problem(
            f"tickward's own SQLite {runs} has the WAL-reset bug, which can corrupt a database in WAL mode",
            remedy,
        )
    elif number < compiled_for:
        yield warning(f"apsw was made for SQLite {version_text(compiled_for)} and has {runs}", remedy)
    else:
        yield ok(f"SQLite {runs}, without the WAL-reset bug")


def descriptors(premises: Premises) -> Findings:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    of_daemon = _limit_of(premises.daemon_pid) if premises.daemon_pid else None
    return of_descriptors(
        of_daemon if of_daemon is not None else _number(soft),
        _number(hard),
        "the daemon" if of_daemon is not None else "a daemon that is started from here",
    )


def of_descriptors(soft: int, hard: int, who: str) -> Findings:
    if soft >= _ENOUGH_DESCRIPTORS:
        yield ok(f"{who} may have {soft:,} files open")
        return
    remedy = f"`ulimit -n {min(max(hard, soft), 4 * _ENOUGH_DESCRIPTORS)}` before it is started"
    if hard < _ENOUGH_DESCRIPTORS:
        remedy = "raise its hard limit, in /etc/security/limits.conf"
    remedy += f", or LimitNOFILE={4 * _ENOUGH_DESCRIPTORS} in its unit"
    sentence = f"{who} may have only {soft} files open; {_ENOUGH_DESCRIPTORS:,} are enough for all it does"
    yield (problem if soft < _FEWEST_DESCRIPTORS else warning)(sentence, remedy)


def _limit_of(pid: int) -> int | None:
    """Of a process that may be another user's; None: it cannot be told."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
            if line.startswith("Max open files"):
                return int(line.split()[3])
    return None


def _number(limit: int) -> int:
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit


def processes(_: Premises) -> Findings:
    return of_processes(mount_of(Path("/proc")), os.geteuid() == 0)


def of_processes(proc: Mount, is_root: bool) -> Findings:
    hiding = sorted(proc.options & _HIDING)
    if proc.kind != "proc":
        yield note("there is no /proc here: who has a day open is not told by name")
    elif hiding and not is_root:
        yield warning(
            f"/proc is mounted with {hiding[0]}: other users' processes that have a day open are not seen",
            "run tickward as the user of the tick writer, or as root; or `mount -o remount,hidepid=0 /proc`",
        )
    else:
        yield ok("processes that have a day open can be named")


class Discipline(NamedTuple):
    """What the kernel says of its clock."""

    synchronised: bool
    error_seconds: float
    """At the most; it grows for as long as nobody sets it right."""


def clock(premises: Premises) -> Findings:
    scale = premises.settings.clock.scale if premises.settings is not None else 1.0
    return of_clock(_discipline(), scale, time.gmtime().tm_year)


def of_clock(found: Discipline | None, scale: float, year: int) -> Findings:
    if scale != 1.0:
        yield warning(
            f"the clock of the settings runs {scale:g} times as fast as the machine's",
            "take [clock] out of the configuration: it is for demonstrations",
        )
    if not _FAST_YEARS[0] <= year <= _FAST_YEARS[1]:
        yield problem(f"the clock of this machine says that it is {year}", "set it right: `date -u` shows it")
    elif found is None:
        yield note(
            "whether the clock is synchronised cannot be told here", "compare it with another machine's"
        )
    elif not found.synchronised:
        yield warning(
            "the kernel does not take the clock for synchronised: days begin and end when it says so",
            "`timedatectl set-ntp true`, or run chronyd (with `rtcsync`) or ntpd, here or on the host",
        )
    else:
        yield ok(f"the clock is synchronised, wrong by {found.error_seconds * 1000:.0f} ms at the most")


def _discipline() -> Discipline | None:
    """None: this system has no such call, or does not allow it."""
    buffer = ctypes.create_string_buffer(512)  # no modes: it only reads
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    except (AttributeError, OSError):
        return None
    if state < 0:
        return None
    _, _, _, most_us, _, status = _TIMEX.unpack_from(buffer)
    return Discipline(state != _TIME_ERROR and not status & _STA_UNSYNC, most_us / 1e6)


def time_zone(premises: Premises) -> Findings:
    return of_time_zone(time.strftime("%Z"), time.localtime().tm_gmtoff, premises.environment.get("TZ", ""))


def of_time_zone(name: str, offset_seconds: int, given: str) -> Findings:
    if given and not offset_seconds and _is_place(given):
        yield warning(
            f"TZ={given} is set, but no such time zone is installed: local times are UTC",
            "install the time zones (tzdata), or set TZ=UTC",
        )
    elif offset_seconds:
        yield note(
            f"local time is {name}, {_hours(offset_seconds)} from UTC; days and schedules are in UTC",
            "see that the tick writer changes its file at 00:00 UTC, and mind it in a crontab",
        )
    else:
        yield ok("local time is UTC, as days are")


def _is_place(name: str) -> bool:
    is_known = any(Path(top, name.removeprefix(":")).exists() for top in ("/usr/share/zoneinfo", "/"))
    return "/" in name and not is_known


def _hours(seconds: int) -> str:
    return f"{'+' if seconds > 0 else '-'}{abs(seconds) // 3600:02}:{abs(seconds) // 60 % 60:02}"
