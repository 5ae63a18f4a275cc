"""Whether the addresses can be had, and who may listen at them."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from watcher.doctor.finding import Finding, Findings, note, ok, or_ok, problem, warning
from watcher.doctor.premises import Premises
from watcher.endpoint import IPC, host_and_port, private_problem
from watcher.errors import TickwardError
from watcher.keys import KeyRing
from watcher.settings import Settings

_TCP = "tcp://"
_EVERY = "0.0.0.0"  # noqa: S104 (asked about, as it is set)
_SECONDS = 1.0


class Address(NamedTuple):
    """Where something is served."""

    key: str
    where: str


def addresses(premises: Premises) -> Findings:
    settings = premises.known
    given = addresses_of(settings)
    if premises.overview is not None and premises.overview.vitals is not None:
        return of_served(given, premises.overview.vitals.unserved)
    if premises.daemon_pid is not None:
        return [ok("the addresses are the daemon's that runs")]
    found = [each for address in given for each in of_free(address, trouble_with(address.where))]
    return or_ok(found, f"free: {', '.join(address.where for address in given)}")


def addresses_of(settings: Settings) -> list[Address]:
    """All that are served, by the settings."""
    named = {
        "events.publish": settings.events.publish,
        "events.replay": settings.events.replay,
        "web.listen": settings.web.listen,
        "metrics.listen": settings.metrics.listen,
    }
    return [Address(key, where) for key, where in named.items() if where]


def of_served(given: Iterable[Address], unserved: Iterable[str]) -> Findings:
    """``unserved``: what the daemon could not have so far, each in a sentence."""
    found = [warning(each, "free that address, or name another") for each in unserved]
    return or_ok(found, f"the daemon has all {len(list(given))} addresses")


def of_free(address: Address, trouble: tuple[str, str] | None) -> Findings:
    """``trouble``: why it cannot be had, and the remedy; None: it can."""
    if trouble is not None:
        what, remedy = trouble
        yield warning(f"{address.key}: {what}", remedy or f"name another in {address.key}")


def trouble_with(where: str) -> tuple[str, str] | None:
    """Why a daemon could not serve there; None if it could, or if only ZeroMQ can tell."""
    if where.startswith(IPC):
        return _trouble_with_socket(where)
    host, port = host_and_port(where.removeprefix(_TCP))
    if port == 0:
        return None
    try:
        found = socket.getaddrinfo(_EVERY if host == "*" else host, port, type=socket.SOCK_STREAM)
    except OSError:
        return None  # the name of an interface, perhaps
    family, kind, protocol, _, address = found[0]
    try:
        with closing(socket.socket(family, kind, protocol)) as trying:
            # As those do that serve there: what was ended a moment ago is in nobody's way.
            trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trying.bind(address)
    except OSError as error:
        return _why(error, where, port)
    return None


def _why(error: OSError, where: str, port: int) -> tuple[str, str]:
    if error.errno == errno.EADDRINUSE:
        remedy = f"`ss -ltnp 'sport = :{port}'` names it: end it, or name another address"
        return f"{where} is taken by another program", remedy
    if error.errno == errno.EACCES:
        return f"{where} has a port that only root may have", "name one above 1023"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{where} is no address of this machine", "`ip address` shows those that there are"
    return f"{where} cannot be had ({error.strerror})", ""


def _trouble_with_socket(where: str) -> tuple[str, str] | None:
    path = where.removeprefix(IPC)
    if path.startswith("@"):
        return _unless_free("\0" + path[1:], where)
    folder = Path(path).parent
    if not folder.exists():
        return None  # it is made, for us alone
    try:
        trouble = private_problem(folder)
    except OSError as error:
        return f"{folder} cannot be looked at ({error.strerror})", ""
    if trouble:
        sentence, _, remedy = trouble.partition(": ")
        return sentence, remedy
    return _unless_free(path, where) if os.path.lexists(path) else None


def _unless_free(address: str, where: str) -> tuple[str, str] | None:
    with closing(socket.socket(socket.AF_UNIX)) as asking:
        asking.settimeout(_SECONDS)
        if asking.connect_ex(address) != 0:
            return None
    return f"{where} is taken by another program", "`ss -lxp` names it: end it, or name another address"


def keys(premises: Premises) -> Findings:
    events = premises.known.events
    if not events.curve:
        return [ok("events.curve is off: only this machine can listen, and no keys are needed")]
    folder = Path(events.keys)
    if not folder.exists():
        return [note(f"events.keys: {folder} is not there yet; it is made at the first start")]
    ring = KeyRing(folder)
    try:
        ring.known_server()
        admitted, refused = ring.listed()
    except TickwardError as error:
        return [of_refusal("nobody can listen", str(error))]
    found = [of_refusal("a key is not admitted", each) for each in refused]
    return or_ok(found, f"the keys are nobody else's to write; {len(admitted)} are admitted")


def of_refusal(what: str, why: str) -> Finding:
    sentence, _, remedy = why.rpartition(": ")
    make = problem if what.startswith("nobody") else warning
    return make(f"{what}: {sentence or remedy}", remedy)
