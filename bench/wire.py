"""Counts storage calls at the wire: a proxy in front of Azurite that parses every request.

Whatever an SDK does by itself (a second request for a download, a retry) is counted, and nothing
has to be believed. Shared-key signatures cover the path, not the port, so they stay good.
"""

from __future__ import annotations

import http.client
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from local.azurite import AzuritePorts, connection_string
from local.ports import LOOPBACK

_SERVICES = ("blob", "queue", "table")
_MESSAGE = re.compile(rb"<QueueMessage>")
_PER_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


class CountingProxy:
    """Stands in front of the three services; `connection_string` leads through it."""

    def __init__(self, behind: AzuritePorts) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._servers = [_Server(service, getattr(behind, service), self) for service in _SERVICES]
        self.ports = AzuritePorts(*(server.server_port for server in self._servers))
        self.connection_string = connection_string(self.ports)

    def counts(self) -> dict[str, int]:
        """Requests since `clear()`, by what they do, such as `table get mails`.

        Asking a queue that turns out to be empty is `queue poll`: it belongs to no mail.
        """
        with self._lock:
            return dict(sorted(self._counts.items()))

    def clear(self) -> None:
        """Count from zero."""
        with self._lock:
            self._counts.clear()

    def count(self, what: str) -> None:
        """One more."""
        with self._lock:
            self._counts[what] += 1

    def __enter__(self) -> CountingProxy:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, service: str, behind: int, proxy: CountingProxy) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.service = service
        self.behind = behind
        self.proxy = proxy


class _Handler(BaseHTTPRequestHandler):
    """One client's connection, with one of its own to Azurite."""

    protocol_version = "HTTP/1.1"
    server: _Server
    # Small answers must not wait for more.
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        self._upstream = http.client.HTTPConnection(LOOPBACK, self.server.behind, timeout=60)

    def finish(self) -> None:
        self._upstream.close()
        super().finish()

    def _relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer, content = self._ask(body)
        self.server.proxy.count(operation(self.server.service, self.command, self.path, content))
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _PER_HOP:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        if answer.status not in (204, 304):
            self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def _ask(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        upstream = self._upstream
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("connection", "expect"):
                upstream.putheader(name, value)
        upstream.endheaders(body)
        answer = upstream.getresponse()
        return answer, answer.read()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = do_MERGE = _relay

    def log_message(self, *args: object) -> None:
        """Nothing: the counts say it."""


def operation(service: str, method: str, target: str, answer: bytes) -> str:
    """What a request does, without the names of messages, rows and blobs in it."""
    parts = target.partition("?")[0].strip("/").split("/")[1:]
    name = parts[0].partition("(")[0] if parts else ""
    if service == "queue":
        return _queue_operation(method, name, parts, answer)
    if service == "table":
        listing = method == "GET" and "()" in parts[0] and "=" not in parts[0]
        verbs = {"POST": "insert", "PUT": "replace", "PATCH": "merge", "DELETE": "delete"}
        return f"table {'query' if listing else verbs.get(method, method.lower())} {name}"
    return f"blob {method.lower()} {name}"


def _queue_operation(method: str, name: str, parts: list[str], answer: bytes) -> str:
    if "messages" not in parts:
        return f"queue {method.lower()} {name}"
    if method == "GET":
        return f"queue receive {name}" if _MESSAGE.search(answer) else f"queue poll {name}"
    verbs = {"POST": "put", "PUT": "update", "DELETE": "delete"}
    return f"queue {verbs.get(method, method.lower())} {name}"
