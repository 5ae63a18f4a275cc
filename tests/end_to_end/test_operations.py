"""docs/operations.md: every recipe is carried out as it stands there, and helps against what it is for."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import pytest

from tests.end_to_end.recipes import (
    COLD,
    GONE,
    HOT,
    NOON,
    PAGE,
    PROJECT,
    RECIPES,
    TICKS,
    TODAY,
    TOMORROW,
    TOPS,
    WARM,
    Site,
    sections,
    ticks_in,
)
from tests.end_to_end.warm import Program
from watcher.cli.status import EXIT_STATUS
from watcher.errors import EXIT_UNKNOWN
from watcher.lock import Lock

ENDED, LAST = HOT[0], HOT[-1]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where all of them live, one after the other: a journal knows by their paths where copies are."""
    with tempfile.TemporaryDirectory(prefix="tw-") as made:
        yield Path(made).resolve()


@pytest.fixture(scope="module")
def programs() -> Iterator[Path]:
    """Where a shell finds `tickward`."""
    with tempfile.TemporaryDirectory(prefix="tw-") as made, closing(Program(Path(made))) as program:
        yield program.directory


@pytest.fixture(scope="module")
def kept(folder: Path, programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What takes time to make: days that are compressed, archived, deleted, as they were three days ago."""
    site = Site(folder, programs)
    site.configure(f"{HOT[0]}T12:00", restore={"keep_days": 0})  # else the oldest would be kept for a week
    for day in (GONE, *COLD, WARM, ENDED):
        site.make(day)
    assert site.once() == 0
    aside = tmp_path_factory.mktemp("kept") / "data"
    shutil.copytree(folder / "data", aside)
    return aside


@pytest.fixture
def site(folder: Path, programs: Path, kept: Path) -> Iterator[Site]:
    """Days in every tier, all of them well, at noon."""
    for each in folder.iterdir():
        shutil.rmtree(each) if each.is_dir() else each.unlink()
    shutil.copytree(kept, folder / "data")
    site = Site(folder, programs)
    for day in (*HOT[1:], TODAY):
        site.make(day)
    assert site.once() == 0
    try:
        yield site
    finally:
        site.close()


def rot(path: Path) -> None:
    """What a failing disk does: other bytes, and nothing tells of it."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(each ^ 0xFF for each in content[middle : middle + 40])
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


class TestThePage:
    def test_every_recipe_is_followed_here(self) -> None:
        followed = re.findall(r'\.follow\(\s*"([\w-]+)"', Path(__file__).read_text("utf-8"))
        assert RECIPES.keys() <= set(followed)

    def test_a_section_is_about_one_thing(self) -> None:
        for section in sections():
            named = {block.name for block in section.blocks if block.kind != "not run"}
            assert len(named) <= 1, section.title
        recipes = [section.recipe for section in sections() if section.recipe]
        assert len(recipes) == len(set(recipes))

    def test_what_is_not_run_says_why(self) -> None:
        reasons = {
            block.name for section in sections() for block in section.blocks if block.kind == "not run"
        }
        assert reasons == {
            "it is about this machine and its services",
            "it is about this machine's services",
            "it is for your editor",
            "it is your program",
            "it is your disk",
            "what is wrong is on your disk",
            "not every sqlite3 can recover",
            "it is this machine's clock",
            "two days go by",
            "it changes this machine",
            "zstd is not on every machine",
        }

    def test_no_command_stands_outside_of_a_block(self) -> None:
        assert len(re.findall(r"^```", PAGE, flags=re.MULTILINE)) == 2 * sum(
            len(section.blocks) for section in sections()
        )

    @pytest.mark.parametrize(
        "block",
        ["```sh\nrm -rf /\n```", "<!-- recipe: x -->\n```text\nx\n```", "<!-- about -->\n```sh\nx\n```"],
    )
    def test_a_block_without_a_word_on_what_it_is_is_refused(self, block: str) -> None:
        with pytest.raises(ValueError, match="block"):
            sections(f"# Title\n\n{block}\n")

    def test_links_to_headings_that_there_are(self) -> None:
        anchors = {re.sub(r"[^\w -]", "", each.title.lower()).replace(" ", "-") for each in sections()}
        assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) <= anchors

    def test_has_the_exit_statuses(self) -> None:
        (row,) = re.findall(r"\| exit status (.+) \|", PAGE)
        told = {words: int(code) for code, words in re.findall(r"(\d) ([^,(]+?) \(", row)}
        assert told == dict(EXIT_STATUS) | {"it cannot be told": EXIT_UNKNOWN}

    def test_says_words_of_the_program_in_its_table(self) -> None:
        source = "".join(path.read_text("utf-8") for path in (PROJECT / "watcher").rglob("*.py"))
        table = PAGE.partition("| it says |")[2].partition("\n\n")[0]
        for words in re.findall(r"^\| `([^`]+)`", table, flags=re.MULTILINE):
            for part in words.split("…"):
                assert part.strip(" '") in source, words


