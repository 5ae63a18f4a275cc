"""Taking over a tree of scripts, another tree, a lost journal: first only shown, and no file is changed."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest
import zstandard
from loguru import logger
from msgspec.structs import replace

from tests.watcher.builders import expired_day
from tests.watcher.cli.conftest import Terminal
from tests.watcher.query.tree import make_day, pack
from watcher.adopt.finding import unseen
from watcher.adopt.tree import Stray
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


def told(terminal: Terminal, *arguments: str) -> Any:
    """What it prints for programs, whatever its exit status."""
    return json.loads(terminal(*arguments, "--json").out)


def spoil(path: Path) -> None:
    """A page that SQLite complains of, on two lines."""
    content = path.read_bytes()
    path.write_bytes(content[:8192] + b"\xff" * 2000 + content[10192:])


class TestWhatIsSaid:
    def test_of_each_day_are_its_ticks_and_its_size(self, scripts: Terminal) -> None:
        lines = scripts("adopt", "--yes").out.splitlines()
        for day, what in ((COLD, "adopted"), (HOT, "sealed"), (HOT, "backed up")):
            (line,) = (each for each in lines if each.startswith(f"ticks/{day}  {what} in "))
            assert line.endswith(" s  60 ticks, 32.8 kB")

    @pytest.mark.parametrize("what", ["damaged", "no database", "empty", "held"])
    def test_of_a_database_that_is_refused_is_said_and_counted_once(
        self, scripts: Terminal, what: str
    ) -> None:
        path = day_path(HOT)
        match what:
            case "damaged":
                spoil(path)
            case "no database":
                path.write_bytes(b"symbol,bid\n" * 1000)
            case "empty":
                path.write_bytes(b"")
        writer = apsw.Connection(str(path)) if what == "held" else None
        if writer is not None:
            writer.execute("BEGIN IMMEDIATE")
        done = scripts("adopt", "--yes")
        if writer is not None:
            writer.close()
        lines = [line for line in done.out.splitlines() if line.startswith(f"ticks/{HOT}  ")]
        assert len(lines) == 2, "the plan, and why not"
        assert done.code == 1
        assert "2 steps done, 1 not" in done.out
        assert "btreeInitPage" not in done.out or "*** in database main *** Tree" in done.out

    def test_of_a_backup_in_the_way_too(self, scripts: Terminal) -> None:
        make_day(day_path(HOT, "backup"), HOT, ticks=90)
        done = scripts("adopt", "--yes", "--json")
        ended = [each for each in json.loads(done.out)["ended"] if not each["ok"]]
        assert [(each["step"], each["event"]) for each in ended] == [("backup", "conflict")]
        assert json.loads(done.out)["failed"] == 1

    def test_ticks_of_another_date_are_told_and_taken(self, scripts: Terminal) -> None:
        wrong = HOT - timedelta(1)
        make_day(day_path(wrong), HOT)
        other = WARM - timedelta(1)
        compress(make_day(day_path(other), WARM))
        done = scripts("adopt", "--yes", "--json")
        assert done.json["remarks"] == {
            f"ticks/{wrong}": f"its ticks are of {HOT}",
            f"ticks/{other}": f"its ticks are of {WARM}",
        }
        assert done.json["failed"] == 0
        shutil.rmtree("data/ticks/state")
        assert f"kB; its ticks are of {WARM}\n" in scripts("adopt", "--yes").out

    def test_what_is_bad_names_its_file_once_and_says_why(self, scripts: Terminal) -> None:
        path = packed(day_path(WARM))
        path.write_bytes(path.read_bytes()[:-100])
        other = packed(day_path(COLD))
        database = make_day(Path("spoilt.db"), COLD)
        spoil(database)
        other.write_bytes(zstandard.compress(database.read_bytes()))
        lines = scripts("adopt", "--yes").out.splitlines()
        for day, bad, why in ((WARM, path, "it is truncated"), (COLD, other, "is damaged: ")):
            (line,) = (line for line in lines if line.startswith(f"ticks/{day}  CORRUPT"))
            assert why in line
            assert line.count(bad.name) == 1
            assert "tickward-tmp" not in line
        assert "\\n" not in scripts("status").out


class TestADryRun:
    def test_says_in_which_forms_days_are_there_and_where(self, scripts: Terminal) -> None:
        pack(make_day(day_path(COLD - timedelta(1), "archive"), COLD))
        compress(make_day(day_path(WARM, "backup"), WARM))
        make_day(day_path(HOT, "backup"), HOT)
        out = scripts("adopt").out
        assert "in root: 1 .db, 2 .zst of others, read as a whole" in out
        assert "in backup: 1 .db, 1 .zst of others" in out
        assert "in archive: 1 .zst of which parts can be read alone; " in out
        places = scripts("adopt", "--json").json["found"]["places"]
        assert {name: (each["plain"], each["seekable"], each["whole"]) for name, each in places.items()} == {
            "root": (1, 0, 2),
            "backup": (1, 0, 1),
            "archive": (0, 1, 0),
        }
        assert places["backup"]["bytes"] > 30_000

    def test_says_which_days_are_missing(self, scripts: Terminal) -> None:
        first, last = WARM + timedelta(1), HOT - timedelta(1)
        found = scripts("adopt", "--json").json["found"]["gaps"]
        assert found[-1] == {"stream": "ticks", "first": f"{first}", "last": f"{last}", "days": 11}
        out = scripts("adopt").out
        assert (
            "ticks: 86 days are missing between its first and its last, 25 at weekends: 2025-10-23 to " in out
        )
        assert f", {first} to {last}\n" in out

    def test_of_weekends_it_says_only_that(self, tickward: Terminal) -> None:
        tickward.configure()
        for day in (date(2026, 1, 16), date(2026, 1, 19)):  # a Friday, a Monday
            make_day(day_path(day), day)
        out = tickward("adopt").out
        assert "ticks: 2 days are missing between its first and its last, all at weekends\n" in out

    def test_holds_against_the_files_what_scripts_had_noted(self, scripts: Terminal) -> None:
        note = Path("data/ticks/db/rotation_metadata.json")
        days = [HOT - timedelta(number) for number in range(8)]
        note.write_text(json.dumps({"rotations": [{"file": f"ticks_{day}.db"} for day in days]}))
        out = scripts("adopt").out
        assert f"is of scripts: it names 8 days, {days[-1]} to {HOT}; of 7 there is no file here: " in out
        assert f"{days[-1]}, {days[-2]}, " in out
        assert ", and 2 more" in out
        assert len(scripts("adopt", "--json").json["found"]["noted"]["absent"]) == 7
        scripts("adopt", "--yes")
        assert scripts("adopt", "--json").json["found"]["noted"] is None, "it is ours by now"

    @pytest.mark.parametrize("command", [("adopt",), ("adopt", "--yes")])
    def test_says_what_sealing_and_backing_up_do_to_files(
        self, scripts: Terminal, command: tuple[str, ...]
    ) -> None:
        path = day_path(HOT)
        connection = apsw.Connection(str(path))
        for _ in connection.execute("PRAGMA journal_mode = WAL; UPDATE ticks SET bid = 1"):
            pass
        logged = {end: Path(f"{path}{end}").read_bytes() for end in ("", "-wal")}
        connection.close()
        for end, content in logged.items():  # as a writer that was killed leaves it
            Path(f"{path}{end}").write_bytes(content)
        make_day(day_path(HOT, "backup"), HOT, ticks=5)
        out = scripts(*command).out
        assert "  1 .db is checked; a write-ahead log is folded into its file, which is written to" in out
        assert "1 has one with ticks\n" in out
        assert "  1 has a backup of others: one that is the same to the last byte stays, any other is" in out
        assert ("what was there is kept as " in out) == ("--yes" in command)

    def test_leaves_out_what_there_is_not(self, scripts: Terminal) -> None:
        out = scripts("adopt").out
        assert "none has one with ticks" in out
        assert "backup of others" not in out
        assert "in backup" not in out


class TestWhatCannotBeTaken:
    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("ticks_2026-01-10.db.zst.bak", "if it is one, call it ticks_2026-01-10.db.zst"),
            ("ticks_2026-01-18.db.bak", "ticks_2026-01-18.db is beside it, and is the one that is taken"),
            ("ticks_2026-01-18.db.zst.old", "ticks_2026-01-18.db is beside it"),
            ("ticks_2026-01-10.db.tar.zst", "extract it first (`tar -xf`)"),
            ("ticks_2026-01-10.tar.gz", "extract it first (`tar -xf`)"),
        ],
    )
    def test_files_of_other_names_and_kinds_are_listed(self, scripts: Terminal, name: str, why: str) -> None:
        path = day_path(HOT).with_name(name)
        path.write_bytes(b"x")
        shown = scripts("adopt")
        assert shown.code == 1
        (line,) = (line for line in shown.out.splitlines() if name in line)
        assert line.startswith(str(path.resolve()))
        assert why in line
        scripts("adopt", "--copy", "--yes")
        assert path.read_bytes() == b"x"
        assert not [each for each in Path("data").rglob("*2026-01-10*") if each.name != name]

    @pytest.mark.parametrize("top", ["db", "backup", "archive"])
    @pytest.mark.parametrize("ending", ["", ".zst"])
    def test_links_and_directories_that_bear_the_name_of_a_day_are_listed(
        self, scripts: Terminal, top: str, ending: str
    ) -> None:
        link, broken, alias, directory = (
            Path(f"{day_path(TODAY - timedelta(number), top)}{ending}") for number in (4, 5, 6, 7)
        )
        link.parent.mkdir(parents=True, exist_ok=True)
        outside = make_day(scripts.folder / "outside.db", TODAY - timedelta(4))
        link.symlink_to(outside)
        broken.symlink_to("nowhere")
        alias.symlink_to(day_path(HOT).resolve())
        directory.mkdir()
        shown = scripts("adopt")
        assert shown.code == 1
        for path, why in (
            (link, f"a symbolic link to {outside}, and links are not followed: put the file itself"),
            (broken, "where nothing is: remove it"),
            (alias, "which is a day by its own name: the link is not needed"),
            (directory, "a directory has the name of a day"),
        ):
            lines = [line for line in shown.out.splitlines() if line.startswith(f"{path.absolute()}: ")]
            assert len(lines) == 1
            assert why in lines[0]

    def test_days_behind_a_link_or_in_a_dated_directory_are_not_passed_over(self, scripts: Terminal) -> None:
        outside = scripts.folder / "far"
        make_day(outside / "01" / "ticks_2025-01-02.db", date(2025, 1, 2))
        (outside / "empty").mkdir()
        root = Path("data/ticks/db")
        (root / "2025old").symlink_to(outside)
        (root / "other").symlink_to(outside / "empty")
        dated = make_day(root / "2026-01-03" / "eurusd.db", date(2026, 1, 3)).parent
        out = scripts("adopt").out
        assert f"(`tickward adopt {outside} --copy --yes`)" in out
        assert f"{dated.resolve()}: a day is told by the date in its file's own name, and eurusd.db" in out
        assert "call it eurusd_2026-01-03.db" in out
        assert str(root / "other") not in out

    def test_what_names_are_made_for_is_not_spoken_of(self, tickward: Terminal) -> None:
        tickward.configure('[data.streams.ticks]\npattern = "{date}/ticks_{date}.db"')
        make_day(Path("data/ticks/db/2026-01-03/ticks_2026-01-03.db"), date(2026, 1, 3))
        Path("data/ticks/db/2026-01-03/ticks_2026-01-03.db.sha256").write_text("x")
        Path(f"data/ticks/db/{TODAY}").mkdir()
        Path(f"data/ticks/db/{TODAY}/ticks_{TODAY}.db").symlink_to("ticks.db")
        assert tickward("adopt").code == 0

    def test_what_has_to_be_unpacked_is_said_to_belong_to_the_root(self, scripts: Terminal) -> None:
        today, taken, free = (day_path(day, "archive") for day in (TODAY, WARM, date(2026, 1, 10)))
        free.parent.mkdir(parents=True)
        for path, ending in ((today, ".tar"), (taken, ".tar.zst"), (free, ".tar.zst"), (free, ".zst.gpg")):
            Path(f"{path}{ending}").write_bytes(b"x")
        found = {each["path"]: each["problem"] for each in told(scripts, "adopt")["found"]["strays"]}
        target = day_path(date(2026, 1, 10)).resolve()
        assert found[f"{free.resolve()}.tar.zst"].endswith(f"and put the database of that day at {target}")
        assert found[f"{free.resolve()}.zst.gpg"].endswith(f"that day at {target}.zst")
        for path in (f"{today.resolve()}.tar", f"{taken.resolve()}.tar.zst"):
            assert found[path].endswith("extract it first (`tar -xf`)"), (
                "its day has a file, or is the writer's"
            )

    def test_what_it_is_unpacked_to_is_found_wherever_that_is_done(self, scripts: Terminal) -> None:
        for day, top in ((date(2026, 1, 9), "archive"), (date(2026, 1, 10), "backup")):
            packed = Path(f"{make_day(day_path(day, top), day)}.tar.zst")
            packed.write_bytes(b"x")
        done = told(scripts, "adopt", "--copy", "--yes")
        assert [each["database"] for each in done["copied"]] == ["ticks/2026-01-09"]
        assert {"ticks/2026-01-09", "ticks/2026-01-10"} <= {each["database"] for each in done["ended"]}

    @pytest.mark.parametrize("top", ["db", "archive"])
    def test_a_link_to_a_directory_beside_it_shows_nothing_twice(self, scripts: Terminal, top: str) -> None:
        home = day_path(date(2025, 1, 2), top).parent
        make_day(home / "copy_2025-01-02.db", date(2025, 1, 2))
        make_day(home / "ticks_2025-01-03.db", date(2025, 1, 3))
        compress(home / "ticks_2025-01-03.db")
        (home.parent.parent / "2022").symlink_to("2025")
        found = told(scripts, "adopt")["found"]
        assert [(each["path"], each["problem"]) for each in found["strays"]] == [
            (str(home.resolve() / "copy_2025-01-02.db"), "")
        ]
        assert "ticks/2025-01-03" in found["unknown"]

    def test_what_a_link_puts_in_its_place_is_in_its_place(self, scripts: Terminal) -> None:
        old = Path("data/ticks/db/old")
        make_day(old / "01" / "ticks_2025-01-02.db", date(2025, 1, 2))
        (old.parent / "2025").rename(old.parent / "kept")
        (old.parent / "2025").symlink_to("old")
        found = told(scripts, "adopt")["found"]
        assert "ticks/2025-01-02" in found["to_seal"]
        assert "2025-01-02" not in str(found["strays"])


class TestAnUncompressedDayInTheArchive:
    """Nobody looks for one there: but it may be all that there is of a day."""

    DAY = date(2026, 1, 9)

    @pytest.fixture
    def lonely(self, scripts: Terminal) -> Path:
        return make_day(day_path(self.DAY, "archive"), self.DAY).resolve()

    @pytest.mark.parametrize("is_named", [False, True])
    def test_is_named_and_copied_to_the_root(self, scripts: Terminal, lonely: Path, is_named: bool) -> None:
        named, target = [str(lonely)] if is_named else [], day_path(self.DAY).resolve()
        shown = scripts("adopt", *named)
        assert shown.code == 0
        assert f"ticks/{self.DAY}  {lonely}  belongs to {target}: --copy puts a copy there" in shown.out
        before = lonely.read_bytes()
        done = scripts("adopt", *named, "--copy", "--yes")
        assert done.code == 0, done.out
        assert lonely.read_bytes() == before
        (row,) = scripts(
            "query",
            "--from",
            f"{self.DAY}",
            "--to",
            f"{self.DAY}",
            "SELECT count(*) AS n FROM ticks",
            "--json",
        ).json
        assert row["n"] == 60
        again = scripts("adopt")
        assert again.code == 1, "the first file is still there, and nobody looks at it"
        assert f"{lonely}: its day is known" in again.out
        assert scripts("restore", f"{self.DAY}", "--to", str(scripts.folder / "day.db")).code == 0

    @pytest.mark.parametrize("suffix", ["db", "db.zst", "archive.zst"])
    def test_is_named_beside_another_first_copy_and_not_copied(
        self, scripts: Terminal, lonely: Path, suffix: str
    ) -> None:
        top, _, packed_as = suffix.partition(".")
        first = make_day(day_path(self.DAY, top), self.DAY) if top == "db" else lonely
        if packed_as:
            content = first.read_bytes()
            first = compress(first)
            lonely.write_bytes(content)
        before = files(scripts.folder)
        for options in ((), ("--copy", "--yes")):
            shown = scripts("adopt", *options)
            assert shown.code == 1
            assert f"{lonely}: {first.resolve()} is the one that is taken for the day" in shown.out
        after = files(scripts.folder)
        assert {name: after[name] for name in before} == before

    def test_is_the_first_copy_beside_a_backup(self, scripts: Terminal, lonely: Path) -> None:
        backup = day_path(self.DAY, "backup")
        backup.parent.mkdir(parents=True)
        shutil.copy(lonely, backup)
        assert f"ticks/{self.DAY}  {lonely}  belongs to" in scripts("adopt").out
        done = told(scripts, "adopt", "--copy", "--yes")
        assert done["failed"] == 0
        assert [each["event"] for each in done["ended"] if each["database"] == f"ticks/{self.DAY}"] == [
            "sealed",
            "backed_up",
        ]

    def test_is_left_to_be_compared_where_the_backup_is_taken(self, scripts: Terminal, lonely: Path) -> None:
        compress(make_day(day_path(self.DAY, "backup"), self.DAY))
        done = scripts("adopt", "--yes")
        assert "1 file of a day taken over from a backup can be moved away, once compared with it" in done.out
        assert "elsewhere, and left there" not in done.out
        assert f"{lonely}: its day is known" in scripts("adopt").out

    def test_of_which_stream_it_is_its_path_says(self, tickward: Terminal) -> None:
        tickward.configure(
            '[data.streams.trades]\npattern = "a/{date}.db"\n[data.streams.quotes]\npattern = "b/{date}.db"'
        )
        Path("data/ticks/db").mkdir(parents=True)
        lonely = make_day(Path(f"data/ticks/archive/b/{self.DAY}.db"), self.DAY).resolve()
        target = Path(f"data/ticks/db/b/{self.DAY}.db").resolve()
        assert f"quotes/{self.DAY}  {lonely}  belongs to {target}" in tickward("adopt").out

    def test_a_link_with_such_a_name_is_none(self, scripts: Terminal) -> None:
        assert scripts("adopt", "--yes").code == 0
        link = day_path(HOT, "archive")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(day_path(HOT).resolve())
        assert "nobody looks at this file" not in scripts("adopt").out

    def test_is_spoken_of_also_when_its_day_was_deleted(self) -> None:
        lonely = "/a/t_2026-01-20.db"
        stray = unseen(Stray(lonely, "ticks/2026-01-20", "/r/t_2026-01-20.db", 1, ""), expired_day())
        assert not stray.target
        assert "deleted by the policy" in stray.problem
        assert "move it away" in stray.problem


class TestTheEnd:
    """What needs a person is said once more when all days have gone by, for there may be hundreds."""

    def test_names_by_kind_what_was_not_done(self, scripts: Terminal) -> None:
        for number in (3, 4):
            spoil(make_day(day_path(TODAY - timedelta(number)), HOT))
        for number in (20, 21):
            day = TODAY - timedelta(number)
            make_day(day_path(day, "backup"), day, ticks=90)
            compress(make_day(day_path(day), day))
        packed(day_path(WARM)).write_bytes(b"not a frame")
        Path("data/ticks/db/ticks_2025-01-01.db.gz").write_bytes(b"x")
        end = scripts("adopt", "--yes").out.partition("steps done, ")[2].splitlines()
        assert end[0] == "6 not"
        headings = [line for line in end if line[:1].isdigit()][1:]
        assert [line.partition(":")[0] for line in headings] == [
            "2 days in conflict",
            "2 days corrupt",
            "1 day corrupt",
            "1 file not taken",
        ]
        assert headings[0].endswith(
            "find out which of the two is the day, move the other one away, and adopt it again"
        )
        for day in (20, 21, 3, 4, 14):
            key = f"ticks/{TODAY - timedelta(day)}"
            assert sum(line.startswith(f"  {key}  ") for line in end) == 1
        again = scripts("adopt", "--yes").out
        assert "2 days refused" in again, "damaged ones are not sealed again"

    def test_counts_what_was_not_copied(self, scripts: Terminal) -> None:
        Path("far").mkdir()
        Path("far/ticks_2024-01-05.db").write_bytes(b"symbol,bid\n" * 99)
        end = scripts("adopt", "far", "--copy", "--yes").out.partition("steps done, ")[2].splitlines()
        assert end[:2] == ["1 not", "1 file not copied:"]
        assert end[2].startswith("  ticks/2024-01-05  ")

    def test_shows_no_more_than_twenty_of_a_kind(self, tickward: Terminal) -> None:
        tickward.configure()
        for number in range(30, 53):
            path = day_path(TODAY - timedelta(number))
            path.parent.mkdir(parents=True, exist_ok=True)
            packed(path).write_bytes(b"not a frame")
        end = tickward("adopt", "--yes").out.partition("steps done, ")[2].splitlines()
        assert end[0] == "23 not"
        assert end[1].startswith("23 days corrupt: look for another copy")
        assert sum(line.startswith("  ticks/") for line in end) == 20
        assert "... and 3 more days: --json lists them" in end

    def test_names_days_with_ticks_of_other_dates(self, scripts: Terminal) -> None:
        wrong = HOT - timedelta(1)
        make_day(day_path(wrong), HOT)
        end = scripts("adopt", "--yes").out.partition("steps done, ")[2].splitlines()
        assert end[0] == "0 not"
        assert end[1].startswith("1 day has been taken over as named, with ticks that are not of its date")
        assert end[2] == f"  ticks/{wrong}  its ticks are of {HOT}"

    def test_of_copies_that_say_the_same_is_one_line(self, scripts: Terminal) -> None:
        days = [COLD, WARM, WARM + timedelta(1)]
        for day in days:
            path = make_day(Path(f"of_{day}.sqlite"), day)
            day_path(day, "backup").parent.mkdir(parents=True, exist_ok=True)
            connection = apsw.Connection(str(path))
            connection.execute("VACUUM INTO ?", (str(day_path(day, "backup")),))
            connection.close()
            if day == days[-1]:
                path.rename(day_path(day))
                compress(day_path(day))
                compress(day_path(day, "backup"))
        before = files(scripts.folder)
        out = scripts("adopt", "--yes").out
        (line,) = (line for line in out.splitlines() if "every query finds the same" in line)
        assert line.startswith("3 copies have other bytes than the day's")
        assert f"the first is {day_path(COLD, 'backup').resolve()} (--json lists them); " in line
        assert "uncompressed ones go when a compressed second copy is made, or with the day; " in line
        assert line.endswith("`tickward verify DAY` makes compressed ones the same")
        after = files(scripts.folder)
        assert {name: after[name] for name in before} == before
        shutil.rmtree("data/ticks/state")
        listed = told(scripts, "adopt", "--yes")["uneven"]
        assert [each["database"] for each in listed] == [f"ticks/{day}" for day in days]
        assert listed[-1]["mend"] == f"`tickward verify ticks/{days[-1]}` makes it the same"


class TestTheStatusAfterwards:
    def test_is_not_failing_because_old_days_are_due(self, scripts: Terminal) -> None:
        assert scripts("rotate").code == 0
        old = TODAY - timedelta(40)
        make_day(day_path(old), old)
        assert scripts("adopt", "--yes").code == 0
        found = json.loads(scripts("status", "--json").out)["verdict"]
        assert found["level"] == "ATTENTION"
        assert [each["kind"] for each in found["reasons"]] == ["daemon", "overdue"]


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
        assert f"ticks/2024-01-02  {elsewhere}/2024/ticks-20240102.db.zst was copied\n" in done.out
        assert "  1 .db is checked" in done.out
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
        lines = [line for line in done.out.splitlines() if "is no SQLite database" in line]
        assert [line.count(name) for line in lines] == [1, 1], "when it happens, and at the end"
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

    @pytest.mark.parametrize("why", ["-wal", ".gz"])
    def test_one_that_cannot_be_taken_yet_may_be_the_better_one(
        self, tickward: Terminal, elsewhere: Path, why: str
    ) -> None:
        """Else the worse would be taken, and the better never be heard of again."""
        day = date(2024, 3, 5)
        better = make_day(elsewhere / "db" / f"ticks_{day}.db", day, ticks=600)
        make_day(elsewhere / "backup" / f"ticks_{day}.db", day, ticks=30)
        hidden = better.rename(f"{better}.gz") if why == ".gz" else Path(f"{better}-wal")
        if why == "-wal":
            hidden.write_bytes(b"ticks, perhaps")
        shown = tickward("adopt", str(elsewhere), "--copy", "--yes")
        assert shown.code == 1
        assert "seems to be the same day: name the one that is meant" in shown.out
        assert not day_path(day).exists()
        # And when somebody has chosen the wrong one, he is told of the other.
        tickward("adopt", str(elsewhere / "backup"), "--copy", "--yes")
        if why == "-wal":
            hidden.unlink()
        again = tickward("adopt", str(elsewhere), "--copy", "--yes")
        assert again.code == 1
        assert "its day is known here, with 30 ticks" in again.out
        assert better.name in again.out

    def test_ticks_that_are_still_beside_a_database_are_not_left_behind(
        self,
        tickward: Terminal,
        elsewhere: Path,
    ) -> None:
        (elsewhere / "daily_2026_01_10.sqlite-wal").write_bytes(b"ticks")
        (line,) = (
            each for each in tickward("adopt", str(elsewhere)).out.splitlines() if "ticks beside" in each
        )
        assert line.count("daily_2026_01_10") == 1

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
