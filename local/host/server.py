"""The HTTP server: HTTP/1.1 with keep-alive, one thread per connection, loopback only.

The limits are those of Kestrel and the host: request line 8,192 bytes, headers 32 KiB and 100 of
them, body 104,857,600 bytes (azure-functions-host, `FUNCTIONS_REQUEST_BODY_SIZE_LIMIT`).
"""

from __future__ import annotations

import http
import socket
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any

from local.host.messages import Request, Response, joined

Handler = Callable[[Request], Response]

BODY_LIMIT = 104_857_600
_REQUEST_LINE_LIMIT = 8_192
_QUERY_LIMIT = 4_096
_HEADERS_LIMIT = 32_768
# Kestrel reads this long after an early answer, so that the client sees the answer.
_DRAIN_SECONDS = 5.0
_CHUNK = 65_536


class BadRequest(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


class Server(ThreadingTCPServer):
    """Shares its port with the other workers; the kernel distributes connections among them."""

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


class Connection(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # Kestrel's keep-alive time-out; also bounds how long a read may hang.
    timeout = 130

    def handle(self) -> None:
        self.server.mark(self.connection, busy=False)
        try:
            self.close_connection = False
            while not self.close_connection:
                self.handle_one_request()
        finally:
            self.server.forget(self.connection)

    def handle_one_request(self) -> None:
        self._continue_expected = False
        try:
            self.raw_requestline = self.rfile.readline(_REQUEST_LINE_LIMIT + 1)
            if not self.raw_requestline or self.server.closing:
                self.close_connection = True
                return
            self.server.mark(self.connection, busy=True)
            self._serve()
        except OSError:
            self.close_connection = True
        finally:
            self.server.mark(self.connection, busy=False)
            self.close_connection = self.close_connection or self.server.closing

    def handle_expect_100(self) -> bool:
        # Sent only when the body is about to be read, so that a refused request uploads nothing.
        self._continue_expected = True
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self.close_connection = True
        self._write(Response(code))

    def _serve(self) -> None:
        if len(self.raw_requestline) > _REQUEST_LINE_LIMIT:
            self.command, self.request_version = "", "HTTP/1.1"
            self.send_error(414)
        elif self.parse_request():
            try:
                self._write(self._answer())
            except BadRequest as error:
                self.close_connection = True
                self._write(Response(error.status))
                self._drain()

    def _answer(self) -> Response:
        head = self._head()
        early = self.server.may_read(head)
        if early.status != 200:
            self._skip_body(head)
            return early
        body = self._read_body(head)
        return self.server.handler(Request(head.method, head.path, head.query, head.headers, body))

    def _head(self) -> Request:
        if sum(len(name) + len(value) for name, value in self.headers.items()) > _HEADERS_LIMIT:
            raise BadRequest(431)
        path, _, query = self.path.partition("?")
        if path.startswith(("http://", "https://")):
            path = "/" + path.split("/", 3)[3] if path.count("/") > 2 else "/"
        if len(query) > _QUERY_LIMIT:
            raise BadRequest(414)
        return Request(self.command, path, query, joined(self.headers.items()))

    def _read_body(self, head: Request) -> bytes:
        """The body as the worker gets it: a body in chunks, without a length, is lost."""
        if "chunked" in head.headers.get("transfer-encoding", "").lower():
            self._send_continue()
            self._discard_chunks()
            return b""
        length = self._content_length(head)
        if length > self.server.body_limit:
            raise BadRequest(413)
        if length == 0:
            return b""
        self._send_continue()
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionResetError
        return body

    def _content_length(self, head: Request) -> int:
        text = head.headers.get("content-length", "0")
        if not text.isdigit():
            raise BadRequest(400)
        return int(text)

    def _discard_chunks(self) -> None:
        total = 0
        while True:
            line = self.rfile.readline(1024)
            try:
                size = int(line.split(b";")[0], 16)
            except ValueError:
                raise BadRequest(400) from None
            total += size
            if total > self.server.body_limit:
                raise BadRequest(413)
            self._discard(size)
            if size == 0:
                break
            self.rfile.readline(8)
        # Trailers end with an empty line.
        while self.rfile.readline(_HEADERS_LIMIT).strip():
            pass

    def _discard(self, size: int) -> None:
        while size > 0:
            read = len(self.rfile.read(min(size, _CHUNK)))
            if read == 0:
                raise ConnectionResetError
            size -= read

    def _skip_body(self, head: Request) -> None:
        """Leave the connection usable after an answer that did not need the body."""
        chunked = "transfer-encoding" in head.headers
        if self._continue_expected or chunked or self._content_length(head) > 1_048_576:
            raise BadRequest(self.server.may_read(head).status)
        self._discard(self._content_length(head))

    def _send_continue(self) -> None:
        if self._continue_expected:
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _drain(self) -> None:
        """Read for a while before closing: closing with unread data would destroy the answer."""
        self.connection.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + _DRAIN_SECONDS
        self.connection.settimeout(0.5)
        while time.monotonic() < deadline and self.rfile.read1(_CHUNK):
            pass

    def _write(self, response: Response) -> None:
        if self.server.closing:
            self.close_connection = True
        empty = response.status in (204, 304) or response.status < 200
        lines = [f"HTTP/1.1 {response.status} {_reason(response.status)}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        lines.append(f"Date: {formatdate(usegmt=True)}")
        if not empty:
            lines.append(f"Content-Length: {len(response.body)}")
        if self.close_connection:
            lines.append("Connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        # One write, so that head and body of a small answer share a packet.
        self.wfile.write(head if empty or self.command == "HEAD" else head + response.body)


def _reason(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""
