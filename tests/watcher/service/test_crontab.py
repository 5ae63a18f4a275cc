from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from pathlib import Path

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.watcher.builders import utc
from tests.watcher.service.targets import STATE, settings, target
from watcher.config import load
from watcher.control import Control
from watcher.errors import AnotherInstanceError, ConfigError, TickwardError
from watcher.lock import Lock
from watcher.service import crontab
from watcher.service.block import found_in, names_in, with_block, without_block
from watcher.service.cronlines import lines, minutes, patterns
from watcher.service.crontab import Cron
from watcher.service.hours import entries, times_of
from watcher.service.installation import How, mark
from watcher.service.others import notes_for
from watcher.service.tables import save
from watcher.service.target import Target
from watcher.settings import Archive, Compress, HealthSettings, Verify

WHOLE_TABLES = {
    "none": None,
    "empty": b"",
    "entries": b"MAILTO=me@example.com\nPATH=/bin\n# mine\n0 1 * * * echo 100\\%\n\n \t\n@daily x\n",
    "CRLF": b"# mine\r\nSHELL=/bin/bash\r\n0 1 * * * echo a\r\n",
    "what Debian lists as if it were CR": b"# \r a\r\n0 1 * * * echo 'C:\\run'\r\n0 2 * * * echo 'C:\\run'\n",
    "no UTF-8": b"# \xff\xfe caf\xe9\n0 1 * * * echo \xff\x85\x0b\n",
    "marks of another": b"# >>> tickward /other/state >>>\n0 1 * * * x\n# <<< tickward /other/state <<<\n",
}
PRIVATE = """\
#!/bin/sh
mounted='mount --bind "{spool}" /var/spool/cron/crontabs && exec /usr/bin/crontab "$@"'
exec unshare --mount sh -c "$mounted" crontab "$@"
"""
FORCE = How(force=True)
"""The machine of whoever runs the tests may have a unit of its own."""


def why_not() -> str:
    """Why Debian's `crontab` cannot be tried without touching the table of whoever runs the tests."""
    if not Path("/usr/bin/crontab").exists() or not Path("/var/spool/cron/crontabs").is_dir():
        return "no crontab here: scripts/services installs it"
    if os.getuid() != 0 or subprocess.run(["unshare", "--mount", "true"], check=False).returncode != 0:
        return "a private /var/spool/cron takes root, and leave to unshare a mount namespace"
    return ""


@pytest.fixture(scope="module")
def cannot() -> str:
    return why_not()


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cannot: str) -> Path:
    """Debian's `crontab`, with all tables below tmp_path."""
    if cannot:
        pytest.skip(cannot)
    tables, programs = tmp_path / "crontabs", tmp_path / "bin"
    tables.mkdir()
    programs.mkdir()
    (programs / "crontab").write_text(PRIVATE.format(spool=tables))
    (programs / "crontab").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return tables


@pytest.fixture
def mine(tmp_path: Path) -> Target:
    return of(tmp_path)


def of(tmp_path: Path, **changes: object) -> Target:
    """A tickward of its own, below a directory with an awkward name."""
    directory = tmp_path / "it's 100% mine"
    directory.mkdir(exist_ok=True)
    config = directory / "config.toml"
    config.write_text('[log]\nfile = ""\n[events]\npublish = "ipc://p"\nreplay = "ipc://r"\n')
    program = (str(Path(sys.executable).with_name("tickward")),)
    made = Target(program, config, directory, load(config, {}), "user", "root", tmp_path / "home")
    return replace(made, **changes)


def table(spool: Path) -> bytes | None:
    """What is really there, without the three lines that `crontab` puts before it."""
    file = spool / "root"
    if not file.exists():
        return None
    content = file.read_bytes()
    return content.split(b"\n", 3)[3] if content.startswith(b"# DO NOT EDIT") else content


def put(content: bytes) -> None:
    subprocess.run(["crontab", "-"], input=content, check=True)


def saved(target: Target) -> list[Path]:
    return sorted(Path(target.settings.data.state).glob("crontab.before-*"))


