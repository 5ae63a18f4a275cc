"""For systemd: a unit that may do what the daemon does, and little else. PURE.

Written for systemd 252 (Debian 12); every later one reads it as well.
"""

from __future__ import annotations

import os
import re
import string
from collections.abc import Iterator
from pathlib import Path

from watcher.errors import ConfigError
from watcher.service import reach
from watcher.service.installation import Command, File, Installation, Runs, mark
from watcher.service.target import Target
from watcher.settings import Settings

UNIT = "tickward.service"
_SYSTEM = Path("/etc/systemd/system")
_USER = Path(".config/systemd/user")
_LEAST_WATCHDOG_SECONDS = 180
_STOP_SECONDS = 60
"""For all that ends after the jobs have: the sockets, the page, the last lines of the journal."""
_MIB = 1 << 20
_DAEMON_MIB, _PUBLISHER_MIB, _PAGE_MIB = 1024, 512, 1024
_WORKER_MIB, _THREAD_MIB, _FRAMES_A_THREAD = 256, 128, 4
_TASKS = 512
_EXEC_START = re.compile(r'^ExecStart=(?:"(?P<quoted>(?:[^"\\\n]|\\.)*)"|(?P<bare>\S+))', re.MULTILINE)
_USER_LINE = re.compile(r"^User=(\S+)$", re.MULTILINE)
_QUOTES = frozenset("\"'\\")
_PLAIN = frozenset((string.ascii_letters + string.digits + ":_.").encode())
"""What the name of a unit may hold, beside the hyphen."""
_LONGEST_NAME = 255

_OF_ROOT = (
    "CAP_CHOWN",  # what it makes belongs to the owner of the directory
    "CAP_FSETID",  # and keeps the set-group-id bit of a directory that a group shares
    "CAP_DAC_OVERRIDE",  # the tick writer's files
    "CAP_FOWNER",
    "CAP_LEASE",  # whether anybody has them open
    "CAP_SYS_PTRACE",  # and who
)


def describe(target: Target) -> Installation:
    """The unit, and how it is enabled. Raises `ConfigError` for names that no unit can hold."""
    folder = _SYSTEM if target.scope == "system" else target.home / _USER
    control = ("systemctl",) if target.scope == "system" else ("systemctl", "--user")
    return Installation(
        "systemd",
        target.scope,
        (File(folder / UNIT, _text(target).encode()),),
        directories=reach.folders(target),
        private=reach.private_folders(target.settings),
        enable=(
            Command((*control, "daemon-reload")),
            Command((*control, "reenable", UNIT)),  # the links of another [Install] go
            Command((*control, "restart", UNIT)),
        ),
        disable=(Command((*control, "disable", "--now", UNIT)),),
        after_removal=(Command((*control, "daemon-reload"), needed=False),),
        notes=tuple(_notes(target)),
        active=(*control, "is-active", "--quiet", UNIT),
        log="journalctl -u tickward" if target.scope == "system" else "journalctl --user -u tickward",
    )


def runs(content: bytes) -> Runs | None:
    """What a unit that was made here says."""
    text = content.decode(errors="surrogateescape")
    program, user = _EXEC_START.search(text), _USER_LINE.search(text)
    if program is None:
        return None
    quoted, bare = program["quoted"], program["bare"]
    word = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    return Runs(word.replace("%%", "%"), user[1] if user else "")


def _notes(target: Target) -> Iterator[str]:
    if target.scope == "user":
        yield (
            f"it ends when {target.user} logs out, unless `loginctl enable-linger {target.user}` was called; "
            "most of what a system's unit restricts needs rights that a user's has not"
        )
    elif shared := reach.in_temporary(target):
        yield f"PrivateTmp is off, because {shared[0]} is where everybody may write: better have it elsewhere"
    if reach.runs_commands(target.settings):
        yield ("the commands of [hooks] run within the same bounds: `systemctl edit tickward` widens them")


