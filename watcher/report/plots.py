"""The plots of the report, as SVG that stands in the page: Matplotlib's.

The same numbers make the same bytes. Without Matplotlib there is no report: `require_plots` says what to do.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from html import escape
from typing import TYPE_CHECKING, Any

from watcher.errors import ConfigError
from watcher.report.series import Line, Ratio, Sizes
from watcher.wording import size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"hot": "#a63a1e", "warm": "#eaa43c", "cold": "#c9dcf2"}
"""Of the tiers: each lighter than the one before it, so that they differ in grey as well."""
_HATCHES = {"hot": "", "warm": "///", "cold": "..."}
_INK = "#26313f"
_WIDE, _HIGH = 7.2, 2.7
_MARGINS = {"left": 0.09, "right": 0.995, "top": 0.97, "bottom": 0.15, "wspace": 0.25}
"""Fixed, with room for any label: to find them out would draw everything twice."""
_BINS = 24


def require_plots() -> None:
    """Raise `ConfigError` if the library that draws is not there."""
    try:
        import matplotlib.figure  # noqa: F401, PLC0415 (half a second, and only here)
    except ImportError:
        raise ConfigError(
            "the report is drawn with Matplotlib, which is not installed: pip install 'tickward[report]'"
        ) from None


def size_plot(sizes: Sizes) -> str:
    """Stored bytes by tier, over time."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        tiers = list(sizes.tiers)
        axes.stackplot(
            list(map(_number, sizes.days)),
            *sizes.tiers.values(),
            labels=tiers,
            colors=[COLOURS[tier] for tier in tiers],
            hatch=[_HATCHES[tier] for tier in tiers],
            edgecolor="white",
            linewidth=0.4,
        )
        _bytes_axis(axes)
        _dates_axis(axes)
        axes.margins(x=0)
        axes.legend(loc="upper left", ncols=3, frameon=False)

    last = {tier: size(values[-1]) for tier, values in sizes.tiers.items()}
    words = ", ".join(f"{number} {tier}" for tier, number in last.items())
    return _svg(
        "size", "Stored bytes by tier", f"Both copies of every day. On {sizes.days[-1]}: {words}.", draw
    )


def day_plot(line: Line) -> str:
    """Uncompressed bytes of each day, over time."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        edges = [*line.days, line.days[-1] + timedelta(days=line.every)]
        axes.stairs(line.values, list(map(_number, edges)), fill=True, color=COLOURS["hot"])
        _bytes_axis(axes)
        _dates_axis(axes)
        axes.margins(x=0)

    every = "a day" if line.every == 1 else f"a day, on average of {line.every} days each"
    words = f"From {line.days[0]} to {line.days[-1]}: up to {size(max(line.values))} {every}."
    return _svg("days", "Bytes of ticks a day, uncompressed", words, draw)


def ratio_plot(line: Line, ratios: list[Ratio]) -> str:
    """How many times smaller days became, over time and how often."""

    def draw(figure: Figure) -> None:
        over_time, often = figure.subplots(1, 2, width_ratios=(3, 1))
        over_time.plot(list(map(_number, line.days)), line.values, ".", markersize=3, color=_INK)
        over_time.set_ylabel("times smaller")
        over_time.set_ylim(0, max(line.values) * 1.15)
        _dates_axis(over_time)
        often.hist(
            [each.ratio for each in ratios], bins=_BINS, color=COLOURS["cold"], edgecolor=_INK, linewidth=0.4
        )
        often.set_xlabel("times smaller")
        often.set_ylabel("days")
        often.yaxis.get_major_locator().set_params(integer=True)

    values = sorted(each.ratio for each in ratios)
    middle = values[len(values) // 2]
    words = (
        f"{len(values):,} days: {values[0]:.2f} to {values[-1]:.2f} times smaller, the median {middle:.2f}."
    )
    return _svg("ratios", "Compression ratios over time, and how often each is", words, draw)


def _bytes_axis(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(lambda value, _: size(max(value, 0)))
    axes.set_ylim(bottom=0)


def _number(day: date) -> float:
    """A date as the library counts: days from 1970 on."""
    return float(day.toordinal() - date(1970, 1, 1).toordinal())


def _dates_axis(axes: Axes) -> None:
    import matplotlib.dates  # noqa: PLC0415

    dates: Any = matplotlib.dates  # which has no types yet
    locator = dates.AutoDateLocator(minticks=3, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))


def _svg(name: str, title: str, words: str, draw: Callable[[Figure], None]) -> str:
    """A drawing with its name and what it shows in words, for whoever does not see it."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    with _style(name):
        figure = Figure(figsize=(_WIDE, _HIGH))
        figure.subplots_adjust(**_MARGINS)
        draw(figure)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return _inline(out.getvalue(), name, title, words)


@contextmanager
def _style(name: str) -> Iterator[None]:
    """Ours alone, whatever a person has in a file of Matplotlib's."""
    import matplotlib as mpl  # noqa: PLC0415

    ours: dict[str, Any] = {
        "svg.hashsalt": f"tickward {name}",
        "svg.fonttype": "none",
        "font.family": "DejaVu Sans",
        "font.size": 8,
        "text.color": _INK,
        "axes.edgecolor": "#8793a1",
        "axes.labelcolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "grid.color": "#dde2e8",
        "grid.linewidth": 0.6,
        "hatch.linewidth": 0.6,
        "timezone": "UTC",
    }
    with mpl.rc_context():
        mpl.rcdefaults()
        parameters: Any = mpl.rcParams
        parameters.update(ours)
        yield


def _inline(svg: str, name: str, title: str, words: str) -> str:
    """What of a document may stand within a page: no second document, no style for all, no id twice."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*">', "<g>", body)
    head, _, rest = body.partition(">")
    box = re.search(r'viewBox="[^"]*"', head)
    assert box is not None
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    labelled = f'role="img" aria-labelledby="{name}-title {name}-words"'
    told = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-words">{escape(words)}</desc>'
    return f'<svg class="plot" {spaces} {box[0]} {labelled}>{told}{rest}'
