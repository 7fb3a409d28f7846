"""Request line and headers, read as strictly as Kestrel reads them.

What is read how was seen in the real host (section 11.2). RFC 9112 has the grammar; Kestrel's limits:
https://learn.microsoft.com/dotnet/api/microsoft.aspnetcore.server.kestrel.core.kestrelserverlimits
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from local.host import percent
from local.host.messages import Request, joined
from local.host.wire import Wire

REQUEST_LINE = 8_192
_HEADERS = 32_768
_COUNT = 100
_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/1\.([01])\r\n")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ABSOLUTE = re.compile(r"https?://[^/?]+", re.IGNORECASE)
_FORBIDDEN = re.compile(rb"[\0\r]")


class BadRequest(Exception):
    """The connection is answered with this status and closed, without a call of any function."""

    def __init__(self, status: int) -> None:
        self.status = status


class Head:
    """`request` has no body yet; `length` is None for a body in chunks."""

    def __init__(self, request: Request, *, is_1_0: bool, length: int | None) -> None:
        self.request = request
        self.length = length
        self.is_1_0 = is_1_0
        connection = request.headers.get("connection", "").lower()
        self.keeps_alive = "keep-alive" in connection if is_1_0 else "close" not in connection
        self.expects_continue = request.headers.get("expect", "").lower() == "100-continue"


def read(wire: Wire) -> Head:
    """The next request's head. Raises BadRequest, and what the wire raises."""
    line = wire.line(REQUEST_LINE)
    if line is None:
        raise BadRequest(414)
    match = _LINE.fullmatch(line)
    if match is None:
        raise BadRequest(400)
    fields = list(_fields(wire))
    method, target, minor = (part.decode("ascii") for part in match.groups())
    path, query = _split(target)
    headers = joined(fields)
    _check_host(fields, is_1_0=minor == "0")
    request = Request(method, path, query, headers)
    return Head(request, is_1_0=minor == "0", length=_length(fields))


def _fields(wire: Wire) -> Iterator[tuple[str, str]]:
    left, count = _HEADERS, 0
    while True:
        line = wire.line(left)
        if line is None:
            raise BadRequest(431)
        if line == b"\r\n":
            return
        left, count = left - len(line), count + 1
        if count > _COUNT or left <= 0:
            raise BadRequest(431)
        yield _field(line)


def _field(line: bytes) -> tuple[str, str]:
    """A folded line, a space before the colon and bytes that are not UTF-8 are refused: seen in
    Azure."""
    name, colon, value = line.removesuffix(b"\r\n").partition(b":")
    if not (colon and line.endswith(b"\r\n") and _NAME.fullmatch(name)):
        raise BadRequest(400)
    if _FORBIDDEN.search(value):
        raise BadRequest(400)
    try:
        return name.decode("ascii"), value.strip(b" \t").decode()
    except UnicodeDecodeError:
        raise BadRequest(400) from None


def _split(target: str) -> tuple[str, str]:
    """Path and query. Dot segments are resolved; everything else stays as it was sent."""
    absolute = _ABSOLUTE.match(target)
    if absolute is not None:
        target = target[absolute.end() :]
        target = target if target.startswith("/") else f"/{target}"
    path, _, query = target.partition("?")
    if not path.startswith("/") or "\0" in percent.decoded(path):
        raise BadRequest(400)
    return _without_dots(path), query


def _without_dots(path: str) -> str:
    """RFC 3986, 5.2.4, with `%2e` as a dot."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for place, segment in enumerate(segments):
        dots, is_last = percent.decoded(segment), place == len(segments) - 1
        if dots == ".." and kept:
            kept.pop()
        if dots not in (".", ".."):
            kept.append(segment)
        elif is_last:
            kept.append("")
    return "/" + "/".join(kept)


def _check_host(fields: Sequence[tuple[str, str]], *, is_1_0: bool) -> None:
    hosts = [value for name, value in fields if name.lower() == "host"]
    if len(hosts) > 1 or (not hosts and not is_1_0):
        raise BadRequest(400)


def _length(fields: Sequence[tuple[str, str]]) -> int | None:
    codings = [value for name, value in fields if name.lower() == "transfer-encoding"]
    if codings:
        if codings[-1].lower().rsplit(",", 1)[-1].strip() != "chunked":
            raise BadRequest(400)
        return None
    lengths = [value for name, value in fields if name.lower() == "content-length"]
    if len(lengths) > 1 or not all(text.isascii() and text.isdigit() for text in lengths):
        raise BadRequest(400)
    # Longer numbers are too large for any limit; Kestrel does not read them either.
    if lengths and len(lengths[0]) > 18:
        raise BadRequest(400)
    return int(lengths[0]) if lengths else 0
