"""Where the commands of docs/commands.md are run: two trees below one folder, clocks that stand still.

What they print is the same on every machine: what is of the machine, or of the moment, is replaced as
`SAME_EVERYWHERE` says.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from datetime import date, timedelta
from functools import cache, partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from unittest.mock import patch

import apsw
import typer.main
from loguru import logger
from msgspec import Raw

from handlers.contract import Paths
from handlers.create import BUILT_IN_SCHEMA
from handlers.pattern import Pattern
from scripts.sample_tree import FAILING, NOW, configure, grow, settings_below
from watcher.__main__ import main
from watcher.config import load
from watcher.demo.ticks import realistic
from watcher.hooks.bound import bound
from watcher.hooks.store import FILE, Letter, Store
from watcher.journal import Journal
from watcher.paths import journal_file
from watcher.publisher import Publisher
from watcher.schedule import end_of, start_of
from watcher.settings import Settings, Stream
from watcher.wire import to_frames

WIDTH = 100
SHOWN_FOLDER = "/srv/tickward"
DAYS = 200
FREE_BYTES, DISK_BYTES = 900 * 10**9, 2 * 10**12


class Instead(NamedTuple):
    """What is of the machine or of the moment, and what is shown for it."""

    what: str
    pattern: str
    shown: str | None
    """None: a hash that was made up, another one for each."""


SAME_EVERYWHERE = (
    Instead("who", r"[^\s\"=:,]+ \(uid \d+, pid \d+\)", "ann (uid 1000, pid 812)"),
    Instead("how long it took", r"\b\d+\.\d+ s\b", "0.1 s"),
    Instead(
        "the time of log lines",
        r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} ",
        "2026-07-15 09:30:00.000 ",
    ),
    Instead("the time of keys", r"(?<=  since )\d{4}-\d\d-\d\d \d\d:\d\d UTC$", "2026-07-15 09:30 UTC"),
    Instead("keys", r"(?<=public key: )\S{40}$", "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"),
    Instead("keys", r"(?<=^\w{6}  )\S{40}(?=  since)", "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"),
    Instead("hashes", r"\b[0-9a-f]{64}\b", None),
    Instead("versions", r"\btickward \d+\.\d+[^\s,]*", "tickward 0.1.0"),
    Instead("versions", r"\bSQLite 3\.\d+\.\d+", "SQLite 3.54.1"),
    Instead("how well zstd compresses", r"(?<=\bcompressed_bytes=)30\d{3}\b", "30876"),
)

_HOOKS = """
[hooks]
sealed = 'echo "$TICKWARD_DAY is sealed" >> days.txt'
failed = "https://alerts.example/tickward"
"""


class _Disk(NamedTuple):
    """As `shutil.disk_usage` tells it."""

    total: int
    used: int
    free: int


class Said(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


class Stage:
    """Runs commands in this process, as if in a terminal of `WIDTH` columns."""

    def __init__(self, folders: dict[str, Path]) -> None:
        self._folders = folders
        self._hashes: dict[str, str] = {}

    def __call__(self, tree: str, *arguments: str) -> Said:
        """Run a command in the folder of a tree, ``sample`` or ``real``."""
        out, err = _Terminal(), _Terminal(is_terminal=False)
        os.chdir(self._folders[tree])
        with patch.object(sys, "argv", ["tickward", *arguments]), redirect_stdout(out), redirect_stderr(err):
            try:
                main()
                code = 0
            except SystemExit as end:
                code = int(end.code or 0)
        return Said(code, out.text(), err.text())

    def same_everywhere(self, text: str) -> str:
        """Without what is of this machine, or of this moment."""
        for folder in self._folders.values():
            text = text.replace(str(folder), SHOWN_FOLDER)
        text = re.sub(r"\x1b\[[0-9;]*m", "", text)  # an SQL shell has colours wherever it is a terminal
        for _, pattern, shown in SAME_EVERYWHERE:
            instead = self._another_hash if shown is None else partial(_always, shown)
            text = re.sub(pattern, instead, text, flags=re.MULTILINE)
        return "\n".join(line.rstrip() for line in text.splitlines())

    def _another_hash(self, found: re.Match[str]) -> str:
        number = len(self._hashes)
        return self._hashes.setdefault(found.group(), hashlib.sha256(b"%d" % number).hexdigest())

    def late_ticks(self, day: str) -> None:
        """Ticks that come after their day was compressed."""
        _write_ticks(self.settings("real"), date.fromisoformat(day), skip=990, count=30)

    def settings(self, tree: str) -> Settings:
        return load(self._folders[tree] / "config.toml")


def _always(shown: str, _: re.Match[str]) -> str:
    return shown


class _Terminal(io.TextIOWrapper):
    """What is written to a terminal, or to a pipe."""

    def __init__(self, *, is_terminal: bool = True) -> None:
        self._bytes = io.BytesIO()
        self._is_terminal = is_terminal
        super().__init__(self._bytes, encoding="utf-8", newline="", write_through=True)

    def isatty(self) -> bool:
        return self._is_terminal

    def text(self) -> str:
        self.flush()
        return self._bytes.getvalue().decode()


@contextmanager
def stage() -> Iterator[Stage]:
    """Both trees, each in a temporary folder whose path is as long as the one that is shown for it."""
    with ExitStack() as stack:
        stack.callback(os.chdir, Path.cwd())
        stack.enter_context(_environment())
        folders = {}
        for tree, make in (("sample", _make_sample), ("real", _make_real)):
            folders[tree] = Path(stack.enter_context(TemporaryDirectory(prefix="", dir="/tmp")))
            assert len(str(folders[tree])) == len(SHOWN_FOLDER)  # else columns and folds would differ
            make(folders[tree])
        made = Stage(folders)
        stack.enter_context(_published(made.settings("sample")))
        yield made


@contextmanager
def _environment() -> Iterator[None]:
    ours = ("TICKWARD_", "DRY_RUN", "FORCE_COLOR", "TTY_", "RETENTION_", "DAYS_BEFORE", "COMPRESSION_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    kept |= {"COLUMNS": str(WIDTH), "LINES": "40", "TERM": "dumb", "NO_COLOR": "1"}
    disk = _Disk(DISK_BYTES, DISK_BYTES - FREE_BYTES, FREE_BYTES)
    logger.remove()
    try:
        with (
            patch.dict(os.environ, kept, clear=True),
            patch("shutil.disk_usage", lambda _: disk),
            # Most of what a command takes is to put all of them together.
            patch("typer.main.get_command", cache(typer.main.get_command)),
            # Threads begin at once; processes take half a second, for each command.
            patch("watcher.app.process_executor", lambda count, _: ThreadPoolExecutor(count)),
        ):
            yield
    finally:
        logger.remove()


def _make_sample(folder: Path) -> None:
    """Days in every tier, some of them in trouble, and events that a hook could not be given."""
    settings = settings_below(folder)
    grow(settings, DAYS, troubles=FAILING, durable=False)
    _configure(folder, settings, _HOOKS)
    settings = load(folder / "config.toml")
    hook = next(each for each in bound(settings) if each.event == "sealed")
    file = journal_file(settings.data)
    with Journal.open_for_writing(file) as journal:
        epoch = journal.epoch
        sealed = [each for each in journal.since(journal.head() - 100) if each.event == hook.event]
    store = Store.make(file.with_name(FILE))
    try:
        for record in sealed[:4]:
            body = to_frames(record, epoch)[2]
            what = (hook.key, hook.label, epoch, record.sequence, record.event, record.key, Raw(body))
            store.bury(Letter(*what, "ended with exit status 1: No space left on device", 6, NOW))
    finally:
        store.close()


def _make_real(folder: Path) -> None:
    """Three days as their writer leaves them."""
    settings = settings_below(folder)
    # One job after the other, so that the order is always the same; and no pause for a writer that is none.
    _configure(folder, settings, "[workers]\ncount = 1\n[watch]\nsettle_seconds = 1e-8\n")
    file = folder / "config.toml"
    # Slow enough to show one minute only; at a standstill no step that waits a moment would go on.
    file.write_text(file.read_text().replace("scale = 1e-12", f"scale = 1e-6\norigin = {time.time()}"))
    for number in (3, 2, 1):
        _write_ticks(settings, NOW.date() - timedelta(days=number), skip=0, count=1000)


def _configure(folder: Path, settings: Settings, more: str) -> None:
    with configure(folder, settings).open("a") as file:
        file.write(f'[events]\npublish = "ipc://{folder}/p"\nreplay = "ipc://{folder}/r"\n')
        file.write(f'keys = "{folder}/state/keys"\n{more}')


def _write_ticks(settings: Settings, day: date, skip: int, count: int) -> None:
    """One batch of the ticks of that day, into the file that its writer has."""
    path = Path(Paths.of(settings.data.root, "", "", Pattern(Stream().pattern).path_of(day)).database)
    path.parent.mkdir(parents=True, exist_ok=True)
    ticks = islice(realistic(int(start_of(day).timestamp() * 1000), symbols=5, rate=0.02), skip, skip + count)
    connection = apsw.Connection(str(path))
    try:
        connection.execute(BUILT_IN_SCHEMA.read_text())
        with connection:
            connection.executemany(
                "INSERT INTO ticks (symbol, timestamp, bid, ask, spread, lp_source, created_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(t.symbol, t.timestamp, t.bid, t.ask, t.spread, t.lp_source, t.timestamp) for t in ticks],
            )
    finally:
        connection.close()
    written = end_of(day).timestamp()
    os.utime(path, (written, written))


@contextmanager
def _published(settings: Settings) -> Iterator[None]:
    """What `wait` listens to."""
    file = journal_file(settings.data)
    publisher = Publisher(settings, file)
    with Journal.open_for_writing(file) as journal:
        publisher.start(journal.head())
    try:
        yield
    finally:
        publisher.stop()
