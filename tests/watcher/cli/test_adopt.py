"""Taking over a tree of scripts, another tree, a lost journal: first only shown, and no file is changed."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard
from loguru import logger
from msgspec.structs import replace

from tests.watcher.cli.conftest import Terminal
from tests.watcher.query.tree import make_day
from watcher.config import load
from watcher.journal import Journal
from watcher.paths import journal_file
from watcher.plan import Block
from watcher.premises import clock_of
from watcher.settings import Settings
from watcher.survey import survey

TODAY = date(2026, 1, 20)
COLD, WARM, HOT = TODAY - timedelta(90), TODAY - timedelta(14), TODAY - timedelta(2)
"""An archived, a compressed and an uncompressed day."""


def day_path(day: date, top: str = "db") -> Path:
    return Path("data/ticks") / top / f"{day:%Y}/{day:%m}/ticks_{day}.db"


def packed(path: Path) -> Path:
    return path.with_name(f"{path.name}.zst")


def compress(path: Path, **how: Any) -> Path:
    """As a script does, with whatever tool was there."""
    target = packed(path)
    target.write_bytes(zstandard.ZstdCompressor(**how).compress(path.read_bytes()))
    path.unlink()
    return target


def files(folder: Path) -> dict[str, str]:
    """Every file that is no log, no state and no note of the last rotation, and what is in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {"state", "logs"} & set(path.parts) and "metadata" not in path.name
    }


@pytest.fixture
def scripts(tickward: Terminal) -> Terminal:
    """A tree that scripts have looked after: two compressed days, an uncompressed one, a note of theirs."""
    tickward.configure('[events]\npublish = "ipc://p"\nreplay = "ipc://r"')
    for day in (COLD, WARM, HOT):
        make_day(day_path(day), day)
    compress(day_path(COLD))
    compress(day_path(WARM), write_content_size=False)
    (Path("data/ticks/db") / "rotation_metadata.json").write_text('{"current_date": "2026-01-20"}')
    return tickward


