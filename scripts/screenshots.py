"""Makes the pictures of the page in docs/images, of days that the real steps have made.

A year of days is that of `tickward demo`; then the daemon goes on beside it, with the page. Needs Chromium.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from scripts.benchmarks.common import environment
from watcher.config import load
from watcher.control import vitals_of
from watcher.demo.ticks import realistic
from watcher.overview import Day, overview
from watcher.premises import clock_of
from watcher.settings import Settings
from watcher.subscriber import Subscriber

IMAGES = Path(__file__).parent.parent / "docs" / "images"
CHROMIUM = os.environ.get("TICKWARD_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
]
BIG_TICKS = 1_500_000
"""A day whose compression takes a while, to be looked at meanwhile."""
PATIENCE_SECONDS = 300.0


RENAME = """([folder, name]) => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(folder, name);
}"""


class Stage:
    """A folder with a configuration, over which commands are run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.config = folder, folder / "config.toml"

    @property
    def settings(self) -> Settings:
        return load(self.config, environment={})

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "watcher", "--config", str(self.config), *arguments]

    def run(self, *arguments: str, check: bool = True) -> None:
        subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=environment(),
            check=check,
            stdout=subprocess.DEVNULL,
        )

    def set_clock(self, now: datetime) -> None:
        """Have it show that time at this moment, at the machine's pace."""
        kept = self.config.read_text().partition("[clock]")[0] if self.config.exists() else ""
        clock = f'[clock]\nstart = "{now.isoformat()}"\norigin = {time.time()}\n'
        self.config.write_text(kept + clock)

    def today(self) -> Day:
        now = clock_of(self.settings.clock).now()
        return next(each for each in overview(self.settings, now).days if each.day == now.date())

    def write_now(self) -> None:
        """Have today's database look as if its writer had just been there, by the clock that is shown."""
        now = clock_of(self.settings.clock).now()
        for file in Path(self.settings.data.root).rglob(f"ticks_{now.date()}.db*"):
            os.utime(file, (now.timestamp(), now.timestamp()))

    def newest(self, tiers: tuple[str, ...]) -> Day:
        """The newest day in the first of the tiers that has any."""
        days = overview(self.settings, clock_of(self.settings.clock).now()).days
        return next(day for tier in tiers for day in reversed(days) if day.tier == tier)

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A command beside what follows."""
        process = subprocess.Popen(
            self.command(*arguments), cwd=self.folder, env=environment(), text=True, stdout=subprocess.PIPE
        )
        with process:
            try:
                yield process
            finally:
                process.send_signal(signal.SIGTERM)

    @contextmanager
    def page(self) -> Iterator[str]:
        """The page of this folder: its address."""
        with self.running("web", "--listen", "127.0.0.1:0") as process:
            assert process.stdout is not None
            yield process.stdout.readline().split()[4]

    def wait_for_daemon(self) -> None:
        """Until one works that was started just now."""
        while vitals_of(Path(self.settings.data.state)) is None:
            time.sleep(0.1)

    def wait_until_done(self) -> None:
        """Until nothing is due any more."""
        state = Path(self.settings.data.state)
        while overview(self.settings, clock_of(self.settings.clock).now()).plan.actions or (
            (vitals := vitals_of(state)) is None or vitals.running
        ):
            time.sleep(0.5)

    def wait_for(self, event: str, key: str) -> None:
        events = self.settings.events
        with Subscriber(events.publish, events.replay, since=0, events={event}) as subscriber:
            while (message := subscriber.receive(PATIENCE_SECONDS)) and message.subject != key:
                pass
        if message is None:
            raise SystemExit(f"scripts/screenshots: {key} was not {event} within {PATIENCE_SECONDS:.0f} s")


class Camera:
    """Takes pictures with a browser."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    @contextmanager
    def at(self, address: str, *, width: int = 1360, height: int = 940, dark: bool = False) -> Iterator[Page]:
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            bypass_csp=True,  # to wait for what it shows
        )
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("body[data-looked] #verdict:not([data-level=wait])")
        try:
            yield page
        finally:
            context.close()


