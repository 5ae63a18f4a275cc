"""A world in memory for the planner: days on disks, a writer, a wrong clock, and steps that can be killed.

The steps change these disks as the real ones do, in their order, and fail where the real ones fail. What a
day holds is a set of batches of ticks: so it can be told of each copy, and of all copies together, whether
anything of what was written is missing.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import date, datetime, timedelta
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from handlers.contract import (
    Archived,
    BackedUp,
    Compressed,
    Created,
    Done,
    Drilled,
    Expired,
    Failure,
    Holder,
    Job,
    Lost,
    Merged,
    Repair,
    Repaired,
    Restored,
    Result,
    Sealed,
    Signature,
    Step,
    StepError,
    Trouble,
    Verified,
)
from tests.watcher.builders import paths
from watcher.clock import ClockDoubt
from watcher.events import Event
from watcher.holds import judge
from watcher.lifecycle import State, state_of
from watcher.outcomes import event_of, job_of
from watcher.plan import Action, Doubts, Order, Planner, ordered, wanted
from watcher.requests import Hold, Release
from watcher.settings import Settings
from watcher.state import Database, Facts, Files, fold

WRITER = Holder(42, "engine")


class Place(StrEnum):
    """Where a copy can be."""

    RAW = "database"
    ZST = "compressed"
    BACKUP = "backup"
    BACKUP_ZST = "backup_compressed"
    ARCHIVED = "archived"


class Item(Struct, frozen=True):
    """A file: what it holds, and whether that can still be read."""

    batches: frozenset[int]
    signature: Signature
    rotten: bool = False

    @property
    def sha256(self) -> str:
        return "rotten" if self.rotten else digest(self.batches)


def digest(batches: frozenset[int]) -> str:
    return "-".join(map(str, sorted(batches))) or "empty"


class Killed(Exception):  # noqa: N818 (what happens to the daemon, no error of it)
    """The daemon is gone in the middle of a step."""


class Entry(Struct, frozen=True):
    """What was recorded, and when: truly, and by the daemon's clock."""

    truth: datetime
    clock: datetime
    key: str
    event: Event


