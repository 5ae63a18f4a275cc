"""How an analysis is shown to people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from handlers.analyze import Analysis
from handlers.ticks import Fault, Invalid
from watcher.cli.console import console
from watcher.wording import printable, size

_SHOWN_GAPS = 10
_LEAST_SHARE = 0.001
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def show(found: Analysis, title: str, note: str) -> None:
    """Print the report."""
    out = console()
    out.print(Text(printable(title), style="bold"))
    if note:
        out.print(Text(f"note: {printable(note)}", style="yellow"))
    facts = list(_facts(found))
    width = max(len(label) for label, _ in facts)
    for label, told in facts:
        out.print(Text(f"{label:{width}}  {told}"))
    for line in _warnings(found):
        out.print(Text(line, style="yellow"))
    _print_shares(out, found)
    _print_symbols(out, found)
    _print_gaps(out, found)
    _print_invalid(out, found.content.invalid)


def _facts(found: Analysis) -> Iterator[tuple[str, str]]:
    free = f"{found.free_pages:,} free" if found.free_pages else "none free"
    yield (
        "size",
        f"{size(found.size_bytes)}: {_many(found.pages, 'page')} of {found.page_bytes:,} bytes, {free}",
    )
    if packed := found.compression:
        frames = f"{_many(packed.frames, 'frame')} of up to {size(packed.frame_bytes)}"
        yield "compressed", f"{size(packed.bytes)}: {packed.ratio:.2f} times smaller, {frames}"
    version = f"SQLite {found.sqlite_version}" if found.sqlite_version else "an SQLite before 3.7.0"
    yield "last writer", f"{version}; journal mode: {found.journal_mode}"
    told = found.content
    if told.ticks is not None:
        of = f" of {_many(told.symbols, 'symbol')}" if told.symbols is not None else ""
        yield "ticks", f"{told.ticks:,}{of}"
    if told.first_ms is not None and told.last_ms is not None:
        yield "stamps", f"{_stamp(told.first_ms)} to {_stamp(told.last_ms)} UTC"
    if told.gaps is not None:
        total = f", {_length(told.gaps.total_ms)} in all" if told.gaps.count else ""
        yield "gaps", f"{told.gaps.count:,} longer than a minute{total}"
    if told.invalid.rows is not None:
        yield "invalid", _many(told.invalid.rows, "row") if told.invalid.rows else "none"


def _warnings(found: Analysis) -> Iterator[str]:
    if found.wal_reset_bug:
        yield (
            f"warning: SQLite {found.sqlite_version} has the WAL-reset bug, which can corrupt a database in "
            "WAL mode: give the writer 3.51.3 or later (or 3.50.7, 3.44.6)"
        )
    for line in found.untold:
        yield f"not told: {printable(line)}"


def _print_shares(out: Console, found: Analysis) -> None:
    shown = [each for each in found.shares if each.share >= _LEAST_SHARE]
    rest = found.shares[len(shown) :]
    rows: list[tuple[str, ...]] = [
        (each.name, each.kind, size(each.bytes), f"{each.share:.1%}") for each in shown
    ]
    if rest:
        taken = sum(each.bytes for each in rest)
        rows.append((f"{len(rest)} others", "", size(taken), f"{taken / found.size_bytes:.1%}"))
    _table(out, ("table or index", "kind", "bytes>", "share>"), rows)


def _print_symbols(out: Console, found: Analysis) -> None:
    at = _clock(found, "seconds")
    _table(
        out,
        ("symbol", "ticks>", "first", "last", "mean spread>", "longest gap>", "from", "invalid>"),
        (
            (
                _name(each.symbol),
                f"{each.ticks:,}",
                _or_dash(at, each.first_ms),
                _or_dash(at, each.last_ms),
                "-" if each.mean_spread is None else f"{each.mean_spread:.5g}",
                _or_dash(_length, each.longest_gap_ms),
                _or_dash(at, each.longest_gap_from_ms),
                "-" if each.invalid is None else f"{each.invalid:,}",
            )
            for each in found.content.by_symbol
        ),
    )


def _print_gaps(out: Console, found: Analysis) -> None:
    gaps = found.content.gaps
    if gaps is None or not gaps.count:
        return
    at = _clock(found)
    longest = sorted(gaps.listed, key=lambda gap: -gap.length_ms)[:_SHOWN_GAPS]
    in_order = sorted(longest, key=lambda gap: gap.from_ms)
    which = f"{_SHOWN_GAPS} longest gaps" if gaps.count > _SHOWN_GAPS else "gap"
    rows = [(at(gap.from_ms), at(gap.to_ms), _length(gap.length_ms)) for gap in in_order]
    _table(out, (f"{which}: from", "to", "length>"), rows)


def _print_invalid(out: Console, invalid: Invalid) -> None:
    faults: dict[str, Fault | None] = {
        "ask < bid": invalid.crossed,
        "bid or ask not positive": invalid.not_positive,
        "spread beyond 10 % of bid": invalid.wide,
        "no stamp": invalid.unstamped,
    }
    rows = [
        (
            f"{what}: {fault.count:,}" if number == 0 else "",
            "-" if row.id is None else str(row.id),
            _name(row.symbol),
            _or_dash(_stamp, row.timestamp_ms),
            *("-" if value is None else f"{value:.10g}" for value in (row.bid, row.ask, row.spread)),
        )
        for what, fault in faults.items()
        if fault is not None
        for number, row in enumerate(fault.examples)
    ]
    _table(out, ("invalid", "id>", "symbol", "stamp", "bid>", "ask>", "spread>"), rows)


def _table(out: Console, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table if it has rows. A column whose name ends in ``>`` is to the right."""
    shape = box.SIMPLE_HEAD if out.is_terminal else None
    gap = 1 if shape else 2  # with one more from the box: a day's symbols fit into 80 columns
    table = Table(box=shape, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0))
    for column in columns:
        table.add_column(
            column.rstrip(">"), justify="right" if column.endswith(">") else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    if table.row_count:
        out.print()
        out.print(table)


def _clock(found: Analysis, precision: str = "milliseconds") -> Callable[[int], str]:
    """How stamps are shown: without the date as long as it is that of the first."""
    first = found.content.first_ms
    usual = None if first is None else _moment(first).date()

    def shown(ms: int) -> str:
        return _time(ms, precision) if _moment(ms).date() == usual else _stamp(ms, precision)

    return shown


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _name(symbol: str | None) -> str:
    return "(none)" if symbol is None else symbol


def _or_dash(told: Callable[[int], str], value: int | None) -> str:
    return "-" if value is None else told(value)


def _moment(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def _stamp(ms: int, precision: str = "milliseconds") -> str:
    """``2026-01-19 11:51:51.897``."""
    return f"{_moment(ms):%Y-%m-%d} {_time(ms, precision)}"


def _time(ms: int, precision: str) -> str:
    return _moment(ms).time().isoformat(timespec=precision)


def _length(ms: int) -> str:
    """``8.432 s``, ``26 min 4 s``, ``3 h 14 min``."""
    seconds = ms // 1000
    if seconds < 60:
        return f"{ms / 1000:.3f} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600:,} h {seconds // 60 % 60} min"
