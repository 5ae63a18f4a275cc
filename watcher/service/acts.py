"""What a simple command of a shell changes: which of its words are compressed, moved, deleted. PURE."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import PurePosixPath

from msgspec import Struct

from watcher.service.shellwords import Command

_REMOVE = frozenset({"rm", "rmdir", "unlink", "shred", "truncate", "tmpreaper", "tmpwatch"})
_MOVE = frozenset({"mv", "rename", "mmv"})
_COMPRESS = frozenset(
    {
        *("gzip", "pigz", "bzip2", "pbzip2", "lbzip2", "xz", "pxz", "pixz", "lzma", "lz4", "lzop"),
        *("zstd", "zstdmt", "pzstd", "brotli", "compress"),
        *("gunzip", "bunzip2", "unxz", "unlzma", "unlz4", "unzstd", "uncompress"),
    }
)
_ONLY_WITH = {
    "zip": re.compile(r"-\w*m\w*|--move"),
    "7z": re.compile(r"-sdel"),
    "7za": re.compile(r"-sdel"),
    "tar": re.compile(r"--remove-files"),
    "rsync": re.compile(r"--remove-(?:source|sent)-files|--del(?:ete.*)?"),
    "sqlite3": re.compile(
        r"(?is).*\b(?:vacuum(?!\s+into)|delete\s+from|drop\s+table|update\s+\w+\s+set)\b.*"
    ),
}
"""What changes files with these words alone."""
_ONLY_READS = re.compile(r"-[a-zA-Z0-9]*[ctl][a-zA-Z0-9]*|--(?:stdout|to-stdout|test|list)")
"""Of what compresses: to the standard output; a test, a list."""
_DEEP = re.compile(r"-[a-zA-Z0-9]*[rR][a-zA-Z0-9]*|--recursive")
_VERB = re.compile(
    r"(?:^|[-_.])(?:rotat|compress|archiv|purg|clean|delet|remov|prun|expir|tidy|sweep|retention|housekeep|mov[ei])",
    re.IGNORECASE,
)
"""How the name of a script begins, or a word in it, that does what tickward does."""
_BEFORE = frozenset(
    {
        *("sudo", "doas", "nice", "ionice", "nohup", "env", "time", "timeout", "chronic", "exec", "setsid"),
        *("stdbuf", "flock", "xargs", "parallel", "sh", "bash", "dash", "ksh", "zsh"),
        *(
            "python",
            "python3",
            "perl",
            "ruby",
            "then",
            "do",
            "else",
            "if",
            "elif",
            "while",
            "until",
            "{",
            "!",
        ),
    }
)
"""What stands before the program that is meant."""
_EXEC = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
_FED = frozenset({"xargs", "parallel"})


class Act(Struct, frozen=True):
    """One program that changes files."""

    operands: list[str]
    """What it is told to change, as far as that is said."""
    is_deep: bool
    """Whether it goes into directories, so that one above is changed as well."""
    is_fed: bool = False
    """Whether it is told more by what is before it in the pipeline."""
    names: list[str] = []
    """The patterns that names have to fit; empty: any."""
    moves: bool = False
    """Whether the last operand is where things go to."""


def acts(command: Command) -> Iterator[Act]:
    """All that it may do to files. That it does so is likely, not certain: its options are known a little."""
    at = next((at for at, word in enumerate(command) if _name(word) == "find"), None)
    if at is not None:
        yield from _of_find(command[at + 1 :])
        return
    fed = any(_name(word) in _FED for word in command)
    for at in _changing(command):
        name, rest = _name(command[at]), _flat(command[at + 1 :])
        mirrors = name == "rsync" and not any(word.startswith("--remove") for word in rest)
        told = operands(rest)
        yield Act(
            operands=told[-1:] if mirrors else told,
            is_deep=name not in _REMOVE | _COMPRESS
            or name.startswith("tmp")
            or any(map(_DEEP.fullmatch, rest)),
            is_fed=fed,
            moves=name in _MOVE or (name == "rsync" and not mirrors),
        )


def listed(command: Command) -> Act:
    """What it names, as if it were to change that: it hands it on to what does."""
    at = next((at for at, word in enumerate(command) if _name(word) == "find"), None)
    return Act(operands(command[1:]), is_deep=True) if at is None else _found(command[at + 1 :])


def operands(words: Command) -> list[str]:
    """What is no option; of ``--name=value`` the value."""
    given = (word.partition("=")[2] if word.startswith("-") else word for word in words)
    return [word for word in given if word not in ("", "{}", "+", ";")]


def programs(command: Command) -> Iterator[int]:
    """Where in it what may be its program stands: the wrappers before it, and then itself."""
    for at, word in enumerate(command):
        if word.startswith("-") or "=" in word or word.isdigit():
            continue
        yield at
        if _name(word) not in _BEFORE:
            return


def _changing(command: Command) -> Iterator[int]:
    by_name = {at for at in programs(command) if _VERB.search(_name(command[at]))}
    for at, word in enumerate(command):
        name, rest = _name(word), command[at + 1 :]
        is_one = (
            name in _REMOVE | _MOVE
            or (name in _COMPRESS and not any(map(_ONLY_READS.fullmatch, rest)))
            or (name in _ONLY_WITH and any(map(_ONLY_WITH[name].fullmatch, rest)))
        )
        if is_one or (at in by_name and name not in _COMPRESS):
            yield at


def _of_find(words: Command) -> Iterator[Act]:
    found = _found(words)
    if "-delete" in words:
        yield found
    for at, word in enumerate(words):
        if word in _EXEC:
            command = _flat(words[at + 1 :])
            for changing in _changing(command):
                yield found
                if told := operands(command[changing + 1 :]):
                    yield Act(told[-1:], is_deep=False)  # where it is moved to


def _found(words: Command) -> Act:
    begin = next((at for at, word in enumerate(words) if word not in ("-H", "-L", "-P")), 0)
    end = next(
        (at for at, word in enumerate(words) if at >= begin and word.startswith(("-", "(", "!"))), len(words)
    )
    after = dict(pairwise(words))
    names = [name for word, name in pairwise(words) if word in ("-name", "-iname")]
    return Act(words[begin:end] or ["."], is_deep=after.get("-maxdepth") not in ("0", "1"), names=names)


def _flat(words: Command) -> Command:
    """With the words of what is handed to a shell as one."""
    return [part for word in words for part in ([word] if word.startswith("-") else word.split() or [word])]


def _name(word: str) -> str:
    return PurePosixPath(word).name
