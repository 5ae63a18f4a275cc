"""What the doctor found: shapes, and which of them is the worst."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, get_args

from msgspec import Struct

Level = Literal["ok", "note", "warning", "problem"]
_LEVELS: tuple[Level, ...] = get_args(Level)


class Finding(Struct, frozen=True):
    """One thing that was found."""

    level: Level
    """``ok``; ``note``: good to know; ``warning``: it works, but for how long; ``problem``: it does not."""
    sentence: str
    """What is so, with figures."""
    remedy: str = ""
    """What to do about it, a command where there is one; empty: nothing is to be done."""


Findings = Iterable[Finding]


class Checked(Struct, frozen=True):
    """One check, and what came of it."""

    check: str
    """Its name, as in docs/doctor.md."""
    looks_at: str
    """What it looks at."""
    findings: tuple[Finding, ...]
    """The worst first; none: what it looks at cannot be looked at before something else is mended."""

    @property
    def level(self) -> Level:
        return worst(self.findings)


class Diagnosis(Struct, frozen=True):
    """What is wrong here, and what to do about it."""

    at: datetime
    """When it was looked: RFC 3339, UTC."""
    level: Level
    """The worst of all that was found."""
    config_file: str
    """The configuration that was read; empty: the defaults hold."""
    daemon_pid: int | None
    """The daemon that runs; 0: one does, and its number is not known; null: none runs."""
    checks: tuple[Checked, ...]
    """All of them, in the order of docs/doctor.md."""


def ok(sentence: str) -> Finding:
    return Finding("ok", sentence)


def note(sentence: str, remedy: str = "") -> Finding:
    return Finding("note", sentence, remedy)


def warning(sentence: str, remedy: str) -> Finding:
    return Finding("warning", sentence, remedy)


def problem(sentence: str, remedy: str) -> Finding:
    return Finding("problem", sentence, remedy)


def worst(findings: Findings) -> Level:
    """``ok`` if there are none."""
    return max((finding.level for finding in findings), key=_LEVELS.index, default="ok")


def worst_first(findings: Findings) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: -_LEVELS.index(finding.level)))


def or_ok(findings: Findings, sentence: str) -> list[Finding]:
    """The findings, or one that says that all is well."""
    return list(findings) or [ok(sentence)]
