"""``tickward adopt``: take over a tree that others have looked after."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.asking import JSON, ask_each
from watcher.cli.context import Context, write_json
from watcher.errors import EXIT_DONE, EXIT_STEP_FAILED, ConfigError, TickwardError

if TYPE_CHECKING:
    from watcher.adopt.finding import Findings
    from watcher.cli.documents.adopt import Copied
    from watcher.settings import Settings


def adopt(
    context: typer.Context,
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[PATH]", help="A part of the tree, or another tree; else data.root."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it. Without, only what would be done is shown.")
    ] = False,
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy days from elsewhere to where they belong.")
    ] = False,
    reencode: Annotated[
        bool,
        typer.Option("--reencode", help="Make compressed files anew of which no part can be read alone."),
    ] = False,
    accept_journal: Annotated[
        bool, typer.Option("--accept-journal", help="The journal that was here before is lost for good.")
    ] = False,
    stream: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of which stream days elsewhere are.")
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Take over days that scripts have looked after so far, or whose journal is lost.

    First it only shows what is there. With --yes every compressed day that the journal does not know is read
    to its last byte, in all its copies; its content is checked, counted and hashed; and what that proves is
    recorded. Past days that are not compressed are sealed as every day is. No file is changed, unless --copy
    or --reencode says so. Days that are known are passed over: whatever interrupts it, call it again.

    It says what files cannot prove: holds, deletions, dates. If rotation_metadata.json knows another journal,
    nothing is compressed, archived or deleted until --accept-journal; order anew before that what is to be
    kept.

    Exit status: 0 done, or shown; 1 something cannot be taken over: it is named, with what to do; 2 usage or
    configuration; 3 another instance is at work.

    Examples:
        tickward adopt                # what is there?
        tickward adopt --yes
        tickward adopt /mnt/old/ticks --copy --yes
        tickward adopt --reencode --yes
        tickward adopt --accept-journal

    See also:
        `tickward inventory` shows every day; `tickward expire --dry-run` what would be deleted then.
    """
    options: Context = context.obj
    settings = options.load()
    if accept_journal:
        options.refuse_dry_run("nothing is changed; unset it to accept the journal")
        _accept(settings, json=json)
        return
    found = _find(settings, path, stream, reencode=reencode)
    if not yes or options.dry_run:
        _show(found, copy=copy, json=json)
    else:
        _take_over(options, settings, found, path, stream, copy=copy, reencode=reencode, json=json)


def _find(
    settings: Settings,
    path: Path | None,
    stream: str | None,
    *,
    reencode: bool,
    only: frozenset[str] | None = None,
) -> Findings:
    from watcher.adopt.finding import find
    from watcher.cli.place import stream_of
    from watcher.premises import clock_of

    named = stream_of(stream, settings) if stream is not None else None
    return find(settings, clock_of(settings.clock).now(), path, named, reencode=reencode, only=only)


def _show(found: Findings, *, copy: bool, json: bool) -> None:
    from watcher.cli.adopt_screen import problems, told, unproven

    if json:
        from watcher.cli.documents.adopt import Adoption

        write_json(Adoption(True, found, (), (), (), (), {}, 0, 0, unproven(found)))
    else:
        for line in told(found, copy=copy):
            typer.echo(line)
    raise typer.Exit(EXIT_STEP_FAILED if problems(found) else EXIT_DONE)


def _take_over(
    options: Context,
    settings: Settings,
    found: Findings,
    path: Path | None,
    stream: str | None,
    *,
    copy: bool,
    reencode: bool,
    json: bool,
) -> None:
    from watcher.adopt.finding import backups, orders
    from watcher.cli.adopt_ending import ending, uneven
    from watcher.cli.adopt_screen import Told, plan, problems, unproven
    from watcher.cli.documents.adopt import Adoption
    from watcher.metadata import keep_foreign
    from watcher.paths import resolved

    kept = keep_foreign(Path(resolved(settings).data.root))
    if kept is not None and not json:
        typer.echo(f"what scripts had noted is kept as {kept}")
    copied = list(_copied(found, json=json)) if copy else []
    if any(not each.problem for each in copied):
        found = _found_again(settings, found, copied, path, stream, reencode=reencode)
    if not json:
        for line in plan(found, would=False):
            typer.echo(line)
    teller = Told(json)
    with teller:
        for order in orders(found, reencode=reencode):
            ask_each(options, settings, order, teller)
        for order in backups(teller.sealed()):
            ask_each(options, settings, order, teller)
    done, failed = (teller.finished.done, teller.finished.failed) if teller.finished else (0, 0)
    failed += len(problems(found)) + sum(bool(each.problem) for each in copied)
    if json:
        write_json(
            Adoption(
                dry_run=False,
                found=found,
                copied=tuple(copied),
                planned=tuple(teller.planned),
                ended=tuple(teller.ended),
                uneven=tuple(uneven(teller)),
                remarks=teller.remarks(),
                done=done,
                failed=failed,
                not_proven=unproven(found),
            )
        )
    else:
        for line in ending(teller, found, copied, done=done, failed=failed, copy=copy):
            typer.echo(line)
    raise typer.Exit(EXIT_STEP_FAILED if failed else EXIT_DONE)


def _copied(found: Findings, *, json: bool) -> Iterator[Copied]:
    from watcher.adopt.copying import bring
    from watcher.cli.adopt_screen import copied_line
    from watcher.cli.documents.adopt import Copied

    for stray in found.strays:
        if not stray.target:
            continue
        try:
            is_new, problem = bring(stray), ""
        except TickwardError as error:
            is_new, problem = False, str(error)
        if not json:
            typer.echo(copied_line(stray.database, stray.path, problem, is_new=is_new))
        yield Copied(stray.path, stray.target, stray.database, problem)


def _found_again(
    settings: Settings,
    before: Findings,
    copied: list[Copied],
    path: Path | None,
    stream: str | None,
    *,
    reencode: bool,
) -> Findings:
    """What there is now; of another tree only what came from it."""
    from msgspec.structs import replace

    done = [each for each in copied if not each.problem]
    keys = frozenset(each.database for each in done)
    found = _find(settings, None, stream, reencode=reencode, only=None if path is None else keys)
    paths = {each.path for each in done}
    strays = tuple(each for each in before.strays if each.path not in paths)
    return replace(found, strays=strays, gaps=before.gaps, noted=before.noted)


def _accept(settings: Settings, *, json: bool) -> None:
    """Whatever another journal knew, this one is the journal from now on."""
    from watcher.journal import reading
    from watcher.lock import Lock
    from watcher.metadata import doubt, set_aside
    from watcher.paths import journal_file, resolved

    data = resolved(settings).data
    root = Path(data.root)
    with reading(journal_file(data)) as journal:
        if journal is None:
            raise TickwardError("there is no journal yet: `tickward adopt --yes` begins one")
        if not doubt(root, journal):
            raise ConfigError(
                "--accept-journal: nothing speaks against this journal; there is nothing to accept"
            )
    aside = set_aside(root)
    restart = Lock(Path(data.state)).holder() is not None
    if json:
        from watcher.cli.documents.adopt import Accepted

        write_json(Accepted(str(aside), restart))
        return
    typer.echo(f"this is the journal from now on; what was noted of the other one is kept as {aside}")
    if restart:
        typer.echo("start the daemon anew: it goes by what it saw at its start")
