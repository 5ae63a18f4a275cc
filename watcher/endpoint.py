"""Addresses of the event sockets: only this machine may read them, unless CURVE guards them."""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from handlers.files import make_directories
from watcher import private

IPC = "ipc://"
_TCP = "tcp://"
_ABSTRACT = IPC + "@"
_LONGEST_SOCKET_PATH = 107  # bytes: sockaddr_un.sun_path of Linux, without its final NUL
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_WILDCARDS = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 (it is known, not bound)
_REMEDY = "set events.curve = true (`Who may listen` in docs/events.md), or name"


def problem_with(endpoint: str, *, curve: bool = False) -> str | None:
    """Why events cannot be published there, or None.

    Args:
        curve: whether only clients with a key that is allowed are heard.
    """
    if endpoint.startswith(IPC) and endpoint not in (IPC, _ABSTRACT):
        if curve or not endpoint.startswith(_ABSTRACT):
            return None
        return (
            f"{endpoint!r} has no file: every user of this machine could read the events; "
            f"{_REMEDY} a path such as ipc:///run/tickward/events"
        )
    host, _, port = endpoint.removeprefix(_TCP).rpartition(":")
    is_port = port.isascii() and port.isdigit() and 0 < int(port) < 65536
    if not endpoint.startswith(_TCP) or not _is_host(host) or not is_port:
        return f"{endpoint!r} is not an address such as tcp://127.0.0.1:5556 or ipc:///run/tickward/events"
    if not curve and not _is_loopback(host):
        return (
            f"{endpoint!r} is not a loopback address: events would be readable by the network; "
            f"{_REMEDY} one such as tcp://127.0.0.1:{port}"
        )
    return None


def absolute(endpoint: str, below: Callable[[str], str]) -> str:
    """The address with its path, if it has one, made absolute by ``below``.

    Raises `ValueError` if that path is too long for a socket.
    """
    path = endpoint.removeprefix(IPC)
    if path == endpoint or path.startswith("@"):  # TCP, or a name in Linux's abstract space
        return endpoint
    path = below(path)
    if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
        raise ValueError(f"{path} is longer than a socket's path may be ({_LONGEST_SOCKET_PATH} bytes)")
    return IPC + path


def nearby(endpoint: str) -> str:
    """Where a program on this machine connects to what is published there: nobody connects to ``*``."""
    host, _, port = endpoint.removeprefix(_TCP).rpartition(":")
    return (
        f"{_TCP}{_WILDCARDS[host]}:{port}" if endpoint.startswith(_TCP) and host in _WILDCARDS else endpoint
    )


def host_and_port(listen: str) -> tuple[str, int]:
    """Of ``host:port``, which is one: the host as an address or a name, without brackets."""
    host, _, port = listen.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def problem_with_local(listen: str) -> str | None:
    """Why this is no ``host:port`` that only this machine can reach, or None."""
    host, _, port = listen.rpartition(":")
    if not (port.isascii() and port.isdigit() and 0 <= int(port) < 65536 and host):
        return f"{listen!r} is not an address such as 127.0.0.1:8787"
    try:
        local = (
            host == "localhost" or ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
        )
    except ValueError:
        local = False
    if not local:
        return (
            f"{listen!r} is not on the loopback interface: name 127.0.0.1, [::1] or localhost, and put a "
            "proxy that asks for a password in front of it for other machines"
        )
    return None


def prepare_ipc(path: str) -> None:
    """See that the directory of a socket is private; a missing one is made so.

    Raises `OSError` if it is not, or cannot be made. Its ``strerror`` says what to do.
    """
    if path.startswith("@"):
        return
    folder = Path(path).parent
    if not folder.exists():
        make_directories(folder.parent)
        with suppress(FileExistsError):  # somebody was first: then it is judged
            folder.mkdir(0o700)
    if problem := private_problem(folder):
        raise PermissionError(errno.EACCES, problem)


def private_problem(folder: Path) -> str | None:
    """Why sockets in this directory are not for us alone, and the remedy; None if they are.

    Raises `OSError` if it cannot be looked at.
    """
    status = folder.stat()
    if not stat.S_ISDIR(status.st_mode):
        return f"{folder} is no directory: name another"
    return private.problem_with(folder, status, private.ANY, private.ours())


def _is_host(host: str) -> bool:
    """What ZeroMQ can bind to: ``*``, an address, or a name, of an interface for example."""
    if host.startswith("[") and host.endswith("]"):
        try:
            return bool(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            return False
    return host == "*" or _NAME.fullmatch(host) is not None


def _is_loopback(host: str) -> bool:
    if host in ("localhost", "[::1]"):
        return True
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False
