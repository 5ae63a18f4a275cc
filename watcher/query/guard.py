"""What a statement may do to a day: read it. And what a statement must be to be asked of many days.

The connections are for reading only already; this is what keeps a statement from reaching any other
file through them (ATTACH, VACUUM INTO), and what says so in words that help.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import apsw

_READING = frozenset(
    {
        apsw.SQLITE_SELECT,
        apsw.SQLITE_READ,
        apsw.SQLITE_FUNCTION,
        apsw.SQLITE_RECURSIVE,
        apsw.SQLITE_TRANSACTION,
        apsw.SQLITE_SAVEPOINT,
    }
)
_ASKING = frozenset(
    {
        *("application_id", "auto_vacuum", "collation_list", "compile_options", "database_list"),
        *(
            "encoding",
            "foreign_keys",
            "freelist_count",
            "function_list",
            "journal_mode",
            "legacy_file_format",
        ),
        *("max_page_count", "module_list", "page_count", "page_size", "pragma_list", "schema_version"),
        *("table_list", "user_version"),
    }
)
"""Pragmas that only tell, as long as they are given no value."""
_ASKING_ABOUT = frozenset(
    {
        *("foreign_key_check", "foreign_key_list", "index_info", "index_list", "index_xinfo"),
        *("integrity_check", "quick_check", "table_info", "table_list", "table_xinfo"),
    }
)
"""Pragmas whose value is the name of what they tell about."""
_NUMBER_OF_ATTACHED = 0


class StatementError(Exception):
    """The statement cannot be asked of a day; the message is for the person who wrote it."""


class Statement(NamedTuple):
    """One statement that has been prepared, and so is known to be right."""

    text: str
    columns: tuple[str, ...]


def guard(connection: apsw.Connection) -> None:
    """From now on this connection refuses whatever is not reading its own database, with `apsw.AuthError`."""
    connection.authorizer = _allow
    connection.limit(apsw.SQLITE_LIMIT_ATTACHED, _NUMBER_OF_ATTACHED)
    for flag, value in (
        (apsw.SQLITE_DBCONFIG_DEFENSIVE, 1),
        (apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
        # A misspelt "name" is an error then, and no text that equals nothing.
        (apsw.SQLITE_DBCONFIG_DQS_DML, 0),
    ):
        connection.config(flag, value)


@contextmanager
def unguarded(connection: apsw.Connection) -> Iterator[None]:
    """Let our own statements through for a moment."""
    connection.authorizer = None
    try:
        yield
    finally:
        connection.authorizer = _allow


def prepared(connection: apsw.Connection, sql: str) -> Statement:
    """The one statement that ``sql`` is, not run yet. Raises `StatementError`.

    What follows it may be comments and semicolons, and nothing else.
    """
    first = _look_at(connection, sql)
    if first is None:
        raise StatementError("there is no statement in it")
    if not first.columns:
        raise StatementError("it gives no rows: only what reads can be asked, such as SELECT")
    if _has_more(connection, sql[len(first.text) :]):
        raise StatementError("more than one statement: ask one at a time")
    return first


def sentence(error: Exception) -> str:
    """What SQLite says of a statement, and what to do where that does not tell."""
    if isinstance(error, apsw.AuthError):
        return "only reading is allowed: no writing, no ATTACH, no PRAGMA that sets anything"
    if isinstance(error, apsw.BindingsError):
        return "it has parameters (?, :name), and there are no values for them: write the values into it"
    if isinstance(error, UnicodeDecodeError):
        return "a text in it is not UTF-8: ask for it with hex(...), or CAST(... AS BLOB)"
    return str(error)


def _allow(action: int, what: str | None, value: str | None, _database: str | None, _by: str | None) -> int:
    if action in _READING:
        return apsw.SQLITE_OK
    if action == apsw.SQLITE_PRAGMA and what is not None:
        name = what.lower()
        if name in _ASKING_ABOUT or (value is None and name in _ASKING):
            return apsw.SQLITE_OK
    return apsw.SQLITE_DENY


def _look_at(connection: apsw.Connection, sql: str) -> Statement | None:
    """The first statement of a text, prepared but not run; None if it has none."""
    found: list[Statement] = []
    cursor = connection.cursor()

    def look(looking: apsw.Cursor, text: str, _: object) -> bool:
        if looking.has_vdbe:
            found.append(Statement(text, tuple(each[0] for each in looking.get_description())))
        return False  # which keeps it from being run

    cursor.exec_trace = look
    try:
        # Not from the cache: what it means may have changed since it was prepared.
        cursor.execute(sql, can_cache=False)
    except apsw.ExecTraceAbort:
        pass
    except apsw.Error as error:
        if isinstance(error, apsw.SQLError | apsw.AuthError | apsw.BindingsError | apsw.TooBigError):
            raise StatementError(sentence(error)) from error
        raise
    return found[0] if found else None


def _has_more(connection: apsw.Connection, rest: str) -> bool:
    try:
        return bool(rest.strip()) and _look_at(connection, rest) is not None
    except StatementError:
        return True
