"""What can be done to one day's database: one literal table, and the boundary around it.

`run` is what a worker process executes. Whatever happens in a step comes out of it as a value that
says what went wrong, what to do next, and whether trying again helps.
"""

from __future__ import annotations

import errno
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar, cast

import apsw
from msgspec import Struct, structs

from handlers import adopt, archive, backup, compact, compress, create, expire, merge, restore, verify
from handlers.contract import Done, Failure, Job, Outcome, Result, Step, StepError, Trouble
from handlers.files import filesystem_of
from handlers.holders import holders_of

T = TypeVar("T")

HANDLERS: dict[Step, Callable[[Job], Result | None]] = {
    Step.CREATE: create.create,
    Step.SEAL: compact.seal_compactly,
    Step.BACKUP: backup.backup,
    Step.COMPRESS: compress.compress,
    Step.ARCHIVE: archive.archive,
    Step.EXPIRE: expire.expire,
    Step.RESTORE: restore.restore,
    Step.MERGE: merge.merge,
    Step.VERIFY: verify.verify,
    Step.DRILL: restore.drill,
    Step.ADOPT: adopt.adopt,
}

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_PERMISSION = {errno.EACCES, errno.EPERM, errno.EROFS}
_BUSY = (apsw.BusyError, apsw.LockedError)
_NO_RIGHT = (apsw.ReadOnlyError, apsw.PermissionsError, apsw.CantOpenError)


def run(job: Job) -> Outcome:
    """Do one job. Never raises."""
    began = time.monotonic()
    try:
        result = HANDLERS[job.step](job)
    except BaseException as error:
        failure = structs.replace(_failure(job, error), seconds=time.monotonic() - began)
        return structs.replace(_readable(failure), job=job)
    return Done(job, _readable(result), time.monotonic() - began)


def _readable(value: T) -> T:
    """The same in text that can be written down: file names may be any bytes, JSON may not."""
    same: object = value
    if type(value) is str:  # not of a kind that is one of a few words
        same = str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    elif isinstance(value, tuple):
        same = tuple(map(_readable, value))
    elif isinstance(value, Struct):
        same = structs.replace(value, **{name: _readable(each) for name, each in _fields(value)})
    return cast(T, same)


def _fields(value: Struct) -> Iterator[tuple[str, object]]:
    return ((name, getattr(value, name)) for name in value.__struct_fields__)


def _failure(job: Job, error: BaseException) -> Failure:
    if isinstance(error, StepError):
        return _of_step(job, error)
    if isinstance(error, OSError):
        return _of_system(job, error)
    if isinstance(error, apsw.Error):
        return _of_sqlite(job, error)
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return _retry(job, f"{job.step} was interrupted", "it is done again at the next start")
    return _defect(job, error)


def _of_step(job: Job, error: StepError) -> Failure:
    return Failure(
        job,
        trouble=error.trouble,
        message=error.message,
        hint=error.hint,
        retryable=error.retryable,
        holders=error.holders,
        problems=error.problems,
    )


def _of_system(job: Job, error: OSError) -> Failure:
    where = Path(str(error.filename or job.paths.database))
    if error.errno in _NO_SPACE:
        hint = _free_space(job)
    elif error.errno in _NO_PERMISSION:
        hint = f"let this user write to {where.parent}: check its owner, its mode and its mount"
    elif error.errno == errno.EIO:
        hint = f"the disk under {filesystem_of(where)} may be failing: check the kernel log"
    elif error.errno == errno.ENOENT:
        hint = "it was there a moment ago: find out what removes files from the data directory"
    else:
        hint = "it is tried again; if it stays so, look at the directory and its mount"
    return _retry(job, f"cannot {job.step} {job.key}: {error}", hint)


def _of_sqlite(job: Job, error: apsw.Error) -> Failure:
    path = Path(job.paths.database)
    message = f"cannot {job.step} {path}: {error}"
    if isinstance(error, _BUSY):
        failure = _retry(job, message, "it is tried again when whoever holds it has left")
        return structs.replace(failure, trouble=Trouble.BUSY, holders=holders_of([path]))
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        failure = _retry(job, message, "copy it with its -wal, and compare it with its backup")
        return structs.replace(failure, trouble=Trouble.CORRUPT, retryable=False)
    if isinstance(error, apsw.FullError):
        return _retry(job, message, _free_space(job))
    if isinstance(error, _NO_RIGHT):
        return _retry(job, message, f"let this user write to {path.parent} and to the database")
    if isinstance(error, apsw.IOError):
        return _retry(job, message, f"check the disk under {filesystem_of(path)}, and its space")
    return _defect(job, error)


def _retry(job: Job, message: str, hint: str) -> Failure:
    return Failure(job, trouble=Trouble.FAILED, message=message, hint=hint, retryable=True)


def _free_space(job: Job) -> str:
    paths = (job.paths.database, job.paths.backup, job.paths.archived, job.restoring.target)
    places = {str(filesystem_of(Path(path))) for path in paths if path}
    return f"free space on {' or '.join(sorted(places))} (or raise the quota or file size limit)"


def _defect(job: Job, error: BaseException) -> Failure:
    failure = _retry(
        job,
        f"cannot {job.step} {job.key}: {type(error).__name__}: {error}",
        "nobody foresaw this: report it with the traceback",
    )
    return structs.replace(failure, traceback="".join(traceback.format_exception(error)))
