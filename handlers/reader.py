"""Reading any part of a seekable .zst without inflating the rest, or waiting for more than is needed.

Whoever reads a page inflates its frame himself, up to that page and no further; the rest of the frame
is done in the background, so that its checksum, which comes last, is looked at all the same. Frames
that are read one after the other are inflated ahead of time. A few of them are kept.
"""

from __future__ import annotations

import mmap
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import BinaryIO, cast

import zstandard

from handlers.inner_pages import pages_in
from handlers.seek_table import (
    MAX_FRAME_BYTES,
    Frame,
    Ranges,
    SeekableError,
    require_listed_sizes,
    table_in,
)

CACHE_BYTES = 24 << 20
"""How much inflated content is kept."""
_MAX_UNFINISHED = 3
_MAX_UNFINISHED_BYTES = 48 << 20
_AHEAD = 2
_STEP_BYTES = 256 << 10
_MAX_PACKED_BYTES = MAX_FRAME_BYTES + MAX_FRAME_BYTES // 128
_END = zstandard.ZstdCompressor().compress(b"!")


class Reader:
    """The content of a seekable .zst, at random. Any thread may use it.

    Args:
        source: where the compressed bytes are: a file, or anything that reads ranges.
        cache_bytes: how much inflated content is kept, but never less than one frame.

    Raises:
        SeekableError: the source has no seek table, or one that it does not bear out.
    """

    def __init__(self, source: Ranges, *, cache_bytes: int = CACHE_BYTES) -> None:
        self._source = source
        self._table = table_in(source)
        self._page_bytes, self._inner_pages = pages_in(source, self._table)
        self._cache_bytes = cache_bytes
        self._kept: OrderedDict[int, _Inflation] = OrderedDict()
        self._unfinished: dict[_Inflation, None] = {}  # in the order in which they were begun
        self._current: _Inflation | None = None
        self._last, self._run = -2, 0
        self._failure: SeekableError | None = None
        self._is_placed = False
        self._unpackers: list[zstandard.ZstdDecompressor] = []
        self._lock = threading.Lock()
        self._background = ThreadPoolExecutor(2, thread_name_prefix="inflate")

    @property
    def size_bytes(self) -> int:
        """Of the whole content."""
        return self._table.content_bytes

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes of the content from ``offset`` on; fewer only at its end.

        SeekableError if a frame that was read from is damaged, this one or one before. What is
        handed out has been inflated without an error; whether the checksum of its frame was right
        is known a moment later, and to whoever calls `settle`.
        """
        current = self._current
        if current is not None and self._failure is None and (found := current.at_hand(offset, size)):
            return found  # most are: it costs a third of what looking the frame up does
        end = min(offset + size, self.size_bytes)
        if self._inner_pages and end - offset == size:
            number, within = divmod(offset, self._page_bytes)
            if (page := self._inner_pages.get(number)) is not None and within + size <= self._page_bytes:
                return page[within : within + size]
        parts = []
        while offset < end:
            current = self._frame(self._table.at(offset))
            part = current.content_between(offset, end)
            self._current = current
            offset += len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def settle(self) -> None:
        """See to it that all that was handed out is right: SeekableError if a checksum was not."""
        with self._lock:
            handed_out = [each for each in self._unfinished if each.handed_out]
        for each in handed_out:
            self._finish(each)
        if self._failure is None and not self._is_placed:
            self._require_places()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Let go of memory and threads; reading on is a SeekableError. The source stays open."""
        with self._lock:
            self._failure = self._failure or SeekableError(f"{self._source.name}: its reader was closed")
            self._kept.clear()
            self._current = None
        self._background.shutdown(wait=True, cancel_futures=True)

    def _require_places(self) -> None:
        """Was what was handed out at its place? If the table is right about the frames before it, too."""
        try:
            require_listed_sizes(self._source, self._table)
            self._is_placed = True
        except SeekableError as error:
            self._failure = error
        except OSError as error:
            self._failure = SeekableError(f"{self._source.name}: {error}")

    def _frame(self, number: int) -> _Inflation:
        found = self._look_up(number)
        while behind := self._too_far_behind(found):
            self._finish(behind)
        return found

    def _too_far_behind(self, wanted: _Inflation) -> _Inflation | None:
        """The first of too many unfinished frames: each takes memory, its window's too, until it is whole."""
        with self._lock:
            others = [each for each in self._unfinished if each is not wanted]
            size = sum(each.frame.content_bytes for each in others)
            too_much = len(others) >= _MAX_UNFINISHED or size > _MAX_UNFINISHED_BYTES
            return others[0] if others and too_much else None

    def _look_up(self, number: int) -> _Inflation:
        with self._lock:
            if self._failure is not None:
                raise self._failure
            found = self._begun(number)
            if number != self._last:
                self._run = self._run + 1 if number == self._last + 1 else 0
                self._last = number
                self._begin_ahead(number)
            return found

    def _begin_ahead(self, number: int) -> None:
        """Begin what will be read next if reading goes on as it did; no more than is kept with ``number``."""
        room = self._cache_bytes - self._table[number].content_bytes
        for ahead in range(number + 1, min(number + 1 + min(self._run - 1, _AHEAD), len(self._table))):
            room -= self._table[ahead].content_bytes
            if room < 0:
                return
            self._begun(ahead)
            self._kept.move_to_end(number)

    def _begun(self, number: int) -> _Inflation:
        """The frame of that number, on its way; the caller holds the lock."""
        found = self._kept.get(number)
        if found is None:
            found = self._kept[number] = _Inflation(self._table[number], self._source, self._unpackers)
            self._unfinished[found] = None
            self._background.submit(self._finish, found)
            kept = sum(each.frame.content_bytes for each in self._kept.values())
            while kept > self._cache_bytes and len(self._kept) > 1:
                kept -= self._kept.popitem(last=False)[1].frame.content_bytes
        self._kept.move_to_end(number)
        return found

    def _finish(self, inflation: _Inflation) -> None:
        try:
            inflation.finish()
        except SeekableError as error:
            self._failure = error
        with self._lock:
            self._unfinished.pop(inflation, None)


