"""What is commonly wrong with what a person has set: the file, the environment, and what they name."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable, Mapping
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import apsw

from watcher import private
from watcher.config import PREFIX, TOLD_TO_HOOKS, dry_run_wanted, script_variables
from watcher.doctor.finding import Finding, Findings, note, ok, or_ok, problem, warning
from watcher.doctor.places import user
from watcher.doctor.premises import Premises
from watcher.errors import ConfigError
from watcher.hooks.bound import BoundHook, bound
from watcher.settings import Settings, Stream

_BUILT_IN_SCHEMA = Path(str(files("handlers") / "schema" / "ticks.sql"))
_LARGEST_SCHEMA_BYTES = 1 << 20
_SCHEMA_STEPS = 10_000_000
"""Of SQLite's machine: some seconds. A schema takes hundreds."""
_ASSIGNED = re.compile(r"\w+=")
_UNTOLD = re.compile(r"[$`*?~(){}<>|&;!]")
"""In a word of a command: only a shell knows what that comes to."""
_OF_THE_SHELL = frozenset(
    {
        *(".", ":", "[", "alias", "bg", "break", "case", "cd", "command", "continue", "do", "echo", "eval"),
        *("exec", "exit", "export", "false", "fg", "for", "getopts", "hash", "if", "jobs", "kill", "let"),
        *("local", "nohup", "printf", "pwd", "read", "return", "set", "shift", "test", "then", "time"),
        *("times", "trap", "true", "type", "ulimit", "umask", "unalias", "unset", "until", "wait", "while"),
    }
)
_PACKAGES = {
    "web": ("starlette", "uvicorn"),
    "metrics": ("prometheus_client",),
}
"""By the section of which ``listen`` enables them, which is also the name of the extra."""


def configuration(premises: Premises) -> Findings:
    file = premises.config_file
    if premises.settings is None:
        return [problem(premises.settings_trouble, premises.settings_remedy)]
    if file is None:
        remedy = "`tickward config init` writes one; where there is one, name it: `tickward -c FILE doctor`"
        return [note(f"there is no config.toml in {Path.cwd()}: the defaults hold", remedy)]
    return of_file(file.absolute(), file.stat(), premises.settings, private.ours())


def of_file(file: Path, status: os.stat_result, settings: Settings, owners: frozenset[int]) -> Findings:
    """``owners``: who may write it."""
    if (trouble := private.problem_with(file, status, private.WRITING, owners)) is not None:
        sentence, _, remedy = trouble.partition(": ")
        yield warning(f"{sentence}: whoever does decides what is run and deleted", remedy)
    elif status.st_mode & 0o004 and any(hook.is_webhook for hook in bound(settings)):
        remedy = f"`chmod o-r {shlex.quote(str(file))}`"
        yield note(
            f"{file} can be read by everybody, and the URLs of webhooks in it may hold secrets", remedy
        )
    else:
        yield ok(f"{file} can be meant")


def environment(premises: Premises) -> Findings:
    return or_ok(of_environment(premises.environment), "nothing in the environment changes the settings")


def of_environment(given: Mapping[str, str]) -> Findings:
    try:
        if dry_run_wanted(given):
            yield warning(
                f"DRY_RUN={given['DRY_RUN']} is set: whatever is called from here changes no day",
                "`unset DRY_RUN` once that is not wanted any more",
            )
    except ConfigError as error:
        sentence, _, remedy = str(error).partition("; ")
        yield problem(sentence, remedy)
    names = [name for name in sorted(given) if name.startswith(PREFIX) and name not in TOLD_TO_HOOKS]
    told = [line.partition(" is honoured")[0] for line in script_variables({**given, "DRY_RUN": ""})]
    if names or told:
        yield note(
            f"set here, and stronger than the configuration file: {', '.join([*names, *told])}",
            "a service does not see them: put into the file what is to last, and `unset` the rest",
        )


def packages(premises: Premises) -> Findings:
    return of_packages(premises.known, lambda name: find_spec(name) is not None)


def of_packages(settings: Settings, is_there: Callable[[str], bool]) -> Findings:
    found: list[Finding] = []
    for section, names in _PACKAGES.items():
        missing = [name for name in names if not is_there(name)]
        if getattr(settings, section).listen and missing:
            what = " and ".join(missing)
            sentence = (
                f"{section}.listen is set, and {what} {'is' if len(missing) == 1 else 'are'} not installed"
            )
            remedy = f"`python -m pip install 'tickward[{section}]'`, or set {section}.listen = \"\""
            found.append(problem(f"{sentence}: the daemon does not start", remedy))
    return or_ok(found, "all that the configuration asks for is installed")


def schema(premises: Premises) -> Findings:
    settings = premises.known
    if not settings.create.enabled:
        return [ok("create.enabled = false: no schema is used")]
    found = [each for name, stream in settings.data.streams.items() for each in of_schema(name, stream)]
    return or_ok(found, "every schema makes a table of the ticks")