class World:
    """Everything that is there."""

    def __init__(self, settings: Settings, truth: datetime) -> None:
        self.settings = settings
        self.truth = truth
        self.error = timedelta()
        self.disks: dict[str, dict[Place, Item]] = {}
        self.written: dict[str, set[int]] = {}
        self.facts: dict[str, Facts] = {}
        self.attempted: dict[str, datetime] = {}
        self.log: list[Entry] = []
        self.is_mounted = {"backup": True, "archive": True}
        self._looked_at: dict[str, tuple[object, Database]] = {}
        self._count = 0
        self._doubt = ClockDoubt()
        self.planner = Planner()
        self._write_today()

    # What the daemon can see.

    @property
    def clock(self) -> datetime:
        return self.truth + self.error

    @property
    def today(self) -> str:
        """The day that the writer is in: it goes by a clock of its own, which is right."""
        return f"ticks/{self.truth.date()}"

    def databases(self) -> list[Database]:
        keys = {*self.disks, *(f"{stream}/{day}" for stream, day in wanted(self.settings, self.clock))}
        return [self.database(key) for key in sorted(keys)]

    def database(self, key: str) -> Database:
        facts, disk = self.facts.get(key, Facts()), self.disks.get(key, {})
        held = key == self.today if Place.RAW in disk else None
        attempted, mounted = self.attempted.get(key), tuple(self.is_mounted.values())
        looks = (facts, tuple(disk.items()), held, attempted, mounted)
        known = self._looked_at.get(key)
        if known is None or known[0] != looks:
            day = date.fromisoformat(key.removeprefix("ticks/"))
            found = Database(key, "ticks", day, paths(day), self.files(key), facts, held=held)
            self._looked_at[key] = known = (looks, replace(found, attempted_at=attempted))
        return known[1]

    def files(self, key: str) -> Files:
        found = self.disks.get(key, {})
        seen = {
            place.value: item.signature
            for place, item in found.items()
            if (self.is_mounted["backup"] or place not in (Place.BACKUP, Place.BACKUP_ZST))
            and (self.is_mounted["archive"] or place is not Place.ARCHIVED)
        }
        return Files(**seen)

    def doubts(self) -> Doubts:
        reasons = {name: "" if there else f"{name} is away" for name, there in self.is_mounted.items()}
        return Doubts(reasons["backup"], reasons["archive"], clock_until=self._doubt.until)

    # What the world does.

    def pass_time(self, delta: timedelta) -> None:
        """Time goes by, and the writer writes."""
        until = self.truth + delta
        while self.truth.date() < until.date():
            self.truth = datetime.combine(self.truth.date(), datetime.min.time(), self.truth.tzinfo)
            self.truth += timedelta(days=1)
            self._write_today()
        self.truth = until

    def write(self, key: str) -> None:
        """A batch of ticks more in that day's database, wherever that leads to."""
        self._count += 1
        raw = self.disks.setdefault(key, {}).get(Place.RAW)
        before = raw.batches if raw else frozenset()
        self.written.setdefault(key, set()).add(self._count)
        self.put(key, Place.RAW, before | {self._count})

    def put(self, key: str, place: Place, batches: frozenset[int]) -> Signature:
        self._count += 1
        signature = Signature(100 * len(batches) + 10, self._count, self._count)
        self.disks.setdefault(key, {})[place] = Item(batches, signature)
        return signature

    def rot(self, key: str, place: Place) -> None:
        """Bits flip, and no time stamp tells of it."""
        self.disks[key][place] = replace(self.disks[key][place], rotten=True)

    def good_copies(self, key: str) -> list[Place]:
        """Where the sealed content can be read."""
        sealed = self.facts[key].sealed if key in self.facts else None
        found = self.disks.get(key, {}).items()
        return [place for place, item in found if sealed and item.sha256 == sealed.sha256]

    def _write_today(self) -> None:
        self.write(self.today)

    # What the daemon does.

    def restart(self) -> None:
        """What was only in memory is gone."""
        self._doubt = ClockDoubt()
        self.attempted.clear()
        self.facts = {key: replace(facts, failed={}) for key, facts in self.facts.items()}

    def run(self, at_once: int = 2, lives: int | None = None) -> int:
        """One pass: until nothing is due. Returns how many steps were done.

        Args:
            at_once: so many steps are done before it is planned anew.
            lives: raises `Killed` after so many changes of the disks.
        """
        self._doubt.watch(self.clock, self.truth.timestamp())
        done = 0
        for _ in range(2000):
            found = self.planner.plan(self.databases(), self.settings, self.clock, self.doubts())
            for notice in found.notices:
                self.record(notice.key, notice.event)
            for action in found.actions[:at_once]:
                lives = self.perform(action, lives)
                done += 1
            if not found.notices and not found.actions:
                return done
        raise AssertionError(f"it never ends: {found.actions[:3]}")

    def order(self, order: Order) -> list[Action]:
        """What a person asks for is done; returns what that was."""
        entries = ordered(self.databases(), self.settings, self.clock, order, self.doubts())
        actions = [entry for entry in entries if isinstance(entry, Action)]
        for action in actions:
            self.perform(action, None, order)
        return actions

    def ask(self, request: Hold | Release) -> None:
        for verdict in judge(request, {database.key: database for database in self.databases()}):
            if verdict.event is not None:
                self.record(verdict.key, verdict.event)

    def perform(self, action: Action, lives: int | None, order: Order | None = None) -> int | None:
        """Do one step; returns how many changes are left until the daemon is killed."""
        database = self.database(action.key)
        job = job_of(action, database, self.settings, order)
        self.before(action)
        steps = _HANDLERS[action.step](self, job)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                outcome: Done | Failure = Done(job, end.value, 0.0)
                break
            except StepError as error:
                outcome = _failure(job, error)
                self.attempted[job.key] = self.clock
                break
            self.after_change(action.key)
            lives = None if lives is None else lives - 1
            if lives is not None and lives <= 0:
                raise Killed
        event = event_of(outcome, self.database(job.key), self.settings.workers, self.clock)
        if event is not None:
            self.record(action.key, event)
        self.after_change(action.key)
        return lives

    def record(self, key: str, event: Event) -> None:
        before = state_of(self.database(key))
        self.disks.setdefault(key, {})
        self.facts[key] = fold(self.facts.get(key, Facts()), event, self.clock)
        self.log.append(Entry(self.truth, self.clock, key, event))
        self.after_event(key, event, before)

    # For whoever watches.

    def before(self, action: Action) -> None:
        """Called before a step."""

    def after_change(self, key: str) -> None:
        """Called after each change of the disks."""

    def after_event(self, key: str, event: Event, before: State) -> None:
        """Called after each record."""


Steps = Generator[None, None, Result]
"""One yield for each change of the disks; returns the result."""


def _failure(job: Job, error: StepError) -> Failure:
    return Failure(
        job, error.trouble, error.message, error.hint, error.retryable, error.holders, error.problems
    )


def _error(trouble: Trouble, message: str) -> StepError:
    return StepError(message, hint="look", trouble=trouble, retryable=False)


