"""The HTTP types of all simulated services: request, response, route.

Handlers are plain functions from `Request` to `Response`, so that rules can be tested without a
socket. `server.py` has the sockets and TLS; `faults.py` decides about faults around a handler.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

GRAPH_VERSIONS = ("v1.0", "beta")


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
    repeated: frozenset[str] = frozenset()
    """The names that the query has more than once; `query` has the first value of each."""

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
    unsupported: str | None = None
    """What of the request is not simulated, for the request log; None if all of it is."""

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

    `template` is a path with placeholders: `{x}` matches one segment, `{x:path}` the rest, and
    `<a|b>` matches either of several parts. A placeholder `{x_literal}` is the text of an OData
    string, and its value is that of `x`. Paths are compared without case, as Microsoft's services
    do. The method `*` matches any method for which there is no other route.
    """

    name: str
    method: str
    template: str
    handler: Handler

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The placeholders' values, or None if this route does not serve the request."""
        if self.method not in (method, "*"):
            return None
        found = _pattern(self.template).fullmatch(path)
        return _values(found) if found else None


def _values(found: re.Match[str]) -> dict[str, str]:
    """A literal has an apostrophe twice (OData 4.01, URL conventions, 5.1.1.6.2)."""
    return {
        name.removesuffix(_LITERAL): value.replace("''", "'") if name.endswith(_LITERAL) else value
        for name, value in found.groupdict().items()
        if value is not None
    }


def query_of(text: str) -> tuple[dict[str, str], frozenset[str]]:
    """The query's values by name, the first of each, and the names that are repeated."""
    pairs = parse_qsl(text, keep_blank_values=True)
    counts = Counter(name for name, _ in pairs)
    return dict(reversed(pairs)), frozenset(name for name, count in counts.items() if count > 1)


def path_of(raw: str) -> str:
    """The decoded path of a request. Graph takes a path with empty segments as the path without
    them: every call of msgraph-sdk for Python has one, `/v1.0//users/...`."""
    segments = [one for one in raw.split("/") if one]
    if segments and segments[0].lower() in GRAPH_VERSIONS:
        return unquote("/" + "/".join(segments))
    return unquote(raw)


_LITERAL = "_literal"
_MARKS = {"<": "(?:", "|": "|", ">": ")"}
_patterns: dict[str, re.Pattern[str]] = {}


def _pattern(template: str) -> re.Pattern[str]:
    if template not in _patterns:
        parts = re.split(r"(\{\w+(?::path)?\}|[<|>])", template)
        _patterns[template] = re.compile("".join(map(_expression, parts)), re.IGNORECASE)
    return _patterns[template]


def _expression(part: str) -> str:
    if part in _MARKS:
        return _MARKS[part]
    if not part.startswith("{"):
        return re.escape(part)
    name = part[1:-1].removesuffix(":path")
    return f"(?P<{name}>{'.+' if part.endswith(':path}') else '[^/]+'})"
