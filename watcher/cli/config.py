"""``tickward config``: show it, check it, begin one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from watcher.cli.asking import JSON
from watcher.cli.context import Context, write_json
from watcher.errors import ConfigError

app = typer.Typer(help="Show, check or begin a configuration.", no_args_is_help=True)


@app.command()
def show(
    context: typer.Context,
    _json: Annotated[bool, typer.Option("--json", help="It is JSON in any case.")] = False,
) -> None:
    """Print the settings in force, as JSON: file, environment and defaults together.

    It changes nothing.

    Exit status: 0 done; 2 it cannot be meant.

    Examples:
        tickward config show | jq .compress
        TICKWARD_COMPRESS__LEVEL=12 tickward config show

    See also:
        `tickward config init` writes every key with its why.
    """
    options: Context = context.obj
    write_json(options.load())


@app.command()
def check(context: typer.Context, json: Annotated[bool, JSON] = False) -> None:
    """Check the configuration: if it cannot be meant, a sentence names the key.

    It changes nothing, and looks at the configuration alone, not at what it names.

    Exit status: 0 it can be meant; 2 it cannot.

    Examples:
        tickward config check
        tickward -c new.toml config check  # before it takes the place of the old one

    See also:
        `tickward config show`.
    """
    options: Context = context.obj
    options.load()
    if json:
        from watcher.cli.documents.files import Checked

        write_json(Checked(options.read_file()))
    else:
        typer.echo(f"{options.config_file or 'the configuration'} is good")


@app.command()
def init(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")] = Path("config.toml"),
    json: Annotated[bool, JSON] = False,
) -> None:
    """Write a configuration with every key, its default, its unit and why. Never over an existing file.

    Exit status: 0 done; 1 it cannot be done; 2 usage or configuration.

    Examples:
        tickward config init
        tickward config init /etc/tickward/config.toml

    See also:
        `tickward config check`.
    """
    options: Context = context.obj
    options.refuse_dry_run("no file is written; unset it for that")
    try:
        with file.open("xb") as stream:
            stream.write(reference().read_bytes())
    except FileExistsError:
        raise ConfigError(f"{file} exists already; it is left as it is") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}") from None
    if json:
        from watcher.cli.documents.files import Written

        write_json(Written(str(file)))
    else:
        typer.echo(f"wrote {file}")


def reference() -> Path:
    """The reference configuration: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "config.toml"
    return inside if inside.exists() else package.parent / "config.toml"
