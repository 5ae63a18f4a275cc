"""What every command is given: the options that stand before its name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from watcher.errors import ConfigError

if TYPE_CHECKING:
    from watcher.settings import Settings


class Context(Struct, frozen=True):
    """The common options."""

    config_file: Path | None
    debug: bool

    def load(self) -> Settings:
        """The settings. Raises `ConfigError`."""
        from watcher.config import load

        return load(self.config_file)

    def read_file(self) -> str | None:
        """The file that the settings are from; None: there is none."""
        from watcher.config import DEFAULT_FILE

        if self.config_file is not None:
            return str(self.config_file)
        return DEFAULT_FILE if Path(DEFAULT_FILE).exists() else None

    @property
    def dry_run(self) -> bool:
        """Whether the environment asks, as shell scripts do, that nothing is changed."""
        from watcher.config import dry_run_wanted

        return dry_run_wanted()

    def refuse_dry_run(self, what: str) -> None:
        """Raise `ConfigError` if nothing is to be changed; ``what`` says what that means, and what to do."""
        if self.dry_run:
            raise ConfigError(f"DRY_RUN is set: {what}")

    def say_environment(self) -> None:
        """Say once which variables of shell scripts are honoured, and as what."""
        from watcher.config import script_variables

        for line in script_variables():
            say(line)


def say(line: str) -> None:
    """For people: what programs read is on stdout."""
    import typer

    typer.echo(f"tickward: {line}", err=True)


def write_json(value: object) -> None:
    """Print a value as one indented JSON document."""
    import msgspec
    import typer

    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
