"""Files that were put aside: no copies of a day, removed by nobody but a person, and easily forgotten."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from watcher.doctor.finding import Findings, note, ok
from watcher.doctor.premises import Premises
from watcher.tree import walk
from watcher.wording import count_of, size

_PLACES = ("root", "backup", "archive")
_ASIDE = re.compile(r"\.(aside-[0-9a-z-]+|quarantined(-\d+)?)$")
_FIND = r"-name '*.aside-*' -o -name '*.quarantined*'"


class Leftover(NamedTuple):
    """A file that was put aside."""

    path: str
    size_bytes: int


def aside(premises: Premises) -> Findings:
    tops = [top for name, top in premises.places().items() if name in _PLACES and top.is_dir()]
    found = []
    for path in (path for top in tops for path in walk(top) if _ASIDE.search(path)):
        with suppress(OSError):
            found.append(Leftover(path, Path(path).lstat().st_size))
    return of_leftovers(sorted(found), tops)


def of_leftovers(found: Sequence[Leftover], tops: Sequence[Path]) -> Findings:
    if not found:
        yield ok("nothing is kept aside")
        return
    files, most = count_of(len(found), "file"), size(sum(each.size_bytes for each in found))
    listing = f"find {' '.join(shlex.quote(str(top)) for top in tops)} {_FIND}"
    yield note(
        f"{files} ({most}) put aside, {found[0].path} for one: what bore a day's name and was no copy of it, "
        "or had gone bad, stays until you remove it, also when the day is deleted",
        f"`{listing}` lists them, `tickward analyze FILE` says what is in one; then remove it",
    )
