"""The HTTP server: HTTP/1.1 with keep-alive, one thread per connection, loopback only.

It stands for Kestrel: answers are chunked and say `Server: Kestrel`, and have no Content-Length
unless they are empty. The limits are those of Kestrel and the host (azure-functions-host,
`FUNCTIONS_REQUEST_BODY_SIZE_LIMIT`).
"""

from __future__ import annotations

import http
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

from local.host import request_head
from local.host.messages import Request, Response
from local.host.request_head import BadRequest, Head
from local.host.wire import Closed, TooSlow, Wire

Handler = Callable[[Request], Response]

BODY_LIMIT = 104_857_600
_KEEP_ALIVE_SECONDS = 130.0
_HEAD_SECONDS = 30.0
# MinRequestBodyDataRate: bytes a second, after a grace in seconds.
_LEAST_RATE, _GRACE = 240.0, 5.0
# Kestrel reads this long after an early answer, so that the client sees the answer.
_DRAIN_SECONDS = 5.0
_SKIPPED = 1_048_576
_CHUNK = 65_536
_CHUNK_LINE = 1_024
_TRAILERS = 32_768


class Server(ThreadingTCPServer):
    """Shares its port with the other instances; the kernel distributes connections among them."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(
        self, port: int, handler: Handler, may_read: Handler, body_limit: int = BODY_LIMIT
    ) -> None:
        self.handler = handler
        # Answers from the head alone if the body must not be read first (401, 404).
        self.may_read = may_read
        self.body_limit = body_limit
        self.closing = False
        self._connections: dict[socket.socket, bool] = {}
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), Connection, bind_and_activate=False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            self.server_bind()
            self.server_activate()
        except OSError:
            self.server_close()
            raise

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def mark(self, connection: socket.socket, *, busy: bool) -> None:
        with self._lock:
            self._connections[connection] = busy

    def forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.pop(connection, None)

    def stop(self, grace: float) -> None:
        """Accept no more connections, let calls under way finish, and close the others."""
        self.closing = True
        self.shutdown()
        self.server_close()
        self._close_connections(idle_only=True)
        deadline = time.monotonic() + grace
        while self._busy() and time.monotonic() < deadline:
            time.sleep(0.01)
        self._close_connections(idle_only=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do nothing: a connection that breaks is the client's fault, and a message would not
        help."""

    def _busy(self) -> bool:
        with self._lock:
            return any(self._connections.values())

    def _close_connections(self, *, idle_only: bool) -> None:
        with self._lock:
            for connection, busy in self._connections.items():
                if not (idle_only and busy):
                    try:
                        connection.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        continue


class Connection(BaseRequestHandler):
    server: Server
    request: socket.socket

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self._wire = Wire(self.request)
        self.server.mark(self.request, busy=False)
        try:
            while self._next() and not self.server.closing:
                self.server.mark(self.request, busy=False)
        except (Closed, TooSlow, OSError):
            return
        finally:
            self.server.forget(self.request)

    def _next(self) -> bool:
        """Serve one request. Returns whether the connection may have another one."""
        self._wire.allow(_KEEP_ALIVE_SECONDS)
        self._wire.wait()
        if self.server.closing:
            return False
        self.server.mark(self.request, busy=True)
        self._wire.allow(_HEAD_SECONDS)
        try:
            head = request_head.read(self._wire)
        except BadRequest as error:
            return self._give_up(error.status)
        except TooSlow:
            return self._give_up(408)
        self._wire.allow(_KEEP_ALIVE_SECONDS)
        try:
            response = self._answer(head)
        except BadRequest as error:
            return self._give_up(error.status, head)
        except TooSlow:
            # Kestrel breaks the read of the body, and the host makes a 500 of it: seen in Azure.
            return self._give_up(500, head)
        # Without chunks the end of a body is the end of the connection.
        ends_body = head.is_1_0 and bool(response.body)
        keeps_alive = head.keeps_alive and not ends_body and not self.server.closing
        self._write(response, head, keeps_alive=keeps_alive)
        return keeps_alive

    def _answer(self, head: Head) -> Response:
        early = self.server.may_read(head.request)
        if early.status != 200:
            self._skip_body(head, early.status)
            return early
        return self.server.handler(replace(head.request, body=self._read_body(head)))

    def _read_body(self, head: Head) -> bytes:
        """The body as the worker gets it: a body in chunks, without a length, is lost."""
        if head.length is None:
            self._send_continue(head)
            self._discard_chunks()
            return b""
        if head.length > self.server.body_limit:
            # Kestrel breaks the read with a 413, and the host makes a 500 of it: seen in Azure.
            raise BadRequest(500)
        if head.length == 0:
            return b""
        self._send_continue(head)
        return self._wire.body(head.length, _LEAST_RATE, _GRACE)

    def _discard_chunks(self) -> None:
        total = 0
        while True:
            line = self._wire.line(_CHUNK_LINE) or b""
            try:
                size = int(line.split(b";")[0], 16)
            except ValueError:
                raise BadRequest(400) from None
            total += size
            if size < 0 or total > self.server.body_limit:
                raise BadRequest(500)
            self._wire.skip(size)
            if size == 0:
                break
            self._wire.line(8)
        # Trailers end with an empty line.
        while (self._wire.line(_TRAILERS) or b"").strip():
            pass

    def _skip_body(self, head: Head, status: int) -> None:
        """Leave the connection usable after an answer that did not need the body."""
        if head.expects_continue or head.length is None or head.length > _SKIPPED:
            raise BadRequest(status)
        self._wire.skip(head.length)

    def _send_continue(self, head: Head) -> None:
        # Only when the body is about to be read, so that a refused request uploads nothing.
        if head.expects_continue:
            self.request.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _give_up(self, status: int, head: Head | None = None) -> bool:
        """Answer without a body, and close. Data that is not read would destroy the answer."""
        self._write(Response(status), head, keeps_alive=False)
        self.request.shutdown(socket.SHUT_WR)
        self._wire.allow(_DRAIN_SECONDS)
        while True:
            self._wire.some(_CHUNK)

    def _write(self, response: Response, head: Head | None, *, keeps_alive: bool) -> None:
        is_1_0 = head is not None and head.is_1_0
        is_head = head is not None and head.request.method == "HEAD"
        bare = is_head or response.status in (204, 205, 304) or response.status < 200
        lines = [f"HTTP/1.1 {response.status} {_reason(response.status)}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        lines += [f"Date: {formatdate(usegmt=True)}", "Server: Kestrel"]
        chunked = bool(response.body) and not bare and not is_1_0
        if chunked:
            lines.append("Transfer-Encoding: chunked")
        elif not bare and not response.body:
            lines.append("Content-Length: 0")
        if not keeps_alive:
            lines.append("Connection: close")
        start = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        body = b"" if bare else response.body
        # One write, so that head and body of a small answer share a packet.
        self.request.settimeout(_KEEP_ALIVE_SECONDS)
        self.request.sendall(start + (_one_chunk(body) if chunked else body))


def _one_chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def _reason(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""
