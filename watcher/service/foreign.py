"""Who else may look after the days: the entries of shell scripts in a crontab. PURE.

Two masters are worse than none: a script that compresses or deletes by itself takes a day from under the
daemon. What a script really does nobody can tell from its name; this names whom a person should look at.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from watcher.service.block import without_blocks
from watcher.settings import Settings

_ENTRY = re.compile(r"\s*[0-9*@]")
_VARIABLE = re.compile(r"""\s*["']?(\w+)["']?\s*=\s*(["']?)(.*?)\2\s*$""")
_USE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_SCRIPTS = re.compile(
    r"ticks_"
    r"|\b(?:rotate_daily|compress_old|archive_old|delete_old|cleanup_old|purge_old|monitor)\w*\.(?:sh|py)\b"
    r"|\b(?:rotate|compress)_\w*(?:databases?|dbs?|ticks?)\b"
    r"|(?:rotate|compress).*\.db\b"
    r"|\.db\b.*(?:rotate|compress)",
    re.IGNORECASE,
)
"""What the scripts of this trade are called, and what they are called with."""
_SHORTEST_NAME = 3


def foreign_masters(table: str, settings: Settings) -> list[str]:
    """The entries of a crontab that may be of scripts which do to the days what tickward does, as they stand.

    Those between tickward's own marks are left out, and so are comments. The table may be a user's or one of
    the system's, with a user in each line.
    """
    suspect = _suspect(settings)
    variables: dict[str, str] = {}
    found = []
    for line in without_blocks(table).splitlines():
        if _ENTRY.match(line):
            said = _USE.sub(lambda use: variables.get(use[1] or use[2], use[0]), line)
            if any(each.search(said) for each in suspect):
                found.append(line.strip())
        elif not line.lstrip().startswith("#") and (given := _VARIABLE.match(line)):
            variables[given[1]] = given[3]
    return found


def _suspect(settings: Settings) -> list[re.Pattern[str]]:
    """What no entry of anybody else need say: where the days are, and what they are called."""
    data = settings.data
    places = "|".join(re.escape(path) for path in (data.root, data.backup, data.archive))
    names = {
        name
        for stream in data.streams.values()
        if len(name := PurePosixPath(stream.pattern).name.partition("{")[0]) >= _SHORTEST_NAME
    }
    words = "|".join(map(re.escape, sorted(names)))
    return [_SCRIPTS, re.compile(rf"(?:{places})(?![\w.-])"), *([re.compile(words)] if words else [])]
