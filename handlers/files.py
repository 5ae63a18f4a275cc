"""Files that are whole or absent: temporaries, publication, digests, space and ownership.

Whatever a reader may open by name was first written under a temporary name in the same directory,
made durable, and then given its name in one step. Large writes are made durable a few MiB at a
time, so that no single flush stalls the tick writer that shares the disk.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from types import TracebackType

from handlers.contract import Signature, StepError
from handlers.holders import held_for_writing
from handlers.progress import Report, silent

CHUNK_BYTES = 1024 * 1024
SYNC_BYTES = 8 * CHUNK_BYTES
RESERVE_BYTES = 64 * CHUNK_BYTES
"""Never taken from a filesystem: it belongs to the tick writer."""

SIDECARS = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database while somebody has it open, or after a crash."""

_TEMPORARY = re.compile(r"\..+\.\d+-[0-9a-f]{16}\.tickward-tmp(-wal|-shm|-journal)?", re.DOTALL)


def temporary_for(final: Path) -> Path:
    """A new name in the directory of ``final``, from where it can be published in one step."""
    unique = f"{os.getpid()}-{secrets.token_hex(8)}"
    return final.with_name(f".{final.name}.{unique}.tickward-tmp")


def is_temporary(name: str) -> bool:
    """Whether a file name is one of ours that was never published."""
    return _TEMPORARY.fullmatch(name) is not None


@contextmanager
def temporary(final: Path) -> Iterator[Path]:
    """A temporary name for ``final``; whatever still bears it at the end is removed."""
    temp = temporary_for(final)
    try:
        yield temp
    finally:
        for suffix in ("", *SIDECARS):
            with suppress(OSError):  # the sweep takes what cannot be removed now
                Path(f"{temp}{suffix}").unlink()


def sweep_temporaries(root: Path) -> tuple[Path, ...]:
    """Remove what killed steps left under ``root``; returns what was removed.

    Files that somebody is still writing are left alone; symbolic links are neither followed nor
    removed. Raw opens happen here (the lease probe), but only of temporaries.
    """
    removed = []
    for directory, _, names in os.walk(root, followlinks=False):
        for name in filter(is_temporary, names):
            path = Path(directory, name)
            with suppress(OSError):
                if stat.S_ISREG(path.lstat().st_mode) and not held_for_writing(path):
                    path.unlink()
                    removed.append(path)
    return tuple(removed)


def publish_new(temp: Path, final: Path) -> None:
    """Give ``temp`` its name unless somebody was first: then FileExistsError, no change."""
    fsync_file(temp)
    link_new(temp, final)
    temp.unlink()
    fsync_directory(final.parent)


def link_new(path: Path, name: Path) -> None:
    """Give a file a second name unless that is taken: then FileExistsError, no change."""
    try:
        name.hardlink_to(path)
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise
        raise StepError(
            f"cannot make {name} without the risk of overwriting it: {error.strerror}",
            hint="keep the data on a filesystem with hard links (ext4, xfs, btrfs, zfs), as one user's",
        ) from error


def publish_over(temp: Path, final: Path) -> None:
    """Give ``temp`` its name, replacing what bore it."""
    fsync_file(temp)
    temp.replace(final)
    fsync_directory(final.parent)


def make_durable(path: Path) -> None:
    """A whole file that an interrupted run (or somebody else) left: be sure it survives a crash."""
    fsync_file(path)
    fsync_directory(path.parent)


def fsync_file(path: Path) -> None:
    _fsync(path, os.O_RDONLY)


def fsync_directory(path: Path) -> None:
    """A new or removed name is durable only once its directory is."""
    _fsync(path, os.O_RDONLY | os.O_DIRECTORY)


