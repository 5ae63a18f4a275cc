"""What Prometheus is told, what a probe is told, and what strangers cannot do to the port that tells it."""

from __future__ import annotations

import http.client
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

import apsw
import msgspec
import pytest
from loguru import logger
from msgspec import Raw
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from handlers.contract import Step
from scripts.sample_tree import FAILING, NOW, grow, settings_below
from tests.watcher.bus import logged
from tests.watcher.view.rows import vitals
from watcher.clock import ManualClock
from watcher.errors import ConfigError
from watcher.events import Event, Failed, Health, Opened, Record, Tier
from watcher.lifecycle import State
from watcher.metrics import metrics, metrics_of, standing
from watcher.metrics.line import in_a_line
from watcher.metrics.metrics import Metrics
from watcher.metrics.probe import Probe, probe
from watcher.metrics.server import Answer, Server
from watcher.metrics.standing import Standing
from watcher.overview import Overview, overview
from watcher.paths import journal_file
from watcher.plan import Action, Block, Plan, Wait
from watcher.schedule import start_of
from watcher.settings import Metrics as MetricsSettings
from watcher.settings import Settings
from watcher.vitals import Running, Vitals, Watching

PATIENCE_SECONDS = 30.0
KEY = "ticks/2026-07-06"
VITALS = vitals(
    started=NOW - timedelta(hours=2),
    stepped=NOW - timedelta(seconds=7),
    step_seconds=0.25,
    running=(Running(KEY, Step.COMPRESS, NOW, 30, 120), Running("ticks/2026-07-05", Step.VERIFY, NOW, 0, 0)),
    waiting=3,
    orders=1,
    watching=Watching("inotify", "", 2),
    publisher_restarts=4,
    sequence=1234,
)
Labels = tuple[tuple[str, str], ...]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    below = settings_below(tmp_path_factory.mktemp("metrics"))
    return grow(replace(below, metrics=MetricsSettings("127.0.0.1:0")), 200, troubles=FAILING, durable=False)


@pytest.fixture(scope="module")
def seen(settings: Settings) -> Overview:
    return overview(settings, NOW)


class Told:
    """What the daemon is, which a test may change."""

    def __init__(self, plan: Plan | None) -> None:
        self.vitals: Vitals | None = VITALS
        self.plan = plan
        self.seconds = 0.0
        """What the monotonic clock shows."""


