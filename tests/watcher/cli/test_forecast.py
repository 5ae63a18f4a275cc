"""`tickward forecast`."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.sample_tree import configure, grow, settings_below
from tests.watcher.cli.conftest import Terminal


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tree")
    return str(configure(folder, grow(settings_below(folder), 120, durable=False)))


def test_shows_months_days_and_a_plot(tickward: Terminal, config: str) -> None:
    ended = tickward("-c", config, "forecast")
    assert (ended.code, ended.err) == (0, "")
    assert "2027-06 " in ended.out
    assert "root, backup, archive, state: " in ended.out
    assert "█ hot" in ended.out
    assert "Days are as large as" in ended.out
    assert "52 weeks, with" not in ended.out


def test_as_json(tickward: Terminal, config: str) -> None:
    told = tickward("-c", config, "forecast", "--json").json
    assert told["at"].startswith("2026-07-15T09:30:00")
    assert len(told["policy"]["points"]) == 54
    assert told["policy"]["volumes"][0]["directories"] == ["root", "backup", "archive", "state"]
    assert (told["changed"], told["saved"]) == (None, None)


def test_compares_another_policy(tickward: Terminal, config: str) -> None:
    options = ("--compress-after", "3", "--level", "12", "--no-archive")
    told = tickward("-c", config, "forecast", *options, "--json").json
    assert told["changed"]["compress_after_days"] == 3
    assert (told["changed"]["archive_after_days"], told["changed"]["year"]["cold_bytes"]) == (None, 0)
    assert told["saved"]["hot_bytes"] > 0
    # Every day of the tree was compressed at level 19: that of the settings.
    assert told["changed"]["ratio"] == pytest.approx(told["policy"]["ratio"] * 0.993 / 1.087)
    out = tickward("-c", config, "forecast", *options).out
    assert "In 52 weeks, with --compress-after 3 --level 12 --no-archive:" in out
    assert "At level 12 a day has 1.09 times the size that it has at level 19" in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--compress-after", "40"), "--compress-after 40: archive.after_days (30) must be more than"),
        (("--level", "23"), "--level: "),
        (("--expire-after", "-1"), "--expire-after: "),
    ],
)
def test_refuses_what_cannot_be_meant(
    tickward: Terminal, config: str, options: tuple[str, ...], said: str
) -> None:
    ended = tickward("-c", config, "forecast", *options)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


def test_before_the_first_start(tickward: Terminal) -> None:
    tickward.configure()
    ended = tickward("forecast", "--expire-after", "90")
    assert (ended.code, ended.err) == (0, "")
    assert "there is nothing to go by" in ended.out
    assert not Path("data").exists()


def test_in_a_pipe_that_is_not_unicode(
    tickward: Terminal, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    monkeypatch.setenv("PYTHONUTF8", "0")
    process = tickward.start("-c", config, "forecast")
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "# hot   = warm   - cold" in out
