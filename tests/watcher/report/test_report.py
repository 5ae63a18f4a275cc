"""The report: are its numbers those of the journal, and is it one file that stands on its own?"""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path

import apsw
import pytest
from msgspec import Struct
from msgspec.structs import replace

from handlers import contract
from handlers.contract import Copy, Lost, Repair, Repaired, Verified
from scripts.sample_tree import FAILING, NOW, grow, settings_below
from watcher.audit import Finding
from watcher.errors import ConfigError, TickwardError
from watcher.events import Configured, Event, Held, Record, Released
from watcher.journal import Journal
from watcher.paths import journal_file
from watcher.report import sections
from watcher.report.contents import Contents
from watcher.report.make import contents
from watcher.report.page import BEGINS, page
from watcher.report.series import MOST_POINTS, bytes_a_day, ratios_of, ratios_over_time, sizes_over_time
from watcher.settings import Archive, Compress, Expire, Settings
from watcher.view.volumes import held_at

SCRIPT = '<script>alert("1")</script> & \x1b[31m'
LOST = "ticks/2026-05-02"
MENDED = "ticks/2026-05-04"
COPIES = (Copy("/b/x.zst", 7, "another SHA-256"), Copy("/a/x.zst", 7))
UNUSUAL: list[tuple[str, Event]] = [
    ("ticks/2026-05-01", Held(SCRIPT, SCRIPT)),
    ("ticks/2026-05-01", Released(SCRIPT, "ann")),
    (LOST, Lost("a" * 64, 5, COPIES, (), "all copies are bad", "look for another", "e")),
    (MENDED, Repaired("b" * 64, COPIES, (Repair("/b/x.zst", "another SHA-256", "/a/x.zst"),), 14)),
    ("-", Configured({"compress": "never", "seal": SCRIPT})),
]


class Made(Struct, frozen=True):
    """A tree of 260 days with all that can go wrong, and its report."""

    settings: Settings
    records: list[Record]
    found: Contents
    html: str


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    settings = grow(settings_below(tmp_path_factory.mktemp("tree")), 260, troubles=FAILING, durable=False)
    with Journal.open_for_writing(journal_file(settings.data)) as journal:
        journal.record(UNUSUAL, NOW)
        records = journal.since(0, limit=100_000)
    found = contents(settings, NOW, None, None)
    return Made(settings, records, found, page(found))


