"""`tickward history DAY`."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from scripts.sample_tree import FAILING, configure, grow, settings_below
from tests.watcher.cli.conftest import Terminal


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tree")
    return str(configure(folder, grow(settings_below(folder), 200, troubles=FAILING, durable=False)))


def test_tells_the_whole_life_of_a_deleted_day(tickward: Terminal, config: str) -> None:
    told = tickward("-c", config, "history", "2026-01-05", "--json").json
    assert (told["day"]["tier"], told["copies"]) == ("gone", [])
    assert [event["event"] for event in told["events"]] == [
        "created",
        "opened",
        "closed",
        "sealed",
        "backed_up",
        "compressed",
        "archived",
        "expired",
    ]
    assert told["certificate"]["sha256"] == told["day"]["sha256"]
    out = tickward("-c", config, "history", "ticks/2026-01-05").out
    assert all(event["link"] in out for event in told["events"])
    assert out.count(told["day"]["sha256"]) == 7  # as content, in its certificate, and in five events


def test_tells_where_the_copies_are(tickward: Terminal, config: str) -> None:
    told = tickward("-c", config, "history", "2026-06-20", "--stream", "ticks", "--json").json
    assert [copy["top"] for copy in told["copies"]] == ["root", "backup"]
    assert all(Path(copy["path"]).stat().st_size == copy["bytes"] for copy in told["copies"])
    assert told["day"]["step"] == "archive"


def test_tells_what_is_wrong(tickward: Terminal, config: str) -> None:
    out = tickward("-c", config, "history", "2026-07-13").out
    assert "next    blocked: corrupt: row 1174 missing from index ticks_by_time" in out
    assert ' corrupt step=seal error="the integrity check fails" ' in out
    kept = tickward("-c", config, "history", "2026-05-16").out
    assert "on hold by ann (uid 1000, pid 812): inquiry 2026-17" in kept


def test_a_day_that_is_still_to_be_made(tickward: Terminal) -> None:
    tickward.configure()
    out = tickward("history", "2026-01-20").out
    assert "next    create now: today's database is missing" in out
    assert out.endswith("nothing has happened to it yet\n")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("2026-06-25",), 1, "ticks/2026-06-25: nothing is known of this day"),
        (("1999-01-01",), 1, "ticks/1999-01-01: nothing is known of this day"),
        (("soon",), 2, "'soon' is not a day such as 2026-01-20 or ticks/2026-01-20"),
        (("quotes/2026-06-24",), 2, "--stream: there is no stream 'quotes'"),
        (("ticks/2026-06-24", "--stream", "quotes"), 2, "--stream: ticks/2026-06-24 is a day of ticks"),
    ],
)
def test_says_of_what_it_knows_nothing(
    tickward: Terminal, config: str, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ended = tickward("-c", config, "history", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith(f"tickward: {said}")


def test_of_several_streams_one_has_to_be_named(tickward: Terminal, tmp_path: Path) -> None:
    file = configure(tmp_path, grow(settings_below(tmp_path, streams=2), 2, durable=False))
    ended = tickward("-c", str(file), "history", "2026-07-14")
    assert (ended.code, ended.err.startswith("tickward: of which stream? Give --stream")) == (2, True)
    told = tickward("-c", str(file), "history", "2026-07-14", "--stream", "feed-001", "--json").json
    assert told["day"]["key"] == "feed-001/2026-07-14"


def test_events_that_were_edited_are_not_shown(tickward: Terminal, tmp_path: Path) -> None:
    settings = grow(settings_below(tmp_path), 2, durable=False)
    with apsw.Connection(f"{settings.data.state}/journal.db") as journal:
        journal.execute(
            "UPDATE events SET data = 'nothing' WHERE key = 'ticks/2026-07-14' AND event = 'closed'"
        )
    journal.close()
    ended = tickward("-c", str(configure(tmp_path, settings)), "history", "2026-07-14")
    assert (ended.code, ended.out) == (1, "")
    assert "`tickward audit verify` says what to do next" in ended.err
