"""Where the rows of an answer go: to standard output, or into a file that is whole or not there."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from handlers.contract import StepError
from handlers.files import publish_new, publish_over, temporary
from watcher.errors import ConfigError, TickwardError
from watcher.paths import resolved
from watcher.query.forms import Form, as_csv, as_json
from watcher.query.spool import Row
from watcher.settings import TOPS, Settings

STREAMED: dict[str, Form] = {"csv": as_csv, "json": as_json}
"""The formats that are written as rows come."""


class Target(NamedTuple):
    """The file that the rows go into."""

    path: Path
    replace: bool


def target(out: Path, replace: bool, settings: Settings) -> Target:
    """Raises `ConfigError` unless that file may be written."""
    path = out.resolve()
    data = resolved(settings).data
    for key in TOPS:
        if path.is_relative_to(getattr(data, key)):
            raise ConfigError(
                f"--out: {out} is within data.{key}, which is the daemon's own: name another place"
            )
    if path.exists() and not path.is_file():
        raise ConfigError(f"--out: {out} is no regular file: name another, or redirect with >")
    if path.exists() and not replace:
        raise ConfigError(f"--out: {out} is there already: name another, or replace it with --force")
    if not path.parent.is_dir():
        raise ConfigError(f"--out: there is no directory {path.parent}: make it, or name another place")
    return Target(path, replace)


@contextmanager
def opened(to: Target | None) -> Iterator[BinaryIO]:
    """What to write to; None is standard output. A file has its name only if all went well."""
    if to is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with temporary(to.path) as temp:
        with temp.open("xb") as file:
            yield file
        try:
            (publish_over if to.replace else publish_new)(temp, to.path)
        except FileExistsError:
            raise TickwardError(f"--out: {to.path} has appeared meanwhile: replace it with --force") from None
        except StepError as error:
            raise TickwardError(f"--out: {error}; {error.hint}") from None


def stream(form: str, columns: tuple[str, ...], rows: Iterable[Row], file: BinaryIO) -> None:
    """Write all rows in one of the formats `STREAMED`."""
    for piece in STREAMED[form](columns, rows):
        file.write(piece)


def require_names(columns: tuple[str, ...]) -> None:
    """Raises `ConfigError` if two columns have one name: an object has room for one of them only."""
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise ConfigError(
            f"two columns are called {twice[0]!r}: give one of them another name with AS (`day` is the first)"
        )
