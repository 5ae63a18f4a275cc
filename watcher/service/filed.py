"""A kind of service that is files and a service manager: put in place, undone, compared.

What fails half-way is undone. A receipt in the state directory says what was made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from watcher.control import is_listening
from watcher.errors import ConfigError, TickwardError
from watcher.lock import Lock
from watcher.service import manager, ondisk, receipt
from watcher.service.installation import Command, File, How, Installation, Report, Runs
from watcher.service.receipt import Receipt
from watcher.service.target import Target
from watcher.service.users import owner_of


class Filed:
    """The kind whose installation ``describe`` describes."""

    def __init__(
        self,
        name: str,
        describe: Callable[[Target], Installation],
        runs: Callable[[bytes], Runs | None] = lambda _: None,
    ) -> None:
        """``runs``: reads from a file of its own what it runs."""
        self.name = name
        self._describe = describe
        self._runs = runs

    def show(self, target: Target) -> str:
        """Every file with what is in it, and the commands that follow."""
        plan = self._describe(target)
        files = (f"# {file.path}\n{ondisk.readable(file.content)}" for file in plan.files)
        commands = "".join(f"# then: {manager.shown(each.argv, plan.kind)}\n" for each in plan.enable)
        notes = "".join(f"# note: {note}\n" for note in plan.notes)
        return "\n".join((*files, commands + notes))

    def runs(self, target: Target) -> Runs | None:
        """As the files say that are for its state directory."""
        ours = (self._runs(content) for content in _Found(self._describe(target), target).ours())
        return next((each for each in ours if each is not None), None)

    def is_as_made(self, target: Target) -> bool:
        """Whether all of its files are there, as they would be made now."""
        return _Found(self._describe(target), target).is_same()

    def install(self, target: Target, how: How) -> Report:
        """Put it in place and have it started. Again: only what is not so yet. Raises `TickwardError`."""
        return _Site(self._describe(target), target, how).install()

    def uninstall(self, target: Target, how: How) -> Report:
        """Undo what `install` did, and nothing else. Raises `TickwardError`."""
        return _Site(self._describe(target), target, how).uninstall()

    def state(self, target: Target) -> Report:
        """Whether it is there, as it would be made now, run by the service manager, and answers."""
        return _Site(self._describe(target), target, How()).state()


class _Found:
    """The files of an installation, as they are on this disk."""

    def __init__(self, plan: Installation, target: Target) -> None:
        self._target = target
        known = receipt.read(receipt.place_of(plan, target))
        self._found = {file: ondisk.look(file, target, known) for file in plan.files}

    def ours(self) -> Iterator[bytes]:
        for file, found in self._found.items():
            if found in ("same", "older", "edited"):
                yield self._target.on_disk(file.path).read_bytes()

    def is_same(self) -> bool:
        return set(self._found.values()) == {"same"}


class _Site:
    """One installation, and what of it is on this disk."""

    def __init__(self, plan: Installation, target: Target, how: How) -> None:
        self._plan = plan
        self._target = target
        self._how = how
        self._state = Path(target.settings.data.state)
        self._receipt_file = receipt.place_of(plan, target)
        self._receipt = receipt.read(self._receipt_file)
        self._found = {file: ondisk.look(file, target, self._receipt) for file in plan.files}
        self._active = self._is_active()
        self._old: dict[File, bytes] = {}
        self._made: list[Path] = []
        self._done: list[str] = []

    def install(self) -> Report:
        for file in self._which("another's"):
            what = ondisk.WORDS["another's"].partition(":")[0]
            raise TickwardError(f"{self._at(file)} {what}: move it away, and install again")
        for file in self._which("another tickward's"):
            what = ondisk.WORDS["another tickward's"].partition(":")[0]
            raise TickwardError(
                f"{self._at(file)} {what}: uninstall it with the configuration that it was made by, "
                "or stop it and move the file away"
            )
        stale = self._which("absent", "older", "edited")
        if self._active and len(self._which("absent")) == len(self._found):
            raise TickwardError(
                f"{self._plan.kind} has one of this name that is not from here: stop it and take it away"
            )
        missing = tuple(ondisk.missing(self._plan.directories, self._target))
        if not stale and not missing and self._active is not False:
            return Report(notes=self._plan.notes)
        self._require_rights("install")
        if self._active is not True:
            self._require_one_master()
        if self._how.dry_run:
            return Report((*self._intended(stale, missing), *self._would_run(self._plan.enable)))
        owner = owner_of(self._target)
        try:
            self._put(stale, missing, owner)
            self._tell(self._plan.enable)
        except (OSError, TickwardError) as error:
            self._undo()
            log = f"; `{self._plan.log}` shows what it said" if self._plan.log else ""
            raise TickwardError(f"{_sentence(error)}; what was done is undone{log}") from None
        return Report(tuple(self._done), (*self._plan.notes, *self._for_the_image()))

    def uninstall(self) -> Report:
        there = self._which("same", "older", "edited")
        strange = tuple(self._said("another's", "another tickward's"))
        ok = not self._which("another tickward's")
        if not there and not self._receipt_file.exists():
            return Report(notes=strange, ok=ok)
        self._require_rights("uninstall")
        kept = () if self._how.force else self._which("edited")
        gone = [file for file in there if file not in kept]
        notes = (
            *strange,
            *(f"{self._at(file)} was edited by hand and is kept: give --force" for file in kept),
        )
        ok = ok and not kept
        # Where nothing of ours goes, what runs under this name is somebody else's, or to be looked at first.
        disable, after_removal = (self._plan.disable, self._plan.after_removal) if gone else ((), ())
        if self._how.dry_run:
            removed = (f"would remove {self._at(file)}" for file in gone)
            return Report((*self._would_run(disable), *removed), notes, ok)
        problems = self._tell_all(disable)
        for file in gone:
            ondisk.remove(self._target.on_disk(file.path))
            self._done.append(f"removed {self._at(file)}")
        problems += self._tell_all(after_removal)
        if not kept:
            self._receipt_file.unlink(missing_ok=True)
            self._remove_empty(self._made_before())
        return Report(tuple(self._done), (*notes, *problems), ok and not problems)

    def state(self) -> Report:
        notes = list(self._said(*ondisk.WORDS))
        ok = len(self._which("same")) == len(self._found) and self._active is not False
        if self._active is not None and not self._which("another's", "another tickward's"):
            notes.append(f"{self._plan.kind} {'runs it' if self._active else 'does not run it'}")
        if self._target.is_this_machine and not self._target.scheduled:
            answers = is_listening(self._state)
            notes.append(f"the daemon {'answers' if answers else 'does not answer'}")
            ok = ok and answers
        return Report(notes=tuple(notes), ok=ok)

    def _made_before(self) -> list[Path]:
        """By the receipt, which whoever the service runs as can write: none but those that we would make."""
        own = {*self._plan.directories, *(file.path.parent for file in self._plan.files)}
        own |= {parent for path in own for parent in path.parents}
        return [path for path in map(Path, self._receipt.directories) if path in own]

    def _which(self, *kinds: ondisk.Found) -> tuple[File, ...]:
        return tuple(file for file, found in self._found.items() if found in kinds)

    def _at(self, file: File) -> Path:
        """Where it is written: what a person can look at, also where that is in an image."""
        return self._target.on_disk(file.path)

    def _said(self, *kinds: ondisk.Found) -> Iterator[str]:
        return (f"{self._at(file)} {ondisk.WORDS[self._found[file]]}" for file in self._which(*kinds))

    def _is_active(self) -> bool | None:
        """None: there is nobody to ask."""
        if not self._target.is_this_machine or not self._plan.active:
            return None
        return manager.run(self._plan.active) is None

    def _require_rights(self, what: str) -> None:
        needed = self._target.scope == "system" and self._target.is_this_machine
        if needed and not self._how.dry_run and os.geteuid() != 0:
            command = (*self._target.command, "service", what, "--kind", self._plan.kind, "--system")
            raise ConfigError(
                f"only root can {what} it for the system: `sudo {manager.shown(command)}`; or give --user"
            )

    def _require_one_master(self) -> None:
        """One that is at work already would keep the new one from starting."""
        if self._target.is_this_machine and (pid := Lock(self._state).holder()) is not None:
            raise TickwardError(f"another tickward (pid {pid}) looks after {self._state}: stop it first")

    def _intended(self, stale: tuple[File, ...], missing: tuple[Path, ...]) -> Iterator[str]:
        yield from (f"would make {self._target.on_disk(path)}" for path in missing)
        for file in stale:
            if self._found[file] == "edited":
                path = self._target.on_disk(file.path)
                kept = ondisk.aside_for(path, path.read_bytes())
                yield f"would keep {path}, which was edited by hand, as {kept}"
            yield f"would write {self._at(file)}"

    def _would_run(self, commands: tuple[Command, ...]) -> Iterator[str]:
        return (f"would run {self._shown(each)}" for each in self._here(commands))

    def _here(self, commands: tuple[Command, ...]) -> tuple[Command, ...]:
        """None for an image: its service manager is not this machine's."""
        return commands if self._target.is_this_machine else ()

    def _for_the_image(self) -> Iterator[str]:
        if not self._target.is_this_machine:
            yield from (f"to be run on that machine: {self._shown(each)}" for each in self._plan.enable)

    def _shown(self, command: Command) -> str:
        return manager.shown(command.argv, self._plan.kind)

    def _put(self, stale: tuple[File, ...], missing: tuple[Path, ...], owner: tuple[int, int] | None) -> None:
        for path in missing:
            self._make(path, 0o700 if path in self._plan.private else 0o755, owner)
            self._done.append(f"made {self._target.on_disk(path)}")
        for path in tuple(ondisk.missing((file.path.parent for file in stale), self._target)):
            self._make(path, 0o755, None)
        known = {str(file.path): receipt.digest(file.content) for file in self._plan.files}
        made = dict.fromkeys([*self._receipt.directories, *map(str, self._made)])
        receipt.write(self._receipt_file, Receipt(known, tuple(made)))
        for file in stale:
            self._write(file)

    def _make(self, path: Path, mode: int, owner: tuple[int, int] | None) -> None:
        ondisk.make(self._target.on_disk(path), mode, owner)
        self._made.append(path)

    def _write(self, file: File) -> None:
        path = self._target.on_disk(file.path)
        if self._found[file] != "absent":
            self._old[file] = path.read_bytes()
        if self._found[file] == "edited":
            aside = ondisk.aside_for(path, self._old[file])
            ondisk.publish(aside, self._old[file], file.mode)
            self._done.append(f"kept {path}, which was edited by hand, as {aside}")
        ondisk.publish(path, file.content, file.mode)
        self._done.append(f"wrote {path}")

    def _undo(self) -> None:
        """As it was before, as far as that can be: what ran before runs again."""
        new = self._which("absent")
        if new:
            self._tell_all(self._plan.disable)
        with suppress(OSError):
            for file in new:
                ondisk.remove(self._target.on_disk(file.path))
            for file, content in self._old.items():
                ondisk.publish(self._target.on_disk(file.path), content, file.mode)
            if self._receipt.files:
                receipt.write(self._receipt_file, self._receipt)
            else:
                self._receipt_file.unlink(missing_ok=True)
        self._tell_all(self._plan.enable if self._old else self._plan.after_removal)
        self._remove_empty(self._made)

    def _remove_empty(self, made: list[Path]) -> None:
        for path in reversed(made):
            with suppress(OSError):  # something is in it, which is not ours to remove
                there = self._target.on_disk(path)
                there.rmdir()
                self._done.append(f"removed {there}, which was empty")

    def _tell(self, commands: tuple[Command, ...]) -> None:
        """Raises `TickwardError` with the first that is needed and fails."""
        for command in self._here(commands):
            problem = manager.run(command.argv)
            if problem is None:
                self._done.append(f"ran {self._shown(command)}")
            elif command.needed:
                raise TickwardError(f"`{self._shown(command)}` failed ({problem})")

    def _tell_all(self, commands: tuple[Command, ...]) -> list[str]:
        """Each, whatever becomes of the others; what those that are needed complain of."""
        problems = []
        for command in commands:
            try:
                self._tell((command,))
            except TickwardError as error:
                problems.append(str(error))
        return problems


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename} cannot be written ({error.strerror})"
    return str(error)
