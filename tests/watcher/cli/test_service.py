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

    def test_what_is_to_be_typed_on_windows_is_quoted_for_cmd(self, tickward: Terminal) -> None:
        (tickward.folder / "config.toml").write_text('[data]\nstate = "/srv/R&D ticks"\n')
        shown = tickward("service", "show", "--kind", "windows", *PROGRAM).out
        assert [line for line in shown.splitlines() if line.startswith("# then: ")] == [
            '# then: schtasks /Create /TN "Tickward daemon" /XML "/srv/R&D ticks/tasks/daemon.xml" /F',
            '# then: schtasks /Run /TN "Tickward daemon"',
        ]
        place = ("--kind", "windows", "--as", "engine", "--root", str(tickward.folder / "image"))
        ended = tickward("service", "install", *place, *PROGRAM)
        assert 'on that machine: schtasks /Run /TN "Tickward daemon"' in ended.out, ended.err
        ended = tickward(
            "service", "install", "--kind", "windows", "--user", "--dry-run", "--program", "/bin/sh"
        )
        assert 'would run schtasks /Run /TN "Tickward daemon"' in ended.out, ended.err

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
        assert f"wrote {image.root}/{UNIT}" in ended.out
        assert "note: to be run on that machine: systemctl reenable tickward.service" in ended.out
        assert image.files() == {UNIT, "srv/state/service.systemd.system.json"}
        there = f"{image.root}/{UNIT} is there, as it would be made now\n"
        assert image("status").out.startswith(there)
        assert image("install").out.startswith("nothing to do\n")
        ended = image("uninstall")
        assert (ended.code, f"removed {image.root}/{UNIT}" in ended.out) == (0, True)
        assert list(image.root.iterdir()) == []
        assert image("uninstall").out == "nothing to do\n"

    def test_as_json(self, image: Image) -> None:
        done = image("install", "--json").json
        assert (done["kind"], done["user"], done["ok"], done["dry_run"]) == ("systemd", "engine", True, False)
        assert f"wrote {image.root}/{UNIT}" in done["done"]
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
        assert f"wrote {image.root}/{UNIT}" in image("install").out
        assert image("status").code == 0

    def test_dry_runs_change_nothing(self, image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
        assert f"would write {image.root}/{UNIT}" in image("install", "--dry-run").out
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

    @pytest.mark.parametrize("kind", ["systemd", "cron", "launchd"])
    def test_a_user_who_is_not_here_is_refused(self, tickward: Terminal, kind: str) -> None:
        for user in ("nosuchuser", "two words", ""):
            ended = tickward(
                "service", "install", "--kind", kind, "--system", "--as", user, *PROGRAM, "--dry-run"
            )
            assert (ended.code, ended.out) == (2, "")
            assert f"--as {user}" in ended.err or f"--as {user!r}" in ended.err


class TestAnImage:
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_user_who_is_not_there_is_told(self, image: Image, kind: str) -> None:
        told = image("install", "--kind", kind).out
        assert "note: there is no user engine on this machine: make it on that machine, and give it" in told
        assert "`chown engine /srv/db /srv/backup /srv/archive /srv/state`" in told
        passwd = image.root / "etc/passwd"
        passwd.parent.mkdir(exist_ok=True)
        passwd.write_text("root:x:0:0::/root:/bin/sh\n")
        assert f"there is no user engine in {passwd}" in image("install", "--kind", kind).out
        passwd.write_text("# users\nengine:x:0:0::/srv:/bin/sh\n+nis\n")
        assert "no user" not in image("install", "--kind", kind).out
        ended = image("install", "--kind", "systemd", "--as", "two words")
        assert (ended.code, "that is no name of a user" in ended.err) == (2, True)

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_file_is_named_where_it_is(self, image: Image, kind: str) -> None:
        done = image("install", "--kind", kind, "--json").json["done"]
        assert done
        for line in done:
            assert Path(line[line.index("/") :]).exists(), line
            assert line[line.index("/") :].startswith(f"{image.root}/")
        status = image("status", "--kind", kind)
        assert (status.code, str(image.root) in status.out) == (0, True)
        image("uninstall", "--kind", kind)
        assert list(image.root.iterdir()) == []

    def test_what_is_within_it_is_named_as_that_machine_names_it(
        self, tickward: Terminal, image: Image
    ) -> None:
        config = image.root / "etc/tickward/config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(
            '[data]\nroot = "/srv/db"\nbackup = "b"\narchive = "/srv/archive"\nstate = "/srv/state"\n'
            '[events]\npublish = "ipc://s/p"\nreplay = "ipc:///run/x/r"\n[log]\nfile = ""\n'
        )
        program = image.root / "opt/tickward"
        place = ("--kind", "systemd", "--system", "--as", "root", "--root", str(image.root))
        ended = tickward("-c", str(config), "service", "install", *place, "--program", str(program))
        assert ended.code == 0, ended.err
        assert (
            f"the program has to be /opt/tickward on that machine, and is not in {image.root} yet"
            in ended.out
        )
        assert "configuration" not in ended.out
        unit = (image.root / UNIT).read_text()
        assert str(image.root) not in unit
        assert "ExecStart=/opt/tickward -c /etc/tickward/config.toml run\n" in unit
        assert "WorkingDirectory=/etc/tickward\n" in unit
        assert "ReadWritePaths=-/etc/tickward/b\n" in unit
        assert "ReadWritePaths=-/etc/tickward/s\n" in unit
        assert (image.root / "etc/tickward/b").is_dir()

    def test_its_old_scripts_are_told(self, image: Image) -> None:
        (image.root / "etc/cron.d").mkdir(parents=True)
        old = image.root / "etc/cron.d/old"
        old.write_text("# nightly\n0 3 * * * root find /srv -mtime +7 | xargs zstd --rm\n")
        for kind in ("systemd", "cron"):
            told = f"{old} has `0 3 * * * root find /srv -mtime +7 | xargs zstd --rm` (line 2): two masters"
            ended = image("install", "--kind", kind, "--dry-run")
            assert (ended.code, f"note: {told}" in ended.out) == (0, True)
            image("install", "--kind", kind)
            status = image("status", "--kind", kind)
            assert (status.code, told in status.out) == (0, True)
            image("uninstall", "--kind", kind)


