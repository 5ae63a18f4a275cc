"""Where every day is: what is asked for, what is missing, and how it is printed."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tests.watcher.builders import DAY, HOLD, database, sealed, utc
from tests.watcher.view.rows import NOW, absent, look, packed, row, unsealed
from watcher.events import Deferred, Failed
from watcher.lifecycle import State
from watcher.overview import Day
from watcher.shapes import words
from watcher.state import Facts
from watcher.view.inventory import MISSING, Choice, Gap, Inventory, Listed, Totals, inventory
from watcher.view.listing import CSV_COLUMNS, csv_text, table

FAILED = Failed("compress", "no space left on device", "free some", 3, True, NOW, "e")
LIFE = (absent(-1), unsealed(0, State.ACTIVE), row(1), row(2), packed(20), packed(60))


def gone(days_ago: int, **changes: Any) -> Day:
    what = {"tier": "gone", "state": State.EXPIRED, "step": None, "due": None, "bytes_now": 0}
    return packed(days_ago, **{**what, "reason": "deleted by the policy", **changes})


def of(stream: str, day: Day) -> Day:
    return replace(day, stream=stream, key=f"{stream}/{day.day}")


def chosen(*days: Day, **choice: Any) -> Inventory:
    return inventory(look(*days), Choice(**choice))


def ago(found: Inventory) -> list[int]:
    return [(DAY - day.day).days for day in found.days]


def run(first_ago: int, last_ago: int, stream: str = "ticks") -> Gap:
    first, last = DAY - timedelta(days=first_ago), DAY - timedelta(days=last_ago)
    return Gap(stream, first, last, first_ago - last_ago + 1)


class TestTheChoice:
    @pytest.mark.parametrize(
        ("choice", "days_ago"),
        [
            ({}, [60, 20, 2, 1, 0, -1]),
            ({"tiers": frozenset({"hot"})}, [2, 1, 0]),
            ({"tiers": frozenset({"warm", "cold"})}, [60, 20]),
            ({"states": frozenset({"active", "absent"})}, [0, -1]),
            ({"states": frozenset({MISSING})}, []),
            ({"stream": "ticks"}, [60, 20, 2, 1, 0, -1]),
            ({"stream": "quotes"}, []),
            ({"first": DAY - timedelta(days=2), "last": DAY}, [2, 1, 0]),
            ({"trouble": True}, []),
        ],
    )
    def test_takes_what_is_asked_for(self, choice: dict[str, Any], days_ago: list[int]) -> None:
        assert ago(chosen(*LIFE, **choice)) == days_ago

    def test_takes_only_those_in_trouble(self) -> None:
        days = (row(1, trouble="failing"), row(2, trouble="attention"), row(3))
        assert ago(chosen(*days, trouble=True)) == [2, 1]

    @pytest.mark.parametrize(
        ("choice", "days_ago", "left_out"),
        [
            ({}, [1], 2),
            ({"deleted": True}, [300, 299, 1], 0),
            ({"tiers": frozenset({"gone"})}, [300, 299], 0),
            ({"states": frozenset({"expired"})}, [300, 299], 0),
            ({"first": DAY - timedelta(days=299)}, [1], 1),
            ({"tiers": frozenset({"hot"})}, [1], 0),
        ],
    )
    def test_leaves_out_and_counts_deleted_days_nobody_asked_for(
        self, choice: dict[str, Any], days_ago: list[int], left_out: int
    ) -> None:
        found = chosen(gone(300), gone(299), row(1), **choice)
        assert (ago(found), found.totals.deleted_left_out) == (days_ago, left_out)

    def test_never_leaves_out_a_deleted_day_that_a_person_must_look_at(self) -> None:
        back = gone(300, trouble="attention", entry="block")
        assert ago(chosen(gone(301), back)) == [300]
        assert ago(chosen(gone(301), back, trouble=True)) == [300]


class TestGaps:
    def test_are_runs_of_days_between_a_stream_s_first_and_its_last(self) -> None:
        found = chosen(row(9), row(8), row(4), row(2), row(1))
        assert found.gaps == [run(7, 5), run(3, 3)]
        assert found.totals.missing == 4

    def test_belong_to_their_stream(self) -> None:
        days = [of("a", row(5)), of("a", row(1)), of("a-b", row(9)), of("a-b", row(7))]
        assert chosen(*days).gaps == [run(8, 8, "a-b"), run(4, 2, "a")]
        assert chosen(*days, stream="a").gaps == [run(4, 2, "a")]

    def test_end_yesterday_if_todays_is_still_to_be_made(self) -> None:
        assert chosen(row(3), absent(0), absent(-1)).gaps == [run(2, 1)]
        assert chosen(row(1), absent(0), absent(-1)).gaps == []
        assert chosen(absent(0), absent(-1)).gaps == []

    def test_do_not_reach_to_a_day_that_a_wrong_clock_has_made(self) -> None:
        assert chosen(row(1), row(0), unsealed(-4000)).gaps == []
        assert chosen(row(3), unsealed(-4000)).gaps == [run(2, 1)]

    def test_of_deleted_days_are_shown_although_those_are_not(self) -> None:
        found = chosen(gone(300), gone(297), *(row(back) for back in range(296, 0, -1)))
        assert found.gaps == [run(299, 298)]

    def test_are_no_more_because_of_a_filter(self) -> None:
        every_other = [row(back, trouble="failing" if back % 2 else "") for back in range(9, -1, -1)]
        for choice in ({"trouble": True}, {"tiers": frozenset({"warm"})}, {"states": frozenset({"sealed"})}):
            assert chosen(*every_other, **choice).gaps == []

    def test_are_cut_to_the_range(self) -> None:
        first, last = DAY - timedelta(days=5), DAY - timedelta(days=3)
        assert chosen(row(9), row(1), first=first, last=last).gaps == [run(5, 3)]
        assert chosen(row(9), row(8), row(1), last=DAY - timedelta(days=8)).gaps == []

    @pytest.mark.parametrize(
        ("choice", "number"),
        [
            ({"tiers": frozenset({"hot"})}, 0),
            ({"trouble": True}, 0),
            ({"states": frozenset({"backed_up"})}, 0),
            ({"states": frozenset({MISSING})}, 1),
            ({"states": frozenset({MISSING, "sealed"})}, 1),
        ],
    )
    def test_have_no_tier_and_only_their_own_state(self, choice: dict[str, Any], number: int) -> None:
        assert len(chosen(row(9), row(1), **choice).gaps) == number


class TestTotals:
    def test_come_from_what_is_listed(self) -> None:
        totals = chosen(gone(300), *LIFE).totals
        # Of today only a size is known, of tomorrow nothing.
        assert (totals.days, totals.ticks, totals.bytes) == (6, 40, 4000)
        assert totals.bytes_now == 1000 + 1000 + 1000 + 200 + 200
        assert totals.ratio == pytest.approx(5.0)

    def test_of_nothing(self) -> None:
        totals = chosen().totals
        assert (totals.days, totals.bytes_now, totals.ratio, totals.missing) == (0, 0, None, 0)


class TestTheNote:
    def note(self, day: Day, facts: Facts) -> str:
        known = database(day.day, facts=facts)
        (listed,) = inventory(look(day, known=[known]), Choice()).days
        return listed.note

    def test_is_empty_where_all_is_well(self) -> None:
        assert self.note(row(1), Facts()) == ""

    def test_is_the_reason_of_a_block(self) -> None:
        day = row(1, trouble="failing", entry="block", reason="corrupt: row 7; look")
        assert self.note(day, Facts()) == "corrupt: row 7; look"

    def test_tells_a_failure_once(self) -> None:
        facts = Facts(failed={"compress": FAILED})
        waits = "compress failed (no space left on device); attempt 4 follows"
        assert self.note(row(1, trouble="failing", reason=waits), facts) == waits
        later = row(1, trouble="failing")
        assert self.note(later, facts) == "compress failed: no space left on device; free some"

    def test_says_who_keeps_a_day(self) -> None:
        assert self.note(row(1, on_hold=True), Facts(hold=HOLD)) == "on hold by ann: audit 17"
        told = "on hold by ann: audit 17; `tickward release ticks/2026-01-19` ends it"
        assert self.note(row(1, on_hold=True, reason=told), Facts(hold=HOLD)) == told

    def test_says_both(self) -> None:
        facts = Facts(hold=HOLD, failed={"verify": replace(FAILED, step="verify", error="cannot read")})
        note = self.note(row(1, on_hold=True, trouble="failing"), facts)
        assert note == "on hold by ann: audit 17; verify failed: cannot read; free some"

    def test_says_that_a_day_was_not_counted(self) -> None:
        facts = Facts(sealed=replace(sealed(), counted=False))
        assert "data.streams.ticks.table" in self.note(row(1, trouble="attention"), facts)

    def test_says_who_has_it_open(self) -> None:
        facts = Facts(deferred=Deferred("/r/x.db", (), NOW))
        day = unsealed(1, trouble="attention", reason="sealing waits: held by an unknown process")
        assert self.note(day, facts) == "sealing waits: held by an unknown process"


def printed(found: Inventory, width: int | None = None) -> list[str]:
    return "\n".join(table(found, width)).split("\n")


class TestTheTable:
    def test_has_a_line_for_each_day_and_each_gap_in_order(self) -> None:
        lines = printed(chosen(packed(60), row(3), row(2), row(1), of("tocks", row(5)), of("tocks", row(3))))
        assert [line.split()[:2] for line in lines] == [
            ["stream", "date"],
            ["ticks", "2025-11-21"],
            ["ticks", "2025-11-22"],  # a gap
            ["ticks", "2026-01-17"],
            ["ticks", "2026-01-18"],
            ["ticks", "2026-01-19"],
            ["tocks", "2026-01-15"],
            ["tocks", "2026-01-16"],  # a gap
            ["tocks", "2026-01-17"],
            ["total", "6"],
            ["57", "days"],
        ]

    def test_keeps_the_order_of_keys_where_one_stream_s_name_begins_another_s(self) -> None:
        days = [of(stream, row(back)) for stream in ("a", "a-b") for back in (3, 1)]
        told = [line.split()[:2] for line in printed(chosen(*days))[1:7]]
        dates = ["2026-01-17", "2026-01-18", "2026-01-19"]
        assert told == [[stream, day] for stream in ("a-b", "a") for day in dates]

    def test_reads_like_this(self) -> None:
        day = packed(60, ticks=46538, bytes=10485760, bytes_now=2097152, due=utc("2026-05-21 04:00"))
        failing = row(1, trouble="failing", entry="block", reason="a hook \x1b[2J", ticks=None)
        lines = printed(chosen(day, of("tocks", failing), of("tocks", absent(0, entry="wait", due=None))))
        told = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]
        assert [cells[:10] for cells in told] == [
            ["stream", "date", "tier", "state", "ticks", "symbols", "raw", "now", "ratio", "backup"],
            ["ticks", "2025-11-21", "cold", "archived", "46,538", "2", "10.5 MB", "2.1 MB", "5.00", "yes"],
            ["tocks", "2026-01-19", "hot", "backed_up", "-", "2", "1 kB", "1 kB", "-", "yes"],
            ["tocks", "2026-01-20", "-", "absent", "-", "-", "-", "-", "-", "no"],
            ["total", "3 days", "46,538", "10.5 MB", "2.1 MB", "5.00"],
        ]
        assert [cells[10:] for cells in told] == [
            ["verified", "due next", "note"],
            ["2025-12-22", "expire 2026-05-21 04:00"],
            ["2026-01-20", "blocked", "a hook \\x1b[2J"],
            ["-", "create"],
            [],
        ]
        assert {line.index("20") for line in lines[1:4]} == {lines[0].index("date")}
        assert lines[2].index("a hook") == lines[0].index("note")

    def test_shows_gaps_where_they_are_and_counts_what_it_leaves_out(self) -> None:
        lines = printed(chosen(gone(300), gone(299), *(row(back) for back in (299 - 1, 2, 1, 0))))
        assert lines[2] == "ticks   2025-03-29 .. 2026-01-17  295 days missing: no database was ever known"
        assert lines[-2:] == ["295 days missing, in 1 gap", "2 deleted days: --tier gone"]
        (one,) = [line for line in printed(chosen(row(3), row(1), row(0))) if ": no" in line]
        assert one == "ticks   2026-01-18  1 day missing: no database was ever known"

    @pytest.mark.parametrize("width", [80, 100, 110, 130])
    def test_fits_the_terminal(self, width: int) -> None:
        long = "on hold by ann (uid 1000, pid 812): " + "inquiry " * 30
        days = [*LIFE, packed(21, on_hold=True, reason=long, bytes=10**12, ticks=10**9)]
        lines = printed(chosen(*days), width)
        assert max(map(len, lines)) <= width
        assert "due next" in lines[0]
        assert " ".join(" ".join(lines).split()).count("inquiry") == 30

    def test_drops_the_stream_only_if_there_is_but_one(self) -> None:
        assert printed(chosen(*LIFE), 80)[0].startswith("date")
        assert printed(chosen(*LIFE, of("tocks", row(1))), 80)[0].startswith("stream")

    def test_of_nothing_is_a_header_and_a_total(self) -> None:
        assert [line.split()[0] for line in printed(chosen())] == ["stream", "total"]


class TestCsv:
    def rows(self, found: Inventory) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(csv_text(found), newline=""), strict=True))

    def test_has_what_json_has(self) -> None:
        found = chosen(
            *LIFE, row(3, trouble="failing", entry="block", reason='a "quoted", text\nof two lines')
        )
        in_json = msgspec.json.decode(msgspec.json.encode(found))["days"]
        days = [each for each in self.rows(found) if each["state"] != MISSING]
        assert len(days) == len(in_json) == 7
        for told, expected in zip(days, in_json, strict=True):
            texts = {name: "" if value is None else str(value) for name, value in expected.items()}
            assert told == texts | {"last_day": ""}

    def test_has_a_row_for_each_gap(self) -> None:
        found = chosen(row(9), row(5), row(4), row(2), row(1))
        told = [(each["state"], each["day"], each["last_day"]) for each in self.rows(found)]
        assert told[1] == (MISSING, "2026-01-12", "2026-01-14")
        assert told[4] == (MISSING, "2026-01-17", "2026-01-17")
        assert {each["stream"] for each in self.rows(found)} == {"ticks"}

    def test_is_rfc_4180(self) -> None:
        text = csv_text(chosen(row(1)))
        assert text.splitlines(keepends=True)[0] == ",".join(CSV_COLUMNS) + "\r\n"
        assert text.endswith("\r\n")


def test_json_is_what_its_words_say() -> None:
    found = chosen(*LIFE, gone(300), row(9, trouble="failing"), deleted=True)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Inventory) == found
    for kind in (Inventory, Listed, Gap, Totals):
        assert words(kind).description
        assert words(kind).fields.keys() == set(kind.__struct_fields__)


def test_dates_at_the_ends_of_time_are_no_trouble() -> None:
    ancient = replace(row(1), day=date.min, key=f"ticks/{date.min}")
    last = replace(unsealed(1), day=date.max, key=f"ticks/{date.max}")
    found = chosen(ancient, row(1), last)
    assert found.gaps[0] == Gap("ticks", date(1, 1, 2), DAY - timedelta(days=2), (DAY - date.min).days - 2)
    assert len(printed(found)) == 7