class TestTheTableOfAUser:
    def test_install_and_uninstall_leave_it_as_it_was_to_the_byte(self, spool: Path, mine: Target) -> None:
        for name, content in WHOLE_TABLES.items():
            if content is not None:
                put(content)
            assert table(spool) == content
            assert Cron().install(mine, FORCE).ok
            assert (installed := table(spool)) is not None
            assert installed.startswith(content or b"# >>> tickward"), name
            assert Cron().install(mine, FORCE).done == (), "there is nothing to do again"
            assert Cron().uninstall(mine, FORCE).ok
            assert table(spool) == content, name
            assert Cron().uninstall(mine, FORCE).done == ()

    def test_what_is_added_meanwhile_stays(self, spool: Path, mine: Target) -> None:
        Cron().install(mine, FORCE)
        before = table(spool)
        assert before is not None
        put(b"MAILTO=first\n" + before + b"0 5 * * * last\n")
        Cron().uninstall(mine, FORCE)
        assert table(spool) == b"MAILTO=first\n0 5 * * * last\n"

    def test_what_was_there_is_saved_for_its_owner_alone(self, spool: Path, mine: Target) -> None:
        put(WHOLE_TABLES["no UTF-8"])
        done = Cron().install(mine, FORCE).done
        (file,) = saved(mine)
        assert file.read_bytes() == WHOLE_TABLES["no UTF-8"]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert str(file) in done[0]
        edited = (table(spool) or b"").replace(b"10 * * * *", b"11 * * * *")
        put(edited)
        assert not Cron().state(mine).ok
        Cron().install(mine, FORCE)
        assert edited in [each.read_bytes() for each in saved(mine)], "an edited block is kept too"
        assert b"\n10 * * * *" in (table(spool) or b"")

    def test_a_last_line_without_an_end_gets_one_where_cron_wants_it(self, spool: Path, mine: Target) -> None:
        (spool / "root").write_bytes(b"0 1 * * * a")
        assert table(spool) == b"0 1 * * * a"
        Cron().install(mine, FORCE)
        report = Cron().uninstall(mine, FORCE)
        assert table(spool) == b"0 1 * * * a\n"
        assert "had no end" in report.notes[0]

    def test_a_dry_run_says_what_would_be_done_and_changes_nothing(self, spool: Path, mine: Target) -> None:
        would = How(dry_run=True, force=True)
        assert Cron().install(mine, would).done == ("would put its entries into the crontab of root",)
        assert table(spool) is None
        assert list(mine.directory.iterdir()) == [mine.config]
        Cron().install(mine, FORCE)
        before = table(spool)
        assert Cron().uninstall(mine, would).done == ("would take its entries out of the crontab of root",)
        assert table(spool) == before

    def test_marks_that_do_not_pair_up_are_refused(self, spool: Path, mine: Target) -> None:
        Cron().install(mine, FORCE)
        whole = table(spool) or b""
        broken = whole[: whole.index(b"# <<<")]
        put(broken)
        for act in (Cron().install, Cron().uninstall):
            with pytest.raises(TickwardError, match="do not pair up"):
                act(mine, FORCE)
        assert table(spool) == broken
        assert saved(mine) == []

    def test_a_table_that_cron_refuses_is_left_alone(self, spool: Path, mine: Target) -> None:
        bad = b"\r\n0 1 * * * a\n"
        (spool / "root").write_bytes(bad)
        with pytest.raises(TickwardError, match="bad minute"):
            Cron().install(mine, FORCE)
        assert table(spool) == bad

    def test_what_somebody_else_writes_meanwhile_is_not_lost(
        self, spool: Path, mine: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(b"0 1 * * * first\n")
        theirs = b"0 1 * * * first\n0 2 * * * second\n"

        def meanwhile(*given: object) -> Path:
            put(theirs)
            return save(*given)  # type: ignore[arg-type]

        monkeypatch.setattr(crontab, "save", meanwhile)
        with pytest.raises(TickwardError, match="changed by somebody else just now"):
            Cron().install(mine, FORCE)
        assert table(spool) == theirs

    def test_entries_of_scripts_are_told(self, spool: Path, mine: Target) -> None:
        put(b"MAILTO=me\n0 0 * * * /opt/rotate_daily.sh\n")
        Cron().install(mine, FORCE)
        (told,) = (note for note in notes_for(mine) if note.startswith("the crontab of root"))
        assert "`0 0 * * * /opt/rotate_daily.sh` (line 2)" in told
        assert "`crontab -e`" in told

    def test_two_of_one_user_do_not_meet(self, spool: Path, mine: Target) -> None:
        data = replace(mine.settings.data, state=f"{mine.directory}/other")
        other = replace(mine, settings=replace(mine.settings, data=data))
        Cron().install(mine, FORCE)
        only_mine = table(spool)
        assert "another tickward" in Cron().install(other, FORCE).notes[0]
        Cron().uninstall(mine, FORCE)
        Cron().install(mine, FORCE)
        Cron().uninstall(other, FORCE)
        assert table(spool) is not None
        Cron().uninstall(mine, FORCE)
        assert table(spool) in {None, b""}
        assert only_mine is not None

    def test_an_image_has_no_users_tables(self) -> None:
        with pytest.raises(ConfigError, match="--system"):
            Cron().install(target(root=Path("/image")), FORCE)

    def test_without_cron_it_is_told_so(
        self, mine: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(ConfigError, match="install cron"):
            Cron().install(mine, FORCE)


class TestTheSystemsTable:
    def test_it_comes_and_goes_whole(self, tmp_path: Path) -> None:
        given = target(scope="system", root=tmp_path)
        directory = tmp_path / "etc/cron.d"
        assert not Cron().state(given).ok
        would = Cron().install(given, How(dry_run=True)).done
        assert list(tmp_path.iterdir()) == []
        done = Cron().install(given, FORCE).done
        assert would == tuple(
            each.replace("made ", "would make ", 1).replace("put ", "would put ", 1) for each in done
        )
        assert f"made {directory}" in done
        assert f"made {tmp_path}{STATE}" in done
        assert done[-1] == f"put its entries into {directory}/tickward"
        (file,) = directory.iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o644
        assert all(" trader /bin/sh -c " in line for line in file.read_text().splitlines() if line[0] != "#")
        assert Cron().state(given).ok
        assert Cron().install(given, FORCE).done == ()
        done = Cron().uninstall(given, FORCE).done
        assert done[0] == f"took its entries out of {directory}/tickward"
        assert f"removed {directory}, which was empty" in done
        assert list(tmp_path.iterdir()) == [], "nothing in it was worth saving"
        Cron().install(given, FORCE)
        changed = replace(given, settings=settings(compress=Compress(schedule="0 3 * * MON")))
        assert not Cron().state(changed).ok
        assert Cron().install(changed, FORCE).ok
        assert "*-*.1.03:00" in file.read_text()
        (tmp_path / "etc/cron.d/theirs").touch()
        (tmp_path / STATE[1:] / "journal.db").touch()
        Cron().uninstall(changed, FORCE)
        assert [each.name for each in directory.iterdir()] == ["theirs"]
        assert [each.name for each in (tmp_path / "srv/ticks").iterdir()] == ["state"]
        assert (tmp_path / STATE[1:] / "journal.db").exists()

    def test_where_directories_cannot_be_made_nothing_is_left(self, tmp_path: Path) -> None:
        given = target(scope="system", root=tmp_path)
        (tmp_path / "srv").touch()
        with pytest.raises(TickwardError, match=f"{tmp_path}/srv/ticks cannot be made"):
            Cron().install(given, FORCE)
        assert [each.name for each in tmp_path.iterdir()] == ["srv"]

    def test_it_is_durable_before_it_has_its_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given = target(scope="system", root=tmp_path)
        file = tmp_path / "etc/cron.d/tickward"
        file.parent.mkdir(parents=True)
        synced, fsync = [], os.fsync

        def noted(descriptor: int) -> None:
            synced.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), file.exists()))
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", noted)
        Cron().install(given, FORCE)
        assert synced[-2:] == [(False, False), (True, True)]

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
    def test_a_state_directory_that_it_makes_is_its_users(self, tmp_path: Path) -> None:
        given = target(scope="system", root=tmp_path, user="nobody")
        file = tmp_path / "etc/cron.d/tickward"
        file.parent.mkdir(parents=True)
        file.write_text("0 1 * * * root mine\n")
        Cron().install(given, FORCE)
        state = tmp_path / STATE[1:]
        assert next(state.glob("crontab.before-*")).read_text() == "0 1 * * * root mine\n"
        assert state.stat().st_uid == pwd.getpwnam("nobody").pw_uid
        assert state.parent.stat().st_uid == pwd.getpwnam("nobody").pw_uid


