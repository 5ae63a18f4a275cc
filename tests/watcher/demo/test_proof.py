"""The proof has teeth: what is wrong at the end of the demonstration, on disk or in the journal, is said."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import apsw
import pytest
import zstandard
from msgspec.structs import replace

from handlers.contract import Archived, Copy, Drilled, Expired, Sealed, Signature, Verified
from watcher.demo import ledger
from watcher.demo.disk import look
from watcher.demo.expected import COLD, EXPIRED, HOT, WARM
from watcher.demo.ledger import Ledger
from watcher.demo.proof import DayProof, problems_of_journal, prove
from watcher.demo.summary import differences
from watcher.journal import Journal
from watcher.settings import Data

DAYS = {
    HOT: date(2026, 7, 20),
    WARM: date(2026, 7, 1),
    COLD: date(2026, 4, 1),
    EXPIRED: date(2026, 1, 5),
}
TICKS = 30
START = datetime(2026, 1, 6, tzinfo=UTC)
SOON = START + timedelta(hours=12)
AT = datetime(2026, 7, 24, 12, tzinfo=UTC)


class Ending:
    """What a demonstration leaves: a day of each tier, its copies, and the events of all of them."""

    def __init__(self, folder: Path) -> None:
        root, backup, archive = (str(folder / name) for name in ("db", "backup", "archive"))
        self.data = Data(root=root, backup=backup, archive=archive)
        self.file = folder / "journal.db"
        self.journal = Journal.open_for_writing(self.file)
        plain = folder / "plain.db"
        self.seal = fill(plain)
        for tier, day in DAYS.items():
            self.put(tier, day, plain.read_bytes())
        plain.unlink()
        digest, cold = self.seal.sha256, f"ticks/{DAYS[COLD]}"
        copies = (Copy("one", 1), Copy("other", 1))
        # All at once, because the journal makes each time durable.
        self.journal.record(
            [
                *((f"ticks/{day}", self.seal) for day in DAYS.values()),
                (cold, Archived("", digest, "", 1, "rename")),
                (cold, Verified(digest, copies, 2)),
                (cold, Drilled("one", digest, 1, TICKS)),
                (f"ticks/{DAYS[EXPIRED]}", certificate_of(self.seal)),
            ],
            START,
        )

    def put(self, tier: str, day: date, content: bytes) -> None:
        packed = zstandard.compress(content)
        first = {HOT: self.data.root, WARM: self.data.root, COLD: self.data.archive}
        for top in (first[tier], self.data.backup) if tier in first else ():
            path = self.path(top, day, HOT if tier == HOT else WARM)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if tier == HOT else packed)

    def path(self, top: str, day: date, tier: str) -> Path:
        ending = "" if tier == HOT else ".zst"
        return Path(top, f"{day:%Y}", f"{day:%m}", f"ticks_{day}.db{ending}")

    def certify(self, certificate: Expired) -> None:
        self.journal.record([(f"ticks/{DAYS[EXPIRED]}", certificate)], START)

    def read(self) -> Ledger:
        return ledger.read(self.file)

    def found(self) -> dict[date, str]:
        disk = look(self.data, DAYS.values(), self.read().certificates)
        return {day: each.tier for day, each in disk.items()}

    def proofs(self, ticks: int = TICKS) -> dict[str, DayProof]:
        book = self.read()
        disk = look(self.data, DAYS.values(), book.certificates)
        found = {proof.day: proof for proof in prove(disk, book, dict.fromkeys(DAYS.values(), ticks))}
        return {tier: found[day] for tier, day in DAYS.items()}


def fill(path: Path) -> Sealed:
    db = apsw.Connection(str(path))
    db.execute("CREATE TABLE ticks (symbol TEXT, timestamp INTEGER)")
    db.executemany("INSERT INTO ticks VALUES (?, ?)", [("A", number) for number in range(TICKS)])
    db.close()
    content = path.read_bytes()
    signature = Signature(len(content), 1, 1)
    digest = hashlib.sha256(content).hexdigest()
    return Sealed(str(path), digest, len(content), TICKS, 1, 0, TICKS - 1, 3054000, signature)


def certificate_of(sealed: Sealed) -> Expired:
    return Expired(
        sha256=sealed.sha256,
        compressed_sha256="",
        size_bytes=sealed.size_bytes,
        compressed_bytes=0,
        ticks=sealed.ticks,
        symbols=sealed.symbols,
        first_tick_ms=sealed.first_tick_ms,
        last_tick_ms=sealed.last_tick_ms,
        paths=(),
        freed_bytes=0,
        left=(),
        policy="",
        due=AT,
        reason="",
        by="schedule",
    )


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-50] ^= 1
    path.write_bytes(content)


@pytest.fixture
def ending(tmp_path: Path) -> Iterator[Ending]:
    made = Ending(tmp_path)
    yield made
    made.journal.close()


def test_a_good_ending_has_no_problem(ending: Ending) -> None:
    assert ending.found() == {day: tier for tier, day in DAYS.items()}
    assert [(proof.ticks, proof.problems) for proof in ending.proofs().values()] == [(TICKS, ())] * 4
    assert problems_of_journal(ending.read(), SOON) == []
    assert ending.read().copies_read == 2


@pytest.mark.parametrize(
    ("tier", "top"),
    [(HOT, "root"), (HOT, "backup"), (WARM, "root"), (WARM, "backup"), (COLD, "archive"), (COLD, "backup")],
)
def test_a_flipped_bit_in_any_copy_is_found(ending: Ending, tier: str, top: str) -> None:
    path = ending.path(getattr(ending.data, top), DAYS[tier], tier)
    flip(path)
    proofs = ending.proofs()
    assert any(str(path) in problem for problem in proofs.pop(tier).problems)
    assert [proof.problems for proof in proofs.values()] == [()] * 3


@pytest.mark.parametrize("tier", DAYS)
def test_a_tick_that_was_written_and_is_nowhere_is_found(ending: Ending, tier: str) -> None:
    assert f"{TICKS + 1} ticks were written, {TICKS} are" in ending.proofs(TICKS + 1)[tier].problems[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [("sha256", "0" * 64), ("ticks", 29), ("first_tick_ms", 1), ("last_tick_ms", None), ("size_bytes", 1)],
)
def test_a_certificate_that_is_not_of_the_sealed_day_is_found(
    ending: Ending, name: str, value: object
) -> None:
    ending.certify(replace(certificate_of(ending.seal), **{name: value}))
    assert f"its certificate says {name} {value}" in ending.proofs()[EXPIRED].problems[0]


def test_only_the_exact_files_make_a_tier(ending: Ending) -> None:
    data, hot, warm = ending.data, DAYS[HOT], DAYS[WARM]
    ending.path(data.backup, hot, HOT).unlink()
    ending.put(HOT, warm, b"late")
    ending.put(WARM, DAYS[EXPIRED], b"back")
    found = ending.found()
    assert found[hot] == "root/ticks_2026-07-20.db"
    assert "root/ticks_2026-07-01.db + root/ticks_2026-07-01.db.zst" in found[warm]
    assert found[DAYS[EXPIRED]] == WARM
    assert found[DAYS[COLD]] == COLD


def test_a_sidecar_is_not_passed_over(ending: Ending) -> None:
    path = ending.path(ending.data.root, DAYS[HOT], HOT)
    path.with_name(path.name + "-wal").touch()
    assert ending.found()[DAYS[HOT]].endswith("root/ticks_2026-07-20.db-wal + backup/ticks_2026-07-20.db")


def test_a_day_without_files_and_without_a_certificate_is_gone(ending: Ending) -> None:
    day = DAYS[COLD]
    for top in (ending.data.archive, ending.data.backup):
        ending.path(top, day, COLD).unlink()
    assert ending.found()[day] == "gone"
    assert "no copy of it is left" in ending.proofs()[COLD].problems[0]
    assert differences({day: COLD}, ending.found()) == [f"{day}: expected cold, found gone"]


def test_a_day_that_was_never_sealed_is_found(ending: Ending) -> None:
    book = ending.read()
    day = DAYS[HOT]
    del book.seals[day]
    disk = look(ending.data, [day], ())
    assert [proof.problems for proof in prove(disk, book, {day: 1})] == [("it was never sealed",)]


def test_an_edited_event_is_found(ending: Ending) -> None:
    db = apsw.Connection(str(ending.file))
    db.execute("UPDATE events SET time = replace(time, '2026', '2025') WHERE sequence = 3")
    db.close()
    assert problems_of_journal(ending.read(), SOON) == ["the chain of the journal is broken at event 3"]


def test_a_day_that_was_not_read_since_it_was_due_is_found(ending: Ending) -> None:
    ending.journal.record([(f"ticks/{DAYS[HOT]}", ending.seal)], AT)
    august = datetime(2026, 8, 1, 5, tzinfo=UTC)
    problems = problems_of_journal(ending.read(), august)
    assert [problem[:10] for problem in problems] == ["2026-04-01", "2026-07-01", "2026-07-20"]
    assert len(problems_of_journal(ending.read(), august - timedelta(seconds=1))) == 2


def test_a_drill_that_was_due_and_did_not_happen_is_found(ending: Ending) -> None:
    book = ending.read()
    del book.counts["drilled"]
    assert "on trial" in problems_of_journal(book, AT)[-1]
    turn = datetime(2026, 2, 1, 6, tzinfo=UTC)
    assert "on trial" in problems_of_journal(book, turn)[-1]
    assert not any("on trial" in text for text in problems_of_journal(book, turn - timedelta(seconds=1)))


def test_a_folder_without_a_journal_proves_nothing(tmp_path: Path) -> None:
    assert ledger.read(tmp_path / "none.db").seals == {}
