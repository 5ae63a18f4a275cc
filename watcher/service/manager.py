"""Talks to the service manager through its command, which is given so long and no longer."""

from __future__ import annotations

import shlex
import subprocess

_LONGEST_SECONDS = 900.0
"""As long as a daemon may take to stop, and to start."""
_LONGEST_TEXT = 2000


def run(argv: tuple[str, ...]) -> str | None:
    """Run it. Returns None, or why it failed, as it says itself."""
    try:
        ended = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LONGEST_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        return f"there is no {argv[0]} here"
    except OSError as error:
        return f"{argv[0]} cannot be run ({error.strerror})"
    except subprocess.TimeoutExpired:
        return f"it has not ended in {_LONGEST_SECONDS:.0f} s"
    if ended.returncode == 0:
        return None
    said = " ".join((ended.stderr or ended.stdout).split())
    return said[:_LONGEST_TEXT] or f"exit status {ended.returncode}"


def shown(argv: tuple[str, ...]) -> str:
    return shlex.join(argv)
