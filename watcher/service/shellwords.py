"""A line for the shell, taken apart as far as it takes to say what it does to whom. PURE.

It is no shell: what cannot be told is left as it stands.
"""

from __future__ import annotations

import re
import shlex

_REDIRECTS = "<>"
_SIGNS = ";|&()\n" + _REDIRECTS
_LONGEST = 1 << 14
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?[-=]([^}]*))?\})")
_ROUGHLY = re.compile(rf"[{re.escape(_SIGNS)}]+|[^\s\"'{re.escape(_SIGNS)}]+")

Command = list[str]
"""The words of one simple command, without its redirections."""
Pipeline = list[Command]


def pipelines(text: str) -> list[Pipeline]:
    """What is between ``;``, ``&&``, the brackets of a subshell and ends of lines, each by its ``|``."""
    found: list[Pipeline] = [[[]]]
    is_target = False
    for word in _words(text[:_LONGEST].replace("`", " ( ")):
        if not set(word) <= set(_SIGNS):
            if not is_target:
                found[-1][-1].append(word)
            is_target = False
        elif set(word).isdisjoint(_REDIRECTS) or "(" in word:
            is_target = False
            if word in ("|", "|&"):
                found[-1].append([])
            else:
                found.append([[]])
        else:
            is_target = True
            if found[-1][-1][-1:] in (["1"], ["2"]):  # as in 2>&1
                found[-1][-1].pop()
    return [pipeline for pipeline in found if any(pipeline)]


def substituted(word: str, variables: dict[str, str]) -> str:
    """With the values of the variables that are known; of another one with its default, if it has one."""
    return _VARIABLE.sub(lambda use: variables.get(use[1] or use[2], use[3] or use[0]), word)


def _words(text: str) -> list[str]:
    split = shlex.shlex(text, posix=True, punctuation_chars=_SIGNS)
    split.whitespace_split, split.whitespace, split.commenters = True, " \t\r", ""
    try:
        return list(split)
    except ValueError:  # a quote that is not closed
        return _ROUGHLY.findall(text)
