"""What the work stands on: directories, marks, and streams that were left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.watcher.builders import HOLD, archived, backed_up, expired, sealed
from watcher.errors import ConfigError
from watcher.inventory import ARCHIVE_SENTINEL, BACKUP_SENTINEL
from watcher.premises import keep_sentinels, prepare_directories, require_streams
from watcher.settings import Data, Settings
from watcher.state import Facts

DAY = "ticks/2026-01-20"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    tops = {top: str(tmp_path / top) for top in ("root", "backup", "archive", "state")}
    return Settings(data=Data(**tops))


def places(settings: Settings) -> tuple[Path, Path]:
    return Path(settings.data.backup, BACKUP_SENTINEL), Path(settings.data.archive, ARCHIVE_SENTINEL)


@pytest.mark.parametrize(
    ("facts", "made"),
    [
        (Facts(sealed=sealed()), (True, True)),
        (Facts(sealed=sealed(), backed_up=backed_up()), (False, True)),
        (Facts(sealed=sealed(), backed_up=backed_up(), archived=archived()), (False, False)),
    ],
    ids=["no copies", "a backup", "a backup and a cold day"],
)
def test_directories_of_copies_are_made_only_where_no_copy_is_known(
    settings: Settings, facts: Facts, made: tuple[bool, bool]
) -> None:
    prepare_directories(settings)
    keep_sentinels(settings, {DAY: facts})
    assert tuple(place.exists() for place in places(settings)) == made
    assert tuple(place.parent.exists() for place in places(settings)) == made


def test_a_stream_that_is_not_configured_any_more_is_told_of(settings: Settings) -> None:
    known = {"fx/2026-01-20": Facts(sealed=sealed()), "fx/2026-01-21": Facts(sealed=sealed()), "fx": Facts()}
    (sentence,) = require_streams(settings, known)
    assert sentence.startswith("2 days of the stream 'fx'")
    assert require_streams(settings, {DAY: Facts(sealed=sealed())}) == []
    gone = {"fx/2026-01-20": Facts(expired=expired())}
    assert require_streams(settings, gone) == []


def test_a_hold_is_not_lost_with_the_name_of_its_stream(settings: Settings) -> None:
    known = {"fx/2026-01-20": Facts(sealed=sealed(), hold=HOLD)}
    with pytest.raises(ConfigError, match=r"fx/2026-01-20 is on hold \(audit 17\)"):
        require_streams(settings, known)
    assert require_streams(settings, {DAY: replace(Facts(), hold=HOLD)}) == []
