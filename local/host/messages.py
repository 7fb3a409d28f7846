"""HTTP requests and responses in the form that the real host and a Python function exchange.

Host side: azure-functions-host `GrpcMessageConversionExtensions`; worker side: azure-functions
`http.py`, whose converters are used as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import azure.functions as func
from azure.functions import http as converters
from azure.functions.meta import Datum

from local.host import cookies
from local.host.routes import decoded_path

# The server itself handles lengths and connections.
_HOP_HEADERS = {"content-length", "transfer-encoding", "connection", "keep-alive", "server"}


@dataclass(frozen=True)
class Request:
    """One call as it was received; the body is empty if no Content-Length announced it."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def parameters(self) -> dict[str, str]:
        return query_parameters(self.query)


@dataclass(frozen=True)
class Response:
    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)


def joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Header names in lower case, repeated headers joined with commas."""
    result: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        result[key] = f"{result[key]},{value}" if key in result else value
    return result


def query_parameters(query: str) -> dict[str, str]:
    """Repeated names (without regard to case) joined with commas, empty values dropped."""
    result: dict[str, str] = {}
    spelling: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=False):
        key = spelling.setdefault(name.lower(), name)
        result[key] = f"{result[key]},{value}" if key in result else value
    return result


def first_value(query: str, name: str) -> str | None:
    return next((value for key, value in parse_qsl(query) if key.lower() == name), None)


def scheme_and_host(headers: Mapping[str, str]) -> tuple[str, str]:
    """Scheme and host of a request. A caller can forge both; in the cloud the platform's front end
    overwrites them.

    azure-functions-host, `AppServiceHeaderFixupMiddleware`.
    """
    scheme = headers.get("x-forwarded-proto") or "http"
    if not scheme.isalpha():
        # Two proxies write "https,https", with which the real host fails (#5198).
        raise ValueError("X-Forwarded-Proto is not one scheme")
    return scheme, headers.get("disguised-host") or headers.get("host", "localhost")


def to_function(request: Request, route_parameters: Mapping[str, str]) -> func.HttpRequest:
    scheme, host = scheme_and_host(request.headers)
    url = f"{scheme}://{host}{decoded_path(request.path)}"
    if request.query:
        url += f"?{request.query}"
    value = {
        "method": _text(request.method),
        "url": _text(url),
        "headers": _texts(request.headers),
        "query": _texts(request.parameters),
        "params": _texts(route_parameters),
        "body": Datum(request.body, "bytes"),
    }
    message: func.HttpRequest = converters.HttpRequestConverter.decode(
        Datum(value, "http"), trigger_metadata={}
    )
    return message


def from_function(returned: Any) -> Response:
    """The response for a function's return value. Raises an error for a value that the worker
    cannot encode."""
    if returned is None:
        # "204 No Content with an empty body", functions-bindings-http-webhook-output
        return Response(204)
    datum = converters.HttpResponseConverter.encode(returned, expected_type=None)
    if datum.type == "string":
        content_type = ("Content-Type", "text/plain; charset=utf-8")
        return Response(200, (content_type,), datum.value.encode())
    value = datum.value
    # The worker passes headers as a map: of several with the same name only the last remains.
    last = {name.lower(): (name, each.value) for name, each in value["headers"].items()}
    headers = [pair for name, pair in last.items() if name not in _HOP_HEADERS]
    headers += [("Set-Cookie", cookie) for cookie in cookies.rebuilt(value["cookies"] or ())]
    for name, text in headers:
        _check_header(name, text)
    return Response(int(value["status_code"].value), tuple(headers), value["body"].value)


def _check_header(name: str, value: str) -> None:
    # Kestrel refuses control and non-ASCII characters in response headers.
    if not name.isascii() or not value.isascii() or not (name + value).isprintable():
        raise ValueError(f"the response header {name!r} has a character that cannot be sent")


def _text(value: str) -> Datum:
    return Datum(value, "string")


def _texts(values: Mapping[str, str]) -> dict[str, Datum]:
    return {name: _text(value) for name, value in values.items()}
