"""docs/query.md says what is true: its examples, run on a small tree."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.watcher.cli.conftest import Terminal, tickward
from tests.watcher.query.tree import make_tree

PAGE = (Path(__file__).parents[3] / "docs/query.md").read_text()
BUSY = "SELECT symbol, count(*) AS n FROM ticks GROUP BY symbol HAVING n > 26 ORDER BY symbol LIMIT 1\n"
__all__ = ["tickward"]


def examples() -> list[tuple[str, str]]:
    """(what is typed, what is shown) of each example."""
    found = re.findall(r"^```console\n\$ tickward (.+?)\n(.*?)```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert len(found) == PAGE.count("```console")
    return found


def answer(terminal: Terminal, typed: str) -> str:
    """What a terminal shows: what is said of the days comes first."""
    terminal.configure()
    make_tree(terminal.folder)
    Path("busy.sql").write_text(BUSY)
    ended = terminal(*shlex.split(typed))
    return "".join(f"{line.rstrip()}\n" for line in (ended.err + ended.out).splitlines())


@pytest.mark.parametrize(("typed", "shown"), examples(), ids=range(len(examples())))
def test_an_example(tickward: Terminal, typed: str, shown: str) -> None:
    assert answer(tickward, typed) == shown


def test_the_example_in_python(tickward: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    tickward.configure()
    make_tree(tickward.folder)
    (code,) = re.findall(r"^```python\n(.*?)```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    exec(code, {})  # noqa: S102
    assert capsys.readouterr().out == "EURUSD 1.16\nGBPUSD 1.34\nXAUUSD 4650.0\n"
