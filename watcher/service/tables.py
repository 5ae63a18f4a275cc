"""Where entries for cron are: read, written whole, and saved before."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from watcher.errors import ConfigError, TickwardError
from watcher.service import ondisk

_SECONDS = 30
_CR = rb"\r"


class Table(Protocol):
    """Where entries are. A table is text with whatever bytes that is no UTF-8 escaped."""

    name: str
    """For people."""

    def read(self) -> str | None:
        """None: there is none."""
        ...

    def write(self, table: str | None) -> None:
        """None: there is to be none."""
        ...


class UserTable:
    """The caller's own, by way of ``crontab``."""

    def __init__(self, user: str) -> None:
        self.name = f"the crontab of {user}"

    def read(self) -> str | None:
        found = _crontab("-l")
        if found.returncode == 0:
            return self._exact(found.stdout).decode(errors="surrogateescape")
        said = _said(found)
        if "no crontab" in said or "No such file" in said:
            return None
        raise TickwardError(f"{self.name} cannot be read ({said}); nothing was changed")

    def _exact(self, listed: bytes) -> bytes:
        # Debian's lists a carriage return as \r in letters; to an editor it hands what is really there.
        if _CR not in listed:
            return listed
        edited = _crontab("-e", editor="/bin/cat")
        if edited.returncode != 0 or edited.stdout.replace(b"\r", _CR) != listed.replace(b"\r", _CR):
            raise TickwardError(
                f"{self.name} has carriage returns in it, and cannot be read to the byte ({_said(edited)}); "
                "nothing was changed: take them out with `crontab -e`"
            )
        return edited.stdout

    def write(self, table: str | None) -> None:
        done = _crontab("-r") if table is None else _crontab("-", table.encode(errors="surrogateescape"))
        if done.returncode != 0:
            raise TickwardError(f"{self.name} was refused ({_said(done)}); it is as it was: put it right")


class SystemTable:
    """A file in /etc/cron.d."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.name = str(file)

    def read(self) -> str | None:
        try:
            return self._file.read_bytes().decode(errors="surrogateescape")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TickwardError(f"{self._file} cannot be read ({error.strerror}): be root") from None

    def write(self, table: str | None) -> None:
        # cron leaves alone what has a dot in its name, so nothing but the whole is ever gone by.
        try:
            if table is None:
                ondisk.remove(self._file)
            else:
                ondisk.publish(self._file, table.encode(errors="surrogateescape"), 0o644)
        except OSError as error:
            why = f"{self._file} cannot be written ({error.strerror})"
            raise TickwardError(f"{why}: install cron, and be root") from None


def save(old: str, state: Path, owner: tuple[int, int] | None) -> Path:
    """Keep a table as it is, for its owner alone. Raises `TickwardError` if that cannot be done.

    Args:
        state: the directory, made if it is missing.
        owner: whose it is to be then; None: whoever installs.
    """
    now = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    try:
        for directory in (*reversed(state.parents), state):
            if not directory.exists():
                ondisk.make(directory, 0o755, owner)
        for name in (f"crontab.before-{now}", *(f"crontab.before-{now}-{n}" for n in range(2, 100))):
            with suppress(FileExistsError):
                file = state / name
                with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                    stream.write(old.encode(errors="surrogateescape"))
                    stream.flush()
                    os.fsync(stream.fileno())
                return file
    except OSError as error:
        why = f"the table cannot be saved in {state} ({error.strerror})"
        raise TickwardError(f"{why}; nothing was changed: make room there, or give it to this user") from None
    raise TickwardError(f"{state} is full of saved tables of this second; nothing was changed: try again")


def _crontab(
    argument: str, table: bytes | None = None, editor: str = "false"
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ("crontab", argument),
            input=table,
            stdin=subprocess.DEVNULL if table is None else None,
            capture_output=True,
            timeout=_SECONDS,
            env={**os.environ, "LC_ALL": "C", "VISUAL": editor, "EDITOR": editor},
            check=False,
        )
    except FileNotFoundError:
        raise ConfigError("there is no `crontab` here: install cron, or choose another --kind") from None
    except subprocess.TimeoutExpired:
        raise TickwardError(f"`crontab {argument}` did not end within {_SECONDS} s: try again") from None


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    said = done.stderr.decode(errors="replace").split("\n")
    return "; ".join(filter(None, map(str.strip, said))) or f"exit status {done.returncode}"
