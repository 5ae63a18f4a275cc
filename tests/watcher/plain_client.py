"""A client with nothing but pyzmq, written from docs/events.md: it prints each event, one JSON object a line.

    python plain_client.py PUBLISH REPLAY [--since NUMBER|ID] [--snapshot] [--key FILE --server FILE]

With --snapshot its first line is the state of every database, true at one number; what follows is what comes
after that. It never misses an event and never shows one twice, whatever becomes of the daemon.
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import zmq
import zmq.auth

VERSION = 1
POSITION = struct.Struct(">BQQ")
ANSWER_SECONDS = 1.0
SILENCE_MS = 5000


class Message(NamedTuple):
    """What the daemon sends: an event, a heartbeat, an answer."""

    topic: str
    epoch: int
    number: int
    body: bytes

    @classmethod
    def of(cls, frames: list[bytes]) -> Message | None:
        """None if it is not one of the daemon's."""
        if len(frames) != 3 or not frames[1]:
            return None
        if frames[1][0] != VERSION:
            raise SystemExit(f"the daemon speaks version {frames[1][0]} of the wire, not {VERSION}")
        if len(frames[1]) != POSITION.size:
            return None
        _, epoch, number = POSITION.unpack(frames[1])
        return cls(frames[0].decode(errors="replace"), epoch, number, frames[2])


class Client:
    """Follows the daemon from a number on.

    Args:
        publish: the address of the XPUB socket.
        replay: the address of the ROUTER socket.
        epoch: of the journal that the number is from; 0 for whichever there is.
        number: of the last event that is known already.
        key_file: the client's ``NAME.key_secret``, if the daemon asks for keys.
        server_file: the daemon's ``server.key``.
    """

    def __init__(
        self,
        publish: str,
        replay: str,
        epoch: int = 0,
        number: int = 0,
        key_file: str | None = None,
        server_file: str | None = None,
    ) -> None:
        self.epoch, self.number = epoch, number
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        self._live, self._past = context.socket(zmq.SUB), context.socket(zmq.DEALER)
        for sock in (self._live, self._past):
            sock.linger = 0
            sock.tcp_keepalive, sock.tcp_keepalive_idle = 1, 5  # or a machine that has gone is not noticed
            if key_file and server_file:
                sock.curve_publickey, sock.curve_secretkey = zmq.auth.load_certificate(key_file)
                sock.curve_serverkey, _ = zmq.auth.load_certificate(server_file)
        self._past.immediate = True  # questions are for a daemon that is there, not for one to come
        self._live.subscribe(b"")
        self._live.connect(publish)
        self._past.connect(replay)

    def events(self) -> Iterator[bytes]:
        """Each event once and in order, as it came."""
        behind = True
        while True:
            if behind:
                yield from self._missed()
            behind = True
            if self._live.poll(SILENCE_MS):
                message = Message.of(self._live.recv_multipart())
                if message is not None and self._is_next(message):
                    self.number = message.number
                    yield message.body
                behind = message is not None and self._is_behind(message)

    def _is_next(self, message: Message) -> bool:
        return is_event(message) and (message.epoch, message.number) == (self.epoch, self.number + 1)

    def _is_behind(self, message: Message) -> bool:
        """Whether a message tells of something that has not come."""
        if message.epoch != self.epoch:
            return True
        if is_event(message):  # those that were replayed meanwhile come late
            return message.number > self.number
        return message.number != self.number  # fewer: an older copy of the journal may have been put back

    def _missed(self) -> Iterator[bytes]:
        """What has happened since, as many rounds as it takes."""
        while True:
            answer, content = self._ask(b"replay", self.number)
            if content["status"] in ("ahead", "other_journal"):
                note(
                    f"event {self.number} is of another journal, or of a newer copy: all of this one's follow"
                )
                self.epoch, self.number = answer.epoch, 0
                continue
            if content["status"] == "pruned":
                note(f"events {self.number + 1} to {content['oldest'] - 1} are no longer kept")
            self.epoch = answer.epoch
            for event in content["events"]:
                self.number = event["sequence"]
                yield json.dumps(event).encode()
            if self.number >= answer.number:
                return

    def snapshot(self) -> dict[str, Any]:
        """The state of every database, true at one number, from which `events` goes on."""
        while True:
            whole = self._snapshot()
            if whole is not None:
                return whole

    def _snapshot(self) -> dict[str, Any] | None:
        """None if the journal that was asked is another one by now, or what was changed is pruned."""
        self.epoch = since = questions = 0
        databases: dict[str, Any] = {}
        while True:
            first, after = None, ""
            while True:
                answer, page = self._ask(b"snapshot", since, after)
                questions += 1
                if page["status"] != "ok":
                    return None
                self.epoch = answer.epoch
                first = first or answer
                databases.update((each["subject"], each) for each in page["databases"])
                if not page["more"]:
                    break
                after = page["databases"][-1]["subject"]
            if answer.number == first.number:
                self.number = answer.number
                return {
                    "epoch": answer.epoch,
                    "sequence": answer.number,
                    "questions": questions,
                    "streams": page["streams"],
                    "databases": list(databases.values()),
                }
            since = first.number

    def _ask(self, word: bytes, since: int, after: str | None = None) -> tuple[Message, dict[str, Any]]:
        """Put a question until it is answered."""
        while True:
            position = POSITION.pack(VERSION, self.epoch, since)
            self._past.send_multipart([word, position, *([] if after is None else [after.encode()])])
            deadline = time.monotonic() + ANSWER_SECONDS
            while (left := deadline - time.monotonic()) > 0 and self._past.poll(int(1000 * left) + 1):
                answer = Message.of(self._past.recv_multipart())
                if answer is None:
                    continue
                content = json.loads(answer.body)
                if answer.topic == "refused/-/":
                    raise SystemExit(f"the daemon refuses: {content['why']}")
                asked = (f"{word.decode()}/-/", since, after)
                if (answer.topic, content["since"], content.get("after")) == asked:
                    return answer, content


def is_event(message: Message) -> bool:
    return not message.topic.startswith(("heartbeat/", "progress/"))


def note(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def show(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("publish")
    parser.add_argument("replay")
    parser.add_argument("--since", default="0")
    parser.add_argument("--snapshot", action="store_true")
    parser.add_argument("--key")
    parser.add_argument("--server")
    options = parser.parse_args()
    epoch, _, number = options.since.rpartition("-")
    client = Client(
        options.publish, options.replay, int(epoch or "0", 16), int(number), options.key, options.server
    )
    if options.snapshot:
        show(json.dumps(client.snapshot()).encode())
    for event in client.events():
        show(event)


if __name__ == "__main__":
    main()
