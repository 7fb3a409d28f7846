"""Reads what a client sends, with time limits as Kestrel has them."""

from __future__ import annotations

import socket
import time

_CHUNK = 65_536


class Closed(Exception):
    """The client has closed the connection, or broken it."""


class TooSlow(Exception):
    """The client has not sent enough in time."""


class Wire:
    """The receiving side of one connection. Raises Closed and TooSlow."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()
        self.deadline: float | None = None
        """Reading raises TooSlow after this moment of the monotonic clock."""

    def allow(self, seconds: float | None) -> None:
        """Set the deadline, from now."""
        self.deadline = None if seconds is None else time.monotonic() + seconds

    def wait(self) -> None:
        """Until there is something to read."""
        if not self._buffer:
            self._fill()

    def line(self, most: int) -> bytes | None:
        """The next line with its LF; None if it is longer than `most`."""
        searched = 0
        while True:
            end = self._buffer.find(b"\n", searched, most)
            if end >= 0:
                return self._take(end + 1)
            if len(self._buffer) >= most:
                return None
            searched = len(self._buffer)
            self._fill()

    def some(self, most: int) -> bytes:
        """At least one byte, at most so many."""
        if not self._buffer:
            self._fill()
        return self._take(min(most, len(self._buffer)))

    def body(self, length: int, least_rate: float, grace: float) -> bytes:
        """So many bytes. The client has to send `least_rate` bytes a second, after a `grace` in
        seconds."""
        began = time.monotonic()
        data = bytearray(self._take(min(length, len(self._buffer))))
        while len(data) < length:
            self.deadline = began + max(grace, (len(data) + 1) / least_rate)
            self._fill(min(_CHUNK, length - len(data)))
            data += self._take(len(self._buffer))
        self.deadline = None
        return bytes(data)

    def skip(self, length: int) -> None:
        while length > 0:
            length -= len(self.some(min(length, _CHUNK)))

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _fill(self, most: int = _CHUNK) -> None:
        left = None if self.deadline is None else self.deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TooSlow
        try:
            self._connection.settimeout(left)
            received = self._connection.recv(most)
        except TimeoutError:
            raise TooSlow from None
        except OSError:
            raise Closed from None
        if not received:
            raise Closed
        self._buffer += received
