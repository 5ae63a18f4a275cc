from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.watcher.service.targets import STATE, settings, target
from watcher.service.block import with_block
from watcher.service.cronlines import lines
from watcher.service.foreign import foreign_masters
from watcher.settings import Stream


class TestTheEntriesOfScripts:
    @pytest.mark.parametrize(
        "line",
        [
            "0 0 * * * /opt/scripts/rotate_daily.sh",
            "0 2 * * 0 python3 /opt/scripts/compress_old_databases.py --level 19",
            "0 * * * * /opt/scripts/monitor_databases.sh >> /var/log/ticks.log 2>&1",
            "@daily /home/trader/bin/delete_old.sh",
            "0 2 * * 0 find / -name '*.db' -mtime +7 -exec compress {} +",
            "*/5 * * * * gzip /data/ticks_2026-01-*.db",
            "17 3 * * * root cd /srv/ticks/db && ls",
            "5 4 * * sun rm -rf '/srv/ticks/archive/2025'",
            "  0 0 * * *   /usr/local/bin/ROTATE_DB.sh  ",
        ],
    )
    def test_are_found(self, line: str) -> None:
        table = f"# the table\nMAILTO=me\n1 1 * * * true\n{line}\n2 2 * * * true\n"
        assert foreign_masters(table, settings()) == [line.strip()]

    def test_are_found_by_a_variable_of_the_table(self) -> None:
        table = (
            'ROOT = "/srv/ticks/db"\n0 1 * * * old ${ROOT}/2026\n0 2 * * * old $ROOT\n0 3 * * * old $OTHER\n'
        )
        found = foreign_masters(table, settings())
        assert found == ["0 1 * * * old ${ROOT}/2026", "0 2 * * * old $ROOT"]

    def test_are_found_by_the_names_that_days_have_here(self) -> None:
        given = settings()
        streams = {"quotes": Stream(pattern="{year}/quotes-{date}.db"), "x": Stream(pattern="{date}.db")}
        given = replace(given, data=replace(given.data, streams=streams))
        table = "0 1 * * * xz /data/quotes-*.db\n0 2 * * * xz /data/other-*.db\n"
        assert foreign_masters(table, given) == ["0 1 * * * xz /data/quotes-*.db"]


class TestOtherEntries:
    @pytest.mark.parametrize(
        "line",
        [
            "25 6 * * * root test -x /usr/sbin/anacron || run-parts --report /etc/cron.daily",
            "0 0 * * * /usr/sbin/logrotate /etc/logrotate.conf",
            "0 0 * * * /usr/bin/monitor-agent",
            "0 0 * * * rsync -a /srv/ticks/db2/ /srv/ticks/dbx /srv/ticks/db-old far:",
            "# 0 0 * * * /opt/scripts/rotate_daily.sh",
            "#0 0 * * * rm /srv/ticks/db/*",
            "ROOT=/srv/ticks/db",
            "",
        ],
    )
    def test_are_left_out(self, line: str) -> None:
        assert foreign_masters(f"{line}\n", settings()) == []

    def test_are_left_out_where_they_are_ours(self) -> None:
        given = target(directory="/srv/ticks/db")
        table = with_block("0 0 * * * rotate_daily.sh\n", STATE, lines(given))
        assert "cd /srv/ticks/db" in table
        assert foreign_masters(table, settings()) == ["0 0 * * * rotate_daily.sh"]
        without_end = table.replace("# <<< tickward", "# tickward")
        assert len(foreign_masters(without_end, settings())) > 1, "an end that is missing hides nothing"
