"""``tickward status``: is it healthy, and if not, why, and what is to be done?"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.context import Context, write_json
from watcher.errors import TickwardError, UnknownError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from watcher.view.status import Status
    from watcher.view.verdict import Level

EXIT_STATUS: dict[Level, int] = {"OK": 0, "ATTENTION": 1, "FAILING": 2}
"""As monitoring systems expect it of what they ask; `watcher.errors.EXIT_UNKNOWN` if it cannot be told."""
_EVERY_SECONDS = 2.0
_SHARE_OF_REST = 10
"""A look is followed by so many times what it took."""


def status(
    context: typer.Context,
    seconds: Annotated[
        float | None,
        typer.Argument(
            min=0.1, max=86400, metavar="[SECONDS]", help="With --watch: how often; else every 2."
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again, until Ctrl-C.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show how things stand, the verdict first. Works with the daemon running or not, and says which.

    It changes nothing. The exit status is the one that monitoring systems expect: at 1 somebody should look
    at it, at 2 now; at 3 the configuration or the journal cannot be read. With --watch it is 0.

    Exit status: 0 OK; 1 ATTENTION; 2 FAILING; 3 it cannot be told.

    Examples:
        tickward status
        tickward status --watch 5  # every five seconds, until Ctrl-C
        tickward status --json | jq .verdict

    See also:
        `tickward plan` says why each day waits; `tickward history DAY` what happened to one.
    """
    from loguru import logger

    options: Context = context.obj
    if not options.debug:
        logger.remove()  # what is to be said is on the screen
    if watch and json:
        raise UnknownError("give --watch or --json, one of them: a program asks as often as it likes")
    if seconds is not None and not watch:
        raise UnknownError(f"SECONDS goes with --watch: `tickward status --watch {seconds:g}`")
    if watch:
        _watch(lambda: _look(options), _EVERY_SECONDS if seconds is None else seconds)
        return
    found = _look(options)
    if json:
        write_json(found)
    else:
        from watcher.cli.console import console
        from watcher.cli.status_screen import screen

        console().print(screen(found))
    raise typer.Exit(EXIT_STATUS[found.verdict.level])


def _look(options: Context) -> Status:
    """Raises `UnknownError` for whatever is in the way: nobody must take it for a verdict."""
    try:
        return _looked(options)
    except TickwardError as error:
        raise UnknownError(str(error)) from error
    except Exception as error:
        what = f"how things stand cannot be told: {type(error).__name__}: {error}"
        raise UnknownError(f"{what}; --debug shows where") from error


def _looked(options: Context) -> Status:
    from datetime import timedelta

    import apsw

    from watcher.disk import last_writes, room
    from watcher.overview import overview
    from watcher.premises import clock_of
    from watcher.version import installed
    from watcher.view.status import Versions, active_paths, status_of, volumes_of
    from watcher.view.volumes import WINDOW_DAYS

    settings = options.load()
    now = clock_of(settings.clock).now()
    found = overview(settings, now, deleted_since=now - timedelta(days=WINDOW_DAYS))
    return status_of(
        found,
        volumes_of(found, room(found.settings.data)),
        last_writes(active_paths(found)),
        config_file=_config_file(options),
        versions=Versions(installed(), apsw.sqlite_lib_version()),
    )


def _config_file(options: Context) -> str:
    from watcher.config import DEFAULT_FILE

    file = options.config_file or Path(DEFAULT_FILE)
    return str(file.absolute()) if file.exists() else ""


def _watch(look: Callable[[], Status], seconds: float) -> None:
    """Show it until Ctrl-C; in a pipe one after the other. What cannot be told now may be told next time."""
    from watcher.cli.console import console
    from watcher.cli.status_screen import fitting

    out = console()
    with suppress(KeyboardInterrupt):
        if not out.is_terminal:
            while True:
                shown, pause = _timed(look, seconds)
                out.print(shown, "")
                time.sleep(pause)
        with out.screen() as whole:
            while True:
                shown, pause = _timed(look, seconds)
                whole.update(fitting(shown, out))
                time.sleep(pause)


def _timed(look: Callable[[], Status], seconds: float) -> tuple[RenderableType, float]:
    """What is to be shown, and how long to wait then: looking at very many days must not be all it does."""
    from rich.text import Text

    from watcher.cli.status_screen import screen

    began = time.monotonic()
    try:
        shown: RenderableType = screen(look())
    except UnknownError as error:
        shown = Text(f"UNKNOWN  {error}")
    return shown, max(seconds, _SHARE_OF_REST * (time.monotonic() - began))
