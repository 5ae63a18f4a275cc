"""`tickward service`."""

from __future__ import annotations

import json
import plistlib
from pathlib import Path

import pytest

from tests.watcher.cli.conftest import Ended, Terminal

PROGRAM = ("--program", "/opt/tickward/bin/tickward")
KINDS = ("systemd", "cron", "launchd", "windows")
UNIT = "etc/systemd/system/tickward.service"


class Image:
    """A file system that a service is put into, for a machine that is elsewhere."""

    def __init__(self, tickward: Terminal) -> None:
        self._tickward = tickward
        self.root = tickward.folder / "image"
        self.root.mkdir()

    def __call__(self, command: str, *more: str) -> Ended:
        place = ("--kind", "systemd", "--system", "--as", "engine", "--root", str(self.root))
        return self._tickward("service", command, *place, *PROGRAM, *more)

    def files(self) -> set[str]:
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}


@pytest.fixture
def image(tickward: Terminal) -> Image:
    (tickward.folder / "config.toml").write_text(
        '[data]\nroot = "/srv/db"\nbackup = "/srv/backup"\narchive = "/srv/archive"\nstate = "/srv/state"\n'
        '[log]\nfile = ""\n'
    )
    return Image(tickward)


class TestShow:
    @pytest.mark.parametrize("kind", KINDS)
    def test_prints_every_kind_anywhere_and_changes_nothing(self, tickward: Terminal, kind: str) -> None:
        ended = tickward("service", "show", "--kind", kind, "--system", "--as", "engine", *PROGRAM)
        assert (ended.code, ended.err) == (0, "")
        assert "made by `tickward service install`" in ended.out
        assert "/opt/tickward/bin/tickward" in ended.out
        assert "engine" in ended.out
        assert tickward.tree() == set()

    def test_as_json(self, tickward: Terminal) -> None:
        shown = tickward("service", "show", "--kind", "launchd", "--user", *PROGRAM, "--json").json
        assert (shown["kind"], shown["scope"]) == ("launchd", "user")
        lines = shown["text"].splitlines()
        document = "\n".join(line for line in lines[1:] if not line.startswith("#"))
        assert plistlib.loads(document.encode())["ProgramArguments"] == ["/opt/tickward/bin/tickward", "run"]

    def test_says_what_of_the_environment_is_left_behind(
        self, tickward: Terminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TICKWARD_COMPRESS__LEVEL", "3")
        ended = tickward("service", "show", "--kind", "systemd", *PROGRAM)
        assert "tickward: the service does not see TICKWARD_COMPRESS__LEVEL" in ended.err

    def test_an_unknown_kind_is_refused(self, tickward: Terminal) -> None:
        ended = tickward("service", "show", "--kind", "sysvinit")
        assert ended.code == 2
        assert "--kind: give one of systemd, cron, launchd, windows" in ended.err

    def test_the_daemon_needs_no_schedule(self, tickward: Terminal) -> None:
        ended = tickward("service", "show", "--kind", "systemd", "--scheduled", *PROGRAM)
        assert (ended.code, "leave it out" in ended.err) == (2, True)
        shown = tickward("service", "show", "--kind", "windows", "--system", "--scheduled", *PROGRAM)
        assert shown.out.count("<CalendarTrigger>") > 4

    def test_the_configuration_is_checked_first(self, tickward: Terminal) -> None:
        (tickward.folder / "config.toml").write_text("[compress]\nlevel = 99\n")
        ended = tickward("service", "show", "--kind", "systemd")
        assert ended.code == 2
        assert "compress.level" in ended.err


class TestInstall:
    def test_and_status_and_uninstall(self, image: Image) -> None:
        assert image("status").code == 1
        ended = image("install")
        assert ended.code == 0, ended.err
        assert f"wrote /{UNIT}" in ended.out
        assert "note: to be run on that machine: systemctl enable tickward.service" in ended.out
        assert image.files() == {UNIT, "srv/state/service.systemd.system.json"}
        assert image("status").out == f"/{UNIT} is there, as it would be made now\n"
        assert image("install").out.startswith("nothing to do\n")
        ended = image("uninstall")
        assert (ended.code, f"removed /{UNIT}" in ended.out) == (0, True)
        assert list(image.root.iterdir()) == []
        assert image("uninstall").out == "nothing to do\n"

    def test_as_json(self, image: Image) -> None:
        done = image("install", "--json").json
        assert (done["kind"], done["user"], done["ok"], done["dry_run"]) == ("systemd", "engine", True, False)
        assert f"wrote /{UNIT}" in done["done"]
        assert image("status", "--json").json["done"] == []
        (image.root / UNIT).write_text("mine\n")
        ended = image("status", "--json")
        assert (ended.code, json.loads(ended.out)["ok"]) == (1, False)

    def test_a_configuration_that_has_changed_since_is_noticed(
        self, image: Image, tickward: Terminal
    ) -> None:
        image("install")
        with (tickward.folder / "config.toml").open("a") as file:
            file.write("[workers]\ncount = 8\n")
        ended = image("status")
        assert ended.code == 1
        assert "is not what would be made now: install again" in ended.out
        assert f"wrote /{UNIT}" in image("install").out
        assert image("status").code == 0

    def test_dry_runs_change_nothing(self, image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
        assert f"would write /{UNIT}" in image("install", "--dry-run").out
        monkeypatch.setenv("DRY_RUN", "1")
        ended = image("install", "--json")
        assert ended.json["dry_run"]
        assert image.files() == set()

    def test_a_program_that_will_be_gone_is_refused(self, tickward: Terminal) -> None:
        program = Path("/tmp/somewhere/tickward")
        ended = tickward("service", "install", "--kind", "systemd", "--program", str(program), "--dry-run")
        assert ended.code == 2
        assert f"{program} may soon be gone" in ended.err

    def test_a_program_that_does_not_start_is_refused(self, tickward: Terminal) -> None:
        ended = tickward(
            "service", "install", "--kind", "systemd", "--user", "--program", "/no/such/tickward"
        )
        assert ended.code == 2
        assert "cannot run /no/such/tickward" in ended.err
        assert tickward.tree() == set()
