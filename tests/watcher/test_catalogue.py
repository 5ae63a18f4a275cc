"""The catalogue of events: words for everything, and schemas that say what is really published."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from msgspec import Raw, Struct

from scripts import documentation
from tests.watcher.builders import restored, sealed
from watcher import catalogue, shapes
from watcher.catalogue import KINDS
from watcher.errors import ConfigError
from watcher.events import EVENTS, UNRECORDED, Progress, Record
from watcher.wire import Message, progress_frames, to_frames

AT = datetime(2026, 1, 20, 0, 5, tzinfo=UTC)
KEY = "ticks/2026-01-20"

formats = FormatChecker(formats=())


@formats.checks("date-time", raises=ValueError)
def is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(schema, format_checker=formats)


DATA = {name: validator(catalogue.schema(name)) for name in KINDS}
MESSAGE = validator(catalogue.message_schema())

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=5)
MOMENTS = st.datetimes(timezones=st.just(UTC))
STRATEGIES: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    type(None): st.none(),
    datetime: MOMENTS,
}


def any_of(annotation: Any) -> st.SearchStrategy[Any]:
    """Any value of the types that events are made of."""
    if annotation in STRATEGIES:
        return STRATEGIES[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        fields = msgspec.structs.fields(annotation)
        return st.builds(annotation, **{field.name: any_of(field.type) for field in fields})
    first, *others = map(any_of, (each for each in get_args(annotation) if each is not Ellipsis))
    match getattr(annotation, "__origin__", None):
        case kind if kind is tuple:
            return st.lists(first, max_size=3).map(tuple)
        case kind if kind is dict:
            return st.dictionaries(first, *others, max_size=3)
    return st.one_of(first, *others)


def published(name: str, event: Any) -> Any:
    """The message as a subscriber gets it."""
    if isinstance(event, Progress):
        return json.loads(progress_frames(KEY, event, 0x1A2B, 41, 3, AT)[2])
    record = Record(42, AT, name, KEY, Raw(msgspec.json.encode(event)))
    return json.loads(to_frames(record, 0x1A2B)[2])


def simplest(name: str) -> Any:
    """A message whose data is of the right form and says nothing."""
    plain: dict[Any, Any] = {str: "", int: 0, bool: False, datetime: AT}

    def value(annotation: Any) -> Any:
        if isinstance(annotation, type) and issubclass(annotation, Struct):
            return annotation(*(value(field.type) for field in msgspec.structs.fields(annotation)))
        if annotation in plain:
            return plain[annotation]
        arguments = get_args(annotation)
        return None if type(None) in arguments else annotation()

    return published(name, value(KINDS[name]))


def dated(kind: type[Struct]) -> list[str]:
    """The fields that are a moment, or may be one."""
    return [each.name for each in msgspec.structs.fields(kind) if each.type in (datetime, datetime | None)]


class TestTheWords:
    @pytest.mark.parametrize("name", KINDS)
    def test_say_what_every_event_is_and_every_field_of_it(self, name: str) -> None:
        described = [catalogue.schema(name), *catalogue.schema(name).get("$defs", {}).values()]
        for each in described:
            assert each["description"].endswith(".")
            for field, schema in each["properties"].items():
                assert schema["description"].endswith("."), field

    def test_are_those_of_the_source(self) -> None:
        words = shapes.words(EVENTS["rotated"])
        assert words.description.startswith("A stream's current day has changed. At midnight UTC, before ")
        assert words.fields["current"] == "The day that has begun, `YYYY-MM-DD`."

    def test_are_missing_where_there_are_none(self) -> None:
        assert shapes.words(Record).fields == {}


class TestTheSchemas:
    @pytest.mark.parametrize("name", KINDS)
    def test_are_schemas(self, name: str) -> None:
        Draft202012Validator.check_schema(catalogue.schema(name))

    def test_of_all_messages_is_one(self) -> None:
        Draft202012Validator.check_schema(catalogue.message_schema())

    def test_have_names_of_their_own(self) -> None:
        names = {catalogue.message_schema()["$id"], *(catalogue.schema(name)["$id"] for name in KINDS)}
        assert len(names) == len(KINDS) + 1
        assert catalogue.schema("sealed")["$id"] == "urn:tickward:v1:sealed"
        assert catalogue.schema("sealed")["title"] == "sealed"

    def test_say_what_may_be_missing_from_older_records(self) -> None:
        schema = catalogue.schema("sealed")
        assert "sha256" in schema["required"]
        assert "table" not in schema["required"]
        assert schema["properties"]["table"]["default"] == ""

    def test_there_is_none_of_what_is_no_event(self) -> None:
        with pytest.raises(ConfigError, match=r"no event 'sealing'; there are: started, .*, progress"):
            catalogue.schema("sealing")


class TestWhatIsPublished:
    @pytest.mark.parametrize("name", KINDS)
    @settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
    @given(data=st.data())
    def test_is_what_the_schemas_say(self, name: str, data: st.DataObject) -> None:
        message = published(name, data.draw(any_of(KINDS[name])))
        MESSAGE.validate(message)
        DATA[name].validate(message["data"])

    @pytest.mark.parametrize("name", KINDS)
    def test_may_be_empty_where_it_says_so(self, name: str) -> None:
        MESSAGE.validate(simplest(name))

    def test_may_have_fields_that_are_not_known_yet(self) -> None:
        message = simplest("sealed")
        message["data"]["new"] = message["new"] = 1
        MESSAGE.validate(message)


class TestWhatIsNotPublished:
    @pytest.mark.parametrize("name", KINDS)
    def test_lacks_a_field(self, name: str) -> None:
        message = simplest(name)
        for field in msgspec.structs.fields(KINDS[name]):
            rest = {key: value for key, value in message["data"].items() if key != field.name}
            assert DATA[name].is_valid(rest) == (not field.required)
            assert MESSAGE.is_valid({**message, "data": rest}) == (not field.required)

    @pytest.mark.parametrize("name", KINDS)
    def test_has_a_field_of_another_type(self, name: str) -> None:
        message = simplest(name)
        for field in message["data"]:
            wrong = {**message["data"], field: [{}]}
            assert not DATA[name].is_valid(wrong), field
            assert not MESSAGE.is_valid({**message, "data": wrong}), field

    @pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if dated(kind)])
    def test_has_a_moment_in_another_form(self, name: str) -> None:
        data = simplest(name)["data"]
        for field in dated(KINDS[name]):
            for wrong in ("yesterday", "2026-01-20T00:05:00"):
                assert not DATA[name].is_valid({**data, field: wrong}), field

    def test_has_a_part_of_another_form(self) -> None:
        data = published("sealed", sealed())["data"]
        assert not DATA["sealed"].is_valid({**data, "signature": {"size_bytes": 1, "mtime_ns": 2}})
        data = published("restored", restored(AT))["data"]
        assert not DATA["restored"].is_valid({**data, "rejected": ["a copy", 1]})

    @pytest.mark.parametrize("attribute", list(simplest("sealed")))
    def test_lacks_an_attribute(self, attribute: str) -> None:
        message = simplest("sealed")
        del message[attribute]
        assert not MESSAGE.is_valid(message)

    @pytest.mark.parametrize(
        "changes",
        [
            {"specversion": "0.3"},
            {"source": "another"},
            {"type": "tickward.sealing"},
            {"type": "sealed"},
            {"type": "tickward.compressed"},
            {"id": "42"},
            {"time": "now"},
            {"datacontenttype": "text/plain"},
            {"data": "sealed"},
            {"sequence": 0},
            {"sequence": "42"},
        ],
        ids=str,
    )
    def test_has_an_attribute_of_another_form(self, changes: dict[str, Any]) -> None:
        assert not MESSAGE.is_valid({**simplest("sealed"), **changes})

    @pytest.mark.parametrize("name", UNRECORDED)
    def test_has_a_number_without_being_recorded(self, name: str) -> None:
        assert not MESSAGE.is_valid({**simplest(name), "sequence": 42})


def test_the_schema_of_a_message_has_every_attribute() -> None:
    assert set(catalogue.message_schema()["properties"]) == set(Message.__struct_fields__)


class TestTheScript:
    @pytest.fixture
    def page(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        page = tmp_path / "events.md"
        page.write_text(f"# By hand\n\n{documentation.MARK}an earlier catalogue")
        monkeypatch.setattr(documentation, "PAGE", page)
        monkeypatch.setattr(documentation, "SCHEMA", tmp_path / "events.schema.json")
        for others in ("shapes", "commands"):  # which take longer, and have tests of their own
            monkeypatch.setattr(documentation, others, dict)
        return page

    def run(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["scripts/docs", *arguments])
        return documentation.main()

    def test_tells_what_is_stale_and_leaves_it(
        self, page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = page.read_bytes()
        assert self.run(monkeypatch, "--check") == 1
        assert f"{page} is stale: run scripts/docs\n" in capsys.readouterr().err
        assert page.read_bytes() == before

    def test_writes_anew_what_is_below_the_mark(self, page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.run(monkeypatch) == 0
        text = page.read_text()
        assert text.startswith(f"# By hand\n\n{documentation.MARK}\n### `started`\n")
        assert text.endswith(" |\n")
        assert "an earlier catalogue" not in text
        assert self.run(monkeypatch, "--check") == self.run(monkeypatch) == 0
        assert page.read_text() == text
        assert json.loads(page.with_name("events.schema.json").read_text()) == catalogue.message_schema()

    def test_leaves_a_page_without_a_mark(self, page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        page.write_text("# By hand\n")
        with pytest.raises(ValueError, match="has lost its mark"):
            self.run(monkeypatch)
        assert page.read_text() == "# By hand\n"
