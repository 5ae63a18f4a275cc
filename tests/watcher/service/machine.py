"""A systemd of its own, booted in namespaces.

It knows only the units that it is given: those of the machine would empty its /tmp, and more. Whatever it
does write is in file systems of its own, and all of its processes end with it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.watcher.processes import PATIENCE_SECONDS, PROJECT

SYSTEMD = Path("/lib/systemd/systemd")
_TARGETS = ("default", "multi-user", "basic", "sysinit", "shutdown", "umount", "local-fs", "remote-fs")
_CGROUPS = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))

# The machine's files can only be read; /srv, /run, /tmp and the directory of units are empty ones of its own.
# A unit that writes into a pipe tells that it is up.
_JOIN = 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"'
_NAMESPACES = ("--pid", "--mount", "--cgroup", "--ipc", "--uts", "--net")
_BOOT = """
set -e
folder=$1
mount --make-rprivate /
mount -t tmpfs tmpfs /srv
mkdir /srv/folder
mount --bind "$folder" /srv/folder
mount -t tmpfs tmpfs /tmp
mkdir -p "$folder"
mount --move /srv/folder "$folder"
rmdir /srv/folder
mount -o remount,bind,ro /
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /etc/systemd/system
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec env -i PATH="$PATH" container=test SYSTEMD_UNIT_PATH="$folder/units:/etc/systemd/system" \\
    SYSTEMD_GENERATOR_PATH="$folder/none" SYSTEMD_ENVIRONMENT_GENERATOR_PATH="$folder/none" \\
    "$2" --system --log-target=null --show-status=0
"""
_READY = """
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo up > {pipe}'
"""


class Machine:
    """Runs commands beside its PID 1."""

    def __init__(self, first: int) -> None:
        self._first = first

    def __call__(self, *argv: str) -> subprocess.CompletedProcess[str]:
        enter = (
            "nsenter",
            "--target",
            str(self._first),
            "--pid",
            "--mount",
            "--net",
            "--ipc",
            "--uts",
            "--cgroup",
        )
        return subprocess.run(
            (*enter, *argv),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
            cwd="/",
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)},
        )


def why_not() -> str:
    """Why none can be booted here; empty: one can."""
    if os.geteuid() != 0:
        return "only root can boot a systemd in namespaces"
    if not SYSTEMD.exists() or any(shutil.which(each) is None for each in ("unshare", "nsenter")):
        return "there is no systemd here, or no unshare: scripts/services installs it"
    if any(Path(sys.prefix).is_relative_to(top) for top in ("/tmp", "/var/tmp", "/srv", "/run")):
        return "this project is where that machine has directories of its own, or where it may soon be gone"
    if _cgroup() is None:
        return "the cgroup file system cannot be written to here"
    with TemporaryDirectory() as folder:
        tried = subprocess.run(
            ("unshare", *_NAMESPACES, "--fork", *_boot(folder, "/bin/true")),
            capture_output=True,
            text=True,
            check=False,
        )
    return f"namespaces cannot be made here: {tried.stderr.strip()}" if tried.returncode else ""


@contextmanager
def booted(folder: Path) -> Iterator[Machine]:
    """Boot it; at the end nothing of it is left."""
    parent = _cgroup()
    assert parent is not None
    group = parent / f"tickward-test-{os.getpid()}"
    units = folder / "units"
    units.mkdir()
    (folder / "none").mkdir()
    pipe = folder / "ready"
    os.mkfifo(pipe)
    for name in _TARGETS:
        (units / f"{name}.target").write_text("[Unit]\nDefaultDependencies=no\n")
    (units / "default.target").write_text("[Unit]\nDefaultDependencies=no\nWants=ready.service\n")
    (units / "ready.service").write_text(_READY.format(pipe=pipe))
    group.mkdir()
    try:
        unshare = ("unshare", *_NAMESPACES, "--fork", "--kill-child")
        boot = _boot(folder, SYSTEMD)
        with (folder / "said").open("w") as said:
            process = subprocess.Popen(
                ("/bin/sh", "-c", _JOIN, "join", str(group), *unshare, *boot),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        first = 0
        try:
            assert _line_of(pipe) == "up", (folder / "said").read_text()
            first = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
            yield Machine(first)
        finally:
            os.kill(first, signal.SIGKILL) if first else process.kill()
            process.wait()  # until all of them have ended
    finally:
        _remove(group)


def _boot(folder: Path | str, first: Path | str) -> tuple[str, ...]:
    return "/bin/sh", "-c", _BOOT, "boot", str(folder), str(first)


def _line_of(pipe: Path) -> str:
    return subprocess.run(
        ("head", "-n1", str(pipe)), capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    ).stdout.strip()


def _cgroup() -> Path | None:
    return next((each for each in _CGROUPS if os.access(each / "cgroup.procs", os.W_OK)), None)


def _remove(group: Path) -> None:
    for folder, _, _ in os.walk(group, topdown=False):
        with suppress(OSError):
            Path(folder).rmdir()
