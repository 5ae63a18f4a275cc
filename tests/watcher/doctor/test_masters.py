"""Who else looks after the days, by crontabs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.watcher.service.targets import STATE, settings
from watcher.doctor.masters import masters, of_tables
from watcher.doctor.premises import Premises
from watcher.service.block import with_block
from watcher.service.others import Crontab

OURS = with_block("", STATE, "0 0 * * * tickward once\n")
OLD = "0 2 * * 0 root /opt/scripts/compress_old.sh\n"


@pytest.mark.parametrize(
    ("texts", "daemon_pid", "said"),
    [
        ([], None, []),
        (["0 0 * * * true\n"], 7, []),
        ([OLD], None, ["`0 2 * * 0 root /opt/scripts/compress_old.sh` (line 1)"]),
        (["0 0 * * * true\n0 3 * * * find /srv -mtime +7 -exec zstd --rm {} +\n"], None, ["} +` (line 2)"]),
        ([OURS], None, []),
        ([OURS], 7, ["a daemon runs (pid 7)"]),
        ([OURS, OURS], None, ["table 0 and table 1"]),
        ([OLD + OURS, OLD * 5], 7, ["table 0 has", "and 2 more", "in table 0, and a daemon runs"]),
        ([with_block("", "/another/state", "0 0 * * * tickward once\n")], 7, []),
    ],
)
def test_a_second_master_is_a_warning(texts: list[str], daemon_pid: int | None, said: list[str]) -> None:
    tables = [Crontab(f"table {at}", f"edit {at}", text) for at, text in enumerate(texts)]
    found = list(of_tables(tables, settings(), daemon_pid))
    assert {each.level for each in found} <= {"warning"}
    assert all(part in each.sentence for part, each in zip(said, found, strict=True))


def test_the_remedy_names_the_command_that_edits_the_table() -> None:
    (found,) = of_tables([Crontab("x", "crontab -u trader -e", OLD)], settings(), None)
    assert "`crontab -u trader -e`" in found.remedy


def test_a_long_entry_is_cut() -> None:
    (found,) = of_tables([Crontab("x", "y", f"0 0 * * * rotate_daily.sh {'x' * 500}\n")], settings(), None)
    assert len(found.sentence) < 200


def test_ones_own_table_is_asked_of_cron(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "crontab"
    program.write_text(f"#!/bin/sh\necho '{OLD.strip()}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = [each for each in masters(Premises(None, {}, settings())) if "the crontab of" in each.sentence]
    assert [each.level for each in found] == ["warning"]
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert not [each for each in masters(Premises(None, {}, settings())) if "crontab of" in each.sentence]
