"""Whether addresses can be had, and whose the keys are."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from watcher.doctor.addresses import (
    Address,
    addresses,
    addresses_of,
    keys,
    of_free,
    of_served,
    trouble_with,
)
from watcher.doctor.premises import Premises
from watcher.keys import KeyRing
from watcher.settings import Events, Settings, Web


@pytest.fixture
def taken() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def premises(events: Events, daemon_pid: int | None = None) -> Premises:
    return Premises(None, {}, replace(Settings(), events=events), daemon_pid=daemon_pid)


class TestAddresses:
    def test_are_all_that_are_served(self) -> None:
        found = addresses_of(replace(Settings(), web=Web("127.0.0.1:8787")))
        assert [each.key for each in found] == ["events.publish", "events.replay", "web.listen"]

    def test_that_another_program_has_are_named_with_who_tells_whose(self, taken: str) -> None:
        for where in (taken, f"tcp://{taken}"):
            trouble = trouble_with(where)
            assert trouble is not None
            assert trouble[0] == f"{where} is taken by another program"
            assert f"sport = :{taken.rpartition(':')[2]}" in trouble[1]

    def test_that_were_given_back_can_be_had(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            where = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        assert trouble_with(where) is None

    @pytest.mark.parametrize("where", ["127.0.0.1:0", "tcp://nosuchinterface.invalid:5556", "tcp://@@:1"])
    def test_that_cannot_be_tried_are_not_complained_of(
        self, monkeypatch: pytest.MonkeyPatch, where: str
    ) -> None:
        def unknown(*_: object, **__: object) -> None:
            raise socket.gaierror

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        assert trouble_with(where) is None

    def test_of_another_machine_cannot_be_had(self) -> None:
        trouble = trouble_with("tcp://192.0.2.1:5556")
        assert trouble is not None
        assert "no address of this machine" in trouble[0]

    def test_of_sockets_need_a_private_directory(self, tmp_path: Path) -> None:
        where = f"ipc://{tmp_path}/run/events"
        assert trouble_with(where) is None
        (tmp_path / "run").mkdir(0o755)
        trouble = trouble_with(where)
        assert trouble is not None
        assert "chmod 700" in trouble[1]
        (tmp_path / "run").chmod(0o700)
        assert trouble_with(where) is None

    def test_of_sockets_may_be_taken_as_well(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o700)
        where = f"ipc://{tmp_path}/events"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(tmp_path / "events"))
            assert trouble_with(where) is None, "nobody listens: it is of a daemon that has gone"
            server.listen()
            trouble = trouble_with(where)
        assert trouble is not None
        assert "is taken" in trouble[0]
        assert trouble_with(f"ipc://@tickward-{os.getpid()}") is None

    @pytest.mark.parametrize(
        ("trouble", "remedies"),
        [(None, []), (("x is taken", "end it"), ["end it"]), (("x", ""), ["name another in web.listen"])],
    )
    def test_are_judged(self, trouble: tuple[str, str] | None, remedies: list[str]) -> None:
        found = list(of_free(Address("web.listen", "127.0.0.1:1"), trouble))
        assert [(each.level, each.remedy) for each in found] == [("warning", each) for each in remedies]

    def test_that_the_daemon_has_are_fine_and_those_it_has_not_are_warned_of(self) -> None:
        given = [Address("web.listen", "127.0.0.1:1")]
        assert [each.level for each in of_served(given, ())] == ["ok"]
        assert [each.level for each in of_served(given, ("a port is taken",))] == ["warning"]

    def test_are_tried_without_a_daemon_and_only_then(self, taken: str) -> None:
        events = Events(publish=f"tcp://{taken}")
        assert "warning" in {each.level for each in addresses(premises(events))}
        assert {each.level for each in addresses(premises(events, daemon_pid=7))} == {"ok"}


class TestKeys:
    def test_are_not_needed_without_curve(self) -> None:
        assert [each.level for each in keys(premises(Events()))] == ["ok"]

    def test_are_not_there_before_the_first_start(self, tmp_path: Path) -> None:
        assert [each.level for each in keys(premises(Events(curve=True, keys=f"{tmp_path}/keys")))] == [
            "note"
        ]
        assert os.listdir(tmp_path) == []  # noqa: PTH208

    def test_that_others_could_have_written_are_a_problem_with_a_remedy(self, tmp_path: Path) -> None:
        folder = tmp_path / "keys"
        given = premises(Events(curve=True, keys=str(folder)))
        KeyRing(folder).server()
        assert [each.level for each in keys(given)] == ["ok"]
        folder.chmod(0o777)
        (found,) = keys(given)
        assert (found.level, "chmod" in found.remedy) == ("problem", True)
        folder.chmod(0o700)
        (folder / "server.key_secret").chmod(0o644)
        (found,) = keys(given)
        assert (found.level, "chmod 600" in found.remedy) == ("problem", True)

    def test_that_admit_nobody_are_warned_of(self, tmp_path: Path) -> None:
        folder = tmp_path / "keys"
        ring = KeyRing(folder)
        ring.server()
        (folder / "allowed").mkdir(0o700)
        (folder / "allowed" / "x.key").write_text("no key")
        found = keys(premises(Events(curve=True, keys=str(folder))))
        assert [each.level for each in found] == ["warning"]
