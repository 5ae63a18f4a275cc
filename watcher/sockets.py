"""The two sockets of the publisher: how they are bound, what they bear, and whom they admit.

Everybody may try to connect, so nothing that is sent to them may cost much: see `_bounded`. With CURVE only
those are heard whose keys are on the list.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import time

import zmq
from loguru import logger
from zmq.utils.z85 import encode

from watcher.endpoint import IPC, prepare_ipc
from watcher.keys import KeyRing
from watcher.settings import Events
from watcher.wire import Frames

Socket = zmq.Socket[bytes]

_ZAP_DOMAIN = b"tickward"
_LONGEST_QUESTION = 4096
_LONGEST_SUBSCRIPTION = 512
"""Bytes: a larger frame ends its connection. In the proof of a key there are up to 300."""
_MOST_FRAMES = 5
"""One more than the longest question has, with the name of who asks before it."""
_HANDSHAKE_MS = 3000
_QUESTIONS = 20
_SUBSCRIPTIONS = 2
"""So many of one connection wait here; the others wait at whoever sends them.

Long or many subscriptions could keep XPUB from sending: it takes in what waits before it does anything else,
for as long as more comes.
"""
_KEEPALIVE = {
    zmq.TCP_KEEPALIVE: 1,
    zmq.TCP_KEEPALIVE_IDLE: 5,
    zmq.TCP_KEEPALIVE_INTVL: 5,
    zmq.TCP_KEEPALIVE_CNT: 3,
}
_DEAF_MS = 60_000
"""Who takes nothing of what is sent for so long is cut off."""


class Sockets:
    """Both sockets, in a context of their own, bound as soon as that can be.

    Args:
        ring: who is admitted; None: everybody, without CURVE.
        retry_seconds: how soon an address that is taken is tried again.
        brief: for what ends soon: that an address is taken is worth a line, and no trouble.

    Raises `TickwardError` if the keys cannot be read.
    """

    def __init__(
        self, settings: Events, ring: KeyRing | None, retry_seconds: float, *, brief: bool = False
    ) -> None:
        self._retry_seconds = retry_seconds
        self._brief = brief
        self._context = zmq.Context()
        try:
            self._guard = _Guard(ring, self._context)
            self.publish = self._socket(zmq.XPUB, _LONGEST_SUBSCRIPTION, _SUBSCRIPTIONS)
            self.replay = self._socket(zmq.ROUTER, _LONGEST_QUESTION, _QUESTIONS)
        except BaseException:
            self._context.destroy(linger=0)
            raise
        self.publish.xpub_verbose = True  # also who subscribes to what another one has is told of
        self.replay.sndhwm = 2
        self.replay.router_mandatory = True  # who does not read is told of here, not served with holes
        self._unbound = [(self.publish, settings.publish), (self.replay, settings.replay)]
        self._complained: set[str] = set()
        self._bind_at = 0.0

    @property
    def bind_at(self) -> float | None:
        """When `bind` is to be called again, by the monotonic clock; None: both are bound."""
        return self._bind_at if self._unbound else None

    def bind(self) -> None:
        """Bind what is not bound yet, if it is time to try. Where that fails it is said once."""
        if not self._unbound or time.monotonic() < self._bind_at:
            return
        self._bind_at = time.monotonic() + self._retry_seconds
        failed: dict[str, str] = {}
        for sock, endpoint in list(self._unbound):
            try:
                _bind(sock, endpoint)
            except (zmq.ZMQError, OSError) as error:
                failed[endpoint] = error.strerror or str(error)
            else:
                self._unbound.remove((sock, endpoint))
                level = "INFO" if endpoint in self._complained and not self._brief else "DEBUG"
                logger.bind(address=endpoint).log(level, "events on {}", endpoint)
        self._complain({each: why for each, why in failed.items() if each not in self._complained})

    def readable(self) -> list[Socket]:
        """What something may come from."""
        return [self.publish, self.replay, self._guard.socket]

    def judge(self) -> bool | None:
        """Decide on one of those who want to connect: whether it is admitted; None if there is none."""
        return self._guard.judge()

    def somebody_left_the_list(self) -> bool:
        """Whether a key is not on the list any more that was. New ones are admitted from now on.

        Raises `TickwardError` if the list cannot be read.
        """
        return self._guard.look()

    def close(self, linger_ms: int) -> None:
        """Close both; what is still to be sent has so long. The addresses are free then."""
        self._context.destroy(linger_ms)

    def _socket(self, kind: int, longest: int, waiting: int) -> Socket:
        made = _bounded(self._context.socket(kind), longest, waiting)
        self._guard.protect(made)
        return made

    def _complain(self, failed: dict[str, str]) -> None:
        """Say why addresses cannot be had; in a line for all of them if nobody is to see to it."""
        self._complained.update(failed)
        if self._brief and failed:
            said = ", ".join(why if each in why else f"{each}: {why}" for each, why in failed.items())
            logger.bind(error=said).info(
                "events are in the journal and not sent as they happen ({}): a daemon replays them", said
            )
            return
        for endpoint, why in failed.items():
            logger.bind(error=why, address=endpoint).error(
                "events cannot be published on {} ({}): free that address or set events.publish and "
                "events.replay to others. The work goes on, nothing is lost: events are in the journal, "
                "and the address is tried again every {:g} s",
                endpoint,
                why,
                self._retry_seconds,
            )


class _Guard:
    """Admits those to the sockets whose keys are on the list: ZeroMQ asks for each connection (ZAP).

    Without CURVE it admits everybody. It is asked all the same: only so does ZeroMQ refuse what speaks the
    first versions of its protocol, or random bytes that look like them, on which libzmq 4.3.5 may abort.
    """

    def __init__(self, ring: KeyRing | None, context: zmq.Context[Socket]) -> None:
        self._ring = ring
        if ring is not None:
            self._key = ring.server()
            ring.local()  # made before the list is read, so that the first command need not wait
            self._stamp = ring.stamp()
            self._allowed = frozenset(ring.allowed())
        self.socket = context.socket(zmq.REP)
        self.socket.bind("inproc://zeromq.zap.01")

    def protect(self, sock: Socket) -> None:
        if self._ring is not None:
            sock.curve_server = True
            sock.curve_publickey, sock.curve_secretkey = self._key
        sock.zap_domain = _ZAP_DOMAIN  # without one, any key would do
        sock.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)

    def judge(self) -> bool | None:
        """Decide on one connection: whether it is admitted; None if none asks for it."""
        try:
            _, number, domain, _, _, mechanism, *keys = self.socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return None
        admitted = domain == _ZAP_DOMAIN and self._admits(mechanism, keys)
        # 300, come again, and not 400: after that a client would not even try again once its key is allowed.
        status = [b"200", b"OK"] if admitted else [b"300", b"this key is not allowed"]
        self.socket.send_multipart([b"1.0", number, *status, b"", b""])
        return admitted

    def look(self) -> bool:
        """Whether somebody has left the list, which is read anew if it may have changed."""
        if self._ring is None or (stamp := self._ring.stamp()) == self._stamp:
            return False
        before, self._allowed = self._allowed, frozenset(self._ring.allowed())
        self._stamp = stamp
        return not before <= self._allowed

    def _admits(self, mechanism: bytes, keys: Frames) -> bool:
        if self._ring is None:
            return mechanism == b"NULL"
        return mechanism == b"CURVE" and encode(keys[0]) in self._allowed


def received(sock: Socket) -> Frames | None:
    """The next message, None if there is none; of an endless one no more than any of ours has."""
    try:
        frames = [sock.recv(zmq.NOBLOCK)]
    except zmq.Again:
        return None
    while sock.rcvmore:
        frame = sock.recv()
        if len(frames) < _MOST_FRAMES:
            frames.append(frame)
    return frames


def _bounded(sock: Socket, longest: int, waiting: int) -> Socket:
    """Nothing that is sent to it may cost much."""
    sock.maxmsgsize = longest
    sock.rcvhwm = waiting
    sock.handshake_ivl = _HANDSHAKE_MS
    # The kernel finds out who is gone. The pings of ZeroMQ must not: one that is due when a connection ends
    # whose messages still wait here aborts the process (zeromq/libzmq#4364).
    for option, value in _KEEPALIVE.items():
        sock.setsockopt(option, value)
    sock.tcp_maxrt = _DEAF_MS
    return sock


def _bind(sock: Socket, endpoint: str) -> None:
    if not endpoint.startswith(IPC):
        sock.ipv6 = "[" in endpoint
        sock.bind(endpoint)
        return
    path = endpoint.removeprefix(IPC)
    prepare_ipc(path)
    _check_free(path)
    # Only this user may connect. The mask is the whole process's: a file that another thread makes in this
    # instant is readable by fewer than it might be, which is why it is for ipc only.
    before = os.umask(0o077)
    try:
        sock.bind(endpoint)
    finally:
        os.umask(before)


def _check_free(path: str) -> None:
    """Raise `OSError` unless nothing is there, or what a publisher that was killed has left.

    ZeroMQ removes whatever is at the path of an ipc address: a file, or a living publisher's socket.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "something else than a socket is there")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        if probe.connect_ex(path) in (0, errno.EAGAIN):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
