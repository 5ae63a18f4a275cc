"""Days that are compressed or archived, a state to come back to, and a second filesystem."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from handlers.contract import Step
from handlers.files import sha256_of, signature_of
from handlers.seek_table import SeekableError
from handlers.seekable import sha256_of_content

ZST = "ticks_2026-01-20.db.zst"
IN_ROOT = f"db/2026/01/{ZST}"
IN_BACKUP = f"backup/2026/01/{ZST}"
IN_ARCHIVE = f"archive/2026/01/{ZST}"


def compressed_day(day: Any, count: int = 100) -> Any:
    """Sealed, backed up and compressed; later jobs know it."""
    day.backed_up_day(count)
    day.job = structs.replace(day.job, compressed=day.done(Step.COMPRESS))
    return day


def archived_day(day: Any, count: int = 100) -> Any:
    compressed_day(day, count)
    day.job = structs.replace(day.job, archived=day.done(Step.ARCHIVE))
    return day


def restored_day(day: Any, count: int = 100) -> Any:
    """Archived, and restored into the root: the journal knows the restored file."""
    archived_day(day, count)
    restored = day.done(Step.RESTORE)
    sealed = structs.replace(day.job.sealed, signature=restored.signature)
    day.job = structs.replace(day.job, sealed=sealed)
    return day


def merged_day(day: Any) -> Any:
    """Archived, then sealed anew with more ticks: what is in archive and backup is superseded."""
    archived_day(day)
    day.database.write_bytes(b"")
    day.database.unlink()
    first = day.job.sealed.sha256
    day.job = structs.replace(day.job, sealed=None, compressed=None, archived=None, superseded=(first,))
    day.create()
    day.fill(150)
    day.seal()
    return day


def whole_copies(day: Any) -> list[Path]:
    """Every file under a name that is looked for and that holds the sealed content."""
    packed = (day.compressed, day.archived, day.backup_compressed)
    plain = (day.database, day.retired, day.backup)
    wanted = day.job.sealed.sha256
    return [
        *(path for path in packed if path.exists() and _content_of(path) == wanted),
        *(path for path in plain if path.exists() and sha256_of(path) == wanted),
    ]


def _content_of(path: Path) -> str:
    try:
        return sha256_of_content(path)
    except (SeekableError, OSError):
        return "not a copy"


def plant(path: Path, content: bytes = b"something else") -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return content


class Snapshot:
    """The files of a day as they are now, to be had again and again."""

    def __init__(self, day: Any) -> None:
        self.day = day
        self.files = {
            path: (path.read_bytes(), path.stat().st_mtime_ns)
            for path in day.root.rglob("*")
            if path.is_file() and path.parent != day.root
        }

    def again(self) -> None:
        day = self.day
        known = signature_of(day.database) == day.job.sealed.signature or day.database in self.files
        for path in sorted(day.root.rglob("*"), reverse=True):
            if path.is_dir():
                with suppress(OSError):  # a mount point stays
                    path.rmdir()
            elif path.parent != day.root:
                path.unlink()
        for path, (content, mtime_ns) in self.files.items():
            plant(path, content)
            os.utime(path, ns=(mtime_ns, mtime_ns))
        if known and day.database.exists():
            sealed = structs.replace(day.job.sealed, signature=signature_of(day.database))
            day.job = structs.replace(day.job, sealed=sealed)


@contextmanager
def other_filesystem(folder: Path, megabytes: int = 80) -> Iterator[Path]:
    """A filesystem of its own at ``folder``; skips the test where that is not permitted."""
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root can mount another filesystem")
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting another filesystem is not permitted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
