"""Whether the kernel will watch as many directories as there are, and one more observer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from watcher.doctor.finding import Finding, Findings, note, ok, problem, warning
from watcher.doctor.premises import Premises
from watcher.tree import directories

_LIMITS = Path("/proc/sys/fs/inotify")
_MOST_DIRECTORIES = 2_000_000
_COUNT_SECONDS = 5.0
_NEARLY = 0.8
_FEW_INSTANCES = 8
_LEAST_WATCHES = 1 << 20
_LEAST_INSTANCES = 1024
_LINK = "anon_inode:inotify"


class Limits(NamedTuple):
    """What a user may have."""

    watches: int
    instances: int


class Used(NamedTuple):
    """What the processes of a user have, without the daemon."""

    watches: int = 0
    instances: int = 0


class Counted(NamedTuple):
    """How many directories there are below the root."""

    number: int
    complete: bool
    """False: there are more; it took too long to count them."""


def inotify(premises: Premises) -> Findings:
    settings, places = premises.known, premises.places()
    limits = _limits()
    if limits is None:
        return [note("this system has no inotify: it is watched in another way, or by polling")]
    if settings.watch.polling:
        return [ok(f"nothing is watched: the tree is looked at every {settings.watch.polling_seconds:g} s")]
    if "root" not in places:
        return []
    user = _user_of(premises.daemon_pid)
    counted = count(places["root"])
    return of_inotify(limits, used_by(user, premises.daemon_pid), counted, bool(premises.daemon_pid))


def of_inotify(limits: Limits, used: Used, counted: Counted, is_running: bool) -> Findings:
    """``is_running``: a daemon has the observer already that it needs."""
    yield _of_watches(limits.watches, used.watches, counted)
    if not is_running:
        yield from _of_instances(limits.instances, used.instances)


def _of_watches(most: int, used: int, counted: Counted) -> Finding:
    number = f"{'' if counted.complete else 'more than '}{counted.number:,}"
    what = f"{number} directories are to be watched"
    others = f", and other programs of this user watch {used:,}" if used else ""
    sentence = f"{what}{others}; the kernel allows {most:,} (fs.inotify.max_user_watches)"
    needed = counted.number + used
    enough = max(_LEAST_WATCHES, 1 << (2 * needed).bit_length())
    remedy = (
        f"`sysctl -w fs.inotify.max_user_watches={enough}`, and put that into "
        "/etc/sysctl.d/60-tickward.conf; or set watch.polling = true"
    )
    if needed > most:
        return problem(sentence, remedy)
    if needed > _NEARLY * most or not counted.complete:
        return warning(sentence, remedy)
    return ok(sentence)


def _of_instances(most: int, used: int) -> Findings:
    sentence = f"programs of this user have {used} of {most} observers (fs.inotify.max_user_instances)"
    remedy = (
        f"`sysctl -w fs.inotify.max_user_instances={max(_LEAST_INSTANCES, 2 * most)}`, and put that into "
        "/etc/sysctl.d/60-tickward.conf"
    )
    if used >= most:
        yield problem(f"{sentence}: there is none left for the daemon", remedy)
    elif used > most - _FEW_INSTANCES:
        yield warning(f"{sentence}: few are left", remedy)


def count(
    root: Path, most: int = _MOST_DIRECTORIES, monotonic: Callable[[], float] = time.monotonic
) -> Counted:
    """As far as it goes in a few seconds."""
    until = monotonic() + _COUNT_SECONDS
    number = 0
    for _ in islice(directories(root), most + 1):
        number += 1
        if number > most or monotonic() > until:
            return Counted(number - 1, complete=False)
    return Counted(number, complete=True)


def used_by(user: int, daemon_pid: int | None) -> Used:
    """As much as /proc shows."""
    watches = instances = 0
    for process in _listed(Path("/proc")):
        if not process.isdigit() or int(process) in (daemon_pid, os.getpid()):
            continue
        with suppress(OSError):
            folder = Path("/proc", process)
            if folder.stat().st_uid != user:
                continue
            for each in _listed(folder / "fd"):
                with suppress(OSError):
                    if os.readlink(folder / "fd" / each) == _LINK:  # noqa: PTH115 (a `Path` is made of it)
                        instances += 1
                        watches += (folder / "fdinfo" / each).read_text().count("inotify wd:")
    return Used(watches, instances)


def _limits() -> Limits | None:
    try:
        names = ("max_user_watches", "max_user_instances")
        return Limits(*(int((_LIMITS / name).read_text()) for name in names))
    except (OSError, ValueError):
        return None


def _user_of(daemon_pid: int | None) -> int:
    if daemon_pid:
        with suppress(OSError):
            return Path("/proc", str(daemon_pid)).stat().st_uid
    return os.geteuid()


def _listed(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError:
        return []
