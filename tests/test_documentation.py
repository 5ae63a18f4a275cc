"""What the pages say is so: links, paths, tests and command lines that they name; the examples work."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest
import typer.main

from handlers.database import create
from scripts import commands_page, configuration_page, documentation
from scripts.site_check import problems
from scripts.site_pages import with_links_of_the_site
from tests.documents import PAGES, PROJECT, anchors, blocks, command_lines, links, spans, text_of
from tests.watcher.builders import compressed, sealed
from tests.watcher.bus import AT, KEY, Bus
from watcher import app as daemon
from watcher.cli.main import app
from watcher.config import load
from watcher.journal import Journal
from watcher.settings import Settings

README, DOCS = PROJECT / "README.md", PROJECT / "docs"
QUICK = DOCS / "quick-reference.md"
NEW_STEP = DOCS / "adding-a-step.md"
PLAN_OF_THE_HOUSE = text_of(DOCS / "architecture.md").partition("## The plan of the house\n\n")[2]
PLAN_OF_THE_HOUSE = PLAN_OF_THE_HOUSE.partition("\n\nImports")[0]
SCHEMA = (PROJECT / "handlers/schema/ticks.sql").read_text()

names = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(PROJECT)) for page in PAGES])


class TestEveryPage:
    @names
    def test_links_to_what_is_there(self, page: Path) -> None:
        for target, anchor in links(page):
            there = (page.parent / target) if target else page
            assert there.exists(), f"{target} is not there"
            assert there.resolve().is_relative_to(PROJECT)
            assert not anchor or anchor in anchors(there), f"{target} has no heading #{anchor}"

    @names
    def test_names_files_that_are_there(self, page: Path) -> None:
        for path in spans(page):
            if re.fullmatch(r"(watcher|handlers|tests|scripts|docs)/[\w./-]+", path):
                assert (PROJECT / path).exists() or (page, path) == (NEW_STEP, "handlers/tally.py"), path

    @names
    def test_names_tests_that_there_are(self, page: Path) -> None:
        for named in spans(page):
            file, *inside = named.split("::")
            if not inside or not file.startswith("tests"):
                continue
            source = (PROJECT / file).read_text("utf-8")
            for name in inside:
                assert re.search(rf"^ *(def|class) {name}\b", source, flags=re.MULTILINE), named

    @names
    def test_shows_scripts_that_there_are(self, page: Path) -> None:
        shown = {*re.findall(r"(?<![\w/.])scripts/\w+(?:\.py)?", "\n".join(code for _, code in blocks(page)))}
        shown |= {*re.findall(r"^ {4}(scripts/\w+(?:\.py)?)", text_of(page), flags=re.MULTILINE)}
        assert {name for name in shown if not (PROJECT / name).exists()} == set()

    @names
    def test_shows_commands_as_they_can_be_typed(self, page: Path) -> None:
        for words in command_lines(page):
            understood(words)

    @names
    def test_has_one_title(self, page: Path) -> None:
        text = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
        assert len(re.findall(r"^# ", text, flags=re.MULTILINE)) == 1
        assert text.startswith("# ")

    def test_is_in_the_navigation(self) -> None:
        listed = re.findall(r": ([\w/.-]+\.md)$", (PROJECT / "mkdocs.yml").read_text(), flags=re.MULTILINE)
        guests = ["changelog.md", "contributing.md"]
        pages = [str(page.relative_to(DOCS)) for page in PAGES if page.is_relative_to(DOCS)]
        assert sorted(listed) == sorted([*pages, *guests])


class TestWhatIsLookedFor:
    """The tests above can fail."""

    def test_a_command_that_there_is_not(self) -> None:
        for typed in ("stauts", "config nonsense", "plan --until 2026-01-01"):
            with pytest.raises(AssertionError, match="no such"):
                understood(typed.split())

    def test_what_is_typed(self, tmp_path: Path) -> None:
        page = tmp_path / "page.md"
        page.write_text(
            "# A\n\nUse `tickward status --json`.\n\n    tickward hold 2026-01-20 --reason 'a b'  # why\n\n"
            '```sh\nscripts/run demo\ntickward query \\\n    "SELECT 1" | head\n```\n'
        )
        assert sorted(command_lines(page)) == [
            ["demo"],
            ["hold", "2026-01-20", "--reason", "a b"],
            ["query", "SELECT 1"],
            ["status", "--json"],
        ]


def understood(words: list[str]) -> str:
    """The command that is meant; AssertionError if there is none, or it has no such option."""
    found, name = typer.main.get_command(app), ""
    words = [*words, "?"]  # an option may be named without its value
    while True:
        context = found.context_class(found, info_name=name)
        try:
            _, rest, _ = found.make_parser(context).parse_args(words)
        except Exception as error:
            raise AssertionError(f"no such option: {error}") from error
        inner = getattr(found, "commands", {})
        if not inner or not rest or not re.fullmatch(r"[a-z]+", rest[0]):
            return name
        assert rest[0] in inner, f"no such command: {words}"
        found, name = inner[rest[0]], f"{name} {rest[0]}".strip()
        words = rest[1:]


class TestTheQuickReference:
    def test_has_every_command_and_no_other(self) -> None:
        shown = {understood(words) for words in command_lines(QUICK)}
        assert set(commands_page.commands()) - shown == set()

    def test_has_every_command_once_in_a_block(self) -> None:
        lines = [line for _, code in blocks(QUICK) for line in code.splitlines()]
        assert len(lines) == len(set(lines))


class TestTheSettings:
    def test_are_as_they_would_be_written(self) -> None:
        for path, content in documentation.configuration().items():
            assert path.read_text("utf-8") == content, f"{path.name} is stale: run scripts/docs"

    def test_every_key_is_there_with_its_variable(self) -> None:
        def leaves(table: Any, *path: str) -> list[tuple[str, ...]]:
            if not isinstance(table, dict):
                return [path]
            return [leaf for key, value in table.items() for leaf in leaves(value, *path, key)]

        shown = [
            (*table.name.split("."), key.name) for table in configuration_page.tables() for key in table.keys
        ]
        assert sorted(shown) == sorted(leaves(msgspec.to_builtins(Settings())))
        for path in shown:
            assert f"`{configuration_page.variable(path)}`" in text_of(documentation.CONFIGURATION)

    @pytest.mark.parametrize(
        ("path", "words"),
        [
            ("compress.level", "1 to 22"),
            ("compress.schedule", "a cron expression, or `on_rotation`"),
            ("verify.drill_schedule", "a cron expression, or `never`"),
            ("compress.frame", "a size such as `4 MiB`"),
            ("seal.retry_seconds", "above 0"),
            ("seal.patience_seconds", "0 or more"),
            ("seal.compact", "`true`, `false`"),
            ("log.level", '`"DEBUG"`, `"ERROR"`, `"INFO"`, `"WARNING"`'),
            ("data.streams.ticks.table", "text, not empty"),
        ],
    )
    def test_what_is_allowed_follows_from_the_types(self, path: str, words: str) -> None:
        assert configuration_page.allowed(tuple(path.split("."))) == words

    def test_which_change_with_a_restart_only(self) -> None:
        (said,) = re.findall(
            r"stays in force\.\n(.*?)change with a", text_of(documentation.CONFIGURATION), re.S
        )
        assert re.findall(r"`\[(\w+)\]`", said) == list(daemon._FIXED_SECTIONS)


class TestTheReadme:
    def test_is_read_in_a_minute(self) -> None:
        assert len(text_of(README).splitlines()) <= 100

    def test_the_subscriber_gets_what_it_asks_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class EnoughError(Exception):
            pass

        said: list[tuple[Any, ...]] = []

        def say(*words: Any) -> None:
            said.append(words)
            if len(said) == 2:
                raise EnoughError

        monkeypatch.chdir(tmp_path)
        with Bus(tmp_path) as bus:
            code = self.example("Subscriber(").replace(
                "Subscriber(", f"Subscriber({bus.publish!r}, {bus.replay!r}, "
            )
            bus.record()
            with Journal.open_for_writing(bus.file) as journal:
                journal.record([(KEY, sealed()), (KEY, compressed())], AT)
            bus.start()
            with pytest.raises(EnoughError):
                exec(code, {"print": say})  # noqa: S102 -- the page's own
        assert [words[:3] for words in said] == [(2, "sealed", KEY), (3, "compressed", KEY)]
        assert len(code.splitlines()) <= 15

    def test_a_day_is_opened(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with_ticks(day_file(tmp_path, date(2026, 1, 19)))
        said: list[tuple[Any, ...]] = []
        exec(self.example("open_day"), {"print": lambda *words: said.append(words)})  # noqa: S102
        assert said == [(1.1, 1.2), (1.1, 1.2)]

    def test_the_hooks_are_accepted(self, tmp_path: Path) -> None:
        ((_, toml),) = [each for each in blocks(README) if each[0] == "toml"]
        (tmp_path / "config.toml").write_text(toml)
        assert set(load(tmp_path / "config.toml", environment={}).hooks) == {"sealed", "failed"}

    def test_a_clone_needs_no_more_than_its_scripts(self) -> None:
        for name in ("run", "test", "check", "docs", "site"):
            assert os.access(PROJECT / "scripts" / name, os.X_OK)

    @staticmethod
    def example(of: str) -> str:
        (code,) = [code for language, code in blocks(README) if language == "python" and of in code]
        return code


def day_file(folder: Path, day: date) -> Path:
    """Where a day's database is by the defaults."""
    path = folder / f"data/ticks/db/{day:%Y/%m}/ticks_{day}.db"
    path.parent.mkdir(parents=True)
    return path