class TestATreeOfScripts:
    def test_is_first_only_looked_at(self, scripts: Terminal) -> None:
        before = scripts.tree()
        shown = scripts("adopt")
        assert shown.code == 0
        assert "2 days, ticks/2025-10-22 to ticks/2026-01-06  would be read" in shown.out
        assert "ticks/2026-01-18  would be sealed" in shown.out
        assert "nothing was changed: --yes does it" in shown.out
        assert scripts.tree() == before, "not even a journal, or a lock"

    def test_is_taken_over_without_a_change_to_its_files(self, scripts: Terminal) -> None:
        before = files(scripts.folder)
        done = scripts("adopt", "--yes")
        assert done.code == 0, done.err
        after = files(scripts.folder)
        assert {name: after[name] for name in before} == before
        found = {row["day"]: row for row in scripts("inventory", "--json").json["days"]}
        assert [found[f"{day}"]["ticks"] for day in (COLD, WARM, HOT)] == [60, 60, 60]
        assert [found[f"{day}"]["tier"] for day in (COLD, WARM, HOT)] == ["warm", "warm", "hot"]
        assert found[f"{HOT}"]["backup"] == "yes"

    def test_keeps_what_the_scripts_had_noted(self, scripts: Terminal) -> None:
        scripts("adopt", "--yes")
        kept = Path("data/ticks/db/rotation_metadata.json.before-adoption")
        assert json.loads(kept.read_text()) == {"current_date": "2026-01-20"}

    def test_is_taken_over_once(self, scripts: Terminal) -> None:
        scripts("adopt", "--yes")
        again = scripts("adopt", "--yes")
        assert again.code == 0
        assert "0 steps done" in again.out
        events = [each["event"] for each in scripts("history", f"{COLD}", "--json").json["events"]]
        assert events.count("adopted") == 1

    def test_answers_questions_and_proofs(self, scripts: Terminal) -> None:
        scripts("adopt", "--yes")
        sql = "SELECT count(*) AS ticks FROM ticks"
        (row,) = scripts(
            "query",
            "--from",
            f"{COLD}",
            "--to",
            f"{HOT}",
            "--merge",
            "SELECT sum(ticks) AS n FROM days",
            sql,
            "--json",
        ).json
        assert row["n"] == 180
        assert scripts("once").code == 0
        assert scripts("verify", "--all").code == 0
        assert scripts("audit", "verify").code == 0
        assert scripts("restore", f"{COLD}", "--to", str(scripts.folder / "day.db")).code == 0
        assert "adopted" in scripts("history", f"{COLD}").out

    def test_gets_second_copies_by_the_next_pass(self, scripts: Terminal) -> None:
        scripts("adopt", "--yes")
        assert scripts("once").code == 0
        first, second = packed(day_path(WARM)), packed(day_path(WARM, "backup"))
        assert second.read_bytes() == first.read_bytes()

    def test_is_neither_late_nor_early(self, scripts: Terminal) -> None:
        scripts("adopt", "--yes")
        done = {each["day"] for each in scripts("policy", "--prove", "--json").json["exceptions"]}
        assert not done & {f"{COLD}", f"{WARM}"}

    def test_a_day_on_hold_keeps_its_bytes(self, scripts: Terminal) -> None:
        scripts("adopt", "--yes")
        scripts("hold", f"{WARM}", "--reason", "inquiry")
        before = packed(day_path(WARM)).read_bytes()
        done = scripts("adopt", "--reencode", "--yes")
        assert done.code == 0
        assert packed(day_path(WARM)).read_bytes() == before

    def test_so_does_one_that_is_put_on_hold_before(self, scripts: Terminal) -> None:
        scripts("hold", f"{WARM}", "--reason", "inquiry")
        before = packed(day_path(WARM)).read_bytes()
        assert scripts("adopt", "--reencode", "--yes").code == 0
        assert packed(day_path(WARM)).read_bytes() == before

    def test_no_day_is_deleted_before_a_person_could_look(
        self, scripts: Terminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TICKWARD_EXPIRE__KEEP_MIN", "1")
        old = TODAY - timedelta(400)
        compress(make_day(day_path(old), old))
        assert scripts("adopt", "--yes").code == 0
        for _ in range(4):
            assert scripts("once").code == 0
        assert packed(day_path(old, "archive")).exists()
        assert "taken over on 2026-01-20" in scripts("plan", "--from", f"{old}", "--to", f"{old}").out

    def test_is_made_anew_only_if_that_is_said(self, scripts: Terminal) -> None:
        assert scripts("adopt", "--yes").code == 0
        assert "nothing is to be taken over" in scripts("adopt").out
        assert "2 days" in scripts("adopt", "--reencode").out
        assert scripts("adopt", "--reencode", "--yes").code == 0
        assert scripts("analyze", f"{WARM}", "--json").json["compression"] is not None
        assert "nothing is to be taken over" in scripts("adopt", "--reencode").out

    def test_what_is_bad_in_it_is_named_and_the_rest_is_taken(self, scripts: Terminal) -> None:
        packed(day_path(WARM)).write_bytes(b"not a frame")
        done = scripts("adopt", "--yes")
        assert done.code == 1
        assert f"ticks/{WARM}  CORRUPT" in done.out
        assert packed(day_path(WARM)).read_bytes() == b"not a frame"
        assert f"ticks/{COLD}  adopted" in done.out

    def test_a_part_of_it_may_be_named(self, scripts: Terminal) -> None:
        done = scripts("adopt", str(packed(day_path(COLD)).parent), "--yes", "--json").json
        assert done["found"]["unknown"] == [f"ticks/{COLD}"]
        assert [each["event"] for each in done["ended"]] == ["adopted"]

    def test_dry_run_is_honoured(self, scripts: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DRY_RUN", "1")
        before = scripts.tree()
        assert scripts("adopt", "--yes").code == 0
        assert scripts.tree() == before

    def test_days_past_the_retention_are_told_of(self, scripts: Terminal) -> None:
        old = TODAY - timedelta(400)
        make_day(day_path(old), old)
        compress(day_path(old))
        shown = scripts("adopt").out
        assert "1 of these days is past the retention" in shown
        assert "kept for another week" in shown

    def test_killed_it_goes_on_where_it_was(self, scripts: Terminal) -> None:
        for number in range(100, 130):
            day = TODAY - timedelta(number)
            make_day(day_path(day), day, ticks=10)
            compress(day_path(day))
        process = scripts.start("adopt", "--yes")
        assert process.stdout is not None
        assert any("adopted" in line for line in process.stdout)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        settings = load(Path("config.toml"), environment={})
        with Journal.open_for_reading(journal_file(settings.data)) as journal:  # type: ignore[union-attr]
            known = [key for key, facts in journal.all_facts().items() if facts.sealed]
        assert 0 < len(known) <= 33
        done = scripts("adopt", "--yes", "--json").json
        adopted = {each["database"] for each in done["ended"] if each["event"] == "adopted"}
        assert not adopted & set(known)
        assert done["found"]["known"] == len(known)


class TestAnotherTree:
    @pytest.fixture
    def elsewhere(self, tickward: Terminal) -> Path:
        tickward.configure('[events]\npublish = "ipc://p"\nreplay = "ipc://r"')
        folder = tickward.folder / "old"
        compress(make_day(folder / "2024" / "ticks-20240102.db", date(2024, 1, 2)))
        make_day(folder / "daily_2026_01_10.sqlite", date(2026, 1, 10))
        (folder / "ticks_2024-01-03.db.gz").write_bytes(b"x")
        (folder / "notes.txt").write_text("of 2024-01-02")
        (folder / "ticks_2024-02-30.db").write_bytes(b"no such day")
        return folder

    def test_is_left_where_it_is(self, tickward: Terminal, elsewhere: Path) -> None:
        before = files(elsewhere)
        shown = tickward("adopt", str(elsewhere))
        assert shown.code == 1, "there is one that cannot be read"
        assert "gunzip it first" in shown.out
        assert "--copy puts a copy there" in shown.out
        done = tickward("adopt", str(elsewhere), "--copy", "--yes")
        assert files(elsewhere) == before
        assert "ticks/2024-01-02  adopted" in done.out
        assert "ticks/2026-01-10  sealed" in done.out
        days = [row["day"] for row in tickward("inventory", "--json").json["days"] if row["ticks"]]
        assert days == ["2024-01-02", "2026-01-10"]

    def test_may_be_asked_for_again_whatever_has_become_of_its_days(
        self, tickward: Terminal, elsewhere: Path
    ) -> None:
        options = ("adopt", str(elsewhere), "--copy", "--yes")
        tickward(*options)
        for _ in range(3):
            tickward("once")
        assert packed(day_path(date(2024, 1, 2), "archive")).exists()
        before = files(tickward.folder)
        assert "0 steps done" in tickward(*options).out
        assert files(tickward.folder) == before

    @pytest.mark.parametrize("name", [f"ticks_{TODAY}.db", "ticks_2030-01-01.db.zst"])
    def test_a_name_that_is_the_writers_is_not_taken(
        self, tickward: Terminal, elsewhere: Path, name: str
    ) -> None:
        (elsewhere / name).write_bytes(b"x")
        assert "that name is the writer's" in tickward("adopt", str(elsewhere), "--copy").out

    @pytest.mark.parametrize("name", ["ticks_2024-01-05.db", "ticks_2024-01-05.db.zst"])
    def test_what_is_no_database_gets_no_days_name(
        self, tickward: Terminal, elsewhere: Path, name: str
    ) -> None:
        content = b"symbol,bid\n" * 99
        (elsewhere / name).write_bytes(zstandard.compress(content) if name.endswith(".zst") else content)
        done = tickward("adopt", str(elsewhere), "--copy", "--yes")
        assert "is no SQLite database" in done.out
        assert not list(Path("data").rglob("*2024-01-05*"))

    def test_tables_of_ticks_in_other_forms_are_no_days(self, tickward: Terminal, elsewhere: Path) -> None:
        (elsewhere / "ticks_2024-01-05.csv.zst").write_bytes(zstandard.compress(b"symbol,bid"))
        assert "2024-01-05" not in tickward("adopt", str(elsewhere)).out

    @pytest.mark.parametrize("top", ["archive", "backup"])
    def test_is_no_rival_of_a_day_that_is_there_in_another_form(
        self, tickward: Terminal, elsewhere: Path, top: str
    ) -> None:
        mine = compress(make_day(day_path(date(2024, 1, 2), top), date(2024, 1, 2), ticks=5))
        done = tickward("adopt", str(elsewhere), "--copy", "--yes")
        assert done.code == 1
        assert "another file of that day is here already" in done.out
        assert not day_path(date(2024, 1, 2)).parent.exists()
        assert mine.exists()

    def test_is_not_copied_over_what_is_there(self, tickward: Terminal, elsewhere: Path) -> None:
        mine = make_day(day_path(date(2024, 1, 2)), date(2024, 1, 2), ticks=5)
        content = mine.read_bytes()
        done = tickward("adopt", str(elsewhere), "--copy", "--yes")
        assert done.code == 1
        assert "another file of that day is here already" in done.out
        assert mine.read_bytes() == content
        assert not packed(mine).exists()

    def test_two_files_for_one_day_are_for_a_person_to_choose(
        self, tickward: Terminal, elsewhere: Path
    ) -> None:
        shutil.copy(elsewhere / "daily_2026_01_10.sqlite", elsewhere / "ticks_2026-01-10.db")
        shown = tickward("adopt", str(elsewhere))
        assert shown.out.count("seems to be the same day") == 2

    def test_ticks_that_are_still_beside_a_database_are_not_left_behind(
        self,
        tickward: Terminal,
        elsewhere: Path,
    ) -> None:
        (elsewhere / "daily_2026_01_10.sqlite-wal").write_bytes(b"ticks")
        assert "ticks beside it" in tickward("adopt", str(elsewhere)).out

    def test_of_which_stream_has_to_be_said_where_it_cannot_be_told(self, tickward: Terminal) -> None:
        tickward.configure(
            '[data.streams.trades]\npattern = "trades/{date}.db"\n'
            '[data.streams.quotes]\npattern = "quotes/{date}.db"'
        )
        make_day(tickward.folder / "old" / "2026-01-10.db", date(2026, 1, 10))
        assert "--stream says which" in tickward("adopt", "old").out
        assert "trades/2026-01-10" in tickward("adopt", "old", "--stream", "trades").out

    @pytest.mark.parametrize(
        ("arguments", "why"), [(("nowhere",), "no such file"), (("--stream", "x"), "no stream")]
    )
    def test_what_cannot_be_meant_is_refused(
        self,
        tickward: Terminal,
        arguments: tuple[str, ...],
        why: str,
    ) -> None:
        tickward.configure()
        refused = tickward("adopt", *arguments)
        assert refused.code == 2
        assert why in refused.err


@pytest.fixture
def whole(tickward: Terminal) -> tuple[Terminal, Settings]:
    """A tree that was looked after from the first day on: hot, warm and cold days, one on hold."""
    tickward.configure('[events]\npublish = "ipc://p"\nreplay = "ipc://r"')
    days = [COLD, COLD + timedelta(1), WARM, WARM + timedelta(1), HOT, HOT + timedelta(1)]
    for day in days:
        make_day(day_path(day), day)
    for _ in range(4):  # sealed and backed up, compressed, archived, and nothing more
        assert tickward("once").code == 0
    assert tickward("hold", f"{WARM}", "--reason", "inquiry").code == 0
    logger.remove()
    return tickward, load(Path("config.toml"), environment={})


class TestALostJournal:
    def test_is_made_anew_by_what_files_prove_and_the_rest_is_said(
        self, whole: tuple[Terminal, Settings]
    ) -> None:
        terminal, settings = whole
        now = clock_of(settings.clock).now()
        before = survey(settings, now)
        journal_file(settings.data).unlink()
        kept = files(terminal.folder)
        done = terminal("adopt", "--yes")
        assert done.code == 0, done.out
        for each in ("on hold", "deleted", "when a day was sealed", "events begin anew"):
            assert each in done.out
        assert files(terminal.folder) == kept
        after = survey(settings, now)
        assert after.doubts.journal, "that is for a person to end"
        for key, known in before.databases.items():
            old, new = known.facts, after.databases[key].facts
            if old.sealed is None:
                continue
            assert (new.sealed.sha256, new.sealed.ticks) == (old.sealed.sha256, old.sealed.ticks), key  # type: ignore[union-attr]
            assert (new.compressed is None, new.archived is None) == (
                old.compressed is None,
                old.archived is None,
            )
            if old.compressed is not None and new.compressed is not None:
                assert new.compressed.compressed_sha256 == old.compressed.compressed_sha256

    def test_is_not_made_anew_while_a_disk_is_away(self, whole: tuple[Terminal, Settings]) -> None:
        terminal, settings = whole
        journal_file(settings.data).unlink()
        archive = Path("data/ticks/archive")
        archive.rename("away")
        archive.mkdir()
        refused = terminal("adopt", "--yes")
        assert refused.code == 1
        assert "is the archive disk mounted?" in refused.out
        assert list(archive.iterdir()) == []
        archive.rmdir()
        Path("away").rename(archive)
        assert terminal("adopt", "--yes").code == 0

    def test_nothing_is_taken_away_until_a_person_accepts_the_new_one(
        self, whole: tuple[Terminal, Settings]
    ) -> None:
        terminal, settings = whole
        now = clock_of(settings.clock).now()
        before = {entry.key: entry for entry in survey(settings, now).plan.entries}
        journal_file(settings.data).unlink()
        assert terminal("adopt", "--yes").code == 0
        assert "--accept-journal" in terminal("status").out
        assert terminal("hold", f"{WARM}", "--reason", "inquiry").code == 0
        assert terminal("adopt", "--accept-journal").code == 0
        after = {entry.key: entry for entry in survey(settings, now).plan.entries}
        assert not any(isinstance(entry, Block) for entry in after.values())
        for key, entry in before.items():
            assert replace(entry, key=key, reason="") == replace(after[key], reason=""), key
        assert terminal("audit", "verify").code == 0
        assert terminal("verify", "--all").code == 0
        assert terminal("once").code == 0

    def test_no_file_is_made_anew_before_that(self, whole: tuple[Terminal, Settings]) -> None:
        terminal, settings = whole
        journal_file(settings.data).unlink()
        path = packed(day_path(WARM))
        content = (
            zstandard.ZstdDecompressor().stream_reader(path.read_bytes(), read_across_frames=True).read()
        )
        path.write_bytes(zstandard.compress(content))
        shutil.copy(path, packed(day_path(WARM, "backup")))
        before = path.read_bytes()
        assert terminal("adopt", "--reencode", "--yes").code == 1
        assert path.read_bytes() == before

    def test_there_is_nothing_to_accept_where_nothing_is_in_doubt(
        self, whole: tuple[Terminal, Settings]
    ) -> None:
        terminal, _ = whole
        refused = terminal("adopt", "--accept-journal")
        assert refused.code == 2
        assert "nothing to accept" in refused.err
