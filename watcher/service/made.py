"""The directories that entries of the system's cron need: made for their user, undone by their receipt."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from watcher.errors import TickwardError
from watcher.service import ondisk, reach, receipt
from watcher.service.installation import Installation
from watcher.service.receipt import Receipt
from watcher.service.target import Target
from watcher.service.users import owner_of


def missing(target: Target, tables: Path) -> tuple[Path, ...]:
    """Those that are to be made, as the machine that is meant names them.

    Args:
        tables: where the table is: part of an image, but not ours to make on a machine that has no cron.
    """
    if target.scope != "system":
        return ()  # `once` makes them, as who they are for
    return tuple(ondisk.missing((*_tables(target, tables), *reach.folders(target)), target))


def make(paths: Iterable[Path], target: Target, tables: Path) -> list[str]:
    """Make them, and remember that. Raises `TickwardError`; then none is left."""
    owner, private = owner_of(target), reach.private_folders(target.settings)
    made: list[Path] = []
    try:
        for path in paths:
            is_systems = path == tables or path in tables.parents
            mode = 0o700 if path in private else 0o755
            ondisk.make(target.on_disk(path), mode, None if is_systems else owner)
            made.append(path)
        if made:
            file = _receipt_of(target)
            known = receipt.read(file).directories
            receipt.write(file, Receipt({}, tuple(dict.fromkeys([*known, *map(str, made)]))))
    except OSError as error:
        _remove_empty(made, target)
        raise TickwardError(f"{error.filename} cannot be made ({error.strerror}): be root") from None
    return [f"made {target.on_disk(path)}" for path in made]


def undo(target: Target, tables: Path) -> list[str]:
    """Remove those that were made and are empty still."""
    file = _receipt_of(target)
    named = [Path(name) for name in receipt.read(file).directories]
    # Whoever it runs as can write the receipt: none but those that we would make.
    own = {*_tables(target, tables), *reach.folders(target)}
    own |= {parent for path in own for parent in path.parents}
    with suppress(OSError):
        file.unlink(missing_ok=True)
    return _remove_empty([path for path in named if path in own], target)


def _tables(target: Target, tables: Path) -> tuple[Path, ...]:
    return () if target.is_this_machine else (tables,)


def _receipt_of(target: Target) -> Path:
    return receipt.place_of(Installation("cron", target.scope, ()), target)


def _remove_empty(paths: list[Path], target: Target) -> list[str]:
    done = []
    for path in reversed(paths):
        with suppress(OSError):  # something is in it, which is not ours to remove
            there = target.on_disk(path)
            there.rmdir()
            done.append(f"removed {there}, which was empty")
    return done
