"""Where in which journal a program is: the id of the event that it has come to, and a small file for that.

The file is of records of a fixed size, each an id: first where the program is, then where it was in the
journals that it has left, the last one first. All of them are within one sector.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import tempfile
import time
import zlib
from collections.abc import Iterable
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
"""The sign, the id, the checksum in hexadecimal and a newline."""
_MOST_RECORDS = 512 // _RECORD_BYTES
_NOTHING = "-"
"""Where the id is, as long as nothing was noted: an empty file is one that has been damaged."""


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
    """Written in place, for one program at a time; made if there is none.

    Raises `PositionError` if it cannot be used, or holds something else: that is left as it is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = self._opened()
        try:
            self._lock()
            self.noted, *left = self._read()
            """Where the program is; None if nothing was noted yet."""
            self.left = {each.epoch: each for each in reversed(left) if each is not None}
            """Where it was in the journals that it has left, by their epochs, the last one last."""
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
            if self.noted is None or self.noted.epoch == position.epoch:
                os.pwrite(self._descriptor, _record(position), 0)
            else:
                left = self._left_for(position.epoch)
                os.pwrite(self._descriptor, _records([position, *reversed(left.values())]), 0)
                self.left = left
            self.noted = position
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

    def abandon(self) -> None:
        """In a forked child: the file is the parent's, and so is the lock once nobody else has it open."""
        os.close(self._descriptor)

    def _left_for(self, epoch: int) -> dict[int, Position]:
        """The journals that will have been left, once this one is gone on in."""
        assert self.noted is not None
        left = {other: each for other, each in self.left.items() if other not in (epoch, self.noted.epoch)}
        left[self.noted.epoch] = self.noted
        return dict([*left.items()][1 - _MOST_RECORDS :])

    def _sync(self) -> None:
        os.fsync(self._descriptor)
        self._synced = self.noted
        self._sync_at = time.monotonic() + _SYNC_SECONDS

    def _opened(self) -> int:
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            try:
                return os.open(self._path, flags)
            except FileNotFoundError:
                self._make()
                return os.open(self._path, flags)
        except FileNotFoundError:
            raise PositionError(
                f"the position cannot be kept in {self._path}: make the directory {self._path.parent} first"
            ) from None
        except OSError as error:
            raise self._unusable(error) from None

    def _make(self) -> None:
        """With its first record: a program that is killed over this does not leave an empty file."""
        path = Path(os.path.realpath(self._path))
        descriptor, temp = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            try:
                os.write(descriptor, _record(None))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            try:
                os.link(temp, path)
            except FileExistsError:
                return  # somebody was first
            except OSError:  # no hard links there
                Path(temp).replace(path)
            fsync_directory(path.parent)
        finally:
            Path(temp).unlink(missing_ok=True)

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

    def _read(self) -> list[Position | None]:
        """What its records say: at least one."""
        content = b""
        if stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            content = os.pread(self._descriptor, _MOST_RECORDS * _RECORD_BYTES + 1, 0)
        try:
            return _read_from(content)
        except ValueError:
            raise PositionError(
                f"{self._path} holds no position (any more), and is left as it is: name another file, or "
                "remove it and say with `since` where to begin"
            ) from None

    def _unusable(self, error: OSError) -> PositionError:
        reason = "it is a directory" if error.errno == errno.EISDIR else error.strerror
        return PositionError(f"the position cannot be kept in {self._path} ({reason}): name another file")


def _record(position: Position | None) -> bytes:
    what = _NOTHING if position is None else id_of(position)
    text = f"{_SIGN}{what:<{_ID_WIDTH}}".encode()
    return b"%b%08x\n" % (text, zlib.crc32(text))


def _records(positions: Iterable[Position]) -> bytes:
    return b"".join(map(_record, positions))


def _read_from(content: bytes) -> list[Position | None]:
    """Raises `ValueError` if these are not records, of that size and no more than there may be."""
    positions: list[Position | None] = []
    for record in (content[at : at + _RECORD_BYTES] for at in range(0, len(content), _RECORD_BYTES)):
        _, what, _ = record.decode().split()
        positions.append(None if what == _NOTHING else position_of(what))
        if record != _record(positions[-1]):
            raise ValueError("not what was written")
    if not 1 <= len(positions) <= _MOST_RECORDS:
        raise ValueError("too short or too long")
    return positions
