"""Name look-ups that are not waited for without end.

The resolver of the operating system cannot be interrupted, and can take a minute where its servers
do not answer. A look-up therefore has a thread of its own; a thread that is left behind is counted
until it ends.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from shared.errors import NotSent
from shared.telemetry import event

_lock = threading.Lock()
_left_behind = 0


def left_behind() -> int:
    """How many threads still wait for an answer that nobody waits for any more."""
    with _lock:
        return _left_behind


def probe() -> None:
    """Raises NotSent where look-ups were left behind and have not ended."""
    count = left_behind()
    if count:
        raise NotSent(
            "dns",
            f"{count} name look-up(s) have not ended. The app's DNS servers do not answer: check "
            "those of its virtual network, or restart the app.",
        )


def addresses_of(host: str, port: int, seconds: float) -> Sequence[str]:
    """The addresses of a host, in the order in which they are to be tried.

    Raises OSError: `socket.gaierror` where the resolver says no, TimeoutError where it does not
    answer within `seconds`.
    """
    look_up = _LookUp(host, port)
    threading.Thread(target=look_up.run, name="postroom-look-up", daemon=True).start()
    return look_up.result(seconds)


class _LookUp:
    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._answers: SimpleQueue[list[str] | OSError] = SimpleQueue()
        self._is_left_behind = False
        self._has_ended = False

    def run(self) -> None:
        global _left_behind
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            self._answers.put(list(dict.fromkeys(str(address[0]) for *_, address in found)))
        except (OSError, UnicodeError) as error:
            self._answers.put(error if isinstance(error, OSError) else OSError(str(error)))
        finally:
            with _lock:
                self._has_ended = True
                _left_behind -= self._is_left_behind

    def result(self, seconds: float) -> Sequence[str]:
        global _left_behind
        try:
            answer = self._answers.get(timeout=max(seconds, 0.0))
        except Empty:
            with _lock:
                self._is_left_behind = not self._has_ended
                _left_behind += self._is_left_behind
                count = _left_behind
            event("name_look_up_left_behind", level=logging.WARNING, count=count)
            raise TimeoutError("the resolver does not answer") from None
        if isinstance(answer, OSError):
            raise answer
        return answer
