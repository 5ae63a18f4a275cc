"""The keys of the event sockets: real files, and real sockets that are encrypted with them."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import zmq
from zmq.auth import create_certificates, load_certificate

from tests.watcher.bus import logged
from watcher import keys
from watcher.certificates import KeyPair, new_pair, read_public, read_secret, write_pair
from watcher.errors import ConfigError, TickwardError
from watcher.keys import Credentials, KeyRing, local_credentials
from watcher.settings import Events


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state/keys"


@pytest.fixture
def ring(folder: Path) -> KeyRing:
    return KeyRing(folder)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def another_users(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        os.chown(path, 4321, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4321)


class TestTheDaemonsKeys:
    def test_are_made_at_first_use_in_a_private_directory(self, ring: KeyRing, folder: Path) -> None:
        before = os.umask(0)
        try:
            server, local = ring.server(), ring.local()
        finally:
            os.umask(before)
        assert mode_of(folder) == 0o700
        assert sorted(path.name for path in folder.iterdir()) == [
            *("local.key_secret", "server.key", "server.key_secret")
        ]
        assert mode_of(folder / "server.key_secret") == mode_of(folder / "local.key_secret") == 0o600
        assert server.public != local.public
        for key in (server, local):
            assert zmq.curve_public(key.secret) == key.public

    def test_stay_what_they_are(self, ring: KeyRing, folder: Path) -> None:
        made = (ring.server(), ring.local())
        again = KeyRing(folder)
        assert (again.server(), again.local()) == made
        assert again.known_server() == made[0].public

    def test_are_not_made_by_looking(self, ring: KeyRing, tmp_path: Path) -> None:
        assert (ring.known_server(), ring.allowed(), ring.listed()) == (None, {}, ([], []))
        ring.stamp()
        assert list(tmp_path.iterdir()) == []

    def test_are_one_key_however_many_begin_at_once(self, folder: Path) -> None:
        barrier = threading.Barrier(4)
        made: list[KeyPair] = []

        def begin() -> None:
            barrier.wait()
            made.append(KeyRing(folder).server())

        threads = [threading.Thread(target=begin) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 4
        assert set(made) == {KeyRing(folder).server()}
        assert read_public(folder / "server.key") == made[0].public

    def test_have_a_public_half_for_people_that_is_kept_right(self, ring: KeyRing, folder: Path) -> None:
        key = ring.server()
        (folder / "server.key").write_text("edited")
        ring.server()
        assert load_certificate(folder / "server.key") == (key.public, None)

    def test_are_never_replaced_because_they_are_damaged(self, ring: KeyRing, folder: Path) -> None:
        ring.server()
        (folder / "server.key_secret").write_text("")
        with pytest.raises(TickwardError, match=r"server.key_secret has no key as .*put back a good copy"):
            ring.server()
        assert (folder / "server.key_secret").read_text() == ""

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
    def test_that_root_makes_belong_to_the_owner_of_the_place(self, tmp_path: Path) -> None:
        (tmp_path / "state").mkdir()
        os.chown(tmp_path / "state", 4321, 4322)
        ring = KeyRing(tmp_path / "state/keys")
        ring.local()
        ring.allow("loader", new_pair().public)
        made = list((tmp_path / "state").rglob("*"))
        assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(4321, 4322)}
        assert len(ring.allowed()) == 2, "and root may read them"


class TestTheList:
    def test_begins_with_this_machines_own_key(self, ring: KeyRing) -> None:
        ring.allow("a", new_pair().public)
        local = ring.local()
        clients, problems = ring.listed()
        assert (clients[0].name, clients[0].public, problems) == ("local", local.public, [])
        assert list(ring.allowed().values()) == ["local", "a"]

    def test_admits_who_is_put_on_it_until_taken_off(self, ring: KeyRing, folder: Path) -> None:
        one, other = new_pair().public, new_pair().public
        assert ring.allow("loader", one)
        assert ring.allow("report-2.x", other)
        assert KeyRing(folder).allowed() == {one: "loader", other: "report-2.x"}
        assert load_certificate(folder / "allowed/loader.key") == (one, None)
        assert mode_of(folder / "allowed") == 0o700
        assert ring.revoke("loader") == ("loader",)
        assert KeyRing(folder).allowed() == {other: "report-2.x"}
        assert [path.name for path in (folder / "allowed").iterdir()] == ["report-2.x.key"]

    def test_does_not_mind_being_told_twice(self, ring: KeyRing) -> None:
        public = new_pair().public
        assert ring.allow("loader", public)
        assert not ring.allow("loader", public)
        assert ring.allowed() == {public: "loader"}

    def test_has_each_key_and_each_name_once(self, ring: KeyRing) -> None:
        public = new_pair().public
        ring.allow("loader", public)
        with pytest.raises(ConfigError, match="allowed already, as loader: revoke that first"):
            ring.allow("other", public)
        with pytest.raises(ConfigError, match="allowed already, as local"):
            ring.allow("other", ring.local().public)
        with pytest.raises(ConfigError, match="exists already: revoke loader first, or choose another name"):
            ring.allow("loader", new_pair().public)
        assert set(ring.allowed().values()) == {"loader", "local"}

    def test_refuses_the_daemons_own_key(self, ring: KeyRing) -> None:
        with pytest.raises(ConfigError, match="this is the daemon's own public key"):
            ring.allow("loader", ring.server().public)
        assert ring.allowed() == {}

    @pytest.mark.parametrize(
        "name", ["", ".", "..", "../x", "a/b", "Loader", "-x", ".x", "ä", "a b", "a\n", "a" * 64, "x.key"]
    )
    def test_refuses_what_is_no_name(self, ring: KeyRing, folder: Path, name: str) -> None:
        for refused in (lambda: ring.allow(name, new_pair().public), lambda: ring.revoke(name)):
            with pytest.raises(ConfigError, match="is no name for a client: up to 63 of a-z"):
                refused()
        assert not folder.exists()

    @pytest.mark.parametrize("name", ["local", "server"])
    def test_refuses_the_names_of_the_daemons_own_keys(self, ring: KeyRing, name: str) -> None:
        with pytest.raises(ConfigError, match="the name of a key of the daemon's own"):
            ring.allow(name, new_pair().public)

    def test_is_bounded(self, ring: KeyRing, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(keys, "MOST_CLIENTS", 2)
        for name in ("a", "b"):
            ring.allow(name, new_pair().public)
        with pytest.raises(TickwardError, match="2 keys are allowed already: revoke those that are not used"):
            ring.allow("c", new_pair().public)
        for name in ("c", "d"):  # by hand
            write_pair(folder / "allowed", name)
        assert len(ring.allowed()) <= 3
        assert "more than 2 files: not all of them are read" in ring.listed()[1][-1]

    def test_that_nobody_is_on_to_be_taken_off(self, ring: KeyRing) -> None:
        with pytest.raises(ConfigError, match="no key is allowed as 'x'; those that are: none"):
            ring.revoke("x")
        ring.allow("loader", new_pair().public)
        with pytest.raises(ConfigError, match="no key is allowed as 'x'; those that are: loader"):
            ring.revoke("x")

    def test_loses_a_revoked_key_under_all_its_names(self, ring: KeyRing, folder: Path) -> None:
        public = new_pair().public
        ring.allow("loader", public)
        ring.allow("report", new_pair().public)
        (folder / "allowed/spare.key").write_bytes((folder / "allowed/loader.key").read_bytes())
        assert ring.revoke("spare") == ("loader", "spare")
        assert list(ring.allowed().values()) == ["report"]

    def test_gives_this_machine_another_key_once_its_own_is_revoked(self, ring: KeyRing) -> None:
        before = ring.local()
        assert ring.revoke("local") == ("local",)
        assert ring.allowed() == {}
        assert ring.local() != before
        assert ring.allowed() == {ring.local().public: "local"}


class TestWhatLiesInTheListAndIsNoKey:
    @pytest.fixture
    def allowed(self, ring: KeyRing, folder: Path) -> Path:
        ring.allow("loader", new_pair().public)
        return folder / "allowed"

    def lies(self, allowed: Path, kind: str) -> str:
        """Put something there; returns what is said of it."""
        good = new_pair()
        text = f'curve\n    public-key = "{good.public.decode()}"\n'
        path = allowed / {"name": "Loader.key", "ending": "x.pub"}.get(kind, "x.key")
        if kind == "secret":
            path.write_text(f'{text}    secret-key = "{good.secret.decode()}"\n')
            return "has a secret key, which should stay where it was made"
        if kind == "two":
            path.write_text(f'{text}    public-key = "{new_pair().public.decode()}"\n')
            return "has several keys"
        if kind in ("writable", "name", "ending"):
            path.write_text(text)
            path.chmod(0o646 if kind == "writable" else 0o644)
            said = {"writable": f"can be written to by other users: run `chmod go-w {path}`"}
            return said.get(kind) or {"name": "'Loader' is no name", "ending": "is not called NAME.key"}[kind]
        if kind in ("directory", "pipe", "large"):
            {"directory": path.mkdir, "pipe": lambda: os.mkfifo(path), "large": path.touch}[kind]()
            if kind == "large":
                os.truncate(path, 1 << 40)
            return "is no file with a key"
        if kind == "link":
            path.symlink_to("nowhere")
            return "No such file or directory"
        path.write_bytes(
            {"empty": b"", "short": text.replace(text[25:30], "").encode()}.get(kind, b"\xff" * 40)
        )
        return "has no key as `tickward keys new` or zmq.auth make them"

    @pytest.mark.parametrize(
        "kind",
        [
            *("empty", "short", "bytes", "two", "secret", "name", "ending", "writable"),
            *("directory", "pipe", "large", "link"),
        ],
    )
    def test_admits_nobody_keeps_nobody_out_and_is_said_once(
        self, ring: KeyRing, allowed: Path, kind: str
    ) -> None:
        said = self.lies(allowed, kind)
        with logged("WARNING") as warnings:
            for _ in range(3):
                assert list(ring.allowed().values()) == ["loader"]
        (warning,) = warnings
        assert warning.startswith("a key is not admitted: ")
        assert said in warning

    def test_is_said_again_once_it_was_mended(self, ring: KeyRing, allowed: Path) -> None:
        with logged("WARNING") as warnings:
            for content in (b"", (allowed / "loader.key").read_bytes(), b""):
                (allowed / "x.key").write_bytes(content)
                ring.allowed()
        assert len(warnings) == 2

    def test_can_be_taken_off(self, ring: KeyRing, allowed: Path) -> None:
        (allowed / "x.key").write_text("")
        with pytest.raises(ConfigError, match="exists already: revoke x first"):
            ring.allow("x", new_pair().public)
        assert ring.revoke("x") == ("x",)
        assert ring.listed()[1] == []

    def test_of_another_user_counts_for_nothing(
        self, ring: KeyRing, allowed: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root gives files away")
        another_users(allowed / "loader.key", monkeypatch)
        assert ring.allowed() == {}
        assert "belongs to 4321" in ring.listed()[1][0]

    def test_may_be_what_a_killed_command_has_left(self, ring: KeyRing, allowed: Path) -> None:
        (allowed / ".x.key.12-0123456789abcdef.tickward-tmp").touch()
        assert ring.listed()[1] == []


class TestAPlaceThatOthersCanWriteTo:
    USES: tuple[Callable[[KeyRing], object], ...] = (
        KeyRing.server,
        KeyRing.local,
        KeyRing.allowed,
        KeyRing.known_server,
        lambda ring: ring.allow("x", new_pair().public),
        lambda ring: ring.revoke("loader"),
    )

    @pytest.fixture(autouse=True)
    def begun(self, ring: KeyRing) -> None:
        ring.allow("loader", new_pair().public)
        ring.local()

    @pytest.mark.parametrize("place", ["", "allowed"])
    @pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
    def test_decides_nothing(self, ring: KeyRing, folder: Path, place: str, mode: int) -> None:
        (folder / place).chmod(mode)
        for use in self.USES:
            with pytest.raises(TickwardError) as refused:
                use(ring)
            assert str(refused.value) == (
                f"who may listen is decided there, but {folder / place} can be written to by other users: "
                f"run `chmod go-w {folder / place}`"
            )
        (folder / place).chmod(0o755)
        assert set(ring.allowed().values()) == {"loader", "local"}

    @pytest.mark.parametrize("place", ["", "allowed"])
    def test_or_that_is_anothers(
        self, ring: KeyRing, folder: Path, place: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        another_users(folder / place, monkeypatch)
        for use in self.USES:
            with pytest.raises(TickwardError, match=r"decided there, but .* belongs to .*run `chown"):
                use(ring)

    def test_or_that_is_no_directory(self, tmp_path: Path) -> None:
        file = tmp_path / "keys"
        file.touch()
        for use in self.USES:
            with pytest.raises(TickwardError, match=f"{file} is no directory: move it away"):
                use(KeyRing(file))


class TestTheStamp:
    def test_stays_while_nothing_changes(self, ring: KeyRing) -> None:
        for make in (ring.stamp, ring.local, lambda: ring.allow("a", new_pair().public)):
            make()
            stamp = ring.stamp()
            ring.allowed()
            ring.known_server()
            assert ring.stamp() == stamp

    def test_tells_of_every_change(self, ring: KeyRing, folder: Path) -> None:
        file = folder / "allowed/loader.key"
        changes: tuple[Callable[[], object], ...] = (
            ring.local,
            lambda: ring.allow("loader", new_pair().public),
            lambda: file.write_bytes(file.read_bytes().replace(b"public-key", b"no")),
            lambda: file.rename(file.with_name("other.key")),
            lambda: ring.allow("loader", new_pair().public),
            lambda: ring.revoke("loader"),
            lambda: folder.chmod(0o777),
            lambda: folder.chmod(0o700),
            lambda: ring.revoke("local"),
            lambda: folder.rename(folder.with_name("elsewhere")),
        )
        seen = ring.stamp()
        for change in changes:
            change()
            now = ring.stamp()
            assert now != seen
            seen = now


class TestAFileWithASecret:
    @pytest.mark.parametrize("mode", [0o640, 0o620, 0o604, 0o602, 0o610, 0o666])
    def test_is_refused_if_it_is_open_to_others(self, tmp_path: Path, mode: int) -> None:
        _, secret = write_pair(tmp_path, "loader")
        secret.chmod(mode)
        with pytest.raises(TickwardError, match=f"must be secret, but {secret} .*run `chmod 600 {secret}`"):
            read_secret(secret)
        secret.chmod(0o400)
        read_secret(secret)

    def test_is_refused_if_it_is_another_users(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        _, secret = write_pair(tmp_path, "loader")
        another_users(secret, monkeypatch)
        with pytest.raises(TickwardError, match="belongs to"):
            read_secret(secret)

    def test_of_zmq_itself_is_read_once_it_is_private(self, tmp_path: Path) -> None:
        public, secret = map(Path, create_certificates(tmp_path, "loader"))
        secret.chmod(0o600)
        assert read_secret(secret) == load_certificate(secret)
        assert read_public(public) == load_certificate(public)[0]

    def test_must_have_one(self, tmp_path: Path) -> None:
        public, secret = write_pair(tmp_path, "loader")
        with pytest.raises(TickwardError, match=f"{public} has no secret key: name {secret}"):
            read_secret(public)

    def test_must_have_two_halves_of_one_key(self, tmp_path: Path) -> None:
        _, secret = write_pair(tmp_path, "loader")
        text = secret.read_text().replace(read_secret(secret).public.decode(), new_pair().public.decode())
        secret.write_text(text)
        with pytest.raises(TickwardError, match="do not belong together"):
            read_secret(secret)

    def test_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(TickwardError, match=f"{tmp_path}/x cannot be used .No such file or directory."):
            read_secret(tmp_path / "x")

    def test_does_not_show_it(self) -> None:
        key = new_pair()
        assert key.secret.decode() not in f"{key} {key!r} {Credentials(key, key.public)}"


class TestAPublicKey:
    def test_is_text_or_a_file_with_it(self, tmp_path: Path) -> None:
        public, secret = write_pair(tmp_path, "loader")
        key = read_secret(secret).public
        (tmp_path / "bare").write_text(f"{key.decode()}\n")
        for given in (key.decode(), f" {key.decode()}\n", public, str(public), tmp_path / "bare"):
            assert read_public(given) == key

    def test_is_not_taken_from_a_secret_one(self, tmp_path: Path) -> None:
        public, secret = write_pair(tmp_path, "loader")
        with pytest.raises(ConfigError, match=f"{secret} has a secret key, which .*: name {public}"):
            read_public(secret)

    @pytest.mark.parametrize("given", ["", "x", "x" * 39, "x" * 41, "~" * 40, "#" * 40, "ü" * 40, "a/b.key"])
    def test_is_nothing_else(self, given: str) -> None:
        with pytest.raises(TickwardError, match=r"is neither a file nor a public key|is no file with a key"):
            read_public(given)

    def test_is_a_file_where_it_could_be_either(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        name = "clients" + "x" * 33
        assert read_public(name) == name.encode()
        write_pair(tmp_path, "loader")[0].rename(name)
        assert read_public(name) != name.encode()
        with pytest.raises(ConfigError, match="neither a file"):
            read_public("x" * 36 + ".key")


class TestCredentials:
    def test_are_none_without_curve(self, tmp_path: Path) -> None:
        assert local_credentials(Events(keys=str(tmp_path / "keys"))) is None
        assert list(tmp_path.iterdir()) == []

    def test_of_this_machine_are_its_own_key(self, ring: KeyRing, folder: Path) -> None:
        made = local_credentials(Events(curve=True, keys=str(folder)))
        assert made == (ring.local(), ring.server().public)
        assert ring.local().public in ring.allowed()

    def test_with_the_clients_own_key_for_the_daemons_are_refused(self, tmp_path: Path) -> None:
        public, secret = write_pair(tmp_path, "loader")
        with pytest.raises(ConfigError, match="is the client's own public key: name the daemon's"):
            Credentials.read(secret, public)

    @pytest.mark.parametrize("server", ["text", "file"])
    def test_open_a_real_connection(self, ring: KeyRing, folder: Path, tmp_path: Path, server: str) -> None:
        _, secret = write_pair(tmp_path, "loader")
        key = ring.server()
        shown = Credentials.read(
            str(secret), key.public.decode() if server == "text" else folder / "server.key"
        )
        with zmq.Context() as context, context.socket(zmq.PAIR) as here, context.socket(zmq.PAIR) as there:
            here.curve_server, here.curve_secretkey = True, key.secret
            there.curve_publickey, there.curve_secretkey = shown.key
            there.curve_serverkey = shown.server
            here.rcvtimeo, there.linger = 10_000, 0
            here.bind(f"ipc://{tmp_path}/s")
            there.connect(f"ipc://{tmp_path}/s")
            there.send(b"hello")
            assert here.recv() == b"hello"


class TestAClientsPair:
    def test_is_a_public_file_and_a_secret_one(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            public, secret = write_pair(tmp_path, "loader")
        finally:
            os.umask(before)
        assert (public, secret) == (tmp_path / "loader.key", tmp_path / "loader.key_secret")
        assert mode_of(secret) == 0o600
        assert mode_of(public) == 0o644
        assert load_certificate(secret) == read_secret(secret)
        assert load_certificate(public) == (read_secret(secret).public, None)
        assert len(list(tmp_path.iterdir())) == 2

    @pytest.mark.parametrize("taken", ["loader.key", "loader.key_secret"])
    @pytest.mark.parametrize("kind", ["file", "link"])
    def test_is_never_written_over_a_file(self, tmp_path: Path, taken: str, kind: str) -> None:
        path = tmp_path / taken
        path.write_text("mine") if kind == "file" else path.symlink_to("nowhere")
        with pytest.raises(ConfigError, match=f"{path} exists already; it is left as it is"):
            write_pair(tmp_path, "loader")
        assert [each.name for each in tmp_path.iterdir()] == [taken]

    def test_is_both_files_or_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device", str(tmp_path / "loader.key"))

        monkeypatch.setattr("watcher.certificates.write_public", full)
        with pytest.raises(TickwardError, match=r"loader.key cannot be used .No space left"):
            write_pair(tmp_path, "loader")
        assert list(tmp_path.iterdir()) == []

    def test_needs_a_zeromq_with_curve(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(zmq, "has", lambda _: False)
        with pytest.raises(TickwardError, match="this ZeroMQ was built without CURVE"):
            write_pair(tmp_path, "loader")
