"""What strangers can do to the two sockets, all of it at once and as fast as it goes, until the input ends.

    python -m tests.end_to_end.flood PUBLISH REPLAY

Says ``begun`` when everything has been done once, and at its end how often each was done.
"""

from __future__ import annotations

import json
import random
import resource
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import zmq

Rounds = Iterator[None]
Address = tuple[str, int]

_TIMEOUT_SECONDS = 0.5
_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
_READY = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"
_HANDSHAKE = _GREETING + bytes([4, len(_READY)]) + _READY
_FOLLOWED_BY_MORE = bytes([1, 200]) + bytes(200)
_POSITION = struct.Struct(">BQQ")


class Flood:
    """The addresses, and what is done to them: one round after the other."""

    def __init__(self, publish: str, replay: str) -> None:
        self.publish, self.replay = publish, replay
        self.addresses = [_address(publish), _address(replay)]
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.context.max_sockets = 5000

    def random_bytes(self) -> Rounds:
        while True:
            for address in self.addresses:
                with socket.create_connection(address, _TIMEOUT_SECONDS) as raw:
                    raw.sendall(random.randbytes(65536))
                yield

    def garbage_questions(self) -> Rounds:
        with self._socket(zmq.DEALER, self.replay) as dealer:
            while True:
                frames = [random.randbytes(random.randrange(100)) for _ in range(random.randrange(1, 6))]
                if random.random() < 0.5:
                    frames[0] = random.choice([b"replay", b"snapshot"])
                dealer.send_multipart(frames)
                yield

    def valid_questions(self) -> Rounds:
        with self._socket(zmq.DEALER, self.replay) as dealer:
            while True:
                dealer.send_multipart([b"replay", _POSITION.pack(1, 0, 0)])
                dealer.send_multipart([b"snapshot", _POSITION.pack(1, 0, 0), b""])
                while dealer.poll(0):
                    dealer.recv_multipart()
                yield

    def unread_answers(self) -> Rounds:
        with self._socket(zmq.DEALER, self.replay) as dealer:
            dealer.rcvhwm = 1
            while True:
                with suppress(zmq.Again):
                    dealer.send_multipart([b"replay", _POSITION.pack(1, 0, 0)])
                yield

    def absurd_subscriptions(self) -> Rounds:
        while True:
            with self._socket(zmq.XSUB, self.publish) as xsub:
                for _ in range(2000):
                    xsub.send(b"\1" + random.randbytes(random.randrange(1, 3000)))
                    xsub.send(random.randbytes(random.randrange(1, 100)))
                    yield

    def giant_frames(self) -> Rounds:
        frame = bytes(16 << 20)
        while True:
            for kind, address in ((zmq.DEALER, self.replay), (zmq.XSUB, self.publish)):
                with self._socket(kind, address) as sock:
                    sock.send(frame)
                yield

    def endless_messages(self) -> Rounds:
        while True:
            with socket.create_connection(self.addresses[1], _TIMEOUT_SECONDS) as raw:
                raw.sendall(_HANDSHAKE)
                for _ in range(10_000):
                    raw.sendall(100 * _FOLLOWED_BY_MORE)
                    yield

    def silent_connections(self) -> Rounds:
        count = min(2000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
        with ExitStack() as stack:
            held = []
            while True:
                for number in range(count):
                    raw = stack.enter_context(
                        socket.create_connection(self.addresses[number % 2], _TIMEOUT_SECONDS)
                    )
                    if number % 3:
                        raw.sendall(_HANDSHAKE[: random.choice([1, 10, 64, len(_HANDSHAKE)])])
                    held.append(raw)
                    yield
                while held:
                    held.pop().close()

    def dropped_connections(self) -> Rounds:
        reset = struct.pack("ii", 1, 0)
        while True:
            for address in self.addresses:
                with socket.create_connection(address, _TIMEOUT_SECONDS) as raw:
                    raw.sendall(_HANDSHAKE)
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                yield

    def _socket(self, kind: int, address: str) -> zmq.Socket[bytes]:
        made = self.context.socket(kind)
        made.linger = 0
        made.sndtimeo = 100
        made.connect(address)
        return made


class Thread(threading.Thread):
    """Does one of it again and again, whatever comes of it."""

    def __init__(self, rounds: Callable[[], Rounds], stop: threading.Event) -> None:
        super().__init__(name=rounds.__name__)
        self._rounds, self._stop_asked = rounds, stop
        self.count = 0
        self.begun = threading.Event()

    def run(self) -> None:
        while not self._stop_asked.is_set():
            with suppress(OSError, zmq.ZMQError):
                for _ in self._rounds():
                    self.count += 1
                    self.begun.set()
                    if self._stop_asked.is_set():
                        break


def _address(endpoint: str) -> Address:
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    return host, int(port)


def main() -> None:
    flood = Flood(*sys.argv[1:3])
    stop = threading.Event()
    kinds = [
        flood.random_bytes,
        flood.garbage_questions,
        flood.valid_questions,
        flood.unread_answers,
        flood.absurd_subscriptions,
        flood.giant_frames,
        flood.endless_messages,
        flood.silent_connections,
        flood.dropped_connections,
    ]
    only = sys.argv[3:]
    threads = [Thread(kind, stop) for kind in kinds if not only or kind.__name__ in only]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.begun.wait()
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    flood.context.destroy(linger=0)
    sys.stdout.write(json.dumps({thread.name: thread.count for thread in threads}) + "\n")


if __name__ == "__main__":
    main()
