"""Builds and reads cookies in the form that the Functions host passes on unchanged.

The host rebuilds every Set-Cookie from the few attributes that it knows. It adds an empty Domain,
which makes `__Host-` names invalid, and Expires can fail. Names therefore start with `__Secure-`,
and lifetimes are Max-Age.
https://github.com/Azure/azure-functions-python-worker/issues/1902
"""

from __future__ import annotations

import re
from typing import Literal

PREFIX = "__Secure-postroom-"
MAX_BYTES = 4096
"""Browsers drop a cookie whose name, value and attributes are longer."""

_VALUE = re.compile(r"[A-Za-z0-9_.=-]*")
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def build(
    name: str,
    value: str,
    *,
    max_age: int,
    path: str,
    same_site: Literal["Lax", "Strict", "None"],
) -> str:
    """The value of a Set-Cookie header. Raises ValueError for a name or value that a cookie cannot
    have."""
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise ValueError("not a cookie name or value")
    cookie = (
        f"{PREFIX}{name}={value}; Max-Age={max_age}; Path={path}; "
        f"Secure; HttpOnly; SameSite={same_site}"
    )
    if len(cookie) > MAX_BYTES:
        raise ValueError("too large for a cookie")
    return cookie


def clear(name: str, *, path: str, same_site: Literal["Lax", "Strict", "None"]) -> str:
    """The Set-Cookie header that removes a cookie."""
    return build(name, "", max_age=0, path=path, same_site=same_site)


def read(header: str, name: str) -> str | None:
    """One cookie's value from a Cookie header; None if it is missing or occurs twice."""
    found = [
        value.strip()
        for key, _, value in (part.partition("=") for part in header.split(";"))
        if key.strip() == PREFIX + name
    ]
    return found[0] if len(found) == 1 else None