class TestTwoMasters:
    def test_a_daemon_that_listens_is_one(self, mine: Target) -> None:
        state = Path(mine.settings.data.state)
        state.mkdir(parents=True)
        control = Control(state, lambda _: None, lambda: None)
        control.start()
        try:
            with pytest.raises(AnotherInstanceError, match="stop it first"):
                Cron().install(mine, How())
        finally:
            control.close()
            control.stop()

    def test_a_unit_that_starts_one_is_one(self, mine: Target) -> None:
        unit = mine.home / ".config/systemd/user/tickward.service"
        unit.parent.mkdir(parents=True)
        unit.touch()
        with pytest.raises(TickwardError, match="uninstall --kind systemd"):
            Cron().install(mine, How())
        image = replace(mine, root=mine.home.parent, home=Path("/home"), scope="system")
        with pytest.raises(TickwardError, match=f"{unit}.*uninstall --kind systemd"):
            Cron().install(image, How())
        unit.write_text(f"# {mark(mine)}, and more\n")
        with pytest.raises(TickwardError, match="uninstall --kind systemd"):
            Cron().install(mine, How())

    def test_one_of_other_days_is_none(self, mine: Target, spool: Path) -> None:
        unit = mine.home / ".config/systemd/user/tickward.service"
        unit.parent.mkdir(parents=True)
        unit.write_text(f"# {mark(target())}, and more\n")
        if not Path("/etc/systemd/system/tickward.service").exists():
            assert Cron().install(mine, How()).ok
            assert table(spool) is not None


