"""``tickward hooks``: what is run on which event, and what could not be delivered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.context import Context, write_json
from watcher.errors import EXIT_STEP_FAILED, ConfigError, TickwardError

if TYPE_CHECKING:
    from watcher.cli.documents.hooks import Delivery, Standing
    from watcher.events import Record
    from watcher.hooks.bound import BoundHook
    from watcher.hooks.store import Letter, Store
    from watcher.journal import Journal
    from watcher.settings import Settings
    from watcher.wire import Position

app = typer.Typer(subcommand_metavar="[COMMAND]")

JSON = typer.Option("--json", help="Print JSON.")
_BATCH = 1000
_DRY_RUN = "no hook is run and nothing is changed; unset it for that"


@app.callback(invoke_without_command=True)
def hooks(context: typer.Context, json: Annotated[bool, JSON] = False) -> None:
    """Show what is run on which event, how far that is, and how many events could not be delivered.

    It changes nothing. What is run is set in [hooks] of the configuration.

    Exit status: 0 done; 1 the journal or a file cannot be read; 2 usage or configuration.

    Examples:
        tickward hooks

    See also:
        `tickward hooks failed`, `retry`, `drop`, `test`.
    """
    if context.invoked_subcommand is not None:
        return
    options: Context = context.obj
    report = _report(options.load())
    if json:
        from watcher.cli.documents.hooks import Hooks

        write_json(Hooks(tuple(report)))
    elif report:
        _print(report)
    else:
        typer.echo("there are none: [hooks] of the configuration says what is run on which event")


@app.command()
def failed(context: typer.Context, json: Annotated[bool, JSON] = False) -> None:
    """Show the events that could not be delivered, and why.

    It changes nothing. The numbers are what retry and drop want.

    Exit status: 0 done; 1 the journal or a file cannot be read; 2 usage or configuration.

    Examples:
        tickward hooks failed

    See also:
        `tickward hooks retry`, `tickward hooks drop`.
    """
    options: Context = context.obj
    with _store(options.load()) as store:
        letters = store.letters() if store else []
    if json:
        _write_letters(letters)
        return
    for letter in letters:
        for line in _lines(letter):
            typer.echo(line)


@app.command()
def retry(
    context: typer.Context,
    numbers: Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="As in the list.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Deliver now what could not be delivered; what succeeds leaves the list.

    It is run here and not by the daemon, by the hook that failed. If that one is not in the settings any
    more, because it was corrected, then by the hook that is set for the event now.

    Exit status: 0 done; 1 one fails; 2 usage or configuration.

    Examples:
        tickward hooks retry 17
        tickward hooks retry --all

    See also:
        `tickward hooks failed`.
    """
    options: Context = context.obj
    options.refuse_dry_run(_DRY_RUN)
    settings = options.load()
    if bool(numbers) == all_:
        raise ConfigError("say which: ID... as in `tickward hooks failed`, or --all")
    deliveries: list[Delivery] = []
    with _store(settings) as store:
        for letter, bound in [(each, _hook_for(each, settings)) for each in _chosen(store, numbers)]:
            what = (letter.number, letter.sequence, letter.event, letter.subject)
            deliveries.append(_delivered(what, bound, bytes(letter.message), settings))
            if not json:
                _say(deliveries[-1])
            if deliveries[-1].ok and store is not None:
                store.drop(letter.number)
    _end(deliveries, json)


@app.command()
def drop(
    context: typer.Context,
    numbers: Annotated[list[int], typer.Argument(metavar="ID...", help="As in the list.")],
    json: Annotated[bool, JSON] = False,
) -> None:
    """Take events off the list of those that could not be delivered.

    They stay in the journal, but no hook will hear of them.

    Exit status: 0 done; 1 it cannot be done; 2 usage or configuration.

    Examples:
        tickward hooks drop 17

    See also:
        `tickward hooks failed`, `tickward hooks retry`.
    """
    options: Context = context.obj
    options.refuse_dry_run(_DRY_RUN)
    with _store(options.load()) as store:
        letters = _chosen(store, numbers)
        for letter in letters:
            assert store is not None
            store.drop(letter.number)
            if not json:
                typer.echo(f"{letter.number}: {_what(letter)} is not listed any more")
    if json:
        _write_letters(letters)


