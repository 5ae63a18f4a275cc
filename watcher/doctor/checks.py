"""The table of all checks, and going through it. To add one is a row here, and one in docs/doctor.md."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from watcher.doctor import addresses, configuration, days, inotify, leftovers, machine, masters, places
from watcher.doctor.bounded import LateError, within
from watcher.doctor.finding import Checked, Diagnosis, Finding, Findings, problem, worst, worst_first
from watcher.doctor.premises import Premises, gathered, now_of

CHECK_SECONDS = 15.0
ALL_SECONDS = 60.0
"""For all checks together: those that are not begun by then are not."""


class Check(NamedTuple):
    """One thing that is commonly wrong."""

    name: str
    needs: Literal["nothing", "settings"]
    """Without settings (the configuration cannot be meant) only the machine can be looked at."""
    looks_at: str
    of: Callable[[Premises], Findings]


CHECKS = (
    Check(
        "configuration",
        "nothing",
        "whether it can be meant, and who can write it",
        configuration.configuration,
    ),
    Check(
        "environment",
        "nothing",
        "`DRY_RUN`, `TICKWARD_*` and other variables in force",
        configuration.environment,
    ),
    Check("python", "nothing", "the version of Python", machine.python),
    Check("sqlite", "nothing", "the version of tickward's own SQLite, and its WAL-reset bug", machine.sqlite),
    Check("packages", "settings", "packages that `[web]` and `[metrics]` need", configuration.packages),
    Check("clock", "nothing", "whether the clock is synchronised, and is the machine's", machine.clock),
    Check("time zone", "nothing", "local time against UTC", machine.time_zone),
    Check("descriptors", "nothing", "how many files may be open (`RLIMIT_NOFILE`)", machine.descriptors),
    Check("processes", "nothing", "whether `/proc` hides who has a day open (`hidepid`)", machine.processes),
    Check("inotify", "settings", "limits of inotify against the number of directories", inotify.inotify),
    Check(
        "directories",
        "settings",
        "whether those of `[data]` answer, and can be written to",
        places.directories,
    ),
    Check("links", "settings", "symbolic links that lead to them", places.links),
    Check("owner", "settings", "whose they and the newest days are, against who runs", places.owner),
    Check("file systems", "settings", "their kind: network, memory, read-only", places.file_systems),
    Check("devices", "settings", "copies on the same device or disk as the data", places.devices),
    Check(
        "sentinels",
        "settings",
        "`.tickward-backup` and `.tickward-archive`, once copies are known",
        places.sentinels,
    ),
    Check("space", "settings", "free space and inodes, now and by the forecast", days.space),
    Check("log", "settings", "whether the log can be written", configuration.log),
    Check(
        "schema",
        "settings",
        "whether the schema of each stream parses, and makes its table",
        configuration.schema,
    ),
    Check("hooks", "settings", "whether the commands of hooks are there", configuration.hooks),
    Check("addresses", "settings", "whether the addresses can be had", addresses.addresses),
    Check("keys", "settings", "whose the keys are, and who can read or write them", addresses.keys),
    Check(
        "journal",
        "settings",
        "whether it can be read, is the one that it was, and is not ahead",
        days.journal,
    ),
    Check("daemon", "settings", "whether one runs, answers, and is of the installed version", days.daemon),
    Check("writer", "settings", "the WAL-reset bug in the SQLite of the tick writer", days.writer),
    Check("masters", "settings", "entries of old scripts and of tickward in crontabs", masters.masters),
    Check("aside", "settings", "files that were put aside and are no copies", leftovers.aside),
    Check("days", "settings", "what `tickward status` says of the days", days.days),
)
"""In the order in which they are carried out and printed."""


def diagnosis(config_file: Path | None, environment: Mapping[str, str]) -> Diagnosis:
    """Look at everything. Nothing is changed, nothing raised, and nothing waited for without end."""
    premises = gathered(config_file, environment)
    until = time.monotonic() + ALL_SECONDS
    checked = tuple(carried_out(check, premises, until - time.monotonic()) for check in CHECKS)
    return Diagnosis(
        at=now_of(premises),
        level=worst(finding for each in checked for finding in each.findings),
        config_file="" if config_file is None else str(config_file.absolute()),
        daemon_pid=premises.daemon_pid,
        checks=checked,
    )


def carried_out(check: Check, premises: Premises, seconds: float = ALL_SECONDS) -> Checked:
    """One check. That it fails is a finding, and so is that it takes too long."""
    findings: tuple[Finding, ...] = ()
    if check.needs == "nothing" or premises.settings is not None:
        try:
            asked = partial(_asked, check, premises)
            findings = worst_first(within(min(max(seconds, 0.0), CHECK_SECONDS), asked))
        except LateError as error:
            findings = (
                _unchecked(str(error), "is a disk or a mount away? `findmnt` lists them; then try again"),
            )
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            findings = (_unchecked(what, "this is a defect, please report it with what --debug shows"),)
    return Checked(check.name, check.looks_at, findings)


def _asked(check: Check, premises: Premises) -> list[Finding]:
    return list(check.of(premises))


def _unchecked(why: str, remedy: str) -> Finding:
    return problem(f"could not be checked: {why}", remedy)
