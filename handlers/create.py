"""Create: an empty database with its schema, before the writer needs it.

It is built under a temporary name and published by a hard link, which fails if the writer was
first. Then there is nothing to do: what the writer made is the writer's.
"""

from __future__ import annotations

from pathlib import Path

import apsw

from handlers import database
from handlers.contract import Created, Job, StepError, Trouble
from handlers.files import (
    CHUNK_BYTES,
    SIDECARS,
    make_directories,
    publish_new,
    require_space,
    share_owner,
    signature_of,
    temporary,
)
from handlers.holders import held_for_writing
from handlers.seal import busy

BUILT_IN_SCHEMA = Path(__file__).parent / "schema" / "ticks.sql"


def create(job: Job) -> Created | None:
    """Create the day's database; None if there is one already."""
    path = Path(job.paths.database)
    if signature_of(path) is not None:
        return None
    schema = _schema(job)
    make_directories(path.parent)
    require_space(path.parent, CHUNK_BYTES, with_reserve=False)  # that is for whoever writes to this
    with temporary(path) as temp:
        _build(temp, schema, job.options.schema)
        _require_no_remains(path)
        signature = signature_of(temp)
        try:
            publish_new(temp, path)
        except FileExistsError:
            return None  # the writer was first
    assert signature is not None
    return Created(str(path), signature)


def _schema(job: Job) -> str:
    path = Path(job.options.schema) if job.options.schema else BUILT_IN_SCHEMA
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StepError(
            f"cannot read the schema {path}: {error}",
            hint="set `schema` of its stream to a readable SQL file, or leave it empty",
        ) from error


def _build(temp: Path, schema: str, name: str) -> None:
    try:
        database.create(temp, schema)
    except apsw.SQLError as error:
        raise StepError(
            f"the schema {name or BUILT_IN_SCHEMA} is not valid SQL: {error}",
            hint="correct the statement; until then the tick writer creates its own database",
            retryable=False,
        ) from error
    share_owner(temp)


def _require_no_remains(path: Path) -> None:
    """A -wal or -journal left from another database of this name would be replayed into the new one.

    An empty one is harmless, and so is a -shm, which SQLite clears before it uses it: but not while
    a process whose database was removed still has them open. It would share them with the new one.
    """
    for suffix in SIDECARS:
        remains = database.sidecar(path, suffix)
        if signature_of(remains) is None:
            continue
        in_use = held_for_writing(remains)
        if signature_of(path) is not None:
            return  # the writer was first: they are its own
        if suffix != "-shm" and database.has_content(path, suffix):
            raise StepError(
                f"{remains} is there, but its database is not",
                hint="it may hold the only copy of some ticks: find the database it belongs to,"
                " or move it away",
                trouble=Trouble.CONFLICT,
                retryable=False,
            )
        if in_use:
            raise busy(path, f"is not there, but {remains.name} is in use")