def signature_of(path: Path) -> Signature | None:
    """What `stat` says of a file now; None if there is none. Never follows a symbolic link."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return Signature(status.st_size, status.st_mtime_ns, status.st_ino)


def sha256_of(path: Path, *, cold: bool = True) -> str:
    """The SHA-256 of a file's bytes, in hex.

    ``cold`` drops the file from the page cache first, so that (where the kernel grants it) what is
    read is what the medium holds and not what was written a moment ago.
    """
    with open_source(path) as source:
        if cold:
            forget_cached(source)
        return hashlib.file_digest(source, "sha256").hexdigest()


def copy_hashed(source: Path, temp: Path, report: Report = silent) -> str:
    """Copy ``source`` to the new file ``temp``; returns the SHA-256 of what was read."""
    digest = hashlib.sha256()
    with open_source(source) as reader, NewFile(temp, like=source) as writer:
        total = os.fstat(reader.fileno()).st_size
        while chunk := reader.read(CHUNK_BYTES):
            digest.update(chunk)
            writer.write(chunk)
            report(reader.tell(), total)
    return digest.hexdigest()


class NewFile:
    """A file that was not there before, written durably a few MiB at a time.

    It has the permission bits of the file it is made from, and is durable once closed.
    """

    def __init__(self, path: Path, *, like: Path) -> None:
        mode = stat.S_IMODE(like.stat().st_mode) & 0o777
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(path, flags, 0o600)
        self._unsynced = 0
        try:
            os.fchmod(self._fd, mode)
            with suppress(PermissionError):  # a copy is as good in our own name
                give_owner(path)
        except BaseException:
            os.close(self._fd)
            raise

    def fileno(self) -> int:
        return self._fd

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        self._unsynced += len(data)
        if self._unsynced >= SYNC_BYTES:
            os.fdatasync(self._fd)
            self._unsynced = 0

    def restart(self) -> None:
        """Forget what was written."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)

    def __enter__(self) -> NewFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                os.fsync(self._fd)
        finally:
            os.close(self._fd)


def open_source(path: Path) -> FileIO:
    """Open a file for reading, unbuffered; OSError (ELOOP) if it is a symbolic link."""
    return open(  # Path.open cannot refuse symbolic links
        path,
        "rb",
        buffering=0,
        opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC),
    )


def forget_cached(source: FileIO) -> None:
    """Ask the kernel to read this file from the medium. Only pages that are durable are dropped."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(source.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def make_directories(path: Path) -> None:
    """Make ``path`` and its missing parents, each one durable and shared as its parent is."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        try:
            directory.mkdir()
        except FileExistsError:
            if not directory.is_dir():
                raise
            continue  # somebody was first: then it is theirs
        try:
            share_owner(directory)
        except PermissionError:
            directory.rmdir()  # in our name it would lock the tick writer out
            raise
        fsync_directory(directory.parent)


def share_owner(path: Path) -> None:
    """Let whoever may write to the directory write to what was made in it: the tick writer.

    The owner as `give_owner`; and where the directory is its group's to write, so is what is in it.
    Nobody else is given anything. Not for a database that this process has open.
    """
    give_owner(path)
    parent, own = path.parent.stat(), path.lstat()
    if not parent.st_mode & stat.S_IWGRP:
        return
    if own.st_gid != parent.st_gid:
        try:
            os.chown(path, -1, parent.st_gid, follow_symlinks=False)
        except PermissionError:
            return  # not a group of ours: we cannot, and it is no reason to do without the file
    if stat.S_ISDIR(own.st_mode):
        wanted = own.st_mode | (parent.st_mode & (stat.S_IRWXG | stat.S_ISGID))
    else:
        wanted = own.st_mode | stat.S_IRGRP | stat.S_IWGRP
    if wanted != own.st_mode:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)  # chmod follows links
        try:
            os.fchmod(fd, stat.S_IMODE(wanted))
        finally:
            os.close(fd)


def give_owner(path: Path) -> None:
    """As root, give what was made in a directory to the owner and the group of that directory.

    For a copy this is all: who may read it is what the original says.
    """
    if os.geteuid() != 0:
        return
    parent, own = path.parent.stat(), path.lstat()
    if (own.st_uid, own.st_gid) != (parent.st_uid, parent.st_gid):
        os.chown(path, parent.st_uid, parent.st_gid, follow_symlinks=False)


def require_space(directory: Path, size_bytes: int, *, with_reserve: bool = True) -> None:
    """Raise StepError unless ``size_bytes`` fit, with a reserve that is the tick writer's."""
    free, reserve_bytes = shutil.disk_usage(directory).free, RESERVE_BYTES if with_reserve else 0
    missing = size_bytes + reserve_bytes - free
    if missing > 0:
        beside = f" beside a reserve of {reserve_bytes:,}" if reserve_bytes else ""
        raise StepError(
            f"not enough space in {directory}: {free:,} bytes free, {size_bytes:,} needed{beside}",
            hint=f"free {missing:,} bytes on {filesystem_of(directory)}",
        )


def room_in(directory: Path) -> int:
    """The bytes that may be taken there beside the reserve; 0 if there are none."""
    return max(shutil.disk_usage(directory).free - RESERVE_BYTES, 0)


def is_read_only(directory: Path) -> bool:
    """Whether nothing can be written there, not even by root: its filesystem is mounted so."""
    try:
        return bool(os.statvfs(directory).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def filesystem_of(path: Path) -> Path:
    """The mount point of the filesystem that ``path`` is, or would be, on."""
    path = path.absolute()
    while not path.is_mount() and path != path.parent:
        path = path.parent
    return path


def _fsync(path: Path, flags: int) -> None:
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
