"""What every check is given: the settings, who runs, and what the other commands know of the days.

Nothing is changed for it. SQLite's readers leave two files beside a journal that nobody has open; so that
one is copied elsewhere first.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from watcher.config import load
from watcher.doctor.bounded import LateError, silent, within
from watcher.errors import TickwardError
from watcher.lock import Lock
from watcher.overview import Overview, overview
from watcher.paths import journal_file
from watcher.premises import clock_of
from watcher.settings import TOPS, Data, Settings

T = TypeVar("T")

DIRECTORY_SECONDS = 3.0
"""How long a directory may take to answer; one that is later is taken for a mount whose server is away."""
OVERVIEW_SECONDS = 30.0
LARGEST_COPY_BYTES = 512 << 20


class Premises(Struct, frozen=True):
    """What the checks go by."""

    config_file: Path | None
    environment: Mapping[str, str]
    settings: Settings | None
    """None: the configuration cannot be meant."""
    settings_trouble: str = ""
    """Why it cannot."""
    settings_remedy: str = "correct it: `tickward config check` says whether it can be meant"
    silent: frozenset[str] = frozenset()
    """The directories of ``[data]`` that do not answer: whoever asks them waits for ever."""
    daemon_pid: int | None = None
    """None: no daemon runs; 0: one does, and its number is not known."""
    overview: Overview | None = None
    overview_trouble: str = ""
    """Why there is none; empty: there is, or it could not even be asked for."""

    @property
    def known(self) -> Settings:
        """The settings, where there must be some."""
        assert self.settings is not None
        return self.settings

    def places(self) -> dict[str, Path]:
        """The directories of ``[data]`` that answer, by their names."""
        data = self.known.data
        return {name: Path(getattr(data, name)) for name in TOPS if name not in self.silent}


def gathered(
    config_file: Path | None, environment: Mapping[str, str], seconds: float = DIRECTORY_SECONDS
) -> Premises:
    """Look, within bounds. ``seconds``: for each thing that may not answer.

    What is in the way is a finding for some check: nothing is raised.
    """
    premises = Premises(config_file, environment, None)
    try:
        settings = within(2 * seconds, partial(load, config_file, environment))
        clock_of(settings.clock)
    except LateError:  # links in the paths of [data] are resolved
        raw = {f"data.{name}: {top}": _asking(top) for name, top in _raw_tops(config_file)}
        which = ", ".join(sorted(silent(raw, seconds))) or "a directory of [data]"
        return replace(
            premises,
            settings_trouble=f"{which} has not answered for {seconds:g} s",
            settings_remedy="is the server of its mount there? `findmnt` lists it; else `umount -l` it",
        )
    except TickwardError as error:
        return replace(premises, settings_trouble=str(error))
    except Exception as error:
        return replace(premises, settings_trouble=f"{type(error).__name__}: {error}")
    tops = {name: Path(getattr(settings.data, name)) for name in TOPS}
    premises = replace(
        premises,
        settings=settings,
        silent=silent({name: _asking(top) for name, top in tops.items()}, seconds),
    )
    if "state" not in premises.silent:
        premises = replace(premises, daemon_pid=Lock(tops["state"]).holder())
    return premises if premises.silent else _with_overview(premises, settings)


def now_of(premises: Premises) -> datetime:
    """By the clock of the settings, if there are any."""
    settings = premises.settings
    return clock_of(settings.clock).now() if settings is not None else datetime.now(UTC)


def _raw_tops(config_file: Path | None) -> list[tuple[str, Path]]:
    """The directories as the file names them, where more than that would have to ask them."""
    try:
        table = tomllib.loads(config_file.read_text()) if config_file is not None else {}
        given = table.get("data", {})
        base = config_file.parent if config_file is not None else Path()
        return [(name, base.absolute() / given.get(name, getattr(Data(), name))) for name in TOPS]
    except (OSError, ValueError, TypeError, AttributeError):
        return []


def _asking(top: Path) -> Callable[[], object]:
    return partial(os.statvfs, top)  # what `stat` says may be remembered from when the server was there


def _with_overview(premises: Premises, settings: Settings) -> Premises:
    try:
        found = within(OVERVIEW_SECONDS, partial(_overview, settings, premises.daemon_pid))
    except TickwardError as error:
        return replace(premises, overview_trouble=str(error))
    except LateError as error:
        return replace(premises, overview_trouble=f"the days could not be looked at: {error}")
    except Exception as error:
        what = f"the days could not be looked at: {type(error).__name__}: {error}"
        return replace(premises, overview_trouble=what)
    return replace(premises, overview=found)


def _overview(settings: Settings, daemon_pid: int | None) -> Overview:
    now = clock_of(settings.clock).now()
    file = journal_file(settings.data)
    if daemon_pid is not None or not file.exists() or Path(f"{file}-shm").exists():
        return overview(settings, now)
    size = sum(each.stat().st_size for each in (file, Path(f"{file}-wal")) if each.exists())
    if size > LARGEST_COPY_BYTES:
        raise TickwardError(
            f"the journal {file} is too large ({size >> 20} MiB) to be looked at without a trace while no "
            "daemon runs; `tickward status` looks at it in place"
        )
    with tempfile.TemporaryDirectory(prefix="tickward-doctor-") as folder:
        for ending in ("", "-wal"):
            if Path(f"{file}{ending}").exists():
                shutil.copyfile(f"{file}{ending}", f"{folder}/{file.name}{ending}")
        try:
            found = overview(replace(settings, data=replace(settings.data, state=folder)), now)
        except TickwardError as error:
            raise TickwardError(str(error).replace(folder, settings.data.state)) from error
        real = replace(found.settings.data, state=os.path.realpath(settings.data.state))
        return replace(found, settings=replace(found.settings, data=real))
