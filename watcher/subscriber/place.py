"""Where in which journal a program is: the id of the event that it has come to, and a small file for that."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import time
import zlib
from pathlib import Path

from handlers.files import fsync_directory
from watcher import wire
from watcher.errors import TickwardError
from watcher.wire import Position

_SYNC_SECONDS = 1.0
"""The file is brought to the disk no more often."""
_SIGN = "tickward "
_ID_WIDTH = 46
_RECORD_BYTES = len(_SIGN) + _ID_WIDTH + 9
"""The sign, the id, the checksum in hexadecimal and a newline: always within one sector."""


class PositionError(TickwardError):
    """The position cannot be kept in that file."""


def id_of(position: Position) -> str:
    """The id of the event at this position."""
    return f"{position.epoch:x}-{position.sequence}"


def position_of(since: int | str) -> Position:
    """The position of an event by its id, or by its number in whichever journal there is.

    That of progress is the position of the event before it. Raises `ValueError` if it is neither.
    """
    epoch, _, number = since.partition("-") if isinstance(since, str) else ("0", "", since)
    try:
        position = Position(int(epoch, 16), int(str(number).partition(".")[0]))
        wire.pack(*position)
    except (ValueError, struct.error):
        raise ValueError(f"{since!r} is neither a sequence number nor the id of an event") from None
    return position


class PositionFile:
    """One record of a fixed size, written in place, for one program at a time.

    Raises `PositionError` if it cannot be used, or holds something else: that is left as it is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = self._opened()
        try:
            self._lock()
            self.noted = self._read()
            """What it holds; None if nothing was noted yet."""
        except BaseException:
            os.close(self._descriptor)
            raise
        self._synced = self.noted
        self._sync_at = 0.0

    def note(self, position: Position) -> None:
        """Keep it, from this moment on also if the program is killed."""
        if position == self.noted:
            return
        try:
            os.pwrite(self._descriptor, _record(position), 0)
            first, self.noted = self.noted is None, position
            if first:
                self._sync()
                fsync_directory(self._path.parent)
        except OSError as error:
            raise self._unusable(error) from None

    def sync_if_due(self) -> None:
        """From now on also if the power fails, unless that was seen to a moment ago."""
        if self._synced != self.noted and time.monotonic() >= self._sync_at:
            try:
                self._sync()
            except OSError as error:
                raise self._unusable(error) from None

    def close(self) -> None:
        try:
            if self._synced != self.noted:
                self._sync()
        except OSError as error:
            raise self._unusable(error) from None
        finally:
            os.close(self._descriptor)

    def _sync(self) -> None:
        os.fsync(self._descriptor)
        self._synced = self.noted
        self._sync_at = time.monotonic() + _SYNC_SECONDS

    def _opened(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        except FileNotFoundError:
            raise PositionError(
                f"the position cannot be kept in {self._path}: make the directory {self._path.parent} first"
            ) from None
        except OSError as error:
            raise self._unusable(error) from None

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PositionError(
                f"{self._path} is the position of another program, which is running: "
                "end that one first, or name another file for this one"
            ) from None
        except OSError as error:
            raise self._unusable(error) from None

    def _read(self) -> Position | None:
        content = b"?"
        if stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            content = os.pread(self._descriptor, _RECORD_BYTES + 1, 0)
        if not content:
            return None
        try:
            sign, number, _ = content.decode().split()
            position = position_of(number)
        except ValueError:
            sign, position = "", Position(0, 0)
        if sign != _SIGN.strip() or content != _record(position):
            raise PositionError(
                f"{self._path} holds no position (any more), and is left as it is: name another file, or "
                "remove it and say with `since` where to begin"
            )
        return position

    def _unusable(self, error: OSError) -> PositionError:
        reason = "it is a directory" if error.errno == errno.EISDIR else error.strerror
        return PositionError(f"the position cannot be kept in {self._path} ({reason}): name another file")


def _record(position: Position) -> bytes:
    text = f"{_SIGN}{id_of(position):<{_ID_WIDTH}}".encode()
    return b"%b%08x\n" % (text, zlib.crc32(text))
