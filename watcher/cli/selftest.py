"""``tickward selftest``: does everything hold on this very machine?"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.asking import JSON
from watcher.cli.context import Context, write_json
from watcher.errors import EXIT_DONE, EXIT_STEP_FAILED, ConfigError

if TYPE_CHECKING:
    from watcher.selftest.rehearsal import Tell
    from watcher.selftest.result import Machine, Proof, Selftest
    from watcher.selftest.scene import Hold
    from watcher.settings import Settings

_NAME = "tickward-selftest-"
_ROOM_BYTES = 200_000_000
_LONGEST_FOLDER = 70
"""So many bytes may its path have: those of sockets are bounded, and there are some in it."""


def selftest(
    context: typer.Context,
    days: Annotated[
        int, typer.Option(min=3, max=400, metavar="N", help="How many days are lived through.")
    ] = 14,
    place: Annotated[
        Path | None,
        typer.Option(
            "--in", metavar="DIR", help="Where, to prove that disk; else the system's directory for such."
        ),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave what was made, also if all holds.")] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Prove on this machine that days are looked after: two weeks in 20 seconds, in a temporary place.

    A real daemon and a real writer live through the days. Then days are compressed, archived, read in every
    tier and compared with what was written, damaged and repaired, restored, held and deleted; the journal is
    audited, and forged. Each proof is a line, with what was measured. Nothing that is configured is touched:
    no day, no state, no address.

    Exit status: 0 every proof holds; 1 one does not, and what was made is kept to be looked at; 2 usage or
    configuration; 130, 143 ended by Ctrl-C, by SIGTERM.

    Examples:
        tickward selftest
        tickward selftest --in /srv --days 60  # on the disk that the days will be on

    See also:
        `tickward demo` shows days go by; `tickward config check` looks at what is configured.
    """
    from watcher.interruption import Interrupted, Interruption

    options: Context = context.obj
    where = _checked(options, place)
    if not json:
        _point_elsewhere(options, where)
    interruption = Interruption()
    try:
        with interruption.handled():
            found = _rehearsed(where, days, keep, (lambda _: None) if json else _say, interruption.held)
    except Interrupted as interrupted:  # what was started has ended, and what was made is gone
        raise typer.Exit(interrupted.exit_code) from None
    if json:
        write_json(found)
    else:
        _say_end(found)
    raise typer.Exit(EXIT_DONE if found.ok else EXIT_STEP_FAILED)


def _rehearsed(where: Path, days: int, keep: bool, tell: Tell, hold: Hold) -> Selftest:
    """The self-test in a new folder, which is kept only where there is something to look at."""
    import shutil

    from msgspec.structs import replace

    from watcher.selftest.rehearsal import rehearse

    folder = Path(tempfile.mkdtemp(prefix=_NAME, dir=where))
    typer.echo(f"{days} days, in {folder} ...", err=True)
    kept = False
    try:
        found = rehearse(folder, days, tell, hold)
        kept = keep or not found.ok
        return replace(found, kept=kept)
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


def _checked(options: Context, place: Path | None) -> Path:
    """Where to do it. Raises `ConfigError` if it cannot be done there, or must not."""
    import shutil

    where = Path(tempfile.gettempdir()) if place is None else place
    if not (where.is_dir() and os.access(where, os.W_OK | os.X_OK)):
        raise ConfigError(f"--in {where}: no directory that can be written to; make it, or name another")
    where = where.resolve()
    for name, managed in _managed(options).items():
        if where == managed or where.is_relative_to(managed):
            raise ConfigError(f"--in {where}: that is in data.{name}, where only days may be; name another")
    if len(os.fsencode(where)) > _LONGEST_FOLDER:
        raise ConfigError(f"--in {where}: too long a path for the sockets in it; name a shorter one")
    if shutil.disk_usage(where).free < _ROOM_BYTES:
        raise ConfigError(
            f"--in {where}: less than {_ROOM_BYTES // 1_000_000} MB are free there; name another"
        )
    return where


def _managed(options: Context) -> dict[str, Path]:
    from watcher.settings import TOPS

    settings = _settings(options)
    return {name: Path(getattr(settings.data, name)).resolve() for name in TOPS} if settings else {}


def _settings(options: Context) -> Settings | None:
    """None: it cannot be meant, and that is no reason not to try the machine, unless it was named."""
    try:
        return options.load()
    except ConfigError:
        if options.config_file is not None:
            raise
        return None


def _point_elsewhere(options: Context, where: Path) -> None:
    """Say so if the days are on another file system than the one that is tried."""
    settings = _settings(options)
    root = Path(settings.data.root) if settings else where
    if root.exists() and root.stat().st_dev != where.stat().st_dev:
        typer.echo(
            f"the days are on another disk: `tickward selftest --in {root.parent}` tries that one", err=True
        )


def _say(found: Machine | Proof) -> None:
    from watcher.selftest.result import Proof

    for line in _proof_line(found) if isinstance(found, Proof) else _machine_lines(found):
        typer.echo(line)


def _proof_line(proof: Proof) -> list[str]:
    if proof.ok:
        return [f"ok      {proof.name:<9} {proof.said}  [{proof.seconds:.1f} s]"]
    return [f"FAILED  {proof.name:<9} {proof.said}", f"        {'':<9} {proof.hint}"]


def _machine_lines(machine: Machine) -> list[str]:
    from watcher.wording import count_of, size

    lease, event = machine.lease_us, machine.event_ms
    return [
        f"machine           {machine.system}, {count_of(machine.cpus, 'CPU')}; {machine.versions}",
        f"file system       {machine.filesystem or 'unknown'} on {machine.mounted_on or '?'}, "
        f"{size(machine.free_bytes)} free; 4 KiB are on the disk in {machine.fsync_ms:.1f} ms "
        f"(at worst {machine.fsync_worst_ms:.1f})",
        "leases            "
        + ("none" if lease is None else f"whether somebody writes is told in {lease:.0f} us"),
        "file events       " + ("none" if event is None else f"heard after {event:.1f} ms (inotify)"),
        *(f"note              {note}" for note in machine.notes),
    ]


def _say_end(found: Selftest) -> None:
    from watcher.wording import count_of

    failed = sum(not proof.ok for proof in found.proofs)
    what = f"{count_of(failed, 'proof')} failed" if failed else f"all {len(found.proofs)} proofs hold"
    left = f"; {found.folder} is kept" if found.kept else ""
    typer.echo(f"{what}: {found.days} days, {found.ticks:,} ticks, in {found.seconds:.0f} s{left}")
