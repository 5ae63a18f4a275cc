"""The recipes of docs/operations.md, taken from the page, and a place where they are carried out."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from handlers.vfs import open_path
from tests.end_to_end import actor
from tests.end_to_end.harness import PATIENCE_SECONDS, World
from watcher.config import PREFIX
from watcher.days import Days

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs/operations.md").read_text("utf-8")
DATA = Path("data/ticks")
TOPS = {"root": "db", "backup": "backup", "archive": "archive", "state": "state"}
"""What the directories of ``[data]`` are called in there."""
GONE = "2026-01-05"
COLD = ("2026-05-20", "2026-05-21")
WARM = "2026-07-01"
HOT = ("2026-07-12", "2026-07-13", "2026-07-14")
TODAY, TOMORROW = "2026-07-15", "2026-07-16"
NOON = f"{TODAY}T12:00"
DAYS = (*COLD, WARM, *HOT, TODAY)
"""Those that have ticks."""
TICKS = 100

Kind = Literal["recipe", "symptom", "shown", "not run"]
_BLOCK = re.compile(r"^(?:<!-- ([^\n]*) -->\n)?```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
_NO_DAEMON = "no daemon is running:"


class Block(NamedTuple):
    """What stands in a fence."""

    kind: Kind
    name: str
    """Of the recipe that it belongs to; of what is not run, why."""
    text: str


class Section(NamedTuple):
    """What stands under one heading."""

    title: str
    blocks: list[Block]

    @property
    def recipe(self) -> str:
        """The name of its recipe; empty: it has none."""
        return next((block.name for block in self.blocks if block.kind == "recipe"), "")


def sections(page: str = PAGE) -> list[Section]:
    """The page, heading by heading. Raises `ValueError` for a block that says not what it is."""
    parts = re.split(r"^#+ (.+)$", page, flags=re.MULTILINE)[1:]
    return [Section(title, list(_blocks(text))) for title, text in zip(parts[::2], parts[1::2], strict=True)]


def _blocks(text: str) -> Iterator[Block]:
    for marked, language, content in _BLOCK.findall(text):
        kind, _, name = marked.partition(": ")
        if kind not in get_args(Kind) or not name:
            raise ValueError(f"say in a comment above what this block is: {content}")
        if (language == "sh") != (kind in ("recipe", "not run")):
            raise ValueError(f"a block of {kind} is not written in {language or 'nothing'}: {content}")
        yield Block(kind, name, content)


RECIPES = {section.recipe: section for section in sections() if section.recipe}


def pattern_of(text: str) -> re.Pattern[str]:
    """What is said, whatever stands for each ``…``, and wherever its lines are folded."""
    words = (".+?".join(re.escape(part) for part in word.split("…")) for word in text.split())
    return re.compile(r"\s+".join(words), re.DOTALL)


class Site(World):
    """A machine as the page is written for: the default directories below the one where commands are typed.

    Args:
        folder: that one.
        programs: a directory in which `tickward` is.
    """

    def __init__(self, folder: Path, programs: Path) -> None:
        self._programs = programs
        self._options: dict[str, dict[str, Any]] = {}
        self.environment: dict[str, str] = {}
        super().__init__(folder)

    def configure(self, now: str = NOON, **sections: dict[str, Any]) -> None:
        """Write the configuration anew: what was asked for once stays, the clock shows ``now``."""
        self._options |= sections
        given: dict[str, dict[str, Any]] = {
            "data": {key: str(DATA / top) for key, top in TOPS.items()},
            "expire": {"keep_min": 1},
            "log": {"file": "logs/tickward.jsonl"},
        }
        for name, keys in self._options.items():
            given.setdefault(name, {}).update(keys)
        super().configure(now, **given)

    def top(self, name: str) -> Path:
        return self.folder / DATA / name

    def path(self, day: str, top: str = "db") -> Path:
        return self.top(top) / day[:4] / day[5:7] / f"ticks_{day}.db"

    def packed(self, day: str, top: str) -> Path:
        return self.path(day, top).with_suffix(".db.zst")

    def make(self, day: str, ticks: int = TICKS, first: int = 0) -> Path:
        """A day's database, written by a writer that has gone: no two days have the same ticks."""
        path = self.path(day)
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = actor.open_to_write(str(path))
        actor.write(connection, date.fromisoformat(day).toordinal() * 10_000 + first, ticks)
        connection.close()
        return path

    def follow(
        self,
        name: str,
        *instead: Callable[[], object],
        said: Callable[[Site], str] | None = None,
    ) -> str:
        """Do what the page says: look for the symptom, then run the recipe. Returns what that printed.

        Args:
            name: of the recipe.
            instead: what is done here where the page has commands that are not run, one after the other.
            said: where the symptom shows; None: in `tickward status`.
        """
        printed, standing_in = "", iter(instead)
        for kind, _, text in RECIPES[name].blocks:
            match kind:
                case "symptom":
                    seen = said(self) if said else self.run("status").stdout
                    assert pattern_of(text).search(seen), f"{text} is not what was said: {seen}"
                case "not run":
                    next(standing_in, lambda: None)()
                case "recipe":
                    code, printed = self.bash(text)
                    assert code == 0, printed
                case "shown":
                    assert pattern_of(text).search(printed), f"{text} is not what was shown: {printed}"
        return printed

    def bash(self, text: str) -> tuple[int, str]:
        """Carry out what stands in a block, as it stands there: exit status and output."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
        ended = subprocess.run(
            ["bash", "-eu", "-c", text],
            cwd=self.folder,
            env={**clean, **self.environment, "PATH": f"{self._programs}:{clean['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return ended.returncode, ended.stdout

    def require_well(self, ticks: int | None = None, *, of: str = "", left: int = len(DAYS)) -> None:
        """Nothing is wrong but that nobody has started a daemon, every copy is good, and every tick there.

        Args:
            ticks, of: one day may have another number of ticks.
            left: how many days there should be.
        """
        reasons = self.status()["verdict"]["reasons"]
        assert [each for each in reasons if not each["sentence"].startswith(_NO_DAEMON)] == []
        verified = self.run("verify", "--all")
        assert verified.returncode == 0, verified.stdout
        expected = dict.fromkeys(DAYS[-left:], TICKS) | ({of: ticks} if of else {})
        assert self.ticks() == expected

    def ticks(self) -> dict[str, int]:
        """How many each day has, of those that have any and can be read."""
        with Days.of(self.settings) as days:
            found = {day: days.find("ticks", date.fromisoformat(day)).path for day in DAYS}
        return {day: ticks_in(path) for day, path in found.items() if path is not None}


def ticks_in(path: Path) -> int:
    """How many ticks a database has, compressed or not."""
    connection = open_path(path)
    try:
        count: int = connection.execute("SELECT count(*) FROM ticks").get
    finally:
        connection.close()
    return count
