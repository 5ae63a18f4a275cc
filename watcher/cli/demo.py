"""``tickward demo``: see it work, in a temporary folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from watcher.errors import ConfigError


def demo(
    days: Annotated[int, typer.Option(min=1, max=400, help="How many days are written.")] = 14,
    seconds_a_day: Annotated[
        float | None,
        typer.Option(min=0.5, help="Real seconds for each day; else 4, and less for many days."),
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="A new folder to do it in, and to keep afterwards.")
    ] = None,
) -> None:
    """Run the real daemon beside a real writer, two weeks in a minute, and prove that no tick was lost.

    With --days 200 days become hot, warm and cold and expire, as they do by default, in a few minutes.

    Exit status 0 only if every day ends where the policy wants it, every tick that was written is readable or
    its deletion is certified, and every checksum holds.
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
        raise typer.Exit(show(keep.resolve(), days, each))
    with TemporaryDirectory(prefix="tickward-demo-") as folder:
        raise typer.Exit(show(Path(folder).resolve(), days, each))
