"""Answers that a person waits for: whoever is asked may take only what is left of the time.

The adapters have limits of their own, but try again, which is right for a mail and too long for a
page. What does not answer in time is left to end by itself, in a thread that nobody waits for.
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
    """A number of seconds for everything that is asked with it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def ask(self, system: str, question: Callable[[], T]) -> T:
        """The answer; raises what the question raises, and NotSent when the time is over.

        `system` is `vault`, `entra` or `mailbox`. The question may still be under way then, so it
        must be one that changes nothing.
        """
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
