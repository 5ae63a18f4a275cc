"""What is said of the file, the environment, and of what they name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from watcher.config import load
from watcher.doctor.configuration import (
    LogPlace,
    command_of,
    configuration,
    hooks,
    log,
    made_by,
    of_environment,
    of_file,
    of_hook,
    of_log,
    of_packages,
    of_schema,
    packages,
    schema,
)
from watcher.doctor.premises import Premises
from watcher.hooks.bound import BoundHook
from watcher.settings import Hook, Metrics, Settings, Stream, Web

OURS = frozenset({os.geteuid(), 0})


def premises(folder: Path, text: str = "") -> Premises:
    file = folder / "config.toml"
    file.write_text(text)
    file.chmod(0o600)
    return Premises(file, {}, load(file, {}))


class TestTheFile:
    def test_that_cannot_be_meant_is_a_problem(self) -> None:
        (found,) = configuration(
            Premises(None, {}, None, "config.toml: compress.level: Expected `int` <= 22")
        )
        assert found.level == "problem"
        assert "compress.level" in found.sentence
        assert "tickward config check" in found.remedy

    def test_that_is_not_there_is_a_note(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (found,) = configuration(Premises(None, {}, Settings()))
        assert found.level == "note"
        assert str(tmp_path) in found.sentence

    @pytest.mark.parametrize(
        ("mode", "hook", "level", "remedy"),
        [
            (0o644, "load-day", "ok", ""),
            (0o666, "load-day", "warning", "chmod go-w"),
            (0o620, "load-day", "warning", "chmod go-w"),
            (0o644, "https://alerts.example/secret", "note", "chmod o-r"),
            (0o640, "https://alerts.example/secret", "ok", ""),
        ],
    )
    def test_is_for_its_owner_to_write(
        self, tmp_path: Path, mode: int, hook: str, level: str, remedy: str
    ) -> None:
        file = tmp_path / "config.toml"
        file.touch()
        file.chmod(mode)
        (found,) = of_file(file, file.stat(), Settings(hooks={"sealed": hook}), OURS)
        assert found.level == level
        assert remedy in found.remedy

    def test_of_somebody_else_is_a_warning(self, tmp_path: Path) -> None:
        file = tmp_path / "config.toml"
        file.touch()
        (found,) = of_file(file, file.stat(), Settings(), frozenset({file.stat().st_uid + 1}))
        assert found.level == "warning"
        assert "chown" in found.remedy


@pytest.mark.parametrize(
    ("given", "levels", "said"),
    [
        ({}, [], []),
        ({"HOME": "/root", "TICKWARD_PATH": "x"}, [], []),
        ({"DRY_RUN": "0"}, [], []),
        ({"DRY_RUN": "1"}, ["warning"], ["DRY_RUN=1"]),
        ({"DRY_RUN": "perhaps"}, ["problem"], ["neither yes nor no"]),
        ({"TICKWARD_COMPRESS__LEVEL": "3"}, ["note"], ["TICKWARD_COMPRESS__LEVEL"]),
        ({"RETENTION_DAYS": "90"}, ["note"], ["RETENTION_DAYS=90"]),
        (
            {"DRY_RUN": "yes", "TICKWARD_LOG__FILE": ""},
            ["warning", "note"],
            ["DRY_RUN", "TICKWARD_LOG__FILE"],
        ),
    ],
)
def test_what_is_set_in_the_environment_is_said(
    given: dict[str, str], levels: list[str], said: list[str]
) -> None:
    found = list(of_environment(given))
    assert [each.level for each in found] == levels
    assert all(part in each.sentence for part, each in zip(said, found, strict=True))


class TestPackages:
    @pytest.mark.parametrize(
        ("web", "metrics", "there", "remedies"),
        [
            ("", "", (), []),
            ("127.0.0.1:8787", "", ("starlette", "uvicorn"), []),
            ("127.0.0.1:8787", "", ("starlette",), ["tickward[web]"]),
            ("127.0.0.1:8787", "127.0.0.1:9797", (), ["tickward[web]", "tickward[metrics]"]),
        ],
    )
    def test_that_are_asked_for_must_be_there(
        self, web: str, metrics: str, there: tuple[str, ...], remedies: list[str]
    ) -> None:
        settings = replace(Settings(), web=Web(web), metrics=Metrics(metrics))
        found = [each for each in of_packages(settings, there.__contains__) if each.level != "ok"]
        assert all(each.level == "problem" for each in found)
        assert all(part in each.remedy for part, each in zip(remedies, found, strict=True))

    def test_are_there_for_real(self, tmp_path: Path) -> None:
        (found,) = packages(premises(tmp_path, '[web]\nlisten = "127.0.0.1:8787"\n'))
        assert found.level == "ok"


class TestTheSchema:
    @pytest.mark.parametrize(
        ("sql", "level", "said"),
        [
            ("CREATE TABLE ticks (symbol TEXT, timestamp INTEGER)", None, ""),
            ("CREATE TABLE ticks (timestamp INTEGER)", "note", "no column symbol"),
            ("CREATE TABLE prices (symbol TEXT)", "warning", "makes no table 'ticks'"),
            ("CREATE TABL ticks (symbol TEXT)", "problem", "syntax error"),
            ("", "warning", "makes no table"),
            ("ATTACH 'elsewhere.db' AS elsewhere", "problem", "not authorized"),
            ("VACUUM INTO 'elsewhere.db'", "problem", ""),
            (
                "CREATE TABLE ticks AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT 1 FROM n) "
                "SELECT sum(i) FROM n",
                "problem",
                "does not come to an end",
            ),
        ],
    )
    def test_is_tried_in_memory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str, level: str | None, said: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("watcher.doctor.configuration._SCHEMA_STEPS", 100_000)
        file = tmp_path / "schema.sql"
        file.write_text(sql)
        found = list(of_schema("ticks", Stream(schema=str(file))))
        assert [each.level for each in found] == ([] if level is None else [level])
        assert all(said in each.sentence for each in found)
        assert os.listdir(tmp_path) == ["schema.sql"]  # noqa: PTH208

    @pytest.mark.parametrize("content", [b"\xff\xfe", b" " * (1 << 20) + b";"], ids=["no text", "too large"])
    def test_that_is_none_is_a_problem(self, tmp_path: Path, content: bytes) -> None:
        file = tmp_path / "schema.sql"
        file.write_bytes(content)
        assert [each.level for each in of_schema("ticks", Stream(schema=str(file)))] == ["problem"]

    def test_that_is_not_there_is_a_problem(self, tmp_path: Path) -> None:
        (found,) = of_schema("ticks", Stream(schema=str(tmp_path / "nosuch.sql")))
        assert found.level == "problem"
        assert "No such file" in found.sentence

    def test_built_in_makes_the_table(self, tmp_path: Path) -> None:
        (found,) = schema(premises(tmp_path))
        assert found.level == "ok"
        (found,) = schema(premises(tmp_path, "[create]\nenabled = false\n"))
        assert "no schema is used" in found.sentence

    def test_that_is_not_given_for_another_table_is_what_the_writer_may_not_need(
        self, tmp_path: Path
    ) -> None:
        stream = '[data.streams.fut]\npattern = "fut_{date}.db"\ntable = "trades"\n'
        (found,) = schema(premises(tmp_path, stream))
        assert found.level == "warning"
        assert "built-in one makes no table 'trades'" in found.sentence
        assert "today and tomorrow get a table of another name" in found.sentence
        assert found.remedy.startswith("name a file in data.streams.fut.schema that makes the table, or ")
        assert "create.enabled = false" in found.remedy
        assert "streams.fut.table" not in found.remedy, "it is what the writer calls it"
        (tmp_path / "trades.sql").write_text("CREATE TABLE trades (symbol, timestamp)")
        mended = f'{stream}schema = "{tmp_path}/trades.sql"\n'
        for way in (mended, f"{stream}[create]\nenabled = false\n"):
            assert [each.level for each in schema(premises(tmp_path, way))] == ["ok"]

    def test_that_is_given_may_be_the_right_one(self, tmp_path: Path) -> None:
        (tmp_path / "ours.sql").write_text("CREATE TABLE quotes (symbol, timestamp)")
        (found,) = of_schema("fut", Stream(table="trades", schema=str(tmp_path / "ours.sql")))
        assert "ours.sql makes no table 'trades'" in found.sentence
        assert found.remedy.endswith("name its table in data.streams.fut.table")

    def test_columns_are_those_of_the_table(self) -> None:
        assert made_by("CREATE TABLE a (x, y); CREATE TABLE b (z)", "a") == {"x", "y"}


class TestHooks:
    @pytest.mark.parametrize(
        ("line", "command"),
        [
            ("load-day --fast", "load-day"),
            ("/opt/load day", "/opt/load"),
            ("A=1 B='x y' load-day", "load-day"),
            ("if true; then load; fi", None),
            ("cd /x && load", None),
            ('"$HOME/bin/load"', None),
            ("~/bin/load", None),
            ("`which load`", None),
            ("an 'open quote", None),
            ("# nothing", None),
        ],
    )
    def test_what_they_run_first_is_told_where_it_can_be(self, line: str, command: str | None) -> None:
        assert command_of(line) == command

    @pytest.mark.parametrize(
        ("run", "level"),
        [
            ("load-day", None),
            ("bin/there", None),
            ("nosuch --x", "warning"),
            ("/opt/nosuch", "warning"),
            ("https://alerts.example/x", None),
        ],
    )
    def test_what_they_run_must_be_there(self, run: str, level: str | None) -> None:
        there = {"load-day", "/srv/state/bin/there"}
        found = list(of_hook(BoundHook("sealed", Hook(run)), Path("/srv/state"), there.__contains__))
        assert [each.level for each in found] == ([] if level is None else [level])
        assert all("tickward hooks test sealed" in each.remedy for each in found)

    def test_are_looked_for_for_real(self, tmp_path: Path) -> None:
        program = tmp_path / "load"
        program.write_text("#!/bin/sh\n")
        text = f'[hooks]\nsealed = "{program}"\nfailed = "ls"\n'
        assert [each.level for each in hooks(premises(tmp_path, text))] == ["warning"]
        program.chmod(0o755)
        assert [each.level for each in hooks(premises(tmp_path, text))] == ["ok"]
        assert [each.level for each in hooks(premises(tmp_path))] == ["ok"]


class TestTheLog:
    @pytest.mark.parametrize(
        ("place", "level"),
        [
            (None, "note"),
            (LogPlace(Path("/l/x"), Path("/l"), True, True), "ok"),
            (LogPlace(Path("/l/x"), Path("/l"), True, False), "problem"),
            (LogPlace(Path("/l/x"), Path("/l"), False, False), "problem"),
        ],
    )
    def test_is_judged(self, place: LogPlace | None, level: str) -> None:
        assert [each.level for each in of_log(place)] == [level]

    def test_is_looked_at_and_nothing_is_made(self, tmp_path: Path) -> None:
        given = premises(tmp_path, '[log]\nfile = "logs/deep/x.jsonl"\n')
        assert [each.level for each in log(given)] == ["ok"]
        (tmp_path / "logs").write_text("a file")
        (found,) = log(given)
        assert "is no directory" in found.sentence
        assert sorted(os.listdir(tmp_path)) == ["config.toml", "logs"]  # noqa: PTH208
