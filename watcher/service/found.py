"""What is installed, by what its files say themselves: a program and a user need not be named again."""

from __future__ import annotations

from msgspec.structs import replace

from watcher.service.aim import Wishes
from watcher.service.installation import Kind
from watcher.service.target import Target
from watcher.service.users import home_of


def as_installed(kind: Kind, target: Target, wishes: Wishes) -> Target:
    """The same target with the program and the user that are installed for it, unless they were wished.

    Where none is installed for it, as it is.
    """
    runs = kind.runs(target)
    if runs is None:
        return target
    if wishes.user is None and runs.user and target.scope == "system":
        target = replace(target, user=runs.user, home=home_of(runs.user, target.root))
    if wishes.program is not None:
        return target
    # What a program reads besides is known of the one that runs now only, and only if none was named.
    theirs = replace(target, program=(runs.program,))
    bare = replace(theirs, reads=())
    if kind.is_as_made(theirs):
        return theirs
    return theirs if runs.program == target.program[0] and not kind.is_as_made(bare) else bare
