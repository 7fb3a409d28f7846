"""Objects over a socket between a host and its worker, both ends of which are this package."""

from __future__ import annotations

import pickle
import socket
import struct
import threading

_LENGTH = struct.Struct("!Q")
_TOGETHER = 65_536


class Channel:
    """Any thread may send; one thread receives."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def send(self, message: object) -> None:
        """Raises OSError once the other end is gone."""
        data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
        head = _LENGTH.pack(len(data))
        with self._sending:
            if len(data) < _TOGETHER:
                self._connection.sendall(head + data)
            else:
                self._connection.sendall(head)
                self._connection.sendall(data)

    def receive(self) -> object | None:
        """The next message; None once the other end is gone."""
        head = self._exactly(_LENGTH.size)
        data = None if head is None else self._exactly(_LENGTH.unpack(head)[0])
        # Both ends are processes of this host, over a socket that nobody else can open.
        return None if data is None else pickle.loads(data)  # noqa: S301

    def close(self) -> None:
        """Wakes a thread that waits in `receive`, here and at the other end."""
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
        finally:
            self._connection.close()

    def _exactly(self, size: int) -> bytearray | None:
        data = bytearray(size)
        view, filled = memoryview(data), 0
        while filled < size:
            try:
                count = self._connection.recv_into(view[filled:])
            except OSError:
                return None
            if count == 0:
                return None
            filled += count
        return data
