from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import pytest
import xmlschema
from cronsim import CronSim

from tests.watcher.builders import utc
from tests.watcher.service.targets import settings, target
from watcher.errors import ConfigError
from watcher.service.installation import MARK, Installation
from watcher.service.manager import shown
from watcher.service.windows import NAMESPACE, describe
from watcher.settings import Archive, Backup, Compress, Expire, HealthSettings, Verify

SCHEMA = Path(__file__).with_name("task.xsd")
IN = {"": NAMESPACE}
ODD = settings(
    backup=Backup(schedule="*/7 3-20 * * *"),
    compress=Compress(schedule="17 2,14 * * MON-FRI"),
    archive=Archive(schedule="0 3 1,15 */2 *"),
    expire=Expire(schedule="5,35 * * * *"),
    verify=Verify(schedule="0 5 L * *", drill_schedule="0 6 1 * SUN"),
    health=HealthSettings(schedule="* * * * *"),
)


@pytest.fixture(scope="module")
def schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(str(SCHEMA))


def tasks(given: Installation) -> dict[str, Element]:
    documents = {file.path.stem: file.content.decode("utf-16") for file in given.files}
    return {name: fromstring(text) for name, text in documents.items()}  # noqa: S314  # our own


class TestTheSchemaOfMicrosoft:
    @pytest.mark.parametrize("changes", [{}, {"scheduled": True}, {"scheduled": True, "settings": ODD}])
    def test_every_task_is_valid(self, schema: xmlschema.XMLSchema, changes: dict[str, object]) -> None:
        for task in tasks(describe(target(**changes))).values():
            schema.validate(task)

    def test_one_out_of_order_is_not(self, schema: xmlschema.XMLSchema) -> None:
        task = tasks(describe(target(scheduled=True)))["status"]
        trigger = task.find("Triggers/CalendarTrigger", IN)
        assert trigger is not None
        trigger[:] = reversed(trigger)
        assert not schema.is_valid(task)

    def test_names_with_anything_in_them_are_kept(self, schema: xmlschema.XMLSchema) -> None:
        odd = "C:\\Program Files\\R&D <é> 100%\\tickward.exe"
        given = target(program=(odd,), config=Path("/my files/config.toml"), user="FIRM\\trader")
        task = tasks(describe(given))["daemon"]
        schema.validate(task)
        assert task.findtext("Actions/Exec/Command", namespaces=IN) == odd
        arguments = task.findtext("Actions/Exec/Arguments", namespaces=IN)
        assert arguments == '-c "/my files/config.toml" run'
        assert task.findtext("Principals/Principal/UserId", namespaces=IN) == "FIRM\\trader"

    @pytest.mark.parametrize("program", ["/" + "x" * 260, "/a\nb", "/a\x01b", "/\udcff"])
    def test_what_no_task_can_hold_is_refused(self, program: str) -> None:
        with pytest.raises(ConfigError, match=r"choose a shorter|rename"):
            describe(target(program=(program,)))


class TestTheFile:
    def test_it_is_what_schtasks_reads(self) -> None:
        for file in describe(target(scheduled=True)).files:
            assert file.content.startswith(b"\xff\xfe<\0?\0")
            assert file.content.decode("utf-16").startswith('<?xml version="1.0" encoding="UTF-16"?>\r\n')

    def test_it_says_in_its_first_kilobyte_whose_it_is(self) -> None:
        for scheduled in (False, True):
            for file in describe(target(scheduled=scheduled)).files:
                assert MARK in file.content[:1024].decode("utf-16"), file.path


class TestTheDaemon:
    def test_it_starts_with_the_machine_and_is_never_given_up(self) -> None:
        (task,) = tasks(describe(target())).values()
        assert task.findtext("Triggers/BootTrigger/Repetition/Interval", namespaces=IN) == "PT15M"
        assert task.find("Triggers/BootTrigger/Repetition/Duration", IN) is None
        assert task.findtext("Settings/RestartOnFailure/Interval", namespaces=IN) == "PT1M"
        assert task.findtext("Settings/ExecutionTimeLimit", namespaces=IN) == "PT0S"
        assert task.findtext("Settings/MultipleInstancesPolicy", namespaces=IN) == "IgnoreNew"

    def test_all_that_is_enabled_is_taken_away_again(self) -> None:
        for scheduled in (False, True):
            given = describe(target(scheduled=scheduled))
            made = {each.argv[3] for each in given.enable if each.argv[1] == "/Create"}
            assert made == {each.argv[3] for each in given.disable if each.argv[1] == "/Delete"}
            assert len(made) == len(given.files)
            written = {str(file.path) for file in given.files}
            assert written == {each.argv[5] for each in given.enable if each.argv[1] == "/Create"}


@pytest.mark.parametrize(
    ("word", "typed"),
    [
        ("C:\\ticks\\a-b_c.xml", "C:\\ticks\\a-b_c.xml"),
        ("/TN", "/TN"),
        ("R&D", '"R&D"'),
        ("it's", '"it\'s"'),
        ("C:\\my ticks\\", '"C:\\my ticks\\\\"'),
        ("", '""'),
    ],
)
def test_a_word_is_typed_as_cmd_takes_it(word: str, typed: str) -> None:
    assert shown(("schtasks", word), "windows") == f"schtasks {typed}"


