"""Which paths have the name of a day's file, and in which forms those are looked for."""

from __future__ import annotations

import pytest

from watcher.adopt.layout import Layout
from watcher.settings import Data, Stream

DATA = Data(
    "/d/db", "/d/db/backup", "/d/archive", "/d/state", streams={"ticks": Stream("{year}/t_{date}.db")}
)
BELOW = "2026/t_2026-01-20.db"


@pytest.mark.parametrize(
    ("top", "forms"),
    [("/d/db", ("", ".zst")), ("/d/db/backup", ("", ".zst")), ("/d/archive", (".zst",)), ("/d/state", ())],
)
def test_where_which_forms_are_looked_for(top: str, forms: tuple[str, ...]) -> None:
    layout = Layout(DATA)
    found = tuple(
        end for end in ("", ".zst", ".zst.zst", "-wal") if layout.is_in_place(f"{top}/{BELOW}{end}")
    )
    assert found == forms


@pytest.mark.parametrize("ending", ["", ".zst"])
@pytest.mark.parametrize("top", ["/d/db", "/d/db/backup", "/d/archive", "/d/state"])
def test_a_days_name_is_one_wherever_it_is(top: str, ending: str) -> None:
    assert Layout(DATA).key_of(f"{top}/{BELOW}{ending}") == "ticks/2026-01-20"


@pytest.mark.parametrize(
    "path", [f"/d/archive2/{BELOW}", f"/d/db/x/{BELOW}", "/d/db/2025/t_2026-01-20.db", f"/d/db/{BELOW}.bak"]
)
def test_no_other_name_is(path: str) -> None:
    assert Layout(DATA).key_of(path) == ""
    assert not Layout(DATA).is_in_place(path)


def test_where_the_files_of_a_day_would_be() -> None:
    paths = Layout(DATA).paths_of("ticks/2026-01-20")
    assert paths.database == f"/d/db/{BELOW}"
    assert paths.archived == f"/d/archive/{BELOW}.zst"
