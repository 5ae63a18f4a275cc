"""No event is missed: whoever is killed, whoever knocks, whatever is thrown at the sockets."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path

import pytest
import zmq
from zmq.utils.monitor import recv_monitor_message

from scripts.benchmarks.common import cpu_seconds, memory_mb, publisher_of
from tests.end_to_end.harness import TODAY, YESTERDAY, World
from tests.watcher.bus import free_port, show
from tests.watcher.processes import Child
from tests.watcher.recording import recording
from watcher import wire
from watcher.certificates import new_pair
from watcher.keys import Credentials, local_credentials
from watcher.settings import Events, Settings
from watcher.subscriber import AsyncSubscriber, Subscriber
from watcher.wire import Message

KEY = f"ticks/{YESTERDAY}"
PATIENCE_SECONDS = 60.0
long = (pytest.mark.long, pytest.mark.timeout(600))


def tcp() -> tuple[str, str]:
    return f"tcp://127.0.0.1:{free_port()}", f"tcp://127.0.0.1:{free_port()}"


class TestKills:
    @pytest.mark.parametrize("curve", [False, True])
    @pytest.mark.parametrize(("total", "kills"), [(2000, 2), pytest.param(20_000, 10, marks=long)])
    def test_every_subscriber_sees_every_event_once_and_in_order(
        self, tmp_path: Path, total: int, kills: int, curve: bool
    ) -> None:
        events = Events(*tcp(), 0.1, curve, str(tmp_path / "keys"))
        settings, file = Settings(events=events), tmp_path / "journal.db"
        options = {"since": 0, "credentials": local_credentials(events)}
        with ExitStack() as stack:
            prompt, slow, late = (
                stack.enter_context(Subscriber(events.publish, events.replay, **options)) for _ in range(3)
            )
            runner = stack.enter_context(asyncio.Runner())
            other = runner.run(entered(AsyncSubscriber(events.publish, events.replay, **options)))
            stack.callback(lambda: runner.run(other.close()))
            seen: dict[str, list[int]] = {"prompt": [], "slow": [], "late": [], "other": []}
            for kill in range(kills):
                target = total * (kill + 1) // (kills + 1)
                with recording(settings, file, total) as daemon:
                    seen["prompt"] += take(prompt, target - len(seen["prompt"]))
                    seen["other"] += runner.run(take_async(other, target - len(seen["other"])))
                    seen["slow"] += take(slow, 1)
                    daemon.kill()
            with recording(settings, file, total) as daemon:
                assert daemon.said() == "done"
                for name, each in (("prompt", prompt), ("slow", slow), ("late", late)):
                    seen[name] += take(each, total - len(seen[name]))
                seen["other"] += runner.run(take_async(other, total - len(seen["other"])))
        for numbers in seen.values():
            assert numbers == list(range(1, total + 1))


class TestSlowness:
    PROGRAM = """
from watcher.subscriber import Subscriber
publish, replay, total = *sys.argv[1:3], int(sys.argv[3])
with Subscriber(publish, replay, since=0) as subscriber:
    seen = [subscriber.receive(60.0).sequence]
    say("busy")
    wait()
    while len(seen) < total:
        seen.append(subscriber.receive(60.0).sequence)
    say("in order" if seen == list(range(1, total + 1)) else seen)
    wait()
