"""Addresses: who could read there, and the private directories of sockets."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from watcher.endpoint import nearby, prepare_ipc, problem_with

ELSEWHERE = [
    "tcp://*:5556",
    "tcp://0.0.0.0:5556",
    "tcp://10.0.0.1:5556",
    "tcp://[::]:5556",
    "tcp://[fe80::1]:5556",
    "tcp://eth0:5556",
    "tcp://ticks.example.com:5556",
    "ipc://@events",
]
HERE = ["tcp://127.0.0.1:5556", "tcp://localhost:5556", "tcp://[::1]:5556", "ipc:///run/tickward/events"]
NONE = [
    *("ipc://", "ipc://@", "tcp://", "tcp://:5556", "tcp://*", "tcp://*:", "tcp://*:0", "tcp://*:65536"),
    *("tcp://*:*", "tcp://::1:5556", "tcp://[::g]:5556", "tcp://[]:5556", "tcp://[*]:5556"),
    *("tcp://a b:5556", "tcp://a;b:5556", "tcp://1.2.3.4:5:6", "pgm://*:5556", "*:5556", ""),
]


class TestWhereOthersCouldRead:
    @pytest.mark.parametrize("endpoint", ELSEWHERE)
    def test_nothing_is_published_without_curve(self, endpoint: str) -> None:
        said = problem_with(endpoint)
        assert said is not None
        assert said.startswith(f"{endpoint!r} ")
        assert "set events.curve = true (`Who may listen` in docs/events.md)" in said

    @pytest.mark.parametrize("endpoint", ELSEWHERE)
    def test_curve_guards_it(self, endpoint: str) -> None:
        assert problem_with(endpoint, curve=True) is None


@pytest.mark.parametrize("curve", [False, True])
class TestWithCurveOrWithout:
    @pytest.mark.parametrize("endpoint", HERE)
    def test_this_machine_may_read(self, endpoint: str, curve: bool) -> None:
        assert problem_with(endpoint, curve=curve) is None

    @pytest.mark.parametrize("endpoint", NONE)
    def test_what_is_no_address_is_refused(self, endpoint: str, curve: bool) -> None:
        said = problem_with(endpoint, curve=curve)
        assert said is not None
        assert "is not an address such as" in said


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("tcp://*:5556", "tcp://127.0.0.1:5556"),
        ("tcp://0.0.0.0:5556", "tcp://127.0.0.1:5556"),
        ("tcp://[::]:5556", "tcp://[::1]:5556"),
        *((endpoint, endpoint) for endpoint in (*HERE, "tcp://10.0.0.1:5556", "ipc://@x", "ipc:///a/*:1")),
    ],
)
def test_programs_of_this_machine_connect_to_an_address_and_not_to_all(endpoint: str, expected: str) -> None:
    assert nearby(endpoint) == expected


class TestTheDirectoryOfASocket:
    def test_is_made_private_and_its_parents_are_not(self, tmp_path: Path) -> None:
        before = os.umask(0o022)
        try:
            prepare_ipc(f"{tmp_path}/run/tickward/events")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "run/tickward").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o755
        prepare_ipc(f"{tmp_path}/run/tickward/events")
        assert list((tmp_path / "run/tickward").iterdir()) == []

    @pytest.mark.parametrize("mode", [0o710, 0o701, 0o770, 0o755, 0o1777, 0o750])
    def test_is_refused_if_it_is_open_to_others(self, tmp_path: Path, mode: int) -> None:
        folder = tmp_path / "my run"
        folder.mkdir()
        folder.chmod(mode)
        with pytest.raises(PermissionError) as refused:
            prepare_ipc(f"{folder}/events")
        assert refused.value.strerror == (
            f"{folder} is open to other users: run `chmod 700 '{folder}'`, or name one of your own"
        )
        folder.chmod(0o700)
        prepare_ipc(f"{folder}/events")

    def test_is_refused_if_it_is_another_users(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        if os.geteuid() == 0:
            os.chown(tmp_path, 4321, -1)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: 4321)
        with pytest.raises(
            PermissionError, match=f"{tmp_path} belongs to .*run `chown .*or name one of your"
        ):
            prepare_ipc(f"{tmp_path}/events")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root has what is root's")
    def test_may_be_roots(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 4321)
        prepare_ipc(f"{tmp_path}/events")

    @pytest.mark.parametrize("kind", ["file", "link"])
    def test_is_refused_if_it_is_none(self, tmp_path: Path, kind: str) -> None:
        folder = tmp_path / "run"
        folder.touch() if kind == "file" else folder.symlink_to("nowhere")
        with pytest.raises(OSError, match=r"no directory|No such file"):
            prepare_ipc(f"{folder}/events")

    def test_there_is_none_for_a_name_in_the_abstract_space(self, tmp_path: Path) -> None:
        prepare_ipc("@events")
