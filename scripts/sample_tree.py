"""A tree as months or years of work leave it: days in every tier, and the journal of how they came there.

For documentation, tests and measurements of what an operator sees. The same arguments make the same tree.
Files have the names, sizes and places of real ones, and no content; the journal is a real one.

    python -m scripts.sample_tree FOLDER --days 200
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from handlers.contract import (
    Archived,
    BackedUp,
    Compressed,
    Copy,
    Created,
    Drilled,
    Expired,
    Holder,
    Paths,
    Sealed,
    Signature,
    Step,
    Verified,
)
from handlers.pattern import Pattern
from watcher.events import (
    DAEMON_KEY,
    Closed,
    Configured,
    Conflict,
    Corrupt,
    Deferred,
    Event,
    Failed,
    Held,
    Opened,
    Rotated,
    Started,
)
from watcher.inventory import ARCHIVE_SENTINEL, BACKUP_SENTINEL
from watcher.journal import Journal
from watcher.lifecycle import STAGES
from watcher.paths import journal_file
from watcher.plan.retention import policy_in_words
from watcher.premises import prepare_directories
from watcher.schedule import due, end_of, first_at_or_after, start_of
from watcher.settings import TOPS, Data, Expire, Settings, Stream
from watcher.tree import look

NOW = datetime(2026, 7, 15, 9, 30, tzinfo=UTC)
"""A Wednesday morning, when nobody expects anything."""
Happened = tuple[datetime, str, Event]


class Troubles(Struct, frozen=True):
    """What has gone wrong: each with how many days before the last one. None: it has not."""

    missing: int | None = 20
    """No database was ever made."""
    held: int | None = 60
    """On hold."""
    failed: int | None = 9
    """Its compression has failed three times."""
    corrupt: int | None = None
    """Found damaged when it was to be sealed."""
    deferred: int | None = None
    """Not sealed yet: a process has it open."""
    conflict: int | None = None
    """Two versions of it."""


NONE = Troubles(None, None, None)
FAILING = Troubles(corrupt=2, deferred=1, conflict=14)


def grow(
    settings: Settings,
    days: int,
    *,
    now: datetime = NOW,
    troubles: Troubles | None = None,
    seed: int = 1,
    durable: bool = True,
) -> Settings:
    """Make it, up to ``now``; the settings with which it can be looked at.

    Args:
        settings: with absolute directories that are not there yet, or empty.
        days: of each stream, the last one being today.
        troubles: what has gone wrong.
        durable: False to be quick with hundred thousands of days.
    """
    troubles = troubles or Troubles()
    settings = prepare_directories(settings)
    for top, sentinel in ((settings.data.backup, BACKUP_SENTINEL), (settings.data.archive, ARCHIVE_SENTINEL)):
        Path(top).mkdir(parents=True, exist_ok=True)
        Path(top, sentinel).touch()
    first = now.date() - timedelta(days=days - 1)
    happened = list(_daemon(settings, first))
    for stream in settings.data.streams:
        happened += _stream(settings, stream, first, now, troubles, random.Random(f"{seed}/{stream}"))
    _record(settings, sorted(happened, key=itemgetter(0)), durable=durable)
    return settings


def _record(settings: Settings, happened: list[Happened], *, durable: bool) -> None:
    with Journal.open_for_writing(journal_file(settings.data)) as journal:
        if not durable:
            journal._connection.pragma("synchronous", "off")
        for at, group in groupby(happened, key=itemgetter(0)):
            journal.record([(key, event) for _, key, event in group], at)


def _daemon(settings: Settings, first: date) -> Iterator[Happened]:
    began = start_of(first) - timedelta(hours=7)
    yield began, DAEMON_KEY, Started("0.1.0", 4711, settings.data.root, "3.54.1")
    yield began, DAEMON_KEY, Configured(policy_in_words(settings))


def _stream(
    settings: Settings, stream: str, first: date, now: datetime, troubles: Troubles, rng: random.Random
) -> Iterator[Happened]:
    last = now.date()
    total = (last - first).days
    for offset in range(total + 2):  # tomorrow's has been made as well
        day = first + timedelta(days=offset)
        before = (last - day).days
        if day <= last:
            yield start_of(day), stream, _rotation(settings, stream, day, first)
        if before == troubles.missing:
            continue
        yield from _Day(settings, stream, day, _ticks(day, offset, rng), now).life(before, troubles)


def _rotation(settings: Settings, stream: str, day: date, first: date) -> Rotated:
    pattern = Pattern(settings.data.streams[stream].pattern)
    before = day - timedelta(days=1)
    path, path_before = (f"{settings.data.root}/{pattern.path_of(each)}" for each in (day, before))
    if day == first:
        return Rotated(str(day), None, path, None, "start")
    return Rotated(str(day), str(before), path, path_before, "clock")


def _ticks(day: date, offset: int, rng: random.Random) -> int:
    """Markets rest at the weekend, are busier in the middle of the week, and grow over the years."""
    weekly = (1.0, 1.15, 1.2, 1.1, 0.9, 0.03, 0.12)[day.weekday()]
    return int(
        160_000 * weekly * (1 + offset / 900) * rng.uniform(0.85, 1.2) * (1 + 0.1 * math.sin(offset / 30))
    )


def _digest(*parts: object) -> str:
    return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()


class _Day:
    """One day's life, and the files that it leaves."""

    def __init__(self, settings: Settings, stream: str, day: date, ticks: int, now: datetime) -> None:
        data = settings.data
        self.settings, self.day, self.ticks, self.now = settings, day, ticks, now
        self.key = f"{stream}/{day}"
        below = Pattern(data.streams[stream].pattern).path_of(day)
        self.paths = Paths.of(data.root, data.backup, data.archive, below)
        self.size = 106 * ticks // 4096 * 4096 + 20480
        self.packed = int(self.size * 0.19) + 900
        self.sha = _digest("raw", self.key)
        self.packed_sha = _digest("zst", self.key)
        # So many seconds after the hour that its schedule names, and no two days at the same moment.
        self.turn = timedelta(seconds=day.toordinal() % 97)

    def life(self, before: int, troubles: Troubles) -> Iterator[Happened]:
        over = end_of(self.day)
        if before < 0:
            yield from self._created(self._file(self.paths.database, 20480))
            return
        if over > self.now:
            yield from self._created(Signature(20480, 1, 1))
            self._file(self.paths.database, self.size // 3)
            yield start_of(self.day) + timedelta(seconds=1), self.key, Opened(self.paths.database)
            return
        yield from self._created(Signature(20480, 1, 1))
        yield start_of(self.day) + timedelta(seconds=1), self.key, Opened(self.paths.database)
        if before == troubles.deferred:
            yield from self._deferred(over)
            return
        yield (
            over + timedelta(seconds=2),
            self.key,
            Closed(self.paths.database, Signature(self.size, 1, 1), 0),
        )
        if before == troubles.corrupt:
            yield from self._corrupt(over)
            return
        yield from self._ageing(over, before, troubles)

    def _created(self, signature: Signature) -> Iterator[Happened]:
        yield start_of(self.day) - timedelta(days=1), self.key, Created(self.paths.database, signature)

    def _ageing(self, over: datetime, before: int, troubles: Troubles) -> Iterator[Happened]:
        stage = {each.step: each.ageing(self.settings) for each in STAGES}
        moments = {
            step: due(self.day, age.after_days, age.schedule) + self.turn for step, age in stage.items()
        }
        stuck = before in (troubles.failed, troubles.conflict)
        is_held = before == troubles.held
        packed = moments[Step.COMPRESS] <= self.now and not stuck
        archived = (
            packed and self.settings.archive.enabled and moments[Step.ARCHIVE] <= self.now and not is_held
        )
        expired = (
            archived and self.settings.expire.enabled and moments[Step.EXPIRE] <= self.now and not is_held
        )
        raw = Signature(self.size, 1, 1) if packed else self._file(self.paths.database, self.size)
        first_ms = int(start_of(self.day).timestamp() * 1000)
        known = (self.ticks, 100, first_ms + 213, first_ms + 86_399_871)
        sealed = Sealed(self.paths.database, self.sha, self.size, *known, 3054001, raw, table="ticks")
        yield over + timedelta(seconds=3), self.key, sealed
        yield (
            over + timedelta(seconds=5),
            self.key,
            BackedUp(self.paths.backup, self.sha, self.size, self.ticks),
        )
        if not packed:
            self._file(self.paths.backup, self.size)
        if is_held:
            yield (
                over + timedelta(days=3, hours=10),
                self.key,
                Held("inquiry 2026-17", "ann (uid 1000, pid 812)"),
            )
        if before == troubles.failed:
            yield from self._failed(moments[Step.COMPRESS])
        if before == troubles.conflict:
            yield from self._conflict()
        if not packed:
            return
        made = (self.sha, self.packed_sha, self.size, self.packed, 19, 4 << 20)
        yield (
            moments[Step.COMPRESS],
            self.key,
            Compressed(self.paths.compressed, *made, self.paths.backup_compressed),
        )
        if archived:
            what = (self.paths.archived, self.sha, self.packed_sha, self.packed, "rename")
            yield moments[Step.ARCHIVE], self.key, Archived(*what)
        if expired:
            yield moments[Step.EXPIRE], self.key, self._certificate(known, moments[Step.EXPIRE])
            return
        first_copy = self.paths.archived if archived else self.paths.compressed
        for path in (first_copy, self.paths.backup_compressed):
            self._file(path, self.packed)
        yield from self._readings(moments[Step.COMPRESS], first_copy, archived=archived)

    def _readings(self, since: datetime, first_copy: str, *, archived: bool) -> Iterator[Happened]:
        at = first_at_or_after(self.settings.verify.schedule, since + timedelta(seconds=1)) + self.turn
        copies = (Copy(first_copy, self.packed), Copy(self.paths.backup_compressed, self.packed))
        while at <= self.now:
            yield at, self.key, Verified(self.sha, copies, 2 * self.packed)
            if archived and (at.month + self.day.toordinal()) % 31 == 0:
                yield at + timedelta(hours=1), self.key, Drilled(first_copy, self.sha, self.size, self.ticks)
            at = first_at_or_after(self.settings.verify.schedule, at + timedelta(days=1)) + self.turn

    def _certificate(self, known: tuple[int, int, int, int], at: datetime) -> Expired:
        paths = (self.paths.database, self.paths.compressed, self.paths.backup)
        paths = (*paths, self.paths.backup_compressed, self.paths.archived)
        what = (self.sha, self.packed_sha, self.size, self.packed, *known, paths, 2 * self.packed, ())
        ageing = self.settings.expire
        rule = f"deleted {ageing.after_days} days after its end, at the next {ageing.schedule} (UTC)"
        return Expired(*what, rule, at - self.turn, "past its retention", "schedule")

    def _failed(self, at: datetime) -> Iterator[Happened]:
        evidence = self._evidence()
        for attempt in (1, 2, 3):
            at = self.now - timedelta(seconds=580 * (4 - attempt))
            error, hint = "no space left on device", "free space on the volume of data.root"
            next_try = at + timedelta(seconds=600)
            yield at, self.key, Failed("compress", error, hint, attempt, True, next_try, evidence)

    def _conflict(self) -> Iterator[Happened]:
        self._file(self.paths.compressed, self.packed)
        error = f"{self.paths.compressed} is there already and holds another content"
        hint = "compare the two, and move the one away that is not meant"
        yield (
            self.now - timedelta(hours=31),
            self.key,
            Conflict(self.paths.compressed, error, hint, self._evidence()),
        )

    def _corrupt(self, over: datetime) -> Iterator[Happened]:
        self._file(self.paths.database, self.size)
        problem = "row 1174 missing from index ticks_by_time"
        hint = "`.recover` of the sqlite3 shell saves what can be saved; put the result in its place"
        what = ("seal", self.paths.database, "the integrity check fails", (problem,), hint, self._evidence())
        yield over + timedelta(seconds=3), self.key, Corrupt(*what)

    def _deferred(self, over: datetime) -> Iterator[Happened]:
        self._file(self.paths.database, self.size)
        since = over + timedelta(seconds=5)
        yield since, self.key, Deferred(self.paths.database, (Holder(2207, "engine"),), since)

    def _evidence(self) -> str:
        return look(self.paths, self.settings.data).evidence

    def _file(self, path: str, size: int) -> Signature:
        """A file of that size, none of which takes room, last written when its day was over."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("wb") as file:
            file.truncate(size)
        written = int(min(end_of(self.day), self.now).timestamp()) * 10**9
        os.utime(path, ns=(written, written))
        return Signature(size, written, Path(path).stat().st_ino)


def settings_below(folder: Path, streams: int = 1, *, keep_all: bool = False) -> Settings:
    """Settings whose directories are below ``folder``: one stream, ``ticks``, or so many.

    ``keep_all``: no day expires.
    """
    names = ["ticks"] if streams == 1 else [f"feed-{number:03}" for number in range(streams)]
    patterns = {name: Stream(("" if streams == 1 else f"{name}/") + Stream().pattern) for name in names}
    tops = {top: f"{folder}/{top}" for top in ("root", "backup", "archive", "state")}
    return replace(Settings(), data=Data(**tops, streams=patterns), expire=Expire(enabled=not keep_all))


def configure(folder: Path, settings: Settings) -> Path:
    """A configuration file for the tree below ``folder``, whose clock has stopped at `NOW`."""
    data = settings.data
    lines = ["[data]", *(f"{top} = {json.dumps(getattr(data, top))}" for top in TOPS)]
    for name, stream in data.streams.items():
        lines += [f"[data.streams.{name}]", f"pattern = {json.dumps(stream.pattern)}"]
    lines += ["[expire]", f"enabled = {json.dumps(settings.expire.enabled)}"]
    lines += ["[clock]", "scale = 1e-12", f"start = {json.dumps(NOW.isoformat())}", "[log]", 'file = ""', ""]
    file = folder / "config.toml"
    file.write_text("\n".join(lines))
    return file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--days", type=int, default=200)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--keep-all", action="store_true", help="expire nothing")
    options = parser.parse_args()
    settings = settings_below(options.folder.resolve(), options.streams, keep_all=options.keep_all)
    grow(settings, options.days, durable=False)
    print(configure(options.folder, settings))


if __name__ == "__main__":
    main()
