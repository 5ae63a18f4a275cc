"""Who has a database open: the lease probe, and a look through /proc for names.

The probe opens and closes the file itself. POSIX says that closing *any* descriptor of a file drops
all the locks the process holds on it, so neither function may be called in a process that has a
SQLite connection open on that file.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from handlers.contract import Holder

_OFD_GETLK = 36  # <linux/fcntl.h>; the fcntl module of Python 3.11 has no name for it
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510  # the range SQLite's SHARED lock is taken in
_FLOCK = "hhqqi4x"  # struct flock: l_type, l_whence, l_start, l_len, l_pid
_WITH_SIDECARS = ("", "-wal", "-shm", "-journal")


def held_for_writing(path: Path) -> bool:
    """Whether any process, this one included, has ``path`` open for writing.

    The kernel grants a read lease only on a file that nobody has open for writing, so asking for
    one and giving it back (6 us) is the answer. Where leases are not to be had (another user's
    file, some filesystems) the SHARED lock and /proc are asked: that also finds readers, but not
    another user's idle connection to a database in rollback mode. So Tickward belongs under the
    tick writer's user, or root.
    Raises OSError if the file cannot be opened.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return _lease_is_refused(fd)
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENOTSUP}:
            raise
        return _is_locked(fd) or any(_opened_for_writing(path))
    finally:
        os.close(fd)


def holders_of(paths: Iterable[Path]) -> tuple[Holder, ...]:
    """Other processes that have one of ``paths``, or its -wal, -shm or -journal, open.

    As much as /proc shows this user: empty where there is no /proc.
    """
    wanted = {f"{os.path.realpath(path)}{suffix}" for path in paths for suffix in _WITH_SIDECARS}
    return tuple(sorted({Holder(pid, _name_of(pid)) for pid, _ in _descriptors(wanted)}))


def _lease_is_refused(fd: int) -> bool:
    # Somebody who opens the file for writing while we have the lease makes the kernel signal us.
    # The default signal, SIGIO, kills; SIGURG is ignored unless a process asks for it.
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        if error.errno == errno.EAGAIN:
            return True
        raise
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def _is_locked(fd: int) -> bool:
    """Whether SQLite has a lock on the file: in WAL mode for as long as it is open."""
    question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _SHARED_FIRST, _SHARED_SIZE, 0)
    try:
        answer = fcntl.fcntl(fd, _OFD_GETLK, question)
    except OSError:
        return False  # no such locks here: /proc decides
    kind: int = struct.unpack(_FLOCK, answer)[0]
    return kind != fcntl.F_UNLCK


def _opened_for_writing(path: Path) -> Iterator[int]:
    for pid, fd in _descriptors({os.path.realpath(path)}):
        with suppress(OSError, ValueError, IndexError):
            info = Path(f"/proc/{pid}/fdinfo/{fd}").read_text()
            flags = int(info.split("flags:", 1)[1].split()[0], 8)
            if flags & os.O_ACCMODE != os.O_RDONLY:
                yield pid


def _descriptors(wanted: set[str]) -> Iterator[tuple[int, str]]:
    """(pid, descriptor) of every other process's open descriptor on one of these real paths."""
    for pid in _listed("/proc"):
        if pid.isdigit() and int(pid) != os.getpid():
            for fd in _listed(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    if os.readlink(f"/proc/{pid}/fd/{fd}") in wanted:  # noqa: PTH115
                        yield int(pid), fd


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208  (bare names, for a scan of every process)
    except OSError:
        return []  # it has ended, or is another user's, or this system has no /proc


def _name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip() or "?"
    except OSError:
        return "?"
