"""Without a daemon: entries for cron, in a user's table or in a file of the system's.

All else in a table is kept to the byte, and what was there is saved first, in the state directory.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from watcher.control import is_listening
from watcher.errors import AnotherInstanceError, ConfigError, TickwardError
from watcher.service import made
from watcher.service.block import found_in, names_in, with_block, without_block
from watcher.service.cronlines import lines, runs
from watcher.service.installation import How, Report, Runs
from watcher.service.ondisk import is_for_another
from watcher.service.systemd import UNIT
from watcher.service.tables import SystemTable, Table, UserTable, save
from watcher.service.target import Target
from watcher.service.users import owner_of

SYSTEM_TABLE = Path("/etc/cron.d/tickward")
_DAEMONS = frozenset({"cron", "crond"})


class Cron:
    """The kind ``cron``."""

    name = "cron"

    def show(self, target: Target) -> str:
        return f"# in {_table_of(target).name}\n{with_block('', _block_name(target), lines(target))}"

    def runs(self, target: Target) -> Runs | None:
        """As the entries say."""
        found = found_in(_table_of(target).read() or "", _block_name(target))
        return None if found is None else runs(found.block, is_systems=target.scope == "system")

    def is_as_made(self, target: Target) -> bool:
        """Whether the entries are there, as they would be made now."""
        found = _table_of(target).read() or ""
        name = _block_name(target)
        return found_in(found, name) is not None and with_block(found, name, lines(target)) == found

    def install(self, target: Target, how: How) -> Report:
        """Put the block in, or in place of an older one. Raises `TickwardError`."""
        table, name = _table_of(target), _block_name(target)
        wanted = lines(target)
        if not how.force:
            _require_one_master(target)
        old = table.read()
        new = with_block(old, name, wanted)
        notes = _others(old or "", name)
        missing = made.missing(target, SYSTEM_TABLE.parent)
        if new == old and not missing:
            return Report(notes=notes)
        _require_cron(target)
        replaced = found_in(old or "", name) is not None
        done = f"replaced its entries in {table.name}" if replaced else f"put its entries into {table.name}"
        if how.dry_run:
            would = "would replace its entries in" if replaced else "would put its entries into"
            told = [f"would make {target.on_disk(path)}" for path in missing]
            return Report((*told, *([f"{would} {table.name}"] if new != old else [])), notes)
        begun = made.make(missing, target, SYSTEM_TABLE.parent)
        if new == old:
            return Report(tuple(begun), notes)
        try:
            report = _changed(table, old, new, done, notes, target)
        except TickwardError:
            if not replaced:
                made.undo(target, SYSTEM_TABLE.parent)
            raise
        return Report((*begun, *report.done), report.notes)

    def uninstall(self, target: Target, how: How) -> Report:
        """Take the block out. Raises `TickwardError`."""
        table, name = _table_of(target), _block_name(target)
        old = table.read()
        if old is None or found_in(old, name) is None:
            return Report(notes=_others(old or "", name))
        if how.dry_run:
            return Report((f"would take its entries out of {table.name}",))
        left = without_block(old, name)
        report = _changed(table, old, left, f"took its entries out of {table.name}", (), target)
        return Report((*report.done, *made.undo(target, SYSTEM_TABLE.parent)), report.notes)

    def state(self, target: Target) -> Report:
        """Whether the entries are there, are what would be put there now, and somebody goes by them."""
        table, name = _table_of(target), _block_name(target)
        found = table.read() or ""
        notes = _others(found, name)
        if found_in(found, name) is None:
            what = f"not installed: there are no entries for {name} in {table.name}"
            return Report(notes=(what, *notes), ok=False)
        if not self.is_as_made(target):
            what = f"the entries in {table.name} are not what they would be now: install again"
            return Report(notes=(what, *notes), ok=False)
        if target.is_this_machine and not _cron_runs():
            what = f"the entries are in {table.name}, but no cron runs: start it (`service cron start`)"
            return Report(notes=(what, *notes), ok=False)
        return Report(notes=(f"the entries are in {table.name}", *notes))


def _table_of(target: Target) -> Table:
    if target.scope == "system":
        return SystemTable(target.on_disk(SYSTEM_TABLE))
    if not target.is_this_machine:
        raise ConfigError("a user's crontab is this machine's: for another root choose --system")
    return UserTable(target.user)


def _block_name(target: Target) -> str:
    """What tells this tickward from another one: where its state is."""
    return target.settings.data.state


def _changed(
    table: Table, old: str | None, new: str | None, done: str, notes: tuple[str, ...], target: Target
) -> Report:
    state = target.on_disk(Path(target.settings.data.state))
    saved: tuple[str, ...] = ()
    if old is not None and not _is_ours_alone(old, target):
        owner = None if state.is_dir() else owner_of(target)
        saved = (f"saved {table.name} as it was, in {save(old, state, owner)}",)
    try:
        _write(table, old, new)
    except TickwardError:
        if not new or new.endswith("\n"):
            raise
        # What had no end before, Debian's `crontab` itself would not take.
        new += "\n"
        _write(table, old, new)
        notes = (*notes, "the last line had no end before; now it has one, cron would not take it without")
    if table.read() != new:
        raise TickwardError(
            f"{table.name} is not what was written: somebody changed it at the same time; try again"
        )
    return Report((*saved, done), notes)


def _write(table: Table, old: str | None, new: str | None) -> None:
    """In place of what was read, and of nothing else."""
    if table.read() != old:
        raise TickwardError(
            f"{table.name} was changed by somebody else just now; nothing was changed: try again"
        )
    table.write(new)


def _is_ours_alone(table: str, target: Target) -> bool:
    """Whether there is nothing in it that could not be made again."""
    try:
        wanted = lines(target)
    except ConfigError:
        return False
    return table in {with_block(before, _block_name(target), wanted) for before in (None, "")}


def _require_cron(target: Target) -> None:
    tables = SYSTEM_TABLE.parent
    if target.scope == "system" and target.is_this_machine and not tables.is_dir():
        raise TickwardError(f"{SYSTEM_TABLE} cannot be written (there is no {tables}): install cron")


def _require_one_master(target: Target) -> None:
    state = target.settings.data.state
    if target.is_this_machine and is_listening(Path(state)):
        raise AnotherInstanceError(
            f"a daemon looks after {state}: it does all that cron would; "
            "stop it first (`tickward service status` says who starts it), or give --force"
        )
    units = (Path("/etc/systemd/system") / UNIT, target.home / ".config/systemd/user" / UNIT)
    for unit in map(target.on_disk, units):
        if unit.exists() and not is_for_another(unit, state):
            raise TickwardError(
                f"systemd starts a daemon here ({unit}): one of them is enough; "
                "`tickward service uninstall --kind systemd` takes that away, or give --force"
            )


def _others(table: str, name: str) -> tuple[str, ...]:
    return tuple(
        f"another tickward has entries here, for {other}" for other in names_in(table) if other != name
    )


def _cron_runs() -> bool:
    """True also where nobody can tell."""
    processes = Path("/proc")
    if not processes.is_dir():
        return True
    for each in processes.glob("[0-9]*/comm"):
        with suppress(OSError):
            if each.read_text(errors="replace").strip() in _DAEMONS:
                return True
    return False