class TestTheBlock:
    line = st.text(st.characters(exclude_characters="\n\0"), max_size=20)

    @given(st.lists(line).map("\n".join), st.lists(line).map("\n".join), st.booleans())
    def test_what_was_there_and_what_is_added_stay_to_the_byte(
        self, table: str, added: str, at_all: bool
    ) -> None:
        given = table if at_all else None
        block = with_block(given, STATE, "1 * * * * x\n")
        assert without_block(block, STATE) == given
        assert with_block(block, STATE, "1 * * * * x\n") == block
        assert without_block(with_block(block, STATE, "2 * * * * y\n2 * * * * z\n"), STATE) == given
        if added:
            end = "\n" if given and not given.endswith("\n") else ""
            assert without_block(block + added, STATE) == (given or "") + end + added

    def test_an_editor_that_changes_the_ends_of_lines_does_not_hide_it(self) -> None:
        block = with_block("a", STATE, "1 * * * * x\n").replace("\n", "\r\n")
        assert names_in(block) == [STATE]
        assert without_block(block, STATE) == "a\r"

    @pytest.mark.parametrize("order", ["b", "e", "eb", "bbe", "bee", "bebe"])
    def test_marks_that_do_not_pair_up_are_refused(self, order: str) -> None:
        marks = {"b": f"# >>> tickward {STATE} >>>\n", "e": f"# <<< tickward {STATE} <<<\n"}
        with pytest.raises(TickwardError, match="do not pair up"):
            found_in("".join(marks[each] for each in order), STATE)


class TestTheHours:
    def test_every_zone_of_the_world_is_whole_quarters_off_utc(self) -> None:
        names = zoneinfo.available_timezones()
        if not names:
            pytest.skip("no zones are installed here")
        moments = [datetime(2026, month, 1, tzinfo=UTC) for month in range(1, 13)]
        for name in names:
            zone = zoneinfo.ZoneInfo(name)
            for moment in moments:
                offset = moment.astimezone(zone).utcoffset()
                assert offset is not None
                assert offset % timedelta(minutes=15) == timedelta(0), name

    @given(st.lists(st.integers(0, 59), min_size=1).map(lambda given: ",".join(map(str, sorted(set(given))))))
    def test_so_cron_asks_in_every_zone(self, given: str) -> None:
        times = times_of(f"{given} * * * *")
        asked = minutes(times)
        values = set(range(60)) if asked == "*" else set(map(int, asked.split(",")))
        for offset in range(0, 60, 15):
            assert {(minute + offset) % 60 for minute in times.minutes or range(60)} <= values

    def test_an_entry_is_begun_at_the_minutes_of_its_schedule_and_no_other(self) -> None:
        schedules = [entry.schedule for entry in entries(settings())]
        assert "0 2 * * SUN" in schedules
        odd = ["15 8-18 * * MON-FRI", "45 */5 1-7 * *", "30 4 29 2,3 *", "0 0,12 1 */3 *", "0 0 * 6 7"]
        for schedule, moments in begun([*schedules, *odd]).items():
            assert moments == meant(schedule), schedule

    def test_what_a_line_has_no_room_for_is_begun_too_often_never_too_seldom(self) -> None:
        special = ["0 5 L * *", "0 0 LW * *", "0 6 * * SUN#1", "15 5 13 * FRI"]
        many = "*/15 8-18 2-30/2 1-11 MON"
        for schedule, moments in begun([*special, many]).items():
            assert moments >= meant(schedule), schedule
        assert len(patterns(times_of(many)).split("|")) <= 24