def _text(target: Target) -> str:
    sections = {"Unit": _unit(target), "Service": _service(target), "Install": _install(target)}
    edit = "systemctl edit" if target.scope == "system" else "systemctl --user edit"
    head = f"# {mark(target)}, which writes it anew: change it with `{edit} tickward`.\n"
    body = (f"[{name}]\n" + "".join(f"{line}\n" for line in lines) for name, lines in sections.items())
    return head + "\n" + "\n".join(body)


def _unit(target: Target) -> Iterator[str]:
    yield "Description=Tickward, which looks after the daily tick databases"
    yield "After=local-fs.target remote-fs.target time-sync.target"
    if target.scope == "system":
        yield "# Without these disks nothing can be done; if a backup's or an archive's is away, it says so."
        yield f"RequiresMountsFor={_words(*map(str, _needed(target)))}"
        yield "# A new, empty disk is for a person to fill: nothing is begun on it."
        yield f"AssertPathIsDirectory={_specifiers(_checked(target.settings.data.state))}"
    yield "# Whatever fails, it is tried again for ever."
    yield "StartLimitIntervalSec=0"


def _service(target: Target) -> Iterator[str]:
    yield from _process(target)
    yield ""
    yield from _bounds(target)
    yield ""
    yield "# What works without rights of its own."
    yield from _syscalls(target)
    if target.scope == "system":
        yield ""
        yield from _files(target)
        yield ""
        yield from _system(target)


def _install(target: Target) -> Iterator[str]:
    yield f"WantedBy={'multi-user' if target.scope == 'system' else 'default'}.target"
    if target.scope == "system" and (mounts := _mounts(target)):
        yield "# Also when a disk is mounted at one of these: one that was away must not need a person then."
        yield f"WantedBy={' '.join(mounts)}"


def _needed(target: Target) -> tuple[Path, ...]:
    """Where root and state are, as they are named and with symbolic links resolved."""
    data = target.settings.data
    real = map(os.path.realpath, (data.root, data.state)) if target.is_this_machine else ()
    return tuple(dict.fromkeys(map(Path, (data.root, data.state, *real))))


def _mounts(target: Target) -> list[str]:
    """What mounts are called that root and state may be on: all that can be, whether there or not.

    So the unit says the same while a disk is away, and for an image.
    """
    places = {each for path in _needed(target) for each in (path, *path.parents) if each != Path("/")}
    names = (mount_unit(each) for each in sorted(places))
    return [name for name in names if len(name) <= _LONGEST_NAME]


def mount_unit(place: Path) -> str:
    """What systemd calls what is mounted there: as ``systemd-escape --path --suffix=mount`` says."""
    escaped = "-".join(map(_escaped, place.parts[1:]))
    if escaped.startswith("."):
        escaped = f"\\x2e{escaped[1:]}"
    return f"{escaped or '-'}.mount"


def _escaped(name: str) -> str:
    return "".join(chr(byte) if byte in _PLAIN else f"\\x{byte:02x}" for byte in os.fsencode(name))


def _process(target: Target) -> Iterator[str]:
    stop = int(target.settings.workers.stop_seconds)
    yield "Type=notify"
    if target.scope == "system":
        yield f"User={target.user}"
    yield f"WorkingDirectory={_specifiers(_checked(str(target.directory)))}"
    program, *arguments = (*target.command, "run")
    if not _QUOTES.isdisjoint(program):
        raise ConfigError(f"{program}: systemd runs no program with quotes in its path; install it elsewhere")
    yield f"ExecStart={' '.join((_word(program), *(_word(each).replace('$', '$$') for each in arguments)))}"
    yield """ExecReload=/bin/sh -c 'kill -HUP "$$MAINPID"'"""
    yield "TimeoutStartSec=10min"
    yield "# Jobs may take workers.stop_seconds to end."
    yield f"TimeoutStopSec={stop + _STOP_SECONDS}"
    yield "KillMode=mixed"
    yield f"WatchdogSec={max(_LEAST_WATCHDOG_SECONDS, stop + 2 * _STOP_SECONDS)}"
    yield "Restart=on-failure"
    yield "RestartSec=10"


