"""A program that writes ticks into daily SQLite databases, as a trading engine does.

It stands for the programs that Tickward runs beside, so it does what they do: it opens today's
database in WAL mode, creates the table itself if nobody has, inserts in batches, and changes the
file when the UTC date changes, by its own clock or when told by a `rotated` event. A tick goes into
the database of the day of its time stamp, always.

It counts what it has *committed*, by itself: that is the evidence that nothing was lost later. It
prints one JSON object a line (and appends the last two kinds, without "event", to ``--report``):

    {"event":"started","start_ms":...}           its ticks are those of `ticks.realistic` from here on
    {"event":"opened","day":...,"path":...}
    {"event":"committed","day":...,"ticks":...}  with --progress: since opening, after each commit
    {"event":"closed","day":...,"path":...,"ticks":...,"commits":...,"p50_ms":...,"p99_ms":...,
     "worst_ms":...,"duplicates":...,"retries":...}   a day that was opened twice has two of these
    {"event":"total","total":...}
"""

from __future__ import annotations

import math
import signal
import sys
import time
from argparse import Namespace
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path

import apsw
import zmq
from msgspec import json, structs

from watcher.clock import Clock, ScaledClock, SystemClock
from watcher.demo.day import DAY_MS, Database, date_of, day_of, insist
from watcher.demo.options import parse
from watcher.demo.rotation import ByClock, ByEvent, Rotation
from watcher.demo.ticks import Tick, from_csv, realistic

EVERY_DAY = sys.maxsize
SLICE_SECONDS = 0.05
"""The longest sleep: a signal is noticed after this at the latest, or after the batch."""


