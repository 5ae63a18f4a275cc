"""``tickward doctor``: what is commonly wrong here, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.asking import JSON
from watcher.cli.context import Context, write_json

if TYPE_CHECKING:
    from watcher.doctor.finding import Level

EXIT_STATUS: dict[Level, int] = {"ok": 0, "note": 0, "warning": 1, "problem": 2}


def doctor(context: typer.Context, json: Annotated[bool, JSON] = False) -> None:
    """Look for what is commonly wrong: with this machine, the configuration, the directories and the days.

    Each finding says what to do about it. It changes and creates nothing, works with the daemon running or
    not, before the first start, and with a configuration that cannot be meant. Run it as the user of the
    daemon: what may be done depends on who asks.

    Exit status: 0 nothing is wrong, or there are only notes; 1 there are warnings; 2 there are problems, or
    wrong usage.

    Examples:
        tickward doctor
        sudo -u engine tickward -c /etc/tickward/config.toml doctor
        tickward doctor --json | jq '.checks[].findings[] | select(.remedy != "")'

    See also:
        `tickward status` says how the days are; `tickward selftest` tries it all on this machine.
    """
    import os
    from pathlib import Path

    from loguru import logger

    from watcher.doctor.checks import diagnosis

    options: Context = context.obj
    if not options.debug:
        logger.remove()  # what is to be said is on the screen
    file = options.read_file()
    found = diagnosis(None if file is None else Path(file), os.environ)
    if json:
        write_json(found)
    else:
        from watcher.cli.console import console
        from watcher.cli.doctor_screen import screen

        console().print(screen(found))
    raise typer.Exit(EXIT_STATUS[found.level])