class Reading(HTMLParser):
    """What a browser would make of a page: its tables, and whether its tags are closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.outside: list[str] = []
        self.plain: list[str] = []
        self._open: list[str] = []
        self._rows: list[list[str]] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "data", "action") and not (value or "").startswith("#"):
                self.outside.append(f"{tag} {name}={value}")
        if tag in ("script", "link", "iframe", "object", "img", "base"):
            self.outside.append(tag)
        if tag == "table":
            self._rows = []
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")
        if tag not in ("meta", "wbr"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag == "caption":
            self.tables[self.plain[-1]] = self._rows

    def handle_data(self, data: str) -> None:
        self.plain.append(data)
        if self._open[-1:] == ["td"] or self._open[-2:] == ["td", "code"]:
            self._rows[-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.plain).split())


@pytest.fixture(scope="module")
def read(made: Made) -> Reading:
    return Reading(made.html)


def table(read: Reading, caption: str) -> list[list[str]]:
    (rows,) = (rows for name, rows in read.tables.items() if name.startswith(caption))
    return rows[1:]


class TestNumbers:
    def test_every_deletion_is_there_with_its_certificate(self, made: Made, read: Reading) -> None:
        expired = [(record, record.decode()) for record in made.records if record.event == "expired"]
        rows = table(read, "Every deletion")
        assert len(rows) == len(expired) > 70
        for row, (record, event) in zip(rows, expired, strict=True):
            assert isinstance(event, contract.Expired)
            assert row == [
                record.key,
                event.sha256,
                f"{event.ticks:,}",
                f"{event.size_bytes:,}",
                "R1",
                f"{event.due:%Y-%m-%d %H:%M}",
                f"{record.time:%Y-%m-%d %H:%M}",
                "schedule",
                str(record.sequence),
            ]

    def test_every_exception_is_told(self, made: Made, read: Reading) -> None:
        rows = table(read, "Exceptions")
        told = Counter(row[1] for row in rows)
        recorded = Counter(record.event for record in made.records)
        for event in ("held", "released", "lost", "repaired", "corrupt", "conflict", "deferred"):
            assert told[event] == recorded[event] > 0, event
        assert (told["failed"], recorded["failed"]) == (1, 3)
        (failed,) = (row for row in rows if row[1] == "failed")
        assert ", 3 times until 2026-07-15 09:20 UTC" in failed[3]

    def test_readings_are_counted_by_month(self, made: Made, read: Reading) -> None:
        rows = table(read, "Days of which every copy was read")
        events = ("verified", "repaired", "lost", "drilled")
        counts = Counter((f"{record.time:%Y-%m}", record.event) for record in made.records)
        months = sorted({month for month, event in counts if event in events})
        assert [row[:5] for row in rows] == [
            [month, *(str(counts[month, event]) for event in events)] for month in months
        ]
        read_in_june = (
            event.bytes_read
            for event in (record.decode() for record in made.records if f"{record.time:%Y-%m}" == "2026-06")
            if isinstance(event, Verified)
        )
        assert next(
            month for month in made.found.chronicle.months if month.month == "2026-06"
        ).bytes_read == sum(read_in_june)

    def test_every_repair_is_told(self, read: Reading) -> None:
        (row,) = table(read, "Every repair")
        assert row[1:] == [MENDED, "2026-07-15 09:30 UTC", "/b/x.zst", "another SHA-256", "/a/x.zst"]

    def test_the_policy_and_what_changed(self, read: Reading) -> None:
        rows = table(read, "Rules that were recorded")
        first = [row for row in rows if row[0] == rows[0][0]]
        assert ["compress", "7 days after the end of its day, schedule 0 2 * * SUN (UTC)"] in [
            row[2:] for row in first
        ]
        changed = {row[2]: row[3] for row in rows if row[0] != rows[0][0]}
        assert changed["compress"] == "never"
        assert changed["expire"] == "(no longer a rule)"
        assert ["compress", "after 7 days, Sundays 02:00 UTC"] in [
            row[:2] for row in table(read, "The policy in force")
        ]

    def test_integrity_says_it_in_words(self, made: Made, read: Reading) -> None:
        gone = sum(day.tier == "gone" for day in made.found.days)
        assert (
            f"{gone} days are deleted by the policy, and for {gone} there is a certificate below."
            in read.text
        )
        assert "None of them was deleted before the policy wanted it." in read.text
        assert (
            "Days that had no good copy left at some time: 1; days that were found damaged: 1; " in read.text
        )
        assert "NOT" not in read.text
        assert "DIFFER" not in read.text

    def test_the_calendar_counts_every_day(self, made: Made, read: Reading) -> None:
        rows = table(read, "Days by stream and year")
        assert sum(int(row[2]) for row in rows) == 260
        tiers = Counter(day.tier for day in made.found.days)
        assert sum(int(row[6]) for row in rows) == tiers["gone"]
        assert sum(int(row[5]) for row in rows) == tiers["cold"]
        assert table(read, "Missing days") == [["ticks", "2026-06-25", "2026-06-25", "1"]]
        assert made.html.count('<use href="#day-gone" x=') == tiers["gone"]
        assert made.html.count('<use href="#day-missing" x=') == 1

    def test_sizes_over_time_are_those_that_were(self, made: Made) -> None:
        days, certificates = made.found.days, made.found.chronicle.certificates
        sizes = sizes_over_time(days, certificates, NOW.date())
        assert len(sizes.days) <= MOST_POINTS
        for day in (date(2026, 3, 3), date(2026, 7, 14)):
            index = sizes.days.index(day)
            total = sum(values[index] for values in sizes.tiers.values())
            sealed = [each for each in days if each.bytes is not None]
            held = held_at(
                sealed, NOW.replace(year=day.year, month=day.month, day=day.day, hour=23, minute=59)
            )
            # It does not count the day itself, and guesses how small those were that are gone by now.
            itself = sum(each.bytes or 0 for each in sealed if each.day == day)
            assert total == pytest.approx(sum(held.values()) + itself, rel=0.001)

    def test_ratios_are_of_those_that_are_there_and_of_those_that_are_gone(self, made: Made) -> None:
        ratios = ratios_of(made.found.days, made.found.chronicle.certificates)
        packed = sum(day.tier in ("gone", "cold", "warm") for day in made.found.days)
        assert len(ratios) == packed
        assert all(5 < each.ratio < 5.4 for each in ratios)


class TestOneFile:
    def test_needs_nothing_else(self, made: Made, read: Reading) -> None:
        assert read.outside == []
        assert "@import" not in made.html
        assert re.findall(r"url\((?!#)", made.html) == []
        assert set(re.findall(r'https?://[^"\s<]+', made.html)) == {
            "http://www.w3.org/2000/svg",
            "http://www.w3.org/1999/xlink",
        }

    def test_what_somebody_typed_is_text(self, made: Made, read: Reading) -> None:
        assert "<script" not in made.html
        assert "\x1b" not in made.html
        assert made.html.count("&lt;script&gt;alert(") == 4
        assert '<script>alert("1")</script> & \\x1b[31m' in read.text

    def test_the_same_input_makes_the_same_bytes(self, made: Made) -> None:
        assert page(made.found) == made.html

    def test_every_drawing_is_told_in_words(self, made: Made) -> None:
        drawings = re.findall(r'<svg class="(?:plot|year)".*?</svg>', made.html, flags=re.DOTALL)
        assert len(drawings) == 3 + 2
        for drawing in drawings:
            assert 'role="img"' in drawing
            assert re.search(r"<title[^>]*>[^<]+</title><desc[^>]*>[^<]+</desc>", drawing)

    def test_no_name_stands_twice(self, made: Made) -> None:
        names = Counter(re.findall(r'\bid="([^"]+)"', made.html))
        assert [name for name, count in names.items() if count > 1] == []
        assert set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', made.html)) > set()
        for pair in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', made.html):
            assert "".join(pair) in names

    def test_names_what_it_can_be_checked_by(self, made: Made, read: Reading) -> None:
        with Journal.open_for_writing(journal_file(made.settings.data)) as journal:
            head, epoch = journal.head_link(), f"{journal.epoch:x}"
        assert made.html.startswith(BEGINS)
        assert f"{epoch}</code>" in made.html
        assert f"<dd>{head.sequence}, of 2026-07-15 09:30 UTC</dd>" in made.html
        half = head.hash.hex()[:32]
        assert f"{half}<wbr>{head.hash.hex()[32:]}" in made.html
        assert "The journal is what was recorded." in read.text


class TestRange:
    def test_only_those_days(self, made: Made) -> None:
        first, last = date(2025, 11, 10), date(2025, 11, 19)
        found = contents(made.settings, NOW, first, last)
        assert [day.day for day in found.days] == [first + timedelta(days=index) for index in range(10)]
        assert {each.key for each in found.chronicle.certificates} == {
            f"ticks/2025-11-{day}" for day in range(10, 20)
        }
        assert found.chronicle.incidents == ()
        assert len(found.chronicle.policies) == 2  # those of all times
        assert found.head == made.found.head

    def test_without_a_day_there_is_a_report_all_the_same(self, made: Made) -> None:
        found = contents(made.settings, NOW, date(2001, 1, 1), date(2001, 1, 2))
        told = Reading(page(found)).text
        for sentence in (
            "There are no days.",
            "No day was deleted.",
            "There was none.",
            "No day was compressed",
        ):
            assert sentence in told

    def test_an_impossible_one_is_refused(self, made: Made) -> None:
        with pytest.raises(ConfigError, match="--from 2026-02-02 is after --to 2026-02-01"):
            contents(made.settings, NOW, date(2026, 2, 2), date(2026, 2, 1))


class TestBounds:
    def test_says_what_is_left_out(self, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sections, "MOST_CERTIFICATES", 10)
        monkeypatch.setattr("watcher.report.calendar.MOST_GRIDS", 1)
        read = Reading("".join((*sections.deletions(made.found), *sections.calendar(made.found))))
        count = len(made.found.chronicle.certificates)
        assert (
            f"Every deletion: the last 10 of {count}. The {count - 10} before them are left out" in read.text
        )
        assert len(table(read, "Every deletion")) == 10
        assert "Drawn are the newest 1 of 2 years of streams" in read.text
        assert "ticks 2026" in read.plain
        assert "ticks 2025" not in read.plain
        assert len(table(read, "Days by stream and year")) == 2

    def test_lines_have_no_more_points_than_are_seen(self, made: Made) -> None:
        days = [day for day in made.found.days if day.bytes is not None]
        many = [
            replace(day, day=date.fromordinal(at))
            for at, day in zip(range(700_000, 700_000 + 3000), days * 15, strict=False)
        ]
        assert len(bytes_a_day(many).days) <= MOST_POINTS
        assert bytes_a_day(many).every == 14
        assert len(ratios_over_time(ratios_of(many, ())).days) <= MOST_POINTS
        assert len(sizes_over_time(many, (), many[-1].day).days) <= MOST_POINTS


class TestJournal:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        """Days that live for three weeks, so that few are enough."""
        young = replace(
            settings_below(tmp_path),
            compress=Compress(after_days=3),
            archive=Archive(after_days=11, schedule="on_rotation"),
            expire=Expire(after_days=21),
        )
        return grow(young, 45, durable=False)

    def test_pruned_certificates_are_there_all_the_same(self, settings: Settings) -> None:
        whole = contents(settings, NOW, None, None).chronicle.certificates
        with Journal.open_for_writing(journal_file(settings.data)) as journal:
            assert journal.prune(NOW - timedelta(days=4), NOW)
        found = contents(settings, NOW, None, None)
        assert not isinstance(found.audit, Finding)
        assert [(each.key, each.at, each.expired) for each in found.chronicle.certificates] == [
            (each.key, each.at, each.expired) for each in whole
        ]
        assert {each.sequence is None for each in found.chronicle.certificates} == {True, False}
        assert found.chronicle.policies[0].sequence is None
        told = Reading("".join((*sections.deletions(found), *sections.integrity(found))))
        assert table(told, "Every deletion")[0][-1] == "pruned"
        assert "Older events were pruned; event" in told.text

    def test_one_that_was_edited_is_reported_as_such(self, settings: Settings) -> None:
        connection = apsw.Connection(str(journal_file(settings.data)))
        connection.execute(
            "UPDATE events SET data = '{}' WHERE event = 'expired' AND key = 'ticks/2026-06-14'"
        )
        connection.close()
        found = contents(settings, NOW, None, None)
        assert isinstance(found.audit, Finding)
        told = Reading(page(found)).text
        assert f"The journal is NOT what was recorded: {found.audit.problem}." in told
        assert "THESE TWO NUMBERS DIFFER" in told
        assert f"1 event, the first of them event {found.audit.sequence}." in told
        assert "The journal is what was recorded." not in told

    def test_a_deletion_before_its_time_is_named(self, settings: Settings) -> None:
        key = "ticks/2026-06-30"
        with Journal.open_for_writing(journal_file(settings.data)) as journal:
            like = next(each.decode() for each in journal.since(0, 100_000) if each.event == "expired")
            assert isinstance(like, contract.Expired)
            journal.record([(key, replace(like, due=NOW + timedelta(days=1)))], NOW)
        told = Reading("".join(sections.integrity(contents(settings, NOW, None, None)))).text
        assert f"1 day is DELETED BEFORE THE POLICY WANTED IT: {key}, for one." in told

    def test_there_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(TickwardError, match="there is no journal"):
            contents(settings_below(tmp_path), NOW, None, None)
        assert list(tmp_path.iterdir()) == []
