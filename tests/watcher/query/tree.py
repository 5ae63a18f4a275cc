"""A small tree of days in every tier: the same for the tests and for the examples in docs/query.md."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import apsw

from handlers.seek_table import read_table
from handlers.seekable import compress_file

SCHEMA = (Path(__file__).parents[3] / "handlers/schema/ticks.sql").read_text()
SYMBOLS = {"EURUSD": 1.16, "GBPUSD": 1.34, "XAUUSD": 4650.0}
INSERT = "INSERT INTO ticks (symbol, timestamp, bid, ask, spread, created_at) VALUES (?, ?, ?, ?, ?, 0)"
BEGIN = date(2026, 1, 15)


def make_day(path: Path, day: date, ticks: int = 60) -> Path:
    """A database of one day; the same ticks for the same day, of three symbols in turn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = apsw.Connection(str(path))
    connection.execute(SCHEMA)
    midnight = (day - date(1970, 1, 1)).days * 86_400_000
    symbols = list(SYMBOLS.items())
    with connection:
        for number in range(ticks):
            symbol, price = symbols[number % len(symbols)]
            bid = round(price * (1 + (number * 7 + day.day) % 13 / 10_000), 5)
            ask = round(bid * (1 + (1 + number % 5) / 100_000), 5)
            connection.execute(
                INSERT,
                (symbol, midnight + number * 1000, bid, ask, round(ask - bid, 5)),
            )
    connection.close()
    return path


def pack(path: Path, target: Path | None = None) -> Path:
    """Compress a database, here or elsewhere, and remove it."""
    target = target or path.with_name(f"{path.name}.zst")
    target.parent.mkdir(parents=True, exist_ok=True)
    compress_file(path, target, level=3, frame_bytes=64 * 1024)
    path.unlink()
    return target


def spoil_checksum(packed: Path) -> None:
    """Leave the content of the first frame as it is, and make the checksum behind it a wrong one."""
    first = next(iter(read_table(packed)))
    data = bytearray(packed.read_bytes())
    data[first.offset + first.compressed_bytes - 1] ^= 0xFF
    packed.write_bytes(data)


def make_tree(folder: Path) -> Path:
    """2026-01-15 in the archive, the 16th compressed, the 17th nowhere, the 18th and 19th as written."""
    data = folder / "data/ticks"
    for number in (0, 1, 3, 4):
        day = BEGIN + timedelta(number)
        below = f"2026/01/ticks_{day}.db"
        path = make_day(data / "db" / below, day, ticks=60 + 6 * number)
        if number == 0:
            pack(path, data / "archive" / f"{below}.zst")
        elif number == 1:
            pack(path)
    return data
