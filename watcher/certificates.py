"""Keys of CURVE in files: certificates as `zmq.auth` reads and writes them.

A client's pair is two files: ``NAME.key`` with its public key, for the daemon's machine, and
``NAME.key_secret`` with both, which stays where it was made and is its owner's alone.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from handlers.contract import StepError
from handlers.files import give_owner, publish_new, publish_over, temporary
from watcher import private
from watcher.errors import ConfigError, TickwardError

PUBLIC, SECRET = ".key", ".key_secret"
LOCAL, SERVER = "local", "server"
"""The names of the daemon's own keys."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_LENGTH = 40  # characters of Z85: 32 bytes
_LARGEST_FILE = 65536


class KeyPair(NamedTuple):
    """A key of CURVE, both halves as Z85 text."""

    public: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"KeyPair({self.public.decode()})"  # the other half must not get into a log


def new_pair() -> KeyPair:
    """A key that nobody has had before. Raises `TickwardError` if this ZeroMQ cannot make one."""
    import zmq  # noqa: PLC0415 (commands that need no key start without it)

    if not zmq.has("curve"):
        raise TickwardError("this ZeroMQ was built without CURVE: install one that was built with it")
    return KeyPair(*zmq.curve_keypair())


def require_name(name: str) -> None:
    """Raise `ConfigError` unless a client may be called so."""
    if _NAME.fullmatch(name) is None or name.endswith(PUBLIC):
        raise ConfigError(
            f"{name!r} is no name for a client: up to 63 of a-z, 0-9, '_', '.' and '-', with a letter or a "
            f"digit first and no {PUBLIC} at the end"
        )
    if name in (LOCAL, SERVER):
        raise ConfigError(
            f"{name!r} is the name of a key of the daemon's own, not of a client's: choose another"
        )


def write_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """Make a client's key; returns the public file and the secret one. Never over a file."""
    require_name(name)
    public, secret = folder / f"{name}{PUBLIC}", folder / f"{name}{SECRET}"
    for path in (public, secret):
        if os.path.lexists(path):
            raise ConfigError(f"{path} exists already; it is left as it is: choose another name")
    new = new_pair()
    with explained():
        write_secret(secret, new, name=name)
        try:
            write_public(public, new.public, name=name)
        except BaseException:  # one half without the other would only be in the way
            secret.unlink()
            raise
    return public, secret


def write_public(file: Path, key: bytes, *, name: str = "", over: bool = False) -> None:
    """A new file with a public key. Raises `FileExistsError`, unless ``over``, if there is one; `OSError`."""
    _write(file, certificate(key, name=name), 0o644, over=over)


def write_secret(file: Path, key: KeyPair, *, name: str = "") -> None:
    """The same with both halves, for its owner only."""
    _write(file, certificate(key.public, key.secret, name=name), 0o600)


def certificate(public: bytes, secret: bytes | None = None, *, name: str = "") -> str:
    """What is written in a file: the same for the same keys."""
    lines = [
        f"#   ZeroMQ CURVE {'Public' if secret is None else '**Secret**'} Certificate",
        *(["#   Keep this file where it is, and show it to nobody."] if secret is not None else []),
        "",
        "metadata",
        *([f'    name = "{name}"'] if name else []),
        "curve",
        f'    public-key = "{public.decode()}"',
        *([f'    secret-key = "{secret.decode()}"'] if secret is not None else []),
    ]
    return "\n".join(lines) + "\n"


def read_secret(file: Path) -> KeyPair:
    """A key with both halves. Raises `TickwardError` if it is none, or is not its owner's alone."""
    import zmq  # noqa: PLC0415

    content, status = _read(file)
    public, secret = _halves(file, content)
    if secret is None:
        beside = file.with_suffix(SECRET) if file.suffix == PUBLIC else f"the file that ends in {SECRET}"
        raise TickwardError(f"{file} has no secret key: name {beside}")
    if problem := private.problem_with(file, status, private.ANY, owners(file)):
        raise TickwardError(f"a secret key must be secret, but {problem}")
    if public not in (None, zmq.curve_public(secret)):
        raise TickwardError(f"the two keys in {file} do not belong together: put back a good copy of it")
    return KeyPair(zmq.curve_public(secret), secret)


