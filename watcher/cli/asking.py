"""What the commands that change something have in common: name days, ask, follow, say how it ended."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from watcher.cli.context import Context, write_json
from watcher.errors import EXIT_DONE, EXIT_STEP_FAILED, ConfigError, TickwardError

if TYPE_CHECKING:
    from watcher.cli.documents.planning import Ordered
    from watcher.plan import Order
    from watcher.requests import Ended, Finished, Intention, Reply, Request
    from watcher.settings import Settings
    from watcher.state import Database

DAYS = typer.Argument(metavar="[DAY]...", help="2026-01-20, or ticks/2026-01-20; none: all that are due.")
DRY_RUN = typer.Option("--dry-run", help="Show what would be done. Changes nothing.")
JSON = typer.Option("--json", help="Print JSON.")


def keys_of(days: list[str], settings: Settings) -> tuple[str, ...]:
    """The keys of the days that a person named. A date alone means that day of every stream."""
    return tuple(dict.fromkeys(key for day in days for key in _keys_of(day, settings)))


def _keys_of(text: str, settings: Settings) -> list[str]:
    stream, day = split_day(text)
    streams = settings.data.streams
    if stream and stream not in streams:
        raise ConfigError(f"{text!r}: there is no stream {stream!r}; there are {', '.join(streams)}")
    return [f"{name}/{day}" for name in ([stream] if stream else streams)]


def split_day(text: str) -> tuple[str, date]:
    """The stream, empty if none is named, and the date of ``ticks/2026-01-20``. Raises `ConfigError`."""
    stream, _, day = text.rpartition("/")
    try:
        return stream, date.fromisoformat(day)
    except ValueError:
        raise ConfigError(f"{text!r} is not a day such as 2026-01-20 or ticks/2026-01-20") from None


def carry_out(context: Context, settings: Settings, order: Order, *, dry_run: bool, json: bool) -> None:
    """Plan it, or do it and follow it to its end. Raises `typer.Exit` with the exit status."""
    if dry_run or context.dry_run:
        _show_intentions(intentions(settings, order), json)
    else:
        carry_out_now(context, settings, order, json=json)


def carry_out_now(context: Context, settings: Settings, request: Request, *, json: bool) -> None:
    """Ask the daemon, or without one do it here; show what becomes of each day."""
    with Teller(json) as teller:
        ask_each(context, settings, request, teller)
    if json:
        write_json(teller.report())
    else:
        teller.say_finished()
    finished = teller.finished
    raise typer.Exit(finished.exit_code if finished is not None else EXIT_STEP_FAILED)


def ask_each(context: Context, settings: Settings, request: Request, tell: Callable[[Reply], None]) -> None:
    """Hand every answer on, from the daemon if there is one. Raises `TickwardError` if nobody can answer."""
    from watcher.control import ask, myself
    from watcher.lock import Lock
    from watcher.paths import resolved

    _require_text(request)
    state = Path(resolved(settings).data.state)
    answers = ask(state, request)
    if answers is None and (pid := Lock(state).holder()) is not None:
        raise TickwardError(
            f"a tickward without a daemon's ear (pid {pid}) is at work here: wait for it, and ask again"
        )
    if answers is not None:
        with answers:
            for reply in answers:
                tell(reply)
        return

    from msgspec.structs import replace

    from watcher import logs
    from watcher.app import App
    from watcher.plan import Order
    from watcher.requests import Finished, Planned

    if isinstance(request, Order):
        found = intentions(settings, request)
        if not any(each.entry == "action" for each in found):  # then nothing is begun, and nothing written
            tell(Planned(found))
            tell(Finished(0, sum(each.is_refusal for each in found)))
            return
    logs.set_up(settings.log, context.debug, quiet=True)
    App(settings).carry_out(replace(request, by=myself()), tell)


def without_seal(databases: Iterable[Database], today: date) -> list[Database]:
    """Days that are over, and there, and of which nobody knows what they held."""
    return [
        each
        for each in databases
        if each.facts.sealed is None
        and each.facts.expired is None
        and each.files.any_copy
        and each.day < today
    ]


def say_unsealed(unsealed: Iterable[Database]) -> None:
    """Where all days were asked for: which of them have no seal, and what gives them one. On stderr."""
    from watcher.wording import span

    days = sorted(unsealed, key=lambda each: each.key)
    if not days:
        return
    in_root = [each.files.database is not None for each in days]
    ways = [*(["`tickward once`"] if any(in_root) else []), *([] if all(in_root) else ["`tickward adopt`"])]
    them = "it" if len(days) == 1 else "them"
    why = "no seal yet, so there is nothing to compare a copy with"
    typer.echo(
        f"tickward: left out: {span([each.key for each in days])}: {why}; {' or '.join(ways)} seals {them}",
        err=True,
    )


def _require_text(request: Request) -> None:
    """What goes into the journal must be text: arguments may be any bytes."""
    import msgspec

    try:
        msgspec.json.encode(request)
    except UnicodeEncodeError:
        raise ConfigError("what you gave has bytes that are not UTF-8 text: write it in UTF-8") from None


def intentions(settings: Settings, order: Order) -> tuple[Intention, ...]:
    """What an order would come to now, by a look from outside."""
    from msgspec.structs import replace

    from watcher.control import myself
    from watcher.plan import ordered
    from watcher.premises import clock_of
    from watcher.requests import Intention
    from watcher.survey import survey

    now = clock_of(settings.clock).now()
    found = survey(settings, now)
    order = replace(order, by=order.by or myself())
    entries = ordered(found.databases.values(), found.settings, now, order, found.doubts)
    return tuple(map(Intention.of, entries))


def _show_intentions(found: tuple[Intention, ...], json: bool) -> None:
    from watcher.wording import span

    refused = sum(each.is_refusal for each in found)
    if json:
        from watcher.cli.documents.planning import Ordered

        write_json(Ordered(dry_run=True, planned=found, ended=(), done=0, failed=refused))
    else:
        for line, keys in _by_line(found, "would "):
            typer.echo(f"{span(keys)}  {line}")
        if not found:
            typer.echo("nothing is due")
    raise typer.Exit(EXIT_STEP_FAILED if refused else EXIT_DONE)


def _by_line(found: tuple[Intention, ...], would: str = "") -> list[tuple[str, list[str]]]:
    """What is said of days, and of which: what is the same for many is said once."""
    lines: dict[str, list[str]] = {}
    for each in found:
        verb = {"action": f"{would}{each.step}", "wait": "nothing to do", "block": "refused"}[each.entry]
        lines.setdefault(f"{verb}: {each.reason}", []).append(each.database)
    return list(lines.items())


class Teller:
    """Takes the answers to one or more requests: shows them as they come, or keeps them for a document."""

    def __init__(self, json: bool) -> None:
        self._json = json
        self._bars = None if json else _Bars()
        self._delayed = ""
        self.planned: list[Intention] = []
        self.ended: list[Ended] = []
        self.finished: Finished | None = None
        """All of them together; None: none was answered to its end."""

    def __call__(self, reply: Reply) -> None:
        from watcher.requests import Delayed, Ended, Finished, Planned, Progress, Refused

        match reply:
            case Planned():
                self.planned += reply.intentions
                self._say_planned(reply.intentions)
            case Progress():
                if self._bars:
                    self._bars.move(reply)
            case Delayed():
                self._say_delayed(reply.why)
            case Ended():
                self.ended.append(reply)
                if self._bars:
                    self._bars.remove(reply)
                self._say(_sentence(reply))
            case Finished():
                before = self.finished or Finished(0, 0)
                self.finished = Finished(before.done + reply.done, before.failed + reply.failed)
            case Refused():
                raise TickwardError(reply.why)

    def report(self) -> Ordered:
        """The one JSON document."""
        from watcher.cli.documents.planning import Ordered

        done, failed = (self.finished.done, self.finished.failed) if self.finished else (0, 0)
        return Ordered(False, tuple(self.planned), tuple(self.ended), done, failed)

    def say_finished(self) -> None:
        if not self.planned and not self.ended:
            self._say("nothing is due")

    def __enter__(self) -> Teller:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.stop()

    def _say_planned(self, planned: tuple[Intention, ...]) -> None:
        from watcher.wording import span

        others = tuple(each for each in planned if each.entry != "action")
        for line, keys in _by_line(others):
            self._say(f"{span(keys)}  {line}")

    def _say_delayed(self, why: str) -> None:
        if why != self._delayed:
            typer.echo(f"waiting: the daemon cannot go on for now ({why}); Ctrl-C stops waiting", err=True)
        self._delayed = why

    def _say(self, line: str) -> None:
        if self._bars:
            with self._bars.hidden():
                typer.echo(line)


def _sentence(ended: Ended) -> str:
    from watcher.wording import details

    if not ended.ok:
        hint = f"; {ended.hint}" if ended.hint else ""
        return f"{ended.database}  {ended.event.upper() or 'failed'}: {ended.message}{hint}"
    if ended.step is None:
        return f"{ended.database}  {ended.message}"
    told = details(ended.data or {})
    if ended.event == "restored":
        told = f"to {ended.data['path']}  {told}"
    what = f"{ended.event} in {ended.seconds:.1f} s" if ended.event else ended.message or "was done already"
    return f"{ended.database}  {what}  {told}".rstrip()


class _Bars:
    """A bar for each step under way, with rate and time left. On a terminal only."""

    def __init__(self) -> None:
        self._progress: Any = None
        self._tasks: dict[str, Any] = {}

    def start(self) -> None:
        if not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        self._progress = Progress(
            *columns,
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._progress.start()

    def move(self, reply: Any) -> None:
        if self._progress is None:
            return
        name = f"{reply.database} {reply.step}"
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=reply.total_bytes)
        self._progress.update(self._tasks[name], completed=reply.done_bytes, total=reply.total_bytes)

    def remove(self, reply: Ended) -> None:
        if (task := self._tasks.pop(f"{reply.database} {reply.step}", None)) is not None:
            self._progress.remove_task(task)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """For a line on stdout: the bars, on stderr, may share its terminal."""
        if self._progress is not None:
            self._progress.stop()
        yield
        if self._progress is not None:
            self._progress.start()

    def stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
