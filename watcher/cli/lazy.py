"""Commands that are imported when they are called: starting one does not pay for all the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
import typer.main
from typer.core import TyperGroup

from watcher.cli.manual import ManualCommand, ManualGroup


class Shelf(Mapping[str, Any]):
    """Commands by name, made when they are taken.

    Args:
        places: where each is: ``status`` is in `watcher.cli.status`, ``steps:seal`` in `watcher.cli.steps`.
            It is the function that has its name, or for a command of several parts the ``app`` there.
    """

    def __init__(self, places: tuple[str, ...]) -> None:
        self._places = {place.rpartition(":")[2]: place for place in places}
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _made(name, self._places[name])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _made(name: str, place: str) -> Any:
    module = import_module(f"watcher.cli.{place.partition(':')[0]}")
    app: typer.Typer | None = getattr(module, "app", None)
    if app is None:
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(name, cls=ManualCommand)(getattr(module, name))
        return typer.main.get_command(alone)
    app.rich_markup_mode = None
    for each in app.registered_commands:
        each.cls = ManualCommand
    app.info.name, app.info.cls = name, ManualGroup
    return typer.main.get_group(app)


def group_of(panels: Mapping[str, tuple[str, ...]]) -> type[TyperGroup]:
    """The class of a group that has these commands, each under the heading of its panel."""
    places = tuple(place for panel in panels.values() for place in panel)

    class Group(ManualGroup):
        """Knows the names of its commands, and no more before one is called."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            shelf: Any = Shelf(places)
            self.commands = shelf

        def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
            return list(self.commands)

        def panels(self) -> dict[str, list[str]]:
            return {title: [place.rpartition(":")[2] for place in panel] for title, panel in panels.items()}

    return Group
