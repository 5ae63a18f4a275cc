"""The property list for launchd, read by Python's own reader of them."""

from __future__ import annotations

import plistlib
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.watcher.service.targets import settings, target
from watcher.errors import ConfigError
from watcher.service import launchd
from watcher.service.installation import MARK, mark
from watcher.service.target import Target
from watcher.settings import Events, Workers


def listed(asked: Target) -> dict[str, Any]:
    (file,) = launchd.describe(asked).files
    read: dict[str, Any] = plistlib.loads(file.content)
    return read


def test_an_agent_of_a_user() -> None:
    made = launchd.describe(target())
    assert made.files[0].path == Path("/home/trader/Library/LaunchAgents/tickward.plist")
    assert MARK.encode() in made.files[0].content[:1024]
    read = listed(target())
    assert read["ProgramArguments"] == [
        *("/opt/tickward/bin/tickward", "-c", "/etc/tickward/config.toml", "run"),
    ]
    assert read["WorkingDirectory"] == "/srv/ticks"
    assert read["KeepAlive"] == {"SuccessfulExit": False}
    assert "UserName" not in read
    assert made.active[:2] == ("launchctl", "print")


def test_a_daemon_of_the_system() -> None:
    asked = target(scope="system", user="engine")
    made = launchd.describe(asked)
    assert made.files[0].path == Path("/Library/LaunchDaemons/tickward.plist")
    assert listed(asked)["UserName"] == "engine"
    assert made.enable[-1].argv == ("launchctl", "bootstrap", "system", str(made.files[0].path))
    assert made.disable[0].argv == ("launchctl", "bootout", "system/tickward")


def test_nobody_makes_its_sockets_directories_but_install() -> None:
    events = Events(publish="ipc:///var/run/tickward/p", replay="ipc:///var/run/tickward/r")
    made = launchd.describe(target(settings=settings(events=events)))
    assert Path("/var/run/tickward") in made.directories
    assert Path("/var/run/tickward") in made.private


def test_whose_it_is_can_be_in_a_comment() -> None:
    given = settings()
    asked = target(settings=replace(given, data=replace(given.data, state="/srv/--a--->-")))
    (file,) = launchd.describe(asked).files
    assert mark(asked).encode() in file.content
    assert listed(asked)["Label"] == "tickward"


def test_any_name_comes_back_as_it_was() -> None:
    odd = Path("/srv/<a> & \"b\" 'c' %d $e é")
    read = listed(target(config=odd / "config.toml", directory=odd))
    assert read["ProgramArguments"][2] == str(odd / "config.toml")
    assert read["WorkingDirectory"] == str(odd)


def test_it_is_given_the_time_that_its_jobs_are_given() -> None:
    assert listed(target(settings=settings(workers=Workers(stop_seconds=300))))["ExitTimeOut"] > 300


def test_a_name_that_no_list_can_hold_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be named in a property list"):
        launchd.describe(replace(target(), config=Path("/etc/a\x01")))
