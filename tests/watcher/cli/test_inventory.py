"""`tickward inventory`."""

from __future__ import annotations

import csv
import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.sample_tree import FAILING, configure, grow, settings_below
from tests.watcher.cli.conftest import Terminal
from tests.watcher.processes import PROJECT


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tree")
    return str(configure(folder, grow(settings_below(folder), 200, troubles=FAILING, durable=False)))


def test_lists_every_day_that_is_not_deleted(tickward: Terminal, config: str) -> None:
    ended = tickward("-c", config, "inventory")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert [line.split()[1] for line in lines[1:3]] == ["2026-01-16", "2026-01-17"]
    assert "ticks   2026-06-25  1 day missing: no database was ever known" in lines
    (failing,) = [line for line in lines if line.split()[:3] == ["ticks", "2026-07-06", "hot"]]
    assert failing.endswith("compress failed: no space left on device; free space on the volume of data.root")
    assert lines[-2:] == ["1 day missing, in 1 gap", "19 deleted days: --tier gone"]
    assert lines[-3].split()[:3] == ["total", "181", "days"]


def test_json_csv_and_table_have_the_same_days(tickward: Terminal, config: str) -> None:
    options = ("-c", config, "inventory", "--from", "2026-06-20", "--to", "2026-07-20")
    told = tickward(*options, "--json").json
    days = [day["day"] for day in told["days"]]
    assert (days[0], days[-1], len(days)) == ("2026-06-20", "2026-07-16", 26)
    assert told["gaps"] == [{"stream": "ticks", "first": "2026-06-25", "last": "2026-06-25", "days": 1}]
    assert told["at"].startswith("2026-07-15T09:30:00")
    rows = list(csv.DictReader(io.StringIO(tickward(*options, "--csv").out, newline="")))
    assert [row["day"] for row in rows if row["state"] != "missing"] == days
    assert [row["day"] for row in rows if row["state"] == "missing"] == ["2026-06-25"]
    lines = tickward(*options).out.splitlines()
    assert [line.split()[1] for line in lines[1:-2] if "1 day missing" not in line] == days


@pytest.mark.parametrize(
    ("options", "number"),
    [
        (("--tier", "gone"), 19),
        (("--all",), 200),
        (("--tier", "warm", "--tier", "cold"), 168),
        (("--state", "archived", "--state", "missing"), 135),
        (("--trouble",), 4),
        (("--trouble", "--tier", "warm"), 0),
        (("--stream", "ticks", "--from", "2026-07-15"), 2),
    ],
)
def test_lists_what_is_asked_for(
    tickward: Terminal, config: str, options: tuple[str, ...], number: int
) -> None:
    told = tickward("-c", config, "inventory", *options, "--json").json
    assert len(told["days"]) == told["totals"]["days"] == number


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--from", "2026-07-02", "--to", "2026-07-01"), "--from 2026-07-02 is after --to 2026-07-01"),
        (("--from", "yesterday"), "--from: 'yesterday' is not a day such as 2026-01-20"),
        (("--to", "2026-02-30"), "--to: '2026-02-30' is not a day"),
        (("--stream", "quotes"), "--stream: there is no stream 'quotes'; the streams are: ticks"),
        (("--tier", "tepid"), "--tier: there is no tier 'tepid'; there are: hot, warm, cold, gone"),
        (("--state", "lost"), "--state: there is no state 'lost'; there are: absent, created, "),
        (("--json", "--csv"), "--json and --csv: give one of them"),
    ],
)
def test_refuses_what_cannot_be_meant(
    tickward: Terminal, config: str, options: tuple[str, ...], said: str
) -> None:
    ended = tickward("-c", config, "inventory", *options)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"tickward: {said}")
    assert len(ended.err.splitlines()) == 1


def test_before_the_first_start_there_is_today_to_be_made(tickward: Terminal) -> None:
    tickward.configure()
    lines = tickward("inventory").out.splitlines()
    assert [line.split()[1:4] for line in lines[1:3]] == [
        ["2026-01-20", "-", "absent"],
        ["2026-01-21", "-", "absent"],
    ]
    assert lines[1].endswith("create now")
    assert len(lines) == 4


def test_fits_the_terminal_it_is_shown_in(config: str, tmp_path: Path) -> None:
    main, beside = pty.openpty()
    options = ("-c", config, "inventory", "--from", "2026-07-01")
    with os.fdopen(main, "rb", buffering=0) as screen:
        command = [sys.executable, "-m", "watcher", *options]
        environment = {**os.environ, "COLUMNS": "80", "PYTHONPATH": str(PROJECT)}
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=beside)
        os.close(beside)
        told = b""
        while part := _read(screen.fileno()):
            told += part
        assert process.wait() == 0
    lines = told.decode().splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["date", "tier", "state", "raw", "now", "ratio", "due", "next"]
    assert any(line.startswith("    compress failed: no space left on device;") for line in lines)


def _read(screen: int) -> bytes:
    try:
        return os.read(screen, 65536)
    except OSError:  # what a terminal says when nobody is on the other side any more
        return b""
