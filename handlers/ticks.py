"""What is in a table of ticks: how many of which symbols, gaps, and rows that cannot be right.

The table is read once, in the order of its stamps; what is kept meanwhile is a few numbers for each symbol.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import apsw
from msgspec import Struct

from handlers.tick_source import Source, source_of

GAP_MS = 60_000
"""A gap is longer than this."""
_MAX_GAPS = 2000
"""A day has room for 1440."""
_MAX_SYMBOLS = 50_000
_EXAMPLES = 5


class Symbol(Struct, frozen=True):
    """One symbol's ticks."""

    symbol: str | None
    """Null: of ticks without one."""
    ticks: int
    """Rows."""
    first_ms: int | None
    """The earliest stamp."""
    last_ms: int | None
    """The latest."""
    mean_spread: float | None
    """Of the column spread, or where that is null of ask - bid. In the units of the price."""
    longest_gap_ms: int | None
    """Between two ticks of this symbol; null: there are not two."""
    longest_gap_from_ms: int | None
    """When it began."""
    invalid: int | None
    """The ticks with any fault."""


class Gap(Struct, frozen=True):
    """A time without any tick."""

    from_ms: int
    """The last tick before it."""
    to_ms: int
    """The first one after it."""
    length_ms: int
    """From the one to the other."""


class Gaps(Struct, frozen=True):
    """The times between two ticks, of whatever symbol, that are longer than a minute."""

    count: int
    """All of them."""
    total_ms: int
    """The lengths of all of them."""
    listed: tuple[Gap, ...]
    """In order of time; the first 2,000 of them."""


class Example(Struct, frozen=True):
    """A row that has a fault. What of it is no number, or no stamp, is null."""

    id: int | None
    """Of the column id, or the rowid."""
    symbol: str | None
    """As the row has it."""
    timestamp_ms: int | None
    """As the row has it."""
    bid: float | None
    """As the row has it."""
    ask: float | None
    """As the row has it."""
    spread: float | None
    """Or where the row has none, ask - bid."""


class Fault(Struct, frozen=True):
    """One way of being wrong. A row can be wrong in several."""

    count: int
    """Rows that are wrong in this way."""
    examples: tuple[Example, ...]
    """The first five rows, in the order of the table."""


class Invalid(Struct, frozen=True):
    """The rows that cannot be right. Null: the table has not got the columns that tell."""

    rows: int | None
    """Those with any fault."""
    crossed: Fault | None
    """ask < bid."""
    not_positive: Fault | None
    """bid or ask is zero, negative, or no number."""
    wide: Fault | None
    """The spread is more than 10 % of the bid."""
    unstamped: Fault | None
    """timestamp is no number of milliseconds between 1970 and 9999. Such rows are in no gap."""


class Content(Struct, frozen=True):
    """What is in the table. Null, or empty: it cannot be told, see `Analysis.untold`."""

    ticks: int | None
    """Rows."""
    symbols: int | None
    """Different ones."""
    first_ms: int | None
    """The earliest stamp."""
    last_ms: int | None
    """The latest."""
    by_symbol: tuple[Symbol, ...]
    """In the order of their names."""
    gaps: Gaps | None
    """The times without any tick."""
    invalid: Invalid
    """The rows that cannot be right."""


class _Rule(NamedTuple):
    condition: str
    needs: tuple[str, ...]


_RULES = {
    "crossed": _Rule("ask < bid", ("bid", "ask")),
    "not_positive": _Rule("(bid > 0 AND ask > 0) IS NOT TRUE", ("bid", "ask")),
    "wide": _Rule("bid > 0 AND spread > bid * 0.1", ("bid", "spread")),
    "unstamped": _Rule("at IS NULL", ("timestamp",)),
}
_NEEDS = {
    "symbols, by_symbol": ("symbol",),
    "first_ms, last_ms, gaps": ("timestamp",),
    "mean_spread": ("spread",),
    **{f"invalid.{name}": rule.needs for name, rule in _RULES.items()},
}


def content(connection: apsw.Connection, table: str) -> tuple[Content, list[str]]:
    """What is in that table, and what of it cannot be told, with the reason. Raises apsw.Error."""
    source = source_of(connection, table)
    if source is None:
        return _nothing(), [f"content: there is no table {table}"]
    rules = {name: rule for name, rule in _RULES.items() if source.tells(rule.needs)}
    untold = [
        f"{what}: {table} has no column {' or '.join(source.lacking(needs))}"
        for what, needs in _NEEDS.items()
        if not source.tells(needs)
    ]
    seen = _read(connection, source, rules)
    if seen.overflowed:
        untold.append(f"symbols, by_symbol: there are more than {_MAX_SYMBOLS:,}")
    if source.tells(("timestamp",)) and seen.ticks and seen.first is None:
        untold.append("first_ms, last_ms, gaps: no timestamp is a number of milliseconds")
    return _content(connection, source, rules, seen), untold


