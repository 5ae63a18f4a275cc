"""The unit for systemd: what it says, what systemd says to it, and a daemon that is run by it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.watcher.service.machine import Machine, booted, why_not
from tests.watcher.service.targets import settings, target
from watcher.errors import ConfigError
from watcher.service import systemd
from watcher.service.target import Target
from watcher.settings import Events, Hook, Workers

MOST_EXPOSURE = 2.5
TICKWARD = Path(sys.executable).with_name("tickward")
analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="there is no systemd here: scripts/services installs it"
)


def system(**changes: Any) -> Target:
    return target(**{"scope": "system", "user": "engine", **changes})


def unit(asked: Target) -> str:
    (file,) = systemd.describe(asked).files
    return file.content.decode()


def values(asked: Target, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit(asked), flags=re.MULTILINE)


class TestTheUnit:
    def test_runs_the_daemon_as_its_user(self) -> None:
        assert values(system(), "ExecStart") == [
            "/opt/tickward/bin/tickward -c /etc/tickward/config.toml run"
        ]
        assert values(system(), "User") == ["engine"]
        assert values(system(), "WorkingDirectory") == ["/srv/ticks"]
        assert values(system(config=None), "ExecStart") == ["/opt/tickward/bin/tickward run"]

    def test_may_write_where_the_settings_say_and_nowhere_else(self) -> None:
        events = Events(publish="ipc:///srv/sockets/p", replay="ipc:///srv/sockets/r")
        given = settings(events=events)
        asked = system(settings=replace(given, log=replace(given.log, file="/var/log/tickward/t.jsonl")))
        data = [f"/srv/ticks/{name}" for name in ("db", "backup", "archive", "state")]
        expected = [*data, "/var/log/tickward", "/srv/sockets"]
        assert values(asked, "ReadWritePaths") == [f"-{path}" for path in expected]
        assert values(asked, "ProtectSystem") == ["strict"]

    def test_a_link_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / "disk").mkdir()
        (tmp_path / "link").symlink_to("disk")
        given = settings()
        asked = system(settings=replace(given, data=replace(given.data, backup=str(tmp_path / "link/b"))))
        assert f"-{tmp_path}/disk/b" in values(asked, "ReadWritePaths")

    def test_sockets_below_run_get_their_directory_at_each_start(self) -> None:
        events = Events(publish="ipc:///run/tickward/p", replay="ipc:///run/tickward/r")
        asked = system(settings=settings(events=events))
        assert values(asked, "RuntimeDirectory") == ["tickward"]
        assert values(asked, "RuntimeDirectoryMode") == ["0700"]
        assert not any("/run" in path for path in values(asked, "ReadWritePaths"))

    def test_the_old_name_of_run_is_run(self) -> None:
        events = Events(publish="ipc:///var/run/tickward/p", replay="ipc:///var/run/user/7/r")
        asked = system(settings=settings(events=events))
        assert values(asked, "RuntimeDirectory") == ["tickward"]
        assert "-/run/user/7" in values(asked, "ReadWritePaths")
        assert not any("/var/run" in path for path in values(asked, "ReadWritePaths"))

    def test_it_says_whose_it_is(self) -> None:
        assert unit(system()).startswith("# made by `tickward service install` for /srv/ticks/state, which")

    def test_it_is_started_by_whatever_mount_its_data_may_be_on(self) -> None:
        given = settings()
        asked = system(settings=replace(given, data=replace(given.data, root="/a b/db", state="/a b/.state")))
        assert values(asked, "RequiresMountsFor") == ['"/a b/db" "/a b/.state"']
        mounts = r"a\x20b.mount a\x20b-.state.mount a\x20b-db.mount"
        assert values(asked, "WantedBy") == ["multi-user.target", mounts]
        assert values(asked, "AssertPathIsDirectory") == ["/a b/.state"]

    def test_of_a_link_both_mounts_count(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("/elsewhere/disk")
        given = settings()
        asked = system(settings=replace(given, data=replace(given.data, root=str(tmp_path / "link/db"))))
        assert values(asked, "RequiresMountsFor") == [
            f"{tmp_path}/link/db {given.data.state} /elsewhere/disk/db"
        ]
        named = values(asked, "WantedBy")[1].split()
        assert {"elsewhere-disk.mount", "srv.mount", systemd.mount_unit(tmp_path / "link")} <= set(named)
        image = replace(asked, root=tmp_path / "image")
        assert "elsewhere" not in unit(image), "what a link means here it need not mean there"

    def test_a_name_that_is_too_long_for_a_unit_is_none(self) -> None:
        given, long = settings(), f"/{'x' * 200}/{'y' * 200}"
        asked = system(settings=replace(given, data=replace(given.data, root=long)))
        assert f"{'x' * 200}.mount" in values(asked, "WantedBy")[1].split()
        assert "y" * 200 not in values(asked, "WantedBy")[1]

    def test_homes_are_closed_unless_something_is_there(self) -> None:
        assert values(system(), "ProtectHome") == ["yes"]
        assert values(system(config=Path("/home/engine/config.toml")), "ProtectHome") == ["read-only"]
        assert values(system(reads=(Path("/root/python"),)), "ProtectHome") == ["read-only"]

    def test_tmp_is_private_unless_something_is_there(self) -> None:
        assert values(system(reads=(Path("/opt/python"),)), "PrivateTmp") == ["yes"]
        asked = system(directory=Path("/tmp/ticks"))
        assert values(asked, "PrivateTmp") == ["no"]
        assert "PrivateTmp is off, because /tmp/ticks" in systemd.describe(asked).notes[0]

    def test_commands_of_hooks_may_read_homes_and_are_mentioned(self) -> None:
        asked = system(settings=settings(hooks={"sealed": Hook("rsync -a here far:")}))
        assert values(asked, "ProtectHome") == ["read-only"]
        assert any("[hooks]" in note for note in systemd.describe(asked).notes)

    def test_the_network_is_closed_unless_somebody_is_to_be_reached(self) -> None:
        assert values(system(), "IPAddressDeny") == ["any"]
        webhook = settings(hooks={"failed": "https://alerts.example/tickward"})
        assert values(system(settings=webhook), "IPAddressDeny") == []
        curve = settings(events=Events(publish="tcp://*:5556", replay="tcp://*:5557", curve=True, keys="/k"))
        assert values(system(settings=curve), "IPAddressDeny") == []

    def test_an_interface_needs_netlink(self) -> None:
        events = Events(publish="tcp://eth0:5556", replay="tcp://[::1]:5557", curve=True, keys="/k")
        families = values(system(settings=settings(events=events)), "RestrictAddressFamilies")
        assert families == ["AF_UNIX AF_INET AF_INET6 AF_NETLINK"]
        assert "NETLINK" not in unit(system())

    def test_only_root_keeps_capabilities(self) -> None:
        assert values(system(), "CapabilityBoundingSet") == [""]
        (kept,) = values(system(user="root"), "CapabilityBoundingSet")
        assert {"CAP_LEASE", "CAP_SYS_PTRACE", "CAP_CHOWN"} <= set(kept.split())

    def test_it_is_given_the_time_that_its_jobs_are_given(self) -> None:
        asked = system(settings=settings(workers=Workers(stop_seconds=300)))
        (stop,), (watchdog,) = values(asked, "TimeoutStopSec"), values(asked, "WatchdogSec")
        assert int(stop) > 300
        assert int(watchdog) > 300

    def test_memory_is_for_every_worker_and_thread(self) -> None:
        def memory(**workers: Any) -> int:
            asked = system(settings=settings(workers=Workers(**workers)))
            return int(values(asked, "MemoryMax")[0].removesuffix("M"))

        assert 2000 < memory(count=2) < memory(count=8) < 8000

    def test_a_users_own_has_only_what_needs_no_rights(self) -> None:
        text = unit(target())
        assert "NoNewPrivileges=yes" in text
        assert "WantedBy=default.target" in text
        assert not re.search("^(User|ProtectSystem|PrivateTmp|CapabilityBoundingSet)=", text, re.MULTILINE)
        assert ".mount" not in text
        assert "Assert" not in text

    def test_a_program_that_systemd_would_not_run_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="no program with quotes in its path"):
            systemd.describe(system(program=("/opt/it's/tickward",)))

    def test_a_name_that_no_unit_can_hold_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="cannot be named in a unit"):
            systemd.describe(system(config=Path("/etc/a\nExecStart=/bin/sh")))


PLACES = ("/", "/srv", "/a-b/c_d:e.f", "/a b/.c", "/.a/b", "/o d%n$HOME'\"\\é", "/a/\x07")


@pytest.mark.skipif(shutil.which("systemd-escape") is None, reason="there is no systemd here")
@pytest.mark.parametrize("place", PLACES)
def test_mounts_are_called_as_systemd_calls_them(place: str) -> None:
    said = subprocess.run(
        ("systemd-escape", "--path", "--suffix=mount", place), capture_output=True, text=True, check=True
    )
    assert systemd.mount_unit(Path(place)) == said.stdout.strip()


@analyze
class TestWhatSystemdSays:
    """Of a program that is there: it looks."""

    @pytest.fixture
    def odd(self, tmp_path: Path) -> Target:
        program = tmp_path / "o d$d%n" / "tickward"
        program.parent.mkdir()
        program.symlink_to("/bin/true")
        return system(program=(str(program),), config=Path('/etc/a %d/$b "c"/config.toml'), user="daemon")

    @pytest.mark.parametrize("scope", ["system", "user"])
    def test_verify_finds_nothing(self, tmp_path: Path, odd: Target, scope: Any) -> None:
        ended = said(
            "verify", *(("--user",) if scope == "user" else ()), write(tmp_path, replace(odd, scope=scope))
        )
        assert (ended.stdout, ended.stderr) == ("", "")
        assert ended.returncode == 0

    def test_its_exposure_is_small(self, tmp_path: Path) -> None:
        where = write(tmp_path, system(user="daemon"))
        ended = said(
            "security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSURE * 10:.0f}", where
        )
        assert ended.returncode == 0, ended.stdout
        assert float(re.findall(r"exposure level for \S+: ([\d.]+)", ended.stdout)[0]) < MOST_EXPOSURE


def write(folder: Path, asked: Target) -> str:
    file = folder / systemd.UNIT
    file.write_text(unit(asked))
    return str(file)


def said(*arguments: str) -> subprocess.CompletedProcess[str]:
    # The manager of a user would have a directory elsewhere.
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(Path(arguments[-1]).parent)}
    return subprocess.run(
        ("systemd-analyze", *arguments), capture_output=True, text=True, check=False, env=environment
    )


CONFIG = """
[data]
root = "ticks/db"
backup = "ticks/backup"
archive = "ticks/archive"
state = "ticks/state"
[log]
file = "logs/tickward.jsonl"
[events]
publish = "ipc:///run/tickward/p"
replay = "ipc:///run/tickward/r"
"""


SOON = """
[Service]
RestartSec=0
ExecStartPost=+/bin/sh -c 'echo up > /srv/up'
"""
UNIT_FILE = "/etc/systemd/system/tickward.service"
UP = """
[Service]
ExecStartPost=+/bin/sh -c 'echo up > /srv/disk-up'
"""
DISK = "/srv/o d%/disk"
DISK_FILE = "/etc/systemd/system/srv-o\\x20d\\x25-disk.mount"
MOUNT = """
[Unit]
DefaultDependencies=no
[Mount]
What=/srv/shelf/disk
Where=/srv/o d%%/disk
Type=none
Options=bind
"""
FOLDER = "/srv/o d%n$HOME'\"é"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    if reason := why_not():
        pytest.skip(reason)
    with booted(tmp_path_factory.mktemp("systemd")) as made:
        write_there = 'mkdir -p "$1" && printf %s "$2" > "$1/config.toml"'
        assert made("/bin/sh", "-c", write_there, "sh", FOLDER, CONFIG).returncode == 0
        yield made


class TestAMachine:
    """One systemd for all of them, in whatever order, and in whatever process: each leaves it as it was."""

    def test_a_service_from_its_installation_to_its_end(self, machine: Machine) -> None:
        self.is_installed_in_its_bounds(machine)
        self.works(machine)
        self.reads_its_configuration_again(machine)
        self.is_started_again_when_it_was_killed(machine)
        self.is_undone_and_the_days_are_kept(machine)

    def service(self, machine: Machine, *arguments: str) -> subprocess.CompletedProcess[str]:
        common = ("-c", f"{FOLDER}/config.toml", "service", *arguments)
        return machine(str(TICKWARD), *common, "--kind", "systemd", "--as", "root")

    def is_installed_in_its_bounds(self, machine: Machine) -> None:
        ended = self.service(machine, "install")
        assert (ended.returncode, ended.stderr) == (0, "")
        pid = machine("systemctl", "show", "tickward", "-p", "MainPID", "--value").stdout.strip()
        status = machine("cat", f"/proc/{pid}/status").stdout
        assert re.search(r"^NoNewPrivs:\t1$.*^Seccomp:\t2$", status, re.MULTILINE | re.DOTALL)
        assert machine("stat", "-c", "%a %U", "/run/tickward").stdout == "700 root\n"
        assert self.service(machine, "status").returncode == 0
        assert self.service(machine, "install").stdout == "nothing to do\n"

    def works(self, machine: Machine) -> None:
        wait = (str(TICKWARD), "-c", f"{FOLDER}/config.toml", "rotate")
        ended = machine(*wait)
        assert ended.returncode == 0, ended.stderr
        assert machine("find", f"{FOLDER}/ticks/db", "-name", "ticks_*.db").stdout.count(".db") == 2

    def reads_its_configuration_again(self, machine: Machine) -> None:
        assert machine("systemctl", "reload", "tickward").returncode == 0
        log = machine("cat", f"{FOLDER}/logs/tickward.jsonl").stdout
        assert "the new configuration is in force" in log

    def is_started_again_when_it_was_killed(self, machine: Machine) -> None:
        prepare = 'mkfifo /srv/up; mkdir "$1" && printf %s "$2" > "$1/soon.conf" && systemctl daemon-reload'
        assert machine("/bin/sh", "-c", prepare, "sh", f"{UNIT_FILE}.d", SOON).returncode == 0
        assert machine("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "tickward").returncode == 0
        assert machine("cat", "/srv/up").stdout == "up\n"
        assert machine("rm", "-r", f"{UNIT_FILE}.d").returncode == 0

    def is_undone_and_the_days_are_kept(self, machine: Machine) -> None:
        ended = self.service(machine, "uninstall")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert machine("find", "/etc/systemd/system", "-mindepth", "1", "-not", "-type", "d").stdout == ""
        assert machine("systemctl", "is-active", "tickward").stdout == "inactive\n"
        assert machine("find", f"{FOLDER}/ticks/db", "-name", "ticks_*.db").stdout.count(".db") == 2
        assert machine("find", "/etc/systemd/system", "/run/tickward", "-name", "tickward*").stdout == ""

    def test_a_disk_that_was_away_needs_nobody_when_it_is_back(self, machine: Machine) -> None:
        def shell(line: str, *given: str) -> str:
            ended = machine("/bin/sh", "-ec", line, "sh", *given)
            assert ended.returncode == 0, (line, ended.stderr)
            return ended.stdout

        shell('mkdir -p "$1" /srv/shelf/disk/data /srv/etc; mkfifo /srv/disk-up', DISK)
        shell('printf %s "$1" > "$2"; systemctl daemon-reload', MOUNT, DISK_FILE)
        shell('systemctl start "$1"', Path(DISK_FILE).name)
        config = CONFIG.replace('"ticks/', f'"{DISK}/data/')
        shell('printf %s "$1" > /srv/etc/config.toml', config)
        service = (str(TICKWARD), "-c", "/srv/etc/config.toml", "service")
        ended = machine(*service, "install", "--kind", "systemd", "--as", "root")
        assert ended.returncode == 0, ended.stderr
        shell('mkdir "$1"; printf %s "$2" > "$1/up.conf"; systemctl daemon-reload', f"{UNIT_FILE}.d", UP)
        # Without its disk it is not started; systemd would make the directory that it is to bind.
        shell('systemctl stop "$1"; mv /srv/shelf /srv/away; touch /srv/shelf', Path(DISK_FILE).name)
        assert "dependency" in machine("systemctl", "start", "tickward").stderr
        assert machine("systemctl", "is-active", "tickward").stdout == "inactive\n"
        assert shell('ls -A "$1"', DISK) == "", "an empty mount point stays empty"
        shell('rm /srv/shelf; mv /srv/away /srv/shelf; mount --bind /srv/shelf/disk "$1"', DISK)
        assert shell("cat /srv/disk-up") == "up\n"
        # Another disk, an empty one.
        shell('systemctl stop "$1"; mkdir /srv/new; mount --bind /srv/new "$2"', Path(DISK_FILE).name, DISK)
        assert "Assertion failed" in machine("systemctl", "start", "tickward").stderr
        assert shell("ls -A /srv/new") == ""
        shell('umount "$1"; mount --bind /srv/shelf/disk "$1"', DISK)
        assert shell("cat /srv/disk-up") == "up\n"
        assert machine(*service, "uninstall", "--kind", "systemd", "--as", "root").returncode == 0
        shell('rm -r "$1"; umount "$2"; rm "$3"; systemctl daemon-reload', f"{UNIT_FILE}.d", DISK, DISK_FILE)
        assert shell("find /etc/systemd/system -mindepth 1 -not -type d") == ""

    def test_what_cannot_be_started_is_undone(self, machine: Machine) -> None:
        folder = "/srv/broken"
        taken = CONFIG.replace('file = "logs/tickward.jsonl"', 'file = "logs"')  # which is a directory
        prepare = 'mkdir -p "$1/logs" && printf %s "$2" > "$1/config.toml"'
        assert machine("/bin/sh", "-c", prepare, "sh", folder, taken).returncode == 0
        common = (str(TICKWARD), "-c", f"{folder}/config.toml", "service", "install", "--kind", "systemd")
        ended = machine(*common)
        assert ended.returncode == 1
        assert "systemctl restart tickward.service` failed" in ended.stderr
        assert machine("find", "/etc/systemd/system", "-mindepth", "1", "-not", "-type", "d").stdout == ""