class TestSetUp:
    def test_from_an_empty_folder_to_a_first_day_that_is_sealed(self, site: Site) -> None:
        for each in (site.folder / "data", site.config):
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        for name in ("publish", "replay"):
            site.environment[f"TICKWARD_EVENTS__{name.upper()}"] = f"ipc://{site.folder}/{name}"
        yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"  # by the clock of this machine
        database = site.make(yesterday)
        assert "\nOK " in site.follow("set-up")
        assert site.path(yesterday, "backup").read_bytes() == database.read_bytes()


class TestTheDaemon:
    def test_is_not_there(self, site: Site) -> None:
        site.configure(f"{TOMORROW}T01:00")  # a day is over since
        site.follow("no-daemon")
        assert site.path(TODAY, "backup").exists()
        site.require_well()

    def test_does_not_answer(self, site: Site) -> None:
        process = site.daemon()
        process.send_signal(signal.SIGSTOP)
        site.configure(f"{TODAY}T12:30")  # it has been so for a while
        site.follow("silent-daemon")
        assert process.wait(10) == -signal.SIGKILL
        site.require_well()

    def test_is_another_one(self, site: Site) -> None:
        lock = Lock(site.top("state"))
        lock.acquire()
        try:
            printed = site.follow("another-instance", said=lambda site: site.run("once").stderr)
        finally:
            lock.release()
        assert f"pid {os.getpid()}" in printed
        site.require_well()

    def test_cannot_have_its_port_and_is_heard_once_it_has(self, site: Site) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as taken:
            site.configure(events={"publish": f"tcp://127.0.0.1:{taken.getsockname()[1]}"})
            first = site.daemon()

            def freed() -> None:
                taken.close()
                assert site.stop(first) == 0
                site.daemon()

            assert f"ticks/{LAST} is sealed since" in site.follow("deaf-subscriber", freed)
        assert site.status()["verdict"]["level"] == "OK"

    def test_is_given_a_configuration_that_cannot_be_meant(self, site: Site) -> None:
        good = site.config.read_text()
        site.config.write_text(good.replace("[expire]", "[expire]\nkeep_mim = 3"))
        site.follow(
            "configuration", lambda: site.config.write_text(good), said=lambda site: site.run("status").stderr
        )


