"""``tickward report``: what was kept and deleted, and how that is known, for a regulator to print."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from msgspec import Struct

from watcher.cli.context import Context, write_json
from watcher.errors import ConfigError, TickwardError


class ReportFile(Struct, frozen=True):
    """A report that was written: the answer of ``tickward report --json``."""

    path: str
    """The file."""
    sha256: str
    """Of the file, in hexadecimal."""
    bytes: int
    """Its size."""
    first: date
    """The first day that it is of, YYYY-MM-DD."""
    last: date
    """The last one."""
    certificates: int
    """Deletions that are certified in it."""
    sound: bool
    """Whether the journal is what was recorded."""
    problem: str
    """Why not; empty: it is."""


def report(
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write, such as report.html.")],
    first: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="Only of days from this one on.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="Only of days up to this one.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace an earlier report of this name.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the compliance report: one HTML file that needs nothing else, to be read or printed.

    The policy, every day by tier, sizes and ratios over time, every deletion with its certificate, what went
    wrong, and the proof of the journal. DAY is the date of the ticks. If the journal is not what was
    recorded, it is written all the same, and says so first. It needs the extra `report`.

    Exit status: 0 done; 1 the journal is not what was recorded; 2 usage or configuration.

    Examples:
        tickward report --out report.html
        tickward report --out january.html --from 2026-01-01 --to 2026-01-31

    See also:
        `tickward policy --prove`; `tickward audit export`.
    """
    import hashlib

    from watcher.audit import Finding
    from watcher.cli.place import date_given
    from watcher.premises import clock_of
    from watcher.report.make import contents
    from watcher.report.page import page
    from watcher.report.plots import require_plots

    options: Context = context.obj
    settings = options.load()
    _require_writable(out, force=force)
    require_plots()  # before the long work
    begin = date_given("--from", first) if first is not None else None
    end = date_given("--to", last) if last is not None else None
    found = contents(settings, clock_of(settings.clock).now(), begin, end)
    content = page(found).encode()
    _write(out, content, force=force)
    written = ReportFile(
        path=str(out.absolute()),
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        first=found.within.first,
        last=found.within.last,
        certificates=len(found.chronicle.certificates),
        sound=not isinstance(found.audit, Finding),
        problem=found.audit.problem if isinstance(found.audit, Finding) else "",
    )
    if json:
        write_json(written)
        if not written.sound:
            raise typer.Exit(TickwardError.exit_code)
        return
    typer.echo(f"wrote {out}: {written.first} to {written.last}, SHA-256 {written.sha256}")
    if not written.sound:
        raise TickwardError(
            f"the journal is not what was recorded: {written.problem}; the report says so, and `tickward "
            "audit verify` what to do next"
        )


def _require_writable(out: Path, *, force: bool) -> None:
    """Nothing but an earlier report is ever replaced, and that only if it was asked for."""
    from watcher.report.page import BEGINS

    if not (out.exists() or out.is_symlink()):
        if not out.absolute().parent.is_dir():
            raise ConfigError(
                f"--out: there is no directory {out.absolute().parent}; make it, or name another"
            )
        return
    if not force:
        raise ConfigError(f"{out} exists already; it is left as it is: name another file, or use --force")
    try:
        with out.open("rb") as file:
            begins = file.read(len(BEGINS))
    except OSError as error:
        raise ConfigError(f"{out} is no report ({error.strerror}): name another file") from None
    if begins != BEGINS.encode():
        raise ConfigError(f"{out} is no report of tickward's; it is left as it is: name another file")


def _write(out: Path, content: bytes, *, force: bool) -> None:
    from handlers.contract import StepError
    from handlers.files import publish_new, publish_over, temporary

    try:
        with temporary(out) as fresh:
            with fresh.open("xb") as stream:
                stream.write(content)
            (publish_over if force else publish_new)(fresh, out)
    except FileExistsError:
        _require_writable(out, force=force)
        raise
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}") from None
    except StepError as error:
        raise ConfigError(f"{error.message}; {error.hint}") from None
