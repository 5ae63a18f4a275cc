"""The page's server: what it answers, what it refuses, and what it bears."""

from __future__ import annotations

import gzip
import json
import socket
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from scripts.sample_tree import FAILING, NOW, grow, settings_below
from tests.watcher.bus import wait_until
from tests.watcher.web.serving import Serving, serving
from watcher import shapes
from watcher.events import Held
from watcher.journal import Journal
from watcher.paths import journal_file
from watcher.settings import ClockSettings, Settings
from watcher.view.history import History
from watcher.web import feed, server
from watcher.web.feed import Feed
from watcher.web.hub import MOST_PAGES, Sent
from watcher.web.shape import Alive, Looked, Picture, Refusal, Told, Unseen

FAILED = "2026-07-06"
EXPIRED = "2026-01-05"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = grow(settings_below(tmp_path_factory.mktemp("tree")), 200, troubles=FAILING, durable=False)
    return msgspec.structs.replace(made, clock=ClockSettings(scale=1e-12, start=NOW.isoformat()))


@pytest.fixture(scope="module")
def page(settings: Settings) -> Iterator[Serving]:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="tw-") as folder:
        patch.setattr(feed, "_GLANCE_SECONDS", 0.05)
        patch.setattr(feed, "_LEAST_REST_SECONDS", 0.05)
        with serving(settings, folder) as made:
            yield made


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Without a day, and with little patience."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="tw-") as folder:
        patch.setattr(server, "_SWEEP_SECONDS", 0.05)
        with serving(settings_below(tmp_path_factory.mktemp("empty")), folder) as made:
            yield made


@pytest.fixture(scope="module")
def picture(page: Serving) -> Picture:
    return msgspec.json.decode(page.get("/api/overview")[1], type=Picture)


class TestTheOverview:
    def test_has_the_verdict_and_every_day(self, picture: Picture) -> None:
        (calendar,) = picture.calendars
        (span,) = calendar.spans

        assert picture.at.date() == NOW.date()
        assert picture.verdict.level == "FAILING"
        assert len(span.letters) == 201
        assert {"h", "w", "c", "g"} < set(span.letters)
        assert span.letters[(datetime.fromisoformat(FAILED).date() - span.first).days] == "H"
        assert {each.key for each in picture.troubles} >= {f"ticks/{FAILED}"}
        assert picture.tiers["gone"].days == span.letters.count("g")

    def test_has_what_is_drawn(self, picture: Picture) -> None:
        kept = zip(
            picture.series.hot_bytes, picture.series.warm_bytes, picture.series.cold_bytes, strict=True
        )

        assert len(picture.series.dates) == 200
        assert all(map(sum, list(kept)[10:]))
        assert picture.forecast is not None
        assert len(picture.forecast.policy.points) > 50

    def test_is_packed_and_not_sent_twice(self, page: Serving) -> None:
        plain, content = page.get("/api/overview")
        packed, short = page.get("/api/overview", accept_encoding="gzip")
        again, nothing = page.get("/api/overview", if_none_match=str(plain.headers["etag"]))

        assert gzip.decompress(short) == content
        assert len(short) < len(content) / 3
        assert packed.headers["vary"] == "accept-encoding"
        assert (again.status, nothing) == (304, b"")

    def test_every_shape_says_what_it_is(self) -> None:
        for kind in (Picture, History, Told, Looked, Unseen, Alive, Refusal):
            schema = shapes.schema_of(kind)
            objects = [schema, *schema.get("$defs", {}).values()]
            assert all(each.get("description") for each in objects if each.get("type") == "object")


