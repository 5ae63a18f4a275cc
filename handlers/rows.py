"""Bringing the rows of a late database into another: those that it does not have, value for value.

Row numbers never decide. A late file counts its rows from one again, so an equal id says nothing,
and neither does a different one: the numbers are given anew. Everything is done by SQL, so a table
of any size needs the same memory.

Both databases are on one connection: ``main``, which is added to, and ``late``, which is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import apsw

from handlers.contract import StepError, Trouble

_ROWID_NAMES = ("rowid", "_rowid_", "oid")


class Column(NamedTuple):
    """One column of a table, as SQLite declares it."""

    name: str
    default: str
    is_id: bool
    """Another name for the row number."""
    is_computed: bool
    """Generated: it cannot be written."""

    @property
    def is_stamp(self) -> bool:
        """Whether the time of writing fills it where nothing else does, so that it tells no rows apart."""
        return "(" in self.default or self.default.upper().startswith("CURRENT_")


class Brought(NamedTuple):
    """What became of the rows of one late table."""

    before: int = 0
    late: int = 0
    fresh: int = 0
    """Late rows that were not there before."""
    added: int = 0
    after: int = 0


def attach(connection: apsw.Connection, late: Path) -> None:
    """The file ``late`` as the schema ``late``: read only, unlocked, so that no writer waits for us.

    It must be one file (no -wal), and the caller finds out afterwards whether it has changed.
    """
    uri = f"file:{quote(os.fsencode(late))}?immutable=1"
    try:
        _run(connection, "ATTACH ? AS late", uri)
    except apsw.SQLError as error:
        raise _conflict(f"{late} cannot be read beside the day's database: {error}") from error


def bring_ticks(connection: apsw.Connection, table: str) -> Brought:
    """Add the late ticks that the day does not have, in the order in which they were written.

    StepError CONFLICT if they do not fit into the day's table.
    """
    day, late = tables_of(connection, "main"), tables_of(connection, "late")
    if folded(table) not in late:
        _require_empty(connection, table)
        before = _count(connection, "main", day[folded(table)]) if folded(table) in day else 0
        return Brought(before=before, after=before)
    name = late[folded(table)]
    if folded(table) not in day:
        if _count(connection, "late", name):
            raise _conflict(f"the day has no table {table}, the late file has")
        return Brought()
    return _bring(connection, name, tick_columns(connection, name))


def bring_others(connection: apsw.Connection, ticks: str) -> bool:
    """Add the rows of all other tables where they fit; whether the day has all of them then.

    Here ids are values, since other rows may refer to them: one that is taken is left out.
    """
    day, complete = tables_of(connection, "main"), True
    for key, name in _others(connection, ticks).items():
        columns = columns_of(connection, "late", name)
        if key not in day or set(columns) != set(columns_of(connection, "main", name)):
            complete = False
            continue
        written = [each.name for each in columns.values() if not each.is_computed]
        _bring(connection, name, written)
        deciding = [each.name for each in columns.values() if not each.is_stamp]
        complete = complete and not lacking(connection, name, deciding)
    return complete and not _has_strange_tables(connection)


def lacking(connection: apsw.Connection, name: str, columns: list[str]) -> int:
    """How many late rows have no equal in the day."""
    with _findable(connection, name, columns) as there:
        return _number(connection, f"SELECT count(*) {_absent(name, columns, there)}")


def tick_columns(connection: apsw.Connection, name: str) -> list[str]:
    """What two ticks are compared by: every column that both tables have, but for ids.

    StepError CONFLICT if the late ticks have values for which the day's table has no place.
    """
    day, late = columns_of(connection, "main", name), columns_of(connection, "late", name)
    ids = {key for columns in (day, late) for key, each in columns.items() if each.is_id}
    written = {key: each.name for key, each in late.items() if key not in ids and not each.is_computed}
    common = [each for key, each in written.items() if key in day and not day[key].is_computed]
    for column in written.values():
        if column not in common and _has_values(connection, name, column):
            raise _conflict(f"late ticks have a {column}, for which the day's table {name} has no place")
    if not common and _count(connection, "late", name):
        raise _conflict(f"the late table {name} has no column of the day's")
    return common


def telling_columns(connection: apsw.Connection, name: str) -> list[str]:
    """What tells whether a tick is there: `tick_columns` but for the time of writing.

    Of a tick that is sent again only that differs. Where the table takes it as another tick it is
    one; where a key refuses it, it is the one that is there.
    """
    columns = tick_columns(connection, name)
    late = columns_of(connection, "late", name)
    return [column for column in columns if not late[folded(column)].is_stamp] or columns


def tables_of(connection: apsw.Connection, schema: str, kind: str = "table") -> dict[str, str]:
    """The ordinary tables of a schema: their names, by what SQLite takes for the same name."""
    rows = connection.execute(f"PRAGMA {schema}.table_list")
    return {
        folded(name): name
        for owner, name, type_, *_ in rows
        if owner == schema and type_ == kind and not folded(name).startswith("sqlite_")
    }


def columns_of(connection: apsw.Connection, schema: str, name: str) -> dict[str, Column]:
    """The columns of a table, by what SQLite takes for the same name."""
    rows = list(connection.execute(f"PRAGMA {schema}.table_xinfo({quoted(name)})"))
    keys = [row[1] for row in rows if row[5]]
    indexed = {row[3] for row in connection.execute(f"PRAGMA {schema}.index_list({quoted(name)})")}
    # A key of one INTEGER column without an index of its own is the row number.
    alias = keys[0] if len(keys) == 1 and "pk" not in indexed else None
    return {
        folded(column): Column(
            column,
            default or "",
            is_id=column == alias and declared.upper() == "INTEGER",
            is_computed=hidden != 0,
        )
        for _, column, declared, _, default, _, hidden in rows
    }


def folded(name: str) -> str:
    """SQLite takes names for the same that differ in the case of ASCII letters only."""
    return name.encode("utf-8", "surrogateescape").lower().decode("utf-8", "surrogateescape")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _bring(connection: apsw.Connection, name: str, columns: list[str]) -> Brought:
    table, listed = quoted(name), _listed(columns)
    before, late = _count(connection, "main", name), _count(connection, "late", name)
    if not late:
        return Brought(before=before, after=before)
    with _findable(connection, name, columns) as there:
        rows = f"{_absent(name, columns, there)} {_arrival(connection, name)}"
        _run(connection, f"CREATE TEMP TABLE fresh AS SELECT {listed} {rows}")
    fresh = _count(connection, "temp", "fresh")
    values = f"SELECT {listed} FROM temp.fresh ORDER BY rowid"  # noqa: S608
    try:
        _run(connection, f"INSERT OR IGNORE INTO main.{table} ({listed}) {values}")
    except (apsw.ConstraintError, apsw.MismatchError) as error:
        raise _conflict(f"late rows do not fit into the day's table {name}: {error}") from error
    added = connection.changes()
    _run(connection, "DROP TABLE temp.fresh")
    return Brought(before, late, fresh, added, _count(connection, "main", name))


@contextmanager
def _findable(connection: apsw.Connection, name: str, columns: list[str]) -> Iterator[str]:
    """Where the day's rows can be found by these columns without reading all of them for each one.

    The table itself where an index leads to one row; else a copy of it with an index on everything.
    """
    if _has_key(connection, name, {folded(column) for column in columns}):
        yield f"main.{quoted(name)}"
        return
    listed = _listed(columns)
    _run(connection, f"CREATE TEMP TABLE there AS SELECT {listed} FROM main.{quoted(name)}")  # noqa: S608
    _run(connection, f"CREATE INDEX temp.there_by_value ON there ({listed})")
    yield "temp.there"
    _run(connection, "DROP TABLE temp.there")


def _has_key(connection: apsw.Connection, name: str, columns: set[str]) -> bool:
    if any(each.is_id and key in columns for key, each in columns_of(connection, "main", name).items()):
        return True
    for _, index, unique, _, partial in list(connection.execute(f"PRAGMA main.index_list({quoted(name)})")):
        parts = [row[2:6] for row in connection.execute(f"PRAGMA main.index_xinfo({quoted(index)})")]
        key = [(column, collation) for column, _, collation, is_key in parts if is_key]
        usable = all(column and folded(column) in columns and how == "BINARY" for column, how in key)
        if unique and not partial and usable:
            return True
    return False


def _absent(name: str, columns: list[str], there: str) -> str:
    """FROM and WHERE of the late rows that are not ``there``.

    Each column is compared twice: by its own collation, which an index can answer, and byte for
    byte, which is what counts.
    """
    same = (f"d.{each} IS l.{each} AND d.{each} IS l.{each} COLLATE BINARY" for each in map(quoted, columns))
    found = f"SELECT 1 FROM {there} AS d WHERE {' AND '.join(same)}"  # noqa: S608
    return f"FROM late.{quoted(name)} AS l WHERE NOT EXISTS ({found})"


def _arrival(connection: apsw.Connection, name: str) -> str:
    """The ORDER BY of the order in which the rows were written, where the table keeps it."""
    taken = columns_of(connection, "late", name)
    rows = connection.execute("PRAGMA late.table_list")
    if any(row[0] == "late" and row[1] == name and row[4] for row in rows):
        return ""  # WITHOUT ROWID
    free = next((each for each in _ROWID_NAMES if each not in taken), None)
    return f"ORDER BY l.{free}" if free else ""


def _others(connection: apsw.Connection, ticks: str) -> dict[str, str]:
    """The late tables that have rows, but for the ticks'."""
    late = tables_of(connection, "late")
    return {key: name for key, name in late.items() if key != folded(ticks) and _has_rows(connection, name)}


