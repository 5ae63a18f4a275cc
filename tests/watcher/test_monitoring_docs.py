"""docs/monitoring: what it says of the metrics, of the alerts and of the dashboard is so."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from handlers.contract import Step
from scripts.sample_tree import NOW, grow, settings_below
from watcher.clock import ManualClock
from watcher.metrics.metrics import Metrics
from watcher.metrics.probe import PATIENCE_SECONDS, Probe
from watcher.metrics.server import RETRY_SECONDS, TALK_SECONDS
from watcher.plan import Plan
from watcher.settings import Settings
from watcher.vitals import Running, Vitals, Watching

FOLDER = Path(__file__).parents[2] / "docs/monitoring"
PAGE = (FOLDER / "README.md").read_text("utf-8")
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "grafana-dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel.get("targets", ())]
SEVERITIES = {"page", "ticket"}


class Described(NamedTuple):
    kind: str
    labels: frozenset[str]


class Scrape(NamedTuple):
    families: dict[str, Described]
    samples: frozenset[str]
    """Their names: those of a histogram have endings of their own."""


@pytest.fixture(scope="module")
def scrape(tmp_path_factory: pytest.TempPathFactory) -> Scrape:
    settings = grow(settings_below(tmp_path_factory.mktemp("monitoring")), 40, durable=False)
    running = Running("ticks/2026-07-06", Step.COMPRESS, NOW, 30, 120)
    watching = Watching("inotify", "", 0)
    vitals = Vitals(1, "0.1.0", "3", NOW, NOW, 0.1, (running,), 0, 0, None, "", watching, (), 0, 1)
    metrics = Metrics(settings, ManualClock(NOW), lambda: vitals, lambda: Plan.of(NOW, ()))
    metrics.remember()
    answer = metrics.scrape()
    assert answer.status == 200
    families, names = {}, set()
    for family in text_string_to_metric_families(answer.body.decode()):
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        name = f"{family.name}_total" if family.type == "counter" else family.name
        families[name] = Described(family.type, frozenset(labels))
        names |= {sample.name for sample in family.samples}
    return Scrape(families, frozenset(names))


def table() -> dict[str, Described]:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*)\| [^|]+ \|$", PAGE, flags=re.MULTILINE)
    return {name: Described(kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def named_in(query: str) -> set[str]:
    return set(re.findall(r"\b(?:tickward|process)_\w+", query))


class TestTheTable:
    def test_has_every_metric_and_no_other(self, scrape: Scrape) -> None:
        assert table() == scrape.families

    def test_follows_the_rules_of_prometheus(self, scrape: Scrape) -> None:
        for name, found in scrape.families.items():
            assert name.endswith("_total") == (found.kind == "counter")
            assert not name.endswith(("_ms", "_minutes", "_kb", "_percent"))

    def test_has_every_field_of_the_probe(self) -> None:
        part = PAGE.partition("| field |")[2].partition("\n\n")[0]
        assert re.findall(r"^\| `(\w+)` \|", part, flags=re.MULTILINE) == list(Probe.__struct_fields__)
        (example,) = re.findall(r"```json\n(.*)\n```", PAGE)
        assert msgspec.json.decode(example, type=Probe).status == "ok"

    def test_says_the_times_that_there_are(self) -> None:
        assert f"tried again every {RETRY_SECONDS:.0f} s" in PAGE
        assert (PATIENCE_SECONDS, TALK_SECONDS) == (120, 3)
        assert "within two minutes" in PAGE
        assert "three seconds to ask" in PAGE

    def test_shows_settings_that_are_accepted(self) -> None:
        (example,) = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)
        listen = msgspec.convert(tomllib.loads(example), Settings).metrics.listen
        assert f"{listen}/metrics" in PAGE
        scraped = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)[0])
        (job,) = scraped["scrape_configs"]
        assert job["static_configs"] == [{"targets": [listen]}]
        assert job["job_name"] == "tickward"
        assert [(FOLDER / name).exists() for name in scraped["rule_files"]] == [True]


class TestTheAlerts:
    @pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
    def test_are_of_metrics_that_there_are(self, rule: dict[str, Any], scrape: Scrape) -> None:
        named = named_in(rule["expr"])
        assert named <= scrape.samples
        assert named or "up{" in rule["expr"]
        assert set(re.findall(r'(\w+)="', rule["expr"])) <= {"job", "step", "state", "directory", "tier"}

    @pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
    def test_say_what_is_wrong_and_what_to_do(self, rule: dict[str, Any]) -> None:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in SEVERITIES
        assert rule["annotations"].keys() == {"summary", "description"}
        assert rule["annotations"]["description"].endswith(".")
        assert re.fullmatch(r"\d+[mh]", rule.get("for", "1m"))

    def test_have_names_of_their_own(self) -> None:
        names = [rule["alert"] for rule in RULES]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"Tickward\w+", name) for name in names)

    def test_name_steps_and_states_that_there_are(self) -> None:
        text = " ".join(rule["expr"] for rule in RULES)
        assert set(re.findall(r'step="(\w+)"', text)) <= set(Step)
        assert re.findall(r'state="(\w+)"', text) == ["sealed"]

    def test_leave_the_loop_the_time_that_it_may_take(self) -> None:
        (stuck,) = (rule for rule in RULES if rule["alert"] == "TickwardLoopStuck")
        limit = timedelta(seconds=int(stuck["expr"].rpartition(">")[2]))
        assert limit > timedelta(seconds=PATIENCE_SECONDS)


class TestTheDashboard:
    def test_shows_every_metric_of_ours_and_no_other(self, scrape: Scrape) -> None:
        shown = set().union(*map(named_in, QUERIES))
        assert shown <= scrape.samples
        ended = {re.sub("_(bucket|count|sum)$", "", name) for name in shown}
        assert {name for name in scrape.families if name.startswith("tickward_")} <= ended

    def test_takes_the_data_source_that_is_chosen(self) -> None:
        variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
        assert variables["datasource"]["type"] == "datasource"
        assert variables["datasource"]["query"] == "prometheus"
        assert set(sources(DASHBOARD)) == {"${datasource}"}

    def test_shows_the_instances_that_are_chosen(self, scrape: Scrape) -> None:
        variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
        assert named_in(variables["instance"]["definition"]) == {"tickward_build_info"}
        for query in QUERIES:
            names = re.findall(r"\b(?:tickward|process)_\w+|\bup\b", query)
            assert query.count('instance=~"$instance"') == len(names), query

    def test_can_be_imported(self) -> None:
        assert DASHBOARD["schemaVersion"] >= 36
        assert DASHBOARD["title"]
        assert DASHBOARD["uid"]
        assert "id" not in DASHBOARD  # it would be that of another one, where it is imported
        numbers = [panel["id"] for panel in PANELS]
        assert len(set(numbers)) == len(numbers)
        for panel in PANELS:
            assert panel["title"]
            assert panel["type"] == "row" or panel["targets"]
            letters = [target["refId"] for target in panel.get("targets", ())]
            assert len(set(letters)) == len(letters)

    def test_has_no_panel_on_top_of_another(self) -> None:
        taken: set[tuple[int, int]] = set()
        for panel in PANELS:
            place = panel["gridPos"]
            cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
            assert place["x"] + place["w"] <= 24
            assert not cells & taken
            taken |= cells


def sources(of: Any) -> Iterator[str]:
    """Every data source that is named anywhere."""
    if isinstance(of, dict):
        if isinstance(of.get("datasource"), dict):
            yield of["datasource"]["uid"]
        for value in of.values():
            yield from sources(value)
    elif isinstance(of, list):
        for value in of:
            yield from sources(value)
