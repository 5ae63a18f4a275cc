"""The keys of the event sockets: the daemon's own, those that it admits, and what a client shows to it.

    keys/server.key_secret      what the daemon proves itself with; server.key is its public half
    keys/local.key_secret       what the commands of this machine prove themselves with
    keys/allowed/NAME.key       the public key of a client that is admitted

Whoever can write here decides who may listen: nothing counts that other users could have written.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from loguru import logger

from handlers.files import fsync_directory, give_owner, is_temporary, make_directories
from watcher import private
from watcher.certificates import (
    LOCAL,
    PUBLIC,
    SECRET,
    SERVER,
    KeyPair,
    certificate,
    explained,
    new_pair,
    owners,
    public_of,
    read_public,
    read_secret,
    require_name,
    write_public,
    write_secret,
)
from watcher.errors import ConfigError, TickwardError
from watcher.settings import Events

MOST_CLIENTS = 1000


class Credentials(NamedTuple):
    """What a client needs to be admitted, and to know that it is the daemon that it talks to."""

    key: KeyPair
    server: bytes
    """The daemon's public key, as Z85 text."""

    @classmethod
    def read(cls, key_file: str | Path, server: str | Path) -> Credentials:
        """From the client's ``NAME.key_secret`` and the daemon's public key, as text or in a file.

        Raises `TickwardError` if one of them cannot be read as such.
        """
        key, public = read_secret(Path(key_file)), read_public(server)
        if public == key.public:
            raise ConfigError(
                f"{server} is the client's own public key: name the daemon's, which `tickward keys list` "
                "shows there"
            )
        return cls(key, public)


def local_credentials(events: Events) -> Credentials | None:
    """What commands of the daemon's user show on its machine; None if CURVE is off.

    Raises `TickwardError` if the keys are not this user's to read.
    """
    if not events.curve:
        return None
    ring = KeyRing(Path(events.keys))
    return Credentials(ring.local(), ring.server().public)


class Client(NamedTuple):
    """Somebody who is admitted."""

    name: str
    public: bytes
    since: datetime