def _has_strange_tables(connection: apsw.Connection) -> bool:
    """Whether there are late tables that only a module of its own can read."""
    return bool(tables_of(connection, "late", "virtual"))


def _require_empty(connection: apsw.Connection, table: str) -> None:
    others = _others(connection, table)
    if others or _has_strange_tables(connection):
        names = ", ".join(others.values()) or "virtual tables"
        raise _conflict(f"the late file has no table {table}, but rows in others: {names}")


def _has_rows(connection: apsw.Connection, name: str) -> bool:
    return bool(_number(connection, f"SELECT EXISTS (SELECT 1 FROM late.{quoted(name)})"))  # noqa: S608


def _has_values(connection: apsw.Connection, name: str, column: str) -> bool:
    sql = f"SELECT EXISTS (SELECT 1 FROM late.{quoted(name)} WHERE {quoted(column)} IS NOT NULL)"  # noqa: S608
    return bool(_number(connection, sql))


def _count(connection: apsw.Connection, schema: str, name: str) -> int:
    return _number(connection, f"SELECT count(*) FROM {schema}.{quoted(name)}")  # noqa: S608


def _number(connection: apsw.Connection, sql: str) -> int:
    value = connection.execute(sql).get
    assert isinstance(value, int)
    return value


def _listed(columns: list[str]) -> str:
    return ", ".join(map(quoted, columns))


def _run(connection: apsw.Connection, sql: str, *values: str) -> None:
    for _ in connection.execute(sql, values):
        pass


def _conflict(message: str) -> StepError:
    return StepError(
        message,
        hint="nothing was changed; bring its ticks into the day's form by hand, or move the late file away",
        trouble=Trouble.CONFLICT,
        retryable=False,
    )
