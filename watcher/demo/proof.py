"""The proof at the end of the demonstration: every tick is readable, or its deletion is certified.

It trusts nothing that the daemon says but the checksum recorded at sealing: it reads every file of every
day, both copies, counts the ticks with SQL, and compares them with what the writer counted by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import zstandard
from msgspec import Struct

from handlers.contract import Expired, Sealed
from handlers.database import count_in_copy
from handlers.files import sha256_of
from watcher.demo.disk import OnDisk
from watcher.demo.expected import EXPIRED, last_month_turn
from watcher.demo.ledger import Ledger
from watcher.wording import moment


class DayProof(Struct, frozen=True):
    """What was found of one day."""

    day: date
    ticks: int
    """Counted by SQL in the copy that has the fewest; of an expired day, what its certificate says."""
    size_bytes: int
    """Uncompressed, at sealing."""
    bytes_now: int
    """Of the first copy, as it is; 0 for a day that expired."""
    problems: tuple[str, ...]


def prove(disk: Mapping[date, OnDisk], ledger: Ledger, written: Mapping[date, int]) -> Iterator[DayProof]:
    """Read every copy of every day, or its certificate.

    Args:
        disk: what is there.
        ledger: what the journal says.
        written: ticks that the writer committed, by its own count.
    """
    for day, found in disk.items():
        sealed, ticks = ledger.seals.get(day), written.get(day, 0)
        if sealed is None:
            yield DayProof(day, 0, 0, 0, ("it was never sealed",))
        elif found.tier == EXPIRED:
            yield _proof_of_expired(day, ledger.certificates[day], sealed, ticks)
        else:
            yield _proof_of_kept(day, found.files, sealed, ticks)


def problems_of_journal(ledger: Ledger, until: datetime) -> list[str]:
    """What is wrong with the journal as a whole, and what should have happened until then and did not."""
    problems = []
    if ledger.broken is not None:
        problems.append(f"the chain of the journal is broken at event {ledger.broken}")
    verify_at, drill_at = last_month_turn(until, hour=5), last_month_turn(until, hour=6)
    problems += [
        f"{day}: its copies were last read on {read:%Y-%m-%d}, before those of {moment(verify_at)} were due"
        for day, read in sorted(ledger.last_read.items())
        if read < verify_at and day not in ledger.certificates
    ]
    cold_since = ledger.first.get("archived")
    if cold_since is not None and cold_since < drill_at and not ledger.counts["drilled"]:
        problems.append(f"no day was restored on trial, although that was due at {moment(drill_at)}")
    return problems


def _proof_of_expired(day: date, certificate: Expired, sealed: Sealed, written: int) -> DayProof:
    problems = [
        f"its certificate says {name} {of_certificate}, but the seal {of_seal}"
        for name in ("sha256", "ticks", "symbols", "size_bytes", "first_tick_ms", "last_tick_ms")
        if (of_certificate := getattr(certificate, name)) != (of_seal := getattr(sealed, name))
    ]
    if certificate.ticks != written:
        problems.append(f"{written:,} ticks were written, {certificate.ticks:,} are certified")
    return DayProof(day, certificate.ticks, sealed.size_bytes, 0, tuple(problems))


def _proof_of_kept(day: date, copies: tuple[Path, ...], sealed: Sealed, written: int) -> DayProof:
    problems = [] if copies else ["no copy of it is left, and no certificate says why"]
    counts = []
    for copy in copies:
        digest, ticks = _read(copy)
        counts.append(ticks)
        if digest != sealed.sha256:
            problems.append(f"{copy} does not have the checksum of the sealed day")
        if ticks != written:
            problems.append(f"{written:,} ticks were written, {ticks:,} are readable in {copy}")
    bytes_now = copies[0].stat().st_size if copies else 0
    return DayProof(day, min(counts, default=0), sealed.size_bytes, bytes_now, tuple(problems))


def _read(copy: Path) -> tuple[str, int]:
    """SHA-256 of the uncompressed content, and the ticks that SQL counts in it."""
    if copy.suffix != ".zst":
        return sha256_of(copy), count_in_copy(copy, "ticks")
    with TemporaryDirectory() as folder:
        plain = Path(folder) / copy.stem
        try:
            digest = _unpack(copy, plain)
        except zstandard.ZstdError as error:
            return str(error), 0
        return digest, count_in_copy(plain, "ticks")


def _unpack(copy: Path, plain: Path) -> str:
    # Not with the daemon's own reader: any program that reads zstd must do.
    digest = hashlib.sha256()
    with copy.open("rb") as source, plain.open("wb") as target:
        reader = zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True)
        while chunk := reader.read(1 << 20):
            digest.update(chunk)
            target.write(chunk)
    return digest.hexdigest()