def with_ticks(path: Path) -> None:
    """Two ticks of one symbol, one of another."""
    create(path, SCHEMA)
    connection = apsw.Connection(str(path))
    for symbol, stamp in (("EURUSD", 1), ("EURUSD", 2), ("GBPUSD", 1)):
        connection.execute(
            "INSERT INTO ticks (symbol, timestamp, bid, ask) VALUES (?, ?, 1.1, 1.2)", (symbol, stamp)
        )
    connection.close()


class TestThePlanOfTheHouse:
    def test_names_files_that_there_are(self) -> None:
        there = {
            path.name for top in ("handlers", "watcher", "scripts") for path in (PROJECT / top).rglob("*")
        }
        named = set(re.findall(r"[\w.]+\.(?:py|sql)", PLAN_OF_THE_HOUSE))
        assert named - there == set()

    def test_names_every_module_and_package(self) -> None:
        named = set(re.findall(r"[\w.]+\.py|\w+(?=/)", PLAN_OF_THE_HOUSE))
        for top in ("handlers", "watcher"):
            there = {path.name for path in (PROJECT / top).glob("*.py")} - {"__init__.py"}
            there |= {path.parent.name for path in (PROJECT / top).glob("*/__init__.py")}
            assert there - named == set()


class TestTheNewStep:
    def test_is_done_as_the_page_says(self, tmp_path: Path) -> None:
        project, work = tmp_path / "project", tmp_path / "work"
        for top in ("handlers", "watcher"):
            shutil.copytree(PROJECT / top, project / top)
        self.follow(project)
        work.mkdir(mode=0o700)
        (work / "config.toml").write_text(
            f'[events]\npublish = "ipc://{work}/p"\nreplay = "ipc://{work}/r"\n'
        )
        day = date.today() - timedelta(days=2)  # noqa: DTZ011 -- long over, in every zone
        with_ticks(day_file(work, day))
        self.tickward(project, work, "once")
        history = msgspec.json.decode(self.tickward(project, work, "history", str(day), "--json"))
        assert history["day"]["state"] == "tallied"
        assert history["day"]["step"] == "compress"
        happened = {each["event"]: each["data"] for each in history["events"]}
        assert happened["tallied"] == {"by_symbol": {"EURUSD": 2, "GBPUSD": 1}}

    def follow(self, project: Path) -> None:
        """Do to a copy of the project what stands on the page: each block is about the file named last."""
        file = project
        steps = r"^[^\n]*`([\w/]+\.py)`:?$|^```(diff|python)\n(.*?)^```$"
        for named, language, code in re.findall(steps, text_of(NEW_STEP), flags=re.DOTALL | re.MULTILINE):
            if named:
                file = project / named
            elif language == "python":
                assert not file.exists()
                file.write_text(code)
            else:
                before, after = (
                    "".join(f"{line[1:]}\n" for line in code.splitlines() if line[:1] != other)
                    for other in "+-"
                )
                source = file.read_text()
                assert source.count(before) == 1, f"{file.name} has not once:\n{before}"
                file.write_text(source.replace(before, after))

    @staticmethod
    def tickward(project: Path, work: Path, *arguments: str) -> bytes:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(project), "PYTHONSAFEPATH": "1"}
        ended = subprocess.run(
            [sys.executable, "-m", "watcher", *arguments],
            cwd=work,
            env=environment,
            capture_output=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr.decode()
        return ended.stdout


class TestTheSite:
    @pytest.mark.parametrize(
        ("uri", "markdown", "becomes"),
        [
            ("web.md", "[e](events.md#tier)", "[e](events.md#tier)"),
            ("web.md", "![p](images/day.png)", "![p](images/day.png)"),
            ("monitoring/README.md", "[e](../events.md)", "[e](../events.md)"),
            ("monitoring/README.md", "[c](../../CHANGELOG.md)", "[c](../changelog.md)"),
            ("index.md", "[c](../config.toml)", "[c](config.toml)"),
            ("index.md", "[r](../README.md)", "[r](index.md)"),
            ("install.md", "[compose.yaml](../compose.yaml)", "compose.yaml"),
            ("contributing.md", "[a](docs/architecture.md#choices)", "[a](architecture.md#choices)"),
            ("contributing.md", "[c](CHANGELOG.md)", "[c](changelog.md)"),
            ("index.md", "[s](https://sqlite.org)", "[s](https://sqlite.org)"),
            ("index.md", "[s](#here)", "[s](#here)"),
        ],
    )
    def test_links_stay_within_it(self, uri: str, markdown: str, becomes: str) -> None:
        assert with_links_of_the_site(markdown, uri) == becomes

    def test_what_it_would_load_from_elsewhere_or_lacks_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "a.css").write_text('@import "https://x.example/b.css"; i { mask: url(data:image/png,) }')
        (tmp_path / "index.html").write_text(
            '<link rel="canonical" href="https://x.example/"><link rel="stylesheet" href="a.css">'
            '<a href="https://x.example/">there</a><img src="//x.example/i.png"><script src="b.js"></script>'
        )
        assert [problem.removeprefix(f"{tmp_path}/") for problem in problems(tmp_path)] == [
            "a.css loads https://x.example/b.css, which is not a part of the site",
            "index.html loads //x.example/i.png, which is not a part of the site",
            "index.html loads b.js, which is not there",
        ]


def test_sqlite3_is_banned() -> None:
    """Nor does anything that the daemon, its workers or a query import bring it along."""
    asked = "import sys, watcher.app, handlers.table, watcher.query; sys.exit('_sqlite3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], cwd=PROJECT, check=False).returncode == 0
    for top in ("watcher", "handlers"):
        for path in (PROJECT / top).rglob("*.py"):
            assert not re.search(r"^\s*(import|from) sqlite3", path.read_text("utf-8"), flags=re.MULTILINE)
