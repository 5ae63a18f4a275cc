"""The policy as a timeline: what happens to a day at which age, and which dates that means today. Pure."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from textwrap import wrap

from cronsim import CronSim
from msgspec import Struct

from handlers.contract import Step
from watcher.lifecycle import STAGES
from watcher.schedule import NEVER, ON_ROTATION, due, end_of, next_after, start_of
from watcher.settings import Ageing, Settings
from watcher.wording import count_of, moment

_DAY = timedelta(days=1)
_EVERY_DAY, _EVERY_HOUR, _EVERY_WEEK, _EVERY_MONTH = (
    re.compile(pattern)
    for pattern in (
        r"(?P<minute>\d+) (?P<hour>\d+) \* \* \*",
        r"(?P<minute>\d+) \* \* \* \*",
        r"(?P<minute>\d+) (?P<hour>\d+) \* \* (?P<weekday>[0-7]|SUN|MON|TUE|WED|THU|FRI|SAT)",
        r"(?P<minute>\d+) (?P<hour>\d+) (?P<day>\d+) \* \*",
    )
)
_WEEKDAYS = ("Sundays", "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays")
_DONE = {
    Step.CREATE: "made",
    Step.SEAL: "sealed",
    Step.BACKUP: "backed up",
    Step.COMPRESS: "compressed",
    Step.ARCHIVE: "archived",
    Step.EXPIRE: "deleted",
}
_WHAT = {
    Step.CREATE: "an empty database from the schema, under its name only when it is whole",
    Step.SEAL: "as soon as its writer has gone: checked, counted, its SHA-256 taken",
    Step.BACKUP: "a second copy, read back and compared",
    Step.COMPRESS: "both copies, read back and compared; then the uncompressed ones go",
    Step.ARCHIVE: "the compressed file moves to data.archive, and is read back there",
    Step.EXPIRE: "every copy goes; the certificate stays in the journal",
}
_LABEL, _RULE = 12, "|"


class Milestone(Struct, frozen=True):
    """A step in a day's life."""

    step: Step
    """Its name."""
    enabled: bool
    """False: it is never done, as the settings say."""
    after_days: int
    """Days after the end of the day, UTC; for ``create``: before its beginning."""
    schedule: str
    """The first time of this after that age: a cron expression (UTC), or ``on_rotation`` for at once."""
    when: str
    """Age and schedule in words."""
    through: date | None
    """The newest day for which it is due by now; null: it is never done."""
    next: datetime | None
    """When it is due for further days: RFC 3339, UTC; null: never."""
    next_through: date | None
    """The newest day for which it is due then."""
    today: str
    """What the dates mean, in a sentence."""


class Recurring(Struct, frozen=True):
    """What is done again and again, whatever the age of a day."""

    step: Step
    """``verify``: every copy is read again; ``drill``: a cold day, drawn by lot, is restored on trial."""
    schedule: str
    """A cron expression (UTC), or ``never``."""
    when: str
    """The same in words."""
    next: datetime | None
    """The next time of the schedule: RFC 3339, UTC; null: never."""


class Policy(Struct, frozen=True):
    """How long a day is kept in which form, and what the dates are today."""

    at: datetime
    """For when that is told: RFC 3339, UTC."""
    life: tuple[Milestone, ...]
    """The steps in a day's life, in order."""
    recurring: tuple[Recurring, ...]
    """Verification and restore drills."""
    compress_level: int
    """Of the compression, 1 to 22."""
    keep_min: int
    """So many of the newest days of each stream are kept, whatever their age."""
    max_at_once: int
    """More days of one stream than so many are not deleted at once unless a person agrees."""
    restored_days: int
    """Days for which a restored copy stays in the root before it is compressed away again."""
    journal_days: int
    """Days for which events are kept; what they have come to, and certificates, stay for good."""
    journal_from: date
    """Events of days before this may have been pruned."""


def timeline(settings: Settings, now: datetime) -> Policy:
    """The policy of the settings, with the dates that it means now."""
    verify = settings.verify
    again = ((Step.VERIFY, verify.schedule), (Step.DRILL, verify.drill_schedule))
    life = [_milestone(s.step, s.ageing(settings), now, enabled=s.enabled(settings)) for s in STAGES]
    return Policy(
        at=now,
        life=(_creation(settings, now), *life),
        recurring=tuple(Recurring(step, each, in_words(each), next_after(each, now)) for step, each in again),
        compress_level=settings.compress.level,
        keep_min=settings.expire.keep_min,
        max_at_once=settings.expire.max_at_once,
        restored_days=settings.restore.keep_days,
        journal_days=settings.journal.keep_days,
        journal_from=now.date() - timedelta(days=min(settings.journal.keep_days, now.date().toordinal() - 1)),
    )


def in_words(schedule: str) -> str:
    """A schedule for a sentence: ``Sundays 02:00 UTC``."""
    if schedule in (ON_ROTATION, NEVER):
        return "at once" if schedule == ON_ROTATION else NEVER
    plain = " ".join(schedule.upper().split())
    if found := _EVERY_DAY.fullmatch(plain):
        return f"every day {_time(found)} UTC"
    if found := _EVERY_HOUR.fullmatch(plain):
        return f"every hour, {int(found['minute'])} minutes past" if int(found["minute"]) else "every hour"
    if found := _EVERY_WEEK.fullmatch(plain):
        return f"{_weekday(found['weekday'])} {_time(found)} UTC"
    if found := _EVERY_MONTH.fullmatch(plain):
        return f"the {_ordinal(int(found['day']))} of each month {_time(found)} UTC"
    explained = CronSim(schedule, start_of(date(2026, 1, 1))).explain()
    return f"{explained[0].lower()}{explained[1:]}, UTC ({schedule})"


