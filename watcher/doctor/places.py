"""What is commonly wrong with the directories of ``[data]``, and with what they are on."""

from __future__ import annotations

import os
import pwd
import shlex
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from watcher.disk import Mount, is_network, mount_of
from watcher.doctor.finding import Finding, Findings, note, ok, or_ok, problem, warning
from watcher.doctor.premises import DIRECTORY_SECONDS, Premises
from watcher.settings import TOPS

_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_COPIES = ("backup", "archive")


class Place(NamedTuple):
    """A directory of ``[data]``, as it was found."""

    name: str
    path: Path
    above: Path
    """The directory itself, or if it is not there the nearest one above."""
    is_directory: bool
    """What is there is one."""
    usable: bool
    """It can be read and written to; of one that is not there, it can be made."""
    mode: int
    owner: int
    device: int
    disk: str
    """Of which that is a part; empty: it cannot be told."""
    mount: Mount
    real: Path
    """Without links."""

    @property
    def is_there(self) -> bool:
        return self.above == self.path

    @property
    def key(self) -> str:
        return f"data.{self.name}"


def directories(premises: Premises) -> Findings:
    silent = [(name, getattr(premises.known.data, name)) for name in TOPS if name in premises.silent]
    found = [_of_silence(name, path) for name, path in silent]
    for place in places_of(premises):
        found += of_directory(place, premises.known.data.create_root)
    found += of_missing([place for place in places_of(premises) if not place.is_there])
    return or_ok(found, "all directories of [data] are there, and can be written to")


def _of_silence(name: str, path: str) -> Finding:
    sentence = f"data.{name}: {path} has not answered for {DIRECTORY_SECONDS:g} s"
    remedy = (
        f"is the server of its mount there? `findmnt -T {shlex.quote(path)}` shows which; else unmount it"
    )
    return problem(sentence, f"{remedy} (`umount -l`)")


def of_directory(place: Place, create_root: bool) -> Findings:
    where = shlex.quote(str(place.above))
    if not place.is_directory:
        yield problem(f"{place.key}: {place.above} is no directory", "move it away, or name another")
    elif not place.is_there and place.name == "root" and not create_root:
        yield problem(
            f"data.root: {place.path} is not there: the daemon does not start",
            f"mount it, or `mkdir -p {shlex.quote(str(place.path))}`; or set data.create_root = true",
        )
    elif not place.usable:
        what = f"to write in {place.path}" if place.is_there else f"to make {place.path} in {place.above}"
        yield problem(
            f"{place.key}: no permission {what}",
            f"run tickward as {user(place.owner)}, or as root `chown {user(os.geteuid())} {where}`",
        )
    elif place.name == "state" and place.mode & 0o002 and not place.mode & stat.S_ISVTX:
        yield warning(
            f"data.state: {place.path} can be written to by everybody: so the journal can be replaced",
            f"`chmod o-w {where}`",
        )


def of_missing(places: Sequence[Place]) -> Findings:
    if missing := [place.key for place in places if place.usable and place.is_directory]:
        yield note(f"not there yet, and made at the first start: {', '.join(missing)}")


def links(premises: Premises) -> Findings:
    found = [each for place in places_of(premises) for each in of_link(place)]
    return or_ok(found, "no symbolic links lead to the directories of [data]")


def of_link(place: Place) -> Findings:
    if place.is_there and place.real != place.path:
        yield note(
            f"{place.key}: {place.path} is {place.real}, by a symbolic link that is followed at the start",
            "start the daemon anew when the link was changed; what it leads to must be mounted before",
        )


def owner(premises: Premises) -> Findings:
    runs_as = os.geteuid()
    if premises.daemon_pid:
        with suppress(OSError):
            runs_as = Path("/proc", str(premises.daemon_pid)).stat().st_uid
    root = next((place for place in places_of(premises) if place.name == "root"), None)
    if root is None:
        return []
    if not root.is_there:
        return [ok(f"{root.path} is not there yet: it will be {user(runs_as)}'s")]
    return of_owner(root, runs_as, _writers(premises))


def of_owner(root: Place, runs_as: int, writers: Iterable[int]) -> Findings:
    """``writers``: whom the newest databases belong to."""
    others = sorted({root.owner, *writers} - {runs_as})
    if runs_as == 0 or not others:
        yield ok(
            f"{root.path} and its newest days are {user(runs_as)}'s, who may ask whether they are in use"
        )
        return
    one = user(others[0])
    yield warning(
        f"{root.path} or its newest days belong to {', '.join(map(user, others))}, and tickward runs as "
        f"{user(runs_as)}: only a file's owner and root can ask the kernel whether somebody writes to it",
        "run tickward as root"
        if others[0] == 0
        else f"run tickward as {one}, if that is the writer's, or root",
    )


def _writers(premises: Premises) -> list[int]:
    """Of the databases that are not at rest: the newest ones are among them."""
    found = []
    if premises.overview is not None:
        newest = sorted(premises.overview.databases.values(), key=lambda each: each.day)[-10:]
        for database in newest:
            with suppress(OSError):
                found.append(os.lstat(database.paths.database).st_uid)
    return found


