"""``tickward adopt``: take over a tree that others have looked after."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.asking import JSON, Teller, ask_each
from watcher.cli.context import Context, write_json
from watcher.errors import EXIT_DONE, EXIT_STEP_FAILED, ConfigError, TickwardError

if TYPE_CHECKING:
    from watcher.adopt.finding import Findings
    from watcher.adopt.tree import Stray
    from watcher.cli.documents.adopt import Copied
    from watcher.settings import Settings

_MOST_SHOWN = 20


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


def _find(settings: Settings, path: Path | None, stream: str | None, *, reencode: bool) -> Findings:
    from watcher.adopt.finding import find
    from watcher.cli.place import stream_of
    from watcher.premises import clock_of

    named = stream_of(stream, settings) if stream is not None else None
    return find(settings, clock_of(settings.clock).now(), path, named, reencode=reencode)


def _show(found: Findings, *, copy: bool, json: bool) -> None:
    if json:
        from watcher.cli.documents.adopt import Adoption

        write_json(Adoption(True, found, (), (), (), 0, 0, _unproven(found)))
    else:
        for line in _told(found, copy=copy):
            typer.echo(line)
    raise typer.Exit(EXIT_STEP_FAILED if _problems(found) else EXIT_DONE)


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
    from watcher.adopt.finding import orders
    from watcher.cli.documents.adopt import Adoption
    from watcher.metadata import keep_foreign
    from watcher.paths import resolved

    kept = keep_foreign(Path(resolved(settings).data.root))
    if kept is not None and not json:
        typer.echo(f"what scripts had noted is kept as {kept}")
    copied = list(_copied(found, json=json)) if copy else []
    if any(not each.problem for each in copied):
        strays = found.strays
        found = _found_again(_find(settings, None, stream, reencode=reencode), copied, path, strays)
    with Teller(json) as teller:
        for order in orders(found, reencode=reencode):
            ask_each(options, settings, order, teller)
    uneven = list(_uneven(teller))
    done, failed = (teller.finished.done, teller.finished.failed) if teller.finished else (0, 0)
    failed += len(_problems(found)) + sum(bool(each.problem) for each in copied)
    if json:
        write_json(
            Adoption(
                dry_run=False,
                found=found,
                copied=tuple(copied),
                planned=tuple(teller.planned),
                ended=tuple(teller.ended),
                done=done,
                failed=failed,
                not_proven=_unproven(found),
            )
        )
    else:
        for line in (*uneven, *_ending(found, done, failed, copy=copy)):
            typer.echo(line)
    raise typer.Exit(EXIT_STEP_FAILED if failed else EXIT_DONE)


def _copied(found: Findings, *, json: bool) -> Iterator[Copied]:
    from watcher.adopt.copying import bring
    from watcher.cli.documents.adopt import Copied

    for stray in found.strays:
        if not stray.target:
            continue
        try:
            is_new, problem = bring(stray), ""
        except TickwardError as error:
            is_new, problem = False, str(error)
        if not json:
            typer.echo(
                f"{stray.database}  {problem or ('copied' if is_new else 'is there already')}: {stray.path}"
            )
        yield Copied(stray.path, stray.target, stray.database, problem)


def _found_again(
    found: Findings, copied: list[Copied], path: Path | None, strays: tuple[Stray, ...]
) -> Findings:
    """What there is now; of another tree only what came from it."""
    from msgspec.structs import replace

    done = {each.path for each in copied if not each.problem}
    keys = {each.database for each in copied if not each.problem}
    if path is not None:
        found = replace(
            found,
            unknown=tuple(key for key in found.unknown if key in keys),
            to_seal=tuple(key for key in found.to_seal if key in keys),
            refused={key: why for key, why in found.refused.items() if key in keys},
        )
    return replace(found, strays=tuple(each for each in strays if each.path not in done))


def _problems(found: Findings) -> list[str]:
    """What a person has to see to: a line each."""
    strays = [f"{each.path}: {each.problem}" for each in found.strays if each.problem]
    return [*(f"{key}: {why}" for key, why in found.refused.items()), *strays]


def _unproven(found: Findings) -> tuple[str, ...]:
    from watcher.adopt.finding import UNPROVEN

    return UNPROVEN if found.unknown or found.doubt else ()


def _told(found: Findings, *, copy: bool) -> Iterator[str]:
    from watcher.wording import count_of, size, span

    yield f"{count_of(found.known, 'day is', 'days are')} known"
    if found.unknown:
        amount = size(found.unknown_bytes)
        yield f"{span(found.unknown)}  would be read ({amount}), checked and recorded: the journal has none"
    if found.to_seal:
        yield f"{span(found.to_seal)}  would be sealed and backed up, as every day is: not compressed"
    placed = [each for each in found.strays if each.target]
    for stray in placed[:_MOST_SHOWN]:
        would = (
            f"would be copied to {stray.target}"
            if copy
            else f"belongs to {stray.target}: --copy puts a copy there"
        )
        yield f"{stray.database}  {stray.path}  {would}"
    yield from _more(len(placed), "file")
    yield from _warnings(found)
    if found.unknown or found.to_seal or (placed and copy):
        yield "nothing was changed: --yes does it"
    elif not placed:
        yield "nothing is to be taken over"


def _uneven(teller: Teller) -> Iterator[str]:
    """Copies that are not to the last byte what they should be, although nothing is missing in them."""
    for ended in teller.ended:
        for copy in (ended.data or {}).get("copies", ()) if ended.event == "adopted" else ():
            if copy["problem"]:
                mend = f"`tickward verify {ended.database}` makes it the same"
                if not copy["path"].endswith(".zst"):
                    mend = "move it away, and the next pass makes a second copy"
                yield f"{copy['path']} {copy['problem']}: {mend}"


def _ending(found: Findings, done: int, failed: int, *, copy: bool) -> Iterator[str]:
    from watcher.wording import count_of

    left = sum(bool(each.target) for each in found.strays)
    if left and not copy:
        some = count_of(left, "file is", "files are")
        yield f"{some} elsewhere, and left there: --copy brings copies of them"
    yield f"{count_of(done, 'step')} done, {failed} not"
    yield from _warnings(found)


def _warnings(found: Findings) -> Iterator[str]:
    from watcher.wording import count_of

    problems = _problems(found)
    yield from problems[:_MOST_SHOWN]
    yield from _more(len(problems), "problem")
    if found.past_retention:
        some = count_of(found.past_retention, "of these days is", "of these days are")
        yield (
            f"{some} past the retention: they are kept for another week (restore.keep_days), then they go "
            "the usual way to deletion, which asks first where many are due; `tickward hold` keeps what is "
            "to be kept, `expire.enabled = false` all of them"
        )
    unproven = _unproven(found)
    if unproven:
        yield "files cannot prove:"
        yield from (f"  {each}" for each in unproven)
    if found.doubt:
        yield found.doubt
        yield "when what must be kept is on hold again: `tickward adopt --accept-journal`"


def _more(count: int, noun: str) -> Iterator[str]:
    from watcher.wording import count_of

    if count > _MOST_SHOWN:
        yield f"... and {count_of(count - _MOST_SHOWN, f'more {noun}')}: --json lists them"


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
