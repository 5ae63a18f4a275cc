"""What a service is to run, found out from what was asked for and from this machine."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path

import pytest

from tests.watcher.service.targets import target
from watcher.errors import ConfigError
from watcher.service.aim import Wishes, left_behind, target_for
from watcher.service.program import program_here, require_lasting, require_usable

PROGRAM = Path("/opt/tickward/bin/tickward")
ME = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class TestTarget:
    def test_without_a_configuration_paths_are_meant_from_here(self, tmp_path: Path) -> None:
        found = target_for(Wishes(program=PROGRAM))
        assert (found.config, found.directory) == (None, tmp_path)
        assert found.settings.data.root == str(tmp_path / "data/ticks/db")
        assert found.command == (str(PROGRAM),)

    def test_a_configuration_is_named_from_the_root(self, tmp_path: Path) -> None:
        (tmp_path / "config.toml").write_text('[data]\nroot = "days"\n')
        for wished in (None, Path("config.toml")):
            found = target_for(Wishes(config=wished, program=PROGRAM))
            assert found.command == (str(PROGRAM), "-c", str(tmp_path / "config.toml"))
            assert found.settings.data.root == str(tmp_path / "days")

    def test_the_environment_is_not_the_services(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TICKWARD_COMPRESS__LEVEL", "3")
        monkeypatch.setenv("RETENTION_DAYS", "900")
        found = target_for(Wishes(program=PROGRAM)).settings
        assert (found.compress.level, found.expire.after_days) == (19, 180)
        (said,) = left_behind()
        assert said.startswith("the service does not see TICKWARD_COMPRESS__LEVEL, RETENTION_DAYS: put that")
        assert left_behind({"PATH": "/bin"}) == ()

    def test_a_systems_runs_as_the_owner_of_the_data(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("config.toml").write_text('[data]\nroot = "/proc/1"\n')
        assert target_for(Wishes(scope="system", program=PROGRAM)).user == "root"
        assert target_for(Wishes(scope="system", user="engine", program=PROGRAM)).user == "engine"

    def test_a_users_own_runs_as_that_user(self) -> None:
        assert target_for(Wishes(scope="user", program=PROGRAM)).user == ME
        with pytest.raises(ConfigError, match="a user's own service runs as that user"):
            target_for(Wishes(scope="user", user="engine", program=PROGRAM))

    def test_a_configuration_that_cannot_be_meant_is_refused(self) -> None:
        Path("config.toml").write_text("[data]\nroof = 1\n")
        with pytest.raises(ConfigError, match="roof"):
            target_for(Wishes(program=PROGRAM))


class TestProgram:
    def test_is_the_one_beside_the_interpreter(self) -> None:
        assert program_here() == Path(sys.executable).with_name("tickward")

    def test_has_to_be_named_from_the_root(self) -> None:
        with pytest.raises(ConfigError, match="name it from /"):
            target_for(Wishes(program=Path("bin/tickward")))

    @pytest.mark.parametrize("place", ["/tmp/venv/bin", "/dev/shm/x", "/home/ann/.cache/tool/bin"])
    def test_has_to_stay_where_it_is(self, place: str) -> None:
        with pytest.raises(ConfigError, match="may soon be gone"):
            require_lasting(Path(place, "tickward"))
        require_lasting(PROGRAM)

    def test_has_to_start_for_its_user_with_the_configuration(self, tmp_path: Path) -> None:
        program = tmp_path / "tickward"
        program.write_text('#!/bin/sh\necho "$@" > asked\necho "cannot read it" >&2\nexit 2\n')
        program.chmod(0o755)
        asked = target(program=(str(program),), directory=tmp_path, user=ME)
        with pytest.raises(ConfigError, match=r"cannot run .* \(cannot read it\): have both where"):
            require_usable(asked)
        assert (tmp_path / "asked").read_text() == "-c /etc/tickward/config.toml config check\n"
        program.write_text("#!/bin/sh\n")
        require_usable(asked)

    def test_that_is_not_there_is_said(self, tmp_path: Path) -> None:
        asked = target(program=(str(tmp_path / "none"),), directory=tmp_path, user=ME)
        with pytest.raises(ConfigError, match="No such file"):
            require_usable(asked)
