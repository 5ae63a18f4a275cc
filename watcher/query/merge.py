"""A second statement over what the days gave: their rows as one table, on disk and not in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import apsw

from handlers.rows import quoted
from watcher.errors import ConfigError, TickwardError
from watcher.query.answer import closed, opened_guarded
from watcher.query.guard import Statement, StatementError, prepared, sentence
from watcher.query.spool import Row

TABLE = "days"
"""What the second statement finds them under."""


class Merge:
    """The table `days`, and the statement on it.

    Args:
        folder: a private directory for the table.
        columns: of its rows, the day's included.
        sql: the second statement.

    Raises:
        ConfigError: the statement is wrong. That is known before any day is asked.
    """

    def __init__(self, folder: Path, columns: tuple[str, ...], sql: str) -> None:
        self._path = folder / f"{TABLE}.db"
        self._insert = f"INSERT INTO {TABLE} VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
        self._writer = apsw.Connection(str(self._path))
        # It is thrown away if anything goes wrong, so it needs no journal.
        self._writer.pragma("journal_mode", "off")
        self._writer.pragma("synchronous", "off")
        try:
            self._writer.execute(f"CREATE TABLE {TABLE} ({', '.join(map(quoted, columns))})")
        except apsw.SQLError as error:  # two columns of one name
            raise ConfigError(f"--merge: {error}: give it another name with AS (`day` is taken)") from None
        self.statement = self._checked(sql)

    def fill(self, of_days: Iterable[Row]) -> None:
        """Take all these rows."""
        try:
            with self._writer:
                self._writer.executemany(self._insert, of_days)
        except (apsw.FullError, apsw.IOError) as error:
            where = f"the table of all days cannot be written in {self._path.parent}"
            raise TickwardError(
                f"{where} ({error}): free space there, or set TMPDIR to another disk"
            ) from None
        self.close()

    def rows(self) -> Iterator[Row]:
        """What the second statement makes of them."""
        connection = opened_guarded(self._path, interruptible=True)
        try:
            yield from connection.execute(self.statement.text)
        except (apsw.Error, UnicodeDecodeError) as error:
            raise TickwardError(f"--merge: {sentence(error)}") from None
        finally:
            closed(connection)

    def close(self) -> None:
        closed(self._writer)

    def _checked(self, sql: str) -> Statement:
        connection = opened_guarded(self._path)
        try:
            return prepared(connection, sql)
        except StatementError as error:
            columns = ", ".join(each[1] for each in connection.execute(f"PRAGMA table_info({TABLE})"))
            raise ConfigError(f"--merge: {error}; the table {TABLE} has the columns {columns}") from None
        finally:
            closed(connection)
