"""What would be packed, and how it would run in a container. `scripts/package` builds it and installs it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from msgspec import convert

from scripts.packaging import ADDED, PACKAGES, differences, packed, wanted_in_wheel
from watcher.config import load
from watcher.demo.options import parse
from watcher.endpoint import problem_with

PROJECT = Path(__file__).parents[1]
DECLARED = tomllib.loads((PROJECT / "pyproject.toml").read_text())


def names(builder: Any) -> set[str]:
    """What a builder would pack."""
    return {each.distribution_path for each in builder.recurse_included_files()}


def on_disk(*tops: str) -> set[str]:
    return {
        str(path.relative_to(PROJECT))
        for top in tops
        for path in (PROJECT / top).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


class TestTheWheel:
    def test_has_every_file_of_both_packages_and_the_reference(self) -> None:
        assert differences(names(WheelBuilder(str(PROJECT))), wanted_in_wheel(on_disk(*PACKAGES)), "") == []

    @pytest.mark.parametrize(
        "name",
        [
            *("handlers/schema/ticks.sql", "handlers/py.typed", "watcher/py.typed", "watcher/config.toml"),
            *("watcher/web/static/index.html", "watcher/report/report.css"),
            *("watcher/web/static/vendor/uPlot.iife.min.js", "watcher/web/static/vendor/LICENSE"),
        ],
    )
    def test_has_what_is_not_python(self, name: str) -> None:
        assert name in names(WheelBuilder(str(PROJECT)))
        assert (PROJECT / ADDED.get(name, name)).is_file()

    def test_what_is_missing_or_too_much_is_told(self) -> None:
        found = packed(["watcher/a.py", "watcher/b.py", "tickward-1.dist-info/RECORD", "watcher/"])
        wanted = wanted_in_wheel(["watcher/a.py", "handlers/c.py", "tests/test_a.py"])
        assert differences(found, wanted, "it") == [
            "it lacks handlers/c.py",
            "it lacks watcher/config.toml",
            "it should not have watcher/b.py",
        ]


def test_the_sdist_has_all_that_the_tests_need() -> None:
    found = names(SdistBuilder(str(PROJECT)))
    tops = ("watcher", "handlers", "tests", "scripts", "docs", ".ci")
    assert differences(found & on_disk(*tops), on_disk(*tops), "the sdist") == []
    assert {
        "config.toml",
        "README.md",
        "CHANGELOG.md",
        "Dockerfile",
        "compose.yaml",
    } <= found


def test_what_is_declared_is_what_is_installed() -> None:
    installed = distribution("tickward").metadata
    project = DECLARED["project"]
    assert (installed["Name"], installed["Version"]) == (project["name"], project["version"])
    assert installed["Requires-Python"] == project["requires-python"]
    assert set(installed.get_all("Provides-Extra") or ()) == set(project["optional-dependencies"])
    (script,) = [each for each in entry_points(group="console_scripts") if each.name == "tickward"]
    assert script.value == project["scripts"]["tickward"]
    assert callable(script.load())


def test_the_extra_all_is_all_of_them() -> None:
    extras = set(DECLARED["project"]["optional-dependencies"]) - {"all", "dev", "docs"}
    assert DECLARED["project"]["optional-dependencies"]["all"] == [f"tickward[{','.join(sorted(extras))}]"]


class TestTheContainer:
    dockerfile = (PROJECT / "Dockerfile").read_text()

    def test_the_linter_has_nothing_to_say(self) -> None:
        hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
        if hadolint is None:
            pytest.skip("hadolint is to be had as a package on Linux on x86_64 only")
        linted = subprocess.run([hadolint, "Dockerfile"], cwd=PROJECT, capture_output=True, check=False)
        assert (linted.returncode, linted.stdout) == (0, b"")

    def test_runs_for_itself_alone_and_can_be_stopped_and_watched(self) -> None:
        lines = [line.strip() for line in self.dockerfile.splitlines()]
        assert 'ENTRYPOINT ["tickward"]' in lines
        assert 'CMD ["run"]' in lines
        assert "STOPSIGNAL SIGTERM" in lines
        assert any(line.startswith("HEALTHCHECK ") for line in lines)
        users = [line.split()[1] for line in lines if line.startswith("USER ")]
        assert users == ["10001:10001"]
        assert not any(line.startswith("FROM") and line.endswith((":latest", "python")) for line in lines)

    def test_is_sent_all_that_it_copies(self) -> None:
        sent = {line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
        copied = {
            name
            for line in self.dockerfile.splitlines()
            if line.startswith("COPY ") and "--from" not in line
            for name in line.split()[1:-1]
        }
        assert sent == copied
        assert all((PROJECT / name).exists() for name in copied)


class TestTheComposition:
    services: dict[str, Any] = yaml.safe_load((PROJECT / "compose.yaml").read_text())["services"]

    def test_daemon_and_writer_have_the_same_user_image_and_files(self) -> None:
        daemon, writer = self.services["tickward"], self.services["writer"]
        for key in ("user", "image", "volumes"):
            assert daemon[key] == writer[key]
        assert daemon["user"] == "10001:10001"
        assert daemon["image"].endswith(f":{DECLARED['project']['version']}")

    def test_the_daemon_is_given_the_time_that_it_gives_its_steps(self, tmp_path: Path) -> None:
        (tmp_path / "config.toml").write_text("")
        patience = load(tmp_path / "config.toml", environment={}).workers.stop_seconds
        assert (
            convert(self.services["tickward"]["stop_grace_period"].removesuffix("s"), float, strict=False)
            > patience
        )

    def test_the_writer_listens_where_the_daemon_speaks(self) -> None:
        said = self.services["tickward"]["environment"]["TICKWARD_EVENTS__PUBLISH"]
        assert problem_with(said) is None
        assert f"--events={said}" in self.services["writer"]["command"]

    def test_the_writer_understands_how_it_is_called(self) -> None:
        options = parse(self.services["writer"]["command"])
        mounted = self.services["writer"]["volumes"][0].partition(":")[2]
        assert str(options.root) == f"{mounted}/data/ticks/db"
        assert f"WORKDIR {mounted}\nVOLUME {mounted}" in TestTheContainer.dockerfile
