"""How ``tickward adopt`` tells people what there is to be taken over, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar

from msgspec.structs import replace

from handlers.contract import Step
from watcher.adopt.finding import UNPROVEN, Findings
from watcher.adopt.forms import Forms
from watcher.adopt.noted import Noted
from watcher.adopt.remarks import of_other_dates
from watcher.cli.asking import Teller
from watcher.requests import Ended, Intention, Planned, Reply
from watcher.view.inventory import Gap
from watcher.wording import count_of, details, size, span

Each = TypeVar("Each")
_MOST_SHOWN = 20
_MOST_DATES = 5
_DAY = timedelta(days=1)
_VERBS = {"adopted": "adopted", "sealed": "sealed", "backed_up": "backed up"}
_SAID = frozenset(("ticks", "counted", "size_bytes", "by", "set_aside"))
"""What a line says in words, or what nobody needs there."""


class Told(Teller):
    """Says of every day that was done what a person wants to know of it: its ticks and its size."""

    def __call__(self, reply: Reply) -> None:
        match reply:
            case Planned():
                super().__call__(Planned(tuple(map(_on_one_line, reply.intentions))))
            case Ended() if reply.ok and reply.event in _VERBS:
                self.ended.append(reply)
                if self._bars:
                    self._bars.remove(reply)
                self._say(sentence(reply))
            case Ended():
                message, hint = flat(reply.message), flat(reply.hint)
                super().__call__(replace(reply, message=message, hint=hint))
            case _:
                super().__call__(reply)

    def sealed(self) -> list[str]:
        """The days that have been sealed, and so can be backed up."""
        return [each.database for each in self.ended if each.ok and each.step is Step.SEAL]

    def remarks(self) -> dict[str, str]:
        """What else is to be said of days that have been taken over."""
        said = ((each.database, _remark(each)) for each in self.ended if each.ok)
        return {key: remark for key, remark in said if remark}


def sentence(ended: Ended) -> str:
    """``ticks/2026-01-06  adopted in 0.3 s  46,538 ticks, 10.5 MB``."""
    data = ended.data or {}
    line = f"{ended.database}  {_VERBS[ended.event]} in {ended.seconds:.1f} s  {_content(_day_in(data))}"
    if aside := data.get("set_aside"):
        line += f"; what was there is kept as {aside}"
    if remark := _remark(ended):
        line += f"; {remark}"
    more = details({name: value for name, value in data.items() if name not in _SAID})
    return f"{line}  {more}".rstrip()


def plan(found: Findings, *, would: bool) -> Iterator[str]:
    """What is done about the days in the tree; ``would``: if somebody says so."""
    will = "would be" if would else "are"
    if found.unknown:
        amount = size(found.unknown_bytes)
        yield f"{span(found.unknown)}  {will} read ({amount}), checked and recorded: the journal has none"
    if not found.to_seal:
        return
    yield f"{span(found.to_seal)}  {will} sealed and backed up, as every day is: not compressed"
    yield f"  {_sealing(found)}"
    if found.with_backup:
        some = count_of(found.with_backup, "has a backup of others", "have backups of others")
        yield (
            f"  {some}: one that is the same to the last byte stays, any other is set aside beside the new "
            "one (.aside-...), and where one has more ticks the day is not backed up before you have chosen"
        )


def _sealing(found: Findings) -> str:
    """What sealing does to the files."""
    count = count_of(len(found.to_seal), ".db is", ".db are")
    if found.compact:
        return f"{count} checked, and written anew where that makes them smaller (seal.compact)"
    logs = count_of(found.with_log, "has", "have") if found.with_log else "none has"
    return (
        f"{count} checked; a write-ahead log is folded into its file, which is written to for that: {logs} "
        "one with ticks"
    )


def told(found: Findings, *, copy: bool) -> Iterator[str]:
    """What there is, and what would be done."""
    yield f"{count_of(found.known, 'day is', 'days are')} known"
    yield from plan(found, would=True)
    for name in ("root", "backup", "archive"):
        yield from _forms(name, getattr(found.places, name))
    yield from _gaps(found.gaps)
    if found.noted is not None:
        yield _noted(found.noted)
    placed = [each for each in found.strays if each.target]
    for stray in shown(placed):
        would = (
            f"would be copied to {stray.target}"
            if copy
            else f"belongs to {stray.target}: --copy puts a copy there"
        )
        yield f"{stray.database}  {stray.path}  {would}"
    yield from more(len(placed), "file")
    what = problems(found)
    yield from shown(what)
    yield from more(len(what), "problem")
    yield from afterwards(found)
    if found.unknown or found.to_seal or (placed and copy):
        yield "nothing was changed: --yes does it"
    elif not placed:
        yield "nothing is to be taken over"


def problems(found: Findings) -> list[str]:
    """What a person has to see to: a line each."""
    strays = [f"{each.path}: {each.problem}" for each in found.strays if each.problem]
    return [*(f"{key}: {flat(why)}" for key, why in found.refused.items()), *strays]


def unproven(found: Findings) -> tuple[str, ...]:
    """What no file can prove, where that matters."""
    return UNPROVEN if found.unknown or found.doubt else ()


def afterwards(found: Findings) -> Iterator[str]:
    """What a person should think of before these days go the way of all others."""
    if found.past_retention:
        some = count_of(found.past_retention, "of these days is", "of these days are")
        yield (
            f"{some} past the retention: what is sealed or taken over more than a week (restore.keep_days) "
            "after the end of its day is kept for another week from then on, then it goes the usual way to "
            "deletion, which asks first where many are due; `tickward hold` keeps what is to be kept, "
            "`expire.enabled = false` all of them"
        )
    if unproven(found):
        yield "files cannot prove:"
        yield from (f"  {each}" for each in unproven(found))
    if found.doubt:
        yield found.doubt
        yield "when what must be kept is on hold again: `tickward adopt --accept-journal`"


def shown(some: Sequence[Each]) -> Sequence[Each]:
    """As many of them as are said one by one."""
    return some[:_MOST_SHOWN]


def more(count: int, noun: str, nouns: str = "") -> Iterator[str]:
    """How many others there are."""
    if count > _MOST_SHOWN:
        rest = count_of(count - _MOST_SHOWN, f"more {noun}", nouns and f"more {nouns}")
        yield f"... and {rest}: --json lists them"


def _forms(name: str, forms: Forms) -> Iterator[str]:
    each = (
        (forms.plain, ".db"),
        (forms.seekable, ".zst of which parts can be read alone"),
        (forms.whole, ".zst of others, read as a whole (--reencode makes them anew)"),
    )
    some = ", ".join(f"{count:,} {what}" for count, what in each if count)
    if some:
        yield f"in {name}: {some}; {size(forms.bytes)}"


def _gaps(gaps: Sequence[Gap]) -> Iterator[str]:
    """A line for each stream. Where there is a market behind the ticks, weekends are no news."""
    for stream, some in groupby(gaps, key=attrgetter("stream")):
        found = list(some)
        days = sum(gap.days for gap in found)
        weekend = sum(_days_at_weekends(gap) for gap in found)
        line = f"{stream}: {count_of(days, 'day is', 'days are')} missing between its first and its last"
        if weekend:
            line += f", {'all' if weekend == days else weekend} at weekends"
        shown = [gap for gap in found if gap.days > _days_at_weekends(gap)]
        yield f"{line}: {_first_few([_range(gap) for gap in shown])}" if shown else line


def _days_at_weekends(gap: Gap) -> int:
    weeks, rest = divmod(gap.days, 7)
    return 2 * weeks + sum((gap.first + number * _DAY).weekday() >= 5 for number in range(rest))


def _range(gap: Gap) -> str:
    return f"{gap.first}" if gap.first == gap.last else f"{gap.first} to {gap.last}"


def _noted(noted: Noted) -> str:
    """What scripts had noted, held against the files."""
    begin = f"{noted.path} is of scripts"
    if not noted.days:
        return f"{begin}: no days can be read from it"
    names = f"{begin}: it names {count_of(noted.days, 'day')}, {noted.first} to {noted.last}"
    if not noted.absent:
        return f"{names}, and of each there is a file here"
    return (
        f"{names}; of {len(noted.absent)} there is no file here: {_first_few(list(map(str, noted.absent)))}"
    )


def _first_few(texts: Sequence[str]) -> str:
    more = len(texts) - _MOST_DATES
    return ", ".join(texts[:_MOST_DATES]) + (f", and {more} more (--json lists them)" if more > 0 else "")


def _day_in(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is known of the day's content."""
    sealed: Mapping[str, Any] = data.get("sealed") or data
    return sealed


def _content(day: Mapping[str, Any]) -> str:
    ticks = count_of(day.get("ticks") or 0, "tick") if day.get("counted", True) else "ticks not counted"
    return f"{ticks}, {size(day.get('size_bytes') or 0)}"


def _remark(ended: Ended) -> str:
    if ended.event not in ("adopted", "sealed"):
        return ""
    day, content = date.fromisoformat(ended.database.rpartition("/")[2]), _day_in(ended.data or {})
    return of_other_dates(day, content.get("first_tick_ms"), content.get("last_tick_ms"))


def _on_one_line(intention: Intention) -> Intention:
    return replace(intention, reason=flat(intention.reason))


def flat(text: str) -> str:
    """SQLite says some things on several lines."""
    return " ".join(text.split())


def copied_line(database: str, path: str, problem: str, *, is_new: bool) -> str:
    """What became of a file from elsewhere. A problem names the file itself."""
    what = f"{path} {'was copied' if is_new else 'is there already'}"
    return f"{database}  {problem or what}"
