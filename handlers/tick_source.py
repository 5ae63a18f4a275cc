"""A table of ticks, or what somebody means by that, as a subquery whose columns are what they should be.

Nothing is expected of the table: not its columns, not the types of their values, not that texts are texts.
"""

from __future__ import annotations

from typing import NamedTuple

import apsw

from handlers.rows import quoted

_LAST_MS = 253_402_300_799_999
"""The end of the year 9999: what is later is in another unit."""


class Source(NamedTuple):
    """A table whose columns are known."""

    sql: str
    """A subquery: id, symbol (bytes), at (milliseconds), bid, ask, spread; what is none of that is NULL."""
    columns: frozenset[str]
    """Those that the table has, in lower case."""
    encoding: str
    """Of the symbols."""

    def lacking(self, needs: tuple[str, ...]) -> list[str]:
        """Which of these the table does not tell."""
        return [name for name in needs if not self.tells((name,))]

    def tells(self, needs: tuple[str, ...]) -> bool:
        """Whether the table tells all of these; a spread is told by bid and ask as well."""
        there = self.columns | ({"spread"} if {"bid", "ask"} <= self.columns else set())
        return there.issuperset(needs)

    def text(self, value: bytes | None) -> str | None:
        """A symbol as text; what is none in its encoding is marked."""
        return None if value is None else value.decode(self.encoding, "replace")


def source_of(connection: apsw.Connection, table: str) -> Source | None:
    """The table, or view, of that name; None if there is none. Raises apsw.Error."""
    columns = frozenset(
        str(row[1]).lower() for row in connection.execute(f"PRAGMA table_xinfo({quoted(table)})")
    )
    if not columns:
        return None
    described = connection.execute(
        "SELECT type, wr FROM pragma_table_list WHERE schema = 'main' AND lower(name) = lower(?)", (table,)
    ).fetchall()
    identity = "id" if "id" in columns else "rowid" if ("table", 0) in described else "NULL"
    number = {name: _number(name) if name in columns else "NULL" for name in ("bid", "ask", "spread")}
    told = ", ".join(
        (
            f"CASE WHEN typeof({identity}) = 'integer' THEN {identity} END AS id",
            # As bytes: a text that is no UTF-8 would be an error when it is fetched.
            f"CAST({'symbol' if 'symbol' in columns else 'NULL'} AS BLOB) AS symbol",
            f"{_stamp() if 'timestamp' in columns else 'NULL'} AS at",
            f"{number['bid']} AS bid",
            f"{number['ask']} AS ask",
            f"coalesce({number['spread']}, {number['ask']} - {number['bid']}) AS spread",
        )
    )
    # NOT INDEXED: the rows of a .zst are read in the order of the file, and sorted; see handlers.scan.
    sql = f"(SELECT {told} FROM {quoted(table)} NOT INDEXED)"  # noqa: S608
    return Source(sql, columns, str(connection.pragma("encoding")))


def _number(column: str) -> str:
    return f"CASE WHEN typeof({column}) IN ('integer', 'real') THEN {column} END"


def _stamp() -> str:
    return (
        "CASE WHEN typeof(timestamp) IN ('integer', 'real') AND timestamp BETWEEN 0 AND "
        f"{_LAST_MS} THEN CAST(timestamp AS INTEGER) END"
    )
