"""A copy of a stray file gets the name that its day has here. The file itself is left as it is."""

from __future__ import annotations

from pathlib import Path

import zstandard

from handlers.contract import StepError
from handlers.files import (
    copy_hashed,
    make_directories,
    publish_new,
    require_space,
    sha256_of,
    signature_of,
    temporary,
)
from handlers.holders import held_for_writing
from handlers.pages import begins_a_database
from handlers.seek_table import MAX_FRAME_BYTES
from watcher.adopt.tree import Stray
from watcher.errors import TickwardError

_HEAD_BYTES = 100


def bring(stray: Stray) -> bool:
    """Copy it into the tree, read back; False if just that is there already.

    Raises `TickwardError` if something else is there, or in the other form, if it is being written to, or if
    it cannot be copied.
    """
    source, target = Path(stray.path), Path(stray.target)
    try:
        return _brought(source, target)
    except StepError as error:
        raise TickwardError(f"{error.message}; {error.hint}") from None
    except OSError as error:
        raise TickwardError(f"{source} cannot be copied to {target}: {error.strerror or error}") from None


def _brought(source: Path, target: Path) -> bool:
    _require_database(source)
    seen = signature_of(source)
    if held_for_writing(source):
        raise TickwardError(f"{source} is open for writing: wait until whoever writes it has left")
    plain = target.with_name(target.name.removesuffix(".zst"))
    for there in (plain, plain.with_name(f"{plain.name}.zst")):
        if signature_of(there) is None:
            continue
        if there == target and sha256_of(there) == sha256_of(source):
            return False
        raise TickwardError(f"{there} is there already: {source} is left where it is; compare the two")
    make_directories(target.parent)
    require_space(target.parent, source.stat().st_size)
    with temporary(target) as temp:
        digest = copy_hashed(source, temp)
        if sha256_of(temp) != digest or signature_of(source) != seen:
            raise TickwardError(f"{source} was written to while it was copied: try again when that has ended")
        try:
            publish_new(temp, target)
        except FileExistsError:
            raise TickwardError(f"{target} is there by now: compare it with {source}") from None
    return True


def _require_database(source: Path) -> None:
    """By how it begins: what is no database gets no day's name."""
    with source.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        if source.suffix == ".zst":
            file.seek(0)
            try:
                with zstandard.ZstdDecompressor(max_window_size=MAX_FRAME_BYTES).stream_reader(
                    file
                ) as content:
                    head = content.read(_HEAD_BYTES)
            except zstandard.ZstdError as error:
                raise TickwardError(
                    f"{source} does not decompress: {error}; it is left where it is"
                ) from None
    if not begins_a_database(head):
        raise TickwardError(f"{source} is no SQLite database, whatever its name says; it is left where it is")
