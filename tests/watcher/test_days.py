"""Which file is the day: a table of what may be on disk and what the journal knows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.watcher import builders
from tests.watcher.builders import DAY, utc
from watcher.days import Days, Found
from watcher.events import Conflict, Event
from watcher.journal import Journal
from watcher.paths import journal_file
from watcher.settings import Data, Settings

KEY = f"ticks/{DAY}"
BELOW = f"{DAY:%Y}/{DAY:%m}/ticks_{DAY}.db"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=Data(*(str(tmp_path / name) for name in ("root", "backup", "archive", "state"))))


@pytest.fixture
def there(tmp_path: Path) -> Callable[..., None]:
    """Puts files there: ``root/.db``, ``archive/.zst``, ..."""

    def put(*places: str) -> None:
        for place in places:
            top, _, ending = place.partition("/")
            path = tmp_path / top / BELOW
            path.parent.mkdir(parents=True, exist_ok=True)
            if ending == ".retired":
                path.with_name(f".{path.name}.retired").write_text("day")
            else:
                path.with_name(path.name.removesuffix(".db") + ending).write_text("day")

    return put


def record(settings: Settings, *events: Event) -> None:
    Path(settings.data.state).mkdir(exist_ok=True)
    with Journal.open_for_writing(journal_file(settings.data)) as journal:
        journal.record([(KEY, event) for event in events], utc("2026-02-01 00:00"))


def looked_up(settings: Settings, events: list[Event]) -> Found:
    """What is found of the day after these events, or before there is a journal."""
    if events:
        record(settings, *events)
    with Days.of(settings) as days:
        return days.find("ticks", DAY)


SEALED = [builders.sealed(), builders.backed_up()]
COMPRESSED = [*SEALED, builders.compressed()]
ARCHIVED = [*COMPRESSED, builders.archived()]
RESTORED = [*ARCHIVED, builders.restored(None)]


@pytest.mark.parametrize(
    ("places", "events", "expected", "tier"),
    [
        (["root/.db"], [], "root/.db", "hot"),
        (["root/.db", "backup/.db"], SEALED, "root/.db", "hot"),
        (["root/.db.zst", "backup/.db.zst"], COMPRESSED, "root/.db.zst", "warm"),
        (["archive/.db.zst", "backup/.db.zst"], ARCHIVED, "archive/.db.zst", "cold"),
        # while it is being compressed, before that is recorded
        (["root/.db", "root/.db.zst"], SEALED, "root/.db", "hot"),
        (["root/.retired"], SEALED, "root/.retired", "hot"),
        # restored into the tree
        (["root/.db", "archive/.db.zst"], RESTORED, "root/.db", "hot"),
        # the first copy is gone
        (["backup/.db.zst"], COMPRESSED, "backup/.db.zst", "backup"),
        (["backup/.db"], SEALED, "backup/.db", "backup"),
    ],
)
def test_the_file_that_is_the_day(
    settings: Settings,
    there: Callable[..., None],
    tmp_path: Path,
    places: list[str],
    events: list[Event],
    expected: str,
    tier: str,
) -> None:
    there(*places)
    found = looked_up(settings, events)
    there("expected/" + expected.partition("/")[2])
    name = next(path.name for path in (tmp_path / "expected").rglob("*ticks*"))
    assert found.path == tmp_path / expected.partition("/")[0] / f"{DAY:%Y}/{DAY:%m}" / name
    assert found.tier == tier
    assert found.key == KEY
    assert not found.why_missing


def test_late_ticks_beside_a_compressed_day_are_not_the_day(
    settings: Settings, there: Callable[..., None]
) -> None:
    there("root/.db", "root/.db.zst")
    found = looked_up(settings, COMPRESSED)
    assert str(found.path).endswith(".zst")
    assert "tickward merge" in found.note


@pytest.mark.parametrize(
    ("places", "events", "expected", "note"),
    [
        # compressed or archived, and the .zst does not show: the database is never the day
        (["root/.db"], ARCHIVED, "", "only late ticks"),
        (["root/.db", "backup/.db.zst"], ARCHIVED, "backup", "read from the backup; late ticks"),
        # the original has lost its name, and a late writer has taken it
        (["root/.db", "root/.retired", "root/.db.zst"], SEALED, ".zst", "late ticks"),
        (["root/.db", "root/.retired"], SEALED, ".retired", "late ticks"),
        # nobody knows
        (["root/.db", "root/.db.zst"], [], "", "the journal does not know the day"),
    ],
)
def test_a_late_database_is_never_taken_for_the_day(
    settings: Settings,
    there: Callable[..., None],
    places: list[str],
    events: list[Event],
    expected: str,
    note: str,
) -> None:
    there(*places)
    found = looked_up(settings, events)
    assert note in (found.note or found.why_missing)
    assert (found.path is None) == (not expected)
    assert expected in str(found.path)
    assert not str(found.path).endswith(f"root/{BELOW}")


def test_notes(settings: Settings, there: Callable[..., None]) -> None:
    there("root/.db")
    with Days.of(settings) as days:
        assert "not sealed" in days.find("ticks", DAY).note
    record(settings, *SEALED)
    with Days.of(settings) as days:
        assert days.find("ticks", DAY).note == ""


def test_that_there_is_another_version_is_said_with_what_is_read(
    settings: Settings, there: Callable[..., None]
) -> None:
    there("root/.db.zst", "backup/.db")
    found = looked_up(settings, [Conflict("x", "holds something else, with 999 ticks", "look", "e")])
    assert found.path is not None
    assert "two versions of it, and this is only one: holds something else, with 999 ticks" in found.note


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([], "is not there: is it this configuration"),
        (SEALED, "no copy of it is there any more"),
        ([*ARCHIVED, builders.expired()], "deleted by the policy on 2026-02-01"),
        ([*SEALED, builders.lost("x")], "lost"),
    ],
)
def test_why_nothing_is_there(settings: Settings, events: list[Event], why: str) -> None:
    found = looked_up(settings, events)
    assert (found.path, found.tier) == (None, "")
    assert why in found.why_missing


def test_a_stream_that_is_not_configured_is_an_error(settings: Settings) -> None:
    with Days.of(replace(settings)) as days:
        assert days.streams == ["ticks"]
        with pytest.raises(KeyError):
            days.find("trades", DAY)


def test_what_is_said_of_one_day_has_a_form_for_many(
    settings: Settings, there: Callable[..., None], tmp_path: Path
) -> None:
    there("root/.db", "root/.db.zst")
    found = looked_up(settings, COMPRESSED)
    assert str(tmp_path) in found.note
    late = "late ticks in its file in the root are not in it yet"
    assert found.alike == f"{late}: `tickward merge` brings them in"


def test_many_that_were_deleted_were_not_so_on_one_day(settings: Settings) -> None:
    assert looked_up(settings, [builders.sealed(), builders.expired()]).alike == "deleted by the policy"