class Writer:
    """Takes the ticks that are due and commits them, until it is over."""

    def __init__(self, options: Namespace, clock: Clock, rotation: Rotation) -> None:
        self._options = options
        self._clock = clock
        self._rotation = rotation
        self._replay = options.csv is not None
        self._last_moment = time.monotonic() + (options.seconds or math.inf)
        self._start = max(clock.now(), options.clock_start or clock.now())
        self._until = _end(options, self._start)
        self._source = _source(options, self._start, self._until)
        self._next = next(self._source, None)
        self._waiting: deque[Tick] = deque()
        self._open: Database | None = None
        self._total = 0
        self._stopping = False

    def stop(self, *_: object) -> None:
        """End after the batch that is being written: to be called by a signal."""
        self._stopping = True

    def run(self) -> None:
        """Write until it is over; close and report even if it ends badly."""
        try:
            if not self._replay:
                self._say("started", {"start_ms": int(self._start.timestamp() * 1000)})
                self._turn_to(day_of(self._start))
            while self._step():
                pass
        finally:
            if self._open:
                self._close(self._open)
            self._record("total", {"total": self._total})

    def _step(self) -> bool:
        """Commit what is due, change the day if it is time, sleep; False when it is over."""
        now = self._clock.now()
        caught_up = self._take(now)
        over = self._is_over(now, caught_up)
        if self._replay or over:
            self._write(EVERY_DAY)
        else:
            newest = self._rotation.newest(day_of(now), self._open_day())
            self._write(newest)
            # Also when the new day has no tick yet: the old one is over.
            if caught_up and newest > self._open_day():
                self._turn_to(newest)
        if caught_up and not over:
            self._sleep(now)
        return not over

    def _open_day(self) -> int:
        return self._open.day if self._open else 0

    def _take(self, now: datetime) -> bool:
        """Take the ticks that are due, a batch at most; whether that was all of them."""
        now_ms = now.timestamp() * 1000
        for _ in range(self._options.batch):
            if self._next is None or self._next[0] > now_ms:
                return True
            self._waiting.append(self._next[1])
            self._next = next(self._source, None)
        return False

    def _is_over(self, now: datetime, caught_up: bool) -> bool:
        if self._stopping or time.monotonic() >= self._last_moment:
            return True
        # Not before the time is up, even if no more ticks will come: the day is still the writer's.
        return caught_up and self._next is None and (self._until is None or now >= self._until)

    def _write(self, newest: int) -> None:
        """Commit the waiting ticks of the days up to ``newest``; later ones go on waiting."""
        waiting = self._waiting
        while waiting and (day := waiting[0].timestamp // DAY_MS) <= newest:
            batch: list[Tick] = []
            while waiting and len(batch) < self._options.batch:
                if waiting[0].timestamp // DAY_MS != day:
                    break
                batch.append(waiting.popleft())
            self._commit(day, batch)

    def _commit(self, day: int, batch: list[Tick]) -> None:
        if self._open is None or day > self._open.day:
            self._turn_to(day)
        if self._open and self._open.day == day:
            self._write_to(self._open, batch)
        else:  # a late tick: its day is opened once more, and closed at once
            earlier = self._database(day)
            try:
                self._write_to(earlier, batch)
            finally:
                self._close(earlier)

    def _write_to(self, database: Database, batch: list[Tick]) -> None:
        database.write(batch, lambda: self._stopping)
        if self._options.progress:
            day = date_of(database.day).isoformat()
            self._say("committed", {"day": day, "ticks": database.ticks})

    def _turn_to(self, day: int) -> None:
        if self._open:
            self._close(self._open)
            self._open = None
        self._open = self._database(day)

    def _database(self, day: int) -> Database:
        path = self._rotation.path(day) or self._pattern_path(day)
        database, _ = insist(lambda: Database(day, path), lambda: self._stopping)
        self._say("opened", {"day": date_of(day).isoformat(), "path": str(path)})
        return database

    def _pattern_path(self, day: int) -> Path:
        date = date_of(day)
        return Path(
            self._options.root,
            self._options.pattern.format(
                date=date.isoformat(), year=f"{date:%Y}", month=f"{date:%m}", day=f"{date:%d}"
            ),
        )

    def _close(self, database: Database) -> None:
        closed = database.close()
        self._total += closed.ticks
        _append(self._options.latencies, (f"{ms:.3f}" for ms in database.latencies_ms))
        self._record("closed", structs.asdict(closed))

    def _sleep(self, now: datetime) -> None:
        """Until the next commit is due, or midnight, or the end, or news, or a signal."""
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        turn = min(midnight, self._until) if self._until else midnight
        seconds = min(self._options.commit_every, self._clock.real_seconds(turn))
        end = min(time.monotonic() + seconds, self._last_moment)
        while not self._stopping and (left := end - time.monotonic()) > 0:
            if self._rotation.wait(min(left, SLICE_SECONDS)):
                return

    def _say(self, event: str, facts: dict[str, object]) -> None:
        sys.stdout.write(json.encode({"event": event, **facts}).decode() + "\n")
        sys.stdout.flush()

    def _record(self, event: str, facts: dict[str, object]) -> None:
        _append(self._options.report, [json.encode(facts).decode()])
        self._say(event, facts)


def _end(options: Namespace, start: datetime) -> datetime | None:
    """When, by the clock, it ends: at a given time, or when so many days have passed."""
    if options.days is not None:
        midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight + timedelta(days=options.days)
    until: datetime | None = options.until
    return until


def _source(options: Namespace, start: datetime, until: datetime | None) -> Iterator[tuple[float, Tick]]:
    """Ticks, each with the Unix milliseconds of the clock at which it arrives."""
    start_ms = start.timestamp() * 1000
    if options.csv:
        gap_ms = 1000 / options.rate if options.rate else 0.0
        return ((start_ms + n * gap_ms, tick) for n, tick in enumerate(from_csv(options.csv)))
    ticks = realistic(int(start_ms), symbols=options.symbols, rate=options.rate or 10.0, seed=options.seed)
    end_ms = until.timestamp() * 1000 if until else float("inf")
    return takewhile(lambda due: due[0] < end_ms, ((tick.timestamp, tick) for tick in ticks))


def _append(path: Path | None, lines: Iterator[str] | list[str]) -> None:
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in lines)


def main(argv: list[str] | None = None) -> int:
    """Run the writer; returns its exit status."""
    options = parse(argv)
    try:
        with closing(_rotation(options)) as rotation:
            writer = Writer(options, _clock(options), rotation)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, writer.stop)
            writer.run()
    except (apsw.Error, zmq.ZMQError, OSError, ValueError) as error:
        sys.stderr.write(f"tick_writer: {error}\n")
        return 1
    return 0


def _rotation(options: Namespace) -> Rotation:
    if options.rotate_on == "event":
        return ByEvent(options.events, options.topic, options.grace)
    return ByClock()


def _clock(options: Namespace) -> Clock:
    given = (options.clock_start, options.clock_origin, options.clock_scale)
    if given == (None, None, None):
        return SystemClock()
    start, origin, scale = given
    now = time.time()
    return ScaledClock(start or datetime.now(UTC), now if origin is None else origin, scale or 1.0)


if __name__ == "__main__":
    sys.exit(main())
