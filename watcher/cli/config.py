"""``tickward config``: show it, check it, begin one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from watcher.cli.context import Context, write_json
from watcher.errors import ConfigError

app = typer.Typer(help="Show, check or begin a configuration.", no_args_is_help=True)


@app.command()
def show(context: typer.Context) -> None:
    """Print the settings in force, as JSON: file, environment and defaults together."""
    options: Context = context.obj
    write_json(options.load())


@app.command()
def check(context: typer.Context) -> None:
    """Check the configuration: exit status 2 and a sentence that names the key if it cannot be meant."""
    options: Context = context.obj
    options.load()
    typer.echo(f"{options.config_file or 'the configuration'} is good")


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="The file to write.")] = Path("config.toml"),
) -> None:
    """Write a configuration with every key, its default, its unit and why. Never over an existing file."""
    try:
        with file.open("xb") as stream:
            stream.write(reference().read_bytes())
    except FileExistsError:
        raise ConfigError(f"{file} exists already; it is left as it is") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}") from None
    typer.echo(f"wrote {file}")


def reference() -> Path:
    """The reference configuration: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "config.toml"
    return inside if inside.exists() else package.parent / "config.toml"
