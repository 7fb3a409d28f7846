"""The HTTP types of all simulated services: request, response, route.

Handlers are plain functions from `Request` to `Response`, so that rules can be tested without a
socket. `server.py` has the sockets and TLS; `faults.py` decides about faults around a handler.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class Request:
    """One HTTP request. Header names are lower case; the path is percent-decoded."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    base_url: str
    """Scheme, host and port that the client used, without a trailing slash."""
    params: Mapping[str, str] = field(default_factory=dict)
    """The values of the route's placeholders."""

    def json(self) -> Any:
        """The body as JSON. Raises ValueError if it is not JSON."""
        return json.loads(self.body)

    def form(self) -> dict[str, str]:
        """The body as `application/x-www-form-urlencoded`; the first value of a name counts."""
        pairs = parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)
        return dict(reversed(pairs))


@dataclass(frozen=True)
class Response:
    """One HTTP answer. `headers` may repeat a name."""

    status: int
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()

    @classmethod
    def of_json(
        cls, status: int, document: object, headers: Sequence[tuple[str, str]] = ()
    ) -> Response:
        """A JSON answer."""
        return cls(
            status,
            json.dumps(document).encode(),
            (("Content-Type", "application/json; charset=utf-8"), *headers),
        )

    @classmethod
    def of_html(cls, status: int, page: str, headers: Sequence[tuple[str, str]] = ()) -> Response:
        """A page for people."""
        return cls(status, page.encode(), (("Content-Type", "text/html; charset=utf-8"), *headers))


Handler = Callable[[Request], Response]


@dataclass(frozen=True)
class Route:
    """One operation. Faults and counters use its `name`, such as `graph.send_mail`.

    `template` is a path with placeholders: `{x}` matches one segment, `{x:path}` the rest. Paths
    are compared without case, as Microsoft's services do.
    """

    name: str
    method: str
    template: str
    handler: Handler

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The placeholders' values, or None if this route does not serve the request."""
        if method != self.method:
            return None
        found = _pattern(self.template).fullmatch(path)
        return found.groupdict() if found else None


_patterns: dict[str, re.Pattern[str]] = {}


def _pattern(template: str) -> re.Pattern[str]:
    if template not in _patterns:
        parts = re.split(r"(\{\w+(?::path)?\})", template)
        expression = "".join(
            re.escape(part)
            if not part.startswith("{")
            else f"(?P<{part[1:-1].removesuffix(':path')}>{'.+' if ':path' in part else '[^/]+'})"
            for part in parts
        )
        _patterns[template] = re.compile(expression, re.IGNORECASE)
    return _patterns[template]