def take(page: Page, name: str, folder: Path) -> None:
    """As it is, but for the name of the folder, which means nothing to anybody."""
    IMAGES.mkdir(exist_ok=True)
    page.evaluate(RENAME, [str(folder), "/srv/tickward"])
    file = IMAGES / f"{name}.png"
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(file, optimize=True)
    print(f"{file}: {file.stat().st_size:,} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/screenshots", description=__doc__)
    parser.add_argument("--days", type=int, default=355, help="how many days are made; 355")
    parser.add_argument("--tree", type=Path, help="one that `tickward demo --keep` has made; it is changed")
    options = parser.parse_args()
    with (
        TemporaryDirectory(prefix="tickward-") as folder,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        camera = Camera(browser)
        empty(camera, Stage(Path(folder)))
        year = Stage(options.tree or Path(folder).resolve() / "year")
        if not options.tree:
            Stage(Path(folder)).run("demo", "--days", str(options.days), "--keep", str(year.folder))
        a_year(camera, year)
        failing(camera, year)
        compressing(camera, year)
        browser.close()


def empty(camera: Camera, stage: Stage) -> None:
    """Before anything was ever started."""
    stage.config.write_text("")
    with stage.page() as address, camera.at(address, height=480) as page:
        take(page, "empty", stage.folder)


def a_year(camera: Camera, stage: Stage) -> None:
    """All tiers, by day and by night, and on a phone."""
    stage.write_now()
    with stage.running("run"), stage.page() as address:
        stage.wait_for("created", f"ticks/{stage.today().day + timedelta(days=1)}")
        stage.wait_until_done()
        for name, dark, width, height in (
            ("year", False, 1360, 940),
            ("dark", True, 1360, 940),
            ("phone", False, 390, 844),
        ):
            with camera.at(address, width=width, height=height, dark=dark) as page:
                page.wait_for_selector("#plot-forecast canvas")
                page.wait_for_selector("#connection[data-state=live]")
                take(page, name, stage.folder)
        day = stage.newest(("cold", "warm"))
        with camera.at(f"{address}#{day.key}", width=1000, height=800) as page:
            page.wait_for_selector("dialog .history li")
            take(page, "day", stage.folder)


def failing(camera: Camera, stage: Stage) -> None:
    """A day of which both copies are damaged, found to be so, and then got back from a tape."""
    warm = stage.newest(("warm",))
    data = stage.settings.data
    files = [file for top in (data.root, data.backup) for file in Path(top).rglob(f"*{warm.day}*.zst")]
    tape = {file: file.read_bytes() for file in files}
    for file in files:
        damage(file)
    with stage.running("run"):
        stage.wait_for_daemon()
        stage.run("verify", str(warm.day), check=False)
        with stage.page() as address, camera.at(address) as page:
            page.wait_for_selector("button.cell.failing")
            page.wait_for_selector("#plot-forecast canvas")
            take(page, "failing", stage.folder)
        for file, content in tape.items():
            file.write_bytes(content)
        stage.run("verify", str(warm.day))


def compressing(camera: Camera, stage: Stage) -> None:
    """A day that is so large that one can watch."""
    today = stage.today()
    write(stage.settings, today.day)
    stage.set_clock(datetime.combine(today.day, datetime.min.time(), UTC) + timedelta(days=1, hours=12))
    with stage.running("run"):
        stage.wait_for("backed_up", today.key)
        stage.write_now()
        with (
            stage.page() as address,
            camera.at(address) as page,
            stage.running("compress", str(today.day)),
        ):
            # Some way on, and long enough that it knows how fast it is.
            page.set_default_timeout(PATIENCE_SECONDS * 1000)
            page.wait_for_function("document.querySelector('#running progress')?.position > 0.3")
            take(page, "compressing", stage.folder)
            page.wait_for_selector("#running li", state="detached")


def write(settings: Settings, day: date) -> None:
    """More ticks than usual, into its database."""
    start = int(datetime.combine(day, datetime.min.time(), UTC).timestamp() * 1000)
    (file,) = Path(settings.data.root).rglob(f"ticks_{day}.db")
    ticks = islice(realistic(start, rate=BIG_TICKS / 86400, seed=1), BIG_TICKS)
    rows = ((t.symbol, t.timestamp, t.bid, t.ask, t.spread, t.lp_source) for t in ticks)
    connection = apsw.Connection(str(file))
    connection.pragma("journal_mode", "wal")
    with connection:
        connection.executemany(
            "INSERT OR IGNORE INTO ticks (symbol, timestamp, bid, ask, spread, lp_source) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            rows,
        )
    connection.close()


def damage(file: Path) -> None:
    """As a bad sector does."""
    with file.open("r+b") as stream:
        stream.seek(file.stat().st_size // 2)
        stream.write(bytes(512))


if __name__ == "__main__":
    main()
