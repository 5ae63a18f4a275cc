"""What is there: the tree of databases and the journal's facts, brought together.

File events only say where to look (`Inventory.look`); a full walk (`Inventory.scan`) finds whatever they
missed. Nothing here opens a database, but for the lease probe, and nothing here decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from handlers.contract import Paths
from handlers.pattern import Pattern
from watcher.disk import room
from watcher.plan import settled_at
from watcher.settings import Data, Settings
from watcher.state import Database, Facts, Files
from watcher.tree import SIDECARS, Listing, look, walk

BACKUP_SENTINEL, ARCHIVE_SENTINEL = ".tickward-backup", ".tickward-archive"
"""Lie in those directories, and tell them from a mount point on which nothing is mounted."""
_NEVER = datetime.max.replace(tzinfo=UTC)


class Inventory:
    """The databases of all streams, as they were when last looked at.

    Args:
        data: where they are; `root`, `backup` and `archive` are absolute and free of symbolic links.
        probe: tells whether somebody has a database open for writing.
    """

    def __init__(self, data: Data, probe: Callable[[str], bool]) -> None:
        self._data = data
        self._probe = probe
        self._patterns = {name: Pattern(s.pattern) for name, s in data.streams.items()}
        self._by_head: dict[str, list[str]] = {}
        """The streams by the directory that their patterns begin with; empty: not always the same one."""
        for name, stream in data.streams.items():
            head = stream.pattern.partition("/")[0]
            self._by_head.setdefault("" if "{" in head else head, []).append(name)
        self._tails = tuple({s.pattern.rpartition("}")[2] for s in data.streams.values()})
        """How the names of databases end."""
        self._databases: dict[str, Database] = {}
        self._unsealed: set[str] = set()
        """Only these are probed, settle, or may turn out never to have been."""

    def get(self, key: str) -> Database | None:
        return self._databases.get(key)

    def databases(self) -> list[Database]:
        return list(self._databases.values())

    def change(self, key: str, **changes: object) -> None:
        """Replace fields of one database: its facts, what is running, ..."""
        self._databases[key] = changed = replace(self._databases[key], **changes)
        if changed.facts.sealed is None:
            self._unsealed.add(key)
        else:
            self._unsealed.discard(key)

    def add(self, stream: str, day: date) -> Database:
        """The database of that day, looked at now if it was not known yet."""
        key = f"{stream}/{day}"
        return self._databases[key] if key in self._databases else self.look_at(key)

    def add_known(self, facts: Mapping[str, Facts]) -> None:
        """Take over what the journal knows, also of days that are no longer on disk; `scan` looks at them.

        Facts of streams, and of streams that are not configured any more, are passed over.
        """
        for key, known in facts.items():
            stream, _, day = key.partition("/")
            if day and stream in self._patterns:
                self._register(key)
                self.change(key, facts=known)

    def scan(self) -> None:
        """Walk everything; look anew at every day that is there or should be, and probe those not sealed."""
        found = {key for key, database in self._databases.items() if not database.facts.expired}
        for top in _tops(self._data):
            for path in walk(Path(top)):
                if key := self.key_of(path):
                    found.add(key)
        for key in found:
            database = self.look_at(key)
            if database.facts.sealed is None:
                self.change(key, held=None)

    def look(self, paths: Iterable[Path], now: datetime) -> None:
        """Look again at the days that these paths belong to; a path that is not ours is ignored."""
        for key in {key for path in paths if (key := self.key_of(str(path)))}:
            database = self.look_at(key)
            burst = database.held is None and database.unsettled_since is not None
            since = database.unsettled_since if burst else now
            self.change(key, touched_at=now, unsettled_since=since, held=None)

    def look_at(self, key: str, listing: Listing | None = None) -> Database:
        """Look again at one day's files, without counting that as a touch.

        If nothing has changed it is the same object: the planner goes by that. ``listing``: see `look`.
        """
        database = self._register(key)
        files = look(database.paths, self._data, listing)
        if files != database.files:
            self.change(key, files=files)
        return self._databases[key]

    def _register(self, key: str) -> Database:
        if key not in self._databases:
            stream, _, text = key.partition("/")
            day = date.fromisoformat(text)
            data = self._data
            below = self._patterns[stream].path_of(day)
            paths = Paths.of(data.root, data.backup, data.archive, below)
            self._databases[key] = Database(key, stream, day, paths)
            self._unsealed.add(key)
        return self._databases[key]

    def probe_settled(self, now: datetime, settings: Settings) -> None:
        """Ask of each unsealed database that has settled whether somebody has it open.

        One that never settles, because somebody comes and goes all the time, is asked in the end as well.
        """
        for database in self._without_seal():
            key = database.key
            if not database.files.database:
                continue
            if database.held is not None:
                if _probe_again_at(database, settings) <= now:
                    self._probe_one(key, now)
                continue
            if (database.touched_at or now) > now:
                # A clock that was put back must not keep a file unsettled until it catches up.
                self.change(key, touched_at=now, unsettled_since=now)
            elif settled_at(database, settings) <= now:
                self._probe_one(key, now)

    def _without_seal(self) -> list[Database]:
        return [self._databases[key] for key in sorted(self._unsealed)]

    def _probe_one(self, key: str, now: datetime) -> None:
        # Commits make no events: the files are looked at in the same moment.
        held = self._is_held(self.look_at(key).paths.database)
        self.change(key, held=held, probed_at=now)

    def probe_again_at(self, settings: Settings) -> datetime | None:
        """When to ask once more of databases whose next opening no file event will tell; None if never."""
        first = min((_probe_again_at(each, settings) for each in self._without_seal()), default=_NEVER)
        return None if first == _NEVER else first

    def _is_held(self, path: str) -> bool:
        try:
            return self._probe(path)
        except OSError:
            return False  # what cannot even be opened: the step will say why

    def unsettled_until(self, now: datetime, settings: Settings) -> datetime | None:
        """When the next touched database has settled; None if none is unsettled."""
        pending = (
            settled_at(database, settings)
            for database in self._without_seal()
            if database.touched_at is not None and database.held is None and database.files.database
        )
        return min((moment for moment in pending if moment > now), default=None)

    def ahead_of(self, days: Mapping[str, date]) -> set[str]:
        """The streams whose writer already uses the database of the day after the given one."""
        early = set()
        for stream, day in days.items():
            database = self._databases.get(f"{stream}/{day + timedelta(days=1)}")
            if database is not None and _in_use(database):
                early.add(stream)
        return early

    def forget_unknown(self, today: date) -> None:
        """Drop days gone by of which there never was a file or a fact: nobody made them."""
        for database in self._without_seal():
            if database.day < today and database.files == Files() and not database.facts.existed:
                del self._databases[database.key]
                self._unsealed.remove(database.key)

    def require_root(self) -> None:
        """Raise `FileNotFoundError` if the root is not there: nothing may be made in its place."""
        if not Path(self._data.root).is_dir():
            raise FileNotFoundError(f"the root {self._data.root} is gone: mount it, or restore it")

    def backup_doubt(self) -> str:
        """Why the backup directory is not to be written to; empty if it is what it was."""
        return _doubt("backup", Path(self._data.backup, BACKUP_SENTINEL))

    def archive_doubt(self) -> str:
        """The same of the archive, where what does not show must not be taken for gone."""
        return _doubt("archive", Path(self._data.archive, ARCHIVE_SENTINEL))

    def free_bytes(self) -> dict[str, int]:
        """Free space, by the directory of ``[data]`` that it is for; nothing of one that is not there."""
        return {each.directory: each.free_bytes for each in room(self._data)}

    def one_volume(self) -> bool:
        """Whether a file moves from the root to the archive without being copied."""
        devices = {each.directory: each.device for each in room(self._data)}
        return "root" in devices and devices["root"] == devices.get("archive")

    def key_of(self, path: str) -> str | None:
        """The key of the database that a path is an artefact of; None if it is not ours."""
        name = _database_name(path)
        if not name.endswith(self._tails):
            return None  # most of what is asked for, and there may be hundreds of patterns
        for top in _tops(self._data):
            if name.startswith(top + "/"):
                return self._key_below(name[len(top) + 1 :])
        return None

    def _key_below(self, path: str) -> str | None:
        head = path.partition("/")[0]
        for stream in (*self._by_head.get(head, ()), *self._by_head.get("", ())):
            if (day := self._patterns[stream].day_of(path)) is not None:
                return f"{stream}/{day}"
        return None


def _doubt(what: str, sentinel: Path) -> str:
    try:
        sentinel.lstat()
    except FileNotFoundError:
        return (
            f"{sentinel} is missing: is the {what} disk mounted? "
            f"If this is a new, empty one: touch {sentinel}"
        )
    except OSError as error:
        return f"the {what} directory cannot be read ({error}): mend its disk or its permissions"
    return ""


def _database_name(path: str) -> str:
    """The database that an artefact's path belongs to: without ``-wal``, ``.zst``, ``.retired``."""
    directory, _, name = path.rpartition("/")
    if name.startswith(".") and name.endswith(".retired"):
        name = name[1 : -len(".retired")]
    for ending in (*SIDECARS, ".zst"):
        name = name.removesuffix(ending)
    return f"{directory}/{name}" if directory else name


def _tops(data: Data) -> tuple[str, ...]:
    """Where artefacts of days are: in the same tree below each."""
    return data.root, data.backup, data.archive


def _probe_again_at(database: Database, settings: Settings) -> datetime:
    """What no event tells: a writer that comes back to the -wal of a crash, first ticks in a day ahead."""
    if database.held is None or database.probed_at is None:
        return _NEVER
    comes_back = not database.held and database.files.wal_bytes
    goes_ahead = database.held and database.probed_at.date() < database.day and not _in_use(database)
    if not (comes_back or goes_ahead):
        return _NEVER
    return database.probed_at + timedelta(seconds=settings.seal.retry_seconds)


def _in_use(database: Database) -> bool:
    """Whether ticks are being written to it: to have it open, or to have copied it here, is not enough."""
    files, created = database.files, database.facts.created
    if not database.held:
        return False
    if files.wal_bytes:
        return True
    return created is not None and files.database not in (None, created.signature)
