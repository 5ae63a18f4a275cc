"""SQL on a day's database wherever it is: SQLite reading straight out of a seekable .zst.

    from handlers.vfs import open_day

    connection = open_day("2026-01-19")
    for symbol, ticks in connection.execute("SELECT symbol, count(*) FROM ticks GROUP BY symbol"):
        ...

Nothing is inflated to disk (but a .zst of others, of which no part can be read alone), nothing is written,
and memory stays below 100 MB however large the day is. Connections are apsw's and are for reading only.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast
from urllib.parse import quote, unquote
from uuid import uuid4
from weakref import WeakKeyDictionary

import apsw

from handlers.contract import Paths, Signature
from handlers.files import SIDECARS, room_in, signature_of
from handlers.pattern import Pattern
from handlers.progress import silent
from handlers.reader import CACHE_BYTES, Reader
from handlers.seek_table import FileRanges, Ranges, SeekableError, TooLargeError, ends_in_table, table_in
from handlers.unpack import unpack_file

_VFS = "tickward"
_CACHE_KIB = 4 * 1024
_PATIENCE_MS = 5000
_FLAGS = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI


class ChangedError(Exception):
    """What was read may be of no state that the database ever had."""


_read_without_locks: WeakKeyDictionary[apsw.Connection, tuple[Path, tuple[Signature | None, ...]]] = (
    WeakKeyDictionary()
)


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

    A day that is being written to is read as SQLite's other readers do: each statement sees one state
    of it, and a writer in WAL mode does not notice. But while the connection is open the day cannot be
    sealed: close it. A database that nobody seems to write to is read without locks: `settle` tells
    whether that was so until now.
    """
    when = date.fromisoformat(day) if isinstance(day, str) else day
    paths = Paths.of(str(root), str(backup), str(archive), Pattern(pattern).path_of(when))
    candidates = (paths.database, paths.compressed, paths.archived, paths.backup, paths.backup_compressed)
    there = [Path(path) for path in candidates if Path(path).is_file()]
    if not there:
        raise FileNotFoundError(f"no database of {when}: looked for {', '.join(candidates)}")
    _require_one(there[:2], paths)
    return open_path(there[0])


def open_path(path: str | Path) -> apsw.Connection:
    """A read-only connection to one file, a database or a .zst of one.

    A .zst of others, without a seek table, is inflated into a temporary file first, which has no name.

    Raises:
        OSError: the file cannot be read, or is a .zst and a symbolic link; or there is no room for what it
            holds.
        SeekableError: it is a damaged .zst. Damage that only shows while it is read is raised from the
            statement that meets it.
        apsw.Error: it is no database, or its writer died in the middle of a change.
    """
    path = Path(path)
    if path.suffix == ".zst":
        source = FileRanges(path)
        try:
            if ends_in_table(source):
                return open_ranges(source)
        except BaseException:
            source.close()
            raise
        source.close()
        return _inflated(path)
    path.stat()  # an OSError that says why, rather than SQLite's "unable to open"
    # With nothing beside it nobody is writing: then no lock is taken that could make a writer wait,
    # and nothing is left behind. Else it is read as SQLite's other readers do.
    state = _state_of(path)
    live = any(state[1:])
    connection = _connected(f"file:{quote(str(path.absolute()))}?" + ("mode=ro" if live else "immutable=1"))
    if not live:
        _read_without_locks[connection] = (path, state)
    return connection


def _inflated(path: Path) -> apsw.Connection:
    """A connection to the content of a .zst that can only be read as a whole."""
    state = _state_of(path)
    with TemporaryDirectory(prefix="tickward-") as directory:
        content = Path(directory) / "day.db"
        try:
            unpack_file(path, content, report=silent, most_bytes=room_in(Path(directory)))
        except TooLargeError as error:
            where = Path(directory).parent
            raise SeekableError(
                f"{path} can only be read as a whole, and there is no room for that in {where}: name another "
                "place as TMPDIR, or have it made anew: `tickward adopt --reencode`"
            ) from error
        except SeekableError as error:
            raise SeekableError(
                f"{path} does not end in a seek table, and cannot be read as a whole: {error}"
            ) from error
        connection = _connected(f"file:{quote(str(content))}?mode=ro&immutable=1")
    _read_without_locks[connection] = (path, state)
    return connection


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
    """See to it that everything that was read so far is right: call it before a result counts.

    Raises:
        SeekableError: a frame of a .zst had a wrong checksum. Pages are handed out while the rest of
            their frame is still being inflated, and its checksum comes last.
        ChangedError: a database that is read without locks has been written to since it was opened.
    """
    reader = _vfs().reader_of(connection.filename)
    if reader is not None:
        reader.settle()
    require_unchanged(connection)


def require_unchanged(connection: apsw.Connection) -> None:
    """ChangedError if a database that is read without locks was written to since it was opened."""
    path, state = _read_without_locks.get(connection, (None, ()))
    if path is not None and _state_of(path) != state:
        raise ChangedError(f"{path} was written to while it was read: open it anew")


def is_live(connection: apsw.Connection) -> bool:
    """Whether it is read under locks, because somebody may be writing to it."""
    return connection not in _read_without_locks and _vfs().reader_of(connection.filename) is None


def _state_of(path: Path) -> tuple[Signature | None, ...]:
    """What `stat` says of a database and of what is beside it."""
    return tuple(signature_of(path.with_name(path.name + suffix)) for suffix in ("", *SIDECARS))


def _connected(uri: str) -> apsw.Connection:
    connection = apsw.Connection(uri, flags=_FLAGS)
    try:
        connection.set_busy_timeout(_PATIENCE_MS)
        connection.pragma("cache_size", -_CACHE_KIB)
        connection.pragma("schema_version")  # the first look at the file: is it a database at all?
    except apsw.ReadOnlyError as error:
        connection.close()
        raise apsw.ReadOnlyError(
            "its writer died in the middle of a change, which has to be undone first: by opening it with"
            " its writer, or by sealing it"
        ) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _require_one(there: list[Path], paths: Paths) -> None:
    """FileExistsError if a database and a .zst are there of which only the journal knows which is the day."""
    packed = next((path for path in there if path.suffix == ".zst"), None)
    if packed is None or Path(paths.database) not in there:
        return
    with FileRanges(packed) as source:
        size = table_in(source).content_bytes if ends_in_table(source) else None
    if size != Path(paths.database).stat().st_size:
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
