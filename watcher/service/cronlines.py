"""The entries for cron, as lines of a table. PURE.

cron's hours are those of some zone, Debian's cannot be told another, and the zone may change. So each entry
is asked for at every quarter of an hour, because all zones are whole quarters off UTC, and looks at the date
in UTC itself. That costs a `date`. Seconds are not looked at: cron may be late.
"""

from __future__ import annotations

import re
import shlex
from itertools import groupby
from pathlib import Path

from watcher.errors import ConfigError
from watcher.service.hours import CATCH_UP_MINUTE, STATUS_LOG, Entry, Times, entries, times_of
from watcher.service.installation import MARK, Runs
from watcher.service.target import Target

_STATUS_LINES = 5000
"""Of the status log, at the most: a week or two."""
_LONGEST_COMMAND = 990
"""Bytes; Debian's cron refuses 1000."""
_MOST_PATTERNS = 24
_QUARTER = 15
_ONCE = re.compile(r"[0-9@].*/bin/sh -c .*\$\(nice .* once ")
_DATE = "%m-%d.%u.%H:%M"

_HEAD = f"""\
# {MARK}; `tickward service uninstall` takes it out.
# Hours are UTC, whatever this machine's zone: an entry is asked for every quarter of an hour and looks at the
# date itself. They are the configuration's: change them there, and install again. `once` does all that is due
# and nothing else, so an hour that was missed is made up for. What fails is printed: cron mails it.
"""


def lines(target: Target) -> str:
    """All of the block but its marks. Raises `ConfigError` where a path can be in no crontab."""
    user = f"{target.user} " if target.scope == "system" else ""
    given = [_timed(entry, target, user) for entry in entries(target.settings)]
    once = _command(_once(target))
    given += [
        f"# whatever is due still: what was missed, and what had to wait for the writer\n"
        f"{CATCH_UP_MINUTE} * * * * {user}{once}\n",
        f"# and when the machine comes up\n@reboot {user}{once}\n",
    ]
    return _HEAD + "".join(given)


def runs(block: str, *, is_systems: bool) -> Runs | None:
    """What lines that were made here say."""
    entry = next((line for line in block.splitlines() if _ONCE.match(line)), None)
    if entry is None:
        return None
    schedule = 5 if entry[0] != "@" else 1
    words = entry.split(maxsplit=schedule + is_systems)
    try:
        _, _, script = shlex.split(words[-1].replace("\\%", "%"))
        program = shlex.split(script.partition("$(nice ")[2])[0]
    except (ValueError, IndexError):  # it was edited
        return None
    return Runs(program, words[schedule] if is_systems else "")


def _timed(entry: Entry, target: Target, user: str) -> str:
    times = times_of(entry.schedule)
    work = _status(target) if entry.command == "status" else _once(target)
    command = _command(f'case "$(date -u +{_DATE})" in {patterns(times)}) {work};; esac')
    return f'# {entry.what}: "{entry.schedule}"\n{minutes(times)} * * * * {user}{command}\n'


def minutes(times: Times) -> str:
    """cron's field: the minutes that in some zone of the world are those."""
    wanted = times.minutes or range(60)
    asked = sorted({(minute + quarter) % 60 for minute in wanted for quarter in range(0, 60, _QUARTER)})
    return "*" if len(asked) == 60 else ",".join(map(str, asked))


def patterns(times: Times) -> str:
    """What `_DATE` is at those times, for the shell's ``case``.

    A line has not room for everything: where there are too many, fewer fields are looked at. Then `tickward
    once` is called at times when nothing is due.
    """
    fields = [
        _patterns(times.months, 2),
        _patterns(times.days, 2),
        _patterns(times.weekdays, 1),
        _patterns(times.hours, 2),
        _patterns(times.minutes, 2),
    ]
    while _product(fields) > _MOST_PATTERNS:
        fields[max(range(len(fields)), key=lambda index: len(fields[index]))] = ["*"]
    months, days, weekdays, hours, minute = fields
    return "|".join(
        f"{a}-{b}.{c}.{d}:{e}" for a in months for b in days for c in weekdays for d in hours for e in minute
    )


def _patterns(values: tuple[int, ...], width: int) -> list[str]:
    """Of the numbers with so many digits, one for those that differ in the last digit only."""
    texts = [f"{value:0{width}}" for value in values]
    grouped = {begin: [text[-1] for text in each] for begin, each in groupby(texts, lambda text: text[:-1])}
    return [
        begin + (last[0] if len(last) == 1 else f"[{''.join(last)}]") for begin, last in grouped.items()
    ] or ["*"]


def _product(fields: list[list[str]]) -> int:
    product = 1
    for each in fields:
        product *= len(each)
    return product


def _once(target: Target) -> str:
    """Quiet if it went well, or if another instance is at it (exit status 3)."""
    there, tickward = shlex.quote(str(target.directory)), shlex.join(target.command)
    return f'cd {there} && o=$(nice {tickward} once 2>&1) || [ $? = 3 ] || echo "$o"'


def _status(target: Target) -> str:
    """Into its log, with the time and the exit status; printed also where somebody should look now."""
    there, tickward = shlex.quote(str(target.directory)), shlex.join(target.command)
    log = shlex.quote(str(Path(target.settings.data.state) / STATUS_LOG))
    return (
        f"cd {there} && o=$(date -u; nice {tickward} status 2>&1); c=$?; l={log}; "
        f'{{ {{ tail -n {_STATUS_LINES} "$l"; echo "$o" "(exit status $c)"; }} >"$l.new" '
        '&& mv "$l.new" "$l"; } 2>/dev/null; [ $c -lt 2 ] || echo "$o"'
    )


def _command(script: str) -> str:
    """As cron takes it. The shell is named: the table may set another for all that follows."""
    if "\\" in script or not script.isprintable():
        raise ConfigError(
            "a path with a backslash, a line's end or the like cannot be in a crontab: "
            "rename it, or choose another --kind"
        )
    command = f"/bin/sh -c {shlex.quote(script)}".replace("%", "\\%")
    if (length := len(command.encode(errors="surrogateescape"))) > _LONGEST_COMMAND:
        raise ConfigError(
            f"the paths are too long for cron: a command of {length} bytes, it takes {_LONGEST_COMMAND}; "
            "choose shorter ones, or another --kind"
        )
    return command
