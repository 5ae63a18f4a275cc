from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.watcher.service.targets import STATE, settings, target
from watcher.service.block import with_block
from watcher.service.cronlines import lines
from watcher.service.foreign import Entry, foreign_in_script, foreign_masters
from watcher.settings import Stream

HOME = "/srv/ticks"
WORDS = [
    *(
        "find",
        "/srv/ticks",
        "-exec",
        "-name",
        "*.db",
        "sh",
        "-c",
        "'rm \"$1\"'",
        "{}",
        "\\;",
        "|",
        "xargs",
        "rm",
    ),
    *(
        "''",
        "$(",
        "`",
        ")",
        "cd",
        "for",
        "f",
        "in",
        "$f",
        "while",
        "read",
        "do",
        "done",
        "<",
        "2>&1",
        "\n",
        "%",
    ),
    *(
        "[",
        "{a",
        "rsync",
        "--delete",
        "mv",
        "-",
        "~/",
        "export",
        "=",
        "x=",
        "ssh",
        "'",
        '"',
        "$",
        "${x:-/srv}",
    ),
]


def told(table: str) -> list[str]:
    return [entry.text for entry in foreign_masters(table, settings())]


class TestTheEntriesOfScripts:
    @pytest.mark.parametrize(
        "line",
        [
            # by their names
            "0 0 * * * /opt/scripts/rotate_daily.sh",
            "0 2 * * 0 python3 /opt/scripts/compress_old_databases.py --level 19",
            "0 * * * * /opt/scripts/monitor_databases.sh >> /var/log/ticks.log 2>&1",
            "@daily /home/trader/bin/delete_old.sh",
            "  0 0 * * *   /usr/local/bin/ROTATE_DB.sh  ",
            # by what they do, and where
            "0 2 * * 0 find / -name '*.db' -mtime +7 -exec compress {} +",
            "*/5 * * * * gzip /data/ticks_2026-01-*.db",
            "5 4 * * sun rm -rf '/srv/ticks/archive/2025'",
            r"0 3 * * * find /srv/ticks -mtime +7 -exec zstd --rm {} \;",
            r"0 3 * * * root find /srv/ticks -mtime +7 -exec zstd --rm {} \;",
            "0 3 * * * find /srv/ticks/db -name '*.db' -mtime +7 | xargs zstd --rm",
            "0 3 * * * find /srv/ticks/db -print0 | xargs -0 -n 1 nice -n 19 ionice -c 3 xz -9",
            "0 3 * * * find /srv -type f -mtime +180 -delete",
            "0 3 * * * cd /srv/ticks/db && gzip *.db",
            "0 3 * * * cd /srv/ticks/db && mv 2025 /mnt/old/",
            "0 3 * * * cd /srv && rm -r ticks",
            "0 3 * * * D=/srv/ticks/db; find $D/2025 -delete",
            "0 3 * * * for f in /srv/ticks/db/*/*.db; do zstd --rm $f; done",
            '0 3 * * * find /srv/ticks | while read -r f; do zstd -q --rm "$f"; done',
            "0 3 * * * zstd --rm $(find /srv/ticks -mtime +7)",
            "0 3 * * * zstd --rm `find /srv/ticks -mtime +7`",
            "0 3 * * * /bin/sh -c 'find /srv/ticks -mtime +7 | xargs zstd --rm' >/dev/null 2>&1",
            "0 3 * * * flock -n /run/lock/x nice /usr/bin/zstd --rm /srv/ticks/db/2025/*.db",
            "0 3 * * * rsync -a --remove-source-files /srv/ticks/db/2025/ far:old/",
            "0 3 * * * rsync -a --delete far:days/ /srv/ticks/backup/",
            "0 3 * * * tar czf /mnt/2025.tgz --remove-files /srv/ticks/db/2025",
            "0 3 * * * sqlite3 /srv/ticks/db/x.db VACUUM",
            "0 3 * * * tmpreaper 180d /srv/ticks",
            "0 3 * * * /opt/bin/tidy-up.pl --older 30 --in=/srv/ticks/db",
            "0 3 * * * rm -f /srv/*/db/2025-*.db # old ones",
            "0 3 * * * rm -f /srv/{ticks,quotes}/db/2025-*.db",
            "0 3 * * * old=$(find /srv/ticks -mtime +7); zstd --rm $old",
            "0 3 * * * while read -r f; do zstd --rm $f; done < <(find /srv/ticks -mtime +7)",
            "0 3 * * * find /srv/ticks -mtime +7 -exec sh -c 'zstd --rm \"$1\"' _ {} \\;",
            "0 3 * * * mv \"/srv/ticks/db/it's",
        ],
    )
    def test_are_found(self, line: str) -> None:
        table = f"# the table\nMAILTO=me\n1 1 * * * true\n{line}\n2 2 * * * true\n"
        found = foreign_masters(table, settings(), is_systems=" root " in line)
        assert found == [Entry(4, line.strip())]

    def test_are_found_by_a_variable_of_the_table(self) -> None:
        table = (
            'ROOT = "/srv/ticks/db"\n0 1 * * * xz ${ROOT}/2026\n0 2 * * * rm -r $ROOT\n0 3 * * * rm $OTHER\n'
        )
        assert told(table) == ["0 1 * * * xz ${ROOT}/2026", "0 2 * * * rm -r $ROOT"]

    def test_are_found_from_the_home_of_whose_the_table_is(self) -> None:
        table = (
            "0 1 * * * xz db/*.db\n0 2 * * * cd db && xz *\n0 3 * * * xz ~/db/x.db $HOME/x\n0 4 * * * xz x\n"
        )
        found = foreign_masters(table, settings(), home=HOME)
        assert [entry.number for entry in found] == [1, 2, 3]
        assert foreign_masters(table, settings(), home="/home/trader") == []

    def test_are_found_by_the_names_that_days_have_here(self) -> None:
        mine = settings()
        streams = {"quotes": Stream(pattern="{year}/quotes-{date}.db"), "x": Stream(pattern="{date}.db")}
        mine = replace(mine, data=replace(mine.data, streams=streams))
        table = (
            "0 1 * * * xz /data/quotes-*.db\n0 2 * * * xz /data/other-*.db\n0 3 * * * ls /data/quotes-*.db\n"
        )
        assert foreign_masters(table, mine) == [Entry(1, "0 1 * * * xz /data/quotes-*.db")]

    def test_are_found_by_where_links_lead(self) -> None:
        mine = settings()
        real = replace(mine, data=replace(mine.data, root="/mnt/disk/db"))
        table = "0 1 * * * xz /srv/ticks/db/x.db\n0 2 * * * xz /mnt/disk/db/x.db\n"
        assert [entry.number for entry in foreign_masters(table, mine, real)] == [1, 2]

    def test_keep_their_numbers_behind_a_block_of_ours(self) -> None:
        table = with_block("MAILTO=me\n", STATE, lines(target())) + "0 0 * * * rotate_daily.sh\n"
        assert foreign_masters(table, settings()) == [
            Entry(table.count("\n"), "0 0 * * * rotate_daily.sh"),
        ]


