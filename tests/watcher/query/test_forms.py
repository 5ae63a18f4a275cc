"""CSV and JSON: what other programs read is what SQLite had."""

from __future__ import annotations

import csv
import io
import json

import pytest

from watcher.errors import ConfigError
from watcher.query.forms import as_csv, as_json
from watcher.query.output import require_names
from watcher.query.spool import Row

COLUMNS = ("day", "a", "b")
ROWS: list[Row] = [
    ("2026-01-15", None, 0.1 + 0.2),
    ("2026-01-16", 'a "b", c\r\nd', b"\x00\xff"),
    ("2026-01-17", -(2**63), 1e300),
]


def test_csv_is_rfc_4180() -> None:
    text = b"".join(as_csv(COLUMNS, ROWS)).decode()
    assert text.split("\r\n")[:2] == ["day,a,b", "2026-01-15,,0.30000000000000004"]
    assert list(csv.reader(io.StringIO(text, newline="")))[2:] == [
        ["2026-01-16", 'a "b", c\r\nd', "00ff"],
        ["2026-01-17", "-9223372036854775808", "1e+300"],
    ]


def test_json_is_an_array_of_objects() -> None:
    rows = [*ROWS, ("2026-01-18", float("inf"), "🜨")]
    found = json.loads(b"".join(as_json(COLUMNS, rows)))
    assert found[0] == {"day": "2026-01-15", "a": None, "b": 0.30000000000000004}
    assert [each["b"] for each in found[1:]] == ["00ff", 1e300, "🜨"]
    assert found[3]["a"] is None


def test_nothing_is_a_header_or_an_empty_array() -> None:
    assert b"".join(as_csv(COLUMNS, [])) == b"day,a,b\r\n"
    assert json.loads(b"".join(as_json(COLUMNS, []))) == []


@pytest.mark.parametrize("form", [as_csv, as_json])
def test_rows_are_written_as_they_come(form: object) -> None:
    taken: list[int] = []

    def rows() -> object:
        for number in range(100_000):
            taken.append(number)
            yield ("2026-01-15", number, "x" * 50)

    pieces = form(COLUMNS, rows())  # type: ignore[operator]
    next(pieces)
    assert len(taken) < 5000


def test_two_columns_of_one_name_do_not_fit_into_an_object() -> None:
    require_names(("day", "bid", "Bid"))
    with pytest.raises(ConfigError, match=r"'bid'.* AS"):
        require_names(("day", "bid", "bid"))
