"""What a file's name says: of which day it seems to be, and whether it can be taken as it is. Pure."""

from __future__ import annotations

import re
from datetime import date
from pathlib import PurePath

from handlers.files import is_temporary

ENDINGS = {
    ".db": "",
    ".sqlite": "",
    ".sqlite3": "",
    ".db.zst": ".zst",
    ".sqlite.zst": ".zst",
    ".sqlite3.zst": ".zst",
}
"""How databases of days may end, and what is put behind the name that they get here."""
SIDECARS = ("-wal", "-journal")
DATE = re.compile(r"(?<!\d)(\d{4})[-_]?(\d{2})[-_]?(\d{2})(?!\d)")
_TAR = re.compile(r"\.(tar(\.\w+)?|tgz|tbz2?|txz|tzst)$", re.IGNORECASE)
_UNREADABLE = {
    ".gz": "gunzip it first",
    ".xz": "unxz it first",
    ".bz2": "bunzip2 it first",
    ".zip": "unzip it first",
    ".7z": "extract it first",
    ".rar": "extract it first",
    ".lz4": "decompress it first",
    ".lzma": "decompress it first",
    ".gpg": "decrypt it first",
    ".age": "decrypt it first",
}
_DATABASE = re.compile(r"\.(?:db|sqlite3?)(?![a-z0-9])(?:\.zst(?![a-z0-9]))?", re.IGNORECASE)
"""Where the name of a database would end in a longer one."""
_SIDECAR = re.compile(r"-(wal|shm|journal)(?![a-z])", re.IGNORECASE)
_ASIDE = re.compile(r"\.(quarantined(-\d+)?|before-adoption(-\d+)?|aside-[0-9a-z-]+)$")
"""What has been put aside here: those who did it said so."""
_TABLES = (".csv", ".feather", ".parquet", ".sql", ".tsv")
_NOTES = (".asc", ".html", ".json", ".lock", ".log", ".meta", ".pid", ".sig", ".txt", ".xml", ".yaml", ".yml")
_OTHERS = frozenset((*_TABLES, *_NOTES, ".md5", ".sha1", ".sha256", ".sha512"))
"""Endings of what scripts put beside days, or make of them: nothing to be taken over, and nothing missed."""


def day_in(name: str) -> date | None:
    """The date in a file's name; None for what cannot be a database of a day."""
    match = DATE.search(name)
    beside = name.endswith((*SIDECARS, "-shm")) or _ASIDE.search(name)
    if match is None or name.startswith(".") or is_temporary(name) or beside:
        return None
    return day_of(match)


def day_of(match: re.Match[str]) -> date | None:
    """The date that was found; None: there is no such day."""
    try:
        return date(*map(int, match.groups()))
    except ValueError:
        return None


def ending_of(name: str) -> str | None:
    """How it ends, if a database of a day may end so. A ``.tar.zst`` is none."""
    return next((each for each in ENDINGS if name.endswith(each)), None)


def seems_a_copy(name: str) -> bool:
    """Whether it may be a copy of a day, in whatever form: and not a table, a checksum or a log of one."""
    return ending_of(name) is not None or bool(trouble_with(name))


def trouble_with(name: str) -> str:
    """Why what bears such a name cannot be taken over, and what to do; empty: it is no copy, or it can be."""
    if ending_of(name) is not None or _is_another(name):
        return ""
    if remedy := _unpacking(name):
        return remedy
    if named := day_name_in(name):
        return f"its name does not end as that of a day does: if it is one, call it {named}"
    return ""


def is_packed_otherwise(name: str) -> bool:
    """Whether a database may be in it, in a form that is not read here."""
    return ending_of(name) is None and not _is_another(name) and bool(_unpacking(name))


def _unpacking(name: str) -> str:
    """What is to be done before a database that may be in it can be taken over; empty: it is not so."""
    if _TAR.search(name):
        return "it is a tar archive, whatever is in it: extract it first (`tar -xf`)"
    remedy = next((_UNREADABLE[each] for each in _UNREADABLE if name.lower().endswith(each)), "")
    return f"it cannot be read here: {remedy}" if remedy else ""


def day_name_in(name: str) -> str:
    """What a file would be called that is called ``.db.bak`` or ``.db.2026-01-20`` now; empty: neither."""
    found = None if _SIDECAR.search(name) else _DATABASE.search(name)
    day = day_in(name)
    if found is None or day is None:
        return ""
    stem, ending = name[: found.start()], found.group().lower()
    if DATE.search(stem) is None:
        stem = f"{stem}_{day}"
        ending = f"{ending.removesuffix('.zst')}{'.zst' if name.lower().endswith('.zst') else ''}"
    return stem + ending


def _is_another(name: str) -> bool:
    *_, before, last = ("", "", *PurePath(name.lower()).suffixes)
    return last in _OTHERS or (before in _OTHERS and last in {*_UNREADABLE, ".zst"})