def meant(schedule: str) -> set[str]:
    start = utc("2026-01-01 00:00")
    times = takewhile(utc("2027-01-01 00:00").__gt__, CronSim(schedule, start - timedelta(minutes=1)))
    return {f"{moment:%m-%d.%u.%H:%M}" for moment in times}


def begun(schedules: list[str]) -> dict[str, set[str]]:
    """Of all quarters of a year, those that each schedule's pattern lets through, in the shell itself."""
    start = utc("2026-01-01 00:00")
    quarters = " ".join(f"{start + timedelta(minutes=15 * i):%m-%d.%u.%H:%M}" for i in range(365 * 96))
    cases = "".join(
        f'case "$now" in {patterns(times_of(schedule))}) echo {index} "$now";; esac; '
        for index, schedule in enumerate(schedules)
    )
    script = f"for now in $(cat); do {cases} done"
    done = subprocess.run(["sh", "-c", script], input=quarters, capture_output=True, text=True, check=True)
    found: dict[str, set[str]] = {schedule: set() for schedule in schedules}
    for line in done.stdout.splitlines():
        index, now = line.split()
        found[schedules[int(index)]].add(now)
    return found


class TestTheLines:
    def test_nothing_is_set_for_the_entries_of_others(self) -> None:
        for line in lines(target()).splitlines():
            assert line[0] in "#@0123456789", "an environment line would hold for all that follows"

    def test_the_classic_entries_are_there_with_their_hours(self) -> None:
        told = [line for line in lines(target()).splitlines() if line.endswith('"')]
        assert [line.rpartition(": ")[2].strip('"') for line in told] == [
            *("0 0 * * *", "0 * * * *", "0 2 * * SUN", "0 3 1 * *", "0 4 * * *", "0 5 1 * *", "0 6 1 * *"),
        ]

    def test_they_follow_the_configuration(self) -> None:
        given = settings(
            compress=Compress(schedule="17 3 * * WED"),
            archive=Archive(enabled=False),
            health=HealthSettings(schedule="never"),
            verify=Verify(drill_schedule="never"),
        )
        said = lines(target(settings=given))
        assert (
            '\n2,17,32,47 * * * * /bin/sh -c \'case "$(date -u +\\%m-\\%d.\\%u.\\%H:\\%M)" in *-*.3.03:17) '
            in said
        )
        assert "archive.schedule" not in said
        assert " status " not in said
        assert "drill" not in said

    @pytest.mark.parametrize("odd", ["a\\b", "a\nb", "a\rb", "\udcff"])
    def test_what_no_crontab_can_hold_is_refused(self, odd: str) -> None:
        with pytest.raises(ConfigError, match="another --kind"):
            lines(target(directory=Path("/srv") / odd))

    def test_a_line_that_is_too_long_for_cron_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="too long for cron"):
            lines(target(config=Path("/") / ("x" * 900)))


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Path]:
    """A `date` whose time is in a file."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "date").write_text(f'#!/bin/sh\nexec /bin/date -d "$(cat {programs}/now)" "$@"\n')
    (programs / "date").chmod(0o755)
    yield programs / "now"
    shutil.rmtree(programs)


def commands(given: Target) -> dict[str, str]:
    """What cron hands to the shell, by the word that the comment above it begins with."""
    found = lines(given).splitlines()
    return {
        above.split()[1]: line.partition("/bin/sh -c ")[2].replace("\\%", "%")
        for above, line in pairwise(found)
        if line[0] != "#"
    }


def as_cron(command: str, now: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """In the environment that Debian's cron gives."""
    environment = {
        "HOME": "/",
        "LOGNAME": "root",
        "SHELL": "/bin/sh",
        "PATH": f"{now.parent}:/usr/bin:/bin",
        **more,
    }
    command = f"/bin/sh -c {command}"
    return subprocess.run(
        ["/bin/sh", "-c", command], env=environment, cwd="/", capture_output=True, text=True, check=False
    )