def _bounds(target: Target) -> Iterator[str]:
    settings = target.settings
    yield "# The tick writer comes first: niceness counts only among the processes of one unit."
    yield "CPUWeight=20"
    yield "IOWeight=20"
    yield "OOMScoreAdjust=500"
    yield "# Of a worker that is too large only the job fails, and is tried again."
    yield "OOMPolicy=continue"
    yield f"MemoryMax={_memory_mib(settings)}M"
    yield f"TasksMax={_TASKS + settings.workers.count * _threads(settings)}"
    yield "LimitNOFILE=16384"
    yield "# It would hold the keys."
    yield "LimitCORE=0"


def _syscalls(target: Target) -> Iterator[str]:
    families = "AF_UNIX AF_INET AF_INET6" + (" AF_NETLINK" if reach.names_interfaces(target.settings) else "")
    yield "NoNewPrivileges=yes"
    yield "LockPersonality=yes"
    yield "MemoryDenyWriteExecute=yes"
    yield "RestrictNamespaces=yes"
    yield "RestrictRealtime=yes"
    yield f"RestrictAddressFamilies={families}"
    yield "SystemCallArchitectures=native"
    yield "SystemCallFilter=@system-service"
    yield "SystemCallFilter=~@privileged"
    yield "# New files are given to the group that their directory is shared with."
    yield "SystemCallFilter=@chown"
    yield "SystemCallErrorNumber=EPERM"


def _files(target: Target) -> Iterator[str]:
    settings = target.settings
    yield "# It reads the system, and writes here."
    yield "ProtectSystem=strict"
    for path in reach.written(target):
        yield f"ReadWritePaths={_words('-' + str(path))}"
    if names := reach.runtime_directories(settings):
        yield "# The sockets of [events], which only their user may reach."
        yield f"RuntimeDirectory={_words(*names)}"
        yield "RuntimeDirectoryMode=0700"
    needs_homes = reach.in_homes(target) or reach.runs_commands(settings)
    yield f"ProtectHome={'read-only' if needs_homes else 'yes'}"
    yield f"PrivateTmp={'no' if reach.in_temporary(target) else 'yes'}"
    yield "PrivateDevices=yes"
    yield "PrivateMounts=yes"
    yield "# The tick writer and other readers have to get at what it makes."
    yield "UMask=0022"


def _system(target: Target) -> Iterator[str]:
    yield "# Processes are looked at to name whoever holds a database, so /proc is not wholly closed."
    yield "ProtectProc=invisible"
    if not reach.runs_commands(target.settings):
        yield "ProcSubset=pid"
    for what in ("Clock", "ControlGroups", "Hostname", "KernelLogs", "KernelModules", "KernelTunables"):
        yield f"Protect{what}=yes"
    yield "PrivateIPC=yes"
    yield "# The tick writer's are of the same user."
    yield "RemoveIPC=no"
    yield f"CapabilityBoundingSet={' '.join(_OF_ROOT) if target.user == 'root' else ''}"
    yield "AmbientCapabilities="
    if not reach.talks_to_others(target.settings):
        yield "IPAddressDeny=any"
        yield "IPAddressAllow=localhost"


def _threads(settings: Settings) -> int:
    return max(settings.compress.threads, settings.restore.threads)


def _memory_mib(settings: Settings) -> int:
    """More than twice what the daemon, publisher, page, and workers with their threads were seen to take."""
    thread = _THREAD_MIB + _FRAMES_A_THREAD * settings.compress.frame_bytes // _MIB
    page = _PAGE_MIB if settings.web.listen else 0
    workers = settings.workers.count * (_WORKER_MIB + _threads(settings) * thread)
    return _DAEMON_MIB + _PUBLISHER_MIB + page + workers


def _words(*words: str) -> str:
    return " ".join(map(_word, words))


def _word(text: str) -> str:
    """As systemd reads words: quoted where it has to be."""
    escaped = _specifiers(_checked(text)).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if escaped != text or " " in text or "'" in text or ";" in text else text


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")


def _checked(text: str) -> str:
    if not text.isprintable() or text.endswith(("\\", " ")):
        raise ConfigError(f"{text!r} cannot be named in a unit of systemd: rename what has such a name")
    return text
