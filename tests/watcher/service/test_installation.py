"""What every service of files and commands does: with real files, and commands that leave a trace."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.watcher.service.targets import settings, target
from watcher.errors import ConfigError, TickwardError
from watcher.lock import Lock
from watcher.service.filed import Filed
from watcher.service.installation import MARK, Command, File, How, Installation, mark
from watcher.service.ondisk import ASIDE
from watcher.service.target import Target

DRY = How(dry_run=True)
FORCE = How(force=True)


class Place:
    """A service of one file, ``etc/service``, that runs as long as ``running`` exists."""

    def __init__(self, folder: Path, data: str = "data") -> None:
        self.folder = folder
        self.file = folder / "etc/deep/service"
        self.running = folder / "running"
        self.data = folder / data
        self.state = self.data / "state"
        given = settings()
        given = replace(given, data=replace(given.data, state=str(self.state)))
        self.target = target(settings=given, user="root")
        self.text = "run it\n"
        self.enable: tuple[Command, ...] = (Command(("touch", str(self.running))),)
        self.disable: tuple[Command, ...] = (Command(("rm", str(self.running))),)
        self.kind = Filed("toy", self.describe)

    def describe(self, asked: Target) -> Installation:
        content = f"# {mark(asked)}\n{self.text}".encode()
        return Installation(
            "toy",
            asked.scope,
            (File(self.file, content),),
            enable=self.enable,
            disable=self.disable,
            after_removal=(Command(("touch", str(self.folder / "reloaded")), needed=False),),
            active=("test", "-e", str(self.running)),
            directories=(self.data / "db", self.state, self.data / "keys"),
            private=(self.data / "keys",),
        )

    def tree(self) -> dict[str, str]:
        paths = (path for path in self.folder.rglob("*") if path.name != "reloaded")
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            if path.is_file()
            else ""
            for path in paths
        }

    def edit(self) -> bytes:
        self.file.write_bytes(self.file.read_bytes() + b"by hand\n")
        return self.file.read_bytes()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


class TestInstall:
    def test_writes_starts_and_says_so(self, place: Place) -> None:
        report = place.kind.install(place.target, How())
        assert report.ok
        assert place.file.read_text() == f"# {mark(place.target)}\nrun it\n"
        assert place.running.exists()
        assert place.file.stat().st_mode & 0o777 == 0o644
        assert (place.folder / "data/keys").stat().st_mode & 0o777 == 0o700
        assert f"wrote {place.file}" in report.done
        assert f"ran touch {place.running}" in report.done

    def test_again_there_is_nothing_to_do(self, place: Place) -> None:
        place.kind.install(place.target, How())
        before, inode = place.tree(), place.file.stat().st_ino
        assert place.kind.install(place.target, How()).done == ()
        assert (place.tree(), place.file.stat().st_ino) == (before, inode)

    def test_what_was_stopped_is_started(self, place: Place) -> None:
        place.kind.install(place.target, How())
        place.running.unlink()
        assert place.kind.install(place.target, How()).done == (f"ran touch {place.running}",)

    def test_another_configuration_replaces_what_it_wrote_before(self, place: Place) -> None:
        place.kind.install(place.target, How())
        place.text = "run it otherwise\n"
        assert f"wrote {place.file}" in place.kind.install(place.target, How()).done
        assert "otherwise" in place.file.read_text()
        assert not place.file.with_name(f"service{ASIDE}").exists()

    def test_what_was_edited_by_hand_is_kept_aside(self, place: Place) -> None:
        place.kind.install(place.target, How())
        edited = place.edit()
        report = place.kind.install(place.target, How())
        assert place.file.with_name(f"service{ASIDE}").read_bytes() == edited
        assert "by hand" not in place.file.read_text()
        assert any("was edited by hand" in line for line in report.done)

    def test_every_edit_is_kept_and_none_twice(self, place: Place) -> None:
        place.kind.install(place.target, How())
        edits = []
        for text in ("first\n", "second\n", "first\n"):
            place.file.write_text(f"# {mark(place.target)}\n{text}")
            edits.append(place.file.read_bytes())
            intended = place.kind.install(place.target, DRY).done[0].removeprefix("would keep ")
            assert f"kept {intended}" in place.kind.install(place.target, How()).done
        asides = {each for each in place.file.parent.iterdir() if each != place.file}
        assert {each.name for each in asides} == {f"service{ASIDE}", f"service{ASIDE}-2"}
        assert {each.read_bytes() for each in asides} == set(edits)

    @pytest.mark.parametrize("how", [How(), FORCE])
    def test_a_file_of_somebody_elses_is_never_replaced(self, place: Place, how: How) -> None:
        place.file.parent.mkdir(parents=True)
        place.file.write_text("mine\n")
        before = place.tree()
        with pytest.raises(TickwardError, match="was not made by tickward: move it away"):
            place.kind.install(place.target, how)
        assert place.tree() == before

    def test_nor_is_a_link_to_nowhere(self, place: Place) -> None:
        place.file.parent.mkdir(parents=True)
        place.file.symlink_to("/dev/null")
        with pytest.raises(TickwardError, match="was not made by tickward"):
            place.kind.install(place.target, How())
        assert place.file.is_symlink()

    def test_what_fails_is_undone(self, place: Place) -> None:
        place.enable = (*place.enable, Command(("sh", "-c", "echo no such luck >&2; false")))
        with pytest.raises(TickwardError, match=r"failed \(no such luck\); what was done is undone"):
            place.kind.install(place.target, How())
        assert place.tree() == {}

    def test_a_command_that_is_not_there_is_named(self, place: Place) -> None:
        place.enable = (Command(("no-such-manager", "start")),)
        with pytest.raises(TickwardError, match="there is no no-such-manager here"):
            place.kind.install(place.target, How())
        assert place.tree() == {}

    def test_after_a_new_one_failed_the_old_one_runs_again(self, place: Place) -> None:
        place.kind.install(place.target, How())
        before = place.tree()
        place.text = "run it otherwise\n"
        runs_the_old = f"rm -f {place.running}; ! grep -q otherwise {place.file} && touch {place.running}"
        place.enable = (Command(("sh", "-c", runs_the_old)),)
        with pytest.raises(TickwardError, match="is undone"):
            place.kind.install(place.target, How())
        assert place.tree() == before

    def test_what_was_enabled_stays_so_when_a_start_fails(self, place: Place) -> None:
        place.kind.install(place.target, How())
        enabled = place.folder / "enabled"
        enabled.touch()
        place.running.unlink()
        place.enable, place.disable = (Command(("false",)),), (Command(("rm", str(enabled))),)
        with pytest.raises(TickwardError, match="is undone"):
            place.kind.install(place.target, How())
        assert enabled.exists()

    def test_what_runs_under_its_name_but_is_not_from_here_is_left_alone(self, place: Place) -> None:
        place.running.touch()
        with pytest.raises(TickwardError, match="toy has one of this name that is not from here: stop it"):
            place.kind.install(place.target, How())
        assert set(place.tree()) == {"running"}

    def test_a_command_that_may_fail_does_no_harm(self, place: Place) -> None:
        place.enable = (Command(("false",), needed=False), *place.enable)
        assert place.kind.install(place.target, How()).ok
        assert place.running.exists()

    def test_beside_another_daemon_nothing_is_begun(self, place: Place) -> None:
        place.state.mkdir(parents=True)
        lock = Lock(place.state)
        lock.acquire()
        try:
            with pytest.raises(TickwardError, match=f"another tickward .pid {os.getpid()}. looks after"):
                place.kind.install(place.target, How())
        finally:
            lock.release()
        assert not place.file.exists()

    def test_a_dry_run_says_the_same_and_changes_nothing(self, place: Place) -> None:
        intended = place.kind.install(place.target, DRY).done
        assert place.tree() == {}
        done = place.kind.install(place.target, How()).done
        verbs = {"made": "make", "wrote": "write", "ran": "run"}
        words = [line.split(" ", 1) for line in done]
        assert intended == tuple(f"would {verbs[verb]} {rest}" for verb, rest in words)

    def test_for_an_image_nothing_is_run(self, place: Place) -> None:
        image = place.folder / "image"
        image.mkdir()
        asked = replace(place.target, root=image)
        report = place.kind.install(asked, How())
        assert (image / place.file.relative_to("/")).exists()
        assert not place.running.exists()
        assert report.notes == (f"to be run on that machine: touch {place.running}",)
        assert place.kind.uninstall(asked, How()).ok
        assert list(image.iterdir()) == []

    def test_for_somebody_who_is_not_here_nothing_is_begun(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        with pytest.raises(ConfigError, match="--as nosuchuser: there is no such user"):
            place.kind.install(replace(place.target, user="nosuchuser"), How())
        assert place.tree() == {}

    def test_the_system_is_roots(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        asked = replace(place.target, scope="system")
        with pytest.raises(
            ConfigError, match=r"only root can install it .*`sudo /opt/tickward/bin/tickward -c"
        ):
            place.kind.install(asked, How())
        assert place.kind.install(asked, DRY).done
        assert place.tree() == {}


class TestUninstall:
    def test_leaves_nothing_that_install_made(self, place: Place) -> None:
        place.kind.install(place.target, How())
        report = place.kind.uninstall(place.target, How())
        assert report.ok
        assert place.tree() == {}
        assert (place.folder / "reloaded").exists()

    def test_leaves_all_that_was_there_before(self, place: Place) -> None:
        (place.folder / "data/db").mkdir(parents=True)
        place.file.parent.mkdir(parents=True)
        before = place.tree()
        place.kind.install(place.target, How())
        place.kind.uninstall(place.target, How())
        assert place.tree() == before

    def test_keeps_the_data(self, place: Place) -> None:
        place.kind.install(place.target, How())
        (place.folder / "data/db/day.db").write_text("ticks")
        place.kind.uninstall(place.target, How())
        assert set(place.tree()) == {"data", "data/db", "data/db/day.db"}

    def test_without_one_there_is_nothing_to_do(self, place: Place) -> None:
        report = place.kind.uninstall(place.target, How())
        assert (report.done, report.ok) == ((), True)
        assert place.tree() == {}

    def test_keeps_what_was_edited_by_hand_unless_forced(self, place: Place) -> None:
        place.kind.install(place.target, How())
        edited = place.edit()
        report = place.kind.uninstall(place.target, How())
        assert (report.ok, report.notes) == (
            False,
            (f"{place.file} was edited by hand and is kept: give --force",),
        )
        assert place.file.read_bytes() == edited
        assert place.running.exists(), "nothing was removed, so nothing is stopped"
        place.kind.uninstall(place.target, FORCE)
        assert place.tree() == {}

    def test_leaves_a_file_of_somebody_elses(self, place: Place) -> None:
        place.kind.install(place.target, How())
        place.file.write_text("mine\n")
        report = place.kind.uninstall(place.target, FORCE)
        assert place.file.read_text() == "mine\n"
        assert "it is left alone" in report.notes[0]
        assert place.running.exists(), "it may be what runs now"

    def test_removes_no_directory_that_it_would_not_make(self, place: Place) -> None:
        place.kind.install(place.target, How())
        foreign = place.folder / "not-ours/empty"
        foreign.mkdir(parents=True)
        (file,) = place.state.glob("service.*.json")
        named = json.loads(file.read_bytes())
        named["directories"] += [str(foreign.parent), str(foreign), "relative"]
        file.write_text(json.dumps(named))
        place.kind.uninstall(place.target, How())
        assert set(place.tree()) == {"not-ours", "not-ours/empty"}

    def test_says_what_could_not_be_stopped_and_goes_on(self, place: Place) -> None:
        place.kind.install(place.target, How())
        place.running.unlink()
        report = place.kind.uninstall(place.target, How())
        assert not report.ok
        assert report.notes[0].startswith(f"`rm {place.running}` failed")
        assert place.tree() == {}

    def test_a_dry_run_changes_nothing(self, place: Place) -> None:
        place.kind.install(place.target, How())
        before = place.tree()
        report = place.kind.uninstall(place.target, DRY)
        assert report.done == (f"would run rm {place.running}", f"would remove {place.file}")
        assert place.tree() == before


class TestTwoOfOneName:
    @pytest.fixture
    def other(self, place: Place) -> Place:
        """Another tickward of this machine, with days of its own."""
        return Place(place.folder, "other--data é")

    @pytest.mark.parametrize("how", [How(), DRY, FORCE])
    def test_the_second_touches_nothing_of_the_first(self, place: Place, other: Place, how: How) -> None:
        place.kind.install(place.target, How())
        before = place.tree()
        with pytest.raises(TickwardError, match=r"not for this data\.state: uninstall it with the config"):
            other.kind.install(other.target, how)
        report = other.kind.uninstall(other.target, how)
        assert (report.done, report.ok) == ((), False)
        assert report.notes == (
            f"{place.file} was made by tickward, but not for this data.state: it is left alone",
        )
        stands = other.kind.state(other.target)
        assert (stands.ok, stands.notes) == (False, (*report.notes, SILENT)), "what runs is the first"
        assert place.tree() == before

    def test_nor_does_it_with_a_receipt_that_was_left_over(self, place: Place, other: Place) -> None:
        other.kind.install(other.target, How())
        other.file.unlink()
        other.running.unlink()
        place.kind.install(place.target, How())
        other.kind.uninstall(other.target, FORCE)
        assert place.file.exists()
        assert place.running.exists()
        assert not other.data.exists()

    def test_a_file_of_before_is_of_whoever_has_its_receipt(self, place: Place, other: Place) -> None:
        place.kind.install(place.target, How())
        place.file.write_text(f"# {MARK}\nas it was made once\n")
        with pytest.raises(TickwardError, match=r"not for this data\.state"):
            other.kind.install(other.target, How())
        assert place.kind.install(place.target, How()).ok
        assert mark(place.target) in place.file.read_text()


class TestState:
    def test_tells_how_it_stands(self, place: Place) -> None:
        def told() -> str:
            report = place.kind.state(place.target)
            assert not report.ok  # no daemon answers here
            return "; ".join(report.notes)

        assert told() == f"{place.file} is not there: not installed; toy does not run it; " + SILENT
        place.kind.install(place.target, How())
        assert told() == f"{place.file} is there, as it would be made now; toy runs it; " + SILENT
        place.text = "run it otherwise\n"
        assert "is not what would be made now: install again" in told()
        place.edit()
        assert "was edited by hand" in told()
        place.file.write_text("mine\n")
        assert "was not made by tickward" in told()

    def test_of_an_image_nobody_is_asked(self, place: Place) -> None:
        image = place.folder / "image"
        image.mkdir()
        asked = replace(place.target, root=image)
        place.kind.install(asked, How())
        assert place.kind.state(asked).ok


SILENT = "the daemon does not answer"
