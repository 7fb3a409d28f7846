"""A service that answers as a test says, over real HTTP, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Reply:
    """An answer; with status 0 the connection breaks off instead."""

    status: int
    document: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Service:
    """Where it is, what it was asked, and what it will say: the last reply stays."""

    url: str
    replies: list[Reply]
    asked: list[Asked] = field(default_factory=list)

    @property
    def methods(self) -> list[str]:
        """Of all requests, in their order."""
        return [one.method for one in self.asked]


@contextlib.contextmanager
def answering(*replies: Reply) -> Iterator[Service]:
    """A service on a free port."""
    service = Service("", list(replies))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            service.asked.append(Asked(self.command, self.path, dict(self.headers), body))
            reply = service.replies.pop(0) if len(service.replies) > 1 else service.replies[0]
            if reply.status == 0:
                self.close_connection = True
                return
            content = reply.content or (
                b"" if reply.document is None else json.dumps(reply.document).encode()
            )
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing: what was asked is remembered."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
