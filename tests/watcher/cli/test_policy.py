"""`tickward policy`, and its proof."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from scripts.sample_tree import FAILING, NONE, NOW, configure, grow, settings_below
from tests.watcher.cli.conftest import Terminal
from watcher.events import DAEMON_KEY, Configured, Opened
from watcher.journal import Journal
from watcher.plan.retention import policy_in_words


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tree")
    troubles = replace(NONE, held=60)
    return str(configure(folder, grow(settings_below(folder), 100, troubles=troubles, durable=False)))


def test_says_what_is_done_when(tickward: Terminal) -> None:
    tickward.configure()
    ended = tickward("policy")
    assert (ended.code, ended.err) == (0, "")
    assert "    7 days  o  compress  Sundays 02:00 UTC" in ended.out.splitlines()
    assert "today is 2026-01-20" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80
    told = tickward("policy", "--json").json
    assert [each["through"] for each in told["life"]][:4] == [
        "2026-01-21",
        "2026-01-19",
        "2026-01-19",
        "2026-01-10",
    ]


def test_says_what_is_never_done(tickward: Terminal) -> None:
    tickward.configure("[expire]\nenabled = false")
    assert "never  o  expire  never (expire.enabled = false)" in tickward("policy").out


def test_proves_that_it_was_kept(tickward: Terminal, config: str) -> None:
    ended = tickward("-c", config, "policy", "--prove")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert "the policy has never changed" in lines
    assert lines[-1] == "exceptions: none"
    assert lines[-2].startswith("  ticks/2026-05-16 archive kept: due 2026-07-01 03:00 UTC: on hold by ann")
    (archive,) = [line.split() for line in lines if line.startswith("archive ")]
    assert archive[1:8] == ["54", "54", "0", "0", "0", "0", "1"]
    told = tickward("-c", config, "policy", "--prove", "--json").json
    assert (told["in_force"], told["exceptions"], len(told["days"])) == (True, [], 99)


def test_lists_each_exception_with_its_reason(tickward: Terminal, tmp_path: Path) -> None:
    settings = grow(settings_below(tmp_path), 30, troubles=FAILING, durable=False)
    ended = tickward("-c", str(configure(tmp_path, settings)), "policy", "--prove")
    assert ended.code == 1
    exceptions = [line for line in ended.out.splitlines() if line.startswith("  ticks/")]
    assert [line.split()[:3] for line in exceptions] == [
        ["ticks/2026-07-01", "compress", "overdue:"],
        ["ticks/2026-07-13", "seal", "overdue:"],
    ]
    assert "holds another content" in exceptions[0]
    assert "row 1174 missing from index" in exceptions[1]


def test_tells_a_policy_that_has_changed_from_the_present_one(tickward: Terminal, tmp_path: Path) -> None:
    settings = grow(settings_below(tmp_path), 30, troubles=NONE, durable=False)
    file = configure(tmp_path, settings)
    with file.open("a") as more:
        more.write("[compress]\nafter_days = 12\n")
    told = json.loads(tickward("-c", str(file), "policy", "--prove", "--json").out)
    assert (told["in_force"], told["changes"]) == (False, [])
    assert {each["kind"] for each in told["exceptions"]} == {"early"}
    assert not any(each["earlier_policy"] for each in told["exceptions"])

    later = replace(settings, compress=replace(settings.compress, after_days=12))
    with Journal.open_for_writing(Path(settings.data.state, "journal.db")) as journal:
        journal.record([(DAEMON_KEY, Configured(policy_in_words(later)))], NOW - timedelta(hours=1))
    told = json.loads(tickward("-c", str(file), "policy", "--prove", "--json").out)
    (change,) = told["changes"]
    assert (told["in_force"], [rule["rule"] for rule in change["rules"]]) == (True, ["compress"])
    assert all(each["earlier_policy"] for each in told["exceptions"])
    assert "(under an earlier policy)" in tickward("-c", str(file), "policy", "--prove").out


def test_knows_the_policy_of_events_that_were_pruned(tickward: Terminal, tmp_path: Path) -> None:
    settings = grow(settings_below(tmp_path), 3, troubles=NONE, durable=False)
    with Journal.open_for_writing(Path(settings.data.state, "journal.db")) as journal:
        changed = Configured(
            policy_in_words(replace(settings, restore=replace(settings.restore, keep_days=3)))
        )
        journal.record([(DAEMON_KEY, changed), ("ticks/2026-07-15", Opened("/r/x.db"))], NOW)
        assert journal.prune(NOW - timedelta(days=2), NOW, least=1)
        assert "configured" not in {row.event for row in journal.rows() if row.sequence < 5}
    told = json.loads(tickward("-c", str(configure(tmp_path, settings)), "policy", "--prove", "--json").out)
    assert [[rule["rule"] for rule in each["rules"]] for each in told["changes"]] == [["restore"]]


def test_before_the_first_start_nothing_is_recorded(tickward: Terminal) -> None:
    tickward.configure()
    ended = tickward("policy", "--prove")
    assert ended.code == 0
    assert "no policy was recorded yet" in ended.out
