"""The forecast as a person reads it in a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap

from watcher.view.forecast import Changes, Forecast, Outlook, Point, in_words
from watcher.view.stack import UNICODE, stacked
from watcher.wording import moment, size

_WIDTH = 80


def lines_of(forecast: Forecast, changes: Changes, *, characters: str = UNICODE) -> Iterator[str]:
    """Line for line; ``characters`` draw the plot."""
    yield f"Forecast at {moment(forecast.at)}: both copies, at the end of each month"
    yield ""
    yield from _months(forecast)
    yield ""
    yield from _days_full(forecast.policy)
    yield ""
    points = forecast.policy.points
    tiers = [[point.hot_bytes for point in points], [point.warm_bytes for point in points]]
    tiers.append([point.cold_bytes for point in points])
    yield from stacked([point.day for point in points], tiers, characters=characters)
    if forecast.changed is not None:
        yield ""
        yield from _compared(forecast, forecast.changed, in_words(changes))
    yield ""
    for sentence in forecast.basis.words:
        yield from wrap(sentence, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _months(forecast: Forecast) -> Iterator[str]:
    # Where all is on one volume, what is on it is the total.
    names = list(forecast.now.volumes) if len(forecast.now.volumes) > 1 else []
    rows: list[tuple[str, ...]] = [("", "hot", "warm", "cold", "total", *map(_head, names))]
    rows.append(("now", *_sizes(forecast.now, names)))
    rows += [(f"{point.day:%Y-%m}", *_sizes(point, names)) for point in forecast.policy.months]
    return _table(rows)


def _sizes(point: Point, names: Iterable[str]) -> Iterator[str]:
    tiers = (point.hot_bytes, point.warm_bytes, point.cold_bytes, point.total_bytes)
    return map(size, (*tiers, *(point.volumes[name] for name in names)))


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        yield "  ".join((first.ljust(widths[0]), *cells)).rstrip()


def _head(volume: str) -> str:
    """Without the state directory, which has no days."""
    return volume.removesuffix(", state").replace(", ", "+")


def _days_full(outlook: Outlook) -> Iterator[str]:
    for volume in outlook.volumes:
        free = f"{size(volume.free_bytes)} of {size(volume.total_bytes)} free"
        full = f"full on {volume.full_on}" if volume.full_on else "not full within 53 weeks"
        yield f"{volume.name}: {free}; {full}"


def _compared(forecast: Forecast, changed: Outlook, options: str) -> Iterator[str]:
    assert forecast.saved is not None
    before, after, saved = forecast.policy, changed, forecast.saved
    yield f"In 52 weeks, with {options}:"
    yield ""
    rows: list[tuple[str, ...]] = [("", "as it is", "changed", "saved")]
    for tier in ("hot", "warm", "cold", "total"):
        numbers = (getattr(each, f"{tier}_bytes") for each in (before.year, after.year, saved))
        rows.append((tier, *map(_signed, numbers)))
    for volume, other in zip(before.volumes, after.volumes, strict=True):
        head = _head(volume.name)
        if len(saved.volumes) > 1:
            pair = volume.year_bytes, other.year_bytes
            rows.append((head, *map(_signed, (*pair, saved.volumes[volume.name]))))
        rows.append((f"{head} full on", *(str(each.full_on or "-") for each in (volume, other)), ""))
    yield from _table(rows)


def _signed(number: int) -> str:
    return size(number) if number >= 0 else f"-{size(-number)}"
