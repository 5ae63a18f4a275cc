"""``tickward keys``: who may listen from other machines, and the keys for that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.asking import JSON
from watcher.cli.context import Context, write_json
from watcher.errors import ConfigError, TickwardError

if TYPE_CHECKING:
    from watcher.keys import KeyRing
    from watcher.settings import Settings

_DRY_RUN = "nothing is changed; unset it to change keys"
app = typer.Typer(help="Decide who may listen to events, by their keys (CURVE).", no_args_is_help=True)


@app.command()
def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the client, such as loader.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The directory to write to.")] = Path(),
    json: Annotated[bool, JSON] = False,
) -> None:
    """Make the key of a client, on the client's machine: NAME.key, and NAME.key_secret, which stays there.

    No configuration is needed. Never over an existing file.

    Exit status: 0 done; 1 it cannot be done; 2 usage or configuration.

    Examples:
        tickward keys new loader  # writes loader.key and loader.key_secret

    See also:
        `tickward keys allow` is what comes next, on the daemon's machine.
    """
    from watcher.certificates import write_pair

    options: Context = context.obj
    options.refuse_dry_run(_DRY_RUN)
    if not out.is_dir():
        raise ConfigError(f"--out: {out} is no directory: make it first, or name another")
    public, secret = write_pair(out, name)
    server = _known_server(options)
    if json:
        from watcher.cli.documents.keys import NewKey

        write_json(NewKey(str(public), str(secret), server))
        return
    typer.echo(f"wrote {public}, and {secret}: that one stays here, and secret")
    typer.echo(f"next, on the daemon's machine: tickward keys allow {public.name}")
    if server is None:
        typer.echo("the client also needs the daemon's public key: tickward keys list shows it there")
    else:
        typer.echo(f"the client also needs the public key of this machine's daemon: {server}")


@app.command("list")
def list_(
    context: typer.Context,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Show the daemon's public key, and whose keys are allowed.

    It changes nothing.

    Exit status: 0 done; 1 the journal or a file cannot be read; 2 usage or configuration.

    Examples:
        tickward keys list

    See also:
        `tickward keys allow`, `tickward keys revoke`.
    """
    from watcher.wording import moment

    options: Context = context.obj
    settings = options.load()
    ring = _ring(settings)
    public = ring.known_server()
    server = public.decode() if public is not None else None
    clients, problems = ring.listed()
    if json:
        from watcher.cli.documents.keys import Client, Keys

        listed = tuple(Client(each.name, each.public.decode(), each.since) for each in clients)
        write_json(Keys(settings.events.curve, settings.events.keys, server, listed, tuple(problems)))
        return
    typer.echo(f"CURVE is on, with the keys in {settings.events.keys}" if settings.events.curve else _OFF)
    typer.echo(f"the daemon's public key: {server or 'none yet, it is made with the first for a client'}")
    width = max((len(client.name) for client in clients), default=0)
    for client in clients:
        typer.echo(f"{client.name:{width}}  {client.public.decode()}  since {moment(client.since)}")
    for problem in problems:
        typer.echo(f"not allowed: {problem}")


@app.command()
def allow(
    context: typer.Context,
    key: Annotated[
        str,
        typer.Argument(
            metavar="FILE|KEY", help="NAME.key, or a public key in quotes (after --, for its dashes)."
        ),
    ],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose it is; else the file's name.")
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Allow whoever has the secret to this public key to listen. A running daemon need not be restarted.

    Exit status: 0 done; 1 it cannot be done; 2 usage or configuration.

    Examples:
        tickward keys allow loader.key

    See also:
        `tickward keys new`, `tickward keys revoke`.
    """
    from watcher.certificates import is_text, read_public

    options: Context = context.obj
    options.refuse_dry_run(_DRY_RUN)
    settings = options.load()
    public = read_public(key)
    if name is None and is_text(key):
        raise ConfigError("--name: say whose key it is")
    if name is None:
        name = _name_of(Path(key))
    ring = _ring(settings)
    fresh = ring.allow(name, public)
    server = ring.server().public.decode()
    if json:
        from watcher.cli.documents.keys import AllowedKey

        write_json(AllowedKey(name, fresh, server, settings.events.curve))
        return
    typer.echo(f"{name} is allowed" if fresh else f"{name} is allowed already")
    typer.echo(f"the client also needs the daemon's public key: {server}")
    if not settings.events.curve:
        typer.echo(_OFF)


@app.command()
def revoke(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in the list.")],
    json: Annotated[bool, JSON] = False,
) -> None:
    """Allow a client no more: a running daemon ends its connection within seconds.

    Exit status: 0 done; 1 it cannot be done; 2 usage or configuration.

    Examples:
        tickward keys revoke loader

    See also:
        `tickward keys list`.
    """
    options: Context = context.obj
    options.refuse_dry_run(_DRY_RUN)
    settings = options.load()
    names = _ring(settings).revoke(name)
    if json:
        from watcher.cli.documents.keys import RevokedKeys

        write_json(RevokedKeys(tuple(names), settings.events.curve))
        return
    for each in names:
        typer.echo(f"{each} is not allowed any more")
    if not settings.events.curve:
        typer.echo(_OFF)


_OFF = "CURVE is off, no key is asked for: set events.curve = true"


def _ring(settings: Settings) -> KeyRing:
    from watcher.keys import KeyRing

    return KeyRing(Path(settings.events.keys))


def _name_of(file: Path) -> str:
    from watcher.certificates import require_name

    try:
        require_name(file.stem)
    except ConfigError as error:
        raise ConfigError(f"{error}; say whose key it is with --name") from None
    return file.stem


def _known_server(options: Context) -> str | None:
    """The key of this machine's daemon, if there is one that we may know of."""
    try:
        public = _ring(options.load()).known_server()
    except TickwardError:  # a client's machine has no daemon, and ./config.toml may be of something else
        return None
    return public.decode() if public is not None else None
