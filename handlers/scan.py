"""Reading a compressed table from front to back where SQLite would jump through it in an index's order.

For `GROUP BY symbol` SQLite walks the index of (symbol, timestamp), which is sorted already: for every
symbol it goes through the whole file once. With the file in memory that costs little; out of a .zst
each pass inflates the whole day again (1.7 million ticks of 100 symbols: 29 s, where reading once and
sorting takes 1.3 s). Its planner cannot be told what a jump costs. But a table can be hidden behind a
view of its name that says NOT INDEXED.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import apsw

from handlers.rows import quoted

_JUMPS = re.compile(r"SCAN .* USING (?:COVERING )?INDEX (\S+)")
_SEEKS = re.compile(r"SEARCH .* USING ")
_VIEW = re.compile(r"\s*CREATE\s+VIEW\s+(IF\s+NOT\s+EXISTS\s+)?", re.IGNORECASE)
_LOOKS_AT_SCHEMA = re.compile(r"pragma_|sqlite_temp|sqlite_schema|sqlite_master", re.IGNORECASE)
_SAMPLE = 1000
_FAR = 4
"""An index has an order of its own if neighbours in it are farther apart in the table than so many rows."""


def prefer_file_order(connection: apsw.Connection, sql: str) -> bool:
    """Hide tables from their indexes if that spares ``sql`` jumping through the file; whether it does.

    What it hides stays hidden on this connection: for one that runs ``sql`` and then is closed. The
    answer is the same either way, but for the order of rows where none was asked for. It does nothing
    where an index is sought in: that is what makes such a statement fast; nor where ``sql`` says
    ``main.ticks`` or ``INDEXED BY``, for what looks at the schema, nor for what has no plan.
    """
    if _LOOKS_AT_SCHEMA.search(sql):
        return False
    try:
        before = _plan(connection, sql)
    except apsw.Error:
        return False
    if not any(_leads_far(connection, index) for index in _indexes_scanned(before)):
        return False
    hidden = []
    try:
        for name, hide in _disguises(connection):
            connection.execute(hide)
            hidden.append(name)
        with _names_are_names(connection):
            after = _plan(connection, sql)
        if not any(_indexes_scanned(after)) and _seeks(after) >= _seeks(before):
            return True
    except apsw.Error:
        pass  # it needs what a view does not have: a rowid, or an index by name
    for name in hidden:
        connection.execute(f"DROP VIEW temp.{name}")
    return False


def _plan(connection: apsw.Connection, sql: str) -> list[str]:
    return [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]


@contextmanager
def _names_are_names(connection: apsw.Connection) -> Iterator[None]:
    """SQLite takes a name in double quotes that it does not find for a text: "rowid", of a view."""
    settings = (apsw.SQLITE_DBCONFIG_DQS_DML, apsw.SQLITE_DBCONFIG_DQS_DDL)
    before = [connection.config(each, -1) for each in settings]
    for each in settings:
        connection.config(each, 0)
    try:
        yield
    finally:
        for each, value in zip(settings, before, strict=True):
            connection.config(each, value)


def _indexes_scanned(plan: list[str]) -> list[str]:
    return [found[1] for line in plan if (found := _JUMPS.match(line))]


def _seeks(plan: list[str]) -> int:
    return sum(_SEEKS.match(line) is not None for line in plan)


def _leads_far(connection: apsw.Connection, index: str) -> bool:
    """Whether rows that are neighbours in the index are far from each other in the table."""
    table = connection.execute("SELECT tbl_name FROM sqlite_schema WHERE name = ?", (index,)).get
    if not isinstance(table, str):
        return False
    keys = [row[2] for row in connection.execute(f"PRAGMA index_info({quoted(index)})")]
    if None in keys:
        return False  # an expression
    order = ", ".join(map(quoted, keys))
    rows = f"SELECT rowid AS place FROM {quoted(table)} INDEXED BY {quoted(index)} ORDER BY {order} LIMIT {_SAMPLE}"  # noqa: E501, S608
    try:
        span = connection.execute(f"SELECT max(place) - min(place) FROM ({rows})").get  # noqa: S608
    except apsw.SQLError:
        return False  # no rowid
    return isinstance(span, int) and span > _FAR * _SAMPLE


def _disguises(connection: apsw.Connection) -> Iterable[tuple[str, str]]:
    """(quoted name, SQL) of a temporary view for each table, and for each view, so that it sees them."""
    schema = "SELECT type, name, sql FROM main.sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"  # noqa: E501
    for kind, name, sql in connection.execute(schema).fetchall():
        assert isinstance(name, str)
        assert isinstance(sql, str)
        view = quoted(name)
        if kind == "table":
            yield view, f"CREATE TEMP VIEW {view} AS SELECT * FROM main.{view} NOT INDEXED"  # noqa: S608
        elif _VIEW.match(sql):
            yield view, _VIEW.sub("CREATE TEMP VIEW ", sql, count=1)