@app.command("test")
def try_out(
    context: typer.Context,
    event: Annotated[str, typer.Argument(metavar="EVENT", help="Its name, such as sealed.")],
    day: Annotated[
        str | None, typer.Argument(metavar="[DAY]", help="2026-01-20, or ticks/2026-01-20; none: any.")
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Run the hooks of an event now, with the newest such event, and show what came of it.

    Nothing is noted. What the hooks do is really done.

    Exit status: 0 done; 1 one fails; 2 usage or configuration.

    Examples:
        tickward hooks test sealed
        tickward hooks test sealed 2026-01-20

    See also:
        docs/hooks.md.
    """
    from watcher.cli.asking import keys_of
    from watcher.hooks.bound import bound
    from watcher.wire import to_frames

    options: Context = context.obj
    options.refuse_dry_run(_DRY_RUN)
    settings = options.load()
    hooks = [each for each in bound(settings) if each.event == event]
    if not hooks:
        known = ", ".join(settings.hooks) or "none"
        raise ConfigError(f"there is no hook for {event!r}; the events that have one: {known}")
    with _journal(settings) as journal:
        record = _newest(journal, event, keys_of([day], settings) if day else None) if journal else None
        if journal is None or record is None:
            of = f" of {day}" if day else ""
            raise TickwardError(f"no event {event!r}{of} was recorded yet: there is nothing to test with")
        _, _, body = to_frames(record, journal.epoch)
    what = (None, record.sequence, record.event, record.key)
    deliveries = []
    for each in hooks:
        deliveries.append(_delivered(what, each, body, settings))
        if not json:
            _say(deliveries[-1])
    _end(deliveries, json)


@contextmanager
def _journal(settings: Settings) -> Iterator[Journal | None]:
    from watcher.journal import Journal
    from watcher.paths import journal_file

    journal = Journal.open_for_reading(journal_file(settings.data))
    try:
        yield journal
    finally:
        if journal is not None:
            journal.close()


@contextmanager
def _store(settings: Settings) -> Iterator[Store | None]:
    from watcher.hooks.store import FILE, Store
    from watcher.paths import journal_file

    store = Store.open(journal_file(settings.data).with_name(FILE))
    try:
        yield store
    finally:
        if store is not None:
            store.close()


def _write_letters(letters: list[Letter]) -> None:
    from watcher.cli.documents.hooks import Letters

    write_json(Letters(tuple(letters)))


def _report(settings: Settings) -> list[Standing]:
    from watcher.cli.documents.hooks import Standing
    from watcher.hooks.bound import bound

    hooks = {each.key: each for each in bound(settings)}
    with _store(settings) as store, _journal(settings) as journal:
        positions = store.positions() if store else {}
        counts = store.counts() if store else {}
        found = [
            _standing(each, journal, positions.get(key), counts.get(key, ("", 0))[1])
            for key, each in hooks.items()
        ]
        head = journal.head() if journal else 0
    left = {key: letters for key, letters in counts.items() if key not in hooks}
    return found + [
        Standing(key.partition(":")[0], runs, False, None, head, None, count)
        for key, (runs, count) in left.items()
    ]


def _standing(bound: BoundHook, journal: Journal | None, position: Position | None, failed: int) -> Standing:
    from watcher.cli.documents.hooks import Standing

    if journal is None or position is None:
        head = journal.head() if journal else 0
        return Standing(bound.event, bound.label, True, None, head, None, failed)
    head = journal.head()
    noted = journal.where_to_go_on(position).sequence
    waiting = [record.sequence for record in _since(journal, noted) if record.event == bound.event]
    # What is none of its events is passed over without a note.
    at = waiting[0] - 1 if waiting else head
    return Standing(bound.event, bound.label, True, at, head, len(waiting), failed)


def _since(journal: Journal, sequence: int) -> Iterator[Record]:
    while records := journal.since(sequence, _BATCH):
        yield from records
        sequence = records[-1].sequence


def _newest(journal: Journal, event: str, keys: Iterable[str] | None) -> Record | None:
    """The newest such event, of one of these keys."""
    wanted = None if keys is None else frozenset(keys)
    for end in range(journal.head(), 0, -_BATCH):
        for record in reversed(journal.since(max(end - _BATCH, 0), min(end, _BATCH))):
            if record.event == event and (wanted is None or record.key in wanted):
                return record
    return None


def _print(report: list[Standing]) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from watcher.cli.console import console

    table = Table(box=box.SIMPLE_HEAD)
    for column in ("event", "runs", "is at", "waiting", "failed"):
        table.add_column(column, justify="left" if column in ("event", "runs") else "right")
    for each in report:
        waiting = "-" if each.waiting is None else str(each.waiting)
        table.add_row(each.event, escape(each.runs), _where(each), waiting, str(each.failed))
    out = console()
    out.print(table)
    if any(each.failed for each in report):
        out.print("what failed: tickward hooks failed; once that is mended: tickward hooks retry --all")


def _where(standing: Standing) -> str:
    if not standing.configured:
        return "not in the settings any more"
    return "not started yet" if standing.sequence is None else f"{standing.sequence} of {standing.head}"


def _what(letter: Letter) -> str:
    return f"#{letter.sequence} {letter.event} {letter.subject}"


def _lines(letter: Letter) -> Iterator[str]:
    from watcher.wording import moment, printable

    yield f"{letter.number}: {_what(letter)}, {letter.runs}: {letter.attempts} attempts, {moment(letter.at)}"
    for line in letter.error.splitlines():
        yield f"    {printable(line)}"


def _chosen(store: Store | None, numbers: list[int] | None) -> list[Letter]:
    """Those that a person named, or all. Raises `ConfigError` if one is not there."""
    letters = store.letters() if store else []
    known = [letter.number for letter in letters]
    if strange := [number for number in numbers or () if number not in known]:
        raise ConfigError(f"{strange[0]} is not listed by `tickward hooks failed`")
    return [letter for letter in letters if not numbers or letter.number in numbers]


def _hook_for(letter: Letter, settings: Settings) -> BoundHook:
    """The hook that failed, or the one that has taken its place. Raises `ConfigError` if there is none."""
    from watcher.hooks.bound import bound

    candidates = [each for each in bound(settings) if each.event == letter.event]
    same = [each for each in candidates if each.key == letter.hook]
    if not same and len(candidates) != 1:
        raise ConfigError(
            f"{letter.number}: its hook ({letter.event}: {letter.runs}) is not in the settings any more, and "
            f"{'several have' if candidates else 'none has'} taken its place: "
            f"`tickward hooks drop {letter.number}` takes it off the list"
        )
    return (same or candidates)[0]


def _delivered(
    what: tuple[int | None, int, str, str], bound: BoundHook, body: bytes, settings: Settings
) -> Delivery:
    """Run a hook; what came of it.

    Args:
        what: the number of the dead letter, if it is one, and the event: its number, its name, its subject.
    """
    from watcher.cli.documents.hooks import Delivery
    from watcher.hooks.delivery import deliver
    from watcher.paths import journal_file

    ended = deliver(bound, body, journal_file(settings.data).parent)
    return Delivery(*what, bound.label, not ended.error, ended.error, ended.output, ended.seconds)


def _say(delivery: Delivery) -> None:
    from watcher.wording import printable

    number = "" if delivery.number is None else f"{delivery.number}: "
    what = f"{number}#{delivery.sequence} {delivery.event} {delivery.subject}, {delivery.runs}"
    typer.echo(f"{what}: {delivery.error or 'delivered'} ({delivery.seconds:.2f} s)")
    for line in delivery.output.splitlines():
        typer.echo(f"    {printable(line)}")


def _end(deliveries: list[Delivery], json: bool) -> None:
    if json:
        from watcher.cli.documents.hooks import Deliveries

        write_json(Deliveries(tuple(deliveries)))
    if not all(each.ok for each in deliveries):
        raise typer.Exit(EXIT_STEP_FAILED)
