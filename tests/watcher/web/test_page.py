"""The page in a real browser, over a real daemon that serves it and works meanwhile."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, expect

from tests.end_to_end.harness import YESTERDAY, FileWatch, World
from tests.watcher.web.browsing import PATIENCE_MS, Tab, chromium

BIG = "2026-01-18"
ADDRESS = re.compile(r"the page is at (http://[\d.:]+/)")
TIERS = ("hot", "warm", "cold", "gone")


expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture(scope="module")
def world(browser: Browser) -> Iterator[World]:
    """A daemon with two days that are over, and the page."""
    with tempfile.TemporaryDirectory(prefix="tw-") as folder:
        made = World(Path(folder).resolve())
        # Small frames, so that it often tells how far it is.
        made.configure(web={"listen": "127.0.0.1:0"}, compress={"level": 22, "frame": "64 KiB"})
        made.make(BIG, ticks=90_000)
        made.make(YESTERDAY)
        try:
            made.daemon()
            with made.events() as events:
                for day in (BIG, YESTERDAY):
                    events.until("backed_up", f"ticks/{day}")
            yield made
        finally:
            made.close()


@pytest.fixture(scope="module")
def address(world: World) -> str:
    with FileWatch(world.folder) as watch:
        while not (found := ADDRESS.search((world.folder / "tickward.jsonl").read_text())):
            watch.wait()
    return found[1]


@pytest.fixture(scope="module")
def tab(browser: Browser, address: str) -> Iterator[Tab]:
    with Tab(browser, address) as made:
        yield made.open()


def cell(day: str) -> str:
    return f'button.cell[aria-label^="{day}"]'


class TestThePage:
    def test_shows_every_day_in_its_calendar(self, tab: Tab) -> None:
        expect(tab.page.locator(cell(YESTERDAY))).to_have_class("cell hot")
        expect(tab.page.locator(cell(BIG))).to_have_attribute("aria-label", f"{BIG}, hot: uncompressed")
        expect(tab.page.locator(cell("2026-01-21"))).to_have_class("cell ahead")
        expect(tab.page.locator("#connection")).to_have_text("live")

    def test_has_the_verdict_first(self, tab: Tab) -> None:
        expect(tab.page.locator("#verdict h2")).to_have_text("All is well")
        expect(tab.page.locator("#verdict .sign")).to_have_text("✓")

    def test_shows_a_new_event_without_being_loaded_again(self, tab: Tab, world: World) -> None:
        tab.page.evaluate("window.before = true")
        world.run("release", YESTERDAY)  # if it is held
        assert world.run("hold", YESTERDAY, "--reason", "<b>inquiry</b>").returncode == 0

        event = tab.page.locator("#events li", has_text="held")
        expect(event).to_contain_text("<b>inquiry</b>")
        expect(tab.page.locator("#writers")).to_contain_text("<b>inquiry</b>")
        assert tab.page.evaluate("window.before"), "it was not loaded again"

    def test_shows_a_compression_that_moves_until_the_day_is_warm(self, tab: Tab, world: World) -> None:
        tab.page.evaluate(
            """() => {
                window.seen = [];
                const look = () => {
                    const bar = document.querySelector('#running progress');
                    if (bar && bar.position > (window.seen.at(-1) ?? 0)) window.seen.push(bar.position);
                };
                new MutationObserver(look).observe(document.getElementById('running'),
                    { subtree: true, childList: true, attributes: true });
            }"""
        )
        order = world.run("compress", BIG)
        assert order.returncode == 0, order.stderr

        expect(tab.page.locator(cell(BIG))).to_have_class("cell warm")
        expect(tab.page.locator("#running li")).to_have_count(0)
        seen = tab.page.evaluate("window.seen")
        assert len(seen) >= 3, seen
        assert seen == sorted(seen)

    def test_opens_a_day_from_the_keyboard_with_all_its_hashes(self, tab: Tab, world: World) -> None:
        page = tab.page
        assert world.run("compress", BIG).returncode == 0  # if it has not been
        expect(page.locator(cell(BIG))).to_have_class("cell warm")
        page.locator('button.cell[tabindex="0"]').focus()
        assert page.locator('button.cell[tabindex="0"]').count() == 1, "one stop for Tab, whatever its days"
        for key in ("Home", "ArrowDown"):  # the first day, the one after it
            page.keyboard.press(key)
        expect(page.locator(":focus")).to_have_attribute("aria-label", re.compile(f"^{YESTERDAY}"))
        expect(page.locator("#tip")).to_contain_text(YESTERDAY)
        page.keyboard.press("ArrowUp")
        expect(page.locator("#tip")).to_contain_text("times smaller")
        page.keyboard.press("Enter")

        dialog = page.locator("dialog[open]")
        expect(dialog.locator("h2")).to_have_text(f"ticks/{BIG}")
        expect(dialog.locator(".history > li b")).to_contain_text(["sealed", "backed up", "compressed"])
        found = page.evaluate(f"fetch('/api/days/ticks/{BIG}').then((answer) => answer.json())")
        for digest in (found["day"]["sha256"], *(event["link"] for event in found["events"])):
            assert re.fullmatch("[0-9a-f]{64}", digest)
            expect(dialog.get_by_text(digest, exact=True).first).to_be_visible()
        assert page.evaluate("location.hash") == f"#ticks/{BIG}"
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(page.locator(":focus")).to_have_attribute("aria-label", re.compile(f"^{BIG}"))

    def test_draws_what_was_kept_and_says_it(self, tab: Tab) -> None:
        expect(tab.page.locator("#plot-kept canvas")).to_be_visible()
        expect(tab.page.locator("#plot-kept .plot")).to_have_attribute("aria-label", re.compile("Kept bytes"))

    def test_every_control_has_a_name(self, tab: Tab) -> None:
        nameless = tab.page.evaluate(
            """() => [...document.querySelectorAll('button, a, select, input, progress, meter, [role=img]')]
                .filter((each) => each.checkVisibility())
                .filter((each) => !(each.getAttribute('aria-label') || each.textContent.trim()
                    || each.labels?.length))
                .map((each) => each.outerHTML)"""
        )
        ids = tab.page.evaluate("[...document.querySelectorAll('[id]')].map((each) => each.id)")

        assert nameless == []
        assert len(ids) == len(set(ids))

    def test_can_be_paused_and_goes_on_with_what_came_meanwhile(self, tab: Tab, world: World) -> None:
        world.run("release", YESTERDAY)  # if it is held
        tab.page.get_by_role("button", name="Pause").click()
        assert world.run("hold", YESTERDAY, "--reason", "a pause").returncode == 0
        expect(tab.page.locator("#pause")).to_contain_text("new")
        assert tab.page.locator("#events li", has_text="a pause").count() == 0
        tab.page.locator("#pause").click()
        expect(tab.page.locator("#events li").first).to_contain_text("a pause")


class TestOnAnyScreen:
    @pytest.mark.parametrize("width", [360, 1920])
    def test_it_never_scrolls_sideways(self, tab: Tab, width: int) -> None:
        tab.page.set_viewport_size({"width": width, "height": 900})
        tab.page.evaluate(f"location.hash = '#ticks/{BIG}'")
        expect(tab.page.locator("dialog[open] .history > li").first).to_be_visible()
        widest = tab.page.evaluate("document.documentElement.scrollWidth")
        in_dialog = tab.page.locator("dialog").evaluate("(box) => box.scrollWidth - box.clientWidth")
        tab.page.keyboard.press("Escape")

        assert widest <= width
        assert in_dialog <= 0

    @pytest.mark.parametrize("scheme", ["dark", "light"])
    def test_its_colours_can_be_told_from_the_paper(self, tab: Tab, scheme: Literal["dark", "light"]) -> None:
        tab.page.emulate_media(color_scheme=scheme)
        names = ["card", "paper", "ink", "quiet", "good", "attention", "failing", "link", *TIERS]
        colours = tab.page.evaluate(_COLOURS, names)
        contrasts = {name: contrast(colours[name], colours["card"]) for name in names[2:]}

        assert (luminance(colours["card"]) < 0.1) == (scheme == "dark")
        assert all(contrasts[tier] >= 3 for tier in TIERS), contrasts
        assert all(contrasts[name] >= 4.5 for name in names[2:-4]), contrasts
        assert contrast(colours["quiet"], colours["paper"]) >= 4.5

    def test_what_somebody_chose_goes_before_what_the_system_says(self, tab: Tab) -> None:
        tab.page.emulate_media(color_scheme="light")
        button = tab.page.locator("#theme")
        for said in ("Theme: light", "Theme: dark"):
            button.click()
            expect(button).to_have_text(said)
        assert luminance(tab.page.evaluate(_COLOURS, ["card"])["card"]) < 0.1
        button.click()
        assert luminance(tab.page.evaluate(_COLOURS, ["card"])["card"]) > 0.9


class TestInAll:
    def test_asks_nobody_else_and_has_nothing_to_complain_of(self, tab: Tab, address: str) -> None:
        assert tab.asked
        assert [url for url in tab.asked if not url.startswith(address)] == []
        assert tab.complaints == []

    def test_its_end_is_shown(self, tab: Tab, world: World, address: str) -> None:
        assert world.stop(world._processes[0]) == 0

        expect(tab.page.locator("#connection")).to_contain_text("reconnecting")


_COLOURS = """(names) => Object.fromEntries(names.map((name) => {
    const box = document.createElement('i');
    box.style.color = `var(--${name})`;
    document.body.append(box);
    const colour = getComputedStyle(box).color.match(/[0-9.]+/g).slice(0, 3).map(Number);
    box.remove();
    return [name, colour];
}))"""


def luminance(colour: list[float]) -> float:
    """As WCAG 2 has it."""
    linear = [
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4
        for each in (value / 255 for value in colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Any, other: Any) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)
