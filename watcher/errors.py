"""Errors that a person reads: one sentence that says what is wrong, and what to do next."""

from __future__ import annotations

EXIT_DONE = 0
EXIT_STEP_FAILED = 1
EXIT_USAGE = 2
EXIT_ANOTHER_INSTANCE = 3
EXIT_UNKNOWN = 3


class TickwardError(Exception):
    """The command cannot go on. The command line turns it into one line and an exit code."""

    exit_code = EXIT_STEP_FAILED


class ConfigError(TickwardError):
    """The configuration, or the way the command was called, cannot be meant."""

    exit_code = EXIT_USAGE


class AnotherInstanceError(TickwardError):
    """Another daemon looks after this state directory."""

    exit_code = EXIT_ANOTHER_INSTANCE


class UnknownError(TickwardError):
    """How things stand cannot be told: what `tickward status` alone answers, as monitoring systems expect."""

    exit_code = EXIT_UNKNOWN
