"""A program that opens, writes, reads and closes a database when told to. It needs nothing of ours."""

from __future__ import annotations

import sys

import apsw

_READ = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
_SCHEMA = """
CREATE TABLE IF NOT EXISTS ticks (
    id INTEGER PRIMARY KEY, symbol TEXT NOT NULL, timestamp INTEGER NOT NULL, bid REAL NOT NULL,
    ask REAL NOT NULL, spread REAL, volume REAL, lp_source TEXT, flags INTEGER DEFAULT 0, created_at INTEGER,
    UNIQUE (symbol, timestamp)
)
"""


def open_to_write(path: str) -> apsw.Connection:
    connection = apsw.Connection(path)
    connection.set_busy_timeout(5000)
    connection.pragma("journal_mode", "wal")
    connection.execute(_SCHEMA)
    return connection


def write(connection: apsw.Connection, first: int, count: int) -> None:
    """So many ticks, with these time stamps."""
    rows = [(f"S{n % 7}", n, 1.0 + n / 7, 1.1 + n / 7) for n in range(first, first + count)]
    with connection:
        connection.executemany("INSERT INTO ticks (symbol, timestamp, bid, ask) VALUES (?, ?, ?, ?)", rows)


def read(path: str) -> apsw.Connection:
    connection = apsw.Connection(f"file:{path}?mode=ro", flags=_READ)
    connection.set_busy_timeout(5000)  # sealing needs the file to itself for a moment
    connection.execute("SELECT count(*) FROM ticks").get  # noqa: B018 (it reads)
    return connection


def main() -> None:
    connection: apsw.Connection | None = None
    for line in sys.stdin:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "open":
            connection = open_to_write(rest)
        elif word == "read":
            connection = read(rest)
        elif word == "write" and connection is not None:
            write(connection, *map(int, rest.split()))
        elif word == "close" and connection is not None:
            connection.close()
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
