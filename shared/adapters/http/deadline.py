"""Deadlines for whole answers.

The time-outs of sockets limit the pause between two bytes: a server that sends one byte every two
seconds never meets them. A deadline limits the whole: when it has passed, the connection that its
thread uses is shut down, and the thread's read or write fails at once.

`with deadline(10.0):` covers all requests that the thread makes in the block, over pools of
`shared.adapters.http.connections`. A deadline within another one never ends later than that.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

CHECK_SECONDS = 0.25
"""How often running deadlines are compared with the clock."""
IDLE_CHECKS = 40
"""After so many checks without a running deadline the watching thread ends."""

_of_thread = threading.local()


class Deadline:
    """The end of what one thread does now."""

    def __init__(self, ends: float, outer: Deadline | None = None) -> None:
        """`ends`: on the clock of `time.monotonic`; `outer`: the one around this one."""
        self.ends: float = ends if outer is None else min(ends, outer.ends)
        self.passed = False
        """Whether it has passed and its connection was shut down."""
        self._outer = outer
        self._connection: Any = None
        self._lock = threading.Lock()

    @property
    def left_seconds(self) -> float:
        """Until it passes; 0 afterwards."""
        return max(self.ends - time.monotonic(), 0.0)

    def attach(self, connection: Any) -> None:
        """This connection is in use by the thread; its `used_sock` is shut down when the deadline
        passes. It stays attached to outer deadlines when this one is over: an answer that is
        streamed is read then.

        Raises TimeoutError where the deadline has passed already.
        """
        if self._outer is not None:
            self._outer.attach(connection)
        with self._lock:
            if self.passed or not self.left_seconds:
                self.passed = True
                raise TimeoutError("the deadline of the whole answer has passed")
            self._connection = connection

    def detach(self, connection: Any) -> None:
        """The connection is not in use any more: another thread may take it."""
        if self._outer is not None:
            self._outer.detach(connection)
        with self._lock:
            if self._connection is connection:
                self._connection = None

    def enforce(self) -> None:
        """Shut the connection down. A connection without a socket yet is met by a later call."""
        with self._lock:
            self.passed = True
            sock = getattr(self._connection, "used_sock", None)
            if sock is not None:
                with suppress(OSError):  # closed meanwhile
                    # That of an SSLSocket would also end its encryption, and the reading thread
                    # could take encrypted bytes for an answer.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _Watch:
    """One thread that enforces the deadlines of all others. It ends when there were none for a while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[Deadline] = set()
        self._is_watched = False

    def add(self, one: Deadline) -> None:
        with self._lock:
            self._running.add(one)
            if self._is_watched:
                return
            self._is_watched = True
        threading.Thread(target=self._watch, name="postroom-deadlines", daemon=True).start()

    def remove(self, one: Deadline) -> None:
        with self._lock:
            self._running.discard(one)

    def _watch(self) -> None:
        idle = 0
        while True:
            time.sleep(CHECK_SECONDS)
            now = time.monotonic()
            with self._lock:
                idle = 0 if self._running else idle + 1
                if idle > IDLE_CHECKS:
                    self._is_watched = False
                    return
                passed = [one for one in self._running if one.ends <= now]
            for one in passed:
                one.enforce()


_watch = _Watch()


@contextmanager
def deadline(seconds: float) -> Iterator[Deadline]:
    """All requests of this thread within the block together take no longer than `seconds`.

    What is cut off fails as a broken connection does. The block itself is not interrupted where it
    computes or sleeps.
    """
    outer = current()
    one = Deadline(time.monotonic() + seconds, outer)
    _of_thread.deadline = one
    _watch.add(one)
    try:
        yield one
    finally:
        _of_thread.deadline = outer
        _watch.remove(one)


def current() -> Deadline | None:
    """The innermost deadline of this thread."""
    found: Deadline | None = getattr(_of_thread, "deadline", None)
    return found