class KeyRing:
    """The keys of one daemon, in a private directory, which is made when the first key is.

    Every method but `stamp` raises `TickwardError` if the directory is not private or cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._allowed = folder / "allowed"
        self._server = folder / f"{SERVER}{SECRET}"
        self._local = folder / f"{LOCAL}{SECRET}"
        self._warned: set[str] = set()

    def server(self) -> KeyPair:
        """The daemon's key, made at first use."""
        key = self._made(self._server)
        copy = self._folder / f"{SERVER}{PUBLIC}"  # for people to hand out; it is not read here
        with explained():
            if not copy.is_file() or copy.read_text(errors="replace") != certificate(key.public, name=SERVER):
                write_public(copy, key.public, name=SERVER, over=True)
        return key

    def known_server(self) -> bytes | None:
        """The daemon's public key; None if none was made yet."""
        with explained():
            self._require_private()
            return read_secret(self._server).public if self._server.exists() else None

    def local(self) -> KeyPair:
        """The key of the commands of this machine, made at first use. It is admitted."""
        return self._made(self._local)

    def allowed(self) -> dict[bytes, str]:
        """Who is admitted: the name for each public key. Any other file admits nobody, with one warning."""
        clients, problems = self.listed()
        for problem in problems:
            if problem not in self._warned:
                logger.warning("a key is not admitted: {}", problem)
        self._warned = set(problems)
        return {client.public: client.name for client in clients}

    def listed(self) -> tuple[list[Client], list[str]]:
        """Who is admitted, this machine's own key first; and of each file that admits nobody, why."""
        clients: list[Client] = []
        problems: list[str] = []
        with explained():
            self._require_private()
            files = self._files()
        for file in files:
            try:
                with explained():
                    clients.append(self._client(file))
            except TickwardError as error:
                problems.append(str(error))
        if len(files) > MOST_CLIENTS:
            problems.append(f"{self._allowed} has more than {MOST_CLIENTS} files: not all of them are read")
        return clients, problems

    def allow(self, name: str, public: bytes) -> bool:
        """Admit whoever has the other half of this key; False if it is admitted under this name already."""
        require_name(name)
        if public == self.server().public:
            raise ConfigError("this is the daemon's own public key: allow the one that the client made")
        clients, _ = self.listed()
        for client in clients:
            if client.public == public and client.name == name:
                return False
            if client.public == public:
                raise ConfigError(f"this key is allowed already, as {client.name}: revoke that first")
        if len(clients) >= MOST_CLIENTS:
            raise TickwardError(f"{MOST_CLIENTS} keys are allowed already: revoke those that are not used")
        file = self._file_of(name)
        with explained():
            _make_private(self._allowed)
            try:
                write_public(file, public, name=name)
            except FileExistsError:
                problem = f"{file} exists already: revoke {name} first, or choose another name"
                raise ConfigError(problem) from None
        return True

    def revoke(self, name: str) -> tuple[str, ...]:
        """Admit a client no more, under whatever name its key is listed; returns those names.

        The key of this machine is made anew when a command needs one.
        """
        if name != LOCAL:
            require_name(name)
        clients, _ = self.listed()
        if not os.path.lexists(self._file_of(name)):
            known = ", ".join(client.name for client in clients) or "none"
            raise ConfigError(f"no key is allowed as {name!r}; those that are: {known}")
        keys = {client.public for client in clients if client.name == name}
        names = {name} | {client.name for client in clients if client.public in keys}
        with explained():
            for file in map(self._file_of, names):
                file.unlink(missing_ok=True)
                fsync_directory(file.parent)
        return tuple(sorted(names))

    def stamp(self) -> object:
        """Differs from an earlier one if the list may differ: to be taken before `allowed` is asked.

        Costs some microseconds for each client: a key that is written over in its own file counts, too.
        """
        found: list[tuple[str, int, int, int, int]] = []

        def note(path: str, now: os.stat_result) -> None:
            # By more than the time: some kernels' clocks for that go by 4 ms.
            found.append((path, now.st_ino, now.st_mode, now.st_size, now.st_ctime_ns))

        for path in map(str, (self._folder, self._local, self._allowed)):
            with suppress(OSError):
                note(path, os.stat(path))  # noqa: PTH116 (asked for all the time; a `Path` costs thrice as much)
        with suppress(OSError), os.scandir(self._allowed) as entries:
            for entry in islice(entries, MOST_CLIENTS + 1):
                with suppress(OSError):
                    note(entry.name, entry.stat())
        return tuple(found)

    def _files(self) -> list[Path]:
        """Whatever may admit somebody, as it lies there; no more than is looked at."""
        local = [self._local] if os.path.lexists(self._local) else []
        if not self._allowed.is_dir():
            return local
        with os.scandir(self._allowed) as entries:
            names = [entry.name for entry in islice(entries, MOST_CLIENTS + 1)]
        return [*local, *(self._allowed / name for name in sorted(names) if not is_temporary(name))]

    def _file_of(self, name: str) -> Path:
        return self._local if name == LOCAL else self._allowed / f"{name}{PUBLIC}"

    def _client(self, file: Path) -> Client:
        """Raises `TickwardError` if this file may admit nobody."""
        if file == self._local:
            return Client(LOCAL, read_secret(file).public, datetime.fromtimestamp(file.stat().st_mtime, UTC))
        public, status = public_of(file)
        if file.suffix != PUBLIC:
            raise TickwardError(f"{file} is not called NAME{PUBLIC}: move it away and allow it by its name")
        require_name(file.stem)
        if problem := private.problem_with(file, status, private.WRITING, owners(self._folder)):
            raise TickwardError(problem)
        return Client(file.stem, public, datetime.fromtimestamp(status.st_mtime, UTC))

    def _made(self, file: Path) -> KeyPair:
        """The key in this file, which is made if it is missing."""
        with explained():
            _make_private(self._folder)
            self._require_private()
            if not os.path.lexists(file):
                with suppress(FileExistsError):  # another process was first: then it is that one's
                    write_secret(file, new_pair())
        return read_secret(file)

    def _require_private(self) -> None:
        for folder in (self._folder, self._allowed):
            with suppress(FileNotFoundError):
                status = folder.stat()
                if not stat.S_ISDIR(status.st_mode):
                    raise TickwardError(f"{folder} is no directory: move it away, or set events.keys")
                if problem := private.problem_with(folder, status, private.WRITING, owners(self._folder)):
                    raise TickwardError(f"who may listen is decided there, but {problem}")


def _make_private(folder: Path) -> None:
    if not folder.exists():
        make_directories(folder.parent)
        with suppress(FileExistsError):  # somebody was first: then it is judged
            folder.mkdir(0o700)
            give_owner(folder)
            fsync_directory(folder.parent)
