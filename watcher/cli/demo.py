"""``tickward demo``: see it work, in a temporary folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from watcher.cli.context import write_json
from watcher.errors import EXIT_DONE, EXIT_STEP_FAILED, ConfigError

if TYPE_CHECKING:
    from watcher.demo.summary import Summary


def demo(
    days: Annotated[int, typer.Option(min=1, max=400, metavar="N", help="How many days are written.")] = 14,
    seconds_a_day: Annotated[
        float | None,
        typer.Option(
            min=0.5, metavar="SECONDS", help="Real seconds for each day; else 4, and less for many days."
        ),
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A new folder to do it in, and to keep afterwards.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON; what goes on is shown on stderr.")
    ] = False,
) -> None:
    """Run the real daemon beside a real writer, two weeks in a minute, and prove that no tick was lost.

    With --days 200 days become hot, warm and cold and expire, as they do by default, in a few minutes. At 0
    every day ends where the policy wants it, every tick that was written is readable or its deletion is
    certified, and every checksum holds. Nothing that is configured is touched.

    Exit status: 0 all is as it should be; 1 something is not; 2 usage.

    Examples:
        tickward demo
        tickward demo --days 200 --keep life  # and look into it afterwards

    See also:
        `tickward selftest` is quicker, and breaks things on purpose.
    """
    from tempfile import TemporaryDirectory

    from watcher.demo.show import show
    from watcher.demo.stage import pace

    each = pace(days) if seconds_a_day is None else seconds_a_day
    if keep is not None:
        try:
            keep.mkdir(parents=True)
        except OSError as error:
            raise ConfigError(
                f"--keep {keep}: {error.strerror}; name a folder that is not there yet"
            ) from None
        _end(show(keep.resolve(), days, each, beside=json), json)
    with TemporaryDirectory(prefix="tickward-demo-") as folder:
        told = show(Path(folder).resolve(), days, each, beside=json)
    _end(told, json)


def _end(told: Summary, json: bool) -> NoReturn:
    if json:
        write_json(told)
    raise typer.Exit(EXIT_DONE if told.ok else EXIT_STEP_FAILED)
