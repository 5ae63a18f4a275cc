"""``tickward web``: the page to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.context import Context

if TYPE_CHECKING:
    import socket

    from watcher.settings import Settings

LISTEN = "127.0.0.1:8787"


def web(
    context: typer.Context,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help=f"A loopback address; else web.listen, else {LISTEN}. Port 0: any."
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open it in a browser, too.")] = False,
) -> None:
    """Serve the page until stopped: how things stand, every day, and what happens, live; for looking only.

    It is for this machine alone, works with the daemon running or not, and needs the extra `web`. With
    web.listen in the configuration the daemon serves it by itself.

    Exit status: 0 when it is stopped; 2 usage or configuration.

    Examples:
        tickward web --open
        tickward web --listen 127.0.0.1:9000

    See also:
        `tickward status` says the same in the terminal.
    """
    import asyncio
    import webbrowser

    from msgspec.structs import replace

    from watcher import logs
    from watcher.endpoint import problem_with_local
    from watcher.errors import ConfigError
    from watcher.web.process import require

    options: Context = context.obj
    settings = options.load()
    where = listen or settings.web.listen or LISTEN
    if problem := problem_with_local(where):
        raise ConfigError(f"--listen: {problem}")
    require()
    from watcher.web.server import address_of, listening

    logs.set_up(replace(settings.log, file=""), options.debug, quiet=True)  # the file is the daemon's
    try:
        made = listening(where)
    except OSError as error:
        raise ConfigError(
            f"--listen: {where} cannot be listened on ({error.strerror}); name another port, or 0 for any"
        ) from None
    with made:
        address = address_of(made)
        typer.echo(f"the page is at {address} (Ctrl-C ends it)")
        if open_:
            webbrowser.open(address)
        asyncio.run(_serve(settings, made))


async def _serve(settings: Settings, made: socket.socket) -> None:
    import asyncio
    import signal

    from watcher.web.server import serve

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(settings, made, stop)