class TestADay:
    def test_has_its_history_with_every_hash(self, page: Serving) -> None:
        found = page.json(f"/api/days/ticks/{EXPIRED}")
        links = [event["link"] for event in found["events"]]

        assert found["day"]["tier"] == "gone"
        assert [event["event"] for event in found["events"]][-1] == "expired"
        assert found["certificate"]["sha256"] == found["day"]["sha256"]
        assert len(set(links)) == len(links)
        assert all(len(link) == 64 for link in links)

    def test_says_what_is_wrong_and_what_to_do(self, page: Serving) -> None:
        found = page.json(f"/api/days/ticks/{FAILED}")

        assert found["day"]["trouble"] == "failing"
        assert "no space left on device" in found["note"]

    @pytest.mark.parametrize(
        "path",
        [
            "/api/days/ticks/2019-01-01",
            "/api/days/nothing/2026-07-06",
            "/api/days/ticks/..%2f..%2fetc",
            "/api/days/ticks/%00%ff",
            "/nothing",
            "/static/0/app.js",
            "/static/../server.py",
            "/" + "x" * 20_000,
        ],
    )
    def test_that_is_not_there_is_refused_in_json(self, page: Serving, path: str) -> None:
        answer, content = page.get(path)

        assert answer.status == 404
        assert json.loads(content)["error"]


class TestWhatEveryAnswerHas:
    @pytest.mark.parametrize("path", ["/", "/api/overview", "/healthz", "/nothing", "/static/0/x"])
    def test_no_other_site_may_use_it_and_it_uses_none(self, page: Serving, path: str) -> None:
        headers = page.get(path)[0].headers
        policy = headers["content-security-policy"]

        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"]
        assert "access-control-allow-origin" not in headers

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "FETCH"])
    def test_nothing_can_be_changed(self, page: Serving, method: str) -> None:
        for path in ("/", "/api/overview", "/api/days/ticks/2026-07-06", "/api/events"):
            answer, content = page.get(path, method)
            assert answer.status == 405
            assert answer.headers["allow"] == "GET, HEAD"
            assert json.loads(content)["hint"]

    @pytest.mark.parametrize("path", ["/", "/api/overview", "/api/events", "/healthz"])
    def test_a_head_has_no_body_and_ends(self, page: Serving, path: str) -> None:
        answer, content = page.get(path, "HEAD")

        assert (answer.status, content) == (200, b"")

    @pytest.mark.parametrize(
        ("host", "status"),
        [
            ("127.0.0.1", 200),
            ("localhost:8787", 200),
            ("[::1]:8787", 200),
            ("evil.example", 400),
            ("127.0.0.1.evil.example", 400),
            ("", 400),
        ],
    )
    def test_who_comes_by_another_name_is_refused(self, page: Serving, host: str, status: int) -> None:
        assert page.get("/api/overview", host=host)[0].status == status

    def test_the_files_are_kept_for_ever_under_the_name_of_their_content(self, page: Serving) -> None:
        html = page.get("/")[1].decode()
        script = html.partition('<script src="')[2].partition('"')[0]
        answer, content = page.get(script)

        assert "immutable" in answer.headers["cache-control"]
        assert b"uPlot" in content
        assert "style=" not in html
        assert "<script>" not in html


class TestTheStream:
    def test_begins_with_the_newest_events_in_words(self, page: Serving, settings: Settings) -> None:
        with page.stream() as stream:
            assert stream.answer.headers["content-type"].startswith("text/event-stream")
            assert "content-encoding" not in stream.answer.headers
            name, id_, told = next(stream.messages())
        head = _head(settings)

        assert name == "recorded"
        assert id_ == told["message"]["id"]
        assert told["message"]["sequence"] == head - 199
        assert "words" in told

    @pytest.mark.parametrize("by", ["header", "query"])
    def test_goes_on_after_the_last_id(self, page: Serving, settings: Settings, by: str) -> None:
        last = f"{_epoch(settings):x}-{_head(settings) - 2}"
        stream = (
            page.stream(last_event_id=last) if by == "header" else page.stream(f"/api/events?after={last}")
        )
        with stream:
            messages = stream.messages()
            numbers = [next(messages)[2]["message"]["sequence"] for _ in range(2)]

        assert numbers == [_head(settings) - 1, _head(settings)]

    @pytest.mark.parametrize("last", ["1-5", "nonsense", "0-99999999999999999999999", "-", "%00"])
    def test_of_an_id_that_is_not_known_all_is_to_be_looked_at_anew(self, page: Serving, last: str) -> None:
        with page.stream(last_event_id=last) as stream:
            assert next(stream.messages())[0] == "reload"

    def test_brings_what_was_recorded_without_a_daemon(self, page: Serving, settings: Settings) -> None:
        page.get("/api/overview")
        with page.stream() as stream:
            messages = stream.messages()
            with Journal.open_for_writing(journal_file(settings.data)) as journal:
                (record,) = journal.record([("ticks/2026-07-01", Held("<b>why</b>", "ann"))], NOW)
            told = next(
                data for _, _, data in messages if data.get("message", {}).get("sequence") == record.sequence
            )
            assert next(name for name, _, _ in messages) == "overview"

        assert told["message"]["data"]["reason"] == "<b>why</b>"
        assert page.json("/api/overview")["sequence"] == record.sequence

    def test_of_more_pages_than_it_bears_is_refused_until_one_closes(self, page: Serving) -> None:
        streams = [page.stream() for _ in range(MOST_PAGES)]
        with page.stream() as one_more:
            assert one_more.answer.status == 503
        assert page.get("/healthz")[0].status == 200
        for stream in streams:
            with stream:
                assert stream.answer.status == 200


