"""Addresses of the event sockets: only this machine may read them."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable

IPC = "ipc://"
_TCP = "tcp://"
_LONGEST_SOCKET_PATH = 107  # bytes: sockaddr_un.sun_path of Linux, without its final NUL


def problem_with(endpoint: str) -> str | None:
    """Why events cannot be published there, or None."""
    if endpoint.startswith(IPC) and endpoint != IPC:
        return None
    host, _, port = endpoint.removeprefix(_TCP).rpartition(":")
    is_port = port.isascii() and port.isdigit() and 0 < int(port) < 65536
    if not endpoint.startswith(_TCP) or not host or not is_port:
        return f"{endpoint!r} is not an address such as tcp://127.0.0.1:5556 or ipc:///run/x.sock"
    if not _is_loopback(host):
        return f"{endpoint!r} is not a loopback address: events would be readable by the network"
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


def _is_loopback(host: str) -> bool:
    if host in ("localhost", "[::1]"):
        return True
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False
