"""The demonstration: days go by in seconds; then the picture that they leave, and the proof of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from rich import live
from rich.console import Console

from watcher.demo import ledger
from watcher.demo.disk import look
from watcher.demo.expected import expected
from watcher.demo.live import Live
from watcher.demo.proof import problems_of_journal, prove
from watcher.demo.stage import Stage
from watcher.demo.summary import (
    Outcome,
    Summary,
    differences,
    picture_table,
    summary,
    summary_table,
)
from watcher.paths import journal_file
from watcher.subscriber import Subscriber
from watcher.wire import Message
from watcher.wording import event_line, moment


def show(folder: Path, days: int, seconds_a_day: float, *, beside: bool = False) -> Summary:
    """Run the demonstration, and say what came of it.

    Args:
        beside: show it on stderr, since stdout is for something else.
    """
    console = Console(highlight=False, stderr=beside)
    console.print(f"{days} days at {seconds_a_day:g} s a day, in {folder}", soft_wrap=True)
    stage = Stage(folder, days, seconds_a_day)
    learnt = Live()
    events = stage.settings.events
    with Subscriber(events.publish, events.replay, since=0) as subscriber:
        try:
            stage.start()
            with _drawing(console, stage, learnt) as draw:
                _follow(subscriber, learnt, draw, until=stage.writer_ended)
                stage.stop()
                noon = stage.begin_last_pass()
                _follow(subscriber, learnt, draw, until=stage.last_pass_ended)
        finally:
            stage.stop()
    console.print("reading every copy of every day ...")
    return _judge(console, stage, learnt, noon, folder)


Draw = Callable[[Message], None]


def _follow(subscriber: Subscriber, learnt: Live, draw: Draw, until: Callable[[], bool]) -> None:
    while not until():
        message = subscriber.receive(timeout_seconds=0.2)
        if message is not None:
            learnt.take(message)
            draw(message)


@contextmanager
def _drawing(console: Console, stage: Stage, learnt: Live) -> Iterator[Draw]:
    """Draw a table that lives in a terminal; elsewhere a line for each event."""

    def line(message: Message) -> None:
        text = event_line(message.sequence, message.event, message.subject, message.data)
        console.print(f"{message.time:%Y-%m-%d %H:%M} {text}", soft_wrap=True, markup=False)

    if not console.is_terminal:
        yield line
        return
    with live.Live(
        console=console,
        get_renderable=lambda: learnt.table(min(stage.clock.now(), stage.end)),
        refresh_per_second=8,
    ):
        yield lambda _: None


def _judge(console: Console, stage: Stage, learnt: Live, noon: datetime, folder: Path) -> Summary:
    """Compare, prove, and print what came of it."""
    wanted, written = expected(stage.days, noon), stage.written()
    book = ledger.read(journal_file(stage.settings.data))
    disk = look(stage.settings.data, stage.days, book.certificates)
    found = {day: each.tier for day, each in disk.items()}
    console.print(picture_table(wanted, found, f"The picture at {moment(noon)}"))
    outcome = Outcome(written, tuple(prove(disk, book, written)), book, learnt.seen)
    console.print(summary_table(outcome, found))
    problems = [*filter(None, [stage.last_pass_problem()]), *differences(wanted, found)]
    problems += [f"{proof.day}: {text}" for proof in outcome.proofs for text in proof.problems]
    problems += problems_of_journal(book, noon)
    if len(written) < len(stage.days):
        problems.append(f"{len(stage.days)} days were to be written, {len(written)} were")
    for problem in problems:
        console.print(problem, style="bold red", soft_wrap=True, markup=False)
    return summary(outcome, found, problems, folder)
