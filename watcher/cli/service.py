"""``tickward service``: have the daemon run by the system."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.asking import DRY_RUN, JSON
from watcher.cli.context import Context, say, write_json
from watcher.errors import EXIT_DONE, EXIT_STEP_FAILED, ConfigError

if TYPE_CHECKING:
    from watcher.service.installation import Kind, Report
    from watcher.service.target import Target

app = typer.Typer(
    help="Have the daemon run by the system: systemd, cron, launchd, Windows.", no_args_is_help=True
)


class KindName(Enum):
    """What starts it."""

    systemd = "systemd"
    cron = "cron"
    launchd = "launchd"
    windows = "windows"


OfKind = Annotated[
    KindName | None, typer.Option("--kind", help="What is to start it; else what this machine has.")
]
ForAll = Annotated[
    bool | None, typer.Option("--system/--user", help="For the system, or for you; else as who you are.")
]
As = Annotated[
    str | None, typer.Option("--as", metavar="USER", help="As whom it runs; else the owner of the data.")
]
Program = Annotated[
    Path | None, typer.Option("--program", metavar="FILE", help="The tickward to run; else this one.")
]
Root = Annotated[Path, typer.Option("--root", metavar="DIR", help="Of an image: written there, not started.")]
Scheduled = Annotated[
    bool, typer.Option("--scheduled", help="Windows: tasks at fixed times, in place of the daemon.")
]
Force = Annotated[bool, typer.Option("--force", help="Also where you are told to look first.")]


@app.command()
def show(
    context: typer.Context,
    kind: OfKind = None,
    system: ForAll = None,
    user: As = None,
    program: Program = None,
    scheduled: Scheduled = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Print what would be installed. Changes nothing.

    Exit status: 0 done; 1 it cannot be done; 2 usage or configuration.

    Examples:
        tickward service show
        tickward service show --kind cron --system --as engine

    See also:
        `tickward service install`.
    """
    from watcher.service.aim import left_behind

    chosen, target = _aimed(context, kind, system, user, program, Path("/"), scheduled)
    text, notes = chosen.show(target), left_behind()
    if json:
        from watcher.cli.documents.service import ShownService

        write_json(ShownService(chosen.name, target.scope, target.user, text, notes))  # type: ignore[arg-type]
        return
    typer.echo(text, nl=not text.endswith("\n"))
    for note in notes:
        say(note)


@app.command()
def install(
    context: typer.Context,
    kind: OfKind = None,
    system: ForAll = None,
    user: As = None,
    program: Program = None,
    root: Root = Path("/"),
    scheduled: Scheduled = False,
    dry_run: Annotated[bool, DRY_RUN] = False,
    force: Force = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Install the service and start it. Again: bring it up to date, if it is not.

    A file of somebody else's is never replaced, one of ours that was edited by hand is kept aside. What fails
    half-way is undone.

    Exit status: 0 done or nothing to do; 1 it cannot be done; 2 usage or configuration.

    Examples:
        sudo tickward -c /etc/tickward/config.toml service install
        tickward service install --kind cron --user --dry-run

    See also:
        `tickward service show` first; `tickward service status` afterwards.
    """
    from watcher.service.aim import left_behind, missing_in
    from watcher.service.installation import How
    from watcher.service.others import notes_for
    from watcher.service.program import require_lasting, require_usable
    from watcher.service.users import note_on, require_known

    options: Context = context.obj
    how = How(dry_run or options.dry_run, force)
    chosen, target = _aimed(context, kind, system, user, program, root, scheduled)
    require_lasting(Path(target.program[0]))
    if chosen.name != "windows":
        require_known(target)
    if target.is_this_machine and not how.dry_run:
        require_usable(target)
    report = chosen.install(target, how)
    notes = (*note_on(target), *missing_in(target), *notes_for(target), *left_behind())
    _say(chosen, target, report, how.dry_run, json, notes)


@app.command()
def uninstall(
    context: typer.Context,
    kind: OfKind = None,
    system: ForAll = None,
    user: As = None,
    program: Program = None,
    root: Root = Path("/"),
    scheduled: Scheduled = False,
    dry_run: Annotated[bool, DRY_RUN] = False,
    force: Force = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Stop the service and undo what `install` did, and nothing else: no day is touched.

    Exit status: 0 done or nothing to do; 1 it cannot be done, or not all of it; 2 usage or configuration.

    Examples:
        sudo tickward -c /etc/tickward/config.toml service uninstall

    See also:
        `tickward service status`.
    """
    from watcher.service.installation import How

    options: Context = context.obj
    how = How(dry_run or options.dry_run, force)
    chosen, target = _aimed(context, kind, system, user, program, root, scheduled, installed=True)
    _say(chosen, target, chosen.uninstall(target, how), how.dry_run, json)


@app.command()
def status(
    context: typer.Context,
    kind: OfKind = None,
    system: ForAll = None,
    user: As = None,
    program: Program = None,
    root: Root = Path("/"),
    scheduled: Scheduled = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Say whether it is installed, is what would be installed now, and runs. Changes nothing.

    Exit status: 0 it is all of that; 1 it is not; 2 usage or configuration.

    Examples:
        tickward -c /etc/tickward/config.toml service status

    See also:
        `tickward status` says how the days are.
    """
    from watcher.service.others import notes_for
    from watcher.service.users import note_on

    chosen, target = _aimed(context, kind, system, user, program, root, scheduled, installed=True)
    notes = (*note_on(target), *notes_for(target))
    _say(chosen, target, chosen.state(target), dry_run=False, json=json, more=notes, nothing="")


def _aimed(
    context: typer.Context,
    kind: KindName | None,
    system: bool | None,
    user: str | None,
    program: Path | None,
    root: Path,
    scheduled: bool,
    installed: bool = False,
) -> tuple[Kind, Target]:
    """``installed``: as what is there, where nothing else is asked for. Raises `ConfigError`."""
    from watcher.service.aim import Wishes, target_for
    from watcher.service.found import as_installed
    from watcher.service.kinds import KINDS, detected

    options: Context = context.obj
    name = detected() if kind is None else kind.value
    if scheduled and name not in ("cron", "windows"):
        raise ConfigError(f"--scheduled: {name} runs the daemon, which needs no schedule; leave it out")
    scope = None if system is None else "system" if system else "user"
    wishes = Wishes(options.config_file, scope, user, program, root, scheduled, not installed)  # type: ignore[arg-type]
    chosen, target = KINDS[name], target_for(wishes)
    return chosen, as_installed(chosen, target, wishes) if installed else target


def _say(
    kind: Kind,
    target: Target,
    report: Report,
    dry_run: bool,
    json: bool,
    more: tuple[str, ...] = (),
    nothing: str = "nothing to do",
) -> None:
    """Raises `typer.Exit` with the exit status."""
    notes = (*report.notes, *more)
    if json:
        from watcher.cli.documents.service import ServiceReport

        done = (kind.name, target.scope, target.user, report.ok, dry_run, report.done, notes)
        write_json(ServiceReport(*done))  # type: ignore[arg-type]
    else:
        for line in report.done or ((nothing,) if nothing else ()):
            typer.echo(line)
        for note in notes:
            typer.echo(note if not nothing else f"note: {note}")
    raise typer.Exit(EXIT_DONE if report.ok else EXIT_STEP_FAILED)
