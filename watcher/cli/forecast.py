"""``tickward forecast``: what there will be in a year, and what another policy would save."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.context import Context, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watcher.overview import Overview

_AGE = {"min": 0, "max": 36500, "metavar": "DAYS"}


def forecast(
    context: typer.Context,
    compress_after: Annotated[
        int | None, typer.Option(help="What if days were compressed at this age?", **_AGE)
    ] = None,
    archive_after: Annotated[
        int | None, typer.Option(help="What if they were archived at this age?", **_AGE)
    ] = None,
    expire_after: Annotated[
        int | None, typer.Option(help="What if they were deleted at this age?", **_AGE)
    ] = None,
    level: Annotated[
        int | None,
        typer.Option(min=1, max=22, metavar="L", help="What if they were compressed at this level?"),
    ] = None,
    archive: Annotated[
        bool | None, typer.Option("--archive/--no-archive", help="What if they were (not) archived at all?")
    ] = None,
    expire: Annotated[
        bool | None, typer.Option("--expire/--no-expire", help="What if they were (not) deleted at all?")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show how much there will be in a year, when the disk is full, and what other ages would save.

    It goes by the recorded days, says what it assumes, and changes nothing. An option that is not given is as
    in the configuration.

    Exit status: 0 done; 1 the journal or a file cannot be read; 2 usage or configuration.

    Examples:
        tickward forecast
        tickward forecast --compress-after 3 --level 12  # what that would save

    See also:
        `tickward policy` shows the ages that there are.
    """
    import sys

    from watcher.disk import room
    from watcher.overview import overview
    from watcher.premises import clock_of
    from watcher.view import forecast as view
    from watcher.view.forecast_text import lines_of
    from watcher.view.stack import ASCII, UNICODE
    from watcher.view.volumes import volumes

    options: Context = context.obj
    settings = options.load()
    changes = view.Changes(compress_after, archive_after, expire_after, level, archive, expire)
    view.what_if(settings, changes)  # refused before anything is looked at
    found = overview(settings, clock_of(settings.clock).now())
    on = volumes(room(found.settings.data), {}, settings.health.free_min_bytes)
    told = view.forecast(found.days, found.settings, on, _levels(found), found.at, changes)
    if json:
        write_json(told)
        return
    is_unicode = "utf" in (sys.stdout.encoding or "").lower()
    for line in lines_of(told, changes, characters=UNICODE if is_unicode else ASCII):
        typer.echo(line)


def _levels(found: Overview) -> Mapping[str, int]:
    """At which level the days were compressed that were so last."""
    from watcher.journal import Journal
    from watcher.paths import journal_file
    from watcher.view.levels import newest_compressed

    keys = [day.key for day in newest_compressed(found.days)]
    journal = Journal.open_for_reading(journal_file(found.settings.data))
    if journal is None:
        return {}
    with journal:
        packed = ((key, journal.facts(key).compressed) for key in keys)
        return {key: compressed.level for key, compressed in packed if compressed is not None}
