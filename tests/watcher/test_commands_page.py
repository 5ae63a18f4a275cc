"""docs/commands.md and docs/json.md say what is true: every command, what it prints, in which shape."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from scripts import commands_page, documentation, shapes_page
from scripts.commands_page import MOST_LINES, SECTIONS, Performed
from scripts.commands_stage import SHOWN_FOLDER, Said, Stage, stage
from watcher.cli.documents.registry import PRINTED, WITHOUT
from watcher.demo.summary import Summary
from watcher.settings import Settings
from watcher.shapes import definitions

ENTRIES = [entry for entries in SECTIONS.values() for entry in entries]
RUN = [entry.command for entry in ENTRIES if entry.arguments is not None]
SCHEMAS = json.loads(documentation.COMMANDS_SCHEMA.read_text("utf-8"))


@pytest.fixture(scope="module")
def run() -> Iterator[Stage]:
    with stage() as made:
        yield made


@pytest.fixture(scope="module")
def performed(run: Stage) -> dict[str, Performed]:
    return {each.entry.command: each for each in commands_page.perform(run)}


class TestTheList:
    def test_has_every_command_once(self) -> None:
        listed = [entry.command for entry in ENTRIES if " --" not in entry.command]
        assert sorted(listed) == sorted(commands_page.commands())
        assert len(ENTRIES) == len({entry.command for entry in ENTRIES})

    def test_every_command_has_a_shape_or_a_reason(self) -> None:
        plain = {command for command in PRINTED if " --" not in command}
        assert plain | WITHOUT.keys() == set(commands_page.commands())
        assert not PRINTED.keys() & WITHOUT.keys()

    @pytest.mark.parametrize("command", PRINTED)
    def test_what_has_a_shape_has_the_option(self, command: str) -> None:
        assert {"json", "_json"} & inspect.signature(commands_page.callback_of(command)).parameters.keys()

    @pytest.mark.parametrize("command", WITHOUT)
    def test_what_has_none_has_not(self, command: str) -> None:
        assert "json" not in inspect.signature(commands_page.callback_of(command)).parameters


class TestThePage:
    def test_is_as_it_would_be_written(self, run: Stage, performed: dict[str, Performed]) -> None:
        fresh = commands_page.written(run, performed.values())
        assert documentation.rewritten(
            documentation.COMMANDS, documentation.COMMANDS_MARK, fresh
        ) == documentation.COMMANDS.read_text("utf-8"), "commands.md is stale: run scripts/docs"

    def test_has_nothing_of_this_machine(self) -> None:
        text = documentation.COMMANDS.read_text("utf-8")
        assert set(re.findall(r"(?<![\w.])/(?:tmp|home|root|var|work)/[^ ]*", text)) == set()
        assert "Traceback" not in text
        assert "\x1b" not in text

    def test_is_short(self) -> None:
        text = documentation.COMMANDS.read_text("utf-8")
        blocks = re.findall(r"^```text\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        assert len(blocks) == len(RUN)
        for entry, block in zip((e for e in ENTRIES if e.command in RUN), blocks, strict=True):
            assert len(block.splitlines()) <= entry.lines + 2
        assert sum(entry.lines > MOST_LINES for entry in ENTRIES) <= 5

    def test_shows_what_happens_and_no_mistake(self, performed: dict[str, Performed]) -> None:
        for command in RUN:
            shown = performed[command].shown
            assert shown is not None
            expected = {"status": 2, "policy --prove": 1, "expire": 1}.get(command, 0)
            assert (command, shown.code, shown.err) == (command, expected, shown.err)
            assert shown.out or command == "once"

    def test_links_to_what_there_is(self) -> None:
        shapes = documentation.JSON.read_text("utf-8")
        headings = re.findall(r"^#+ `([\w.]+)`$", shapes, flags=re.MULTILINE)
        anchors = {heading.replace(".", "") for heading in headings}
        assert len(anchors) == len(headings)
        pages = documentation.COMMANDS.read_text("utf-8"), shapes
        linked = set(re.findall(r"\]\((?:json\.md)?#(\w+)\)", "".join(pages)))
        assert linked <= anchors


class TestWhatIsTheSameEverywhere:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("held by tick-er (uid 0, pid 4242)", "held by ann (uid 1000, pid 812)"),
            ("sealed in 12.3 s", "sealed in 0.1 s"),
            ("delivered (0.02 s)", "delivered (0.1 s)"),
            ("2027-01-02 03:04:05.678 INFO     #1", "2026-07-15 09:30:00.000 INFO     #1"),
            ("this is    tickward 2.0.1.dev3+g1, SQLite 3.60.0", "this is    tickward 0.1.0, SQLite 3.54.1"),
            ("since 2026-05-20 10:00 UTC", "since 2026-05-20 10:00 UTC"),
            ("compressed_bytes=30999 ", "compressed_bytes=30876"),
            ("\x1b[4mmin\x1b[24m", "min"),
        ],
    )
    def test_is_what_stands_on_the_page(self, text: str, shown: str) -> None:
        assert Stage({}).same_everywhere(text) == shown

    def test_folders_are_one(self, run: Stage) -> None:
        for tree in ("sample", "real"):
            assert run.same_everywhere(run.settings(tree).data.root) == f"{SHOWN_FOLDER}/root"

    def test_hashes_stay_different_and_the_same(self) -> None:
        one, other = "ab" * 32, "cd" * 32
        first, second, third = Stage({}).same_everywhere(f"{one}\n{other}\n{one}").split()
        assert first == third != second
        assert first not in (one, other)


class TestTheShapes:
    def test_are_as_they_would_be_written(self) -> None:
        for path, content in documentation.shapes().items():
            assert path.read_text("utf-8") == content, f"{path.name} is stale: run scripts/docs"

    @pytest.mark.parametrize("command", [name for name, each in PRINTED.items() if each.kind is not Settings])
    def test_have_words_for_everything(self, command: str) -> None:
        for name, shape in definitions([PRINTED[command].kind]).items():
            assert shape["description"].endswith("."), name
            for field, schema in shape["properties"].items():
                assert schema["description"].endswith("."), f"{name}.{field}"

    def test_are_schemas(self) -> None:
        Draft202012Validator.check_schema(SCHEMAS)
        assert validator_for(SCHEMAS) is Draft202012Validator
        assert SCHEMAS["$defs"].keys() == PRINTED.keys()

    def test_are_those_of_what_is_printed(self, performed: dict[str, Performed]) -> None:
        for command, said in _said(performed):
            shown = performed[command].shown
            assert shown is not None
            assert said.code == shown.code, f"{command}: {said.err}"
            for document in _documents(command, said.out):
                assert list(_validator(command).iter_errors(document)) == [], command

    def test_refuse_what_lacks_a_field_or_has_one_of_another_type(self) -> None:
        for command, printed in PRINTED.items():
            shape = printed.schema() if printed.form != "array" else printed.schema()["items"]
            required = shape.get("required", [])
            typed = {name for name in required if shape["properties"][name].keys() > {"description"}}
            empty, wrong = {}, {name: object() for name in required}
            if printed.form == "array":
                empty, wrong = [empty], [wrong]
            assert len(list(_validator(command).iter_errors(empty))) == len(required), command
            assert {each.path[-1] for each in _validator(command).iter_errors(wrong)} == typed, command
            assert not _validator(command).is_valid("another"), command

    def test_have_no_field_that_is_not_told_of(self, performed: dict[str, Performed]) -> None:
        for command, said in _said(performed):
            if command != "query":  # whose columns are those of the statement
                told = PRINTED[command].kind.__struct_fields__
                for document in _documents(command, said.out):
                    assert set(document) <= set(told), command

    def test_of_the_demonstration_is_of_a_struct(self) -> None:
        shown = Summary(True, (), "/x", 1, {"hot": 1}, 1, 1, 0, 1, 1, {"sealed": 1}, 3)
        _validator("demo").validate(json.loads(msgspec.json.encode(shown)))


def _said(performed: dict[str, Performed]) -> Iterator[tuple[str, Said]]:
    for command, each in performed.items():
        if each.json is not None:
            yield command, each.json


def _documents(command: str, text: str) -> list[Any]:
    if PRINTED[command].form == "lines":
        return [json.loads(line) for line in text.splitlines()]
    return [json.loads(text)]


@cache
def _validator(command: str) -> Draft202012Validator:
    """By the file that is published."""
    return Draft202012Validator(
        {"$ref": shapes_page.identity(command), "$defs": SCHEMAS["$defs"]},
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
