"""The copies of a sealed day: where they are, and whether each is what was recorded.

One bad reading condemns nothing: it is read once more, from the medium, before it counts. A file
that may not be read is not damaged: that is an error, and never a finding.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import NamedTuple

from msgspec import structs

from handlers.contract import Copy, Job, Signature
from handlers.files import signature_of
from handlers.pace import Pace, sha256_at
from handlers.seal import required_seal
from handlers.seek_table import SeekableError, require_right_table
from handlers.seekable import read_back

MISSING = "is missing"
OTHER_BYTES = "has other bytes than recorded, but the same content"


class Place(NamedTuple):
    """Where a copy of the day is, or would be."""

    path: Path
    packed: bool
    """A .zst, to be compared with what was recorded at compression, if anything was."""
    expected: bool = True
    """False: that it is not there is as it should be."""


class Found(NamedTuple):
    """A copy as it was found."""

    place: Place
    copy: Copy
    sha256: str = ""
    """Of the file's own bytes, if its content is the day's, proven a moment ago; empty: it is not."""
    seen: Signature | None = None
    """Taken before it was read. None: there was no file."""

    @property
    def usable(self) -> bool:
        """Whether another copy can be made from it."""
        return bool(self.sha256)


def places_of(job: Job) -> tuple[Place, ...]:
    """The copies that there must be, and those that there may be and must be right if there are."""
    paths, packed = job.paths, job.compressed is not None
    if not packed:
        places = [Place(Path(paths.database), packed=False)]
        if job.backup_sha256 == required_seal(job).sha256:
            places.append(Place(Path(paths.backup), packed=False))
        return tuple(places)
    archived = job.archived is not None
    first = paths.archived if archived else paths.compressed
    places = [
        Place(Path(first), packed=True),
        Place(Path(paths.backup_compressed), packed=True),
        Place(Path(paths.database), packed=False, expected=False),
        Place(Path(paths.backup), packed=False, expected=False),
    ]
    if archived:
        places.append(Place(Path(paths.compressed), packed=True, expected=False))
    return tuple(places)


def spares_of(job: Job) -> tuple[Place, ...]:
    """Where else the content may be: what an interrupted step wrote, and nobody recorded yet.

    Whatever is there is not judged, since it may as well be an older content.
    """
    paths, judged = job.paths, {place.path for place in places_of(job)}
    raw = [Place(Path(path), packed=False, expected=False) for path in (paths.database, paths.backup)]
    packed = (paths.compressed, paths.backup_compressed, paths.archived)
    every = [*raw, *(Place(Path(path), packed=True, expected=False) for path in packed)]
    return tuple(place for place in every if place.path not in judged)


def look_at_all(job: Job, places: tuple[Place, ...], pace: Pace, found: list[Found]) -> None:
    """Read every copy from the medium, and add to ``found`` what is to be said of it.

    OSError if one cannot be read for another reason than damage; ``found`` has those before it.
    """
    seen: dict[tuple[int, int], Path] = {}
    for place in places:
        each = _look(place, job, pace)
        if place.expected:
            found.append(_not_twice(each, seen))
        elif each.copy.problem != MISSING:
            found.append(each)


def _look(place: Place, job: Job, pace: Pace) -> Found:
    found = _look_once(place, job, pace)
    return _look_once(place, job, pace) if found.copy.problem else found


def _look_once(place: Place, job: Job, pace: Pace) -> Found:
    seen = signature_of(place.path)
    if seen is None:
        return _missing(place)
    try:
        return _compare(place, job, pace, seen)
    except FileNotFoundError:
        return _missing(place)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return _found(place, seen, f"cannot be read: {error.strerror}")


def _compare(place: Place, job: Job, pace: Pace, seen: Signature) -> Found:
    digest = sha256_at(place.path, pace)
    right, right_size = _recorded(place, job)
    if digest == right:
        return _found(place, seen, "", digest)
    content = _content_of(place.path, digest, pace) if place.packed and seen.size_bytes else ""
    if content == required_seal(job).sha256 and _has_right_table(place.path):
        return _found(place, seen, OTHER_BYTES if right else "", digest)
    if content == required_seal(job).sha256:
        return _found(place, seen, f"{OTHER_BYTES}, and no right table of its parts")
    if content:
        return _found(place, seen, f"holds something else than was sealed: its content has sha256 {content}")
    return _found(place, seen, _difference(seen.size_bytes, right_size, digest))


def _recorded(place: Place, job: Job) -> tuple[str, int]:
    """SHA-256 and size of what a copy should be; nothing of a .zst that nobody recorded."""
    sealed, packed = required_seal(job), job.compressed
    if not place.packed:
        return sealed.sha256, sealed.size_bytes
    return (packed.compressed_sha256, packed.compressed_bytes) if packed else ("", 0)


def _content_of(path: Path, digest: str, pace: Pace) -> str:
    """SHA-256 of what a whole .zst holds; empty: it is damaged, or not the file that had this digest."""
    try:
        written = read_back(path)
    except SeekableError:
        return ""
    pace.took(written.compressed_bytes)
    return written.content_sha256 if written.compressed_sha256 == digest else ""


def _has_right_table(path: Path) -> bool:
    try:
        require_right_table(path)
    except SeekableError:
        return False
    return True


def _difference(size: int, right_size: int, digest: str) -> str:
    if size < right_size:
        return f"is truncated: {size} of {right_size} bytes"
    return f"differs from what was recorded: sha256 {digest}"


def _missing(place: Place) -> Found:
    return Found(place, Copy(str(place.path), 0, MISSING))


def _found(place: Place, seen: Signature, problem: str, sha256: str = "") -> Found:
    return Found(place, Copy(str(place.path), seen.size_bytes, problem), sha256, seen)


def _not_twice(found: Found, seen: dict[tuple[int, int], Path]) -> Found:
    """Two names of one file are one copy: the second is as good as missing."""
    if found.copy.problem:
        return found
    status = found.place.path.lstat()
    first = seen.setdefault((status.st_dev, status.st_ino), found.place.path)
    if first == found.place.path:
        return found
    problem = f"is no copy of its own: it is the same file as {first}"
    return Found(found.place, structs.replace(found.copy, problem=problem), "", found.seen)
