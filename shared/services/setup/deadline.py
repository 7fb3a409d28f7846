"""Answers that a person waits for: all questions together take no longer than the time that is
left.

The adapters have limits of their own, but they try again, which is right for a mail and too long
for a page. A question that is not answered in time continues in its own thread, and the page does
not wait for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from shared.errors import NotSent

T = TypeVar("T")
_NAMES = {"vault": "Key Vault", "entra": "Entra", "mailbox": "The mailbox"}


class Deadline:
    """A number of seconds for all questions together."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def ask(self, system: str, question: Callable[[], T]) -> T:
        """The answer. Raises the errors of the question, and NotSent when the time is over.
        `system` is `vault`, `entra` or `mailbox`. The question may still run after that, so it must
        change nothing."""
        answers: SimpleQueue[tuple[T] | Exception] = SimpleQueue()

        def run() -> None:
            try:
                answers.put((question(),))
            except Exception as error:  # noqa: BLE001 - handed to whoever waits
                answers.put(error)

        Thread(target=run, daemon=True, name=f"ask-{system}").start()
        try:
            answer = answers.get(timeout=max(self._until - time.monotonic(), 0.0))
        except Empty:
            raise NotSent(
                system, f"{_NAMES[system]} did not answer within {self._seconds:g} seconds."
            ) from None
        if isinstance(answer, Exception):
            raise answer
        return answer[0]
