"""What a hook runs, a command or a webhook, in a real process: it ends in time, and says little."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.watcher.hooked import Parrot, Receiver
from tests.watcher.processes import PATIENCE_SECONDS, Watched
from watcher.hooks import process
from watcher.hooks.bound import BoundHook, bound, without_secrets
from watcher.hooks.delivery import deliver
from watcher.hooks.process import TAIL_BYTES, Ended
from watcher.settings import Hook, Settings
from watcher.wakeup import Wakeup

EVENT = (
    b'{"specversion":"1.0","id":"a-1","source":"tickward","type":"tickward.failed","subject":"-",'
    b'"time":"2026-01-20T00:00:00Z","datacontenttype":"application/json","data":{},"sequence":1}'
)


def run(
    command: str, seconds: float = PATIENCE_SECONDS, body: bytes = b"", folder: Path = Path("/")
) -> Ended:
    limit = time.monotonic() + seconds
    return process.run(["/bin/sh", "-c", command], body, os.environ, folder, lambda: limit)


class TestACommand:
    def test_succeeds_with_exit_status_0(self) -> None:
        ended = run("echo well; echo done >&2")
        assert (ended.error, ended.output, ended.late) == ("", "well\ndone", False)

    @pytest.mark.parametrize(
        ("command", "error"),
        [
            ("exit 3", "ended with exit status 3"),
            ("nosuch-command 2> /dev/null", "ended with exit status 127"),
            ("kill -9 $$", "was ended by signal 9 (Killed)"),
        ],
    )
    def test_fails_with_any_other(self, command: str, error: str) -> None:
        assert run(command).error == error

    def test_that_cannot_be_started(self, tmp_path: Path) -> None:
        ended = run("true", folder=tmp_path / "nosuch")
        assert ended.error.startswith("cannot be started: ")

    def test_need_not_read_its_input(self) -> None:
        assert run("true", body=b"x" * 1_000_000).error == ""

    def test_can_read_all_of_it(self) -> None:
        assert run("wc -c", body=b"x" * 1_000_000).output == "1000000"

    def test_is_not_waited_for_in_the_background(self) -> None:
        ended = run("sleep 1000 & echo $!")
        assert ended.error == ""
        with Watched(int(ended.output)) as left:
            assert not left.ends(0)
            os.kill(int(ended.output), signal.SIGKILL)

    def test_says_as_much_as_it_likes(self) -> None:
        ended = run("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo end")
        assert ended.error == ""
        assert ended.output.endswith("x\nend")
        assert len(ended.output) <= TAIL_BYTES

    def test_may_say_what_is_no_text(self) -> None:
        assert run("printf '\\377\\376'").output == "��"


class TestTheTimeLimit:
    def test_ends_what_never_stops_talking(self) -> None:
        ended = run("yes", 0.05)
        assert ended.late
        assert ended.error == f"did not end within {ended.seconds:.3g} s"
        assert set(ended.output) == {"y", "\n"}

    def test_ends_the_children_too(self) -> None:
        ended = run("sleep 1000 & echo $!; wait", 0.05)
        assert ended.late
        with Watched(int(ended.output)) as child:
            assert child.ends()

    @pytest.mark.parametrize("output", ["", "> /dev/null"], ids=["heard", "silent"])
    def test_ends_who_will_not_hear_of_it(self, monkeypatch: pytest.MonkeyPatch, output: str) -> None:
        monkeypatch.setattr(process, "_GRACE_SECONDS", 0.05)
        ended = run(f"(trap '' TERM; exec sleep 1000 {output}) & echo $!; trap '' TERM; wait; wait", 0.05)
        with Watched(int(ended.output)) as child:
            assert child.ends()

    def test_leaves_time_to_tidy_up(self) -> None:
        ended = run("trap 'echo tidied; exit' TERM; echo ready; sleep 1000 & wait", 0.1)
        assert ended.output == "ready\ntidied"

    def test_can_be_shortened(self) -> None:
        wakeup, limit = Wakeup(), [time.monotonic() + PATIENCE_SECONDS]

        def shorten() -> None:
            limit[0] = time.monotonic()
            wakeup()

        threading.Timer(0.05, shorten).start()
        ended = process.run(["sleep", "1000"], b"", os.environ, Path("/"), lambda: limit[0], wakeup)
        wakeup.close()
        assert ended.late

    def test_is_ctrl_c_for_a_command_that_is_run_by_hand(self, tmp_path: Path) -> None:
        pid = tmp_path / "pid"

        def interrupted() -> float:
            if pid.exists():
                raise KeyboardInterrupt
            return time.monotonic() + 0.001

        command = ["/bin/sh", "-c", "echo $$ > new; mv new pid; exec sleep 1000"]
        with pytest.raises(KeyboardInterrupt):
            process.run(command, b"", os.environ, tmp_path, interrupted)
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("no_proxy", "*")
    made = Receiver()
    try:
        yield made
    finally:
        made.close()


def post(url: str, seconds: float = PATIENCE_SECONDS) -> Ended:
    ended = deliver(BoundHook("failed", Hook(url, timeout_seconds=seconds)), EVENT, Path("/"))
    assert "s3cret" not in f"{ended}"
    return ended


class TestAWebhook:
    def test_is_posted_the_event(self, receiver: Receiver) -> None:
        assert post(f"http://{receiver.host}/hook?key=s3cret&to=1#x").error == ""
        path, headers, body = receiver.received()
        assert (path, body) == ("/hook?key=s3cret&to=1", EVENT)
        assert headers["Content-Type"] == "application/cloudevents+json"
        assert "Authorization" not in headers

    def test_may_want_a_password(self, receiver: Receiver) -> None:
        assert post(f"http://me:s3cret%21@{receiver.host}").error == ""
        assert receiver.received()[1]["Authorization"] == "Basic bWU6czNjcmV0IQ=="

    @pytest.mark.parametrize(
        ("code", "said"),
        [
            (500, "answered 500 Internal Server Error"),
            (404, "answered 404 Not Found"),
            (302, "answered 302 Found; redirects are not followed: set the URL that it leads to"),
            (599, "answered 599"),
        ],
    )
    def test_that_refuses_has_failed(self, receiver: Receiver, code: int, said: str) -> None:
        receiver.code = code
        ended = post(f"http://{receiver.host}/s3cret")
        assert (ended.error, ended.output) == (said, "")
        receiver.received()
        assert receiver.requests.empty()

    def test_that_does_not_answer_in_time_has_failed(self, receiver: Receiver) -> None:
        receiver.answering.clear()
        ended = post(f"http://{receiver.host}/s3cret", 0.3)
        assert ended.late

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("http://127.0.0.1:1/s3cret", "cannot be reached: [Errno 111] Connection refused"),
            ("http://127.0.0.1:s3cret/", "the URL in the settings is none that can be posted to"),
            ("http://127.0.0.1/a s3cret", "the URL in the settings is none that can be posted to"),
            ("http:///s3cret", "cannot be reached: no host given"),
            ("http://[s3cret/", "the URL in the settings is none that can be posted to"),
        ],
    )
    def test_that_is_not_there_has_failed(self, receiver: Receiver, url: str, said: str) -> None:
        assert post(url).error == said

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (b"", "did not answer in HTTP (BadStatusLine)"),
            (b"HTTP/s3cret 200 OK\r\n\r\n", "did not answer in HTTP (UnknownProtocol)"),
            (b"HTTP/1.1 s3cret OK\r\n\r\n", "did not answer in HTTP (BadStatusLine)"),
            (b"HTTP/1.1 500 s3cret\r\n\r\n", "answered 500 Internal Server Error"),
            (b"HTTP/1.1 302 Found\r\nLocation: s3cret://x\r\n\r\n", "answered 302 Found; redirects are not "),
        ],
    )
    def test_that_says_our_secrets_is_not_quoted(self, receiver: Receiver, answer: bytes, said: str) -> None:
        with closing(Parrot(answer)) as other:
            ended = post(f"http://{other.host}/hook?key=s3cret")
        assert (ended.error[: len(said)], ended.output) == (said, "")

    def test_behind_a_proxy_that_says_our_secrets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with closing(Parrot(b"HTTP/1.1 407 s3cret\r\n\r\n")) as proxy:
            monkeypatch.setenv("https_proxy", f"http://me:s3cret@{proxy.host}")
            monkeypatch.setenv("no_proxy", "")
            ended = post("https://h.example/s3cret")
        assert (ended.error, ended.output) == ("cannot be reached: the proxy answered 407", "")

    def test_that_hangs_up_has_failed(self, receiver: Receiver) -> None:
        with closing(Parrot(b"", echoes=False)) as other:
            assert post(f"http://{other.host}/s3cret").error == "did not answer: the connection was closed"


class TestTheLabel:
    @pytest.mark.parametrize(
        ("run", "label"),
        [
            ("rsync -a x  y", "rsync -a x y"),
            ("one\ntwo", "one two"),
            ("x" * 61, "x" * 59 + "…"),
            ("https://h.example:1/a/s3cret?b=1&c=s3cret", "https://h.example:1/…"),
            ("HTTPS://me:s3cret@h.example/as3cret", "https://h.example/…"),
            ("https://s3cret:a's3cret@h.example:8/x", "https://h.example:8/…"),
            ('https://s3cret:a"s3cret@h.example/x', "https://h.example/…"),
            ("https://s3cret:a@s3cret@[::1]:8/x", "https://[::1]:8/…"),
            ("https://s3cret:a/s3cret@h.example/x", "https://…"),
            ("https://s3cret:12/s3cret@h.example/x", "https://…"),
            ("https://s3cret?s3cret@h.example/x", "https://…"),
            ("https://s3cret:a#s3cret@h.example/x", "https://…"),
            ("https://s3cret:a s3cret@h.example/x", "https://…"),
            ("https://[s3cret/", "https://…"),
            ("curl -d@- 'https://h.example/s3cret'", "curl -d@- 'https://h.example/…"),
            ("curl https://s3cret:a's3cret@h/x -v", "curl https://… -v"),
            ("curl https://s3cret:a/s3cret@h/x -v", "curl https://… -v"),
            ("curl https://s3cret:12#s3cret@h/x -v", "curl https://… -v"),
            ("curl https://me:s3cret@h.example/x -v", "curl https://h.example/… -v"),
            ("psql postgres://me:s3cret@h.example/x", "psql postgres://h.example/…"),
        ],
    )
    def test_is_short_and_without_secrets(self, run: str, label: str) -> None:
        assert BoundHook("sealed", Hook(run)).label == label

    def test_of_an_output(self) -> None:
        text = "no https://h/s3cret here\nnor http://h?s3cret"
        assert without_secrets(text) == "no https://h/… here\nnor http://h/…"

    def test_the_key_has_no_secret_and_is_another_for_another_command(self) -> None:
        hooks = bound(Settings(hooks={"sealed": ("s3cret", "other"), "failed": "s3cret"}))
        assert len({hook.key for hook in hooks}) == 3
        assert "s3cret" not in "".join(hook.key for hook in hooks)


class TestAUrlThatCannotBeReadForCertain:
    @pytest.mark.parametrize(
        ("url", "why"),
        [
            ("https://me:a/s3cret@h.example/x", "its host or its port cannot be read"),
            ("https://me:12/s3cret@h.example/x", "there is an @ after its host"),
            ("https://me?s3cret@h.example/x", "there is an @ after its host"),
            ("https://me:12#s3cret@h.example/x", "there is an @ after its host"),
            ("https://h.example/?to=s3cret@x", "there is an @ after its host"),
            ("https://me:s3cret x@h.example/x", "there is a space in it, or what cannot be printed"),
            ("https://h.example/s3cret\n", "there is a space in it, or what cannot be printed"),
            ("https://h.example/s3crét", "there is a letter after its host that is not ASCII"),
            ("https:///s3cret", "its host or its port cannot be read"),
            ("https://me:s3cret@/x", "its host or its port cannot be read"),
            ("https://[s3cret/", "its host or its port cannot be read"),
            ("https://h.example:99999/s3cret", "its host or its port cannot be read"),
            ("https://s3cret\\\\h.example/x", "its host or its port cannot be read"),
        ],
    )
    def test_is_refused_without_a_word_of_it(self, url: str, why: str) -> None:
        with pytest.raises(ValueError) as refused:  # noqa: PT011 (all of it is compared)
            Settings(hooks={"sealed": "true", "failed": ("true", Hook(url))})
        assert f"{refused.value}" == (
            f"hooks.failed: the URL of a webhook cannot be used: {why}; write / ? # of a user or a "
            "password as %2F %3F %23, an @ as %40, a space as %20"
        )

    @pytest.mark.parametrize(
        "url",
        [
            "https://h.example",
            "https://s/x",
            "HTTP://h_1.example:8080/a/b;c,d?e={f}|g&h=%40i#j",
            "https://me:pa's$w!%2Fs@h.example/",
            "http://[fe80::1%25eth0]:8/x",
            "http://[::1]/x",
            "https://bücher.example/x",
        ],
    )
    def test_one_that_can_is_taken(self, url: str) -> None:
        assert [each.hook.run for each in bound(Settings(hooks={"failed": url}))] == [url]