class _Inflation:
    """One frame on its way from compressed to whole.

    ``unpackers`` are those that are free: each has a window of several MiB, and to let go of that and
    take it anew for every frame leaves the process's memory in pieces.
    """

    def __init__(self, frame: Frame, source: Ranges, unpackers: list[zstandard.ZstdDecompressor]) -> None:
        if frame.content_bytes > MAX_FRAME_BYTES or frame.compressed_bytes > _MAX_PACKED_BYTES:
            raise SeekableError(
                f"{source.name}: the frame at byte {frame.offset} is said to hold {frame.content_bytes:,}"
                f" bytes, and no more than {MAX_FRAME_BYTES:,} can be meant"
            )
        self.frame = frame
        self._source = source
        self._content = _buffer(frame.content_bytes)
        self.handed_out = False
        """Whether anybody was given any of its content."""
        self._ready = 0
        self._whole = False
        self._unpackers = unpackers
        self._unpacker: zstandard.ZstdDecompressor | None = None
        self._stream: zstandard.ZstdDecompressionReader | None = None
        self._error: SeekableError | None = None
        self._busy = False
        """Whether some thread inflates it at this moment; the others wait."""
        self._moved = threading.Condition()

    def content_between(self, begin: int, end: int) -> bytes:
        """The content from ``begin`` to ``end``, or to the end of this frame, inflated as far as that."""
        self.handed_out = True
        first, last = begin - self.frame.start, min(end - self.frame.start, self.frame.content_bytes)
        if self._ready < last:
            self._advance(lambda: self._ready >= last)
        return self._content[first:last]

    def at_hand(self, begin: int, size: int) -> bytes:
        """The content from ``begin`` on if all of it has been inflated; else nothing."""
        first = begin - self.frame.start
        return self._content[first : first + size] if 0 <= first <= self._ready - size else b""

    def finish(self) -> None:
        """Inflate what is left of it, and see to it that its checksum was right."""
        self._advance(lambda: self._whole)

    def _advance(self, is_enough: Callable[[], bool]) -> None:
        """Inflate, or wait for the thread that does, until it is enough; SeekableError if it is damaged."""
        with self._moved:
            while not is_enough():
                if self._error is not None:
                    raise self._error
                if self._busy:
                    self._moved.wait()
                    continue
                self._busy = True
                self._moved.release()
                try:
                    self._step()
                finally:
                    self._moved.acquire()
                    self._busy = False
                    self._moved.notify_all()

    def _step(self) -> None:
        try:
            self._inflate(_STEP_BYTES)
        except (SeekableError, zstandard.ZstdError, OSError) as error:
            where = f"{self._source.name}: damaged frame at byte {self.frame.offset}"
            self._error = SeekableError(f"{where}: {error}")

    def _inflate(self, size: int) -> None:
        if self._stream is None:
            self._stream = self._begin()
        rest = self.frame.content_bytes - self._ready
        if rest:
            view = memoryview(self._content)[self._ready : self._ready + min(size, rest)]
            grown = self._stream.readinto(view)
            if not grown:
                raise SeekableError("it is shorter than the seek table says")
            self._ready += grown
        if self._ready == self.frame.content_bytes:
            if self._stream.read(2) != b"!":
                raise SeekableError("it does not end where the seek table says")
            self._whole, self._stream = True, None
            assert self._unpacker is not None
            self._unpackers.append(self._unpacker)

    def _begin(self) -> zstandard.ZstdDecompressionReader:
        try:
            self._unpacker = self._unpackers.pop()
        except IndexError:
            self._unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_FRAME_BYTES)
        packed = cast(BinaryIO, _Packed(self._source, self.frame))
        return self._unpacker.stream_reader(packed, read_across_frames=True)


def _buffer(size: int) -> mmap.mmap:
    """Memory that costs nothing before it is used: half of a frame, on average, never is.

    In huge pages where there are any: to be given small ones took as long as inflating into them.
    """
    if sys.platform == "win32":
        return mmap.mmap(-1, max(size, 1))
    found = mmap.mmap(-1, max(size, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):
            found.madvise(mmap.MADV_HUGEPAGE)
    return found


class _Packed:
    """The compressed bytes of one frame, and then another frame.

    The library takes a frame that is cut off for one that has ended. The one that follows is read as
    a frame only if the first is complete, its checksum included.
    """

    def __init__(self, source: Ranges, frame: Frame) -> None:
        self._source = source
        self._at, self._rest = frame.offset, frame.compressed_bytes

    def read(self, size: int) -> bytes:
        if not self._rest:
            self._rest = -1
            return _END
        if self._rest < 0:
            return b""
        data = self._source.read_range(self._at, min(size, self._rest))
        if not data:
            raise SeekableError(f"the file ends within it, at byte {self._at}")
        self._at, self._rest = self._at + len(data), self._rest - len(data)
        return data