class TestWithoutTheSameProgramAgain:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("program", ["/opt/tickward/bin/tickward", "/opt/it's 100% a program/$x"])
    def test_what_is_installed_is_found(
        self, tickward: Terminal, image: Image, kind: str, program: str
    ) -> None:
        place = ("--kind", kind, "--system", "--root", str(image.root))
        if kind == "systemd":
            program = program.replace("'", "")
        ended = tickward("service", "install", *place, "--as", "engine", "--program", program)
        assert ended.code == 0, ended.err
        status = tickward("service", "status", *place)
        assert status.code == 0, status.out
        assert tickward("service", "status", *place, "--json").json["user"] == "engine"
        another = tickward("service", "status", *place, "--program", "/opt/another")
        assert (another.code, "would be" in another.out) == (1, True), "what is asked for counts"
        assert tickward("service", "uninstall", *place).code == 0
        assert list(image.root.iterdir()) == []

    def test_nor_one_that_is_a_command_here(
        self, tickward: Terminal, image: Image, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        image("install")
        monkeypatch.setattr("sys.executable", "/nowhere/python")
        monkeypatch.setenv("PATH", "/nowhere")
        place = ("--kind", "systemd", "--system", "--root", str(image.root))
        assert tickward("service", "install", *place).code == 2
        assert tickward("service", "status", *place).code == 0
        assert tickward("service", "uninstall", *place).code == 0
        assert image.files() == set()

    def test_another_ones_is_not_taken_for_it(self, tickward: Terminal, image: Image) -> None:
        image("install")
        config = tickward.folder / "config.toml"
        config.write_text(config.read_text().replace("/srv/state", "/srv/other"))
        place = ("--kind", "systemd", "--system", "--root", str(image.root))
        assert "but not for this data.state" in tickward("service", "status", *place).out
        assert tickward("service", "uninstall", *place).code == 1
        assert UNIT in image.files()
