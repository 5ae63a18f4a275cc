"""Reading at a pace: who reads everything again must not take the disk from the tick writer."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from handlers.files import CHUNK_BYTES, forget_cached, open_source
from handlers.progress import report

_SMALLEST_CHUNK_BYTES = 16 * 1024


class Pace:
    """Counts what one job reads, tells how far it is, and waits so that it is never read too fast.

    What was not read in time is not caught up with: a burst is what the limit is there to prevent.
    """

    def __init__(
        self,
        bytes_per_second: float = 0.0,
        total_bytes: int = 0,
        *,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        """0 ``bytes_per_second``: no bound. ``total_bytes``: what is going to be read, as far as is known."""
        self.bytes_read = 0
        self._bytes_per_second = bytes_per_second
        self._total_bytes = total_bytes
        self._clock = clock or time.monotonic
        self._sleep = sleep or time.sleep
        self._free_at = self._clock()

    @property
    def chunk_bytes(self) -> int:
        """How much to read at once: a quarter of a second's worth, within reason."""
        if not self._bytes_per_second:
            return CHUNK_BYTES
        return min(max(int(self._bytes_per_second / 4), _SMALLEST_CHUNK_BYTES), CHUNK_BYTES)

    def took(self, size_bytes: int) -> None:
        """So many bytes have been read: returns when more may be."""
        self.bytes_read += size_bytes
        report(self.bytes_read, max(self._total_bytes, self.bytes_read))
        if self._bytes_per_second:
            now = self._clock()
            self._free_at = max(self._free_at, now) + size_bytes / self._bytes_per_second
            self._sleep(self._free_at - now)


def sha256_at(path: Path, pace: Pace) -> str:
    """The SHA-256 of what the medium holds of a file, in hex. Errors as `files.sha256_of`."""
    digest = hashlib.sha256()
    with open_source(path) as source:
        forget_cached(source)
        while chunk := source.read(pace.chunk_bytes):
            digest.update(chunk)
            pace.took(len(chunk))
    return digest.hexdigest()
