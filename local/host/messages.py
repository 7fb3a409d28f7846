"""HTTP requests and responses as the host passes them on.

azure-functions-host `GrpcMessageConversionExtensions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from local.host import percent


@dataclass(frozen=True)
class Request:
    """One call as it was received: `path` without dot segments, otherwise as it was sent. The body
    is empty if no Content-Length announced it."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Response:
    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)


def joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Header names in lower case, repeated headers joined with commas."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name.lower(), []).append(value)
    return {name: ",".join(values) for name, values in found.items()}


def query_parameters(query: str) -> dict[str, str]:
    """Repeated names (without regard to case) joined with commas, empty values dropped."""
    spelling: dict[str, str] = {}
    found: dict[str, list[str]] = {}
    for name, value in percent.pairs(query):
        if value:
            found.setdefault(spelling.setdefault(name.lower(), name), []).append(value)
    return {name: ",".join(values) for name, values in found.items()}


def first_value(query: str, name: str) -> str | None:
    return next((value for key, value in percent.pairs(query) if key.lower() == name), None)


def url_of(request: Request) -> str:
    """The URL that a function sees, percent-encoded as it was sent. Raises ValueError if
    X-Forwarded-Proto is not one scheme.

    A caller can forge scheme and host; in the cloud the platform's front end overwrites them
    (azure-functions-host, `AppServiceHeaderFixupMiddleware`).
    """
    scheme = request.headers.get("x-forwarded-proto") or "http"
    if not scheme.isalpha():
        # Two proxies write "https,https", with which the real host fails (#5198).
        raise ValueError("X-Forwarded-Proto is not one scheme")
    host = request.headers.get("disguised-host") or request.headers.get("host", "localhost")
    query = f"?{request.query}" if request.query else ""
    return f"{scheme}://{host}{request.path}{query}"
