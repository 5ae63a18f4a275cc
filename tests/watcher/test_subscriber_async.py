"""The subscriber on asyncio: the same events, and what only asyncio can do to it."""

from __future__ import annotations

import asyncio
import gc
import queue
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.watcher.bus import Bus, in_use, wait_until
from tests.watcher.processes import PROJECT
from watcher.answers import REPLAY_LIMIT
from watcher.subscriber import AsyncSubscriber, ClosedError
from watcher.wire import Message

PATIENCE_SECONDS = 10.0


@pytest.fixture
def run() -> Iterator[Callable[[Coroutine[Any, Any, None]], None]]:
    with asyncio.Runner() as runner:
        yield runner.run


Run = Callable[[Coroutine[Any, Any, None]], None]


def numbers(first: int, last: int) -> list[int]:
    return list(range(first, last + 1))


async def receive(source: AsyncSubscriber) -> Message:
    message = await source.receive(PATIENCE_SECONDS)
    assert message is not None, f"nothing came after {source.sequence}"
    return message


async def take(source: AsyncSubscriber, count: int) -> list[int]:
    return [(await receive(source)).sequence for _ in range(count)]


class TestEveryEventOnceAndInOrder:
    def test_replayed_and_live_and_across_a_restart(self, bus: Bus, run: Run) -> None:
        async def test() -> None:
            count = 2 * REPLAY_LIMIT + 10
            bus.record(count)
            started = bus.start()
            async with AsyncSubscriber(bus.publish, bus.replay, since=0) as source:
                assert await take(source, count) == numbers(1, count)
                bus.record(3)
                started.wake()
                assert await take(source, 3) == numbers(count + 1, count + 3)
                bus.stop()
                bus.record(3)
                bus.start()
                assert await take(source, 3) == numbers(count + 4, count + 6)
                assert await source.receive(0.02) is None
                assert await source.receive(0.0) is None

        run(test())

    def test_before_the_daemon_is_there(self, bus: Bus, run: Run) -> None:
        async def test() -> None:
            async with AsyncSubscriber(bus.publish, bus.replay, since=0) as source:
                assert await source.receive(0.02) is None
                bus.record(2)
                bus.start()
                assert await take(source, 2) == [1, 2]

        run(test())

    def test_in_a_loop_over_it(self, bus: Bus, run: Run) -> None:
        async def test() -> None:
            bus.record(5)
            bus.start()
            seen, file = [], bus.file.with_name("last-event")
            async with AsyncSubscriber(bus.publish, bus.replay, since=0, position=file) as source:
                async for event in source:
                    seen.append(event.sequence)
                    if event.sequence == 3:
                        break
            assert seen == [1, 2, 3]
            async with AsyncSubscriber(bus.publish, bus.replay, position=file) as source:
                assert await take(source, 2) == [4, 5]

        run(test())

    def test_after_a_snapshot(self, bus: Bus, run: Run) -> None:
        async def test() -> None:
            async with AsyncSubscriber(bus.publish, bus.replay, since=0) as source:
                assert await source.snapshot(0.02) is None
                bus.record(4)
                started = bus.start()
                snapshot = await source.snapshot(PATIENCE_SECONDS)
                assert snapshot is not None
                assert (snapshot.sequence, len(snapshot.databases)) == (4, 1)
                bus.record(1)
                started.wake()
                assert await take(source, 1) == [5]

        run(test())


class TestCancelling:
    def test_loses_nothing(self, bus: Bus, run: Run) -> None:
        """Cancelled again and again, at whatever moment, while events come."""

        async def test() -> None:
            started = bus.start()
            seen: list[int] = []
            async with AsyncSubscriber(bus.publish, bus.replay, since=0) as source:
                for round_ in range(60):
                    bus.record(2)
                    started.wake()
                    receiving = asyncio.ensure_future(source.receive())
                    for _ in range(round_ % 7):
                        await asyncio.sleep(0)
                    receiving.cancel()
                    try:
                        message = await receiving
                    except asyncio.CancelledError:
                        continue
                    assert message is not None
                    seen.append(message.sequence)
                seen += await take(source, 120 - len(seen))
            assert seen == numbers(1, 120)

        run(test())

    def test_by_a_time_limit_of_the_caller(self, bus: Bus, run: Run) -> None:
        async def test() -> None:
            bus.start()
            async with AsyncSubscriber(bus.publish, bus.replay, since=0) as source:
                for limited in (self.timeout, self.wait_for):
                    with pytest.raises(TimeoutError):
                        await limited(source)
                bus.record(1)
                bus.publishers[0].wake()
                assert await take(source, 1) == [1]

        run(test())

    def test_of_a_snapshot_leaves_the_events(self, bus: Bus, run: Run) -> None:
        async def test() -> None:
            async with AsyncSubscriber(bus.publish, bus.replay, since=0) as source:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await source.snapshot()
                bus.record(2)
                bus.start()
                assert await take(source, 2) == [1, 2]

        run(test())

    @staticmethod
    async def timeout(source: AsyncSubscriber) -> None:
        async with asyncio.timeout(0.02):
            await source.receive()

    @staticmethod
    async def wait_for(source: AsyncSubscriber) -> None:
        await asyncio.wait_for(source.receive(), 0.02)


