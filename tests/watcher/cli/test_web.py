"""``tickward web``: the page in the foreground."""

from __future__ import annotations

import signal
from urllib.request import urlopen

import pytest

from tests.watcher.bus import free_port
from tests.watcher.cli.conftest import Terminal
from tests.watcher.processes import PATIENCE_SECONDS
from watcher.web.server import listening


class TestInTheForeground:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_says_where_it_is_serves_and_ends_in_order(self, tickward: Terminal, number: int) -> None:
        tickward.configure_events()
        process = tickward.start("-c", "config.toml", "web", "--listen", "127.0.0.1:0")
        with process:
            assert process.stdout is not None
            address = process.stdout.readline().split()[4]
            with urlopen(address, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310 (it is our own)
                assert b"<title>Tickward</title>" in answer.read()
            with urlopen(f"{address}api/events", timeout=PATIENCE_SECONDS) as stream:  # noqa: S310
                assert stream.readline() == b": still here\n"
                process.send_signal(number)
                assert process.wait(PATIENCE_SECONDS) == 0


class TestBadArguments:
    @pytest.mark.parametrize("where", ["0.0.0.0:8787", "8787", "example.com:80", "127.0.0.1:99999"])
    def test_an_address_that_is_not_this_machine_s_alone_is_refused(
        self, tickward: Terminal, where: str
    ) -> None:
        ended = tickward("web", "--listen", where)

        assert ended.code == 2
        assert "--listen" in ended.err
        assert where in ended.err

    def test_an_address_that_is_taken_is_refused_with_what_to_do(self, tickward: Terminal) -> None:
        where = f"127.0.0.1:{free_port()}"
        with listening(where):
            ended = tickward("web", "--listen", where)

        assert ended.code == 2
        assert f"{where} cannot be listened on (Address already in use)" in ended.err
        assert "name another port" in ended.err
