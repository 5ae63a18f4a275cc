"""Talks to the service manager through its command, which is given so long and no longer."""

from __future__ import annotations

import re
import shlex
import subprocess

_PLAIN_TO_CMD = re.compile(r"[\w./:\\-]+")
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


def shown(argv: tuple[str, ...], kind: str = "") -> str:
    """As a person types it: into a shell, or what is for Windows into cmd.exe."""
    return " ".join(map(_shown_to_cmd, argv)) if kind == "windows" else shlex.join(argv)


def _shown_to_cmd(word: str) -> str:
    """An apostrophe quotes nothing there, and ``&`` or ``^`` means something outside quotes."""
    if _PLAIN_TO_CMD.fullmatch(word):
        return word
    end = word[len(word.rstrip("\\")) :]  # before a quote each of these counts twice
    return f'"{word}{end}"'
