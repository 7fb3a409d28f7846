"""Calls that are made again after a pause, where the fault is likely to be temporary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def retried(
    call: Callable[[], T],
    pauses: Sequence[float],
    wait: Callable[[Exception], float | None],
    sleep: Callable[[float], None],
) -> T:
    """The result of a call that is made up to once more for each pause.

    `pauses` are seconds. `wait` says of an error how long the remote asks to wait at least, in
    seconds; None for an error after which the call is not made again. Raises the last error.
    """
    for pause in pauses:
        try:
            return call()
        except Exception as error:
            least = wait(error)
            if least is None:
                raise
        sleep(max(pause, least))
    return call()
