"""What ``tickward adopt`` says after the last day: how much was done, and what wants a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter

from msgspec import Struct

from watcher.adopt.finding import Findings
from watcher.cli.adopt_screen import Told, afterwards, flat, more, shown
from watcher.cli.documents.adopt import Copied, Uneven
from watcher.requests import Ended
from watcher.wording import count_of

_KINDS = {
    "conflict": ("day", "in conflict"),
    "corrupt": ("day", "corrupt"),
    "deferred": ("day", "held by somebody"),
    "refused": ("day", "refused"),
    "failed": ("day", "failed"),
    "copied": ("file", "not copied"),
    "stray": ("file", "not taken"),
}
"""Why something was not done, the worst first: of what that is said, and how."""
_SAME = ("although every query finds the same in it", "but the same content")
"""How what is said of a copy ends in which nothing is missing: see `handlers.unknown`."""


class Matter(Struct, frozen=True):
    """Something that was not done."""

    kind: str
    """One of `_KINDS`."""
    text: str
    hint: str


def matters(teller: Told, found: Findings, copied: Iterable[Copied]) -> list[Matter]:
    """All that was not done, each once."""
    return [
        *(
            Matter(_kind(each), f"{each.database}  {flat(each.message)}", flat(each.hint))
            for each in teller.ended
            if not each.ok
        ),
        *(
            Matter("refused", f"{each.database}  {flat(each.reason)}", "")
            for each in teller.planned
            if each.is_refusal
        ),
        *(Matter("refused", f"{key}  {flat(why)}", "") for key, why in found.refused.items()),
        *(Matter("copied", f"{each.database}  {each.problem}", "") for each in copied if each.problem),
        *(Matter("stray", f"{each.path}: {each.problem}", "") for each in found.strays if each.problem),
    ]


def _kind(ended: Ended) -> str:
    """What was not even begun has neither an event nor a hint."""
    if ended.event in _KINDS:
        return ended.event
    return "failed" if ended.event or ended.hint else "refused"


def uneven(teller: Told) -> list[Uneven]:
    """Copies that are not to the last byte what they should be."""
    return [
        Uneven(ended.database, copy["path"], copy["problem"], _mend(ended.database, copy["path"]))
        for ended in teller.ended
        if ended.event == "adopted"
        for copy in (ended.data or {}).get("copies", ())
        if copy["problem"]
    ]


def _mend(key: str, path: str) -> str:
    if path.endswith(".zst"):
        return f"`tickward verify {key}` makes it the same"
    return "it goes when a compressed second copy is made, or with the day"


def ending(
    teller: Told, found: Findings, copied: Sequence[Copied], *, done: int, failed: int, copy: bool
) -> Iterator[str]:
    """What is left, after the last day."""
    yield from _uneven(uneven(teller))
    yield from _left(found, {each.database for each in teller.ended if each.ok}, copy=copy)
    yield f"{count_of(done, 'step')} done, {failed} not"
    yield from _told(matters(teller, found, copied))
    yield from _of_other_dates(teller.remarks())
    yield from afterwards(found)


def _told(what: Sequence[Matter]) -> Iterator[str]:
    """By their kinds; and what is to be done about several of them is said once."""
    for kind, (noun, why) in _KINDS.items():
        some = sorted((each for each in what if each.kind == kind), key=attrgetter("text"))
        hints = Counter(each.hint for each in some if each.hint)
        shared = [hint for hint, count in hints.items() if count > 1]
        for hint in (*shared, ""):
            group = [each for each in some if (each.hint if each.hint in shared else "") == hint]
            if group:
                yield f"{count_of(len(group), noun)} {why}: {hint}".rstrip(" ")
            for each in shown(group):
                yield f"  {each.text}" if hint or not each.hint else f"  {each.text}; {each.hint}"
            yield from more(len(group), noun)


def _of_other_dates(remarks: Mapping[str, str]) -> Iterator[str]:
    if not remarks:
        return
    has = count_of(len(remarks), "day has", "days have")
    yield f"{has} been taken over as named, with ticks that are not of its date: were files mixed up?"
    yield from (f"  {key}  {remark}" for key, remark in shown(list(remarks.items())))
    yield from more(len(remarks), "day")


def _uneven(copies: Sequence[Uneven]) -> Iterator[str]:
    """Those in which nothing is missing are no news: one line. What cannot be read is named."""
    same = [each for each in copies if each.problem.endswith(_SAME)]
    if same:
        forms = {each.path.endswith(".zst") for each in same}
        mends = (
            "uncompressed ones go when a compressed second copy is made, or with the day",
            "`tickward verify DAY` makes compressed ones the same",
        )
        mend = "; ".join(mends[form] for form in sorted(forms))
        some = count_of(len(same), "copy has", "copies have")
        first = f"the first is {same[0].path} (--json lists them)"
        yield f"{some} other bytes than the day's, and every query finds the same: {first}; {mend}"
    others = [each for each in copies if not each.problem.endswith(_SAME)]
    yield from (f"{each.path} {each.problem}: {each.mend}" for each in shown(others))
    yield from more(len(others), "copy", "copies")


def _left(found: Findings, taken: set[str], *, copy: bool) -> Iterator[str]:
    """Files that might have been copied. Some are of days that have been taken over from their backups."""
    if copy:
        return
    left = [each.database for each in found.strays if each.target]
    if rest := sum(key not in taken for key in left):
        some = count_of(rest, "file is", "files are")
        yield f"{some} elsewhere, and left there: --copy brings copies of them"
    if others := len(left) - rest:
        some = count_of(others, "file of a day", "files of days")
        yield (
            f"{some} taken over from a backup can be moved away, once compared with it: "
            "`tickward adopt` names them"
        )
