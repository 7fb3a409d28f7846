"""Writes Set-Cookie as the real host does: the worker parses it, and ASP.NET writes it again.

The worker parses each header with SimpleCookie (azure-functions `http.py`) and sends name, value
and the attributes that it knows. The host writes them again (azure-functions-host
`RpcHttpCookieConverter`, ASP.NET `ResponseCookies.Append`). Values are therefore percent-encoded,
`Domain=` and `Path=` appear even if they are empty (azure-functions-python-worker #1902), and a
cookie that SimpleCookie cannot read is lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from http.cookies import Morsel, SimpleCookie
from urllib.parse import quote

_EXPIRES = "%a, %d %b %Y %H:%M:%S GMT"


def rebuilt(cookies: Iterable[SimpleCookie]) -> list[str]:
    """The Set-Cookie values to send; raises ValueError for an `Expires` in another form."""
    return [_header(name, morsel) for cookie in cookies for name, morsel in cookie.items()]


def _header(name: str, morsel: Morsel[str]) -> str:
    # Uri.EscapeDataString leaves only RFC 3986's unreserved characters.
    parts = [f"{name}={quote(morsel.value, safe='')}"]
    if morsel["expires"]:
        moment = datetime.strptime(morsel["expires"], _EXPIRES).replace(tzinfo=UTC)
        parts.append(f"expires={moment.strftime(_EXPIRES)}")
    if morsel["max-age"]:
        parts.append(f"max-age={int(float(morsel['max-age']))}")
    parts.append(f"domain={morsel['domain']}")
    parts.append(f"path={morsel['path']}")
    if morsel["secure"]:
        parts.append("secure")
    same_site = morsel["samesite"].lower()
    if same_site in ("lax", "strict", "none"):
        parts.append(f"samesite={same_site}")
    if morsel["httponly"]:
        parts.append("httponly")
    return "; ".join(parts)
