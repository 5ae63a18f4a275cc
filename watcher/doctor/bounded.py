"""Asking what may never answer: a network mount whose server is away, a tree without an end.

What is late goes on in a thread that nobody waits for, and ends with the process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")


class LateError(Exception):
    """It was not answered in time."""


class Asked(Generic[T]):
    """Something that is being found out in a thread of its own."""

    def __init__(self, question: Callable[[], T]) -> None:
        self._question = question
        self._answer: list[T] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._ask, name="doctor", daemon=True)
        self._thread.start()

    def answer(self, seconds: float) -> T:
        """Raises what the question raised, or `LateError`."""
        self._thread.join(max(seconds, 0.0))
        if self._thread.is_alive():
            raise LateError(f"there was no answer within {seconds:.3g} s")
        if self._error is not None:
            raise self._error
        return self._answer[0]

    def _ask(self) -> None:
        try:
            self._answer.append(self._question())
        except Exception as error:
            self._error = error


def within(seconds: float, question: Callable[[], T]) -> T:
    """The answer. Raises what the question raises, and `LateError` after so many seconds."""
    return Asked(question).answer(seconds)


def silent(questions: Mapping[str, Callable[[], object]], seconds: float) -> frozenset[str]:
    """The names of those that do not answer, all asked at once. An error is an answer."""
    asked = {name: Asked(question) for name, question in questions.items()}
    until = time.monotonic() + seconds
    found = set()
    for name, each in asked.items():
        try:
            each.answer(until - time.monotonic())
        except LateError:
            found.add(name)
        except Exception:  # noqa: S110 (whoever needs the answer asks again, and hears of it then)
            pass
    return frozenset(found)
