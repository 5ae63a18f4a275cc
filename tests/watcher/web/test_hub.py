"""What is new is handed to every page that is open, and no page holds up another."""

from __future__ import annotations

import asyncio

from watcher.web.hub import MOST_PAGES, MOST_WAITING, RELOAD, Hub, OpenPage, Sent


def number(value: int) -> Sent:
    return Sent(f"{value}".encode())


def joined(hub: Hub) -> OpenPage:
    page = hub.join()
    assert page is not None
    return page


class TestThePages:
    def test_are_all_given_the_same_in_order(self) -> None:
        async def given() -> list[list[Sent]]:
            hub = Hub()
            pages = [joined(hub), joined(hub)]
            for value in range(3):
                hub.put(number(value))
            return [await page.take(1.0) for page in pages]

        one, other = asyncio.run(given())

        assert one == other == [number(0), number(1), number(2)]

    def test_one_that_takes_nothing_is_told_to_look_anew_and_costs_no_more_memory(self) -> None:
        async def given() -> tuple[list[Sent], int]:
            hub = Hub()
            slow, quick = joined(hub), joined(hub)
            taken = 0
            for value in range(MOST_WAITING + 3):
                hub.put(number(value))
                taken += len(await quick.take(1.0))
            return await slow.take(1.0), taken

        late, taken = asyncio.run(given())

        assert late == [RELOAD, number(MOST_WAITING + 1), number(MOST_WAITING + 2)]
        assert taken == MOST_WAITING + 3

    def test_are_so_many_and_no_more_until_one_leaves(self) -> None:
        async def refused() -> tuple[object, object]:
            hub = Hub()
            pages = [joined(hub) for _ in range(MOST_PAGES)]
            before = hub.join()
            hub.leave(pages[0])
            return before, hub.join()

        before, after = asyncio.run(refused())

        assert before is None
        assert after is not None

    def test_come_to_their_end_when_all_is_closed(self) -> None:
        async def ended() -> tuple[bool, list[Sent], object]:
            hub = Hub()
            page = joined(hub)
            waiting = asyncio.create_task(page.take(60.0))
            await asyncio.sleep(0)
            hub.close()
            return page.closed, await waiting, hub.join()

        assert asyncio.run(ended()) == (True, [], None)
