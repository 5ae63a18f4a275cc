"""`tickward audit`: the proof, and the export."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest

from handlers import files
from tests.watcher.builders import sealed
from tests.watcher.cli.conftest import Terminal
from watcher import metadata
from watcher.cli.audit import COLUMNS
from watcher.events import Configured, Event, Opened, Rotated, Stopped
from watcher.journal import Journal

AT = datetime(2026, 1, 20, 0, 5, tzinfo=UTC)
KEY = "ticks/2026-01-19"
JOURNAL = Path("data/ticks/state/journal.db")
ROTATED = Rotated("2026-01-20", None, "/r/y.db", None, "start")
HISTORY: list[tuple[str, Event]] = [
    ("-", Configured({"compress": 'after 7 days, "0 2 * * SUN"', "expire": "never"})),
    ("ticks", ROTATED),
    (KEY, Opened("/r/größe.db")),
    (KEY, sealed()),
    ("-", Configured({"compress": "never"})),
    ("-", Stopped("SIGTERM")),
]


@pytest.fixture
def recorded(tickward: Terminal) -> Terminal:
    """Six events, an hour apart."""
    JOURNAL.parent.mkdir(parents=True)
    with Journal.open_for_writing(JOURNAL) as journal:
        for hours, entry in enumerate(HISTORY):
            journal.record([entry], AT + timedelta(hours=hours))
    return tickward


def note(recorded: Terminal) -> None:
    """What the daemon notes outside of the journal."""
    root = recorded.folder / "data/ticks/db"
    root.mkdir(parents=True, exist_ok=True)
    with Journal.open_for_writing(JOURNAL) as journal:
        metadata.write(root, {"ticks": (ROTATED, AT)}, journal.witness())


def prune(hours: float) -> None:
    with Journal.open_for_writing(JOURNAL) as journal:
        assert journal.prune(AT + timedelta(hours=hours), AT + timedelta(hours=9), least=1)


def change(statement: str) -> None:
    connection = apsw.Connection(str(JOURNAL))
    connection.execute(statement)
    connection.close()


class TestVerify:
    def test_says_what_was_proven(self, recorded: Terminal) -> None:
        note(recorded)
        ended = recorded("audit", "verify")
        assert (ended.code, ended.err) == (0, "")
        file = recorded.folder / "data/ticks/db/rotation_metadata.json"
        assert ended.out.splitlines() == [
            f"{recorded.folder / JOURNAL} is what was recorded",
            "6 events, 1 to 6, 2026-01-20 00:05 UTC to 2026-01-20 05:05 UTC: "
            "each follows from the one before, none is missing",
            "the facts of 3 databases, streams and others are what the events make of them",
            f"event 6 is the one that was noted in {file}",
        ]

    def test_says_what_was_pruned(self, recorded: Terminal) -> None:
        prune(2.5)
        out = recorded("audit", "verify").out
        assert "4 events, 4 to 7, 2026-01-20 03:05 UTC to 2026-01-20 09:05 UTC" in out
        assert "older ones were pruned: what they had come to is what event 7 says" in out

    def test_says_that_nothing_outside_vouches_for_it(self, recorded: Terminal) -> None:
        out = recorded("audit", "verify").out
        assert "nothing outside of it vouches for it" in out
        assert "rotation_metadata.json does not say which event was the newest" in out
        note(recorded)
        with Journal.open_for_writing(JOURNAL) as journal:
            journal.record([("-", Stopped("x"))] * 2, AT + timedelta(hours=8))
        prune(9)
        assert "event 6, noted in" in recorded("audit", "verify").out
        assert "was pruned" in recorded("audit", "verify").out

    def test_an_empty_journal(self, recorded: Terminal) -> None:
        JOURNAL.unlink()
        Journal.open_for_writing(JOURNAL).close()
        ended = recorded("audit", "verify")
        assert ended.code == 0
        assert "events, " not in ended.out

    def test_as_json(self, recorded: Terminal) -> None:
        note(recorded)
        told = recorded("audit", "verify", "--json").json
        assert told["sound"] is True
        assert told["journal"] == str(recorded.folder / JOURNAL)
        assert told["finding"] is None
        assert (told["proof"]["events"], told["proof"]["outside"]) == (6, 6)
        assert told["outside"]["sequence"] == 6

    @pytest.mark.parametrize(
        ("statement", "sequence", "problem"),
        [
            ("UPDATE events SET key = 'ticks/2026-01-18' WHERE sequence = 4", 4, "event 4 is not what was"),
            ("DELETE FROM events WHERE sequence = 6", 6, "event 6 is missing: the newest were removed"),
            ("DELETE FROM facts WHERE key = 'ticks'", None, "the facts of ticks are missing"),
            ("DELETE FROM meta WHERE name = 'head'", None, "its note of the head is gone"),
            ("DELETE FROM meta WHERE name = 'epoch'", None, "its note of the epoch is gone"),
        ],
    )
    def test_names_the_first_broken_record_and_says_what_to_do(
        self, recorded: Terminal, statement: str, sequence: int | None, problem: str
    ) -> None:
        change(statement)
        ended = recorded("audit", "verify")
        assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
        assert ended.err.startswith(f"tickward: {recorded.folder / JOURNAL} is not what was recorded: ")
        assert problem in ended.err
        assert "It is evidence: stop the daemon, keep copies" in ended.err
        told = recorded("audit", "verify", "--json")
        assert (told.code, told.err) == (1, "")
        content = json.loads(told.out)
        assert (content["sound"], content["proof"]) == (False, None)
        assert content["finding"]["sequence"] == sequence
        assert problem in content["finding"]["problem"]

    def test_finds_a_journal_that_was_written_anew(self, recorded: Terminal) -> None:
        note(recorded)
        JOURNAL.rename("old.db")
        with Journal.open_for_writing(JOURNAL) as journal:
            journal.record(HISTORY, AT)
        ended = recorded("audit", "verify")
        assert ended.code == 1
        assert "another was begun, or put in its place" in ended.err

    def test_only_reads(self, recorded: Terminal) -> None:
        note(recorded)
        before = JOURNAL.read_bytes(), recorded.tree()
        recorded("audit", "verify")
        recorded("audit", "export")
        assert JOURNAL.read_bytes() == before[0]
        assert recorded.tree() - before[1] <= {f"{JOURNAL}-wal", f"{JOURNAL}-shm"}


@pytest.mark.parametrize("command", ["verify", "export"])
def test_there_is_nothing_before_the_first_start(tickward: Terminal, command: str) -> None:
    ended = tickward("audit", command)
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert f"there is no journal {tickward.folder / JOURNAL}: the daemon makes it" in ended.err
    assert tickward.tree() == set()


@pytest.mark.parametrize("command", ["verify", "export"])
def test_what_is_no_journal(tickward: Terminal, command: str) -> None:
    JOURNAL.parent.mkdir(parents=True)
    JOURNAL.write_bytes(b"no journal " * 1000)
    ended = tickward("audit", command)
    assert ended.code == 1
    assert "cannot be opened" in ended.err
    assert "defect" not in ended.err


def rows(text: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(text)))


class TestExport:
    def test_is_a_table_with_a_header(self, recorded: Terminal) -> None:
        ended = recorded("audit", "export", "--format", "csv")
        assert ended.code == 0
        assert recorded("audit", "export") == ended
        assert ended.out.splitlines()[0] == ",".join(COLUMNS)
        table = rows(ended.out)
        with Journal.open_for_writing(JOURNAL) as journal:
            for row, stored in zip(table, journal.rows(), strict=True):
                told = (int(row["sequence"]), *(row[name] for name in ("time", "event", "key", "data")))
                assert (*told, bytes.fromhex(row["hash"])) == stored
        assert [row["policy"] for row in table] == [
            *['compress: after 7 days, "0 2 * * SUN"; expire: never'] * 4,
            *["compress: never"] * 2,
        ]

    def test_is_one_object_a_line(self, recorded: Terminal) -> None:
        lines = recorded("audit", "export", "--format", "json").out.splitlines()
        objects = [json.loads(line) for line in lines]
        assert [tuple(each) for each in objects] == [COLUMNS] * 6
        assert [each["sequence"] for each in objects] == [1, 2, 3, 4, 5, 6]
        assert objects[2]["data"] == {"path": "/r/größe.db"}
        assert (objects[0]["policy"], objects[5]["policy"]) == (
            HISTORY[0][1].policy,  # type: ignore[union-attr]
            {"compress": "never"},
        )

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["--since", "0"], [1, 2, 3, 4, 5, 6]),
            (["--since", "4"], [5, 6]),
            (["--since", "6"], []),
            (["--since", "99999999999999999999999"], []),
            (["--key", KEY], [3, 4]),
            (["--key", "ticks"], [2]),
            (["--key", "-"], [1, 5, 6]),
            (["--key", KEY, "--since", "3"], [4]),
        ],
        ids=lambda value: " ".join(value) if value and isinstance(value[0], str) else "",
    )
    def test_as_much_as_is_wanted(
        self, recorded: Terminal, arguments: list[str], expected: list[int]
    ) -> None:
        table = rows(recorded("audit", "export", *arguments).out)
        assert [int(row["sequence"]) for row in table] == expected
        assert all(row["policy"] for row in table)

    def test_a_key_that_nothing_is_known_of(self, recorded: Terminal) -> None:
        ended = recorded("audit", "export", "--key", "2026-01-19")
        assert (ended.code, ended.out) == (2, "")
        assert "nothing is known of '2026-01-19'; name a day such as ticks/2026-01-20" in ended.err

    def test_the_policy_of_pruned_times(self, recorded: Terminal) -> None:
        prune(2.5)
        lines = recorded("audit", "export", "--format", "json").out.splitlines()
        assert [json.loads(line)["policy"]["compress"] for line in lines] == [
            'after 7 days, "0 2 * * SUN"',
            *["never"] * 3,
        ]

    @pytest.mark.parametrize("name", ["trail.csv", "a b/größe.csv"])
    def test_to_a_file(self, recorded: Terminal, name: str) -> None:
        out = Path(name)
        out.parent.mkdir(exist_ok=True)
        ended = recorded("audit", "export", "--out", name)
        assert (ended.code, ended.out, ended.err) == (0, f"wrote {name}\n", "")
        assert out.read_text() == recorded("audit", "export").out
        assert [path.name for path in out.parent.iterdir() if "tmp" in path.name] == []

    def test_as_json_by_either_option(self, recorded: Terminal) -> None:
        assert recorded("audit", "export", "--json") == recorded("audit", "export", "--format", "json")
        ended = recorded("audit", "export", "--json", "--format", "csv")
        assert (ended.code, ended.out) == (2, "")
        assert ended.err == "tickward: --json and --format csv: give one of them\n"

    def test_writes_no_file_where_the_environment_asks_for_that(
        self, recorded: Terminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DRY_RUN", "1")
        ended = recorded("audit", "export", "--out", "out.csv")
        assert (ended.code, ended.out) == (2, "")
        assert "DRY_RUN is set: no file is written" in ended.err
        assert not Path("out.csv").exists()
        assert len(rows(recorded("audit", "export").out)) == 6

    @pytest.mark.parametrize("kind", ["file", "directory", "link"])
    def test_never_over_an_existing_file(self, recorded: Terminal, kind: str) -> None:
        out = Path("out.csv")
        if kind == "file":
            out.write_text("mine")
        elif kind == "directory":
            out.mkdir()
        else:
            out.symlink_to("nowhere.csv")
        before = recorded.tree()
        ended = recorded("audit", "export", "--out", "out.csv")
        assert ended.code == 2
        assert ended.err == ("tickward: out.csv exists already; it is left as it is: name another file\n")
        assert recorded.tree() == before
        assert kind != "file" or out.read_text() == "mine"

    def test_not_over_a_file_that_somebody_made_meanwhile(
        self, recorded: Terminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        link = files.link_new

        def late(path: Path, name: Path) -> None:
            name.write_text("mine")
            link(path, name)

        monkeypatch.setattr(files, "link_new", late)
        ended = recorded("audit", "export", "--out", "out.csv")
        assert (ended.code, Path("out.csv").read_text()) == (2, "mine")
        assert "exists already" in ended.err
        assert {path.name for path in recorded.folder.iterdir()} == {"data", "out.csv"}

    def test_where_nothing_can_be_written(self, recorded: Terminal) -> None:
        ended = recorded("audit", "export", "--out", "no/such/out.csv")
        assert ended.code == 2
        assert ended.err == "tickward: no/such/out.csv cannot be written: No such file or directory\n"

    def test_a_file_that_cannot_be_finished_does_not_appear(self, recorded: Terminal) -> None:
        change("UPDATE events SET data = CAST(x'ff' AS TEXT) WHERE sequence = 5")
        ended = recorded("audit", "export", "--out", "out.csv")
        assert ended.code == 1
        assert "cannot be read" in ended.err
        assert "`tickward audit verify` says what to do next" in ended.err
        assert [path.name for path in recorded.folder.iterdir()] == ["data"]

    def test_whoever_reads_only_the_beginning_is_no_error(self, recorded: Terminal) -> None:
        with Journal.open_for_writing(JOURNAL) as journal:
            journal.record([("-", Stopped("x" * 100))] * 5000, AT + timedelta(hours=8))
        process = recorded.start("audit", "export", "--format", "json", stderr=subprocess.PIPE)
        with process:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["sequence"] == 1
            process.stdout.close()  # | head -1
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()
        assert len(recorded("audit", "export").out.splitlines()) == 5007
