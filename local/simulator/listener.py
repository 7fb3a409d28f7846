"""One listening port of the loopback interface, with a thread for each connection."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable

from local.simulator.connection import serve
from local.simulator.wire import Request, Response

LOOPBACK = "127.0.0.1"
HANDSHAKE_SECONDS = 20.0
BACKLOG = 512
STOP_CHECK_SECONDS = 0.1


class Listener:
    """Accepts connections until it is stopped. With a TLS context it serves https."""

    def __init__(
        self, port: int, answer: Callable[[Request], Response], tls: ssl.SSLContext | None = None
    ) -> None:
        self._answer = answer
        self._tls = tls
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._socket = socket.create_server((LOOPBACK, port), backlog=BACKLOG)
        self._socket.settimeout(STOP_CHECK_SECONDS)
        self.port: int = self._socket.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, name="accept", daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._accepting.start()

    def stop(self) -> None:
        """Accept no more connections, end the open ones, and wait for the threads."""
        self._stopping.set()
        if self._accepting.is_alive():
            self._accepting.join()
        self._socket.close()
        with self._lock:
            sockets, threads = list(self._open), list(self._threads)
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(2)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            thread = threading.Thread(target=self._converse, args=(sock,), daemon=True)
            with self._lock:
                self._open.add(sock)
                self._threads.add(thread)
            thread.start()

    def _converse(self, raw: socket.socket) -> None:
        sock: socket.socket | None = raw
        try:
            sock = self._secured(raw)
            if sock is not None:
                serve(sock, "http" if self._tls is None else "https", self._answer)
        finally:
            raw.close()
            with self._lock:
                self._open -= {raw, sock}
                self._threads.discard(threading.current_thread())

    def _secured(self, sock: socket.socket) -> socket.socket | None:
        """The socket with TLS; None if the client refuses the certificate."""
        if self._tls is None:
            return sock
        sock.settimeout(HANDSHAKE_SECONDS)
        try:
            secured = self._tls.wrap_socket(sock, server_side=True)
        except OSError:
            return None
        with self._lock:
            # Wrapping moved the descriptor into the new object.
            self._open.discard(sock)
            self._open.add(secured)
        return secured
