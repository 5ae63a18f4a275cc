"""`tickward keys`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.watcher.cli.conftest import Terminal
from watcher.certificates import new_pair, read_public, read_secret
from watcher.keys import KeyRing

KEYS = Path("data/ticks/state/keys")
OFF = "CURVE is off, no key is asked for: set events.curve = true\n"


@pytest.fixture
def ring(tickward: Terminal) -> KeyRing:
    tickward.configure("[events]\ncurve = true")
    return KeyRing(KEYS)


def allow(ring: KeyRing, name: str) -> str:
    """Another client; returns its key."""
    public = new_pair().public
    ring.allow(name, public)
    return public.decode()


class TestNew:
    def test_on_a_clients_machine(self, tickward: Terminal) -> None:
        ended = tickward("keys", "new", "loader")
        assert (ended.code, ended.err) == (0, "")
        assert ended.out == (
            "wrote loader.key, and loader.key_secret: that one stays here, and secret\n"
            "next, on the daemon's machine: tickward keys allow loader.key\n"
            "the client also needs the daemon's public key: tickward keys list shows it there\n"
        )
        assert read_secret(Path("loader.key_secret")).public == read_public(Path("loader.key"))
        assert tickward.tree() == {"loader.key", "loader.key_secret"}

    def test_where_a_configuration_is_of_something_else(self, tickward: Terminal) -> None:
        Path("config.toml").write_text("[something]\nelse = 1\n")
        assert tickward("keys", "new", "loader").code == 0

    def test_on_the_daemons_machine(self, tickward: Terminal, ring: KeyRing) -> None:
        server = ring.server().public.decode()
        Path("out").mkdir()
        ended = tickward("keys", "new", "loader", "--out", "out")
        assert ended.out.endswith(f"also needs the public key of this machine's daemon: {server}\n")
        assert read_secret(Path("out/loader.key_secret")).public == read_public(Path("out/loader.key"))

    def test_never_over_a_file(self, tickward: Terminal) -> None:
        tickward("keys", "new", "loader")
        before = Path("loader.key_secret").read_bytes()
        ended = tickward("keys", "new", "loader")
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith("tickward: loader.key exists already; it is left as it is")
        assert Path("loader.key_secret").read_bytes() == before

    def test_where_nothing_can_be_written(self, tickward: Terminal) -> None:
        ended = tickward("keys", "new", "loader", "--out", "no/such")
        assert ended.code == 2
        assert ended.err == "tickward: --out: no/such is no directory: make it first, or name another\n"


class TestAllow:
    def test_a_file(self, tickward: Terminal, ring: KeyRing) -> None:
        tickward("keys", "new", "loader")
        ended = tickward("keys", "allow", "loader.key")
        server = ring.server().public.decode()
        assert ended.out == f"loader is allowed\nthe client also needs the daemon's public key: {server}\n"
        assert ring.allowed() == {read_public(Path("loader.key")): "loader"}
        assert tickward("keys", "allow", "loader.key").out.startswith("loader is allowed already\n")

    def test_a_key_under_a_name(self, tickward: Terminal, ring: KeyRing) -> None:
        public = "-" + new_pair().public.decode()[1:]
        ended = tickward("keys", "allow", "--", public)
        assert (ended.code, ended.err) == (2, "tickward: --name: say whose key it is\n")
        assert tickward("keys", "allow", "--name", "loader", "--", public).code == 0
        assert ring.allowed() == {public.encode(): "loader"}

    def test_a_file_whose_name_is_none(self, tickward: Terminal, ring: KeyRing) -> None:
        tickward("keys", "new", "loader")
        shutil.copy("loader.key", "Loader 2.key")
        ended = tickward("keys", "allow", "Loader 2.key")
        assert (ended.code, ended.out) == (2, "")
        assert "'Loader 2' is no name for a client" in ended.err
        assert "say whose key it is with --name" in ended.err
        assert tickward("keys", "allow", "Loader 2.key", "--name", "loader2").code == 0
        assert list(ring.allowed().values()) == ["loader2"]

    def test_a_secret_is_refused_and_the_right_file_named(self, tickward: Terminal, ring: KeyRing) -> None:
        tickward("keys", "new", "loader")
        ended = tickward("keys", "allow", "loader.key_secret")
        assert ended.code == 2
        assert ended.err.endswith("which should stay where it was made: name loader.key\n")
        assert ring.allowed() == {}

    def test_says_that_curve_is_off(self, tickward: Terminal) -> None:
        tickward("keys", "new", "loader")
        assert tickward("keys", "allow", "loader.key").out.endswith(OFF)
        assert tickward("keys", "revoke", "loader").out == f"loader is not allowed any more\n{OFF}"


class TestList:
    def test_of_nothing_leaves_nothing_behind(self, tickward: Terminal) -> None:
        ended = tickward("keys", "list")
        nothing = "the daemon's public key: none yet, it is made with the first for a client\n"
        assert (ended.code, ended.out) == (0, OFF + nothing)
        assert tickward.tree() == set()

    def test_shows_who_is_allowed_and_what_is_not(self, tickward: Terminal, ring: KeyRing) -> None:
        loader, report = allow(ring, "loader"), allow(ring, "report-2")
        (KEYS / "allowed/x.key").touch()
        first, second, *rows, last = tickward("keys", "list").out.splitlines()
        assert first == f"CURVE is on, with the keys in {tickward.folder / KEYS}"
        assert second == f"the daemon's public key: {ring.server().public.decode()}"
        assert [row.partition("  since 20")[0] for row in rows] == [
            f"loader    {loader}",
            f"report-2  {report}",
        ]
        assert last.startswith(f"not allowed: {tickward.folder / KEYS}/allowed/x.key has no key as")

    def test_as_json(self, tickward: Terminal, ring: KeyRing) -> None:
        loader = allow(ring, "loader")
        shown = tickward("keys", "list", "--json").json
        assert shown["clients"][0].pop("since").endswith("Z")
        assert shown == {
            "curve": True,
            "keys": str(tickward.folder / KEYS),
            "server": ring.server().public.decode(),
            "clients": [{"name": "loader", "key": loader}],
            "problems": [],
        }

    def test_of_a_directory_that_others_can_write_to(self, tickward: Terminal, ring: KeyRing) -> None:
        allow(ring, "loader")
        KEYS.chmod(0o777)
        ended = tickward("keys", "list")
        assert (ended.code, ended.out) == (1, "")
        assert "run `chmod go-w " in ended.err


class TestAsJson:
    def test_of_a_life(self, tickward: Terminal, ring: KeyRing) -> None:
        made = tickward("keys", "new", "loader", "--json").json
        assert made == {"public": "loader.key", "secret": "loader.key_secret", "server": None}
        server = ring.server().public.decode()
        allowed = {"name": "loader", "fresh": True, "server": server, "curve": True}
        assert tickward("keys", "allow", "loader.key", "--json").json == allowed
        assert tickward("keys", "allow", "loader.key", "--json").json == {**allowed, "fresh": False}
        assert tickward("keys", "revoke", "loader", "--json").json == {"names": ["loader"], "curve": True}
        assert ring.allowed() == {}


class TestRevoke:
    def test_takes_off_the_list(self, tickward: Terminal, ring: KeyRing) -> None:
        allow(ring, "loader")
        report = allow(ring, "report")
        assert tickward("keys", "revoke", "loader").out == "loader is not allowed any more\n"
        assert ring.allowed() == {report.encode(): "report"}

    def test_whoever_is_not_on_it(self, tickward: Terminal, ring: KeyRing) -> None:
        allow(ring, "loader")
        ended = tickward("keys", "revoke", "laoder")
        assert (ended.code, ended.out) == (2, "")
        assert ended.err == "tickward: no key is allowed as 'laoder'; those that are: loader\n"


@pytest.mark.parametrize(
    "command", [["new", "x"], ["allow", "loader.key"], ["revoke", "loader"]], ids=" ".join
)
def test_nothing_is_changed_where_the_environment_asks_for_that(
    tickward: Terminal, ring: KeyRing, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    tickward("keys", "new", "loader")
    monkeypatch.setenv("DRY_RUN", "true")
    before = tickward.tree()
    ended = tickward("keys", *command)
    assert ended.code == 2
    assert ended.err.endswith("DRY_RUN is set: nothing is changed; unset it to change keys\n")
    assert tickward.tree() == before
