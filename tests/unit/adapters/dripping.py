"""A server that sends a byte now and then, so that no time-out of a socket is ever met."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def dripping(
    at_once: bytes, slowly: bytes, *, context: ssl.SSLContext | None = None
) -> Iterator[int]:
    """A port that answers each request with one text, and then byte for byte with another; over TLS
    with a context."""
    ended = threading.Event()

    def answer(raw: socket.socket) -> None:
        try:
            connection = context.wrap_socket(raw, server_side=True) if context else raw
        except OSError:
            return
        with connection:
            try:
                connection.recv(65536)
                connection.sendall(at_once)
                for at in range(len(slowly)):
                    if ended.wait(0.1):
                        return
                    connection.sendall(slowly[at : at + 1])
            except OSError:
                return

    def serve(listener: socket.socket) -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        ended.set()
