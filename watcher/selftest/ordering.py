"""The proofs of what a person orders, each made by ordering it; some of them break something on purpose."""

from __future__ import annotations

import os
import statistics
import time
from datetime import date
from pathlib import Path

import apsw

from handlers.contract import Expired, Sealed, Step
from handlers.files import sha256_of
from handlers.vfs import open_path, settle
from watcher.audit import Finding, examine
from watcher.control import myself
from watcher.days import Days
from watcher.journal import reading_one
from watcher.paths import journal_file
from watcher.requests import Hold, Release
from watcher.selftest.content import read
from watcher.selftest.living import Told
from watcher.selftest.result import Figure, NotProvenError
from watcher.selftest.scene import Scene, key_of, order_of
from watcher.wording import count_of

_FILE = "look at that file, and at the daemon's words in daemon.txt and tickward.jsonl there"
_DEFECT = "this is a defect: please report it, with the folder that is kept"
_LOOK = "SELECT bid, ask FROM ticks WHERE symbol = 'EURUSD' AND timestamp >= ? ORDER BY timestamp LIMIT 10"


def restart(scene: Scene) -> Told:
    """The daemon ends in order when it is told to, and goes on where it was."""
    started = time.perf_counter()
    scene.stage.stop()
    stopped = time.perf_counter()
    if code := scene.stage.daemon_ended():
        raise NotProvenError(f"the daemon ended with status {code} when it was told to end", _FILE)
    scene.restart()
    scene.order(order_of(Step.SEAL, scene.hot))  # nothing to do, but answered
    up = time.perf_counter()
    down_ms, up_ms = (stopped - started) * 1000, (up - stopped) * 1000
    figures = (Figure("ended", round(down_ms, 1), "ms"), Figure("answered", round(up_ms, 1), "ms"))
    return f"ended in {down_ms:.0f} ms, answered {up_ms:.0f} ms after its start", figures


def compress(scene: Scene) -> Told:
    """Days become .zst, both copies, and the originals go."""
    days = scene.cold + scene.warm
    started = time.perf_counter()
    ended = scene.order(order_of(Step.COMPRESS, days))
    seconds = time.perf_counter() - started
    _require(scene, days, "warm")
    before = sum(each.data["size_bytes"] for each in ended)
    after = sum(each.data["compressed_bytes"] for each in ended)
    rate, ratio = before / seconds / 1e6, before / max(after, 1)
    figures = (Figure("compressed", round(rate, 2), "MB/s"), Figure("ratio", round(ratio, 2), ""))
    return f"{count_of(len(days), 'day')} at {rate:.1f} MB/s, to {100 / ratio:.0f} % of their size", figures


def archive(scene: Scene) -> Told:
    """Days move to the archive."""
    started = time.perf_counter()
    ended = scene.order(order_of(Step.ARCHIVE, scene.cold))
    seconds = time.perf_counter() - started
    _require(scene, scene.cold, "cold")
    rate = sum(each.data["compressed_bytes"] for each in ended) / seconds / 1e6
    return f"{count_of(len(scene.cold), 'day')} moved and read back", (
        Figure("archived", round(rate, 2), "MB/s"),
    )


def query(scene: Scene) -> Told:
    """Every row of every day, in whatever tier it is, is the one that was written."""
    figures, said, rows = [], [], 0
    started = time.perf_counter()
    with Days.of(scene.stage.settings) as days:
        for tier in ("hot", "warm", "cold"):
            looks = []
            for day in getattr(scene, tier):
                found = days.find("ticks", day)
                if found.path is None or found.tier != tier:
                    raise NotProvenError(
                        f"{day} should be {tier}, but is {found.tier or found.why_missing}", _FILE
                    )
                looks.append(_look_ms(found.path, scene.written[day].ticks and _noon_ms(day)))
                if read(found.path) != scene.written[day]:
                    raise NotProvenError(f"{found.path} does not have the rows that were written", _DEFECT)
                rows += scene.written[day].ticks
            median = statistics.median(looks)
            figures.append(Figure(f"a look into a {tier} day", round(median, 2), "ms"))
            said.append(f"{tier} {median:.1f} ms")
    rate = rows / (time.perf_counter() - started)
    figures.append(Figure("rows compared", round(rate), "1/s"))
    return f"{rows:,} rows are those that were written; a look takes: {', '.join(said)}", tuple(figures)


def verify(scene: Scene) -> Told:
    """A bit that flips in a copy, with nothing else changed, is found and mended."""
    day = scene.cold[-1]
    file = scene.on_disk([day])[day].files[0]
    right = sha256_of(file)
    _flip_a_bit(file)
    started = time.perf_counter()
    ended = scene.order(order_of(Step.VERIFY, [], everything=True))
    seconds = time.perf_counter() - started
    mended = [each for each in ended if each.event == "repaired"]
    if [each.database for each in mended] != [key_of(day)]:
        raise NotProvenError(f"a bit was flipped in {file}, and it was not found", _DEFECT)
    if sha256_of(file) != right:
        raise NotProvenError(f"{file} was damaged and repaired, but is not what it was", _DEFECT)
    rate = sum(each.data["bytes_read"] for each in ended) / seconds / 1e6
    said = f"{count_of(len(ended), 'day')} read at {rate:.0f} MB/s; a flipped bit was found and mended"
    return said, (Figure("read", round(rate, 2), "MB/s"),)


