"""What is printed at the end: both pictures in one table, and each day that differs by its name."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

from rich.console import Console
from rich.table import Table

from watcher.demo.ledger import Ledger
from watcher.demo.proof import DayProof
from watcher.demo.summary import Outcome, differences, picture_table, summary_table

DAYS = [date(2026, 7, 18) + timedelta(days=number) for number in range(5)]
EXPECTED = dict(zip(DAYS, ("cold", "cold", "warm", "hot", "hot"), strict=True))


def shown(table: Table) -> str:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_equal_pictures_are_said_to_be_equal() -> None:
    text = shown(picture_table(EXPECTED, EXPECTED, "The picture"))
    assert text.count("2026-07-18..2026-07-19") == 2
    assert text.count("2026-07-21..2026-07-22") == 2
    assert "no day differs" in text
    assert differences(EXPECTED, EXPECTED) == []


def test_a_day_that_is_elsewhere_is_named() -> None:
    found = {**EXPECTED, DAYS[0]: "gone", DAYS[2]: "hot"}
    del found[DAYS[4]]
    text = shown(picture_table(EXPECTED, found, "The picture"))
    assert "3 days differ" in text
    assert "│ gone" in text
    assert differences(EXPECTED, found) == [
        "2026-07-18: expected cold, found gone",
        "2026-07-20: expected warm, found hot",
        "2026-07-22: expected hot, found nothing",
    ]


def test_the_sums_keep_what_is_readable_apart_from_what_is_certified() -> None:
    found = {DAYS[0]: "expired", DAYS[1]: "cold"}
    proofs = (DayProof(DAYS[0], 10, 2000, 0, ()), DayProof(DAYS[1], 30, 2000, 500, ()))
    counts = Counter({"verified": 3, "drilled": 1, "failed": 2})
    ledger = Ledger({}, {}, counts, {}, {}, copies_read=6)
    text = shown(summary_table(Outcome({DAYS[0]: 10, DAYS[1]: 30}, proofs, ledger, 5), found))
    cells = [line.strip("│").split("│") for line in text.splitlines() if line.startswith("│")]
    rows = {name.strip(): value.strip() for name, value in cells}
    assert rows["ticks written"] == "40"
    assert (rows["ticks readable"], rows["ticks certified"]) == ("30", "10")
    assert (rows["bytes before"], rows["bytes after"]) == ("4 kB", "500 B")
    assert rows["of them"] == "0 hot, 0 warm, 1 cold, 1 expired"
    assert rows["verified copies"] == "6 in 3 verifications"
    assert (rows["restore drills"], rows["setbacks"]) == ("1", "2 failed")
    assert rows["checksums"] == "every one holds, in all copies"
