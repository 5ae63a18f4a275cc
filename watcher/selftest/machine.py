"""What the machine is like, as far as the days depend on it: found out by trying, in a folder for that."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import signal
import statistics
import threading
import time
from pathlib import Path

from watcher.disk import is_network, mount_of
from watcher.filesystem import FileSystem
from watcher.observation import WatchError
from watcher.selftest.result import Machine
from watcher.version import describe

_ROUNDS = 20
_EVENT_SECONDS = 3.0
_SLOW_FSYNC_MS = 100.0


def look_at(folder: Path) -> Machine:
    """Try what the days need, in a folder that may be written to; nothing of that is left in it."""
    place = mount_of(folder)
    lease_us, event_ms = _lease_us(folder), _event_ms(folder)
    fsyncs = _fsyncs_ms(folder)
    median = statistics.median(fsyncs)
    return Machine(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpus=len(os.sched_getaffinity(0)),
        versions=describe(),
        filesystem=place.kind,
        mounted_on=place.on,
        free_bytes=shutil.disk_usage(folder).free,
        lease_us=lease_us,
        event_ms=event_ms,
        fsync_ms=round(median, 2),
        fsync_worst_ms=round(max(fsyncs), 2),
        notes=notes_of(place.kind, lease_us, event_ms, median),
    )


def notes_of(kind: str, lease_us: float | None, event_ms: float | None, fsync_ms: float) -> tuple[str, ...]:
    """What is worth a thought of what was found."""
    found = []
    if is_network(kind):
        found.append(
            f"{kind} is a network file system: SQLite is not safe there; put data.root on a local one"
        )
    if lease_us is None:
        found.append(
            "the kernel gives no leases here: who writes to a day is asked of locks and /proc instead, which "
            "does not see other users' idle writers; run as the writer's user, or as root"
        )
    if event_ms is None:
        found.append("no file events are heard here: set watch.polling = true")
    if fsync_ms > _SLOW_FSYNC_MS:
        found.append(f"the disk takes {fsync_ms:.0f} ms to have 4 KiB: sealing and copying wait for it")
    return tuple(found)


def _lease_us(folder: Path) -> float | None:
    """How long the kernel takes to say whether a file is held for writing; None if it does not."""
    file = folder / "lease"
    file.write_bytes(b"")
    try:
        started = time.perf_counter()
        for _ in range(_ROUNDS):
            if _is_refused(file):  # nobody writes to it
                return None
        taken = time.perf_counter() - started
        with file.open("wb"):  # now somebody does
            return round(taken / _ROUNDS * 1e6, 1) if _is_refused(file) else None
    except OSError:
        return None
    finally:
        file.unlink()


def _is_refused(file: Path) -> bool:
    # Not `handlers.holders.held_for_writing`: that has other ways where there are no leases.
    with file.open("rb") as opened:
        fcntl.fcntl(opened, fcntl.F_SETSIG, signal.SIGURG)
        try:
            fcntl.fcntl(opened, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except BlockingIOError:
            return True
        fcntl.fcntl(opened, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False


def _event_ms(folder: Path) -> float | None:
    """How long after a write the daemon's own watching tells of it; None if it does not."""
    heard = threading.Event()
    place = folder / "events"
    place.mkdir()
    watching = FileSystem(place, heard.set)
    try:
        watching.start()
        watching.drain()
        heard.clear()
        started = time.perf_counter()
        (place / "ticks.db").write_bytes(b"a tick")
        if not heard.wait(_EVENT_SECONDS) or not watching.drain().paths:
            return None
        return round((time.perf_counter() - started) * 1000, 2)
    except WatchError:
        return None
    finally:
        watching.stop()
        shutil.rmtree(place)


def _fsyncs_ms(folder: Path) -> list[float]:
    file = folder / "fsync"
    found = []
    with file.open("wb", buffering=0) as opened:
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            opened.write(b"\0" * 4096)
            os.fsync(opened.fileno())
            found.append((time.perf_counter() - started) * 1000)
    file.unlink()
    return found
