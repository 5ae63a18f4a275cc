"""``tickward rotate``, ``seal``, ``backup``, ``compress``, ``archive``, ``expire``, ``merge``: a step, now.

With a daemon running it is handed to the daemon and followed to its end; without one it is done here, under
the same lock. The hour of a schedule gives way to the order; the age of a day gives way to its being named,
except for a deletion; the rails give way to nobody.
"""

from __future__ import annotations

from typing import Annotated

import typer

from handlers.contract import Step
from watcher.cli.asking import DAYS, DRY_RUN, JSON, carry_out, keys_of
from watcher.cli.context import Context
from watcher.errors import ConfigError

Days = Annotated[list[str] | None, DAYS]
DryRun = Annotated[bool, DRY_RUN]
Json = Annotated[bool, JSON]


def rotate(context: typer.Context, days: Days = None, dry_run: DryRun = False, json: Json = False) -> None:
    """Announce a rotation that is due, and create the databases of the days ahead.

    A database is never made over a file that is there. If a daemon runs, it does the work, and this follows
    it to its end: Ctrl-C stops following, not the work.

    Exit status: 0 done, or nothing to do; 1 it failed or was refused; 2 usage or configuration; 3 another
    instance is at work.

    Examples:
        tickward rotate --dry-run
        tickward rotate

    See also:
        `tickward run` does it at midnight UTC.
    """
    _order(context, Step.CREATE, days, dry_run, json)


def seal(context: typer.Context, days: Days = None, dry_run: DryRun = False, json: Json = False) -> None:
    """Seal days that are over and whose writer has gone: fold, check, count, hash.

    A day that somebody holds open is refused, and who that is is told. If a daemon runs, it does the work,
    and this follows it to its end: Ctrl-C stops following, not the work.

    Exit status: 0 done, or nothing to do; 1 it failed or was refused; 2 usage or configuration; 3 another
    instance is at work.

    Examples:
        tickward seal 2026-01-20
        tickward seal  # all that are over

    See also:
        `tickward backup` is what comes next.
    """
    _order(context, Step.SEAL, days, dry_run, json)


def backup(context: typer.Context, days: Days = None, dry_run: DryRun = False, json: Json = False) -> None:
    """Make the second copy of sealed days, read back and compared.

    What bears a backup's name and is none of ours is set aside, never overwritten. If a daemon runs, it does
    the work, and this follows it to its end: Ctrl-C stops following, not the work.

    Exit status: 0 done, or nothing to do; 1 it failed or was refused; 2 usage or configuration; 3 another
    instance is at work.

    Examples:
        tickward backup 2026-01-20
        tickward backup --dry-run

    See also:
        `tickward verify` reads the copies again.
    """
    _order(context, Step.BACKUP, days, dry_run, json)


def compress(
    context: typer.Context,
    days: Days = None,
    after_days: Annotated[
        int | None,
        typer.Option(min=0, max=36500, metavar="N", help="Those older than N days; else as configured."),
    ] = None,
    level: Annotated[
        int | None, typer.Option(min=1, max=22, metavar="L", help="zstd's scale; else compress.level.")
    ] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Compress backed-up days, both copies, and remove the uncompressed ones once all is proven.

    A day that is named is compressed whatever its age. The ticks stay readable by SQL (`tickward query`). If
    a daemon runs, it does the work, and this follows it to its end: Ctrl-C stops following, not the work.

    Exit status: 0 done, or nothing to do; 1 it failed or was refused; 2 usage or configuration; 3 another
    instance is at work.

    Examples:
        tickward compress  # all that are of age
        tickward compress 2026-01-20 2026-01-21
        tickward compress --after-days 3 --level 12 --dry-run

    See also:
        `tickward restore` is the way back; `tickward forecast` tells what it saves.
    """
    _order(context, Step.COMPRESS, days, dry_run, json, after_days=after_days, level=level)


def archive(
    context: typer.Context,
    days: Days = None,
    after_days: Annotated[
        int | None, typer.Option(min=0, max=36500, metavar="N", help="Those older than N days.")
    ] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Move compressed days to the archive.

    Each is read back there before it goes here. A day that is named is moved whatever its age. If a daemon
    runs, it does the work, and this follows it to its end: Ctrl-C stops following, not the work.

    Exit status: 0 done, or nothing to do; 1 it failed or was refused; 2 usage or configuration; 3 another
    instance is at work.

    Examples:
        tickward archive  # all that are of age
        tickward archive 2026-01-20

    See also:
        `tickward restore` brings a day back.
    """
    _order(context, Step.ARCHIVE, days, dry_run, json, after_days=after_days)


def expire(
    context: typer.Context,
    days: Days = None,
    confirm: Annotated[
        int, typer.Option(min=0, metavar="N", help="Agree to N deletions at once: the number that is due.")
    ] = 0,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Delete every copy of days past their retention, with a certificate. Never sooner, never on hold.

    A day that is named is not deleted before its age either. If more than expire.max_at_once are due, nothing
    goes until --confirm agrees to their number. If a daemon runs, it does the work, and this follows it to
    its end: Ctrl-C stops following, not the work.

    Exit status: 0 done, or nothing to do; 1 it failed or was refused; 2 usage or configuration; 3 another
    instance is at work.

    Examples:
        tickward expire --dry-run     # what would go, and why
        tickward expire --confirm 12  # agree to the number that was shown

    See also:
        `tickward hold` keeps a day; `tickward history DAY` shows the certificate.
    """
    _order(context, Step.EXPIRE, days, dry_run, json, confirmed=confirm)


def merge(
    context: typer.Context,
    days: Annotated[list[str], typer.Argument(metavar="DAY...", help="2026-01-20, or ticks/2026-01-20.")],
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Bring the ticks of a late file into the compressed day that it stands beside; it is sealed anew.

    What the day cannot take is kept in a file of its own, and said. If a daemon runs, it does the work, and
    this follows it to its end: Ctrl-C stops following, not the work.

    Exit status: 0 done, or nothing to do; 1 it failed or was refused; 2 usage or configuration; 3 another
    instance is at work.

    Examples:
        tickward merge 2026-01-20 --dry-run
        tickward merge 2026-01-20

    See also:
        `tickward history DAY` tells how many ticks came in.
    """
    _order(context, Step.MERGE, days, dry_run, json)


def _order(
    context: typer.Context,
    step: Step,
    days: list[str] | None,
    dry_run: bool,
    json: bool,
    *,
    after_days: int | None = None,
    level: int | None = None,
    confirmed: int = 0,
) -> None:
    from watcher.plan import Order

    if days and after_days is not None:
        raise ConfigError("name days or give --after-days, not both: a day that is named is of age")
    options: Context = context.obj
    settings = options.load()
    order = Order(
        step,
        by="",
        keys=keys_of(days or [], settings),
        after_days=after_days,
        level=level,
        confirmed=confirmed,
    )
    carry_out(options, settings, order, dry_run=dry_run, json=json)
