"""Files for the fuzzer: valid seekable ones, and what can be done to them."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw
import zstandard

from handlers.inner_pages import frame_of
from handlers.seekable import compress_file

ZSTD_MAGIC, TABLE_MAGIC, FOOTER_MAGIC = 0xFD2FB528, 0x184D2A5E, 0x8F92EAB1
CHECKED = 0x80
LARGEST = 1 << 27
_SQL = "CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT, number REAL); CREATE INDEX by_word ON t (word)"


class Parts:
    """A seekable file taken apart: its frames, and what its table says of them."""

    def __init__(self, frames: list[bytes], entries: list[list[int]], *, descriptor: int = CHECKED) -> None:
        self.frames = frames
        self.entries = entries  # compressed, uncompressed size, checksum
        self.descriptor = descriptor
        self.count: int | None = None  # what the footer says instead of the truth
        self.table_size: int | None = None  # and the head of the table
        self.magics = [TABLE_MAGIC, FOOTER_MAGIC]

    def copy(self) -> Parts:
        return Parts(self.frames[:], [each[:] for each in self.entries], descriptor=self.descriptor)

    def joined(self) -> bytes:
        fields = 3 if self.descriptor & CHECKED else 2
        table = b"".join(
            struct.pack(f"<{fields}I", *(value & 0xFFFFFFFF for value in each[:fields]))
            for each in self.entries
        )
        count = len(self.entries) if self.count is None else self.count
        table += struct.pack("<IBI", count & 0xFFFFFFFF, self.descriptor, self.magics[1])
        size = len(table) if self.table_size is None else self.table_size
        return b"".join(self.frames) + struct.pack("<II", self.magics[0], size & 0xFFFFFFFF) + table


def taken_apart(data: bytes) -> Parts:
    """The parts of a file that has a table, if a false one."""
    count, descriptor, _ = struct.unpack("<IBI", data[-9:])
    fields = 3 if descriptor & CHECKED else 2
    begin = len(data) - 9 - count * fields * 4
    entries = [list(each) for each in struct.iter_unpack(f"<{fields}I", data[begin:-9])]
    frames, at = [], 0
    for each in entries:
        frames.append(data[at : at + each[0]])
        at += each[0]
    return Parts(frames, [[*each, 0][:3] for each in entries], descriptor=descriptor)


def by_others(pieces: list[bytes], *, checksum: bool, size: bool, table_checksums: bool) -> Parts:
    """Frames of these contents as other programs write them; an empty piece becomes a skippable frame."""
    frames, entries = [], []
    for piece in pieces:
        writer = zstandard.ZstdCompressor(write_checksum=checksum, write_content_size=size)
        stream = writer.compressobj(size=len(piece) if size else -1)
        frame = stream.compress(piece) + stream.flush()
        if not piece:
            frame = struct.pack("<II", 0x184D2A50, 5) + b"notes"
        frames.append(frame)
        sums = zstandard.ZstdCompressor(write_checksum=True).compress(piece)[-4:]
        entries.append([len(frame), len(piece), int.from_bytes(sums, "little")])
    return Parts(frames, entries, descriptor=CHECKED if table_checksums else 0)


@cache
def bases() -> tuple[Parts, ...]:
    """The valid files. The same in every process."""
    rng = random.Random(1)
    words = [rng.randbytes(6) for _ in range(60)]
    text = b"".join(rng.choice(words) for _ in range(300))
    with TemporaryDirectory() as name:
        ours = [
            _ours(Path(name), content, frame_bytes)
            for content, frame_bytes in ((text, 400), (text[:700], 700), (b"", 100), (database(), 1024))
        ]
    pieces = [text[at : at + 200] for at in range(0, 1000, 200)]
    return (
        *ours,
        by_others(pieces, checksum=False, size=False, table_checksums=False),
        by_others(pieces, checksum=False, size=True, table_checksums=True),
        by_others([b"one", b"", pieces[0], b"", b"two"], checksum=True, size=True, table_checksums=True),
        by_others([bytes(20_000), b"x" * 5000, text], checksum=True, size=True, table_checksums=False),
    )


def _ours(folder: Path, content: bytes, frame_bytes: int) -> Parts:
    source, target = folder / "source", folder / "packed.zst"
    source.write_bytes(content)
    target.unlink(missing_ok=True)
    compress_file(source, target, level=3, frame_bytes=frame_bytes)
    return taken_apart(target.read_bytes())


@cache
def database() -> bytes:
    """A small database, of which a table's and an index's inner pages are there twice once it is packed."""
    connection = apsw.Connection(":memory:")
    connection.execute(f"PRAGMA page_size = 512; {_SQL}")
    rows = ((f"word {at * 7919 % 97}", at / 8) for at in range(240))
    connection.executemany("INSERT INTO t (word, number) VALUES (?, ?)", rows)
    return connection.serialize("main")


def damaged(rng: random.Random) -> bytes:
    """A file, and up to three things that were done to it."""
    if rng.random() < 0.03:
        return _just_bytes(rng)
    parts = rng.choice(bases()).copy()
    data = lied_about(rng, parts, rng.choice((0, 0, 1, 1, 1, 2, 3)))
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        data = rng.choice(_DAMAGE)(rng, data)
    return data


def lied_about(rng: random.Random, parts: Parts, lies: int = 1) -> bytes:
    """The file of these parts, which are changed in so many ways."""
    for _ in range(lies):
        rng.choice(_LIES)(rng, parts)
    return parts.joined()


def _just_bytes(rng: random.Random) -> bytes:
    footer = struct.pack("<IBI", rng.choice((0, 1, rng.getrandbits(32))), rng.getrandbits(8), FOOTER_MAGIC)
    head = struct.pack("<I", rng.choice((ZSTD_MAGIC, TABLE_MAGIC)))
    return head * rng.randrange(2) + rng.randbytes(rng.randrange(80)) + footer * rng.randrange(2)


def _number(rng: random.Random, near: int) -> int:
    """Like ``near``, or at some edge."""
    edges = (0, 1, LARGEST - 1, LARGEST, LARGEST + 1, 1 << 31, 0xFFFFFFFF)
    nearby = (near - 1, near + 1, near + rng.randrange(-9, 10), near ^ 1 << rng.randrange(32), near * 2)
    return max(rng.choice(nearby) if rng.random() < 0.7 else rng.choice(edges), 0)


def _lie_about_a_size(rng: random.Random, parts: Parts) -> None:
    if parts.entries:
        entry, field = rng.choice(parts.entries), rng.randrange(3)
        entry[field] = _number(rng, entry[field])


def _move_a_border(rng: random.Random, parts: Parts) -> None:
    """Sums stay right, so that the table is believed at first."""
    if len(parts.entries) > 1:
        one, other = rng.sample(parts.entries, 2)
        field = rng.randrange(2)
        moved = rng.choice((1, 3, 4, 8, one[field], rng.randrange(one[field] + 1)))
        moved = min(moved, one[field])
        one[field] -= moved
        other[field] += moved


def _reorder(rng: random.Random, parts: Parts) -> None:
    if parts.entries:
        rng.shuffle(rng.choice((parts.entries, parts.frames)))


def _drop_or_double(rng: random.Random, parts: Parts) -> None:
    for each in rng.choice(((parts.frames,), (parts.entries,), (parts.frames, parts.entries))):
        if each:
            at = rng.randrange(len(each))
            each[at : at + 1] = each[at : at + 1] * rng.choice((0, 2))  # type: ignore[index]


def _join_two(rng: random.Random, parts: Parts) -> None:
    if len(parts.entries) > 1:
        at = rng.randrange(len(parts.entries) - 1)
        one, other = parts.entries[at : at + 2]
        parts.entries[at : at + 2] = [[one[0] + other[0], one[1] + other[1], one[2]]]


def _lie_about_the_table(rng: random.Random, parts: Parts) -> None:
    what = rng.randrange(4)
    if what == 0:
        parts.count = _number(rng, len(parts.entries))
    elif what == 1:
        parts.descriptor ^= 1 << rng.randrange(8)
    elif what == 2:
        parts.table_size = _number(rng, 12 * len(parts.entries) + 9)
    else:
        parts.magics[rng.randrange(2)] ^= 1 << rng.randrange(32)


def _splice(rng: random.Random, parts: Parts) -> None:
    """A frame of another file, with its entry or without."""
    other = rng.choice(bases())
    if other.frames:
        taken, at = rng.randrange(len(other.frames)), rng.randrange(len(parts.frames) + 1)
        parts.frames.insert(at, other.frames[taken])
        if rng.random() < 0.9:
            parts.entries.insert(at, other.entries[taken][:])


def _hostile_frame(rng: random.Random, parts: Parts) -> None:
    """A header that asks for much, and blocks that may bear it out: one byte, many times, for four."""
    single, flag = rng.random() < 0.5, rng.randrange(4)
    descriptor = flag << 6 | single << 5 | rng.randrange(2) << 2 | (rng.random() < 0.05) << 3
    size_bytes = (1 if single else 0, 2, 4, 8)[flag]
    block = rng.choice((1, 300, 4096, 128 << 10, 200 << 10))
    blocks = rng.choice((1, 2, 5)) if rng.random() < 0.98 else rng.choice((500, 1024, 1100))
    claimed = rng.choice((block * blocks, _number(rng, block * blocks), rng.getrandbits(64)))
    frame = struct.pack("<IB", ZSTD_MAGIC, descriptor)
    frame += b"" if single else bytes([rng.choice((0, 80, 136, 137, 160, 255, rng.randrange(256)))])
    frame += (claimed & (1 << 8 * size_bytes) - 1).to_bytes(size_bytes, "little")
    for at in range(blocks):
        last = at == blocks - 1 and rng.random() < 0.9
        frame += (block << 3 | 1 << 1 | last).to_bytes(3, "little") + b"x"
    entry = [len(frame), rng.choice((block * blocks, claimed & 0xFFFFFFFF)), 0]
    at = rng.randrange(len(parts.frames) + 1)
    parts.frames.insert(at, frame)
    parts.entries.insert(at, entry)


def _other_inner_pages(rng: random.Random, parts: Parts) -> None:
    """A frame of inner pages that somebody made up, or one that was tampered with before it was packed."""
    size = rng.choice((1, 100, 512, 4096))
    pages = [
        (_number(rng, rng.randrange(9)) & 0xFFFFFFFF, rng.randbytes(size)) for _ in range(rng.randrange(6))
    ]
    frame = frame_of(pages, size)
    if rng.random() < 0.5:
        body = bytearray(struct.pack("<II", _number(rng, size), _number(rng, len(pages))) + rng.randbytes(99))
        packed = zstandard.ZstdCompressor().compress(body)
        frame = struct.pack("<II16s", 0x184D2A5C, 16 + len(packed), b"inner pages 1") + packed
    parts.frames.append(frame)
    parts.entries.append([len(frame), 0, 0])


def _flip(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    if changed:
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _flip_at_the_end(rng: random.Random, data: bytes) -> bytes:
    """Where the table is."""
    cut = max(len(data) - 60, 0)
    return data[:cut] + _flip(rng, data[cut:])


def _cut(rng: random.Random, data: bytes) -> bytes:
    begin, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return rng.choice(
        (
            data[:begin],
            data[begin:],
            data[:begin] + data[end:],
            data[:begin] + data[begin:end] * 2 + data[end:],
        )
    )


def _overwrite(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    new = rng.choice((bytes(8), b"\xff" * 4, rng.randbytes(5), struct.pack("<I", ZSTD_MAGIC)))
    return data[:at] + new + data[at + len(new) :]


def _cross(rng: random.Random, data: bytes) -> bytes:
    other = rng.choice(bases()).joined()
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other)) :]


_LIES: tuple[Callable[[random.Random, Parts], None], ...] = (
    _lie_about_a_size,
    _move_a_border,
    _reorder,
    _drop_or_double,
    _join_two,
    _lie_about_the_table,
    _splice,
    _hostile_frame,
    _other_inner_pages,
)
_DAMAGE: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _flip,
    _flip,
    _flip_at_the_end,
    _cut,
    _overwrite,
    _cross,
)