class TestOtherEntries:
    @pytest.mark.parametrize(
        "line",
        [
            "25 6 * * * root test -x /usr/sbin/anacron || run-parts --report /etc/cron.daily",
            "0 0 * * * /usr/sbin/logrotate /etc/logrotate.conf",
            "0 0 * * * /usr/bin/monitor-agent",
            "0 0 * * * /opt/agent/monitor.sh",
            "0 0 * * * rsync -a /srv/ticks/db2/ /srv/ticks/dbx /srv/ticks/db-old far:",
            "# 0 0 * * * /opt/scripts/rotate_daily.sh",
            "#0 0 * * * rm /srv/ticks/db/*",
            "ROOT=/srv/ticks/db",
            "",
            # who reads
            "17 3 * * * root cd /srv/ticks/db && ls",
            "17 3 * * * du -sh /srv/ticks/db /srv/ticks/archive",
            "17 3 * * * sqlite3 -readonly /srv/ticks/db/x.db 'select count(*) from ticks' | gzip > /mnt/x.gz",
            "17 3 * * * zstd -19c /srv/ticks/db/x.db > /mnt/x.zst",
            "17 3 * * * gzip --test /srv/ticks/archive/*.gz",
            "17 3 * * * restic backup /srv/ticks",
            "17 3 * * * rsync -a --delete /srv/ticks/db/ far:days/",
            "@reboot /opt/engine/writer --days /srv/ticks/db",
            "17 3 * * * ls /data/ticks_2026-01-*.db",
            # who changes what is elsewhere
            "17 3 * * * du -s /srv/ticks/db > /tmp/new && mv /tmp/new /var/lib/size; rm -f /tmp/lock",
            "17 3 * * * find / -xdev -name core -exec rm {} +",
            "17 3 * * * find /srv -name '*.log' -mtime +7 -delete",
            "17 3 * * * find /srv/web/cache -mtime +7 -delete; df /srv/ticks/db",
            "17 3 * * * t=$(mktemp); du -s /srv/ticks/db >$t; mail me <$t; rm -f $t",
            "17 3 * * * cd /srv && rm -f *.tmp",
            "17 3 * * * rm -f /srv/*.tmp",
            "17 3 * * * mv /var/log/x.log /srv/",
            "17 3 * * * rm -f /$a/$b/$c/$d",
            "17 3 * * * gzip -r /srv/ticks-old /srv/ticks/dbx",
            "17 3 * * * ssh far rm -rf /srv/ticks/db/2025",
            "17 3 * * * ssh far 'rm -rf /srv/ticks/db/2025'",
            "17 3 * * * /usr/bin/certbot renew --deploy-hook 'rm -rf /var/cache/x'",
        ],
    )
    def test_are_left_out(self, line: str) -> None:
        assert foreign_masters(f"{line}\n", settings(), is_systems=" root " in line) == []

    def test_are_left_out_where_they_are_ours(self) -> None:
        mine = target(directory="/srv/ticks/db")
        table = with_block("0 0 * * * rotate_daily.sh\n", STATE, lines(mine))
        assert "cd /srv/ticks/db" in table
        assert told(table) == ["0 0 * * * rotate_daily.sh"]
        without_end = table.replace("# <<< tickward", "# tickward")
        assert len(told(without_end)) > 1, "an end that is missing hides nothing"

    @given(st.text(), st.lists(st.sampled_from(WORDS)).map(" ".join))
    def test_whatever_they_are_made_of_do_no_harm(self, odd: str, words: str) -> None:
        for text in (odd, words):
            foreign_masters(f"0 0 * * * {text}\n{text}\n", settings(), home=HOME)
            foreign_in_script(f"#!/bin/sh\n{text}", settings())
            foreign_in_script(f"#!/usr/bin/perl\n{text}", settings())