"""

    @pytest.mark.long
    def test_a_program_may_be_busy_while_more_comes_than_can_wait(self, tmp_path: Path) -> None:
        total, (publish, replay) = 30_000, tcp()
        settings = Settings(events=Events(publish, replay, heartbeat_seconds=1.0))
        with (
            Child(self.PROGRAM, publish, replay, total) as slow,
            recording(settings, tmp_path / "journal.db", total) as daemon,
            zmq.Context() as context,
            context.socket(zmq.SUB) as heartbeats,
        ):
            assert slow.said() == "busy"
            assert daemon.said() == "done"
            heartbeats.subscribe(wire.HEARTBEAT_TOPIC)
            heartbeats.connect(publish)
            for _ in range(10):  # the while after which libraries take a peer that is not read from for dead
                heartbeats.recv_multipart()
            slow.go_on()
            assert slow.said() == "in order"
            assert slow.end() == 0


async def entered(subscriber: AsyncSubscriber) -> AsyncSubscriber:
    return await subscriber.__aenter__()


def take(subscriber: Subscriber, count: int) -> list[int]:
    return [number_of(subscriber.receive(PATIENCE_SECONDS)) for _ in range(count)]


async def take_async(subscriber: AsyncSubscriber, count: int) -> list[int]:
    return [number_of(await subscriber.receive(PATIENCE_SECONDS)) for _ in range(count)]


def number_of(message: Message | None) -> int:
    """Of an event that is what was recorded under it."""
    assert message is not None, "nothing came"
    assert message.data == {"path": str(message.sequence)}
    return message.sequence


class TestWhoMayListen:
    def test_only_whose_key_is_allowed_and_as_long_as_it_is(self, world: World) -> None:
        publish, replay = tcp()
        world.configure(events={"publish": publish, "replay": replay, "curve": True, "keys": "keys"})
        world.daemon()
        assert world.run("keys", "new", "loader").returncode == 0
        ours = Credentials.read(world.folder / "loader.key_secret", world.folder / "keys/server.key")
        stranger = ours._replace(key=new_pair())
        with (
            world.events() as events,
            knocking(world, None) as nobody,
            knocking(world, stranger) as unknown,
        ):
            for each in (nobody, unknown):
                each.until(Knocker.CONNECTED)
            world.make(YESTERDAY)
            events.until("backed_up", KEY)

            assert world.run("keys", "allow", "loader.key").returncode == 0
            with knocking(world, ours) as loader:
                loader.until(Knocker.ADMITTED)
                with Subscriber(publish, replay, since=0, credentials=ours) as subscriber:
                    heard = [subscriber.receive(PATIENCE_SECONDS) for _ in events.seen]
                assert heard == events.seen
                assert world.run("keys", "revoke", "loader").returncode == 0
                loader.until(Knocker.DROPPED)
                assert loader.takes_what_came() > 0

                world.make("2026-01-18")
                events.until("backed_up", "ticks/2026-01-18")
                assert loader.takes_what_came() == 0
            for each in (nobody, unknown):
                each.until(Knocker.REFUSED)
                assert each.takes_what_came() == 0


class Knocker:
    """Plain sockets that listen and ask at both addresses, and what becomes of their connections."""

    CONNECTED, DROPPED = zmq.EVENT_CONNECTED, zmq.EVENT_DISCONNECTED
    ADMITTED = zmq.EVENT_HANDSHAKE_SUCCEEDED
    REFUSED = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL

    def __init__(self, stack: ExitStack, events: Events, credentials: Credentials | None) -> None:
        context = stack.enter_context(zmq.Context())
        self._sockets = [stack.enter_context(context.socket(kind)) for kind in (zmq.SUB, zmq.DEALER)]
        self._monitors = []
        for sock, address in zip(self._sockets, (events.publish, events.replay), strict=True):
            sock.linger = 0
            if credentials is not None:
                show(sock, credentials)
            self._monitors.append(sock.get_monitor_socket())
            stack.callback(self._monitors[-1].close)
            stack.callback(sock.disable_monitor)
            sock.connect(address)
        live, past = self._sockets
        live.subscribe(b"")
        past.send_multipart(wire.question(wire.REPLAY, wire.ANY_EPOCH, 0))

    def until(self, happened: int) -> None:
        """Wait until this has become of both connections."""
        for monitor in self._monitors:
            seen = 0
            while not seen & happened:
                assert monitor.poll(1000 * PATIENCE_SECONDS), "nothing became of a connection"
                seen = recv_monitor_message(monitor)["event"]

    def takes_what_came(self) -> int:
        """How many messages there were."""
        count = 0
        for sock in self._sockets:
            while sock.poll(0):
                sock.recv_multipart()
                count += 1
        return count


@contextmanager
def knocking(world: World, credentials: Credentials | None) -> Iterator[Knocker]:
    with ExitStack() as stack:
        yield Knocker(stack, world.settings.events, credentials)


class TestFlood:
    @pytest.mark.parametrize("seconds", [2.0, pytest.param(60.0, marks=long)])
    def test_the_work_goes_on_and_every_event_is_heard(self, world: World, seconds: float) -> None:
        publish, replay = tcp()
        world.configure(now="2026-01-19T23:59:50", events={"publish": publish, "replay": replay})
        daemon = world.daemon()
        usage = Usage(daemon.pid)
        with flooding(publish, replay), world.events() as events:
            writer = world.actor().do(f"open {world.path(YESTERDAY)}", "write 0 100")
            rotated = events.until("rotated", "ticks", where=lambda data: data["cause"] == "clock")
            assert rotated.data["current"] == TODAY
            writer.do("close")
            days = [YESTERDAY]
            deadline = time.monotonic() + seconds
            while events.until("backed_up", f"ticks/{days[-1]}") and time.monotonic() < deadline:
                usage.sample()
                days.append(str(date.fromisoformat(days[-1]) - timedelta(1)))
                world.make(days[-1])
            heard = [message.sequence for message in events.seen]
            sys.stdout.write(f"{usage}\n")
        assert heard == list(range(1, heard[-1] + 1))
        assert usage.daemon_mb[-1] < 1.5 * usage.daemon_mb[0]
        assert max(usage.publisher_mb) < 512.0
        assert world.stop(daemon) == 0
        assert world.unbroken()


@contextmanager
def flooding(publish: str, replay: str) -> Iterator[None]:
    """Everything that strangers can do, from a process of its own."""
    program = "from tests.end_to_end.flood import main; main()"
    with Child(program, publish, replay) as flood:
        assert flood.said() == "begun"
        yield
        # ZeroMQ may end a program with which it is dealt like that: the stranger's, not ours.
        assert flood.end() in (0, -signal.SIGABRT)


class Usage:
    """What a daemon and its publisher's process take meanwhile."""

    def __init__(self, daemon: int) -> None:
        self._daemon, self._began, self._cpu_before = daemon, time.monotonic(), cpu_seconds(daemon)
        self.daemon_mb: list[float] = []
        self.publisher_mb: list[float] = []
        self._publisher_cpu: dict[int, float] = {}
        self.sample()
        self._publisher_cpu_before = sum(self._publisher_cpu.values())

    def sample(self) -> None:
        self.daemon_mb.append(memory_mb(self._daemon))
        with suppress(OSError):  # it has just ended
            publisher = publisher_of(self._daemon)  # another one, if it had to be started again
            if publisher is not None:
                self.publisher_mb.append(memory_mb(publisher))
                self._publisher_cpu[publisher] = cpu_seconds(publisher)

    def __str__(self) -> str:
        seconds = time.monotonic() - self._began
        publishers = sum(self._publisher_cpu.values()) - self._publisher_cpu_before
        cpu = (cpu_seconds(self._daemon) - self._cpu_before, publishers)
        daemon, publisher = (f"{100 * each / seconds:.0f} % of a core" for each in cpu)
        return (
            f"the daemon: {self.daemon_mb[0]:.0f} to {max(self.daemon_mb):.0f} MB, {daemon}; "
            f"its publisher ({len(self._publisher_cpu)}): {self.publisher_mb[0]:.0f} to "
            f"{max(self.publisher_mb):.0f} MB, {publisher}"
        )