class TestALineAtWork:
    def test_it_does_what_is_due_quietly_at_its_hour_whatever_the_zone(
        self, tmp_path: Path, night: Path
    ) -> None:
        mine = of(tmp_path)
        lines_of = commands(mine)
        night.write_text("2026-01-25T23:59:59Z")
        assert as_cron(lines_of["rotation"], night, TZ="NST3:30NDT,M3.2.0,M11.1.0").stdout == ""
        assert not Path(mine.settings.data.root).exists(), "it is not midnight yet"
        night.write_text("2026-01-26T00:00:59Z")
        done = as_cron(lines_of["rotation"], night, TZ="Asia/Kathmandu")
        assert (done.stdout, done.stderr) == ("", "")
        assert len(list(Path(mine.settings.data.root).rglob("ticks_*.db"))) == 2, "today's and tomorrow's"

        done = as_cron(lines_of["status,"], night)
        assert (done.stdout, done.stderr) == ("", ""), "that no daemon runs is as it should be"
        log = (Path(mine.settings.data.state) / "status.log").read_text()
        assert "Jan 26 00:00:59" in log
        assert log.endswith("(exit status 0)\n")

        lock = Lock(Path(mine.settings.data.state))
        lock.acquire()
        done = as_cron(lines_of["whatever"], night)
        lock.release()
        assert (done.stdout, done.stderr) == ("", ""), "another instance is at it"

    def test_a_status_before_anything_else_was_done_says_nothing(self, tmp_path: Path, night: Path) -> None:
        night.write_text("2026-01-26T01:00:00Z")
        done = as_cron(commands(of(tmp_path))["status,"], night)
        assert (done.stdout, done.stderr) == ("", "")

    def test_what_fails_is_printed(self, tmp_path: Path, night: Path) -> None:
        mine = of(tmp_path)
        lines_of = commands(mine)
        assert mine.config is not None
        mine.config.write_text("[data]\nrot = 1\n")
        assert "data.rot: is not a known key" in as_cron(lines_of["whatever"], night).stdout
        missing = commands(replace(mine, directory=tmp_path / "no"))
        assert "no" in as_cron(missing["whatever"], night).stderr


ALONE = """\
mount --bind {spool} /var/spool/cron/crontabs && mount --bind {empty} /etc/cron.d && mount -t tmpfs none /run
mount --bind /dev/null /etc/crontab && exec /usr/sbin/cron -f
"""


class TestDebiansCron:
    @pytest.mark.long
    @pytest.mark.parametrize(
        ("moment", "zone", "expected"),
        [
            ("2026-01-26 00:00", "Asia/Kathmandu", {"once", "status"}),
            ("2026-02-01 02:00", "America/St_Johns", {"once", "status"}),
            ("2026-03-29 01:00", "Europe/Berlin", {"status"}),
            ("2026-04-04 15:00", "Australia/Lord_Howe", {"status"}),
        ],
        ids=["rotation", "compression", "summer time", "winter time by half an hour"],
    )
    def test_it_begins_an_entry_at_its_hour(
        self, moment: str, zone: str, expected: set[str], spool: Path, tmp_path: Path
    ) -> None:
        library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
        if library is None or not Path("/usr/share/zoneinfo").is_dir():
            pytest.skip("Debian's packages faketime and tzdata are not here")
        said, program, empty = tmp_path / "said", tmp_path / "program", tmp_path / "empty"
        os.mkfifo(said)
        empty.mkdir()
        program.write_text(f'#!/bin/sh\necho "$(date -u "+%F %H:%M")" "$1" 1<>{said}\n')
        program.chmod(0o755)
        began = utc(moment) - timedelta(seconds=8) - datetime.now(UTC)
        faked = {"LD_PRELOAD": str(library), "FAKETIME": f"{began.total_seconds():+.0f}", "TZ": zone}
        variables = "".join(f"{name}={value}\n" for name, value in faked.items())
        data = replace(settings().data, state=str(tmp_path))
        given = target(program=(str(program),), config=None, directory=tmp_path)
        given = replace(given, settings=replace(given.settings, data=data))
        put(with_block(f'MAILTO=""\n{variables}', str(tmp_path), lines(given)).encode())

        reading = os.open(said, os.O_RDWR)
        script = ALONE.format(spool=spool, empty=empty)
        cron = subprocess.Popen(["unshare", "--mount", "sh", "-c", script], env={**os.environ, **faked})
        try:
            with os.fdopen(reading) as heard:
                begun: set[str] = set()
                while begun < expected:
                    at, _, what = heard.readline().strip().rpartition(" ")
                    if at == moment:
                        begun.add(what)
                    else:
                        assert what == "once", "the machine has just come up"
            assert begun == expected
        finally:
            cron.kill()
            cron.wait()
