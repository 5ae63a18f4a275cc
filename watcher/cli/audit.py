"""``tickward audit``: is the journal what was recorded, and all of it for an auditor to read."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watcher.cli.context import Context, write_json
from watcher.errors import EXIT_DONE, EXIT_STEP_FAILED, ConfigError, TickwardError

if TYPE_CHECKING:
    from watcher.audit import Entry, Finding, Proof
    from watcher.journal import Journal, Witness
    from watcher.settings import Settings

app = typer.Typer(help="Prove that the journal is what was recorded, and export it.", no_args_is_help=True)

COLUMNS = ("sequence", "time", "event", "key", "data", "hash", "policy")


class Format(StrEnum):
    """How events are exported."""

    CSV = "csv"
    JSON = "json"


@app.command()
def verify(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Prove that no event was edited, removed or put in, and that the facts follow from the events.

    The first record that is not what was recorded is named. It only reads.

    Exit status: 0 it is what was recorded; 1 it is not; 2 usage or configuration.

    Examples:
        tickward audit verify

    See also:
        `tickward verify` reads the copies of the days.
    """
    from watcher.audit import Finding
    from watcher.metadata import read_witness
    from watcher.paths import journal_file

    options: Context = context.obj
    settings = options.load()
    # First: what is recorded meanwhile must not be behind it.
    witness = read_witness(Path(settings.data.root))
    found = _examined(settings, witness)
    finding = found if isinstance(found, Finding) else None
    if json:
        from watcher.cli.documents.proving import Audited

        file, proof = str(journal_file(settings.data)), None if isinstance(found, Finding) else found
        write_json(Audited(proof is not None, file, finding, proof, witness))
        raise typer.Exit(EXIT_DONE if finding is None else EXIT_STEP_FAILED)
    if isinstance(found, Finding):
        raise TickwardError(_what_to_do(settings, found.problem))
    for line in _proven(settings, found, witness):
        typer.echo(line)


@app.command()
def export(
    context: typer.Context,
    format_: Annotated[
        Format | None, typer.Option("--format", help="A table, by default, or one JSON object a line.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="A new file; else it is printed.")] = None,
    since: Annotated[
        int, typer.Option(min=0, metavar="N", help="Only events after this sequence number.")
    ] = 0,
    key: Annotated[
        str | None, typer.Option(metavar="DAY", help="Only of this day, such as ticks/2026-01-20.")
    ] = None,
) -> None:
    """Export the events, each with its hash and the policy that was in force.

    A file appears as a whole or not at all, and never over an existing one. Whether the events are what was
    recorded is what `tickward audit verify` says.

    Exit status: 0 done; 1 the journal or a file cannot be read; 2 usage or configuration.

    Examples:
        tickward audit export --out events.csv
        tickward audit export --json --key ticks/2026-01-20

    See also:
        `tickward audit verify`; `tickward report` is for people.
    """
    from watcher.audit import trail
    from watcher.journal import reading_one
    from watcher.paths import journal_file

    options: Context = context.obj
    form = _format(format_, json)
    if out is not None:
        options.refuse_dry_run("no file is written; unset it for that, or leave out --out to print")
        _require_new(out)
    with reading_one(journal_file(options.load().data)) as journal, journal.snapshot():
        if key is not None:
            _require_known(journal, key)
        entries = trail(journal, since, key)
        lines = as_csv(entries) if form is Format.CSV else map(as_json, entries)
        if out is not None:
            _write(out, lines)
            typer.echo(f"wrote {out}")
        else:
            sys.stdout.writelines(lines)


def _format(given: Format | None, json: bool) -> Format:
    if json and given is Format.CSV:
        raise ConfigError("--json and --format csv: give one of them")
    return Format.JSON if json else given or Format.CSV


def _examined(settings: Settings, witness: Witness | None) -> Proof | Finding:
    from watcher.audit import Finding, examine
    from watcher.journal import reading_one
    from watcher.journal_format import BrokenError
    from watcher.paths import journal_file

    try:
        with reading_one(journal_file(settings.data)) as journal:
            return examine(journal, witness)
    except BrokenError as broken:  # so much so that it cannot even be opened
        return Finding(broken.sequence, broken.problem)


def _what_to_do(settings: Settings, problem: str) -> str:
    from watcher.metadata import NAME
    from watcher.paths import journal_file

    noted = Path(settings.data.root) / NAME
    return (
        f"{journal_file(settings.data)} is not what was recorded: {problem}. It is evidence: stop the "
        f"daemon, keep copies of it and of {noted}, and compare them with an earlier copy or export; then "
        "move it aside and start the daemon: it begins a new one and takes nothing away. Order anew what "
        f"is on hold; then move {noted.name} away and start it anew. The files of the days are untouched"
    )


def _proven(settings: Settings, proof: Proof, witness: Witness | None) -> Iterator[str]:
    from watcher.metadata import NAME
    from watcher.paths import journal_file
    from watcher.wording import moment

    yield f"{journal_file(settings.data)} is what was recorded"
    if proof.events:
        yield (
            f"{proof.events:,} events, {proof.first} to {proof.last}, {moment(proof.since)} to "
            f"{moment(proof.until)}: each follows from the one before, none is missing"
        )
    if proof.pruned_by:
        yield f"older ones were pruned: what they had come to is what event {proof.pruned_by} says"
    yield f"the facts of {proof.keys} databases, streams and others are what the events make of them"
    file = Path(settings.data.root) / NAME
    if witness is None:
        yield f"nothing outside of it vouches for it: {file} does not say which event was the newest"
    elif proof.outside is None:
        yield f"nothing outside of it vouches for it: event {witness.sequence}, noted in {file}, was pruned"
    else:
        yield f"event {proof.outside} is the one that was noted in {file}"


def _require_known(journal: Journal, key: str) -> None:
    from watcher.state import Facts

    if journal.facts(key) == Facts():
        raise ConfigError(
            f"--key: nothing is known of {key!r}; name a day such as ticks/2026-01-20, a stream such as "
            "ticks, or - for the daemon"
        )


def as_json(entry: Entry) -> str:
    import msgspec

    return msgspec.json.encode(entry).decode() + "\n"


def as_csv(entries: Iterable[Entry]) -> Iterator[str]:
    import csv

    writer: Any = csv.writer(_Line(), lineterminator="\n")
    yield writer.writerow(COLUMNS)
    for entry in entries:
        policy = "; ".join(f"{name}: {rule}" for name, rule in (entry.policy or {}).items())
        known = (entry.sequence, entry.time, entry.event, entry.key, bytes(entry.data).decode(), entry.hash)
        yield writer.writerow((*known, policy))


class _Line:
    """What a writer of CSV writes to, so that it hands back each line."""

    def write(self, text: str) -> str:
        return text


def _require_new(out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise ConfigError(f"{out} exists already; it is left as it is: name another file")


def _write(out: Path, lines: Iterable[str]) -> None:
    from handlers.contract import StepError
    from handlers.files import publish_new, temporary

    try:
        with temporary(out) as fresh:
            with fresh.open("x", encoding="utf-8", newline="") as stream:
                stream.writelines(lines)
            publish_new(fresh, out)
    except FileExistsError:
        _require_new(out)
        raise
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}") from None
    except StepError as error:
        raise ConfigError(f"{error.message}; {error.hint}") from None
