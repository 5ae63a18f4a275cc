"""The self-test as a whole, once; then each proof is shown what is not so, and must see it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pytest

from watcher.errors import TickwardError
from watcher.selftest import living, ordering, scene
from watcher.selftest.content import written
from watcher.selftest.rehearsal import PROOFS, rehearse
from watcher.selftest.result import Machine, NotProvenError, Proof, Selftest
from watcher.selftest.scene import Scene, pace

DAYS = 3


class Rehearsed(NamedTuple):
    folder: Path
    told: list[Machine | Proof]
    found: Selftest


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsed]:
    folder, told = tmp_path_factory.mktemp("s"), list[Machine | Proof]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scene, "pace", lambda _: 0.6)
        yield Rehearsed(folder, told, rehearse(folder, DAYS, told.append))


@pytest.fixture
def played(rehearsed: Rehearsed) -> Iterator[Scene]:
    """The scene as it was at the end, with nothing running."""
    again = Scene(rehearsed.folder, DAYS)
    again.written, again.records = written(again.stage), again.recorded()
    yield again
    again.close()


class TestTheWhole:
    def test_every_proof_holds(self, rehearsed: Rehearsed) -> None:
        # That of days made ahead is not asked: at this pace a busy machine may be too late for it.
        failed = [proof for proof in rehearsed.found.proofs if not proof.ok and proof.name != "creation"]
        assert failed == []
        assert [proof.name for proof in rehearsed.found.proofs] == ["living", *PROOFS]

    def test_each_is_told_as_soon_as_it_is_made(self, rehearsed: Rehearsed) -> None:
        assert rehearsed.told == [rehearsed.found.machine, *rehearsed.found.proofs]

    def test_has_figures(self, rehearsed: Rehearsed) -> None:
        figures = {each.name: each for proof in rehearsed.found.proofs for each in proof.figures}
        assert figures["compressed"].unit == "MB/s"
        assert figures["ratio"].value > 1
        assert {"a look into a hot day", "a look into a warm day", "a look into a cold day"} <= set(figures)
        assert rehearsed.found.ticks > 1000

    def test_ends_what_it_started(self, rehearsed: Rehearsed, played: Scene) -> None:
        assert re.search(r"stopped", (rehearsed.folder / "daemon.txt").read_text())
        assert played.recorded()[-1].event == "stopped"


@contextmanager
def flipped(file: Path) -> Iterator[None]:
    before = file.read_bytes()
    ordering._flip_a_bit(file)
    yield
    file.write_bytes(before)


def forget(event: str) -> Callable[[Scene], None]:
    def change(played: Scene) -> None:
        played.records = [each for each in played.records if each.event != event]

    return change


def miscount(played: Scene) -> None:
    played.written[played.warm[0]].ticks += 1


def mistake_a_row(played: Scene) -> None:
    played.written[played.warm[0]].fingerprint += 1


def miss_an_event(played: Scene) -> None:
    played.heard = [1, 2, 4, 5]
    played.hear_all = lambda _: None  # type: ignore[method-assign]


class TestAProofThatCannotBeMade:
    @pytest.mark.parametrize(
        ("prove", "change", "said"),
        [
            (living.rotation, forget("rotated"), "nothing was announced at the beginning of 2026-01-0"),
            (living.creation, forget("created"), "only 0 were made ahead"),
            (living.sealing, forget("sealed"), "2026-01-05 was never sealed"),
            (living.sealing, miscount, "are sealed"),
            (living.backup, lambda _: None, "has no second copy; there is: "),
            (ordering.query, mistake_a_row, "does not have the rows that were written"),
            (ordering.events, miss_an_event, "a subscriber got 4 of them"),
        ],
    )
    def test_says_what_is_not_so_and_what_to_do(
        self,
        played: Scene,
        prove: Callable[[Scene], object],
        change: Callable[[Scene], None],
        said: str,
    ) -> None:
        played.cold = []  # that day is gone by now
        change(played)
        with pytest.raises(NotProvenError, match=said) as refused:
            prove(played)
        assert refused.value.hint

    def test_a_damaged_hot_day_is_not_what_was_sealed(self, played: Scene) -> None:
        played.stage.days = played.hot
        living.backup(played)
        with (
            flipped(played.on_disk(played.hot)[played.hot[0]].files[1]),
            pytest.raises(NotProvenError, match="is not what was sealed"),
        ):
            living.backup(played)

    def test_a_daemon_that_is_not_there_is_told(self, played: Scene) -> None:
        played.stage.daemon_ended = lambda: 1  # type: ignore[method-assign]
        with pytest.raises(TickwardError, match=r"the daemon ended early: .*stopped"):
            ordering.compress(played)


@pytest.mark.parametrize(("days", "seconds"), [(3, 1.2), (14, 10 / 14), (60, 0.6), (400, 0.6)])
def test_two_weeks_take_ten_seconds(days: int, seconds: float) -> None:
    assert pace(days) == seconds


def test_the_days_are_shared_out_over_the_tiers(tmp_path: Path) -> None:
    made = Scene(tmp_path, 14)
    made.close()
    assert (len(made.cold), len(made.warm), len(made.hot)) == (4, 4, 6)
    assert made.cold[0] == date(2026, 1, 5)