def file_systems(premises: Premises) -> Findings:
    polling = premises.known.watch.polling
    places = places_of(premises)
    found = [each for place in places for each in of_file_system(place, polling)]
    kinds = ", ".join(dict.fromkeys(place.mount.kind or "unknown" for place in places))
    return or_ok(found, f"the directories are on {kinds or 'nothing that answers'}") if places else found


def of_file_system(place: Place, polling: bool) -> Findings:
    kind, on = place.mount.kind, place.mount.on
    if "ro" in place.mount.options:
        yield problem(
            f"{place.key}: {on} is mounted read-only",
            f"`dmesg` may say why; then `mount -o remount,rw {shlex.quote(on)}`",
        )
    if place.name in ("root", "state") and is_network(kind):
        yield problem(*_of_network(place, polling))
    elif is_network(kind):
        yield note(
            f"{place.key}: {place.path} is on a network file system ({kind}): good for copies, if it is there"
        )
    elif kind in _IN_MEMORY and place.name != "archive":
        yield warning(
            f"{place.key}: {place.path} is in memory ({kind}): it is gone with the next start of the machine",
            "name a directory on a disk",
        )
    elif kind == "overlay":
        yield note(
            f"{place.key}: {place.path} is in the layer of a container (overlay), and goes with that",
            "mount a volume there, if it is to last",
        )


def _of_network(place: Place, polling: bool) -> tuple[str, str]:
    kind = place.mount.kind
    if place.name == "state":
        return (
            f"data.state: {place.path} is on a network file system ({kind}): the journal is an SQLite "
            "database, whose locks and shared memory are not safe there",
            "move it to a local disk while no daemon runs, and set data.state",
        )
    events = "" if polling else " and no file events come from there;"
    also = "" if polling else ", watch.polling = true"
    return (
        f"data.root: {place.path} is on a network file system ({kind}):{events} "
        "SQLite's WAL mode is not safe there",
        "put data.root on a local disk; else the writer must not use WAL mode, and set create.enabled = false"
        f"{also}",
    )


def devices(premises: Premises) -> Findings:
    return of_devices([place for place in places_of(premises) if place.is_directory])


def of_devices(places: Iterable[Place]) -> Findings:
    """By the nearest directory, where one is not there yet."""
    found = {place.name: place for place in places}
    root = found.get("root")
    copies = [found[name] for name in _COPIES if name in found]
    if root is None or not copies:
        return
    same = [copy.key for copy in copies if copy.device == root.device]
    parts = [
        copy.key for copy in copies if copy.device != root.device and copy.disk and copy.disk == root.disk
    ]
    remedy = "have them on another disk: it takes a mount, or another path in [data]"
    if same:
        yield warning(
            f"{' and '.join(same)} are on the same device as data.root: one failure takes all copies", remedy
        )
    if parts:
        yield warning(
            f"{' and '.join(parts)} are on another partition of the disk of data.root ({root.disk})", remedy
        )
    if not same and not parts:
        yield ok("the copies are on other devices than the data")


def sentinels(premises: Premises) -> Findings:
    found = premises.overview
    if found is None:
        return []
    return of_sentinels({"backup": found.doubts.backup, "archive": found.doubts.archive})


def of_sentinels(doubts: dict[str, str]) -> Findings:
    """``doubts``: why a directory may not be what it was, as the planner has it; empty: it is."""
    missing = [(name, doubt) for name, doubt in doubts.items() if doubt]
    for name, doubt in missing:
        sentence, _, rest = doubt.partition(": ")
        yield problem(
            f"data.{name}: {sentence}; nothing is copied there until it is back",
            rest.replace("touch", "then touch"),
        )
    if not missing:
        yield ok("the directories of copies are the ones that they were")


def places_of(premises: Premises) -> list[Place]:
    """Those that answer."""
    return [_place(name, path) for name, path in premises.places().items()]


def _place(name: str, path: Path) -> Place:
    above = next(each for each in (path, *path.parents) if os.path.lexists(each))
    try:
        status = above.stat()
    except OSError:  # a link to nowhere
        status = above.lstat()
    return Place(
        name=name,
        path=path,
        above=above,
        is_directory=stat.S_ISDIR(status.st_mode),
        usable=os.access(above, (os.R_OK if above == path else 0) | os.W_OK | os.X_OK),
        mode=status.st_mode,
        owner=status.st_uid,
        device=status.st_dev,
        disk=_disk(status.st_dev, mount := mount_of(above)),
        mount=mount,
        real=Path(os.path.realpath(path)),
    )


def _disk(device: int, mount: Mount) -> str:
    """The whole disk that a device is a part of; of one with subvolumes, where those come from."""
    where = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    if not where.exists():
        return mount.source if mount.source.startswith("/dev/") else ""
    real = Path(os.path.realpath(where))
    return real.parent.name if (real / "partition").exists() else real.name


def user(number: int) -> str:
    """A user's name; the number, if there is none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