class Serving:
    """Metrics that are served."""

    def __init__(self, metrics: Metrics, told: Told) -> None:
        self.metrics = metrics
        self.told = told

    def get(self, path: str) -> tuple[int, str]:
        return get(self.metrics.url, path)

    def values(self) -> dict[str, dict[Labels, float]]:
        """Every value of a scrape, by its name and labels. None that was told before: time passes."""
        self.told.seconds += 2
        status, text = self.get("/metrics")
        assert status == 200, text
        found: dict[str, dict[Labels, float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
        return found

    def value(self, name: str, **labels: str) -> float:
        return self.values()[name][tuple(sorted(labels.items()))]


@pytest.fixture
def serving(settings: Settings, seen: Overview) -> Iterator[Serving]:
    told = Told(seen.plan)
    made = Metrics(
        settings,
        ManualClock(NOW),
        lambda: told.vitals,
        lambda: told.plan,
        monotonic=lambda: told.seconds,
    )
    made.remember()
    made.start()
    try:
        yield Serving(made, told)
    finally:
        made.stop()


def get(url: str, path: str, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def record(event: str, data: Event, seconds: float = 0.0) -> Record:
    return Record(7, NOW + timedelta(seconds=seconds), event, KEY, Raw(msgspec.json.encode(data)))


class TestTheMetrics:
    def test_count_the_days_as_everybody_else_does(self, serving: Serving, seen: Overview) -> None:
        values = serving.values()["tickward_days"]
        states = {State(dict(labels)["state"]): number for labels, number in values.items()}
        assert states.keys() == set(State) - {State.ABSENT}
        for state in (State.SEALED, State.BACKED_UP, State.COMPRESSED, State.ARCHIVED, State.EXPIRED):
            assert states[state] == sum(day.state is state for day in seen.days)
        tiers = Counter(day.tier for day in seen.days if day.tier)
        found = Counter[str]()
        for labels, number in values.items():
            found[dict(labels)["tier"]] += int(number)
        assert found == tiers

    def test_sum_the_bytes_as_everybody_else_does(self, serving: Serving, seen: Overview) -> None:
        values = serving.values()["tickward_bytes"]
        for tier in ("hot", "warm", "cold", "gone"):
            days = [day for day in seen.days if day.tier == tier and day.bytes is not None]
            assert values[("form", "raw"), ("tier", tier)] == sum(day.bytes or 0 for day in days)
            assert values[("form", "now"), ("tier", tier)] == sum(day.bytes_now for day in days)

    def test_count_what_is_wrong_as_everybody_else_does(self, serving: Serving, seen: Overview) -> None:
        values = serving.values()
        failing = [day.key for day in seen.days if day.trouble == "failing"]
        assert len(failing) == 3
        assert values["tickward_days_failing"][()] == len(failing)
        assert values["tickward_days_on_hold"][()] == sum(day.on_hold for day in seen.days) == 1
        assert values["tickward_days_blocked"][()] == sum(day.entry == "block" for day in seen.days) > 0
        assert values["tickward_days_unsealed"][()] == 2  # one is damaged, one is held open

    def test_do_not_call_failing_what_was_only_set_aside(self, serving: Serving) -> None:
        before = serving.value("tickward_days_failing")
        aside, damaged = Block("ticks/2026-01-01", "no day of ours", failed=False), Block(KEY, "damaged")
        troubled = Block("ticks/2026-01-02", "damaged")
        serving.told.plan = Plan.of(NOW, ())
        alone = serving.value("tickward_days_failing")
        serving.told.plan = Plan.of(NOW, (aside, troubled, damaged))
        values = serving.values()
        assert values["tickward_days_blocked"][()] == 3
        assert alone < before, "those that only the plan knows of"
        assert values["tickward_days_failing"][()] == alone + 1, "the one that has failed is there already"

    def test_tell_when_what_was_done(self, serving: Serving, seen: Overview) -> None:
        values = serving.values()
        last = values["tickward_last_success_timestamp_seconds"]
        for step, moments in {
            "seal": [day.sealed_at for day in seen.days],
            "compress": [day.compressed_at for day in seen.days],
            "expire": [day.expired_at for day in seen.days],
            "drill": [day.drilled_at for day in seen.days],
        }.items():
            assert last[("step", step),] == max(moment for moment in moments if moment).timestamp()
        assert (("step", "merge"),) not in last
        unread = min(
            day.verified_at
            for day in seen.days
            if day.verified_at and day.trouble != "failing" and day.tier != "gone" and day.bytes is not None
        )
        assert values["tickward_longest_unread_timestamp_seconds"][()] == unread.timestamp()
        newest = max(day.day for day in seen.days if day.tier not in (None, "gone"))
        assert newest == NOW.date() + timedelta(days=1)
        found = values["tickward_newest_day_timestamp_seconds"]
        assert found == {(("stream", "ticks"),): start_of(newest).timestamp()}

    def test_tell_how_the_daemon_is(self, serving: Serving) -> None:
        values = serving.values()
        expected = {
            "tickward_event_sequence": 1234,
            "tickward_watching_ok": 1,
            "tickward_observer_swaps_total": 2,
            "tickward_publisher_restarts_total": 4,
            "tickward_last_step_timestamp_seconds": VITALS.stepped.timestamp(),
            "tickward_loop_step_seconds": 0.25,
            "tickward_waiting_steps": 3,
            "tickward_waiting_orders": 1,
            "tickward_healthy": 1,
        }
        assert {name: values[name][()] for name in expected} == expected
        running = values["tickward_running_jobs"]
        assert {dict(labels)["step"]: n for labels, n in running.items() if n} == {"compress": 1, "verify": 1}
        assert len(running) == len(Step)
        assert values["tickward_job_progress_ratio"] == {(("database", KEY), ("step", "compress")): 0.25}
        free = values["tickward_disk_free_bytes"]
        assert {dict(labels)["directory"] for labels in free} == {"root", "backup", "archive", "state"}
        assert all(free[labels] <= size for labels, size in values["tickward_disk_size_bytes"].items())

    def test_tell_what_is_known_before_the_first_step(self, serving: Serving) -> None:
        serving.told.vitals = serving.told.plan = None
        values = serving.values()
        assert values["tickward_healthy"][()] == 0
        assert sum(values["tickward_days"].values()) > 200 - 25
        assert "tickward_event_sequence" not in values
        assert "tickward_days_blocked" not in values, "an alert is not resolved by a restart"

    def test_tell_of_trouble(self, serving: Serving) -> None:
        serving.told.vitals = replace(VITALS, watching=Watching("inotify", "too few watches", 0))
        values = serving.values()
        assert values["tickward_watching_ok"][()] == values["tickward_healthy"][()] == 0

    def test_count_what_happens(self, serving: Serving) -> None:
        before = serving.values()
        assert before["tickward_step_failures_total"][("step", "merge"),] == 0
        failed = Failed("merge", "no space", "make some", 1, True, None, "")
        serving.metrics.observe(record("failed", failed), failed, 2.0)
        opened = Opened("day.db")  # stands for any event: only its name counts here
        serving.metrics.observe(record("merged", opened, 60), opened, 0.2)
        serving.metrics.observe(record("merged", opened, 90), opened, 200.0)
        values = serving.values()
        merge = ("step", "merge")
        assert values["tickward_step_failures_total"][merge,] == 1
        assert values["tickward_step_duration_seconds_count"][merge,] == 2, "what failed is no duration"
        assert values["tickward_step_duration_seconds_sum"][merge,] == pytest.approx(200.2)
        buckets = values["tickward_step_duration_seconds_bucket"]
        assert [buckets[("le", le), merge] for le in ("0.1", "0.3", "120.0", "300.0")] == [0, 1, 1, 2]
        assert values["tickward_events_total"][("event", "merged"),] == 2
        last = values["tickward_last_success_timestamp_seconds"]
        assert last[merge,] == NOW.timestamp() + 90
        serving.metrics.observe(record("merged", opened, 120), opened, None)
        assert serving.value("tickward_last_success_timestamp_seconds", step="merge") == NOW.timestamp() + 120
        seal = ("step", "seal")
        assert last[seal,] == before["tickward_last_success_timestamp_seconds"][seal,]

    def test_are_read_once_for_those_who_ask_at_once(
        self, serving: Serving, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reads = []

        def reading(*arguments: object) -> Standing:
            reads.append(arguments)
            return standing.standing(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(metrics, "standing", reading)
        threads = [threading.Thread(target=serving.get, args=("/metrics",)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(reads) == 1
        serving.told.seconds += 0.9
        serving.get("/metrics")
        assert len(reads) == 1
        serving.told.seconds += 0.2
        serving.get("/metrics")
        assert len(reads) == 2

    def test_say_once_that_the_journal_cannot_be_read(
        self, serving: Serving, settings: Settings, complaints: list[str]
    ) -> None:
        serving.values()
        serving.told.seconds += 2
        file = journal_file(settings.data)
        away = file.rename(file.with_suffix(".away"))
        try:
            assert [serving.get("/metrics")[0] for _ in range(3)] == [503] * 3
            assert serving.get("/healthz")[0] == 200
        finally:
            away.rename(file)
        assert len(complaints) == 1
        assert "no metrics can be told" in complaints[0]
        assert serving.values()

    def test_need_a_package(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [name for name in sys.modules if name.startswith("watcher.metrics.")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "prometheus_client", None)
        with pytest.raises(ConfigError, match=r"pip install 'tickward\[metrics\]'"):
            metrics_of(settings, ManualClock(NOW), lambda: None, lambda: None)
        without = replace(settings, metrics=MetricsSettings())
        assert metrics_of(without, ManualClock(NOW), lambda: None, lambda: None) is None


class TestTheProbe:
    OK = Probe("ok", "", "0.1.0", 4711, VITALS.stepped)

    def test_says_that_it_lives(self, serving: Serving) -> None:
        status, text = serving.get("/healthz")
        assert status == 200
        assert msgspec.json.decode(text, type=Probe).status == "ok"
        assert probe(VITALS, "0.1.0", NOW) == self.OK

    @pytest.mark.parametrize(
        ("vitals", "reason"),
        [
            (None, "it has yet to make its first step"),
            (replace(VITALS, error="the disk is full"), "it cannot go on: the disk is full"),
            (replace(VITALS, stepped=NOW - timedelta(seconds=121)), "has not gone round for 121 s"),
            (replace(VITALS, watching=Watching("inotify", "the root is gone", 0)), ": the root is gone"),
        ],
    )
    def test_says_why_it_does_not(self, serving: Serving, vitals: Vitals | None, reason: str) -> None:
        serving.told.vitals = vitals
        status, text = serving.get("/healthz")
        found = msgspec.json.decode(text, type=Probe)
        assert (status, found.status) == (503, "failing")
        assert reason in found.reason

    def test_is_patient_with_a_loop_that_has_much_to_look_at(self) -> None:
        slow = replace(VITALS, stepped=NOW - timedelta(seconds=190), step_seconds=50.0)
        assert probe(slow, "", NOW).status == "ok"
        assert probe(slow, "", NOW + timedelta(seconds=11)).status == "failing"

    def test_goes_by_the_seconds_that_have_really_passed(self) -> None:
        later = NOW + timedelta(hours=2)
        assert probe(VITALS, "", later, scale=1000.0).status == "ok"
        assert probe(VITALS, "", later, scale=10.0).status == "failing"

    def test_is_no_verdict_on_the_days(self, serving: Serving) -> None:
        assert serving.value("tickward_days_failing") > 0
        assert serving.get("/healthz")[0] == 200


class Called:
    """A path that answers when it is told to."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self.go_on = threading.Event()

    def __call__(self) -> Answer:
        self.arrived.release()
        assert self.go_on.wait(PATIENCE_SECONDS)
        return Answer(HTTPStatus.OK, b"late\n")


@contextmanager
def served(
    called: Callable[[], Answer], listen: str = "127.0.0.1:0", *, talk_seconds: float = PATIENCE_SECONDS
) -> Iterator[Server]:
    routes = {"/here": lambda: Answer(HTTPStatus.OK, b"here\n"), "/called": called}
    server = Server(listen, routes, talk_seconds=talk_seconds, retry_seconds=0.02)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served(Called()) as server:
        yield server


def say(server: Server, *parts: bytes) -> socket.socket:
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    caller = socket.create_connection((host.strip("[]"), int(port)), PATIENCE_SECONDS)
    for part in parts:
        caller.sendall(part)
    return caller


def is_open(caller: socket.socket) -> bool:
    """Say one letter more, and see for a moment whether that ends it."""
    try:
        caller.sendall(b"x")
        return bool(caller.recv(65536))
    except TimeoutError:
        return True
    except OSError:
        return False


def answered(caller: socket.socket) -> bytes:
    """All that is said until the connection is closed, however it is."""
    answer = b""
    with caller:
        try:
            while part := caller.recv(65536):
                answer += part
        except ConnectionResetError:  # it was not asked for all that had been sent
            pass
    return answer


class TestTheServer:
    @pytest.mark.parametrize(
        ("method", "path", "status", "body"),
        [
            ("GET", "/here", 200, "here\n"),
            ("GET", "/here?name=x", 200, "here\n"),
            ("HEAD", "/here", 200, ""),
            ("POST", "/here", 405, "GET or HEAD\n"),
            ("DELETE", "/here", 405, "GET or HEAD\n"),
            ("GET", "/", 404, "there is /here and /called\n"),
            ("GET", "/here/", 404, "there is /here and /called\n"),
            ("GET", "/../etc/passwd", 404, "there is /here and /called\n"),
        ],
    )
    def test_answers(self, server: Server, method: str, path: str, status: int, body: str) -> None:
        assert get(server.url, path, method) == (status, body)

    @pytest.mark.parametrize(
        "garbage",
        [
            b"\r\n\r\n",
            b"\x00\xff\x16\x03\x01\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET /here\r\n\r\n",
            b"GET /h\xc3\xa9re HTTP/1.1\r\n\r\n",
            b"GET /here HTTP/9\r\n\r\n",
            b"x" * 8192,
            b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
            b"GET /here HTTP/1.1\r\n" + b"A: b\r\n" * 10_000 + b"\r\n",
        ],
    )
    def test_refuses_garbage_and_goes_on(self, server: Server, garbage: bytes) -> None:
        answer = answered(say(server, garbage))
        assert answer.startswith(b"HTTP/1.1 400 ") or (not answer and len(garbage) > 8192)
        assert get(server.url, "/here") == (200, "here\n")

    def test_does_not_mind_who_goes_away(self, server: Server) -> None:
        for _ in range(20):
            say(server, b"GET /here HT").close()
        assert get(server.url, "/here") == (200, "here\n")

    def test_waits_for_nobody_who_says_nothing(self) -> None:
        with served(Called(), talk_seconds=0.1) as server:
            silent, slow = say(server), say(server, b"GET /here HTTP/1.1\r\n")
            began = time.monotonic()
            assert answered(silent) == answered(slow) == b""
            assert time.monotonic() - began < PATIENCE_SECONDS / 2

    def test_gives_nobody_more_time_for_saying_it_in_little_pieces(self) -> None:
        with served(Called(), talk_seconds=0.2) as server, say(server) as caller:
            caller.settimeout(0.01)
            pieces = 0
            while is_open(caller):
                pieces += 1
        assert 1 < pieces < 1000

    def test_answers_who_asks_however_many_say_nothing(self, server: Server) -> None:
        with ExitStack() as stack:
            for _ in range(30):
                stack.enter_context(say(server, b""))
                assert get(server.url, "/here") == (200, "here\n")

    def test_attends_to_so_many_at_once_and_refuses_the_others(self) -> None:
        called = Called()
        with served(called) as server, ExitStack() as stack:
            request = b"GET /called HTTP/1.1\r\n\r\n"
            callers = [stack.enter_context(say(server, request)) for _ in range(8)]
            for _ in callers:
                assert called.arrived.acquire(timeout=PATIENCE_SECONDS)
            refused = [answered(say(server, request)) for _ in range(40)]
            assert {answer.split(b"\r\n")[0] for answer in refused} <= {
                b"HTTP/1.1 503 Service Unavailable",
                b"",
            }
            assert any(refused)
            assert not called.arrived.acquire(blocking=False)
            called.go_on.set()
            assert all(answered(caller).endswith(b"\r\n\r\nlate\n") for caller in callers)
            until = time.monotonic() + PATIENCE_SECONDS
            while (found := get(server.url, "/here"))[0] == 503 and time.monotonic() < until:
                pass  # the last of them is about to leave
            assert found == (200, "here\n")

    def test_survives_a_defect_in_what_it_calls(self, complaints: list[str]) -> None:
        def broken() -> Answer:
            raise ZeroDivisionError

        with served(broken) as server:
            assert get(server.url, "/called")[0] == 500
            assert get(server.url, "/here")[0] == 200
        assert "a defect in tickward" in complaints[0]

    def test_takes_an_address_when_it_becomes_free(self, complaints: list[str]) -> None:
        bound = threading.Event()
        sink = logger.add(lambda line: bound.set() if "metrics on" in line else None, format="{message}")
        with socket.create_server(("127.0.0.1", 0)) as taken, ExitStack() as stack:
            stack.callback(logger.remove, sink)
            listen = f"127.0.0.1:{taken.getsockname()[1]}"
            server = stack.enter_context(served(Called(), listen))
            assert server.url == ""
            assert not bound.wait(0.1), "it is tried again meanwhile, and that is not said again"
            taken.close()
            assert bound.wait(PATIENCE_SECONDS)
            assert get(server.url, "/here") == (200, "here\n")
        assert len(complaints) == 1
        assert "set metrics.listen to another" in complaints[0]

    @pytest.mark.parametrize("listen", ["[::1]:0", "localhost:0"])
    def test_listens_where_it_is_told_to(self, listen: str) -> None:
        with logged("INFO") as lines, served(Called(), listen) as server:
            assert server.url.startswith(f"http://{listen.removesuffix('0')}")
            assert get(server.url, "/here")[0] == 200
        assert lines == [f"metrics on {server_url}/metrics\n" for server_url in [lines[0].split()[2][:-8]]]

    def test_is_silent_once_it_is_stopped(self) -> None:
        with served(Called()) as server:
            url = server.url
        assert server.url == ""
        with pytest.raises(ConnectionRefusedError):
            get(url, "/here")


class TestTheLine:
    PLAN = Plan.of(
        NOW,
        (
            Action("ticks/2026-07-01", Step.COMPRESS, "of age", NOW),
            Wait("ticks/2026-07-02", "too young", NOW + timedelta(days=9), Step.COMPRESS),
            Wait("ticks/2026-07-03", "too young", NOW + timedelta(days=2), Step.ARCHIVE),
            Wait("ticks/2026-07-04", "on hold"),
        ),
    )
    HEALTH = Health(
        {"active": Tier(1, 0, 0), "backed_up": Tier(8, 0, 0), "compressed": Tier(23, 0, 0)},
        *(None, None),
        free_bytes={},
        due=0,
        blocked=0,
        held=0,
        last={},
    )
    IDLE = replace(VITALS, running=(), waiting=0)

    def test_says_how_things_stand(self) -> None:
        assert in_a_line(VITALS, self.PLAN, self.HEALTH) == (
            "hot 9, warm 23; compress ticks/2026-07-06, verify ticks/2026-07-05; 3 steps wait for a worker; "
            "next: archive ticks/2026-07-03 at 2026-07-17 09:30 UTC"
        )

    def test_says_what_a_person_must_do(self) -> None:
        plan = Plan.of(NOW, (Block("ticks/2026-07-01", "damaged"),))
        assert in_a_line(self.IDLE, plan, None) == "1 blocked: see tickward plan"
        assert in_a_line(replace(VITALS, error="no disk"), plan, None) == "cannot go on: no disk"

    def test_names_no_day_where_that_is_yet_to_be_drawn(self) -> None:
        plan = Plan.of(NOW, (), drill_at=NOW + timedelta(days=1))
        assert in_a_line(self.IDLE, plan, None) == "next at 2026-07-16 09:30 UTC"

    def test_is_never_empty(self) -> None:
        assert in_a_line(None, None, None) == "starting"
        assert in_a_line(self.IDLE, Plan.of(NOW, ()), None) == "nothing to do"


class TestTheStanding:
    def test_of_nothing_at_all(self, tmp_path: Path) -> None:
        settings = grow(settings_below(tmp_path), 1)
        file = journal_file(settings.data)
        connection = apsw.Connection(str(file))
        connection.execute("DELETE FROM summaries")
        connection.close()
        found = standing.standing(file, ["ticks"], NOW.date())
        assert found == Standing({}, 0, 0, frozenset(), {}, None, frozenset())

    def test_is_of_the_streams_that_are_configured(self, settings: Settings) -> None:
        found = standing.standing(journal_file(settings.data), ["quotes"], NOW.date())
        assert (found.sums, found.newest) == ({}, {})