def of_schema(name: str, stream: Stream) -> Findings:
    """What is wrong with the schema of one stream."""
    file = Path(stream.schema) if stream.schema else _BUILT_IN_SCHEMA
    key = f"data.streams.{name}"
    try:
        with file.open("rb") as opened:
            raw = opened.read(_LARGEST_SCHEMA_BYTES + 1)
        if len(raw) > _LARGEST_SCHEMA_BYTES:
            raise ValueError("it has more than 1 MiB")
        columns = made_by(raw.decode(), stream.table)
    except OSError as error:
        sentence = f"{key}.schema: {file} cannot be read ({error.strerror})"
        yield problem(sentence, "name a file that can be, or leave it empty for the built-in schema")
        return
    except (ValueError, apsw.Error) as error:
        sentence = f"{key}.schema: {file} is no schema: {error}"
        yield problem(sentence, "correct it: until then the tick writer has to make its own databases")
        return
    if columns is None:
        # Mostly the writer makes the table itself: then it is the files made ahead that lack it.
        wrong = f"{file} makes no" if stream.schema else "none is given, and the built-in one makes no"
        other = f"; or, if that schema is the right one, name its table in {key}.table"
        yield warning(
            f"{key}.schema: {wrong} table {stream.table!r}: the files that are made for today and tomorrow "
            "get a table of another name, and their ticks are not counted",
            f"name a file in {key}.schema that makes the table, or set create.enabled = false if the writer "
            f"makes its own files{other if stream.schema else ''}",
        )
    elif missing := [column for column in ("symbol", "timestamp") if column not in columns]:
        yield note(
            f"the table {stream.table!r} of {file} has no column {' and no column '.join(missing)}: "
            "what is said of symbols and times of a day lacks that"
        )


def made_by(sql: str, table: str) -> frozenset[str] | None:
    """The columns of a table that a schema makes; None: it makes no such table.

    It is tried in memory, can reach no file and may not take for ever. Raises `apsw.Error`.
    """
    connection = apsw.Connection(":memory:")
    try:
        connection.authorizer = lambda action, *_: apsw.SQLITE_DENY if action in _REACHING else apsw.SQLITE_OK
        connection.set_progress_handler(lambda: True, _SCHEMA_STEPS)
        for _ in connection.execute(sql):
            pass
        columns = frozenset(
            name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
        )
    except apsw.InterruptError:
        raise ValueError("it does not come to an end") from None
    finally:
        connection.close()
    return columns or None


_REACHING = frozenset({apsw.SQLITE_ATTACH, apsw.SQLITE_DETACH})


def hooks(premises: Premises) -> Findings:
    settings = premises.known
    each = bound(settings)
    if not each:
        return [ok("there are no hooks")]
    found = [finding for hook in each for finding in of_hook(hook, Path(settings.data.state), _executable)]
    return or_ok(found, f"what the {len(each)} hooks run is there")


def of_hook(hook: BoundHook, directory: Path, is_there: Callable[[str], bool]) -> Findings:
    """``directory``: where it runs; ``is_there``: whether a path, or a name on ``PATH``, can be run."""
    command = None if hook.is_webhook else command_of(hook.hook.run)
    if command is None:
        return
    where = str(directory / command) if "/" in command else command
    if not is_there(where):
        yield warning(
            f"the hook of {hook.event!r} runs {command}, which is not there, or cannot be run",
            "install it, make it executable, or name it from / in [hooks]; "
            f"`tickward hooks test {hook.event}` tries it",
        )


def command_of(line: str) -> str | None:
    """What a line for the shell runs first; None: only a shell can tell, or it is a word of its own."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return None
    word = next((word for word in words if not _ASSIGNED.match(word)), None)
    return None if word is None or word in _OF_THE_SHELL or _UNTOLD.search(word) else word


def _executable(name: str) -> bool:
    return shutil.which(name) is not None


class LogPlace(NamedTuple):
    """Where the log is written."""

    file: Path
    above: Path
    """The nearest directory, or what else is there in its stead."""
    is_directory: bool
    writable: bool
    """That directory, and the file, if it is there."""


def log(premises: Premises) -> Findings:
    file = premises.known.log.file
    return of_log(None if not file else _log_place(Path(file)))


def of_log(place: LogPlace | None) -> Findings:
    if place is None:
        yield note("log.file is empty: there is no log but what goes to the standard error output")
    elif not place.is_directory:
        yield problem(f"log.file: {place.above} is no directory", "move it away, or name another log.file")
    elif not place.writable:
        yield problem(
            f"log.file: no permission to write {place.file}: the daemon does not start",
            f"as root `chown {user(os.geteuid())} {shlex.quote(str(place.above))}`, or name another log.file",
        )
    else:
        yield ok(f"the log {place.file} can be written")


def _log_place(file: Path) -> LogPlace:
    above = next(each for each in file.parents if os.path.lexists(each))
    writable = os.access(above, os.W_OK | os.X_OK) and (not file.exists() or os.access(file, os.W_OK))
    return LogPlace(file, above, above.is_dir(), writable)
