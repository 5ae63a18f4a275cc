"""One daemon for each state directory."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from watcher.errors import AnotherInstanceError

_PATIENCE_SECONDS = 2.0


class Lock:
    """An advisory lock on a file that tells who holds it. Ends with the process, however it ends."""

    def __init__(self, state: Path) -> None:
        self._file = state / "lock"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock. Raises `AnotherInstanceError` that names the holder."""
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not self._take(descriptor):
            os.close(descriptor)
            raise AnotherInstanceError(
                f"another tickward (pid {self.holder() or 'unknown'}) looks after {self._file.parent}; "
                "stop it first, or give this one another data.state"
            )
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def _take(self, descriptor: int) -> bool:
        # Whoever asks for the holder has the lock itself for an instant: that is nobody's daemon.
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            if self.holder() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.001)

    def release(self) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> int | None:
        """The process that holds the lock; None if nobody does."""
        try:
            descriptor = os.open(self._file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.read(descriptor, 32).strip()
            return int(text) if text.isdigit() else 0
        finally:
            os.close(descriptor)
        return None
