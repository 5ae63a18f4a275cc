"""What a service is to run, for whom, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct

from watcher.settings import Settings

Scope = Literal["user", "system"]


class Target(Struct, frozen=True):
    """What is to be run, for whom, and where."""

    program: tuple[str, ...]
    """What starts tickward, absolute: ``("/opt/tickward/bin/tickward",)``, for example."""
    config: Path | None
    """The configuration file, absolute; None: the defaults."""
    directory: Path
    """The working directory, absolute: the paths of a default configuration are meant from it."""
    settings: Settings
    scope: Scope
    user: str
    """As whom it runs."""
    home: Path
    """Of that user."""
    root: Path = Path("/")
    """Of the file system that is written to: another one for an image that is being built, and in tests."""
    reads: tuple[Path, ...] = ()
    """What the program needs besides: where its interpreter and its packages are."""
    scheduled: bool = False
    """Windows: tasks at fixed times in place of the daemon. cron has no other way."""

    @property
    def command(self) -> tuple[str, ...]:
        """The program with its configuration: what ``run``, ``once``, ``status`` are appended to."""
        return (*self.program, "-c", str(self.config)) if self.config is not None else self.program

    @property
    def is_this_machine(self) -> bool:
        """Whether what is written takes effect here, so that the service manager is to be told."""
        return self.root == Path("/")

    def on_disk(self, path: Path) -> Path:
        """Where a path of the machine that is meant is to be written."""
        return self.root / path.relative_to("/")