class TestTheHours:
    def test_the_three_classic_tasks_are_there_and_the_others(self) -> None:
        found = tasks(describe(target(scheduled=True)))
        assert set(found) == {
            *("rotation", "status", "compression"),
            *("archive", "expiry", "verification", "drill", "catch-up"),
        }
        assert [path for path in describe(target(scheduled=True)).files if "daemon" in path.path.name] == []

    def test_what_is_not_wanted_has_none(self) -> None:
        given = settings(
            archive=Archive(enabled=False),
            compress=Compress(schedule="on_rotation"),
            verify=Verify(schedule="never", drill_schedule="never"),
        )
        found = tasks(describe(target(scheduled=True, settings=given)))
        assert set(found) == {"rotation", "status", "expiry", "catch-up"}

    def test_each_is_begun_at_all_the_minutes_that_its_schedule_has(self) -> None:
        found = tasks(describe(target(scheduled=True, settings=ODD)))
        exact = {"compression", "archive", "expiry", "status"}
        schedules = {
            "rotation": "0 0 * * *",
            "backup": ODD.backup.schedule,
            "compression": ODD.compress.schedule,
            "archive": ODD.archive.schedule,
            "expiry": ODD.expire.schedule,
            "verification": ODD.verify.schedule,
            "drill": ODD.verify.drill_schedule,
            "status": ODD.health.schedule,
        }
        since, until = utc("2026-02-20 00:00"), utc("2026-03-04 00:00")
        for name, schedule in schedules.items():
            meant = set(takewhile(until.__gt__, CronSim(schedule, since - timedelta(minutes=1))))
            begun = set(begun_at(found[name], since, until))
            assert meant <= begun, name
            assert begun == meant or name not in exact, name

    def test_all_are_meant_in_utc(self) -> None:
        for task in tasks(describe(target(scheduled=True, settings=ODD))).values():
            for boundary in task.iterfind(".//StartBoundary", IN):
                assert boundary.text is not None
                assert boundary.text.endswith("Z")

    def test_the_status_is_written_where_somebody_finds_it(self) -> None:
        task = tasks(describe(target(scheduled=True)))["status"]
        assert task.findtext("Actions/Exec/Command", namespaces=IN) == "cmd.exe"
        said = task.findtext("Actions/Exec/Arguments", namespaces=IN)
        assert said is not None
        assert said.endswith('"status" >"/srv/ticks/state/status.log" 2>&1"')

    def test_names_that_mean_something_to_the_shell_are_quoted(self) -> None:
        given = target(program=("C:\\R&D^\\tickward.exe",), config=Path("/a&b"), scheduled=True)
        said = tasks(describe(given))["status"].findtext("Actions/Exec/Arguments", "", IN)
        line = '"C:\\R&D^\\tickward.exe" "-c" "/a&b" "status" >"/srv/ticks/state/status.log" 2>&1'
        assert said == f'/d /s /c "{line}"'

    @pytest.mark.parametrize("name", ["C:\\100%PATH%\\tickward.exe", 'C:\\a"b.exe'])
    def test_what_the_shell_would_not_leave_as_it_is_is_refused(self, name: str) -> None:
        with pytest.raises(ConfigError, match=r"cmd\.exe takes no name with % or a quote in it; rename it"):
            describe(target(program=(name,), scheduled=True))


def begun_at(task: Element, since: datetime, until: datetime) -> Iterator[datetime]:
    """When the triggers of a task begin it, by the words of the format's documentation."""
    for trigger in task.iterfind("Triggers/CalendarTrigger", IN):
        start = datetime.fromisoformat(trigger.findtext("StartBoundary", "", IN))
        every = {"": None, "PT1H": timedelta(hours=1), "PT1M": timedelta(minutes=1)}[
            trigger.findtext("Repetition/Interval", "", IN)
        ]
        day = since.replace(hour=start.hour, minute=start.minute) - timedelta(days=1)
        while day < until:
            if fits(trigger, day):
                moment = day
                while moment < day + timedelta(days=1):
                    if since <= moment < until:
                        yield moment
                    if every is None:
                        break
                    moment += every
            day += timedelta(days=1)


def fits(trigger: Element, day: datetime) -> bool:
    if (week := trigger.find("ScheduleByWeek/DaysOfWeek", IN)) is not None:
        return f"{{{NAMESPACE}}}{day:%A}" in [each.tag for each in week]
    if (month := trigger.find("ScheduleByMonth", IN)) is not None:
        months = month.find("Months", IN)
        assert months is not None
        days = [each.text for each in month.iterfind("DaysOfMonth/Day", IN)]
        return f"{{{NAMESPACE}}}{day:%B}" in [each.tag for each in months] and str(day.day) in days
    return trigger.find("ScheduleByDay", IN) is not None
