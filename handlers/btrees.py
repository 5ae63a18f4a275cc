"""How many of a database's pages each table and each index takes.

SQLite's dbstat tells, by going through one b-tree after the other in the order of its keys. Out of a
.zst that is the jump that `handlers.scan` avoids: for an index of (symbol, timestamp) the whole day is
inflated once for every symbol (200 MB of 100 symbols: 49 s). The inner pages alone tell the same in
milliseconds, for all but overflow pages; dbstat is asked about those only if there are any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import apsw

from handlers.pages import HEADER_BYTES, INNER, LEAVES

_LOCK_BYTE = 1 << 30
"""SQLite locks bytes from here on, and leaves the page that they are in empty."""

_TREES = """
SELECT 'sqlite_schema', 'table', 'sqlite_schema', 1
UNION ALL SELECT name, type, tbl_name, rootpage FROM sqlite_schema WHERE rootpage > 0
"""
_EXACT = "SELECT pageno FROM dbstat WHERE aggregate = 1 AND name = ?"
_ALL_EXACT = "SELECT name, pageno FROM dbstat WHERE aggregate = 1"


class Tree(NamedTuple):
    """One table or index."""

    name: str
    kind: str
    """``table`` or ``index``."""
    table: str
    """The table itself, or the one that the index is of."""
    pages: int


def trees(connection: apsw.Connection, *, jumps_are_dear: bool = False) -> list[Tree]:
    """Each table and index with its pages, the largest first.

    ``jumps_are_dear``: the file is a .zst. apsw.CorruptError if it is damaged.
    """
    found = [
        (str(name), str(kind), str(table), root) for name, kind, table, root in connection.execute(_TREES)
    ]
    if jumps_are_dear:
        # Tables first: overflow pages are theirs, as a rule, and they are read in the order of the file.
        roots = {name: root for name, _, _, root in sorted(found, key=lambda tree: tree[1] != "table")}
        pages = _counted(connection, roots)
    else:
        pages = {str(name): _whole(count) for name, count in connection.execute(_ALL_EXACT)}
    told = (Tree(name, kind, table, pages.get(name, 0)) for name, kind, table, _ in found)
    return sorted(told, key=lambda tree: (-tree.pages, tree.name))


def _counted(connection: apsw.Connection, roots: Mapping[str, object]) -> dict[str, int]:
    page_bytes, total, free = (
        _whole(connection.pragma(name)) for name in ("page_size", "page_count", "freelist_count")
    )

    def page(number: int) -> bytes:
        if not 0 < number <= total:
            raise apsw.CorruptError(f"there is no page {number}")
        _, content = connection.read("main", 0, (number - 1) * page_bytes, page_bytes)
        return content[HEADER_BYTES:] if number == 1 else content

    pages = {name: _pages_below(_whole(root), page, total) for name, root in roots.items()}
    unexplained = total - free - sum(pages.values()) - (total > _LOCK_BYTE // page_bytes)
    for name, counted in list(pages.items()):
        if not unexplained:
            break
        pages[name] = _whole(connection.execute(_EXACT, (name,)).get)
        unexplained -= pages[name] - counted
    return pages


def _pages_below(root: int, page: Callable[[int], bytes], total: int) -> int:
    """The pages of one b-tree, overflow pages excepted.

    All its leaves are equally deep: where one of their level is a leaf all are, and need not be read.
    """
    first = page(root)
    if not _is_inner(first, root):
        return 1
    level, count = [root], 1
    while True:
        inside = _is_inner(page(_children(page(level[0]), level[0])[0]), level[0])
        if not inside:
            return count + sum(len(_children(page(number), number)) for number in level)
        below: list[int] = []
        for number in level:
            below += _children(page(number), number)
            if count + len(below) > total:
                raise apsw.CorruptError(f"the b-tree at page {root} leads back into itself")
        level = below
        count += len(level)


def _is_inner(content: bytes, number: int) -> bool:
    if content[0] not in (*INNER, *LEAVES):
        raise apsw.CorruptError(f"a page of a b-tree is damaged at or below page {number}")
    return content[0] in INNER


def _children(content: bytes, number: int) -> list[int]:
    """The pages that an inner page leads to (https://sqlite.org/fileformat2.html#b_tree_pages)."""
    if not _is_inner(content, number):
        raise apsw.CorruptError(f"the b-tree at page {number} is of uneven depth")
    # Offsets within a page are counted from its beginning, page 1's header included.
    missing = HEADER_BYTES if number == 1 else 0
    cells = int.from_bytes(content[3:5], "big")
    pointers = _numbers(content[12 : 12 + 2 * cells], 2)
    return [
        *(int.from_bytes(content[at - missing : at - missing + 4], "big") for at in pointers),
        int.from_bytes(content[8:12], "big"),
    ]


def _numbers(content: bytes, size: int) -> Iterable[int]:
    return (int.from_bytes(content[at : at + size], "big") for at in range(0, len(content), size))


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise apsw.CorruptError(f"{value!r} is where a number should be")
    return value
