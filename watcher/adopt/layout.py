"""Which paths in our directories have a day's name, and which of those anybody looks at. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

from handlers.contract import Paths
from handlers.pattern import Pattern
from watcher.settings import TOPS, Data

_FORMS = {"root": ("", ".zst"), "backup": ("", ".zst"), "archive": (".zst",)}
"""What is put behind the name of a day's database where it is looked for: see `handlers.contract.Paths`."""


def tops_of(data: Data) -> list[Path]:
    """The directories that are looked after."""
    return [Path(getattr(data, name)) for name in TOPS]


class Layout:
    """Where the files of days are.

    Args:
        data: its directories are absolute and free of symbolic links.
    """

    def __init__(self, data: Data) -> None:
        self._data = data
        self._tops = {f"{getattr(data, name)}/": _FORMS.get(name, ()) for name in TOPS}
        self.patterns = {name: Pattern(each.pattern) for name, each in data.streams.items()}

    def key_of(self, path: str) -> str:
        """The day that has just this name below one of the directories; empty: none."""
        return next((key for _, _, key in self._names(path)), "")

    def is_in_place(self, path: str) -> bool:
        """Whether that is a file of a day, and in a form that is looked for there."""
        return any(ending in forms for forms, ending, _ in self._names(path))

    def paths_of(self, key: str) -> Paths:
        """Where the files of that day would be."""
        stream, _, day = key.partition("/")
        below = self.patterns[stream].path_of(date.fromisoformat(day))
        return Paths.of(self._data.root, self._data.backup, self._data.archive, below)

    def _names(self, path: str) -> Iterator[tuple[tuple[str, ...], str, str]]:
        """The forms that are looked for there, the one that it has, and the day.

        More than one, where one directory is in another.
        """
        for top, forms in self._tops.items():
            if not path.startswith(top):
                continue
            name = path[len(top) :]
            ending = ".zst" if name.endswith(".zst") else ""
            for stream, pattern in self.patterns.items():
                if (day := pattern.day_of(name.removesuffix(ending))) is not None:
                    yield forms, ending, f"{stream}/{day}"
