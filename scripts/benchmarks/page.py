"""What the page of a hundred thousand databases takes to be seen: the first paint, the days, and the bytes.

In a real browser, each time with an empty cache; beside it, in the same run, a page of a single word.

    scripts/bench page [--streams 560] [--days 178] [--runs 5]
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from playwright.sync_api import Browser, Page

from scripts.benchmarks.common import environment
from tests.watcher.web.browsing import chromium

_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/")
_PAINTS = "performance.getEntriesByName('first-paint')"
_LOADED = (
    "performance.getEntriesByType('resource')"
    ".map(each => [each.name, each.decodedBodySize, each.transferSize])"
)
_SHOWN = "body[data-looked] #verdict:not([data-level=wait])"


class Sizes(NamedTuple):
    """Bytes."""

    inflated: int
    sent: int


class Look(NamedTuple):
    """One look at the page; milliseconds since it was asked for."""

    paint: float
    shown: float
    """The verdict and the days."""
    data: Sizes
    everything: Sizes


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench page", description=__doc__)
    parser.add_argument("--streams", type=int, default=560)
    parser.add_argument("--days", type=int, default=178, help="of each stream")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="tickward-bench-") as name:
        shape = ["--streams", str(options.streams), "--days", str(options.days)]
        make = [sys.executable, "-m", "scripts.sample_tree", name, *shape]
        subprocess.run(make, check=True, env=environment(), stdout=subprocess.DEVNULL)
        with _served(Path(name) / "config.toml") as address, chromium() as browser:
            _report(options.streams * options.days, address, browser, options.runs)


@contextmanager
def _served(config: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "watcher", "-c", str(config), "web", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield next(found[0] for line in process.stdout if (found := _ADDRESS.search(line)))
    finally:
        process.terminate()
        process.wait()


def _report(count: int, address: str, browser: Browser, runs: int) -> None:
    _look(browser, address)  # the server's first look at the days takes longer
    looks = [_look(browser, address) for _ in range(runs)]
    print(f"{count:,} databases; {runs} looks with an empty cache: median and most")
    for name, values in (
        ("first paint", [look.paint for look in looks]),
        ("verdict and days", [look.shown for look in looks]),
        ("first paint of a word", [_paint_of_a_word(browser) for _ in range(runs)]),
    ):
        print(f"{name:<24}{statistics.median(values):>8.0f} ms{max(values):>8.0f} ms")
    for name, sizes in (("its data", looks[-1].data), ("all that is loaded", looks[-1].everything)):
        print(f"{name:<24}{sizes.inflated / 1000:>8.0f} kB{sizes.sent / 1000:>8.0f} kB packed")


def _look(browser: Browser, address: str) -> Look:
    with _tab(browser) as page:
        page.goto(address)
        page.wait_for_selector(_SHOWN)
        shown = page.evaluate("performance.now()")
        loaded = page.evaluate(_LOADED)
        data = [each for each in loaded if "/api/" in each[0]]
        return Look(page.evaluate(f"{_PAINTS}[0].startTime"), shown, _sum(data), _sum(loaded))


def _paint_of_a_word(browser: Browser) -> float:
    with _tab(browser) as page:
        page.goto("data:text/html,<p>word")
        page.wait_for_function(f"{_PAINTS}.length > 0")
        return float(page.evaluate(f"{_PAINTS}[0].startTime"))


@contextmanager
def _tab(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        yield context.new_page()
    finally:
        context.close()


def _sum(loaded: list[tuple[str, int, int]]) -> Sizes:
    return Sizes(sum(size for _, size, _ in loaded), sum(sent for _, _, sent in loaded))


if __name__ == "__main__":
    main()