def restore(scene: Scene) -> Told:
    """A cold day becomes the database that it was."""
    day = scene.cold[0]
    target = scene.stage.folder / "restored.db"
    (ended,) = scene.order(order_of(Step.RESTORE, [day], target=str(target)))
    seal = scene.events_of(Sealed, [day])[day]
    assert isinstance(seal, Sealed)
    if sha256_of(target) != seal.sha256 or read(target) != scene.written[day]:
        raise NotProvenError(f"{target} is not the database that was sealed on {day}", _DEFECT)
    ms = ended.seconds * 1000
    rate = seal.size_bytes / max(ended.seconds, 1e-9) / 1e6
    figures = (Figure("restored", round(ms, 1), "ms"), Figure("inflated", round(rate, 2), "MB/s"))
    return f"a cold day is back in {ms:.0f} ms, byte for byte", figures


def hold(scene: Scene) -> Told:
    """What is on hold is not deleted, whoever orders it."""
    day = scene.cold[0]
    scene.order(Hold((key_of(day),), "self-test", myself()))
    ended, refusals = scene.ask(order_of(Step.EXPIRE, [day]))
    if ended or not refusals or scene.on_disk([day])[day].tier != "cold":
        raise NotProvenError(f"{day} was on hold, and its deletion was not refused", _DEFECT)
    young = scene.hot[-1]
    ended, refusals = scene.ask(order_of(Step.EXPIRE, [young]))
    if ended or not refusals or scene.on_disk([young])[young].tier != "hot":
        raise NotProvenError(f"{young} is too young to go, and its deletion was not refused", _DEFECT)
    return "the deletion of a day on hold was refused, and that of one that is too young", ()


def expire(scene: Scene) -> Told:
    """A day whose time has come goes, with a certificate of what it was."""
    day = scene.cold[0]
    scene.order(Release((key_of(day),), myself()))
    (ended,) = scene.order(order_of(Step.EXPIRE, [day]))
    if scene.on_disk([day], (day,))[day].tier != "expired":
        raise NotProvenError(f"{day} was deleted, but files of it are left", _FILE)
    scene.records = scene.recorded()
    seal, paper = (scene.events_of(kind, [day])[day] for kind in (Sealed, Expired))
    assert isinstance(seal, Sealed)
    assert isinstance(paper, Expired)
    if (paper.sha256, paper.ticks) != (seal.sha256, scene.written[day].ticks):
        raise NotProvenError(f"the certificate of {day} does not say what the day was", _DEFECT)
    said = f"one day deleted in {ended.seconds * 1000:.0f} ms; event {ended.sequence} certifies its content"
    return said, (Figure("expired", round(ended.seconds * 1000, 1), "ms"),)


def audit(scene: Scene) -> Told:
    """The journal is what was recorded; and one in which somebody edited an event is found out."""
    file = journal_file(scene.stage.settings.data)
    forged = scene.stage.folder / "forged.db"
    with reading_one(file) as journal:
        found = examine(journal, None)
    if isinstance(found, Finding):
        raise NotProvenError(f"{file}: {found.problem}", _DEFECT)
    edited = next(each.sequence for each in scene.records if each.event == "expired")
    _forge(file, forged, edited)
    with reading_one(forged) as journal:
        caught = examine(journal, None)
    if not isinstance(caught, Finding) or caught.sequence != edited:
        raise NotProvenError(f"event {edited} was edited in {forged}, and that was not found", _DEFECT)
    return f"{found.events:,} events proven; an edited one is found in a copy", (
        Figure("events", found.events, ""),
    )


def events(scene: Scene) -> Told:
    """A subscriber has got every event, once, in order."""
    head = scene.recorded()[-1].sequence
    scene.hear_all(head)
    if scene.heard != list(range(1, len(scene.heard) + 1)) or len(scene.heard) < head:
        raise NotProvenError(
            f"{head} events were recorded, and a subscriber got {len(scene.heard)} of them", _DEFECT
        )
    return f"{head:,} events, each heard once and in order, over a restart", (Figure("events", head, ""),)


def _require(scene: Scene, days: list[date], tier: str) -> None:
    for day, found in scene.on_disk(days).items():
        if found.tier != tier:
            raise NotProvenError(f"{day} should be {tier}; there is: {found.tier}", _FILE)


def _noon_ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * 86_400_000 + 43_200_000


def _look_ms(path: Path, since_ms: int) -> float:
    """How long it takes to open a file, to look up some rows by an index, and to know that they are right."""
    started = time.perf_counter()
    connection = open_path(path)
    try:
        connection.execute(_LOOK, (since_ms,)).fetchall()
        settle(connection)
    finally:
        connection.close()
    return (time.perf_counter() - started) * 1000


def _flip_a_bit(file: Path) -> None:
    was = file.stat()
    with file.open("r+b") as opened:
        opened.seek(was.st_size // 2)
        byte = opened.read(1)
        opened.seek(was.st_size // 2)
        opened.write(bytes([byte[0] ^ 1]))
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))  # a disk that forgets tells nobody


def _forge(journal: Path, forged: Path, sequence: int) -> None:
    """A copy of the journal in which one event says that fewer ticks were deleted."""
    source = apsw.Connection(str(journal), flags=apsw.SQLITE_OPEN_READONLY)
    target = apsw.Connection(str(forged))
    try:
        with target.backup("main", source, "main") as copying:
            copying.step()
        target.execute(
            "UPDATE events SET data = json_set(data, '$.ticks', 0) WHERE sequence = ?", (sequence,)
        )
    finally:
        source.close()
        target.close()
