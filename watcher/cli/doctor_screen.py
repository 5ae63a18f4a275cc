"""How a diagnosis is shown to people: on one screen, the worst first, what is fine in short."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from watcher.doctor.finding import Checked, Diagnosis, Finding, Level
from watcher.wording import count_of, moment, printable

_STYLES: dict[Level, str] = {
    "ok": "bold green",
    "note": "bold",
    "warning": "bold yellow",
    "problem": "bold red",
}
_SHOWN: tuple[Level, ...] = ("problem", "warning", "note")


def screen(found: Diagnosis) -> RenderableType:
    """All of it."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(2):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for level in _SHOWN:
        for check, finding in _of(found, level):
            table.add_row(_level(level), check.check, _words(finding))
    for level, names in (("ok", _fine(found)), ("note", _unlooked(found))):
        if names:
            label = _level("ok") if level == "ok" else Text("-")
            what = "" if level == "ok" else "not looked at before something else is mended: "
            table.add_row(label, "", Text(what + ", ".join(names)))
    return Group(_first(found), "", table)


def _first(found: Diagnosis) -> Text:
    counts = [(level, sum(1 for _ in _of(found, level))) for level in _SHOWN]
    said = ", ".join(count_of(number, level) for level, number in counts if number) or "nothing is wrong"
    text = Text()
    text.append(said, style=_STYLES[found.level])
    text.append(f"  at {moment(found.at)}; configuration: {found.config_file or 'none, the defaults hold'}")
    return text


def _of(found: Diagnosis, level: Level) -> Iterator[tuple[Checked, Finding]]:
    for check in found.checks:
        yield from ((check, finding) for finding in check.findings if finding.level == level)


def _words(finding: Finding) -> Text:
    remedy = f"\n-> {finding.remedy}" if finding.remedy else ""
    return Text("\n".join(printable(line) for line in f"{finding.sentence}{remedy}".split("\n")))


def _level(level: Level) -> Text:
    return Text(level, style=_STYLES[level])


def _fine(found: Diagnosis) -> list[str]:
    return [check.check for check in found.checks if check.findings and check.level == "ok"]


def _unlooked(found: Diagnosis) -> list[str]:
    return [check.check for check in found.checks if not check.findings]
