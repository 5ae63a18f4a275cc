"""Who else may look after the days: what is read for that, and what a person is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.watcher.service.targets import settings, target
from watcher.service.foreign import Entry
from watcher.service.others import Crontab, Other, notes_for, others_in, system_tables

OLD = "0 2 * * 0 root find /srv/ticks -mtime +7 -exec zstd --rm {} +\n"
SCRIPT = "#!/bin/bash\ncd /srv/ticks/db || exit\nzstd --rm 2025/*.db\n"


def table(text: str) -> Crontab:
    return Crontab("the table", "edit it", text)


def test_tables_of_the_system_are_read_as_far_as_they_can_be(tmp_path: Path) -> None:
    assert system_tables(tmp_path) == []
    (tmp_path / "crontab").write_bytes(b"# \xff\n")
    (tmp_path / "cron.d" / "folder").mkdir(parents=True)
    (tmp_path / "cron.d" / "old").write_text(OLD)
    assert [(each.name, each.edited_by, each.is_systems) for each in system_tables(tmp_path)] == [
        (f"{tmp_path}/crontab", f"sudoedit {tmp_path}/crontab", True),
        (f"{tmp_path}/cron.d/old", f"sudoedit {tmp_path}/cron.d/old", True),
    ]


class TestScriptsThatAreCalled:
    @pytest.mark.parametrize(
        "command",
        ["{}/nightly", "cd / && nice -n 19 bash {}/nightly -v", 'sh -c "{}/nightly 2>&1"', "run-parts {}"],
    )
    def test_are_looked_into(self, tmp_path: Path, command: str) -> None:
        (tmp_path / "a").write_text("#!/bin/sh\ndu -s /srv/ticks/db\n")
        script = tmp_path / "nightly"
        script.write_text(SCRIPT)
        line = f"0 3 * * * {command.format(tmp_path)}"
        (found,) = others_in(table(f"# mine\n{line}\n"), settings())
        assert found == Other(Entry(2, line), f"line 3 of {script}: `zstd --rm 2025/*.db`")
        script.write_text(SCRIPT.replace("zstd --rm", "sha256sum"))
        assert others_in(table(f"{line}\n"), settings()) == []

    def test_that_cannot_be_read_are_passed_over(self, tmp_path: Path) -> None:
        (tmp_path / "binary").write_bytes(b"\x7fELF\0\xff")
        (tmp_path / "dangling").symlink_to("nowhere")
        names = ("binary", "dangling", "none", "x" * 300)
        assert others_in(table("".join(f"@daily {tmp_path}/{name}\n" for name in names)), settings()) == []


class TestNotes:
    def test_of_an_image_are_of_its_own_tables(self, tmp_path: Path) -> None:
        etc, spool = tmp_path / "etc", tmp_path / "var/spool/cron/crontabs"
        (etc / "cron.d").mkdir(parents=True)
        spool.mkdir(parents=True)
        (etc / "crontab").write_text("17 * * * * root cd / && run-parts /etc/cron.hourly\n")
        (etc / "cron.d/old").write_text("MAILTO=root\n" + OLD)
        (spool / "trader").write_text("0 3 * * * rm -f /srv/ticks/db/*.tmp\x1b[1m\n")
        (etc / "cron.hourly").mkdir()
        (etc / "cron.hourly/days").write_text(SCRIPT)
        first, second, third = notes_for(target(root=tmp_path))
        assert first.startswith(
            f"{etc}/crontab has `17 * * * * root cd / && run-parts /etc/cron.hourly` (line 1)"
        )
        assert f"because of line 3 of {etc}/cron.hourly/days: `zstd --rm 2025/*.db`" in first
        assert second.startswith(
            f"{etc}/cron.d/old has `{OLD.strip()}` (line 2): two masters are worse than none; "
        )
        assert second.endswith(f"take it out with `sudoedit {etc}/cron.d/old`, unless it only reads the days")
        assert third.startswith(f"{spool}/trader has `0 3 * * * rm -f /srv/ticks/db/*.tmp?[1m` (line 1)")

    def test_of_this_machine_are_of_the_callers_table_as_well(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program = tmp_path / "crontab"
        program.write_text(f"#!/bin/sh\necho '{OLD.strip()}'\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        assert [note for note in notes_for(target()) if note.startswith("the crontab of ")]
        monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
        assert not [note for note in notes_for(target()) if note.startswith("the crontab of ")]
