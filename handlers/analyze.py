"""What is in a day: where its bytes go, how many ticks of which symbols, gaps, and rows that cannot be right.

It measures through a connection that is open for reading, whatever tier the day is in, and changes nothing.
What a table does not tell (it lacks a column, say) is null, and named in `Analysis.untold`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import apsw
from msgspec import Struct

from handlers.btrees import trees
from handlers.pages import HEADER_BYTES, Header
from handlers.seek_table import FileRanges, ends_in_table, table_in
from handlers.ticks import Content, content


class Compression(Struct, frozen=True):
    """How a .zst holds the database."""

    bytes: int
    """Of the file."""
    ratio: float
    """So many times smaller than the database."""
    frames: int
    """Those that hold the database."""
    frame_bytes: int
    """Of the database in the largest of them."""


class Share(Struct, frozen=True):
    """What one table or index takes of the database."""

    name: str
    """Its name; one that SQLite made begins with ``sqlite_``."""
    kind: Literal["table", "index"]
    """Which of both it is."""
    table: str
    """The table itself, or the one that the index is of."""
    bytes: int
    """In whole pages, those of long values included."""
    share: float
    """Of `Analysis.size_bytes`, from 0 to 1."""


class Analysis(Struct, frozen=True):
    """One day. Stamps are Unix milliseconds, UTC."""

    size_bytes: int
    """Of the database, uncompressed."""
    page_bytes: int
    """The size of its pages."""
    pages: int
    """All of them."""
    free_pages: int
    """Pages that hold nothing: `seal.compact` would give them back."""
    journal_mode: Literal["wal", "rollback"]
    """As the file says. A sealed day is in rollback mode, whatever its writer used."""
    sqlite_version: str | None
    """The SQLite of its last writer; null: one before 3.7.0, which did not say."""
    wal_reset_bug: bool | None
    """Whether that SQLite has the WAL-reset bug; null: not known."""
    compression: Compression | None
    """Null: the file is not compressed."""
    shares: tuple[Share, ...]
    """Of the bytes, the largest first."""
    table: str
    """Where the ticks were looked for."""
    content: Content
    """What is in it."""
    untold: tuple[str, ...]
    """What could not be told, and why: ``gaps: ticks has no column timestamp``."""


def analyze(
    connection: apsw.Connection,
    table: str,
    *,
    compression: Compression | None = None,
    sqlite_version: int | None = None,
) -> Analysis:
    """Measure what is in a database. Reads every page; 1.7 million ticks take some 3 s and 5 MB.

    Args:
        connection: open for reading. Of a database that is being written to in WAL mode, one state
            is measured.
        table: where the ticks are.
        compression: what `compression_of` said of the file, which is what tells that it is a .zst.
        sqlite_version: the last writer's, where more is known than the file's header says (sealing
            writes to a database as well); as ``SQLITE_VERSION_NUMBER``.

    Raises:
        apsw.Error: SQLite cannot read it; NotADBError if it is empty, CorruptError where it is damaged.
        SeekableError: a .zst is damaged. Call `handlers.vfs.settle` before the result counts.
    """
    header = Header.of(connection.read("main", 0, 0, HEADER_BYTES)[1])
    version = sqlite_version or header.sqlite_version
    with _one_state(connection, header.is_wal):
        page_bytes, pages, free = (
            int(connection.pragma(name)) for name in ("page_size", "page_count", "freelist_count")
        )
        if not pages:
            raise apsw.NotADBError("it is empty")
        shares = [
            Share(
                name=tree.name,
                kind="index" if tree.kind == "index" else "table",
                table=tree.table,
                bytes=tree.pages * page_bytes,
                share=tree.pages / pages,
            )
            for tree in trees(connection, jumps_are_dear=compression is not None)
        ]
        ticks, untold = content(connection, table)
    return Analysis(
        size_bytes=page_bytes * pages,
        page_bytes=page_bytes,
        pages=pages,
        free_pages=free,
        journal_mode="wal" if header.is_wal else "rollback",
        sqlite_version=version_text(version) if version else None,
        wal_reset_bug=has_wal_reset_bug(version) if version else None,
        compression=compression,
        shares=tuple(shares),
        table=table,
        content=ticks,
        untold=tuple(untold),
    )


def compression_of(path: Path) -> Compression | None:
    """How a .zst is compressed; None for any other file, and for one of others without a seek table."""
    if path.suffix != ".zst":
        return None
    with FileRanges(path) as source:
        if not ends_in_table(source):
            return None
        table = table_in(source)
    sizes = [frame.content_bytes for frame in table if frame.content_bytes]
    size = path.stat().st_size
    return Compression(size, table.content_bytes / size, len(sizes), max(sizes, default=0))


def has_wal_reset_bug(version: int) -> bool:
    """Whether this SQLite can corrupt a WAL database that two connections write to or checkpoint at a time.

    In 3.7.0 to 3.51.2, but for the backports 3.44.6 and 3.50.7 (https://sqlite.org/wal.html#walresetbug).
    ``version`` is an ``SQLITE_VERSION_NUMBER``.
    """
    minor, patch = version // 1000, version % 1000
    fixed_in = {3044: 6, 3050: 7, 3051: 3}.get(minor)
    if fixed_in is not None:
        return patch < fixed_in
    return 3007 <= minor < 3051


def version_text(version: int) -> str:
    """``3.46.1`` of 3046001."""
    return f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}"


@contextmanager
def _one_state(connection: apsw.Connection, is_wal: bool) -> Iterator[None]:
    """One read transaction for everything, where a writer does not have to wait for its end."""
    if not is_wal:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