class TestADay:
    def test_is_held_open(self, site: Site) -> None:
        holder = site.actor().do(f"open {site.path(LAST)}", "write 1 20")
        site.once()
        site.follow("held", holder.end)
        site.require_well(TICKS + 20, of=LAST)

    def test_cannot_be_copied(self, site: Site) -> None:
        site.make("2026-06-10")
        in_the_way = site.top("backup") / "2026/06"
        in_the_way.write_text("")
        site.once()
        site.follow("step-failed", in_the_way.unlink)
        assert site.packed("2026-06-10", "backup").exists()
        site.require_well()

    def test_has_late_ticks(self, site: Site) -> None:
        site.make(WARM, 30, first=TICKS)
        site.once()
        printed = site.follow("late-ticks")
        told = re.findall(r"^#\d+ \S+ \S+ (\w+)", printed, flags=re.MULTILINE)
        assert told[told.index("merged") :] == ["merged", "closed", "sealed", "backed_up", "compressed"]
        site.require_well(TICKS + 30, of=WARM)

    def test_has_a_stranger_beside_it(self, site: Site) -> None:
        strange = site.packed(COLD[0], "archive").read_bytes()
        site.packed(ENDED, "db").write_bytes(strange)
        assert site.run("compress", ENDED).returncode == 1
        site.follow("stranger")
        assert (site.folder / "aside" / site.packed(ENDED, "db").name).read_bytes() == strange
        site.require_well()

    def test_is_corrupt_and_its_backup_is_not(self, site: Site) -> None:
        path = site.path(LAST)
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\x55" * 4096)
        site.once()
        site.follow("corrupt")
        assert (site.folder / "aside" / path.name).exists()
        site.require_well()

    def test_is_damaged(self, site: Site) -> None:
        rot(site.path(ENDED))
        assert site.run("compress", ENDED).returncode == 1
        site.follow("damaged")
        site.require_well()

    def test_is_lost_and_found_on_a_tape(self, site: Site) -> None:
        (site.folder / "tape").mkdir()
        shutil.copy(site.packed(COLD[0], "archive"), site.folder / "tape")
        for top in ("archive", "backup"):
            rot(site.packed(COLD[0], top))
        assert site.run("verify", COLD[0]).returncode == 1
        site.follow("lost")
        site.require_well()

    def test_of_today_is_deleted_under_its_writer(self, site: Site) -> None:
        writer = site.actor().do(f"open {site.path(TODAY)}", "write 1 50")
        for path in site.path(TODAY).parent.glob(f"ticks_{TODAY}.db*"):
            path.unlink()
        site.follow("today-deleted")
        assert writer.process.wait(10) == -signal.SIGKILL
        site.make(TODAY, 10, first=TICKS)  # it is started again
        site.require_well(TICKS + 60, of=TODAY)

    def test_that_was_deleted_is_there_again(self, site: Site) -> None:
        path = site.make(GONE)
        site.follow("expired-again")
        assert ticks_in(site.folder / "aside" / path.name) == TICKS
        site.require_well()

    def test_waits_to_be_deleted(self, site: Site) -> None:
        site.configure(expire={"after_days": 53, "max_at_once": 1}, restore={"keep_days": 0})
        printed = site.follow("confirm")
        assert printed.count(" expired in ") == len(COLD)
        site.require_well(left=5)


class TestDisks:
    def test_one_is_nearly_full(self, site: Site) -> None:
        site.configure(health={"free_min": "900 TiB"})
        site.once()
        site.follow("disk-low", lambda: site.configure(health={"free_min": "0 MiB"}))
        site.once()
        site.require_well()

    def test_one_is_not_mounted(self, site: Site) -> None:
        archive = site.top("archive")
        elsewhere = archive.rename(site.folder / "disk")
        archive.mkdir()

        def mount() -> None:
            archive.rmdir()
            elsewhere.rename(archive)

        site.follow("not-mounted", mount)
        site.require_well()

    def test_that_of_the_root_is_gone(self, site: Site) -> None:
        elsewhere = site.top("db").rename(site.folder / "disk")
        site.follow("root-gone", lambda: elsewhere.rename(site.top("db")))
        site.require_well()

    def test_that_of_the_data_is_lost(self, site: Site) -> None:
        shutil.rmtree(site.top("db"))
        site.top("db").mkdir()
        site.follow("lost-data-disk", lambda: site.make(TODAY))
        assert site.path(TOMORROW).exists()
        site.require_well()

    def test_that_of_the_backup_alone_is_left(self, site: Site) -> None:
        site.follow("copy-journal")
        assert site.run("compress", ENDED).returncode == 0  # what the copy does not know
        for top in ("db", "archive", "state"):
            shutil.rmtree(site.top(top))
        site.follow("only-backup-left", lambda: site.make(TODAY))
        site.require_well()

    @pytest.mark.parametrize("top", ["backup", "archive"])
    def test_that_of_copies_is_lost(self, site: Site, top: str) -> None:
        before = sorted(path.relative_to(site.top(top)) for path in site.top(top).rglob("*.db*"))
        shutil.rmtree(site.top(top))
        if top == "backup":
            site.follow("lost-backup-disk")
        else:
            site.follow("lost-archive")
        assert sorted(path.relative_to(site.top(top)) for path in site.top(top).rglob("*.db*")) == before
        site.require_well()


