"""`tickward config`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.watcher.cli.conftest import Terminal
from tests.watcher.processes import PROJECT

REFERENCE = (PROJECT / "config.toml").read_bytes()


def test_show_tells_what_is_in_force(tickward: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("config.toml").write_text("[workers]\ncount = 3\n")
    monkeypatch.setenv("TICKWARD_WORKERS__NICE", "4")
    shown = tickward("config", "show").json
    assert shown["workers"] == {
        "count": 3,
        "nice": 4,
        "stop_seconds": 30.0,
        "retry_seconds": 5.0,
        "retry_max_seconds": 600.0,
    }
    assert shown["data"]["root"] == str(tickward.folder / "data/ticks/db")


def test_check(tickward: Terminal) -> None:
    assert tickward("config", "check").out == "the configuration is good\n"
    Path("my.toml").write_text("")
    assert tickward("--config", "my.toml", "config", "check").out == "my.toml is good\n"
    Path("my.toml").write_text("[log]\nlevel = 'LOUD'")
    ended = tickward("--config", "my.toml", "config", "check")
    assert (ended.code, ended.out) == (2, "")
    assert "my.toml: log.level" in ended.err


@pytest.mark.parametrize("name", ["config.toml", "my config.toml", "größe.toml"])
def test_init_writes_the_reference(tickward: Terminal, name: str) -> None:
    ended = tickward("config", "init", name)
    assert (ended.code, ended.out) == (0, f"wrote {name}\n")
    assert Path(name).read_bytes() == REFERENCE
    assert tickward("--config", name, "config", "check").code == 0


def test_init_by_default_writes_what_the_other_commands_read(tickward: Terminal) -> None:
    assert tickward("config", "init").code == 0
    assert Path("config.toml").read_bytes() == REFERENCE


def test_init_never_overwrites(tickward: Terminal) -> None:
    Path("config.toml").write_text("mine")
    ended = tickward("config", "init")
    assert ended.code == 2
    assert ended.err == "tickward: config.toml exists already; it is left as it is\n"
    assert Path("config.toml").read_text() == "mine"
    Path("link.toml").symlink_to("nowhere.toml")
    assert tickward("config", "init", "link.toml").code == 2
    assert not Path("nowhere.toml").exists()


def test_init_writes_nothing_where_the_environment_asks_for_that(
    tickward: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRY_RUN", "1")
    ended = tickward("config", "init")
    assert (ended.code, ended.out) == (2, "")
    assert "DRY_RUN is set: no file is written; unset it for that" in ended.err
    assert tickward.tree() == set()


def test_as_json(tickward: Terminal) -> None:
    assert tickward("config", "check", "--json").json == {"file": None}
    assert tickward("config", "init", "--json").json == {"path": "config.toml"}
    assert tickward("config", "check", "--json").json == {"file": "config.toml"}
    assert tickward("config", "show", "--json") == tickward("config", "show")


def test_init_where_nothing_can_be_written(tickward: Terminal) -> None:
    ended = tickward("config", "init", "no/such/folder/config.toml")
    assert ended.code == 2
    assert ended.err == (
        "tickward: no/such/folder/config.toml cannot be written: No such file or directory\n"
    )