def _sealed(job: Job) -> Sealed:
    assert job.sealed is not None
    return job.sealed


def _batches(sealed: Sealed) -> frozenset[int]:
    return frozenset(map(int, sealed.sha256.split("-"))) if sealed.sha256 != "empty" else frozenset()


def _create(world: World, job: Job) -> Steps:
    disk = world.disks.setdefault(job.key, {})
    assert Place.RAW not in disk, "a database that is there is not made"
    signature = world.put(job.key, Place.RAW, frozenset())
    yield
    return Created(job.paths.database, signature)


def _seal(world: World, job: Job) -> Steps:
    raw = world.disks[job.key][Place.RAW]
    if job.key == world.today:
        raise StepError("held", hint="wait", trouble=Trouble.BUSY, holders=(WRITER,))
    yield from ()
    ticks = len(raw.batches)
    return Sealed(
        job.paths.database,
        digest(raw.batches),
        raw.signature.size_bytes,
        ticks,
        1,
        1,
        2,
        3054001,
        raw.signature,
    )


def _backup(world: World, job: Job) -> Steps:
    raw = world.disks[job.key][Place.RAW]
    if not job.live:
        _require_sealed_raw(raw, _sealed(job))
    assert world.is_mounted["backup"], "nothing is written where no disk is mounted"
    world.put(job.key, Place.BACKUP, raw.batches)
    yield
    size = 100 * len(raw.batches) + 10
    return BackedUp(job.paths.backup, digest(raw.batches), size, len(raw.batches), live=job.live)


def _require_sealed_raw(raw: Item, sealed: Sealed) -> None:
    if raw.signature != sealed.signature:
        raise _error(Trouble.CHANGED, "it was written to")
    if raw.sha256 != sealed.sha256:
        raise _error(Trouble.CORRUPT, "it is not what was sealed")


def _compress(world: World, job: Job) -> Steps:
    disk, sealed = world.disks[job.key], _sealed(job)
    assert world.is_mounted["backup"]
    first = Place.ARCHIVED if job.archived else Place.ZST
    yield from _first_zst(world, job, first)
    if not _holds(job, disk, Place.BACKUP_ZST, Trouble.CONFLICT):
        world.put(job.key, Place.BACKUP_ZST, _batches(sealed))
        yield
    spare = disk.get(Place.BACKUP)
    if spare and spare.sha256 != sealed.sha256:
        raise _error(Trouble.CONFLICT, "the backup is not what was sealed")
    if raw := disk.get(Place.RAW):
        _require_sealed_raw(raw, sealed)
        del disk[Place.RAW]
        yield
    if spare:
        del disk[Place.BACKUP]
        yield
    packed = f"z{sealed.sha256}"
    return Compressed(
        job.paths.compressed,
        sealed.sha256,
        packed,
        sealed.size_bytes,
        5,
        19,
        4 << 20,
        job.paths.backup_compressed,
    )


def _first_zst(world: World, job: Job, first: Place) -> Generator[None, None, None]:
    disk = world.disks[job.key]
    raw = disk.get(Place.RAW)
    if _holds(job, disk, first, Trouble.CONFLICT if raw else Trouble.CORRUPT):
        return
    if raw is None or job.archived:
        raise _error(Trouble.FAILED, "neither of them is there")
    _require_sealed_raw(raw, _sealed(job))
    world.put(job.key, first, raw.batches)
    yield


def _holds(job: Job, disk: dict[Place, Item], place: Place, trouble: Trouble) -> bool:
    """Whether a .zst is there and right; False if there is none, or an older content."""
    item = disk.get(place)
    if item is None or item.sha256 in job.superseded:
        return False
    if item.sha256 != _sealed(job).sha256:
        raise _error(trouble, f"{place} is not what was sealed")
    return True


def _archive(world: World, job: Job) -> Steps:
    disk, sealed = world.disks[job.key], _sealed(job)
    assert world.is_mounted["archive"], "nothing is written where no disk is mounted"
    if raw := disk.get(Place.RAW):
        raise _error(Trouble.FAILED if raw.signature == sealed.signature else Trouble.CONFLICT, "it is there")
    if (source := disk.get(Place.ZST)) is not None:
        if source.sha256 != sealed.sha256:
            raise _error(Trouble.CORRUPT, "it is not what was recorded")
        if not _holds(job, disk, Place.ARCHIVED, Trouble.CONFLICT):
            world.put(job.key, Place.ARCHIVED, source.batches)
            yield
        del disk[Place.ZST]
        yield
    elif not _holds(job, disk, Place.ARCHIVED, Trouble.CONFLICT):
        raise _error(Trouble.FAILED, "neither of them is there")
    return Archived(job.paths.archived, sealed.sha256, f"z{sealed.sha256}", 5, "rename")


