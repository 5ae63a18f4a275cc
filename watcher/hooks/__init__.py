"""Hooks: what is run when an event was recorded, for people without a program that listens.

`bound` says what is run on which event; `process` runs one command within a time limit; `delivery` hands an
event to a hook; `store` keeps how far each hook is, and what could not be delivered; `follower` is the thread
that each hook has of its own; `hooks` starts and stops all of them. They share nothing with the work but the
journal, which they read.
"""

from watcher.hooks.hooks import Hooks

__all__ = ["Hooks"]