class TestItBears:
    @pytest.mark.parametrize(
        "garbage",
        [
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET\r\n\r\n",
            b"A" * 200_000,
            b"\r\n" * 500,
        ],
    )
    def test_garbage(self, page: Serving, garbage: bytes) -> None:
        with page.connect() as connection:
            try:
                connection.sendall(garbage)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except OSError:  # cut off
                pass

        assert page.get("/healthz")[0].status == 200

    def test_who_takes_nothing_is_given_up_and_holds_up_nobody(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        feeds: list[Feed] = []

        class Kept(Feed):
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments)
                feeds.append(self)

        monkeypatch.setattr(server, "_STALLED_MS", 200)
        monkeypatch.setattr(server, "Feed", Kept)
        with (
            serving(settings_below(tmp_path), str(tmp_path)) as made,
            made.stream() as quick,
            made.connect() as slow,
        ):
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert slow.recv(17) == b"HTTP/1.1 200 OK\r\n"
            for number in range(100):
                much = Sent(b"event: x\ndata: %d\nfill: %s\n\n" % (number, b"x" * 60_000))
                made.do(feeds[0].hub.put, much)
            given = (data for name, _, data in quick.messages() if name == "x")
            numbers = [next(given) for _ in range(100)]
            wait_until(lambda: len(feeds[0].hub._pages) == 1)

        assert numbers == list(range(100))

    def test_who_asks_for_nothing_is_not_waited_for(self, empty: Serving) -> None:
        with empty.connect() as silent, empty.connect() as slow:
            slow.sendall(b"GET / HTTP/1.1\r\nHost: ")

            assert _ended(silent)
            assert _ended(slow)


def _ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def _head(settings: Settings) -> int:
    return int(_read(settings).head)


def _epoch(settings: Settings) -> int:
    return int(_read(settings).epoch)


def _read(settings: Settings) -> Any:
    journal = Journal.open_for_reading(journal_file(settings.data))
    assert journal is not None
    with journal:
        return SimpleNamespace(head=journal.head(), epoch=journal.epoch)


class TestWithoutAnything:
    def test_there_is_a_picture_all_the_same(self, empty: Serving) -> None:
        picture = empty.json("/api/overview")

        assert picture["daemon"]["pid"] is None
        assert picture["sequence"] == 0
        assert picture["series"]["dates"] == []
        assert picture["forecast"] is None

    def test_a_journal_that_cannot_be_read_is_said(self, tmp_path: Path) -> None:
        settings = settings_below(tmp_path)
        file = journal_file(settings.data)
        file.parent.mkdir(parents=True)
        file.write_bytes(b"not a database at all" * 100)
        with tempfile.TemporaryDirectory(prefix="tw-") as folder, serving(settings, folder) as broken:
            answer, content = broken.get("/api/overview")
            health, why = broken.get("/healthz")
            with broken.stream() as stream:
                problem = stream.until("problem")

        assert (answer.status, health.status) == (503, 503)
        assert "journal" in json.loads(content)["error"]
        assert json.loads(why)["status"] == "failing"
        assert problem["error"] == json.loads(why)["error"]