def _expire(world: World, job: Job) -> Steps:
    disk, sealed = world.disks[job.key], _sealed(job)
    assert all(world.is_mounted.values()), "a copy that cannot be seen would be left"
    assert job.expiry is not None
    assert job.expiry.policy
    if (raw := disk.get(Place.RAW)) and raw.signature != sealed.signature:
        raise _error(Trouble.CONFLICT, "it may hold ticks that were never sealed")
    for place in (Place.BACKUP, Place.BACKUP_ZST, Place.ARCHIVED, Place.ZST, Place.RAW):
        if disk.pop(place, None):
            yield
    every = (job.paths.database, job.paths.backup, job.paths.archived)
    what, when = (sealed.ticks, 1, 1, 2, every, 0, ()), (job.expiry.policy, job.expiry.due)
    return Expired(sealed.sha256, "", sealed.size_bytes, 0, *what, *when, job.expiry.reason, job.by)


def _verify(world: World, job: Job) -> Steps:
    disk, sealed = world.disks[job.key], _sealed(job)
    raw = disk.get(Place.RAW)
    if raw and raw.signature != sealed.signature:
        raise _error(Trouble.CHANGED, "it was written to")
    expected = _expected(job)
    bad = [place for place in Place if _is_bad(disk, place, sealed, expected)]
    if not bad:
        return Verified(sealed.sha256, (), 1)
    if not any(item.sha256 == sealed.sha256 for item in disk.values()):
        for place in bad:
            disk.pop(place, None)
        yield
        return Lost(sealed.sha256, sealed.ticks, (), (), "no good copy is left", "look elsewhere")
    signature = None
    for place in bad:
        made = world.put(job.key, place, _batches(sealed))
        signature = made if place is Place.RAW else signature
        yield
    repairs = tuple(Repair(place.value, "bad", "good") for place in bad)
    return Repaired(sealed.sha256, (), repairs, 1, signature)


def _expected(job: Job) -> set[Place]:
    if job.compressed:
        return {Place.ARCHIVED if job.archived else Place.ZST, Place.BACKUP_ZST}
    return {Place.RAW, Place.BACKUP} if job.backup_sha256 == _sealed(job).sha256 else {Place.RAW}


def _is_bad(disk: dict[Place, Item], place: Place, sealed: Sealed, expected: set[Place]) -> bool:
    """Missing where it should be, or other than it should be; what nobody recorded is not judged."""
    if place in expected:
        return place not in disk or disk[place].sha256 != sealed.sha256
    judged = place in (Place.RAW, Place.BACKUP) and Place.BACKUP_ZST in expected
    return judged and place in disk and disk[place].sha256 != sealed.sha256


def _drill(world: World, job: Job) -> Steps:
    item = world.disks[job.key].get(Place.ARCHIVED)
    assert item is not None
    if item.sha256 != _sealed(job).sha256:
        raise _error(Trouble.CORRUPT, "it is not what was sealed")
    yield from ()
    return Drilled(job.paths.archived, item.sha256, _sealed(job).size_bytes, _sealed(job).ticks)


def _restore(world: World, job: Job) -> Steps:
    sealed = _sealed(job)
    if not world.good_copies(job.key):
        raise _error(Trouble.FAILED, "no good copy is left")
    signature = world.put(job.key, Place.RAW, _batches(sealed))
    yield
    return Restored(
        job.paths.database,
        "x",
        sealed.sha256,
        sealed.size_bytes,
        sealed.ticks,
        signature,
        True,
        job.restoring.keep_until,
        "",
        (),
        job.by,
    )


def _merge(world: World, job: Job) -> Steps:
    disk, sealed = world.disks[job.key], _sealed(job)
    late = disk[Place.RAW]
    if not world.good_copies(job.key):
        raise _error(Trouble.FAILED, "no good copy is left")
    world.put(job.key, Place.RAW, late.batches | _batches(sealed))
    yield
    counts = (sealed.ticks, len(late.batches), 1, 0, 0, sealed.ticks + 1)
    return Merged(job.paths.database, sealed.sha256, late.sha256, *counts, "", job.by)


_HANDLERS = {
    Step.CREATE: _create,
    Step.SEAL: _seal,
    Step.BACKUP: _backup,
    Step.COMPRESS: _compress,
    Step.ARCHIVE: _archive,
    Step.EXPIRE: _expire,
    Step.VERIFY: _verify,
    Step.DRILL: _drill,
    Step.RESTORE: _restore,
    Step.MERGE: _merge,
}
