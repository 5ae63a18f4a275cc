"""``tickward restore``: a day's database as it was, from wherever it is; or many of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from handlers.contract import Step
from watcher.cli.asking import (
    DRY_RUN,
    JSON,
    carry_out,
    keys_of,
    say_unsealed,
    split_day,
    without_seal,
)
from watcher.cli.context import Context, say
from watcher.errors import ConfigError, TickwardError

if TYPE_CHECKING:
    from watcher.settings import Settings
    from watcher.state import Database

_BETWEEN = ".."
_MOST_DAYS = 36525


def restore(
    context: typer.Context,
    days: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DAY]...", help="2026-01-20, ticks/2026-01-20, or 2026-01-01..2026-01-31."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every day that has a copy, and no database in the root.")
    ] = False,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="A file elsewhere; else back into the root.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Put aside (in the root) or replace what bears the name.")
    ] = False,
    dry_run: Annotated[bool, DRY_RUN] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Restore a day from its compressed, archived or backup copy; its SHA-256 is proven before it has a name.

    In the root it is kept for restore.keep_days and then compressed away again. The copies stay where they
    are. Of a range, and with --all, those days are restored whose database is not in the root; nothing is
    begun unless the volume has room for all of them. If a daemon runs, it does the work, and this follows it
    to its end: Ctrl-C stops following, not the work.

    Exit status: 0 done, or nothing to do; 1 it failed or was refused; 2 usage or configuration; 3 another
    instance is at work.

    Examples:
        tickward restore 2026-01-20  # back into the root
        tickward restore 2026-01-20 --to /tmp/day.db
        tickward restore 2026-01-01..2026-01-31
        tickward restore --all --dry-run

    See also:
        `tickward query` and `tickward shell` read a day without restoring it.
    """
    from watcher.plan import Order

    options: Context = context.obj
    settings = options.load()
    named = days or []
    spans = [_span(text, settings) for text in named if _BETWEEN in text]
    if not named and not everything:
        raise ConfigError("of which day? Name one, or a range such as 2026-01-01..2026-01-31, or give --all")
    if named and everything:
        raise ConfigError("name days, or give --all: one of them")
    if spans or everything:
        _require_root(to, force, "--all" if everything else f"{spans[0].text}")
    keys = keys_of([text for text in named if _BETWEEN not in text], settings)
    if to is not None and len(named) > 1:
        raise ConfigError(f"--to {to}: that is one file, and you have named {len(named)} days; name one")
    if to is not None and len(keys) > 1:
        raise ConfigError(f"--to {to}: {named[0]} is a day of several streams; name one, as in {keys[0]}")
    if spans or everything:
        keys = _many(settings, keys, spans)
    target = str(to.absolute()) if to is not None else ""
    order = Order(Step.RESTORE, by="", keys=keys, target=target, force=force)
    carry_out(options, settings, order, dry_run=dry_run, json=json)


class _Span(NamedTuple):
    """Days in a row, both ends included."""

    text: str
    """As it was given."""
    streams: tuple[str, ...]
    first: date
    last: date

    def every_key(self) -> Iterable[str]:
        for stream in self.streams:
            for number in range((self.last - self.first).days + 1):
                yield f"{stream}/{self.first + timedelta(number)}"


def _span(text: str, settings: Settings) -> _Span:
    """The days of ``2026-01-01..2026-01-31``, of one stream or of each. Raises `ConfigError`."""
    begin, _, end = text.partition(_BETWEEN)
    stream, first = split_day(begin)
    of, last = split_day(end)
    if of not in ("", stream):
        raise ConfigError(f"{text}: a range has one stream, as in ticks/2026-01-01..2026-01-31")
    if first > last:
        raise ConfigError(f"{text}: {first} is after {last}: there is no day between them")
    if (last - first).days >= _MOST_DAYS:
        raise ConfigError(f"{text}: that is more than {_MOST_DAYS:,} days")
    streams = (key.partition("/")[0] for key in keys_of([begin], settings))
    return _Span(text, tuple(streams), first, last)


def _require_root(to: Path | None, force: bool, what: str) -> None:
    if to is not None:
        raise ConfigError(f"--to {to}: that is one file, and {what} is many days; name one")
    if force:
        raise ConfigError(
            f"--force: {what} leaves out what is in the root; name the days that are to give way"
        )


def _many(settings: Settings, named: tuple[str, ...], spans: list[_Span]) -> tuple[str, ...]:
    """The days of a range, or without one all of them, that are not in the root; beside those named.

    Says which are left out, and what it takes. Raises `TickwardError` if there is no room for that.
    """
    from watcher.premises import clock_of
    from watcher.survey import survey

    now = clock_of(settings.clock).now()
    found = survey(settings, now).databases
    asked = [key for span in spans for key in span.every_key()] if spans else list(found)
    keys = tuple(dict.fromkeys([*named, *(key for key in asked if _is_away(found.get(key)))]))
    asked_for = (found[key] for key in dict.fromkeys(asked) if key in found)
    unsealed = [each for each in without_seal(asked_for, now.date()) if each.files.database is None]
    say_unsealed(unsealed)
    missed = set(asked).difference(each.key for each in unsealed)
    _say_left_out(key for key in missed if _is_left_out(found.get(key), named=bool(spans)))
    _require_room(settings, keys, found)
    return keys


def _is_in_root(database: Database) -> bool:
    """Whether the database in the root is the day: beside a compressed one it may be a late writer's."""
    raw, facts = database.files.database, database.facts
    if raw is None or facts.compressed is None:
        return raw is not None
    return facts.sealed is not None and raw == facts.sealed.signature


def _is_away(database: Database | None) -> bool:
    """Whether it can be restored; or should, and it is not known why it has no copy: that is refused."""
    if database is None or _is_in_root(database):
        return False
    facts = database.facts
    known = facts.sealed is not None and facts.expired is None
    return known and (database.files.any_copy or facts.lost is None)


def _is_left_out(database: Database | None, *, named: bool) -> bool:
    """Whether somebody may miss it: it is neither in the root nor restored. ``named``: it was asked for."""
    if database is None:
        return named
    if _is_in_root(database) or _is_away(database):
        return False
    return named or database.facts.lost is not None


def _say_left_out(keys: Iterable[str]) -> None:
    from watcher.wording import span

    if some := sorted(set(keys)):
        say(f"left out: {span(some)}: there is no copy; `tickward history DAY` says why")


def _require_room(settings: Settings, keys: tuple[str, ...], found: Mapping[str, Database]) -> None:
    """Also for what is to be left free: a volume that becomes low would stop it half way."""
    import shutil

    from handlers.files import RESERVE_BYTES, filesystem_of
    from watcher.paths import resolved
    from watcher.wording import count_of

    sizes = [found[key].facts.sealed for key in keys if key in found and _is_away(found[key])]
    if not sizes:
        say("nothing is to be restored: every sealed day that has a copy is in the root")
        return
    root = Path(resolved(settings).data.root)
    needed = sum(seal.size_bytes for seal in sizes if seal is not None)
    free, least = shutil.disk_usage(root).free, max(RESERVE_BYTES, settings.health.free_min_bytes)
    say(f"{count_of(len(sizes), 'day')}: {needed:,} bytes are needed in {root}, {free:,} are free")
    if (missing := needed + least - free) > 0:
        raise TickwardError(
            f"there is no room for all of them, as {least:,} bytes are to stay free (health.free_min): "
            f"nothing was begun; free {missing:,} bytes on {filesystem_of(root)}, or restore fewer days"
        )
