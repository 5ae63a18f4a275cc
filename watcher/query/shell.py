"""An SQL shell on one day, apsw's, less whatever could write a file or open another one."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import apsw
import apsw.shell
from msgspec import Struct

from handlers.vfs import require_unchanged, settle
from watcher.query.answer import closed
from watcher.wording import size

# What stays is named, not what goes: the shell of a later apsw may have new commands.
_COMMANDS = frozenset(
    {
        *("bail", "changes", "color", "colour", "databases", "dbinfo", "dump", "echo", "encoding"),
        *("exceptions", "exit", "find", "header", "headers", "help", "indices", "mode", "nullvalue"),
        *("pages", "parameter", "print", "prompt", "quit", "schema", "separator", "show", "tables"),
        *("timeout", "timer", "version", "width"),
    }
)


class Opened(Struct, frozen=True):
    """A day that is open for reading, and what to call it."""

    name: str
    tier: str
    note: str
    """What should be known of it; may be empty."""
    table: str
    """Where its ticks are."""
    path: Path
    live: bool
    """Whether it may be written to at this moment."""
    connection: apsw.Connection


def run(day: Opened, commands: list[str]) -> bool:
    """Read statements from standard input, or carry out those given; False if one of them failed.

    The connection is closed at the end.
    """
    shell = _Shell(day)
    try:
        for each in commands:
            shell.process_complete_line(each)  # type: ignore[no-untyped-call]
        if not commands:
            shell.cmdloop(banner(day))  # type: ignore[no-untyped-call]
    except SystemExit as end:  # .exit
        return not end.code
    except BrokenPipeError:
        raise
    except Exception as error:
        shell.say(error)
        return False
    finally:
        closed(day.connection)
    return True


def banner(day: Opened) -> str:
    """What a person should know before typing."""
    compressed = day.path.suffix == ".zst"
    how = "compressed, and read in place" if compressed else "read in place"
    lines = [f"{day.name}: {day.path}, {size(day.path.stat().st_size)}, {how}. Nothing can be written."]
    if day.note:
        lines.append(f"Note: {day.note}.")
    if day.live:
        lines.append("Leave when you are done: while this is open the day cannot be sealed.")
    columns = [
        name for (name,) in day.connection.execute("SELECT name FROM pragma_table_info(?)", (day.table,))
    ]
    if columns:
        lines.append(f"{day.table} ({', '.join(columns)})")
    else:
        lines.append(f"There is no table {day.table}.")
    if compressed and columns:
        lines.append(f"What reads all ticks is faster FROM {day.table} NOT INDEXED.")
    return "\n".join([*lines, ".tables, .schema and .help tell more.", ""])


class _Shell(apsw.shell.Shell):
    def __init__(self, day: Opened) -> None:
        super().__init__(db=day.connection)
        self.history_file = "~/.tickward_history"
        self.prompt = f"{day.name} {day.tier}> "
        self.moreprompt = f"{'..>':>{len(self.prompt) - 1}} "
        self.header = True
        self.bail = not self.interactive

    def process_sql(
        self, sql: str, bindings: Any = None, internal: bool = False, summary: Any = None
    ) -> None:
        try:
            super().process_sql(sql, bindings, internal, summary)
        except apsw.Error:
            require_unchanged(self.db)  # what looks like damage may be what somebody is just writing
            raise
        settle(self.db)

    def process_command(self, command: str) -> None:
        name = shlex.split(command)[0]
        if name[1:].replace("-", "_") not in _COMMANDS:
            raise self.Error(f"{name} is not to be had here: this shell reads one day, and writes nothing")
        super().process_command(command)  # type: ignore[no-untyped-call]

    def handle_exception(self) -> None:
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            raise  # noqa: PLE0704 (it is called where an exception is being handled)
        super().handle_exception()  # type: ignore[no-untyped-call]

    def say(self, error: Exception) -> None:
        """What is wrong, on stderr, unless it has been said."""
        if not getattr(error, "_handle_exception_saw_this", False):
            self.write_error(f"{error}\n")  # type: ignore[no-untyped-call]

    def __dir__(self) -> Iterable[str]:
        """The commands that help and completion offer."""
        command = "command_"
        return [
            name
            for name in super().__dir__()
            if not name.startswith(command) or name.removeprefix(command) in _COMMANDS
        ]
