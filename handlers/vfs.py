"""SQL on a day's database wherever it is: SQLite reading straight out of a seekable .zst.

    from handlers.vfs import open_day

    connection = open_day("2026-01-19")
    for symbol, ticks in connection.execute("SELECT symbol, count(*) FROM ticks GROUP BY symbol"):
        ...

Nothing is ever inflated to disk, nothing is written, and memory stays below 100 MB however large the
day is. Connections are apsw's and are for reading only.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import cast
from urllib.parse import quote, unquote
from uuid import uuid4

import apsw

from handlers.contract import Paths
from handlers.files import SIDECARS
from handlers.pattern import Pattern
from handlers.reader import CACHE_BYTES, Reader
from handlers.seek_table import FileRanges, Ranges, read_table

_VFS = "tickward"
_CACHE_KIB = 4 * 1024
_FLAGS = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI


def open_day(
    day: date | str,
    *,
    root: str | Path = "data/ticks/db",
    archive: str | Path = "data/ticks/archive",
    backup: str | Path = "data/ticks/backup",
    pattern: str = "{year}/{month}/ticks_{date}.db",
) -> apsw.Connection:
    """A read-only connection to the database of a day: hot, warm or cold.

    Args:
        day: a date, as such or as ``YYYY-MM-DD``.
        root, archive, backup, pattern: as in ``[data]`` of the configuration; relative paths are
            meant from the working directory. The backup is looked at last.

    Raises:
        FileNotFoundError: there is no copy of that day; the message names where it was looked for.
        FileExistsError: a database and a .zst of other content are there: which is meant only the
            journal knows (`tickward query` asks it); open the one you mean with `open_path`.
        ValueError: the .zst is damaged or not seekable (`handlers.seek_table.SeekableError`), or
            ``day`` is no date.

    A day that is still written to is read as its writer left it at each statement, without hindering
    it; but a connection that stays open keeps such a day from being sealed. Close it.
    """
    when = date.fromisoformat(day) if isinstance(day, str) else day
    paths = Paths.of(str(root), str(backup), str(archive), Pattern(pattern).path_of(when))
    candidates = (paths.database, paths.compressed, paths.archived, paths.backup, paths.backup_compressed)
    there = [Path(path) for path in candidates if Path(path).is_file()]
    if not there:
        raise FileNotFoundError(f"no database of {when}: looked for {', '.join(candidates)}")
    _require_one(there[:2], paths)
    return open_path(there[0])


def open_path(path: Path) -> apsw.Connection:
    """A read-only connection to one file, a database or a seekable .zst of one.

    Raises:
        OSError: the file cannot be read, or is a symbolic link.
        SeekableError: it is a .zst without a seek table, or a damaged one. Damage that only shows
            while it is read is raised from the statement that meets it.
        apsw.Error: it is no database.
    """
    if path.suffix == ".zst":
        source = FileRanges(path)
        try:
            return open_ranges(source)
        except BaseException:
            source.close()
            raise
    path.stat()  # an OSError that says why, rather than SQLite's "unable to open"
    # With nothing beside it nobody is writing: then no lock is taken that could make a writer wait,
    # and nothing is left behind. Else it is read as SQLite's other readers do.
    live = any(path.with_name(path.name + suffix).exists() for suffix in SIDECARS)
    return _connected(f"file:{quote(str(path.absolute()))}?" + ("mode=ro" if live else "immutable=1"))


def open_ranges(source: Ranges, *, cache_bytes: int = CACHE_BYTES) -> apsw.Connection:
    """The same of a seekable .zst in anything that reads ranges: an object in a store, say.

    ``cache_bytes`` of inflated content are kept. The source is closed with the connection if it has
    a ``close()``.
    """
    reader = Reader(source, cache_bytes=cache_bytes)
    name = _vfs().add(source, reader)
    try:
        return _connected(f"file:{name}?vfs={_VFS}&immutable=1")
    except BaseException:
        _vfs().forget(name)
        reader.close()
        raise


def settle(connection: apsw.Connection) -> None:
    """SeekableError unless everything that was read of a .zst had the right checksums.

    Pages are handed out while the rest of their frame is still being inflated: call this before a
    result counts. Does nothing for a database that is not compressed.
    """
    reader = _vfs().reader_of(connection.filename)
    if reader is not None:
        reader.settle()


def _connected(uri: str) -> apsw.Connection:
    connection = apsw.Connection(uri, flags=_FLAGS)
    try:
        connection.pragma("cache_size", -_CACHE_KIB)
        connection.pragma("schema_version")  # the first look at the file: is it a database at all?
    except BaseException:
        connection.close()
        raise
    return connection


def _require_one(there: list[Path], paths: Paths) -> None:
    """FileExistsError if a database and a .zst are there of which only the journal knows which is the day."""
    packed = next((path for path in there if path.suffix == ".zst"), None)
    if packed is None or Path(paths.database) not in there:
        return
    if read_table(packed).content_bytes != Path(paths.database).stat().st_size:
        raise FileExistsError(
            f"both {paths.database} and {packed} are there, and they differ: late ticks, perhaps, that are"
            " not merged yet. Open the one you mean with open_path(), or ask `tickward query`"
        )


class _SeekableVFS(apsw.VFS):
    """Finds the reader of each connection's file; temporary files are the default VFS's."""

    def __init__(self) -> None:
        super().__init__(_VFS, base="")
        self._readers: dict[str, tuple[Ranges, Reader]] = {}

    def add(self, source: Ranges, reader: Reader) -> str:
        """A name under which SQLite can open it, once."""
        name = f"/{uuid4().hex}/{quote(Path(source.name).name)}"
        self._readers[unquote(name)] = (source, reader)
        return name

    def forget(self, name: str) -> None:
        self._readers.pop(unquote(name), None)

    def reader_of(self, name: str) -> Reader | None:
        found = self._readers.get(name)
        return found[1] if found else None

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        return name

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None or path not in self._readers:
            return apsw.VFSFile("", name, flags)
        flags[1] = apsw.SQLITE_OPEN_READONLY
        source, reader = self._readers[path]
        opened = _SeekableFile(reader, partial(self._closed, path, source))
        return cast(apsw.VFSFile, opened)

    def _closed(self, path: str, source: Ranges) -> None:
        self._readers.pop(path, None)
        close = getattr(source, "close", None)
        if close is not None:
            close()


class _SeekableFile:
    """What SQLite sees of a .zst: a file of pages that nobody can write to."""

    def __init__(self, reader: Reader, closed: Callable[[], None]) -> None:
        self._reader = reader
        self._closed = closed

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        return self._reader.read(offset, amount)

    def xFileSize(self) -> int:  # noqa: N802
        return self._reader.size_bytes

    def xClose(self) -> None:  # noqa: N802
        self._reader.close()
        self._closed()

    def xSectorSize(self) -> int:  # noqa: N802
        return 4096

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return apsw.SQLITE_IOCAP_IMMUTABLE

    def xFileControl(self, _operation: int, _pointer: int) -> bool:  # noqa: N802
        return False

    def xLock(self, _level: int) -> None:  # noqa: N802
        """Nothing to do: nobody writes."""

    def xUnlock(self, _level: int) -> None:  # noqa: N802
        """Nothing to do: nobody writes."""

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False


@cache
def _vfs() -> _SeekableVFS:
    """The one VFS of this process: SQLite knows it by its name for as long as the process lives."""
    return _SeekableVFS()