class _Tally:
    """One symbol as it is being read."""

    __slots__ = ("first", "gap", "gap_from", "invalid", "last", "spread", "spreads", "ticks")

    def __init__(self) -> None:
        self.ticks = self.spreads = self.invalid = 0
        self.spread = 0.0
        self.first: int | None = None
        self.last: int | None = None
        self.gap: int | None = None
        self.gap_from: int | None = None


class _Seen:
    """Everything that one pass through the table has shown."""

    def __init__(self, rules: Mapping[str, _Rule]) -> None:
        self.ticks = 0
        self.first: int | None = None
        self.last: int | None = None
        self.symbols: dict[bytes | None, _Tally] = {}
        self.overflowed = False
        self.gaps: list[Gap] = []
        self.gap_count = self.gap_total = 0
        self.invalid = 0
        self.faults = dict.fromkeys(rules, 0)

    def tally(self, symbol: bytes | None) -> _Tally:
        """That of a symbol that was not seen before."""
        found = _Tally()
        if len(self.symbols) < _MAX_SYMBOLS:
            self.symbols[symbol] = found
        else:
            self.overflowed = True
        return found

    def add_gap(self, begin: int, end: int) -> None:
        self.gap_count += 1
        self.gap_total += end - begin
        if len(self.gaps) < _MAX_GAPS:
            self.gaps.append(Gap(begin, end, end - begin))

    def add_faults(self, bits: int) -> None:
        self.invalid += 1
        for place, name in enumerate(self.faults):
            self.faults[name] += bits >> place & 1


def _read(connection: apsw.Connection, source: Source, rules: Mapping[str, _Rule]) -> _Seen:
    seen = _Seen(rules)
    bits = " | ".join(
        f"((({rule.condition}) IS TRUE) << {place})" for place, rule in enumerate(rules.values())
    )
    rows = f"SELECT at, symbol, spread, {bits or 0} FROM {source.sql} ORDER BY at"  # noqa: S608
    symbols = seen.symbols
    last: int | None = None
    for seen.ticks, (at, symbol, spread, faults) in enumerate(connection.execute(rows), start=1):
        tally = symbols.get(symbol) or seen.tally(symbol)
        tally.ticks += 1
        if spread is not None:
            tally.spread += spread
            tally.spreads += 1
        if faults:
            tally.invalid += 1
            seen.add_faults(faults)
        if at is None:
            continue
        if tally.last is None:
            tally.first = at
        elif tally.gap is None or at - tally.last > tally.gap:
            tally.gap, tally.gap_from = at - tally.last, tally.last
        tally.last = at
        if last is None:
            seen.first = at
        elif at - last > GAP_MS:
            seen.add_gap(last, at)
        last = at
    seen.last = last
    return seen


def _content(connection: apsw.Connection, source: Source, rules: Mapping[str, _Rule], seen: _Seen) -> Content:
    told_apart = source.tells(("symbol",)) and not seen.overflowed
    named = sorted(
        ((source.text(key), tally) for key, tally in seen.symbols.items() if told_apart),
        key=lambda pair: (pair[0] is None, pair[0] or ""),
    )
    return Content(
        ticks=seen.ticks,
        symbols=sum(name is not None for name, _ in named) if told_apart else None,
        first_ms=seen.first,
        last_ms=seen.last,
        by_symbol=tuple(_symbol(name, tally, judged=bool(rules)) for name, tally in named),
        gaps=Gaps(seen.gap_count, seen.gap_total, tuple(seen.gaps)) if seen.first is not None else None,
        invalid=_invalid(connection, source, rules, seen),
    )


def _symbol(name: str | None, tally: _Tally, *, judged: bool) -> Symbol:
    return Symbol(
        symbol=name,
        ticks=tally.ticks,
        first_ms=tally.first,
        last_ms=tally.last,
        mean_spread=tally.spread / tally.spreads if tally.spreads else None,
        longest_gap_ms=tally.gap,
        longest_gap_from_ms=tally.gap_from,
        invalid=tally.invalid if judged else None,
    )


def _invalid(connection: apsw.Connection, source: Source, rules: Mapping[str, _Rule], seen: _Seen) -> Invalid:
    def fault(name: str) -> Fault | None:
        if name not in rules:
            return None
        count = seen.faults[name]
        return Fault(count, tuple(_examples(connection, source, rules[name])) if count else ())

    return Invalid(
        rows=seen.invalid if rules else None,
        crossed=fault("crossed"),
        not_positive=fault("not_positive"),
        wide=fault("wide"),
        unstamped=fault("unstamped"),
    )


def _examples(connection: apsw.Connection, source: Source, rule: _Rule) -> Iterator[Example]:
    rows = (
        f"SELECT id, symbol, at, bid, ask, spread FROM {source.sql} WHERE {rule.condition} LIMIT {_EXAMPLES}"  # noqa: S608
    )
    for key, symbol, at, bid, ask, spread in connection.execute(rows):
        yield Example(key, source.text(symbol), at, bid, ask, spread)


def _nothing() -> Content:
    """Of a table that is not there."""
    return Content(None, None, None, None, (), None, Invalid(None, None, None, None, None))
