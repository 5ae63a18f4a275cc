"""The demonstration: two weeks in a minute, and the proof that nothing was lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

from msgspec import Struct
from rich.console import Console
from rich.live import Live
from rich.table import Table

from watcher.config import Ageing
from watcher.demo.proof import DayProof, prove
from watcher.demo.stage import Stage
from watcher.errors import EXIT_DONE, EXIT_STEP_FAILED
from watcher.events import Message
from watcher.schedule import due
from watcher.subscriber import Subscriber
from watcher.wording import event_line, size

_LONGEST_SECONDS = 60.0
"""After the writer's end: how long the daemon may take over what is left."""


class DayRow(Struct):
    """What the live table shows of one day."""

    state: str = ""
    ticks: int | None = None
    size_bytes: int | None = None
    bytes_now: int | None = None
    at: datetime | None = None


class Picture:
    """What a subscriber has learnt from the events, and nothing else."""

    def __init__(self) -> None:
        self.rows: dict[str, DayRow] = {}
        self.seen = 0

    def take(self, message: Message) -> None:
        """Draw one more event in."""
        self.seen += 1
        if "/" not in message.subject:
            return
        row = self.rows.setdefault(message.subject, DayRow())
        row.state, row.at = message.event, message.time
        data = message.data
        if message.event == "sealed":
            row.ticks, row.size_bytes = data["ticks"], data["size_bytes"]
            row.bytes_now = row.size_bytes
        elif message.event == "compressed":
            row.bytes_now = data["compressed_bytes"]

    def unfinished(self, end: datetime, compress: Ageing) -> list[str]:
        """The days before ``end`` that have not got as far as they should have by then."""
        late = []
        for key, row in self.rows.items():
            day = date.fromisoformat(key.rpartition("/")[2])
            is_due = due(day, compress.after_days, compress.schedule) <= end
            done = ("compressed",) if is_due else ("backed_up", "compressed")
            if day < end.date() and row.state not in done:
                late.append(key)
        return late

    def table(self, clock: datetime) -> Table:
        table = Table(title=f"{clock:%A %Y-%m-%d %H:%M} UTC   {self.seen} events", min_width=70)
        for column in ("day", "state", "ticks", "bytes", "now"):
            table.add_column(column, justify="left" if column in ("day", "state") else "right")
        for key, row in sorted(self.rows.items()):
            table.add_row(
                key,
                f"[{_STYLES.get(row.state, 'white')}]{row.state}[/]",
                f"{row.ticks:,}" if row.ticks is not None else "",
                size(row.size_bytes) if row.size_bytes else "",
                size(row.bytes_now) if row.bytes_now else "",
            )
        return table


_STYLES = {
    "created": "dim",
    "opened": "yellow",
    "closed": "yellow",
    "sealed": "cyan",
    "backed_up": "green",
    "compressed": "bold green",
    "deferred": "magenta",
    "failed": "bold red",
    "corrupt": "bold red",
    "conflict": "bold red",
}


def show(folder: Path, days: int, seconds_a_day: float) -> int:
    """Run the demonstration. Returns the exit code: 0 only if every tick is there."""
    console = Console(highlight=False)
    console.print(f"{days} days at {seconds_a_day:g} s a day, in {folder}", soft_wrap=True)
    stage = Stage(folder, days, seconds_a_day)
    picture = Picture()
    events = stage.settings.events
    with Subscriber(events.publish, events.replay, since=0) as subscriber:
        try:
            stage.start()
            with _drawing(console, stage, picture) as draw:
                _follow(stage, subscriber, picture, draw)
        finally:
            stage.stop()
    console.print("reading every copy of every day ...")
    return _summary(console, stage, picture, prove(stage.settings))


def _follow(stage: Stage, subscriber: Subscriber, picture: Picture, draw: _Draw) -> None:
    ended_at: float | None = None
    while True:
        message = subscriber.receive(timeout_seconds=0.2)
        if message is not None:
            picture.take(message)
            draw(message)
        if ended_at is None and stage.writer_ended():
            ended_at = time.monotonic()
        if ended_at is not None and (
            not picture.unfinished(stage.end, stage.settings.compress)
            or time.monotonic() - ended_at > _LONGEST_SECONDS
        ):
            return


class _Draw:
    """Draws a table that lives in a terminal; elsewhere a line for each event."""

    def __init__(self, console: Console, stage: Stage, picture: Picture) -> None:
        self._console = console
        self._stage = stage
        self._picture = picture
        self.live = Live(console=console, get_renderable=self.table, refresh_per_second=8)

    def table(self) -> Table:
        return self._picture.table(min(self._stage.clock.now(), self._stage.end))

    def __call__(self, message: Message) -> None:
        if not self._console.is_terminal:
            line = event_line(message.sequence, message.event, message.subject, message.data)
            self._console.print(f"{message.time:%Y-%m-%d %H:%M} {line}", soft_wrap=True, markup=False)


@contextmanager
def _drawing(console: Console, stage: Stage, picture: Picture) -> Iterator[_Draw]:
    draw = _Draw(console, stage, picture)
    if not console.is_terminal:
        yield draw
        return
    with draw.live:
        yield draw


def _summary(console: Console, stage: Stage, picture: Picture, proofs: list[DayProof]) -> int:
    written = stage.written()
    readable = {proof.day: proof.ticks for proof in proofs}
    problems = [f"{proof.day}: {text}" for proof in proofs for text in proof.problems]
    problems += [
        f"{day}: {ticks:,} ticks were written, {readable.get(day, 0):,} are readable"
        for day, ticks in sorted(written.items())
        if readable.get(day, 0) != ticks
    ]
    if len(written) < stage.days:
        problems.append(f"{stage.days} days were to be written, {len(written)} were")
    table = Table(title="Summary", show_header=False, title_justify="left", min_width=50)
    for name, value in (
        ("days", f"{len(written)}"),
        ("of them compressed", f"{sum(proof.form == 'zst' for proof in proofs)}"),
        ("ticks written", f"{sum(written.values()):,}"),
        ("ticks readable", f"{sum(readable.values()):,}"),
        ("bytes before", size(sum(proof.size_bytes for proof in proofs))),
        ("bytes after", size(sum(proof.bytes_now for proof in proofs))),
        ("events seen", f"{picture.seen}"),
        ("checksums", "every one holds, in both copies" if not problems else "see below"),
    ):
        table.add_row(name, value)
    console.print(table)
    for problem in problems:
        console.print(f"[bold red]{problem}[/]", soft_wrap=True)
    return EXIT_STEP_FAILED if problems else EXIT_DONE