class TestTheJournal:
    def test_is_lost_and_an_older_copy_is_put_back(self, site: Site) -> None:
        site.follow("copy-journal")
        assert site.run("hold", WARM, "--reason", "audit 17").returncode == 0
        assert site.run("compress", ENDED).returncode == 0
        (site.top("state") / "journal.db").unlink()
        site.follow("older-journal")
        assert "audit 17" in site.run("inventory", "--from", WARM, "--to", WARM).stdout
        assert not site.path(ENDED).exists()
        site.require_well()

    def test_is_lost_without_a_copy(self, site: Site) -> None:
        if "lost-journal" not in RECIPES:
            pytest.skip("the page has no recipe for that until there is `tickward adopt`")
        (site.top("state") / "journal.db").unlink()
        site.follow("lost-journal")
        site.require_well()

    def test_is_kept_by_an_upgrade(self, site: Site) -> None:
        site.follow("upgrade")
        site.require_well()

    def test_is_too_new_for_the_version_before(self, site: Site) -> None:
        shutil.copytree(site.top("state"), site.folder / "state.before")
        assert site.run("compress", ENDED).returncode == 0
        with closing(apsw.Connection(str(site.top("state") / "journal.db"))) as journal:
            journal.pragma("user_version", 99)
        site.follow("rollback", said=lambda site: site.run("status").stderr)
        assert not site.path(ENDED).exists()
        site.require_well()


class TestTheClock:
    def test_was_behind(self, site: Site) -> None:
        site.configure("2026-07-05T12:00")
        site.once()
        site.follow("clock-behind", lambda: site.configure(NOON))
        site.require_well()

    def test_was_ahead_and_was_believed(self, site: Site) -> None:
        site.configure("2026-08-05T12:00")
        site.once()

        def writer_goes_on() -> None:
            for day in (TODAY, TOMORROW):
                site.make(day, 30, first=TICKS)
            site.configure("2026-07-17T12:00")
            site.once()

        site.follow("clock-ahead", lambda: site.configure(NOON), writer_goes_on)
        assert ticks_in(site.path(TOMORROW)) == 30
        site.require_well(TICKS + 30, of=TODAY)


class TestTheTree:
    def test_one_day_of_it_is_restored(self, site: Site) -> None:
        site.follow("restore-day")
        for path in (site.path(COLD[0]), site.folder / f"ticks_{COLD[0]}.db"):
            assert ticks_in(path) == TICKS
        site.require_well()

    def test_all_of_it_is_restored(self, site: Site) -> None:
        site.follow("restore-everything")
        restored = {path.name: ticks_in(path) for path in (site.folder / "restored").iterdir()}
        assert restored == {f"ticks_{day}.db": TICKS for day in (COLD[1], WARM)}

    def test_is_moved_and_goes_on_where_it_is(self, site: Site) -> None:
        moved = {key: f"elsewhere/{top}" for key, top in TOPS.items()}
        site.follow("move", lambda: site.configure(data=moved))
        site.require_well()
        site.configure("2026-11-25T12:00")
        assert site.run("expire").stdout.count(" expired in ") == len(COLD)

    def test_is_given_away(self, site: Site) -> None:
        printed = site.follow("decommission")
        assert re.search(r"^[0-9a-f]{64}  ticks\.tar$", printed, flags=re.MULTILINE)
        assert (site.folder / "audit.csv").read_text().count("\n") > 40