def read_public(text_or_file: str | Path) -> bytes:
    """A public key: Z85 text, or a file that has it. Raises `TickwardError` if it is neither."""
    if isinstance(text_or_file, str) and is_text(text_or_file):
        return text_or_file.strip().encode()
    file = Path(text_or_file)
    if not os.path.lexists(file):
        raise ConfigError(
            f"{str(text_or_file)!r} is neither a file nor a public key, which has {_LENGTH} characters"
        )
    return public_of(file)[0]


def is_text(text_or_file: str) -> bool:
    """Whether this is a key itself. Nearly every character of a path may be in a key."""
    name = text_or_file.strip()
    is_file = name.endswith((PUBLIC, SECRET)) or os.path.lexists(name)
    return not is_file and _is_key(name.encode(errors="replace"))


def public_of(file: Path) -> tuple[bytes, os.stat_result]:
    """The key in a public certificate, and what the file was like when it was read."""
    content, status = _read(file)
    public, secret = _halves(file, content)
    if public is None or secret is not None:
        beside = file.with_suffix(PUBLIC) if file.suffix == SECRET else f"the file that ends in {PUBLIC}"
        raise ConfigError(f"{file} has a secret key, which should stay where it was made: name {beside}")
    return public, status


def owners(path: Path) -> frozenset[int]:
    """Whose it may be: ours or root's.

    What root makes it gives to the owner of the directory: so to root it may be that one's, too.
    """
    return private.ours() | ({path.parent.stat().st_uid} if os.geteuid() == 0 else set())


@contextmanager
def explained() -> Iterator[None]:
    """What the system says, as a `TickwardError`."""
    try:
        yield
    except FileExistsError as error:
        path = error.filename2 or error.filename
        raise ConfigError(f"{path} exists already; it is left as it is: choose another name") from None
    except PermissionError as error:
        path = error.filename2 or error.filename
        raise TickwardError(f"{path} cannot be used ({error.strerror}): be its owner, or root") from None
    except OSError as error:
        path = error.filename2 or error.filename
        raise TickwardError(f"{path} cannot be used ({error.strerror}): mend that, or name another") from None
    except StepError as error:
        raise TickwardError(f"{error.message}; {error.hint}") from None


def _halves(file: Path, content: bytes) -> tuple[bytes | None, bytes | None]:
    """The public and the secret key in a certificate, or in a file with nothing but a public key."""
    found: dict[bytes, set[bytes]] = {b"public-key": set(), b"secret-key": set()}
    for line in content.splitlines():
        name, _, value = line.partition(b"=")  # a key may have further ones
        if name.strip() in found:
            found[name.strip()].add(value.strip(b" \t'\""))
    publics, secrets = found.values()
    if not publics and not secrets:
        publics = {content.strip()}
    if max(len(publics), len(secrets)) > 1:
        raise TickwardError(f"{file} has several keys: name a file with one")
    if not all(map(_is_key, publics | secrets)):
        raise TickwardError(
            f"{file} has no key as `tickward keys new` or zmq.auth make them: put back a good copy of it"
        )
    return next(iter(publics), None), next(iter(secrets), None)


def _is_key(text: bytes) -> bool:
    from zmq.utils import z85  # noqa: PLC0415

    try:
        return len(text) == _LENGTH and bool(z85.decode(text))
    except (KeyError, struct.error):  # no character of Z85; more than 32 bits
        return False


def _read(file: Path) -> tuple[bytes, os.stat_result]:
    """What is in a file, and what it was like when it was opened."""
    with explained():
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would keep us waiting
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_FILE:
                raise TickwardError(f"{file} is no file with a key: name another")
            return os.read(fd, _LARGEST_FILE), status
        finally:
            os.close(fd)


def _write(file: Path, content: str, mode: int, *, over: bool = False) -> None:
    """A file that is whole from its first instant, and never open to more than ``mode`` says."""
    with temporary(file) as fresh:
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        with os.fdopen(fd, "w") as stream:
            stream.write(content)
        give_owner(fresh)
        if over:
            publish_over(fresh, file)
        else:
            publish_new(fresh, file)
