"""The self-test from beginning to end: some days are lived through, then each proof is made."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from pathlib import Path

import apsw

from watcher.errors import TickwardError
from watcher.selftest import living, ordering
from watcher.selftest.living import Told
from watcher.selftest.machine import look_at
from watcher.selftest.result import Figure, Machine, NotProvenError, Proof, Selftest
from watcher.selftest.scene import Hold, Scene

Tell = Callable[[Machine | Proof], None]

PROOFS: dict[str, Callable[[Scene], Told]] = {
    "rotation": living.rotation,
    "creation": living.creation,
    "sealing": living.sealing,
    "backup": living.backup,
    "restart": ordering.restart,
    "compress": ordering.compress,
    "archive": ordering.archive,
    "query": ordering.query,
    "verify": ordering.verify,
    "restore": ordering.restore,
    "hold": ordering.hold,
    "expire": ordering.expire,
    "audit": ordering.audit,
    "events": ordering.events,
}
"""By name, in the order in which they are made: each needs what those before it have left."""

_LIFE = "living"
_SAID = "the daemon's and the writer's own words are in daemon.txt and writer.txt there"


def rehearse(folder: Path, days: int, tell: Tell, hold: Hold = nullcontext) -> Selftest:
    """Live through some days in a folder, and prove what is to be proven.

    Args:
        folder: empty; it is left as it is at the end.
        days: how many, three or more.
        tell: is told what the machine is like, and of each proof when it is made.
        hold: what holds off interruptions while processes are started.
    """
    started = time.monotonic()
    machine = look_at(folder)
    tell(machine)
    proofs: list[Proof] = []
    with ExitStack() as stack:
        with hold():
            scene = Scene(folder, days, hold)
            stack.callback(_close, scene, hold)
        proofs.append(_made(_LIFE, _live, scene))
        tell(proofs[0])
        for name, prove in PROOFS.items() if proofs[0].ok else ():
            proofs.append(_made(name, prove, scene))
            tell(proofs[-1])
    return Selftest(
        ok=all(proof.ok for proof in proofs),
        days=days,
        ticks=sum(content.ticks for content in scene.written.values()),
        seconds=round(time.monotonic() - started, 1),
        folder=str(folder),
        kept=True,
        machine=machine,
        proofs=tuple(proofs),
    )


def _close(scene: Scene, hold: Hold) -> None:
    with hold():
        scene.close()


def _live(scene: Scene) -> Told:
    scene.live()
    return f"{len(scene.stage.days)} days went by, with a writer and a daemon", ()


def _made(name: str, prove: Callable[[Scene], Told], scene: Scene) -> Proof:
    started = time.monotonic()
    figures: tuple[Figure, ...] = ()
    try:
        said, figures = prove(scene)
        hint = ""
    except NotProvenError as error:
        said, hint = str(error), error.hint
    except TickwardError as error:
        said, hint = str(error), _SAID
    except (OSError, ValueError, LookupError, apsw.Error) as error:
        said, hint = f"{type(error).__name__}: {error}", _SAID
    return Proof(name, not hint, said, hint, round(time.monotonic() - started, 2), figures)
