"""HTTP/1.1 on one socket: keep-alive, chunked request bodies, and intended resets."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable
from http import HTTPStatus
from io import BufferedReader

from local.simulator.dispatch import ResetConnection
from local.simulator.wire import Request, Response, path_of, query_of

MAX_BODY = 200 * 1024 * 1024
MAX_LINE = 64 * 1024
MAX_HEADERS = 200
IDLE_SECONDS = 300.0


class BadRequest(Exception):
    """The data is not HTTP, or is too large; `status` says which."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def serve(sock: socket.socket, scheme: str, answer: Callable[[Request], Response]) -> None:
    """Answer requests until either side closes the connection. Closes the socket."""
    sock.settimeout(IDLE_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader = sock.makefile("rb")
    try:
        # A client may leave at any moment; this is not an error.
        with contextlib.suppress(OSError, BadRequest):
            while _serve_one(sock, reader, scheme, answer):
                pass
    except ResetConnection:
        # Closing with a linger time of zero sends RST: this is how an answer is lost.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    finally:
        with contextlib.suppress(OSError):
            reader.close()
        sock.close()


def _serve_one(
    sock: socket.socket, reader: BufferedReader, scheme: str, answer: Callable[[Request], Response]
) -> bool:
    line = _line(reader)
    if not line:
        return False
    try:
        method, target, version = line.split(" ")
    except ValueError:
        _send(sock, Response(400), keep=False)
        return False
    headers = _headers(reader)
    try:
        request = _request(sock, reader, scheme, method, target, headers)
    except BadRequest as bad:
        _send(sock, Response(bad.status), keep=False)
        return False
    connection = headers.get("connection", "").lower()
    keep = version == "HTTP/1.1" and connection != "close"
    _send(sock, answer(request), keep=keep, head_only=method == "HEAD")
    return keep


def _request(
    sock: socket.socket,
    reader: BufferedReader,
    scheme: str,
    method: str,
    target: str,
    headers: dict[str, str],
) -> Request:
    path, _, query = target.partition("?")
    if headers.get("expect", "").lower() == "100-continue":
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = _body(reader, headers)
    values, repeated = query_of(query)
    host = headers.get("host") or f"localhost:{sock.getsockname()[1]}"
    return Request(
        method=method,
        path=path_of(path),
        query=values,
        headers=headers,
        body=body,
        base_url=f"{scheme}://{host}",
        repeated=repeated,
    )


def _line(reader: BufferedReader) -> str:
    line = reader.readline(MAX_LINE + 1)
    if len(line) > MAX_LINE:
        raise BadRequest(431)
    return line.decode("latin-1").rstrip("\r\n")


def _headers(reader: BufferedReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(MAX_HEADERS):
        line = _line(reader)
        if not line:
            return headers
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), value.strip())
    raise BadRequest(431)


def _body(reader: BufferedReader, headers: dict[str, str]) -> bytes:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return _chunks(reader)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise BadRequest(400)
    return _exactly(reader, int(length))


def _chunks(reader: BufferedReader) -> bytes:
    body = bytearray()
    while True:
        try:
            size = int(_line(reader).partition(";")[0], 16)
        except ValueError as error:
            raise BadRequest(400) from error
        if len(body) + size > MAX_BODY:
            raise BadRequest(413)
        if size == 0:
            while _line(reader):
                pass
            return bytes(body)
        body += _exactly(reader, size)
        _line(reader)


def _exactly(reader: BufferedReader, size: int) -> bytes:
    if size > MAX_BODY:
        raise BadRequest(413)
    content = reader.read(size) if size else b""
    if len(content) < size:
        # The client left in the middle of its request.
        raise ConnectionAbortedError
    return content


def _send(sock: socket.socket, response: Response, *, keep: bool, head_only: bool = False) -> None:
    lines = [f"HTTP/1.1 {response.status} {_phrase(response.status)}"]
    lines += [f"{_clean(name)}: {_clean(value)}" for name, value in response.headers]
    if response.status not in (204, 304):
        lines.append(f"Content-Length: {len(response.body)}")
    if not keep:
        lines.append("Connection: close")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
    sock.sendall(head if head_only else head + response.body)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _clean(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")
