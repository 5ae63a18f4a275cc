"""What the demonstration prints at its end: both pictures side by side, and the sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from msgspec import Struct
from rich.table import Table

from watcher.demo.expected import TIERS
from watcher.demo.ledger import Ledger
from watcher.demo.proof import DayProof
from watcher.wording import size

_SETBACKS = ("failed", "deferred", "reopened", "repaired", "corrupt", "conflict", "lost")


class Outcome(Struct, frozen=True):
    """All that the sums are made from."""

    written: Mapping[date, int]
    """Ticks by day, by the writer's own count."""
    proofs: tuple[DayProof, ...]
    ledger: Ledger
    seen: int
    """Events that reached the subscriber."""


class Summary(Struct, frozen=True):
    """What came of the demonstration."""

    ok: bool
    """Whether every day is where the policy wants it, and all was proven; else the exit status is 1."""
    problems: tuple[str, ...]
    """What is not so: a sentence each."""
    folder: str
    """Where it was; nothing of it is left without ``--keep``."""
    days: int
    """How many were written."""
    tiers: dict[str, int]
    """How many days are where, as they were found on disk: hot, warm, cold, expired, ..."""
    ticks_written: int
    """By the writer's own count."""
    ticks_readable: int
    """Counted again in the copies that are left."""
    ticks_certified: int
    """Of days that were deleted, by their certificates."""
    bytes_before: int
    """Of all days, uncompressed."""
    bytes_after: int
    """Of their first copies, as they are."""
    events: dict[str, int]
    """How many of each kind were recorded, by the name of the event."""
    events_seen: int
    """How many of them reached the subscriber."""


def summary(outcome: Outcome, found: Mapping[date, str], problems: Sequence[str], folder: Path) -> Summary:
    """The sums, for programs."""
    written, proofs = outcome.written, outcome.proofs
    gone, kept = _gone_and_kept(outcome, found)
    return Summary(
        ok=not problems,
        problems=tuple(problems),
        folder=str(folder),
        days=len(written),
        tiers=dict(Counter(found.values())),
        ticks_written=sum(written.values()),
        ticks_readable=sum(proof.ticks for proof in kept),
        ticks_certified=sum(proof.ticks for proof in gone),
        bytes_before=sum(proof.size_bytes for proof in proofs),
        bytes_after=sum(proof.bytes_now for proof in proofs),
        events=dict(outcome.ledger.counts),
        events_seen=outcome.seen,
    )


def differences(expected: Mapping[date, str], found: Mapping[date, str]) -> list[str]:
    """A sentence for each day that is not where it should be."""
    return [
        f"{day}: expected {tier}, found {found.get(day, 'nothing')}"
        for day, tier in expected.items()
        if found.get(day) != tier
    ]


def picture_table(expected: Mapping[date, str], found: Mapping[date, str], title: str) -> Table:
    """Both pictures: for each tier how many days, and the first and the last of them."""
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column("tier")
    for name in ("expected", "found"):
        table.add_column(name, justify="right")
        table.add_column("days", no_wrap=True)
    others = sorted(set(found.values()) - set(TIERS))
    for tier in (*TIERS, *others):
        table.add_row(tier, *_span(expected, tier), *_span(found, tier))
    count = len(differences(expected, found))
    table.caption = "no day differs" if not count else f"{count} days differ"
    return table


def summary_table(outcome: Outcome, found: Mapping[date, str]) -> Table:
    """The sums."""
    written, proofs, counts = outcome.written, outcome.proofs, outcome.ledger.counts
    tiers = list(found.values())
    gone, kept = _gone_and_kept(outcome, found)
    table = Table(title="Summary", show_header=False, title_justify="left", min_width=50)
    for name, value in (
        ("days", f"{len(written)}"),
        ("of them", ", ".join(f"{tiers.count(tier)} {tier}" for tier in TIERS)),
        ("ticks written", f"{sum(written.values()):,}"),
        ("ticks readable", f"{sum(proof.ticks for proof in kept):,}"),
        ("ticks certified", f"{sum(proof.ticks for proof in gone):,}"),
        ("bytes before", size(sum(proof.size_bytes for proof in proofs))),
        ("bytes after", size(sum(proof.bytes_now for proof in proofs))),
        ("certificates", f"{len(outcome.ledger.certificates)}"),
        ("verified copies", f"{outcome.ledger.copies_read:,} in {counts['verified']} verifications"),
        ("restore drills", f"{counts['drilled']}"),
        ("setbacks", _setbacks(outcome.ledger)),
        ("events", f"{counts.total():,} recorded, {outcome.seen:,} seen by a subscriber"),
        ("journal", "its chain holds" if outcome.ledger.broken is None else "its chain is broken"),
        ("checksums", "see below" if any(p.problems for p in proofs) else "every one holds, in all copies"),
    ):
        table.add_row(name, value)
    return table


def _gone_and_kept(outcome: Outcome, found: Mapping[date, str]) -> tuple[list[DayProof], list[DayProof]]:
    gone = [proof for proof in outcome.proofs if found[proof.day] == "expired"]
    return gone, [proof for proof in outcome.proofs if found[proof.day] != "expired"]


def _span(picture: Mapping[date, str], tier: str) -> tuple[str, str]:
    days = sorted(day for day, its in picture.items() if its == tier)
    return f"{len(days)}", f"{days[0]}..{days[-1]}" if days else ""


def _setbacks(ledger: Ledger) -> str:
    found = [f"{ledger.counts[name]} {name}" for name in _SETBACKS if ledger.counts[name]]
    return ", ".join(found) or "none"