class TestScripts:
    def test_of_a_shell_are_found_by_what_they_do(self) -> None:
        script = (
            "#!/bin/sh\nset -e\nDATA=${1:-/srv/ticks/db}\ntmp=$(mktemp)\n# rm -r /srv/ticks\n"
            'rm -f "$tmp"\nfind "$DATA" -name "*.db" \\\n  -mtime +7 |\n  while read -r f; do\n'
            '  echo "$f"\n  zstd --rm "$f"\ndone\n'
        )
        assert foreign_in_script(script, settings()) == Entry(11, 'zstd --rm "$f"')
        assert foreign_in_script(script.replace("zstd --rm", "sha256sum"), settings()) is None
        assert foreign_in_script(script.replace("/srv/ticks/db", "/srv/web"), settings()) is None

    def test_of_python_are_found_by_the_words_that_are_in_them(self) -> None:
        script = '#!/usr/bin/env python3\nimport os\nDAYS = "/srv/ticks/db"\nos.remove(DAYS + "/x.db")\n'
        assert foreign_in_script(script, settings()) == Entry(4, 'os.remove(DAYS + "/x.db")')
        assert foreign_in_script(script.replace("remove", "stat"), settings()) is None
        assert foreign_in_script(script.replace("ticks/db", "ticks/dbx"), settings()) is None
        assert foreign_in_script("os.remove('/srv/ticks/db')\n", settings()) is None, "no script"

    def test_that_are_tickwards_own_are_left_out(self) -> None:
        script = "#!/bin/sh\nrm -f /srv/ticks/db/x\n"
        assert foreign_in_script(script, settings()) is not None
        assert (
            foreign_in_script(
                script.replace("sh\n", "sh\n# made by `tickward service install`\n"), settings()
            )
            is None
        )
