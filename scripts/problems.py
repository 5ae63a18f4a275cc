"""How the scripts that look for problems tell of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable


def told(problems: Iterable[str]) -> int:
    """Print each, as it is found. The exit status: 1 if there is one."""
    status = 0
    for problem in problems:
        print(problem, file=sys.stderr)
        status = 1
    return status
