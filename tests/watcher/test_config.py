"""The configuration: its reference cannot rot, and whatever cannot be meant is refused by name."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from watcher import config
from watcher.config import dry_run_wanted, load, script_variables
from watcher.errors import ConfigError
from watcher.settings import Hook, Settings

REFERENCE = Path(__file__).parents[2] / "config.toml"
SECTIONS = [field.name for field in msgspec.structs.fields(Settings)]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def leaves(table: dict[str, Any], *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from leaves(value, *path, key)
        else:
            yield (*path, key), value


def defaults() -> dict[tuple[str, ...], Any]:
    return dict(leaves(msgspec.to_builtins(Settings())))


def refused(toml: str = "", /, **environment: str) -> str:
    """The sentence with which this configuration is refused; it must name file or variable."""
    Path("config.toml").write_text(toml)
    with pytest.raises(ConfigError) as caught:
        load(environment=environment)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


class TestTheReference:
    def test_it_has_every_key_with_its_default_and_no_other(self) -> None:
        assert dict(leaves(tomllib.loads(REFERENCE.read_text()))) == defaults()

    def test_every_key_has_a_comment(self) -> None:
        lines = [line for line in REFERENCE.read_text().splitlines() if re.match(r"\w+ = ", line)]
        assert len(lines) == len(defaults())
        for line in lines:
            assert re.search(r"\s# .{4,}$", line), f"no comment: {line}"

    def test_loading_it_is_the_same_as_loading_nothing(self, tmp_path: Path) -> None:
        nothing = load(environment={})
        (tmp_path / "config.toml").write_bytes(REFERENCE.read_bytes())
        assert load(environment={}) == nothing


OTHER = {
    "pattern": "x/{date}.sqlite",
    "schema": "/s.sql",
    "schedule": "5 4 * * *",
    "publish": "ipc:///p",
    "replay": "tcp://127.0.0.1:9",
    "listen": "127.0.0.1:8787",
    "frame": "512 KiB",
    "free_min": "5 GiB",
    "nice": 0,
    "drill_schedule": "never",
    "after_days": 5,
    "start": "2026-01-20T00:00",
}
OTHER_AGES = {"archive": 31, "expire": 365}
"""Those that must not be less than the ages before them."""


@pytest.mark.parametrize("key", defaults(), ids=".".join)
def test_every_key_can_be_set_by_a_variable(key: tuple[str, ...]) -> None:
    default = defaults()[key]
    other = OTHER.get(key[-1], default)
    if key[-1] == "after_days":
        other = OTHER_AGES.get(key[0], other)
    if key == ("log", "level"):
        other = "DEBUG"
    elif isinstance(default, bool):
        other = not default
    elif isinstance(default, str) and other is default:
        other = "/elsewhere"
    elif other is default:
        other = default + (-1 if key[-1] == "level" else 1)
    environment = {
        "TICKWARD_" + "__".join(key).upper(): str(other).lower() if other in (True, False) else other
    }
    if key == ("clock", "scale"):
        environment["TICKWARD_CLOCK__START"] = OTHER["start"]
    settings = load(environment={name: str(value) for name, value in environment.items()})
    found = dict(leaves(msgspec.to_builtins(settings)))[key]
    assert found == other
    assert found != default


def test_variables_stand_above_the_file_and_the_file_above_the_defaults() -> None:
    Path("config.toml").write_text("[workers]\ncount = 3\nnice = 7\n")
    workers = load(environment={"TICKWARD_WORKERS__COUNT": "5", "HOME": "/x"}).workers
    assert (workers.count, workers.nice, workers.stop_seconds) == (5, 7, 30.0)


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKWARD_WORKERS__COUNT", "7")
    assert load().workers.count == 7


@pytest.mark.parametrize(
    ("text", "value"),
    [("quotes", "quotes"), ('"quotes"', "quotes"), ("a b", "a b"), ("2026-01-01", "2026-01-01"), ("é", "é")],
)
def test_a_variable_is_a_string_as_it_stands(text: str, value: str) -> None:
    environment = {"TICKWARD_DATA__STREAMS__TICKS__TABLE": text}
    assert load(environment=environment).data.streams["ticks"].table == value


def test_an_empty_variable_is_an_empty_string() -> None:
    assert load(environment={"TICKWARD_LOG__FILE": ""}).log.file == ""


def test_naming_other_streams_replaces_the_default_one() -> None:
    Path("config.toml").write_text('[data.streams.fx]\npattern = "fx_{date}.db"\n')
    assert list(load(environment={}).data.streams) == ["fx"]


class TestWhatIsUnknownIsRefused:
    @pytest.mark.parametrize(
        ("toml", "key"),
        [
            ("[nosuch]\nkey = 1", "nosuch"),
            ("stray = 1", "stray"),
            *[(f"[{section}]\nnosuch = 1", f"{section}.nosuch") for section in SECTIONS],
            ("[data.streams.ticks]\nnosuch = 1", "data.streams.nosuch"),
        ],
    )
    def test_in_the_file(self, toml: str, key: str) -> None:
        assert refused(toml) == f"config.toml: {key}: is not a known key"

    @pytest.mark.parametrize("section", SECTIONS)
    def test_in_the_environment(self, section: str) -> None:
        name = f"TICKWARD_{section.upper()}__NOSUCH"
        assert refused(**{name: "1"}) == f"{name}: {section}.nosuch: is not a known key"

    @pytest.mark.parametrize("name", ["TICKWARD_", "TICKWARD_DATA__", "TICKWARD___ROOT"])
    def test_a_variable_that_names_no_key(self, name: str) -> None:
        assert refused(**{name: "1"}) == f"{name}: is not of the form TICKWARD_SECTION__KEY"

    def test_a_single_underscore_where_two_are_meant(self) -> None:
        said = refused(TICKWARD_WORKERS_COUNT="1")
        assert said.startswith("TICKWARD_WORKERS_COUNT: workers_count")

    def test_a_key_below_a_key(self) -> None:
        said = refused(TICKWARD_LOG__FILE__NAME="x", TICKWARD_LOG__FILE="y")
        assert said == "TICKWARD_LOG__FILE__NAME: 'file' is not a section"


IMPOSSIBLE = [
    ("data", "root", 5),
    ("data", "root", ""),
    ("data", "backup", ""),
    ("data", "state", ""),
    ("data", "create_root", "yes"),
    ("data", "streams", 3),
    ("watch", "settle_seconds", 0),
    ("watch", "settle_seconds", -1),
    ("watch", "rescan_seconds", "10 minutes"),
    ("watch", "rescan_seconds", float("inf")),
    ("watch", "canary_seconds", float("nan")),
    ("watch", "polling", 1),
    ("watch", "polling_seconds", 0.0),
    ("create", "ahead_days", -1),
    ("create", "ahead_days", 32),
    ("create", "ahead_days", 1.5),
    ("seal", "patience_seconds", -0.1),
    ("seal", "retry_seconds", 0),
    ("seal", "compact", 1),
    ("backup", "after_days", -1),
    ("compress", "after_days", 36501),
    ("compress", "level", 0),
    ("compress", "level", 23),
    ("compress", "frame", "17 MiB"),
    ("compress", "frame", "32 KiB"),
    ("compress", "frame", "4"),
    ("compress", "frame", 4),
    ("compress", "threads", 0),
    ("archive", "after_days", -1),
    ("expire", "after_days", 36501),
    ("expire", "max_at_once", 0),
    ("expire", "keep_min", -1),
    ("restore", "keep_days", -1),
    ("verify", "mib_per_second", -1),
    ("journal", "keep_days", 0),
    ("data", "archive", ""),
    ("workers", "count", 0),
    ("workers", "count", True),
    ("workers", "count", 65),
    ("workers", "nice", 20),
    ("workers", "nice", -1),
    ("workers", "stop_seconds", -1),
    ("workers", "retry_max_seconds", float("inf")),
    ("events", "heartbeat_seconds", 0),
    ("log", "level", "LOUD"),
    ("log", "level", "info"),
    ("log", "keep_days", 0),
    ("log", "keep_days", 10**9),
    ("clock", "scale", 0),
    ("clock", "start", "yesterday"),
    ("clock", "origin", -1),
]


class TestAnImpossibleValueIsRefused:
    @pytest.mark.parametrize(("section", "key", "value"), IMPOSSIBLE)
    def test_by_key_and_file(self, section: str, key: str, value: Any) -> None:
        said = refused(f"[{section}]\n{key} = {as_toml(value)}")
        assert said.startswith(f"config.toml: {section}.{key}: ")

    @pytest.mark.parametrize(("section", "key", "value"), IMPOSSIBLE)
    def test_by_key_and_variable(self, section: str, key: str, value: Any) -> None:
        name = f"TICKWARD_{section}__{key}".upper()
        assert refused(**{name: as_toml(value)}).startswith(f"{name}: {section}.{key}: ")

    def test_a_section_that_is_none(self) -> None:
        assert refused("data = 3").startswith("config.toml: data: ")

    def test_a_faster_clock_needs_a_start(self) -> None:
        assert refused("[clock]\nscale = 10.0").startswith("config.toml: clock.start: '' is not a time")


def as_toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


class TestBlame:
    """The sentence names whoever is to blame, and nobody else."""

    def test_a_good_variable_beside_a_bad_key_in_the_same_section_of_the_file(self) -> None:
        said = refused('[compress]\nschedule = "x"', TICKWARD_COMPRESS__LEVEL="3")
        assert said.startswith("config.toml: compress.schedule: 'x' is not a cron expression")

    def test_a_variable_whose_name_begins_like_the_bad_key(self) -> None:
        said = refused("[seal]\nretry_max_seconds = 0", TICKWARD_SEAL__RETRY_SECONDS="1")
        assert said.startswith("config.toml: seal.retry_max_seconds: ")

    def test_a_variable_that_does_not_go_with_the_file(self) -> None:
        said = refused("[compress]\nafter_days = 5", TICKWARD_BACKUP__AFTER_DAYS="6")
        assert said.startswith("TICKWARD_BACKUP__AFTER_DAYS: backup.after_days (6) must not exceed")

    def test_two_variables_that_do_not_go_together(self) -> None:
        said = refused(TICKWARD_BACKUP__AFTER_DAYS="9", TICKWARD_COMPRESS__AFTER_DAYS="8")
        assert said.startswith("TICKWARD_BACKUP__AFTER_DAYS, TICKWARD_COMPRESS__AFTER_DAYS: ")


class TestPatterns:
    @pytest.mark.parametrize(
        ("pattern", "reason"),
        [
            ("ticks.db", "has no {date}"),
            ("{year}/{month}/{day}.db", "has no {date}"),
            ("{date}/{hour}.db", "unknown field {hour}"),
            ("{{date}}.db", "a brace too many"),
            ("/abs/{date}.db", "plain relative path"),
            ("../{date}.db", "plain relative path"),
            ("a/../{date}.db", "plain relative path"),
            ("./{date}.db", "plain relative path"),
            ("a//{date}.db", "plain relative path"),
            ("{date}/", "plain relative path"),
            ("{date}.zst", "must not end in"),
            ("{date}.db-wal", "must not end in"),
            (".{date}.db", "hidden"),
        ],
    )
    def test_what_cannot_be_meant(self, pattern: str, reason: str) -> None:
        said = refused(f'[data.streams.ticks]\npattern = "{pattern}"')
        assert said.startswith(f"config.toml: data.streams.pattern {pattern!r} ")
        assert reason in said

    def test_two_that_overlap(self) -> None:
        streams = '[data.streams.a]\npattern = "{year}/{date}.db"\n'
        said = refused(streams + '[data.streams.b]\npattern = "2031/{date}.db"')
        assert said == (
            "config.toml: data.streams: the patterns of 'a' and 'b' overlap: a file would belong to both"
        )

    def test_two_streams_with_the_default_pattern(self) -> None:
        assert "overlap" in refused('[data.streams.a]\ntable = "x"\n[data.streams.b]\ntable = "y"')

    def test_no_stream_at_all(self) -> None:
        assert refused("[data.streams]").startswith("config.toml: data.streams: name at least one")

    @pytest.mark.parametrize("name", ["Ticks", "a b", "a/b", "-a", "a\\n", "", "é"])
    def test_a_stream_whose_name_could_not_be_a_key(self, name: str) -> None:
        said = refused(f'[data.streams."{name}"]\npattern = "{{date}}.db"')
        assert said.startswith("config.toml: data.streams: the name ")


@pytest.mark.parametrize(
    "schedule",
    ["", "daily", "0 2 * *", "60 * * * *", "0 2 * * FUNDAY", "0 0 30 2 *", "0 0 31 4,6 *", "*/0 * * * *"],
)
@pytest.mark.parametrize("section", ["backup", "compress", "archive", "expire"])
def test_a_schedule_that_never_comes_or_cannot_be_read(section: str, schedule: str) -> None:
    said = refused(f'[{section}]\nschedule = "{schedule}"')
    assert said.startswith(f"config.toml: {section}.schedule: {schedule!r} ")


class TestAges:
    """A day is compressed, then archived, then deleted: each age is more than the one before."""

    @pytest.mark.parametrize(
        ("toml", "said"),
        [
            ("backup.after_days = 8", "backup.after_days (8) must not exceed compress.after_days (7)"),
            ("archive.after_days = 7", "archive.after_days (7) must be more than compress.after_days (7)"),
            ("archive.after_days = 3", "archive.after_days (3) must be more than compress.after_days (7)"),
            (
                "compress.after_days = 30",
                "archive.after_days (30) must be more than compress.after_days (30)",
            ),
            ("expire.after_days = 30", "expire.after_days (30) must be more than archive.after_days (30)"),
            ("expire.after_days = 1", "expire.after_days (1) must be more than archive.after_days (30)"),
            (
                "archive.after_days = 180",
                "expire.after_days (180) must be more than archive.after_days (180)",
            ),
            (
                "archive.enabled = false\nexpire.after_days = 7",
                "expire.after_days (7) must be more than compress.after_days (7)",
            ),
        ],
    )
    def test_that_decrease_are_refused_by_name(self, toml: str, said: str) -> None:
        sentence = refused(toml)
        assert sentence.startswith(f"config.toml: {said}: ")
        assert "Change one of them" in sentence or "backed up before" in sentence

    @pytest.mark.parametrize(
        "toml",
        [
            "backup.after_days = 7",
            "archive.enabled = false\nexpire.after_days = 8",
            "archive.enabled = false\narchive.after_days = 0",
            "expire.enabled = false\nexpire.after_days = 0",
            "expire.enabled = false\narchive.after_days = 5000",
            "compress.after_days = 0\narchive.after_days = 1\nexpire.after_days = 2",
        ],
    )
    def test_that_increase_are_taken_and_those_of_disabled_steps_do_not_matter(self, toml: str) -> None:
        Path("config.toml").write_text(toml)
        load(environment={})

    def test_the_variable_that_breaks_the_order_is_named(self) -> None:
        said = refused(TICKWARD_EXPIRE__AFTER_DAYS="20")
        assert said.startswith("TICKWARD_EXPIRE__AFTER_DAYS: expire.after_days (20) must be more than")
        said = refused(RETENTION_DAYS="20")
        assert said.startswith("RETENTION_DAYS: expire.after_days (20) must be more than archive.after_days")


class TestVariablesOfShellScripts:
    @pytest.mark.parametrize(
        ("name", "value", "key", "own"),
        [
            ("DAYS_BEFORE_COMPRESS", 9, "compress.after_days", "TICKWARD_COMPRESS__AFTER_DAYS"),
            ("COMPRESSION_LEVEL", 12, "compress.level", "TICKWARD_COMPRESS__LEVEL"),
            ("RETENTION_DAYS", 365, "expire.after_days", "TICKWARD_EXPIRE__AFTER_DAYS"),
        ],
    )
    def test_are_honoured_and_stand_below_our_own(self, name: str, value: int, key: str, own: str) -> None:
        section, _, field = key.partition(".")
        default = getattr(getattr(Settings(), section), field)
        Path("config.toml").write_text(f"{key} = {default}")
        environment = {name: str(value)}
        assert getattr(getattr(load(environment=environment), section), field) == value
        assert script_variables(environment) == [f"{name}={value} is honoured as {key}"]
        environment[own] = str(value + 1)
        assert getattr(getattr(load(environment=environment), section), field) == value + 1
        (said,) = script_variables(environment)
        assert said.endswith(f"but {own} stands above it")

    @pytest.mark.parametrize("name", ["DAYS_BEFORE_COMPRESS", "COMPRESSION_LEVEL", "RETENTION_DAYS"])
    @pytest.mark.parametrize("value", ["soon", "-1", "1.5", "true", "99999"])
    def test_that_mean_nothing_are_refused_by_name(self, name: str, value: str) -> None:
        assert refused(**{name: value}).startswith(f"{name}: ")

    @pytest.mark.parametrize("name", ["DAYS_BEFORE_COMPRESS", "COMPRESSION_LEVEL", "RETENTION_DAYS"])
    def test_that_are_empty_or_not_there_say_nothing(self, name: str) -> None:
        assert load(environment={name: ""}) == load(environment={})
        assert script_variables({name: ""}) == script_variables({}) == []

    @pytest.mark.parametrize("value", ["1", "true", "TRUE", "yes", "on"])
    def test_a_dry_run_is_wanted(self, value: str) -> None:
        assert dry_run_wanted({"DRY_RUN": value})
        assert script_variables({"DRY_RUN": value}) == [f"DRY_RUN={value} is honoured: no day is touched"]

    @pytest.mark.parametrize(
        "environment", [{}, *({"DRY_RUN": no} for no in ("", "0", "false", "No", "off"))]
    )
    def test_a_dry_run_is_not_wanted(self, environment: dict[str, str]) -> None:
        assert not dry_run_wanted(environment)
        assert script_variables(environment) == []

    @pytest.mark.parametrize("value", ["maybe", "2", " 1"])
    def test_what_is_neither_yes_nor_no_is_refused(self, value: str) -> None:
        with pytest.raises(ConfigError, match=r"^DRY_RUN: .* is neither yes nor no"):
            dry_run_wanted({"DRY_RUN": value})


class TestSchedulesOfTheirOwn:
    """What follows no age comes at its times, or never."""

    KEYS = ("verify.schedule", "verify.drill_schedule", "health.schedule")

    @pytest.mark.parametrize("key", KEYS)
    @pytest.mark.parametrize("value", ["never", "0 0 1 1 *"])
    def test_can_be_meant(self, key: str, value: str) -> None:
        Path("config.toml").write_text(f'{key} = "{value}"')
        section, _, field = key.partition(".")
        assert getattr(getattr(load(environment={}), section), field) == value

    @pytest.mark.parametrize("key", KEYS)
    @pytest.mark.parametrize("value", ["on_rotation", "", "daily", "0 0 30 2 *", "Never"])
    def test_cannot(self, key: str, value: str) -> None:
        said = refused(f'{key} = "{value}"')
        assert said.startswith(f"config.toml: {key}: {value!r} ")
        assert "'never'" in said or "never occurs" in said

    @pytest.mark.parametrize("section", ["backup", "compress", "archive", "expire"])
    def test_a_step_cannot_be_never_due_but_only_disabled(self, section: str) -> None:
        assert refused(f'{section}.schedule = "never"').startswith(
            f"config.toml: {section}.schedule: 'never'"
        )


class TestAddresses:
    @pytest.mark.parametrize(
        "endpoint",
        [
            "tcp://127.0.0.1:5600",
            "tcp://127.9.9.9:1",
            "tcp://localhost:65535",
            "tcp://[::1]:5600",
            "ipc:///run/tickward/events",
        ],
    )
    def test_of_this_machine_are_good(self, endpoint: str) -> None:
        assert load(environment={"TICKWARD_EVENTS__PUBLISH": endpoint}).events.publish == endpoint

    @pytest.mark.parametrize(
        "endpoint",
        [
            "tcp://0.0.0.0:5",
            "tcp://*:5",
            "tcp://10.0.0.1:5",
            "tcp://127.0.0.1.example.com:5",
            "tcp://[::]:5",
            "tcp://eth0:5",
        ],
    )
    def test_of_the_network_are_refused(self, endpoint: str) -> None:
        said = refused(TICKWARD_EVENTS__REPLAY=endpoint)
        assert said.startswith(f"TICKWARD_EVENTS__REPLAY: events.replay: {endpoint!r} is not a loopback")

    @pytest.mark.parametrize(
        "endpoint",
        [
            "tcp://",
            "ipc://",
            "127.0.0.1:5",
            "tcp://127.0.0.1",
            "tcp://127.0.0.1:",
            "tcp://:5",
            "tcp://127.0.0.1:0",
            "tcp://127.0.0.1:65536",
            "tcp://127.0.0.1:²",
            "udp://127.0.0.1:5",
        ],
    )
    def test_that_are_none_are_refused(self, endpoint: str) -> None:
        said = refused(f'[events]\npublish = "{endpoint}"')
        assert said.startswith(f"config.toml: events.publish: {endpoint!r} is not an address such as")

    def test_both_the_same_are_refused(self) -> None:
        said = refused('[events]\nreplay = "tcp://127.0.0.1:5556"')
        assert said.startswith("config.toml: events.replay: ")

    def test_the_path_of_a_socket_is_meant_from_the_file_and_bounded(self, tmp_path: Path) -> None:
        (tmp_path / "c.toml").write_text('[events]\npublish = "ipc://run/p"')
        assert load(tmp_path / "c.toml", {}).events.publish == f"ipc://{tmp_path}/run/p"
        assert "events.publish" in refused(f'[events]\npublish = "ipc:///{"x" * 107}"')


class TestHooks:
    def test_are_commands_urls_tables_or_several_of_them(self) -> None:
        Path("config.toml").write_text(
            "[hooks]\n"
            "sealed = 'echo \"$TICKWARD_PATH\"'\n"
            'failed = { run = "https://alerts.example/", attempts = 2 }\n'
            'expired = ["one", { run = "two", timeout_seconds = 5 }]\n'
        )
        settings = load(environment={})
        assert settings.hooks_of("sealed") == (Hook('echo "$TICKWARD_PATH"'),)
        assert settings.hooks_of("failed") == (Hook("https://alerts.example/", attempts=2),)
        assert settings.hooks_of("expired") == (Hook("one"), Hook("two", timeout_seconds=5))
        assert settings.hooks_of("created") == ()

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ('seald = "x"', "hooks.seald: is not a known key"),
            ('progress = "x"', "hooks.progress: is not a known key"),  # nobody could deliver it again
            ('sealed = ""', "hooks.sealed: Expected `str` of length >= 1"),
            ("sealed = 5", "hooks.sealed: Expected `str | object | array`"),
            ("sealed = { attempts = 2 }", "hooks.sealed: Object missing required field `run`"),
            ('sealed = { run = "x", tries = 2 }', "hooks.sealed.tries: is not a known key"),
            ('sealed = ["x", { run = "x", attempts = 0 }]', "hooks.sealed[1].attempts: Expected `int` >= 1"),
        ],
    )
    def test_that_cannot_be_meant(self, line: str, said: str) -> None:
        assert said in refused(f"[hooks]\n{line}\n")

    def test_can_be_set_by_a_variable(self) -> None:
        settings = load(environment={"TICKWARD_HOOKS__SEALED": "load-day --now"})
        assert settings.hooks_of("sealed") == (Hook("load-day --now"),)


class TestTheLeastFreeSpace:
    @pytest.mark.parametrize(("size", "number"), [("0 MiB", 0), ("512 KiB", 512 << 10), ("2TiB", 2 << 40)])
    def test_is_a_size(self, size: str, number: int) -> None:
        assert load(environment={"TICKWARD_HEALTH__FREE_MIN": size}).health.free_min_bytes == number

    @pytest.mark.parametrize("size", ["5", "-1 GiB", "1.5 GiB", "lots", ""])
    def test_or_refused(self, size: str) -> None:
        assert "is not a size such as 1 GiB" in refused(f'[health]\nfree_min = "{size}"\n')


class TestPaths:
    def test_are_meant_from_the_directory_of_the_file(self, tmp_path: Path) -> None:
        folder = tmp_path / "etc" / "tick ward é"
        folder.mkdir(parents=True)
        file = folder / "my.toml"
        file.write_text('[data]\nroot = "db"\nbackup = "../b"\nstate = "/abs"\n[log]\nfile = "l/x.jsonl"\n')
        with file.open("a") as stream:
            stream.write('[data.streams.ticks]\nschema = "s.sql"')
        settings = load(file, {})
        assert settings.data.root == str(folder / "db")
        assert settings.data.backup == str(tmp_path / "etc" / "b")
        assert settings.data.state == "/abs"
        assert settings.data.streams["ticks"].schema == str(folder / "s.sql")
        assert settings.log.file == str(folder / "l" / "x.jsonl")

    def test_are_meant_from_the_working_directory_without_a_file(self, tmp_path: Path) -> None:
        assert load(environment={}).data.root == str(tmp_path / "data" / "ticks" / "db")

    def test_are_meant_from_the_link_if_the_file_is_one(self, tmp_path: Path) -> None:
        """Configuration that is mounted or packaged is often a link into some hashed directory."""
        (tmp_path / "..data").mkdir()
        (tmp_path / "..data" / "c.toml").write_text("")
        (tmp_path / "c.toml").symlink_to("..data/c.toml")
        assert load(tmp_path / "c.toml", {}).data.root == str(tmp_path / "data/ticks/db")

    def test_stay_as_they_are_if_they_are_links(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path / "target")
        assert load(environment={"TICKWARD_DATA__ROOT": "link"}).data.root == str(tmp_path / "link")

    def test_may_begin_at_home(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/me")
        assert load(environment={"TICKWARD_DATA__ROOT": "~/db"}).data.root == "/home/me/db"
        assert refused(TICKWARD_DATA__ROOT="~nobody-at-all/db").startswith("data.root: ")

    @pytest.mark.parametrize(
        "name", ["with space", "ünïcode", "日本", "{braces}", "[x]", "100%", "a'b\"c", "#1", "$HOME"]
    )
    def test_may_have_special_characters(self, name: str, tmp_path: Path) -> None:
        Path("config.toml").write_text(f"[data]\nroot = '''{name}'''")
        assert load(environment={}).data.root == str(tmp_path / name)
        assert load(environment={"TICKWARD_DATA__ROOT": name}).data.root == str(tmp_path / name)

    @pytest.mark.parametrize("name", ["a\x00b", "a\nb", os.fsdecode(b"not-utf-8-\xff")])
    def test_may_not_have_what_no_event_could_name(self, name: str) -> None:
        assert refused(TICKWARD_DATA__ROOT=name).startswith("data.root: ")

    @pytest.mark.parametrize("key", ["backup", "state"])
    @pytest.mark.parametrize(
        ("root", "other"),
        [("db", "db"), ("db", "db/x"), ("db/x", "db"), ("db", "x/../db"), ("db", "."), ("db", "/")],
    )
    def test_of_the_tops_may_not_contain_each_other(self, key: str, root: str, other: str) -> None:
        said = refused(f'[data]\nroot = "{root}"\n{key} = "{other}"')
        assert said.startswith(f"data.{key} (")
        assert "must not contain each other" in said

    @pytest.mark.parametrize(
        ("one", "other"),
        [("archive", "root"), ("archive", "backup"), ("root", "archive"), ("backup", "archive")],
    )
    def test_of_the_archive_is_apart_from_both(self, one: str, other: str, tmp_path: Path) -> None:
        for inside in ("", "/x", "/x/../y"):
            said = refused(f'[data]\n{other} = "there"\n{one} = "there{inside}"')
            assert said.startswith("data.archive (")
            assert "must not contain each other" in said
        (tmp_path / "there").mkdir()
        (tmp_path / "link").symlink_to("there")
        assert "must not contain" in refused(f'[data]\n{other} = "there"\n{one} = "link"')

    def test_that_only_begin_alike_are_apart(self) -> None:
        load(environment={"TICKWARD_DATA__ROOT": "db", "TICKWARD_DATA__BACKUP": "db2"})

    def test_a_backup_that_is_a_link_to_the_root_is_no_second_copy(self, tmp_path: Path) -> None:
        (tmp_path / "db").mkdir()
        (tmp_path / "copy").symlink_to("db")
        assert "must not contain" in refused('[data]\nroot = "db"\nbackup = "copy"')


class TestTheFile:
    def test_that_is_asked_for_must_be_there(self, tmp_path: Path) -> None:
        with pytest.raises(
            ConfigError, match=r"^no/such\.toml does not exist; `tickward config init no/such"
        ):
            load(Path("no/such.toml"), {})

    @pytest.mark.parametrize("content", [b"[data", b"a = ", b"\xff\xfe", b"[a]\n[a]"])
    def test_that_is_broken_is_named(self, content: bytes) -> None:
        Path("config.toml").write_bytes(content)
        with pytest.raises(ConfigError, match=r"^config\.toml cannot be read: "):
            load(environment={})

    def test_that_is_a_directory_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot be read: "):
            load(tmp_path, {})

    @pytest.mark.parametrize("name", ["my config.toml", "größe.toml", "{x}.toml", "[a].toml", "no-suffix"])
    def test_may_have_any_name(self, name: str) -> None:
        Path(name).write_text("[workers]\ncount = 9")
        assert load(Path(name), {}).workers.count == 9


def test_settings_are_frozen() -> None:
    settings = load(environment={})
    for section in SECTIONS:
        with pytest.raises(AttributeError, match="immutable"):
            setattr(settings, section, None)
        if section == "hooks":
            continue  # by names that are not ours: a plain table
        for field in msgspec.structs.fields(getattr(settings, section)):
            with pytest.raises(AttributeError, match="immutable"):
                setattr(getattr(settings, section), field.name, None)


def test_nothing_is_written() -> None:
    load(environment={})
    assert list(Path().iterdir()) == []


def test_the_defaults_are_those_of_the_product() -> None:
    """What operators rely on; a change of one of these is a change for every installation."""
    settings = config.Settings()
    assert (settings.compress.after_days, settings.compress.schedule) == (7, "0 2 * * SUN")
    assert (settings.backup.after_days, settings.backup.schedule) == (0, "on_rotation")
    assert (settings.archive.after_days, settings.archive.schedule) == (30, "0 3 1 * *")
    assert (settings.expire.after_days, settings.expire.schedule) == (180, "0 4 * * *")
    assert (settings.expire.max_at_once, settings.expire.keep_min) == (3, 7)
    assert settings.health.schedule == "0 * * * *"