class TestOtherTasks:
    def test_get_their_turn_while_much_is_replayed(self, bus: Bus, run: Run) -> None:
        async def test() -> None:
            count = 10 * REPLAY_LIMIT
            bus.record(count)
            bus.start()
            turns = 0

            async def another() -> None:
                nonlocal turns
                while True:
                    await asyncio.sleep(0)
                    turns += 1

            task = asyncio.ensure_future(another())
            async with AsyncSubscriber(bus.publish, bus.replay, since=0) as source:
                assert len(await take(source, count)) == count
                assert turns >= 10
                turns = 0
                for _ in range(10):
                    assert await source.receive(0.0) is None
                assert turns >= 10
            task.cancel()

        run(test())

    def test_may_close_it(self, bus: Bus, run: Run) -> None:
        async def test() -> None:
            source, other = (AsyncSubscriber(bus.publish, bus.replay, since=0) for _ in range(2))

            async def follow() -> list[int]:
                return [event.sequence async for event in source]

            following, receiving = asyncio.ensure_future(follow()), asyncio.ensure_future(other.receive())
            assert not (await asyncio.wait([following, receiving], timeout=0.02))[0]
            await source.close()
            await other.close()
            assert await asyncio.wait_for(following, PATIENCE_SECONDS) == []
            with pytest.raises(ClosedError, match="is closed: make another one"):
                await asyncio.wait_for(receiving, PATIENCE_SECONDS)
            await source.close()

        run(test())

    def test_may_close_it_from_another_thread(self, bus: Bus) -> None:
        made: queue.SimpleQueue[AsyncSubscriber] = queue.SimpleQueue()

        async def follow() -> list[int]:
            source = AsyncSubscriber(bus.publish, bus.replay)
            assert await source.receive(0.0) is None
            made.put(source)
            return [event.sequence async for event in source]

        with ThreadPoolExecutor(1) as another:
            ends = another.submit(asyncio.run, follow())
            asyncio.run(made.get(timeout=PATIENCE_SECONDS).close())
            assert ends.result(PATIENCE_SECONDS) == []

    def test_may_not_wait_at_the_same_time(self, bus: Bus, run: Run) -> None:
        async def test() -> None:
            async with AsyncSubscriber(bus.publish, bus.replay, since=0) as source:
                receiving = asyncio.ensure_future(source.receive())
                await asyncio.sleep(0)
                with pytest.raises(RuntimeError, match="another task is waiting for an event already"):
                    await source.receive()
                bus.record(1)
                bus.start()
                message = await receiving
                assert message is not None

        run(test())


class TestLeaving:
    def test_no_thread_and_no_descriptor_is_left(self, bus: Bus) -> None:
        bus.record(3)
        bus.start()
        before = in_use()

        async def test() -> None:
            async with AsyncSubscriber(bus.publish, bus.replay, since=0) as source:
                assert await take(source, 3) == [1, 2, 3]
            async with AsyncSubscriber(f"{bus.publish}-nobody", f"{bus.replay}-nobody") as source:
                assert await source.receive(0.01) is None
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            asyncio.run(test())
        wait_until(lambda: in_use() == before)

    def test_by_dropping_it(self, bus: Bus) -> None:
        bus.record(2)
        bus.start()
        before = in_use()

        async def test() -> None:
            assert await take(AsyncSubscriber(bus.publish, bus.replay, since=0), 2)
            gc.collect()

        with pytest.warns(ResourceWarning, match="a subscriber was dropped that had not been closed"):
            asyncio.run(test())
        wait_until(lambda: in_use() == before)

    def test_in_another_loop_than_it_began_in(self, bus: Bus) -> None:
        bus.record(2)
        bus.start()
        source = AsyncSubscriber(bus.publish, bus.replay, since=0)

        async def test() -> None:
            assert await take(source, 1)
            assert await source.receive(0.01)

        asyncio.run(test())
        asyncio.run(source.close())


def test_who_only_blocks_does_not_import_it() -> None:
    code = "import sys, watcher.subscriber; print('zmq.asyncio' in sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert ended.stdout == "False\n"
