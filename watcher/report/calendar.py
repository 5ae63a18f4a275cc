"""The calendar of the report: a grid for each year of a stream, a column for each week. Pure.

A tier is told by its letter as well as by its shade, so that it can be read in grey.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby

from msgspec import Struct

from watcher.report.html import Html, paragraph, table, text
from watcher.report.plots import COLOURS
from watcher.view.calendar import LEGEND, Calendar

MOST_GRIDS = 60
"""More are not drawn: a grid is 15 KB."""
MOST_GAPS = 100
_SIDE, _LEFT, _TOP = 13, 28, 14
_MARKS = {
    "hot": ("H", COLOURS["hot"], "#ffffff"),
    "warm": ("W", COLOURS["warm"], "#000000"),
    "cold": ("C", COLOURS["cold"], "#000000"),
    "gone": ("G", "#f6f7f9", "#5b6673"),
    "active": ("A", "#ffffff", "#000000"),
    "over": ("O", "#ffffff", "#000000"),
    "ahead": ("N", "#ffffff", "#9aa4b0"),
    "missing": ("x", "#ffffff", "#000000"),
}
_COUNTED = ("hot", "warm", "cold", "gone", "missing")
_WORDS = {letter.name: letter.words for letter in reversed(LEGEND) if not letter.trouble}
_BY_LETTER = {letter.letter: letter for letter in LEGEND}


class Grid(Struct, frozen=True):
    """A year of a stream."""

    stream: str
    year: int
    days: tuple[tuple[date, str], ...]
    """With the letter of each (`watcher.view.calendar.LEGEND`)."""

    @property
    def counts(self) -> Counter[str]:
        """How many days have each name."""
        return Counter(_BY_LETTER[letter].name for _, letter in self.days)


def grids_of(calendars: Iterable[Calendar]) -> list[Grid]:
    """By stream and year."""
    return [
        Grid(calendar.stream, year, tuple(days))
        for calendar in calendars
        for year, days in groupby(_days(calendar), lambda day: day[0].year)
    ]


def _days(calendar: Calendar) -> Iterator[tuple[date, str]]:
    for span in calendar.spans:
        for index, letter in enumerate(span.letters):
            yield span.first + timedelta(days=index), letter


def gaps_of(calendars: Iterable[Calendar]) -> list[tuple[str, date, date]]:
    """Of each stream the days that are missing between others, the first and the last of each run."""
    found = []
    for calendar in calendars:
        for name, run in groupby(_days(calendar), lambda day: _BY_LETTER[day[1]].name):
            if name == "missing":
                days = [day for day, _ in run]
                found.append((calendar.stream, days[0], days[-1]))
        for one, other in zip(calendar.spans, calendar.spans[1:], strict=False):
            after = one.first + timedelta(days=len(one.letters))
            found.append((calendar.stream, after, other.first - timedelta(days=1)))
    return sorted(found)


def calendar(calendars: Sequence[Calendar]) -> Html:
    """The legend, the grids of the newest years, and what all years count."""
    grids = grids_of(calendars)
    drawn = grids
    parts = [_legend()]
    if len(grids) > MOST_GRIDS:
        newest = sorted(range(len(grids)), key=lambda index: grids[index].year, reverse=True)[:MOST_GRIDS]
        drawn = [grids[index] for index in sorted(newest)]
        parts.append(
            paragraph(
                f"Drawn are the newest {MOST_GRIDS} of {len(grids)} years of streams; the table below counts "
                "all of them. A shorter range of days (--from, --to) draws others."
            )
        )
    parts += map(_figure, drawn)
    return Html("\n".join((*parts, _counts(grids), _gaps(gaps_of(calendars)))))


def _legend() -> Html:
    """What the marks mean; and the marks themselves, which the grids refer to."""
    marks = "".join(_tile(name, *mark) for name, mark in _MARKS.items())
    frames = _frame("attention", 'stroke-width="1.4" stroke-dasharray="2 1.2"')
    frames += _frame("failing", 'stroke-width="2.2"')
    entries = [_entry(_WORDS[name], name) for name in _MARKS]
    entries.append(_entry("framed in dashes: wants attention", "missing", "attention"))
    entries.append(_entry("framed: failing, a person must act", "missing", "failing"))
    symbols = f'<svg class="symbols" aria-hidden="true"><defs>{marks}{frames}</defs></svg>'
    return Html(f'{symbols}<ul class="legend">{"".join(entries)}</ul>')


def _tile(name: str, mark: str, fill: str, ink: str) -> str:
    inner = _SIDE - 1
    return (
        f'<symbol id="day-{name}" width="{_SIDE}" height="{_SIDE}"><rect x=".5" y=".5" width="{inner}" '
        f'height="{inner}" fill="{fill}" stroke="#9aa4b0" stroke-width=".5"/><text x="{_SIDE / 2}" '
        f'y="{_SIDE - 3.6}" fill="{ink}" font-size="8" text-anchor="middle">{mark}</text></symbol>'
    )


def _frame(trouble: str, stroke: str) -> str:
    inner = _SIDE - 2.4
    return (
        f'<symbol id="day-{trouble}" width="{_SIDE}" height="{_SIDE}"><rect x="1.2" y="1.2" width="{inner}" '
        f'height="{inner}" fill="none" stroke="#000" {stroke}/></symbol>'
    )


def _entry(words: str, *names: str) -> str:
    uses = "".join(f'<use href="#day-{name}"/>' for name in names)
    box = f'viewBox="0 0 {_SIDE} {_SIDE}"'
    return f'<li><svg class="mark" {box} aria-hidden="true">{uses}</svg> {text(words)}</li>'


def _figure(grid: Grid) -> Html:
    """A grid: Monday is the first row."""
    first = date(grid.year, 1, 1)
    before = first.weekday()
    cells = "".join(_cell(letter, (day - first).days + before) for day, letter in grid.days)
    months = "".join(
        f'<text x="{_LEFT + ((month - first).days + before) // 7 * _SIDE}" y="10">{month:%b}</text>'
        for month in (date(grid.year, number, 1) for number in range(1, 13))
    )
    rows = "".join(
        f'<text x="0" y="{_TOP + row * _SIDE + 9.5}">{name}</text>'
        for row, name in ((0, "Mon"), (2, "Wed"), (4, "Fri"))
    )
    title = f"{grid.stream} {grid.year}"
    words = _in_words(grid.counts)
    size = f'viewBox="0 0 {_LEFT + 54 * _SIDE} {_TOP + 7 * _SIDE + 1}"'
    told = f"<title>{text(title)}</title><desc>{text(words)}</desc>"
    return Html(
        f"<figure><figcaption><b>{text(title)}</b>: {text(words)}</figcaption>"
        f'<svg class="year" role="img" {size} font-size="9">{told}{months}{rows}{cells}</svg></figure>\n'
    )


def _cell(letter: str, index: int) -> str:
    known = _BY_LETTER[letter]
    place = f'x="{_LEFT + index // 7 * _SIDE}" y="{_TOP + index % 7 * _SIDE}"'
    trouble = f'<use href="#day-{known.trouble}" {place}/>' if known.trouble else ""
    return f'<use href="#day-{known.name}" {place}/>{trouble}'


def _in_words(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[name]} {name}" for name in _MARKS if counts[name])


def _counts(grids: Iterable[Grid]) -> Html:
    rows = (
        (grid.stream, grid.year, len(grid.days), *(grid.counts[name] for name in _COUNTED)) for grid in grids
    )
    heads = ("stream", "year", "days", *_COUNTED)
    return table("Days by stream and year", heads, rows, numbers=range(1, len(heads)))


def _gaps(gaps: Sequence[tuple[str, date, date]]) -> Html:
    if not gaps:
        return paragraph("No day is missing between the first and the last of a stream.")
    rows = ((stream, first, last, (last - first).days + 1) for stream, first, last in gaps[-MOST_GAPS:])
    heads = ("stream", "from", "to", "days")
    left_out = f" (the last {MOST_GAPS} of {len(gaps)})" if len(gaps) > MOST_GAPS else ""
    return table(f"Missing days, of which nothing is there{left_out}", heads, rows, numbers=(3,))