def _time(found: re.Match[str]) -> str:
    return f"{int(found['hour']):02}:{int(found['minute']):02}"


def _weekday(text: str) -> str:
    if text.isdigit():
        return _WEEKDAYS[int(text) % 7]
    return next(name for name in _WEEKDAYS if name.upper().startswith(text))


def _ordinal(number: int) -> str:
    ending = "th" if number in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _creation(settings: Settings, now: datetime) -> Milestone:
    ahead, enabled = settings.create.ahead_days, settings.create.enabled
    through = now.date() + timedelta(days=ahead)
    moment_of_next = end_of(now.date())
    return Milestone(
        step=Step.CREATE,
        enabled=enabled,
        after_days=ahead,
        schedule=ON_ROTATION,
        when=f"{count_of(ahead, 'day')} ahead, 00:00 UTC" if enabled else "never (create.enabled = false)",
        through=through if enabled else None,
        next=moment_of_next if enabled else None,
        next_through=through + _DAY if enabled else None,
        today=_today(Step.CREATE, through, moment_of_next, through + _DAY)
        if enabled
        else "its writer makes each day's database",
    )


def _milestone(step: Step, ageing: Ageing, now: datetime, *, enabled: bool) -> Milestone:
    age, schedule = ageing.after_days, ageing.schedule
    if not enabled:
        never = f"never ({step}.enabled = false)"
        return Milestone(step, False, age, schedule, never, None, None, None, f"no day is {_DONE[step]}")
    through = _newest_due(ageing, now)
    following = due(through + _DAY, age, schedule)
    next_through = _newest_due(ageing, following)
    today = _today(step, through, following, next_through)
    return Milestone(step, True, age, schedule, age_in_words(ageing), through, following, next_through, today)


def _newest_due(ageing: Ageing, now: datetime) -> date:
    """The newest day for which it is due: as the planner has it, since later days are never due sooner."""
    days = range(1, now.date().toordinal() + 1)
    place = bisect_right(
        days, now, key=lambda day: due(date.fromordinal(day), ageing.after_days, ageing.schedule)
    )
    return date.fromordinal(max(place, 1))


def age_in_words(ageing: Ageing) -> str:
    """``after 7 days, Sundays 02:00 UTC``."""
    age = "" if ageing.after_days == 0 else f"after {count_of(ageing.after_days, 'day')}, "
    return age + in_words(ageing.schedule)


def _today(step: Step, through: date, following: datetime, next_through: date) -> str:
    done = _DONE[step]
    return (
        f"days up to {through} are {done} by now; "
        f"the next time, {moment(following)}, takes days up to {next_through}"
    )


def lines(policy: Policy, width: int = 100) -> Iterator[str]:
    """The timeline for people, folded to a width."""
    yield f"What is done with a day at which age; today is {policy.at:%Y-%m-%d} (UTC, {policy.at:%H:%M})"
    yield ""
    for each in policy.life:
        told = (_WHAT[each.step], each.today) if each.enabled else (each.today,)
        yield from _entry(_age(each), f"{each.step}  {_hour(each)}", told, width)
        if each.step is Step.CREATE:
            yield from _entry("its day", "active", ("nobody but its writer touches it",), width)
    yield ""
    for label, text in (*_again(policy), *_rails(policy)):
        first, *others = wrap(text, max(width - _LABEL, 40), break_on_hyphens=False)
        yield f"{label:{_LABEL}}{first}"
        yield from (f"{'':{_LABEL}}{other}" for other in others)


_AGAIN = {Step.VERIFY: "every copy is read again", Step.DRILL: "a cold day is restored on trial"}


def _age(each: Milestone) -> str:
    if not each.enabled:
        return "never"
    if each.step is Step.CREATE:
        return "before" if each.after_days else "its day"
    return count_of(each.after_days, "day")


def _hour(each: Milestone) -> str:
    """Its age stands before it."""
    return each.when if not each.enabled or each.step is Step.CREATE else in_words(each.schedule)


def _entry(age: str, head: str, told: tuple[str, ...], width: int) -> Iterator[str]:
    yield f"{age:>{_LABEL - 2}}  o  {head}"
    for text in told:
        for line in wrap(text, max(width - _LABEL - 3, 40), break_on_hyphens=False):
            yield f"{'':{_LABEL}}{_RULE}  {line}"


def _again(policy: Policy) -> Iterator[tuple[str, str]]:
    for each in policy.recurring:
        following = f"; next {moment(each.next)}" if each.next else ""
        yield each.step, f"{_AGAIN[each.step]}: {each.when}{following}"


def _rails(policy: Policy) -> Iterator[tuple[str, str]]:
    yield "level", f"{policy.compress_level} of Zstandard's 1 to 22"
    yield (
        "kept",
        f"the newest {count_of(policy.keep_min, 'day')} of each stream, whatever their age; and whatever is "
        "on hold: of that nothing is compressed, archived or deleted until it is released",
    )
    yield (
        "at once",
        f"more than {count_of(policy.max_at_once, 'day')} of a stream are deleted only if a person agrees",
    )
    yield "restored", f"an uncompressed copy stays for {count_of(policy.restored_days, 'day')}"
    yield (
        "journal",
        f"events are kept for {count_of(policy.journal_days, 'day')} (from {policy.journal_from}); "
        "what they have come to, and certificates, stay for good",
    )
