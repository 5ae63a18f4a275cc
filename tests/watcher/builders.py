"""Values for tests: a database in any state, in one line."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from msgspec.structs import replace

from handlers.contract import (
    Adopted,
    Archived,
    BackedUp,
    Compressed,
    Expired,
    Lost,
    Paths,
    Restored,
    Sealed,
    Signature,
)
from watcher.events import Closed, Held
from watcher.settings import Settings
from watcher.state import Database, Facts, Files

DAY = date(2026, 1, 20)  # a Tuesday
RAW = Signature(size_bytes=1000, mtime_ns=1, inode=7)
ZST = Signature(size_bytes=300, mtime_ns=2, inode=8)
SETTINGS = Settings()


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def paths(day: date = DAY) -> Paths:
    database = f"/r/{day:%Y}/{day:%m}/ticks_{day}.db"
    backup = f"/b/{day:%Y}/{day:%m}/ticks_{day}.db"
    archived = f"/a/{day:%Y}/{day:%m}/ticks_{day}.db.zst"
    return Paths(database, f"{database}.zst", backup, f"{backup}.zst", archived)


def sealed(signature: Signature = RAW, sha256: str = "aa", ticks: int = 10) -> Sealed:
    return Sealed("/r/x.db", sha256, signature.size_bytes, ticks, 2, 1, 2, 3054001, signature)


def backed_up(sha256: str = "aa", **changes: Any) -> BackedUp:
    return replace(BackedUp("/b/x.db", sha256, 1000, 10), **changes)


def compressed() -> Compressed:
    return Compressed("/r/x.db.zst", "aa", "cc", 1000, 300, 19, 4 << 20, "/b/x.db.zst")


def archived() -> Archived:
    return Archived("/a/x.db.zst", "aa", "cc", 300, "rename")


def adopted(cold: bool = True) -> Adopted:
    """A day in the archive, or one of which there is only an uncompressed backup."""
    if not cold:
        return Adopted("/b/x.db", sealed(), backed_up(), None, None, (), False, "ann")
    packed = replace(compressed(), level=0, frame_bytes=0)
    return Adopted("/a/x.db.zst", sealed(), None, packed, archived(), (), False, "ann")


def expired(by: str = "schedule") -> Expired:
    what = ("aa", "cc", 1000, 300, 10, 2, 1, 2, ("/r/x.db",), 600, ())
    return Expired(*what, "180 days", utc("2026-07-20 04:00"), "past its retention", by)


def restored(keep_until: datetime | None) -> Restored:
    what = ("/r/x.db", "/a/x.db.zst", "aa", 1000, 10, RAW)
    return Restored(*what, in_tree=True, keep_until=keep_until, set_aside="", rejected=(), by="ann")


def lost(evidence: str) -> Lost:
    return Lost("aa", 10, (), (), "no good copy of it is left", "look for one elsewhere", evidence)


HOLD = Held("audit 17", "ann")


def database(
    day: date = DAY,
    files: Files | None = None,
    facts: Facts | None = None,
    **changes: Any,
) -> Database:
    """By default: a day's raw file that is closed and that nobody has looked at further."""
    files = Files(database=RAW) if files is None else files
    facts = Facts(closed=Closed("/r/x.db", RAW, 0)) if facts is None else facts
    base = Database(f"ticks/{day}", "ticks", day, paths(day), files, facts, held=False)
    return replace(base, **changes)


def sealed_day(day: date = DAY, **changes: Any) -> Database:
    return database(day, facts=Facts(sealed=sealed()), **changes)


def backed_up_day(day: date = DAY, **changes: Any) -> Database:
    files = Files(database=RAW, backup=RAW)
    facts = Facts(sealed=sealed(), backed_up=backed_up())
    return database(day, **{"files": files, "facts": facts, **changes})


def compressed_day(day: date = DAY, **changes: Any) -> Database:
    files = Files(compressed=ZST, backup_compressed=ZST)
    facts = Facts(sealed=sealed(), backed_up=backed_up(), compressed=compressed())
    return database(day, **{"files": files, "facts": facts, **changes})


def archived_day(day: date = DAY, **changes: Any) -> Database:
    files = Files(archived=ZST, backup_compressed=ZST)
    times = {"archived": utc("2026-03-01 03:00")}
    facts = replace(compressed_day(day).facts, archived=archived(), times=times)
    return database(day, **{"files": files, "facts": facts, **changes})


def expired_day(day: date = DAY, **changes: Any) -> Database:
    facts = replace(archived_day(day).facts, expired=expired(), times={"expired": utc("2026-07-20 04:00")})
    return database(day, **{"files": Files(), "facts": facts, **changes})


def with_facts(subject: Database, **changes: Any) -> Database:
    return replace(subject, facts=replace(subject.facts, **changes))


def with_files(subject: Database, **changes: Any) -> Database:
    return replace(subject, files=replace(subject.files, **changes))
