"""What starts tickward, at a place that is there tomorrow as well."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

from watcher.errors import ConfigError
from watcher.service.target import Target
from watcher.service.users import require_known

_FLEETING = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path("/run"))  # noqa: S108 (known, not used)
_TRY_SECONDS = 30.0
_LONGEST_TEXT = 500


def program_here() -> Path:
    """The tickward that runs now. Raises `ConfigError` if it is not installed as a command."""
    beside = Path(sys.executable).with_name("tickward")
    found = beside if os.access(beside, os.X_OK) else shutil.which("tickward")
    if found is None:
        raise ConfigError(
            "tickward is not installed as a command: `pip install` it, or name one with --program"
        )
    return Path(found).absolute()


def interpreter_places() -> tuple[Path, ...]:
    """What a program of this interpreter's is read from."""
    places = (sys.executable, os.path.realpath(sys.executable), sys.prefix, sys.base_prefix, __file__)
    return tuple(dict.fromkeys(map(Path, places)))


def require_lasting(program: Path) -> None:
    """Raise `ConfigError` if it is not named from /, or may be gone with the next start of the machine."""
    if not program.is_absolute():
        raise ConfigError(
            f"--program {program}: name it from /, services have no working directory to search"
        )
    if any(program.is_relative_to(place) for place in _FLEETING) or ".cache" in program.parts:
        raise ConfigError(
            f"{program} may soon be gone: install tickward where it stays, or name one with --program"
        )


def require_usable(target: Target) -> None:
    """Raise `ConfigError` unless its user can run the program here, with the configuration.

    What a service inherits is nothing of what the caller has in its environment.
    """
    require_known(target)
    found = pwd.getpwnam(target.user)
    is_another = os.geteuid() == 0 and found.pw_uid != 0
    try:
        ended = subprocess.run(
            (*target.command, "config", "check"),
            user=found.pw_uid if is_another else None,
            group=found.pw_gid if is_another else None,
            extra_groups=os.getgrouplist(target.user, found.pw_gid) if is_another else None,
            cwd=target.directory,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": found.pw_dir},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TRY_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(_unusable(target, str(error))) from None
    if ended.returncode != 0:
        said = " ".join((ended.stderr or ended.stdout).split())[-_LONGEST_TEXT:]
        raise ConfigError(_unusable(target, said or f"exit status {ended.returncode}"))


def _unusable(target: Target, why: str) -> str:
    return (
        f"{target.user} cannot run {target.program[0]} with this configuration ({why}): have both where "
        "that user may read them, or name another user with --as"
    )
